"""Trainings begun together, those of one kind trained as one program where that pays.

Each runs in a thread of its own until it is about to train its network. There it waits
until all the others have come as far, or have ended; then those of one kind are trained
at once, and each goes on with its own weights as if nobody else had been there. So
whatever prepares a training and whatever judges it (an estimator, a trial of a search)
need not know. Those that nobody resembles train by themselves.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from thalweg import engines
from thalweg.core import (
    Array,
    Data,
    DenseNetwork,
    Network,
    Parameters,
    Plan,
    StopReason,
    batch_rows,
    cpus_are_shared,
)
from thalweg.training.loop import Loop, attend
from thalweg.training.monitor import TrainingMonitor

_ROWS_AT_ONCE = 1 << 24


@dataclass(eq=False)
class Member:
    """A training that waits; to its loop and its watch, a session.

    The fields are what `thalweg.training.loop.train` has at hand.
    """

    network: DenseNetwork | Network
    plan: Plan
    data: Data
    first: Any
    seed: int
    size: int
    rng: np.random.RandomState
    monitor: TrainingMonitor
    engine: str
    heeds_stop: ClassVar[bool] = False
    called: bool = False
    why: str = ""  # as `Run.engine` says it; empty if it is to train alone
    reason: StopReason | Exception = field(init=False)
    seen: tuple[Array, Array] = field(init=False)
    copy: Callable[[], Parameters] = field(init=False)

    def __post_init__(self) -> None:
        args = self.data.n_rows, self.size, self.rng, self.monitor
        self.loop = Loop(self.plan, self, *args)

    def pick(self, n_members: int) -> tuple[ModuleType | None, str]:
        """Ask for what would train so many like it as one program, if that pays."""
        rows = batch_rows(self.plan, self.data.n_rows) * n_members
        return engines.pick_for_many(self.engine, self.network, self.plan, rows)

    def validate(self) -> tuple[Array, Array]:
        """Raw outputs and losses on its validation rows, as last computed."""
        return self.seen

    def parameters(self) -> Parameters:
        """Copy its weights."""
        return self.copy()

    def state(self) -> None:
        """Nothing: what goes on from here may be another engine."""


class BatchScheduler:
    """Where trainings wait for each other.

    Parameters
    ----------
    n_expected : int
    at_once : int
        How many may work at a time; those that wait do not count.
    """

    def __init__(self, n_expected: int, at_once: int) -> None:
        self._room = threading.Semaphore(at_once)
        self._expected = self._missing = n_expected
        self._waiting: dict[int, Member] = {}
        self._changed = threading.Condition()
        self._dissolved = self._stopped = False

    def do(self, number: int, work: Callable[[], Any]) -> Any:
        """Do one of the jobs, in a thread of its own."""
        attend.set(partial(self._wait, number))
        try:
            with self._room:
                return work()
        except BaseException:
            self.stop()
            raise
        finally:
            with self._changed:
                self._missing -= 1
                self._changed.notify_all()

    def conduct(self) -> None:
        """Train those that wait, each time that all do, until the last has ended."""
        while members := self._all_here():
            groups = _groups(members)
            for group in groups:
                _train(*group)
            with self._changed:
                self._dissolved = not groups  # to wait again would be in vain
                self._missing += len(members)
                for member in members:
                    member.called = True
                self._changed.notify_all()

    def stop(self) -> None:
        """Send away those that wait."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _wait(self, number: int, *asked: Any) -> Member | None:
        """Wait until trained; None says to train alone."""
        member = Member(*asked)
        if self._dissolved or member.pick(self._expected)[0] is None:
            return None
        self._room.release()
        with self._changed:
            self._waiting[number] = member
            self._missing -= 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: member.called or self._stopped)
        self._room.acquire()
        if not member.called:
            raise KeyboardInterrupt
        if not member.why:
            return None
        if isinstance(member.reason, Exception):
            raise member.reason
        return member

    def _all_here(self) -> list[Member]:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._missing)
            waiting, self._waiting = self._waiting, {}
        return [] if self._stopped else [waiting[k] for k in sorted(waiting)]


_Group = tuple[ModuleType, str, list[Member]]


def _groups(members: Sequence[Member]) -> list[_Group]:
    """Gather those that are fastest trained as one program."""
    groups: dict[Any, _Group] = {}
    for each in members:
        module, why = each.pick(len(members))
        if module is not None:
            kind = module.kind_of(each.network, each.plan)
            look = kind, _look(each.data), _look(each.monitor.held_out)
            groups.setdefault(look, (module, why, []))[2].append(each)
    return [group for group in groups.values() if len(group[2]) > 1]


def _look(data: Data | None) -> Any:
    """Return what rows that are stacked must agree in."""
    return data and (data.X.shape, data.y.shape, data.y.dtype, data.dtype)


def _train(module: ModuleType, why: str, members: Sequence[Member]) -> None:
    """Train members of one kind as one program, each until it has a reason to stop."""
    population = module.Population(
        [member.network for member in members],
        [member.plan for member in members],
        [member.data for member in members],
        [member.first for member in members],
        [member.seed for member in members],
        [each.monitor.held_out for each in members if each.monitor.held_out],
    )
    for number, member in enumerate(members):
        member.copy = partial(population.parameters, number)
        member.monitor.subject = member
        member.loop.n_parameters *= len(members)
        member.why = f"{why}; {len(members)} as one program"
    reasons: dict[int, StopReason | Exception] = {}
    try:
        while going := [k for k in range(len(members)) if k not in reasons]:
            _advance(population, members, going, reasons)
    except KeyboardInterrupt:
        if cpus_are_shared():
            raise
    for number, member in enumerate(members):
        member.reason = reasons.get(number, StopReason.INTERRUPTED)


def _advance(
    population: Any,
    members: Sequence[Member],
    going: Sequence[int],
    reasons: dict[int, StopReason | Exception],
) -> None:
    """Train those still going for as many epochs as none of them must be judged in."""
    loops = [member.loop for member in members]
    most = max(_ROWS_AT_ONCE // (loops[0].n_rows * len(loops)), 1)
    n_epochs = min(most, *(min(loops[k].chunk(), loops[k].left) for k in going))
    asked = {k: loops[k].ask(n_epochs) for k in going}
    some = asked[going[0]]
    each = [asked.get(k, some) for k in range(len(loops))]
    orders, rates, mixes = zip(*each, strict=True)
    flags = np.isin(np.arange(len(loops)), going)
    sums = population.advance(orders, np.array(rates), np.array(mixes), flags)
    if members[0].monitor.held_out is not None:
        for member, *seen in zip(members, *population.validate(), strict=True):
            member.seen = seen[0], seen[1]
    for k in going:
        try:
            reason = loops[k].tell(sums[k])
        except Exception as error:  # of a callback or a scorer: for its own thread
            reason = error
        if reason or not loops[k].left:
            reasons[k] = reason or StopReason.MAX_EPOCHS
