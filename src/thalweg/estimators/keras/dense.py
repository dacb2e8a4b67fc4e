"""Keras models that are a chain of dense layers, as the native kernel computes them.

A chain is translated only where our network is the same function: dense layers with
activations of the same formula, batch or layer normalization between the two, and
dropout; penalties that all weight matrices share; losses and optimizers that differ at
most in rounding. Keras itself computes everything else, and `NotEquivalent` says what
has no equivalent.

Classes and functions are compared with Keras's own, not by their names: a subclass may
compute something else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from thalweg.core import Dense, DenseNetwork, Parameters

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
"""Keras's activation functions with their defaults: our equivalents."""

_SQUASHING = {
    "softmax": ("cross_entropy", "focal", "hinge"),
    "sigmoid": ("binary_cross_entropy",),
}
"""Activations of an output layer that are part of our losses."""

_LOSSES = {
    "sparse_categorical_crossentropy": ("cross_entropy", "softmax", 0.0),
    "categorical_crossentropy": ("cross_entropy", "softmax", 0.0),
    "binary_crossentropy": ("binary_cross_entropy", "sigmoid", 1.0),
    "mean_squared_error": ("squared", "", 2.0),
    "mean_absolute_error": ("absolute", "", 1.0),
    "huber": ("huber", "", 1.0),
    "log_cosh": ("log_cosh", "", 1.0),
}
"""Keras's loss: ours, the activation that is part of it, and a factor.

Ours is a sum over outputs and Keras's is a mean: the factor divided by the number of
outputs scales ours. 0 stands for no scaling.
"""

_BETAS = {"beta_1": "beta_1", "beta_2": "beta_2"}
_RULES: dict[str, tuple[str, dict[str, str], dict[str, bool]]] = {
    "Adam": ("adam", {**_BETAS, "epsilon": "epsilon"}, {"uncorrected_epsilon": True}),
    "RMSprop": ("rmsprop", {"decay": "rho", "epsilon": "epsilon"}, {}),
    "Adagrad": (
        "adagrad",
        {"initial_accumulator": "initial_accumulator_value", "epsilon": "epsilon"},
        {},
    ),
    "Adadelta": ("adadelta", {"rho": "rho", "epsilon": "epsilon"}, {}),
    "Lion": ("lion", _BETAS, {}),
}
"""Keras's optimizer: ours, its constants by Keras's names, and our own constants."""
_RULES["AdamW"] = _RULES["Adam"]

_NORMS = {"gamma": "scale", "beta": "shift"}
_STATISTICS = {"moving_mean": "mean", "moving_variance": "variance"}


class NotEquivalent(Exception):
    """The part of a model that the native kernel has no equivalent of, as a noun."""


class _Link(NamedTuple):
    """A dense layer with the normalization, activation and dropout after it."""

    layer: Any
    norm: Any
    activation: str
    dropout: float


def translate(
    model: Any, compiled_loss: bool, compiled_optimizer: bool
) -> tuple[DenseNetwork, dict[str, Any]]:
    """Return a chain as a network of ours, and its compiled settings as ours.

    Parameters
    ----------
    model : keras.Model
        Built.
    compiled_loss, compiled_optimizer : bool
        Whether to translate the loss and the optimizer that it is compiled with.

    Raises
    ------
    NotEquivalent
        If the native kernel would compute something else.
    """
    chain = _chain(model)
    settings = _penalties(chain)
    if compiled_loss and model._compile_loss is None:
        raise NotEquivalent("a model that is compiled without a loss")
    if compiled_loss:
        _check_added(model, chain)
        settings |= _loss(model, chain)
    if compiled_optimizer:
        settings |= _optimizer(model)
    names = [link.activation for link in chain]
    if (
        compiled_loss
        and names[-1] in _SQUASHING
        and settings["loss"][0] in (_SQUASHING[names[-1]])
    ):
        names[-1] = "linear"
    for name, link in zip(names, chain, strict=True):
        if name not in _ACTIVATIONS:
            raise NotEquivalent(f"the activation of {link.layer.name!r}")
    layers = [
        Dense(
            link.layer.units,
            _ACTIVATIONS[name],
            frozen=not link.layer.trainable,
            dropout=link.dropout,
            normalization=_normalization(link),
        )
        for link, name in zip(chain, names, strict=True)
    ]
    n_inputs = int(chain[0].layer.kernel.shape[0])
    # The outputs of a model stay what they are, whatever our loss makes of them.
    raw = compiled_loss and names[-1] == chain[-1].activation
    return DenseNetwork(n_inputs, tuple(layers), raw_outputs=raw), settings


