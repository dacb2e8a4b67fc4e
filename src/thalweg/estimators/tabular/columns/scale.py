"""Scaling what is measured: numbers, and days since 1970.

Values are centered at the median and divided by a robust standard deviation. Outliers
are compressed smoothly towards three such units, so that a sentinel (65535 from a
sensor) cannot flatten the other values. A piecewise-linear encoding between quantiles
is added (Gorishniy et al., 2022, section 3.2).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.core import Array, Features, Ladder
from thalweg.estimators.tabular.columns.column import Column

_PIECES = 8, 100  # at most, and rows of each at least
_FINER = 16, 50


def measure(draft: Column, values: Array, show: Callable[[Any], str]) -> Column:
    """Learn the range, center and scale of numbers, which `show` writes as texts."""
    # Sorted once, which is quicker than to select each quantile.
    present = np.sort(values[~np.isnan(values)])
    column = replace(draft, missing=len(values) - len(present), detail="")
    if not len(present):
        return column
    low, center, high = np.quantile(present, (0, 0.5, 1))
    if low == high and not column.missing:
        return column.leave_out(f"{show(low)} in each row")
    return replace(
        column,
        detail=f"{show(low)} to {show(high)}, median {show(center)}",
        low=float(low),
        high=float(high),
        center=float(center),
        scale=_spread_of(present, center),
        knots=_quantiles(present, *_PIECES),
        finer=_quantiles(present, *_FINER),
    ).describe(draft.detail)


def _quantiles(present: Array, most: int, rows: int) -> tuple[float, ...]:
    """Return the ends of pieces that hold the same number of values."""
    n_pieces = min(most, len(present) // rows)
    if n_pieces < 2:
        return ()
    knots = np.unique(np.quantile(present, np.linspace(0, 1, n_pieces + 1)))
    return tuple(knots.tolist())


def _spread_of(values: Array, center: float) -> float:
    """Return a robust estimate of the standard deviation."""
    deviation = np.median(np.abs(values - center)) / 0.6745
    if deviation:
        return float(deviation)
    quartiles = np.subtract(*np.quantile(values, (0.75, 0.25))) / 1.349
    return float(quartiles or values.std() or 1.0)


def spread(column: Column, values: Array) -> list[Features]:
    """Encode numbers: compressed towards three units, then piecewise linear."""
    z = (values - column.center) / column.scale
    bent = 3 * z / np.hypot(3, z)
    missing = np.isnan(values)
    bent[missing] = 0
    encoded: list[Features] = [bent]
    encoded += [
        _climb(np.array(knots), values, missing)
        for knots in (column.knots, column.finer)
        if knots
    ]
    return [*encoded, missing.astype(float)] if column.missing else encoded


def _climb(knots: Array, values: Array, missing: Array) -> Ladder:
    """Find the piece between knots that each value lies in, and where in it."""
    width = len(knots) - 1
    codes = np.zeros(len(values), np.uint8)
    for knot in knots[1:-1]:
        codes += (values >= knot).view(np.uint8)
    piece = codes.astype(np.intp)
    low, high = knots[piece], knots[piece + 1]
    offsets = 2 * np.clip((values - low) / (high - low), 0, 1) - 1
    codes[missing], offsets[missing] = width, 0
    return Ladder(codes, offsets, width)


def fill(values: Array, encoded: Sequence[Array], *, mark: bool) -> list[Features]:
    """Put 0 where `values` are missing, and add an indicator column if `mark`."""
    missing = np.isnan(values)
    filled: list[Features] = [np.where(missing, 0.0, each) for each in encoded]
    return [*filled, missing.astype(float)] if mark else filled
