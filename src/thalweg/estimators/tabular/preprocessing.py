"""Encoding the columns of a table as inputs of a network.

`study` looks at every column once and records all that `encode` needs, as plain data
that can be saved. The kinds of columns are encoded as follows:

- Numbers are centered at the median and divided by a robust standard deviation.
  Outliers are compressed smoothly towards three such units, so that a sentinel (65535
  from a sensor) cannot flatten the other values. A piecewise-linear encoding between
  quantiles is added (Gorishniy et al., 2022, section 3.2).
- Texts are one-hot encoded. Rare categories share one column; a category that was not
  seen at fit has zeros everywhere.
- Dates become a number of days, encoded as numbers are, and the sines and cosines of
  the year, the week and the day.
- Booleans become -1 and 1.

A missing value becomes 0, the center of the column. If values were missing at fit, a
missing-value indicator column is added. Messages count rows from 1, without the header.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from thalweg.core import Array, Frame, Record, Series

MISSING = ("", "?", "na", "n/a", "#n/a", "nan", "null", "none", "<na>")
"""Texts that stand for a missing value, in any case."""

MOST_CATEGORIES = 50
"""The most categories of one column that are encoded separately; others share one."""

DATE_FORMATS = (
    "ISO8601", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%Y", "%d.%m.%y",
    "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%B %d, %Y",
    "%b %d, %Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M",
    "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S",
)  # fmt: skip
"""The formats of dates that are recognized: the first that fits the whole column."""

_MOST_PIECES = 8
_ROWS_A_PIECE = 100  # at least; with fewer rows there are fewer pieces
_MOSTLY = 0.9  # share of distinct texts that are numbers in a column of numbers
_PERIODS = (365.2425, 7.0, 1.0)  # days
_BY_TYPE = {"b": "boolean", "M": "date", **dict.fromkeys("iufc", "number")}
_ROW_NAMES = re.compile(r"(?i:(^|[\W_])(id|idx|index|row|no|nr)$)|[a-z]I[dD]$")


@dataclass(frozen=True)
class Column(Record):
    """What `fit` learned about one column of a table.

    Parameters
    ----------
    name : str
    kind : {"number", "boolean", "date", "category", "left out"}
    missing : int
        Number of rows without a value.
    detail : str
        A short description of the values; for a column left out, the reason.
    center, scale : float
        The median, and the unit that values are divided by.
    knots : tuple of float
        The quantiles of the piecewise-linear encoding.
    categories : tuple of str
        The categories that are encoded separately, the most frequent first.
    others : bool
        Whether there were rarer categories, which share one column.
    layout : str
        The format of dates, one of `DATE_FORMATS`.
    """

    name: str
    kind: str
    missing: int
    detail: str = ""
    center: float = 0.0
    scale: float = 1.0
    knots: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    others: bool = False
    layout: str = ""

    def leave_out(self, why: str) -> "Column":
        """Return the same column, marked as left out of training."""
        return replace(self, kind="left out", detail=why)


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
    return np.concatenate(list(encode_each(columns, frame).values()), axis=1)


def encode_each(columns: Sequence[Column], frame: Frame) -> dict[str, Array]:
    """Return the encoding of each column that is not left out, by its name."""
    used = [column for column in columns if column.kind != "left out"]
    absent = [repr(c.name) for c in used if c.name not in frame.columns]
    if absent:
        raise ValueError(
            f"the table has no column {', '.join(absent)}, which the model was fitted "
            "on. Add it, and leave it empty where its values are unknown."
        )
    return {c.name: _KINDS[c.kind][1](c, frame[c.name]) for c in used}


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
    return "date" if _find_layout(distinct) else "category"


def numbers(name: str, values: Series) -> Array:
    """Return a column as float64, NaN where it is missing.

    Raises
    ------
    ValueError
        If a value is a text or infinite; the message names its row.
    """
    import pandas as pd

    plain = pd.api.types.is_numeric_dtype(values.dtype)
    known = values if plain else texts(values)
    parsed = pd.Series(pd.to_numeric(known, errors="coerce"))
    read = parsed.to_numpy(float, na_value=np.nan)
    _check_read(name, "numbers", known, np.isnan(read))
    infinite = np.flatnonzero(np.isinf(read))
    if len(infinite):
        row = infinite[0]
        raise ValueError(
            f"column {name!r} is infinite ({read[row]}) in row {row + 1}. Write a "
            "finite number there, or leave it empty."
        )
    return read


def texts(values: Series) -> Series:
    """Return a column as texts, None where it is missing."""
    import pandas as pd

    if pd.api.types.is_float_dtype(values.dtype) and (values.dropna() % 1 == 0).all():
        values = values.astype(
            "Int64"
        )  # pandas turned 1 into 1.0 where a value is missing
    text = values.astype("string").str.strip()
    known = text.notna() & ~text.str.lower().isin(MISSING)
    return text.astype(object).where(known, None)


def is_missing(values: Series) -> Series:
    """Tell which rows of a column have no value."""
    return values.isna() if values.dtype.kind in "biufmM" else texts(values).isna()


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
    if column.missing == len(values):
        raise ValueError(
            f"column {name!r} has no value in any row. Fill it in, or take it out."
        )
    return column


def _study_number(name: str, values: Series) -> Column:
    column = _measure(name, "number", numbers(name, values), "{:.6g}".format)
    if _ROW_NAMES.search(name) and values.nunique() == len(values):
        return column.leave_out("looks like a row number")
    return column


def _study_boolean(name: str, values: Series) -> Column:
    truth = _truth(name, values)
    column = _measure(name, "boolean", truth, str)
    if column.kind == "left out":
        return column
    detail = f"true in {np.nansum(truth):.0f} rows"
    return replace(column, detail=detail, center=0.5, scale=0.5, knots=())


def _study_date(name: str, values: Series) -> Column:
    layout = _find_layout(texts(values).dropna()) if _is_text(values) else ""
    days = as_days(name, layout, values)
    return replace(_measure(name, "date", days, as_day), layout=layout)


def _study_category(name: str, values: Series) -> Column:
    text = texts(values)
    counts = text.value_counts()
    least = np.clip(len(text) // 100, 1, 10)
    known = sorted(counts.index, key=lambda value: (-counts[value], value))
    kept = tuple(value for value in known[:MOST_CATEGORIES] if counts[value] >= least)
    missing, detail = int(text.isna().sum()), f"{len(known)}: {', '.join(known[:20])}"
    facts = {"categories": kept, "others": len(kept) < len(known)}
    column = Column(name, "category", missing, detail, **facts)
    if len(known) == 1 and not column.missing:
        return column.leave_out(f"{known[0]!r} in each row")
    if not kept or (len(known) == counts.sum() and len(known) > 1):
        return column.leave_out("almost every value is unique")
    return column


def _measure(name: str, kind: str, values: Array, show: Callable[[Any], str]) -> Column:
    present = values[~np.isnan(values)]
    column = Column(name, kind, len(values) - len(present))
    if not len(present):
        return column
    low, center, high = np.quantile(present, (0, 0.5, 1))
    if low == high and not column.missing:
        return column.leave_out(f"{show(low)} in each row")
    n_pieces = min(_MOST_PIECES, len(present) // _ROWS_A_PIECE)
    knots = np.unique(np.quantile(present, np.linspace(0, 1, n_pieces + 1)))
    return replace(
        column,
        detail=f"{show(low)} to {show(high)}, median {show(center)}",
        center=float(center),
        scale=_spread_of(present, center),
        knots=tuple(knots.tolist()) if n_pieces > 1 else (),
    )


def _spread_of(values: Array, center: float) -> float:
    """Return a robust estimate of the standard deviation."""
    deviation = np.median(np.abs(values - center)) / 0.6745
    quartiles = np.subtract(*np.quantile(values, (0.75, 0.25))) / 1.349
    return float(deviation or quartiles or values.std() or 1.0)


def _encode_number(column: Column, values: Series) -> Array:
    return _spread(column, numbers(column.name, values))


def _encode_boolean(column: Column, values: Series) -> Array:
    signs = (_truth(column.name, values) - column.center) / column.scale
    return _fill(signs, [signs], mark=column.missing > 0)


def _encode_date(column: Column, values: Series) -> Array:
    days = as_days(column.name, column.layout, values)
    angles = [2 * np.pi * days / period for period in _PERIODS]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.column_stack([_spread(column, days), _fill(days, waves, mark=False)])


def _encode_category(column: Column, values: Series) -> Array:
    text = texts(values)
    slots = {value: slot for slot, value in enumerate(column.categories)}
    n_slots = len(slots) + column.others + (column.missing > 0)
    # The last slot is cut off below: it is for categories without a slot.
    rest = len(slots) if column.others else n_slots
    absent = n_slots - 1 if column.missing else n_slots
    known = np.array([slots.get(value, rest) for value in text], int)
    return np.eye(n_slots + 1)[np.where(text.isna(), absent, known)][:, :n_slots]


def _spread(column: Column, values: Array) -> Array:
    """Encode numbers: compressed towards three units, then piecewise linear."""
    z = (values - column.center) / column.scale
    bent = 3 * z / np.hypot(3, z)
    pieces = [
        2 * np.clip((values - low) / (high - low), 0, 1) - 1
        for low, high in pairwise(column.knots)
    ]
    return _fill(values, [bent, *pieces], mark=column.missing > 0)


def _fill(values: Array, encoded: Sequence[Array], *, mark: bool) -> Array:
    """Put 0 where `values` are missing, and add an indicator column if `mark`."""
    missing = np.isnan(values)
    filled = [np.where(missing, 0.0, each) for each in encoded]
    return np.column_stack([*filled, missing.astype(float)] if mark else filled)


def _truth(name: str, values: Series) -> Array:
    words = texts(values).str.lower()
    truth = words.map({"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}).to_numpy(float)
    _check_read(name, "true or false", words, np.isnan(truth))
    return truth


def as_days(name: str, layout: str, values: Series) -> Array:
    """Return days since 1970, NaN where the date is missing."""
    import pandas as pd

    known = texts(values) if _is_text(values) else values
    moments = _moments(known, layout)
    _check_read(name, f"dates like {_example(layout)}", known, moments.isna())
    since = moments - pd.Timestamp(0, tz="UTC")
    return (since / pd.Timedelta(days=1)).to_numpy(float)


def _moments(values: Series, layout: str) -> Series:
    import pandas as pd

    return pd.to_datetime(values, format=layout or None, errors="coerce", utc=True)


def _find_layout(distinct: Series) -> str:
    """Return the first of `DATE_FORMATS` that fits every text, or ""."""
    for layout in DATE_FORMATS:
        fits = (
            _moments(part, layout).notna().all() for part in (distinct[:9], distinct)
        )
        if len(distinct) and all(fits):
            return layout
    return ""


def _example(layout: str) -> str:
    import pandas as pd

    shown = "%Y-%m-%d" if layout in ("", "ISO8601") else layout
    return pd.Timestamp(2024, 12, 31, 23, 59).strftime(shown)


def as_day(days: float) -> str:
    """Return a number of days since 1970 as the text of a date."""
    import pandas as pd

    return str((pd.Timestamp(0) + pd.Timedelta(days=days)).date())


def _is_text(values: Series) -> bool:
    return values.dtype.kind != "M"


def _check_read(name: str, wanted: str, known: Series, unread: Array) -> None:
    wrong = np.flatnonzero(np.asarray(unread) & known.notna().to_numpy())
    if len(wrong):
        value = known.iloc[wrong[0]]
        raise ValueError(
            f"column {name!r} holds {wanted}, but row {wrong[0] + 1} has {value!r}. "
            "Correct that value or leave it empty; to fit the whole column as "
            'categories, convert it to pandas\' type "category" first.'
        )


_KINDS = {
    "number": (_study_number, _encode_number),
    "boolean": (_study_boolean, _encode_boolean),
    "date": (_study_date, _encode_date),
    "category": (_study_category, _encode_category),
}
"""How each kind of column is studied, and how it is encoded."""