def weights(model: Any) -> Parameters:
    """Copy the weights of a chain."""
    return tuple(
        {name: np.array(variable.value) for name, variable in _variables(link).items()}
        | ({} if link.layer.use_bias else {"bias": np.zeros(link.layer.units, "f4")})
        for link in _chain(model)
    )


def assign(model: Any, parameters: Parameters) -> None:
    """Put weights into the layers of a chain."""
    for link, own in zip(_chain(model), parameters, strict=True):
        # Without a bias in Keras, ours stays at zero but for rounding, and batch
        # normalization subtracts it with the mean.
        if not link.layer.use_bias:
            own = {**own, "mean": own["mean"] - own["bias"]}
        for name, variable in _variables(link).items():
            variable.assign(own[name])


def as_labels(request: Any, loss: Any, n_outputs: int) -> Any:
    """Return a request with targets as our losses take them.

    Keras takes class numbers of any type and in a column, and probabilities.
    """

    def cast(y: Any) -> Any:
        array = np.asarray(y)
        if loss[0] == "cross_entropy" and array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        numbers = loss[0] == "cross_entropy" and array.ndim == 1
        if numbers and array.dtype.kind == "f":
            whole = array.astype(np.int32)
            array = whole if (whole == array).all() else array
        return array

    held = request.validation
    if isinstance(held, tuple) and len(held) > 1:
        held = (held[0], cast(held[1]), *held[2:])
    return replace(request, y=cast(request.y), validation=held)


_MEMORY: dict[str, tuple[str, ...]] = {
    "SGD": ("momentums",),
    "Adam": ("_momentums", "_velocities"),
    "AdamW": ("_momentums", "_velocities"),
    "RMSprop": ("_velocities", "_average_gradients"),
    "Adagrad": ("_accumulators",),
    "Adadelta": ("_accumulated_grads", "_accumulated_delta_vars"),
    "Lion": ("_momentums",),
}
"""What Keras's optimizers keep for each variable, in the order of our vectors."""


def remember(model: Any, session: Any) -> None:
    """Put what our optimizer remembers into that of the model."""
    import keras

    optimizer, links = model.optimizer, _chain(model)
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    updates, kept = session.remembered()
    optimizer.iterations.assign(updates)
    names = _MEMORY[_find(type(optimizer), keras.optimizers, _MEMORY)]
    lists = [found for name in names if (found := getattr(optimizer, name, None))]
    places = {id(each): k for k, each in enumerate(model.trainable_variables)}
    for variables, vector in zip(lists, kept[: len(lists)], strict=True):
        for link, own in zip(links, vector, strict=True):
            for name, variable in _variables(link).items():
                if id(variable) in places and name in own:
                    variables[places[id(variable)]].assign(own[name])


def _check_added(model: Any, chain: list[_Link]) -> None:
    """Refuse losses that a layer has added besides its penalty."""
    penalties = [link for link in chain if link.layer.kernel_regularizer]
    if len(model.losses) > sum(link.layer.trainable for link in penalties):
        raise NotEquivalent("a loss that a layer adds")


def refuse_twice(model: Any, loss: str) -> None:
    """Raise ValueError if the last layer has the activation that the loss applies."""
    last = next(iter(model.layers[-1:]), model)
    name = _name(last) if hasattr(last, "activation") else ""
    if loss in _SQUASHING.get(name, ()):
        raise ValueError(
            f"fit got loss={loss!r}, which applies {name} itself, but the layer "
            f"{last.name!r} of {model.name!r} already applies {name}. Remove the "
            "activation of that layer, or give the loss to model.compile instead."
        )


# ------------------------------------------------------------------------ layers


def _chain(model: Any) -> list[_Link]:
    """List the links of a model that is a chain."""
    from keras import layers

    links: list[_Link] = []
    for layer in _in_line(model):
        kind = type(layer)
        before = links[-1] if links else _Link(None, None, "?", 1.0)
        bare = before.activation == "linear" and not before.dropout
        if kind is layers.Dense and _is_plain(layer, "kernel", "bias"):
            links.append(_Link(layer, None, _name(layer), 0.0))
        elif kind is layers.Activation and bare:
            links[-1] = before._replace(activation=_name(layer))
        elif (
            kind is layers.Dropout and layer.noise_shape is None and not before.dropout
        ):
            links[-1] = before._replace(dropout=float(layer.rate))
        elif bare and _is_norm(layer, before):
            links[-1] = before._replace(norm=layer)
        else:
            raise NotEquivalent(f"the layer {layer.name!r}")
    if links[-1].dropout:
        raise NotEquivalent("dropout of the model's outputs")
    for link in links:
        if not (link.layer.use_bias or hasattr(link.norm, "moving_mean")):
            raise NotEquivalent(f"the layer {link.layer.name!r} without biases")
    return links


