"""What a training run leaves behind: plain frozen records, to and from JSON.

Nothing here computes: engines and loops fill these in, views and the doctor read them.
"""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, overload

import numpy as np

from thalweg.core.serialization import Record
from thalweg.core.short_repr import html_repr, short_repr
from thalweg.core.types import Array


class StopReason(enum.Enum):
    """Why training stopped. The value is the sentence that says so."""

    MAX_EPOCHS = "All {epochs} epochs were done."
    CONVERGED = (
        "The training loss had not improved by more than {tol:g} for {patience} epochs."
    )
    EARLY_STOPPING = (
        "The validation {monitor} had not improved by more than {tol:g} for "
        "{patience} epochs; its best was {best}."
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


@short_repr
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
    metrics : mapping of str to float
        Of a Keras model, what it was compiled to measure, by Keras's names
        (``val_accuracy``).
    line_search_failures, restarts : float
        How often its line search had given up, and how often it had dropped what it
        knew of the curvature and gone straight down again; NaN where there is no
        telling. `thalweg.optimize.line_searches` says how it is known.
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
    metrics: Mapping[str, float] = field(default_factory=dict)


_COLUMNS = tuple(
    f.name for f in fields(EpochRecord) if f.name not in ("epoch", "metrics")
)


@short_repr
@dataclass(frozen=True, eq=False)
class History(Record):
    """The epochs of a run by column: float64 arrays of shape (n_epochs,).

    Indexing and iterating give `EpochRecord` objects; the columns are attributes of
    the same names. ``metrics`` holds what a Keras model measured, by Keras's names, and
    ``history["val_accuracy"]`` is a column of it.
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
    metrics: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.loss)

    @overload
    def __getitem__(self, index: int) -> EpochRecord: ...
    @overload
    def __getitem__(self, index: str) -> Array: ...
    def __getitem__(self, index: int | str) -> EpochRecord | Array:
        if isinstance(index, str):
            return self._column(index)
        position = range(len(self))[index]
        row = {name: float(getattr(self, name)[position]) for name in _COLUMNS}
        measured = {name: v[position] for name, v in self.metrics.items()}
        return EpochRecord(epoch=position + 1, **row, metrics=measured)

    def _column(self, name: str) -> Array:
        if name in self.metrics:
            return self.metrics[name]
        if name in _COLUMNS:
            return getattr(self, name)
        known = ", ".join([*self.metrics, *_COLUMNS])
        raise KeyError(f"the history has no column {name!r}. It has {known}.")

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
        """Build from one sequence per column; a missing column becomes NaN."""
        missing = np.full(len(columns["loss"]), np.nan)
        filled = {name: columns.get(name, missing) for name in _COLUMNS}
        own = {name: np.asarray(v, float) for name, v in filled.items()}
        measured = columns.get("metrics", {})
        metrics = {name: np.asarray(v, float) for name, v in measured.items()}
        return cls(**own, metrics=metrics)

    def to_json(self) -> dict[str, Any]:
        """Plain values by column; ``metrics`` where there are any."""
        content = super().to_json()
        return content if self.metrics else _without(content, "metrics")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "History":
        """Read what `to_json` wrote; what an older file does not have becomes NaN."""
        return cls.from_columns(content)


def _without(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != name}


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
    measures : mapping of str to float
        What the loss of a whole batch measured besides, of the last epoch.
    """

    loss: Array
    gradient_norm: Array
    update_ratio: Array
    finite: bool
    counts: Mapping[str, Array] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)


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
        why = self.why if len(self.why) <= 200 else f"{self.why[:200]}..."
        return f"Run({len(self.history)} epochs, loss {loss:.6g}; {why})"

    _repr_html_ = html_repr
