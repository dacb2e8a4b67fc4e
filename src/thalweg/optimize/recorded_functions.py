"""The user's functions as SciPy calls them: safe to call, counted, and remembered.

SciPy itself decides when to evaluate what, and remembers what it needs. So these add
little to a call: they give x its own structure, check what is returned, copy a gradient
that may be a buffer, and keep the last few evaluations for the history. They can be
pickled, because SciPy's `workers` send the cost to other processes.
"""

from collections import deque
from time import perf_counter
from typing import Any

import numpy as np

from thalweg.core import Array
from thalweg.optimize.user_function import UserFunction

_N_REMEMBERED = 4
_N_TIMED = 8
"""So many calls are timed, and may be known from the check."""
_PLAIN_NUMBERS = (float, np.float64)
_FLOAT64 = np.dtype(float)


class EvaluationLog:
    """What was evaluated in one minimization.

    A point is known by its bytes.

    Attributes
    ----------
    n_costs, n_gradients : int
        How often SciPy evaluated the cost and the gradient.
    cost_seconds, gradient_seconds : float
        What the fastest call of each took; a first one may compile something. A
        function that returns both counts as a cost.
    best_cost : float
        The lowest cost so far; infinite before the first.
    best_point : bytes
        Where it is.
    known_costs, known_gradients : dict of bytes to anything
        What the check computed already: it is used once, and not computed again.
    keeps_costs : bool
        Whether the history needs costs from here, because SciPy only tells x.
    awaited : bytes or None
        A point whose gradient the history lacks.
    """

    def __init__(self) -> None:
        self.n_costs = self.n_gradients = 0
        self.cost_seconds = self.gradient_seconds = np.inf
        self.best_cost, self.best_point = np.inf, b""
        self.known_costs: dict[bytes, Any] = {}
        self.known_gradients: dict[bytes, Array] = {}
        self.costs: deque[tuple[bytes, float]] = deque(maxlen=_N_REMEMBERED)
        self.gradients: deque[tuple[bytes, Array]] = deque(maxlen=_N_REMEMBERED)
        self.keeps_costs = False
        self.awaited: bytes | None = None
        self.awaited_gradient: Array | None = None

    def cost_at(self, point: bytes) -> float:
        """Return a remembered cost; NaN if it is forgotten."""
        for at, cost in reversed(self.costs):
            if at == point:
                return cost
        return self.best_cost if point == self.best_point else np.nan

    def gradient_at(self, point: bytes) -> Array | None:
        """Return a remembered gradient; None if it is forgotten."""
        for at, gradient in reversed(self.gradients):
            if at == point:
                return gradient
        return None


class _RecordedFunction:
    """A function of the user's, called with x in its own structure.

    Parameters
    ----------
    function : UserFunction
    log : EvaluationLog
    copies : bool
        Whether x is copied, because the method passes its own array.
    """

    def __init__(
        self, function: UserFunction, log: EvaluationLog, copies: bool = False
    ) -> None:
        self.function, self.log, self.copies = function, log, copies
        self.fun, self.jac = function.fun, function.jac
        tree = function.tree
        self.shape = (tree.size,)
        self.arrange = (np.copy if copies else None) if tree.is_flat else tree.unpack

    def __reduce__(self) -> Any:
        return type(self), (self.function, EvaluationLog(), self.copies)


class RecordedCost(_RecordedFunction):
    """The cost: ``(x, *args) -> cost``."""

    def __call__(self, x: Array, *args: Any) -> Any:
        """Compute the cost at the flat vector `x`."""
        log, point = self.log, x.tobytes()
        if log.n_costs < _N_TIMED:
            cost = self._compute_first(x, point, args)
        else:
            cost = self.fun(x if self.arrange is None else self.arrange(x), *args)
        if type(cost) not in _PLAIN_NUMBERS:
            if np.iscomplexobj(cost):
                return cost  # SciPy's complex steps are not iterates
            cost = self.function.check_cost(cost)
        log.n_costs += 1
        if log.keeps_costs:
            log.costs.append((point, cost))
        if cost < log.best_cost:
            log.best_cost, log.best_point = cost, point
        return cost

    def _compute_first(self, x: Array, point: bytes, args: tuple[Any, ...]) -> Any:
        """Use what the check computed, or measure the time."""
        log = self.log
        if point in log.known_costs:
            return log.known_costs.pop(point)
        begun = perf_counter()
        cost = self.fun(x if self.arrange is None else self.arrange(x), *args)
        log.cost_seconds = min(log.cost_seconds, perf_counter() - begun)
        return cost


class RecordedPair(_RecordedFunction):
    """Both: ``(x, *args) -> (cost, gradient)``."""

    def __call__(self, x: Array, *args: Any) -> tuple[float, Array]:
        """Compute the cost and the gradient at the flat vector `x`."""
        log, point = self.log, x.tobytes()
        if log.known_costs and point in log.known_costs:
            cost, gradient = log.known_costs.pop(point)
        else:
            begun = perf_counter()
            value = self.fun(x if self.arrange is None else self.arrange(x), *args)
            spent = perf_counter() - begun
            if spent < log.cost_seconds:
                log.cost_seconds = spent
            if x.dtype.kind == "c":
                return value[0], np.ravel(value[1])
            cost, gradient = self.function.split(value)
            if type(cost) not in _PLAIN_NUMBERS:
                cost = self.function.check_cost(cost)
        log.n_costs += 1
        log.costs.append((point, cost))
        if cost < log.best_cost:
            log.best_cost, log.best_point = cost, point
        log.n_gradients += 1
        log.gradients.append((point, gradient))
        if point == log.awaited:
            log.awaited, log.awaited_gradient = None, gradient
        return cost, gradient


class RecordedGradient(_RecordedFunction):
    """The gradient: ``(x, *args) -> gradient``."""

    def __call__(self, x: Array, *args: Any) -> Array:
        """Compute the gradient at the flat vector `x`."""
        log, point = self.log, x.tobytes()
        if log.n_gradients < _N_TIMED:
            value = self._compute_first(x, point, args)
        else:
            value = self.jac(x if self.arrange is None else self.arrange(x), *args)
        if (
            type(value) is np.ndarray
            and value.dtype is _FLOAT64
            and value.shape == self.shape
        ):
            gradient = value.copy()
        elif x.dtype.kind == "c":
            return np.ravel(value)  # SciPy's complex steps for a Hessian
        else:
            gradient = self.function.flatten_gradient(value)
        log.n_gradients += 1
        log.gradients.append((point, gradient))
        if point == log.awaited:
            log.awaited, log.awaited_gradient = None, gradient
        return gradient

    def _compute_first(self, x: Array, point: bytes, args: tuple[Any, ...]) -> Any:
        """Use what the check computed, or measure the time."""
        log = self.log
        if point in log.known_gradients:
            return self.function.tree.unpack(log.known_gradients.pop(point))
        begun = perf_counter()
        gradient = self.jac(x if self.arrange is None else self.arrange(x), *args)
        log.gradient_seconds = min(log.gradient_seconds, perf_counter() - begun)
        return gradient


class RecordedProduct:
    """A product with the Hessian: ``(x, p, *args) -> H p``, on the flat vector.

    SciPy passes its own arrays, and now and then a direction of integers, which JAX's
    products refuse.
    """

    def __init__(self, product: Any) -> None:
        self.product = product

    def __call__(self, x: Array, p: Array, *args: Any) -> Array:
        """Compute the product at the flat vector `x` with `p`."""
        return np.ravel(self.product(np.array(x), np.array(p, float), *args))
