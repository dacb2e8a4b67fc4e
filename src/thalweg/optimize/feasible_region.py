"""Where the check may evaluate: inside the bounds, and where `keep_feasible` allows.

SciPy's methods look after themselves. The points that the check of a gradient adds must
keep to the same rules: a cost may be undefined outside of them.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

from thalweg.core import Array

_SHARE_OF_WIDTH = 0.25


class FeasibleRegion:
    """A box, and the constraints that must hold at every point.

    Parameters
    ----------
    low, high : ndarray of shape (n,) or None
        Infinite, or None, where there is no bound.
    constraints : SciPy's constraints, or a sequence of them
        Only those with `keep_feasible` count.
    """

    def __init__(
        self, low: Array | None = None, high: Array | None = None, constraints: Any = ()
    ) -> None:
        self.is_bounded = low is not None and high is not None
        self.low, self.high = np.asarray(low), np.asarray(high)
        self.constraints = [
            each
            for each in _as_list(constraints)
            if isinstance(each, LinearConstraint | NonlinearConstraint)
            and np.any(each.keep_feasible)
        ]

    @property
    def is_everywhere(self) -> bool:
        """Whether every point is allowed."""
        return not (self.is_bounded or self.constraints)

    @property
    def fixed(self) -> Array:
        """Which variables have equal bounds."""
        return self.low == self.high if self.is_bounded else np.zeros(1, bool)

    def clip(self, x: Array) -> Array:
        """Move x into the box."""
        return np.clip(x, self.low, self.high) if self.is_bounded else x

    def inside(self, x: Array, margins: Array) -> Array:
        """Move x away from the faces of the box, by `margins` where there is room."""
        if not self.is_bounded:
            return x
        room = np.minimum(margins, _SHARE_OF_WIDTH * (self.high - self.low))
        return np.clip(x, self.low + room, self.high - room)

    def room(self, x: Array) -> Array:
        """Return the distance of each variable to its nearest bound."""
        return np.minimum(x - self.low, self.high - x)

    def __contains__(self, x: Array) -> bool:
        if self.is_bounded and not ((self.low <= x) & (x <= self.high)).all():
            return False
        return all(_holds(constraint, x) for constraint in self.constraints)


def _as_list(constraints: Any) -> Iterable[Any]:
    if constraints is None:
        return []
    single = isinstance(constraints, LinearConstraint | NonlinearConstraint | dict)
    return [constraints] if single else list(constraints)


def _holds(constraint: Any, x: Array) -> bool:
    if isinstance(constraint, LinearConstraint):
        values = constraint.A @ x
    else:
        values = np.atleast_1d(constraint.fun(np.copy(x)))
    low, high = np.asarray(constraint.lb), np.asarray(constraint.ub)
    broken = (values < low) | (values > high)
    return not (broken & np.asarray(constraint.keep_feasible)).any()


def read_bounds(bounds: Any, size: int) -> tuple[Array, Array] | None:
    """Return the low and the high ends for `size` variables; None without bounds.

    Raises
    ------
    ValueError
        If they are not pairs, do not fit, or cross.
    """
    if bounds is None:
        return None
    if isinstance(bounds, Bounds):
        low, high = np.asarray(bounds.lb, float), np.asarray(bounds.ub, float)
    else:
        low, high = _read_pairs(bounds)
    try:
        low, high = (np.broadcast_to(end, (size,)) for end in (low, high))
    except ValueError:
        raise ValueError(
            f"minimize got bounds of {np.size(low)} pairs for {size} weights. The "
            "number of bounds is not compatible with the length of `x0`. Give one "
            "pair (low, high) for each, in the order of the flat vector."
        ) from None
    crossed = np.flatnonzero(low > high)
    if len(crossed):
        raise ValueError(
            f"minimize got bounds whose low end is above the high one at entry "
            f"{crossed[0]}. An upper bound is less than the corresponding lower bound. "
            "Each must be a pair (low, high)."
        )
    return low, high


def _read_pairs(bounds: Any) -> tuple[Array, Array]:
    try:
        ends = [(_number(low), _number(high)) for low, high in bounds]
        low = np.array([-np.inf if low is None else low for low, _ in ends], float)
        high = np.array([np.inf if high is None else high for _, high in ends], float)
    except (TypeError, ValueError):
        raise ValueError(
            f"minimize got bounds={bounds!r}; it must be a sequence of pairs "
            "(low, high), with None for no limit."
        ) from None
    return low, high


def _number(end: Any) -> Any:
    return end.item() if isinstance(end, np.ndarray) else end
