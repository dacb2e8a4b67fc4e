"""The interactive figures of a report, as Plotly specifications (dictionaries).

Plotly interprets some HTML in texts. Therefore all text that comes from a table is
escaped here, and is shown as it is written in the table.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from thalweg.core import Array, History, Run
from thalweg.diagnosis import number, shorten
from thalweg.display import COLORS, axis_type
from thalweg.estimators import Calibration, Confusion, Evaluation, Importance, Residuals
from thalweg.report.content import Report

BLUE, VERMILION, GRAY = *COLORS[:2], "#808080"
_LINES = "rgba(128,128,128,0.3)"
_MOST_POINTS = 1000  # of a curve
_MOST_COLUMNS = 20
_CELLS_WITH_NUMBERS = 12
_LABELS = 14
_AXIS = {"gridcolor": _LINES, "zerolinecolor": _LINES, "automargin": True,
         "linecolor": _LINES, "ticks": "outside", "tickcolor": _LINES,
         "title": {"font": {"size": 13}, "standoff": 10}}  # fmt: skip
_LAYOUT = {
    "template": {"layout": {"xaxis": _AXIS, "yaxis": _AXIS}},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"family": "system-ui, sans-serif", "size": 13},
    "margin": {"l": 50, "r": 10, "t": 10, "b": 50},
    "showlegend": False,
}
_PANELS = {
    "loss": "loss",
    "validation_score": "validation score",
    "gradient_norm": "gradient norm",
    "update_ratio": "size of the update / size of the weights",
    "rate": "learning rate",
}


@dataclass(frozen=True)
class Figure:
    """A figure.

    Parameters
    ----------
    title : str
        Its heading.
    caption : str
        What it shows, in words.
    data, layout : list and dict
        For Plotly.
    details : str
        The values in words, for readers who do not see the figure.
    """

    title: str
    caption: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    details: str = ""

    @property
    def description(self) -> str:
        """All that the figure shows, in words."""
        return f"{self.caption} {self.details}".rstrip()

    @property
    def specification(self) -> dict[str, Any]:
        """The argument of ``Plotly.newPlot``."""
        return {"data": self.data, "layout": {**_LAYOUT, **self.layout}}


def of(report: Report) -> dict[str, Figure]:
    """Return the figures of a report, by name."""
    drawn = {} if report.evaluation is None else _of_evaluation(report.evaluation)
    if report.run is not None and len(report.run.history):
        drawn |= curves(report.run)
    return drawn


def _of_evaluation(evaluation: Evaluation) -> dict[str, Figure]:
    parts = {
        "confusion": (confusion, evaluation.confusion),
        "predictions": (predictions, evaluation.residuals),
        "residuals": (residuals, evaluation.residuals),
        "calibration": (calibration, evaluation.calibration),
    }
    drawn = {"scores": scores(evaluation)}
    drawn |= {k: draw(part) for k, (draw, part) in parts.items() if part is not None}
    if evaluation.importance:
        drawn["importance"] = importance(evaluation.importance, evaluation.metric)
    return drawn


def curves(run: Run) -> dict[str, Figure]:
    """Draw each recorded quantity against the epoch, except constant ones."""
    history, best = run.history, run.best_epoch
    return {
        f"curve-{name}": _curve(name, title, history, best)
        for name, title in _PANELS.items()
        if _is_shown(name, getattr(history, name))
    }


def _is_shown(name: str, values: Array) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 0 and bool(name == "loss" or known.min() < known.max())


def _curve(name: str, title: str, history: History, best: int) -> Figure:
    lines = {"training" if name == "loss" else title: (getattr(history, name), BLUE)}
    if name == "loss" and _is_shown(name, history.validation_loss):
        lines["validation"] = (history.validation_loss, VERMILION)
    kept = np.unique(
        np.linspace(1, len(history), min(len(history), _MOST_POINTS)).astype(int)
    )
    marked = best != len(history)
    data = [
        {
            "type": "scatter", "name": label, "x": kept.tolist(),
            "y": _plain(values[kept - 1]),
            "mode": "lines" if len(kept) > 40 else "lines+markers",
            "line": {"color": color, "width": 1.8},
            "hovertemplate": "%{y:.5g}",
        }
        for label, (values, color) in lines.items()
    ]  # fmt: skip
    line = {"color": GRAY, "dash": "dot", "width": 1.5}
    place = {"type": "line", "x0": best, "x1": best, "yref": "paper", "y0": 0, "y1": 1}
    layout = {
        "height": 300 if name == "loss" else 240,
        "hovermode": "x unified",
        "xaxis": {"title": {"text": "epoch"}, "rangemode": "tozero"},
        "yaxis": {"type": axis_type([values for values, _ in lines.values()])},
        "shapes": [{**place, "line": line}] if marked else [],
        "showlegend": len(lines) > 1,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    }
    said = "; ".join(_describe(label, values) for label, (values, _) in lines.items())
    kept_epoch = f" The dotted line is epoch {best}, whose weights were kept."
    return Figure(
        title.capitalize(),
        f"{said[0].upper()}{said[1:]}.{kept_epoch if marked else ''}",
        data,
        layout,
    )


def _describe(label: str, values: Array) -> str:
    known = values[np.isfinite(values)]
    extreme = "highest" if label.endswith("score") else "lowest"
    at = (np.nanargmax if extreme == "highest" else np.nanargmin)(values)
    return (
        f"{label} from {known[0]:.4g} to {known[-1]:.4g} over {len(values)} epochs; "
        f"{extreme} {values[at]:.4g} at epoch {at + 1}"
    )


def scores(evaluation: Evaluation) -> Figure:
    """Draw the score and those of the baselines, with confidence intervals."""
    rows = {f"this {evaluation.subject}": (evaluation.score, evaluation.interval)}
    for name, score in evaluation.baselines.items():
        rows[name] = (score, evaluation.intervals.get(name, (score, score)))
    said = [f"{name} {_with_interval(*row)}" for name, row in rows.items()]
    points = _intervals(list(rows.values()), said)
    points["marker"]["color"] = [BLUE] + [GRAY] * len(evaluation.baselines)
    return Figure(
        "Score and baselines",
        f"{evaluation.metric}, with 95 % intervals: {'; '.join(said)}.",
        [points],
        _by_name(36, list(rows), evaluation.metric),
    )


def importance(found: Sequence[Importance], metric: str) -> Figure:
    """Draw how much the score falls without each of the most important columns."""
    shown = found[:_MOST_COLUMNS]
    rows = [(each.drop, each.interval) for each in shown]
    names = [each.column for each in shown]
    said = [
        f"{name}: {_with_interval(*row)}" for name, row in zip(names, rows, strict=True)
    ]
    return Figure(
        "Importance of the columns",
        f"Drop in {metric} when a column is shuffled, with 95 % intervals: "
        f"{'; '.join(said)}.",
        [_intervals(rows, said)],
        _by_name(24, names, f"drop in {metric}"),
    )


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{number(value)} ({number(low)} to {number(high)})"


def _by_name(row: int, names: Sequence[str], title: str) -> dict[str, Any]:
    """Return a layout with one row for each name, from the top, at 0, 1, 2, ..."""
    layout = _axes(90 + row * len(names), title, "")
    layout["yaxis"] = {**_ticks(names, 22), "range": [len(names) - 0.5, -0.5]}
    return layout


def _ticks(names: Sequence[str], length: int, every: int = 1) -> dict[str, Any]:
    """Return an axis with names, at most `length` letters long, at 0, 1, 2, ..."""
    return {
        "tickmode": "array", "tickvals": list(range(0, len(names), every)),
        "ticktext": [escape(shorten(n, length), quote=False) for n in names[::every]],
        "showgrid": False, "zeroline": False, "ticks": "",
    }  # fmt: skip


_Rows = Sequence[tuple[float, tuple[float, float]]]


def _intervals(rows: _Rows, said: Sequence[str], axis: str = "x") -> dict[str, Any]:
    """Return points with intervals along one axis, at 0, 1, 2, ... on the other."""
    return {
        "type": "scatter", "mode": "markers",
        "x" if axis == "y" else "y": list(range(len(rows))),
        axis: _plain(value for value, _ in rows),
        "text": [escape(text, quote=False) for text in said],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"size": 10, "color": BLUE},
        f"error_{axis}": {
            "type": "data", "thickness": 1.5, "symmetric": False, "color": GRAY,
            "array": _plain(high - value for value, (_, high) in rows),
            "arrayminus": _plain(value - low for value, (low, _) in rows),
        },
    }  # fmt: skip


def confusion(found: Confusion) -> Figure:
    """Draw how often each true class was predicted as each class."""
    counts = np.array(found.counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [escape(label, quote=False) for label in found.labels]
    n = len(names)
    cells = {
        "type": "heatmap", "z": shares.round(4).tolist(), "zmin": 0, "zmax": 1,
        "colorscale": [[0, "#f3f6f9"], [1, "#08519c"]], "xgap": 1, "ygap": 1,
        "text": counts.tolist(), "showscale": False,
        "customdata": [[[truth, predicted] for predicted in names] for truth in names],
        "hovertemplate": "true %{customdata[0]}, predicted %{customdata[1]}: %{text} "
        "rows, %{z:.1%} of the true class<extra></extra>",
    }  # fmt: skip
    if n <= _CELLS_WITH_NUMBERS:
        cells["texttemplate"] = "%{text}"
    layout = _axes(int(np.clip(120 + 40 * n, 260, 560)), "predicted", "true")
    ticks = _ticks(found.labels, 10, -(-n // _LABELS))
    layout["xaxis"] |= ticks
    layout["yaxis"] |= {**ticks, "range": [n - 0.5, -0.5]}
    return Figure(
        "Confusion matrix", _describe_confusion(found.labels, counts), [cells], layout
    )


def _describe_confusion(labels: Sequence[str], counts: Array) -> str:
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    text = f"{np.trace(counts)} of {counts.sum()} rows are classified correctly."
    if not wrong.any():
        return text
    truth, predicted = divmod(int(wrong.argmax()), len(wrong))
    return (
        f"{text} The most frequent error: {labels[truth]} predicted as "
        f"{labels[predicted]}, {wrong.max()} rows."
    )


def predictions(found: Residuals) -> Figure:
    """Draw the predicted values against the true ones."""
    values = found.truth + found.predicted
    data = [
        _cloud(found.truth, found.predicted, "true %{x:.5g}, predicted %{y:.5g}"),
        _diagonal(min(values), max(values)),
    ]
    layout = _axes(320, "true", "predicted")
    caption = (
        f"Predicted values of {len(found.truth)} rows against their true values. On "
        "the line they are equal."
    )
    return Figure("Predicted and true", caption, data, layout)


def residuals(found: Residuals) -> Figure:
    """Draw the residuals against the predicted values."""
    rest = np.subtract(found.truth, found.predicted)
    layout = _axes(320, "predicted", "true minus predicted")
    layout["yaxis"]["zerolinecolor"] = VERMILION
    low, middle, high = np.quantile(rest, (0.05, 0.5, 0.95))
    caption = (
        f"Residuals (true minus predicted). The median is {middle:.4g}; 90 % of them "
        f"lie between {low:.4g} and {high:.4g}."
    )
    cloud = _cloud(found.predicted, rest, "predicted %{x:.5g}, residual %{y:.5g}")
    return Figure("Residuals", caption, [cloud], layout)


def _axes(height: int, x: str, y: str) -> dict[str, Any]:
    """Return a layout with titles of the axes."""
    titles = {"xaxis": x, "yaxis": y}
    named = {axis: {"title": {"text": text}} for axis, text in titles.items()}
    return {"height": height, **named}


def _diagonal(low: float, high: float) -> dict[str, Any]:
    """Return the line on which both coordinates are equal."""
    ends = _plain((low, high))
    return {
        "type": "scatter", "mode": "lines", "x": ends, "y": ends,
        "hoverinfo": "skip", "line": {"color": VERMILION, "width": 1.5},
    }  # fmt: skip


def _cloud(x: Iterable[float], y: Iterable[float], tip: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "x": _plain(x), "y": _plain(y),
        "marker": {"color": BLUE, "size": 5, "opacity": 0.5},
        "hovertemplate": f"{tip}<extra></extra>",
    }  # fmt: skip


def calibration(found: Calibration) -> Figure:
    """Draw the accuracy of predictions against their confidence."""
    pairs = list(zip(found.accuracy, found.intervals, strict=True))
    said = [
        f"confidence {sure:.1%}, accuracy {right:.1%} ({low:.1%} to {high:.1%}) on "
        f"{count} rows"
        for sure, (right, (low, high)), count in zip(
            found.confidence, pairs, found.counts, strict=True
        )
    ]
    low = min(found.confidence + found.accuracy)
    points = {**_intervals(pairs, said, "y"), "x": _plain(found.confidence)}
    layout = _axes(340, "confidence", "accuracy")
    for axis in ("xaxis", "yaxis"):
        layout[axis]["tickformat"] = ".0%"
    return Figure(
        "Calibration",
        "Accuracy of predictions against their confidence. On the line they are equal. "
        f"The average difference is {found.error:.1%}.",
        [_diagonal(low, 1.0), points],
        layout,
        details=f"Rows in order of confidence: {'; '.join(said)}.",
    )


def _plain(values: Iterable[float]) -> list[float | None]:
    """Return numbers with five digits; None, which Plotly skips, if not finite."""
    return [float(f"{v:.5g}") if math.isfinite(v) else None for v in map(float, values)]
