"""What is wrong with a gradient that is not its cost's.

Single entries are differenced, and the disagreement is held against the mistakes that
people make, the simplest first. With n what the differences say, a what the user's
function says and x the weights, wrong entries obey n = a/f where a factor or a sign is
wrong, n = a + λx where a penalty is, n = a/f + λx where only the data's part has a
wrong factor, and n is a in another order where something is transposed.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from thalweg.core import Array, Part, PyTree
from thalweg.optimize.finite_differences import FiniteDifferences
from thalweg.optimize.user_function import ONE_HOT

_SECONDS = 4.0
_FEWEST, _MOST = 120, 600
"""Entries that are differenced at random: as many as those seconds allow."""
_RARE, _SOUGHT = 0.05, 8
"""Wrong entries are looked for on purpose if they are rarer than that: so many."""
_EXPLAINED = 1e-3
"""Share of its disagreement that an explanation may leave over in an entry."""


class Found(NamedTuple):
    """A mistake: its code, place, factor, and all of it in words."""

    cause: str
    where: str
    factor: float
    words: str


@dataclass(frozen=True)
class Rows:
    """Some entries of the gradient: as differenced, and as the user computes them."""

    entries: Array
    x: Array
    numeric: Array
    analytic: Array
    noise: Array

    @property
    def apart(self) -> Array:
        """What the gradient lacks."""
        return self.numeric - self.analytic

    @cached_property
    def wrong(self) -> Array:
        """Which disagree, but for strays from kinks."""
        size = np.maximum(np.abs(self.numeric), np.abs(self.analytic))
        wrong = np.abs(self.apart) > 1e-6 * size + 3 * self.noise
        if not wrong.any():
            return wrong
        usual = np.percentile(np.abs(self.apart[wrong]), 90)
        return wrong & (np.abs(self.apart) > 1e-3 * usual)

    def at(self, chosen: Array) -> "Rows":
        """Choose some of them."""
        return Rows(*(getattr(self, column.name)[chosen] for column in fields(self)))

    def within(self, part: Part) -> "Rows":
        """Choose those of one array."""
        return self.at((self.entries >= part.start) & (self.entries < part.stop))

    def leave(self, rest: Array) -> bool:
        """Whether an explanation that leaves `rest` of what is apart is none."""
        size = np.minimum(np.abs(self.apart), np.abs(self.numeric))
        clear = self.noise < 0.1 * size
        small = np.abs(rest) <= _EXPLAINED * size + 3 * self.noise
        return not clear.any() or small[clear].mean() < 0.95


@dataclass
class Evidence:
    """What is known about a wrong gradient, and the means of learning more."""

    differences: FiniteDifferences
    gradient: Array
    packing: PyTree
    args: tuple[Any, ...]
    rng: np.random.Generator
    _known: dict[int, float] = field(default_factory=dict)

    @cached_property
    def rows(self) -> Rows:
        """Difference random entries, and some that are known to be wrong."""
        rows = self.look(self.differences, self.gradient, self._sample())
        if len(rows.x) == self.packing.size or rows.wrong.mean() > _RARE:
            return rows
        sought = [self._seek() for _ in range(_SOUGHT)]
        more = np.setdiff1d(sought, rows.entries)
        rows = _joined([rows, self.look(self.differences, self.gradient, more)])
        return rows.at(np.argsort(rows.entries))

    @cached_property
    def wrong(self) -> Rows:
        """The wrong ones; where they are few, at other points too."""
        found = [self.rows.at(self.rows.wrong)]
        points = 3 if len(found[0].entries) < 8 else 0
        for _ in range(points):
            differences = self.differences.moved(self.rng)
            gradient = differences.written.gradient(differences.x)
            found.append(self.look(differences, gradient, found[0].entries))
        return _joined(found)

    def look(
        self, differences: FiniteDifferences, gradient: Array, entries: Array
    ) -> Rows:
        """Difference the cost by some entries."""
        numeric = np.array([differences.entry(int(i)) for i in entries])
        noise = differences.rounding / differences.step / differences.units[entries]
        return Rows(entries, differences.x[entries], numeric, gradient[entries], noise)

    def is_wrong(self, entry: int) -> bool:
        """Whether a single entry is wrong."""
        here = np.flatnonzero(self.rows.entries == entry)
        if len(here):
            return bool(self.rows.wrong[here[0]])
        if entry not in self._known:
            one = self.look(self.differences, self.gradient, np.array([entry]))
            self._known[entry] = float(one.wrong[0])
        return bool(self._known[entry])

    def wrong_parts(self) -> list[Part]:
        """List the arrays with wrong entries."""
        wrong = self.rows.at(self.rows.wrong)
        return [p for p in self.packing.parts if len(wrong.within(p).entries)]

    def within(self, part: Part) -> "Evidence":
        """Return the evidence of one array alone."""
        alone = Evidence(
            self.differences,
            self.gradient,
            self.packing,
            self.args,
            self.rng,
            self._known,
        )
        alone.__dict__["rows"] = self.rows.within(part)
        return alone

    def _sample(self) -> Array:
        begun = time.perf_counter()
        self.differences.entry(0)
        affordable = _SECONDS / (time.perf_counter() - begun + 1e-6)
        most = int(np.clip(affordable, _FEWEST, _MOST))
        share = max(most // len(self.packing.parts), 40)
        chosen = [
            p.start + self.rng.permutation(p.stop - p.start)[:share]
            for p in self.packing.parts
        ]
        return np.sort(np.concatenate(chosen))

    def _seek(self) -> int:
        """Halve the weights at random until one wrong entry is left."""
        left = self.rng.permutation(self.packing.size)
        while len(left) > 1:
            halves = np.array_split(left, 2)
            left = max(halves, key=self._disagreement)
        return int(left[0])

    def _disagreement(self, entries: Array) -> float:
        direction = np.zeros(self.packing.size)
        direction[entries] = self.rng.standard_normal(len(entries))
        expected = float(self.gradient * self.differences.units @ direction)
        return abs(self.differences.slope(direction, self.differences.step) - expected)


def _joined(found: list[Rows]) -> Rows:
    names = [column.name for column in fields(Rows)]
    columns = ([getattr(rows, name) for rows in found] for name in names)
    return Rows(*map(np.concatenate, columns))


def explain(evidence: Evidence) -> Found:
    """Name the mistake; of arrays with different ones, that of the last."""
    parts = evidence.wrong_parts()
    found = _first(evidence)
    for part in reversed(parts if found is None and len(parts) > 1 else []):
        found = found or _first(evidence.within(part))
    return found or _wrong_derivative(evidence)


def _first(evidence: Evidence) -> Found | None:
    if not len(evidence.wrong.entries):
        return None
    return next(filter(None, (suspect(evidence) for suspect in _SUSPECTS)), None)


# ------------------------------------------------------------------- the mistakes


def _forgotten(evidence: Evidence) -> Found | None:
    if evidence.wrong.analytic.any():
        return None
    where = _place(evidence)
    words = (
        f"the gradient of {where} is 0, but the cost depends on it. Look for a layer "
        "that was left out on the way back, or whose gradient is never filled in."
    )
    return Found("wrong-derivative", where, 0.0, words)


def _factor(evidence: Evidence) -> Found | None:
    wrong = evidence.wrong
    share = _multiple(wrong.analytic, wrong.numeric)
    if not share or wrong.leave(wrong.numeric - share * wrong.analytic):
        return None
    return _name_factor(evidence, 1 / share)


def _factor_beside_penalty(evidence: Evidence) -> Found | None:
    line = _line(evidence.wrong, evidence.rng)
    return None if line is None else _name_factor(evidence, 1 / line, "the data's part")


def _name_factor(evidence: Evidence, factor: float, of: str = "") -> Found:
    where = _place(evidence)
    what = f"the gradient of {where}" + (f" ({of} of it)" if of else "")
    size = _spell(abs(factor), _lengths(evidence.args))
    if factor < 0:
        more = "" if np.isclose(factor, -1, rtol=1e-3) else f" and is {size} times it"
        words = (
            f"{what} has the wrong sign{more}: it points uphill. Return +d(cost)/dx; "
            "for a log-likelihood, negate both or neither."
        )
        return Found("sign", where, factor, words)
    words = (
        f"{what} is {size} times what the cost implies. Look for a forgotten ½ of a "
        "square, a sum in one and a mean in the other, or a division by the number of "
        "rows that stands in only one of them."
    )
    return Found("factor", where, factor, words)


def _transposed(evidence: Evidence) -> Found | None:
    """Whether the right numbers all occur in the gradient, but elsewhere."""
    wrong = evidence.rows.at(evidence.rows.wrong)
    for part in evidence.wrong_parts():
        own = evidence.gradient[part.start : part.stop]
        if not _reordered(wrong.within(part), own):
            return None
    where = _place(evidence)
    words = (
        f"the gradient of {where} holds the right numbers in another order: it is "
        "transposed. Transpose it before it is flattened, or flatten the weights and "
        "the gradient with the same `order`."
    )
    return Found("transpose", where, np.nan, words)


def _reordered(rows: Rows, gradient: Array) -> bool:
    if len(rows.entries) < (2 if len(gradient) < 50 else 6):
        return False  # could be chance
    pool = np.sort(gradient)
    after = np.clip(np.searchsorted(pool, rows.numeric), 1, len(pool) - 1)
    nearest = np.minimum(
        np.abs(pool[after] - rows.numeric), np.abs(pool[after - 1] - rows.numeric)
    )
    floor = 1e-7 * np.abs(rows.numeric).max()
    near = nearest <= 1e-5 * np.abs(rows.numeric) + 3 * rows.noise + floor
    return bool(near.mean() > 0.9)


def _penalty(evidence: Evidence) -> Found | None:
    wrong = evidence.wrong
    for of, base in (("w", wrong.x), ("sign(w)", np.sign(wrong.x))):
        slope = _multiple(base, wrong.apart)
        if slope and not wrong.leave(wrong.apart - slope * base):
            return _name_penalty(evidence, slope, of)
    return None


def _name_penalty(evidence: Evidence, slope: float, of: str) -> Found:
    where, size = _place(evidence), _spell(abs(slope), _strengths(evidence.args))
    whole = "(λ/2)·Σw²" if of == "w" else "λ·Σ|w|"
    lacks = f"lacks {size}·{of}" if slope > 0 else f"has {size}·{of} too much"
    told = f"the gradient of {where} {lacks}"
    if _only_biases(evidence):
        words = (
            f"{told}, and that of the other weights is right: a penalty reaches the "
            f"biases only in the {'cost' if slope > 0 else 'gradient'}. Leave the "
            "biases (the bias columns) out of both."
        )
        return Found("penalty-on-bias", where, abs(slope), words)
    if slope > 0:
        words = (
            f"{told}: the cost has a penalty {whole} that the gradient has not, or "
            f"not with the same factor (λ against λ/m, a 2). Add λ·{of} to the "
            "gradient."
        )
        return Found("missing-penalty", where, slope, words)
    words = (
        f"{told}: it has a penalty that the cost has not, or not with the same factor "
        f"(λ against λ/m, a forgotten ½). Make the cost's {whole} and the gradient's "
        f"λ·{of} agree."
    )
    return Found("extra-penalty", where, -slope, words)


def _wrong_derivative(evidence: Evidence) -> Found:
    where = _place(evidence)
    right = [p for p in evidence.packing.parts if p not in evidence.wrong_parts()]
    if right and len(evidence.packing.parts) > 1:
        look = f"{', '.join(p.name for p in right)} being right, look"
    else:
        look = "Look"
    hint = f" {ONE_HOT}" if _has_class_numbers(evidence.args) else ""
    words = (
        f"the gradient of {where} is not the derivative of the cost, and no single "
        f"factor, sign or penalty explains it. {look} at the derivative of the "
        "activation (of the pre-activation z, or as an expression in a: a(1-a), "
        f"1-a²), and whether the error sent back to a layer is multiplied by it.{hint}"
    )
    return Found("wrong-derivative", where, np.nan, words)


_SUSPECTS: tuple[Callable[[Evidence], Found | None], ...] = (
    _forgotten, _factor, _penalty, _transposed, _factor_beside_penalty,
)  # fmt: skip


# ------------------------------------------------------------------------ fitting


def _multiple(base: Array, multiple: Array) -> float:
    """Return the k of multiple ≈ k·base, 0 where nothing can be said."""
    square = float(base @ base)
    return float(base @ multiple) / square if len(base) > 1 and square else 0.0


def _line(rows: Rows, rng: np.random.Generator) -> float | None:
    """Find α where every entry is n = αa + βx, or n = αa where it has no penalty."""
    if len(rows.entries) < 6:
        return None
    for _ in range(100):
        pair = rows.at(rng.choice(len(rows.entries), 2, replace=False))
        system = np.stack([pair.analytic, pair.x], axis=1)
        if abs(np.linalg.det(system)) < 1e-12 * np.linalg.norm(system) ** 2:
            continue
        alpha, beta = np.linalg.solve(system, pair.numeric)
        rest = rows.numeric - alpha * rows.analytic
        rest = np.where(np.abs(rest - beta * rows.x) < np.abs(rest),
                        rest - beta * rows.x, rest)  # fmt: skip
        if not rows.leave(rest) and abs(alpha - 1) > 1e-3 and abs(alpha) > 1e-9:
            return float(alpha)
    return None


# ------------------------------------------------------------------------- places


def _place(evidence: Evidence) -> str:
    """Name the place of what is wrong."""
    parts = evidence.wrong_parts()
    if len(evidence.packing.parts) > 1:
        places = [_line_of(evidence, p) or p.name for p in parts]
        everywhere = places == [p.name for p in evidence.packing.parts]
        return "all arrays" if everywhere else ", ".join(places)
    name, at = evidence.packing.parts[0].name, _run_edges(evidence)
    if evidence.rows.wrong.mean() > 0.9:
        return f"all of {name}" if len(at) > 1 else name
    if _is_scattered(evidence):
        some = ", ".join(map(str, at[:3]))
        return f"entries {some}, … of {name}" if len(at) > 1 else f"{name}[{at[0]}]"
    return f"entries {at[0]} to {at[-1]} of {name}"


def _run_edges(evidence: Evidence) -> list[int]:
    return evidence.rows.entries[evidence.rows.wrong].tolist()


def _is_scattered(evidence: Evidence) -> bool:
    """Whether no wrong entry has a wrong neighbor, as in a bias column."""
    last = evidence.packing.size - 1
    at = evidence.rng.permutation(_run_edges(evidence))[: 2 * _SOUGHT].tolist()
    beside = [i + k for i in at for k in (-1, 1) if 0 <= i + k <= last]
    return not any(evidence.is_wrong(i) for i in beside)


def _only_biases(evidence: Evidence) -> bool:
    """Whether only biases are wrong: vectors beside matrices, or one column's share."""
    parts = evidence.wrong_parts()
    if len(evidence.packing.parts) > 1:
        right = [p.rank for p in evidence.packing.parts if p not in parts]
        if max(right, default=0) > max(p.rank for p in parts):
            return True
        return all(_line_of(evidence, p) for p in parts if p.rank == 2)
    if evidence.packing.parts[0].rank == 2:
        return bool(_line_of(evidence, evidence.packing.parts[0]))
    return _is_scattered(evidence) or all(
        before and before % length == 0 for before, length in _runs(evidence)
    )


