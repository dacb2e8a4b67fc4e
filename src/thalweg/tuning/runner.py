"""The loop of a search, between Optuna, which chooses settings, and joblib.

The runner asks Optuna for a trial, has a worker run it (in a thread, in a process, or
on another machine), and tells Optuna the result. Only the runner changes the study, so
a worker that dies loses only its own trial, which is then queued again.
"""

import time
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from threading import Event, Lock
from typing import Any, Self, cast

import numpy as np
from joblib.parallel import BACKENDS, get_active_backend
from sklearn.utils.parallel import Parallel, delayed

from thalweg.core import asks_to_stop, available_cpus, share_cpus
from thalweg.tuning.result import SearchTrial
from thalweg.tuning.samplers import make_sampler, round_size
from thalweg.tuning.space import Space, settings, suggest
from thalweg.tuning.storage import (
    ATTEMPTS,
    Heartbeat,
    StudyAddress,
    index_of,
    queue_again,
    queue_lost,
    search_trial,
    stored_result,
    was_lost,
)
from thalweg.tuning.trial import Task, TrialHandle, TrialResult, run_trial

Callback = Callable[[SearchTrial], bool | None]

MOST_FAILURES = 10
"""A search ends after so many failures if no trial has succeeded."""

_BATCH = 4  # trials for each worker, where joblib returns them all at once


_LOCAL = ("loky", "threading", "multiprocessing", "sequential")
"""joblib's backends on this machine; others spread the work over a cluster."""


