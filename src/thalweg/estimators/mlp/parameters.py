"""From the parameters of an MLP estimator to a network and a plan.

The names are scikit-learn's, and so are the details that make the numbers equal: biases
are initialized like weights, the penalty is divided by the batch size, Adam adds
epsilon before its bias correction, and the velocity of momentum includes the learning
rate.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from thalweg.core import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
    FULL_BATCH,
    INITIALIZERS,
    ON_DEVICE,
    OPTIMIZERS,
    SCHEDULES,
    Dense,
    DenseNetwork,
    Plan,
    Spec,
    canonical,
    optimizer_name,
)
from thalweg.estimators.constraints import (
    AT_LEAST_1,
    BATCH_SIZE,
    CALLBACKS,
    CLOSED_SHARE,
    DTYPE,
    ENGINE,
    INFINITY,
    NONNEGATIVE,
    POSITIVE,
    SHARE,
    UPDATE_RULE,
    InvalidParameterError,
    ListOf,
    Named,
    Word,
    as_sklearn,
)

_SOLVER = [
    Named({**OPTIMIZERS, **FULL_BATCH}, canonical, pairs=(tuple,)),
    UPDATE_RULE,
]
_ACTIVATION = [
    Named({**ACTIVATIONS, **ACTIVATION_ALIASES}, pairs=(tuple,)),
    callable,
]

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", AT_LEAST_1],
    "activation": [*_ACTIVATION, ListOf(*_ACTIVATION)],
    "solver": [*_SOLVER, ListOf(*_SOLVER)],
    "alpha": [NONNEGATIVE],
    "batch_size": BATCH_SIZE,
    "learning_rate": [Word(["constant", "invscaling", "adaptive"])],
    "learning_rate_init": [POSITIVE, None],
    "power_t": [NONNEGATIVE],
    "max_iter": [AT_LEAST_1],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [NONNEGATIVE],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [CLOSED_SHARE],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [SHARE],
    "beta_1": [SHARE],
    "beta_2": [SHARE],
    "epsilon": [POSITIVE],
    "n_iter_no_change": [AT_LEAST_1, INFINITY],
    "max_fun": [AT_LEAST_1],
    "dropout": [SHARE, ListOf(SHARE)],
    "batch_norm": ["boolean"],
    "layer_norm": ["boolean"],
    "init": [Named(INITIALIZERS), callable],
    "l1": [NONNEGATIVE],
    "weight_decay": [NONNEGATIVE],
    "penalty_scale": [Word(["batch", "sample"])],
    "clip_norm": [POSITIVE, None],
    "bounds": [tuple, list, None],
    "schedule": [Named(SCHEDULES), callable, None],
    "scale_inputs": ["boolean"],
    "scoring": [str, callable, None],
    "dtype": DTYPE,
    "engine": ENGINE,
    "callbacks": CALLBACKS,
    "max_time": [POSITIVE, None],
}
"""What the parameters that both estimators share may be."""
for _name in (
    "alpha", "batch_size", "learning_rate_init", "power_t", "max_iter", "tol",
    "momentum", "validation_fraction", "beta_1", "beta_2", "epsilon",
    "n_iter_no_change", "max_fun",
):  # fmt: skip
    CONSTRAINTS[_name] = as_sklearn(CONSTRAINTS[_name])

_REALS = ("l1", "tol", "weight_decay")
_AS_GIVEN = ("penalty_scale", "max_time", "clip_norm", "bounds")


def can_fit_partially(estimator: Any) -> bool:
    """Return True, or raise AttributeError if the solver has no `partial_fit`."""
    if isinstance(estimator.solver, list) or is_full_batch(estimator.solver):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


def check_layers(estimator: Any) -> None:
    """Raise ValueError where parameters of the hidden layers contradict each other."""
    per_layer(estimator, "dropout", len(hidden_sizes(estimator)))
    if estimator.batch_norm and estimator.layer_norm:
        raise InvalidParameterError(
            f"The 'layer_norm' parameter of {type(estimator).__name__} must be False "
            "where batch_norm is True. Got True instead."
        )


def hidden_sizes(estimator: Any) -> list[int]:
    """Return the widths of the hidden layers as a list."""
    sizes = estimator.hidden_layer_sizes
    sizes = list(sizes) if np.ndim(sizes) else [sizes]
    if not all(isinstance(size, Integral) for size in sizes):
        raise InvalidParameterError(
            f"The 'hidden_layer_sizes' parameter of {type(estimator).__name__} must be "
            f"an int or a sequence of ints. Got {estimator.hidden_layer_sizes!r} "
            "instead."
        )
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def make_network(estimator: Any, widths: Sequence[int]) -> DenseNetwork:
    """Describe the network with these widths, inputs and outputs included."""
    n_inputs, *sizes, n_outputs = widths
    activations = per_layer(estimator, "activation", len(sizes))
    rates = per_layer(estimator, "dropout", len(sizes))
    init, bias_init = _initializers(estimator)
    kind = "layer" if estimator.layer_norm else "none"
    kind = "batch" if estimator.batch_norm else kind
    hidden = [
        Dense(size, activation, init, bias_init, dropout=rate, normalization=kind)
        for size, activation, rate in zip(sizes, activations, rates, strict=True)
    ]
    output = Dense(n_outputs, "identity", init, bias_init)
    return DenseNetwork(n_inputs, (*hidden, output))


def per_layer(estimator: Any, name: str, n_layers: int) -> list[Any]:
    """Return the values of a parameter, one for each hidden layer."""
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


def make_plan(
    estimator: Any, loss: Spec, incremental: bool = False, validated: bool = False
) -> Plan:
    """Describe the training of an estimator's parameters."""
    patience = estimator.n_iter_no_change
    settings: dict[str, Any] = {
        "loss": loss,
        "optimizer": _optimizer(estimator),
        "epochs": 1 if incremental else int(estimator.max_iter),
        "l2": float(estimator.alpha),
        "monitor": "score",
        "patience": None if patience == np.inf else int(patience),
        "schedule": _schedule(estimator),
        **{name: float(getattr(estimator, name)) for name in _REALS},
        **{name: getattr(estimator, name) for name in _AS_GIVEN},
    }
    if not is_full_batch(estimator.solver):
        settings |= _first_order(estimator)
    elif not validated:
        settings["patience"] = None  # a full-batch method has its own criterion
    return Plan(**settings)


