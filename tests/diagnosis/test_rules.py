"""Rules on hand-made facts: each just inside its limit, and just outside."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from thalweg.diagnosis.facts import Facts
from thalweg.diagnosis.facts.data import DataFacts, InputFacts, Sentinel
from thalweg.diagnosis.facts.training import CurveFacts
from thalweg.diagnosis.result import Finding, Limits, Severity
from thalweg.diagnosis.rules import ORDER, RULES, THRESHOLDS, Rule, judge

PLAIN: dict[str, Any] = {
    "data.rows": 500, "data.nonfinite": 0, "data.nonfinite_at": "",
    "target.nonfinite": 0, "target.unique": 2, "data.constant": (),
    "data.constant_at": (), "data.numbered": (), "data.numbered_at": (),
    "data.sentinels": (), "inputs.ratio": 1.0, "inputs.largest": 1.0,
    "inputs.widest": "a", "labels.counts": (250, 250), "labels.numbers": False,
    "labels.purity": 1.0, "labels.disagree": 0.0, "labels.constant": 0.5,
    "nearest.score": 0.9, "nearest.chance": 0.6, "nearest.linear": 0.8,
    "nearest.rows": 500, "nearest.shifted": 0.5, "nearest.shift": 1,
    "nearest.alone": 0.7, "nearest.others": 0.9, "nearest.alone_name": "a",
    "nearest.alone_at": 0, "nearest.best": 0.9, "held.rows": 200, "held.shared": 0.0,
    "held.repeated": 0.0, "held.shifted": 0.0, "held.stretched": 0.0, "held.score": 0.9,
    "image.shape": (8, 8, 3), "image.along": (0.9, 0.9, 0.1), "numbers.learned": 1.0,
    "numbers.like_classes": False, "static.by_class": True, "static.outputs": 2,
    "static.loss": "cross_entropy", "static.output_activation": "identity",
    "static.unreachable": 0.0, "static.linear": False, "static.widths": (20,),
    "static.frozen": (), "static.normalized": False, "static.dropout": 0.0,
    "static.l2": 1e-4, "static.batch": 32, "static.epochs": 200,
    "static.optimizer": "adam", "static.first_order": True, "start.twins": 0.0,
    "start.zero_gradient": False, "start.spreads": (1.0, 1.0), "start.loss": 0.7,
    "start.trivial": 0.69, "start.gradients": (1.0, 1.0), "start.vanishing": 1.0,
    "end.saturated": 0.0, "end.saturated_layer": 0, "end.dead": 0.0,
    "end.dead_layer": 0, "end.dead_by_layer": (0.0,), "end.finite": True,
    "end.overflow_at": "", "end.loss": 0.1, "end.trivial": 0.69, "end.penalty": 0.0,
    "end.score": 0.95, "end.output_std": 0.3, "end.entropy": 1.0,
    "end.largest_logit": 5.0, "run.finite": True, "run.epochs": 200,
    "run.curve": (0.7, 0.1), "run.diverged": False, "run.first": 0.7, "run.last": 0.1,
    "run.slope": 0.001, "run.rises": 0.1, "run.spike": 3.0, "run.update": 1e-3,
    "run.restored": False, "run.ended_by_epochs": False, "rate.value": 0.001,
    "rate.usual": 0.001, "rate.order": 1.0, "rate.noise_scale": 1.0,
    "mode.differs": 0.0, "seeds.scores": (0.9, 0.91), "seeds.spread": 0.01,
    "seeds.error": 0.01, "steps.cosine": 1.0, "steps.count": 25, "steps.climbs": False,
    "steps.still": "", "written.cause": "", "written.where": "W",
    "written.message": "it is wrong", "written.error": 0.0, "written.pairs_all": False,
    "static.lacks_outputs": False, "data.infinite": 0, "run.error": "", "run.failed": 0,
}  # fmt: skip
"""Facts of a sound training, by name."""


def facts_of(named: Mapping[str, Any]) -> Facts:
    """Put facts into the groups they belong to; a name that no group has is an error.

    A group is there if each fact that it cannot do without is.
    """
    groups: dict[str, Any] = {}
    used = set()
    for field, kind in get_type_hints(Facts).items():
        group = get_args(kind)[0]
        known = {each.name: f"{group.prefix}.{each.name}" for each in fields(group)}
        given = {k: named[name] for k, name in known.items() if name in named}
        needed = {each.name for each in fields(group) if each.default is not None}
        used |= {known[k] for k in given}
        if given and needed <= {*given}:
            groups[field] = group(**given)
    assert used == {*named}
    return Facts(**groups)


UNDER_AND_OVER: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
    ("nonfinite-data", {"data.nonfinite": 0}, {"data.nonfinite": 1}),
    ("untrainable", {}, {"run.error": "X holds texts.", "run.failed": 3}),
    ("uninformative-column", {}, {"data.constant": ("a",), "data.constant_at": (0,)}),
    ("unscaled-input", {"inputs.ratio": 99.0}, {"inputs.ratio": 101.0}),
    ("unscaled-input", {"inputs.largest": 29.0}, {"inputs.largest": 31.0}),
    ("sentinel-value", {"data.sentinels": (Sentinel("a", 0, -999.0, 0.05, 4.9),)},
     {"data.sentinels": (Sentinel("a", 0, -999.0, 0.05, 5.1),)}),
    ("unscaled-target", {"numbers.learned": 99.0}, {"numbers.learned": 101.0}),
    ("unscaled-target", {"numbers.learned": 0.011}, {"numbers.learned": 0.009}),
    ("unscaled-target", {"numbers.learned": 2.9, "end.score": -0.1},
     {"numbers.learned": 3.1, "end.score": -0.1}),
    ("noisy-labels", {"labels.purity": 0.91, "labels.disagree": 0.3},
     {"labels.purity": 0.89, "labels.disagree": 0.3}),
    ("misaligned-rows",
     {"nearest.score": 0.6, "nearest.linear": 0.5, "held.score": 0.5,
      "nearest.shifted": 0.69},
     {"nearest.score": 0.6, "nearest.linear": 0.5, "held.score": 0.5,
      "nearest.shifted": 0.71}),
    ("leak", {"nearest.alone": 0.979, "nearest.others": 0.9},
     {"nearest.alone": 0.981, "nearest.others": 0.9}),
    ("leak", {"nearest.alone": 0.99, "nearest.others": 0.99, "held.alone": 0.8},
     {"nearest.alone": 0.99, "nearest.others": 0.99, "held.alone": 0.78}),
    ("shifted-test", {"held.shifted": 0.19}, {"held.shifted": 0.21}),
    ("class-collapse", {"end.entropy": 0.51}, {"end.entropy": 0.49}),
    ("class-collapse", {"labels.counts": (250, 25)}, {"labels.counts": (251, 25)}),
    ("class-collapse", {"held.rarer": 2.9, "held.rarer_errors": 9.0},
     {"held.rarer": 3.1, "held.rarer_errors": 9.0}),
    ("image-layout", {"image.shape": (8, 8, 5), "image.along": (0.5, 0.9, 0.54)},
     {"image.shape": (8, 8, 5), "image.along": (0.5, 0.9, 0.56)}),
    ("no-signal", {"nearest.score": 0.5, "nearest.linear": 0.55, "held.score": 0.5},
     {"nearest.score": 0.5, "nearest.linear": 0.54, "held.score": 0.5}),
    ("no-signal", {"target.unique": 2}, {"target.unique": 1}),
    ("few-rows", {"data.rows": 50}, {"data.rows": 49}),
    ("wrong-loss", {"target.unique": 100, "labels.numbers": True},
     {"target.unique": 101, "labels.numbers": True}),
    ("degenerate-output", {"end.output_std": 1.1e-6}, {"end.output_std": 0.9e-6}),
    ("degenerate-output", {}, {"static.outputs": 1}),
    ("degenerate-output", {}, {"static.lacks_outputs": True}),
    ("unreachable-output", {"static.unreachable": 0.01}, {"static.unreachable": 0.02}),
    ("no-nonlinearity", {}, {"static.linear": True}),
    ("frozen-layer", {}, {"static.frozen": (0,)}),
    ("symmetric-init", {"start.twins": 0.5}, {"start.twins": 0.51}),
    ("init-scale", {"start.spreads": (9.9, 1.0)}, {"start.spreads": (10.1, 1.0)}),
    ("init-scale", {"start.loss": 1.37}, {"start.loss": 1.39}),
    ("saturated-units", {"end.saturated": 0.5}, {"end.saturated": 0.51}),
    ("dead-units", {"end.dead": 0.4}, {"end.dead": 0.41}),
    ("vanishing-gradient", {"start.vanishing": 1.1e-4, "end.loss": 0.69},
     {"start.vanishing": 0.9e-4, "end.loss": 0.69}),
    ("exploding-gradient", {"run.spike": 99.0, "run.last": 0.6},
     {"run.spike": 101.0, "run.last": 0.6}),
    ("rate-too-high", {"run.update": 0.049}, {"run.update": 0.051}),
    ("rate-too-high", {"rate.value": 0.0099}, {"rate.value": 0.0101}),
    ("rate-too-low", {"run.update": 1.1e-5, "run.last": 0.6},
     {"run.update": 0.9e-5, "run.last": 0.6}),
    ("over-regularized", {"end.penalty": 0.49, "end.loss": 0.5},
     {"end.penalty": 0.51, "end.loss": 0.5}),
    ("stopped-early", {"run.ended_by_epochs": True, "run.slope": 0.009},
     {"run.ended_by_epochs": True, "run.slope": 0.011}),
    ("poor-batching", {"rate.order": 0.51}, {"rate.order": 0.49}),
    ("poor-batching", {"static.batch": 4, "rate.noise_scale": 39.0},
     {"static.batch": 4, "rate.noise_scale": 41.0}),
    ("underfitting", {"end.score": 0.86}, {"end.score": 0.84}),
    ("underfitting", {"end.by_heart": 0.049}, {"end.by_heart": 0.051}),
    ("overfitting", {"held.score": 0.86}, {"held.score": 0.84}),
    ("overflow", {}, {"written.cause": "nonfinite"}),
    ("overflow", {"end.largest_logit": 999.0}, {"end.largest_logit": 1001.0}),
    ("mode-confusion", {"mode.differs": 0.9e-5}, {"mode.differs": 1.1e-5}),
    ("seed-fragility", {"seeds.spread": 0.039}, {"seeds.spread": 0.041}),
    ("stale-gradient", {"steps.cosine": 0.991}, {"steps.cosine": 0.989}),
    ("wrong-gradient", {"written.cause": "sign"}, {"written.cause": "transpose"}),
    ("lost-penalty", {}, {"written.cause": "missing-penalty"}),
    ("ascent", {}, {"written.cause": "sign"}),
    ("shape-trap", {}, {"written.pairs_all": True}),
]  # fmt: skip
IDS = [f"{code} {k}" for k, (code, _, _) in enumerate(UNDER_AND_OVER)]


def found(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {finding.code: finding for finding in judge(facts_of({**PLAIN, **facts}))[0]}


def test_a_sound_training_has_no_finding_and_every_rule_can_judge_it():
    findings, checked, unchecked = judge(facts_of(PLAIN))
    assert findings == []
    assert unchecked == {}
    assert {*checked} == {*THRESHOLDS} == {*RULES}


@pytest.mark.parametrize(("code", "under", "over"), UNDER_AND_OVER, ids=IDS)
def test_a_rule_judges_at_its_limit(code: str, under: Any, over: Any):
    assert code not in found(under)
    finding = found(over)[code]
    assert finding.severity >= Severity.NOTE
    assert finding.source
    assert finding.proof is None


def test_every_rule_is_tried_at_its_limit():
    assert {code for code, _, _ in UNDER_AND_OVER} == {*THRESHOLDS}


def test_a_limit_moves_the_verdict():
    facts = facts_of({**PLAIN, "inputs.ratio": 150.0})
    wide = {"unscaled-input": {"ratio": 200.0}}
    assert [f.code for f in judge(facts)[0]] == ["unscaled-input"]
    assert judge(facts, wide)[0] == []


def test_findings_come_upstream_first():
    every = {k: v for _, _, over in UNDER_AND_OVER for k, v in over.items()}
    ranks = [ORDER[finding.code] for finding in judge(facts_of({**PLAIN, **every}))[0]]
    assert len(ranks) > 20
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("code", THRESHOLDS)
def test_a_rule_without_facts_says_what_it_misses(code: str):
    assert judge(Facts())[2][code]


def test_the_reason_is_that_of_the_first_missing_group():
    unchecked = judge(Facts(data=facts_of(PLAIN).data))[2]
    assert "few-rows" not in unchecked
    assert unchecked["leak"].startswith("there are too few rows")
    assert unchecked["wrong-loss"] == "there are no data"
    assert unchecked["poor-batching"].startswith("the method chooses its steps itself")
    assert unchecked["shape-trap"].startswith("no hand-written cost")
    assert unchecked["overflow"].startswith("nothing was trained yet")


def test_a_curve_without_gradient_norms_says_nothing_of_their_explosion():
    plain = {k: v for k, v in PLAIN.items() if k != "run.spike"}
    findings, _, unchecked = judge(facts_of(plain))
    assert findings == []
    assert unchecked == {"exploding-gradient": CurveFacts.why_not}


def test_a_rule_must_name_groups_of_facts_with_their_types():
    def misspelt(limits: Limits, imputs: InputFacts) -> Finding | None: ...

    def mistyped(limits: Limits, inputs: DataFacts) -> Finding | None: ...

    def sound(limits: Limits, inputs: InputFacts, data: DataFacts | None) -> None: ...

    with pytest.raises(TypeError, match="misspelt has a parameter 'imputs'"):
        Rule.of(misspelt)
    with pytest.raises(TypeError, match="mistyped has a parameter 'inputs'"):
        Rule.of(mistyped)
    rule = Rule.of(sound)
    assert (rule.required, rule.optional) == (
        {"inputs": InputFacts}, {"data": DataFacts})  # fmt: skip


@pytest.mark.parametrize("error", [KeyError, AttributeError])
def test_an_error_inside_a_rule_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
):
    """It is never reported as something that could not be measured."""

    def broken(limits: Limits, data: DataFacts) -> Finding | None:
        raise error("rows")

    monkeypatch.setitem(RULES, "few-rows", Rule.of(broken))
    with pytest.raises(error):
        judge(facts_of(PLAIN))


@pytest.mark.parametrize(
    ("thresholds", "kind", "words"),
    [
        (3, TypeError, "thresholds=3 is not a mapping"),
        ({"few-rows": 3}, TypeError,
         r"thresholds\['few-rows'\] is 3. Give a mapping of its limits, such as "
         r"{'rows': 50}, or None to mute the finding"),
        ({"lost-penalty": 3}, TypeError,
         r"thresholds\['lost-penalty'\] is 3. Give None to mute the finding"),
        ({"few-rows": {"rows": "many"}}, TypeError,
         r"thresholds\['few-rows'\]\['rows'\] is 'many'. Give a number, such as 50"),
        ({"few-rows": {"rows": True}}, TypeError, "is True. Give a number"),
        ({"few-rows": {"row": 3}}, ValueError, "Did you mean 'rows'"),
        ({"few-row": {"rows": 3}}, ValueError, "Did you mean 'few-rows'"),
    ],
)  # fmt: skip
def test_a_wrong_threshold_is_named(thresholds: Any, kind: Any, words: str):
    with pytest.raises(kind, match=words):
        judge(Facts(), thresholds)


def test_a_number_that_is_not_finite_is_no_alarm_of_a_sound_training():
    assert "rate-too-low" not in found({"run.slope": np.nan})


@pytest.mark.parametrize(("errors", "severity"), [(3.9, "NOTE"), (4.1, "SERIOUS")])
def test_a_class_is_rarer_by_chance_or_not(errors: float, severity: str):
    """What chance cannot do is an alarm by itself: no weight brings rows back."""
    facts = {"held.rarer": 20.0, "held.rarer_errors": errors}
    assert found(facts)["class-collapse"].severity.name == severity


def test_the_remedies_of_size_and_length_start_from_what_there_is():
    wide = found({"end.score": 0.8, "static.widths": (30, 100)})["underfitting"]
    assert wide.prescription.changes == {"hidden": (200, 200)}
    short = {"run.ended_by_epochs": True, "run.slope": 0.1, "run.epochs": 40}
    longer = found(short)["stopped-early"].prescription
    assert (longer.changes, *longer.alternatives) == ({"epochs": 800}, {"epochs": 200})
    shorter = found({"held.score": 0.8, "run.epochs": 400})["overfitting"]
    assert {"epochs": 50} in shorter.prescription.alternatives
