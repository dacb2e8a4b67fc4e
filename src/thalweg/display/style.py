"""The style of all plots: colors, lines, legends, axes, smoothing.

The colors are those of Okabe & Ito (2008), which people with any kind of color vision
can tell apart. Their yellow is missing, because it is too pale for a line. When the
colors run out, lines also differ in their dashes.
"""

from typing import Any

import numpy as np

from thalweg.core import Array

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Blue, vermilion, green, purple, orange, sky blue, black."""

_DASHES = ("-", "--", "-.", (0, (1, 1)))
_MARKERS = "osD^vPX"


def line_style(index: int) -> dict[str, Any]:
    """Return the color and the dashes of line number `index` of a figure."""
    return {
        "color": COLORS[index % len(COLORS)],
        "linestyle": _DASHES[index // len(COLORS) % len(_DASHES)],
    }


def marker(index: int) -> str:
    """Return the marker of line or class number `index` of a figure."""
    return _MARKERS[index % len(_MARKERS)]


def legend_outside(ax: Any, **options: Any) -> None:
    """Put the legend to the right of the data."""
    place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    ax.legend(**place, frameon=False, fontsize=8, **options)


def legend_above(ax: Any) -> None:
    """Put the legend above the data, in a row, for narrow panels."""
    place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0)}
    ax.legend(**place, frameon=False, fontsize=8, ncols=2, borderaxespad=0.2)


def tidy(ax: Any, xlabel: str = "", ylabel: str = "") -> None:
    """Label the axes and remove clutter; readable in a figure 600 pixels wide."""
    ax.set_xlabel(xlabel or ax.get_xlabel(), fontsize=9)
    ax.set_ylabel(ylabel or ax.get_ylabel(), fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.grid(visible=True, color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


def axis_type(curves: list[Array]) -> str:
    """Choose a logarithmic axis for positive values that span more than two decades."""
    values = np.concatenate([np.ravel(curve) for curve in curves])
    values = values[np.isfinite(values)]
    wide = len(values) and values.min() > 0 and values.max() > 100 * values.min()
    return "log" if wide else "linear"


def smooth(values: Array, window: int) -> Array:
    """Return moving averages over `window` values, fewer at the ends, without NaN."""
    if window <= 1:
        return values
    kernel = np.ones(min(window, len(values)))
    known = np.isfinite(values).astype(float)
    total = np.convolve(np.where(known > 0, values, 0.0), kernel, "same")
    count = np.convolve(known, kernel, "same")
    means = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return means[: len(values)]
