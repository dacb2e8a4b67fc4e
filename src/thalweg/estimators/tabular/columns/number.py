"""Columns of numbers."""

import re

import numpy as np

from thalweg.core import Array, Features, Series
from thalweg.estimators.tabular.columns.column import Column
from thalweg.estimators.tabular.columns.scale import measure, spread
from thalweg.estimators.tabular.columns.values import check_read, texts

_ROW_NAMES = re.compile(r"(?i:(^|[\W_])(id|idx|index|row|no|nr)$)|[a-z]I[dD]$")


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
    check_read(name, "numbers", known, np.isnan(read))
    infinite = np.flatnonzero(np.isinf(read))
    if len(infinite):
        row = infinite[0]
        raise ValueError(
            f"column {name!r} is infinite ({read[row]}) in row {row + 1}. Write a "
            "finite number there, or leave it empty."
        )
    return read


def study(name: str, values: Series) -> Column:
    """Learn how to encode a column of numbers."""
    column = measure(name, "number", numbers(name, values), "{:.6g}".format)
    if _ROW_NAMES.search(name) and values.nunique() == len(values):
        return column.leave_out("looks like a row number")
    return column


def encode(column: Column, values: Series) -> list[Features]:
    """Encode a column of numbers."""
    return spread(column, numbers(column.name, values))
