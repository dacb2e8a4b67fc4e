"""First weights: the distributions that they are drawn from, by name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.lookup import find, tabulate
from thalweg.records import Array

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
    """Draw the first weights or biases of a layer.

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
    draw = find("init", _resolve_auto(init.name, activation), _DRAWS, owner="Dense")
    return draw(rng, fan_in, fan_out, shape, dict(init.constants))


def _resolve_auto(name: str, activation: str) -> str:
    if name != "auto":
        return name
    if activation in _RELU_FAMILY:
        return "he_normal"
    return "lecun_normal" if activation == "selu" else "glorot_uniform"


_Rng = np.random.RandomState
_Shape = tuple[int, ...]
_Constants = dict[str, Any]
_Draw = Callable[[_Rng, int, int, _Shape, _Constants], Array]


def _normal(variance: Callable[[int, int], float]) -> _Draw:
    def draw(rng: _Rng, i: int, o: int, shape: _Shape, c: _Constants) -> Array:
        std = c.get("gain", 1.0) * np.sqrt(variance(i, o))
        return std * rng.standard_normal(shape)

    return draw


def _uniform(variance: Callable[[int, int], float]) -> _Draw:
    def draw(rng: _Rng, i: int, o: int, shape: _Shape, c: _Constants) -> Array:
        # A uniform on (-b, b) has variance b²/3.
        limit = c.get("gain", 1.0) * np.sqrt(3 * variance(i, o))
        return rng.uniform(-limit, limit, shape)

    return draw


def _orthogonal(rng: _Rng, i: int, o: int, shape: _Shape, c: _Constants) -> Array:
    # Saxe et al. (2014). The signs of R's diagonal make the draw uniform (Mezzadri).
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r))
    return c["gain"] * (q if shape[0] >= shape[1] else q.T)


def _sklearn(rng: _Rng, i: int, o: int, shape: _Shape, c: _Constants) -> Array:
    limit = np.sqrt(c["factor"] / (i + o))
    return rng.uniform(-limit, limit, shape)


_VARIANCES: dict[str, Callable[[int, int], float]] = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "xavier": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}
"""Glorot & Bengio (2010), eq. 16; He et al. (2015), eq. 10; LeCun et al. (1998), eq.
16: those of weights that keep the size of what goes through them."""

_DRAWS: dict[str, _Draw] = {
    "zeros": lambda rng, i, o, shape, c: np.zeros(shape),
    "constant": lambda rng, i, o, shape, c: np.full(shape, c["value"]),
    "normal": lambda rng, i, o, shape, c: c["std"] * rng.standard_normal(shape),
    "uniform": lambda rng, i, o, shape, c: rng.uniform(-c["limit"], c["limit"], shape),
    **{f"{name}_uniform": _uniform(each) for name, each in _VARIANCES.items()},
    **{f"{name}_normal": _normal(each) for name, each in _VARIANCES.items()},
    "xavier": _normal(_VARIANCES["lecun"]),
    "orthogonal": _orthogonal,
    "sklearn": _sklearn,
}
