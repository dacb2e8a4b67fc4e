"""The result of a search: its trials and what they show; to and from JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.core import History, Record, short_repr


@short_repr
@dataclass(frozen=True, eq=False)
class SearchTrial(Record):
    """One trial of a search.

    Parameters
    ----------
    number : int
        Its place in the order, from 0.
    params : mapping of str to value
        Parameters of the estimator.
    value : float
        Its score on the validation data; NaN if there is none.
    state : {"complete", "pruned", "cut", "failed"}
        "pruned" was stopped by the pruner, "cut" by the time limit or the keyboard;
        their values are those of their last epoch.
    seconds : float
    why : str
        Why training stopped, or the cause of the failure.
    history : History or None
        Losses and validation scores of the first fold, for thalweg's networks.
    """

    number: int
    params: Mapping[str, Any]
    value: float
    state: str
    seconds: float
    why: str = ""
    history: History | None = None


@short_repr
@dataclass(frozen=True, eq=False)
class SearchResult(Record):
    """The result of `search`.

    Parameters
    ----------
    metric : str
        Name of the score; greater is better.
    trials : tuple of SearchTrial
    best : int
        Number of the best trial.
    space : mapping of str to mapping
        The search space: ``low``, ``high`` and ``log``, or ``choices``, by parameter.
    estimates : tuple of float
        Scores of the best setting, trained again with new seeds and splits.
    nested : tuple of float
        Scores of nested cross-validation, if it was asked for: one for each fold, of a
        whole search that did not see the fold's validation data.
    importances : mapping of str to float
        Share of each parameter in the variance of the trials' scores. Empty for fewer
        than 20 complete trials, as are the ranges.
    ranges : mapping of str to (float, float)
        Range of each number in the best fifth of the trials.
    method : str
        The sampler, the pruner and the validation, in words.
    notes : tuple of str
        What must be known to interpret the numbers.
    best_estimator : estimator or None
        With the best setting, fitted on all rows unless ``refit=False``; not part of
        the JSON.
    """

    metric: str
    trials: tuple[SearchTrial, ...]
    best: int
    space: Mapping[str, Mapping[str, Any]]
    estimates: tuple[float, ...] = ()
    nested: tuple[float, ...] = ()
    importances: Mapping[str, float] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    method: str = ""
    notes: tuple[str, ...] = ()
    best_estimator: Any = field(default=None, repr=False)

    @property
    def best_trial(self) -> SearchTrial:
        """The trial with the best score."""
        return next(trial for trial in self.trials if trial.number == self.best)

    @property
    def best_params(self) -> Mapping[str, Any]:
        """The best trial's parameters."""
        return self.best_trial.params

    @property
    def best_score(self) -> float:
        """The best trial's score. It is the best of many, so part of it is luck."""
        return self.best_trial.value

    @property
    def estimate(self) -> float:
        """The mean of `estimates`, which luck does not inflate; NaN without them."""
        return float(np.mean(self.estimates)) if self.estimates else np.nan

    def ranking(self) -> tuple[SearchTrial, ...]:
        """Return the complete trials and the best one, the best first."""
        done = [
            t for t in self.trials if t.state == "complete" or t.number == self.best
        ]
        return tuple(sorted(done, key=lambda trial: -trial.value))

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with one row a trial."""
        import pandas as pd

        rows = [{**t.params, **vars(t)} for t in self.trials]
        frame = pd.DataFrame(rows).drop(columns=["history", "params"])
        first = ["number", "value", "state", "seconds"]
        return frame[[*first, *(c for c in frame if c not in first)]]

    def plot(self, what: str = "course", **options: Any) -> Any:
        """Plot the search; see `thalweg.plots.SearchDisplay.plot`."""
        from thalweg.tuning.plot import SearchDisplay

        return SearchDisplay.from_search(self, what=what, **options)

    def __str__(self) -> str:
        states = [trial.state for trial in self.trials]
        others = [
            f"{states.count(state)} {state}"
            for state in ("pruned", "cut", "failed")
            if state in states
        ]
        count = f"{len(states)} trials" + (f" ({', '.join(others)})" if others else "")
        best = ", ".join(f"{k}={_brief(v)}" for k, v in self.best_params.items())
        lines = [f"{count}, {self.method}", f"Best setting: {best}", *self._scores()]
        if self.importances:
            shares = sorted(self.importances.items(), key=lambda pair: -pair[1])
            said = ", ".join(f"{name} {share:.0%}" for name, share in shares[:6])
            lines.append(f"Importance of the parameters: {said}")
        if self.ranges:
            said = (f"{k} {a:.2g} to {b:.2g}" for k, (a, b) in self.ranges.items())
            lines.append(f"Ranges of the best fifth of the trials: {', '.join(said)}")
        return "\n".join([*lines, *self.notes])

    def _scores(self) -> list[str]:
        """Say how good the best setting is, and how much of its score was luck."""
        lines = [f"Best trial: {self.metric} {self.best_score:.4f}"]
        if self.estimates:
            n = len(self.estimates)
            spread = np.std(self.estimates, ddof=min(n - 1, 1))
            gap = self.best_score - self.estimate
            luck = f" ({gap:.4f} lower: the best trial was lucky)" if gap > 0 else ""
            lines.append(
                f"Best setting with {n} new seeds and splits: {self.estimate:.4f} "
                f"± {spread:.4f}{luck}"
            )
        if self.nested:
            mean, spread = np.mean(self.nested), np.std(self.nested, ddof=1)
            lines.append(
                f"Nested cross-validation: {mean:.4f} ± {spread:.4f} over "
                f"{len(self.nested)} searches"
            )
        return lines


def _brief(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
