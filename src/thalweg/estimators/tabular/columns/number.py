"""Columns of numbers, which may be written as texts, and of durations.

How they are written is one of `thalweg.estimators.tabular.columns.notation` for the
whole column. In new rows the notation at fit is tried first, and then what the new
texts say themselves: 1.5 is the same number as "1,5" where the model was fitted on
"1.234,5". Durations become seconds.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thalweg.core import Array, Features, Series
from thalweg.estimators.tabular.columns import duration
from thalweg.estimators.tabular.columns.column import ASKED, Column, Draft, Reading
from thalweg.estimators.tabular.columns.notation import (
    Notation,
    NotNumbers,
    find_notation,
    is_code,
    read,
)
from thalweg.estimators.tabular.columns.scale import measure, spread
from thalweg.estimators.tabular.columns.values import (
    check_read,
    marks_among,
    plain,
    texts,
)

_MOSTLY = 0.9  # share of distinct texts that are numbers in a column of numbers
_FIRST = 20  # texts of which one at least is a number in a column of numbers
_ROW_NAMES = re.compile(r"(?i:(^|[\W_])(id|idx|index|row|no|nr)$)|[a-z]I[dD]$")
_BARE = Notation()


def recognize(name: str, distinct: Sequence[str], reading: Reading) -> Draft:
    """Find out how the different texts of a column are numbers.

    Raises
    ------
    NotNumbers
        If they are none.
    """
    if is_code(name, distinct):
        raise NotNumbers("")
    return _recognize_notation(distinct, reading)


def _recognize_notation(distinct: Sequence[str], reading: Reading) -> Draft:

    share = _share_of_numbers(distinct)
    usual = reading.decimal or reading.usual_decimal
    # Which numbers hold a point matters only where it may group thousands.
    grouped = usual == "," or reading.thousands == "."
    if share == 1 and not (grouped or _may_be_grouped(distinct)):
        return {"kind": "number"}
    try:
        found = find_notation(
            distinct,
            decimal=reading.decimal,
            thousands=reading.thousands,
            usual=reading.usual_decimal,
        )
    except NotNumbers:
        if share <= _MOSTLY:
            raise
        return {"kind": "number"}
    return {
        "kind": "number",
        "decimal": found.decimal,
        "thousands": found.thousands,
        "unit": found.unit,
        "detail": found.note,
    }


def _share_of_numbers(distinct: Sequence[str]) -> float:
    """Return what share of texts are numbers as programs write them."""
    import pandas as pd

    for part in (distinct[:_FIRST], distinct):
        read = ~np.isnan(_parse(pd.Series(part, dtype=object)))
        if not len(read) or not read.any():
            return float(not len(read))
    return float(read.mean())


def _may_be_grouped(distinct: Sequence[str]) -> bool:
    """Whether each point has three digits behind it, as thousands have."""
    lines = "\n".join(distinct)
    return "." in lines and not _DECIMALS.search(lines)


_DECIMALS = re.compile(r"^[-+]?(0?\.[0-9]|[0-9]*\.([0-9]{0,2}|[0-9]{4,})$)|[eE]", re.M)


def numbers(name: str, values: Series, column: Column | None = None) -> Array:
    """Return a column as float64, NaN where it is missing.

    Parameters
    ----------
    name : str
    values : Series
    column : Column, optional
        What was learned about the column at fit, if it was.

    Raises
    ------
    ValueError
        If a value is a text or infinite; the message names its row.
    """
    import pandas as pd

    values = plain(values)
    if values.dtype.kind == "m":
        found = duration.seconds(values)
    elif pd.api.types.is_numeric_dtype(values.dtype):
        found = values.to_numpy(float, na_value=np.nan)
        if column is not None and column.absent:
            found = _without(found, column.absent)
    else:
        found = _read_texts(name, values, column)
    infinite = np.flatnonzero(np.isinf(found))
    if len(infinite):
        row = infinite[0]
        raise ValueError(
            f"column {name!r} is infinite ({found[row]}) in row {row + 1}. Write a "
            "finite number there, or leave it empty."
        )
    return found


def _without(numbers: Array, absent: Sequence[str]) -> Array:
    """Return numbers, NaN where they stand for a missing value, such as -999."""
    import pandas as pd

    marks = _parse(pd.Series(absent, dtype=object))
    return np.where(np.isin(numbers, marks[~np.isnan(marks)]), np.nan, numbers)


def without_marks(values: Series, absent: Sequence[str] | None) -> Series:
    """Return a column as texts, None also where a mark such as "-" says missing."""
    known = texts(values, absent)
    return (
        known
        if absent is not None
        else known.where(~known.isin(marks_among(known.dropna())), None)
    )


def _read_texts(name: str, values: Series, column: Column | None) -> Array:
    import pandas as pd

    if column is None:
        distinct = without_marks(pd.Series(values.dropna().unique()), None).dropna()
        try:
            draft: Draft = _recognize_notation(distinct.tolist(), Reading())
        except NotNumbers:
            draft = {"kind": "number"}
        column = Column(name, missing=0, **draft)
    bare = column.decimal == "." and column.thousands != "." and not column.layout
    if bare and not column.absent:  # as programs write numbers: most are
        found = _parse(values)
        rest = np.flatnonzero(np.isnan(found))
    else:
        found, rest = np.full(len(values), np.nan), np.arange(len(values))
    if not len(rest):
        return found
    known = without_marks(values.iloc[rest], column.absent)
    codes, distinct = pd.factorize(known)  # -1 for a missing value
    read_each = _durations if column.layout else _notated
    found[rest] = np.append(read_each(column, list(distinct)), np.nan)[codes]
    wanted = "durations like 1:30:00" if column.layout else "numbers"
    if column.unit:
        wanted = f"numbers in {column.unit}"
    check_read(name, wanted, known, np.isnan(found[rest]), rest)
    return found


def _parse(values: Series) -> Array:
    """Read numbers as programs write them, NaN for other texts."""
    import pandas as pd

    parsed = pd.Series(pd.to_numeric(values, errors="coerce"))
    return np.array(parsed.to_numpy(float, na_value=np.nan))


def _notated(column: Column, distinct: list[str]) -> Array:
    import pandas as pd

    fitted = Notation(column.decimal, column.thousands, column.unit)
    bare = _parse(pd.Series(distinct, dtype=object))
    if fitted.decimal == "." and fitted.thousands != ".":
        found = bare
    else:
        # A number without a point is the same in all notations.
        pointed = np.array(["." in text for text in distinct], bool)
        found = np.where(pointed, np.nan, bare)
    unread = np.flatnonzero(np.isnan(found))
    if not len(unread):
        return found
    found[unread] = read([distinct[k] for k in unread], fitted)
    unread = np.flatnonzero(np.isnan(found))
    if len(unread):
        try:
            own = find_notation(distinct, usual=column.decimal)
        except NotNumbers:
            own = _BARE
        again = read(distinct, replace(own, unit=fitted.unit or own.unit))
        if not np.isnan(again).any():
            return again
    for row in unread:  # of a table whose booleans are 1 and 0
        truth = {"true": 1.0, "false": 0.0}.get(distinct[row].lower())
        found[row] = np.nan if truth is None else truth
    return found


def _durations(column: Column, distinct: list[str]) -> Array:
    import pandas as pd

    known = pd.Series(distinct, dtype=object)
    parsed = _parse(known)
    return np.where(np.isnan(parsed), duration.read(known), parsed)


def study(draft: Column, values: Series) -> Column:
    """Learn how to encode a column of numbers."""
    found = numbers(draft.name, values, draft)
    column = measure(draft, found, "{:.6g}".format)
    # A reader who asks for a number knows better.
    free = not draft.detail.startswith(ASKED)
    if free and _ROW_NAMES.search(draft.name) and values.nunique() == len(values):
        return column.leave_out("looks like a row number")
    return column


def encode(column: Column, values: Series) -> list[Features]:
    """Encode a column of numbers."""
    return spread(column, numbers(column.name, values, column))
