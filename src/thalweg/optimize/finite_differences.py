"""Central differences of a cost, which tell what its gradient should be.

A direction is differenced with several step sizes. If the gradient agrees with any of
them, it agrees. A disagreement counts only where two neighboring steps agree with each
other, so that kinks, saturated units and rounding raise no alarm.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from thalweg.core import Array, PyTree
from thalweg.optimize.feasible_region import FeasibleRegion
from thalweg.optimize.user_function import UserFunction

WRONG = 1e-4
"""Relative disagreement that is a mistake."""
_DOUBTFUL = 1e-6
"""Relative disagreement that is a mistake if one simple mistake explains all of it."""
_STEPS = (1e-5, 1e-6, 1e-7, 1e-4, 1e-3, 1e-2)
"""Relative to the weights, in the order of trying. Costs computed in float32 need the
last ones, and inputs in the ten thousands need the small ones."""
_N_FOR_ROUGHNESS = 6
_SINGLE_STEP, _DOUBLE_STEP = 3e-3, 3e-5
"""The step for single entries, until the directions have told a better one."""


@dataclass(frozen=True)
class DirectionResult:
    """How well a gradient agrees with the differences along one direction.

    Parameters
    ----------
    error : float
        Relative disagreement.
    agrees : bool
        Whether it is no larger than the noise of the differences.
    """

    error: float
    agrees: bool


class FiniteDifferences:
    """Central differences of a cost around a point, in units of the weights' sizes.

    Parameters
    ----------
    function : UserFunction
    x : ndarray of shape (n,)
        A point of the region.
    region : FeasibleRegion, optional
        Where the cost may be evaluated; by default everywhere.
    step : float, optional
        The step for single entries, in units.

    Attributes
    ----------
    units : ndarray of shape (n,)
        The typical size of each weight, or its distance to a bound if that is less.
    n_left : float
        How often the cost may still be evaluated.
    """

    def __init__(
        self,
        function: UserFunction,
        x: Array,
        region: FeasibleRegion | None = None,
        step: float | None = None,
    ) -> None:
        self.function, self.x = function, x
        self.region = region or FeasibleRegion()
        self.units = np.maximum(typical_sizes(function.tree, x), 0.01)
        if self.region.is_bounded:
            self.units = np.minimum(self.units, self.region.room(x))
        self.n_left = np.inf
        self._step = step
        # In float32 only long steps can tell, and less closely.
        self._steps = _STEPS[::-1] if function.is_single else _STEPS
        self._close = WRONG if function.is_single else _DOUBTFUL
        self._disagreements = dict.fromkeys(pairwise(sorted(_STEPS)), 0.0)

    @cached_property
    def is_single(self) -> bool:
        """Whether the cost is computed in float32, which its type need not show."""
        return self.function.is_single or self._cost_is_rough()

    @cached_property
    def rounding(self) -> float:
        """How far rounding may move a difference of two costs."""
        digits = np.finfo(np.float32 if self.is_single else float).eps
        return 10 * float(digits) * abs(self.function.cost(self.x))

    @property
    def step(self) -> float:
        """The step for single entries. `compare` improves it with each direction."""
        return self._step or (_SINGLE_STEP if self.is_single else _DOUBLE_STEP)

    @property
    def free(self) -> Array:
        """The entries that can be moved, by index."""
        return np.flatnonzero(self.units > 0)

    def slope(self, direction: Array, step: float) -> float:
        """Difference the cost along `direction`; both are in units.

        NaN where that is not allowed or not possible.
        """
        move, cost = step * self.units * direction, self.function.cost
        if self.n_left < 2:
            return np.nan
        if not self.region.is_everywhere and not all(
            x in self.region for x in (self.x + move, self.x - move)
        ):
            return np.nan
        self.n_left -= 2
        try:
            return (cost(self.x + move) - cost(self.x - move)) / (2 * step)
        except ArithmeticError:
            return np.nan

    def entry(self, index: int) -> float:
        """Difference the cost by one weight."""
        direction = np.zeros(len(self.x))
        direction[index] = 1.0
        return self.slope(direction, 3 * self.step) / self.units[index]

    def at_nearby_point(self, rng: np.random.Generator) -> "FiniteDifferences":
        """Return differences around a random point nearby, with the same step."""
        nearby = self.x + 0.3 * self.units * rng.standard_normal(len(self.x))
        nearby = self.region.inside(nearby, 0.1 * self.units)
        if nearby not in self.region:
            nearby = self.x
        return FiniteDifferences(self.function, nearby, self.region, self.step)

    def compare(self, direction: Array, gradient: Array) -> DirectionResult | None:
        """Compare with the gradient; None where the differences are inconclusive."""
        expected = float(gradient * self.units @ direction)
        typical = float(np.linalg.norm((gradient * self.units)[direction != 0]))
        slopes: dict[float, float] = {}
        error = scale = 0.0
        for step in self._steps:
            slopes[step] = self.slope(direction, step)
            scale = max(abs(expected), typical, *map(abs, slopes.values()), 1e-300)
            error = min(abs(slope - expected) for slope in slopes.values()) / scale
            if error <= self._close:
                others = (other for other in _STEPS if other != step)
                self._steps = (step, *others)  # it may be the best again
                return DirectionResult(error, True)
        if not np.isfinite(list(slopes.values())).all():
            return None
        noise = self._learn_step(slopes, scale)
        if error > WRONG and noise > 0.1 * error:
            return None
        return DirectionResult(error, error <= 10 * noise)

    def _cost_is_rough(self) -> bool:
        """Whether the cost moves in jumps that float64 does not make."""
        if self.n_left < _N_FOR_ROUGHNESS:
            return False
        direction = np.random.default_rng(1).standard_normal(len(self.x))
        tiny, small, usual = (
            2 * step * self.slope(direction, step) for step in (1e-9, 1e-8, 1e-5)
        )
        jump = abs(tiny - small / 10) if small else abs(usual) / 1e3
        return jump > 1e-12 * abs(self.function.cost(self.x))

    def _learn_step(self, slopes: dict[float, float], scale: float) -> float:
        """Return how far the two steps differ that agree best; use them from now on."""
        differences = {}
        for fine, coarse in self._disagreements:
            apart = abs(slopes[fine] - slopes[coarse]) + self.rounding / fine
            differences[fine, coarse] = apart / scale
            self._disagreements[fine, coarse] += apart / scale
        fine, coarse = min(self._disagreements, key=self._disagreements.__getitem__)
        self._step = float(np.sqrt(fine * coarse))
        return min(differences.values())


def typical_sizes(tree: PyTree, x: Array) -> Array:
    """Return the typical size of each weight: of its array, or 0.1 where that is 0."""
    overall = float(np.sqrt(np.mean(x**2))) or 0.1
    sizes = np.empty(len(x))
    for part in tree.parts:
        entries = slice(part.start, part.stop)
        size = float(np.sqrt(np.mean(x[entries] ** 2))) if part.rank else 0.0
        sizes[entries] = size or overall
    return sizes
