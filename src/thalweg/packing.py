"""Weights as people hold them, and the one flat vector that minimizers want.

`x0` may be a number, an array of any shape, or lists, tuples and dicts of such, nested
as one likes. A `Packing` remembers the structure, and names each array by its place:
``x``, ``x[0]``, ``x['W1']``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.records import Array


@dataclass(frozen=True)
class Part:
    """One array of the structure: its name, shape, and place in the flat vector."""

    name: str
    shape: tuple[int, ...]
    start: int

    @property
    def stop(self) -> int:
        """The end of its place."""
        return self.start + int(np.prod(self.shape))


class Packing:
    """The structure of `x0`.

    Parameters
    ----------
    x0 : array-like, or nested lists, tuples and dicts of arrays

    Raises
    ------
    ValueError
        If something in it is not an array of finite real numbers, or it is empty.
    """

    def __init__(self, x0: Any) -> None:
        self.example = x0
        self.parts: list[Part] = []
        start = 0
        for name, value in _leaves(x0, "x0"):
            array = _as_numbers(value, name)
            self.parts.append(Part(name, array.shape, start))
            start += array.size
        self.size = start
        if start == 0:
            raise ValueError("x0 holds no numbers; give the point to begin at.")

    @property
    def is_flat(self) -> bool:
        """Whether x0 is one vector, so that packing changes nothing."""
        return len(self.parts) == 1 and len(self.parts[0].shape) == 1

    def pack(self, value: Any) -> Array:
        """Flatten a structure like x0 to a float64 vector of shape (size,)."""
        arrays = [np.asarray(leaf, float).ravel() for _, leaf in _leaves(value, "x")]
        return np.concatenate(arrays)

    def unpack(self, x: Any) -> Any:
        """Give a flat vector, NumPy's or JAX's, the structure of x0, as copies."""
        arrays = iter(x[p.start : p.stop].reshape(p.shape).copy() for p in self.parts)
        return _refill(self.example, arrays)

    def part_at(self, index: int) -> Part:
        """Return the array that an entry of the flat vector falls in."""
        return next(part for part in self.parts if index < part.stop)


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple) and not _is_plain(value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{name}[{index}]")
    else:
        yield name, value


def _is_plain(value: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list is just numbers, which is one array and not many."""
    return all(np.isscalar(item) or isinstance(item, int | float) for item in value)


def _as_numbers(value: Any, name: str) -> Array:
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        array = np.empty(0)
        if np.size(value):
            raise ValueError(
                f"{name} is {value!r}; it must be an array of real numbers."
            ) from None
    if not np.isfinite(array).all():
        at = np.argwhere(~np.isfinite(array))[0].tolist()
        raise ValueError(
            f"{name} is not finite at {at}. Begin at a point of finite numbers."
        )
    return array


def _refill(example: Any, arrays: Iterator[Array]) -> Any:
    if isinstance(example, Mapping):
        return {key: _refill(item, arrays) for key, item in example.items()}
    if isinstance(example, list | tuple) and not _is_plain(example):
        items = [_refill(item, arrays) for item in example]
        return items if isinstance(example, list) else tuple(items)
    return next(arrays)
