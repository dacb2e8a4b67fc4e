"""One pass through any network: dense layers of ours, or a `Network`'s own function.

What is trained and what is not come apart here (`split`) and together (`merge`), so
that the programs need not know which kind of network it is.
"""

from typing import Any

import jax
import jax.numpy as jnp

from thalweg.engines.xla.layers import Noise, Tree, forward, project
from thalweg.networks import DenseNetwork, Network


def split(network: DenseNetwork | Network, parameters: Any) -> tuple[Any, Any]:
    """Part the parameters that are trained from those that are not."""
    if isinstance(network, Network):
        return parameters if network.stateful else (parameters, ())
    trained, kept = [], []
    for layer, own in zip(network.layers, parameters, strict=True):
        names = set() if layer.frozen else {"weights", "bias", "scale", "shift"}
        trained.append({name: v for name, v in own.items() if name in names})
        kept.append({name: v for name, v in own.items() if name not in names})
    return tuple(trained), tuple(kept)


def merge(network: DenseNetwork | Network, trained: Any, kept: Any) -> Any:
    """Undo `split`."""
    if isinstance(network, Network):
        return (trained, kept) if network.stateful else trained
    return _joined(kept, trained)


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
