"""The doctor's rules: each turns some groups of facts into one `Finding` or None.

A rule is a pure function of its limits and of the groups of `Facts` that its parameters
name. A parameter typed ``Group`` is required: without it the rule is not asked. A
parameter typed ``Group | None`` is optional; a rule that finds that it cannot judge
after all returns `NotMeasured`. Names and types are checked when this package is
imported, and an exception inside a rule is a bug that propagates.

The docstring of a rule is the source that it comes from. A weak suspicion is a NOTE
with a remedy: the trial decides whether it is more.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Self, get_args, get_type_hints

from thalweg.core import check_names
from thalweg.diagnosis.facts import Facts
from thalweg.diagnosis.facts.group import FactGroup, NotMeasured
from thalweg.diagnosis.result import Finding, Limits
from thalweg.diagnosis.rules import data, network, training, user_function

Thresholds = Mapping[str, Mapping[str, float] | None]
Judge = Callable[..., Finding | NotMeasured | None]

_RULES: dict[str, tuple[Judge, dict[str, float]]] = {
    "nonfinite-data": (data.nonfinite_data, {"count": 0}),
    "untrainable": (training.untrainable, {"failed": 0}),
    "shape-trap": (user_function.shape_trap, {}),
    "wrong-gradient": (user_function.wrong_gradient, {"error": 1e-4}),
    "lost-penalty": (user_function.lost_penalty, {}),
    "ascent": (user_function.ascent, {}),
    "stale-gradient": (user_function.stale_gradient, {"cosine": 0.99}),
    "misaligned-rows": (data.misaligned_rows, {"gain": 0.1}),
    "leak": (
        data.leak,
        {"alone": 0.98, "others": 0.02, "lost": 0.2, "shared": 0.01, "rows": 40},
    ),
    "uninformative-column": (data.uninformative_column, {}),
    "image-layout": (data.image_layout, {"gap": 0.05, "channels": 4}),
    "shifted-test": (data.shifted_test, {"share": 0.2}),
    "unscaled-input": (data.unscaled_input, {"ratio": 100, "size": 30}),
    "sentinel-value": (data.sentinel_value, {"share": 0.005, "gap": 5}),
    "wrong-loss": (network.wrong_loss, {"values": 20}),
    "unscaled-target": (data.unscaled_target, {"low": 0.01, "high": 100, "lost": 3}),
    "degenerate-output": (network.degenerate_output, {"std": 1e-6}),
    "unreachable-output": (network.unreachable_output, {"share": 0.01}),
    "mode-confusion": (training.mode_confusion, {"difference": 1e-5, "loss": 1.5}),
    "frozen-layer": (network.frozen_layer, {}),
    "symmetric-init": (network.symmetric_init, {"share": 0.5}),
    "init-scale": (network.init_scale, {"low": 0.1, "high": 10, "loss": 2}),
    "poor-batching": (
        training.poor_batching,
        {"order": 0.5, "noise": 0.1, "steps": 100},
    ),
    "exploding-gradient": (training.exploding_gradient, {"spike": 100, "growth": 20}),
    "no-nonlinearity": (network.no_nonlinearity, {}),
    "saturated-units": (network.saturated_units, {"share": 0.5}),
    "dead-units": (network.dead_units, {"share": 0.4}),
    "vanishing-gradient": (network.vanishing_gradient, {"ratio": 1e-4, "loss": 0.8}),
    "rate-too-high": (
        training.rate_too_high,
        {"sharpness": 2, "update": 0.05, "rises": 0.4, "usual": 10},
    ),
    "rate-too-low": (training.rate_too_low, {"update": 1e-5, "usual": 0.02}),
    "over-regularized": (
        training.over_regularized,
        {"ratio": 0.5, "loss": 0.25, "dropout": 0.7},
    ),
    "stopped-early": (training.stopped_early, {"slope": 0.01}),
    "underfitting": (training.underfitting, {"left": 0.05, "width": 4, "heart": 0.05}),
    "class-collapse": (
        data.class_collapse,
        {"entropy": 0.5, "imbalance": 10, "rarer": 3, "errors": 4},
    ),
    "noisy-labels": (data.noisy_labels, {"purity": 0.9, "disagree": 0.1, "held": 0.2}),
    "overfitting": (
        training.overfitting,
        {"rise": 1.1, "checks": 5, "gap": 0.1, "few": 50},
    ),
    "overflow": (training.overflow, {"logit": 1e3}),
    "seed-fragility": (training.seed_fragility, {"spread": 4}),
    "no-signal": (data.no_signal, {"errors": 2}),
    "few-rows": (data.few_rows, {"rows": 50}),
}
"""Each rule and its limits, by code; causes stand before what they cause."""


@dataclass(frozen=True)
class Rule:
    """A rule, and the groups of facts that it reads.

    Parameters
    ----------
    judge : callable
    required, optional : mapping of str to type
        Groups by their field in `Facts`; the rule is not asked without the required
        ones.
    """

    judge: Judge
    required: Mapping[str, type[FactGroup]]
    optional: Mapping[str, type[FactGroup]]

    @classmethod
    def of(cls, judge: Judge) -> Self:
        """Read the groups from the function's parameters.

        Raises
        ------
        TypeError
            For a parameter that is not a field of `Facts`, or of another type.
        """
        fields = get_type_hints(Facts)
        known = {name: get_args(kind)[0] for name, kind in fields.items()}
        hints = get_type_hints(judge)
        required: dict[str, type[FactGroup]] = {}
        optional: dict[str, type[FactGroup]] = {}
        for name in [*inspect.signature(judge).parameters][1:]:
            kind = get_args(hints[name]) or (hints[name],)
            if name not in known or kind[0] is not known[name]:
                raise TypeError(
                    f"The rule {judge.__name__} has a parameter {name!r} of type "
                    f"{hints[name]}, which is not a group of Facts. Name a field of "
                    "Facts, and give it the field's type."
                )
            (optional if len(kind) > 1 else required)[name] = kind[0]
        return cls(judge, required, optional)

    @property
    def source(self) -> str:
        """The publication that the rule comes from."""
        return " ".join((self.judge.__doc__ or "").split())

    def __call__(self, facts: Facts, limits: Limits) -> Finding | NotMeasured | None:
        """Judge the facts, or name the first required group that is missing."""
        for name, group in self.required.items():
            if getattr(facts, name) is None:
                return NotMeasured(group)
        names = (*self.required, *self.optional)
        return self.judge(limits, **{name: getattr(facts, name) for name in names})


RULES = {code: Rule.of(judge) for code, (judge, _) in _RULES.items()}
THRESHOLDS = {code: limits for code, (_, limits) in _RULES.items()}
"""Limits by code, causes before what they cause; `thalweg.diagnose` takes others, and
None in the place of a code's limits mutes it."""
ORDER = {code: rank for rank, code in enumerate(THRESHOLDS)}


