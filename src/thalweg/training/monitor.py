"""What is noted and judged between epochs, whatever trains.

A `TrainingMonitor` records each epoch, validates, keeps the best weights, cuts the rate
where a schedule follows the loss, calls the callbacks, and says when to stop and why.
Every optimizer is watched by the same one: an epoch is a pass over the batches, or an
iteration of a full-batch method.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from thalweg.core import (
    Array,
    Data,
    EpochRecord,
    EpochSums,
    History,
    Parameters,
    Plan,
    Run,
    Start,
    StopReason,
    Watching,
    asks_to_stop,
    default_score,
    link,
    naming_callback,
    watched,
)

Predict = Callable[[ArrayLike], Array]
Scoring = Callable[[Predict, Array, Array], float]
Callback = Callable[[Any], Any]

_COLUMNS = tuple(f.name for f in fields(History) if f.name != "metrics")
_ROW = {name: row for row, name in enumerate(_COLUMNS)}
_VALIDATED = [_ROW["validation_loss"], _ROW["validation_score"]]
_SLOWER = "Lower the learning rate ({rate:g}), scale the inputs, or clip the gradient."
_SMALLER = "Scale the inputs, begin with smaller weights, or raise l2."


@dataclass(frozen=True)
class MeasuredScore:
    """A score that training itself measures on validation data, by its name.

    Parameters
    ----------
    name : str
        As in `Session.measures`, such as ``accuracy``.
    sign : int
        1 where greater is better, and -1 where smaller is.
    """

    name: str
    sign: int


class Subject(Protocol):
    """What is trained: its weights can be copied, and validated."""

    def validate(self) -> tuple[Array, Array]:
        """Raw outputs (n_rows, n_outputs) and losses (n_rows,) on validation data."""
        ...

    def parameters(self) -> Parameters:
        """Copy the weights as they are now."""
        ...


@dataclass
class EarlyStopping:
    """The best value so far, and the epochs since one that improved by enough.

    Counts as scikit-learn does, except that NaN is no improvement.
    """

    tol: float
    best: float = np.inf
    best_epoch: int = 0
    waited: int = 0

    def see(self, value: float, epoch: int) -> bool:
        """Take note of an epoch's value; True if it is the best so far."""
        self.waited = 0 if value <= self.best - self.tol else self.waited + 1
        if value < self.best:
            self.best, self.best_epoch = value, epoch
            return True
        return False

    def see_all(self, values: Array, first: int) -> None:
        """Take note of several epochs' values at once."""
        lowest = np.fmin.accumulate(np.concatenate(([self.best], values)))
        improved = np.flatnonzero(values <= lowest[:-1] - self.tol)
        since = len(values) - 1 - improved[-1] if len(improved) else len(values)
        self.waited = int(since) + (0 if len(improved) else self.waited)
        if lowest[-1] < self.best:
            self.best = float(lowest[-1])
            self.best_epoch = first + int(np.nanargmin(values))


