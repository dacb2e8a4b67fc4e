"""Where the trials of a search are kept, and how lost trials are recovered.

Optuna keeps a study in memory, in a file or in a database. Every runner of a search
leaves a heartbeat there: an attribute of the study that says which process it is and
when it was last alive. A trial that is marked as running, but whose runner's heartbeat
has stopped, was lost with its runner: it is marked as failed, and queued again. Optuna
has a heartbeat of its own, but not for a journal, and not for trials that are asked for
and told.
"""

import json
import os
import re
import socket
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self
from urllib.parse import unquote
from uuid import uuid4

import joblib
import numpy as np

from thalweg.core import History
from thalweg.io import check_output
from thalweg.tuning.result import SearchTrial
from thalweg.tuning.space import Space, settings
from thalweg.tuning.trial import TrialResult

HEARTBEAT_INTERVAL = 5.0
"""Seconds between two heartbeats."""

HEARTBEAT_TIMEOUT = 60.0
"""Seconds without a heartbeat after which a runner's trials count as lost."""

ATTEMPTS = 3
"""How often a trial may begin if its workers die; after that it has failed."""

_FILES = {
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".log": "journal",
    ".journal": "journal",
}
_NOT_COMPARED = ("callbacks", "verbose", "n_jobs", "random_state", "memory")
_JOURNAL_START = b'{"op_code":'
_BUSY_TIMEOUT = 10.0  # seconds that SQLite waits for another writer


def open_storage(storage: Any) -> Any:
    """Return Optuna's storage for a path, a URL, None or a storage.

    Raises
    ------
    ValueError
        If a path has an unknown suffix.
    OSError
        If the folder of a path does not exist.
    """
    from optuna import storages
    from optuna.storages.journal import JournalFileBackend

    if storage is None:
        return storages.InMemoryStorage()
    if is_url(storage):
        return _by_url(storage)
    if not isinstance(storage, str | Path):
        if not isinstance(storage, storages.BaseStorage):
            raise TypeError(
                f"search got storage={storage!r}; it must be a path, a URL, a storage "
                "of Optuna's, or None to keep the trials in memory."
            )
        return storage
    path = Path(storage)
    kind = _FILES.get(path.suffix)
    if kind is None:
        raise ValueError(
            f"search got storage={str(storage)!r}; it must be a file whose name ends "
            f"in {', '.join(_FILES)}, a URL such as postgresql://host/name, or None to "
            "keep the trials in memory."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"search got storage={str(storage)!r}, but the folder {path.parent} does "
            "not exist. Create it first."
        )
    check_output(path)
    if kind == "journal":
        _drop_partial_line(path)
        return storages.JournalStorage(JournalFileBackend(str(path)))
    options = {"connect_args": {"timeout": _BUSY_TIMEOUT}}
    return storages.RDBStorage(_sqlite_url(path), engine_kwargs=options)


def _sqlite_url(path: Path) -> str:
    """Return a URL for a file whose name may have any character.

    The file is named as a URI of SQLite's own. SQLAlchemy writes the URL, because its
    versions differ in what they decode again.
    """
    from sqlalchemy import URL

    uri = path.absolute().as_uri()
    made = URL.create("sqlite", database=uri, query={"uri": "true"})
    return made.render_as_string(hide_password=False)


def is_url(storage: Any) -> bool:
    """Whether a storage is the URL of a server, and not a path."""
    return isinstance(storage, str) and re.match(r"[\w.+-]+://", storage) is not None


def shown(storage: Any) -> str:
    """Return how messages call a storage: a URL without its password."""
    return _hide_password(storage, str(storage)) if is_url(storage) else str(storage)


def _hide_password(storage: Any, text: str) -> str:
    """Replace the password of a URL wherever it stands in a text."""
    if not is_url(storage):
        return text
    given = re.findall(r"://[^/?#]*?:(.*)@", storage)
    given += re.findall(r"[?&](?:password|passwd|pwd|sslpassword)=([^&#]*)", storage)
    secrets = {form for each in given for form in (each, unquote(each)) if form}
    text = text.replace(storage, _masked(storage))
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _masked(url: str) -> str:
    url = re.sub(r"(://[^/?#]*?:).*@", r"\1***@", url)
    return re.sub(r"([?&](?:password|passwd|pwd|sslpassword)=)[^&#]*", r"\1***", url)


