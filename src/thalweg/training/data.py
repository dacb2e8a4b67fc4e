"""What a user hands over, checked and cast into what the engines take.

Everything wrong with the rows, the targets, the weights or the validation data is found
here, before anything is computed, and said in a sentence that names the place.
"""

import contextlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg.core import (
    CLASSIFYING,
    Array,
    CompactRows,
    Data,
    DenseNetwork,
    Network,
    Plan,
    each_array,
    hold_out,
    naming,
)
from thalweg.training.class_weight import class_weights
from thalweg.training.tables import as_matrix, collected, is_arrow_table

_FLOATING = np.dtype("float32"), np.dtype("float64")


def is_stream(X: Any, y: Any) -> bool:
    """Whether `X` is a path, a pyarrow dataset, or batches that bring their own y."""
    if is_arrow_table(X):
        return y is None or names_columns(y)
    return isinstance(X, str | os.PathLike) or hasattr(X, "to_batches") or y is None


def names_columns(y: Any) -> bool:
    """Whether y names columns of X: one, or several in a list."""
    several = isinstance(y, list | tuple) and len(y) > 0
    return isinstance(y, str) or (several and all(isinstance(k, str) for k in y))


def as_data(
    network: DenseNetwork | Network,
    plan: Plan,
    X: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    class_weight: Mapping[int, float] | str | None = None,
) -> Data:
    """Check rows against a network and a plan, and cast them as the engines want.

    Raises
    ------
    ValueError
        Naming the row and column that is not finite, or the shape that does not fit.
    """
    X, y, sample_weight = as_matrix(network, X), collected(y), collected(sample_weight)
    if isinstance(network, Network):
        dtype, n_outputs = _own_type(network, plan, X), None
    else:
        dtype = np.dtype(plan.dtype) if plan.dtype else floating_type(X)
        n_outputs = network.n_outputs
    checked = as_rows(network, X, dtype)
    n_rows = _count_rows(checked)
    target = _as_y(plan, y, n_rows, n_outputs, dtype)
    weights = as_weights(sample_weight, n_rows, dtype)
    if class_weight is not None:
        own = _by_class(class_weight, plan, target, n_outputs)
        weights = weights * own.astype(dtype)
    return Data(checked, target, weights)


def floating_type(X: ArrayLike) -> np.dtype[Any]:
    """X's own type where it is float32 or float64, and float32 for anything else."""
    dtype = getattr(X, "dtype", None)
    if dtype is None:
        # Ragged lists have no type; what is wrong with them is said later.
        with contextlib.suppress(ValueError):
            dtype = np.asarray(X).dtype
    return np.dtype(dtype) if dtype in _FLOATING else _FLOATING[0]


def _own_type(network: Network, plan: Plan, X: Any) -> np.dtype[Any]:
    """Return what a `Network` computes in."""
    if network.dtype and plan.dtype not in (None, network.dtype):
        raise ValueError(
            f"Plan got dtype={plan.dtype!r}; this network computes in "
            f"{network.dtype}. Leave dtype out, or make the network in that type."
        )
    given = network.dtype or plan.dtype
    if given:
        return np.dtype(given)
    types: list[np.dtype[Any]] = []
    each_array(lambda v: types.append(np.asarray(v).dtype), _nest(X))
    return next((t for t in types if t in _FLOATING), _FLOATING[0])


def _as_arrays(
    name: str, values: Any, dtype: np.dtype[Any], n_rows: int | None = None
) -> Any:
    """Check arrays of any shape and as many rows each; floating ones in dtype."""
    arrays = each_array(lambda v, n: _as_array(v, n, dtype), _nest(values), name)
    n_rows = _count_rows(arrays) if n_rows is None else n_rows
    _check_rows(n_rows)
    each_array(lambda v, n: _check_length(n, v, n_rows), arrays, name)
    return arrays


def _nest(values: Any) -> Any:
    """Tell several arrays from one: tuples, dicts, and lists of arrays are several."""
    several = isinstance(values, list) and all(hasattr(v, "shape") for v in values)
    nested = isinstance(values, tuple | Mapping) or (several and values)
    return values if nested else np.asarray(values)


