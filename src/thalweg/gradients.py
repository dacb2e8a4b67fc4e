"""Whether a hand-written gradient belongs to its cost, and if not, what the mistake is.

Central differences along random directions, at two step sizes, decide whether they
agree; a direction counts only where the two steps agree with each other, so that kinks
and rounding raise no alarm. Where they do not agree, single entries are differenced,
and the disagreement is held against the mistakes that people make: a factor, a sign, a
transposed matrix, a penalty that reaches only one of the two, or the biases too.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.packing import Packing, Part
from thalweg.records import Array, GradientCheck

_DIRECTIONS = 20
_FEWEST = 4
_SECONDS = 10.0
_LIMIT = 1e-4
_ENTRIES = 60
_STEPS = (1e-5, 1e-3)
"""Step sizes, the second for costs that are computed in float32."""

_Cost = Callable[[Array], float]
_Gradient = Callable[[Array], Array]


def check_gradient(
    fun: Callable[..., Any], jac: Any, x0: Any, args: tuple[Any, ...] = ()
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
        Further arguments.

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
    written = Written(fun, jac, packing, args)
    return examine(written, packing.pack(x0))


class Written:
    """A user's cost and gradient, called with x as they hold it, seen as flat.

    Small slips of shape are put right and noted; larger ones raise `_Misshapen`.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        jac: Any,
        packing: Packing,
        args: tuple[Any, ...] = (),
    ) -> None:
        self.fun, self.jac, self.packing, self.args = fun, jac, packing, args
        self.notes: dict[str, None] = {}  # a set that keeps its order
        self._last: tuple[Array, Any] | None = None

    def cost(self, x: Array) -> float:
        """Cost at the flat vector `x`."""
        value = self._call(x)
        return self._as_cost(value[0] if self.jac is True else value)

    def gradient(self, x: Array) -> Array:
        """Gradient at the flat vector `x`, flat too."""
        if self.jac is True:
            return self._as_gradient(self._call(x)[1])
        return self._as_gradient(self.jac(self.packing.unpack(x), *self.args))

    def _call(self, x: Array) -> Any:
        """Call the cost; a second call at the same place is answered from memory."""
        if self._last is None or not np.array_equal(self._last[0], x):
            self._last = (x.copy(), self.fun(self.packing.unpack(x), *self.args))
        value = self._last[1]
        if self.jac is True and not (
            isinstance(value, tuple | list) and len(value) > 1
        ):
            raise Misshapen(
                "jac=True says that the cost function returns (cost, gradient); it "
                f"returned {type(value).__name__}. Return both, or give jac a function."
            )
        return value

    def _as_cost(self, value: Any) -> float:
        array = np.asarray(value)
        if array.size != 1 or array.dtype.kind not in "fiub":
            raise Misshapen(
                f"the cost is not one real number: it has shape {array.shape} and type "
                f"{array.dtype}. Sum or average the losses of the rows; if an (n, 1) "
                "array met an (n,) array, their difference is (n, n): make the shapes "
                "equal."
            )
        if array.ndim:
            self._note(
                f"The cost has shape {array.shape} and was taken as a number; SciPy "
                "would refuse it from NumPy 2.4 on. Return cost.item()."
            )
        return float(array.reshape(-1)[0])

    def _as_gradient(self, value: Any) -> Array:
        if value is None:
            raise Misshapen(
                "the gradient is None. Let the gradient function return its result."
            )
        flat = self._flatten(value)
        if flat.size != self.packing.size:
            raise Misshapen(self._miscount(flat.size))
        return flat

    def _flatten(self, value: Any) -> Array:
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fiub":
            if value.ndim > 1 and self.packing.is_flat:
                self._note(
                    f"The gradient has shape {value.shape} and was flattened to "
                    f"({value.size},); SciPy's line search would have failed on it."
                )
            return np.asarray(value, float).ravel()
        try:
            return self.packing.pack(value)
        except (TypeError, ValueError):
            raise Misshapen(
                f"the gradient is {type(value).__name__}, which does not hold numbers."
            ) from None

    def _miscount(self, found: int) -> str:
        needed = self.packing.size
        place = self.packing.part_at(min(found, needed - 1))
        at = (
            f", which falls in {place.name}, shape {place.shape},"
            if (len(self.packing.parts) > 1)
            else ""
        )
        return (
            f"the gradient has {found} entries{at} but there are {needed} weights. "
            "Look for a bias column that was not dropped, or an array left out."
        )

    def _note(self, text: str) -> None:
        self.notes[text] = None


