"""Losses by name, and the links from raw outputs to predictions."""

from collections.abc import Callable

import numpy as np

from thalweg.core.registry import (
    NONNEGATIVE,
    OPEN_SHARE,
    POSITIVE,
    SHARE,
    Spec,
    choose,
    tabulate,
)
from thalweg.core.types import Array

LOSSES = tabulate(
    {
        "cross_entropy": {"label_smoothing": 0.0, "clipped": False},
        "binary_cross_entropy": {
            "label_smoothing": 0.0, "clipped": False, "scale": 1.0,
        },
        "squared": {"averaged": False, "scale": 1.0},
        "absolute": {"scale": 1.0, "slope_at_zero": (0.0, "[-1, 1]")},
        "huber": {"delta": 1.0, "scale": 1.0},
        "log_cosh": {"scale": 1.0},
        "quantile": {"quantile": 0.5},
        "poisson": {},
        "hinge": {},
        "focal": {"gamma": 2.0},
    },
    label_smoothing=SHARE, scale=POSITIVE, delta=POSITIVE, quantile=OPEN_SHARE,
    gamma=NONNEGATIVE,
)  # fmt: skip
"""Losses by name, z the output and y the target of one row, summed over outputs:
``cross_entropy`` -Σ y log softmax(z); ``binary_cross_entropy`` the same for sigmoid(z);
``squared`` ½(z-y)²; ``absolute`` |z-y|; ``huber`` (Huber, 1964); ``log_cosh``
log cosh(z-y); ``quantile`` the pinball loss (Koenker & Bassett, 1978); ``poisson`` half
the deviance of a mean exp(z), exp(z) - y - y z + y log y; ``hinge``
max(0, 1 + max_{j≠y} z_j - z_y) (Crammer & Singer, 2001); ``focal`` (1-p)^gamma times
cross-entropy (Lin et al., 2017). Those that are a sum over outputs are multiplied by
``scale``: 2/n makes ``squared`` the mean squared error of n outputs, 1/n another mean.

At z = y the slope of ``absolute`` is ``slope_at_zero``, and that of ``quantile`` 0:
JAX's would be 1, and Keras's -1.

Two constants are there for scikit-learn's sake, and change the value of a loss but not
its gradient: ``clipped`` takes the logarithms of probabilities clipped to [ε, 1-ε], ε
the dtype's own; ``averaged`` divides by the number of outputs."""

CLASSIFYING = ("cross_entropy", "focal", "hinge")
"""Losses whose target is a class number, or one row of class probabilities."""


def with_complement(outputs: Array) -> Array:
    """Put the first class's probability beside the second's, where that is all."""
    return outputs if outputs.shape[1] > 1 else np.hstack([1 - outputs, outputs])


def link(loss: Spec) -> Callable[[Array], Array]:
    """Return the function from raw outputs to predictions that belongs to `loss`.

    Softmax for cross-entropy and focal loss, the logistic function for binary
    cross-entropy, exp for Poisson, and the identity for the rest.
    """
    name = choose("loss", loss, LOSSES, owner="link").label
    return LINKS.get(name, lambda outputs: outputs)


def softmax(outputs: Array) -> Array:
    """Softmax over the last axis, without overflow."""
    shifted = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def logistic(outputs: Array) -> Array:
    """1/(1+exp(−z)), without overflow."""
    small = np.exp(-np.abs(outputs))
    return np.where(outputs >= 0, 1 / (1 + small), small / (1 + small))


LINKS = {
    "cross_entropy": softmax,
    "focal": softmax,
    "binary_cross_entropy": logistic,
    "poisson": np.exp,
}
