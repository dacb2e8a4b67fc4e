"""What can be said of a Keras training without its data: layers, loss and curve."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.core import History
from thalweg.diagnosis.diagnose import diagnosis_of_history, make_diagnosis
from thalweg.diagnosis.facts import Facts
from thalweg.diagnosis.facts.data import facts_of_target
from thalweg.diagnosis.facts.keras import facts_of_keras_plan, facts_of_model
from thalweg.diagnosis.facts.training import (
    RunFacts,
    StopFacts,
    facts_of_curve,
    facts_of_curve_alone,
    facts_of_validation_curve,
)
from thalweg.diagnosis.input_data import InputData
from thalweg.diagnosis.keras_reader import problem_of_model
from thalweg.diagnosis.keras_recipe import loss_name
from thalweg.diagnosis.result import Diagnosis, Severity
from thalweg.diagnosis.rules import Thresholds, judge

_QUIET = ("few-rows", "poor-batching", "wrong-loss", "stopped-early")
"""Findings that need the data, of which only a stand-in is at hand."""


def diagnosis_of_training(
    model: Any,
    history: History,
    params: Mapping[str, Any],
    thresholds: Thresholds | None,
) -> Diagnosis:
    """Examine a model that Keras trains, by what can be read without its data."""
    if not model.built or not getattr(model, "outputs", None) or len(
        model.outputs) != 1 or len(model.inputs) != 1:  # fmt: skip
        return diagnosis_of_history(history, thresholds)
    problem: Any = problem_of_model(
        model, model, _stand_in(model), (), {"epochs": params.get("epochs") or 1},
        history,
    )  # fmt: skip
    plan, rate, _ = facts_of_keras_plan(problem)
    layers, output, of_model = facts_of_model(problem, problem.run)
    finite = bool(np.isfinite(history.loss).all())
    facts = Facts(
        plan=plan, rate=rate, layers=layers, output=output, model=of_model,
        target=facts_of_target(problem),
        run=RunFacts(finite, len(history)), curve=facts_of_curve(history),
        validation_curve=facts_of_validation_curve(history),
        alone=facts_of_curve_alone(history),
        stop=StopFacts(ended_by_epochs=True, diverged=not finite, restored=False),
    )  # fmt: skip
    found, checked, unchecked = judge(facts, thresholds)
    found = [f for f in found if f.code not in _QUIET]
    ill = any(f.code in ("no-learning", "overflow") for f in found)
    if ill:  # suspicions explain what the curve shows
        found = [replace(f, severity=max(f.severity, Severity.ADVICE)) for f in found]
    name = f"training of {len(history)} epochs"
    return make_diagnosis(name, facts, (found, checked, unchecked))


def _stand_in(model: Any) -> InputData:
    """Return a few rows of zeros, with a target as the loss takes it."""
    inputs, outputs = model.inputs[0].shape[1:], model.outputs[0].shape[1:]
    shape = [int(size or 1) for size in inputs]
    k = int(outputs[-1] or 1) if len(outputs) else 1
    X = np.zeros((8, *shape), "float32")
    loss = loss_name(model.loss)
    rows = np.arange(8)
    if loss.startswith("sparse"):
        y: Any = rows % max(k, 2)
    elif loss == "categorical_crossentropy" or (
        loss == "binary_crossentropy" and k > 1):  # fmt: skip
        y = np.eye(max(k, 2))[rows % max(k, 2)]
    elif "crossentropy" in loss:
        y = rows % 2
    else:
        y = np.linspace(-0.5, 0.5, 8)
        y = y if k == 1 else np.tile(y[:, None], k) + 0.01 * np.arange(k)
    flat = X.reshape(8, -1)
    return InputData(flat, y, None, 0, X if X.ndim > 2 else None)
