"""One trial of a search: fit with some settings, and score on the validation data.

A trial is plain data and a function of it, so a thread, another process or another
machine can run it. It trains exactly as the final fit does: the validation data are
evaluated from time to time, and never influence the training.
"""

import operator
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from threading import Event
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline
from sklearn.utils import (
    _safe_indexing,  # pyright: ignore[reportPrivateUsage]
)

from thalweg.core import EpochRecord, History
from thalweg.estimators import Classifier, Ensemble, Regressor, encode_once, seeded
from thalweg.tuning.splits import Folds, Rows

_EPOCHS = ("max_iter", "max_epochs", "epochs")
_VALIDATIONS = 20  # of one fit, at most about so many


@dataclass(frozen=True, eq=False)
class Task:
    """What all trials have in common.

    Parameters
    ----------
    estimator : estimator
    X, y : as for the estimator
    folds : Folds
        A trial's value is its mean score over them.
    scoring : str, callable or None
    seed : int
        Becomes every ``random_state`` inside the estimator.
    epochs : int, optional
        The most epochs of a fit, unless the space says otherwise.
    """

    estimator: Any
    X: Any
    y: Any
    folds: Folds
    scoring: Any
    seed: int
    epochs: int | None = None
    _encoded: dict[int, Any] = field(default_factory=dict[int, Any], init=False)

    def rows(self, fold: int) -> Rows:
        """Return the rows of one fold.

        A table is encoded only once for all trials. A callable scorer may need the
        table itself, and gets it unchanged.
        """
        rows = self.folds.rows(self.X, self.y, fold)
        tabular = isinstance(self.estimator, Classifier | Regressor)
        if not tabular or callable(self.scoring):
            return rows
        if fold not in self._encoded:
            self._encoded[fold] = encode_once(rows.X, rows.y, rows.X_val)
        X, X_val = self._encoded[fold]
        return rows._replace(X=X, X_val=X_val)


@dataclass
class TrialHandle:
    """How a running trial communicates with the search.

    Parameters
    ----------
    find : callable, optional
        Returns the ``optuna.Trial`` to report to, wherever it is called. None if
        nothing is pruned.
    deadline : float
        ``time.time()`` after which the trial stops.
    stop : Event, optional
        When set, stops the trial at once. It works within one process.
    """

    find: Callable[[], Any] | None = None
    deadline: float = np.inf
    stop: Event | None = None

    @cached_property
    def _trial(self) -> Any:
        assert self.find is not None
        return self.find()

    def out_of_time(self) -> bool:
        """Whether the trial must end now."""
        return time.time() > self.deadline or (
            self.stop is not None and self.stop.is_set()
        )

    def prunes(self, value: float, step: int) -> bool:
        """Report a value; True prunes the trial."""
        if self.find is None or not np.isfinite(value):
            return False
        self._trial.report(value, step)
        return self._trial.should_prune()


@dataclass(frozen=True, eq=False)
class TrialResult:
    """The result of a trial.

    Parameters
    ----------
    value : float
        Mean score over the folds that were done; NaN if the trial failed.
    state : {"complete", "pruned", "cut", "failed"}
        "cut" by the time limit or the keyboard.
    seconds : float
    why : str
        The cause of a failure, otherwise why training stopped.
    history : History or None
        Of the first fold.
    error : Exception or None
    """

    value: float
    state: str
    seconds: float
    why: str = ""
    history: History | None = None
    error: Exception | None = None


def run_trial(
    task: Task, settings: Mapping[str, Any], handle: TrialHandle
) -> TrialResult:
    """Run one trial; an exception becomes a result, too."""
    started = time.perf_counter()
    try:
        model = seeded(prepared(task.estimator, settings), task.seed)
        limit_epochs(model, task.epochs, settings)
        callback = TrialCallback(
            handle,
            usual_epochs=epochs_of(task.estimator, task.epochs),
            epochs=epochs_of(model, None),
            by_loss=task.scoring == "neg_log_loss",
        )
        history, why, scores = None, "", list[float]()
        for fold in range(len(task.folds)):
            callback.begin_fold()
            rows = task.rows(fold)
            fit_with_validation(model, rows, callback)
            scores.append(_score(model, task.scoring, rows))
            if fold == 0:
                last = _last_step(model)
                history = getattr(last, "history_", None)
                why = getattr(last, "stop_reason_", "")
            if callback.ended:
                break
    except Exception as error:
        return TrialResult(
            value=np.nan,
            state="failed",
            seconds=time.perf_counter() - started,
            why=f"{type(error).__name__}: {error}",
            error=_picklable(error),
        )
    return TrialResult(
        value=float(np.mean(scores)),
        state=callback.ended or "complete",
        seconds=time.perf_counter() - started,
        why=why,
        history=history,
    )


