"""What a user hands over, checked and cast into what the engines take.

Everything wrong with the rows, the targets, the weights or the validation data is found
here, before anything is computed, and said in a sentence that names the place.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg.lookup import resolved
from thalweg.networks import DenseNetwork
from thalweg.plan import CLASSIFYING, Data, Plan
from thalweg.records import Array, Parameters


def as_data(
    network: DenseNetwork,
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
    dtype = np.dtype(plan.dtype) if plan.dtype else floating_type(X)
    checked = as_rows(network, X, dtype)
    target = _as_y(plan, y, len(checked), network.n_outputs, dtype)
    weights = as_weights(sample_weight, len(checked), dtype)
    if class_weight is not None:
        weights = weights * _class_weights(class_weight, target, dtype)
    return Data(checked, target, weights)


def floating_type(X: ArrayLike) -> np.dtype[Any]:
    """X's own type where it is float32 or float64, and float32 for anything else."""
    dtype = getattr(X, "dtype", None)
    if dtype is None:
        # Ragged lists have no type; what is wrong with them is said later.
        with contextlib.suppress(ValueError):
            dtype = np.asarray(X).dtype
    kept = dtype in (np.dtype("float32"), np.dtype("float64"))
    return np.dtype(dtype) if kept else np.dtype("float32")


def first_weights(
    network: DenseNetwork,
    parameters: Parameters | None,
    rng: np.random.RandomState,
    dtype: np.dtype[Any],
) -> Parameters:
    """Return the weights to begin with: those given, checked, or freshly drawn."""
    if parameters is None:
        return network.draw(rng, dtype)
    network.check(parameters)
    return tuple(
        {name: np.asarray(own[name], dtype) for name in own} for own in parameters
    )


def split(
    network: DenseNetwork,
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
        same = Plan.of(plan, dtype=str(data.X.dtype))
        return data, as_data(network, same, validation[0], validation[1], weight)
    share = validation if isinstance(validation, float) else -1.0
    n_held = round(share * len(data.X))
    if not 0 < share < 1 or not 0 < n_held < len(data.X):
        raise ValueError(
            f"fit got validation={validation!r} for {len(data.X)} rows; it must be a "
            "share in (0, 1) that leaves rows on both sides, or a tuple "
            "(X_val, y_val) or (X_val, y_val, sample_weight)."
        )
    held = _held_out_rows(data.y, n_held, rng)
    return _take(data, ~held), _take(data, held)


def _held_out_rows(y: Array, n_held: int, rng: np.random.RandomState) -> Array:
    """Mark `n_held` random rows, each class in proportion where y holds classes."""
    rows = rng.permutation(len(y))
    if y.ndim == 1:
        rows = rows[np.argsort(y[rows], kind="stable")]
    every = np.floor((np.arange(n_held) + 0.5) * len(y) / n_held).astype(int)
    held = np.zeros(len(y), bool)
    held[rows[every]] = True
    return held


def _take(data: Data, rows: Array) -> Data:
    return Data(data.X[rows], data.y[rows], data.weights[rows])


def as_rows(network: DenseNetwork, X: ArrayLike, dtype: np.dtype[Any]) -> Array:
    """Return X as a finite C-contiguous array that fits the network.

    Raises
    ------
    ValueError
        Naming the shape, or the row and column that is not finite.
    """
    checked = _numeric("X", X, dtype)
    if checked.ndim != 2 or checked.shape[1] != network.n_inputs:
        raise ValueError(
            f"X has shape {checked.shape}; the network takes (n_rows, "
            f"{network.n_inputs}). Reshape X, or make the network for its columns."
        )
    if len(checked) == 0:
        raise ValueError("X has no rows. Give at least one.")
    _check_finite("X", checked)
    return np.ascontiguousarray(checked)


def _as_y(
    plan: Plan, y: ArrayLike, n_rows: int, n_outputs: int, dtype: np.dtype[Any]
) -> Array:
    target = np.asarray(y)
    name = resolved(plan.loss).name
    _check_length("y", target, n_rows)
    if name in CLASSIFYING and (target.ndim == 1 or name == "hinge"):
        return _class_numbers(target, n_outputs)
    target = _numeric("y", target, dtype)
    target = target[:, None] if target.ndim == 1 else target
    if not callable(name) and target.shape != (n_rows, n_outputs):
        raise ValueError(
            f"y has shape {np.shape(y)}; for this loss and network it must be "
            f"({n_rows}, {n_outputs})."
        )
    _check_finite("y", target)
    return np.ascontiguousarray(target)


def _class_numbers(target: Array, n_outputs: int) -> Array:
    whole = target.ndim == 1 and target.dtype.kind in "iub"
    if not whole or target.min() < 0 or target.max() >= n_outputs:
        raise ValueError(
            f"y holds {_some(target)}; for this loss it must hold class numbers, whole "
            f"and from 0 to {n_outputs - 1}. np.unique(y, return_inverse=True) numbers "
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


def _class_weights(
    class_weight: Mapping[int, float] | str, y: Array, dtype: np.dtype[Any]
) -> Array:
    if y.dtype != np.int32:
        raise ValueError("class_weight needs y to hold class numbers.")
    counts = np.bincount(y)
    if class_weight == "balanced":
        return (len(y) / ((counts > 0).sum() * counts[y])).astype(dtype)
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f"class_weight is {class_weight!r}; it must be 'balanced' or a dict from "
            "class numbers to weights."
        )
    table = np.array([class_weight.get(k, 1.0) for k in range(len(counts))], dtype)
    return table[y]


def _numeric(name: str, values: ArrayLike, dtype: np.dtype[Any]) -> Array:
    try:
        with np.errstate(over="ignore"):
            return np.asarray(values, dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is not a rectangular array of numbers ({error}). Encode text and "
            "categories first; thalweg.Classifier and Regressor do it themselves."
        ) from None


def _check_finite(name: str, values: Array) -> None:
    # A sum is not finite if a term is not; only then is it worth looking further.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()) or np.isfinite(values).all():
            return
    row, column = np.argwhere(~np.isfinite(values))[0]
    raise ValueError(
        f"{name} holds {values[row, column]} in row {row}, column {column} (counted "
        "from 0). Fill missing values in, or take the row out, before training."
    )


def _check_length(name: str, values: Array, n_rows: int) -> None:
    if values.ndim == 0 or len(values) != n_rows:
        raise ValueError(
            f"{name} has shape {values.shape}, X has {n_rows} rows; they must have "
            "the same number of rows."
        )


def _some(values: Array) -> str:
    shown = ", ".join(repr(v) for v in values.ravel()[:3].tolist())
    return f"{shown}, … ({values.dtype}, shape {values.shape})"
