"""One trial of a search: fit with some settings, and score on rows held out.

A trial is plain data and a function of it, so that it can be done by a thread, by
another process, or on another machine. It trains exactly as the final fit will: the
rows held out are watched epoch by epoch, and have no say in the training.
"""

import pickle
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import signature
from threading import Event
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline
from sklearn.utils import (
    _safe_indexing,  # pyright: ignore[reportPrivateUsage]
)

from thalweg.core import EpochRecord, History
from thalweg.estimators import Classifier, Ensemble, Regressor, encode_once, seeded
from thalweg.tuning.splits import Folds

_EPOCHS = ("max_iter", "max_epochs", "epochs")
_GLANCES = 20  # at the rows held out, in one fit, at most about so many


@dataclass(frozen=True, eq=False)
class Task:
    """What all trials have in common.

    Parameters
    ----------
    estimator : estimator
    X, y : as for the estimator
    folds : Folds
        A trial is scored by the mean over them.
    scoring : str, callable or None
    seed : int
        Of every ``random_state`` inside the estimator.
    epochs : int or None
        Epochs of a fit at most, where the space does not say.
    """

    estimator: Any
    X: Any
    y: Any
    folds: Folds
    scoring: Any
    seed: int
    epochs: int | None = None
    _kept: dict[int, Any] = field(default_factory=dict[int, Any], init=False)

    def rows(self, fold: int) -> tuple[Any, Any, Any, Any]:
        """Return X, y to train on, and X, y to validate on.

        A table is turned into numbers here, once for all trials. A callable scorer may
        look into it, and gets it as it came.
        """
        X, y, X_val, y_val = rows = self._rows(fold)
        tabular = isinstance(self.estimator, Classifier | Regressor)
        if not tabular or callable(self.scoring):
            return rows
        if fold not in self._kept:
            self._kept[fold] = encode_once(X, y, X_val)
        X, X_val = self._kept[fold]
        return X, y, X_val, y_val

    def _rows(self, fold: int) -> tuple[Any, Any, Any, Any]:
        train, validation = self.folds.parts[fold]
        parts = (_safe_indexing(self.X, train), _safe_indexing(self.y, train))
        if validation is None:
            assert self.folds.held is not None
            return (*parts, *self.folds.held)
        held = (_safe_indexing(self.X, validation), _safe_indexing(self.y, validation))
        return (*parts, *held)


@dataclass
class TrialHandle:
    """How a trial that runs speaks with the search.

    Parameters
    ----------
    trial : optuna.Trial or callable
        Or what finds it, on another machine; None where nothing is pruned.
    deadline : float
        ``time.time()`` after which it stops.
    stop : Event, optional
        Set to stop it at once, in this process.
    """

    trial: Any = None
    deadline: float = np.inf
    stop: Event | None = None

    def out_of_time(self) -> bool:
        """Whether the trial must end now."""
        return time.time() > self.deadline or (
            self.stop is not None and self.stop.is_set()
        )

    def prunes(self, value: float, step: int) -> bool:
        """Report a value; True gives the trial up."""
        if self.trial is None or not np.isfinite(value):
            return False
        if not hasattr(self.trial, "report"):
            self.trial = self.trial()
        self.trial.report(value, step)
        return self.trial.should_prune()