def _drop_partial_line(path: Path) -> None:
    """Drop the partial line at a journal's end, which a kill during a write leaves.

    Optuna ignores a partial line at the end, but refuses the file once another line
    follows it.
    """
    from optuna.storages.journal import JournalFileSymlinkLock

    if not path.is_file() or _partial_line(path) == 0:
        return
    lock = JournalFileSymlinkLock(str(path))  # someone may be writing that line now
    lock.acquire()
    try:
        if size := _partial_line(path):
            os.truncate(path, path.stat().st_size - size)
            warnings.warn(
                f"{path} ended in a partial line, probably because a process was "
                f"killed while it wrote. These {size} bytes were dropped; the trial "
                "that they belong to runs again.",
                stacklevel=2,
            )
    finally:
        lock.release()


def _partial_line(path: Path) -> int:
    """Count the bytes after a journal's last whole line; 0 for any other file."""
    content = path.read_bytes()
    is_journal = content.startswith(_JOURNAL_START[: len(content)])
    return len(content) - content.rfind(b"\n") - 1 if is_journal else 0


def is_shared(storage: Any) -> bool:
    """Whether other processes can reach a storage."""
    if storage is None:
        return False
    from optuna.storages import InMemoryStorage

    return not isinstance(storage, InMemoryStorage)


@dataclass(frozen=True)
class StudyAddress:
    """Where workers in other processes, or on other machines, find the study.

    Parameters
    ----------
    storage : str or optuna.storages.BaseStorage
    name : str
    """

    storage: Any = field(repr=False)  # it may hold a password
    name: str

    @classmethod
    def of(cls, storage: Any, name: str) -> Self:
        """Return the address of a study; a path becomes absolute."""
        if isinstance(storage, str | Path) and not is_url(storage):
            storage = str(Path(storage).resolve())
        return cls(storage, name)

    def find_trial(self, number: int) -> Any:
        """Return an ``optuna.Trial`` of the study, for reports and pruning."""
        from optuna import Trial

        study, storage = _opened(self)
        trial_id = storage.get_trial_id_from_study_id_trial_number(
            storage.get_study_id_from_name(self.name), number
        )
        return Trial(study, trial_id)


@lru_cache(maxsize=4)
def _opened(address: StudyAddress) -> tuple[Any, Any]:
    import optuna

    storage = open_storage(address.storage)
    with quiet_optuna():
        return optuna.load_study(study_name=address.name, storage=storage), storage


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log, and its warnings about experimental features."""
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
    """Create a study, or reopen it if it has the same facts.

    Parameters
    ----------
    storage : str, Path, optuna storage or None
    name : str
    pruner : optuna.pruners.BasePruner
    facts : mapping of str to str
        What makes it the same search, as `facts_of` returns it.
    seed : int or None
        None takes the study's seed, or draws one for a new study.

    Returns
    -------
    study : optuna.Study
    seed : int

    Raises
    ------
    ValueError
        If the study belongs to another search, cannot be read, or is locked.
    """
    import optuna

    with quiet_optuna(), explain_errors(storage):
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
                f"{shown(storage)} holds a study {name!r} that thalweg did not make. "
                "Use another storage or another study_name."
            )
        study.set_user_attr("facts", dict(facts))
        if seed is None:
            seed = int(known.get("seed", int.from_bytes(os.urandom(3))))
        study.set_user_attr("seed", seed)
        return study, seed


def facts_of(
    estimator: Any, X: Any, y: Any, n_folds: int, space: Mapping[str, Any], metric: str
) -> dict[str, str]:
    """Summarize what makes a search the same, in short texts that can be compared."""
    content = _digest(_plain(X)) + _digest(_plain(y))
    settings = {
        k: re.sub(" at 0x[0-9a-f]+", "", str(v))
        for k, v in estimator.get_params().items()
        if k.split("__")[-1] not in _NOT_COMPARED
    }
    return {
        "estimator": f"{type(estimator).__name__} {_digest(sorted(settings.items()))}",
        "space": f"{', '.join(space)} {_digest(json.dumps(space, default=str))}",
        "metric": metric,
        "data": f"{len(y)} rows {content}",
        "division": f"{n_folds} fold(s)",
    }


def _plain(table: Any) -> Any:
    """Return a table's content in a form that joblib hashes reliably."""
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
            f"{shown(storage)} already holds a search named {name!r}, with another "
            f"{' and '.join(other)} ({seen}). Use another storage or another "
            "study_name."
        )