class Misshapen(ValueError):
    """A cost or gradient whose shape is beyond repair."""


def examine(written: Written, x0: Array) -> GradientCheck:
    """Check a `Written` at the flat vector `x0`."""
    rng = np.random.default_rng(0)
    try:
        x = _aside(written, x0, rng)
        gradient = written.gradient(x)
        cost = written.cost(x)
    except Misshapen as error:
        return _verdict(written, "shape", "", np.nan, str(error))
    except Exception as error:
        return _verdict(written, "shape", "", np.nan, _raised(error, written))
    if not np.isfinite(cost) or not np.isfinite(gradient).all():
        return _nonfinite(written, x, cost, gradient)
    tried = _along_directions(written.cost, x, gradient, written.packing, rng)
    error = max((t.error for t in tried), default=0.0)
    if error <= _LIMIT:
        message = f"Cost and gradient agree on {len(tried)} directions."
        if not tried:
            message = "No direction told anything: the cost has jumps or is rounded."
        return _verdict(written, "", "", np.nan, message, error)
    return _blame(written, x, gradient, rng, error)


@dataclass(frozen=True)
class _Trial:
    """A direction: what the differences say, and what the gradient says."""

    numeric: float
    analytic: float
    scale: float

    @property
    def error(self) -> float:
        """Relative disagreement."""
        return abs(self.numeric - self.analytic) / self.scale


def _aside(written: Written, x0: Array, rng: np.random.Generator) -> Array:
    """Return a point near x0 where no weight is 0, if the cost is finite there."""
    size = np.sqrt(np.mean(x0**2)) or 0.1
    moved = x0 + 0.1 * size * rng.standard_normal(len(x0))
    if np.isfinite(written.cost(x0)) and np.isfinite(written.cost(moved)):
        return moved
    return x0


def _along_directions(
    cost: _Cost, x: Array, gradient: Array, packing: Packing, rng: np.random.Generator
) -> list[_Trial]:
    """Difference along random directions, through all weights and within parts."""
    begun = time.perf_counter()
    tried: list[_Trial] = []
    blocks = _blocks(packing)
    for count in range(_DIRECTIONS):
        block = blocks[count % len(blocks)]
        direction = np.zeros(len(x))
        direction[block] = rng.standard_normal(block.stop - block.start)
        direction /= np.linalg.norm(direction)
        trial = _difference(cost, x, direction, gradient)
        if trial is not None:
            tried.append(trial)
        if count >= _FEWEST and time.perf_counter() - begun > _SECONDS:
            break
    return tried


def _blocks(packing: Packing) -> list[slice]:
    """Return the whole vector and its parts, or quarters where it is of one piece."""
    whole = slice(0, packing.size)
    if len(packing.parts) > 1:
        return [whole, *(slice(p.start, p.stop) for p in packing.parts)]
    edges = np.linspace(0, packing.size, min(4, packing.size) + 1).astype(int)
    return [whole, *(slice(int(a), int(b)) for a, b in itertools.pairwise(edges))]


def _difference(
    cost: _Cost, x: Array, direction: Array, gradient: Array
) -> _Trial | None:
    """Difference at two steps; None where they contradict each other at any size."""
    for coarser in _STEPS:
        trial = _difference_at(cost, x, direction, gradient, coarser)
        if trial is not None:
            return trial
    return None


