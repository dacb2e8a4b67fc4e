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
        n_rows = len(features[0][0] if isinstance(features[0], tuple) else features[0])
        groups: list[Group] = []
        values: list[Array] = []
        codes: list[Array] = []
        n_values = 0
        for each in features:
            if isinstance(each, OneHot):
                groups.append(Group(each.width, code=len(codes)))
                codes.append(each.codes)
                continue
            own = each.offsets if isinstance(each, Ladder) else each
            own = own[:, None] if own.ndim == 1 else own
            if isinstance(each, Ladder):
                groups.append(Group(each.width, n_values, len(codes)))
                codes.append(each.codes)
            else:
                groups.append(Group(own.shape[1], n_values))
            values.append(own)
            n_values += own.shape[1]
        kept = np.empty((n_rows, n_values), dtype)
        start = 0
        for own in values:
            kept[:, start : start + own.shape[1]] = own
            start += own.shape[1]
        coded = np.empty((n_rows, len(codes)), np.uint16)
        for place, own in enumerate(codes):
            coded[:, place] = own
        return cls(kept, coded, tuple(groups))

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
