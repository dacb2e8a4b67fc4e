"""Members that are each trained without a fold of the rows, which they are judged by.

With as many members as folds, each row is held out from one of them, and by what that
one predicts for it (out of fold) the whole model can be judged without any test data.
With more members, the rows are divided anew.
"""

from typing import Any

import numpy as np

from thalweg.core import Array, folds
from thalweg.estimators.splits import Split, group_folds, hold_out_honestly


def member_splits(
    y: Array,
    n_members: int,
    share: float,
    *,
    groups: Array | None,
    times: Array | None,
    classes: bool,
    rng: np.random.RandomState,
) -> list[Split]:
    """Return the rows that each member is trained on, and those held out from it.

    Parameters
    ----------
    y : ndarray of shape (n_rows,) or (n_rows, n_targets)
        The encoded target.
    n_members : int
    share : float
        Of the rows, which each member holds out.
    groups, times : ndarray of shape (n_rows,) or None
        Rows of one group are held out together. With times, all members hold out the
        latest rows.
    classes : bool
        Whether `y` holds classes.
    rng : RandomState
    """
    values = y if y.ndim == 1 else y[:, 0]
    if times is not None:
        split = hold_out_honestly(values, share, groups, times, classes)
        return [split] * n_members
    k = max(2, round(1 / share))
    splits: list[Split] = []
    while len(splits) < n_members:
        seed = int(rng.randint(2**31))
        if groups is None:
            drawn = np.random.RandomState(seed)
            fold = folds(values, min(k, len(values)), drawn)
        else:
            fold = group_folds(values, groups, k, classes, seed)
        splits += [
            Split(np.flatnonzero(fold != each), np.flatnonzero(fold == each))
            for each in np.unique(fold)
        ]
    return splits[:n_members]


def out_of_fold_mean(
    outputs: list[Array], splits: list[Split], n_rows: int
) -> tuple[Array, Array]:
    """Return the mean of what members predict for rows held out, and how many did.

    Parameters
    ----------
    outputs : list of ndarray of shape (n_held, n_outputs)
    splits : list of Split
    n_rows : int
    """
    total: Any = np.zeros((n_rows, outputs[0].shape[1]))
    counts = np.zeros(n_rows, int)
    for own, split in zip(outputs, splits, strict=True):
        total[split.test] += own
        counts[split.test] += 1
    known = counts > 0
    total[known] /= counts[known, None]
    return total, counts
