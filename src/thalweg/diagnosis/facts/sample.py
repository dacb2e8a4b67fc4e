"""A sample of a problem's rows, as plain arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Array
from thalweg.diagnosis.problem import Problem, take

MOST_ROWS = 2000
"""The largest number of rows that are examined."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Some rows.

    Parameters
    ----------
    rows : ndarray of shape (n,)
        Their positions in X.
    raw : ndarray of shape (n, n_columns), float64
        The columns of numbers, as given.
    names : tuple of str
        Names of these columns.
    where : tuple of int
        Positions of these columns in X.
    inputs : ndarray of shape (n, n_inputs), float64, or None
        As the network is given them; None if they are not finite.
    pipe : Pipeline or None
        The fitted steps; None if there are none or if they cannot be fitted.
    y : ndarray of shape (n, ...)
    """

    rows: Array
    raw: Array
    names: tuple[str, ...]
    where: tuple[int, ...]
    inputs: Array | None
    pipe: Any
    y: Array


def sampled(problem: Problem) -> Sample:
    """Draw the sample; the same problem always yields the same rows."""
    n_rows = problem.X.shape[0]
    rows = np.random.RandomState(0).permutation(n_rows)
    if problem.y.dtype.kind == "f":
        rows = rows[np.isfinite(problem.y[rows].reshape(n_rows, -1)).all(axis=1)]
    rows = np.sort(rows[:MOST_ROWS])
    part = problem.rows(rows)
    raw, names, where = numeric(part.X)
    try:
        inputs, pipe = part.prepared()
        inputs = inputs.astype(float)
    except (ValueError, TypeError):
        inputs, pipe = None, None
    if inputs is not None and not np.isfinite(inputs).all():
        inputs = None
    return Sample(rows, raw, names, where, inputs, pipe, part.y)


def numeric(X: Any) -> tuple[Array, tuple[str, ...], tuple[int, ...]]:
    """Return the columns of numbers, their names and their positions."""
    if hasattr(X, "iloc"):
        kept = [k for k, dtype in enumerate(X.dtypes) if dtype.kind in "fiub"]
        columns = X.iloc[:, kept].to_numpy(float)
        return columns, tuple(str(X.columns[k]) for k in kept), tuple(kept)
    dense = np.asarray(X.toarray() if hasattr(X, "toarray") else X)
    if dense.dtype.kind not in "fiub":
        return np.empty((len(dense), 0)), (), ()
    flat = dense.reshape(len(dense), -1).astype(float)
    width = range(flat.shape[1])
    return flat, tuple(f"column {k}" for k in width), tuple(width)


def validation_inputs(problem: Problem, sample: Sample) -> tuple[Array, Array]:
    """Return the validation data as the network is given them: at most `MOST_ROWS`."""
    assert problem.validation_data is not None
    X, y = problem.validation_data
    rows = np.random.RandomState(1).permutation(len(y))[:MOST_ROWS]
    X = take(X, rows)
    found = sample.pipe.transform(X) if sample.pipe is not None else X
    found = found.toarray() if hasattr(found, "toarray") else found
    return np.asarray(found, float).reshape(len(rows), -1), y[rows]


def standardized(columns: Array) -> Array:
    """Center and scale each column robustly, and clip outliers."""
    low, middle, high = np.percentile(columns, [5, 50, 95], axis=0)
    spread = np.where(high > low, (high - low) / 3.3, columns.std(axis=0))
    scaled = (columns - middle) / np.where(spread > 0, spread, 1)
    return np.clip(scaled, -5, 5)
