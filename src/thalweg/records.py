"""What a training run leaves behind: plain frozen records, to and from JSON.

Nothing here computes: engines and loops fill these in, views and the doctor read them.
"""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Parameters = tuple[dict[str, Array], ...]


class StopReason(enum.Enum):
    """Why training stopped. The value is the sentence that says so."""

    MAX_EPOCHS = "All {epochs} epochs were done."
    CONVERGED = (
        "The training loss had not improved by more than {tol:g} for {patience} epochs."
    )
    EARLY_STOPPING = (
        "The validation {monitor} had not improved by more than {tol:g} for "
        "{patience} epochs; its best was at epoch {best_epoch}."
    )
    RATE_EXHAUSTED = (
        "The schedule had cut the learning rate to {rate:g}, too small to matter."
    )
    TIME_BUDGET = "The time budget of {max_time:g} s was used up."
    METHOD_CONVERGED = "{method} converged: {message}"
    METHOD_STOPPED = "{method} could get no further: {message}"
    MAX_EVALUATIONS = (
        "The objective had been evaluated {evaluations:g} times, the most allowed."
    )
    CALLBACK = "A callback asked to stop."
    INTERRUPTED = "Interrupted from the keyboard; the weights so far were kept."
    NONFINITE = (
        "The loss or its gradient stopped being finite in epoch {epoch}, in {where}; "
        "the last finite weights were kept. {remedy}"
    )


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Parameters
    ----------
    epoch : int
        Counted from 1.
    loss : float
        Training objective, penalties included, averaged over the epoch's batches as
        each was met (before the update it led to).
    gradient_norm : float
        Euclidean norm of the gradient of all trained weights, averaged over batches.
    update_ratio : float
        Norm of the last update over the norm of the weights it changed.
    rate : float
        Learning rate of the epoch's last update; NaN for methods that have none.
    seconds : float
        Wall-clock time since the fit began.
    validation_loss, validation_score : float
        NaN where there are no validation data. The loss has no penalty in it; a
        greater score is better.
    evaluations, gradient_evaluations, hessian_products : float
        How often a full-batch method had computed the objective, its gradient and a
        product with its Hessian (one for each weight where it takes the whole of it; a
        Gauss-Newton matrix counts as one); NaN for first-order optimizers.
    line_search_failures, restarts : float
        How often its line search had given up, and how often it had dropped what it
        knew of the curvature and gone straight down again; NaN where there is no
        telling. `thalweg.line_searches` says how it is known.
    """

    epoch: int
    loss: float
    gradient_norm: float
    update_ratio: float
    rate: float
    seconds: float
    validation_loss: float = float("nan")
    validation_score: float = float("nan")
    evaluations: float = float("nan")
    gradient_evaluations: float = float("nan")
    hessian_products: float = float("nan")
    line_search_failures: float = float("nan")
    restarts: float = float("nan")


_COLUMNS = tuple(f.name for f in fields(EpochRecord) if f.name != "epoch")


@dataclass(frozen=True, eq=False)
class History:
    """The epochs of a run by column: float64 arrays of shape (n_epochs,).

    Indexing and iterating give `EpochRecord` objects; the columns are attributes of
    the same names.
    """

    loss: Array
    gradient_norm: Array
    update_ratio: Array
    rate: Array
    seconds: Array
    validation_loss: Array
    validation_score: Array
    evaluations: Array
    gradient_evaluations: Array
    hessian_products: Array
    line_search_failures: Array
    restarts: Array

    def __len__(self) -> int:
        return len(self.loss)

    def __getitem__(self, index: int) -> EpochRecord:
        position = range(len(self))[index]
        row = {name: float(getattr(self, name)[position]) for name in _COLUMNS}
        return EpochRecord(epoch=position + 1, **row)

    def __iter__(self) -> Iterator[EpochRecord]:
        return (self[i] for i in range(len(self)))

    @property
    def epoch(self) -> Array:
        """The epochs' numbers, from 1; int64 array of shape (n_epochs,)."""
        return np.arange(1, len(self) + 1)

    @property
    def passes(self) -> Array:
        """How often all rows had been computed with; float64 of shape (n_epochs,).

        One an epoch, and one an evaluation of a full-batch method.
        """
        first = np.diff(self.evaluations, prepend=0.0)
        begun = np.isnan(first) | (first < 0)  # a phase before it did not count
        own = np.where(begun, self.evaluations, first)
        return np.cumsum(np.where(np.isnan(self.evaluations), 1.0, own))

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> "History":
        """Build from one sequence a column; what is not there becomes NaN."""
        missing = np.full(len(columns["loss"]), np.nan)
        filled = {name: columns.get(name, missing) for name in _COLUMNS}
        return cls(**{name: np.asarray(v, float) for name, v in filled.items()})

    def to_json(self) -> dict[str, list[float | None]]:
        """Columns as lists; what is not finite becomes None, as JSON demands."""
        return {name: _finite_list(getattr(self, name)) for name in _COLUMNS}

    @classmethod
    def from_json(cls, content: Mapping[str, list[float | None]]) -> "History":
        """Read what `to_json` wrote."""
        return cls.from_columns(
            {
                name: [np.nan if v is None else v for v in values]
                for name, values in content.items()
            }
        )