def _difference_at(
    cost: _Cost, x: Array, direction: Array, gradient: Array, step: float
) -> _Trial | None:
    analytic = float(gradient @ direction)
    step *= max(float(np.abs(x).max()), 1.0)
    slopes = [
        (cost(x + h * direction) - cost(x - h * direction)) / (2 * h)
        for h in (step, step / 10)
    ]
    # Rounding of the cost itself, as it comes through the smaller step.
    noise = 40 * np.finfo(float).eps * abs(cost(x)) / step
    typical = float(np.linalg.norm(gradient)) / np.sqrt(len(x))
    scale = max(abs(slopes[0]), abs(analytic), 1e-3 * typical, 1e3 * noise, 1e-12)
    apart = abs(slopes[0] - slopes[1])
    wrong = min(abs(slope - analytic) for slope in slopes)
    if not np.isfinite(apart) or apart > max(0.1 * wrong, 0.1 * _LIMIT * scale):
        # A kink, a jump, or rounding: no evidence.
        return None
    return _Trial(slopes[0], analytic, scale)


def _numeric_entries(cost: _Cost, x: Array, entries: Array) -> Array:
    size = max(float(np.abs(x).max()), 1.0)
    slopes = np.empty(len(entries))
    for k, entry in enumerate(entries):
        step = np.zeros(len(x))
        step[entry] = 1e-5 * size
        slopes[k] = (cost(x + step) - cost(x - step)) / (2e-5 * size)
    return slopes


def _blame(
    written: Written, x: Array, gradient: Array, rng: np.random.Generator, error: float
) -> GradientCheck:
    """Difference single entries, and find the mistake that explains them."""
    entries = _choose_entries(written.packing, rng)
    numeric = _numeric_entries(written.cost, x, entries)
    evidence = _Evidence(written.packing, x, entries, numeric, gradient)
    for suspect in _SUSPECTS:
        found = suspect(evidence, _lengths(written.args))
        if found is not None:
            cause, where, factor, words = found
            return _verdict(written, cause, where, factor, words, error)
    where = evidence.where()
    words = (
        f"The gradient of {where} is not the derivative of the cost, and no single "
        "factor, sign or penalty explains it. Look at the derivative of the "
        "activation (it takes the pre-activation, or the right expression in the "
        "activation: a(1-a), 1-a²) and at which layers' errors are propagated."
    )
    return _verdict(written, "wrong-derivative", where, np.nan, words, error)


def _choose_entries(packing: Packing, rng: np.random.Generator) -> Array:
    chosen = []
    for part in packing.parts:
        places = np.arange(part.start, part.stop)
        most = _ENTRIES if len(packing.parts) > 1 else 4 * _ENTRIES
        chosen.append(np.sort(rng.permutation(places)[:most]))
    return np.concatenate(chosen)


@dataclass(frozen=True)
class _Evidence:
    """Entries of the gradient: differenced, and as the user computed them."""

    packing: Packing
    x: Array
    entries: Array
    numeric: Array
    gradient: Array

    @property
    def analytic(self) -> Array:
        return self.gradient[self.entries]

    @property
    def wrong(self) -> Array:
        """Which entries disagree."""
        apart = np.abs(self.numeric - self.analytic)
        size = np.maximum(np.abs(self.numeric), np.abs(self.analytic))
        floor = 1e-6 * max(float(np.abs(self.numeric).max(initial=0)), 1e-12)
        return apart > 1e-4 * size + floor

    def of(self, part: Part) -> Array:
        """Mark the entries within a part."""
        return (self.entries >= part.start) & (self.entries < part.stop)

    def wrong_parts(self) -> list[Part]:
        """List the parts with more than a stray wrong entry."""
        return [p for p in self.packing.parts if (self.wrong & self.of(p)).any()]

    def where(self) -> str:
        """Name the place of what is wrong."""
        parts = self.wrong_parts()
        if len(self.packing.parts) > 1:
            everywhere = len(parts) == len(self.packing.parts)
            return "all arrays" if everywhere else ", ".join(p.name for p in parts)
        at = self.entries[self.wrong]
        if not len(at) or self.wrong.mean() > 0.9:
            return "all weights"
        return f"entries {at.min()} to {at.max()} of {self.packing.parts[0].name}"


_Found = tuple[str, str, float, str] | None


def _suspect_factor(evidence: _Evidence, lengths: Sequence[int]) -> _Found:
    at = evidence.wrong
    factor = _ratio(evidence.numeric[at], evidence.analytic[at])
    if factor is None:
        factor = _ratio_beside_penalty(evidence, lengths)
    if factor is None or np.isclose(factor, 1, rtol=0.01):
        return None
    return _name_factor(factor, evidence.where(), lengths)


