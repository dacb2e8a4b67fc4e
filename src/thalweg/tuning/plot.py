"""Plots of a search: its progress, its best training curves, and its parameters.

Optuna draws the plots of parameters, from a study that is rebuilt from the result, with
matplotlib or Plotly.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from thalweg.core import Array, check_word, need
from thalweg.display import COLORS, Display, legend_outside, tidy

if TYPE_CHECKING:
    from thalweg.tuning.result import SearchResult, SearchTrial

_OPTUNA_PLOTS = {
    "parallel": "plot_parallel_coordinate",
    "contour": "plot_contour",
    "slice": "plot_slice",
    "importances": "plot_param_importances",
}
_RECORDED = ("accuracy", "r2", "R2", "neg_log_loss")  # in the history of a network
_WHAT = ("course", "curves", *_OPTUNA_PLOTS)
_BACKENDS = {
    "matplotlib": "optuna.visualization.matplotlib",
    "plotly": "optuna.visualization",
}


@dataclass
class SearchDisplay(Display):
    """The trials of a search: their values, training curves and parameters.

    Parameters
    ----------
    values : ndarray of shape (n_trials,)
        In the order of the trials; NaN for one that failed.
    metric : str
        Name of the values.
    greater_is_better : bool
    result : "SearchResult", optional
        All plots but the course need it.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of them; None with Plotly
    figure_ : matplotlib or Plotly Figure
    """

    values: Array
    metric: str = "score"
    greater_is_better: bool = True
    result: "SearchResult | None" = None

    @classmethod
    def from_search(cls, result: "SearchResult", **options: Any) -> Self:
        """Plot a result of `thalweg.search`; `options` are those of `plot`."""
        values = np.array([trial.value for trial in result.trials])
        return cls(values, result.metric, result=result).plot(**options)

    def plot(
        self,
        what: str = "course",
        *,
        ax: Any = None,
        params: list[str] | None = None,
        count: int = 20,
        backend: str = "matplotlib",
    ) -> Self:
        """Draw the plot.

        Parameters
        ----------
        what : {"course", "curves", "parallel", "contour", "slice", "importances"}
            "course" shows the values in the order of the trials, "curves" the training
            curves of the best trials. The other four are Optuna's plots of parameters.
        ax : Axes, optional
            For "course".
        params : list of str, optional
            The parameters to plot; all if None.
        count : int
            Number of training curves.
        backend : {"matplotlib", "plotly"}
            For Optuna's plots.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such plot, or nothing to draw.
        """
        check_word("what", what, _WHAT, owner="plot")
        check_word("backend", backend, _BACKENDS, owner="plot")
        if what == "course":
            self._draw_progress(ax)
        elif self.result is None:
            raise ValueError(
                f"plot got what={what!r}, which needs the result of a search. Use "
                "SearchDisplay.from_search(result)."
            )
        elif what == "curves":
            self._draw_curves(self.result, count)
        else:
            self._draw_with_optuna(self.result, what, params, backend)
        return self

    def _draw_progress(self, ax: Any) -> None:
        values = np.asarray(self.values, float)
        number = np.arange(1, len(values) + 1)
        better = np.fmax if self.greater_is_better else np.fmin
        self.take(ax)
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
        legend_outside(self.ax_)
        tidy(self.ax_, "trial", self.metric)

    def _draw_curves(self, result: "SearchResult", count: int) -> None:
        best = [(t, *_curve(t, result.metric)) for t in result.ranking()]
        drawn = [each for each in best if len(each[1])][:count]
        if not drawn:
            raise ValueError(
                "There are no training curves to draw. Only thalweg's networks record "
                "them."
            )
        columns = min(5, len(drawn))
        rows = -(-len(drawn) // columns)
        axes = self.make_grid(rows, columns, 1.15 * rows + 0.7)
        values = np.concatenate([curve for *_, curve in drawn])
        margin = 0.05 * (np.ptp(values) or 1.0)
        last = max(epochs[-1] for _, epochs, _ in drawn)
        for rank, (ax, (trial, epochs, curve)) in enumerate(
            zip(axes.ravel(), drawn, strict=False), start=1
        ):
            ax.plot(epochs, curve, color=COLORS[0], linewidth=1.4)
            ax.set_title(f"{rank}: {trial.value:.3f}", fontsize=8)
            ax.set_ylim(values.min() - margin, values.max() + margin)
            ax.set_xlim(0, last)
            tidy(ax)
            ax.label_outer()
            ax.tick_params(labelbottom=rank + columns > len(drawn))
        for spare in axes.ravel()[len(drawn) :]:
            spare.remove()
        self.figure_.supxlabel("epoch", fontsize=9)
        shown = result.metric if result.metric in _RECORDED else "score"
        self.figure_.supylabel(f"validation {shown}", fontsize=9)
        self.ax_ = axes

    def _draw_with_optuna(
        self, result: "SearchResult", what: str, params: list[str] | None, backend: str
    ) -> None:
        draw = getattr(_optuna(_BACKENDS[backend]), _OPTUNA_PLOTS[what])
        study = _study(result)
        named = {"params": params, "target_name": result.metric}
        if backend == "plotly":
            self.figure_, self.ax_ = draw(study, **named), None
            return
        # Optuna makes each slice half as wide as the figure.
        n_params = 1 if what == "slice" else len(params or result.space)
        with _styled(n_params):
            self.ax_ = draw(study, **named)
        self.figure_ = np.ravel(self.ax_)[0].figure


def _curve(trial: "SearchTrial", metric: str) -> tuple[Array, Array]:
    """Return the validated epochs, and their scores or negative losses."""
    if trial.history is None:
        return np.array([]), np.array([])
    by_loss = metric == "neg_log_loss"
    seen = -trial.history.validation_loss if by_loss else trial.history.validation_score
    at = np.flatnonzero(np.isfinite(seen))
    return at + 1, seen[at]


def _study(result: "SearchResult") -> Any:
    """Rebuild an Optuna study from the result, with choices as strings."""
    optuna = _optuna("optuna")
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize")
        for trial in result.trials:
            if np.isfinite(trial.value):
                study.add_trial(_trial(optuna, result, trial))
    finally:
        optuna.logging.set_verbosity(before)
    return study


def _trial(optuna: Any, result: "SearchResult", trial: "SearchTrial") -> Any:
    params = {
        name: value if "low" in result.space[name] else str(value)
        for name, value in trial.params.items()
    }
    return optuna.create_trial(
        params=params,
        distributions={n: _distribution(optuna, result.space[n]) for n in params},
        value=trial.value,
    )


def _distribution(optuna: Any, space: Any) -> Any:
    kinds = optuna.distributions
    if "choices" in space:
        return kinds.CategoricalDistribution([str(c) for c in space["choices"]])
    whole = all(isinstance(space[end], int) for end in ("low", "high"))
    kind = kinds.IntDistribution if whole else kinds.FloatDistribution
    return kind(space["low"], space["high"], log=space["log"])


def _optuna(part: str) -> Any:
    return need(part, "plots of parameters need Optuna", "search,plots")


@contextmanager
def _styled(n_params: int) -> Iterator[None]:
    """Make room for the names, and undo the style that Optuna sets globally."""
    matplotlib = need("matplotlib", "plots need matplotlib", "plots")
    side = 1.5 + 1.9 * max(n_params, 2)
    style = {
        "figure.constrained_layout.use": True,
        "figure.figsize": (side, max(min(side, 10.0), 4.0)),
        "font.size": 8,
    }
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # Optuna warns that its plots are experimental, and matplotlib about ranges that
        # contain a single value.
        warnings.simplefilter("ignore")
        yield
