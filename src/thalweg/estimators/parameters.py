"""From scikit-learn's parameters to a network and a plan.

The names are scikit-learn's, and so are the quirks that make the numbers equal: biases
are drawn like weights, the penalty is divided by the batch, Adam's epsilon is added
before its bias correction, momentum takes the rate into the velocity.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from thalweg.lookup import Interval, Spec
from thalweg.networks import Dense, DenseNetwork
from thalweg.plan import FULL_BATCH, Plan, canonical

_NUMBERS: dict[str, tuple[str, type]] = {
    "alpha": ("[0, inf)", float),
    "l1": ("[0, inf)", float),
    "weight_decay": ("[0, inf)", float),
    "learning_rate_init": ("(0, inf)", float),
    "power_t": ("[0, inf)", float),
    "max_iter": ("[1, inf)", int),
    "tol": ("[0, inf)", float),
    "momentum": ("[0, 1]", float),
    "validation_fraction": ("[0, 1)", float),
    "beta_1": ("[0, 1)", float),
    "beta_2": ("[0, 1)", float),
    "epsilon": ("(0, inf)", float),
    "max_fun": ("[1, inf)", int),
    "clip_norm": ("(0, inf)", float),
    "max_time": ("(0, inf)", float),
}
_OPTIONAL = ("clip_norm", "max_time")
_FLAGS = (
    "shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "batch_norm",
    "layer_norm", "scale_inputs",
)  # fmt: skip
_WORDS: dict[str, tuple[str | None, ...]] = {
    "learning_rate": ("constant", "invscaling", "adaptive"),
    "penalty_scale": ("batch", "sample"),
    "engine": ("auto", "jax", "native"),
    "dtype": (None, "float32", "float64"),
}


def check_parameters(estimator: Any) -> None:
    """Raise ValueError or TypeError in scikit-learn's words for a bad parameter."""
    for name, (allowed, kind) in _NUMBERS.items():
        value = getattr(estimator, name)
        if not (value is None and name in _OPTIONAL):
            _check_number(estimator, name, value, allowed, kind)
    for name in _FLAGS:
        if not isinstance(getattr(estimator, name), bool | np.bool_):
            _refuse(estimator, name, "an instance of 'bool'")
    for name, options in _WORDS.items():
        if getattr(estimator, name) not in options:
            _refuse(estimator, name, f"a str among {set(options)}")
    if estimator.batch_size != "auto":
        _check_number(estimator, "batch_size", estimator.batch_size, "[1, inf)", int)
    if estimator.n_iter_no_change != np.inf:
        count = estimator.n_iter_no_change
        _check_number(estimator, "n_iter_no_change", count, "[1, inf)", int)


def hidden_sizes(estimator: Any) -> list[int]:
    """Return the hidden widths as a list; a single number is one layer."""
    sizes = estimator.hidden_layer_sizes
    sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def make_network(estimator: Any, n_inputs: int, n_outputs: int) -> DenseNetwork:
    """Describe the network of an estimator's parameters."""
    sizes = hidden_sizes(estimator)
    activations = per_layer(estimator, "activation", len(sizes))
    rates = per_layer(estimator, "dropout", len(sizes))
    init = _initializer(estimator)
    kind = "layer" if estimator.layer_norm else "none"
    kind = "batch" if estimator.batch_norm else kind
    hidden = [
        Dense(size, activation, init, init, dropout=rate, normalization=kind)
        for size, activation, rate in zip(sizes, activations, rates, strict=True)
    ]
    return DenseNetwork(n_inputs, (*hidden, Dense(n_outputs, "identity", init, init)))


def per_layer(estimator: Any, name: str, n_layers: int) -> list[Any]:
    """Return a parameter's values, one a hidden layer; a list is taken as such."""
    value = getattr(estimator, name)
    if not isinstance(value, list):
        return [value] * n_layers
    if len(value) != n_layers:
        raise ValueError(
            f"The {name!r} parameter of {type(estimator).__name__} must be one value, "
            f"or a list with one for each of the {n_layers} hidden layers. Got "
            f"{value!r} instead."
        )
    return value


def make_plan(estimator: Any, loss: Spec, incremental: bool) -> Plan:
    """Describe the training of an estimator's parameters."""
    settings: dict[str, Any] = {
        "loss": loss,
        "optimizer": _optimizer(estimator),
        "epochs": 1 if incremental else int(estimator.max_iter),
        "l1": float(estimator.l1),
        "l2": float(estimator.alpha),
        "penalty_scale": estimator.penalty_scale,
        "tol": float(estimator.tol),
        "monitor": "score",
        "max_time": estimator.max_time,
    }
    if not is_full_batch(estimator.solver):
        settings |= _first_order(estimator)
    return Plan(**settings)


def is_full_batch(solver: Any) -> bool:
    """Whether a solver is a full-batch method."""
    name = canonical(solver)
    name = name[0] if isinstance(name, tuple | list) else name
    return isinstance(name, str) and name in FULL_BATCH


def _first_order(estimator: Any) -> dict[str, Any]:
    patience = estimator.n_iter_no_change
    return {
        "learning_rate": float(estimator.learning_rate_init),
        "schedule": _schedule(estimator),
        "batch_size": estimator.batch_size,
        "shuffle": bool(estimator.shuffle),
        "weight_decay": float(estimator.weight_decay),
        "clip_norm": estimator.clip_norm,
        "patience": None if patience == np.inf else int(patience),
    }


def _schedule(estimator: Any) -> Spec:
    if estimator.schedule is not None:
        return estimator.schedule
    if estimator.solver != "sgd" or estimator.learning_rate == "constant":
        return "constant"
    if estimator.learning_rate == "adaptive":
        return "adaptive"
    return ("invscaling", {"power": float(estimator.power_t)})


def _optimizer(estimator: Any) -> Any:
    solver = estimator.solver
    if not isinstance(solver, str):
        return solver
    make = _SOLVERS.get(canonical(solver))
    return (canonical(solver), make(estimator)) if make else _momentum(estimator)


def _momentum(estimator: Any) -> Any:
    if estimator.solver != "sgd":
        return estimator.solver
    name = "nesterov" if estimator.nesterovs_momentum else "momentum"
    momentum = float(estimator.momentum)
    return (name, {"momentum": momentum, "rate_in_velocity": True})


def _adam(estimator: Any) -> Mapping[str, Any]:
    names = ("beta_1", "beta_2", "epsilon")
    constants = {name: float(getattr(estimator, name)) for name in names}
    return {**constants, "uncorrected_epsilon": True}


def _lbfgs(estimator: Any) -> Mapping[str, Any]:
    most = int(estimator.max_fun)
    return {"gtol": float(estimator.tol), "max_evaluations": most}


_SOLVERS: dict[str, Callable[[Any], Mapping[str, Any]]] = {
    "adam": _adam,
    "lbfgs": _lbfgs,
}


def _initializer(estimator: Any) -> Spec:
    if estimator.init != "sklearn":
        return estimator.init
    logistic = estimator.activation == "logistic"
    return ("sklearn", {"factor": 2.0 if logistic else 6.0})


def _check_number(
    estimator: Any, name: str, value: Any, allowed: str, kind: type
) -> None:
    whole = kind is float or isinstance(value, int | np.integer)
    if value not in Interval(allowed) or not whole:
        word = "a float" if kind is float else "an int"
        _refuse(estimator, name, f"{word} in the range {allowed}")


def _refuse(estimator: Any, name: str, allowed: str) -> None:
    raise ValueError(
        f"The {name!r} parameter of {type(estimator).__name__} must be {allowed}. "
        f"Got {getattr(estimator, name)!r} instead."
    )
