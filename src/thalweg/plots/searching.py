"""The course of a search: every trial, and the best so far."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.plots.style import COLORS, legend_outside, only, panels, tidy
from thalweg.records import Array


@dataclass
class SearchDisplay:
    """Value of each trial of a search, and the best so far.

    Parameters
    ----------
    values : ndarray of shape (n_trials,)
        In the order of the trials; NaN for one that failed.
    metric : str
        What the values are.
    greater_is_better : bool

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    values: Array
    metric: str = "score"
    greater_is_better: bool = True

    def plot(self, *, ax: Any = None) -> "SearchDisplay":
        """Draw.

        Parameters
        ----------
        ax : Axes, optional

        Returns
        -------
        self
        """
        values = np.asarray(self.values, float)
        number = np.arange(1, len(values) + 1)
        better = np.fmax if self.greater_is_better else np.fmin
        self.figure_, axes = panels(ax, 1)
        self.ax_ = only(axes)
        self.ax_.plot(number, values, "o", color=COLORS[0], markersize=4, label="trial")
        self.ax_.step(
            number,
            better.accumulate(values),
            where="post",
            color=COLORS[1],
            label="best so far",
        )
        for failed in number[np.isnan(values)]:
            self.ax_.axvline(failed, color="0.85", linewidth=1)
        self.ax_.set_xlabel("trial", fontsize=9)
        self.ax_.set_ylabel(self.metric, fontsize=9)
        legend_outside(self.ax_)
        tidy(self.ax_)
        return self