def _line_of(evidence: Evidence, part: Part) -> str:
    """Name the one row or column of a matrix that is wrong, if it is just one."""
    if part.rank < 2:
        return ""
    own = evidence.within(part).rows
    at = np.unravel_index(own.entries - part.start, part.shape)
    wrong = [np.unique(axis[own.wrong]) for axis in at]
    for axis, lines in reversed(list(enumerate(wrong))):
        if len(lines) == 1 and len(np.unique(at[axis])) > 1:
            place = f"{lines[0]}, :" if axis == 0 else f":, {lines[0]}"
            return f"{part.name}[{place}]"
    return ""


def _runs(evidence: Evidence) -> Iterator[tuple[int, int]]:
    """Yield the runs of wrong entries: the right ones before each, and its length."""
    end = 0
    for entry in _run_edges(evidence):
        if entry < end:
            continue
        low = _edge(evidence, entry, -1)
        high = _edge(evidence, entry, 1)
        yield low - end, high - low + 1
        end = high + 1


def _edge(evidence: Evidence, entry: int, sign: int) -> int:
    """Gallop from a wrong entry to the end of its run, and back by halves."""
    inside, step = entry, 1
    while 0 <= inside + sign * step < evidence.packing.size and evidence.is_wrong(
        inside + sign * step
    ):
        inside, step = inside + sign * step, 2 * step
    while step:
        at = inside + sign * step
        if 0 <= at < evidence.packing.size and evidence.is_wrong(at):
            inside = at
        step //= 2
    return inside


