"""What hand-written code says: a cost, its gradient, and recorded steps."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from thalweg.core import Array, PyTree
from thalweg.optimize import ShapeError, UserFunction, check_gradient


def facts_of_written(cost: Any, gradient: Any, x0: Any, args: Any) -> dict[str, Any]:
    """Hold a gradient against its cost, and the cost against shuffled targets."""
    check = check_gradient(cost, gradient, x0, args)
    return {
        "written.cause": check.cause,
        "written.where": check.where,
        "written.message": check.message,
        "written.error": check.error,
        "written.pairs_all": _pairs_all(cost, gradient, x0, args),
    }


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
) -> dict[str, Any]:
    """Hold recorded steps, (weights before, gradient used), against fresh gradients.

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
    written = UserFunction(cost, gradient, packing, args)
    at = [packing.pack(weights) for weights, _ in steps]
    used = [packing.pack(g) for _, g in steps]
    fresh = [written.gradient(x) for x in at]
    moves = [b - a for a, b in pairwise(at)]
    return {
        "steps.count": len(steps),
        "steps.cosine": min(map(_cosine, used, fresh)),
        "steps.climbs": float(np.mean([_cosine(m, g) for m, g in
                                       zip(moves, fresh, strict=False)])) > 0.1,
        "steps.still": ", ".join(
            part.name
            for part in packing.parts
            if not any(m[part.start : part.stop].any() for m in moves)
            and any(g[part.start : part.stop].any() for g in fresh)
        ),
    }  # fmt: skip


def _cosine(a: Array, b: Array) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size else 1.0
