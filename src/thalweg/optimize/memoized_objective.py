"""An objective that remembers its last values, counts calls and keeps the best point.

SciPy's methods ask for the cost and the gradient of the same point in separate calls,
and a callback asks again. The full-batch methods of `fit` give SciPy a
`MemoizedObjective`, which computes each only once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thalweg.core import Array
from thalweg.optimize.line_searches import LineSearches

_N_REMEMBERED = 4


@dataclass
class Evaluation:
    """A point and what was computed there.

    Parameters
    ----------
    x : ndarray of shape (n,)
    cost : float
        Infinite until it is computed, so that any computed cost is better.
    gradient : ndarray of shape (n,) or None
        None until it is computed.
    has_cost : bool
        Whether the method asked for the cost, and it was computed and counted.
    """

    x: Array
    cost: float = np.inf
    gradient: Array | None = None
    has_cost: bool = False


class MemoizedObjective:
    """The objective as SciPy calls it.

    Parameters
    ----------
    compute : callable
        x → (cost, gradient), or (cost, None) where the cost comes without a gradient.
    compute_gradient : callable or None
        x → gradient; None where `compute` returns it, or where there is no gradient.
    start : ndarray of shape (n,)
    line_searches : LineSearches
    start_cost : float
        Cost at `start` if it is known. It makes `start` the best point until a better
        one is found; a call at `start` computes it again and counts.

    Attributes
    ----------
    n_values, n_gradients : int
        How often the cost and the gradient were computed.
    best : Evaluation
        The point of the lowest cost so far.
    previous : ndarray of shape (n,)
        Where the last iteration ended.
    """

    def __init__(
        self,
        compute: Callable[[Array], tuple[float, Array | None]],
        compute_gradient: Callable[[Array], Array] | None,
        start: Array,
        line_searches: LineSearches,
        start_cost: float = np.inf,
    ) -> None:
        self.compute, self.compute_gradient = compute, compute_gradient
        self.line_searches = line_searches
        self.n_values = self.n_gradients = 0
        self.previous, self.best = start, Evaluation(start, start_cost)
        self._previous_gradient = np.full(len(start), np.nan)
        self._last: list[Evaluation] = []

    def value(self, x: Array) -> float:
        """Return the cost at `x`, computed unless it is remembered."""
        evaluation = self.evaluation_at(x)
        if not evaluation.has_cost:
            evaluation.cost, gradient = self.compute(evaluation.x)
            evaluation.has_cost = True
            self.n_values += 1
            if gradient is not None:
                evaluation.gradient = gradient
                self.n_gradients += 1
            if evaluation.cost < self.best.cost:
                self.best = evaluation
        return evaluation.cost

    def gradient(self, x: Array) -> Array:
        """Return the gradient at `x`, computed unless it is remembered.

        All entries are NaN where there is no gradient.
        """
        evaluation = self.evaluation_at(x)
        if self.compute_gradient is None:
            self.value(evaluation.x)
        elif evaluation.gradient is None:
            evaluation.gradient = self.compute_gradient(evaluation.x)
            self.n_gradients += 1
        if evaluation.gradient is None:
            return np.full(len(evaluation.x), np.nan)
        return evaluation.gradient

    def evaluation_at(self, x: Array) -> Evaluation:
        """Return what is remembered of `x`, or begin to remember it."""
        x = np.array(x, float)
        for evaluation in (*reversed(self._last), self.best):
            # The first number tells nearly all others apart, whatever their length.
            same_first = (evaluation.x[:1] == x[:1]).all()
            if same_first and np.array_equal(evaluation.x, x):
                return evaluation
        self._last = [*self._last[1 - _N_REMEMBERED :], Evaluation(x)]
        return self._last[-1]

    def record_iteration(self, x: Array) -> dict[str, float]:
        """Record that an iteration ended at `x`; return its row of the history."""
        cost, gradient, before = self.value(x), self.gradient(x), self.previous
        step = x - before
        self.line_searches.record_iteration(
            step, self._previous_gradient, self.n_values
        )
        self.previous, self._previous_gradient = x, gradient
        size = float(np.linalg.norm(before))
        return {
            "loss": cost,
            "gradient_norm": float(np.linalg.norm(gradient)),
            "update_ratio": float(np.linalg.norm(step)) / (size or 1.0),
            "evaluations": self.n_values,
            "gradient_evaluations": self.n_gradients,
            "line_search_failures": self.line_searches.failures,
            "restarts": self.line_searches.restarts,
        }