class Heartbeat:
    """Writes the heartbeats of a runner into its study while the context lasts.

    Parameters
    ----------
    study : optuna.Study

    Attributes
    ----------
    runner : str
        Tells this runner from any other.
    """

    def __init__(self, study: Any) -> None:
        self.study, self.runner = study, uuid4().hex[:12]
        self._done = Event()
        self._thread = Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> Self:
        self._beat(time.time())
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()
        self._beat(0.0)

    def _repeat(self) -> None:
        while not self._done.wait(HEARTBEAT_INTERVAL):
            self._beat(time.time())

    def _beat(self, at: float) -> None:
        line = {"at": at, "host": socket.gethostname(), "pid": os.getpid()}
        self.study.set_user_attr(f"runner {self.runner}", line)


def queue_lost(study: Any, runner: str) -> int:
    """Mark the trials of dead runners as failed, and queue them again; count them.

    A runner may have died just after it asked for a trial, before the trial says whose
    it is; or just after it marked a lost trial as failed, before it queued it again.
    Nobody else can be in the middle of that if no other runner lives.
    """
    alone = not any(
        _is_alive_runner(line)
        for key, line in study.user_attrs.items()
        if key.startswith("runner ") and key != f"runner {runner}"
    )
    trials, n_queued = study.get_trials(deepcopy=False), 0
    attempts = {(_index(t), t.user_attrs.get("attempt", 1)) for t in trials}
    for trial in trials:
        if trial.state.name == "RUNNING" and _is_lost(study, trial, runner, alone):
            n_queued += queue_again(study, trial)
        elif alone and was_lost(trial) and trial.user_attrs.get("index") is not None:
            attempt = int(trial.user_attrs.get("attempt", 1)) + 1
            if (_index(trial), attempt) not in attempts:
                _queue(study, trial, attempt)
                n_queued += 1
    return n_queued


def queue_again(study: Any, trial: Any) -> bool:
    """Mark a running trial as failed; queue its settings if attempts are left."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    attempt = int(trial.user_attrs.get("attempt", 1))
    index = index_of(study, trial)
    if trial.user_attrs.get("index") is None:  # its runner died before it wrote that
        study._storage.set_trial_user_attr(trial._trial_id, "index", index)
    try:
        study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, UpdateFinishedTrialError):
        return False  # another runner was faster
    if attempt < ATTEMPTS:
        _queue(study, trial, attempt + 1, index)
    return attempt < ATTEMPTS


def _queue(study: Any, trial: Any, attempt: int, index: int | None = None) -> None:
    index = _index(trial) if index is None else index
    attrs = {"index": index, "attempt": attempt}
    study.enqueue_trial(dict(trial.params), user_attrs=attrs)


def _index(trial: Any) -> int | None:
    return trial.user_attrs.get("index")


def index_of(study: Any, trial: Any) -> int:
    """Return a trial's place in the order, from 0, not counting repeated attempts."""
    known = trial.user_attrs.get("index")
    if known is not None:
        return known
    earlier = study.get_trials(deepcopy=False)[: trial.number]
    return trial.number - sum("attempt" in each.user_attrs for each in earlier)


def was_lost(trial: Any) -> bool:
    """Whether a trial was lost with its runner or worker, and queued again."""
    attempt = int(trial.user_attrs.get("attempt", 1))
    told = trial.user_attrs.get("told", {})  # written just before the state
    failed = trial.state.name == "FAIL" and told.get("state") != "failed"
    return failed and attempt < ATTEMPTS


def search_trial(trial: Any, space: Space) -> SearchTrial:
    """Turn a finished trial of Optuna's into a `SearchTrial`."""
    told = trial.user_attrs.get("told", {})
    value = np.nan if trial.value is None else float(trial.value)
    history = told.get("history")
    return SearchTrial(
        number=trial.number,
        params={k: _recorded(v) for k, v in settings(space, trial.params).items()},
        value=value,
        state=told.get("state", "failed"),
        seconds=told.get("seconds", 0.0),
        why=told.get("why", f"Its worker died {ATTEMPTS} times."),
        history=None if history is None else _history(history),
    )


