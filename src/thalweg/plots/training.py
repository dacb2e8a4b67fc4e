"""Plots of one training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from thalweg.core import Array, History, check_word
from thalweg.display import COLORS, Display, axis_type, legend_above, smooth, tidy

_PANELS = {
    "loss": ("loss", {"loss": "training", "validation_loss": "validation"}),
    "score": ("validation score", {"validation_score": "validation"}),
    "rate": ("learning rate", {"rate": "rate"}),
    "gradient_norm": ("gradient norm", {"gradient_norm": "gradient"}),
    "update_ratio": ("update / weights", {"update_ratio": "update"}),
}
_RECORDED_BY = {
    "score": "Pass validation=0.2 or validation=(X_val, y_val) to fit to record it",
    "rate": "Only first-order optimizers such as optimizer='adam' have one",
}
_SMOOTHED_FROM = 100  # epochs


@dataclass
class TrainingDisplay(Display):
    """The curves of one training.

    Parameters
    ----------
    history : History
    best_epoch : int or None
        The epoch whose weights were kept. It is marked unless it is the last.
    """

    history: History
    best_epoch: int | None = None

    @classmethod
    def from_run(cls, run: Any, **options: Any) -> Self:
        """Plot a `thalweg.Run`."""
        return cls(run.history, run.best_epoch).plot(**options)

    @classmethod
    def from_estimator(cls, estimator: Any, **options: Any) -> Self:
        """Plot a fitted estimator of thalweg.

        Raises
        ------
        ValueError
            If it has no ``history_``.
        """
        history = getattr(estimator, "history_", None)
        if history is None:
            raise ValueError(
                f"{type(estimator).__name__} has no history_ to plot. Fit an estimator "
                "of thalweg first."
            )
        return cls(history).plot(**options)

    def plot(
        self,
        what: str | Sequence[str] | None = None,
        *,
        ax: Any = None,
        window: int | None = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        what : str, sequence of str or None
            One or more of ``"loss"``, ``"score"``, ``"rate"``, ``"gradient_norm"`` and
            ``"update_ratio"``, each in its own panel. None plots those of the first
            four that were recorded.
        ax : Axes or sequence of Axes, optional
            One for each panel. By default a new figure is made.
        window : int or None
            Number of epochs in the moving average. The values themselves are drawn
            faintly. None chooses by the number of epochs, 1 draws no average.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `what` is unknown or was not recorded. The message says how to record it.
        """
        chosen = [what] if isinstance(what, str) else list(what or self._recorded())
        for name in chosen:
            self._check(name)
        axes = self.take(ax, len(chosen))
        for each, name in zip(axes, chosen, strict=True):
            self._draw(each, name, window)
        return self

    def _columns(self, name: str) -> dict[str, Array]:
        columns = {
            label: getattr(self.history, column)
            for column, label in _PANELS[name][1].items()
        }
        return {k: v for k, v in columns.items() if np.isfinite(v).any()}

    def _recorded(self) -> list[str]:
        return [name for name in list(_PANELS)[:4] if self._columns(name)]

    def _check(self, name: str) -> None:
        check_word("what", name, _PANELS, owner="plot")
        if not self._columns(name):
            how = _RECORDED_BY.get(name, "Train for at least one epoch")
            raise ValueError(f"plot got what={name!r}, which was not recorded. {how}.")

    def _draw(self, ax: Any, name: str, window: int | None) -> None:
        columns, epochs = self._columns(name), self.history.epoch
        steps = name in ("loss", "gradient_norm", "update_ratio")
        few = len(epochs) < _SMOOTHED_FROM or not steps
        width = window or (1 if few else len(epochs) // 40)
        for color, (label, values) in zip(COLORS, columns.items(), strict=False):
            if width > 1:
                ax.plot(epochs, values, color=color, alpha=0.25, linewidth=0.8)
            ax.plot(epochs, smooth(values, width), color=color, label=label)
        if name == "score" and self.best_epoch not in (None, len(epochs)):
            best = self.best_epoch
            ax.axvline(best, color="0.5", linestyle=":", label=f"best: epoch {best}")
        if name != "score" and axis_type(list(columns.values())) == "log":
            ax.set_yscale("log")
        if len(ax.get_legend_handles_labels()[1]) > 1:
            legend_above(ax)
        tidy(ax, "epoch", _PANELS[name][0])
