"""The threshold of a classifier of two classes, chosen to maximize a metric.

A threshold that is chosen on the rows that a model was fitted on is as optimistic as a
score on them. It is therefore chosen on rows that the model was not fitted on: the
validation data, or each row by a model of a cross-validation that did not see it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.core import Array, folds
from thalweg.estimators.splits import group_folds
from thalweg.estimators.tabular.metrics import Guess, Truth, find_metric

_FOLDS = 5
_MOST_TRIED = 500


def best_threshold(metric: str, truth: Truth, shares: Array, owner: str) -> float:
    """Return the probability from which on a row should be predicted positive.

    Parameters
    ----------
    metric : str
        The name of the scorer that is maximized.
    truth : Truth
        Of two classes.
    shares : ndarray of shape (n_rows,)
        Probability of the positive class, from a model that was not fitted on the row.
    owner : str
        Whose parameter it is, for messages.

    Returns
    -------
    float
        Halfway between two probabilities; of several that are equally good, the one
        nearest to 0.5.

    Raises
    ------
    ValueError
        If there is no such metric, or no threshold changes it.
    """
    found = find_metric(metric, True, owner=owner)
    if found.name.startswith(("neg_log", "roc_auc", "average_p", "neg_brier", "d2")):
        raise ValueError(
            f"{owner} got {metric!r}, which is computed from probabilities, so that no "
            "threshold changes it. Choose a metric of predictions, such as f1 or "
            "balanced_accuracy."
        )
    distinct = np.unique(np.asarray(shares, float))
    middles = (distinct[1:] + distinct[:-1]) / 2
    places = np.linspace(0, len(middles) - 1, min(len(middles), _MOST_TRIED))
    tried = np.r_[middles[np.unique(places.astype(int))], 0.5]
    sign = 1 if found.greater else -1
    scores = np.array([
        sign * found.value_of(truth, Guess(_predicted(truth, shares, each)))
        for each in tried
    ])  # fmt: skip
    best = np.flatnonzero(scores >= np.nanmax(scores) - 1e-12)
    return float(tried[best[np.argmin(np.abs(tried[best] - 0.5))]])


def _predicted(truth: Truth, shares: Array, threshold: float) -> Array:
    assert truth.labels is not None
    places = np.where(shares >= threshold, truth.positive, 1 - truth.positive)
    return truth.labels[places]


def out_of_fold(
    fit: Callable[[Array], Any], held: Callable[[Array], Any], truth: Truth
) -> Array:
    """Return each row's probability of the positive class, from rows of other folds.

    Parameters
    ----------
    fit : callable
        Returns a model that is fitted on the rows of a mask.
    held : callable
        Returns the table of a mask's rows.
    truth : Truth
        The targets, and the groups that must not be divided.
    """
    assert truth.labels is not None
    if truth.groups is None:
        fold = folds(truth.codes, _FOLDS, np.random.RandomState(0))
    else:
        fold = group_folds(truth.codes, truth.groups, _FOLDS, classes=True)
    shares = np.zeros(len(truth))
    for number in np.unique(fold):
        model = fit(fold != number)
        at = np.flatnonzero(model.classes_ == truth.labels[truth.positive])
        if len(at):
            own = model.predict_proba(held(fold == number))
            shares[fold == number] = own[:, at[0]]
    return shares
