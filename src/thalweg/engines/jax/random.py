"""The counter-based generator of dropout masks and input noise.

Every engine draws the same bits whatever its threads, chunks or batch padding, because
a bit depends only on (seed, step, layer, element). The specification:

- The generator is Threefry-2x32 with 20 rounds (Salmon et al., 2011, "Parallel random
  numbers: as easy as 1, 2, 3"): two uint32 of key and of counter in, two words out.
- key = (seed, step): the session's seed, and the number of updates done before.
- counter = (i, layer): layers count from 1; 0 is the network's input.
- Element e of a layer's (batch, width) array, e = row·width + column, takes
  word e mod 2 of the counter i = ⌊e/2⌋.
- Dropout keeps an element when its word ≥ ⌊rate·2³²⌋ (computed in float64), and
  multiplies what it keeps by 1/(1−rate).
- Gaussian noise uses the pair's two words u, v by Box and Muller (1958):
  a = (⌊u/2⁸⌋ + ½)·2⁻²⁴, b = ⌊v/2⁸⌋·2⁻²⁴; the even element is √(−2 ln a)·cos(2πb), the
  odd one √(−2 ln a)·sin(2πb), in the network's dtype.

Test vectors, key and counter → words: (0, 0), (0, 0) → 6b200159 99ba4efe;
(ffffffff, ffffffff), (ffffffff, ffffffff) → 1cb996fc bb002be7;
(13198a2e, 03707344), (243f6a88, 85a308d3) → c4923a9c 483df7a0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import threefry2x32_p


def words(
    seed: jax.Array, step: jax.Array, layer: int, n_pairs: int
) -> tuple[jax.Array, jax.Array]:
    """Return the two words of counters 0 to `n_pairs` - 1, uint32 (n_pairs,) each."""
    counter = jnp.arange(n_pairs, dtype=jnp.uint32)
    layers = jnp.full(n_pairs, layer, jnp.uint32)
    # Under vmap the primitive wants the members' axis in both words of the key.
    step = step ^ seed ^ seed
    key = [jnp.full(n_pairs, part, jnp.uint32) for part in (seed, step)]
    first, second = threefry2x32_p.bind(*key, counter, layers)
    return first, second


def dropout(
    x: jax.Array, rate: jax.Array, threshold: jax.Array, stream: "Stream", layer: int
) -> jax.Array:
    """Zero a share `rate` of `x` (batch, width), and scale up the rest."""
    drawn = _interleave(*words(*stream, layer, -(-x.size // 2)), x.shape)
    return jnp.where(drawn >= threshold, x / (1 - rate), jnp.zeros_like(x))


def add_gaussian(x: jax.Array, std: jax.Array, stream: "Stream") -> jax.Array:
    """Add Gaussian noise to `x` (batch, width), the network's input."""
    first, second = words(*stream, 0, -(-x.size // 2))
    scale = np.asarray(2.0**-24, x.dtype)
    a = ((first >> 8).astype(x.dtype) + np.asarray(0.5, x.dtype)) * scale
    turn = (second >> 8).astype(x.dtype) * scale * np.asarray(2 * np.pi, x.dtype)
    radius = jnp.sqrt(-2 * jnp.log(a))
    normal = _interleave(radius * jnp.cos(turn), radius * jnp.sin(turn), x.shape)
    return x + std * normal


def threshold(rate: float) -> np.uint32:
    """Return the smallest word that keeps an element dropped at `rate`."""
    return np.uint32(int(rate * 2**32))


Stream = tuple[jax.Array, jax.Array]


def _interleave(even: jax.Array, odd: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    size = int(np.prod(shape))
    return jnp.stack([even, odd], axis=1).reshape(-1)[:size].reshape(shape)
