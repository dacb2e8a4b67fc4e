"""Columns of booleans, which become -1 and 1."""

from dataclasses import replace

import numpy as np

from thalweg.core import Array, Features, Series
from thalweg.estimators.tabular.columns.column import Column
from thalweg.estimators.tabular.columns.scale import fill, measure
from thalweg.estimators.tabular.columns.values import check_read, texts


def study(name: str, values: Series) -> Column:
    """Learn how to encode a column of booleans."""
    truth = _truth(name, values)
    column = measure(name, "boolean", truth, str)
    if column.kind == "left out":
        return column
    detail = f"true in {np.nansum(truth):.0f} rows"
    return replace(column, detail=detail, center=0.5, scale=0.5, knots=())


def encode(column: Column, values: Series) -> list[Features]:
    """Encode a column of booleans."""
    signs = (_truth(column.name, values) - column.center) / column.scale
    return fill(signs, [signs], mark=column.missing > 0)


def _truth(name: str, values: Series) -> Array:
    words = texts(values).str.lower()
    truth = words.map({"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}).to_numpy(float)
    check_read(name, "true or false", words, np.isnan(truth))
    return truth
