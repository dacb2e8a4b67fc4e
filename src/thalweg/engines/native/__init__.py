"""The native engine: dense networks on the CPU, whole fits in one call into C."""

from thalweg.engines.native.engine import ENGINE

__all__ = ["ENGINE"]
