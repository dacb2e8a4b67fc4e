"""Where the trials of a search are kept, and what becomes of those that were lost.

A study lives in memory, in a file or in a database, as Optuna keeps it. Who drives a
search leaves a lease there: a line in the study that says who he is, and that he was
alive a moment ago. A trial that is marked as running, but whose driver's lease has run
out, was lost with its driver: it is marked as failed, and put into the queue again.
Optuna's own heartbeat would do so too, but not in a journal, and not for trials that
are asked for and told.
"""

import json
import os
import re
import socket
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self
from uuid import uuid4

import joblib
import numpy as np

from thalweg.core import History
from thalweg.tuning.result import SearchTrial
from thalweg.tuning.space import Space, settings
from thalweg.tuning.trial import TrialResult

BEAT = 5.0
"""Seconds between two signs of life."""

LEASE = 60.0
"""Seconds without one after which a driver's trials are taken from him."""

ATTEMPTS = 3
"""Times that a trial is begun whose workers die; then it has failed."""

_FILES = {
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".log": "journal",
    ".journal": "journal",
}
_BESIDE_THE_POINT = ("callbacks", "verbose", "n_jobs", "random_state", "memory")
_BEGINNING = b'{"op_code":'  # of a journal
_BUSY = 10.0  # seconds that SQLite waits for another writer


def open_storage(storage: Any) -> Any:
    """Return Optuna's storage for a path, a URL, None or a storage.

    Raises
    ------
    ValueError
        For another kind of path, or a database whose driver is not installed.
    OSError
        If its folder does not exist.
    """
    from optuna import storages
    from optuna.storages.journal import JournalFileBackend

    if storage is None:
        return storages.InMemoryStorage()
    if not isinstance(storage, str | Path):
        return storage
    if "://" in str(storage):
        return _by_url(str(storage))
    path = Path(storage)
    kind = _FILES.get(path.suffix)
    if kind is None:
        raise ValueError(
            f"search got storage={str(storage)!r}; it must be a file that ends in "
            f"{', '.join(_FILES)}, a URL such as postgresql://host/name, or None to "
            "keep trials in memory."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {path.parent} to keep {path.name} in. Create it first."
        )
    if kind == "journal":
        _mend(path)
        return storages.JournalStorage(JournalFileBackend(str(path)))
    waits = {"connect_args": {"timeout": _BUSY}}
    return storages.RDBStorage(f"sqlite:///{path}", engine_kwargs=waits)


def _mend(path: Path) -> None:
    """Drop the half line that a kill in mid-write leaves at a journal's end.

    Optuna reads past it, and refuses the file once another line was written after it.
    """
    from optuna.storages.journal import JournalFileSymlinkLock

    if not path.is_file() or _half(path) == 0:
        return
    lock = JournalFileSymlinkLock(str(path))  # or a line is being written just now
    lock.acquire()
    try:
        if half := _half(path):
            os.truncate(path, path.stat().st_size - half)
            warnings.warn(
                f"{path} ended in half a line, as after a kill in mid-write: these "
                f"{half} bytes were dropped. What they told of a trial is done again.",
                stacklevel=2,
            )
    finally:
        lock.release()


def _half(path: Path) -> int:
    """Count the bytes after a journal's last whole line."""
    content = path.read_bytes()
    ours = content.startswith(_BEGINNING[: len(content)])
    return len(content) - content.rfind(b"\n") - 1 if ours else 0


def is_shared(storage: Any) -> bool:
    """Whether workers in other processes can reach it."""
    return storage is not None and type(storage).__name__ != "InMemoryStorage"


def portable(storage: Any) -> Any:
    """Return the storage as a worker elsewhere on this machine can open it."""
    if isinstance(storage, str | Path) and "://" not in str(storage):
        return str(Path(storage).resolve())
    return storage


def find_trial(storage: Any, name: str, number: int) -> Any:
    """Return a study's trial, on whatever machine; for reports and pruning."""
    from optuna import Trial

    study, store = _opened(storage, name)
    trial_id = store.get_trial_id_from_study_id_trial_number(
        store.get_study_id_from_name(name), number
    )
    return Trial(study, trial_id)


@lru_cache(maxsize=4)
def _opened(storage: Any, name: str) -> tuple[Any, Any]:
    import optuna

    store = open_storage(storage)
    with quiet():
        return optuna.load_study(study_name=name, storage=store), store


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from telling what is nobody's concern."""
    from optuna import logging
    from optuna.exceptions import ExperimentalWarning

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        logging.set_verbosity(before)


