"""Whether a user's function takes far longer than its arithmetic needs.

A hand-written network is slow if it loops over the rows, or differentiates by a loop
over the weights. Both show in the time of a call, beside what a matrix product of that
much work would take. Other slow functions, such as simulations, get no advice: only
where the user's own code has a loop can there be one over the rows.
"""

import dis
import time
from collections.abc import Iterator
from types import CodeType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from thalweg.optimize.recorded_functions import EvaluationLog
from thalweg.optimize.user_function import UserFunction

_SECONDS = 0.01
"""Faster functions are not looked at."""
_SLOW_GRADIENT, _SLOW_BOTH = 20.0, 100.0
_PRODUCT_SIZE, _MEASURED_SECONDS = 256, 0.03


def describe_slowness(log: EvaluationLog, function: UserFunction) -> list[str]:
    """Return a note if the gradient, or both functions, are needlessly slow."""
    cost, gradient = log.cost_seconds, log.gradient_seconds
    known = [seconds for seconds in (cost, gradient) if np.isfinite(seconds)]
    if max(known, default=0.0) < _SECONDS:
        return []
    if len(known) == 2 and gradient > _SLOW_GRADIENT * cost:
        return [
            f"The gradient takes {_in_units(gradient)}, {gradient / cost:.0f} times "
            f"the {_in_units(cost)} of the cost. Backpropagation takes two or three "
            f"times. {_WAY_OUT}"
        ]
    n_rows = _count_rows(function)
    functions = [each for each in (function.fun, function.jac) if callable(each)]
    if not n_rows or not any(_has_loop(each) for each in functions):
        return []
    # Each weight meets each row once in the cost, and twice more in the gradient.
    work = 2.0 * n_rows * function.tree.size
    needed = (3.0 if function.has_gradient else 1.0) * work / _product_speed()
    taken = sum(known)
    if taken < _SLOW_BOTH * needed:
        return []
    what = "Cost and gradient take" if function.has_gradient else "The cost takes"
    return [
        f"{what} {_in_units(taken)}. As matrix products their arithmetic, for {n_rows} "
        f"rows and {function.tree.size} weights, takes {_in_units(needed)}: "
        f"{taken / needed:.0f} times less. {_WAY_OUT}"
    ]


_WAY_OUT = (
    "Compute all rows at once with matrix products, instead of a loop over rows or "
    "weights; or train the network with tw.fit."
)


def _count_rows(function: UserFunction) -> int:
    """Return the length of the longest array that the functions are given."""
    given = [*function.args, *_enclosed(function.fun)]
    lengths = [len(each) for each in given if getattr(each, "ndim", 0) >= 1]
    return max(lengths, default=0)


def _enclosed(fun: Any) -> list[Any]:
    """Return what a function has in its closure, or a partial in its arguments."""
    named = getattr(fun, "keywords", None) or {}
    found = [*getattr(fun, "args", ()), *named.values()]
    for cell in getattr(fun, "__closure__", None) or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            continue  # not filled in yet
    return found


def _has_loop(function: Any, depth: int = 3) -> bool:
    """Whether a function of Python's has a loop, or one that it calls by name."""
    function = getattr(function, "func", function)  # of a partial
    function = getattr(function, "__func__", function)  # of a method
    code = getattr(function, "__code__", None)
    if code is None or depth == 0:
        return False
    if any(_loops(each) for each in _with_nested(code)):
        return True
    known = getattr(function, "__globals__", {})
    called = [known[name] for name in code.co_names if name in known]
    called += [each for each in _enclosed(function) if callable(each)]
    return any(_has_loop(each, depth - 1) for each in called)


def _with_nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_nested(constant)


def _loops(code: CodeType) -> bool:
    names = {each.opname for each in dis.get_instructions(code)}
    return bool(names & {"FOR_ITER", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})


def _product_speed() -> float:
    """Measure the floating-point operations a second of a product on one core."""
    matrix = np.ones((_PRODUCT_SIZE, _PRODUCT_SIZE))
    fastest, end = np.inf, time.perf_counter() + _MEASURED_SECONDS
    # Threads that wait for each other on a busy machine would hide the speed.
    with threadpool_limits(1):
        while time.perf_counter() < end or fastest == np.inf:
            begun = time.perf_counter()
            np.dot(matrix, matrix)
            fastest = min(fastest, time.perf_counter() - begun)
    return 2.0 * _PRODUCT_SIZE**3 / fastest


def _in_units(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{1e6 * seconds:.3g} µs"
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
