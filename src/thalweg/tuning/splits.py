"""How a search divides the rows: folds for its trials."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import KFold, StratifiedKFold, check_cv, train_test_split
from sklearn.utils import check_consistent_length

from thalweg.core import Array, Interval, check_number


@dataclass(frozen=True, eq=False)
class Folds:
    """How rows are divided: row numbers to train and to validate on, a pair a fold.

    Parameters
    ----------
    parts : tuple of (ndarray, ndarray or None)
        None to validate on `held`.
    held : (X_val, y_val) or None
        Rows given to validate on.
    """

    parts: tuple[tuple[Array, Array | None], ...]
    held: tuple[Any, Any] | None = None

    def __len__(self) -> int:
        return len(self.parts)


def divide(estimator: Any, X: Any, y: Any, cv: Any, *, seed: int) -> Folds:
    """Divide rows into folds; a number of folds is drawn with `seed`."""
    classifies = is_classifier(estimator)
    if isinstance(cv, int):
        kind = StratifiedKFold if classifies and not _rare(y, cv) else KFold
        cv = kind(cv, shuffle=True, random_state=seed)
    splitter: Any = check_cv(cv, y, classifier=classifies)
    return Folds(tuple(splitter.split(X, y)))


def divide_by(
    estimator: Any, X: Any, y: Any, validation: Any, cv: Any
) -> Callable[[int], Folds]:
    """Return what divides the rows, given a seed.

    Raises
    ------
    ValueError
        If X and y differ in length, or `validation` is no share and no rows.
    """
    check_consistent_length(X, y)
    rows = np.arange(len(y))
    if cv is not None:
        return lambda seed: divide(estimator, X, y, cv, seed=seed)
    if isinstance(validation, tuple):
        return lambda seed: Folds(((rows, None),), validation)
    check_number("validation", validation, Interval("(0, 1)"), owner="search")
    strata = y if is_classifier(estimator) and not _rare(y, 2) else None

    def divided(seed: int) -> Folds:
        parts: list[Any] = train_test_split(
            rows, test_size=validation, random_state=seed, stratify=strata
        )
        return Folds(((parts[0], parts[1]),))

    return divided


def _rare(y: Any, count: int) -> bool:
    """Whether a class has fewer rows than every fold needs."""
    return int(np.unique(np.asarray(y), return_counts=True)[1].min()) < count