@dataclass(frozen=True, eq=False)
class EpochSums:
    """What an engine saw of some epochs; arrays of shape (n_epochs,).

    Parameters
    ----------
    loss : ndarray
        Objective before each update, averaged over the batches by their rows.
    gradient_norm : ndarray
        Norm of the gradient (penalties included, before clipping), mean over batches.
    update_ratio : ndarray
        Norm of the last update over the norm of the trained weights before it.
    finite : bool
        False if the loss, the gradient or the update was not finite at some step:
        training stopped before that update, and its epoch is the last one here.
    counts : mapping of str to ndarray
        Columns of `History` that only a full-batch method has, so far in this training.
    """

    loss: Array
    gradient_norm: Array
    update_ratio: Array
    finite: bool
    counts: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Run:
    """A trained network and how it came about.

    Parameters
    ----------
    network : DenseNetwork or Network
        What was trained.
    plan : Plan
        How it was trained.
    parameters : tuple of dict of str to ndarray
        One dict a layer: ``weights`` (fan_in, fan_out), ``bias`` (fan_out,), and with
        normalization ``scale``, ``shift``, ``mean``, ``variance`` (fan_out,). Of a
        `Network`, what its ``init`` returns.
    history : History
        One record an epoch.
    stop_reason : StopReason
        Why it stopped; `why` is the sentence with its figures.
    engine : str
        The engine that ran, and why that one.
    best_epoch : int
        The epoch whose weights these are (counted from 1).
    """

    network: Any
    plan: Any
    parameters: Any
    history: History
    stop_reason: StopReason
    why: str
    engine: str
    best_epoch: int

    def __repr__(self) -> str:
        loss = self.history.loss[-1] if len(self.history) else float("nan")
        return f"Run({len(self.history)} epochs, loss {loss:.6g}; {self.why})"


@dataclass(frozen=True)
class GradientCheck:
    """What `check_gradient` found.

    Parameters
    ----------
    ok : bool
        Whether cost and gradient agree.
    cause : str
        ``""`` where they do; else the likely cause: ``"factor"``, ``"sign"``,
        ``"transpose"``, ``"missing-penalty"``, ``"extra-penalty"``,
        ``"penalty-on-bias"``, ``"wrong-derivative"``, ``"shape"``, ``"nonfinite"`` or
        ``"random"`` (another cost at another call).
    where : str
        The array, or the part of the vector, that is wrong.
    factor : float
        How many times too large the gradient is (``"factor"``, ``"sign"``), or the
        penalty's λ that is missing or too much; NaN otherwise.
    message : str
        All of it in sentences.
    error : float
        Largest relative disagreement along a direction.
    notes : tuple of str
        What was put right in passing, such as a flattened gradient.
    """

    ok: bool
    cause: str
    where: str
    factor: float
    message: str
    error: float
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, eq=False)
class RateFinding:
    """What `find_rate` saw: the loss as the learning rate grew.

    Parameters
    ----------
    rates, losses : ndarray of shape (n_steps,)
        The rate of each step and the smoothed loss of its batch.
    suggestion : float
        The rate at which the loss fell fastest.
    largest : float
        The last rate before the loss blew up (or the last one tried).
    """

    rates: Array
    losses: Array
    suggestion: float
    largest: float


