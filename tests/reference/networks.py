"""A slow network in NumPy, written from the formulas, that every engine must match.

Nothing here calls an engine or differentiates automatically: forward and backward
passes, losses, update rules, the generator of noise and the training loop are spelled
out in float64, one idea after the other, from the docstrings of `networks`, `plan` and
`engines.xla.noise` and from the papers that those name. `train` is all of it together.

`PUBLISHED` lists the update rules whose authors give a closed formula. The others
(Muon, Adafactor, Prodigy, schedule-free) are judged against optax in `test_updates`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import ndtr, xlogy

from tests.reference.embeddings import embed, embed_back
from thalweg.core.data import Data
from thalweg.core.networks import Dense, DenseNetwork, without_noise
from thalweg.core.plan import Plan
from thalweg.core.registry import Choice
from thalweg.core.types import Array, Parameters

_TRAINED = ("weights", "bias", "scale", "shift")


def is_trained(name: str) -> bool:
    """Whether a parameter is trained; embeddings have theirs beside the first layer."""
    return name.startswith("embedding_") or name in _TRAINED


# ----------------------------------------------------------------- activations


def _logistic(z: Array) -> Array:
    return (1 + np.tanh(z / 2)) / 2


def _logistic_slope(z: Array) -> Array:
    return _logistic(z) * (1 - _logistic(z))


def _softplus(z: Array) -> Array:
    return np.logaddexp(z, 0.0)


def _bell(z: Array) -> Array:
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def _elu(z: Array, alpha: float) -> Array:
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def _elu_slope(z: Array, alpha: float) -> Array:
    return np.where(z > 0, 1.0, alpha * np.exp(np.minimum(z, 0)))


def _mish_slope(z: Array) -> Array:
    t = np.tanh(_softplus(z))
    return t + z * (1 - t**2) * _logistic(z)


def _hard_logistic(z: Array) -> Array:
    return np.clip(z / 6 + 0.5, 0, 1)


def _hard_logistic_slope(z: Array) -> Array:
    return (np.abs(z) < 3) / 6


# Klambauer et al. (2017), eq. 14.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848

ACTIVATIONS: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "identity": (lambda z: z, np.ones_like),
    "logistic": (_logistic, _logistic_slope),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "leaky_relu": (
        lambda z, slope: np.where(z >= 0, z, slope * z),
        lambda z, slope: np.where(z >= 0, 1.0, slope),
    ),
    "elu": (_elu, _elu_slope),
    "selu": (
        lambda z: _SELU_SCALE * _elu(z, _SELU_ALPHA),
        lambda z: _SELU_SCALE * _elu_slope(z, _SELU_ALPHA),
    ),
    "gelu": (lambda z: z * ndtr(z), lambda z: ndtr(z) + z * _bell(z)),
    "silu": (
        lambda z: z * _logistic(z),
        lambda z: _logistic(z) + z * _logistic_slope(z),
    ),
    "mish": (lambda z: z * np.tanh(_softplus(z)), _mish_slope),
    "softplus": (_softplus, _logistic),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: (1 + np.abs(z)) ** -2),
    "hard_logistic": (_hard_logistic, _hard_logistic_slope),
    "hard_tanh": (lambda z: np.clip(z, -1, 1), lambda z: (np.abs(z) < 1) * 1.0),
    "hard_silu": (
        lambda z: z * _hard_logistic(z),
        lambda z: _hard_logistic(z) + z * _hard_logistic_slope(z),
    ),
    "relu6": (lambda z: np.clip(z, 0, 6), lambda z: ((z > 0) & (z < 6)) * 1.0),
}
"""Name to (function, its derivative) of the pre-activation z."""


# ---------------------------------------------------------------------- losses


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _log_softmax(z: Array) -> Array:
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _clipped(probabilities: Array) -> Array:
    epsilon = np.finfo(float).eps
    return np.clip(probabilities, epsilon, 1 - epsilon)


def _cross_entropy(
    z: Array, y: Array, label_smoothing: float, clipped: bool
) -> tuple[Array, Array]:
    y = (1 - label_smoothing) * y + label_smoothing / z.shape[1]
    slope = y.sum(axis=1, keepdims=True) * _softmax(z) - y
    log_p = np.log(_clipped(_softmax(z))) if clipped else _log_softmax(z)
    return -(y * log_p).sum(axis=1), slope


def _binary(
    z: Array, y: Array, label_smoothing: float, clipped: bool
) -> tuple[Array, Array]:
    y = (1 - label_smoothing) * y + label_smoothing / 2
    values = y * _softplus(-z) + (1 - y) * _softplus(z)
    if clipped:
        p = _clipped(_logistic(z))
        values = -y * np.log(p) - (1 - y) * np.log(1 - p)
    return values.sum(axis=1), _logistic(z) - y


def _squared(z: Array, y: Array, averaged: bool) -> tuple[Array, Array]:
    values = ((z - y) ** 2 / 2).sum(axis=1)
    return values / (z.shape[1] if averaged else 1), z - y


def _absolute(z: Array, y: Array, slope_at_zero: float) -> tuple[Array, Array]:
    slopes = np.where(z == y, slope_at_zero, np.sign(z - y))
    return np.abs(z - y).sum(axis=1), slopes


def _huber(z: Array, y: Array, delta: float) -> tuple[Array, Array]:
    error = np.abs(z - y)
    values = np.where(error <= delta, error**2 / 2, delta * (error - delta / 2))
    return values.sum(axis=1), np.clip(z - y, -delta, delta)


def _log_cosh(z: Array, y: Array) -> tuple[Array, Array]:
    return np.log(np.cosh(z - y)).sum(axis=1), np.tanh(z - y)


def _quantile(z: Array, y: Array, quantile: float) -> tuple[Array, Array]:
    short = y > z
    values = np.where(short, quantile * (y - z), (1 - quantile) * (z - y))
    return values.sum(axis=1), np.where(short, -quantile, 1 - quantile)


def _poisson(z: Array, y: Array) -> tuple[Array, Array]:
    mean = np.exp(z)
    return (mean - y + xlogy(y, y) - y * z).sum(axis=1), mean - y


def _hinge(z: Array, y: Array) -> tuple[Array, Array]:
    rival = np.where(y > 0, -np.inf, z)
    values = 1 + rival.max(axis=1) - (y * z).sum(axis=1)
    best_rival = np.eye(z.shape[1])[rival.argmax(axis=1)]
    return np.maximum(values, 0), (values > 0)[:, None] * (best_rival - y)


def _focal(z: Array, y: Array, gamma: float) -> tuple[Array, Array]:
    p, log_p = _softmax(z), _log_softmax(z)
    rest = 1 - p
    values = -(y * rest**gamma * log_p).sum(axis=1)
    # p_j ∂/∂p_j of the j-th term, then ∂p_j/∂z_k = p_j (δ_jk − p_k).
    inner = y * (gamma * rest ** (gamma - 1) * p * log_p - rest**gamma)
    return values, inner - p * inner.sum(axis=1, keepdims=True)


LOSSES: dict[str, Callable[..., tuple[Array, Array]]] = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary,
    "squared": _squared,
    "absolute": _absolute,
    "huber": _huber,
    "log_cosh": _log_cosh,
    "quantile": _quantile,
    "poisson": _poisson,
    "hinge": _hinge,
    "focal": _focal,
}
"""Name to the function (z, y, constants) -> (loss a row, its derivative by z)."""


def row_losses(loss: Choice, outputs: Array, y: Array) -> tuple[Array, Array]:
    """Loss of each row, and its derivative by the outputs."""
    rows = np.eye(outputs.shape[1])[y] if y.ndim == 1 else y
    constants: dict[str, Any] = dict(loss.constants)
    scale = constants.pop("scale", 1.0)
    losses, slopes = LOSSES[loss.label](outputs, rows, **constants)
    return scale * losses, scale * slopes


# ----------------------------------------------------------------------- noise


def threefry(key: Array, counter: Array) -> Array:
    """Threefry-2x32 with 20 rounds; uint32 (2, n) and (2, n) to (2, n)."""
    keys = np.array([key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA)])
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for block in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
            x = x + y
            y = (y << np.uint32(turn)) | (y >> np.uint32(32 - turn))
            y = y ^ x
        x = x + keys[(block + 1) % 3]
        y = y + keys[(block + 2) % 3] + np.uint32(block + 1)
    return np.array([x, y])


def words(seed: int, step: int, layer: int, size: int) -> Array:
    """The words of a layer's first `size` elements, uint32 (size,)."""
    n_pairs = (size + 1) // 2
    key = np.array([[seed], [step]], np.uint32) * np.ones(n_pairs, np.uint32)
    counter = np.array([np.arange(n_pairs), np.full(n_pairs, layer)], np.uint32)
    return threefry(key, counter).T.ravel()[:size]


