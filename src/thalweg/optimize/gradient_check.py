"""Whether a hand-written gradient belongs to its cost, and if not, what the mistake is.

Central differences along random directions (`thalweg.optimize.finite_differences`)
decide whether they agree; `thalweg.optimize.gradient_faults` then finds the mistake.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from thalweg.core import Array, PyTree
from thalweg.optimize.finite_differences import WRONG, FiniteDifferences, Trial, sizes
from thalweg.optimize.gradient_faults import Evidence, Found, explain
from thalweg.optimize.user_function import ONE_HOT, ShapeError, UserFunction


@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradient` found.

    Parameters
    ----------
    ok : bool
        Whether cost and gradient agree.
    cause : str
        ``""`` where they do; else the likely cause: ``"factor"``, ``"sign"``,
        ``"transpose"``, ``"missing-penalty"``, ``"extra-penalty"``,
        ``"penalty-on-bias"``, ``"wrong-derivative"``, ``"shape"``, ``"nonfinite"`` or
        ``"random"`` (another cost at another call).
    where : str
        The array, or the part of the vector, that is wrong.
    factor : float
        How many times too large the gradient is (``"factor"``, ``"sign"``), or the
        penalty's λ that is missing or too much; NaN otherwise.
    message : str
        All of it in sentences.
    error : float
        Largest relative disagreement along a direction.
    notes : tuple of str
        What was put right in passing, such as a flattened gradient.
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


_DIRECTIONS = 20
_FEWEST = 4
_SECONDS = 10.0


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
    packing = PyTree(x0)
    args = args if isinstance(args, tuple) else (args,)
    return examine(UserFunction(fun, jac, packing, args), packing.pack(x0))


def examine(written: UserFunction, x0: Array) -> GradientCheck:
    """Check a `UserFunction` at the flat vector `x0`."""
    with np.errstate(all="ignore"):
        try:
            return _examine(written, x0)
        except ShapeError as error:
            found = Found(error.cause, error.where, np.nan, str(error))
        except Exception as error:
            found = Found("shape", "", np.nan, _raised(error, written.packing))
    return _verdict(written, found)


def _examine(written: UserFunction, x0: Array) -> GradientCheck:
    rng = np.random.default_rng(0)
    start = written.gradient(x0), written.cost(x0)
    x = _aside(written, x0, rng)
    gradient, cost = written.gradient(x), written.cost(x)
    for g, c in (start, (gradient, cost)):
        if not np.isfinite(c) or not np.isfinite(g).all():
            return _verdict(written, _nonfinite(written.packing, c, g))
    if written.again(x) != cost:
        return _verdict(written, _restless(written, x, cost))
    differences = FiniteDifferences(written, x)
    tried = list(_along_directions(differences, gradient, written.packing, rng))
    error = max((t.error for t in tried), default=0.0)
    if all(trial.fine for trial in tried):
        return _verdict(written, None, error, len(tried))
    found = explain(Evidence(differences, gradient, written.packing, written.args, rng))
    sure = any(trial.error > WRONG and not trial.fine for trial in tried)
    if found.cause == "wrong-derivative" and not sure:
        found = None
    return _verdict(written, found, error, len(tried))


def _aside(written: UserFunction, x0: Array, rng: np.random.Generator) -> Array:
    """Return a point near x0 where no weight is 0, if the cost is finite there."""
    moved = x0 + 0.1 * sizes(written.packing, x0) * rng.standard_normal(len(x0))
    try:
        both = written.cost(moved), written.gradient(moved)
    except ArithmeticError:
        return x0  # x0 may lie on a bound
    return moved if all(np.isfinite(value).all() for value in both) else x0


def _along_directions(
    differences: FiniteDifferences,
    gradient: Array,
    packing: PyTree,
    rng: np.random.Generator,
) -> Iterator[Trial]:
    """Try random directions, through all weights and within parts."""
    begun = time.perf_counter()
    blocks = _blocks(packing)
    for count in range(max(_DIRECTIONS, len(blocks))):
        block = blocks[count % len(blocks)]
        direction = np.zeros(packing.size)
        direction[block] = rng.standard_normal(block.stop - block.start)
        trial = differences.try_direction(direction, gradient)
        if trial is not None:
            yield trial
        if count >= _FEWEST and time.perf_counter() - begun > _SECONDS:
            break


def _blocks(packing: PyTree) -> list[slice]:
    """Return the whole vector and its parts, or quarters where it is of one piece."""
    whole = slice(0, packing.size)
    if len(packing.parts) > 1:
        return [whole, *(slice(p.start, p.stop) for p in packing.parts)]
    edges = np.linspace(0, packing.size, min(4, packing.size) + 1).astype(int)
    return [whole, *(slice(int(a), int(b)) for a, b in pairwise(edges))]


def _nonfinite(packing: PyTree, cost: float, gradient: Array) -> Found:
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


def _restless(written: UserFunction, x: Array, cost: float) -> Found:
    words = (
        f"the cost is {cost:.9g} at one call and {written.again(x):.9g} at another, "
        "for the same weights. No minimizer can work on that: draw dropout masks, "
        "noise and batches once, outside of the function, and change no argument in "
        "place."
    )
    return Found("random", "the cost", np.nan, words)


def _raised(error: Exception, packing: PyTree) -> str:
    shapes = ", ".join(f"{p.name} {p.shape}" for p in packing.parts)
    return (
        f"the cost or its gradient raised {type(error).__name__}: {error}. It was "
        f"called with {shapes}. If shapes do not match, look for a bias column that "
        f"was not dropped from the weights on the way back. {ONE_HOT}"
    )


def _verdict(
    written: UserFunction, found: Found | None, error: float = np.inf, n_tried: int = 0
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