def open_study(
    storage: Any, name: str, pruner: Any, facts: Mapping[str, Any], seed: int | None
) -> tuple[Any, int]:
    """Create or reopen a study of these facts.

    Parameters
    ----------
    storage : str, Path, optuna storage or None
    name : str
    pruner : optuna.pruners.BasePruner
    facts : mapping of str to JSON
        What makes it the same search: of the estimator, the space, the data.
    seed : int or None
        None takes the study's own, or draws one.

    Returns
    -------
    study : optuna.Study
    seed : int

    Raises
    ------
    ValueError
        If it is another search's, cannot be read, or is locked.
    """
    import optuna

    with quiet(), understood(storage):
        study = optuna.create_study(
            storage=open_storage(storage),
            study_name=name,
            pruner=pruner,
            direction="maximize",
            load_if_exists=True,
        )
        known = study.user_attrs
        if "facts" in known:
            _compare(storage, name, known["facts"], facts)
        elif study.get_trials(deepcopy=False):
            raise ValueError(
                f"{storage} holds a study {name!r} that thalweg did not make. Give "
                "another storage, or another study_name."
            )
        study.set_user_attr("facts", dict(facts))
        if seed is None:
            seed = int(known.get("seed", int.from_bytes(os.urandom(3))))
        study.set_user_attr("seed", seed)
        return study, seed


def facts_of(task: Any, space: Mapping[str, Any], metric: str) -> dict[str, str]:
    """Sum up what makes a search the same: short texts to compare."""
    estimator = task.estimator
    content = _digest(_plain(task.X)) + _digest(_plain(task.y))
    settings = {
        k: re.sub(" at 0x[0-9a-f]+", "", str(v))
        for k, v in estimator.get_params().items()
        if k.split("__")[-1] not in _BESIDE_THE_POINT
    }
    return {
        "estimator": f"{type(estimator).__name__} {_digest(sorted(settings.items()))}",
        "space": f"{', '.join(space)} {_digest(json.dumps(space, default=str))}",
        "metric": metric,
        "data": f"{len(task.y)} rows {content}",
        "division": f"{len(task.folds)} fold(s)",
    }


def _plain(table: Any) -> Any:
    """Return a table's content as joblib can tell it from another's."""
    if hasattr(table, "to_numpy"):
        names = list(map(str, getattr(table, "columns", ())))
        return [table.to_numpy().astype(str), names]
    return table


def _digest(value: Any) -> str:
    return str(joblib.hash(value))[:8]


def _compare(
    storage: Any, name: str, known: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    other = [key for key in facts if known.get(key) != facts[key]]
    if other:
        seen = "; ".join(f"{key}: {known.get(key)}, now {facts[key]}" for key in other)
        raise ValueError(
            f"{storage} holds another search under the name {name!r}, with another "
            f"{' and '.join(other)} ({seen}). Give another storage, or another "
            "study_name."
        )


class Heartbeat:
    """A driver's signs of life, for as long as the context lasts.

    Parameters
    ----------
    study : optuna.Study
    """

    def __init__(self, study: Any) -> None:
        self.study, self.driver = study, uuid4().hex[:12]
        self._done = Event()
        self._thread = Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._sign(time.time())
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()
        self._sign(0.0)

    def _beat(self) -> None:
        while not self._done.wait(BEAT):
            self._sign(time.time())

    def _sign(self, at: float) -> None:
        line = {"at": at, "host": socket.gethostname(), "pid": os.getpid()}
        self.study.set_user_attr(f"driver {self.driver}", line)


def queue_lost(study: Any, driver: str) -> int:
    """Fail the trials whose drivers are gone, and queue them again; return how many."""
    lost = [trial for trial in running(study) if _is_lost(study, trial, driver)]
    return sum(queue_again(study, trial) for trial in lost)


def running(study: Any) -> list[Any]:
    """Return the trials that are marked as running."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))


def queue_again(study: Any, trial: Any) -> bool:
    """Fail a running trial and put its settings into the queue, unless it kills."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    attempt = int(trial.user_attrs.get("attempt", 1))
    try:
        study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, UpdateFinishedTrialError):
        return False  # another driver was faster
    if attempt >= ATTEMPTS:
        return False
    kept = {"index": index_of(study, trial), "attempt": attempt + 1}
    study.enqueue_trial(dict(trial.params), user_attrs=kept)
    return True


