"""Where each parameter lies in the kernel's flat vector: trained ones first."""

from typing import Any

import numpy as np

from thalweg.core import Array, DenseNetwork, Parameters

_TRAINED = ("weights", "bias", "scale", "shift")


class Layout:
    """Where each parameter lies in the flat vector: trained ones first."""

    def __init__(self, network: DenseNetwork) -> None:
        layers = network.layers
        self.offsets: list[dict[str, int]] = [{} for _ in layers]
        self._shapes = network.shapes()
        self._sizes: dict[tuple[int, ...], int] = {}
        self.n_parameters = self.n_trained = 0

        def kept(place: tuple[int, str]) -> bool:
            return place[1] not in _TRAINED or layers[place[0]].frozen

        places = [(i, name) for i, own in enumerate(self._shapes) for name in own]
        for i, name in sorted(places, key=kept):
            shape = self._shapes[i][name]
            size = self._sizes[shape] = int(np.prod(shape))
            self.offsets[i][name] = self.n_parameters
            self.n_parameters += size
            self.n_trained += size * (not kept((i, name)))

    def pack(self, parameters: Parameters, dtype: Any) -> Array:
        """Copy all parameters into a flat vector."""
        flat = np.empty(self.n_parameters, dtype)
        for own, places in zip(parameters, self.unpack(flat), strict=True):
            for name, place in places.items():
                if own[name].shape != place.shape:
                    raise ValueError(
                        f"{name} has shape {own[name].shape}, not {place.shape}."
                    )
                place[...] = own[name]
        return flat

    def unpack(self, flat: Array) -> Parameters:
        """Return views of all parameters, or of the trained ones that `flat` holds."""

        def view(start: int, shape: tuple[int, ...]) -> Array:
            return flat[start : start + self._sizes[shape]].reshape(shape)

        return tuple(
            {k: view(at, shapes[k]) for k, at in offsets.items() if at < len(flat)}
            for shapes, offsets in zip(self._shapes, self.offsets, strict=True)
        )
