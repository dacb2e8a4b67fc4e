"""The JAX engine: any network, as programs that XLA compiles."""
