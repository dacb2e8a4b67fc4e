"""X, y and the validation data, checked and brought into one form.

Tables stay DataFrames, everything else becomes an array; columns of texts that are
numbers become numbers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Array
from thalweg.diagnosis.problem import ValidationData, dense, take
from thalweg.estimators import as_frame, is_missing, kind_of, numbers

_MOST_CLASSES = 20


@dataclass(frozen=True, eq=False)
class InputData:
    """The data that the user gave.

    Parameters
    ----------
    X : ndarray, sparse matrix or DataFrame of shape (n_rows, ...)
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        Without missing values.
    validation_data : ValidationData or None
    lost : int
        Rows that were left out because their target is missing.
    images : ndarray of shape (n_rows, ...) or None
        X as given, if it has more than two axes.
    """

    X: Any
    y: Array
    validation_data: ValidationData | None
    lost: int = 0
    images: Any = None


def checked_data(X: Any, y: Any, X_val: Any, y_val: Any) -> InputData:
    """Check the data, flatten images, and leave out rows without a target.

    Raises
    ------
    ValueError
        If the data do not fit together.
    """
    X, y = _parsed(X), np.asarray(y)
    y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
    _check_same_rows("X", X, "y", y)
    held = _checked_validation(X, y, X_val, y_val)
    images = None
    if X.ndim > 2:
        images, X = X, X.reshape(len(X), -1)
        if held is not None:
            held = ValidationData(held.X.reshape(len(held.X), -1), held.y)
    missing = _is_missing(y)
    if missing.all():
        raise ValueError("y holds no value. Give the target of some rows at least.")
    if missing.any():
        kept = np.flatnonzero(~missing)
        X, y = take(X, kept), _inferred(y[kept])
        _check_same_rows("X", X, "y", y)
    return InputData(X, y, held, int(missing.sum()), images)


def _checked_validation(
    X: Any, y: Array, X_val: Any, y_val: Any
) -> ValidationData | None:
    if (X_val is None) != (y_val is None):
        raise ValueError("diagnose got one of X_val and y_val; it needs both or none.")
    if X_val is None:
        return None
    X_val, y_val = _in_form_of(_parsed(X_val), X), np.asarray(y_val)
    y_val = y_val.ravel() if y.ndim == 1 else y_val
    _check_same_rows("X_val", X_val, "y_val", y_val)
    if X_val.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"X_val has shape {X_val.shape} and X {X.shape}; they must have the same "
            "columns."
        )
    known = np.flatnonzero(~_is_missing(y_val))
    if not len(known):
        raise ValueError("y_val holds no value. Leave out X_val, or give its target.")
    return ValidationData(take(X_val, known), _inferred(y_val[known]))


def _in_form_of(X_val: Any, X: Any) -> Any:
    """Return X_val as an array or a DataFrame with the columns of X, as X is."""
    X_val = X_val if hasattr(X_val, "iloc") else dense(X_val)
    if not hasattr(X, "iloc"):
        return np.asarray(X_val)
    if not hasattr(X_val, "iloc"):
        wide = X_val.shape[1:] == X.shape[1:]
        return as_frame(X_val).set_axis(X.columns, axis=1) if wide else X_val
    other = [name for name in X.columns if name not in X_val.columns]
    if other and len(X_val.columns) == len(X.columns):
        raise ValueError(
            f"X_val lacks the column {other[0]!r} of X; it has "
            f"{X_val.columns[:5].tolist()}. Give both the same names."
        )
    same = other or X_val.columns.equals(X.columns)
    return X_val if same else X_val[X.columns]


def _is_missing(y: Array) -> Array:
    """Tell which rows have no target."""
    if y.dtype.kind not in "fO":
        return np.zeros(len(y), bool)
    if y.dtype.kind == "O":
        import pandas as pd

        y = np.where(pd.isna(y), np.nan, 0.0)
    return np.isnan(y.reshape(len(y), -1)).max(axis=1, initial=False)


def _inferred(y: Array) -> Array:
    """Return an array of objects as one of numbers or of texts."""
    return np.array(y.tolist()) if y.dtype.kind == "O" else y


def _parsed(X: Any) -> Any:
    """Return an array, or a table in which numbers written as texts are numbers."""
    if hasattr(X, "toarray"):
        return X.tocsr()
    if not hasattr(X, "iloc"):
        return np.asarray(X)
    frame = as_frame(X).copy()
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind not in "fiub" and kind_of(
            column[~is_missing(column)]) == "number":  # fmt: skip
            frame[name] = numbers(str(name), column)
    return frame


def _check_same_rows(first: str, X: Any, second: str, y: Array) -> None:
    if len(getattr(X, "shape", ())) < 2 or not y.ndim or X.shape[0] != len(y):
        raise ValueError(
            f"diagnose got {first} of shape {np.shape(X)} and {second} of shape "
            f"{y.shape}; they must be (n_rows, n_columns) and have as many rows."
        )
    if len(y) < 2:
        raise ValueError(f"{first} has {len(y)} row(s); diagnose needs at least two.")


def looks_like_classes(y: Array) -> bool:
    """Whether a target holds texts or a few different whole numbers."""
    if y.dtype.kind not in "fiu":
        return True
    values = np.unique(y[np.isfinite(y)])
    whole = bool((values == np.round(values)).all())
    return whole and len(values) <= min(_MOST_CLASSES, max(2, len(y) // 3))