def _recorded(value: Any) -> Any:
    """Return a parameter's value as a record holds it."""
    if isinstance(value, tuple | list):
        return tuple(map(_recorded, value))
    return value if isinstance(value, str | int | float | None) else repr(value)


def stored_result(result: TrialResult) -> dict[str, Any]:
    """Return what a study keeps of a result; of its history, the curves to draw."""
    columns = None
    if result.history is not None:
        names = ("loss", "validation_loss", "validation_score", "seconds")
        content = result.history.to_json()
        columns = {name: [_rounded(v) for v in content[name]] for name in names}
    return {
        "state": result.state,
        "seconds": round(result.seconds, 4),
        "why": result.why,
        "history": columns,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _history(columns: Mapping[str, Any]) -> History:
    filled = {
        k: [np.nan if v is None else v for v in own] for k, own in columns.items()
    }
    return History.from_columns(filled)


def _is_lost(study: Any, trial: Any, runner: str, alone: bool) -> bool:
    owner = trial.user_attrs.get("runner")
    if owner == runner:
        return False
    line = study.user_attrs.get(f"runner {owner}")
    if line is None:  # its runner died before it could sign the trial
        begun = trial.datetime_start
        late = begun is None or time.time() - begun.timestamp() > HEARTBEAT_TIMEOUT
        return alone or late
    return not _is_alive_runner(line)


def _is_alive_runner(line: Mapping[str, Any]) -> bool:
    """Whether a runner that left this heartbeat is still at work."""
    silent = time.time() - line["at"] > HEARTBEAT_TIMEOUT
    here = line["host"] == socket.gethostname()
    return not (silent or (here and not _is_alive(line["pid"])))


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # os.kill would end the process; the heartbeat decides instead
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
    return storages.RDBStorage(_checked(_with_driver(url)))


def _checked(url: str) -> str:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(url)
    except (ValueError, ArgumentError) as error:
        raise ValueError(
            f"search got storage={shown(url)!r}, which is not the URL of a database "
            f"({_hide_password(url, str(error))}). Write it as "
            "postgresql://user:password@host:port/name."
        ) from None
    return url


def _with_driver(url: str) -> str:
    """Name the driver of PostgreSQL that is installed, if the URL names none."""
    scheme, rest = url.split("://", 1)
    if scheme not in ("postgresql", "postgres"):
        return url
    for driver in ("psycopg", "psycopg2"):
        with suppress(ImportError):
            import_module(driver)
            return f"postgresql+{driver}://{rest}"
    raise ImportError("neither psycopg nor psycopg2 can be imported")


@contextmanager
def explain_errors(storage: Any) -> Iterator[None]:
    """Turn the errors of a storage's driver into a ValueError that says what to do."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except ImportError as error:
        raise ValueError(
            f"search got storage={shown(storage)!r}, whose driver is not installed "
            f"({error}). Install psycopg[binary] for PostgreSQL, redis for Redis, or "
            "grpcio and protobuf for Optuna's gRPC proxy."
        ) from _safe(storage, error)
    except json.JSONDecodeError as error:  # in a journal
        raise ValueError(_explanation(storage, error)) from error
    except (ValueError, OSError) as error:
        text = _hide_password(storage, str(error))
        if text != str(error):
            raise ValueError(text) from None
        raise
    except (OptunaError, SQLAlchemyError, RuntimeError, KeyError) as error:
        text = _explanation(storage, error)
        raise ValueError(text) from _safe(storage, error)


def _safe(storage: Any, error: Exception) -> Exception | None:
    """Return an error that Python may print, None if its text holds a password."""
    chain: list[BaseException] = [error]
    while cause := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(cause)
    texts = map(repr, chain)
    return error if all(_hide_password(storage, t) == t for t in texts) else None


def _explanation(storage: Any, error: Exception) -> str:
    text = _hide_password(storage, f"{error} {error.__cause__ or ''}")
    if "locked" in text:
        return (
            f"{shown(storage)} is locked by another program, and was not released "
            f"within {_BUSY_TIMEOUT:g} s. Close that program, or use another storage."
        )
    return (
        f"{shown(storage)} cannot be used to keep a study ({text.strip()[:300]}). Use "
        "another storage."
    )
