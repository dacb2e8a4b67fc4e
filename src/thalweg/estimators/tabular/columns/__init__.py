"""Encoding the columns of a table as inputs of a network.

`study` looks at every column once and records all that `encode` needs, as plain data
that can be saved. Each kind of columns has its file, with a function `study` and a
function `encode`.

A missing value becomes 0, the center of the column. If values were missing at fit, a
missing-value indicator column is added. Messages count rows from 1, without the header.
"""

from thalweg.estimators.tabular.columns.boolean import truth_of_words
from thalweg.estimators.tabular.columns.category import MOST_CATEGORIES
from thalweg.estimators.tabular.columns.column import (
    KINDS,
    Column,
    LeftOutWarning,
    Reading,
    arrays_of,
    warn_left_out,
    with_arrays,
)
from thalweg.estimators.tabular.columns.date import as_day, as_days, waves_of
from thalweg.estimators.tabular.columns.number import numbers, without_marks
from thalweg.estimators.tabular.columns.table import (
    as_frame,
    as_seen,
    encode,
    encode_compact,
    encode_each,
    kind_of,
    measured,
    seen,
    show,
    study,
    study_numbers,
    whole,
)
from thalweg.estimators.tabular.columns.values import (
    MISSING,
    WORDLESS,
    UnreadError,
    is_missing,
    lower,
    plain,
    raw_texts,
    shorten,
    texts,
    write,
)

__all__ = [
    "KINDS",
    "MISSING",
    "MOST_CATEGORIES",
    "WORDLESS",
    "Column",
    "LeftOutWarning",
    "Reading",
    "UnreadError",
    "arrays_of",
    "as_day",
    "as_days",
    "as_frame",
    "as_seen",
    "encode",
    "encode_compact",
    "encode_each",
    "is_missing",
    "kind_of",
    "lower",
    "measured",
    "numbers",
    "plain",
    "raw_texts",
    "seen",
    "shorten",
    "show",
    "study",
    "study_numbers",
    "texts",
    "truth_of_words",
    "warn_left_out",
    "waves_of",
    "whole",
    "with_arrays",
    "without_marks",
    "write",
]