def _in_line(model: Any) -> list[Any]:
    """List the layers between input and output, each fed by the one before."""
    import keras

    if type(model) not in (keras.Sequential, _functional()):
        raise NotEquivalent("a model class of your own")
    layers = [
        each for each in model.layers if type(each) is not keras.layers.InputLayer
    ]
    fed = model.inputs[0]
    for layer in layers:
        if len(layer._inbound_nodes) > 1 or layer.input is not fed:
            raise NotEquivalent("a model whose layers do not form a chain")
        fed = layer.output
    if len(model.inputs) != 1 or len(model.outputs) != 1 or fed is not model.outputs[0]:
        raise NotEquivalent("a model whose layers do not form a chain")
    return layers


@cache
def _functional() -> type:
    """Return the class of ``keras.Model(inputs, outputs)``; it has no public name."""
    import keras

    # Named, since Keras counts the models without names.
    passed_on = keras.Input((1,), name="thalweg")
    return type(keras.Model(passed_on, passed_on, name="thalweg"))


def _is_plain(layer: Any, *variables: str) -> bool:
    """Tell whether a layer is float32 and at most the kernel has a penalty."""
    options = [f"{v}_{o}" for v in variables for o in ("regularizer", "constraint")]
    options += ["activity_regularizer", "lora_enabled"]
    options = [option for option in options if option != "kernel_regularizer"]
    types = {layer.compute_dtype, layer.variable_dtype}
    plain = not any(getattr(layer, option, None) for option in options)
    return plain and types == {"float32"}


def _is_norm(layer: Any, before: _Link) -> bool:
    """Tell whether ours normalizes as the layer does, after the dense one before."""
    from keras import layers

    if type(layer) not in (layers.BatchNormalization, layers.LayerNormalization):
        return False
    fits = before.norm is None and layer.trainable == before.layer.trainable
    by_unit = layer.axis in (-1, 1, [-1], [1], (-1,), (1,))
    if not (fits and by_unit and layer.center and layer.scale):
        return False
    variants = ("renorm", "synchronized", "rms_scaling")
    if any(getattr(layer, name, False) for name in variants):
        return False
    return _is_plain(layer, "gamma", "beta")


def _normalization(link: _Link) -> Any:
    if link.norm is None:
        return "none"
    epsilon = {"epsilon": float(link.norm.epsilon)}
    if not hasattr(link.norm, "moving_mean"):
        return "layer", epsilon
    return "batch", {
        **epsilon, "momentum": float(link.norm.momentum), "warmup": False
    }  # fmt: skip


def _variables(link: _Link) -> dict[str, Any]:
    """Return Keras's variables by our names."""
    found = {"weights": link.layer.kernel}
    if link.layer.use_bias:
        found["bias"] = link.layer.bias
    for theirs, ours in {**_NORMS, **_STATISTICS}.items():
        if hasattr(link.norm, theirs):
            found[ours] = getattr(link.norm, theirs)
    return found


def _name(layer: Any) -> str:
    """Return the name of a layer's activation, "" if it is none that we translate."""
    import keras

    names = {**_ACTIVATIONS, **_SQUASHING}
    return _find(layer.activation, keras.activations, names)


def _find(wanted: Any, module: Any, names: Iterable[str]) -> str:
    """Return the name under which a module of Keras has a function or class, or ""."""
    return next((name for name in names if getattr(module, name) is wanted), "")


# ---------------------------------------------------------- what it was compiled with


def _penalties(chain: list[_Link]) -> dict[str, Any]:
    """Return the penalty that all trained weight matrices have."""
    found = {
        tuple(_strength(link.layer.kernel_regularizer, name) for name in ("l1", "l2"))
        for link in chain
        if link.layer.trainable
    }
    if len(found) > 1:
        raise NotEquivalent("penalties that differ between layers")
    l1, l2 = (*found, (0.0, 0.0))[0]
    if l1 and any((np.asarray(link.layer.kernel.value) == 0).any() for link in chain):
        raise NotEquivalent("an L1 penalty whose slope at a weight of 0 is 1")
    return {"l1": l1, "l2": 2 * l2, "penalty_scale": "none"} if l1 or l2 else {}


def _strength(penalty: Any, name: str) -> float:
    from keras.regularizers import L1, L1L2, L2

    if penalty and type(penalty) not in (L1, L2, L1L2):
        raise NotEquivalent("a regularizer other than L1, L2 and L1L2")
    return float(getattr(penalty, name, 0.0))