def _as_array(values: Any, name: str, dtype: np.dtype[Any]) -> Array:
    """Return an array that a `Network` can take; whole numbers stay such."""
    given = getattr(values, "dtype", None)
    kind = np.asarray(values).dtype.kind if given is None else np.dtype(given).kind
    if kind not in "iub":
        array = _numeric(name, values, dtype)
        _check_finite(name, array)
        return np.ascontiguousarray(array)
    array = np.asarray(values)
    wide = array.dtype.itemsize > 4
    return np.ascontiguousarray(array, np.int32 if wide else array.dtype)


def _count_rows(arrays: Any) -> int:
    counts: list[int] = []
    each_array(lambda v: counts.append(len(v) if v.ndim else 0), arrays)
    return counts[0] if counts else 0


def split(
    network: DenseNetwork | Network,
    plan: Plan,
    data: Data,
    validation: float | tuple[ArrayLike, ...] | None,
    rng: np.random.RandomState,
) -> tuple[Data, Data | None]:
    """Return the rows to train on and those to validate on, if any are asked for.

    Raises
    ------
    ValueError
        If `validation` is neither a share that leaves rows on both sides nor a tuple.
    """
    if validation is None:
        return data, None
    if isinstance(validation, tuple) and len(validation) in (2, 3):
        weight = validation[2] if len(validation) == 3 else None
        same = Plan.of(plan, dtype=str(data.dtype))
        with naming("validation", owner="fit"):
            held_out = as_data(network, same, validation[0], validation[1], weight)
        return data, held_out
    if not data.weights.all():  # a share of rows that count for nothing is nothing
        data = data.take(data.weights > 0)
    share = validation if isinstance(validation, float) else -1.0
    n_held = round(share * data.n_rows) if 0 < share < 1 else 0
    if not 0 < n_held < data.n_rows:
        raise ValueError(
            f"fit got validation={validation!r} for {data.n_rows} rows; it must be a "
            "share in (0, 1) that leaves rows on both sides, or a tuple "
            "(X_val, y_val) or (X_val, y_val, sample_weight)."
        )
    y = data.y
    by_class = isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype == np.int32
    held = hold_out(data.n_rows, n_held, rng, y if by_class else None)
    return data.take(~held), data.take(held)


def as_rows(network: Any, X: Any, dtype: np.dtype[Any]) -> Any:
    """Return X as a finite C-contiguous array that fits the network.

    Raises
    ------
    ValueError
        Naming the shape, or the row and column that is not finite.
    """
    X = as_matrix(network, X)
    if isinstance(network, Network):
        return _as_arrays("X", X, dtype)
    if isinstance(X, str | os.PathLike):
        raise ValueError(
            f"X is {X!r}, a path, and rows are needed. Read the file first, such as "
            "with pandas.read_parquet."
        )
    if isinstance(X, CompactRows):
        return _as_compact(network, X, dtype)
    checked = _numeric("X", X, dtype)
    if checked.ndim != 2 or checked.shape[1] != network.n_inputs:
        raise ValueError(
            f"X has shape {checked.shape}; the network takes (n_rows, "
            f"{network.n_inputs}). Reshape X, or make the network for its columns."
        )
    _check_rows(len(checked))
    _check_finite("X", checked)
    return np.ascontiguousarray(checked)


def _as_compact(network: DenseNetwork, X: CompactRows, dtype: Any) -> CompactRows:
    """Check rows that an estimator encoded: of this network, and finite."""
    if X.shape[1] != network.n_inputs:
        raise ValueError(
            f"X has {X.shape[1]} features; the network takes {network.n_inputs}."
        )
    _check_rows(len(X))
    _check_finite("X", X.values)
    return X.astype(dtype)


