"""What layers hold besides weights: settings that programs depend on, and hidden state.

A compiled program has the settings of layers (a rate of dropout, the statistics of an
adapted `Normalization`) as constants, so another setting needs another program. A state
that Keras on JAX drops after each step would train something else in silence.
"""

from typing import Any

import numpy as np

_OF_TRAINING = {
    "stop_training", "stop_evaluating", "stop_predicting", "steps_per_execution",
    "compiled", "built", "loss", "train_function", "test_function", "predict_function",
    "history", "optimizer", "jit_compile", "run_eagerly", "supports_jit",
    "supports_masking", "input_spec", "name",
}  # fmt: skip
"""Attributes that a fit itself changes, or that no forward pass depends on."""


def layer_settings(model: Any) -> dict[tuple[str, str], Any]:
    """Return the settings of all layers, such that equal ones compute the same."""
    found: dict[tuple[str, str], Any] = {}
    for number, layer in enumerate(model._flatten_layers()):
        for name, value in vars(layer).items():
            if name.startswith("_") or name in _OF_TRAINING:
                continue
            setting = _setting(value)
            if setting is not None:
                found[f"{number} {layer.name}", name] = setting
    return found


def _setting(value: Any) -> Any:
    """Return what is compared of an attribute; None for what is no setting."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return tuple(map(_setting, value))
    if hasattr(value, "assign"):  # a variable, whose value is no constant
        return None
    if hasattr(value, "shape") and hasattr(value, "dtype") and np.size(value) < 1 << 16:
        return np.asarray(value).tobytes()
    return value if callable(value) and not hasattr(value, "weights") else None


def check_layers(model: Any) -> None:
    """Raise ValueError for layers whose state Keras on JAX drops after each batch."""
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and hasattr(layer, "states"):
            raise ValueError(
                f"from_keras got {model.name!r}, whose layer {layer.name!r} is "
                "stateful. Keras on JAX does not carry its state from batch to batch "
                "in training. Build the layer with stateful=False."
            )


def check_trained_in_call(model: Any, X: Any) -> None:
    """Raise ValueError if a layer sets a weight in its forward pass that is then lost.

    Keras on JAX keeps what a pass sets in variables that are not trained and that the
    model lists. A trained weight, or a variable that is not listed, is as it was before
    when the pass is over.
    """
    import keras

    suspects = [layer for layer in model._flatten_layers() if not _is_known(layer)]
    if not suspects:
        return
    lists = (model.non_trainable_variables, model.metrics_variables)
    allowed = {id(each) for variables in lists for each in variables}
    known = {id(each): each for each in model.variables}
    set_in_pass: list[Any] = []

    def run(rows: Any) -> Any:
        pairs = [(each, each.value) for each in model.variables]
        with keras.StatelessScope(state_mapping=pairs) as scope:
            more = {"training": True} if model._call_has_training_arg else {}
            outputs = model.call(rows, **more)
        given = {id(variable): value for variable, value in pairs}
        for key, value in scope.state_mapping.items():
            if key not in allowed and value is not given.get(key):
                set_in_pass.append(known.get(key))
        return outputs

    _follow(run, X, model)
    if set_in_pass:
        names = [each.path for each in set_in_pass if each is not None]
        what = names[0] if names else "a variable that the model does not list"
        raise ValueError(
            f"from_keras got {model.name!r}, a layer of which sets {what} in its "
            "forward pass. Keras on JAX drops such a value after each batch, so that "
            "the loss would be that of other weights than the model has. Build the "
            "model without that layer, or set a weight with trainable=False instead."
        )


def check_some_loss(model: Any, X: Any) -> None:
    """Raise ValueError if a model that is compiled without a loss adds none."""
    import keras

    own = type(model).compute_loss is not keras.Model.compute_loss
    if model._compile_loss is not None or own:
        return
    counts: list[int] = []

    def run(rows: Any) -> Any:
        pairs = [(each, each.value) for each in model.variables]
        with keras.StatelessScope(state_mapping=pairs, collect_losses=True):
            outputs = model.call(rows)
            counts.append(len(model.losses))
        return outputs

    _follow(run, X, model)
    if counts == [0]:
        raise ValueError(
            f"fit got {model.name!r}, which is compiled without a loss and adds none, "
            "so that nothing would be trained. Compile it with a loss, or pass loss= "
            "to fit."
        )


def _is_known(layer: Any) -> bool:
    """Whether a layer of Keras's own is known to set no weight that is then lost."""
    import keras

    own = type(layer).__module__.startswith("keras.")
    return own and type(layer) is not keras.layers.SpectralNormalization


def _follow(run: Any, X: Any, model: Any) -> None:
    """Follow a pass without computing; a fault of the data is found later."""
    import contextlib

    import jax

    def shaped(leaf: Any) -> Any:
        array = np.asarray(leaf)
        wide = array.dtype.itemsize > 4
        kinds = {"f": "float32", "i": "int32", "u": "uint32"}
        dtype = kinds.get(array.dtype.kind, array.dtype) if wide else array.dtype
        return jax.ShapeDtypeStruct((2, *array.shape[1:]), dtype)

    inputs = getattr(model, "inputs", None)
    if inputs and len(inputs) == 1:
        shape = (inputs[0].shape[0] or 2, *inputs[0].shape[1:])
        rows: Any = jax.ShapeDtypeStruct(shape, inputs[0].dtype)
        if None in shape:
            rows = None
    else:
        rows = None
    if rows is None:
        try:
            rows = jax.tree.map(shaped, X)
        except (TypeError, ValueError, AttributeError):
            return
    with contextlib.suppress(Exception):
        jax.eval_shape(run, rows)
