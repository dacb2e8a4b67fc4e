"""What is learned about a column of a table.

A `Column` is plain data, which a model file keeps.
"""

from dataclasses import dataclass, replace

from thalweg.core import Record


@dataclass(frozen=True)
class Column(Record):
    """What `fit` learned about one column of a table.

    Parameters
    ----------
    name : str
    kind : {"number", "boolean", "date", "category", "left out"}
    missing : int
        Number of rows without a value.
    detail : str
        A short description of the values; for a column left out, the reason.
    center, scale : float
        The median, and the unit that values are divided by.
    knots : tuple of float
        The quantiles of the piecewise-linear encoding.
    categories : tuple of str
        The categories that are encoded separately, the most frequent first.
    others : bool
        Whether there were rarer categories, which share one column.
    layout : str
        The format of dates, one of `DATE_FORMATS`.
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
    low: float | None = None
    high: float | None = None
    rows: int = 0

    def leave_out(self, why: str) -> "Column":
        """Return the same column, marked as left out of training."""
        return replace(self, kind="left out", detail=why)
