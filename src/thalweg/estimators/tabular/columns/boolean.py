"""Columns of booleans, in any spelling, which become -1 and 1."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thalweg.core import Array, Features, Series
from thalweg.estimators.tabular.columns.column import Column
from thalweg.estimators.tabular.columns.scale import fill, measure
from thalweg.estimators.tabular.columns.values import check_read, lower, plain, texts

_PAIRS = (
    ("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("on", "off"),
    ("ja", "nein"), ("j", "n"), ("oui", "non"), ("si", "no"), ("sí", "no"),
    ("wahr", "falsch"), ("vrai", "faux"), (".true.", ".false."),
)  # fmt: skip
_SPELLINGS = 4  # of one word, such as "Yes" and "YES"
_TRUTH = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0} | {
    word: 1.0 - place for pair in _PAIRS for place, word in enumerate(pair)
}


def truth_of_words() -> dict[str, float]:
    """Return the words for true and false, in lower case, as 1 and 0."""
    return dict(_TRUTH)


def recognize(distinct: Sequence[str]) -> bool:
    """Tell whether the different texts of a column are true and false."""
    if not 0 < len(distinct) <= 2 * _SPELLINGS:
        return False
    words = {text.lower() for text in distinct}
    return any(words <= set(pair) for pair in _PAIRS)


def study(draft: Column, values: Series) -> Column:
    """Learn how to encode a column of booleans."""
    truth = _truth(draft, values)
    column = measure(draft, truth, str)
    if column.kind == "left out":
        return column
    detail = f"true in {np.nansum(truth):.0f} rows"
    return replace(column, detail=detail, center=0.5, scale=0.5, knots=(), finer=())


def encode(column: Column, values: Series) -> list[Features]:
    """Encode a column of booleans."""
    signs = (_truth(column, values) - column.center) / column.scale
    return fill(signs, [signs], mark=column.missing > 0)


def _truth(column: Column, values: Series) -> Array:
    values = plain(values)
    if values.dtype.kind == "b" and not values.isna().any():
        return values.to_numpy(float)
    words = lower(texts(values, column.absent))
    truth = words.map(_TRUTH).to_numpy(float)
    check_read(column.name, "true or false", words, np.isnan(truth))
    return truth
