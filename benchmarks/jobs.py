"""What is to be done, as plain data that every contender takes.

The objective of a batch is the mean cross-entropy plus l2/2 ΣW² over the batch's rows,
as in scikit-learn's MLP; first weights and orders of rows are drawn as it draws them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Weights = list[tuple[Array, Array]]
"""Matrix (fan_in, fan_out) and bias of each layer."""


class Trained(NamedTuple):
    """What ``train`` returns; ``search`` returns one for each trial."""

    weights: Weights
    epochs: int


Result = Trained | list[Trained] | tuple[float, Weights] | Array
"""What a work returns: `Trained` or a list of them, the cost and its gradient, or
probabilities (n_rows, n_classes)."""


@dataclass(frozen=True, eq=False)
class Job:
    """One piece of work.

    Parameters
    ----------
    kind : {"train", "gradient", "predict", "search"}
    X, y : ndarray
        Rows, in the dtype to compute in, and class numbers from 0.
    hidden : tuple of int
        Widths of the hidden layers.
    data : str
        Where the rows come from.
    activation : {"relu", "tanh"}
    rule : {"adam", "nesterov", "sgd"}
        Adam's and Nesterov's constants are the usual ones.
    rate, l2 : float
    batch : int or None
        Rows of one step; None for all of them in their own order.
    epochs : int
    patience : int or None
        Epochs without improvement by 1e-4 after which to stop.
    rates : tuple of float
        The rate of each trial of a search.
    weights : list or None
        First weights, where they are not drawn.
    seed : int
    estimator : bool
        Whether this is a whole fit of an ``MLPClassifier``: two classes then share
        one output.
    engine : str
        Which of our engines; nobody else looks at it.
    """

    kind: str
    X: Array
    y: Array
    hidden: tuple[int, ...]
    data: str
    activation: str = "relu"
    rule: str = "adam"
    rate: float = 1e-3
    l2: float = 0.0
    batch: int | None = None
    epochs: int = 1
    patience: int | None = None
    rates: tuple[float, ...] = ()
    weights: Weights | None = None
    seed: int = 0
    estimator: bool = False
    engine: str = "auto"

    @property
    def n_outputs(self) -> int:
        """Outputs of the network."""
        n_classes = int(self.y.max()) + 1
        return 1 if self.estimator and n_classes == 2 else n_classes

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths from the input to the output."""
        return (self.X.shape[1], *self.hidden, self.n_outputs)

    @property
    def batch_rows(self) -> int:
        """Rows of a full batch."""
        return min(self.batch or len(self.X), len(self.X))

    def changed(self, **changes: str) -> "Job":
        """Return the same job in another ``dtype``, or with other fields."""
        dtype = changes.pop("dtype", None)
        job = replace(self, X=self.X.astype(dtype)) if dtype else self
        return replace(job, **changes)

    def begin(self, trial: int = 0) -> tuple[Weights, np.random.RandomState]:
        """First weights, and the generator that goes on to draw the orders."""
        rng = np.random.RandomState(self.seed + trial)
        dtype = self.X.dtype
        if self.weights is not None:
            return [(W.astype(dtype), b.astype(dtype)) for W, b in self.weights], rng
        weights = []
        for fan_in, fan_out in zip(self.widths, self.widths[1:], strict=False):
            limit = np.sqrt(6.0 / (fan_in + fan_out))
            W = rng.uniform(-limit, limit, (fan_in, fan_out)).astype(dtype)
            weights.append((W, rng.uniform(-limit, limit, fan_out).astype(dtype)))
        return weights, rng

    def orders(self, rng: np.random.RandomState) -> Iterator[Array]:
        """Row numbers in the order of each epoch, shuffled on and on."""
        order = np.arange(len(self.X))
        for _ in range(self.epochs):
            if self.batch is not None:
                drawn = np.arange(len(self.X))
                rng.shuffle(drawn)
                order = order[drawn]
            yield order

    def targets(self) -> Array:
        """Code y as the network's outputs should be, in X's dtype."""
        if self.n_outputs == 1:
            return self.y[:, None].astype(self.X.dtype)
        return np.eye(self.n_outputs, dtype=self.X.dtype)[self.y]

    def flops(self, epochs: int) -> float:
        """Floating-point operations in matrix products, at `epochs` passes."""
        products = [
            2.0 * a * b for a, b in zip(self.widths, self.widths[1:], strict=False)
        ]
        forward = sum(products) * len(self.X)
        if self.kind == "predict":
            return forward
        both = 3 * forward - products[0] * len(self.X)  # nobody needs dL/dX
        return both * epochs * max(1, len(self.rates))


class Patience:
    """scikit-learn's count of epochs without improvement."""

    def __init__(self, limit: int | None, tol: float = 1e-4) -> None:
        self.limit, self.tol = limit, tol
        self.best, self.waited, self.epochs = float("inf"), 0, 0

    def exhausted(self, loss: float) -> bool:
        """Take note of an epoch's loss; True says stop."""
        self.epochs += 1
        self.waited = self.waited + 1 if loss > self.best - self.tol else 0
        self.best = min(self.best, loss)
        return self.limit is not None and self.waited > self.limit
