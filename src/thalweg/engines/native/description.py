"""The kernel, and what it is told of a network, a plan and rows.

The C enumerations of activations, losses, normalizations and constraints keep the order
of the tables in `thalweg.core`, so that a choice's place in its table is its number.
The kernel is absent where the package was built without a compiler.
"""

import contextlib
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.core import (
    ACTIVATIONS,
    CONSTRAINTS,
    LOSSES,
    NORMALIZATIONS,
    Array,
    Choice,
    CompactRows,
    Data,
    DenseNetwork,
    Plan,
    batch_rows,
)
from thalweg.engines.native.layout import Layout

if TYPE_CHECKING:
    import thalweg.engines.native._dense as kernel
else:
    try:
        kernel = importlib.import_module("thalweg.engines.native._dense")
    except ImportError:  # built without a compiler
        kernel = None


def _take_blas() -> None:
    """Give the kernel SciPy's BLAS; without it the kernel's own loops multiply."""
    cython_blas = importlib.import_module("scipy.linalg.cython_blas")
    capsules: Any = vars(cython_blas)["__pyx_capi__"]
    with contextlib.suppress(ValueError):  # another signature: our loops instead
        kernel.take_blas(capsules["sgemm"], capsules["dgemm"])


if kernel is not None:
    _take_blas()

RULES = (
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "amsgrad",
    "nadam", "radam", "adamax", "lion", "adabelief", "yogi", "sign_sgd",
)  # fmt: skip
LARGEST = 2**31 - 1


def describe(
    network: DenseNetwork,
    plan: Plan,
    layout: Layout,
    data: Data | None,
    seed: int,
    *,
    dtype: Any = None,
    all_rows: bool = False,
) -> Any:
    """Make the kernel's description of a network and a plan."""
    rows = 1 if data is None else data.X.shape[0]
    if rows < 1:
        raise ValueError("there are no rows to train on.")
    rates = plan.layer_rates or (1.0,) * len(network.layers)
    places = zip(layout.offsets, rates, strict=True)
    layers = [_layer(network, index, *place) for index, place in enumerate(places)]
    norms = [dict(layer.normalization.constants) for layer in network.layers]
    batch = rows if all_rows else batch_rows(plan, rows)
    whole = data if plan.penalty_scale == "none" else None
    total = 1.0 if whole is None else float(whole.weights.sum())
    numbers = {
        "input_noise": float(network.input_noise),
        "n_parameters": layout.n_parameters,
        "n_trained": layout.n_trained,
        "l1": plan.l1 * total,
        "l2": plan.l2 * total,
        "decay": plan.decay,
        "clip_norm": plan.clip_norm or np.inf,
        "clip_value": plan.clip_value or np.inf,
        "penalty_by_batch": plan.penalty_scale == "batch",
        "averaged": plan.average.name != "none",
        "accumulate": int(plan.accumulate),
        "batch": batch,
        "seed": int(seed),
        "cold": [not norm.get("warmup", True) for norm in norms],
        **_loss(plan),
        **_rule(plan),
    }
    is_double = (dtype if data is None else data.X.dtype) == np.float64
    return kernel.Description(layers, numbers, is_double)


def _layer(
    network: DenseNetwork, index: int, offsets: dict[str, int], rate: float
) -> tuple[Any, ...]:
    layer = network.layers[index]
    activation = layer.activation
    norm, constraint = layer.normalization, layer.constraint
    norms, limits = dict(norm.constants), dict(constraint.constants)
    return (
        network.widths[index],
        layer.units,
        _number(ACTIVATIONS, activation),
        next(iter(activation.numbers.values()), 0.0),
        _number(NORMALIZATIONS, norm),
        norms.get("epsilon", 0.0),
        norms.get("momentum", 0.0),
        _number(CONSTRAINTS, constraint),
        limits.get("limit", 0.0),
        layer.residual,
        index if layer.shares is None else layer.shares,
        layer.transposed and layer.shares is not None,
        layer.frozen,
        layer.dropout,
        int(layer.dropout * 2**32),
        rate,
        *(
            offsets.get(key, -1)
            for key in ("weights", "bias", "scale", "shift", "mean", "variance")
        ),
    )


def _number(table: Mapping[str, Any], choice: Choice) -> int:
    """Return a choice's number in C, whose enumerations keep the tables' order."""
    return list(table).index(choice.label) if choice.name in table else 0


def _loss(plan: Plan) -> dict[str, Any]:
    loss = plan.loss
    constants = dict(loss.constants)
    scale = constants.pop("scale", 1.0)
    numbers = [float(v) for v in constants.values() if isinstance(v, float)]
    return {
        "loss": _number(LOSSES, loss),
        "loss_scale": scale,
        "loss_constant": numbers[0] if numbers else 0.0,
        "loss_variant": any(v is True for v in constants.values()),
    }


def rule_name(plan: Plan) -> Any:
    """Return the name of the kernel's update rule for a plan's optimizer."""
    name = plan.optimizer.name
    return "adam" if name == "adamw" else name  # whose decay is the plan's


def _rule(plan: Plan) -> dict[str, Any]:
    constants: dict[str, Any] = dict(plan.optimizer.constants)
    constants.pop("weight_decay", None)
    name = rule_name(plan)
    known = constants if name in RULES else {}
    return {
        "rule": RULES.index(name) if name in RULES else 0,
        "constants": [float(v) for v in known.values() if not isinstance(v, bool)],
        "variant": any(v is True for v in known.values()),
    }


def as_table(network: DenseNetwork, X: Any, y: Any = None, weights: Any = None) -> Any:
    """Check rows and hand them over; X may be sparse or in compact form."""
    dtype, rows = X.dtype, X.shape[0]
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"X has dtype {dtype}; it must be float32 or float64.")
    if X.ndim != 2 or X.shape[1] != network.n_inputs:
        raise ValueError(f"X has shape {X.shape}, not (n_rows, {network.n_inputs}).")
    if rows > LARGEST:
        raise ValueError(f"X has {rows} rows; the kernel takes {LARGEST}.")
    y = None if y is None else as_target(y, dtype)
    weights = None if weights is None else as_ready(weights, dtype)
    allowed = (y, ((rows,), (rows, network.n_outputs))), (weights, ((rows,),))
    for name, (given, shapes) in zip(("y", "weights"), allowed, strict=True):
        if given is not None and given.shape not in shapes:
            raise ValueError(f"{name} has shape {given.shape} for {rows} rows.")
    if isinstance(X, CompactRows):
        return kernel.Table(
            as_ready(X.values, dtype), y, weights, width=network.n_inputs,
            codes=as_ready(X.codes, np.uint16),
            groups=as_ready(X.groups, np.int64),
        )  # fmt: skip
    if not hasattr(X, "indptr"):
        return kernel.Table(as_ready(X, dtype), y, weights)
    X = X.tocsr()
    return kernel.Table(
        as_ready(X.data, dtype), y, weights, as_ready(X.indices, np.int32),
        as_ready(X.indptr, np.int64), network.n_inputs,
    )  # fmt: skip


def as_target(y: Array, dtype: Any) -> Array:
    """Return a target as C reads it: class numbers as int32, others in `dtype`."""
    return as_ready(y, np.int32 if y.ndim == 1 else dtype)


def as_ready(values: Any, dtype: Any) -> Array:
    """Return an array that C can read: a copy where it is not contiguous or aligned."""
    return np.require(values, dtype, ["C_CONTIGUOUS", "ALIGNED"])