def _name_factor(factor: float, where: str, lengths: Sequence[int]) -> _Found:
    size = _spell(abs(factor), lengths)
    if factor < 0:
        more = "" if size == "1" else f", and {size} times too large"
        words = (
            f"The gradient of {where} has the wrong sign{more}: it points uphill. "
            "Return +d(cost)/dx; for a log-likelihood, negate both or neither."
        )
        return ("sign", where, factor, words)
    words = (
        f"The gradient of {where} is {size} times what the cost implies. Look for a "
        "forgotten ½ of a square, a sum in one and a mean in the other, or a division "
        "by the number of rows that stands in only one of them."
    )
    return ("factor", where, factor, words)


def _spell(size: float, lengths: Sequence[int]) -> str:
    for length in lengths:
        if length > 2 and np.isclose(size, length, rtol=1e-3):
            return f"{length} (the length of an argument)"
        if length > 2 and np.isclose(size * length, 1, rtol=1e-3):
            return f"1/{length} (one over the length of an argument)"
    return f"{size:.4g}"


def _suspect_transpose(evidence: _Evidence, lengths: Sequence[int]) -> _Found:
    for part in evidence.wrong_parts():
        if len(part.shape) == 2 and min(part.shape) > 1:
            at = evidence.of(part)
            swapped = evidence.gradient[part.start : part.stop]
            swapped = swapped.reshape(part.shape[::-1]).T.ravel()
            guess = swapped[evidence.entries[at] - part.start]
            if _same(evidence.numeric[at], guess):
                return _transposed(part.name)
    if len(evidence.entries) == len(evidence.x) and evidence.packing.is_flat:
        numeric, analytic = evidence.numeric, evidence.analytic
        at = evidence.wrong
        if at.sum() > 2 and _same(np.sort(numeric[at]), np.sort(analytic[at])):
            return _transposed(evidence.where())
    return None


def _transposed(where: str) -> _Found:
    words = (
        f"The gradient of {where} holds the right numbers in another order: it is "
        "transposed. Transpose it before it is flattened, or flatten weights and "
        "gradient with the same `order`."
    )
    return ("transpose", where, np.nan, words)


def _suspect_penalty(evidence: _Evidence, lengths: Sequence[int]) -> _Found:
    at = evidence.wrong
    x = evidence.x[evidence.entries]
    slope = _ratio(x[at], (evidence.numeric - evidence.analytic)[at])
    if slope is None or not np.isfinite(slope):
        return None
    where = evidence.where()
    if _looks_like_biases(evidence):
        words = (
            f"The gradient of {where} differs from the cost's by {-slope:.4g} times "
            "the weights themselves, and of the other weights by nothing: a penalty "
            "reaches the biases in only one of the two. Leave the biases out of both."
        )
        return ("penalty-on-bias", where, abs(slope), words)
    if slope > 0:
        words = (
            f"The gradient of {where} lacks {slope:.4g} times the weights: the cost "
            "has a penalty (λ/2)·Σw² that the gradient does not, or has with another "
            "factor. Add λ·w to the gradient."
        )
        return ("missing-penalty", where, slope, words)
    words = (
        f"The gradient of {where} has {-slope:.4g} times the weights too much: it has "
        "a penalty λ·w that the cost does not, or has with another factor. Add "
        "(λ/2)·Σw² to the cost."
    )
    return ("extra-penalty", where, -slope, words)


def _looks_like_biases(evidence: _Evidence) -> bool:
    """Whether only biases are wrong: vectors beside matrices, or one column's share."""
    parts = evidence.wrong_parts()
    if len(evidence.packing.parts) > 1:
        matrices = [p for p in evidence.packing.parts if _is_matrix(p)]
        if all(not _is_matrix(part) for part in parts):
            return bool(matrices)
        return all(_one_column(evidence, part) for part in parts if _is_matrix(part))
    return bool(evidence.wrong.mean() < 0.5) and _scattered(evidence)


