"""Scores and their intervals."""

from typing import Any

import numpy as np
from scipy import stats

from thalweg.core.losses import CLASSIFYING
from thalweg.core.plan import Plan
from thalweg.core.types import Array


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n (Wilson, 1927)."""
    found = stats.binomtest(round(share * n), n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def default_score(plan: Plan, prediction: Any, y: Any, weights: Array) -> float:
    """Score predictions: accuracy for classes and labels, R² otherwise.

    NaN where they are not shaped as the targets are, as a `Network`'s need not be.
    """
    name = plan.loss.name
    if name in CLASSIFYING:
        classes = y if y.ndim == 1 else y.argmax(axis=1)
        return float(np.average(prediction.argmax(axis=1) == classes, weights=weights))
    if name == "binary_cross_entropy":
        right = ((prediction > 0.5) == (y > 0.5)).all(axis=1)
        return float(np.average(right, weights=weights))
    comparable = np.shape(prediction) == np.shape(y) and isinstance(y, np.ndarray)
    if not (comparable and np.isfinite(prediction).all()):
        return float("nan")
    y, prediction = (v.reshape(len(y), -1) for v in (y, prediction))
    mean = np.average(y, axis=0, weights=weights)
    left = (weights[:, None] * (y - prediction) ** 2).sum(axis=0)
    total = (weights[:, None] * (y - mean) ** 2).sum(axis=0)
    # A column that does not vary is explained wholly or not at all, as r2_score says.
    constant = np.where(left == 0, 1.0, 0.0)
    varying = 1 - left / np.where(total > 0, total, 1)
    return float(np.mean(np.where(total > 0, varying, constant)))
