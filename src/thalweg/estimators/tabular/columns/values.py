"""The values of a column as texts, and which of them are missing.

A value has one text, whatever type a table keeps it in: 1, 1.0, True's number and the
Decimal 1 are all "1" where they are numbers, and a date is written as ISO 8601 says.
So a category that was fitted from a column of floats is found again in a CSV.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from numbers import Real
from typing import Any

import numpy as np

from thalweg.core import Array, Series

MISSING = ("", "?", "na", "n/a", "#n/a", "nan", "null", "none", "<na>")
"""Texts that stand for a missing value, in any case."""

WORDLESS = ("", "?", "#n/a", "<na>")
"""Those of them that are no words. A word may be a class, such as "None"."""

MARKS = (
    "-", "--", "---", "\u2013", "\u2014", ".", "..", "*", "**", "n.a.", "n.a",
    "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!", "\\n", "(null)",
    "missing", "unknown", "not available", "nat",
)  # fmt: skip
"""Texts that stand for a missing value among numbers and dates, in any case."""

_SPELLED = {
    spelled for mark in MARKS for spelled in (mark, mark.upper(), mark.capitalize())
}
_EXACT = 2.0**53  # floats below are exact where they are whole


def texts(values: Series, absent: Sequence[str] | None = None) -> Series:
    """Return a column as texts, None where it is missing.

    Parameters
    ----------
    values : Series
    absent : sequence of str, optional
        Texts that stand for a missing value, in any case; by default `MISSING`.
    """
    text = raw_texts(values)
    words = (
        MISSING if absent is None else ("", *(write(word).lower() for word in absent))
    )
    return text.where(~lower(text).isin(words), None)


def raw_texts(values: Series) -> Series:
    """Return a column as stripped texts, None only where there is no value."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        known = raw_texts(pd.Series(values.cat.categories, name=values.name))
        return _series(values, _objects([*known, None])[values.cat.codes])
    written = _writer(values)
    if written is None:
        text = values.astype("string").str.strip()
        return text.astype(object).where(text.notna(), None)
    if values.dtype == object:  # in which 1 and True are equal, and not the same
        known = values.notna()
        pairs = zip(values.array, known, strict=True)
        table = [written(value) if given else None for value, given in pairs]
        return _series(values, _objects(table))
    codes, distinct = pd.factorize(values)  # -1 for a missing value
    return _series(values, _objects([*map(written, distinct), None])[codes])


def lower(text: Series) -> Series:
    """Return texts in lower case; what is no text stays."""
    return text.str.lower() if text.notna().any() else text


def marks_among(words: Iterable[str]) -> list[str]:
    """Return the texts that stand for a missing value among numbers and dates."""
    return sorted(_SPELLED.intersection(words))


def is_missing(values: Series) -> Series:
    """Tell which rows of a column have no value."""
    return values.isna() if values.dtype.kind in "biufmM" else texts(values).isna()


def plain(values: Series) -> Series:
    """Return a column in one of pandas' usual types.

    Columns of Arrow's types become those of NumPy's, sparse ones dense, and periods
    the moments at which they begin.

    Raises
    ------
    ValueError
        If a cell holds a list or another collection, or the numbers are complex.
    """
    import pandas as pd

    name, dtype = values.name, values.dtype
    if isinstance(dtype, pd.SparseDtype):
        values = values.sparse.to_dense()
    elif isinstance(dtype, pd.ArrowDtype):
        values = _without_arrow(values)
    elif isinstance(dtype, pd.PeriodDtype):
        values = values.dt.to_timestamp()
    if values.dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: column {name!r} holds complex numbers. Pass "
            "the real and imaginary parts as columns."
        )
    if values.dtype == object:
        _check_cells(values)
    return values


class UnreadError(ValueError):
    """A value that could not be read as what its column holds.

    Attributes
    ----------
    where : str
        The sentence without advice: the column, the row and the value.
    """

    def __init__(self, where: str, advice: str) -> None:
        super().__init__(f"{where} {advice}")
        self.where = where