@dataclass(frozen=True, eq=False)
class TrialResult:
    """What came of a trial.

    Parameters
    ----------
    value : float
        Mean score over the folds done; NaN if it failed.
    state : {"complete", "pruned", "cut", "failed"}
        "cut" by the time budget or the keyboard.
    seconds : float
    why : str
        The cause of a failure; why training stopped otherwise.
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


def try_settings(
    task: Task, settings: Mapping[str, Any], link: TrialHandle
) -> TrialResult:
    """Do one trial; whatever it raises becomes its outcome."""
    started = time.perf_counter()
    try:
        model = seeded(prepared(task.estimator, settings), task.seed)
        limit(model, task.epochs, settings)
        by_loss = task.scoring == "neg_log_loss"
        usual, own = epochs_of(task.estimator, task.epochs), epochs_of(model, None)
        watcher = Watcher(link, usual, own, by_loss)
        history, why = None, ""
        for fold in range(len(task.folds)):
            watcher.begin()
            rows = task.rows(fold)
            fit_watched(model, rows, watcher)
            watcher.scores.append(_score(model, task.scoring, rows))
            if fold == 0:
                history, why = _told(model)
            if watcher.ended:
                break
    except Exception as error:
        seconds = time.perf_counter() - started
        text = f"{type(error).__name__}: {error}"
        return TrialResult(np.nan, "failed", seconds, text, error=_portable(error))
    seconds = time.perf_counter() - started
    value = float(np.mean(watcher.scores))
    return TrialResult(value, watcher.ended or "complete", seconds, why, history)


@dataclass
class Watcher:
    """The callback of a trial's fits: reports how they do, and says stop.

    Folds follow each other as if they were one training: what is reported is the mean
    of the present epoch and the last ones of the folds done, unless a fold ended before
    the first look at it. It is the score that the
    network records, or its loss where the search is for that. A trial of fewer or more
    epochs than usual is compared where it is as far: rates fall with that.
    """

    link: TrialHandle
    usual: int
    epochs: int
    by_loss: bool = False
    ended: str = ""
    scores: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    reported: int = 0

    @property
    def glances(self) -> int:
        """Epochs between two looks at the rows held out, if they only show."""
        return -(-self.epochs // _GLANCES)

    def begin(self) -> None:
        """Take note that the next fold is fitted."""
        self.seen.append(np.nan)
        self.reported = 0

    def __call__(self, record: EpochRecord) -> bool:
        """Judge an epoch."""
        if self.link.out_of_time():
            self.ended = self.ended or "cut"
        value = -record.validation_loss if self.by_loss else record.validation_score
        if self.ended or np.isnan(value):
            return bool(self.ended)
        self.seen[-1] = value
        every = -(-self.usual // _GLANCES)
        reached = min(self.usual * record.epoch // self.epochs, self.usual) // every
        if reached > self.reported:
            self.reported = reached
            step = (len(self.seen) - 1) * self.usual + reached * every
            mean = float(np.nanmean(self.seen))
            self.ended = "pruned" if self.link.prunes(mean, step) else ""
        return bool(self.ended)


def prepared(estimator: Any, settings: Mapping[str, Any]) -> Any:
    """Return an unfitted copy with some parameters set."""
    copy: Any = clone(estimator)
    return copy.set_params(**settings)


def epochs_of(estimator: Any, epochs: int | None) -> int:
    """Return how many epochs a fit takes at most; 100 where nobody says."""
    name = _epochs_name(estimator)
    own = None if name is None else estimator.get_params()[name]
    return int(epochs or own or 100)


def limit(model: Any, epochs: int | None, settings: Mapping[str, Any]) -> None:
    """Have a model train for so many epochs, or for fewer that are being searched."""
    name = _epochs_name(model)
    if epochs is not None and name is not None:
        model.set_params(**{name: min(epochs, settings.get(name, epochs))})


def fit_watched(model: Any, rows: tuple[Any, Any, Any, Any], watcher: Watcher) -> None:
    """Fit, and let networks of thalweg's record how they do on the rows held out."""
    X, y, X_val, y_val = rows
    last = _last(model)
    watched = can_stop(model)
    if watched:
        last.set_params(callbacks=(*(last.callbacks or ()), watcher))
    if "watch_only" not in signature(last.fit).parameters:
        model.fit(X, y)
    else:
        if last is not model:
            head = model[:-1]
            X, X_val = head.fit_transform(X, y), head.transform(X_val)
        last.fit(X, y, X_val=X_val, y_val=y_val, watch_only=True)
    if watched:
        last.set_params(callbacks=last.callbacks[:-1])


def can_stop(model: Any) -> bool:
    """Whether a fit can be stopped, or pruned, between epochs."""
    last = _last(model)
    return not isinstance(last, Ensemble) and "callbacks" in last.get_params()


def _last(model: Any) -> Any:
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


def _epochs_name(model: Any) -> str | None:
    """Return the parameter that says for how many epochs the network trains."""
    step = f"{model.steps[-1][0]}__" if isinstance(model, Pipeline) else ""
    inner = f"{step}estimator__" if isinstance(_last(model), Ensemble) else step
    known = model.get_params()
    return next((inner + name for name in _EPOCHS if inner + name in known), None)


def _score(model: Any, scoring: Any, rows: tuple[Any, Any, Any, Any]) -> float:
    scorer: Any = check_scoring(model, scoring)
    value = float(scorer(model, *rows[2:]))
    if not np.isfinite(value):
        raise ValueError(
            f"the score on the rows held out is {value}. The training diverged, or the "
            "scorer does not suit the target."
        )
    return value


def _told(model: Any) -> tuple[History | None, str]:
    last = _last(model)
    return getattr(last, "history_", None), getattr(last, "stop_reason_", "")


def _portable(error: Exception) -> Exception | None:
    """Return an error that another process can read, if this one can."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return error
