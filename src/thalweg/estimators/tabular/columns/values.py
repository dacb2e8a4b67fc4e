"""The values of a column as texts, and which of them are missing."""

import numpy as np

from thalweg.core import Array, Series

MISSING = ("", "?", "na", "n/a", "#n/a", "nan", "null", "none", "<na>")
"""Texts that stand for a missing value, in any case."""


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


def check_read(name: str, wanted: str, known: Series, unread: Array) -> None:
    """Raise a ValueError that names the first value that could not be read."""
    wrong = np.flatnonzero(np.asarray(unread) & known.notna().to_numpy())
    if len(wrong):
        value = known.iloc[wrong[0]]
        raise ValueError(
            f"column {name!r} holds {wanted}, but row {wrong[0] + 1} has {value!r}. "
            "Correct that value or leave it empty; to fit the whole column as "
            'categories, convert it to pandas\' type "category" first.'
        )