@dataclass
class TrialCallback:
    """The callback of a trial's fits: it reports validation scores, and stops fits.

    The folds follow each other as if they were one training. The reported value is the
    mean of the current fold's score and the last scores of the folds before it; folds
    that ended before their first validation are left out. The score is the one that the
    network records, or its negative loss if the search maximizes that. A trial with
    more or fewer epochs than usual is compared at the same fraction of its training,
    because learning rate schedules depend on that fraction.

    Parameters
    ----------
    handle : TrialHandle
    usual_epochs, epochs : int
        Of the estimator as it was given, and of this trial.
    by_loss : bool
        Whether to report the negative validation loss.
    """

    handle: TrialHandle
    usual_epochs: int
    epochs: int
    by_loss: bool = False
    ended: str = field(default="", init=False)
    _latest: list[float] = field(default_factory=list[float], init=False)
    _reported: int = field(default=0, init=False)

    @property
    def validate_every(self) -> int:
        """Epochs between two validations whose results are only reported."""
        return -(-self.epochs // _VALIDATIONS)

    def begin_fold(self) -> None:
        """Get ready for the fit of the next fold."""
        self._latest.append(np.nan)
        self._reported = 0

    def __call__(self, record: EpochRecord) -> bool:
        """Report an epoch; True stops the training."""
        if self.handle.out_of_time():
            self.ended = self.ended or "cut"
        value = -record.validation_loss if self.by_loss else record.validation_score
        if self.ended or np.isnan(value):
            return bool(self.ended)
        self._latest[-1] = value
        usual = self.usual_epochs
        every = -(-usual // _VALIDATIONS)
        reached = min(usual * record.epoch // self.epochs, usual) // every
        if reached > self._reported:
            self._reported = reached
            step = (len(self._latest) - 1) * usual + reached * every
            mean = float(np.nanmean(self._latest))
            self.ended = "pruned" if self.handle.prunes(mean, step) else ""
        return bool(self.ended)


def prepared(estimator: Any, settings: Mapping[str, Any]) -> Any:
    """Return an unfitted copy with some parameters set."""
    copy: Any = clone(estimator)
    return copy.set_params(**settings)


def epochs_of(estimator: Any, epochs: int | None) -> int:
    """Return the most epochs of a fit: `epochs`, the estimator's own, or 100."""
    name = _epochs_parameter(estimator)
    own = None if name is None else estimator.get_params()[name]
    return int(epochs or own or 100)


def limit_epochs(model: Any, epochs: int | None, settings: Mapping[str, Any]) -> None:
    """Set the most epochs of a model, unless the settings ask for fewer."""
    name = _epochs_parameter(model)
    if epochs is not None and name is not None:
        model.set_params(**{name: min(epochs, settings.get(name, epochs))})


def fit_with_validation(model: Any, rows: Rows, callback: TrialCallback) -> None:
    """Fit; thalweg's networks record their scores on the validation data meanwhile."""
    last = _last_step(model)
    stoppable = can_stop(model)
    if stoppable:
        last.set_params(callbacks=(*(last.callbacks or ()), callback))
    if "watch_only" not in signature(last.fit).parameters:
        model.fit(rows.X, rows.y)
    else:
        X, X_val = rows.X, rows.X_val
        if last is not model:
            head = model[:-1]
            X, X_val = head.fit_transform(X, rows.y), head.transform(X_val)
        known = signature(last.fit).parameters
        own = {
            name: value
            for name, value in (("groups", rows.groups), ("time", rows.time))
            if value is not None and name in known
        }
        X_val, y_val = _of_known_classes(model, rows.y, X_val, rows.y_val)
        last.fit(X, rows.y, X_val=X_val, y_val=y_val, watch_only=True, **own)
    if stoppable:
        last.set_params(callbacks=last.callbacks[:-1])


def _of_known_classes(model: Any, y: Any, X_val: Any, y_val: Any) -> tuple[Any, Any]:
    """Return the rows to watch: a network has no output for a class it never saw.

    The score of the trial is that of all rows, as scikit-learn's is.
    """
    if not is_classifier(model) or np.ndim(y) != 1:
        return X_val, y_val
    known = np.isin(np.asarray(y_val), np.unique(np.asarray(y)))
    if known.all():
        return X_val, y_val
    places = np.flatnonzero(known)
    if not len(places):
        return None, None
    take = operator.getitem if hasattr(X_val, "studied") else _safe_indexing
    return take(X_val, places), _safe_indexing(y_val, places)


def can_stop(model: Any) -> bool:
    """Whether a fit can be stopped, or pruned, between epochs."""
    last = _last_step(model)
    return not isinstance(last, Ensemble) and "callbacks" in last.get_params()


def _last_step(model: Any) -> Any:
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


def _epochs_parameter(model: Any) -> str | None:
    """Return the name of the parameter that sets the network's number of epochs."""
    step = f"{model.steps[-1][0]}__" if isinstance(model, Pipeline) else ""
    inner = f"{step}estimator__" if isinstance(_last_step(model), Ensemble) else step
    known = model.get_params()
    return next((inner + name for name in _EPOCHS if inner + name in known), None)


def _score(model: Any, scoring: Any, rows: Rows) -> float:
    scorer: Any = check_scoring(model, scoring)
    value = float(scorer(model, rows.X_val, rows.y_val))
    if not np.isfinite(value):
        raise ValueError(
            f"The score on the validation data is {value}. Either the training "
            "diverged, or the scorer does not suit the target."
        )
    return value


def _picklable(error: Exception) -> Exception | None:
    """Return the error if another process can read it, None otherwise."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return error
