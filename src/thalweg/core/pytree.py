"""Weights as people hold them, and the one flat vector that minimizers work on.

`x0` may be a number, an array of any shape, or lists, tuples and dicts of such, nested
to any depth. A `PyTree` remembers the structure, and names each array by its place:
``x0``, ``x0[0]``, ``x0['W1']``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core.embeddings import is_trained
from thalweg.core.types import Array, Parameters


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

    @property
    def rank(self) -> int:
        """How many dimensions are more than 1 long: 2 for a matrix, 0 for a number."""
        return sum(length > 1 for length in self.shape)


class PyTree:
    """The structure of `x0`.

    Parameters
    ----------
    x0 : array-like, or nested lists, tuples and dicts of arrays
    check_finite : bool
        Whether its numbers must be finite.

    Raises
    ------
    ValueError
        If something in it is not an array of finite real numbers, or it is empty.
    """

    def __init__(self, x0: Any, check_finite: bool = True) -> None:
        self.example = x0
        self.parts: list[Part] = []
        start = 0
        for name, value in _leaves(x0, x0, "x0"):
            array = _as_real(value, name)
            if check_finite:
                _check_finite(array, name)
            self.parts.append(Part(name, array.shape, start))
            start += array.size
        self.size = start
        if start == 0:
            raise ValueError("x0 holds no numbers. Give the point to begin at.")

    @property
    def is_flat(self) -> bool:
        """Whether x0 is one vector, so that packing changes nothing."""
        is_array = not isinstance(self.example, Mapping) and self.parts[0].name == "x0"
        return is_array and len(self.parts[0].shape) == 1

    def pack(self, value: Any) -> Array:
        """Flatten a structure like x0 to a float64 vector of shape (size,)."""
        return np.concatenate([leaf.ravel() for _, leaf in self.pairs(value)])

    def pairs(self, value: Any) -> Iterator[tuple[Part, Array]]:
        """Pair each array of x0 with that in the same place of `value`.

        Raises
        ------
        ValueError
            Naming what is missing, unknown, or not made of real numbers.
        """
        leaves = _leaves(self.example, value, "x0")
        for part, (name, leaf) in zip(self.parts, leaves, strict=True):
            yield part, _as_real(leaf, name)

    def unpack(self, x: Any) -> Any:
        """Give a flat vector, NumPy's or JAX's, the structure of x0, as copies."""
        arrays = iter(x[p.start : p.stop].reshape(p.shape).copy() for p in self.parts)
        return _refill(self.example, arrays)

    def part_at(self, index: int) -> Part:
        """Return the array that an entry of the flat vector falls in."""
        return next(part for part in self.parts if index < part.stop)


def _leaves(example: Any, value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Walk through `value` along the structure of `example`."""
    if isinstance(example, Mapping):
        _check_keys(example, value, name)
        keys = list(example)
    elif isinstance(example, list | tuple) and not _is_plain(example):
        _check_length(example, value, name)
        keys = range(len(example))
    else:
        yield name, value
        return
    for key in keys:
        yield from _leaves(example[key], value[key], f"{name}[{key!r}]")


def _check_keys(example: Mapping[Any, Any], value: Any, name: str) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is a dict, but {_kind(value)} was returned.")
    missing, extra = [k for k in example if k not in value], set(value) - set(example)
    if missing or extra:
        lacks = f" Missing: {missing}." if missing else ""
        more = f" Unknown: {sorted(map(str, extra))}." if extra else ""
        raise ValueError(
            f"{name} has the keys {list(example)}, and a dict with other keys was "
            f"returned.{lacks}{more}"
        )


def _check_length(example: Any, value: Any, name: str) -> None:
    if not isinstance(value, list | tuple) or len(value) != len(example):
        raise ValueError(
            f"{name} is a list of {len(example)} arrays, but {_kind(value)} was "
            "returned."
        )


def _kind(value: Any) -> str:
    """Name what was returned, for messages."""
    length = f" of {len(value)}" if isinstance(value, list | tuple) else ""
    return f"a {type(value).__name__}{length}"


def _is_plain(value: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list is just numbers, which is one array and not many."""
    return all(np.isscalar(item) for item in value)


def _as_real(value: Any, name: str) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(1, object)  # a ragged list
    if array.size and array.dtype.kind not in "fiub":
        raise ValueError(f"{name} is {value!r}; it must be an array of real numbers.")
    return np.array(array, float)


def _check_finite(array: Array, name: str) -> None:
    if not np.isfinite(array).all():
        at = np.argwhere(~np.isfinite(array))[0].tolist()
        place = f" at {at}" if at else ""
        raise ValueError(
            f"{name} is not finite{place}. Begin at a point of finite numbers."
        )


def _refill(example: Any, arrays: Iterator[Array]) -> Any:
    if isinstance(example, Mapping):
        return {key: _refill(item, arrays) for key, item in example.items()}
    if isinstance(example, list | tuple) and not _is_plain(example):
        return _like(example, [_refill(item, arrays) for item in example])
    return next(arrays)


def _like(example: list[Any] | tuple[Any, ...], items: list[Any]) -> Any:
    """Return items as a list, a tuple, or the named tuple that `example` is."""
    if isinstance(example, list):
        return items
    return type(example)(*items) if hasattr(example, "_fields") else tuple(items)


class DenseLeaves:
    """The trained arrays of a dense network in scikit-learn's order, and back."""

    def __init__(self, network: Any, parameters: Parameters) -> None:
        self.places = [
            (i, name)
            for name in ("weights", "bias", "scale", "shift")
            for i, layer in enumerate(network.layers)
            if name in parameters[i] and not layer.frozen
        ]
        known = {name for _, name in self.places}
        self.places += [  # those of embeddings
            (0, name)
            for name in parameters[0]
            if is_trained(name) and name not in known and not network.layers[0].frozen
        ]
        self.shapes = [leaf.shape for leaf in self.of(parameters)]
        self._n_layers = len(network.layers)

    def of(self, parameters: Parameters) -> list[Array]:
        """List the arrays of parameters, or of something shaped like those trained."""
        return [parameters[i][name] for i, name in self.places]

    def filled(self, leaves: list[Array]) -> Parameters:
        """Put arrays where they belong."""
        shaped: Parameters = tuple({} for _ in range(self._n_layers))
        for (i, name), leaf in zip(self.places, leaves, strict=True):
            shaped[i][name] = leaf
        return shaped

    def joined(self, parameters: Parameters, trained: Parameters) -> Parameters:
        """Replace what is trained in `parameters`."""
        pairs = zip(parameters, trained, strict=True)
        return tuple({**own, **new} for own, new in pairs)


def each_array(function: Callable[..., Any], tree: Any, name: str = "") -> Any:
    """Put each array of a nest of tuples, lists and dicts through a function.

    With a `name`, the function is given each array's own as well: ``X['left'][0]``.
    """
    if isinstance(tree, Mapping):
        pairs = tree.items()
    elif isinstance(tree, tuple | list):
        pairs = enumerate(tree)
    else:
        return function(tree, name) if name else function(tree)
    done = {
        key: each_array(function, value, name and f"{name}[{key!r}]")
        for key, value in pairs
    }
    return done if isinstance(tree, Mapping) else _like(tree, [*done.values()])
