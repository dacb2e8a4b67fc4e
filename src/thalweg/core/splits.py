"""Splits of the rows: a hold-out, and folds.

Both draw the rows at random and then go through them in the order of their targets, so
that each part gets its share of every class or of every range of values. They keep this
promise for classes of any size, where a draw within each class would have to round.
Estimators that follow scikit-learn to the bit split as scikit-learn does instead.
"""

from typing import Any

import numpy as np

from thalweg.core.types import Array


def hold_out(
    n_rows: int, n_held: int, rng: np.random.RandomState, classes: Any = None
) -> Array:
    """Choose rows to hold out at random, each class in proportion.

    Parameters
    ----------
    n_rows : int
    n_held : int
        How many rows to hold out.
    rng : RandomState
    classes : ndarray of shape (n_rows,), optional
        The class of each row; None draws without regard to classes.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
        True for the rows that are held out.
    """
    order = rng.permutation(n_rows)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
    every = np.floor((np.arange(n_held) + 0.5) * n_rows / n_held).astype(int)
    held = np.zeros(n_rows, bool)
    held[order[every]] = True
    return held


def folds(y: Any, k: int, rng: np.random.RandomState | None = None) -> Array:
    """Divide rows into `k` folds, each with its share of all values of `y`.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
        Classes or numbers.
    k : int
    rng : RandomState, optional
        Orders rows of equal `y` at random; None keeps their order.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        The fold of each row, from 0 to ``k - 1``.
    """
    order = np.arange(len(y)) if rng is None else rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(len(y), int)
    fold[order] = np.arange(len(y)) % k
    return fold
