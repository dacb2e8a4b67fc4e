"""Remedies applied to what the user gave: a new estimator, and what differs in it."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from thalweg import estimators
from thalweg.core import DenseNetwork, Network, PyTree, Run
from thalweg.diagnosis.estimator_reader import EstimatorProblem, with_change
from thalweg.diagnosis.keras_reader import KerasProblem
from thalweg.diagnosis.keras_treatment import treated_estimator, treated_model
from thalweg.diagnosis.network_estimator import NetworkEstimator
from thalweg.diagnosis.problem import Problem, repair
from thalweg.diagnosis.readers import OURS, THEIRS, as_ours, pipeline_parts
from thalweg.diagnosis.remedies import (
    ROWS,
    STEPS,
    apply_changes,
    contradicted_rows,
    merge_changes,
)
from thalweg.estimators import Classifier, KerasClassifier, KerasRegressor, Regressor
from thalweg.optimize import UserFunction

_MLP_NAMES = {
    "learning_rate": "learning_rate_init",
    "epochs": "max_iter",
    "l2": "alpha",
    "hidden": "hidden_layer_sizes",
    "optimizer": "solver",
    "patience": "n_iter_no_change",
}
_TABLE_NAMES = {"epochs": "max_epochs", "hidden": "hidden_layer_sizes"}


def treated(problem: Problem, changes: Sequence[Mapping[str, Any]]) -> tuple[Any, Any]:
    """Apply changes to a copy of what the user gave; return it and the difference.

    Steps that prepare the inputs stand before the estimator in a Pipeline. Changes of
    the rows (``roll``, ``leave_out``) are only named in the difference: the user makes
    them before fitting.
    """
    merged = reduce(merge_changes, changes, {})
    subject = problem.subject
    before, last = pipeline_parts(subject)
    if isinstance(problem, KerasProblem) and not isinstance(
        last, KerasClassifier | KerasRegressor
    ):
        return _treated_keras(problem, merged)
    settings = {k: v for k, v in merged.items() if k not in (*STEPS, *ROWS)}
    scaled_target = settings.pop("scale_target", False)
    new, difference = _treated_last(problem, last, settings)
    prepared = apply_changes(problem, {k: v for k, v in merged.items() if k in STEPS})
    front = [repair(problem.X, prepared.repairs)] if prepared.repairs else []
    steps = [*front, *map(clone, before), *prepared.steps[len(problem.steps) :]]
    difference |= {k: v for k, v in merged.items() if k in (*STEPS, *ROWS)}
    if isinstance(merged.get("leave_out"), str):
        difference["leave_out"] = contradicted_rows(prepared)
    if scaled_target:
        difference["scale_target"] = True
        if new is not None:
            new = TransformedTargetRegressor(new, transformer=StandardScaler())
    if new is None:
        return make_pipeline(*steps or ["passthrough"]), difference
    return (make_pipeline(*steps, new) if steps else new), difference


def differences(cost: Any) -> Any:
    """Return the gradient of a cost by central differences, shaped like its weights."""

    def gradient(weights: Any, *args: Any) -> Any:
        tree = PyTree(weights)
        function = UserFunction(cost, None, tree, args)
        flat = tree.pack(weights)
        steps = 6e-6 * np.maximum(np.abs(flat), 1.0)
        found = np.empty(len(flat))
        for k, step in enumerate(steps):
            moved = flat.copy()
            moved[k] = flat[k] + step
            above = function.cost(moved)
            moved[k] = flat[k] - step
            found[k] = (above - function.cost(moved)) / (2 * step)
        return tree.unpack(found)

    return gradient


def treated_function(subject: Any, changes: Sequence[Mapping[str, Any]]) -> Any:
    """Return the user's cost with a gradient by central differences."""
    given = subject[0] if isinstance(subject, tuple) else subject

    def cost(*args: Any) -> Any:
        value = given(*args)
        return value[0] if isinstance(value, tuple) else value

    difference = {"gradient": "central differences of the cost"}
    return (cost, differences(cost)), difference


def _treated_keras(problem: KerasProblem, merged: Mapping[str, Any]) -> Any:
    """Return a new model; changes of columns and rows are named for the user."""
    model, difference = treated_model(problem, merged)
    for_user = (*[k for k in STEPS if k != "scale"], *ROWS)
    difference |= {k: v for k, v in merged.items() if k in for_user}
    if isinstance(merged.get("leave_out"), str):
        difference["leave_out"] = contradicted_rows(problem)
    return model, difference


def _treated_last(problem: Problem, last: Any, settings: dict[str, Any]) -> Any:
    if last is None:
        return None, dict(settings)
    if isinstance(last, estimators.Ensemble):
        member, difference = _treated_last(problem, last.estimator, settings)
        ensemble: Any = clone(last)
        return ensemble.set_params(estimator=member), difference
    if isinstance(problem, KerasProblem):
        return treated_estimator(problem, last, settings)
    if isinstance(problem, EstimatorProblem):
        new, difference = clone(last), dict(settings)
        for name, value in settings.items():
            made = with_change(new, name, value)
            new = new if made is None else made
        return new, difference
    if isinstance(last, Run | DenseNetwork | Network | NetworkEstimator):
        new = apply_changes(problem, settings)
        own = new.network, new.plan, new.validation, new.class_weight
        return NetworkEstimator(*own), dict(settings)
    if isinstance(last, Classifier | Regressor):
        return _set(clone(last), _TABLE_NAMES, settings)
    return _treated_mlp(last, settings)


def _treated_mlp(last: Any, settings: dict[str, Any]) -> Any:
    difference: dict[str, Any] = {}
    if "target" in settings:
        numbers = settings.pop("target") == "numbers"
        kind = estimators.MLPRegressor if numbers else estimators.MLPClassifier
        kept = {k: v for k, v in last.get_params().items()
                if k in kind().get_params() and k != "loss"}  # fmt: skip
        last, difference["estimator"] = kind(**kept), f"thalweg.{kind.__name__}"
    if settings.pop("shuffle", None):
        settings["shuffle"] = True
    known = last.get_params()
    missing = [k for k in settings if _MLP_NAMES.get(k, k) not in known]
    for theirs, ours in THEIRS.items():
        if missing and isinstance(last, theirs) and not isinstance(last, OURS):
            last = as_ours(clone(last), ours)
            difference["estimator"] = f"thalweg.{ours.__name__}"
    new, more = _set(clone(last), _MLP_NAMES, settings)
    return new, {**difference, **more}


def _set(new: Any, names: Mapping[str, str], settings: Mapping[str, Any]) -> Any:
    """Set parameters under the estimator's names; return it and all changes.

    Changes that the estimator has no parameter for are only named.
    """
    own = {names.get(k, k): v for k, v in settings.items()}
    if "validation" in own:
        share = own.pop("validation")
        own |= {"early_stopping": True, "validation_fraction": share}
    known = new.get_params()
    new.set_params(**{k: v for k, v in own.items() if k in known})
    return new, own
