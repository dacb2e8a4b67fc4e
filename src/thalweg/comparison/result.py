"""The result of a comparison: trials, differences, a verdict; to and from JSON."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Array, History, Record, short_repr


@short_repr
@dataclass(frozen=True, eq=False)
class Trial(Record):
    """One variant trained with one seed.

    Parameters
    ----------
    variant : str
    seed : int
    value : float
        What the variants are judged by; NaN if the training diverged.
    passes, updates : float
        Number of passes over the rows, and of updates of the weights; NaN if unknown.
    n_parameters : int
        Size of the network; 0 if unknown.
    seconds : float
    why : str
        Why training stopped.
    diverged : bool
    history : History or None
    """

    variant: str
    seed: int
    value: float
    passes: float = np.nan
    updates: float = np.nan
    n_parameters: int = 0
    seconds: float = 0.0
    why: str = ""
    diverged: bool = False
    history: History | None = None


@short_repr
@dataclass(frozen=True)
class Difference(Record):
    """The difference between two variants over the same seeds.

    Parameters
    ----------
    first, second : str
    mean : float
        Mean of first minus second.
    interval : (float, float)
        Confidence interval; all of a comparison hold at once with 95 % confidence.
    p_value : float
        Multiplied by the number of pairs (Bonferroni), at most 1.
    """

    first: str
    second: str
    mean: float
    interval: tuple[float, float]
    p_value: float


@short_repr
@dataclass(frozen=True, eq=False)
class Comparison(Record):
    """The result of `compare`.

    Parameters
    ----------
    metric : str
        What the values of the trials are.
    greater_is_better : bool
    trials : tuple of Trial
        One for each variant and seed.
    differences : tuple of Difference
        One for each pair of variants that never diverged, the better one first.
    winner : str
        The variant that is significantly better than every other; ``""`` if none is.
    verdict : str
        The conclusion in a sentence.
    notes : tuple of str
        What must be known to interpret the numbers: budgets, divergence, pairs.
    """

    metric: str
    greater_is_better: bool
    trials: tuple[Trial, ...]
    differences: tuple[Difference, ...]
    winner: str
    verdict: str
    notes: tuple[str, ...] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of the variants, in the order in which they were given."""
        return tuple(dict.fromkeys(trial.variant for trial in self.trials))

    def of(self, variant: str) -> tuple[Trial, ...]:
        """Return the trials of a variant, one for each seed."""
        return tuple(trial for trial in self.trials if trial.variant == variant)

    def values(self, variant: str) -> Array:
        """Return the values of a variant, one for each seed; NaN where it diverged."""
        return np.array([trial.value for trial in self.of(variant)])

    def time_to(self, loss: float, by: str = "seconds") -> dict[str, Array]:
        """Return how long each variant took to reach a training loss.

        Parameters
        ----------
        loss : float
        by : {"seconds", "passes", "epoch"}

        Returns
        -------
        dict of str to ndarray
            One number for each seed; inf if it was not reached, NaN without a history.
        """
        return {
            name: np.array([_time_to(t.history, loss, by) for t in self.of(name)])
            for name in self.variants
        }

    def summary(self) -> dict[str, dict[str, float]]:
        """Return mean, standard deviation and mean costs of each variant."""
        return {name: _summary(self.of(name)) for name in self.variants}

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with one row for each trial."""
        import pandas as pd

        rows = [trial.to_json() for trial in self.trials]
        return pd.DataFrame(rows).drop(columns="history")

    def plot(self, **options: Any) -> Any:
        """Plot it; `options` are those of `thalweg.plots.ComparisonDisplay.plot`."""
        from thalweg.comparison.plot import ComparisonDisplay

        return ComparisonDisplay.from_comparison(self, **options)

    def __str__(self) -> str:
        width = max(map(len, self.variants))
        head = f"{'':{width}}  {self.metric:>16}  spread  passes  seconds"
        lines = [
            f"{name:{width}}  {row['mean']:16.4g}  {row['spread']:6.2g}  "
            f"{row['passes']:6.4g}  {row['seconds']:7.2f}"
            for name, row in self.summary().items()
        ]
        return "\n".join([head, *lines, self.verdict, *self.notes])


def _time_to(history: History | None, loss: float, by: str) -> float:
    if history is None:
        return np.nan
    reached = np.flatnonzero(history.loss <= loss)
    return float(getattr(history, by)[reached[0]]) if len(reached) else np.inf


def _summary(trials: tuple[Trial, ...]) -> dict[str, float]:
    values = np.array([trial.value for trial in trials if not trial.diverged])
    means = {
        name: float(np.mean([getattr(trial, name) for trial in trials]))
        for name in ("passes", "updates", "n_parameters", "seconds")
    }
    return {
        "mean": float(values.mean()) if len(values) else np.nan,
        "spread": float(values.std(ddof=1)) if len(values) > 1 else np.nan,
        "diverged": float(len(trials) - len(values)),
        **means,
    }
