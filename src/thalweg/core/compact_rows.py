"""Rows of a wide matrix whose features come in groups, kept as what tells them apart.

A category that is one-hot encoded is one code, and a number between quantiles is the
code of its interval and an offset within it. So the rows of an encoded table take a
quarter of the memory of the matrix, and an engine writes out only the rows of a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from thalweg.core.types import Array


class OneHot(NamedTuple):
    """`width` features, of which the one at `codes` is 1 and the others are 0.

    A row whose code is `width` has zeros everywhere.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rows,)
    width : int
    """

    codes: Array
    width: int


class Ladder(NamedTuple):
    """`width` features: 1 before `codes`, `offsets` there, and -1 behind.

    This is a piecewise-linear encoding (Gorishniy et al., 2022, section 3.2), whose
    pieces are scaled to (-1, 1). A row whose code is `width` has zeros everywhere.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rows,)
    offsets : ndarray of float, shape (n_rows,)
    width : int
    """

    codes: Array
    offsets: Array
    width: int


Features: TypeAlias = Array | OneHot | Ladder
"""Neighboring features of all rows; an array has shape (n_rows,) or (n_rows, k)."""

_NONE = -1


class Group(NamedTuple):
    """Neighboring features, and where they are kept; -1 for nowhere.

    Without a code the features are `width` neighboring values; without a value they are
    one-hot.

    Parameters
    ----------
    width : int
    value, code : int
        Columns of `CompactRows.values` and `CompactRows.codes`.
    """

    width: int
    value: int = _NONE
    code: int = _NONE

    @property
    def is_ladder(self) -> bool:
        """Whether the features are a piecewise-linear encoding."""
        return _NONE not in (self.value, self.code)

    def behind(self, n_values: int, n_codes: int) -> "Group":
        """Return where the group is kept behind so many values and codes."""
        value = self.value if self.value == _NONE else self.value + n_values
        code = self.code if self.code == _NONE else self.code + n_codes
        return Group(self.width, value, code)


@dataclass(frozen=True, eq=False)
class CompactRows:
    """A matrix of shape (n_rows, n_features) in compact form.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (n_rows, n_values)
    codes : ndarray of uint16, shape (n_rows, n_codes)
    groups : tuple of Group
        In the order of the features.
    """

    values: Array
    codes: Array
    groups: tuple[Group, ...]
    ndim = 2

    @classmethod
    def of(cls, features: Sequence[Features], dtype: Any) -> "CompactRows":
        """Put features side by side, with numbers in `dtype`."""
        return cls.join([_single(each, dtype) for each in features])

    @classmethod
    def join(cls, parts: "Sequence[CompactRows]") -> "CompactRows":
        """Put the features of several matrices of the same rows side by side."""
        groups: list[Group] = []
        n_values = n_codes = 0
        for part in parts:
            groups += (group.behind(n_values, n_codes) for group in part.groups)
            n_values += part.values.shape[1]
            n_codes += part.codes.shape[1]
        if len(parts) == 1:
            return parts[0]
        values = np.concatenate([part.values for part in parts], axis=1)
        codes = np.concatenate([part.codes for part in parts], axis=1)
        return cls(values, codes, tuple(groups))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the features."""
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and of features."""
        return len(self.values), sum(group.width for group in self.groups)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> "CompactRows":
        return replace(self, values=self.values[rows], codes=self.codes[rows])

    def astype(self, dtype: Any) -> "CompactRows":
        """Return the same rows with numbers in `dtype`."""
        return replace(self, values=self.values.astype(dtype, copy=False))

    def keep(self, features: Array) -> "CompactRows":
        """Return the same rows with some of the groups, which share the memory.

        Parameters
        ----------
        features : ndarray of bool, shape (n_features,)
            Of a group, all features or none.
        """
        starts = np.cumsum([0, *(group.width for group in self.groups[:-1])])
        kept = [g for g, at in zip(self.groups, starts, strict=True) if features[at]]
        return replace(self, groups=tuple(kept))

    def single_numbers(self) -> dict[int, Array]:
        """Return the features that are numbers of their own, by their places."""
        starts = np.cumsum([0, *(group.width for group in self.groups[:-1])])
        return {
            int(at): self.values[:, group.value]
            for group, at in zip(self.groups, starts, strict=True)
            if group.width == 1 and group.code == _NONE
        }

    def numbers(self, places: Array) -> Array:
        """Return some of `single_numbers`, as an array of shape (n_rows, n_places)."""
        known = self.single_numbers()
        return np.column_stack([known[place] for place in places.tolist()])

    def toarray(self) -> Array:
        """Write out all features, as an array of shape (n_rows, n_features)."""
        found = np.empty(self.shape, self.dtype)
        start = 0
        for group in self.groups:
            self._write(group, found[:, start : start + group.width])
            start += group.width
        return found

    def _write(self, group: Group, to: Array) -> None:
        if group.code == _NONE:
            to[:] = self.values[:, group.value : group.value + group.width]
            return
        codes, places = self.codes[:, group.code, None], np.arange(group.width)
        if group.value == _NONE:
            to[:] = codes == places
            return
        to[:] = np.where(places < codes, 1, -1)
        to[(codes == group.width)[:, 0]] = 0
        np.copyto(to, self.values[:, group.value, None], where=codes == places)


def _single(features: Features, dtype: Any) -> CompactRows:
    if isinstance(features, OneHot | Ladder):
        codes = features.codes.astype(np.uint16)[:, None]
        offsets = getattr(features, "offsets", np.empty((len(codes), 0)))
        values = offsets.astype(dtype).reshape(len(codes), -1)
        group = Group(features.width, values.shape[1] - 1, 0)
        return CompactRows(values, codes, (group,))
    values = features.astype(dtype).reshape(len(features), -1)
    codes = np.empty((len(values), 0), np.uint16)
    return CompactRows(values, codes, (Group(values.shape[1], 0),))