@dataclass(frozen=True, eq=False)
class Trial:
    """One variant trained with one seed.

    Parameters
    ----------
    variant : str
    seed : int
    value : float
        What the variants are judged by; NaN if it diverged.
    passes, updates : float
        How often all rows, and how often the weights, were gone through; NaN unknown.
    n_parameters : int
        Size of the network; 0 unknown.
    seconds : float
    why : str
        Why training stopped.
    diverged : bool
    history : History or None
    """

    variant: str
    seed: int
    value: float
    passes: float
    updates: float
    n_parameters: int
    seconds: float
    why: str
    diverged: bool
    history: History | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN becomes None."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        plain = {k: None if v != v else v for k, v in values.items()}
        return {**plain, "history": self.history and self.history.to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Trial":
        """Read what `to_json` wrote."""
        known = {
            name: np.nan if content[name] is None else content[name]
            for name in ("value", "passes", "updates")
        }
        history = content["history"] and History.from_json(content["history"])
        return cls(**{**content, **known, "history": history})


@dataclass(frozen=True)
class Difference:
    """One variant's value less another's, over the seeds that both were given.

    Parameters
    ----------
    first, second : str
    mean : float
        Mean of first minus second.
    interval : (float, float)
        All intervals of a comparison hold at once with 95 % confidence.
    p_value : float
        Multiplied by the number of pairs (Bonferroni), 1 at the most.
    """

    first: str
    second: str
    mean: float
    interval: tuple[float, float]
    p_value: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found.

    Parameters
    ----------
    metric : str
        What `value` is in each trial.
    greater_is_better : bool
    trials : tuple of Trial
        One a variant and seed.
    differences : tuple of Difference
        One a pair of variants that never diverged, the better one first.
    winner : str
        The variant that is better than every other beyond chance; ``""`` if none is.
    verdict : str
        That in a sentence.
    notes : tuple of str
        What must be known to read the figures: budgets, divergence, pairs.
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
        """Names, in the order in which they were given."""
        return tuple(dict.fromkeys(trial.variant for trial in self.trials))

    def of(self, variant: str) -> tuple[Trial, ...]:
        """Return the trials of a variant, by seed."""
        return tuple(trial for trial in self.trials if trial.variant == variant)

    def values(self, variant: str) -> Array:
        """Return a variant's values, one a seed; NaN where it diverged."""
        return np.array([trial.value for trial in self.of(variant)])

    def time_to(self, loss: float, by: str = "seconds") -> dict[str, Array]:
        """Return for each variant how long the training loss took to fall to `loss`.

        Parameters
        ----------
        loss : float
        by : {"seconds", "passes", "epoch"}

        Returns
        -------
        dict of str to ndarray
            One number a seed; inf where it never got there, NaN without a history.
        """
        return {
            name: np.array([_time_to(t.history, loss, by) for t in self.of(name)])
            for name in self.variants
        }

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean, spread (standard deviation) and costs of each variant, over seeds."""
        return {name: _summary(self.of(name)) for name in self.variants}

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with one row a trial."""
        import pandas as pd

        rows = [trial.to_json() for trial in self.trials]
        return pd.DataFrame(rows).drop(columns="history")

    def plot(self, **options: Any) -> Any:
        """Draw it; `options` are those of `thalweg.plots.ComparisonDisplay.plot`."""
        from thalweg.plots import ComparisonDisplay

        return ComparisonDisplay.from_comparison(self, **options)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file or a page."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        pairs = [{**vars(d), "interval": list(d.interval)} for d in self.differences]
        trials = [trial.to_json() for trial in self.trials]
        return {
            **values, "trials": trials, "differences": pairs, "notes": list(self.notes)
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Comparison":
        """Read what `to_json` wrote."""
        pairs = [
            Difference(**{**d, "interval": tuple(d["interval"])})
            for d in content["differences"]
        ]
        return cls(
            **{
                **content,
                "trials": tuple(map(Trial.from_json, content["trials"])),
                "differences": tuple(pairs),
                "notes": tuple(content["notes"]),
            }
        )

    def __str__(self) -> str:
        width = max(map(len, self.variants))
        head = f"{'':{width}}  {self.metric:>16}  spread  passes  seconds"
        lines = [
            f"{name:{width}}  {row['mean']:16.4g}  {row['spread']:6.2g}  "
            f"{row['passes']:6.4g}  {row['seconds']:7.2f}"
            for name, row in self.summary().items()
        ]
        return "\n".join([head, *lines, self.verdict, *self.notes])


@dataclass(frozen=True, eq=False)
class SearchTrial:
    """One setting that a search tried.

    Parameters
    ----------
    number : int
        Its place in the order, from 0.
    params : mapping of str to value
        Parameters of the estimator.
    value : float
        Its score on the rows held out; NaN where there is none.
    state : {"complete", "pruned", "cut", "failed"}
        "pruned" was given up as hopeless, "cut" by the time budget or the keyboard;
        their values are those of the epoch they had come to.
    seconds : float
    why : str
        Why training stopped, or the cause of the failure.
    history : History or None
        Of a network of thalweg's, the first fold's: losses and validation scores.
    """

    number: int
    params: Mapping[str, Any]
    value: float
    state: str
    seconds: float
    why: str = ""
    history: History | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN becomes None."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        plain = {k: None if v != v else v for k, v in values.items()}
        return {**plain, "history": self.history and self.history.to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "SearchTrial":
        """Read what `to_json` wrote."""
        params = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in content["params"].items()
        }
        value = np.nan if content["value"] is None else content["value"]
        history = content["history"] and History.from_json(content["history"])
        read = {"params": params, "value": value, "history": history}
        return cls(**{**content, **read})


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What `search` found.

    Parameters
    ----------
    metric : str
        What is scored; greater is better.
    trials : tuple of SearchTrial
    best : int
        Number of the best trial.
    space : mapping of str to mapping
        What was searched: ``low``, ``high`` and ``log``, or ``choices``.
    estimates : tuple of float
        Scores of the best setting with fresh seeds and fresh divisions of the rows.
    nested : tuple of float
        Scores of nested cross-validation, where it was asked for: of whole searches,
        each on rows that it never saw.
    importances : mapping of str to float
        Share of each parameter in what made trials good or bad.
    ranges : mapping of str to (float, float)
        Where the best fifth of the trials lie.
    method : str
        How it was searched, in words.
    notes : tuple of str
        What must be known to read the figures.
    best_estimator : estimator or None
        With the best setting, fitted on all rows; not part of the JSON.
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
    best_estimator: Any = None

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
        """The best trial's score: best of many, so that luck is part of it."""
        return self.best_trial.value

    @property
    def estimate(self) -> float:
        """What the best setting scores without that luck; NaN if not estimated."""
        return float(np.mean(self.estimates)) if self.estimates else np.nan

    def ranking(self) -> tuple[SearchTrial, ...]:
        """Return the trials that were not given up, the best first."""
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
        """Draw it; see `thalweg.plots.SearchDisplay.plot`."""
        from thalweg.plots import SearchDisplay

        return SearchDisplay.from_search(self, what=what, **options)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file or a page; without the estimator."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        del values["best_estimator"]
        ranges = {name: list(ends) for name, ends in self.ranges.items()}
        return {
            **values,
            "trials": [trial.to_json() for trial in self.trials],
            "ranges": ranges,
            **{name: list(values[name]) for name in ("estimates", "nested", "notes")},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "SearchResult":
        """Read what `to_json` wrote."""
        tuples = {k: tuple(content[k]) for k in ("estimates", "nested", "notes")}
        ranges = {name: (low, high) for name, (low, high) in content["ranges"].items()}
        trials = tuple(map(SearchTrial.from_json, content["trials"]))
        return cls(**{**content, **tuples, "ranges": ranges, "trials": trials})

    def __str__(self) -> str:
        states = [trial.state for trial in self.trials]
        others = [
            f"{states.count(state)} {state}"
            for state in ("pruned", "cut", "failed")
            if state in states
        ]
        count = f"{len(states)} trials" + (f" ({', '.join(others)})" if others else "")
        best = ", ".join(f"{k}={_brief(v)}" for k, v in self.best_params.items())
        lines = [f"{count}, {self.method}", f"Best setting: {best}", *self._figures()]
        if self.importances:
            shares = sorted(self.importances.items(), key=lambda pair: -pair[1])
            said = ", ".join(f"{name} {share:.0%}" for name, share in shares[:6])
            lines.append(f"What mattered: {said}")
        if self.ranges:
            said = (f"{k} {a:.2g} to {b:.2g}" for k, (a, b) in self.ranges.items())
            lines.append(f"Where it works: {', '.join(said)}")
        return "\n".join([*lines, *self.notes])

    def _figures(self) -> list[str]:
        """Say how good it is, and how much of that was luck."""
        lines = [f"Best of the trials: {self.metric} {self.best_score:.4f}"]
        if self.estimates:
            n = len(self.estimates)
            spread = np.std(self.estimates, ddof=min(n - 1, 1))
            gap = self.best_score - self.estimate
            luck = f", {gap:.4f} less: the best of many was lucky" if gap > 0 else ""
            lines.append(
                f"The same with {n} fresh seeds and divisions: {self.estimate:.4f} "
                f"± {spread:.4f}{luck}"
            )
        if self.nested:
            mean, spread = np.mean(self.nested), np.std(self.nested, ddof=1)
            lines.append(
                f"Nested cross-validation: {mean:.4f} ± {spread:.4f} over "
                f"{len(self.nested)} searches"
            )
        return lines


@dataclass(frozen=True, eq=False)
class LayerValues:
    """Numbers inside a network, layer by layer.

    Parameters
    ----------
    activations : tuple of ndarray of shape (n_rows, units)
    weights : tuple of ndarray of shape (fan_in, units)
    gradients : tuple of ndarray of shape (fan_in, units)
        Of the loss with respect to the weights; empty where no target was given.
    """

    activations: tuple[Array, ...]
    weights: tuple[Array, ...]
    gradients: tuple[Array, ...] = ()


@dataclass(frozen=True, eq=False)
class Paths:
    """Ways of optimizers over a surface.

    Parameters
    ----------
    points : mapping of str to ndarray of shape (n_steps + 1, 2)
    x, y : ndarray of shape (n,), (m,)
        The surface's grid.
    z : ndarray of shape (m, n)
        Its height.
    """

    points: Mapping[str, Array]
    x: Array
    y: Array
    z: Array


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


def _brief(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _finite_list(values: Array) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
