"""Second derivatives of the objective on JAX."""

from typing import Any

import jax.flatten_util
import jax.numpy as jnp
from jax import lax

from thalweg.core import Network
from thalweg.engines.jax.forward import propagate
from thalweg.engines.jax.losses import row_losses
from thalweg.engines.jax.step import (
    Batch,
    Shape,
    Tree,
    is_weight,
    loss_constants,
    make_noise,
    objective,
    over_all_rows,
)

_COLUMNS_AT_ONCE = 32


def hessian_product(
    shape: Shape, trained: Tree, kept: Tree, batch: Batch, numbers: Any, along: Tree
) -> Any:
    """Compute the derivative of the gradient along a direction (Pearlmutter, 1994)."""
    cost = over_all_rows(shape, kept, batch, numbers)
    gradient = jax.grad(lambda point: cost(point)[0])
    return jax.jvp(gradient, (trained,), (along,))[1]


def hessian(shape: Shape, trained: Tree, *rest: Any) -> jax.Array:
    """Compute the Hessian, shape (p, p).

    One product a column; parameters in the order of ``jax.tree.leaves``.
    """
    cost = over_all_rows(shape, *rest)
    flat, unravel = jax.flatten_util.ravel_pytree(trained)
    gradient = jax.grad(lambda point: cost(unravel(point))[0])

    def column(along: jax.Array) -> jax.Array:
        return jax.jvp(gradient, (flat,), (along,))[1]

    unit = jnp.eye(len(flat), dtype=flat.dtype)
    return lax.map(column, unit, batch_size=_COLUMNS_AT_ONCE)


def gauss_newton(
    shape: Shape, rows: int, trained: Tree, kept: Tree, batch: Batch, numbers: Any
) -> jax.Array:
    """Compute the Gauss-Newton matrix, shape (p, p).

    JᵀHJ (Schraudolph, 2002), with the Jacobian J of the outputs and the Hessian H of
    the loss in them, summed over chunks of `rows`; parameters in the order of
    ``jax.tree.leaves``.
    """
    flat, unravel = jax.flatten_util.ravel_pytree(trained)
    constants = loss_constants(shape.loss, numbers["loss"])
    # Our layers' own statistics are running ones here; they are none for those
    # that may be trained so.
    quiet = make_noise(numbers, batch) if isinstance(shape.network, Network) else None

    def output(point: jax.Array, x: jax.Array) -> jax.Array:
        row = jax.tree.map(lambda v: v[None], x)
        outputs = propagate(shape.network, unravel(point), kept, row, quiet)[0]
        return outputs[-1].ravel()

    def loss(z: jax.Array, y: jax.Array) -> jax.Array:
        return row_losses(shape.loss, constants, z[None], y[None])[0]

    def add(total: jax.Array, chunk: Batch) -> tuple[jax.Array, None]:
        outputs = jax.vmap(output, (None, 0))(flat, chunk.X)
        jacobian = jax.vmap(jax.jacrev(output), (None, 0))(flat, chunk.X)
        curved = jax.vmap(jax.hessian(loss))(outputs, chunk.y)
        right = jnp.einsum("nkl,nlp->nkp", curved, jacobian)
        right = right * chunk.weights[:, None, None]
        wide = (-1, len(flat))
        return total + jacobian.reshape(wide).T @ right.reshape(wide), None

    chunks = jax.tree.map(lambda v: v.reshape(-1, rows, *v.shape[1:]), batch)
    total = jnp.zeros((len(flat), len(flat)), flat.dtype)
    total, _ = lax.scan(add, total, chunks)
    weight = batch.weights.sum()
    divisor = weight if shape.by_batch else numbers["total_weight"]
    decayed = jax.tree.map(lambda v: jnp.full_like(v, is_weight(v)), trained)
    ridge = numbers["l2"] / divisor * jax.flatten_util.ravel_pytree(decayed)[0]
    return total / weight + jnp.diag(ridge)


def redrawn(shape: Shape, trained: Tree, kept: Tree, batch: Batch, numbers: Any) -> Any:
    """Compute the objective at one step and at the next."""
    first, (after, _) = over_all_rows(shape, kept, batch, numbers)(trained)
    later = make_noise(numbers, batch, step=1)
    return first, objective(shape, trained, after, batch, numbers, later)[0]


def rowwise(shape: Shape, trained: Tree, kept: Tree, batch: Batch, numbers: Any) -> Any:
    """Tell whether rows pass apart, and the number of outputs.

    Levenberg-Marquardt needs the outputs of some rows to be those of each alone, and
    nothing added to the loss.
    """
    quiet = make_noise(numbers, batch)

    def output(X: Any) -> Any:
        layers, _, added = propagate(shape.network, trained, kept, X, quiet)
        return layers[-1], added

    some = jax.tree.map(lambda v: v[:8], batch.X)
    together, added = output(some)
    alone = lax.map(lambda x: output(jax.tree.map(lambda v: v[None], x))[0], some)
    same = jnp.allclose(together, alone[:, 0], rtol=1e-3, atol=1e-4)
    return same & (jnp.asarray(added) == 0), together[0].size
