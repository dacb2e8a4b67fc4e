"""Whether a hand-written gradient belongs to its cost, and if not, what the mistake is.

Central differences along random directions decide whether they agree. Each is taken
with several step sizes: agreement at any of them is agreement, and a disagreement
counts only where two neighboring steps agree with each other, so that kinks, saturated
units and rounding raise no alarm. `thalweg.suspects` then finds the mistake.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from thalweg.packing import Packing
from thalweg.records import Array, GradientCheck
from thalweg.suspects import Evidence, Found, explain
from thalweg.written import ONE_HOT, Misshapen, Written

_DIRECTIONS = 20
_FEWEST = 4
_SECONDS = 10.0
_WRONG = 1e-4
"""Relative disagreement that is a mistake."""
_DOUBTFUL = 1e-6
"""Relative disagreement that is one if a single mistake explains all of it."""
_STEPS = (1e-5, 1e-6, 1e-7, 1e-4, 1e-3, 1e-2)
"""Relative to the weights, and in the order of trying: costs that are computed in
float32 need the last ones, and inputs in the ten thousands the small ones."""


def check_gradient(
    fun: Callable[..., Any], jac: Any, x0: Any, args: Any = ()
) -> GradientCheck:
    """Check that a gradient is that of a cost; if not, say what is likely wrong.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> cost``, or ``-> (cost, gradient)`` if `jac` is True.
    jac : callable or True
        ``jac(x, *args) -> gradient``, shaped like x or flat.
    x0 : array-like, or nested lists, tuples and dicts of arrays
        Where to check; a little away from it, so that zero biases hide nothing.
    args : tuple
        Further arguments. Their lengths and numbers are tried as the missing m or λ.

    Returns
    -------
    GradientCheck

    Raises
    ------
    ValueError
        If x0 is not finite numbers, or jac is neither True nor callable.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> fun, jac = lambda x: (x**2).sum(), lambda x: x
    >>> check = tw.check_gradient(fun, jac, np.ones(3))
    >>> check.cause, check.factor
    ('factor', 0.5)
    """
    if jac is not True and not callable(jac):
        raise ValueError(
            f"check_gradient got jac={jac!r}; it must be a function, or True where fun "
            "returns (cost, gradient)."
        )
    packing = Packing(x0)
    args = args if isinstance(args, tuple) else (args,)
    return examine(Written(fun, jac, packing, args), packing.pack(x0))


def examine(written: Written, x0: Array) -> GradientCheck:
    """Check a `Written` at the flat vector `x0`."""
    with np.errstate(all="ignore"):
        try:
            return _examine(written, x0)
        except Misshapen as error:
            found = Found(error.cause, error.where, np.nan, str(error))
        except Exception as error:
            found = Found("shape", "", np.nan, _raised(error, written.packing))
    return _verdict(written, found)


def _examine(written: Written, x0: Array) -> GradientCheck:
    rng = np.random.default_rng(0)
    start = written.gradient(x0), written.cost(x0)
    x = _aside(written, x0, rng)
    gradient, cost = written.gradient(x), written.cost(x)
    for g, c in (start, (gradient, cost)):
        if not np.isfinite(c) or not np.isfinite(g).all():
            return _verdict(written, _nonfinite(written.packing, c, g))
    if written.again(x) != cost:
        return _verdict(written, _restless(written, x, cost))
    ruler = Ruler(written, x)
    tried = list(_along_directions(ruler, gradient, written.packing, rng))
    error = max((t.error for t in tried), default=0.0)
    if all(trial.fine for trial in tried):
        return _verdict(written, None, error, len(tried))
    found = explain(Evidence(ruler, gradient, written.packing, written.args, rng))
    sure = any(trial.error > _WRONG and not trial.fine for trial in tried)
    if found.cause == "wrong-derivative" and not sure:
        found = None
    return _verdict(written, found, error, len(tried))


def _aside(written: Written, x0: Array, rng: np.random.Generator) -> Array:
    """Return a point near x0 where no weight is 0, if the cost is finite there."""
    moved = x0 + 0.1 * _sizes(written.packing, x0) * rng.standard_normal(len(x0))
    try:
        both = written.cost(moved), written.gradient(moved)
    except ArithmeticError:
        return x0  # x0 may lie on a bound
    return moved if all(np.isfinite(value).all() for value in both) else x0


def _sizes(packing: Packing, x: Array) -> Array:
    """Return the typical size of each weight: of its array, or 0.1 where that is 0."""
    whole = float(np.sqrt(np.mean(x**2))) or 0.1
    sizes = np.empty(len(x))
    for part in packing.parts:
        own = slice(part.start, part.stop)
        size = float(np.sqrt(np.mean(x[own] ** 2))) if part.rank else 0.0
        sizes[own] = size or whole
    return sizes


class Ruler:
    """Central differences of a cost around `x`, in units of the weights' sizes."""

    def __init__(self, written: Written, x: Array) -> None:
        self.written, self.x = written, x
        self.units = np.maximum(_sizes(written.packing, x), 0.01)
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

    def moved(self, rng: np.random.Generator) -> "Ruler":
        """Return the same ruler at a point nearby."""
        aside = self.x + 0.3 * self.units * rng.standard_normal(len(self.x))
        ruler = Ruler(self.written, aside)
        ruler.step = self.step
        return ruler

    def try_direction(self, direction: Array, gradient: Array) -> "_Trial | None":
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
                return _Trial(error, True)
        if not np.isfinite(list(slopes.values())).all():
            return None
        apart = self._plateau(slopes, scale)
        if error > _WRONG and apart > 0.1 * error:
            return None
        return _Trial(error, error <= 10 * apart)

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
class _Trial:
    """A direction: the relative disagreement, and whether it is within the noise."""

    error: float
    fine: bool


