"""Checkpoints: a training that was ended from outside goes on where it was.

A `Checkpoint` is a file with a `Part` for each training of one call: one for `fit`, one
for each member of `fit_population`. After each epoch a training offers its part a
snapshot of its state. The part takes it when a write is due, and the whole file is
written in one step, as a model file. The same call again finds its part in the file,
checks that it is of the same network, plan and data, and goes on from it.

A file that is not due yet may still be needed: an end from outside leaves 5 seconds
(`signals.py`). So a snapshot of an epoch that took long is kept in memory, too.
"""

import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.core import Array, StopReason, check_word, shown
from thalweg.io import (
    PathLike,
    check_output,
    read_model,
    write_model_file,
)

EVERY = 30.0
"""Seconds between two writes, unless a user says otherwise."""

_SHARE = 50
"""By default, a file is written for at most one part in so many of the time."""

_IN_MEMORY = 1.0
"""Seconds after which a snapshot is taken even if no write is due."""

_UNITS = {
    "epoch": 0.0, "epochs": 0.0, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
}  # fmt: skip

_FORMAT = 1
"""Version of the content; this one is read."""

Snapshot = dict[str, Any]
"""The state of a training: nested dicts and lists of numbers, texts and arrays."""


@dataclass(frozen=True)
class Interval:
    """How often a checkpoint is written: after so many epochs, or seconds."""

    epochs: int | None = None
    seconds: float = EVERY
    chosen: bool = False

    @classmethod
    def of(cls, given: Any, owner: str = "fit") -> "Interval":
        """Read what a user gave: 5 (epochs), 60.0 (seconds), "10 min" or None.

        Raises
        ------
        ValueError
            If it is none of these.
        """
        if given is None:
            return cls()
        epochs = isinstance(given, Integral) and not isinstance(given, bool | np.bool_)
        if epochs and int(given) >= 1:
            return cls(epochs=int(given), chosen=True)
        real = isinstance(given, Real) and not isinstance(given, Integral | np.bool_)
        if real and 0 <= float(given) < np.inf:
            return cls(seconds=float(given), chosen=True)
        found = None
        if isinstance(given, str):
            found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", given.lower())
        if found is not None and (found[2] or "epochs") in _UNITS:
            number, unit = float(found[1]), _UNITS[found[2] or "epochs"]
            if unit:
                return cls(seconds=number * unit, chosen=True)
            if number >= 1 and number == int(number):
                return cls(epochs=int(number), chosen=True)
        raise ValueError(
            f"{owner} got checkpoint_every={shown(given)}; it must be a whole number "
            "of epochs such as 5, a number of seconds such as 60.0, or a text such as "
            '"10 min" or "5 epochs".'
        )


class Terminated(BaseException):
    """Ends a training after SIGTERM where it is; its state is in its part."""


