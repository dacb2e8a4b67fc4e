"""The target of a table: classes or values.

`Classes` and `Values` hold what `fit` learned about the target. Both encode the target
for the network and decode its outputs, score predictions, and name the simple models to
compare with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from thalweg.core import Array, Record, Series, accuracy, r2
from thalweg.estimators.tabular.columns import (
    Column,
    Reading,
    UnreadError,
    is_missing,
    kind_of,
    numbers,
    plain,
    shorten,
    study_numbers,
)
from thalweg.estimators.tabular.labels import (
    canonical_labels,
    from_json,
    labels_of,
    lacks_target,
    match,
    to_json,
)

_MOST_CLASSES = 20  # of a column of numbers
_PLURALS = {
    "category": "texts", "text": "texts", "boolean": "booleans", "date": "dates",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Classes:
    """A target of classes, numbered in the order of `labels`."""

    labels: Array

    metric: ClassVar[str] = "accuracy"
    linear: ClassVar[str] = "logistic regression"

    @classmethod
    def study(cls, target: Series, reading: Reading | None = None) -> Self:
        """Learn from the targets that a model is fitted on."""
        labels, _ = labels_of(target)
        if len(labels) == 1:
            raise ValueError(
                f"the target {target.name!r} has one class, "
                f"{shorten(labels.tolist()[0])}, in each row. Give rows of at least "
                "two classes."
            )
        if len(labels) == len(target) > 2:
            raise ValueError(
                f"the target {target.name!r} has as many classes as rows, "
                f"{len(labels)}, so that no class can be learned. Choose another "
                "column, or use regression if the target holds numbers."
            )
        to_json(labels)  # what no file can keep is refused before training
        return cls(labels)

    def weighed(self, target: Series, weights: Array | None) -> Self:
        """Return the same classes: their weights change no label."""
        return self

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the network."""
        return len(self.labels)

    def encode(self, target: Series) -> Array:
        """Return the targets of the network: class numbers."""
        codes = match(target, self.labels)
        new = np.flatnonzero(codes < 0)
        if len(new):
            known = ", ".join(shorten(each) for each in self.labels.tolist()[:20])
            raise ValueError(
                f"the target has {shorten(target.iloc[new[0]])}, which is not one of "
                f"the classes that the model was fitted on: {known}. Remove these "
                "rows, or fit the model on rows of this class too."
            )
        return codes

    def decode(self, probabilities: Array) -> Array:
        """Return predictions from the outputs of the network."""
        return self.labels[probabilities.argmax(axis=1)]

    def clean(self, target: Series) -> Array:
        """Return the targets in the form of predictions."""
        return canonical_labels(target, self.labels)

    def score(self, truth: Array, predicted: Array) -> float:
        """Score predictions; greater is better."""
        return accuracy(truth, predicted)

    def compare(self, target: Series, predicted: Array, weights: Array | None) -> float:
        """Score predictions for rows whose class may be a new one, which is wrong."""
        import pandas as pd

        right = match(target, self.labels) == match(
            pd.Series(predicted, name=target.name), self.labels
        )
        return float(np.average(right, weights=weights))

    def row_scores(self, truth: Array, predicted: Array) -> Array:
        """Score each row, (..., n_rows); the score is their mean."""
        return (truth == predicted).astype(float)

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        return to_json(self.labels)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(from_json(content))


