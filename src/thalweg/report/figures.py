"""The figures one can hover, as Plotly specifications: plain dictionaries.

Plotly reads some HTML in texts, so all that comes from a table is escaped here: what is
shown is what was written there.
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
         "title": {"font": {"size": 13}}}  # fmt: skip
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
    "gradient_norm": "norm of the gradient",
    "update_ratio": "update / weights",
    "rate": "learning rate",
}


@dataclass(frozen=True)
class Figure:
    """A figure: its heading, what it says in words, and what Plotly is given."""

    title: str
    alt: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]

    @property
    def specification(self) -> dict[str, Any]:
        """What ``Plotly.newPlot`` takes."""
        return {"data": self.data, "layout": {**_LAYOUT, **self.layout}}


def of(report: Report) -> dict[str, Figure]:
    """Return the figures that a report has, by name."""
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
    """Draw what was recorded of each epoch; what never changed is left out."""
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
    alt = "; ".join(_said(label, values) for label, (values, _) in lines.items())
    kept_epoch = f" The dotted line is epoch {best}, whose weights were kept."
    return Figure(
        title.capitalize(),
        f"{alt[0].upper()}{alt[1:]}.{kept_epoch if marked else ''}",
        data,
        layout,
    )


def _said(label: str, values: Array) -> str:
    known = values[np.isfinite(values)]
    extreme = "most" if label.endswith("score") else "least"
    at = (np.nanargmax if extreme == "most" else np.nanargmin)(values)
    return (
        f"{label} from {known[0]:.4g} to {known[-1]:.4g} over {len(values)} epochs; "
        f"{extreme} {values[at]:.4g} at epoch {at + 1}"
    )


def scores(evaluation: Evaluation) -> Figure:
    """Draw the score beside the baselines, with their intervals."""
    rows = {"this network": (evaluation.score, evaluation.interval)}
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
    """Draw what the score loses without each column; the twenty that matter most."""
    shown = found[:_MOST_COLUMNS]
    rows = [(each.drop, each.interval) for each in shown]
    names = [each.column for each in shown]
    said = [
        f"{name}: {_with_interval(*row)}" for name, row in zip(names, rows, strict=True)
    ]
    return Figure(
        "Importance of the columns",
        f"Drop of {metric} when a column is shuffled, with 95 % intervals: "
        f"{'; '.join(said)}.",
        [_intervals(rows, said)],
        _by_name(24, names, f"drop of {metric}"),
    )


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{number(value)} ({number(low)} to {number(high)})"


def _by_name(row: int, names: Sequence[str], title: str) -> dict[str, Any]:
    """Return a layout with a row a name from the top, at the places 0, 1, 2, ..."""
    layout = _axes(90 + row * len(names), title, "")
    layout["yaxis"] = {**_ticks(names, 22), "range": [len(names) - 0.5, -0.5]}
    return layout


def _ticks(names: Sequence[str], length: int, every: int = 1) -> dict[str, Any]:
    """Return an axis with names of so many letters at the places 0, 1, 2, ..."""
    return {
        "tickmode": "array", "tickvals": list(range(0, len(names), every)),
        "ticktext": [escape(shorten(n, length), quote=False) for n in names[::every]],
        "showgrid": False, "zeroline": False, "ticks": "",
    }  # fmt: skip


_Rows = Sequence[tuple[float, tuple[float, float]]]


def _intervals(rows: _Rows, said: Sequence[str], axis: str = "x") -> dict[str, Any]:
    """Return points with their intervals along an axis; the other counts them."""
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
    """Draw the confusion matrix: each true class's rows by the class predicted."""
    counts = np.array(found.counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [escape(label, quote=False) for label in found.labels]
    n = len(names)
    cells = {
        "type": "heatmap", "z": shares.round(4).tolist(), "zmin": 0, "zmax": 1,
        "colorscale": [[0, "#f3f6f9"], [1, "#08519c"]], "xgap": 1, "ygap": 1,
        "text": counts.tolist(), "showscale": False,
        "customdata": [[[truth, said] for said in names] for truth in names],
        "hovertemplate": "%{customdata[0]} taken for %{customdata[1]}: %{text} rows, "
        "%{z:.1%} of its class<extra></extra>",
    }  # fmt: skip
    if n <= _CELLS_WITH_NUMBERS:
        cells["texttemplate"] = "%{text}"
    layout = _axes(int(np.clip(120 + 40 * n, 260, 560)), "predicted", "true")
    ticks = _ticks(found.labels, 10, -(-n // _LABELS))
    layout["xaxis"] |= ticks
    layout["yaxis"] |= {**ticks, "range": [n - 0.5, -0.5]}
    return Figure("Confusion matrix", _confused(found.labels, counts), [cells], layout)


def _confused(labels: Sequence[str], counts: Array) -> str:
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    text = f"{np.trace(counts)} of {counts.sum()} rows are right."
    if not wrong.any():
        return text
    truth, said = divmod(int(wrong.argmax()), len(wrong))
    return (
        f"{text} The commonest mistake: {labels[truth]} taken for {labels[said]}, "
        f"{wrong.max()} rows."
    )


def predictions(found: Residuals) -> Figure:
    """Draw what was predicted over what is true."""
    values = found.truth + found.predicted
    data = [
        _cloud(found.truth, found.predicted, "true %{x:.5g}, predicted %{y:.5g}"),
        _diagonal(min(values), max(values)),
    ]
    layout = _axes(320, "true", "predicted")
    alt = (
        f"Predictions of {len(found.truth)} rows over their true values; on the line "
        "they would be exact."
    )
    return Figure("Predicted and true", alt, data, layout)


def residuals(found: Residuals) -> Figure:
    """Draw true less predicted over what was predicted."""
    rest = np.subtract(found.truth, found.predicted)
    layout = _axes(320, "predicted", "true less predicted")
    layout["yaxis"]["zerolinecolor"] = VERMILION
    low, middle, high = np.quantile(rest, (0.05, 0.5, 0.95))
    alt = (
        f"Residuals, true less predicted: median {middle:.4g}; nine of ten lie between "
        f"{low:.4g} and {high:.4g}."
    )
    cloud = _cloud(found.predicted, rest, "predicted %{x:.5g}, off by %{y:.5g}")
    return Figure("Residuals", alt, [cloud], layout)


def _axes(height: int, x: str, y: str) -> dict[str, Any]:
    """Return a layout whose axes are named."""
    titles = {"xaxis": x, "yaxis": y}
    named = {axis: {"title": {"text": text}} for axis, text in titles.items()}
    return {"height": height, **named}


def _diagonal(low: float, high: float) -> dict[str, Any]:
    """Return the line on which both axes say the same."""
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
    """Draw how often the network is right over how sure it is."""
    pairs = list(zip(found.accuracy, found.intervals, strict=True))
    said = [
        f"{sure:.1%} sure, {right:.1%} right ({low:.1%} to {high:.1%}) of {count} rows"
        for sure, (right, (low, high)), count in zip(
            found.confidence, pairs, found.counts, strict=True
        )
    ]
    low = min(found.confidence + found.accuracy)
    points = {**_intervals(pairs, said, "y"), "x": _plain(found.confidence)}
    layout = _axes(340, "how sure it is", "how often it is right")
    for axis in ("xaxis", "yaxis"):
        layout[axis]["tickformat"] = ".0%"
    alt = (
        f"On the line it would be right as often as it is sure to be; it is off by "
        f"{found.error:.1%} on average. Rows in order of confidence: {'; '.join(said)}."
    )
    return Figure("Calibration", alt, [_diagonal(low, 1.0), points], layout)


def _plain(values: Iterable[float]) -> list[float | None]:
    """Return numbers of five digits; None, which Plotly leaves out, if not finite."""
    return [float(f"{v:.5g}") if math.isfinite(v) else None for v in map(float, values)]
