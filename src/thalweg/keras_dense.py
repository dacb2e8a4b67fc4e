"""Keras models that are a chain of dense layers, as the kernel computes them.

A chain is taken only where ours is the same function: dense layers with biases and no
penalties of their own, activations of the same formula, dropout; and losses and update
rules that differ at most in rounding. Anything else stays Keras's own. Batch
normalization does, whose running statistics Keras begins otherwise.
"""

from typing import Any, NamedTuple

import numpy as np

from thalweg.networks import Dense, DenseNetwork
from thalweg.records import Parameters

_ACTIVATIONS: dict[str, Any] = {
    "linear": "identity",
    "sigmoid": "logistic",
    "leaky_relu": ("leaky_relu", {"slope": 0.2}),
    "hard_sigmoid": "hard_logistic",
    **{
        name: name
        for name in (
            "tanh", "relu", "elu", "selu", "gelu", "silu", "mish", "softplus",
            "softsign", "hard_tanh", "hard_silu", "relu6",
        )
    },
}  # fmt: skip
"""Keras's activations of which we have the same, as they are by default."""

_SQUASHING = {
    "softmax": ("cross_entropy", "focal", "hinge"),
    "sigmoid": ("binary_cross_entropy",),
}
"""Activations of an output layer that our losses have inside."""


class _Link(NamedTuple):
    """A dense layer, and what the layers after it add."""

    layer: Any
    activation: str
    dropout: float


def translate(
    model: Any, their_loss: bool, their_rule: bool
) -> tuple[DenseNetwork, dict[str, Any]] | None:
    """Return a chain as a network of ours, and the settings that stand for Keras's.

    Parameters
    ----------
    model : keras.Model
        Built.
    their_loss, their_rule : bool
        Whether the loss and the optimizer are those it is compiled with.

    Returns
    -------
    (DenseNetwork, dict) or None
        None where ours would compute something else.
    """
    chain = _chain(model)
    loss = _loss(model, chain) if their_loss and chain else {}
    rule = _rule(model.optimizer) if their_rule else {}
    if not chain or loss is None or rule is None or chain[-1].dropout:
        return None
    names = [link.activation for link in chain]
    if loss:
        names[-1] = "linear" if names[-1] in _SQUASHING else names[-1]
    if not set(names) <= set(_ACTIVATIONS):
        return None
    layers = [
        Dense(
            link.layer.units,
            _ACTIVATIONS[name],
            frozen=not link.layer.trainable,
            dropout=link.dropout,
        )
        for link, name in zip(chain, names, strict=True)
    ]
    n_inputs = int(chain[0].layer.kernel.shape[0])
    return DenseNetwork(n_inputs, tuple(layers)), {**loss, **rule}


def weights(model: Any) -> Parameters:
    """Copy the weights of a chain."""
    return tuple(
        {
            "weights": np.array(link.layer.kernel.value),
            "bias": np.array(link.layer.bias.value),
        }
        for link in _chain(model)
    )


def assign(model: Any, parameters: Parameters) -> None:
    """Put weights into the layers of a chain."""
    for link, own in zip(_chain(model), parameters, strict=True):
        link.layer.kernel.assign(own["weights"])
        link.layer.bias.assign(own["bias"])


def refuse_twice(model: Any, loss: str) -> None:
    """Raise ValueError where the model's last layer does what the loss does too."""
    last = next(iter(model.layers[-1:]), model)
    name = _name(last) if hasattr(last, "activation") else ""
    if loss in _SQUASHING.get(name, ()):
        raise ValueError(
            f"fit got loss={loss!r}, which takes raw outputs, but the layer "
            f"{last.name!r} of {model.name!r} already applies {name}. Leave the loss "
            "to model.compile, or give that layer no activation."
        )


def _chain(model: Any) -> list[_Link]:
    """List the links of a model that is a chain; an empty list for others."""
    links: list[_Link] = []
    for layer in _in_line(model):
        kind = type(layer).__name__ if _is_keras(layer) else ""
        before = links[-1] if links else None
        if kind == "Dense" and _is_plain(layer):
            links.append(_Link(layer, _name(layer), 0.0))
        elif before is None or before.dropout:
            return []
        elif kind == "Activation" and before.activation == "linear":
            links[-1] = before._replace(activation=_name(layer))
        elif kind == "Dropout" and layer.noise_shape is None:
            links[-1] = before._replace(dropout=float(layer.rate))
        else:
            return []
    return links


