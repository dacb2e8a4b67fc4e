"""Plots of a comparison: training curves, values and differences of the variants."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from thalweg.core import check_word
from thalweg.display import Display

if TYPE_CHECKING:
    from thalweg.comparison.result import Comparison
from thalweg.core import Array, History
from thalweg.display import axis_type, legend_outside, line_style, smooth, tidy

_WHAT = {
    "loss": "training loss",
    "validation_loss": "validation loss",
    "validation_score": "validation score",
    "gradient_norm": "norm of the gradient",
    "rate": "learning rate",
}
_AGAINST = {
    "epoch": "epoch or iteration",
    "passes": "passes over the rows",
    "seconds": "time [s]",
}


@dataclass
class _OfComparison(Display):
    """The common part of the displays of a comparison.

    Parameters
    ----------
    comparison : "Comparison"
    """

    comparison: "Comparison"

    @classmethod
    def from_comparison(cls, comparison: "Comparison", **options: Any) -> Self:
        """Plot a result of `thalweg.compare`; `options` are those of `plot`."""
        drawing: Any = cls(comparison)
        return drawing.plot(**options)


class ComparisonDisplay(_OfComparison):
    """Training curves of the variants: mean and range over the seeds."""

    def plot(
        self,
        what: str = "loss",
        *,
        against: str = "epoch",
        ax: Any = None,
        window: int = 1,
        legend: bool = True,
    ) -> Self:
        """Draw the plot.

        Parameters
        ----------
        what : {"loss", "validation_loss", "validation_score", "gradient_norm", "rate"}
        against : {"epoch", "passes", "seconds"}
        ax : Axes, optional
        window : int
            Number of epochs in the moving average of each curve.
        legend : bool

        Returns
        -------
        self
            The curve of a variant that diverged ends in a cross.

        Raises
        ------
        ValueError
            If it was not recorded; the message says which option records it.
        """
        check_word("what", what, _WHAT, owner="plot")
        check_word("against", against, _AGAINST, owner="plot")
        self.take(ax)
        drawn = []
        for index, name in enumerate(self.comparison.variants):
            own = [t for t in self.comparison.of(name) if t.history is not None]
            curves = [_curve(t.history, what, against) for t in own if t.history]
            curves = [(x, smooth(y, window)) for x, y in curves if len(x)]
            lost = sum(trial.diverged for trial in own)
            if curves:
                drawn.append(self._draw(name, index, curves, lost))
            elif lost:
                self._draw_lost(name, index)
        if not drawn:
            raise ValueError(_not_recorded(what))
        if axis_type(drawn) == "log":
            self.ax_.set_yscale("log")
        if legend:
            legend_outside(self.ax_)
        tidy(self.ax_, _AGAINST[against], _WHAT[what])
        return self

    def _draw(
        self, name: str, index: int, curves: list[tuple[Array, Array]], lost: int
    ) -> Array:
        style = line_style(index)
        x, rows = _aligned(curves)
        middle = np.nanmean(rows, axis=0)
        label = f"{name} (diverged)" if lost else name
        self.ax_.plot(x, middle, label=label, linewidth=1.6, **style)
        if len(curves) > 1:
            low, high = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
            self.ax_.fill_between(x, low, high, color=style["color"], alpha=0.15, lw=0)
        if lost:
            end = {"color": style["color"], "markersize": 9, "mew": 2.5}
            self.ax_.plot(x[-1], middle[-1], "x", **end)
        return middle

    def _draw_lost(self, name: str, index: int) -> None:
        """Mark a variant that diverged in its first epoch."""
        self.ax_.plot(
            0.03, 0.05 + 0.1 * index, "x", transform=self.ax_.transAxes,
            label=f"{name} (diverged)", color=line_style(index)["color"], markersize=9,
            mew=2.5,
        )  # fmt: skip


class SweepDisplay(_OfComparison):
    """Values of the variants: one point for each seed, and a line through the means."""

    def plot(self, *, ax: Any = None, xlabel: str = "") -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes, optional
        xlabel : str
            What the names of the variants mean.

        Returns
        -------
        self
        """
        self.take(ax)
        names = self.comparison.variants
        places = np.arange(len(names))
        for place, name in zip(places, names, strict=True):
            values = self.comparison.values(name)
            spots = place + np.linspace(-0.12, 0.12, len(values))
            color = line_style(0)["color"]
            self.ax_.plot(spots, values, "o", color=color, alpha=0.5, markersize=4)
            if not np.isfinite(values).all():
                self.ax_.annotate(
                    "diverged", (place, 0.02), xycoords=("data", "axes fraction"),
                    ha="center", fontsize=8, color="0.35", rotation=90,
                )  # fmt: skip
        means = [row["mean"] for row in self.comparison.summary().values()]
        self.ax_.plot(places, means, "-", color="black", label="mean", linewidth=1.2)
        self.ax_.set_xticks(places, names, fontsize=8)
        legend_outside(self.ax_)
        tidy(self.ax_, xlabel, self.comparison.metric)
        return self


class DifferenceDisplay(_OfComparison):
    """Differences with confidence intervals; one that contains 0 is not significant."""

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the plot.

        Parameters
        ----------
        ax : Axes, optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are no differences: with one seed, or if all but one diverged.
        """
        pairs = self.comparison.differences
        if not pairs:
            raise ValueError(
                "There are no differences to draw. compare(seeds=5) records them, for "
                "variants that do not diverge."
            )
        self.take(ax)
        for row, pair in enumerate(reversed(pairs)):
            certain = pair.p_value < 0.05
            style = line_style(0 if certain else 6)
            face = style["color"] if certain else "white"
            self.ax_.plot(pair.interval, [row, row], color=style["color"], linewidth=2)
            self.ax_.plot(
                pair.mean, row, "o", color=style["color"], markerfacecolor=face
            )
        names = [f"{pair.first} minus {pair.second}" for pair in reversed(pairs)]
        self.ax_.set_yticks(range(len(pairs)), names, fontsize=8)
        self.ax_.axvline(0, color="0.4", linewidth=1, linestyle="--")
        metric = self.comparison.metric
        tidy(self.ax_, f"difference in {metric}, 95 % intervals (simultaneous)")
        return self


def _not_recorded(what: str) -> str:
    if what.startswith("validation"):
        how = "compare(validation=0.2) records it"
    elif what == "rate":
        how = "only first-order optimizers have a learning rate"
    else:
        how = "only settings and thalweg's own estimators keep a history"
    return f"plot got what={what!r}, which was not recorded: {how}."


def _curve(history: History, what: str, against: str) -> tuple[Array, Array]:
    x, y = np.asarray(getattr(history, against), float), getattr(history, what)
    known = np.isfinite(x) & np.isfinite(y)
    return x[known], y[known]


def _aligned(curves: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Interpolate curves on a common axis; each is NaN after its end."""
    x = max(curves, key=lambda curve: len(curve[0]))[0]
    if not all(np.array_equal(own, x[: len(own)]) for own, _ in curves):
        first, last = max(c[0][0] for c in curves), max(c[0][-1] for c in curves)
        x = np.linspace(first, last, 400)
    return x, np.array([np.interp(x, *curve, right=np.nan) for curve in curves])
