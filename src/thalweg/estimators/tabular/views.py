"""What a member sees of the encoded table: some of its features, and waves of them.

Members that see numbers in different ways err in different ways, so that their mean is
better than that of members alike. All views share the encoded table; waves are computed
from it when they are needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from thalweg.core import Array, CompactRows

_DISTINCT = 10  # values of a number, above which it gets waves
_MOST_NUMBERS = 30
_LOOKED_AT = 20_000  # rows


@dataclass(frozen=True, eq=False)
class View:
    """What one member sees.

    Parameters
    ----------
    features : ndarray of bool, shape (n_features,), or None
        Which features; None for all.
    pieces : {"usual", "fine", "none"}
        Which piecewise-linear encoding is among them.
    places : ndarray of int, shape (n_numbers,)
        Features that waves are added of, behind all others.
    frequencies : ndarray of shape (n_numbers, n_frequencies)
        Each adds the sine and the cosine of ``2π · frequency · feature`` (Rahimi &
        Recht, 2007; Gorishniy et al., 2022, section 3.3).
    """

    features: Array | None = None
    pieces: str = "usual"
    places: Array | None = None
    frequencies: Array | None = None

    @property
    def whole(self) -> bool:
        """Whether it is the table as it is encoded."""
        return self.features is None and self.places is None

    def of(self, inputs: Any) -> Any:
        """Return what is seen of inputs, an array or `CompactRows`."""
        if self.whole:
            return inputs
        seen = inputs
        if self.features is not None:
            compact = isinstance(inputs, CompactRows)
            seen = inputs.keep(self.features) if compact else inputs[:, self.features]
        if self.places is None:
            return seen
        compact = isinstance(inputs, CompactRows)
        numbers = inputs.numbers(self.places) if compact else inputs[:, self.places]
        waves = self._waves(numbers)
        if compact:
            return CompactRows.join([seen, CompactRows.of([waves], inputs.dtype)])
        return np.concatenate([seen, waves], axis=1)

    def _waves(self, numbers: Array) -> Array:
        assert self.frequencies is not None
        own = np.asarray(2 * np.pi * self.frequencies, numbers.dtype)
        angles = (numbers[:, :, None] * own).reshape(len(numbers), -1)
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

    def to_document(self, number: int) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what a model file keeps: values for JSON, and arrays."""
        kept = {
            f"view.{number}.{name}": np.asarray(value).astype(_TYPES[name])
            for name in _TYPES
            if (value := getattr(self, name)) is not None
        }
        return {"pieces": self.pieces}, kept

    @classmethod
    def from_document(
        cls, number: int, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Read what `to_document` returned."""
        kept = {name: arrays.get(f"view.{number}.{name}") for name in _TYPES}
        mask = kept.pop("features")
        mask = None if mask is None else mask.astype(bool)
        return cls(mask, str(content["pieces"]), **kept)


_TYPES = {"features": np.uint8, "places": np.int64, "frequencies": np.float64}


def wave_places(inputs: CompactRows) -> Array | None:
    """Return the features that waves help: numbers of more than ten different values.

    An array without elements if there are none, and None if there are too many.
    """
    some = inputs[:: -(-len(inputs) // _LOOKED_AT) or 1]
    singles = some.single_numbers()
    found = [
        place for place, values in singles.items() if len(np.unique(values)) > _DISTINCT
    ]
    return np.array(found, int) if len(found) <= _MOST_NUMBERS else None