@dataclass(eq=False)
class Part:
    """The state of one training within a checkpoint.

    Parameters
    ----------
    file : Checkpoint
    name : str
    found : dict or None
        The state to go on from, as the file had it; None for a training that begins.
    """

    file: "Checkpoint"
    name: str
    found: Snapshot | None = None
    epochs: int = 0
    context: Snapshot = field(default_factory=dict)
    latest: Snapshot | None = None
    _taken: float = field(default_factory=time.perf_counter)
    _last: int = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.epochs

    @property
    def stops(self) -> bool:
        """Whether an end was asked for from outside."""
        return self.file.stop_reason is not None

    def pop(self) -> Snapshot | None:
        """Return the state to go on from, once."""
        found, self.found = self.found, None
        return found

    def begin_at(self, rng: np.random.RandomState, fixed: bool) -> None:
        """Let a generator begin where that of the training to go on from began.

        Parameters
        ----------
        rng : RandomState
        fixed : bool
            Whether the user gave the seed, which must then be the same.

        Raises
        ------
        ValueError
            If it is another one.
        """
        begun = generator_state(rng)
        if self.found is not None:
            theirs = self.found["begun"]
            if fixed and not np.array_equal(theirs["words"], begun["words"]):
                raise self.refusal("random_state is another one than it was there")
            set_generator(rng, theirs)
            begun = theirs
        self.context["begun"] = begun

    def refusal(self, why: str) -> ValueError:
        """Return the error that says why a training cannot go on from the file."""
        return ValueError(
            f"Cannot resume from checkpoint {self.file.path}: {why}. Pass "
            "resume=False to start anew, which replaces the file, or give another "
            "path."
        )

    def offer(
        self, epochs: int, take: Callable[[], Snapshot], done: bool = False,
        fresh: bool = True,
    ) -> StopReason | None:  # fmt: skip
        """Keep the state after an epoch if it is due; a reason says stop.

        Parameters
        ----------
        epochs : int
            How many were done, over all phases.
        take : callable
            Returns the state.
        done : bool
            Whether the training has ended.
        fresh : bool
            False if `latest` is the state already.
        """
        wanted, stop = self.is_wanted(epochs, done), self.file.stop_reason
        due = self._is_due(time.perf_counter())
        if wanted:
            if fresh:
                self.latest = {**self.context, **take(), "epochs": epochs}
            self._taken = time.perf_counter()
        if due:
            self._last = epochs
            self.file.write()
        return None if done else stop

    def is_wanted(self, epochs: int, done: bool = False) -> bool:
        """Whether the state after so many epochs is to be kept."""
        self.epochs, now = epochs, time.perf_counter()
        late = now - self._taken > _IN_MEMORY
        return done or self.stops or late or self._is_due(now)

    def offer_within(self, epochs: int, take: Callable[[], Snapshot]) -> None:
        """Keep the state within an epoch, as `offer`, by the time alone.

        Raises
        ------
        Terminated
            After SIGTERM, if the program is to end.
        """
        now = time.perf_counter()
        due = self.file.every.epochs is None and self.file.is_due(now)
        if due or self.file.terminates or now - self._taken > _IN_MEMORY:
            self.latest = {**self.context, **take(), "epochs": epochs}
            self._taken = now
        if due:
            self.file.write()
        if self.file.terminates:
            raise Terminated

    def room(self) -> int:
        """Return how many epochs may go by before a write is due."""
        every = self.file.every.epochs
        return 10**9 if every is None else every - (self.epochs - self._last) % every

    def _is_due(self, now: float) -> bool:
        every = self.file.every
        if every.epochs is not None:
            return self.epochs - self._last >= every.epochs
        return self.file.is_due(now)


class Checkpoint:
    """The file of a call that can be resumed; `open_checkpoint` makes one.

    Parameters
    ----------
    path : Path
    every : Interval
    found : dict of str to dict
        The parts that the file had.
    """

    def __init__(self, path: Path, every: Interval, found: dict[str, Snapshot]) -> None:
        self.path, self.every, self.found = path, every, found
        self.parts: dict[str, Part] = {}
        self.stop_reason: StopReason | None = None
        self.terminates = self.guarded = False
        self._lock = threading.Lock()
        self._written, self._cost, self._warned = time.perf_counter(), 0.0, False

    def part(self, name: str = "fit") -> Part:
        """Return the part of one training."""
        found = self.found.get(name)
        part = Part(self, name, found, found["epochs"] if found else 0)
        self.parts[name] = part
        return part

    @property
    def file(self) -> "Checkpoint":
        """The file itself, as `Named` has one."""
        return self

    def named(self, name: str) -> "Named":
        """Return the same file for one of several trainings of a call."""
        return Named(self, name)

    def begin_at(
        self, rng: np.random.RandomState, fixed: bool, name: str = "generator"
    ) -> None:
        """Let the generator of a call that trains several parts begin as it did."""
        part = self.part(name)
        part.begin_at(rng, fixed)
        part.latest = {**part.context, "epochs": 0}

    def end_part(self) -> None:
        """Write the file at the end of one of several trainings, if that is due."""
        if self.every.epochs is not None or self.is_due(time.perf_counter()):
            self.write()

    @property
    def epochs(self) -> int:
        """The epochs that the parts have done, all together."""
        return sum(part.latest["epochs"] for part in self.parts.values() if part.latest)

    def is_due(self, now: float) -> bool:
        """Whether so many seconds have gone by that the file is to be written."""
        every = self.every
        wait = every.seconds
        if not every.chosen:
            wait = max(wait, _SHARE * self._cost)
        return now - self._written >= wait

    def write(self) -> bool:
        """Write the file; if that fails, warn and leave the old one as it is."""
        with self._lock:
            begun = time.perf_counter()
            parts = dict(self.found)
            for name, part in list(self.parts.items()):
                if part.latest is not None:
                    parts[name] = part.latest
            if not parts:
                return False
            try:
                write_checkpoint(self.path, parts)
            except OSError as error:
                self._warn(error)
                return False
            finally:
                self._written = time.perf_counter()
                self._cost = self._written - begun
            self._warned = False
            return True

    def _warn(self, error: OSError) -> None:
        if self._warned:
            return
        self._warned = True
        warnings.warn(
            f"The checkpoint {self.path} was not written ({error}) The training goes "
            "on. The file that was there, if any, stays as it was; the next write is "
            "tried in its turn.",
            RuntimeWarning,
            stacklevel=2,
        )


