"""Small still pictures, worked out here and set as SVG by the templates.

A drawing is a list of shapes in a frame 360 wide, which a phone shows at its full size.
Templates escape all text.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.core import need

if TYPE_CHECKING:
    from thalweg.diagnosis.result import Diagnosis, Evidence, Proof

_TEMPLATES = Path(__file__).parent / "templates"

WIDTH = 360
_TOP, _RIGHT, _BOTTOM, _LEFT = 10, 22, 42, 54
_LABELS = 132  # room for the names of bars
_ROW = 22
_MOST_BARS = 15

Scale = Callable[[float], float]


@dataclass
class Drawing:
    """Shapes: dictionaries of SVG attributes, with ``tip`` for what hovering shows."""

    height: float
    label: str
    stands: bool = True  # bars, on an axis that starts at 0
    rects: list[dict[str, Any]] = field(default_factory=list)
    dots: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)

    def line(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        """Add a line through points; those that are not finite are left out."""
        known = [f"{x:.1f},{y:.1f}" for x, y in points if math.isfinite(x + y)]
        self.lines.append({"points": " ".join(known), "kind": kind})

    def rect(self, x: Sequence[float], y: Sequence[float], tip: str) -> None:
        """Add a bar between two ends each way."""
        place = {"x": round(x[0], 1), "y": round(y[0], 1)}
        size = {"width": round(x[1] - x[0], 1), "height": round(y[1] - y[0], 1)}
        self.rects.append({**place, **size, "tip": tip})

    def text(self, x: float, y: float, text: str, anchor: str = "middle") -> None:
        """Write."""
        self.texts.append({"x": round(x, 1), "y": round(y, 1), "text": text,
                           "anchor": anchor})  # fmt: skip


def draw(evidence: "Evidence") -> Drawing:
    """Draw what is behind a finding."""
    known = [y for y in evidence.y if math.isfinite(y)]
    label = f"{evidence.title}; {evidence.y_label}"
    if known:
        label += f" from {min(known):.4g} to {max(known):.4g}"
    if evidence.kind == "bars":
        return _bars(evidence, label)
    return _plane(evidence, label)


def draw_trial(proof: "Proof") -> Drawing:
    """Draw the scores of a paired trial, a dot a seed."""
    rows = {"before": proof.before, "after": proof.after, "control": proof.control}
    known = [score for scores in rows.values() for score in scores]
    label = f"{proof.metric} of each seed in the trial"
    drawing = Drawing(3 * _ROW + _BOTTOM, label, stands=False)
    x = _axis_below(drawing, 3, known, proof.metric)
    for number, (name, scores) in enumerate(rows.items()):
        y = _TOP + (number + 0.5) * _ROW
        lost = sum(not math.isfinite(score) for score in scores)
        label = f"{name}, {lost} diverged" if lost else name
        drawing.text(_LABELS - 8, y + 4, label, "end")
        for score in filter(math.isfinite, scores):
            tip = f"{name}: {score:.4g}"
            drawing.dots.append({"cx": round(x(score), 1), "cy": y, "tip": tip})
    return drawing


def ticks(low: float, high: float, log: bool = False) -> list[float]:
    """Return round numbers within a range, some five; powers of ten between two."""
    if log:
        first, last = round(math.log10(low)), round(math.log10(high))
        step = max(1, -(-(last - first) // 4))
        return [10.0**power for power in range(first, last + 1, step)]
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * k for k in (1, 2, 5, 10) if unit * k >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _range(values: Sequence[float], log: bool, zero: bool) -> tuple[float, float]:
    """Return what an axis spans: whole decades, or from 0 where bars stand on it."""
    known = [v for v in values if math.isfinite(v) and not (log and v <= 0)]
    if log:
        low, high = min(known, default=1), max(known, default=1)
        below, above = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return 10.0**below, 10.0 ** max(above, below + 1)
    if zero:
        known.append(0.0)
    low, high = min(known, default=0.0), max(known, default=1.0)
    spare = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return (low if zero and low == 0 else low - spare), high + spare


def _scale(span: tuple[float, float], start: float, stop: float, log: bool) -> Scale:
    low, high = map(math.log10, span) if log else span

    def place(value: float) -> float:
        if log and value <= 0:
            return start
        at = math.log10(value) if log else value
        return start + (at - low) / (high - low) * (stop - start)

    return place


def _axis_below(
    drawing: Drawing,
    n_rows: int,
    values: Sequence[float],
    title: str,
    log: bool = False,
) -> Scale:
    """Draw the axis of rows that have their names on the left; bars stand on 0."""
    span = _range(values, log, zero=drawing.stands)
    x = _scale(span, _LABELS, WIDTH - _RIGHT, log)
    bottom = _TOP + n_rows * _ROW
    for tick in ticks(*span, log):
        drawing.line([(x(tick), _TOP), (x(tick), bottom)], "grid")
        drawing.text(x(tick), bottom + 14, f"{tick:.6g}")
    drawing.text((_LABELS + WIDTH - _RIGHT) / 2, bottom + 29, title)
    return x


def _bars(evidence: "Evidence", label: str) -> Drawing:
    """Draw bars one below the other, their names readable; the longest, if many."""
    pairs = list(zip(map(str, evidence.x), evidence.y, strict=True))
    longest = sorted(pairs, key=lambda pair: -abs(pair[1]))[:_MOST_BARS]
    shown = [pair for pair in pairs if pair in longest][:_MOST_BARS]
    bottom = _TOP + len(shown) * _ROW
    drawing = Drawing(bottom + _BOTTOM - _TOP, label)
    reach = [y for _, y in shown] + [evidence.limit]
    x = _axis_below(drawing, len(shown), reach, evidence.y_label, evidence.log)
    for number, (name, value) in enumerate(shown):
        y = _TOP + number * _ROW
        ends = sorted((x(0.0), x(value if math.isfinite(value) else 0.0)))
        drawing.rect(ends, (y + 3, y + _ROW - 3), f"{name}: {value:.4g}")
        drawing.text(_LABELS - 8, y + 15, shorten(name, 17), "end")
    if math.isfinite(evidence.limit):
        drawing.line([(x(evidence.limit), y) for y in (_TOP, bottom)], "limit")
    if len(pairs) > len(shown):
        drawing.height += 16
        more = f"the {len(shown)} largest of {len(pairs)}"
        drawing.text(WIDTH - _RIGHT, drawing.height - 4, more, "end")
    return drawing


def _plane(evidence: "Evidence", label: str) -> Drawing:
    """Draw a line over numbers, or a histogram."""
    height, bottom = 200, 200 - _BOTTOM
    drawing = Drawing(height, label)
    drawing.stands = stands = evidence.kind == "histogram"
    span = _range([*evidence.y, evidence.limit], evidence.log, stands)
    y = _scale(span, bottom, _TOP, evidence.log)
    for tick in ticks(*span, evidence.log):
        drawing.line([(_LEFT, y(tick)), (WIDTH - _RIGHT, y(tick))], "grid")
        drawing.text(_LEFT - 6, y(tick) + 4, f"{tick:.6g}", "end")
    edges = [float(x) for x in evidence.x]
    wide = (min(edges, default=0.0), max(edges, default=1.0))
    wide = wide if wide[0] < wide[1] else (wide[0] - 0.5, wide[1] + 0.5)
    x = _scale(wide, _LEFT, WIDTH - _RIGHT, log=False)
    for tick in ticks(*wide):
        drawing.text(x(tick), bottom + 15, f"{tick:.6g}")
    drawing.text((_LEFT + WIDTH - _RIGHT) / 2, bottom + 31, evidence.x_label)
    if stands:
        for (low, high), count in zip(pairwise(edges), evidence.y, strict=True):
            if not math.isfinite(count):
                continue
            ends = x(low), max(x(high) - 1, x(low) + 1)
            tip = f"{low:.4g} to {high:.4g}: {count:.4g}"
            drawing.rect(ends, (y(count), bottom), tip)
    else:
        points = [(x(a), y(b)) for a, b in zip(edges, evidence.y, strict=True)]
        drawing.line(points, "curve")
    if math.isfinite(evidence.limit):
        at = y(evidence.limit)
        drawing.line([(_LEFT, at), (WIDTH - _RIGHT, at)], "limit")
    return drawing


def shorten(text: str, length: int) -> str:
    """Cut the middle out of a text that has no room."""
    if len(text) <= length:
        return text
    return f"{text[: length - 1 - length // 3]}…{text[-(length // 3) :]}"


def number(value: float, sign: str = "") -> str:
    """Return a score; one that is off the chart does not fill the page with digits."""
    return f"{value:{sign}.3f}" if abs(value) < 1000 else f"{value:{sign}.3g}"


def heights(counts: Sequence[int]) -> list[float]:
    """Return the heights of a small histogram's bars: what is there can be seen."""
    most = max(counts, default=1) or 1
    return [round(max(count / most, 0.05), 3) if count else 0.0 for count in counts]


HELPERS = {
    "draw": draw,
    "draw_trial": draw_trial,
    "heights": heights,
    "number": number,
    "WIDTH": WIDTH,
}
"""What the templates call."""


def fragment(diagnosis: "Diagnosis") -> str | None:
    """Return a diagnosis as HTML for a notebook's cell, its evidence drawn as SVG.

    None where Jinja2 is not installed: the notebook then shows the text.
    """
    try:
        template = load_template("diagnosis.html")
    except ValueError:
        return None
    return template.render(diagnosis=diagnosis, **HELPERS)


def load_template(name: str, *folders: Path) -> Any:
    """Return a Jinja2 template of these folders, or of the one beside this file."""
    jinja2 = need_for_report("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, _TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def need_for_report(name: str) -> Any:
    """Import what a page is made with."""
    return need(name, "a report needs Plotly and Jinja2", "report")
