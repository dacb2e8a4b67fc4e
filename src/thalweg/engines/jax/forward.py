"""The forward pass of a dense network in jax.numpy.

One function serves training and prediction: `forward` with a `Noise` draws dropout and
input noise and takes batch statistics, without one it does neither.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from thalweg.core import Choice, Dense, DenseNetwork, Network, is_trained, naming
from thalweg.engines.jax import random
from thalweg.engines.jax.embeddings import embed

Tree = tuple[dict[str, jax.Array], ...]


class Noise(NamedTuple):
    """What makes a training pass differ from a prediction.

    Attributes
    ----------
    stream : (uint32 scalar, uint32 scalar) or None
        Seed and step of the generator; None where statistics settle on these rows.
    dropout, threshold : arrays of shape (n_layers,), floating and uint32
    input_noise : floating scalar
    mask : array of shape (batch,), floating
        1 for rows that exist, 0 for padding.
    """

    stream: Any
    dropout: jax.Array
    threshold: jax.Array
    input_noise: jax.Array
    mask: jax.Array


def forward(
    network: DenseNetwork, parameters: Tree, x: jax.Array, training: Noise | None = None
) -> tuple[list[jax.Array], Tree]:
    """Return each layer's output, the last being the network's, and running statistics.

    Parameters
    ----------
    network : DenseNetwork
        Only its structure is read; rates of dropout and noise come with `training`.
    parameters : tuple of dict
    x : array of shape (batch, n_inputs)
    training : Noise or None

    Returns
    -------
    outputs : list of array of shape (batch, units)
    statistics : tuple of dict
        New ``mean`` and ``variance`` of the layers that normalize by batch.
    """
    given = x
    if training is not None and network.input_noise:
        x = random.add_gaussian(x, training.input_noise, training.stream)
    inputs, statistics = [embed(network, parameters[0], x, given)], []
    for index, layer in enumerate(network.layers):
        own = parameters[index]
        z = _dot(inputs[-1], _weights(network, parameters, index)) + own["bias"]
        z, seen = _normalize(layer, own, z, None if layer.frozen else training)
        if layer.residual:
            z = z + inputs[index + 1 - layer.residual]
        a = activate(layer.activation, z)
        if training is not None and layer.dropout:
            rate, limit = training.dropout[index], training.threshold[index]
            a = random.dropout(a, rate, limit, training.stream, index + 1)
        inputs.append(a)
        statistics.append(seen)
    return inputs[1:], tuple(statistics)


def activate(activation: Choice, z: jax.Array) -> jax.Array:
    """Apply an activation elementwise."""
    if not isinstance(activation.name, str):
        with naming("activation", owner="fit"):
            result = activation.name(z)
        if jnp.shape(result) != z.shape:
            raise ValueError(
                f"the activation {activation.label!r} returned "
                f"{type(result).__name__} of shape {jnp.shape(result)}; it must return "
                f"an array of the shape of its input, {z.shape}."
            )
        return result
    return ACTIVATIONS[activation.label](z, **dict(activation.constants))


def project(network: DenseNetwork, parameters: Tree) -> Tree:
    """Project the weights of constrained layers on what they are constrained to."""
    projected = []
    for layer, own in zip(network.layers, parameters, strict=True):
        constraint = layer.constraint
        if constraint.name != "none" and "weights" in own:
            onto = _PROJECTIONS[constraint.label]
            own = {**own, "weights": onto(own["weights"], dict(constraint.constants))}
        projected.append(own)
    return tuple(projected)


def _weights(network: DenseNetwork, parameters: Tree, index: int) -> jax.Array:
    layer = network.layers[index]
    if layer.shares is None:
        return parameters[index]["weights"]
    shared = parameters[layer.shares]["weights"]
    return shared.T if layer.transposed else shared


def _dot(x: jax.Array, weights: jax.Array) -> jax.Array:
    # "highest" keeps a GPU from rounding the factors to TF32.
    return jnp.dot(x, weights, precision=lax.Precision.HIGHEST)


def _normalize(
    layer: Dense, own: dict[str, jax.Array], z: jax.Array, training: Noise | None
) -> tuple[jax.Array, dict[str, jax.Array]]:
    kind = layer.normalized
    if kind == "none":
        return z, {}
    constants: dict[str, Any] = dict(layer.normalization.constants)
    seen: dict[str, jax.Array] = {}
    if kind == "layer":
        mean, variance = _moments(z, 1.0 / layer.units, axis=1)
    elif training is None:
        mean, variance = own["mean"], own["variance"]
    else:
        mask = training.mask[:, None]
        mean, variance = _moments(z, mask / mask.sum(), axis=0)
        fresh = {"mean": mean[0], "variance": variance[0]}
        kept = constants["momentum"] if training.stream else 0.0
        if training.stream and constants["warmup"]:
            done = training.stream[1].astype(z.dtype)
            kept = jnp.minimum(kept, done / (done + 1))
        seen = {name: kept * own[name] + (1 - kept) * fresh[name] for name in fresh}
    scaled = (z - mean) * lax.rsqrt(variance + constants["epsilon"])
    return scaled * own["scale"] + own["shift"], seen


def _moments(
    z: jax.Array, share: jax.Array | float, axis: int
) -> tuple[jax.Array, jax.Array]:
    mean = (share * z).sum(axis, keepdims=True)
    return mean, (share * (z - mean) ** 2).sum(axis, keepdims=True)


def _softplus(z: jax.Array) -> jax.Array:
    return jnp.logaddexp(z, 0.0)


def _hard_logistic(z: jax.Array) -> jax.Array:
    return jnp.clip(z / 6 + 0.5, 0, 1)


ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "leaky_relu": lambda z, slope: jnp.where(z >= 0, z, slope * z),
    "elu": lambda z, alpha: jnp.where(z > 0, z, alpha * jnp.expm1(jnp.minimum(z, 0))),
    "selu": jax.nn.selu,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "silu": jax.nn.silu,
    "mish": lambda z: z * jnp.tanh(_softplus(z)),
    "softplus": _softplus,
    "softsign": lambda z: z / (1 + jnp.abs(z)),
    "hard_logistic": _hard_logistic,
    "hard_tanh": lambda z: jnp.clip(z, -1, 1),
    "hard_silu": lambda z: z * _hard_logistic(z),
    "relu6": lambda z: jnp.clip(z, 0, 6),
}

_TINY = 1e-12


def _column_norms(weights: jax.Array) -> jax.Array:
    return jnp.sqrt((weights**2).sum(axis=0, keepdims=True))


def _max_norm(weights: jax.Array, constants: dict[str, Any]) -> jax.Array:
    norms = _column_norms(weights)
    return weights * jnp.minimum(1.0, constants["limit"] / jnp.maximum(norms, _TINY))


_PROJECTIONS = {
    "max_norm": _max_norm,
    "unit_norm": lambda w, constants: w / jnp.maximum(_column_norms(w), _TINY),
    "non_negative": lambda w, constants: jnp.maximum(w, 0),
}


def split(network: DenseNetwork | Network, parameters: Any) -> tuple[Any, Any]:
    """Part the parameters that are trained from those that are not."""
    if isinstance(network, Network):
        return parameters if network.stateful else (parameters, ())
    trained, kept = [], []
    for layer, own in zip(network.layers, parameters, strict=True):
        names = set() if layer.frozen else set(filter(is_trained, own))
        trained.append({name: v for name, v in own.items() if name in names})
        kept.append({name: v for name, v in own.items() if name not in names})
    return tuple(trained), tuple(kept)


def merge(network: DenseNetwork | Network, trained: Any, kept: Any) -> Any:
    """Undo `split`."""
    if isinstance(network, Network):
        return (trained, kept) if network.stateful else trained
    return ordered(network, _joined(kept, trained))


def ordered(network: DenseNetwork | Network, parameters: Any) -> Any:
    """Return parameters in the order of `DenseNetwork.draw`: JAX sorts their names."""
    if isinstance(network, Network):
        return parameters
    layers = zip(network.shapes(), parameters, strict=True)
    return tuple({name: own[name] for name in shapes} for shapes, own in layers)


def propagate(
    network: DenseNetwork | Network,
    trained: Any,
    kept: Any,
    X: Any,
    training: Noise | None = None,
) -> tuple[list[Any], Any, Any]:
    """Return the outputs of each layer, the new `kept`, and what adds to the objective.

    A `Network` has one layer to those who ask.
    """
    if isinstance(network, Network):
        return _propagate_own(network, trained, kept, X, training)
    parameters = merge(network, trained, kept)
    outputs, statistics = forward(network, parameters, X, training)
    return outputs, _joined(kept, statistics), 0.0


def constrained(network: DenseNetwork | Network, trained: Any) -> Any:
    """Put what was updated back where its constraints allow."""
    if isinstance(network, Network):
        return network.project(trained) if network.project else trained
    return project(network, trained)


def settled(
    network: DenseNetwork | Network, trained: Any, kept: Any, X: Any, training: Noise
) -> Any:
    """Return `kept` with the statistics of all rows."""
    if isinstance(network, Network) and network.settle:
        return network.settle(trained, kept, X)
    if isinstance(network, DenseNetwork):
        training = training._replace(stream=None)
    return propagate(network, trained, kept, X, training)[1]


def _propagate_own(
    network: Network, trained: Any, kept: Any, X: Any, training: Noise | None
) -> tuple[list[Any], Any, Any]:
    options = {
        "state": kept,
        "training": training is not None,
        "key": None if training is None else _key(training),
    }
    given = {name: value for name, value in options.items() if network.takes(name)}
    found = network.apply(trained, X, **given)
    parts = [*found] if network.stateful or network.adds_loss else [found]
    added = parts.pop() if network.adds_loss else 0.0
    return [parts[0]], parts[1] if network.stateful else kept, added


def _key(training: Noise) -> jax.Array:
    seed, step = training.stream
    return jax.random.fold_in(jax.random.key(seed), jnp.asarray(step))


def _joined(first: Tree, second: Tree) -> Tree:
    return tuple({**a, **b} for a, b in zip(first, second, strict=True))