@dataclass(frozen=True)
class Values(Record):
    """A target of numbers, standardized for the network."""

    center: float
    scale: float
    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    layout: str = ""

    metric: ClassVar[str] = "R2"
    linear: ClassVar[str] = "ridge regression"
    n_outputs: ClassVar[int] = 1

    @classmethod
    def study(cls, target: Series, reading: Reading | None = None) -> Self:
        """Learn from the targets that a model is fitted on."""
        how = study_numbers(target, reading or Reading())
        values = _numbers(target, how)
        if np.ptp(values) == 0:
            raise ValueError(
                f"the target {target.name!r} is {values[0]:g} in each row. Choose a "
                "column whose values differ."
            )
        written = (how.decimal, how.thousands, how.unit, how.layout)
        return cls(float(values.mean()), float(values.std()), *written)

    def weighed(self, target: Series, weights: Array | None) -> Self:
        """Return the target standardized by the weighted mean and deviation."""
        if weights is None or np.ptp(weights) == 0:
            return self
        values = self.clean(target)
        center = np.average(values, weights=weights)
        scale = np.sqrt(np.average((values - center) ** 2, weights=weights))
        return replace(self, center=float(center), scale=float(scale))

    def encode(self, target: Series) -> Array:
        """Return the targets of the network: standardized values."""
        return (self.clean(target) - self.center) / self.scale

    def decode(self, outputs: Array) -> Array:
        """Return predictions from the outputs of the network."""
        return outputs[:, 0].astype(float) * self.scale + self.center

    def scaling(self) -> tuple[Array, Array]:
        """Return what `decode` multiplies outputs by, and what it adds."""
        return np.array([self.scale]), np.array([self.center])

    def clean(self, target: Series) -> Array:
        """Return the targets in the form of predictions."""
        name = str(target.name)
        how = Column(
            name,
            "number",
            missing=0,
            decimal=self.decimal,
            thousands=self.thousands,
            unit=self.unit,
            layout=self.layout,
        )
        return _numbers(target, how)

    def score(self, truth: Array, predicted: Array) -> float:
        """Score predictions; greater is better."""
        return r2(truth, predicted)

    def compare(self, target: Series, predicted: Array, weights: Array | None) -> float:
        """Score predictions for rows of a table."""
        from sklearn.metrics import r2_score

        truth = self.clean(target)
        return float(r2_score(truth, predicted, sample_weight=weights))

    def row_scores(self, truth: Array, predicted: Array) -> Array:
        """Score each row, (..., n_rows); the score is their mean."""
        return 1 - (truth - predicted) ** 2 / (truth.var() or 1.0)


def _numbers(target: Series, how: Column | None) -> Array:
    """Return a target of numbers as float64."""
    if plain(target).dtype.kind == "M":
        raise ValueError(
            f"the target {str(target.name)!r} holds dates, and a regression needs "
            "numbers. Turn the dates into numbers, e.g. days since the first one, or "
            "choose another target."
        )
    try:
        return numbers(str(target.name), target, how)
    except UnreadError as error:
        holds = kind_of(target)
        raise ValueError(
            f"{error.where} That column is the target of a regression, which needs "
            "numbers. "
            + (
                "Turn the dates into numbers, e.g. days since the first one, or choose "
                "another target."
                if holds == "date"
                else "Correct that value or leave it empty; if it means that the value "
                "is missing, name it in missing (the command's --missing). If the "
                "target holds classes, use a Classifier (--task classification)."
            )
        ) from None


def task_of(target: Series, reading: Reading | None = None) -> tuple[str, str]:
    """Return "classification" or "regression", and the reason as a clause.

    Texts, booleans and dates are classes. So are whole numbers if there are at most 20
    different ones, with at least three rows of each on average. Other numbers are
    values.
    """
    reading = reading or Reading()
    known = target[~lacks_target(target, reading.missing)]
    if not len(known):
        raise ValueError(
            f"the target {target.name!r} has a value in 0 of {len(target)} row(s). "
            "Fill it in, or choose another column."
        )
    kind = kind_of(known, reading)
    if kind == "number" and is_missing(known).all():
        kind = "category"  # the words NA and None
    if kind != "number":
        count = known.nunique()
        if kind == "date" and count > max(_MOST_CLASSES, len(known) / 3):
            raise ValueError(
                f"the target {target.name!r} holds {count} different dates in "
                f"{len(known)} rows, which are too many for classes. To predict when "
                "something happens, turn the dates into numbers, e.g. days since the "
                "first one. To learn each date as a class all the same, ask for "
                "classification."
            )
        # None and yes, or Yes, yes and No, are classes and no booleans.
        words = kind_of(known, replace(reading, missing=()))
        if kind == "boolean" and (count > 2 or words != "boolean"):
            kind = "category"
        return "classification", f"it is a column of {_PLURALS[kind]}"
    values = numbers(str(target.name), known, study_numbers(known, reading))
    count = len(np.unique(values))
    if (values % 1).any():
        return "regression", "its numbers have fractions"
    few = count <= 2 or count <= min(_MOST_CLASSES, len(values) / 3)
    task = "classification" if few else "regression"
    return task, f"it holds {count} different whole numbers"