def dropout(seed: int, step: int, layer: int, shape: Any, rate: float) -> Array:
    """What a layer's outputs are multiplied by: 0, or 1/(1−rate)."""
    drawn = words(seed, step, layer, int(np.prod(shape))).reshape(shape)
    return (drawn >= np.floor(rate * 2.0**32)) / (1 - rate)


def gaussian(seed: int, step: int, shape: Any) -> Array:
    """Standard normal noise for the network's inputs."""
    size = int(np.prod(shape))
    pairs = words(seed, step, 0, size + size % 2).reshape(-1, 2) >> np.uint32(8)
    a, b = (pairs[:, 0] + 0.5) / 2**24, pairs[:, 1] / 2**24
    both = np.array([np.cos(2 * np.pi * b), np.sin(2 * np.pi * b)])
    return (np.sqrt(-2 * np.log(a)) * both).T.ravel()[:size].reshape(shape)


# -------------------------------------------------------- forward and backward


@dataclass
class Pass:
    """What a forward pass leaves for the backward one, a list entry a layer.

    `inputs` holds what the first layer reads and every layer's output: entry i is what
    layer i is given.
    """

    inputs: list[Array]
    rows: tuple[Array, Array]  # the network's inputs, with their noise and without
    z: list[Array] = field(default_factory=list)
    normal: list[Array] = field(default_factory=list)
    spread: list[Array] = field(default_factory=list)
    by_batch: list[bool] = field(default_factory=list)
    dropped: list[Array] = field(default_factory=list)
    statistics: list[dict[str, Array]] = field(default_factory=list)

    @property
    def outputs(self) -> Array:
        return self.inputs[-1]


