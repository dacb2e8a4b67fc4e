"""Keras estimators as problems of the doctor, which does not look into their layers.

Each training fits a clone, so that the user's model does not change. What a remedy
changes in the plan goes into the estimator's parameters and ``settings``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier

from thalweg.core import Plan, Run, StopReason
from thalweg.diagnosis.input_data import InputData
from thalweg.diagnosis.problem import Problem, numbered

_OWN = ("epochs", "batch_size", "patience", "class_weight")


@dataclass(frozen=True, eq=False)
class KerasProblem(Problem):
    """A training by `KerasClassifier` or `KerasRegressor`.

    Parameters
    ----------
    estimator : KerasClassifier or KerasRegressor
    given : Plan
        The estimator's plan; a remedy may have changed `plan`.
    """

    estimator: Any = None
    given: Any = None

    def train(self, seed: int) -> tuple[Run, Any]:
        """Fit a clone; return its run and the fitted steps."""
        inputs, pipe = self.prepared()
        changes = {
            name: getattr(self.plan, name)
            for name in vars(self.plan)
            if getattr(self.plan, name) != getattr(self.given, name)
        }
        model = treated_keras(self.estimator, changes)
        model.set_params(random_state=seed, validation_fraction=self.validation)
        if self.labels is not None:
            model.set_params(class_weight=self.class_weight)
        y = self.targets().reshape(self.y.shape) if self.labels is None else (
            self.labels[self.y])  # fmt: skip
        model.fit(self.shaped(inputs), y)
        return run_of(model), pipe


def problem_of_keras(
    subject: Any, last: Any, data: InputData, steps: Any, settings: Any
) -> KerasProblem:
    """Bring a Keras estimator into the form of a problem."""
    X, y, held = data.X, data.y, data.validation_data
    labels, loss = None, "squared"
    if is_classifier(last):
        labels, y, held = numbered(y, held)
        loss = "cross_entropy"
    own = {name: getattr(last, name) for name in _OWN[:3]}
    model = getattr(last, "model_", None)
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        own["learning_rate"] = float(optimizer.learning_rate)
    plan = Plan.of(None, **{"loss": loss, **own, **(last.settings or {})})
    return KerasProblem(
        subject, X, y, labels, held, steps, None, plan,
        run=run_of(last) if model is not None else None,
        class_weight=getattr(last, "class_weight", None),
        validation=last.validation_fraction, estimator=clone(last), given=plan,
    )  # fmt: skip


def run_of(fitted: Any) -> Run:
    """Return what is known of a fitted Keras estimator's training."""
    network, parameters, plan = fitted._ready
    finite = bool(np.isfinite(fitted.history_.loss).all())
    full = fitted.n_iter_ >= fitted.epochs
    reason = StopReason.MAX_EPOCHS if full else StopReason.CONVERGED
    return Run(
        network, plan, parameters, fitted.history_,
        reason if finite else StopReason.NONFINITE, fitted.stop_reason_,
        fitted.engine_, fitted.n_iter_,
    )  # fmt: skip


def treated_keras(estimator: Any, changes: Mapping[str, Any]) -> Any:
    """Return a clone of the estimator with changes of the plan."""
    own = {name: value for name, value in changes.items() if name in _OWN}
    if "validation" in changes:
        own["validation_fraction"] = changes["validation"]
    rest = {k: v for k, v in changes.items() if k not in (*_OWN, "validation")}
    settings = {**(estimator.settings or {}), **rest} if rest else estimator.settings
    copy: Any = clone(estimator)
    return copy.set_params(**own, settings=settings)