class TrainingMonitor:
    """The watcher of one training.

    Parameters
    ----------
    plan : Plan
    held_out : Data or None
        Rows to validate on; with the plan's ``monitor="training"`` they only show.
    scoring : callable or None
        ``(predict, X_val, y_val) -> float``, greater is better.
    callbacks : sequence of callable
        Each is given the `EpochRecord`; True stops.
    started : float
        ``time.perf_counter()`` when the work began.
    patience : EarlyStopping, optional
        Counts of an earlier training, to continue from.
    begins : callable, optional
        Is given the session before its first epoch.
    """

    def __init__(
        self,
        plan: Plan,
        held_out: Data | None = None,
        scoring: Scoring | MeasuredScore | None = None,
        callbacks: Sequence[Callback] = (),
        started: float | None = None,
        patience: EarlyStopping | None = None,
        begins: Callable[[Any], None] | None = None,
    ) -> None:
        self.plan, self.held_out, self.scoring = plan, held_out, scoring
        self.callbacks = callbacks
        self.started = time.perf_counter() if started is None else started
        self.patience = patience or EarlyStopping(plan.tol)
        self.plateau = EarlyStopping(plan.tol)
        self.best: Parameters | None = None
        self.factor = 1.0
        self.judges = held_out is not None and plan.monitor != "training"
        by_score = plan.monitor == "score" or (plan.monitor == "auto" and scoring)
        self.monitor = "score" if by_score and self.judges else "loss"
        self.blocks: list[Array] = []
        self.metrics: list[dict[str, float]] = []
        self._begins = begins
        self.seen = self._before = 0
        self._measures: Mapping[str, float] = {}
        self._subject: Subject | None = None  # what the last epochs trained
        self._clock = self._seconds()

    @contextmanager
    def watched(self, start: Start) -> Iterator[Watching]:
        """Tell the callbacks of the beginning and the end of the training within."""
        with watched(self.callbacks, start) as watching:
            self.callbacks = watching.callbacks
            yield watching

    def begin(self, session: Any) -> None:
        """Let who asked for it have the session before its first epoch."""
        if self._begins is not None:
            self._begins(session)

    @property
    def watchers(self) -> list[Any]:
        """Callbacks that want each batch: they have an attribute ``by_batch``."""
        return [each for each in self.callbacks if getattr(each, "by_batch", False)]

    @property
    def subject(self) -> Any:
        """What the last epochs trained; None before the first."""
        return self._subject

    @property
    def epochs(self) -> int:
        """How many epochs were seen in this phase."""
        return self.seen - self._before

    def begin_phase(self, plan: Plan) -> None:
        """Go on to the next phase, with its plan; the best so far stays the best."""
        self.plan, self._before, self.factor = plan, self.seen, 1.0
        self.patience.waited = 0
        self.plateau = EarlyStopping(plan.tol)

    @property
    def waits(self) -> int:
        """How many epochs the callbacks may be told of at once.

        An engine can train as many in one go. A callback with an attribute
        ``patient``, that number, is called with the `History` so far. One whose
        ``every_epoch`` is False is called with the last of them.
        """
        return min(map(_patience, self.callbacks), default=10**6)

    @property
    def glances(self) -> bool:
        """Whether validation data are only reported, and only every N epochs.

        A callback asks for that with an attribute ``validate_every``, that number.
        """
        asked = any(hasattr(each, "validate_every") for each in self.callbacks)
        return asked and not self.judges

    @property
    def hurries(self) -> bool:
        """Whether a callback, a validation, a clock or a schedule wants each epoch."""
        watched = self.held_out is not None and not self.glances
        timed = self.plan.max_time is not None
        steered = self.plan.schedule.name in ("plateau", "adaptive")
        return self.waits == 1 or watched or timed or steered

    @property
    def stop_rule(self) -> tuple[int, float, float, int] | None:
        """Early stopping on the training loss as an engine heeds it, where it is all.

        That is: limit, tol, best, waited.
        """
        patience, limit = self.patience, self.plan.patience
        if limit is None or self.hurries:
            return None
        return int(limit), patience.tol, patience.best, patience.waited

    def see(self, sums: EpochSums, rates: Array, subject: Subject) -> StopReason | None:
        """Record some epochs of a training and judge the last; a reason says stop."""
        if not len(sums.loss):  # cancelled before the first was done
            return None
        self._subject = subject
        count, seen, waits = len(sums.loss), self.seen, self.waits
        due = not self.glances or (seen + count) // waits > seen // waits
        due = due and self._validates(seen + count)
        self._measures = {}
        held_out = self._validate(subject) if sums.finite and due else (np.nan, np.nan)
        before, self._clock = self._clock, self._seconds()
        share = np.arange(1, count + 1) / count
        columns = {
            "loss": sums.loss, "gradient_norm": sums.gradient_norm,
            "update_ratio": sums.update_ratio, "rate": rates,
            "seconds": before + (self._clock - before) * share, **sums.counts,
        }  # fmt: skip
        block = np.full((len(_COLUMNS), count), np.nan)
        for name, column in columns.items():
            block[_ROW[name]] = column
        block[_VALIDATED, -1] = held_out
        validated = {f"val_{name}": value for name, value in self._measures.items()}
        self.metrics += [{}] * (count - 1) + [{**sums.measures, **validated}]
        self.blocks.append(block)
        self.seen += count
        if not sums.finite:
            return StopReason.NONFINITE
        value = self._monitored(held_out)
        if not self.judges:
            self.patience.see_all(block[_ROW["loss"]], self.seen - count + 1)
        elif due and self.patience.see(value, self.seen):
            self.best = subject.parameters()
        return self._judge(value if due or not self.judges else None)

    def had_ended(self, name: str | None) -> StopReason | None:
        """Return why a training that is resumed had ended, unless it goes on after all.

        It does after an interruption, and with more epochs or more time than it had. A
        callback that had said stop is asked again.
        """
        if name is None:
            return None
        reason = StopReason[name]
        goes_on = {
            StopReason.INTERRUPTED: True,
            StopReason.MAX_EPOCHS: self.epochs < self.plan.epochs,
            StopReason.TIME_BUDGET: self._seconds() <= (self.plan.max_time or np.inf),
        }
        if reason is StopReason.CALLBACK:
            return reason if self.seen and self._called_back() else None
        return None if goes_on.get(reason, False) else reason

    def parameters(self) -> Parameters:
        """Copy the weights as they are after the last epoch: for a callback."""
        if self._subject is None:
            raise ValueError("no epoch was trained yet; ask within a callback.")
        return self._subject.parameters()

    def columns(self) -> dict[str, Array]:
        """Return what was recorded, by the names of `History`'s columns."""
        self.blocks = [np.hstack([np.empty((len(_COLUMNS), 0)), *self.blocks])]
        return dict(zip(_COLUMNS, self.blocks[0], strict=True))

    def snapshot(self) -> dict[str, Any]:
        """Copy what was recorded and counted, but for the best weights."""
        return {
            "history": {name: column.copy() for name, column in self.columns().items()},
            "metrics": list(self.metrics),
            "before": self._before,
            "factor": self.factor,
            "patience": asdict(self.patience),
            "plateau": asdict(self.plateau),
            "seconds": self._seconds(),
        }

    def restore(self, found: Mapping[str, Any], subject: Subject) -> None:
        """Go on from the snapshot of another monitor, its clock included."""
        columns = found["history"]
        self.blocks = [np.stack([columns[name] for name in _COLUMNS])]
        self.seen, self._before = self.blocks[0].shape[1], found["before"]
        self.metrics, self.factor = list(found["metrics"]), found["factor"]
        tol = self.patience.tol
        self.patience = EarlyStopping(**{**found["patience"], "tol": tol})
        self.plateau = EarlyStopping(**{**found["plateau"], "tol": tol})
        self._subject = subject
        self.started = time.perf_counter() - found["seconds"]
        self._clock = self._seconds()
        for each in self.callbacks:
            resume: Any = getattr(each, "resume_after", None)
            if resume is not None:  # it counts the epochs itself
                resume(self.seen)

    def amend(self, name: str, value: float) -> None:
        """Set a count of the last epoch to what was known only after it."""
        if self.seen:
            self.blocks[-1][_ROW[name], -1] = value

    def close(
        self,
        network: Any,
        reason: StopReason,
        engine: str,
        subject: Subject,
        **facts: Any,
    ) -> Run:
        """Put together the record of the whole training, of which `subject` remains."""
        restored = self.best is not None and self.plan.restore_best
        best_epoch = self.patience.best_epoch if restored else self.seen
        kept = self.best if restored else subject.parameters()
        assert kept is not None
        return Run(
            network=network,
            plan=self.plan,
            parameters=kept,
            history=self._history(),
            stop_reason=reason,
            why=reason.value.format(**{**self._facts(best_epoch), **facts}),
            engine=engine,
            best_epoch=best_epoch,
        )

    def _seconds(self) -> float:
        return time.perf_counter() - self.started

    def _validates(self, epoch: int) -> bool:
        """Whether an epoch is one to validate after.

        A callback with a method ``validates_after`` says so of each, from 1.
        """
        asked = [getattr(each, "validates_after", None) for each in self.callbacks]
        return all(validates(epoch) for validates in asked if validates is not None)

    def _validate(self, subject: Subject) -> tuple[float, float]:
        if self.held_out is None:
            return np.nan, np.nan
        outputs, losses = subject.validate()
        self._measures = getattr(subject, "measures", {})
        loss = float(np.average(losses, weights=self.held_out.weights))
        return loss, self._score(self.held_out, outputs)

    def _score(self, held_out: Data, outputs: Array) -> float:
        if isinstance(self.scoring, MeasuredScore):
            found = self._measures.get(self.scoring.name, np.nan)
            return self.scoring.sign * float(np.mean(found))
        prediction = link(self.plan.loss)(outputs)
        if self.scoring is not None:
            return float(self.scoring(lambda asked: prediction, held_out.X, held_out.y))
        return default_score(self.plan, prediction, held_out.y, held_out.weights)

    def _monitored(self, held_out: tuple[float, float]) -> float:
        """Return the watched value, smaller being better."""
        if not self.judges:
            return float(self.blocks[-1][_ROW["loss"], -1])
        return -held_out[1] if self.monitor == "score" else held_out[0]

    def _judge(self, value: float | None) -> StopReason | None:
        exhausted = None if value is None else self._follow(value)
        if self._called_back():
            return StopReason.CALLBACK
        if exhausted:
            return exhausted
        late = self._seconds() > (self.plan.max_time or np.inf)
        return StopReason.TIME_BUDGET if late else None

    def _follow(self, value: float) -> StopReason | None:
        schedule, limit = self.plan.schedule, self.plan.patience
        if schedule.name == "plateau":
            self._cut_on_plateau(value, dict(schedule.constants))
        if limit is None or self.patience.waited <= limit:
            return None
        if schedule.name != "adaptive":
            return StopReason.EARLY_STOPPING if self.judges else StopReason.CONVERGED
        constants: dict[str, Any] = dict(schedule.constants)
        if self.plan.rate * self.factor <= constants["floor"]:
            return StopReason.RATE_EXHAUSTED
        self.factor *= constants["factor"]
        self.patience.waited = 0
        return None

    def _cut_on_plateau(self, value: float, constants: dict[str, Any]) -> None:
        self.plateau.see(value, self.seen)
        if self.plateau.waited > constants["patience"]:
            lowest = min(self.factor, constants["floor"] / self.plan.rate)
            self.factor = max(self.factor * constants["factor"], lowest)
            self.plateau.waited = 0

    def _called_back(self) -> bool:
        last = self.blocks[-1][:, -1].tolist()
        answers = []
        for each in self.callbacks:
            with naming_callback(each):
                answers.append(
                    each(self._history() if hasattr(each, "patient")
                         else EpochRecord(self.seen, *last, metrics=self.metrics[-1]))
                )  # fmt: skip
        return any(map(asks_to_stop, answers))

    def _history(self) -> History:
        names = dict.fromkeys(name for epoch in self.metrics for name in epoch)
        metrics = {k: [each.get(k, np.nan) for each in self.metrics] for k in names}
        return History.from_columns({**self.columns(), "metrics": metrics})

    def _facts(self, best_epoch: int) -> dict[str, Any]:
        """Gather what the sentences of `StopReason` speak of."""
        plan = self.plan
        rate = float(self.blocks[-1][_ROW["rate"], -1]) if self.seen else plan.rate
        methodical = plan.full_batch or plan.on_device
        best = self.patience.best_epoch
        return {
            "epochs": plan.epochs, "epoch": self.seen, "best_epoch": best_epoch,
            "best": f"at epoch {best}" if best else "in an earlier fit",
            "tol": plan.tol, "patience": plan.patience, "monitor": self.monitor,
            "max_time": plan.max_time or 0.0,
            "rate": rate,
            "remedy": (_SMALLER if methodical else _SLOWER).format(rate=rate),
        }  # fmt: skip


def _patience(callback: Callback) -> int:
    if not getattr(callback, "every_epoch", True):
        return 10**6
    return getattr(callback, "patient", getattr(callback, "validate_every", 1))
