"""What is learned about a column of a table, and what is asked about it.

A `Column` is plain data, which a model file keeps.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from thalweg.core import Array, Record

KINDS = ("number", "category", "text", "date", "boolean", "ignore")
"""The kinds that a reader of a table may ask for."""


@dataclass(frozen=True)
class Reading:
    """What the reader of a table says about the texts in it; all of it optional.

    Parameters
    ----------
    kinds : mapping of str to str
        The kind of a column by its name, one of `KINDS`.
    decimal : {".", ","} or None
        The decimal mark of all numbers.
    thousands : str or None
        The character that groups the digits of all numbers.
    date_format : str or None
        A format of dates, as for ``datetime.strptime``.
    missing : tuple of str or None
        The texts that stand for a missing value, in any case; None for the usual ones.
    usual_decimal : str
        The decimal mark where the values of a column leave it open.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    decimal: str | None = None
    thousands: str | None = None
    date_format: str | None = None
    missing: tuple[str, ...] | None = None
    usual_decimal: str = "."


@dataclass(frozen=True)
class Column(Record):
    """What `fit` learned about one column of a table.

    Parameters
    ----------
    name : str
    kind : {"number", "boolean", "date", "category", "text", "left out"}
    missing : int
        Number of rows without a value.
    detail : str
        A short description of the values; for a column left out, the reason.
    center, scale : float
        The median, and the unit that values are divided by.
    knots : tuple of float
        The quantiles of the piecewise-linear encoding.
    finer : tuple of float
        The quantiles of a second such encoding, with smaller pieces.
    categories : tuple of str
        The categories that are encoded separately, the most frequent first.
    others : bool
        Whether there were rarer categories, which share one column.
    layout : str
        The format of dates, as for ``datetime.strptime``, ``"ISO8601"``, or ``""`` for
        values that are dates already. ``"duration"`` for numbers that are durations in
        seconds.
    decimal, thousands, unit : str
        How numbers were written as texts: the decimal mark, the character that groups
        digits, and the unit or currency of all values.
    absent : tuple of str or None
        The texts that stand for a missing value; None for the usual ones.
    buckets : int
        Number of columns that rarer categories share by each of two hashes; 0 for none.
    arrays : mapping of str to ndarray
        What is learned about a column of texts. A model file keeps it apart.
    low, high : float or None
        The fitted range of numbers, or of days since 1970; None where it is not known.
    rows : int
        Number of rows that were studied; 0 where it is not known.
    """

    name: str
    kind: str
    missing: int
    detail: str = ""
    center: float = 0.0
    scale: float = 1.0
    knots: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    others: bool = False
    layout: str = ""
    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    absent: tuple[str, ...] | None = None
    buckets: int = 0
    arrays: Mapping[str, Array] = field(default_factory=dict, repr=False, compare=False)
    low: float | None = None
    high: float | None = None
    rows: int = 0
    finer: tuple[float, ...] = ()

    def leave_out(self, why: str) -> "Column":
        """Return the same column, marked as left out of training."""
        return replace(self, kind="left out", detail=why)

    def describe(self, more: str) -> "Column":
        """Return the same column with more to say about it."""
        return replace(self, detail=f"{self.detail}; {more}") if more else self


def arrays_of(columns: Iterable[Column]) -> dict[str, Array]:
    """Return the arrays of columns, under names that a model file keeps them by."""
    return {
        f"column.{place}.{name}": array
        for place, column in enumerate(columns)
        for name, array in column.arrays.items()
    }


def with_arrays(
    columns: Iterable[Column], arrays: Mapping[str, Array]
) -> tuple[Column, ...]:
    """Return columns with the arrays that `arrays_of` named."""
    found: list[Column] = []
    for place, column in enumerate(columns):
        start = f"column.{place}."
        named = [name for name in arrays if name.startswith(start)]
        own = {name.removeprefix(start): arrays[name] for name in named}
        found.append(replace(column, arrays=own) if own else column)
    return tuple(found)


class LeftOutWarning(UserWarning):
    """Columns, or rows without a target, are left out of training."""


def warn_left_out(
    columns: Iterable[Column], target: str, n_rows: int = 0, n_all: int = 0
) -> None:
    """Warn of what is left out of training, once for all of it.

    Parameters
    ----------
    columns : iterable of Column
    target : str
        Name of the target.
    n_rows, n_all : int
        Number of rows that have no target, and of all rows.
    """
    left = [c for c in columns if c.kind == "left out" and c.detail != ASKED]
    said = []
    if left:
        reasons = "; ".join(f"{column.name!r}: {column.detail}" for column in left)
        said.append(f"{len(left)} column(s) are left out of training ({reasons}).")
    if n_rows:
        said.append(
            f"{n_rows} of {n_all} rows have no target {target!r} and are left out of "
            "training."
        )
    if said:
        warnings.warn(" ".join(said), LeftOutWarning, stacklevel=3)


ASKED = "as asked"
"""The detail of a column whose kind the reader of the table gave."""

Draft = dict[str, Any]
"""Fields of a `Column` that are known before it is studied."""
