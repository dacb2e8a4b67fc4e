"""Arrays as the programs take them: padded, cast, with float64 turned on around calls.

Everything outside this folder hands over and gets back NumPy arrays. float64 is turned
on only around our own calls, by the scoped `jax.enable_x64`; the user's own setting
stays as it is.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import jax
import numpy as np

from thalweg.core import Array, Data, EpochSums
from thalweg.engines.jax.step import Batch, EpochBatch, padded_rows

_Result = TypeVar("_Result")


def scoped(dtype: Any, function: Callable[..., _Result], *arguments: Any) -> _Result:
    """Call with float64 turned on where `dtype` is that, and without TF32."""
    single = bool(dtype != np.float64)
    with jax.enable_x64(not single), jax.default_matmul_precision("highest"):
        return function(*arguments)


def written_out(rows: Any) -> Any:
    """Return sparse rows with their zeros: XLA's programs have no form without."""
    return rows.toarray() if hasattr(rows, "toarray") else rows


def dense(data: Data) -> Data:
    """Write out the rows where they are sparse."""
    return replace(data, X=written_out(data.X))


def pad(values: Array, length: int, fill: Any = 0) -> Array:
    """Lengthen the first axis with `fill`."""
    if len(values) == length:
        return values
    padded = np.full((length, *values.shape[1:]), fill, values.dtype)
    padded[: len(values)] = values
    return padded


def pad_rows(tree: Any, length: int) -> Any:
    """Pad arrays with a row that exists: a user's function may know no others."""

    def longer(rows: Array) -> Array:
        return pad(rows, length, rows[:1] if len(rows) else 0)

    return jax.tree.map(longer, tree)


def padded(data: Data, rows: int) -> Any:
    """Make `rows` rows of the data, those that are not there of weight 0."""
    mask = np.ones(data.n_rows, data.dtype)
    X, y = pad_rows(data.X, rows), pad_rows(data.y, rows)
    return Batch._make((X, y, pad(data.weights, rows), pad(mask, rows)))


def cast(numbers: Any, dtype: Any) -> Any:
    """Cast every number but the noise's integers."""

    def one(value: Any) -> Any:
        unsigned = getattr(value, "dtype", None) == np.uint32
        return value if unsigned else np.asarray(value, dtype)

    return jax.tree.map(one, numbers)


def course(
    orders: Any, rates: Array, mixes: Array, dtype: Any, seed: Any, **counts: int
) -> EpochBatch:
    """Describe some epochs; rates and mixing factors have the step's axis first."""
    room = padded_rows(len(rates))
    paces = [pad(np.ascontiguousarray(each, dtype), room) for each in (rates, mixes)]
    whole = {name: np.int32(count) for name, count in counts.items()}
    return EpochBatch(orders, *paces, steps=np.int32(len(rates)), seed=seed, **whole)


def epochs(sums: Any, finite: bool, searched: Any = (0.0, 0.0)) -> EpochSums:
    """Turn a program's sums into what the contract asks for.

    `searched` are the evaluations and failures of line searches before these epochs.
    """
    done = int((sums.steps > 0).sum())
    steps = np.asarray(sums.steps[:done], float)
    rows = np.asarray(sums.rows[:done], float)
    loss = np.asarray(sums.loss[:done], float)
    return EpochSums(
        loss=loss / rows,
        gradient_norm=np.asarray(sums.gradient_norm[:done], float) / steps,
        update_ratio=np.asarray(sums.ratio[:done], float),
        finite=finite,
        counts=_counts(sums, done, searched) if np.any(sums.evaluations) else {},
    )


def _counts(sums: Any, done: int, searched: Any) -> dict[str, Array]:
    evaluations = searched[0] + np.cumsum(sums.evaluations[:done], dtype=float)
    return {
        "evaluations": evaluations,
        "gradient_evaluations": evaluations,
        "line_search_failures": searched[1]
        + np.cumsum(sums.failures[:done], dtype=float),
        "restarts": np.zeros(done),
    }