def _as_y(
    plan: Plan, y: Any, n_rows: int, n_outputs: int | None, dtype: np.dtype[Any]
) -> Array:
    name = plan.loss.name
    if callable(name) and n_outputs is None:
        return _as_arrays("y", y, dtype, n_rows)
    target = np.asarray(y)
    _check_length("y", target, n_rows)
    if name in CLASSIFYING and target.ndim == 2 and target.shape[1] == 1 != n_outputs:
        target = target[:, 0]  # a column of class numbers
    if name in CLASSIFYING and (target.ndim == 1 or name == "hinge"):
        return _class_numbers(target, n_outputs)
    target = _numeric("y", target, dtype)
    target = target[:, None] if target.ndim == 1 else target
    known = n_outputs is not None and not callable(name)
    if known and target.shape != (n_rows, n_outputs):
        raise ValueError(
            f"y has shape {np.shape(y)}; for this loss and network it must be "
            f"({n_rows}, {n_outputs})."
        )
    _check_finite("y", target)
    return np.ascontiguousarray(target)


def _class_numbers(target: Array, n_outputs: int | None) -> Array:
    whole = target.ndim == 1 and target.dtype.kind in "iub"
    most = np.inf if n_outputs is None else n_outputs - 1
    if not whole or target.min() < 0 or target.max() > most:
        raise ValueError(
            f"y holds {_some(target)}; for this loss it must hold class numbers, whole "
            f"and from 0 to {most}. np.unique(y, return_inverse=True) numbers "
            "other labels; the estimators do it themselves."
        )
    return np.ascontiguousarray(target, np.int32)


def as_weights(
    sample_weight: ArrayLike | None, n_rows: int, dtype: np.dtype[Any]
) -> Array:
    """Return the rows' weights, ones if none are given.

    Raises
    ------
    ValueError
        If they are not one finite number of at least 0 a row, or all are 0.
    """
    if sample_weight is None:
        return np.ones(n_rows, dtype)
    weights = _numeric("sample_weight", sample_weight, dtype)
    _check_length("sample_weight", weights, n_rows)
    if weights.ndim != 1 or not np.isfinite(weights).all() or weights.min() < 0:
        raise ValueError(
            f"sample_weight holds {_some(weights)}; it must hold one finite number of "
            "at least 0 for each row."
        )
    if not weights.any():
        raise ValueError(
            "sample_weight is zero for every row; nothing could be learned."
        )
    return np.ascontiguousarray(weights)


def _by_class(class_weight: Any, plan: Plan, y: Any, n_outputs: int | None) -> Array:
    """Return the weights of rows by class, where a loss has classes."""
    name = plan.loss.name
    if name == "binary_cross_entropy":
        n_classes = 2 if getattr(y, "shape", (0, 0))[1:] == (1,) else None
    elif name in CLASSIFYING or callable(name):
        n_classes = n_outputs
    else:
        raise ValueError(
            f"fit got class_weight with loss={plan.loss.label!r}, whose y has no "
            "classes. Weight rows by sample_weight."
        )
    return class_weights(class_weight, y, n_classes)


def _numeric(name: str, values: ArrayLike, dtype: np.dtype[Any]) -> Array:
    try:
        with np.errstate(over="ignore"):
            return np.asarray(values, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} is not a rectangular array of numbers ({error}). Encode text and "
            "categories first; thalweg.Classifier and Regressor do it themselves."
        ) from None


def _check_finite(name: str, values: Array) -> None:
    # A sum is not finite if a term is not; only then is it worth looking further.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()) or np.isfinite(values).all():
            return
    place = tuple(np.argwhere(~np.isfinite(values))[0].tolist())
    row, *rest = place
    column = f", column {str(rest)[1:-1]}" if rest else ""
    raise ValueError(
        f"{name} holds {values[place]} in row {row}{column} (counted "
        "from 0). Fill missing values in, or take the row out, before training."
    )


def _check_rows(n_rows: int) -> None:
    if n_rows == 0:
        raise ValueError("X has no rows. Give at least one.")


def _check_length(name: str, values: Array, n_rows: int) -> None:
    if values.ndim == 0 or len(values) != n_rows:
        raise ValueError(
            f"{name} has shape {values.shape}, X has {n_rows} rows; they must have "
            "the same number of rows."
        )


def _some(values: Array) -> str:
    shown = ", ".join(repr(v) for v in values.ravel()[:3].tolist())
    return f"{shown}, … ({values.dtype}, shape {values.shape})"