def _in_line(model: Any) -> list[Any]:
    """List the layers between input and output, each fed by the one before."""
    import keras

    if type(model) not in (keras.Sequential, keras.Model) and not _is_keras(model):
        return []
    if len(getattr(model, "inputs", None) or []) != 1 or len(model.outputs) != 1:
        return []
    layers = [each for each in model.layers if type(each).__name__ != "InputLayer"]
    fed = model.inputs[0]
    for layer in layers:
        if len(layer._inbound_nodes) > 1 or layer.input is not fed:
            return []
        fed = layer.output
    return layers if fed is model.outputs[0] else []


def _is_keras(layer: Any) -> bool:
    return type(layer).__module__.startswith("keras.")


def _is_plain(layer: Any) -> bool:
    own = (
        layer.kernel_regularizer, layer.bias_regularizer, layer.activity_regularizer,
        layer.kernel_constraint, layer.bias_constraint,
    )  # fmt: skip
    simple = layer.use_bias and not any(own) and layer.kernel.ndim == 2
    types = {layer.compute_dtype, layer.variable_dtype}
    return simple and not layer.lora_enabled and types == {"float32"}


def _name(layer: Any) -> str:
    """Return the name of a layer's activation, "" where it is not Keras's own."""
    import keras

    name = getattr(layer.activation, "__name__", "")
    return name if getattr(keras.activations, name, None) is layer.activation else ""


def _loss(model: Any, chain: list[_Link]) -> dict[str, Any] | None:
    """Return the compiled loss as ours, where both are the same."""
    import keras

    loss, last, width = model.loss, chain[-1].activation, chain[-1].layer.units
    if model._compile_loss._user_loss_weights is not None:
        return None
    found = keras.losses.get(loss) if isinstance(loss, str) else loss
    own = dict(getattr(found, "_fn_kwargs", {}))
    if getattr(found, "reduction", "sum_over_batch_size") != "sum_over_batch_size":
        return None
    function = getattr(found, "fn", found)
    smoothing = {"label_smoothing": float(own.get("label_smoothing", 0.0))}
    logits = "linear" if own.get("from_logits", False) else None
    names = keras.losses
    if function is names.sparse_categorical_crossentropy:
        plain = own.get("ignore_class") is None and own.get("axis", -1) == -1
        fits = plain and last == (logits or "softmax")
        return {"loss": "cross_entropy"} if fits else None
    if function is names.categorical_crossentropy:
        fits = last == (logits or "softmax")
        return {"loss": ("cross_entropy", smoothing)} if fits else None
    if function is names.binary_crossentropy and width == 1:
        fits = last == (logits or "sigmoid")
        return {"loss": ("binary_cross_entropy", smoothing)} if fits else None
    if function is names.mean_absolute_error and width == 1 and last == "linear":
        return {"loss": "absolute"}
    return None


def _rule(optimizer: Any) -> dict[str, Any] | None:
    """Return a Keras optimizer as ours, where both are the same."""
    rate = getattr(getattr(optimizer, "_learning_rate", None), "value", None)
    more = (
        "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema",
        "loss_scale_factor", "gradient_accumulation_steps", "amsgrad",
    )  # fmt: skip
    begun = optimizer.built and int(optimizer.iterations.value) > 0
    special = any(getattr(optimizer, name, None) for name in more)
    if not _is_keras(optimizer) or rate is None or special or begun:
        return None
    chosen: Any = None
    if type(optimizer).__name__ == "SGD":
        name = "nesterov" if optimizer.nesterov else "momentum"
        constants = {"momentum": optimizer.momentum, "rate_in_velocity": True}
        chosen = (name, constants) if optimizer.momentum else "sgd"
    elif type(optimizer).__name__ == "Adam":
        names = ("beta_1", "beta_2", "epsilon")
        own = {name: float(getattr(optimizer, name)) for name in names}
        chosen = ("adam", {**own, "uncorrected_epsilon": True})
    return chosen and {"optimizer": chosen, "learning_rate": float(rate)}