def _is_matrix(part: Part) -> bool:
    return len(part.shape) == 2 and min(part.shape) > 1


def _one_column(evidence: _Evidence, part: Part) -> bool:
    at = evidence.entries[evidence.wrong & evidence.of(part)] - part.start
    rows, columns = np.unravel_index(at, part.shape)
    alone = len(np.unique(rows)) == 1 or len(np.unique(columns)) == 1
    return alone and len(at) < int((evidence.of(part)).sum())


def _scattered(evidence: _Evidence) -> bool:
    """Whether right entries lie between wrong ones, or wrong ones end the vector."""
    at = np.flatnonzero(evidence.wrong)
    return bool(len(at) < at[-1] - at[0] + 1 or at[-1] == len(evidence.entries) - 1)


_SUSPECTS = (_suspect_factor, _suspect_transpose, _suspect_penalty)


def _ratio(base: Array, multiple: Array) -> float | None:
    """Return k where multiple = k·base for all entries, else None."""
    if len(base) < 2 or not base.any():
        return None
    k = float(base @ multiple / (base @ base))
    if k == 0 or np.linalg.norm(multiple - k * base) > 1e-3 * np.linalg.norm(multiple):
        return None
    return k


def _ratio_beside_penalty(evidence: _Evidence, lengths: Sequence[int]) -> float | None:
    """Find a factor of the data's part alone, with a penalty that is right in both."""
    x = evidence.x[evidence.entries]
    design = np.stack([evidence.analytic, x], axis=1)
    if len(x) < 4 or np.linalg.matrix_rank(design) < 2:
        return None
    (scale, _), *_ = np.linalg.lstsq(design, evidence.numeric, rcond=None)
    fitted = design @ np.linalg.lstsq(design, evidence.numeric, rcond=None)[0]
    if not _same(evidence.numeric, fitted) or abs(scale) < 1e-9:
        return None
    usual = [2.0, 0.5, -1.0, *map(float, lengths), *(1 / n for n in lengths if n)]
    factor = 1 / float(scale)
    near = [u for u in usual if np.isclose(factor, u, rtol=1e-3)]
    return factor if near and not np.isclose(factor, 1, rtol=1e-3) else None


def _same(left: Array, right: Array) -> bool:
    return bool(np.linalg.norm(left - right) <= 1e-3 * np.linalg.norm(left))


def _lengths(args: tuple[Any, ...]) -> list[int]:
    """List the lengths of array arguments: the m that people divide by."""
    shapes = [np.shape(arg) for arg in args if hasattr(arg, "shape")]
    return sorted({int(n) for shape in shapes for n in shape if n > 1})


def _nonfinite(
    written: Written, x: Array, cost: float, gradient: Array
) -> GradientCheck:
    where = "the cost"
    if np.isfinite(cost):
        entry = int(np.flatnonzero(~np.isfinite(gradient))[0])
        where = f"the gradient of {written.packing.part_at(entry).name}"
    words = (
        f"{where} is {cost if where == 'the cost' else 'not finite'} at the start. A "
        "logarithm of 0 is the usual reason: saturated units give probabilities of "
        "exactly 0 or 1. Scale the inputs, begin with smaller weights, or compute the "
        "loss from the pre-activations (log-sum-exp)."
    )
    return _verdict(written, "nonfinite", where, np.nan, words[0].upper() + words[1:])


def _raised(error: Exception, written: Written) -> str:
    shapes = ", ".join(f"{p.name} {p.shape}" for p in written.packing.parts)
    return (
        f"the cost or its gradient raised {type(error).__name__}: {error}. It was "
        f"called with {shapes}. If shapes do not match, look for labels that should "
        "be one row of zeros and a one for each (one-hot), and for a bias column that "
        "was not dropped from the weights on the way back."
    )


def _verdict(
    written: Written, cause: str, where: str, factor: float, message: str,
    error: float = np.inf,
) -> GradientCheck:  # fmt: skip
    text = message[0].upper() + message[1:]
    return GradientCheck(
        ok=not cause,
        cause=cause,
        where=where,
        factor=factor if cause else np.nan,
        message=text,
        error=error,
        notes=tuple(written.notes),
    )