def _along_directions(
    ruler: Ruler, gradient: Array, packing: Packing, rng: np.random.Generator
) -> Iterator[_Trial]:
    """Try random directions, through all weights and within parts."""
    begun = time.perf_counter()
    blocks = _blocks(packing)
    for count in range(max(_DIRECTIONS, len(blocks))):
        block = blocks[count % len(blocks)]
        direction = np.zeros(packing.size)
        direction[block] = rng.standard_normal(block.stop - block.start)
        trial = ruler.try_direction(direction, gradient)
        if trial is not None:
            yield trial
        if count >= _FEWEST and time.perf_counter() - begun > _SECONDS:
            break


def _blocks(packing: Packing) -> list[slice]:
    """Return the whole vector and its parts, or quarters where it is of one piece."""
    whole = slice(0, packing.size)
    if len(packing.parts) > 1:
        return [whole, *(slice(p.start, p.stop) for p in packing.parts)]
    edges = np.linspace(0, packing.size, min(4, packing.size) + 1).astype(int)
    return [whole, *(slice(int(a), int(b)) for a, b in pairwise(edges))]


def _nonfinite(packing: Packing, cost: float, gradient: Array) -> Found:
    where, what = "the cost", str(cost)
    if np.isfinite(cost):
        entry = int(np.flatnonzero(~np.isfinite(gradient))[0])
        where, what = f"the gradient of {packing.part_at(entry).name}", "not finite"
    return Found("nonfinite", where, np.nan, f"{where} is {what} at x0. {LOG_OF_0}")


LOG_OF_0 = (
    "A logarithm of 0 is the usual reason: saturated units give probabilities of "
    "exactly 0 or 1. Scale the inputs, begin with smaller weights, or compute the "
    "loss from the pre-activations (log-sum-exp)."
)


def _restless(written: Written, x: Array, cost: float) -> Found:
    words = (
        f"the cost is {cost:.9g} at one call and {written.again(x):.9g} at another, "
        "for the same weights. No minimizer can work on that: draw dropout masks, "
        "noise and batches once, outside of the function, and change no argument in "
        "place."
    )
    return Found("random", "the cost", np.nan, words)


def _raised(error: Exception, packing: Packing) -> str:
    shapes = ", ".join(f"{p.name} {p.shape}" for p in packing.parts)
    return (
        f"the cost or its gradient raised {type(error).__name__}: {error}. It was "
        f"called with {shapes}. If shapes do not match, look for a bias column that "
        f"was not dropped from the weights on the way back. {ONE_HOT}"
    )


def _verdict(
    written: Written, found: Found | None, error: float = np.inf, n_tried: int = 0
) -> GradientCheck:
    """Put the finding, or that there is none, into words."""
    if found is None:
        words = f"Cost and gradient agree on {n_tried} directions."
        if not n_tried:
            words = "No direction told anything: the cost has jumps or is rounded."
        found = Found("", "", np.nan, words)
    return GradientCheck(
        ok=not found.cause,
        cause=found.cause,
        where=found.where,
        factor=float(f"{found.factor:.6g}"),
        message=found.words[0].upper() + found.words[1:],
        error=error,
        notes=tuple(written.notes),
    )
