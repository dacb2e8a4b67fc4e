"""What a Keras model is made of, read by type and configuration: `read_layers`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Array

_CUTTING = ("relu", "relu6")
_CONVOLUTIONS = "Conv"
_RECURRENCES = ("SimpleRNN", "LSTM", "GRU")
_ACTIVATION_LAYERS = {
    "ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "PReLU": "prelu",
    "Softmax": "softmax",
}  # fmt: skip
_SCALING = ("Normalization", "Rescaling", "BatchNormalization", "LayerNormalization",
            "UnitNormalization")  # fmt: skip


@dataclass(frozen=True, eq=False)
class LayerView:
    """A layer that has weights to learn, with what stands between it and the next one.

    Parameters
    ----------
    layer : keras.layers.Layer
    kind, name : str
    units : int
    activations : tuple of str
        Of the layer and of the activation layers behind it, without linear ones.
    activation_layers : tuple of str
        Names of the activation layers behind it.
    after : tuple of layer
        All layers between it and the next one with weights.
    """

    layer: Any
    kind: str
    name: str
    units: int
    activations: tuple[str, ...]
    activation_layers: tuple[str, ...]
    after: tuple[Any, ...]

    @property
    def recurrent(self) -> bool:
        """Whether it is a recurrence."""
        return self.kind in (*_RECURRENCES, "Bidirectional")

    @property
    def kernel(self) -> Array | None:
        """Its kernel; None if it is not built or has none."""
        for name in ("kernel", "_kernel", "embeddings"):
            found = getattr(self.layer, name, None)
            if found is not None:
                return value_of(found)
        cell = getattr(self.layer, "cell", None)
        kernel = getattr(cell, "kernel", None)
        return None if kernel is None else value_of(kernel)


def value_of(variable: Any) -> Array:
    """Return what a variable of Keras holds."""
    return np.asarray(getattr(variable, "value", variable))


def is_keras_model(subject: Any) -> bool:
    """Whether it is a `keras.Model`; Keras is not imported to tell."""
    import sys

    keras = sys.modules.get("keras")
    return keras is not None and isinstance(subject, keras.Model)


def flat_layers(model: Any) -> list[Any]:
    """Return the layers of a model and of the models in it, in order."""
    import keras

    found: list[Any] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += flat_layers(layer)
        elif type(layer).__name__ != "InputLayer":
            found.append(layer)
    return found


def read_layers(model: Any) -> tuple[list[LayerView], list[Any]]:
    """Return the layers with weights, and those before the first of them."""
    views: list[LayerView] = []
    front: list[Any] = []
    for layer in flat_layers(model):
        kind = type(layer).__name__
        if _learns(layer, kind):
            own = activation_name(layer)
            acts = (own,) if own != "linear" else ()
            views.append(
                LayerView(layer, kind, layer.name, _units(layer), acts, (), ())
            )
        elif not views:
            front.append(layer)
        else:
            views[-1] = _followed(views[-1], layer, kind)
    return views, front


def _followed(view: LayerView, layer: Any, kind: str) -> LayerView:
    name = _ACTIVATION_LAYERS.get(kind, "")
    if kind == "Activation":
        name = activation_name(layer)
    acts, names = view.activations, view.activation_layers
    if name and name != "linear":
        acts, names = (*acts, name), (*names, layer.name)
    return LayerView(view.layer, view.kind, view.name, view.units, acts, names,
                     (*view.after, layer))  # fmt: skip


def _learns(layer: Any, kind: str) -> bool:
    if kind in _SCALING or kind in _ACTIVATION_LAYERS:
        return False
    return any(hasattr(layer, name) for name in ("units", "filters", "cell",
               "forward_layer", "output_dim", "depth_multiplier"))  # fmt: skip


def _units(layer: Any) -> int:
    if hasattr(layer, "forward_layer"):
        return 2 * int(layer.forward_layer.units)
    for name in ("units", "filters", "output_dim"):
        if isinstance(getattr(layer, name, None), int):
            return int(getattr(layer, name))
    shape = getattr(layer, "output", None)
    return int(shape.shape[-1]) if shape is not None else 0


def activation_name(layer: Any) -> str:
    """Return the name of a layer's activation; "linear" for none."""
    inner = getattr(layer, "forward_layer", layer)
    function = getattr(inner, "activation", None)
    if function is None:
        return "linear"
    name = getattr(function, "__name__", None) or getattr(function, "name", None)
    return str(name or type(function).__name__).lower()


def recurrent_activation(view: LayerView) -> str:
    """Return the activation of a recurrence's state; "" if it is none."""
    if not view.recurrent:
        return ""
    return activation_name(view.layer)


def initializer_value(layer: Any, name: str = "kernel_initializer") -> float | None:
    """Return the value that an initializer gives each weight; None if it draws them."""
    import keras

    found = getattr(getattr(layer, "forward_layer", layer), name, None)
    if found is None:
        return None
    if isinstance(found, keras.initializers.Zeros):
        return 0.0
    if isinstance(found, keras.initializers.Ones):
        return 1.0
    if isinstance(found, keras.initializers.Constant):
        value = np.asarray(found.value)
        return float(value) if value.ndim == 0 else None
    return None