def judge(
    facts: Facts, thresholds: Thresholds | None = None
) -> tuple[list[Finding], list[str], dict[str, str]]:
    """Apply all rules.

    Parameters
    ----------
    facts : Facts
    thresholds : mapping of code to (mapping of name to float, or None), optional
        Limits that differ from `THRESHOLDS`; None mutes a rule.

    Returns
    -------
    findings : list of Finding
        Causes before what they cause.
    checked : list of str
        Codes of what is fine.
    unchecked : dict of str to str
        Codes of what was not judged, and why.

    Raises
    ------
    TypeError, ValueError
        For thresholds that `merged_limits` refuses.
    """
    findings, checked, unchecked = [], [], {}
    for code, limits in merged_limits(thresholds).items():
        if limits is None:
            unchecked[code] = "muted"
            continue
        said = RULES[code](facts, limits)
        if said is None:
            checked.append(code)
        elif isinstance(said, NotMeasured):
            unchecked[code] = said.group.why_not
        else:
            findings.append(replace(said, code=code, source=RULES[code].source))
    return findings, checked, unchecked


def merged_limits(given: Thresholds | None) -> dict[str, Limits | None]:
    """Return all limits, with those that were given in the place of `THRESHOLDS`.

    Raises
    ------
    TypeError
        If `given` is not a mapping of codes to mappings of numbers, or None.
    ValueError
        For a code or a limit that does not exist.
    """
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise TypeError(
            f"thresholds={given!r} is not a mapping. Give the limits of some findings "
            "by code, such as {'few-rows': {'rows': 20}}, and None to mute a finding."
        )
    check_names("code of a finding", given, THRESHOLDS, owner="thresholds")
    for code, own in given.items():
        _check_limits(code, own)
    merged: dict[str, Limits | None] = {}
    for code, usual in THRESHOLDS.items():
        own = given.get(code, {})
        merged[code] = None if own is None else {**usual, **own}
    return merged


def _check_limits(code: str, own: Any) -> None:
    if own is None:
        return
    usual = THRESHOLDS[code]
    if not isinstance(own, Mapping):
        allowed = f"a mapping of its limits, such as {usual}, or " if usual else ""
        raise TypeError(
            f"thresholds[{code!r}] is {own!r}. Give {allowed}None to mute the finding."
        )
    check_names(f"limit of {code}", own, usual, owner="thresholds")
    for name, limit in own.items():
        if isinstance(limit, bool) or not isinstance(limit, Real):
            raise TypeError(
                f"thresholds[{code!r}][{name!r}] is {limit!r}. Give a number, such as "
                f"{usual[name]:g}; thresholds={{{code!r}: None}} mutes the finding."
            )
