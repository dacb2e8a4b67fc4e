"""The driver of a search, between Optuna and joblib.

It asks for a trial, has it done (in a thread, in a process, or on another machine), and
tells what came of it. All of that happens here and nowhere else, so that a worker that
dies takes only its own trial with it, and that is queued again.
"""

import time
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from threading import Event, Lock
from typing import Any, cast

import numpy as np
from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

from thalweg.core import available_cpus, share_cpus
from thalweg.training import run_all
from thalweg.tuning.result import SearchTrial
from thalweg.tuning.samplers import make_sampler, round_size
from thalweg.tuning.space import Space, settings, suggest, walk
from thalweg.tuning.storage import (
    ATTEMPTS,
    Heartbeat,
    find_trial,
    index_of,
    is_shared,
    kept,
    queue_again,
    queue_lost,
    record,
    was_lost,
)
from thalweg.tuning.trial import Task, TrialHandle, TrialResult, try_settings

Callback = Callable[[SearchTrial], bool | None]

HOPELESS = 10
"""Failures, and nothing else, after which a search ends."""

_NUMBERS = {
    *("learning_rate", "learning_rate_init", "momentum", "beta_1", "beta_2"),
    *("alpha", "l1", "l2", "weight_decay", "dropout", "random_state", "tol"),
}
"""Parameters of networks that are of one kind whatever their values."""

_HANDFUL = 4  # trials for each worker, where joblib returns them all at once


