"""The types that every package speaks of: arrays, parameters, tables."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

# pandas' own types, too loose for a checker to follow; pandas itself is imported late.
Frame: TypeAlias = Any
Series: TypeAlias = Any


Array = NDArray[Any]
Parameters = tuple[dict[str, Array], ...]
