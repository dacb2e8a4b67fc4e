"""Scores of predictions, and intervals of them."""

from typing import Any

import numpy as np

from thalweg.core.losses import CLASSIFYING
from thalweg.core.plan import Plan
from thalweg.core.types import Array

_NORMAL = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def accuracy(truth: Any, predicted: Any, weights: Array | None = None) -> float:
    """Return the share of rows that are predicted correctly.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n_rows,) or (n_rows, n_labels)
        A row of several labels is correct if all of them are.
    weights : ndarray of shape (n_rows,), optional

    Returns
    -------
    float
    """
    right = truth == predicted
    right = right.all(axis=1) if right.ndim > 1 else right
    return float(np.average(right, weights=weights))


def r2(
    truth: Any, predicted: Any, weights: Array | None = None, *, pooled: bool = False
) -> float:
    """Return R², the share of the variance of `truth` that is explained.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n_rows,) or (n_rows, n_outputs)
    weights : ndarray of shape (n_rows,), optional
    pooled : bool
        Whether the squares of all columns are added before they are divided
        (scikit-learn's ``multioutput="variance_weighted"``). By default each column has
        an R² of its own, and their mean is returned.

    Returns
    -------
    float
        Where `truth` does not vary, 1 if the prediction is exact and 0 otherwise, as
        scikit-learn's ``r2_score`` says.
    """
    truth, predicted = (np.reshape(v, (len(v), -1)) for v in (truth, predicted))
    mean = np.average(truth, axis=0, weights=weights)
    weight = 1 if weights is None else weights[:, None]
    axis = None if pooled else 0
    left = (weight * (truth - predicted) ** 2).sum(axis=axis)
    total = (weight * (truth - mean) ** 2).sum(axis=axis)
    explained = 1 - left / np.where(total > 0, total, 1)
    exact = np.where(left == 0, 1.0, 0.0)
    return float(np.mean(np.where(total > 0, explained, exact)))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `n` (Wilson, 1927)."""
    # SciPy's binomtest says the same, but its statistics take half a second to import.
    share, square = round(share * n) / n, _NORMAL**2 / n
    center = (share + square / 2) / (1 + square)
    half = _NORMAL * np.sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    # Exactly 0 and 1 where no row, or each, is right, whatever the rounding.
    low = 0.0 if share == 0 else float(center - half)
    high = 1.0 if share == 1 else float(center + half)
    return low, high


def default_score(plan: Plan, prediction: Any, y: Any, weights: Array) -> float:
    """Score predictions: accuracy for classes and labels, R² otherwise.

    NaN where they are not shaped as the targets are, as a `Network`'s need not be, or
    where they are not finite.
    """
    name = plan.loss.name
    if name in CLASSIFYING:
        classes = y if y.ndim == 1 else y.argmax(axis=1)
        return accuracy(classes, prediction.argmax(axis=1), weights)
    if name == "binary_cross_entropy":
        return accuracy(y > 0.5, prediction > 0.5, weights)
    comparable = np.shape(prediction) == np.shape(y) and isinstance(y, np.ndarray)
    if not (comparable and np.isfinite(prediction).all()):
        return float("nan")
    return r2(y, prediction, weights)