@dataclass(frozen=True)
class Named:
    """A checkpoint as one of several trainings of a call has it."""

    file: Checkpoint
    name: str

    def part(self, name: str = "fit") -> Part:
        """Return the part of one training."""
        return self.file.part(self.name if name == "fit" else f"{self.name}, {name}")

    def named(self, name: str) -> "Named":
        """Return the same file for one of several trainings of this one."""
        return Named(self.file, f"{self.name}, {name}")

    def begin_at(self, rng: np.random.RandomState, fixed: bool) -> None:
        """Let the generator of a call that trains several parts begin as it did."""
        self.file.begin_at(rng, fixed, f"{self.name}, generator")


Kept = Checkpoint | Named


def open_checkpoint(
    path: PathLike | Kept | None,
    every: Any = None,
    resume: Any = "auto",
    owner: str = "fit",
) -> Kept | None:
    """Prepare the file that a training is kept in; None if no path is given.

    Parameters
    ----------
    path : path-like, Checkpoint, Named or None
        One that is open already is returned as it is.
    every
        What `Interval.of` takes.
    resume : {"auto", True, False}
        Whether to go on from the file: if it is there, in any case, or never.

    Raises
    ------
    TypeError
        If `path` is no path.
    OSError
        If the file cannot be written there; or with ``resume=True`` if it is not there.
    ValueError
        If the file is damaged, is of a newer version, or holds something else.
    """
    if isinstance(path, Checkpoint | Named):
        return path
    every = Interval.of(every, owner) if path is not None or every is None else every
    if not isinstance(resume, bool | np.bool_):
        check_word("resume", resume, ("auto", True, False), owner=owner)
    if path is None:
        if every != Interval() or resume != "auto":
            name = "resume" if resume != "auto" else "checkpoint_every"
            raise ValueError(
                f"{owner} got {name} without checkpoint, the path of the file to keep "
                f"the training in. Give checkpoint too, or leave {name} out."
            )
        return None
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"{owner} got checkpoint={shown(path)}; it must be the path of a file, a "
            "str or path-like."
        )
    check_output(path)
    target = Path(path)
    exists = target.exists()
    if resume is True and not exists:
        raise FileNotFoundError(
            f"{owner} got resume=True, but there is no checkpoint {target}. Check the "
            'name and folder, or leave resume="auto" to begin one.'
        )
    found = read_checkpoint(target) if exists and resume else {}
    if exists and not resume:
        _check_replaceable(target)
    return Checkpoint(target, every, found)


