"""Initial weights: the distributions that they are drawn from, by name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.core.registry import find, tabulate
from thalweg.core.types import Array

_GAIN = {"gain": 1.0}

INITIALIZERS = tabulate(
    {
        "auto": {},
        "zeros": {},
        "constant": {"value": 0.0},
        "normal": {"std": 0.01},
        "uniform": {"limit": 0.05},
        "glorot_uniform": _GAIN,
        "glorot_normal": _GAIN,
        "xavier_uniform": _GAIN,
        "xavier_normal": _GAIN,
        "xavier": {},
        "he_uniform": {},
        "he_normal": {},
        "lecun_uniform": {},
        "lecun_normal": {},
        "orthogonal": _GAIN,
        "sklearn": {"factor": 6.0},
    },
    value="(-inf, inf)", std="[0, inf)", limit="[0, inf)", gain="(0, inf)",
    factor="(0, inf)",
)  # fmt: skip
"""Initializers by name. ``xavier`` is the textbook's normal with standard deviation
1/√fan_in; ``sklearn`` draws from (-b, b), b² = factor/(fan_in + fan_out), weights and
biases alike, as scikit-learn's MLP does (its factor is 2 if hidden units are
logistic); ``auto`` takes He's for the ReLU family, LeCun's for SELU and Glorot's for
the rest."""

_RELU_FAMILY = {
    "relu", "leaky_relu", "elu", "gelu", "silu", "mish", "softplus", "relu6",
    "hard_silu",
}  # fmt: skip


def as_random_state(
    random_state: int | np.random.RandomState | None,
) -> np.random.RandomState:
    """Return the generator that `random_state` stands for, as scikit-learn does.

    Raises
    ------
    ValueError
        For anything but None, an int in [0, 2**32) or a RandomState.
    """
    if isinstance(random_state, np.random.RandomState):
        return random_state
    is_seed = isinstance(random_state, int | np.integer) and 0 <= random_state < 2**32
    if random_state is None or is_seed:
        return np.random.RandomState(random_state)
    raise ValueError(
        f"random_state is {random_state!r}; it must be None, an int in [0, 2**32) or "
        "a numpy.random.RandomState."
    )


def first_values(
    init: Any,
    rng: np.random.RandomState,
    activation: str,
    fan_in: int,
    fan_out: int,
    shape: tuple[int, ...],
) -> Array:
    """Draw the initial weights or biases of a layer.

    Parameters
    ----------
    init : ndarray, or Choice of a name of `INITIALIZERS` or of a function
    rng : RandomState
    activation : str
        The layer's, by which ``"auto"`` chooses.
    fan_in, fan_out : int
    shape : tuple of int

    Returns
    -------
    ndarray, float64
        Of `shape`, unless the user's array or function has another.
    """
    if isinstance(init, np.ndarray):
        return np.array(init, float)
    if callable(init.name):
        return np.asarray(init.name(rng, fan_in, fan_out), float)
    name = _resolve_auto(init.name, activation)
    draw, size = find("init", name, _DRAWS, owner="Dense")
    return draw(rng, size(fan_in, fan_out, **dict(init.constants)), shape)


def _resolve_auto(name: str, activation: str) -> str:
    if name != "auto":
        return name
    if activation in _RELU_FAMILY:
        return "he_normal"
    return "lecun_normal" if activation == "selu" else "glorot_uniform"


def _fill(rng: np.random.RandomState, value: float, shape: tuple[int, ...]) -> Array:
    return np.full(shape, value)


def _normal(rng: np.random.RandomState, std: float, shape: tuple[int, ...]) -> Array:
    return std * rng.standard_normal(shape)


def _uniform(rng: np.random.RandomState, limit: float, shape: tuple[int, ...]) -> Array:
    return rng.uniform(-limit, limit, shape)


def _orthogonal(
    rng: np.random.RandomState, gain: float, shape: tuple[int, ...]
) -> Array:
    # Saxe et al. (2014). The signs of R's diagonal make the draw uniform (Mezzadri).
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r))
    return gain * (q if shape[0] >= shape[1] else q.T)


_Size = Callable[..., float]


def _size(variance: _Size, ratio: float = 1.0) -> _Size:
    """Return the size of a draw whose variance is size²/ratio, for that `variance`."""
    return lambda i, o, gain=1.0: gain * np.sqrt(ratio * variance(i, o))


_VARIANCES: dict[str, _Size] = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "xavier": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}
"""Glorot & Bengio (2010), eq. 16; He et al. (2015), eq. 10; LeCun et al. (1998), eq.
16: those of weights that keep the size of what goes through them."""

_DRAWS: dict[str, tuple[Callable[..., Array], _Size]] = {
    "zeros": (_fill, lambda i, o: 0.0),
    "constant": (_fill, lambda i, o, value: value),
    "normal": (_normal, lambda i, o, std: std),
    "uniform": (_uniform, lambda i, o, limit: limit),
    # A uniform on (-b, b) has variance b²/3.
    **{f"{name}_uniform": (_uniform, _size(v, 3)) for name, v in _VARIANCES.items()},
    **{f"{name}_normal": (_normal, _size(v)) for name, v in _VARIANCES.items()},
    "xavier": (_normal, _size(_VARIANCES["lecun"])),
    "orthogonal": (_orthogonal, lambda i, o, gain: gain),
    "sklearn": (_uniform, lambda i, o, factor: np.sqrt(factor / (i + o))),
}
"""How each is drawn; and how large, of fan_in, fan_out and the constants."""
