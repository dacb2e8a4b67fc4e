"""Small pictures of what is behind a finding, as SVG for a page or a notebook.

Each is 360 units wide, which a phone shows at its full size. matplotlib draws them.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from thalweg.display import new_figure, printable, render_svg, show_tip

if TYPE_CHECKING:
    from thalweg.diagnosis.result import Evidence, Proof

_WIDTH, _ROW = 360, 22  # units, of which an inch has 72
_BLUE, _VERMILION = "#2f8fd0", "#d55e00"
_MOST_BARS = 15


def draw_evidence(evidence: "Evidence") -> str:
    """Draw the numbers behind a finding.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    draw = _draw_bars if evidence.kind == "bars" else _draw_plane
    return render_svg(lambda: draw(evidence), describe_evidence(evidence))


def draw_trial(proof: "Proof") -> str:
    """Draw the scores of a paired trial, one dot for each seed.

    Parameters
    ----------
    proof : Proof

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    return render_svg(lambda: _draw_trial(proof), describe_trial(proof))


def describe_evidence(evidence: "Evidence") -> str:
    """Say in words what the picture shows."""
    known = [y for y in evidence.y if math.isfinite(y)]
    reach = f" from {min(known):.4g} to {max(known):.4g}" if known else ""
    return f"{evidence.title}; {evidence.y_label}{reach}"


def describe_trial(proof: "Proof") -> str:
    """Say in words what the picture shows."""
    return f"{proof.metric} of each seed in the trial"


def _draw_bars(evidence: "Evidence") -> Any:
    """Draw bars one below the other, their names readable; the longest, if many."""
    pairs = list(zip(map(str, evidence.x), evidence.y, strict=True))
    longest = sorted(pairs, key=lambda pair: -abs(pair[1]))[:_MOST_BARS]
    shown = [pair for pair in pairs if pair in longest][:_MOST_BARS]
    more = len(shown) < len(pairs)
    title = f" (the {len(shown)} largest of {len(pairs)})" if more else ""
    figure, ax = _rows([name for name, _ in shown], evidence.y_label + title)
    values = [value for _, value in shown]
    foot = _scale(ax.xaxis, [*values, evidence.limit], evidence.log, bars=True)
    for row, (name, value) in enumerate(shown):
        length = value - foot if _has_place(value, evidence.log) else 0.0
        (bar,) = ax.barh(row, length, 0.73, left=foot, color=_BLUE)
        show_tip(bar, f"{name}: {value:.4g}")
    if _has_place(evidence.limit, evidence.log):
        ax.axvline(evidence.limit, color=_VERMILION, linestyle="--")
    return figure


def _draw_plane(evidence: "Evidence") -> Any:
    """Draw a line over numbers, or a histogram."""
    figure, ax = _panel(200)
    edges = [float(x) for x in evidence.x]
    bars = evidence.kind == "histogram"
    _scale(ax.xaxis, edges, log=False)
    foot = _scale(ax.yaxis, [*evidence.y, evidence.limit], evidence.log, bars)
    placed = [y if _has_place(y, evidence.log) else math.nan for y in evidence.y]
    if bars:
        for (low, high), count in zip(pairwise(edges), placed, strict=True):
            if not math.isnan(count):
                (bar,) = ax.bar(low, count - foot, 0.96 * (high - low), foot,
                                align="edge", color=_BLUE)  # fmt: skip
                show_tip(bar, f"{low:.4g} to {high:.4g}: {count:.4g}")
    else:
        ax.plot(edges, placed, color=_BLUE, linewidth=2)
    ax.xaxis.grid(visible=False)
    ax.set_xlabel(shorten(evidence.x_label, 44))
    if _has_place(evidence.limit, evidence.log):
        ax.axhline(evidence.limit, color=_VERMILION, linestyle="--")
    return figure


def _draw_trial(proof: "Proof") -> Any:
    rows = {"before": proof.before, "after": proof.after, "control": proof.control}
    diverged = {k: sum(not math.isfinite(v) for v in row) for k, row in rows.items()}
    names = [f"{k}, {n} diverged" if n else k for k, n in diverged.items()]
    figure, ax = _rows(names, proof.metric)
    for row, (name, scores) in enumerate(rows.items()):
        for score in filter(math.isfinite, scores):
            # A line of no length with round ends is a dot.
            (dot,) = ax.plot(2 * [score], 2 * [row], color=_BLUE, alpha=0.7,
                             linewidth=9, solid_capstyle="round")  # fmt: skip
            show_tip(dot, f"{name}: {score:.4g}")
    _scale(ax.xaxis, [score for scores in rows.values() for score in scores], log=False)
    return figure


def _panel(height: float) -> tuple[Any, Any]:
    """Make a figure of so many units with one panel, whose scales are set by hand."""
    figure, axes = new_figure(1, 1, _WIDTH / 72, height / 72)
    axes[0, 0].set_autoscale_on(False)
    return figure, axes[0, 0]


def _rows(names: Sequence[str], title: str) -> tuple[Any, Any]:
    """Make a figure with one named row below the other, and a title for the x axis."""
    figure, ax = _panel(len(names) * _ROW + 46)
    ax.set_yticks(range(len(names)), [shorten(name, 20) for name in names])
    ax.set_ylim(max(len(names), 1) - 0.5, -0.5)
    ax.yaxis.grid(visible=False)
    ax.tick_params(axis="y", pad=8)
    ax.set_xlabel(shorten(title, 34))
    return figure, ax


def _scale(axis: Any, values: Sequence[float], log: bool, bars: bool = False) -> float:
    """Choose what an axis spans and its few ticks; return where bars begin."""
    known = [value for value in values if _has_place(value, log)]
    if log:
        known = known or [1.0]
        first = math.floor(math.log10(min(known)))
        last = max(math.ceil(math.log10(max(known))), first + 1)
        step = max(1, -(-(last - first) // 4))
        foot, span = 10.0**first, (10.0**first, 10.0**last)
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_ticks([10.0**power for power in range(first, last + 1, step)])
        axis.set_ticks([], minor=True)
    else:
        known += [0.0] if bars or not known else []
        low, high = min(known), max(known)
        spare = (high - low) * 0.05 or abs(high) * 0.05 or 0.5
        foot, span = 0.0, (low if bars and low == 0 else low - spare, high + spare)
        axis.get_major_locator().set_params(nbins=5)
    axis.set_major_formatter("{x:.6g}")
    axis.axes.set(**{f"{axis.axis_name}lim": span})
    return foot


def _has_place(value: float, log: bool) -> bool:
    """Tell whether an axis has a place for a value."""
    return math.isfinite(value) and (value > 0 or not log)


def shorten(text: str, length: int) -> str:
    """Cut the middle out of a text that is longer than `length`."""
    text = printable(text)
    if len(text) <= length:
        return text
    return f"{text[: length - 1 - length // 3]}…{text[-(length // 3) :]}"