def write_checkpoint(path: PathLike, parts: Mapping[str, Snapshot]) -> None:
    """Write the states of some trainings into one file."""
    arrays: dict[str, Array] = {}
    content = {name: _packed(part, name, arrays) for name, part in parts.items()}
    write_model_file(path, "checkpoint", {"version": _FORMAT, "parts": content}, arrays)


def read_checkpoint(path: PathLike) -> dict[str, Snapshot]:
    """Read what `write_checkpoint` wrote.

    Raises
    ------
    OSError, ValueError
        As `read_model`; the messages say how to start anew.
    """
    try:
        version, parts = read_model(path, {"checkpoint": _rebuilt})
    except ValueError as error:
        if "newer thalweg" in str(error):
            raise ValueError(f"Cannot resume from checkpoint: {error}") from error
        what = "it holds another kind of model"
        if "damaged" in str(error):
            what = "it is damaged, or it is not a checkpoint"
        raise ValueError(
            f"Cannot resume from checkpoint {path}: {what}. Give another path, restore "
            "a copy, or delete the file to start anew."
        ) from error
    if version != _FORMAT:
        raise ValueError(
            f"Cannot resume from checkpoint {path}: it was written by "
            f"{'a newer' if version > _FORMAT else 'an older'} thalweg (checkpoint "
            f"version {version}; this one reads {_FORMAT}). Resume with that version, "
            "or pass resume=False to start anew."
        )
    return parts


def _rebuilt(content: Any, arrays: Mapping[str, Array]) -> tuple[int, Any]:
    if "version" not in content:  # what fit_over_hosts of 0.1.0 wrote
        return 0, {}
    if content["version"] != _FORMAT:
        return int(content["version"]), {}
    return _FORMAT, {
        name: _unpacked(part, arrays) for name, part in content["parts"].items()
    }


def _check_replaceable(path: Path) -> None:
    """Raise ValueError for a file that is no checkpoint, not even a damaged one."""
    with suppress(OSError):
        with open(path, "rb") as file:
            head = file.read(1 << 16)
        # An empty file, or one of zeros, is what a crash of the machine may leave.
        if not head.strip(b"\0") or b'"kind\\": \\"checkpoint\\"' in head:
            return
    raise ValueError(
        f"{path} is there already, and it is not a checkpoint; it would be replaced. "
        "Give another path, or delete that file."
    )


def _packed(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    """Turn a state into what JSON holds; its arrays go to `arrays`, by their place."""
    if isinstance(value, np.ndarray):
        arrays[place] = value
        return {"array": place}
    if isinstance(value, Mapping):
        return {
            "dict": {k: _packed(v, f"{place}.{k}", arrays) for k, v in value.items()}
        }
    if isinstance(value, list | tuple):
        return [_packed(v, f"{place}.{k}", arrays) for k, v in enumerate(value)]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": str(value)}
    return value


def _unpacked(content: Any, arrays: Mapping[str, Array]) -> Any:
    """Undo `_packed`; a tuple comes back as a list."""
    if isinstance(content, list):
        return [_unpacked(each, arrays) for each in content]
    if not isinstance(content, dict):
        return content
    ((kind, own),) = content.items()
    if kind == "array":
        return arrays[own]
    if kind == "float":
        return float(own)
    return {name: _unpacked(each, arrays) for name, each in own.items()}


def generator_state(rng: np.random.RandomState) -> Snapshot:
    """Return a generator's state."""
    _, words, position, has_gauss, gauss = rng.get_state()
    return {
        "words": np.array(words), "position": int(position),
        "has_gauss": int(has_gauss), "gauss": float(gauss),
    }  # fmt: skip


def set_generator(rng: np.random.RandomState, state: Snapshot) -> None:
    """Let a generator go on from a state."""
    names = "words", "position", "has_gauss", "gauss"
    _, *plain = rng.get_state()
    kinds = [np.array, *(type(each) for each in plain[1:])]
    values = [kind(state[name]) for kind, name in zip(kinds, names, strict=True)]
    rng.set_state(("MT19937", *values))
