"""Prediction intervals and sets of classes by conformal prediction.

How far out-of-fold predictions are from the truth says how far later ones will be. A
new distance is at most the ``ceil((n + 1) * level)``-th smallest of ``n`` known ones
with a probability of at least `level`, whatever the model and the distribution of the
rows, if the rows are exchangeable (Vovk et al., 2005; Lei et al., 2018). The distances
come from members that did not see the row (cross-conformal prediction).

For numbers the distance is the absolute residual, in units of a spread that may differ
between rows. For classes it is one minus the probability of the true class.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from thalweg.core import Array

_MOST_KEPT = 2000


class Interval(NamedTuple):
    """A prediction and the interval that holds the true value.

    Parameters
    ----------
    prediction, lower, upper : ndarray of shape (n_rows,) or (n_rows, n_targets)
    """

    prediction: Array
    lower: Array
    upper: Array


class ClassSet(NamedTuple):
    """A prediction and the set of classes that holds the true one.

    Parameters
    ----------
    prediction : ndarray of shape (n_rows,)
    included : ndarray of bool, shape (n_rows, n_classes)
        Which classes are in the set, in the order of ``classes_``.
    """

    prediction: Array
    included: Array


@dataclass(frozen=True, eq=False)
class Scores:
    """Sorted distances of out-of-fold predictions from the truth.

    Parameters
    ----------
    values : ndarray of shape (n_kept, n_outputs)
        In ascending order in each column; of many, some that are evenly spread.
    ranks : ndarray of int, shape (n_kept,)
        Their ranks among all, from 1.
    count : int
        How many there were.
    """

    values: Array
    ranks: Array
    count: int

    @classmethod
    def of(cls, distances: Array) -> Self:
        """Sort distances, (n_rows,) or (n_rows, n_outputs)."""
        rows = np.sort(np.asarray(distances, float).reshape(len(distances), -1), axis=0)
        count = len(rows)
        kept = np.linspace(0, count - 1, min(count, _MOST_KEPT)).astype(int)
        kept = np.unique(kept)
        return cls(rows[kept], kept + 1, count)

    def quantile(self, level: float) -> Array:
        """Return the distance that holds a new row with probability `level`.

        Returns
        -------
        ndarray of shape (n_outputs,)
            Infinite if there are too few rows for the level.
        """
        rank = int(np.ceil((self.count + 1) * level - 1e-9))
        at = int(np.searchsorted(self.ranks, rank))
        if at >= len(self.ranks):
            return np.full(self.values.shape[1], np.inf)
        return self.values[at]

    def to_arrays(self, name: str) -> dict[str, Array]:
        """Return what a model file keeps."""
        return {
            f"{name}.values": self.values,
            f"{name}.ranks": np.append(self.ranks, self.count).astype(np.int64),
        }

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, Array]) -> "Scores | None":
        """Read what `to_arrays` returned, if it is there."""
        if f"{name}.values" not in arrays:
            return None
        *ranks, count = arrays[f"{name}.ranks"].tolist()
        return cls(arrays[f"{name}.values"], np.array(ranks, int), int(count))


def check_level(name: str, level: Any, owner: str) -> float:
    """Return a level, the probability that an interval holds the truth.

    Raises
    ------
    ValueError, TypeError
        If it is no number between 0 and 1.
    """
    number = isinstance(level, float | int | np.floating) and not isinstance(
        level, bool | np.bool_
    )
    if not number:
        raise TypeError(
            f"{owner} got {name}={level!r}; it must be a number between 0 and 1, such "
            "as 0.9: the share of rows whose true value is to be inside."
        )
    if not 0 < level < 1:
        raise ValueError(
            f"{owner} got {name}={level!r}; it must be between 0 and 1, such as 0.9: "
            "the share of rows whose true value is to be inside."
        )
    return float(level)
