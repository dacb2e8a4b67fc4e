"""From scikit-learn's parameters to a network and a plan.

The names are scikit-learn's, and so are the quirks that make the numbers equal: biases
are drawn like weights, the penalty is divided by the batch, Adam's epsilon is added
before its bias correction, momentum takes the rate into the velocity.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from thalweg.core import (
    ACTIVATIONS,
    FULL_BATCH,
    INITIALIZERS,
    ON_DEVICE,
    OPTIMIZERS,
    SCHEDULES,
    Dense,
    DenseNetwork,
    Interval,
    Plan,
    Spec,
    canonical,
    nearest,
    optimizer_name,
)

_NUMBERS: dict[str, tuple[str, type]] = {
    **dict.fromkeys(
        ("alpha", "l1", "weight_decay", "power_t", "tol"), ("[0, inf)", float)
    ),
    **dict.fromkeys(
        ("learning_rate_init", "epsilon", "clip_norm"), ("(0, inf)", float)
    ),
    **dict.fromkeys(("validation_fraction", "beta_1", "beta_2"), ("[0, 1)", float)),
    **dict.fromkeys(
        ("max_iter", "max_fun", "batch_size", "n_iter_no_change"), ("[1, inf)", int)
    ),
    "momentum": ("[0, 1]", float),
    "max_time": ("(0, inf)", float),
}
_OR = {
    **dict.fromkeys(("learning_rate_init", "clip_norm", "max_time")),
    "batch_size": "auto",
    "n_iter_no_change": np.inf,
}
"""What these may be instead of a number in their range."""
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
_REALS = ("l1", "tol", "weight_decay")
_AS_GIVEN = ("penalty_scale", "max_time", "clip_norm", "bounds")
_CHOICES: dict[str, Collection[str]] = {
    "activation": ACTIVATIONS,
    "solver": {**OPTIMIZERS, **FULL_BATCH},
    "init": INITIALIZERS,
    "schedule": SCHEDULES,
}


def can_fit_partially(estimator: Any) -> bool:
    """Tell whether `partial_fit` is there; AttributeError where it is not."""
    if isinstance(estimator.solver, list) or is_full_batch(estimator.solver):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


def check_parameters(estimator: Any) -> None:
    """Raise ValueError or TypeError in scikit-learn's words for a bad parameter."""
    for name, (allowed, kind) in _NUMBERS.items():
        if not _is_instead(name, getattr(estimator, name)):
            _check_number(estimator, name, allowed, kind)
    for name in _FLAGS:
        if not isinstance(getattr(estimator, name), bool | np.bool_):
            _refuse(estimator, name, "an instance of 'bool'")
    for name, options in _WORDS.items():
        if getattr(estimator, name) not in options:
            _refuse(estimator, name, _one_of(options), options)
    for name, options in {**_CHOICES, "loss": estimator._loss_names}.items():
        _check_choice(estimator, name, options)
    for rate in per_layer(estimator, "dropout", len(hidden_sizes(estimator))):
        if rate not in Interval("[0, 1)"):
            _refuse(estimator, "dropout", "a float in the range [0, 1), or a list")
    if estimator.batch_norm and estimator.layer_norm:
        _refuse(estimator, "layer_norm", "False where batch_norm is True")
    if not all(callable(each) for each in estimator.callbacks or ()):
        _refuse(estimator, "callbacks", "a sequence of callables")


def hidden_sizes(estimator: Any) -> list[int]:
    """Return the hidden widths as a list; a single number is one layer."""
    sizes = estimator.hidden_layer_sizes
    sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    if not all(isinstance(size, int | np.integer) for size in sizes):
        _refuse(estimator, "hidden_layer_sizes", "an int or a sequence of ints")
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def make_network(estimator: Any, widths: Sequence[int]) -> DenseNetwork:
    """Describe the network of an estimator's parameters and these widths."""
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
        settings["patience"] = None  # the method knows itself when it is done
    return Plan(**settings)


def is_full_batch(solver: Any) -> bool:
    """Whether a solver is a full-batch method."""
    return optimizer_name(solver) in FULL_BATCH


def _first_order(estimator: Any) -> dict[str, Any]:
    solver = estimator.solver
    has_own_rate = hasattr(solver, "update") or optimizer_name(solver) == ON_DEVICE
    return {
        "learning_rate": None if has_own_rate else estimator.learning_rate_init,
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
    # Without patience scikit-learn never cuts the rate.
    endless = estimator.n_iter_no_change == np.inf
    return "constant" if endless else estimator.learning_rate


def _optimizer(estimator: Any) -> Any:
    """Take the constants of scikit-learn's three solvers from the parameters."""
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
    """Whether the solver is scikit-learn's ``"sgd"``, momentum and all."""
    return isinstance(estimator.solver, str) and canonical(estimator.solver) == "sgd"


def _initializers(estimator: Any) -> tuple[Spec, Spec]:
    """Return those of weights and of biases."""
    if estimator.init != "sklearn":
        return estimator.init, "zeros"
    factor = 2.0 if estimator.activation == "logistic" else 6.0
    return ("sklearn", {"factor": factor}), ("sklearn", {"factor": factor})


def _check_choice(estimator: Any, name: str, options: Collection[str]) -> None:
    value = getattr(estimator, name)
    listed = name in ("activation", "solver") and isinstance(value, list) and value
    several = value if listed else [value]
    for each in several:
        # An optax transformation is a pair of functions.
        label = each[0] if isinstance(each, tuple) and each else each
        if isinstance(label, str):
            label = canonical(label) if name == "solver" else label
            if label not in options:
                _refuse(estimator, name, _one_of(options), options)
        elif not callable(label) and not (name == "schedule" and label is None):
            _refuse(estimator, name, "a str, a tuple (str, dict) or a callable")


def _is_instead(name: str, value: Any) -> bool:
    """Whether it is what a parameter may be instead of a number."""
    usual = _OR.get(name, ())
    return isinstance(value, type(usual)) and value == usual


def _check_number(estimator: Any, name: str, allowed: str, kind: type) -> None:
    value = getattr(estimator, name)
    whole = kind is float or isinstance(value, int | np.integer)
    if value not in Interval(allowed) or not whole:
        word = "a float" if kind is float else "an int"
        _refuse(estimator, name, f"{word} in the range {allowed}")


def _one_of(options: Collection[str | None]) -> str:
    return f"a str among {{{', '.join(sorted(map(repr, options)))}}}"


def _refuse(
    estimator: Any, name: str, allowed: str, options: Collection[str | None] = ()
) -> None:
    value = getattr(estimator, name)
    hint = nearest(value, [o for o in options if o]) if isinstance(value, str) else ""
    raise ValueError(
        f"The {name!r} parameter of {type(estimator).__name__} must be {allowed}. "
        f"Got {value!r} instead. {hint}".rstrip()
    )