@dataclass(frozen=True)
class Workers:
    """Who does the trials.

    Parameters
    ----------
    size : int
        Trials at once.
    asked : int
        For joblib, which knows better than we how many that is elsewhere.
    here : bool
        Whether they run in threads of this process.
    streams : bool
        Whether joblib gives each result as it comes.
    where : (storage, study's name) or None
        Where trials elsewhere report to; None where nothing is pruned.
    note : str
    """

    size: int
    asked: int
    here: bool
    streams: bool
    where: tuple[Any, str] | None
    note: str = ""

    @property
    def processors(self) -> int:
        """How many each trial may use; elsewhere, a worker is one."""
        return max(1, available_cpus() // self.size) if self.here else 1


@dataclass
class SearchRunner:
    """Asks for trials, has them done, and tells what came of them."""

    study: Any
    space: Space
    task: Task
    sampler: Any
    seed: int
    n_trials: float
    crew: Workers
    callbacks: tuple[Callback, ...] = ()
    notes: list[str] = field(default_factory=list)
    deadline: float = np.inf
    name: str = ""
    stop: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)
    asked: dict[int, Any] = field(default_factory=dict)
    failures: list[TrialResult] = field(default_factory=list)
    n_told: int = 0
    broken: Exception | None = None
    trouble: BaseException | None = None

    def run(self, timeout: float | None) -> None:
        """Go on until all trials are done, or time is up."""
        self.notes += [self.crew.note] * bool(self.crew.note)
        self.deadline = np.inf if timeout is None else time.time() + timeout
        with Heartbeat(self.study) as lease:
            self.name = lease.driver
            queue_lost(self.study, self.name)
            try:
                self._run()
            except KeyboardInterrupt:
                self.stop.set()
                self._queue_asked()
                if not any(map(_has_value, self.study.get_trials(deepcopy=False))):
                    raise
                self.notes.append("Interrupted from the keyboard.")

    def _run(self) -> None:
        barren = 0
        while not self._over() and self._left(self._goal()):
            before = self.n_told
            error = self._round(self._goal())
            barren = 0 if self.n_told > before else barren + 1
            if self.trouble is not None:
                raise self.trouble
            if error is not None and barren > ATTEMPTS:
                raise error

    def _round(self, goal: float) -> Exception | None:
        """Do trials until `goal` are begun; return what broke the crew, if it did."""
        # Who broke it is found out by doing what was lost one by one: otherwise the
        # trials beside it would be lost with it each time, and given up too.
        alone, self.broken = self.broken is not None, None
        with closing(self._outcomes(goal, alone)) as outcomes:
            try:
                for number, outcome in outcomes:
                    self._tell(number, outcome)
            except BaseException:
                self.stop.set()
                raise
        return self.broken

    def _outcomes(self, goal: float, alone: bool) -> Generator[tuple[int, TrialResult]]:
        calls = iter(partial(self._next, goal), None)
        crew, parallel = self.crew, cast(Any, Parallel)  # typed as if by texts alone
        if alone:
            calls = islice(calls, self._waiting())
        elif self._agree():
            while handful := list(islice(calls, crew.size)):
                yield from run_all(_work, handful, crew.size)
            return
        jobs = (delayed(_work)(*call) for call in calls)
        stream = "generator_unordered" if crew.streams else "list"
        workers = parallel(
            n_jobs=crew.asked, prefer="threads", return_as=stream,
            pre_dispatch=1 if alone else crew.size, batch_size=1,
        )  # fmt: skip
        try:
            if crew.streams:
                yield from workers(jobs)
            else:
                with workers:  # they stay from one handful to the next
                    most = 1 if alone else _HANDFUL * crew.size
                    while handful := list(islice(jobs, most)):
                        yield from workers(handful)
        except Exception as error:
            # What a trial raises is its outcome: this is of who should have done it.
            self.broken = error
            self._queue_asked()

    def _agree(self) -> bool:
        """Whether trials begun together may train as one program (`run_all`)."""
        names = {name.split("__")[-1] for name, _ in walk(self.space)}
        return not names

    def _goal(self) -> float:
        """Return how many trials may be begun before those at work are done."""
        if self.sampler != "narrowing" or self.n_trials == np.inf:
            return self.n_trials
        size = round_size(int(self.n_trials))
        return min(self.n_trials, (self._begun() // size + 1) * size)

    def _begun(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        return sum(t.state.name != "WAITING" and not was_lost(t) for t in trials)

    def _left(self, goal: float) -> bool:
        return self._waiting() > 0 or self._begun() < goal

    def _waiting(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        return sum(trial.state.name == "WAITING" for trial in trials)

    def _over(self) -> bool:
        """Whether no more trials are to be begun, whatever is left."""
        late = time.time() > self.deadline and (self.n_told or self.asked)
        hopeless = len(self.failures) >= HOPELESS and len(self.failures) == self.n_told
        return bool(late or hopeless or self.stop.is_set() or self.trouble)

    def _next(self, goal: float) -> tuple[Any, ...] | None:
        """Ask for a trial; joblib calls this from a thread of its own."""
        with self.lock:
            try:
                return self._ask() if not self._over() and self._left(goal) else None
            except BaseException as error:
                self.trouble = error
                return None

    def _ask(self) -> tuple[Any, ...]:
        trial = self.study.ask()
        trial.set_user_attr("driver", self.name)
        index = index_of(self.study, trial)
        trial.set_user_attr("index", index)
        most = int(min(self.n_trials, 2**31))
        self.study.sampler = make_sampler(
            self.sampler, self.seed, index, most, self.space
        )
        suggest(self.space, trial)
        self.asked[trial.number] = trial
        chosen = settings(self.space, trial.params)
        return self.task, trial.number, chosen, self._link(trial), self.crew.processors

    def _link(self, trial: Any) -> TrialHandle:
        where = self.crew.where
        if self.crew.here:
            return TrialHandle(where and trial, self.deadline, self.stop)
        return TrialHandle(
            where and partial(find_trial, *where, trial.number), self.deadline
        )

    def _tell(self, number: int, outcome: TrialResult) -> None:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        with self.lock, suppress(UpdateFinishedTrialError):  # or it was taken from us
            self.n_told += 1
            trial = self.asked.pop(number)
            trial.set_user_attr("told", kept(outcome))
            if outcome.state == "cut":
                trial.report(outcome.value, 2**31 - 1)  # a pruned trial's last is kept
            if outcome.state == "complete":
                self.study.tell(trial, outcome.value)
            elif outcome.state == "failed":
                self.failures.append(outcome)
                self.study.tell(trial, state=TrialState.FAIL)
            else:
                self.study.tell(trial, state=TrialState.PRUNED)
        done = record(self.study.get_trials(deepcopy=False)[number], self.space)
        answers = [callback(done) for callback in self.callbacks]
        if any(answer is True for answer in answers):
            self.stop.set()

    def _queue_asked(self) -> None:
        """Put back what nobody will answer for any more."""
        with self.lock:
            lost, self.asked = self.asked, {}
            trials = self.study.get_trials(deepcopy=False)
            for number in lost:
                queue_again(self.study, trials[number])


def _work(
    task: Task,
    number: int,
    chosen: Mapping[str, Any],
    link: TrialHandle,
    processors: int,
) -> tuple[int, TrialResult]:
    with share_cpus(processors):
        return number, try_settings(task, chosen, link)


def find_crew(n_jobs: int | None, where: tuple[Any, str] | None) -> Workers:
    """Find out who works, as joblib says and as many as there are processors."""
    active: tuple[Any, Any] = get_active_backend(prefer="threads")
    backend, usual = active
    here = bool(getattr(backend, "supports_sharedmem", False))
    streams = bool(getattr(backend, "supports_return_generator", True))
    if not here and where is not None and not is_shared(where[0]):
        raise ValueError(
            "search got a pruner, and trials run in other processes, which cannot "
            "report to a study in memory. Give storage= a file or a database that all "
            "can reach, or leave the pruner out."
        )
    elsewhere = type(backend).__name__ in ("DaskDistributedBackend", "RayBackend")
    if elsewhere:
        asked = -1 if n_jobs is None else n_jobs
        return Workers(backend.effective_n_jobs(asked), asked, here, streams, where)
    most = available_cpus()
    asked = n_jobs or (usual if usual and usual > 1 else -1)
    size = most + 1 + asked if asked < 0 else asked
    note = ""
    if size > most:
        note = f"n_jobs={n_jobs} is more than the {most} processors there are."
        warnings.warn(f"search got {note}", stacklevel=3)
    size = max(1, min(size, most))
    return Workers(size, size, here or size == 1, streams, where, note)


def _has_value(trial: Any) -> bool:
    return trial.value is not None