@dataclass(frozen=True)
class Workers:
    """The workers that run the trials.

    Parameters
    ----------
    size : int
        Trials at once.
    n_jobs : int
        What joblib is given. For a cluster it may be -1, as joblib knows its size.
    in_threads : bool
        Whether the trials run in threads of this process.
    streams : bool
        Whether joblib returns each result as soon as there is one.
    note : str
        What the user should know about them.
    """

    size: int
    n_jobs: int
    in_threads: bool
    streams: bool
    note: str = ""

    @classmethod
    def find(cls, n_jobs: int | None) -> Self:
        """Return the workers that joblib's configuration and `n_jobs` ask for."""
        active: tuple[Any, Any] = get_active_backend(prefer="threads")
        backend, configured = active
        in_threads = bool(getattr(backend, "supports_sharedmem", False))
        streams = bool(getattr(backend, "supports_return_generator", True))
        # Ray's backend is a subclass of a local one: the exact type tells them apart.
        if type(backend) not in [BACKENDS[name] for name in _LOCAL]:
            asked = -1 if n_jobs is None else n_jobs
            size = backend.effective_n_jobs(asked)
            return cls(size, asked, in_threads=in_threads, streams=streams)
        most = available_cpus()
        asked = n_jobs or (configured if configured and configured > 1 else -1)
        size = most + 1 + asked if asked < 0 else asked
        note = ""
        if size > most:
            note = (
                f"n_jobs={n_jobs} is more than the number of available processors, "
                f"which is {most}. {most} trials run at once."
            )
            warnings.warn(f"search: {note}", stacklevel=4)
        size = max(1, min(size, most))
        return cls(size, size, in_threads or size == 1, streams, note)

    @property
    def cpus_per_trial(self) -> int:
        """How many processors a trial may use; in another process, one."""
        return max(1, available_cpus() // self.size) if self.in_threads else 1


@dataclass(frozen=True, eq=False)
class Job:
    """A trial as a worker gets it."""

    task: Task
    number: int
    settings: Mapping[str, Any]
    handle: TrialHandle
    n_cpus: int


@dataclass(frozen=True, eq=False)
class FinishedJob:
    """A trial as a worker returns it."""

    number: int
    result: TrialResult


class _WorkersError(Exception):
    """The workers failed, rather than a trial; its cause says how."""


@dataclass(eq=False)
class SearchRunner:
    """Asks for trials, has them run, and tells their results.

    Parameters
    ----------
    study : optuna.Study
    space : Space
    task : Task
    sampler : str or optuna.samplers.BaseSampler
    seed : int
    n_trials : float
        Infinite for as many as the time allows.
    workers : Workers
    deadline : float
        ``time.time()`` after which no trial begins.
    address : StudyAddress, optional
        Where trials report to. None if nothing is pruned.
    callbacks : tuple of callable
    notes : list of str
        Grows by what the user should know.
    """

    study: Any
    space: Space
    task: Task
    sampler: Any
    seed: int
    n_trials: float
    workers: Workers
    deadline: float = np.inf
    address: StudyAddress | None = None
    callbacks: tuple[Callback, ...] = ()
    notes: list[str] = field(default_factory=list[str])
    failures: list[TrialResult] = field(default_factory=list[TrialResult], init=False)
    _n_told: int = field(default=0, init=False)
    _asked: dict[int, Any] = field(default_factory=dict[int, Any], init=False)
    _ask_error: BaseException | None = field(default=None, init=False)
    _stop: Event = field(default_factory=Event, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)
    _heartbeat: Heartbeat = field(init=False)

    def __post_init__(self) -> None:
        self._heartbeat = Heartbeat(self.study)

    def run(self) -> None:
        """Run trials until all are done, or the time is up."""
        with self._heartbeat:
            queue_lost(self.study, self._heartbeat.runner)
            try:
                self._run_batches()
            except KeyboardInterrupt:
                self._stop.set()
                self._queue_asked()
                if all(t.value is None for t in self.study.get_trials(deepcopy=False)):
                    raise
                self.notes.append("The search was interrupted from the keyboard.")

    def _run_batches(self) -> None:
        # A trial that kills its worker takes the trials beside it along. After a
        # failure of the workers, what was lost therefore runs one by one: only the
        # trial that kills is then given up.
        one_by_one, n_fruitless = False, 0
        while not self._must_end() and self._has_more():
            n_told = self._n_told
            error = self._run_batch(self._goal(), one_by_one)
            n_fruitless = 0 if self._n_told > n_told else n_fruitless + 1
            if self._ask_error is not None:
                raise self._ask_error
            if error is not None and n_fruitless > ATTEMPTS:
                raise error
            one_by_one = error is not None

    def _run_batch(self, goal: float, one_by_one: bool) -> BaseException | None:
        """Run trials until `goal` have begun; return the workers' error, if any."""
        with closing(self._finished(goal, one_by_one)) as finished:
            try:
                for job in finished:
                    self._tell(job)
            except _WorkersError as error:
                self._queue_asked()
                return error.__cause__
            except BaseException:
                self._stop.set()
                raise
        return None

    def _finished(
        self, goal: float, one_by_one: bool
    ) -> Generator[FinishedJob, None, None]:
        """Give each job as soon as joblib returns it."""
        jobs = iter(partial(self._next, goal), None)
        if one_by_one:
            jobs = islice(jobs, self._n_waiting())
        calls = (delayed(_work)(job) for job in jobs)
        workers = self.workers
        at_once = 1 if one_by_one else workers.size
        parallel = cast(Any, Parallel)(  # its types allow only texts
            n_jobs=workers.n_jobs, prefer="threads", batch_size=1, pre_dispatch=at_once,
            return_as="generator_unordered" if workers.streams else "list",
        )  # fmt: skip
        try:
            if workers.streams:
                yield from parallel(calls)
            else:
                with parallel:  # keeps the workers from one batch to the next
                    most = 1 if one_by_one else _BATCH * workers.size
                    while batch := list(islice(calls, most)):
                        yield from parallel(batch)
        except Exception as error:  # an exception in a trial would be its result
            raise _WorkersError from error

    def _goal(self) -> float:
        """Return how many trials may begin before those that run have ended."""
        if self.sampler != "narrowing" or self.n_trials == np.inf:
            return self.n_trials
        size = round_size(int(self.n_trials))
        return min(self.n_trials, (self._n_begun() // size + 1) * size)

    def _n_begun(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        return sum(t.state.name != "WAITING" and not was_lost(t) for t in trials)

    def _n_waiting(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        return sum(trial.state.name == "WAITING" for trial in trials)

    def _is_left(self, goal: float) -> bool:
        return self._n_waiting() > 0 or self._n_begun() < goal

    def _has_more(self) -> bool:
        """Whether trials are left, those of runners that died since included."""
        return self._is_left(self._goal()) or (
            queue_lost(self.study, self._heartbeat.runner) > 0
        )

    def _must_end(self) -> bool:
        """Whether no trial may begin any more, however many are left."""
        late = time.time() > self.deadline and (self._n_told or self._asked)
        n_failures = len(self.failures)
        hopeless = n_failures >= MOST_FAILURES and n_failures == self._n_told
        return bool(late or hopeless or self._stop.is_set() or self._ask_error)

    def _next(self, goal: float) -> Job | None:
        """Ask for a trial; joblib calls this from a thread of its own."""
        with self._lock:
            try:
                if self._must_end() or not self._is_left(goal):
                    return None
                return self._ask()
            except BaseException as error:
                self._ask_error = error
                return None

    def _ask(self) -> Job:
        trial = self.study.ask()
        trial.set_user_attr("runner", self._heartbeat.runner)
        index = index_of(self.study, trial)
        trial.set_user_attr("index", index)
        n_trials = int(min(self.n_trials, 2**31))
        self.study.sampler = make_sampler(
            self.sampler, self.seed, index, n_trials, self.space
        )
        suggest(self.space, trial)
        self._asked[trial.number] = trial
        return Job(
            task=self.task,
            number=trial.number,
            settings=settings(self.space, trial.params),
            handle=self._handle(trial),
            n_cpus=self.workers.cpus_per_trial,
        )

    def _handle(self, trial: Any) -> TrialHandle:
        if self.workers.in_threads:
            find = None if self.address is None else lambda: trial
            return TrialHandle(find, self.deadline, self._stop)
        find = self.address and partial(self.address.find_trial, trial.number)
        return TrialHandle(find, self.deadline)

    def _tell(self, job: FinishedJob) -> None:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        result = job.result
        # Another runner may have taken the trial over, and told it already.
        with self._lock, suppress(UpdateFinishedTrialError):
            self._n_told += 1
            trial = self._asked.pop(job.number)
            trial.set_user_attr("told", stored_result(result))
            if result.state == "cut":  # Optuna keeps the last value of a pruned trial
                trial.report(result.value, 2**31 - 1)
            if result.state == "complete":
                self.study.tell(trial, result.value)
            elif result.state == "failed":
                self.failures.append(result)
                self.study.tell(trial, state=TrialState.FAIL)
            else:
                self.study.tell(trial, state=TrialState.PRUNED)
        record = search_trial(self._trial(job.number), self.space)
        answers = [callback(record) for callback in self.callbacks]
        if any(map(asks_to_stop, answers)):
            self._stop.set()

    def _trial(self, number: int) -> Any:
        return self.study.get_trials(deepcopy=False)[number]

    def _queue_asked(self) -> None:
        """Queue again the trials that no worker will return."""
        with self._lock:
            lost, self._asked = self._asked, {}
            for number in lost:
                queue_again(self.study, self._trial(number))


def _work(job: Job) -> FinishedJob:
    with share_cpus(job.n_cpus):
        result = run_trial(job.task, job.settings, job.handle)
    return FinishedJob(job.number, result)