def is_full_batch(solver: Any) -> bool:
    """Whether a solver is a full-batch method."""
    return optimizer_name(solver) in FULL_BATCH


def _first_order(estimator: Any) -> dict[str, Any]:
    solver, rate = estimator.solver, estimator.learning_rate_init
    has_own_rate = hasattr(solver, "update") or optimizer_name(solver) == ON_DEVICE
    return {
        "learning_rate": None if has_own_rate or rate is None else float(rate),
        "batch_size": estimator.batch_size,
        "shuffle": bool(estimator.shuffle),
    }


def _schedule(estimator: Any) -> Spec:
    if estimator.schedule is not None:
        return estimator.schedule
    if not is_sgd(estimator):
        return "constant"
    if estimator.learning_rate == "invscaling":
        before = float(getattr(estimator, "t_", 0))
        power = float(estimator.power_t)
        return ("invscaling", {"power": power, "rows_before": before})
    # Without patience scikit-learn never reduces the learning rate.
    endless = estimator.n_iter_no_change == np.inf
    return "constant" if endless else estimator.learning_rate


def _optimizer(estimator: Any) -> Any:
    """Return the optimizer, with the constants of scikit-learn's three solvers."""
    solver = canonical(estimator.solver)
    if solver == "sgd":
        name = "nesterov" if estimator.nesterovs_momentum else "momentum"
        momentum = float(estimator.momentum)
        return (name, {"momentum": momentum, "rate_in_velocity": True})
    if solver == "adam":
        names = ("beta_1", "beta_2", "epsilon")
        constants = {name: float(getattr(estimator, name)) for name in names}
        return ("adam", {**constants, "uncorrected_epsilon": True})
    if solver == "lbfgs":
        most = int(estimator.max_fun)
        return ("lbfgs", {"gtol": float(estimator.tol), "max_evaluations": most})
    return solver


def is_sgd(estimator: Any) -> bool:
    """Whether the solver is scikit-learn's ``"sgd"``."""
    return isinstance(estimator.solver, str) and canonical(estimator.solver) == "sgd"


def _initializers(estimator: Any) -> tuple[Spec, Spec]:
    """Return the initializers of the weights and of the biases."""
    if estimator.init != "sklearn":
        return estimator.init, "zeros"
    activation = estimator.activation
    squashing = isinstance(activation, str) and activation in ("logistic", "sigmoid")
    factor = 2.0 if squashing else 6.0
    return ("sklearn", {"factor": factor}), ("sklearn", {"factor": factor})
