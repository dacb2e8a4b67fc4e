"""The doctor's rules: each turns `Facts` into one `Finding`, or says that all is fine.

A rule sees numbers only: no framework, no name of a data set. Its docstring is the
source that it comes from, its limits stand in `THRESHOLDS`, and a fact that it misses
means that it cannot judge. What a rule suspects only weakly is a NOTE with a remedy:
the trial decides whether it is more.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from thalweg.core import check_names
from thalweg.diagnosis.result import Facts, Finding
from thalweg.diagnosis.rules import data, network, training, user_function

Limits = Mapping[str, float]
Rule = Callable[[Facts, Limits], Finding | None]

THRESHOLDS: dict[str, dict[str, float]] = {
    "nonfinite-data": {"count": 0},
    "untrainable": {"failed": 0},
    "shape-trap": {},
    "wrong-gradient": {"error": 1e-4},
    "lost-penalty": {},
    "ascent": {},
    "stale-gradient": {"cosine": 0.99},
    "misaligned-rows": {"gain": 0.1},
    "leak": {"alone": 0.98, "others": 0.02, "lost": 0.2, "shared": 0.01, "rows": 40},
    "uninformative-column": {},
    "image-layout": {"gap": 0.05, "channels": 4},
    "shifted-test": {"share": 0.2},
    "unscaled-input": {"ratio": 100, "size": 30},
    "sentinel-value": {"share": 0.005, "gap": 5},
    "wrong-loss": {"values": 20},
    "unscaled-target": {"low": 0.01, "high": 100, "lost": 3},
    "degenerate-output": {"std": 1e-6},
    "unreachable-output": {"share": 0.01},
    "mode-confusion": {"difference": 1e-5, "loss": 1.5},
    "frozen-layer": {},
    "symmetric-init": {"share": 0.5},
    "init-scale": {"low": 0.1, "high": 10, "loss": 2},
    "poor-batching": {"order": 0.5, "noise": 0.1, "steps": 100},
    "exploding-gradient": {"spike": 100, "growth": 20},
    "no-nonlinearity": {},
    "saturated-units": {"share": 0.5},
    "dead-units": {"share": 0.4},
    "vanishing-gradient": {"ratio": 1e-4, "loss": 0.8},
    "rate-too-high": {"sharpness": 2, "update": 0.05, "rises": 0.4, "usual": 10},
    "rate-too-low": {"update": 1e-5, "usual": 0.02},
    "over-regularized": {"ratio": 0.5, "loss": 0.25, "dropout": 0.7},
    "stopped-early": {"slope": 0.01},
    "underfitting": {"left": 0.05, "width": 4, "heart": 0.05},
    "class-collapse": {"entropy": 0.5, "imbalance": 10, "rarer": 3, "errors": 4},
    "noisy-labels": {"purity": 0.9, "disagree": 0.1, "held": 0.2},
    "overfitting": {"rise": 1.1, "checks": 5, "gap": 0.1, "few": 50},
    "overflow": {"logit": 1e3},
    "seed-fragility": {"spread": 4},
    "no-signal": {"errors": 2},
    "few-rows": {"rows": 50},
}
"""Limits by code, upstream causes first; `thalweg.diagnose` takes others, and None in
the place of a code's limits mutes it."""

RULES: dict[str, Rule] = {
    code: getattr(module, name)
    for code in THRESHOLDS
    for module in (data, network, training, user_function)
    for name in (code.replace("-", "_"),)
    if hasattr(module, name)
}
ORDER = {code: rank for rank, code in enumerate(THRESHOLDS)}


def judge(
    facts: Facts, thresholds: Mapping[str, Mapping[str, float] | None] | None = None
) -> tuple[list[Finding], list[str], dict[str, str]]:
    """Apply all rules.

    Parameters
    ----------
    facts : mapping
    thresholds : mapping of code to (mapping of name to float, or None), optional
        What differs from `THRESHOLDS`; None mutes a rule.

    Returns
    -------
    findings : list of Finding
        Upstream causes first.
    checked : list of str
        Codes of what is fine.
    missing : dict of str to str
        For each code that could not be judged, the fact that it misses.

    Raises
    ------
    ValueError
        For a code or limit that does not exist.
    """
    limits = _limits(thresholds or {})
    findings, checked, missing = [], [], {}
    for code, own in limits.items():
        if own is None:
            missing[code] = "muted"
            continue
        try:
            finding = RULES[code](facts, own)
        except KeyError as lack:
            missing[code] = str(lack.args[0])
            continue
        if finding is None:
            checked.append(code)
        else:
            source = " ".join((RULES[code].__doc__ or "").split())
            findings.append(replace(finding, code=code, source=source))
    return findings, checked, missing


def _limits(
    given: Mapping[str, Mapping[str, float] | None],
) -> dict[str, Limits | None]:
    check_names("code of a finding", given, THRESHOLDS, owner="thresholds")
    for code, own in given.items():
        check_names(f"limit of {code}", own or (), THRESHOLDS[code], owner="thresholds")
    merged: dict[str, Limits | None] = {}
    for code, usual in THRESHOLDS.items():
        own = given.get(code, {})
        merged[code] = None if own is None else {**usual, **own}
    return merged
