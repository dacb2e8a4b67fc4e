"""What the user's own code says: a cost, its gradient, and recorded steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import CellType, FunctionType
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
    if not args and callable(cost):
        return _pairs_all_within(cost, x0)
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


def _pairs_all_within(cost: Any, x0: Any) -> bool:
    """Ask the same of a cost that takes its data from the function around it.

    The targets are an array with one column that has as many rows as another array. A
    copy of the function sees them shuffled.
    """
    cells = getattr(cost, "__closure__", None) or ()
    held = [_content(cell) for cell in cells]
    arrays = [a for a in held if isinstance(a, np.ndarray) and a.ndim]
    for k, y in enumerate(held):
        column = isinstance(y, np.ndarray) and y.ndim and y.size == len(y) >= 3
        if not column or not (y != y[:1]).any():
            continue
        if not any(len(a) == len(y) and a is not y for a in arrays):
            continue
        shuffled = y[np.random.RandomState(0).permutation(len(y))]
        others = tuple(CellType(shuffled) if k == j else cell
                       for j, cell in enumerate(cells))  # fmt: skip
        copy = FunctionType(cost.__code__, cost.__globals__, cost.__name__,
                            cost.__defaults__, others)  # fmt: skip
        copy.__kwdefaults__ = cost.__kwdefaults__
        if _are_same(cost, copy, x0):
            return True
    return False


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return None


def _are_same(one: Any, other: Any, x0: Any) -> bool:
    """Whether two costs agree at a point near x0."""
    tree = PyTree(x0)
    flat = tree.pack(x0)
    flat = flat + 0.1 * np.random.RandomState(1).standard_normal(len(flat))
    try:
        with np.errstate(all="ignore"):
            a, b = (_first(f(tree.unpack(flat))) for f in (one, other))
    except (ValueError, TypeError, IndexError, ArithmeticError):
        return False
    return bool(abs(a - b) <= 1e-10 * abs(a)) and bool(a)


def _first(value: Any) -> float:
    value = value[0] if isinstance(value, tuple) else value
    return float(np.asarray(value).reshape(-1)[0])


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
