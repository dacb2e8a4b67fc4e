"""What the outputs of a Keras model mean for classes: probabilities or logits."""

from functools import partial
from typing import Any

import numpy as np

from thalweg.core import Array, logistic, softmax, with_complement

_PASSING = (
    "Dropout", "Flatten", "Reshape", "Identity", "ActivityRegularization",
)  # fmt: skip
"""Layers that leave probabilities what they are."""

_OF_NUMBERS = (
    "sparse_categorical_crossentropy", "categorical_generalized_cross_entropy",
    "circle",
)  # fmt: skip
"""Losses of Keras whose targets are class numbers."""


def output_width(model: Any, row: tuple[int, ...]) -> int | None:
    """Return the number of outputs of a row; None for a model with several outputs."""
    try:
        shape = model.output_shape
    except (AttributeError, ValueError):  # a subclass, which has no graph
        found = model(np.zeros((1, *row), "float32"))
        shape = getattr(found, "shape", [None])
    if isinstance(shape, list | dict) or (shape and isinstance(shape[0], tuple | list)):
        return None
    return int(shape[-1])


def as_probabilities(model: Any, outputs: Array, done: bool) -> Array:
    """Return the probabilities of classes, of which each row sums to 1.

    Parameters
    ----------
    model : keras.Model
    outputs : ndarray of shape (n_rows, n_outputs)
    done : bool
        Whether the outputs are known to be probabilities.
    """
    if not (done or _gives_probabilities(model, outputs)):
        return with_complement(
            (logistic if outputs.shape[1] == 1 else softmax)(outputs)
        )
    found = with_complement(np.clip(outputs, 0, 1))
    total = found.sum(axis=1, keepdims=True)
    even = np.full_like(found, 1 / found.shape[1])
    return np.where(total > 0, found / np.where(total > 0, total, 1), even)


def as_label_probabilities(model: Any, outputs: Array, done: bool) -> Array:
    """Return the probability of each label, whatever those of the others.

    Parameters
    ----------
    model, outputs, done
        As `as_probabilities` has them, with a column of outputs for each label.
    """
    if not (done or _gives_probabilities(model, outputs, exclusive=False)):
        return logistic(outputs)
    return np.clip(outputs, 0, 1)


def excludes(model: Any) -> bool:
    """Whether a row has one class only, by the end of a model or by its loss."""
    loss = getattr(model, "loss", None)
    name = loss if isinstance(loss, str) else getattr(loss, "name", None)
    name = name or getattr(loss, "__name__", "")
    return _end(model) == "softmax" or "categorical" in str(name)


def _gives_probabilities(model: Any, outputs: Array, exclusive: bool = True) -> bool:
    """Tell whether a model gives probabilities, by its end, its loss or its outputs."""
    end = _end(model)
    if end is not None:
        return end != "linear"
    of_logits = _of_logits(getattr(model, "loss", None))
    if of_logits is not None:
        return not of_logits
    within = bool(((outputs >= 0) & (outputs <= 1)).all())
    free = outputs.shape[1] == 1 or not exclusive
    return within and (free or np.allclose(outputs.sum(1), 1, atol=1e-3))


def _end(model: Any) -> str | None:
    """Return the last activation: softmax, sigmoid or linear; None for another."""
    import keras

    try:
        tensor = model.outputs[0]
    except (AttributeError, IndexError, TypeError):
        return None
    squashing = ("softmax", "sigmoid")
    while True:
        operation = tensor._keras_history.operation
        kind = type(operation).__name__
        if isinstance(operation, keras.Model):
            return _end(operation)
        if isinstance(operation, keras.layers.Softmax) or kind in (
            "Softmax",
            "Sigmoid",
        ):
            return "sigmoid" if kind == "Sigmoid" else "softmax"
        activation = getattr(operation, "activation", None)
        for name in squashing:
            if activation is getattr(keras.activations, name):
                return name
        if kind == "Activation" and activation is keras.activations.linear:
            tensor = operation.input
            continue
        if kind in _PASSING:
            tensor = operation.input
            continue
        if type(operation) is keras.layers.Dense:
            return "linear" if activation is keras.activations.linear else None
        return None


def _of_logits(loss: Any) -> bool | None:
    """Tell whether a compiled loss takes logits; None if it does not say."""
    import keras

    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    known = getattr(loss, "_fn_kwargs", {}).get("from_logits")
    if known is not None:
        return bool(known)
    if isinstance(loss, partial) and "from_logits" in loss.keywords:
        return bool(loss.keywords["from_logits"])
    name = getattr(getattr(loss, "fn", loss), "__name__", "")
    return False if name.endswith("crossentropy") else None


def takes_one_hot(loss: Any) -> bool:
    """Tell whether a compiled loss takes rows of class probabilities as targets."""
    import keras

    found = keras.losses.get(loss) if isinstance(loss, str) else loss
    function = getattr(found, "fn", found)
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", "")
    own = getattr(keras.losses, name, None) is function
    return own and name not in _OF_NUMBERS
