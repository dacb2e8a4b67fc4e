"""Single entries of a wrong gradient, differenced: the evidence of what is wrong.

As many entries are differenced as a few seconds allow. Where wrong ones are rare, more
are searched for by halving the weights.
"""

import time
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from thalweg.core import Array, Part, PyTree
from thalweg.optimize.finite_differences import FiniteDifferences

_SECONDS = 4.0
_MIN_ENTRIES, _MAX_ENTRIES, _MIN_PER_ARRAY = 120, 600, 40
"""How many entries are differenced: as many as those seconds allow."""
_RARE, _N_SEARCHES = 0.05, 8
"""A lower share of wrong entries is rare, and then so many are searched for."""
_EXPLAINED = 1e-3
"""Share of its error that an explanation may leave over in an entry."""


@dataclass(frozen=True)
class Entries:
    """Some entries of the gradient: as differenced, and as the user computes them.

    Parameters
    ----------
    index : ndarray of shape (k,), int
        Their places in the flat vector.
    x : ndarray of shape (k,)
        The weights.
    numeric, analytic : ndarray of shape (k,)
        The differences, and the user's gradient.
    noise : ndarray of shape (k,)
        How far rounding may move the differences.
    """

    index: Array
    x: Array
    numeric: Array
    analytic: Array
    noise: Array

    @property
    def error(self) -> Array:
        """What the gradient lacks."""
        return self.numeric - self.analytic

    @cached_property
    def is_wrong(self) -> Array:
        """Which entries disagree; a few outliers at kinks do not count."""
        size = np.maximum(np.abs(self.numeric), np.abs(self.analytic))
        wrong = np.abs(self.error) > 1e-6 * size + 3 * self.noise
        if not wrong.any():
            return wrong
        usual = np.percentile(np.abs(self.error[wrong]), 90)
        return wrong & (np.abs(self.error) > 1e-3 * usual)

    def select(self, chosen: Array) -> "Entries":
        """Choose some of them, by a mask or by positions."""
        columns = (getattr(self, column.name) for column in fields(self))
        return Entries(*(column[chosen] for column in columns))

    def within(self, part: Part) -> "Entries":
        """Choose those of one array."""
        return self.select((self.index >= part.start) & (self.index < part.stop))

    def is_explained(self, residual: Array) -> bool:
        """Whether an explanation that leaves `residual` of the error holds."""
        size = np.minimum(np.abs(self.error), np.abs(self.numeric))
        clear = self.noise < 0.1 * size
        small = np.abs(residual) <= _EXPLAINED * size + 3 * self.noise
        return bool(clear.any()) and bool(small[clear].mean() >= 0.95)


@dataclass
class Evidence:
    """What is known about a wrong gradient, and the means to learn more.

    Parameters
    ----------
    differences : FiniteDifferences
    gradient : ndarray of shape (n,)
        The user's gradient at the same point.
    tree : PyTree
        The structure of x.
    args : tuple
        The user's further arguments.
    rng : numpy.random.Generator
    sample : Entries
        The entries that were differenced, in the order of the flat vector.
    """

    differences: FiniteDifferences
    gradient: Array
    tree: PyTree
    args: tuple[Any, ...]
    rng: np.random.Generator
    sample: Entries
    _is_wrong: dict[int, bool] = field(default_factory=dict)

    @classmethod
    def gather(
        cls, differences: FiniteDifferences, gradient: Array, rng: np.random.Generator
    ) -> "Evidence":
        """Difference random entries, and some that are known to be wrong."""
        function = differences.function
        tree = function.tree
        chosen = _choose_entries(differences, tree, rng)
        sample = _difference(differences, gradient, chosen)
        if len(sample.x) < tree.size and sample.is_wrong.mean() <= _RARE:
            found = [
                _search_wrong_entry(differences, gradient, rng)
                for _ in range(_N_SEARCHES)
            ]
            more = _difference(differences, gradient, np.setdiff1d(found, sample.index))
            sample = _joined([sample, more])
            sample = sample.select(np.argsort(sample.index))
        return cls(differences, gradient, tree, function.args, rng, sample)

    @cached_property
    def wrong(self) -> Entries:
        """The wrong entries; where they are few, at further points as well."""
        found = [self.sample.select(self.sample.is_wrong)]
        n_points = 3 if len(found[0].index) < 8 else 0
        for _ in range(n_points):
            differences = self.differences.at_nearby_point(self.rng)
            gradient = differences.function.gradient(differences.x)
            found.append(_difference(differences, gradient, found[0].index))
        return _joined(found)

    def is_wrong(self, entry: int) -> bool:
        """Whether a single entry is wrong."""
        position = np.flatnonzero(self.sample.index == entry)
        if len(position):
            return bool(self.sample.is_wrong[position[0]])
        if self.differences.units[entry] == 0:
            return False  # equal bounds: its derivative is not known
        if entry not in self._is_wrong:
            one = _difference(self.differences, self.gradient, np.array([entry]))
            self._is_wrong[entry] = bool(one.is_wrong[0])
        return self._is_wrong[entry]

    @property
    def wrong_entries(self) -> list[int]:
        """The wrong entries of the sample."""
        return self.sample.index[self.sample.is_wrong].tolist()

    @property
    def wrong_parts(self) -> list[Part]:
        """The arrays with wrong entries."""
        wrong = self.sample.select(self.sample.is_wrong)
        return [part for part in self.tree.parts if len(wrong.within(part).index)]

    @property
    def right_parts(self) -> list[Part]:
        """The arrays without wrong entries."""
        wrong = self.wrong_parts
        return [part for part in self.tree.parts if part not in wrong]

    def within(self, part: Part) -> "Evidence":
        """Return the evidence of one array alone."""
        return replace(self, sample=self.sample.within(part))


def _choose_entries(
    differences: FiniteDifferences, tree: PyTree, rng: np.random.Generator
) -> Array:
    begun = time.perf_counter()
    differences.entry(int(differences.free[0]))
    affordable = _SECONDS / (time.perf_counter() - begun + 1e-6)
    total = int(np.clip(affordable, _MIN_ENTRIES, _MAX_ENTRIES))
    per_array = max(total // len(tree.parts), _MIN_PER_ARRAY)
    chosen = [
        part.start + rng.permutation(part.stop - part.start)[:per_array]
        for part in tree.parts
    ]
    return np.intersect1d(np.concatenate(chosen), differences.free)


def _difference(
    differences: FiniteDifferences, gradient: Array, index: Array
) -> Entries:
    numeric = np.array([differences.entry(int(i)) for i in index])
    noise = differences.rounding / differences.step / differences.units[index]
    return Entries(index, differences.x[index], numeric, gradient[index], noise)


def _search_wrong_entry(
    differences: FiniteDifferences, gradient: Array, rng: np.random.Generator
) -> int:
    """Halve the weights at random until one wrong entry is left."""

    def disagreement(entries: Array) -> float:
        direction = np.zeros(len(gradient))
        direction[entries] = rng.standard_normal(len(entries))
        expected = float(gradient * differences.units @ direction)
        return abs(differences.slope(direction, differences.step) - expected)

    left = rng.permutation(differences.free)
    while len(left) > 1:
        left = max(np.array_split(left, 2), key=disagreement)
    return int(left[0])


def _joined(found: list[Entries]) -> Entries:
    names = [column.name for column in fields(Entries)]
    columns = ([getattr(entries, name) for entries in found] for name in names)
    return Entries(*map(np.concatenate, columns))
