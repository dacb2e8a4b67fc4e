"""Whether a hand-written gradient belongs to its cost, and if not, what is wrong.

Central differences along random directions (`thalweg.optimize.finite_differences`)
decide whether they agree; `thalweg.optimize.gradient_faults` then finds the mistake.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from thalweg.core import Array, PyTree, short_repr
from thalweg.optimize.feasible_region import FeasibleRegion
from thalweg.optimize.finite_differences import (
    WRONG,
    DirectionResult,
    FiniteDifferences,
    typical_sizes,
)
from thalweg.optimize.gradient_entries import Evidence
from thalweg.optimize.gradient_faults import GradientFault, explain
from thalweg.optimize.user_function import ONE_HOT_HINT, ShapeError, UserFunction

LOG_OF_0_HINT = (
    "The usual reason is a logarithm of 0: saturated units give probabilities of "
    "exactly 0 or 1. Scale the inputs, begin with smaller weights, or compute the "
    "loss from the pre-activations (log-sum-exp)."
)

_N_DIRECTIONS = 20
_MIN_DIRECTIONS, _SECONDS = 5, 10.0
"""After that time no direction beyond the first few is tried."""
_BRIEF_EVALUATIONS = 14
"""How many of its 20 evaluations a brief check has for the directions."""


@short_repr
@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradient` found.

    Parameters
    ----------
    ok : bool
        Whether cost and gradient agree.
    cause : str
        ``""`` if they agree; otherwise the likely cause: ``"factor"``, ``"sign"``,
        ``"transpose"``, ``"missing-penalty"``, ``"extra-penalty"``,
        ``"penalty-on-bias"``, ``"wrong-derivative"``, ``"shape"``, ``"nonfinite"``,
        ``"random"`` (the cost differs between calls at the same x) or
        ``"inconclusive"`` (the differences cannot tell; `minimize` goes on).
    where : str
        The array, or the part of the vector, that is wrong.
    factor : float
        How many times too large the gradient is (``"factor"``, ``"sign"``), or the
        strength λ of the penalty (``"...-penalty"``, ``"penalty-on-bias"``); NaN
        otherwise.
    message : str
        All of it in sentences.
    error : float
        Largest relative disagreement along a direction.
    notes : tuple of str
        What was repaired, such as a gradient that had to be flattened.
    """

    ok: bool
    cause: str
    where: str
    factor: float
    message: str
    error: float
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return self.message


_INCONCLUSIVE = GradientFault(
    "inconclusive",
    "",
    np.nan,
    "it could not be told whether cost and gradient agree: the finite differences are "
    "inconclusive along every direction. The cost has jumps, or it is rounded "
    "(computed in float32), or the bounds leave no room. Compute it in float64, or "
    "check elsewhere.",
)


