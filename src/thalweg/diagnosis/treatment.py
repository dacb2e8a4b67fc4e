"""Remedies applied to what the user gave: a new estimator, and what differs in it."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from thalweg import estimators
from thalweg.core import DenseNetwork, Network, Run
from thalweg.diagnosis.keras_reader import treated_keras
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


def _treated_last(problem: Problem, last: Any, settings: dict[str, Any]) -> Any:
    if last is None:
        return None, dict(settings)
    if isinstance(last, estimators.Ensemble):
        member, difference = _treated_last(problem, last.estimator, settings)
        ensemble: Any = clone(last)
        return ensemble.set_params(estimator=member), difference
    if isinstance(last, KerasClassifier | KerasRegressor):
        return treated_keras(last, settings), dict(settings)
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
