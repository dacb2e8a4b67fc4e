"""Columns of categories, which are one-hot encoded.

Rare categories share one column; a category that was not seen at fit has zeros
everywhere.
"""

import numpy as np

from thalweg.core import Features, OneHot, Series
from thalweg.estimators.tabular.columns.column import Column
from thalweg.estimators.tabular.columns.values import texts

MOST_CATEGORIES = 50
"""The most categories of one column that are encoded separately; others share one."""


def study(name: str, values: Series) -> Column:
    """Learn how to encode a column of categories."""
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


def encode(column: Column, values: Series) -> list[Features]:
    """Encode a column of categories."""
    text = texts(values)
    slots = {value: slot for slot, value in enumerate(column.categories)}
    n_slots = len(slots) + column.others + (column.missing > 0)
    rest = len(slots) if column.others else n_slots
    absent = n_slots - 1 if column.missing else n_slots
    known = np.array([slots.get(value, rest) for value in text], int)
    return [OneHot(np.where(text.isna(), absent, known), n_slots)]
