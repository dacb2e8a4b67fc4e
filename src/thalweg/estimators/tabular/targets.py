"""The target of a table: classes or values.

`Classes` and `Values` hold what `fit` learned about the target. Both encode the target
for the network and decode its outputs, score predictions, and name the simple models to
compare with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from thalweg.core import Array, Record, Series, accuracy, r2
from thalweg.estimators.tabular.columns import is_missing, kind_of, numbers

_MOST_CLASSES = 20  # of a column of numbers
_PLURALS = {"category": "texts", "boolean": "booleans", "date": "dates"}


@dataclass(frozen=True, eq=False)
class Classes:
    """A target of classes, numbered in the order of `labels`."""

    labels: Array

    metric: ClassVar[str] = "accuracy"
    linear: ClassVar[str] = "logistic regression"

    @classmethod
    def study(cls, target: Series) -> Self:
        """Learn from the targets that a model is fitted on."""
        labels = np.unique(_labels(target))
        if len(labels) == 1:
            raise ValueError(
                f"the target {target.name!r} has one class, {labels.tolist()[0]!r}, in "
                "each row. Give rows of at least two classes."
            )
        if len(labels) == len(target) > 2:
            raise ValueError(
                f"the target {target.name!r} has as many classes as rows, "
                f"{len(labels)}, so that no class can be learned. Choose another "
                "column, or use regression if the target holds numbers."
            )
        return cls(labels)

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the network."""
        return len(self.labels)

    def encode(self, target: Series) -> Array:
        """Return the targets of the network: class numbers."""
        values = _labels(target)
        new = np.setdiff1d(values, self.labels)
        if len(new):
            raise ValueError(
                f"the target has {new.tolist()[0]!r}, which is not one of the classes "
                f"that the model was fitted on: {', '.join(map(str, self.labels))}. "
                "Remove these rows, or fit the model on rows of this class too."
            )
        return np.searchsorted(self.labels, values)

    def decode(self, probabilities: Array) -> Array:
        """Return predictions from the outputs of the network."""
        return self.labels[probabilities.argmax(axis=1)]

    def clean(self, target: Series) -> Array:
        """Return the targets in the form of predictions."""
        return _labels(target)

    def score(self, truth: Array, predicted: Array) -> float:
        """Score predictions; greater is better."""
        return accuracy(truth, predicted)

    def row_scores(self, truth: Array, predicted: Array) -> Array:
        """Score each row, (..., n_rows); the score is their mean."""
        return (truth == predicted).astype(float)

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        return {"labels": self.labels.tolist(), "dtype": self.labels.dtype.str}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(np.array(content["labels"], dtype=content["dtype"]))


@dataclass(frozen=True)
class Values(Record):
    """A target of numbers, standardized for the network."""

    center: float
    scale: float

    metric: ClassVar[str] = "R2"
    linear: ClassVar[str] = "ridge regression"
    n_outputs: ClassVar[int] = 1

    @classmethod
    def study(cls, target: Series) -> Self:
        """Learn from the targets that a model is fitted on."""
        values = numbers(str(target.name), target)
        if np.ptp(values) == 0:
            raise ValueError(
                f"the target {target.name!r} is {values[0]:g} in each row. Choose a "
                "column whose values differ."
            )
        return cls(float(values.mean()), float(values.std()))

    def encode(self, target: Series) -> Array:
        """Return the targets of the network: standardized values."""
        return (numbers(str(target.name), target) - self.center) / self.scale

    def decode(self, outputs: Array) -> Array:
        """Return predictions from the outputs of the network."""
        return outputs[:, 0].astype(float) * self.scale + self.center

    def clean(self, target: Series) -> Array:
        """Return the targets in the form of predictions."""
        return numbers(str(target.name), target)

    def score(self, truth: Array, predicted: Array) -> float:
        """Score predictions; greater is better."""
        return r2(truth, predicted)

    def row_scores(self, truth: Array, predicted: Array) -> Array:
        """Score each row, (..., n_rows); the score is their mean."""
        return 1 - (truth - predicted) ** 2 / (truth.var() or 1.0)


def task_of(target: Series) -> tuple[str, str]:
    """Return "classification" or "regression", and the reason as a clause.

    Texts, booleans and dates are classes. So are whole numbers if there are at most 20
    different ones, with at least three rows of each on average. Other numbers are
    values.
    """
    known = target[~is_missing(target)]
    kind = kind_of(known)
    if kind != "number":
        return "classification", f"it is a column of {_PLURALS[kind]}"
    values = numbers(str(target.name), known)
    count = len(np.unique(values))
    if (values % 1).any():
        return "regression", "its numbers have fractions"
    few = count <= 2 or count <= min(_MOST_CLASSES, len(values) / 3)
    task = "classification" if few else "regression"
    return task, f"it holds {count} different whole numbers"


def _labels(target: Series) -> Array:
    """Return the labels in a type that NumPy sorts and compares."""
    values = target.to_numpy()
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(
            f"Input y contains infinity: the target {target.name!r} is infinite in row "
            f"{np.flatnonzero(np.isinf(values))[0] + 1}. Leave it empty there."
        )
    if values.dtype.kind == "f" and (values % 1).any():
        raise ValueError(
            f"Unknown label type: continuous. The target {target.name!r} holds numbers "
            "with fractions; use a Regressor, or round them to classes."
        )
    return values.astype(str) if values.dtype.kind == "O" else values
