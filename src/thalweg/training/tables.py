"""Tables that `fit` takes as X: lazy frames, Arrow's tables, dicts of columns.

A dense network takes a matrix. These become one here, column by column; what has an
array of its own (pandas, polars, SciPy) stays as it is.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.core import CompactRows, Network


def as_matrix(network: Any, X: Any, name: str = "X") -> Any:
    """Return rows as what NumPy reads, if they are a table that it does not.

    Parameters
    ----------
    network : DenseNetwork or Network
        The latter takes dicts as they are: as several inputs.
    X : array-like, polars.LazyFrame, pyarrow.Table or mapping of columns
    name : str
        For messages.

    Raises
    ------
    ValueError
        If columns differ in length, or X is a path where rows must be at hand.
    """
    X = collected(X)
    if isinstance(network, Network) or isinstance(X, CompactRows):
        return X
    if is_arrow_table(X):
        return np.column_stack([np.asarray(X[column]) for column in X.column_names])
    if isinstance(X, Mapping) and not hasattr(X, "tocsr"):  # a sparse matrix by keys
        return _stacked(X, name)
    return X


def collected(values: Any) -> Any:
    """Compute a lazy frame of polars; a lazy frame of one column is that column."""
    if not (hasattr(values, "collect") and hasattr(values, "collect_schema")):
        return values
    return values.collect()


def at_hand(values: Any, name: str = "X") -> Any:
    """Return a lazy frame, or a mapping of columns, as a data frame.

    SciPy's sparse matrix by keys, which is a mapping too, stays as it is. `name` is for
    the message.

    Raises
    ------
    ValueError
        If a path is given, where rows must be at hand.
    """
    values = collected(values)
    if isinstance(values, Mapping) and not hasattr(values, "tocsr"):
        import pandas as pd

        return pd.DataFrame(dict(values))
    if isinstance(values, str | os.PathLike):
        raise ValueError(
            f"{name} is {values!r}, a path, where rows are needed. Read the file "
            "first, such as with pandas.read_parquet."
        )
    return values


def is_arrow_table(X: Any) -> bool:
    """Whether X is a table of Arrow at hand: a pyarrow Table or RecordBatch."""
    return hasattr(X, "column_names") and hasattr(X, "num_rows")


def _stacked(columns: Mapping[Any, Any], name: str) -> Any:
    arrays = {key: np.asarray(column) for key, column in columns.items()}
    shapes = {key: each.shape for key, each in arrays.items()}
    if (
        not arrays
        or len(set(shapes.values())) > 1
        or len(next(iter(shapes.values()))) != 1
    ):
        raise ValueError(
            f"{name} is a mapping of columns with the shapes {shapes}; a dense network "
            "takes columns of numbers, all of one length."
        )
    return np.column_stack(list(arrays.values()))
