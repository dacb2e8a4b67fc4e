"""What the user's own code says: a cost, its gradient, and recorded steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from thalweg.core import Array, PyTree
from thalweg.diagnosis.facts.group import FactGroup
from thalweg.optimize import ShapeError, UserFunction, check_gradient


@dataclass(frozen=True)
class GradientFacts(FactGroup):
    """What `thalweg.check_gradient` says of the user's function.

    Parameters
    ----------
    cause, where, message, error : str, str, str, float
        As in `thalweg.optimize.GradientCheck`.
    pairs_all : bool
        Whether the cost compares every row with every other one.
    """

    prefix = "written"
    why_not = "no hand-written cost and gradient were given"

    cause: str
    where: str
    message: str
    error: float
    pairs_all: bool


@dataclass(frozen=True)
class StepFacts(FactGroup):
    """Recorded steps of the user's training.

    Parameters
    ----------
    count : int
    cosine : float
        The smallest cosine between the gradient used and the right one.
    climbs : bool
        Whether the steps go uphill.
    still : str
        Names of arrays that do not move although their gradient is not 0.
    """

    prefix = "steps"
    why_not = "no recorded steps of a hand-written training were given"

    count: int
    cosine: float
    climbs: bool
    still: str


def facts_of_gradient(cost: Any, gradient: Any, x0: Any, args: Any) -> GradientFacts:
    """Compare a gradient with its cost, and the cost with that of shuffled targets."""
    check = check_gradient(cost, gradient, x0, args)
    return GradientFacts(
        cause=check.cause,
        where=check.where,
        message=check.message,
        error=check.error,
        pairs_all=_pairs_all(cost, gradient, x0, args),
    )


def _pairs_all(cost: Any, gradient: Any, x0: Any, args: tuple[Any, ...]) -> bool:
    """Whether the cost stays the same when the rows of the targets alone are shuffled.

    The targets are the last array with as many rows as the first one.
    """
    rows = [k for k, a in enumerate(args) if np.ndim(a)]
    if len(rows) < 2:
        return False
    first, last = rows[0], rows[-1]
    n, y = len(args[first]), np.asarray(args[last])
    if len(y) != n or n < 3 or not (y != y[:1]).any():
        return False
    packing = PyTree(x0)
    flat = packing.pack(x0)
    flat = flat + 0.1 * np.random.RandomState(1).standard_normal(len(flat))
    shuffled = list(args)
    shuffled[last] = y[np.random.RandomState(0).permutation(n)]
    try:
        with np.errstate(all="ignore"):
            one = UserFunction(cost, gradient, packing, args).cost(flat)
            other = UserFunction(cost, gradient, packing, tuple(shuffled)).cost(flat)
    except (ShapeError, ValueError, TypeError, IndexError, ArithmeticError):
        return False
    return bool(abs(one - other) <= 1e-10 * abs(one)) and bool(one)


def facts_of_steps(
    cost: Any, gradient: Any, steps: Sequence[tuple[Any, Any]], args: Any
) -> StepFacts:
    """Compare recorded steps, (weights before, gradient used), with fresh gradients.

    Raises
    ------
    ValueError
        For fewer than three steps.
    """
    if len(steps) < 3:
        raise ValueError(
            f"diagnose got {len(steps)} steps; it needs at least three consecutive "
            "ones, each (weights before, gradient used)."
        )
    packing = PyTree(steps[0][0])
    function = UserFunction(cost, gradient, packing, args)
    before = [packing.pack(weights) for weights, _ in steps]
    used = [packing.pack(g) for _, g in steps]
    fresh = [function.gradient(x) for x in before]
    moves = [b - a for a, b in pairwise(before)]
    uphill = [_cosine(move, g) for move, g in zip(moves, fresh, strict=False)]
    return StepFacts(
        count=len(steps),
        cosine=min(map(_cosine, used, fresh)),
        climbs=float(np.mean(uphill)) > 0.1,
        still=", ".join(
            part.name
            for part in packing.parts
            if not any(m[part.start : part.stop].any() for m in moves)
            and any(g[part.start : part.stop].any() for g in fresh)
        ),
    )


def _cosine(a: Array, b: Array) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size else 1.0
