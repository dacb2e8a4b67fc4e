"""What plots of layers and of paths draw: plain frozen records."""

from collections.abc import Mapping
from dataclasses import dataclass

from thalweg.core.short_repr import short_repr
from thalweg.core.types import Array


@short_repr
@dataclass(frozen=True, eq=False)
class LayerValues:
    """Numbers inside a network, layer by layer.

    Parameters
    ----------
    activations : tuple of ndarray of shape (n_rows, units)
    weights : tuple of ndarray of shape (fan_in, units)
    gradients : tuple of ndarray of shape (fan_in, units)
        Of the loss with respect to the weights; empty where no target was given.
    """

    activations: tuple[Array, ...]
    weights: tuple[Array, ...]
    gradients: tuple[Array, ...] = ()


@dataclass(frozen=True, eq=False)
class Paths:
    """Ways of optimizers over a surface.

    Parameters
    ----------
    points : mapping of str to ndarray of shape (n_steps + 1, 2)
    x, y : ndarray of shape (n,), (m,)
        The surface's grid.
    z : ndarray of shape (m, n)
        Its height.
    """

    points: Mapping[str, Array]
    x: Array
    y: Array
    z: Array
