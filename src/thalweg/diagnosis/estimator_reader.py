"""Any estimator with scikit-learn's contract as a problem of the doctor.

Its inside is not known: `SGDClassifier`, `Perceptron`, a skorch net. It is trained as a
clone and judged by its predictions. Remedies change its data, and those parameters of
it that have a name that such estimators share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier

from thalweg.core import Array, History, Plan, StopReason
from thalweg.diagnosis.input_data import InputData
from thalweg.diagnosis.problem import Problem, ValidationData, numbered

NAMES: Mapping[str, tuple[str, ...]] = {
    "learning_rate": ("learning_rate_init", "lr", "eta0"),
    "epochs": ("max_epochs", "max_iter"),
    "l2": ("alpha", "optimizer__weight_decay"),
    "class_weight": ("class_weight",),
    "batch_size": ("batch_size",),
}
"""Names that estimators have for a change."""


@dataclass(frozen=True, eq=False)
class EstimatorRun:
    """A fitted estimator, and what it recorded."""

    model: Any
    history: History
    stop_reason: StopReason
    best_epoch: int = 0


@dataclass(frozen=True, eq=False)
class EstimatorProblem(Problem):
    """The training of an estimator of which only the contract is known.

    Parameters
    ----------
    estimator : estimator
        Not fitted.
    """

    estimator: Any = None

    @property
    def by_class(self) -> bool:
        """Whether it is a classifier."""
        return self.labels is not None

    def changed(self, name: str, value: Any) -> "EstimatorProblem | None":
        """Return the problem with another parameter.

        Raises
        ------
        ValueError
            If the estimator has no such parameter.
        """
        if name in ("scale", "impute", "drop", "mask", "roll", "leave_out",
                    "match_held", "scale_target"):  # fmt: skip
            return None
        new = with_change(self.estimator, name, value)
        if new is None:
            raise ValueError(
                f"{type(self.estimator).__name__} has no parameter for {name!r}."
            )
        return replace(self, estimator=new)

    def decide(self, prediction: Array) -> Array:
        """Return predictions as class numbers, or as values in the target's unit."""
        if self.labels is not None:
            return prediction.argmax(axis=1)
        center, scale = self._center
        return (prediction * scale + center).reshape(len(prediction), *self.y.shape[1:])

    def predict(self, run: Any, X: Array) -> Array:
        """Return a column a class, or values."""
        found = np.asarray(run.model.predict(X))
        if self.labels is None:
            return found.reshape(len(found), -1).astype(float)
        numbers = np.searchsorted(self.labels, found)
        return np.eye(len(self.labels))[np.minimum(numbers, len(self.labels) - 1)]

    def fit_network(self, inputs: Array, seed: int, deadline: float = np.inf) -> Any:
        """Fit a clone on prepared inputs."""
        model: Any = clone(self.estimator)
        if "random_state" in model.get_params():
            model.set_params(random_state=seed)
        if self.labels is not None:
            y = self.labels[self.y]
        else:
            center, scale = self._center
            y = ((self.y.reshape(len(self.y), -1) - center) / scale).reshape(
                self.y.shape)  # fmt: skip
        return run_of(model.fit(self.shaped(inputs), y))


def with_change(estimator: Any, name: str, value: Any) -> Any:
    """Return a clone with a change; None if the estimator has no such parameter."""
    known = estimator.get_params()
    for own in NAMES.get(name, ()):
        if own in known:
            copy: Any = clone(estimator)
            if own == "eta0" and known.get("learning_rate") == "optimal":
                copy.set_params(learning_rate="constant")
            return copy.set_params(**{own: value})
    return None


def run_of(fitted: Any) -> EstimatorRun:
    """Return what a fitted estimator recorded."""
    recorded = getattr(fitted, "history", None)
    losses = getattr(fitted, "loss_curve_", None)
    if losses is None and isinstance(recorded, list) and recorded:
        losses = [epoch.get("train_loss", np.nan) for epoch in recorded]
    history = History.from_columns({"loss": [] if losses is None else losses})
    n = getattr(fitted, "n_iter_", None)
    limit = getattr(fitted, "max_iter", None)
    full = n is not None and limit is not None and np.max(n) >= limit
    reason = StopReason.MAX_EPOCHS if full else StopReason.CONVERGED
    return EstimatorRun(fitted, history, reason, len(history))


def problem_of_estimator(
    subject: Any, last: Any, data: InputData, steps: Any, settings: Any
) -> EstimatorProblem:
    """Bring an estimator into the form of a problem."""
    X, y, held = data.X, data.y, data.validation_data
    labels = None
    classifies = is_classifier(last)
    if classifies and y.ndim == 1:
        labels, y, held = numbered(y, held)
    elif y.dtype.kind in "fiub":
        y = y.astype(float)
        held = held and ValidationData(held.X, held.y.astype(float))
    fitted = any(name.endswith("_") and not name.startswith("_") for name in vars(last))
    run: Any = run_of(last) if fitted else None
    return EstimatorProblem(
        subject, X, y, labels, held, steps, None, Plan(), run=run,
        estimator=clone(last),
    )  # fmt: skip