Stream = tuple[int, int]
"""Seed and step of the noise; there is none while predicting."""


def weights_of(network: DenseNetwork, parameters: Parameters, index: int) -> Array:
    """The matrix that a layer multiplies by: its own, or one that it shares."""
    layer = network.layers[index]
    if layer.shares is None:
        return parameters[index]["weights"]
    shared = parameters[layer.shares]["weights"]
    return shared.T if layer.transposed else shared


def forward(
    network: DenseNetwork, parameters: Parameters, X: Array, noise: Stream | None = None
) -> Pass:
    """Pass X through the network; with `noise`, as while training."""
    given = X
    if noise is not None and network.input_noise:
        X = X + network.input_noise * gaussian(*noise, X.shape)
    done = Pass([embed(network, parameters[0], X, given)], (X, given))
    for index, layer in enumerate(network.layers):
        z = done.inputs[-1] @ weights_of(network, parameters, index)
        z = z + parameters[index]["bias"]
        z = _normalize(done, layer, parameters[index], z, noise)
        if layer.residual:
            z = z + done.inputs[index + 1 - layer.residual]
        activation = layer.activation
        a = ACTIVATIONS[activation.label][0](z, **dict(activation.constants))
        factor = np.ones(a.shape)
        if noise is not None and layer.dropout:
            factor = dropout(*noise, index + 1, a.shape, layer.dropout)
        done.z.append(z)
        done.dropped.append(factor)
        done.inputs.append(a * factor)
    return done


def _normalize(
    done: Pass, layer: Dense, own: dict[str, Array], z: Array, noise: Stream | None
) -> Array:
    kind = layer.normalized
    learning = noise is not None and not layer.frozen
    axis = 1 if kind == "layer" else 0
    mean, variance = z.mean(axis, keepdims=True), z.var(axis, keepdims=True)
    if kind == "batch" and not learning:
        mean, variance = own["mean"], own["variance"]
    done.by_batch.append(kind == "batch" and learning)
    done.statistics.append({})
    if kind == "batch" and learning and noise is not None:
        warm = noise[1] / (noise[1] + 1) if _constant(layer, "warmup") else 1.0
        kept = min(float(_constant(layer, "momentum")), warm)
        done.statistics[-1] = {
            "mean": kept * own["mean"] + (1 - kept) * mean[0],
            "variance": kept * own["variance"] + (1 - kept) * variance[0],
        }
    if kind == "none":
        mean, spread = 0.0, np.ones(1)
    else:
        spread = np.sqrt(variance + float(_constant(layer, "epsilon")))
    done.normal.append((z - mean) / spread)
    done.spread.append(spread)
    return z if kind == "none" else done.normal[-1] * own["scale"] + own["shift"]


def _constant(layer: Dense, name: str) -> Any:
    return layer.normalization[name]


