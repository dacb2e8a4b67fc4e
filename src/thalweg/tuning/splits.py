"""How the trials of a search divide the rows: validation data, or folds.

scikit-learn draws both, stratified for a classifier wherever every class has enough
rows for it.
"""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import KFold, StratifiedKFold, check_cv, train_test_split
from sklearn.utils import (
    _safe_indexing,  # pyright: ignore[reportPrivateUsage]
    check_consistent_length,
)

from thalweg.core import Array, Interval, check_number, check_whole


class Rows(NamedTuple):
    """The training data of one fold, and its validation data."""

    X: Any
    y: Any
    X_val: Any
    y_val: Any


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
    """

    parts: tuple[Fold, ...]
    validation_data: tuple[Any, Any] | None = None

    def __len__(self) -> int:
        return len(self.parts)

    def rows(self, X: Any, y: Any, fold: int) -> Rows:
        """Return the rows of one fold."""
        part = self.parts[fold]
        X_train, y_train = (_safe_indexing(v, part.train) for v in (X, y))
        if part.validation is None:
            assert self.validation_data is not None
            return Rows(X_train, y_train, *self.validation_data)
        X_val, y_val = (_safe_indexing(v, part.validation) for v in (X, y))
        return Rows(X_train, y_train, X_val, y_val)


def divide(
    estimator: Any, X: Any, y: Any, *, cv: Any, validation: Any = None, seed: int = 0
) -> Folds:
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

    Raises
    ------
    ValueError
        If X and y differ in length, or `validation` is neither a share in (0, 1) nor a
        pair of arrays.
    """
    check_consistent_length(X, y)
    classifies = is_classifier(estimator)
    if cv is not None:
        if isinstance(cv, Integral):
            check_whole("cv", cv, "[2, 1e9]", owner="search")
            cv = int(cv)
            stratified = classifies and _smallest_class(y) >= cv
            kind = StratifiedKFold if stratified else KFold
            cv = kind(cv, shuffle=True, random_state=seed)
        splitter: Any = check_cv(cv, y, classifier=classifies)
        return Folds(tuple(Fold(*part) for part in splitter.split(X, y)))
    rows = np.arange(len(y))
    if isinstance(validation, tuple):
        return Folds((Fold(rows),), validation)
    check_number("validation", validation, Interval("(0, 1)"), owner="search")
    strata = y if classifies and _smallest_class(y) >= 2 else None
    parts: Any = train_test_split(
        rows, test_size=validation, random_state=seed, stratify=strata
    )
    return Folds((Fold(*parts),))


def _smallest_class(y: Any) -> int:
    return int(np.unique(np.asarray(y), return_counts=True)[1].min())
