"""Encoding the columns of a table as inputs of a network.

`study` looks at every column once and records all that `encode` needs, as plain data
that can be saved. Each kind of columns has its file, with a function `study` and a
function `encode`.

A missing value becomes 0, the center of the column. If values were missing at fit, a
missing-value indicator column is added. Messages count rows from 1, without the header.
"""

from thalweg.estimators.tabular.columns.category import MOST_CATEGORIES
from thalweg.estimators.tabular.columns.column import Column
from thalweg.estimators.tabular.columns.date import DATE_FORMATS, as_day, as_days
from thalweg.estimators.tabular.columns.number import numbers
from thalweg.estimators.tabular.columns.table import (
    as_frame,
    encode,
    encode_compact,
    encode_each,
    kind_of,
    study,
    whole,
)
from thalweg.estimators.tabular.columns.values import MISSING, is_missing, texts

__all__ = [
    "DATE_FORMATS",
    "MISSING",
    "MOST_CATEGORIES",
    "Column",
    "as_day",
    "as_days",
    "as_frame",
    "encode",
    "encode_compact",
    "encode_each",
    "is_missing",
    "kind_of",
    "numbers",
    "study",
    "texts",
    "whole",
]
