"""The JAX engine: any network, as programs that XLA compiles."""

from thalweg.engines.jax.engine import ENGINE

__all__ = ["ENGINE"]
