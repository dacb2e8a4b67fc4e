"""Columns of values that a file gives with their types."""

from typing import Any

from thalweg.core import Series


def to_series(values: list[Any]) -> Series:
    """Return a column; a missing value never turns integers into rounded numbers."""
    import pandas as pd

    known = [type(value) for value in values if value is not None]
    whole = bool(known) and all(kind is int for kind in known)
    try:
        if whole and len(known) < len(values):
            return pd.Series(values, dtype="Int64")
        return pd.Series(values)
    # Integers of more than 64 bits, characters that no encoding has, dates far away.
    except (ValueError, OverflowError, TypeError):
        return pd.Series(values, dtype=object)