def index_of(study: Any, trial: Any) -> int:
    """Return a trial's place among those that were not tried before, from 0."""
    known = trial.user_attrs.get("index")
    if known is not None:
        return known
    earlier = study.get_trials(deepcopy=False)[: trial.number]
    return trial.number - sum("attempt" in each.user_attrs for each in earlier)


def was_lost(trial: Any) -> bool:
    """Whether a failed trial was given up for lost, and queued again."""
    attempt = int(trial.user_attrs.get("attempt", 1))
    told = trial.user_attrs.get("told", {})  # it may have been lost in the telling
    failed = trial.state.name == "FAIL" and told.get("state") != "failed"
    return failed and attempt < ATTEMPTS


def record(trial: Any, space: Space) -> SearchTrial:
    """Return what is recorded of a trial of Optuna's that was told."""
    told = trial.user_attrs.get("told", {})
    value = np.nan if trial.value is None else float(trial.value)
    history = told.get("history")
    return SearchTrial(
        number=trial.number,
        params={k: _shown(v) for k, v in settings(space, trial.params).items()},
        value=value,
        state=told.get("state", "failed"),
        seconds=told.get("seconds", 0.0),
        why=told.get("why", f"its worker died {ATTEMPTS} times"),
        history=None if history is None else _history(history),
    )


def _shown(value: Any) -> Any:
    """Return a parameter's value as a record holds it."""
    if isinstance(value, tuple | list):
        return tuple(map(_shown, value))
    return value if isinstance(value, str | int | float | None) else repr(value)


def kept(outcome: TrialResult) -> dict[str, Any]:
    """Return what a study keeps of a trial; of the curves, those that are drawn."""
    history, kept = outcome.history, None
    if history is not None:
        columns = ("loss", "validation_loss", "validation_score", "seconds")
        content = history.to_json()
        kept = {name: [_short(v) for v in content[name]] for name in columns}
    return {
        "state": outcome.state, "seconds": round(outcome.seconds, 4),
        "why": outcome.why, "history": kept,
    }  # fmt: skip


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _history(columns: Mapping[str, Any]) -> History:
    filled = {
        k: [np.nan if v is None else v for v in own] for k, own in columns.items()
    }
    return History.from_columns(filled)


def _is_lost(study: Any, trial: Any, driver: str) -> bool:
    owner = trial.user_attrs.get("driver")
    if owner == driver:
        return False
    line = study.user_attrs.get(f"driver {owner}")
    if line is None:  # it died before it could say whose it was
        begun = trial.datetime_start
        return begun is None or time.time() - begun.timestamp() > LEASE
    here = line["host"] == socket.gethostname()
    return time.time() - line["at"] > LEASE or (here and not _lives(line["pid"]))


def _lives(pid: int) -> bool:
    if os.name != "posix":
        return True  # asking would end it; its lease will tell
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _by_url(url: str) -> Any:
    from optuna import storages
    from optuna.storages.journal import JournalRedisBackend

    if url.startswith("redis"):
        return storages.JournalStorage(JournalRedisBackend(url))
    return storages.RDBStorage(url)


@contextmanager
def understood(storage: Any) -> Iterator[None]:
    """Say what is wrong with a storage, in place of what its driver says."""
    from optuna.exceptions import OptunaError

    try:
        yield
    except ImportError as error:
        raise ValueError(
            f"search got storage={str(storage)!r}, whose driver is missing ({error}). "
            "Install it: psycopg2-binary for PostgreSQL, redis for Redis, grpcio and "
            "protobuf for Optuna's gRPC proxy."
        ) from error
    except json.JSONDecodeError as error:  # in a journal
        raise ValueError(_trouble(storage, error)) from error
    except (ValueError, OSError):
        raise
    except (OptunaError, RuntimeError, KeyError) as error:
        raise ValueError(_trouble(storage, error)) from error
    except Exception as error:
        if type(error).__module__.split(".")[0] != "sqlalchemy":
            raise
        raise ValueError(_trouble(storage, error)) from error


def _trouble(storage: Any, error: Exception) -> str:
    text = f"{error} {error.__cause__ or ''}"
    if "locked" in text:
        return (
            f"{storage} is locked by another program, and did not become free within "
            f"{_BUSY:g} s. Close that program, or give another storage."
        )
    return (
        f"{storage} cannot be used to keep a study ({text.strip()[:300]}). Give "
        "another storage."
    )