def backward(
    network: DenseNetwork, parameters: Parameters, done: Pass, slope: Array
) -> Parameters:
    """Gradient of a scalar by the trained parameters, from `slope` by the outputs."""
    depth = len(network.layers)
    gradient: list[dict[str, Array]] = [
        {name: np.zeros(shape) for name, shape in shapes.items() if is_trained(name)}
        for shapes in network.shapes()
    ]
    slopes = [np.zeros(a.shape) for a in done.inputs]
    slopes[depth] = slope
    for index in reversed(range(depth)):
        layer, own = network.layers[index], gradient[index]
        activation = layer.activation
        derivative = ACTIVATIONS[activation.label][1]
        rise = derivative(done.z[index], **dict(activation.constants))
        by_z = slopes[index + 1] * done.dropped[index] * rise
        if layer.residual:
            slopes[index + 1 - layer.residual] += by_z
        if layer.normalized != "none":
            own["scale"] = (by_z * done.normal[index]).sum(axis=0)
            own["shift"] = by_z.sum(axis=0)
            by_z = _normalize_back(done, index, layer, parameters[index], by_z)
        own["bias"] = by_z.sum(axis=0)
        by_weights = done.inputs[index].T @ by_z
        owner = index if layer.shares is None else layer.shares
        gradient[owner]["weights"] += by_weights.T if layer.transposed else by_weights
        slopes[index] += by_z @ weights_of(network, parameters, index).T
    gradient[0] |= embed_back(network, parameters[0], *done.rows, slopes[0])
    return _only_trained(network, tuple(gradient))


def _normalize_back(
    done: Pass, index: int, layer: Dense, own: dict[str, Array], slope: Array
) -> Array:
    # Ioffe & Szegedy (2015), section 3, the three chain rules put together.
    slope, normal = slope * own["scale"], done.normal[index]
    if layer.normalized == "layer" or done.by_batch[index]:
        axis = 1 if layer.normalized == "layer" else 0
        along = (slope * normal).mean(axis, keepdims=True)
        slope = slope - slope.mean(axis, keepdims=True) - normal * along
    return slope / done.spread[index]


def _only_trained(network: DenseNetwork, parameters: Parameters) -> Parameters:
    return tuple(
        {} if layer.frozen else {k: v for k, v in own.items() if is_trained(k)}
        for layer, own in zip(network.layers, parameters, strict=True)
    )


def cost_and_gradient(
    network: DenseNetwork,
    plan: Plan,
    parameters: Parameters,
    data: Data,
    noise: Stream | None = None,
    total_weight: float | None = None,
) -> tuple[float, Parameters, Pass]:
    """The objective on the rows of `data`, its gradient, and the pass they came from.

    `total_weight` is the sum of the weights of the whole sample, where `data` is only
    a batch of it.
    """
    done = forward(network, parameters, data.X.astype(float), noise)
    weights = data.weights.astype(float)
    share = weights / weights.sum()
    losses, slopes = row_losses(plan.loss, done.outputs, data.y)
    cost = float(share @ losses)
    gradient = backward(network, parameters, done, share[:, None] * slopes)
    divisor = weights.sum()
    if plan.penalty_scale == "sample" and total_weight is not None:
        divisor = total_weight
    if plan.penalty_scale == "none":
        divisor = 1.0
    for own, slope in zip(parameters, gradient, strict=True):
        for name in slope:
            if not name.endswith("weights"):
                continue
            w = own[name]
            squares, sizes = (w**2).sum(), np.abs(w).sum()
            cost += float(plan.l2 / 2 * squares + plan.l1 * sizes) / divisor
            slope[name] += (plan.l2 * w + plan.l1 * np.sign(w)) / divisor
    return cost, gradient, done


def objective(
    network: DenseNetwork, plan: Plan, parameters: Parameters, data: Data
) -> tuple[float, Parameters]:
    """The objective and its gradient on all rows, as `engines.Objective` means it.

    A training step's, statistics of the batch included, but with no noise.
    """
    quiet = without_noise(network)
    cost, gradient, _ = cost_and_gradient(quiet, plan, parameters, data, (0, 0))
    return cost, gradient


# ---------------------------------------------------------------- update rules

_State = dict[str, Any]
_Numbers = Mapping[str, Any]
_Rule = Callable[[_State, Array, Array, float, int, _Numbers], Array]


