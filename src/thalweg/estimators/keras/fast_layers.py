"""Layers of Keras that are replaced by equivalents while `fit` trains a model.

XLA's gradients of convolutions and of maxima over windows are slow on a CPU; the same
numbers come faster another way. Statistics of batch normalization are those of all rows
after a full-batch method.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any, cast

from thalweg import engines

_WINDOWS = 1 << 22
"""Most entries of a convolution's windows: from 5 million on XLA's own was faster."""


@contextmanager
def changed(changes: list[tuple[Any, str, Any]]) -> Iterator[None]:
    """Replace attributes of layers for a while, unnoticed by Keras's tracking."""
    before = [vars(layer).get(name) for layer, name, _ in changes]
    try:
        for change in changes:
            object.__setattr__(*change)
        yield
    finally:
        for (layer, name, _), old in zip(changes, before, strict=True):
            vars(layer).pop(name)
            if old is not None:
                object.__setattr__(layer, name, old)


def as_products(model: Any) -> list[tuple[Any, str, Any]]:
    """List faster equivalents of layers that are slow on a CPU.

    The gradients that XLA computes of convolutions and of maxima over windows are slow
    on a CPU. A pooling whose windows tile the image becomes a maximum over axes: a step
    of a network of two convolutions and poolings then took 4.6 ms instead of 10.2 (28
    by 28, 16 and 32 channels, batches of 32). A convolution becomes a product of the
    kernel with all windows, up to a size: that step then took 2.4 ms instead of 3.3,
    and with 4 and 8 channels 1.6 instead of 2.5. Inside a loop it is as fast.
    """
    layers = [] if engines.on_gpu() else model._flatten_layers()
    found = [(layer, *rewritten(layer)) for layer in layers]
    return [(layer, name, partial(own, layer)) for layer, name, own in found if own]


def forgetful(model: Any) -> list[tuple[Any, str, Any]]:
    """List the changes that make running statistics those of the batch."""
    return [
        (layer, "momentum", 0.0)
        for layer in model._flatten_layers()
        if hasattr(layer, "moving_mean") and hasattr(layer, "momentum")
    ]


def rewritten(layer: Any) -> tuple[str, Callable[..., Any] | None]:
    """Return the name of a method of a layer, and a faster equivalent on a CPU."""
    from keras import layers

    kind, last = type(layer), getattr(layer, "data_format", "") == "channels_last"
    if last and kind in (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D):
        tiles = layer.pool_size == layer.strides and layer.padding == "valid"
        return "call", _tiled_max if tiles else None
    if last and kind in (layers.Conv1D, layers.Conv2D, layers.Conv3D):
        plain = {*layer.strides, *layer.dilation_rate, layer.groups} == {1}
        fits = plain and layer.padding in ("valid", "same")
        return "convolution_op", _by_windows if fits else None
    return "", None


def _tiled_max(layer: Any, inputs: Any) -> Any:
    import keras

    size = layer.pool_size
    tiles = [n // p for n, p in zip(inputs.shape[1:-1], size, strict=True)]
    kept = [slice(n * p) for n, p in zip(tiles, size, strict=True)]
    pairs = [each for pair in zip(tiles, size, strict=True) for each in pair]
    windows = keras.ops.reshape(
        inputs[(slice(None), *kept)], (-1, *pairs, inputs.shape[-1])
    )
    return keras.ops.max(windows, axis=tuple(range(2, 2 + len(pairs), 2)))


def _by_windows(layer: Any, inputs: Any, kernel: Any) -> Any:
    import keras

    *size, _, units = kernel.shape
    filled = inputs
    if layer.padding == "same":
        around = [((k - 1) // 2, k // 2) for k in size]
        filled = cast(Any, keras.ops.pad(inputs, [(0, 0), *around, (0, 0)]))
    spots = [n - k + 1 for n, k in zip(filled.shape[1:-1], size, strict=True)]
    if inputs.shape[0] * math.prod(spots) * math.prod(kernel.shape[:-1]) > _WINDOWS:
        return type(layer).convolution_op(layer, inputs, kernel)
    windows = [
        filled[
            (slice(None), *(slice(i, i + n) for i, n in zip(at, spots, strict=True)))
        ]
        for at in product(*map(range, size))
    ]
    flat = keras.ops.reshape(kernel, (-1, units))
    return keras.ops.matmul(keras.ops.concatenate(windows, axis=-1), flat)
