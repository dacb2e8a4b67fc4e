"""Optional dependencies: import them, or say how they are installed."""

from importlib import import_module
from typing import Any


def need(module: str, what: str, extra: str) -> Any:
    """Import what is not always installed, or raise ValueError: how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(
            f"{what} ({error}). Install it with pip install 'thalweg[{extra}]'."
        ) from error
