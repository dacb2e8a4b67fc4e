"""Losses in jax.numpy: raw outputs (batch, k) and targets in, one loss a row out.

Targets are class numbers (batch,) or rows (batch, k). The formulas are in
`thalweg.core.plan.LOSSES`.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy

from thalweg.core import Choice, Number, naming

_A = jax.Array


def row_losses(
    loss: Choice, constants: Mapping[str, Number], outputs: Any, y: Any
) -> jax.Array:
    """Loss of each row, shape (batch,)."""
    if callable(loss.name):
        with naming("loss", owner="fit"):
            losses = loss.name(outputs, y)
        if not hasattr(losses, "shape"):
            raise ValueError(
                f"the loss {loss.label!r} returned {type(losses).__name__}; it must "
                "return an array with the loss of each row."
            )
        return losses
    if outputs.ndim != 2:
        outputs = outputs.reshape(len(outputs), -1)
    if y.ndim > 2:
        y = y.reshape(len(y), -1)
    if y.ndim == 1:
        y = jax.nn.one_hot(y, outputs.shape[1], dtype=outputs.dtype)
    rest = dict(constants)
    scale = rest.pop("scale", 1.0)
    return scale * LOSSES[loss.name](outputs, y, **rest)


def _cross_entropy(outputs: _A, y: _A, label_smoothing: _A, clipped: bool) -> _A:
    y = (1 - label_smoothing) * y + label_smoothing / outputs.shape[1]
    losses = -(y * jax.nn.log_softmax(outputs)).sum(axis=1)
    if clipped:
        p = _clip(jax.nn.softmax(outputs))
        losses = _with_value(losses, -xlogy(y, p).sum(axis=1))
    return losses


def _binary_cross_entropy(outputs: _A, y: _A, label_smoothing: _A, clipped: bool) -> _A:
    y = (1 - label_smoothing) * y + label_smoothing / 2
    losses = (jnp.logaddexp(outputs, 0.0) - y * outputs).sum(axis=1)
    if clipped:
        p = _clip(jax.nn.sigmoid(outputs))
        value = -(xlogy(y, p) + xlogy(1 - y, 1 - p)).sum(axis=1)
        losses = _with_value(losses, value)
    return losses


def _squared(outputs: _A, y: _A, averaged: bool) -> _A:
    losses = ((outputs - y) ** 2).sum(axis=1) / 2
    return _with_value(losses, losses / outputs.shape[1]) if averaged else losses


def _clip(probabilities: _A) -> _A:
    epsilon = jnp.finfo(probabilities.dtype).eps
    return jnp.clip(probabilities, epsilon, 1 - epsilon)


@jax.custom_jvp
def _with_value(losses: _A, value: _A) -> _A:
    """Give `value` with the gradient of `losses`."""
    return value


@_with_value.defjvp
def _(primals: tuple[_A, _A], tangents: tuple[_A, _A]) -> tuple[_A, _A]:
    return primals[1], tangents[0]


def _focal(outputs: _A, y: _A, gamma: _A) -> _A:
    log_p = jax.nn.log_softmax(outputs)
    # Kept off zero: the power's slope there is infinite, or 0 · ∞ for gamma = 0.
    rest = jnp.maximum(-jnp.expm1(log_p), jnp.finfo(outputs.dtype).tiny)
    return -(y * rest**gamma * log_p).sum(axis=1)


def _hinge(outputs: _A, y: _A) -> _A:
    others = jnp.where(y > 0, -jnp.inf, outputs).max(axis=1)
    return jnp.maximum(0.0, 1 + others - (y * outputs).sum(axis=1))


def _huber(outputs: _A, y: _A, delta: _A) -> _A:
    error = jnp.abs(outputs - y)
    small = jnp.minimum(error, delta)
    return (small * (error - small / 2)).sum(axis=1)


def _log_cosh(outputs: _A, y: _A) -> _A:
    error = outputs - y
    # log cosh e = |e| + log(1 + exp(−2|e|)) − log 2, symmetric and without overflow.
    return (jnp.logaddexp(error, -error) - jnp.log(2.0)).sum(axis=1)


def _absolute(outputs: _A, y: _A, slope_at_zero: _A) -> _A:
    error = outputs - y
    return jnp.where(error == 0, slope_at_zero * error, jnp.abs(error)).sum(axis=1)


def _quantile(outputs: _A, y: _A, quantile: _A) -> _A:
    error = y - outputs
    tilted = jnp.maximum(quantile * error, (quantile - 1) * error)
    return jnp.where(error == 0, 0.0, tilted).sum(axis=1)


LOSSES = {
    "cross_entropy": _cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
    "squared": _squared,
    "absolute": _absolute,
    "huber": _huber,
    "log_cosh": _log_cosh,
    "quantile": _quantile,
    "poisson": lambda z, y: (jnp.exp(z) - y - y * z + xlogy(y, y)).sum(axis=1),
    "hinge": _hinge,
    "focal": _focal,
}
