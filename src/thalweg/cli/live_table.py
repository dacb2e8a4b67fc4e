"""The table that `thalweg search` shows while it searches: the best settings so far.

The search does not use the rows on which the result is measured afterwards, so that no
setting is chosen by them.
"""

import re
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from thalweg.core import check_names, inside
from thalweg.tuning import SearchResult, SearchTrial

_SHOWN = 8
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass
class LiveTable:
    """The trials so far, shown as a table that is updated after each trial."""

    live: Live
    n_trials: int
    trials: list[SearchTrial] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def __call__(self, trial: SearchTrial) -> None:
        """Add a trial and update the table."""
        self.trials.append(trial)
        self.live.update(self.table())

    def table(self) -> Table:
        """Return the best trials so far, the best one first."""
        seconds = time.monotonic() - self.started
        pruned = sum(trial.state == "pruned" for trial in self.trials)
        title = (
            f"{len(self.trials)} of {self.n_trials} trials, {pruned} stopped early, "
            f"{seconds:.0f} s"
        )
        table = Table("", "score", "epochs", "settings", title=title, box=None)
        complete = [trial for trial in self.trials if trial.state == "complete"]
        best = sorted(complete, key=lambda trial: -trial.value)[:_SHOWN]
        for rank, trial in enumerate(best, start=1):
            epochs = str(len(trial.history)) if trial.history else ""
            table.add_row(str(rank), f"{trial.value:.4f}", epochs, _setting(trial))
        return table


def search_table(
    console: Console, model: Any, X: Any, y: Any, *, trials: int, groups: Any = None,
    time: Any = None, **options: Any,
) -> SearchResult:  # fmt: skip
    """Search for the best settings of a model, without the rows that measure it.

    Parameters
    ----------
    console : Console
        Shows the best trials so far, if it is a terminal.
    model : Classifier or Regressor
    X, y : table and target
    trials : int
    groups, time : Series or None
        As for `thalweg.estimators.evaluate`.
    **options
        Options of `thalweg.search`.

    Returns
    -------
    SearchResult
        Its estimator is not fitted.
    """
    from thalweg.estimators import as_frame, as_groups, as_times, evaluation_splits
    from thalweg.tuning import search

    read = {
        "groups": as_groups(groups, len(y), "search"),
        "time": as_times(time, len(y), "search"),
    }
    folded = evaluation_splits(as_frame(X), y, read["groups"], read["time"])
    few = len(folded.splits) > 1
    rows = np.arange(len(y)) if few else folded.splits[0].train
    split: dict[str, Any] = {"cv": 5} if few else {"validation": 0.2}
    split |= {k: None if v is None else v[rows] for k, v in read.items()}
    X, y = X.iloc[rows], y.iloc[rows]
    live = Live(console=console, transient=True, auto_refresh=False)
    callbacks = (LiveTable(live, trials),) if console.is_terminal else ()
    options |= {"n_trials": trials, "callbacks": callbacks, "refit": False}
    if not callbacks:
        return search(model, "auto", X, y, **split, **options)
    with live, inside():  # the table is the progress
        return search(model, "auto", X, y, **split, **options)


def parse_duration(text: str | None) -> float | None:
    """Return the seconds that ``"90"``, ``"90s"``, ``"10m"`` or ``"1.5h"`` means."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9.]+)\s*([smh]?)", text.strip())
    if found is None or found[1].count(".") > 1 or float(found[1]) <= 0:
        raise ValueError(
            f"--time got {text!r}. Give a number above 0 and its unit, e.g. 90s, 10m "
            "or 1.5h."
        )
    return float(found[1]) * _UNITS[found[2]]


def check_choice(option: str, name: str, options: tuple[str, ...]) -> str | None:
    """Return a name after checking that it is an option; None for ``"none"``."""
    check_names("choice", [name], options, owner=option)
    return None if name == "none" else name


def _setting(trial: SearchTrial) -> str:
    return " ".join(f"{name}={_brief(value)}" for name, value in trial.params.items())


def _brief(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value).replace(" ", "")
