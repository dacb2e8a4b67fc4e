"""Drift: how far the values of a table are from those that a model was fitted on.

A network answers for any values, also for some that it knows nothing of. For each
column three shares of the rows are counted: numbers and dates beyond the fitted range,
categories that were not seen, and missing values beyond their share at fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from thalweg.core import Frame, Series
from thalweg.estimators.tabular.columns import (
    Column,
    encode_each,
    measured,
    show,
    texts,
)

_LEAST_SHARE = 0.01  # of the rows, below which nothing is said of them
_SHOWN = 10
_MOST_ROWS = 20_000  # of one part


@dataclass
class _Seen:
    """What was counted of one column."""

    rows: int = 0
    missing: int = 0
    beyond: int = 0
    unseen: int = 0
    examples: list[str] = field(default_factory=list[str])
    low: float = np.inf
    high: float = -np.inf


class DriftWatch:
    """Counts what is unlike the fitted table, part by part.

    Parameters
    ----------
    columns : sequence of Column
        Of the fitted model. Columns of model files that do not tell their range are
        judged by categories and missing values alone.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = [each for each in columns if each.kind != "left out"]
        self._seen = {each.name: _Seen() for each in self._columns}

    def see(self, frame: Frame) -> None:
        """Count the values of some rows; of many, of every fifth or so."""
        frame = frame.iloc[:: -(-len(frame) // _MOST_ROWS) or 1]
        for column in self._columns:
            self._count(column, frame[column.name])

    def _count(self, column: Column, values: Series) -> None:
        found = self._seen[column.name]
        found.rows += len(values)
        if column.kind == "category":
            self._count_categories(column, values, found)
            return
        if column.kind in ("number", "date"):
            inner = measured(column, values)
            found.missing += int(np.isnan(inner).sum())
            if column.low is not None and column.high is not None:
                known = inner[~np.isnan(inner)]
                out = known[(known < column.low) | (known > column.high)]
                found.beyond += len(out)
                if len(out):
                    found.low = min(found.low, float(out.min()))
                    found.high = max(found.high, float(out.max()))
            return
        found.missing += int(texts(values, column.absent).isna().sum())

    @staticmethod
    def _count_categories(column: Column, values: Series, found: _Seen) -> None:
        counts = texts(values, column.absent).value_counts(dropna=False)
        known = counts[counts.index.notna()]
        found.missing += int(counts.sum() - known.sum())
        if column.others or column.buckets:  # rare categories are not told apart
            return
        distinct = known.index.to_frame(name=column.name)
        seen = encode_each([column], distinct)[column.name].any(axis=1)
        new = known[~seen]
        found.unseen += int(new.sum())
        for name in map(str, new.index[:3]):
            if name not in found.examples and len(found.examples) < 3:
                found.examples.append(name)

    def sentences(self) -> list[str]:
        """Return what is unlike the fitted table: a sentence for each column."""
        ranked = sorted(
            (told for each in self._columns if (told := self._tell(each)) is not None),
            key=lambda pair: -pair[0],
        )
        found = [text for _, text in ranked[:_SHOWN]]
        if not found:
            return []
        head = "Some values are unlike those that the model was fitted on:"
        more = len(ranked) - len(found)
        return [head, *found, *([f"  and {more} more columns"] if more else [])]

    def _tell(self, column: Column) -> tuple[float, str] | None:
        found, parts, greatest = self._seen[column.name], [], 0.0
        if not found.rows:
            return None
        beyond, unseen, missing = (
            count / found.rows for count in (found.beyond, found.unseen, found.missing)
        )
        before = column.missing / column.rows if column.rows else 0.0
        # What chance alone may add to a share, three standard errors.
        chance = 3 * np.sqrt((before * (1 - before) + 1 / found.rows) / found.rows)
        if beyond >= _LEAST_SHARE:
            low, high = column.low or 0.0, column.high or 0.0
            reach = [
                text
                for text in (
                    f"down to {show(column, found.low)}" if found.low < low else "",
                    f"up to {show(column, found.high)}" if found.high > high else "",
                )
                if text
            ]
            parts.append(
                f"{beyond:.0%} of the rows are outside the fitted range, "
                f"{show(column, low)} to {show(column, high)} "
                f"({' and '.join(reach)})"
            )
            greatest = max(greatest, beyond)
        if unseen >= _LEAST_SHARE:
            new = ", ".join(map(repr, found.examples))
            parts.append(f"{unseen:.0%} of the rows hold new categories ({new})")
            greatest = max(greatest, unseen)
        known = column.rows > 0 or column.missing == 0
        if known and missing - before >= max(_LEAST_SHARE, chance):
            parts.append(f"{missing:.0%} are missing, {before:.0%} at fit")
            greatest = max(greatest, missing - before)
        if not parts:
            return None
        return greatest, f"  {column.name}: {'; '.join(parts)}"