def check_read(
    name: str, wanted: str, known: Series, unread: Array, rows: Array | None = None
) -> None:
    """Raise an UnreadError that names the first value that could not be read.

    Parameters
    ----------
    name, wanted : str
        The column, and what it holds.
    known : Series of shape (n_values,)
        Texts, None where a value is missing.
    unread : ndarray of bool, shape (n_values,)
    rows : ndarray of int, shape (n_values,), optional
        The rows of the values; by default all rows in order.
    """
    wrong = np.flatnonzero(np.asarray(unread) & known.notna().to_numpy())
    if len(wrong):
        value = known.iloc[wrong[0]]
        row = wrong[0] if rows is None else rows[wrong[0]]
        raise UnreadError(
            f"column {name!r} holds {wanted}, but row {row + 1} has {shorten(value)}.",
            "Correct that value or leave it empty; if it means that the value is "
            "missing, name it in missing (the command's --missing). To fit the whole "
            f"column as categories, pass column_kinds={{{name!r}: "
            '"category"} (the command\'s --kind).',
        )


def shorten(value: Any, most: int = 60) -> str:
    """Return how Python writes a value, cut short."""
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _writer(values: Series) -> Callable[[Any], str] | None:
    """Return what writes the values of a column that are no texts, else None."""
    import pandas as pd

    if values.dtype.kind == "f":
        # The shortest text of a float32 is not that of the same number in float64.
        single = values.dtype.itemsize < 8
        return lambda value: _write_float(float(value), str(value) if single else None)
    if values.dtype.kind in "iu" or isinstance(values.dtype, pd.StringDtype):
        return None
    if values.dtype.kind in "mM":
        return write
    if values.dtype == object:
        inferred = pd.api.types.infer_dtype(values, skipna=True)
        return None if inferred in ("string", "empty", "integer") else write
    return None


def write(value: Any) -> str:
    """Return the text of one value that is not missing."""
    match value:
        case str():
            return value.strip()
        case bytes():
            return value.decode("utf-8", errors="replace").strip()
        case bool() | np.bool_() | int() | np.integer():
            return str(value)
        case float() | np.floating():
            return _write_float(float(value))
        case Decimal() if value.is_finite():
            return str(int(value)) if value == value.to_integral_value() else str(value)
        case Fraction():
            return _write_float(float(value))
        case datetime():
            day = value.time() == time() and value.tzinfo is None
            return value.date().isoformat() if day else value.isoformat(sep=" ")
        case date():
            return value.isoformat()
        case timedelta():
            return str(value)
        case np.datetime64() | np.timedelta64():
            import pandas as pd

            moment: Any = pd.Timestamp if value.dtype.kind == "M" else pd.Timedelta
            return write(moment(value))
        case Real():
            return _write_float(float(value))
    return str(value).strip()


def _write_float(value: float, text: str | None = None) -> str:
    """Return the text of a number; 1.0 is "1", as pandas turns 1 into 1.0."""
    if value % 1 == 0 and abs(value) < _EXACT:
        return str(int(value))
    return text or repr(value)


def _objects(values: Sequence[Any]) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _series(like: Series, values: Array) -> Series:
    import pandas as pd

    return pd.Series(values, index=like.index, name=like.name, dtype=object)


def _without_arrow(values: Series) -> Series:
    import pandas as pd
    import pyarrow as pa

    kind = values.dtype.pyarrow_dtype
    if pa.types.is_dictionary(kind):
        return pd.Series(
            pa.array(values.array).to_pandas(), index=values.index, name=values.name
        ).astype("category")
    if pa.types.is_integer(kind) and values.isna().any():
        return values.astype("UInt64" if str(kind).startswith("u") else "Int64")
    if pa.types.is_boolean(kind):
        return values.astype("boolean" if values.isna().any() else "bool")
    if pa.types.is_date(kind):
        return values.astype("datetime64[s]")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return values.astype(object).where(values.notna(), None)
    found = pa.array(values.array).to_pandas()
    return pd.Series(np.asarray(found) if found.dtype == object else found.array,
                     index=values.index, name=values.name)  # fmt: skip


def _check_cells(values: Series) -> None:
    """Refuse cells that hold collections or complex numbers."""
    import pandas as pd

    inferred = pd.api.types.infer_dtype(values, skipna=True)
    if not inferred.startswith(("mixed", "complex")):
        return
    for row, value in enumerate(values.array, start=1):
        if isinstance(value, complex | np.complexfloating):
            raise ValueError(
                f"Complex data not supported: column {values.name!r} has {value} in "
                f"row {row}. Pass the real and imaginary parts as columns."
            )
        if isinstance(value, list | tuple | dict | set | frozenset | np.ndarray):
            raise ValueError(
                f"column {values.name!r} holds a {type(value).__name__} in row {row}: "
                f"{shorten(value)}. A cell holds one value; give each element a column "
                "of its own."
            )
