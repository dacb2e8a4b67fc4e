"""The native engine: dense networks on the CPU, whole fits in one call into C."""