def _mean(state: _State, name: str, value: Array | float, beta: float) -> Any:
    """Move the running mean `name`, which begins at zero, towards `value`."""
    state[name] = beta * state.get(name, 0.0) + (1 - beta) * value
    return state[name]


def _moments(state: _State, g: Array, c: _Numbers) -> tuple[Array, Array]:
    return _mean(state, "m", g, c["beta_1"]), _mean(state, "v", g**2, c["beta_2"])


def _size(values: Array) -> float:
    return float(np.sqrt((values**2).sum()))


def _sgd(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    return -rate * g


def _momentum(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Polyak (1964); with the rate in the velocity, Sutskever et al. (2013), eq. 1.
    inside, outside = (rate, 1.0) if c["rate_in_velocity"] else (1.0, rate)
    s["v"] = c["momentum"] * s.get("v", 0.0) - inside * g
    return outside * s["v"]


def _nesterov(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Sutskever et al. (2013), eq. 3, told from the point that it looks ahead to.
    inside, outside = (rate, 1.0) if c["rate_in_velocity"] else (1.0, rate)
    s["v"] = c["momentum"] * s.get("v", 0.0) - inside * g
    return outside * (c["momentum"] * s["v"] - inside * g)


def _adagrad(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Duchi et al. (2011).
    s["sum"] = s.get("sum", c["initial_accumulator"]) + g**2
    return -rate * g / np.sqrt(s["sum"] + c["epsilon"])


def _rmsprop(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Tieleman & Hinton (2012); centered, Graves (2013), eqs. 38 to 42.
    v, m = _mean(s, "v", g**2, c["decay"]), _mean(s, "m", g, c["decay"])
    v = v - m**2 if c["centered"] else v
    return -rate * g / np.sqrt(v + c["epsilon"])


def _adadelta(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Zeiler (2012), algorithm 1.
    v = _mean(s, "v", g**2, c["rho"])
    before = s.get("moved", 0.0)
    u = np.sqrt(before + c["epsilon"]) / np.sqrt(v + c["epsilon"]) * g
    _mean(s, "moved", u**2, c["rho"])
    return -rate * u


def _adam(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Kingma & Ba (2015), algorithm 1; and the form at the end of section 2.
    m, v = _moments(s, g, c)
    if c.get("uncorrected_epsilon"):
        rate = rate * np.sqrt(1 - c["beta_2"] ** t) / (1 - c["beta_1"] ** t)
        return -rate * m / (np.sqrt(v) + c["epsilon"])
    m, v = m / (1 - c["beta_1"] ** t), v / (1 - c["beta_2"] ** t)
    return -rate * m / (np.sqrt(v) + c["epsilon"])


def _amsgrad(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Reddi et al. (2018), algorithm 2, with Adam's corrections.
    m, v = _moments(s, g, c)
    s["top"] = np.maximum(s.get("top", 0.0), v / (1 - c["beta_2"] ** t))
    return -rate * m / (1 - c["beta_1"] ** t) / (np.sqrt(s["top"]) + c["epsilon"])


def _nadam(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Dozat (2016), algorithm 8.
    m, v = _moments(s, g, c)
    b = c["beta_1"]
    ahead = b * m / (1 - b ** (t + 1)) + (1 - b) * g / (1 - b**t)
    return -rate * ahead / (np.sqrt(v / (1 - c["beta_2"] ** t)) + c["epsilon"])


def _radam(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Liu et al. (2020), algorithm 2.
    m, v = _moments(s, g, c)
    b = c["beta_2"]
    m, limit = m / (1 - c["beta_1"] ** t), 2 / (1 - b) - 1
    length = limit - 2 * t * b**t / (1 - b**t)
    if length < c["threshold"]:
        return -rate * m
    r = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
    return -rate * np.sqrt(r) * m / (np.sqrt(v / (1 - b**t)) + c["epsilon"])


def _adamax(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Kingma & Ba (2015), algorithm 2.
    m = _mean(s, "m", g, c["beta_1"])
    s["u"] = np.maximum(c["beta_2"] * s.get("u", 0.0), np.abs(g) + c["epsilon"])
    return -rate / (1 - c["beta_1"] ** t) * m / s["u"]


def _lion(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Chen et al. (2023), algorithm 2.
    mixed = c["beta_1"] * s.get("m", 0.0) + (1 - c["beta_1"]) * g
    _mean(s, "m", g, c["beta_2"])
    return -rate * np.sign(mixed)


def _trust(w: Array, u: Array, coefficient: float = 1.0, epsilon: float = 0.0) -> float:
    if _size(w) == 0 or _size(u) == 0:
        return 1.0
    return coefficient * _size(w) / (_size(u) + epsilon)


def _lamb(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # You et al. (2020), algorithm 2.
    u = -_adam(s, g, w, 1.0, t, c)
    return -rate * _trust(w, u) * u


def _lars(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # You et al. (2017), algorithm 1.
    local = rate * _trust(w, g, c["trust"], c["epsilon"])
    s["v"] = c["momentum"] * s.get("v", 0.0) + local * g
    return -s["v"]


def _adabelief(
    s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers
) -> Array:
    # Zhuang et al. (2020), algorithm 2; its ε inside the belief is optax's 1e-16.
    m = _mean(s, "m", g, c["beta_1"])
    s["v"] = _mean(s, "v", (g - m) ** 2, c["beta_2"]) + 1e-16
    belief = np.sqrt(s["v"] / (1 - c["beta_2"] ** t)) + c["epsilon"]
    return -rate * m / (1 - c["beta_1"] ** t) / belief


def _yogi(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Zaheer et al. (2018), algorithm 2; both moments begin at 1e-6, with Adam's
    # corrections, as in optax.
    s["m"] = c["beta_1"] * s.get("m", 1e-6) + (1 - c["beta_1"]) * g
    v = s.get("v", 1e-6)
    s["v"] = v - (1 - c["beta_2"]) * np.sign(v - g**2) * g**2
    v = s["v"] / (1 - c["beta_2"] ** t)
    return -rate * s["m"] / (1 - c["beta_1"] ** t) / (np.sqrt(v) + c["epsilon"])


def _novograd(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Ginsburg et al. (2019), algorithm 1; one second moment a tensor.
    square = _size(g) ** 2
    s["v"] = c["beta_2"] * s.get("v", square) + (1 - c["beta_2"]) * square
    s["m"] = c["beta_1"] * s.get("m", 0.0) + g / (np.sqrt(s["v"]) + c["epsilon"])
    return -rate * s["m"]


def _adan(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Xie et al. (2024), algorithm 1, with β the share that is kept, Adam's
    # corrections, and optax's 1e-8 under the root.
    change = g - s.get("before", g)
    s["before"] = g
    kept = c["beta_2"]
    m = _mean(s, "m", g, c["beta_1"]) / (1 - c["beta_1"] ** t)
    v = _mean(s, "v", change, kept) / (1 - kept**t)
    n = _mean(s, "n", (g + (1 - kept) * change) ** 2, c["beta_3"])
    n = n / (1 - c["beta_3"] ** t)
    return -rate * (m + (1 - kept) * v) / (np.sqrt(n + 1e-8) + c["epsilon"])


def _rprop(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Riedmiller & Braun (1993), in the form iRprop− of Igel & Hüsken (2000). The rate
    # is only the first step's size.
    turn = np.sign(g * s.get("before", np.zeros_like(g)))
    size = s.get("size", np.full_like(g, c["learning_rate"]))
    factor = np.choose((turn + 1).astype(int), [c["shrink"], 1.0, c["grow"]])
    bounded = np.clip(size * factor, c["smallest"], c["largest"])
    s["size"] = np.where(turn == 0, size, bounded)
    s["before"] = np.where(turn < 0, 0.0, g)
    return -s["size"] * np.sign(s["before"])


def _sign_sgd(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Bernstein et al. (2018), algorithm 1.
    return -rate * np.sign(g)


def _sm3(s: _State, g: Array, w: Array, rate: float, t: int, c: _Numbers) -> Array:
    # Anil et al. (2019), algorithm SM3-II: a matrix's rows and columns are its covers.
    if g.ndim == 1:
        s["v"] = v = s.get("v", 0.0) + g**2
    else:
        rows, columns = s.get("rows", np.zeros(len(g))), s.get("columns", 0.0)
        v = np.minimum(rows[:, None], columns) + g**2
        s["rows"], s["columns"] = v.max(axis=1), v.max(axis=0)
    return -rate * _mean(s, "m", g / np.sqrt(v + 1e-8), c["momentum"])


PUBLISHED: dict[str, _Rule] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adadelta": _adadelta,
    "adam": _adam,
    "adamw": _adam,  # its decay is the plan's
    "amsgrad": _amsgrad,
    "nadam": _nadam,
    "radam": _radam,
    "adamax": _adamax,
    "lion": _lion,
    "lamb": _lamb,
    "lars": _lars,
    "adabelief": _adabelief,
    "yogi": _yogi,
    "novograd": _novograd,
    "adan": _adan,
    "rprop": _rprop,
    "sign_sgd": _sign_sgd,
    "sm3": _sm3,
}
"""Name to the function (state, gradient, weights, rate, t, constants) -> update of one
tensor; t counts updates from 1, and the state is empty before the first."""


# ---------------------------------------------------------------- training loop


@dataclass
class Trajectory:
    """A training run: its state, and what `EpochSums` says of it."""

    parameters: Parameters
    states: dict[tuple[int, str], _State] = field(default_factory=dict)
    gathered: list[Parameters] = field(default_factory=list)
    iterates: list[Parameters] = field(default_factory=list)
    updates: int = 0
    ratio: float = 0.0
    finite: bool = True
    loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    update_ratio: list[float] = field(default_factory=list)


def train(
    network: DenseNetwork,
    plan: Plan,
    data: Data,
    parameters: Parameters,
    orders: Array | None,
    rates: Array,
    *,
    seed: int = 0,
    first_step: int = 0,
) -> Trajectory:
    """Train as `thalweg.engines.Session.advance` does; its arguments mean the same.

    The result's `parameters` are the averages, where the plan averages.
    """
    n_rows = len(data.X) if orders is None else orders.shape[1]
    most = 200 if plan.batch_size == "auto" else plan.batch_size
    size = len(data.X) if most is None else min(int(most), len(data.X))
    per_epoch = -(-n_rows // size)
    run = Trajectory(tuple({k: v.astype(float) for k, v in p.items()}
                           for p in parameters))  # fmt: skip
    for epoch in range(len(rates) // per_epoch):
        order = np.arange(n_rows) if orders is None else orders[epoch]
        values, sizes, norms = [], [], []
        for batch in range(per_epoch):
            rows = order[batch * size : (batch + 1) * size]
            step = epoch * per_epoch + batch
            some = Data(data.X[rows], data.y[rows], data.weights[rows])
            noise = (seed, first_step + step)
            cost, norm = _step(
                run, network, plan, some, float(rates[step]), noise, data.weights.sum()
            )
            values.append(cost)
            sizes.append(len(rows))
            norms.append(norm)
            if not run.finite:
                break
        run.loss.append(float(np.average(values, weights=sizes)))
        run.gradient_norm.append(float(np.mean(norms)))
        run.update_ratio.append(run.ratio)
        if not run.finite:
            break
    run.parameters = _averaged(run, plan, per_epoch)
    return run


def _step(
    run: Trajectory,
    network: DenseNetwork,
    plan: Plan,
    batch: Data,
    rate: float,
    noise: Stream,
    total_weight: float,
) -> tuple[float, float]:
    """One step of the plan's list; returns the objective and the gradient's norm."""
    cost, gradient, done = cost_and_gradient(
        network, plan, run.parameters, batch, noise, float(total_weight)
    )
    norm = _norm(gradient)
    if not np.isfinite([cost, norm]).all():
        run.finite = False
        return cost, norm
    new = run.parameters
    gathered = [*run.gathered, gradient]
    moved = (noise[1] + 1) % plan.accumulate == 0
    if moved:
        update = _update(run, network, plan, _average(gathered), rate)
        size = _norm(_only_trained(network, new))
        ratio = _norm(update) / (size if size > 0 else 1.0)
        if not np.isfinite(ratio):
            run.finite = False
            return cost, norm
        run.ratio, run.updates, gathered = ratio, run.updates + 1, []
        new = project(network, _add(new, update))
    run.gathered = gathered
    run.parameters = tuple(
        {**own, **seen} for own, seen in zip(new, done.statistics, strict=True)
    )
    if moved and plan.average.name != "none":
        run.iterates.append(run.parameters)
    return cost, norm


def _update(
    run: Trajectory,
    network: DenseNetwork,
    plan: Plan,
    gradient: Parameters,
    rate: float,
) -> Parameters:
    """Clip, apply the rule, decay, and scale each layer."""
    optimizer = plan.optimizer
    constants = {**dict(optimizer.constants), "learning_rate": plan.rate}
    rule, factors = PUBLISHED[optimizer.label], plan.layer_rates
    gradient = clip(plan, gradient)
    update: list[dict[str, Array]] = []
    for index, own in enumerate(gradient):
        update.append({})
        for name, g in own.items():
            state = run.states.setdefault((index, name), {})
            w = run.parameters[index][name]
            u = rule(state, g, w, rate, run.updates + 1, constants)
            if name.endswith("weights"):
                u = u - rate * plan.decay * w
            update[index][name] = u * (1.0 if factors is None else factors[index])
    return tuple(update)


def clip(plan: Plan, gradient: Parameters) -> Parameters:
    """Clip by value, then by norm."""
    if plan.clip_value is not None:
        a = plan.clip_value
        gradient = _each(gradient, lambda g: np.clip(g, -a, a))
    if plan.clip_norm is not None and _norm(gradient) > plan.clip_norm:
        factor = plan.clip_norm / _norm(gradient)
        gradient = _each(gradient, lambda g: g * factor)
    return gradient


def project(network: DenseNetwork, parameters: Parameters) -> Parameters:
    """Project each trained, constrained layer's weights."""
    projected = []
    for layer, own in zip(network.layers, parameters, strict=True):
        constraint = layer.constraint
        if constraint.name != "none" and "weights" in own and not layer.frozen:
            w = own["weights"]
            lengths = np.sqrt((w**2).sum(axis=0))
            if constraint.name == "max_norm":
                limit = float(constraint["limit"] or 0)
                w = np.where(lengths > limit, w * limit / lengths, w)
            elif constraint.name == "unit_norm":
                w = w / lengths
            else:
                w = np.maximum(w, 0)
            own = {**own, "weights": w}
        projected.append(own)
    return tuple(projected)


def _averaged(run: Trajectory, plan: Plan, per_epoch: int) -> Parameters:
    """The average of the iterates by its definition, not by a recurrence."""
    average, t = plan.average, len(run.iterates)
    if average.name == "none" or t == 0:
        return run.parameters
    if average.name == "ema":
        # Kingma & Ba (2015), section 3: what weighs older iterates by dᵗ⁻ⁱ.
        shares = float(average["decay"] or 0) ** np.arange(t)[::-1]
    else:
        begun = np.floor(float(average["start"] or 0) * plan.epochs) * per_epoch
        shares = 1.0 * (np.arange(t) >= min(begun // plan.accumulate, t - 1))
    trained = _average(run.iterates, shares)
    return tuple(
        {k: mean[k] if is_trained(k) else v for k, v in own.items()}
        for own, mean in zip(run.parameters, trained, strict=True)
    )


def _average(trees: list[Parameters], shares: Array | None = None) -> Parameters:
    return tuple(
        {
            name: np.average([tree[i][name] for tree in trees], axis=0, weights=shares)
            for name in trees[0][i]
        }
        for i in range(len(trees[0]))
    )


def _each(tree: Parameters, function: Callable[[Array], Array]) -> Parameters:
    return tuple({k: function(v) for k, v in own.items()} for own in tree)


def _add(parameters: Parameters, update: Parameters) -> Parameters:
    return tuple(
        {k: v + u[k] if k in u else v for k, v in own.items()}
        for own, u in zip(parameters, update, strict=True)
    )


def _norm(tree: Parameters) -> float:
    leaves = [leaf for own in tree for leaf in own.values()]
    return float(np.sqrt(sum((leaf**2).sum() for leaf in leaves)))


# ----------------------------------------------------------------- comparisons


def central_differences(
    cost: Callable[[Parameters], float], parameters: Parameters, h: float = 1e-5
) -> Parameters:
    """Slope of `cost` by every entry of `parameters`, one after the other."""
    slopes = _each(parameters, np.zeros_like)
    for index, own in enumerate(parameters):
        for name, values in own.items():
            for place in np.ndindex(values.shape):
                ends = []
                for side in (h, -h):
                    moved = values.copy()
                    moved[place] += side
                    changed = list(parameters)
                    changed[index] = {**own, name: moved}
                    ends.append(cost(tuple(changed)))
                slopes[index][name][place] = (ends[0] - ends[1]) / (2 * h)
    return slopes


def assert_close(
    found: Parameters, expected: Parameters, *, rtol: float, atol: float
) -> None:
    """Compare two trees of arrays: names, shapes and values."""
    assert [sorted(own) for own in found] == [sorted(own) for own in expected]
    for index, (mine, other) in enumerate(zip(found, expected, strict=True)):
        for name in mine:
            np.testing.assert_allclose(
                mine[name],
                other[name],
                rtol=rtol,
                atol=atol,
                err_msg=f"{name} of layer {index}",
            )
