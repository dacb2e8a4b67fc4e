"""Derivatives of a user's own function, where it is written in jax.numpy."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.core import Array


class Derived(NamedTuple):
    """A function's derivatives, on flat float64 NumPy vectors."""

    both: Callable[[Array], tuple[float, Array]]
    product: Callable[[Array, Array], Array]


def derive(
    fun: Callable[..., Any],
    unpack: Callable[[Any], Any],
    size: int,
    args: tuple[Any, ...],
) -> Derived | None:
    """Derive gradient and Hessian products; None if JAX cannot trace `fun`.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> cost``.
    unpack : callable
        From the flat vector, of `size` entries, to x.
    args : tuple
        Further arguments.
    """

    def flat(x: jax.Array) -> jax.Array:
        return jnp.reshape(fun(unpack(x), *args), ())

    like_x = jax.ShapeDtypeStruct((size,), jnp.float64)
    value_and_grad = jax.jit(jax.value_and_grad(flat))
    with jax.enable_x64(True):
        try:
            jax.eval_shape(flat, like_x)
        except Exception:
            # NumPy functions refuse tracers in many ways; any refusal means the same.
            return None
        try:
            value_and_grad.lower(like_x)
        except (TypeError, ValueError):
            # A compiled function that was called with 32 bits before keeps its NumPy
            # constants in 32 bits, and they do not fit x. Let JAX forget them.
            jax.clear_caches()
            value_and_grad = jax.jit(jax.value_and_grad(flat))
    along = jax.jit(lambda x, v: jax.jvp(jax.grad(flat), (x,), (v,))[1])

    def both(x: Array) -> tuple[float, Array]:
        with jax.enable_x64(True):
            cost, gradient = value_and_grad(x)
            return float(cost), np.array(gradient)

    def product(x: Array, v: Array) -> Array:
        # SciPy's LinearOperator probes with integers, which jvp refuses.
        with jax.enable_x64(True):
            return np.array(along(x, np.asarray(v, float)))

    return Derived(both, product)