def check_gradient(
    fun: Callable[..., Any], jac: Any, x0: Any, args: Any = ()
) -> GradientCheck:
    """Check that a gradient belongs to a cost; if not, say what is likely wrong.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> cost``, or ``-> (cost, gradient)`` if `jac` is True.
    jac : callable or True
        ``jac(x, *args) -> gradient``, shaped like x or flat.
    x0 : array-like, or nested lists, tuples and dicts of arrays
        Where to check. The check moves a little away from it, so that biases of 0 hide
        nothing.
    args : tuple
        Further arguments. Their lengths and numbers are tried as the m or λ that
        explains a disagreement.

    Returns
    -------
    GradientCheck

    Raises
    ------
    ValueError
        If x0 is not made of finite numbers, or jac is neither True nor callable.

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
    tree = PyTree(x0)
    args = args if isinstance(args, tuple) else (args,)
    return examine_gradient(UserFunction(fun, jac, tree, args), tree.pack(x0))


def examine_gradient(
    function: UserFunction,
    x0: Array,
    region: FeasibleRegion | None = None,
    *,
    brief: bool = False,
) -> GradientCheck:
    """Check the gradient of a `UserFunction` near the flat vector `x0`.

    Parameters
    ----------
    function : UserFunction
    x0 : ndarray of shape (n,)
        A point of the region.
    region : FeasibleRegion, optional
        Where the cost may be evaluated; by default everywhere.
    brief : bool
        Whether a right gradient may cost at most 20 evaluations.
    """
    region = region or FeasibleRegion()
    with np.errstate(all="ignore"):
        try:
            return _examine(function, x0, region, brief)
        except ShapeError as error:
            fault = GradientFault(error.cause, error.where, np.nan, str(error))
        except Warning:
            raise  # the user's filter makes it an error
        except Exception as error:
            fault = GradientFault("shape", "", np.nan, _describe_error(error, function))
    return _as_check(function, fault)


def _examine(
    function: UserFunction, x0: Array, region: FeasibleRegion, brief: bool
) -> GradientCheck:
    rng = np.random.default_rng(0)
    cost_at_x0, gradient_at_x0 = function.cost(x0), function.gradient(x0)
    x, cost, gradient = _nearby_point(
        function, x0, cost_at_x0, gradient_at_x0, region, rng
    )
    fault = (
        _nonfinite_fault(function.tree, cost_at_x0, gradient_at_x0)
        or _nonfinite_fault(function.tree, cost, gradient)
        or _random_fault(function, x, cost)
    )
    if fault:
        return _as_check(function, fault)
    differences = FiniteDifferences(function, x, region)
    if brief:
        differences.n_left = _BRIEF_EVALUATIONS
    results = list(_compare_directions(differences, gradient, rng, brief))
    if not results:
        return _as_check(function, _INCONCLUSIVE)
    error = max(result.error for result in results)
    if all(result.agrees for result in results):
        return _as_check(function, None, error, len(results))
    differences.n_left = np.inf
    fault = explain(Evidence.gather(differences, gradient, rng))
    certain = any(result.error > WRONG and not result.agrees for result in results)
    if fault.cause == "wrong-derivative" and not certain:
        fault = None
    return _as_check(function, fault, error, len(results))


def _nearby_point(
    function: UserFunction,
    x0: Array,
    cost_at_x0: float,
    gradient_at_x0: Array,
    region: FeasibleRegion,
    rng: np.random.Generator,
) -> tuple[Array, float, Array]:
    """Return a point near x0 where no weight is 0, if the cost is finite there.

    The cost and the gradient come with it.
    """
    noise = rng.standard_normal(len(x0))
    sizes = 0.1 * typical_sizes(function.tree, x0)
    nearby = region.inside(x0 + sizes * noise, sizes)
    at_x0 = x0, cost_at_x0, gradient_at_x0
    if nearby not in region:
        return at_x0
    try:
        cost, gradient = function.cost(nearby), function.gradient(nearby)
    except ArithmeticError:
        return at_x0  # x0 may lie on the edge of where the cost is defined
    if not (np.isfinite(cost) and np.isfinite(gradient).all()):
        return at_x0
    return nearby, cost, gradient


def _compare_directions(
    differences: FiniteDifferences,
    gradient: Array,
    rng: np.random.Generator,
    brief: bool,
) -> Iterator[DirectionResult]:
    """Compare along random directions, through all weights and within blocks."""
    begun = time.perf_counter()
    blocks = _blocks(differences.function.tree)
    if brief:
        blocks = _in_groups(blocks)
    n_directions = len(blocks) if brief else max(_N_DIRECTIONS, len(blocks))
    for count in range(n_directions):
        block = blocks[count % len(blocks)]
        direction = np.zeros(len(gradient))
        direction[block] = rng.standard_normal(block.stop - block.start)
        result = differences.compare(direction, gradient)
        if result is not None:
            yield result
        tried = count + 1
        if tried >= _MIN_DIRECTIONS and time.perf_counter() - begun > _SECONDS:
            break


def _blocks(tree: PyTree) -> list[slice]:
    """Return the whole vector and its arrays, or quarters of it if it is one array."""
    whole = slice(0, tree.size)
    if len(tree.parts) > 1:
        return [whole, *(slice(part.start, part.stop) for part in tree.parts)]
    n_quarters = min(4, tree.size) if tree.size > 1 else 0
    edges = np.linspace(0, tree.size, n_quarters + 1).astype(int)
    return [whole, *(slice(int(a), int(b)) for a, b in pairwise(edges))]


def _in_groups(blocks: list[slice]) -> list[slice]:
    """Join neighboring arrays, so that there are few enough blocks."""
    whole, *parts = blocks
    n_groups = min(_BRIEF_EVALUATIONS // 2 - 1, len(parts))
    groups = np.array_split(np.arange(len(parts)), n_groups) if n_groups else []
    return [whole, *(slice(parts[g[0]].start, parts[g[-1]].stop) for g in groups)]


def _nonfinite_fault(
    tree: PyTree, cost: float, gradient: Array
) -> GradientFault | None:
    if not np.isfinite(cost):
        where, value = "the cost", str(cost)
    elif not np.isfinite(gradient).all():
        entry = int(np.flatnonzero(~np.isfinite(gradient))[0])
        where, value = f"the gradient of {tree.part_at(entry).name}", "not finite"
    else:
        return None
    message = f"{where} is {value} at x0. {LOG_OF_0_HINT}"
    return GradientFault("nonfinite", where, np.nan, message)


def _random_fault(
    function: UserFunction, x: Array, cost: float
) -> GradientFault | None:
    again = function.recompute_cost(x)
    if again == cost:
        return None
    message = (
        f"the cost is {cost:.9g} at one call and {again:.9g} at another, for the same "
        "weights. No minimizer can work with that. Draw dropout masks, noise and "
        "batches once, outside the function, and do not change an argument in place."
    )
    return GradientFault("random", "the cost", np.nan, message)


def _describe_error(error: Exception, function: UserFunction) -> str:
    shapes = ", ".join(f"{part.name} {part.shape}" for part in function.tree.parts)
    return (
        f"the cost or its gradient raised {type(error).__name__}: {error}. It was "
        f"called with {shapes}. If shapes do not match, look for a bias column that "
        f"was not dropped from the weights in the backward pass. {ONE_HOT_HINT}"
    )


def _as_check(
    function: UserFunction,
    fault: GradientFault | None,
    error: float = np.inf,
    n_directions: int = 0,
) -> GradientCheck:
    """Turn a fault, or the lack of one, into the result that users see."""
    if fault is None:
        message = f"Cost and gradient agree on {n_directions} directions."
        fault = GradientFault("", "", np.nan, message)
    return GradientCheck(
        ok=not fault.cause,
        cause=fault.cause,
        where=fault.where,
        factor=float(f"{fault.factor:.6g}"),
        message=fault.message[0].upper() + fault.message[1:],
        error=error,
        notes=tuple(function.notes),
    )
