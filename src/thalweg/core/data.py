"""The rows that an engine takes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core.pytree import each_array
from thalweg.core.types import Array


@dataclass(frozen=True, eq=False)
class Data:
    """Rows to train or to validate on, as the engines take them.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_inputs), float32 or float64, C-contiguous
        Or a SciPy matrix of compressed rows or `CompactRows`, of that shape. For a
        `Network`, an array of any shape and type, or several, nested.
    y : ndarray, C-contiguous
        Class numbers, int32 of shape (n_rows,), or values of X's dtype and of shape
        (n_rows, n_outputs). For a `Network` as X is.
    weights : ndarray of shape (n_rows,), X's dtype
        Weight of each row in the loss.
    """

    X: Any
    y: Any
    weights: Array

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.weights)

    @property
    def dtype(self) -> np.dtype[Any]:
        """What is computed in."""
        return self.weights.dtype

    def take(self, rows: Any) -> "Data":
        """Return some of the rows."""
        X, y = (each_array(lambda v: v[rows], tree) for tree in (self.X, self.y))
        return Data(X, y, self.weights[rows])