# --------------------------------------------------- numbers that explain a number


def _lengths(args: tuple[Any, ...]) -> dict[str, float]:
    """Name the lengths of array arguments, the m that people divide by, and more."""
    lengths = _plain_lengths(args)
    forms = {"1/{}": lambda n: 1 / n, "{}": lambda n: n,
             "1/(2·{})": lambda n: 1 / (2 * n), "2·{}": lambda n: 2 * n}  # fmt: skip
    return {
        form.format(name): value(n)
        for form, value in forms.items()
        for name, n in lengths.items()
    }


def _plain_lengths(args: tuple[Any, ...]) -> dict[str, float]:
    found: dict[float, str] = {}
    for i, arg in enumerate(args):
        for k, n in enumerate(getattr(arg, "shape", ())):
            found.setdefault(float(n), f"args[{i}].shape[{k}]")
    return {name: n for n, name in found.items() if n > 2}


def _strengths(args: tuple[Any, ...]) -> dict[str, float]:
    """Name what people make of a number among the arguments: λ, λ/m, λ - λ/m."""
    numbers = {
        f"args[{i}]": float(arg)
        for i, arg in enumerate(args)
        if isinstance(arg, int | float | np.number) and not isinstance(arg, bool)
    }
    found: dict[str, float] = {}
    for name, value in numbers.items():
        found[name] = value
        for length, n in _plain_lengths(args).items():
            found |= {f"{name}/{length}": value / n,
                      f"({name} - {name}/{length})": value - value / n,
                      f"2·{name}/{length}": 2 * value / n,
                      f"{name}/(2·{length})": value / n / 2}  # fmt: skip
        found |= {f"{name}/2": value / 2, f"2·{name}": 2 * value}
    return found


def _spell(value: float, names: dict[str, float]) -> str:
    """Write a number, and the first of the names that stands for it."""
    for name, candidate in names.items():
        if np.isclose(value, candidate, rtol=1e-3, atol=0):
            return f"{value:.4g} (= {name})"
    return f"{value:.4g}"


def _has_class_numbers(args: tuple[Any, ...]) -> bool:
    """Whether an argument looks like class numbers: one column, not just 0 and 1."""
    for arg in args:
        if hasattr(arg, "dtype") and max(np.shape(arg), default=0) == np.size(arg) > 2:
            values = np.unique(np.asarray(arg, float))
            whole = np.array_equal(values, np.round(values))
            if whole and values[-1] > 1 and len(values) < 100:
                return True
    return False
