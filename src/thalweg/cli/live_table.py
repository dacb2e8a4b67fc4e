"""What `thalweg search` shows: the best settings so far, while it searches.

The rows that the result is measured on at last are held out from the search too, so
that nothing is chosen by them.
"""

import re
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from thalweg.core import check_names
from thalweg.tuning import SearchResult, SearchTrial

_SHOWN = 8
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass
class Standing:
    """The trials so far, as a table that is drawn anew after each."""

    live: Live
    goal: int
    trials: list[SearchTrial] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def __call__(self, trial: SearchTrial) -> None:
        """Take note of a trial, and redraw."""
        self.trials.append(trial)
        self.live.update(self.table())

    def table(self) -> Table:
        """Draw the best trials so far, the best first."""
        seconds = time.monotonic() - self.begun
        given_up = sum(trial.state == "pruned" for trial in self.trials)
        title = (
            f"{len(self.trials)} of {self.goal} trials, {given_up} given up early, "
            f"{seconds:.0f} s"
        )
        table = Table("", "score", "epochs", "setting", title=title, box=None)
        whole = [trial for trial in self.trials if trial.state == "complete"]
        best = sorted(whole, key=lambda trial: -trial.value)[:_SHOWN]
        for rank, trial in enumerate(best, start=1):
            epochs = str(len(trial.history)) if trial.history else ""
            table.add_row(str(rank), f"{trial.value:.4f}", epochs, _setting(trial))
        return table


def search_table(
    console: Console, model: Any, X: Any, y: Any, *, trials: int, **options: Any
) -> SearchResult:
    """Search the settings of a model for a table, on the rows that are not held out.

    Parameters
    ----------
    console : Console
        Shows the best so far where it is a terminal.
    model : Classifier or Regressor
    X, y : table and target
    trials : int
    **options
        For `thalweg.search`.

    Returns
    -------
    SearchResult
        Its estimator is not fitted yet.
    """
    from thalweg.estimators import FEW_ROWS, evaluation_folds
    from thalweg.tuning import search

    few = len(y) < FEW_ROWS
    rows = slice(None) if few else ~evaluation_folds(y)[0]
    way = {"cv": 5} if few else {"validation": 0.2}
    live = Live(console=console, transient=True, auto_refresh=False)
    standing = Standing(live, trials)
    shown = (standing,) if console.is_terminal else ()
    options |= {"n_trials": trials, "callbacks": shown, "refit": False}
    if not shown:
        return search(model, "auto", X[rows], y[rows], **way, **options)
    with live:
        return search(model, "auto", X[rows], y[rows], **way, **options)


def seconds(text: str | None) -> float | None:
    """Understand ``"90"``, ``"90s"``, ``"10m"`` and ``"1.5h"``."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9.]+)\s*([smh]?)", text.strip())
    if found is None or found[1].count(".") > 1 or float(found[1]) <= 0:
        raise ValueError(
            f"--time got {text!r}; it must be a time such as 90s, 10m or 1.5h. Write a "
            "number above 0 and its unit."
        )
    return float(found[1]) * _UNITS[found[2]]


def choice(option: str, name: str, options: tuple[str, ...]) -> str | None:
    """Return a name that is among the options; None for "none"."""
    check_names("choice", [name], options, owner=option)
    return None if name == "none" else name


def _setting(trial: SearchTrial) -> str:
    return " ".join(f"{name}={_brief(value)}" for name, value in trial.params.items())


def _brief(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value).replace(" ", "")
