"""Embeddings of input columns in jax.numpy; see `thalweg.core.embeddings`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from thalweg.core import DenseNetwork, Embedding, parameter_name

_Own = dict[str, jax.Array]


def embed(
    network: DenseNetwork, own: _Own, x: jax.Array, codes: jax.Array
) -> jax.Array:
    """Return what the first layer reads: columns as they are, then embedded ones.

    Parameters
    ----------
    network : DenseNetwork
    own : dict of str to array
        Parameters of the first layer, those of the embeddings among them.
    x : array of shape (batch, n_inputs)
    codes : array of shape (batch, n_inputs)
        The same without noise, for categories.
    """
    if not network.embedding:
        return x
    parts = [x[:, np.array(network.plain_columns, int)]]
    for number, each in enumerate(network.embedding):
        found = {name: own[parameter_name(number, name)] for name in each.shapes()}
        kind = str(each.kind.name)
        rows = codes if kind == "categories" else x
        parts.append(_KINDS[kind](each, found, rows[:, np.array(each.columns)]))
    return jnp.concatenate([part.reshape(len(x), -1) for part in parts], axis=1)


def _categories(each: Embedding, own: _Own, x: jax.Array) -> jax.Array:
    levels = each.count("levels")
    known = (x == jnp.floor(x)) & (x >= 0) & (x < levels)
    rows = jnp.where(known, x, levels).astype(jnp.int32)
    return own["weights"][rows + (levels + 1) * np.arange(len(each.columns))]


def _periodic(each: Embedding, own: _Own, x: jax.Array) -> jax.Array:
    angles = 2 * np.pi * x[:, :, None] * own["frequencies"].reshape(x.shape[1], -1)
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=2)
    return jax.nn.relu(_linear(each, own, waves))


def _piecewise(each: Embedding, own: _Own, x: jax.Array) -> jax.Array:
    widths = jnp.exp(own["log_widths"].reshape(x.shape[1], -1))
    starts = own["starts"][:, None] + jnp.cumsum(widths, axis=1) - widths
    shares = (x[:, :, None] - starts) / widths
    lowest, highest = np.zeros(widths.shape[1]), np.ones(widths.shape[1])
    lowest[0], highest[-1] = -np.inf, np.inf
    bounds = (jnp.asarray(each, shares.dtype) for each in (lowest, highest))
    return _linear(each, own, jnp.clip(shares, *bounds))


def _linear(each: Embedding, own: _Own, features: jax.Array) -> jax.Array:
    """Multiply each column's features by its own matrix."""
    n, k = features.shape[1:]
    weights = own["weights"].reshape(n, k, each.units)
    highest = lax.Precision.HIGHEST
    product = jnp.einsum("bnk,nku->bnu", features, weights, precision=highest)
    return product + own["bias"].reshape(n, each.units)


_KINDS: dict[str, Any] = {
    "categories": _categories,
    "periodic": _periodic,
    "piecewise": _piecewise,
}
