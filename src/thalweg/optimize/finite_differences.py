"""Central differences of a cost, which tell what its gradient should be.

A direction is differenced with several step sizes: agreement with the gradient at any
of them is agreement, and a disagreement counts only where two neighboring steps agree
with each other, so that kinks, saturated units and rounding raise no alarm.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from thalweg.core import Array, PyTree
from thalweg.optimize.user_function import UserFunction

WRONG = 1e-4
"""Relative disagreement that is a mistake."""
_DOUBTFUL = 1e-6
"""Relative disagreement that is one if a single mistake explains all of it."""
_STEPS = (1e-5, 1e-6, 1e-7, 1e-4, 1e-3, 1e-2)
"""Relative to the weights, and in the order of trying: costs that are computed in
float32 need the last ones, and inputs in the ten thousands the small ones."""


class FiniteDifferences:
    """Central differences of a cost around `x`, in units of the weights' sizes."""

    def __init__(self, written: UserFunction, x: Array) -> None:
        self.written, self.x = written, x
        self.units = np.maximum(sizes(written.packing, x), 0.01)
        self.single = written.single or self._is_rough()
        digits = np.finfo(np.float32 if self.single else float).eps
        self.rounding = 10 * float(digits) * abs(written.cost(x))
        self.step = 3e-3 if self.single else 3e-5
        self.apart = dict.fromkeys(pairwise(sorted(_STEPS)), 0.0)

    def slope(self, direction: Array, step: float) -> float:
        """Difference along `direction`, which is in units too."""
        move, cost = step * self.units * direction, self.written.cost
        try:
            return (cost(self.x + move) - cost(self.x - move)) / (2 * step)
        except ArithmeticError:
            return np.nan

    def _is_rough(self) -> bool:
        """Whether the cost moves in jumps that float64 does not make."""
        along = np.random.default_rng(1).standard_normal(len(self.x))
        tiny, small, usual = (2 * h * self.slope(along, h) for h in (1e-9, 1e-8, 1e-5))
        jump = abs(tiny - small / 10) if small else abs(usual) / 1e3
        return jump > 1e-12 * abs(self.written.cost(self.x))

    def entry(self, index: int) -> float:
        """Difference by one weight."""
        direction = np.zeros(len(self.x))
        direction[index] = 1.0
        return self.slope(direction, 3 * self.step) / self.units[index]

    def moved(self, rng: np.random.Generator) -> "FiniteDifferences":
        """Return the same ruler at a point nearby."""
        aside = self.x + 0.3 * self.units * rng.standard_normal(len(self.x))
        differences = FiniteDifferences(self.written, aside)
        differences.step = self.step
        return differences

    def try_direction(self, direction: Array, gradient: Array) -> "Trial | None":
        """Compare with the gradient; None where the differences tell nothing."""
        expected = float(gradient * self.units @ direction)
        typical = float(np.linalg.norm((gradient * self.units)[direction != 0]))
        slopes: dict[float, float] = {}
        error = scale = 0.0
        for step in _STEPS:
            slopes[step] = self.slope(direction, step)
            scale = max(abs(expected), typical, *map(abs, slopes.values()), 1e-300)
            error = min(abs(slope - expected) for slope in slopes.values()) / scale
            if error <= _DOUBTFUL:
                return Trial(error, True)
        if not np.isfinite(list(slopes.values())).all():
            return None
        apart = self._plateau(slopes, scale)
        if error > WRONG and apart > 0.1 * error:
            return None
        return Trial(error, error <= 10 * apart)

    def _plateau(self, slopes: dict[float, float], scale: float) -> float:
        """Return how far the two steps differ that agree best; keep them in mind."""
        found = {}
        for fine, coarse in self.apart:
            apart = abs(slopes[fine] - slopes[coarse]) + self.rounding / fine
            found[fine, coarse] = apart / scale
            self.apart[fine, coarse] += apart / scale
        best = min(self.apart, key=lambda steps: self.apart[steps])
        self.step = float(np.sqrt(best[0] * best[1]))
        return min(found.values())


@dataclass(frozen=True)
class Trial:
    """A direction: the relative disagreement, and whether it is within the noise."""

    error: float
    fine: bool


def sizes(packing: PyTree, x: Array) -> Array:
    """Return the typical size of each weight: of its array, or 0.1 where that is 0."""
    whole = float(np.sqrt(np.mean(x**2))) or 0.1
    sizes = np.empty(len(x))
    for part in packing.parts:
        own = slice(part.start, part.stop)
        size = float(np.sqrt(np.mean(x[own] ** 2))) if part.rank else 0.0
        sizes[own] = size or whole
    return sizes
