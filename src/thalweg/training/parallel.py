"""Several independent trainings at once.

The kernel lets go of Python's lock while it computes, so threads are enough: each
training gets its share of the processors, and none waits for another. Which of them
runs when never shows in what comes out.
"""

import ctypes
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, TypeVar

from thalweg.core import available_cpus, inside, share_cpus

Result = TypeVar("Result")


def make_ray_known() -> None:
    """Let ``joblib.parallel_config`` find Ray by its name, as it finds Dask."""
    from joblib.parallel import EXTERNAL_BACKENDS

    EXTERNAL_BACKENDS.setdefault("ray", _register_ray)


def _register_ray() -> None:
    from ray.util.joblib import register_ray

    register_ray()


def run_all(
    function: Callable[..., Result],
    jobs: Iterable[tuple[Any, ...]],
    n_jobs: int | None = -1,
) -> list[Result]:
    """Call ``function(*job)`` for each job, several at once.

    Parameters
    ----------
    function : callable
        Each call trains or tries something that does not depend on the others.
    jobs : iterable of tuple
        Arguments of each call.
    n_jobs : int or None
        Calls at once, as in joblib: on threads, all processors for -1, unless
        ``joblib.parallel_config`` names another backend, such as ``"dask"``. Each call
        has ``processors / n_jobs`` for itself, at least one.

    Returns
    -------
    list
        What the calls returned, in the order of the jobs.

    Raises
    ------
    Exception
        What a call raised, with a note that says which one. As with Ctrl-C, those
        still at work are stopped then and those to come not begun.
    """
    # joblib takes long to import, which predicting does not need.
    from joblib import effective_n_jobs

    calls = list(jobs)
    asked: Any = n_jobs  # may be None, whatever joblib's types say
    at_once = max(1, min(effective_n_jobs(asked), len(calls)))
    group = _Group(function, len(calls), max(1, available_cpus() // at_once))
    if at_once > 1 and _on_threads():
        return _side_by_side(group, calls, at_once)
    from sklearn.utils.parallel import Parallel, delayed

    try:
        found: Any = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(group.do)(number, job) for number, job in enumerate(calls, 1)
        )
    except BaseException:
        group.stop()
        raise
    return list(found)


def _on_threads() -> bool:
    """Whether joblib would take threads: no other backend is asked for."""
    from joblib.parallel import ThreadingBackend, get_active_backend

    return type(get_active_backend(prefer="threads")[0]) is ThreadingBackend


def _side_by_side(
    group: "_Group", calls: list[tuple[Any, ...]], at_once: int
) -> list[Any]:
    """Do the jobs on threads of our own.

    joblib sleeps 10 ms each time that it looks whether a job is done, in which eight
    networks are trained on a small table.
    """
    from sklearn import config_context, get_config

    settings = get_config()  # which scikit-learn keeps by thread

    def do(number: int, job: tuple[Any, ...]) -> Any:
        with config_context(**settings):
            return group.do(number, job)

    with ThreadPoolExecutor(at_once) as threads:
        try:
            begun = [threads.submit(do, *each) for each in enumerate(calls, 1)]
            # An interrupt that another thread sends is heard between two waits only.
            while (seen := wait(begun, 0.05, FIRST_EXCEPTION)).not_done:
                for each in seen.done:
                    each.result()  # which raises, if that raised
            return [each.result() for each in begun]
        except BaseException:
            group.stop()
            raise


_lock = threading.Lock()


@dataclass
class _Group:
    """What is being done, and the threads that are at it."""

    function: Callable[..., Any]
    size: int
    processors: int
    running: set[int] = field(default_factory=set)
    stopped: bool = False

    def do(self, number: int, job: tuple[Any, ...]) -> Any:
        """Do one of the jobs."""
        here = threading.get_ident()
        try:
            return self._work(here, job)
        except Exception as error:
            self.stopped = True
            note = f"This happened in training {number} of {self.size}, side by side."
            error.add_note(note)
            raise
        except KeyboardInterrupt:
            self.running.discard(here)
            # In a thread of the pool it came from `stop`, and nobody waits for it.
            if threading.current_thread() is threading.main_thread():
                raise

    def _work(self, here: int, job: tuple[Any, ...]) -> Any:
        with _lock:
            if self.stopped:
                return None
            self.running.add(here)
        try:
            with share_cpus(self.processors), inside():
                return self.function(*job)
        finally:
            with _lock:
                self.running.discard(here)

    def stop(self) -> None:
        """Interrupt the threads at work, as Ctrl-C does the main one, and wait."""
        raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
        with _lock:
            self.stopped = True
            self.running.discard(threading.get_ident())
            for thread in self.running:
                raise_in(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))
        while self.running:
            time.sleep(0.001)