def _loss(model: Any, chain: list[_Link]) -> dict[str, Any]:
    """Return the compiled loss as ours."""
    import keras

    loss, last = model.loss, chain[-1]
    if model._compile_loss._user_loss_weights is not None:
        raise NotEquivalent("loss weights")
    if isinstance(loss, list | tuple | Mapping):
        raise NotEquivalent("a loss for each output")
    found = keras.losses.get(loss) if isinstance(loss, str) else loss
    function = getattr(found, "fn", found)
    name = _find(function, keras.losses, _LOSSES)
    # A class of the user's own may compute something else than the function it has.
    own_class = isinstance(found, keras.losses.Loss) and not any(
        type(found) is kind for kind in (*_loss_classes(), _loss_classes()[0].__base__)
    )
    if not name or own_class:
        label = getattr(function, "__name__", loss)
        raise NotEquivalent(f"the loss {type(found).__name__ if own_class else label}")
    if getattr(found, "dtype", "float32") != "float32":
        raise NotEquivalent(f"the type of the loss {name}")
    own = {k: v for k, v in getattr(found, "_fn_kwargs", {}).items() if v is not None}
    reduced = getattr(found, "reduction", "sum_over_batch_size")
    if reduced != "sum_over_batch_size" or own.pop("axis", -1) != -1:
        raise NotEquivalent(f"the reduction or axis of the loss {name}")
    ours, inside, factor = _LOSSES[name]
    wanted = "linear" if own.pop("from_logits", False) else inside
    constants = {"scale": factor / last.layer.units} if factor else {}
    if ours == "absolute":
        constants["slope_at_zero"] = -1.0  # JAX's, of |y - z|
    constants |= {
        k: float(own.pop(k)) for k in ("label_smoothing", "delta") if k in own
    }
    if own or (inside and last.activation != wanted):
        raise NotEquivalent(f"the loss {name} with {last.activation or 'your'} outputs")
    return {"loss": (ours, constants)}


def _loss_classes() -> list[type]:
    from keras import losses

    return [
        losses.MeanSquaredError, losses.MeanAbsoluteError, losses.Huber, losses.LogCosh,
        losses.BinaryCrossentropy, losses.CategoricalCrossentropy,
        losses.SparseCategoricalCrossentropy,
    ]  # fmt: skip


def _optimizer(model: Any) -> dict[str, Any]:
    """Return the compiled optimizer as ours."""
    import keras

    optimizer = model.optimizer
    kind = _find(type(optimizer), keras.optimizers, (*_RULES, "SGD"))
    rate = getattr(getattr(optimizer, "_learning_rate", None), "value", None)
    options = (
        "clipnorm", "use_ema", "loss_scale_factor", "gradient_accumulation_steps",
        "amsgrad",
    )  # fmt: skip
    for name in options if kind == "SGD" else (*options, "momentum"):
        if getattr(optimizer, name, None):
            raise NotEquivalent(f"{name} of the optimizer")
    if optimizer.built and int(optimizer.iterations.value) > 0:
        raise NotEquivalent("the state of an optimizer that has taken steps")
    if rate is None:
        raise NotEquivalent("a learning-rate schedule of Keras")
    if not kind:
        raise NotEquivalent(f"the optimizer {type(optimizer).__name__}")
    limits = {"clip_value": "clipvalue", "clip_norm": "global_clipnorm"}
    clips = {ours: getattr(optimizer, theirs) for ours, theirs in limits.items()}
    return {
        "optimizer": _choice(optimizer, kind),
        "learning_rate": float(rate),
        **{name: float(limit) for name, limit in clips.items() if limit},
        **_decay(model),
    }


def _choice(optimizer: Any, kind: str) -> Any:
    if kind == "SGD" and not optimizer.momentum:
        return "sgd"
    if kind == "SGD":
        name = "nesterov" if optimizer.nesterov else "momentum"
        return name, {"momentum": optimizer.momentum, "rate_in_velocity": True}
    ours, names, more = _RULES[kind]
    numbers = {
        name: float(getattr(optimizer, theirs)) for name, theirs in names.items()
    }
    centered = {"centered": optimizer.centered} if kind == "RMSprop" else {}
    return ours, {**numbers, **more, **centered}


def _decay(model: Any) -> dict[str, Any]:
    """Return the decoupled weight decay, if it leaves out biases as ours does."""
    decay = model.optimizer.weight_decay
    if not decay:
        return {}
    for variable in model.trainable_variables:
        if model.optimizer._use_weight_decay(variable) != (len(variable.shape) > 1):
            raise NotEquivalent("weight decay of biases")
    return {"weight_decay": float(decay)}
