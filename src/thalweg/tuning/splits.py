"""How the trials of a search divide the rows: validation data, or folds.

scikit-learn draws both, stratified for a classifier wherever every class has enough
rows for it.
"""

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    check_cv,
    train_test_split,
)
from sklearn.utils import (
    _safe_indexing,  # pyright: ignore[reportPrivateUsage]
    check_consistent_length,
)

from thalweg.core import Array, Interval, check_number, check_whole
from thalweg.estimators import hold_out_honestly


class Rows(NamedTuple):
    """The training data of one fold, and its validation data.

    `groups` and `time` are those of the training data, or None.
    """

    X: Any
    y: Any
    X_val: Any
    y_val: Any
    groups: Any = None
    time: Any = None


@dataclass(frozen=True, eq=False)
class Fold:
    """Row numbers of one fold.

    Parameters
    ----------
    train : ndarray of int
    validation : ndarray of int, optional
        None if the validation data were given separately.
    """

    train: Array
    validation: Array | None = None


@dataclass(frozen=True, eq=False)
class Folds:
    """How the rows are divided.

    Parameters
    ----------
    parts : tuple of Fold
    validation_data : (X_val, y_val), optional
        Validates the folds that have no validation rows of their own.
    groups, time : ndarray of shape (n_rows,), optional
        What must not be divided further, and the order of the rows.
    """

    parts: tuple[Fold, ...]
    validation_data: tuple[Any, Any] | None = None
    groups: Array | None = None
    time: Array | None = None

    def __len__(self) -> int:
        return len(self.parts)

    def rows(self, X: Any, y: Any, fold: int) -> Rows:
        """Return the rows of one fold."""
        part = self.parts[fold]
        X_train, y_train = (_safe_indexing(v, part.train) for v in (X, y))
        own = (None if v is None else v[part.train] for v in (self.groups, self.time))
        if part.validation is None:
            assert self.validation_data is not None
            return Rows(X_train, y_train, *self.validation_data, *own)
        X_val, y_val = (_safe_indexing(v, part.validation) for v in (X, y))
        return Rows(X_train, y_train, X_val, y_val, *own)


def divide(
    estimator: Any, X: Any, y: Any, *, cv: Any, validation: Any = None, seed: int = 0,
    groups: Array | None = None, time: Array | None = None,
) -> Folds:  # fmt: skip
    """Divide rows into folds by `cv`, or else into training and validation data.

    Parameters
    ----------
    estimator : estimator
        A classifier's folds are stratified.
    X, y : as for the estimator
    cv : int, splitter, iterable or None
    validation : float or (X_val, y_val)
        Used if `cv` is None.
    seed : int
        Draws what is drawn.
    groups, time : ndarray of shape (n_rows,), optional
        Rows of one group are never on both sides. The latest rows are the validation
        data, unless `cv` is a splitter of its own.

    Raises
    ------
    ValueError
        If X and y differ in length, `validation` is neither a share in (0, 1) nor a
        pair of arrays, or the splitter yields no split.
    """
    check_consistent_length(X, y)
    classifies = is_classifier(estimator)
    if cv is not None:
        if isinstance(cv, Integral):
            check_whole("cv", cv, "[2, 1e9]", owner="search")
            cv = int(cv)
        return _by_splitter(estimator, X, y, cv, seed, groups, time)
    rows = np.arange(len(y))
    if isinstance(validation, tuple):
        return Folds((Fold(rows),), validation, groups, time)
    check_number("validation", validation, Interval("(0, 1)"), owner="search")
    if groups is not None or time is not None:
        split = hold_out_honestly(
            np.asarray(y), validation, groups, time, classifies, "search", seed
        )
        return Folds((Fold(*split),), None, groups, time)
    strata = y if classifies and _smallest_class(y) >= 2 else None
    parts: Any = train_test_split(
        rows, test_size=validation, random_state=seed, stratify=strata
    )
    return Folds((Fold(*parts),))


def _by_splitter(
    estimator: Any, X: Any, y: Any, cv: Any, seed: int, groups: Array | None,
    time: Array | None,
) -> Folds:  # fmt: skip
    classifies = is_classifier(estimator)
    if isinstance(cv, int) and time is not None:
        cv = _in_order(time, cv)
    elif isinstance(cv, int) and groups is not None:
        most = int(groups.max()) + 1
        if most < cv:
            raise ValueError(
                f"search got cv={cv} and {most} groups. Give at most as many folds as "
                "groups."
            )
        kind = StratifiedGroupKFold if classifies else GroupKFold
        cv = kind(cv, shuffle=True, random_state=seed)
    elif isinstance(cv, int):
        stratified = classifies and _smallest_class(y) >= cv
        kind = StratifiedKFold if stratified else KFold
        cv = kind(cv, shuffle=True, random_state=seed)
    splitter: Any = check_cv(cv, y, classifier=classifies)
    with warnings.catch_warnings():  # of classes with fewer rows than folds
        warnings.filterwarnings("ignore", "The least populated class")
        parts = tuple(Fold(*part) for part in splitter.split(X, y, groups))
    sides = [rows for p in parts for rows in (p.train, p.validation)]
    if not parts or any(rows is not None and not len(rows) for rows in sides):
        raise ValueError(
            f"search got cv={cv!r}, which yields "
            f"{'a split without rows on one side' if parts else 'no split'}. Give a "
            "number of folds, a splitter of scikit-learn's, or a list of pairs (train, "
            "test)."
        )
    return Folds(parts, None, groups, time)


def _in_order(time: Array, k: int) -> list[tuple[Array, Array]]:
    """Return splits whose validation data are later than their training data."""
    order = np.argsort(time, kind="stable")
    splits: list[tuple[Array, Array]] = []
    for train, test in TimeSeriesSplit(k).split(order):
        start = time[order[test[0]]]
        earlier, later = order[train], order[test]
        earlier = earlier[time[earlier] < start]  # rows of one time are on one side
        if len(earlier):
            splits.append((earlier, later))
    return splits


def _smallest_class(y: Any) -> int:
    return int(np.unique(np.asarray(y), return_counts=True)[1].min())
