"""A table of columns: their kinds, and all of them encoded."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.core import Array, CompactRows, Features, Frame, Series
from thalweg.estimators.tabular.columns import boolean, category, date, number
from thalweg.estimators.tabular.columns.column import Column
from thalweg.estimators.tabular.columns.values import texts

_MOSTLY = 0.9  # share of distinct texts that are numbers in a column of numbers

_BY_TYPE = {"b": "boolean", "M": "date", **dict.fromkeys("iufc", "number")}


def as_frame(X: Any) -> Frame:
    """Return a table as a DataFrame whose column names are distinct texts.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_columns)
        Or any object with a method ``to_pandas``. The columns of an array are named
        "0", "1" and so on.

    Raises
    ------
    ValueError
        If the table has no rows or no columns, two columns have the same name, or an
        array does not have two dimensions.
    """
    import pandas as pd

    if hasattr(X, "to_pandas"):
        X = X.to_pandas()
    if not isinstance(X, pd.DataFrame):
        X = pd.DataFrame(_as_matrix(X))
    frame = X.set_axis([str(name) for name in X.columns], axis=1)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(
            f"the table has two columns named {twice[0]!r}. Rename or remove one."
        )
    if frame.empty:
        raise ValueError(
            f"the table is empty, with {len(frame)} sample(s) and {frame.shape[1]} "
            f"feature(s) (shape={frame.shape}) while a minimum of 1 is required."
        )
    return frame


def study(frame: Frame) -> tuple[Column, ...]:
    """Learn how to encode each column of the table that a model is fitted on.

    Raises
    ------
    ValueError
        If a column has no value at all, a value is infinite, a text stands among
        numbers (the message names column and row), or every column is left out.
    """
    columns = tuple(_study(name, frame[name]) for name in frame.columns)
    if all(column.kind == "left out" for column in columns):
        reasons = "; ".join(f"{c.name!r}: {c.detail}" for c in columns[:5])
        raise ValueError(
            f"no column is left to learn from ({reasons}). Add a column whose values "
            "differ between rows and occur in several rows."
        )
    return columns


def whole(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the same columns without the piecewise-linear encoding."""
    return tuple(replace(column, knots=()) for column in columns)


def encode(columns: Sequence[Column], frame: Frame) -> Array:
    """Encode a table as numbers.

    Parameters
    ----------
    columns : sequence of Column
        What `study` returned.
    frame : DataFrame
        It must have these columns, in any order; further columns are ignored.

    Returns
    -------
    ndarray of shape (n_rows, n_inputs), float64

    Raises
    ------
    ValueError
        If columns are missing, or a value is infinite or of another kind than at fit.
        The message names the columns, and the row of the value.
    """
    return encode_compact(columns, frame, np.float64).toarray()


def encode_compact(columns: Sequence[Column], frame: Frame, dtype: Any) -> CompactRows:
    """Encode a table as `encode` does, in compact form and computed once."""
    found = _encode_columns(columns, frame)
    return CompactRows.join([CompactRows.of(parts, dtype) for _, parts in found])


def encode_each(columns: Sequence[Column], frame: Frame) -> dict[str, Array]:
    """Return the encoding of each column that is not left out, by its name."""
    found = _encode_columns(columns, frame)
    return {name: CompactRows.of(parts, np.float64).toarray() for name, parts in found}


def _encode_columns(
    columns: Sequence[Column], frame: Frame
) -> Iterator[tuple[str, list[Features]]]:
    """Yield each column that is not left out, encoded when its turn comes."""
    used = [column for column in columns if column.kind != "left out"]
    absent = [repr(c.name) for c in used if c.name not in frame.columns]
    if absent:
        raise ValueError(
            f"the table has no column {', '.join(absent)}, which the model was fitted "
            "on. Add it, and leave it empty where its values are unknown."
        )
    for column in used:
        yield column.name, _KINDS[column.kind][1](column, frame[column.name])


def kind_of(values: Series) -> str:
    """Return the kind of a column: "number", "boolean", "date" or "category".

    A column of texts that can all be read as numbers, dates, or true and false has that
    kind.
    """
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return "category"
    if values.dtype.kind in _BY_TYPE:
        return _BY_TYPE[values.dtype.kind]
    distinct = pd.Series(texts(values).dropna().unique(), dtype=object)
    read = pd.Series(pd.to_numeric(distinct, errors="coerce")).notna()
    if read.all() or read.mean() > _MOSTLY:
        return "number"
    if set(distinct.str.lower()) <= {"true", "false"}:
        return "boolean"
    return "date" if date.find_layout(distinct) else "category"


def _as_matrix(X: Any) -> Array:
    if hasattr(X, "toarray"):
        raise TypeError(
            "the table is a sparse matrix, which is not supported. Convert it with "
            "X.toarray()."
        )
    matrix = np.asarray(X)
    if matrix.ndim != 2:
        raise ValueError(
            f"the table has shape {matrix.shape}; it must have rows and columns. "
            "Reshape your data with X.reshape(-1, 1) if it is one column."
        )
    if matrix.dtype.kind == "c":
        raise ValueError(
            "Complex data not supported. Pass the real and imaginary parts as columns."
        )
    return matrix


def _study(name: str, values: Series) -> Column:
    column = _KINDS[kind_of(values)][0](name, values)
    column = replace(column, rows=len(values))
    if column.missing == len(values):
        raise ValueError(
            f"column {name!r} has no value in any row. Fill it in, or take it out."
        )
    return column


_KINDS = {
    "number": (number.study, number.encode),
    "boolean": (boolean.study, boolean.encode),
    "date": (date.study, date.encode),
    "category": (category.study, category.encode),
}
"""How each kind of column is studied, and how it is encoded."""
