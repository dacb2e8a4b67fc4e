"""Threads: this fit's share of the processors, and BLAS held to one thread."""

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from thalweg.core import available_cpus, cpus_are_shared


class _Shared:
    """What concurrent fits in one process share: processors, and the hold on BLAS.

    BLAS is held to one thread while any of them runs: the kernel's own workers are
    the threads. The first in sets the limit and the last out restores what was there
    before, so that concurrent fits do not restore each other's limit.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew, in a forked child as well: its parent's threads are not there."""
        self.lock = threading.Lock()
        self.fitting = self.holding = 0
        self.before: list[int] = []

    @contextlib.contextmanager
    def hold_blas(self) -> Iterator[None]:
        """Hold NumPy's and SciPy's BLAS to one thread."""
        libraries = _blas_libraries()
        with self.lock:
            self.holding += 1
            if self.holding == 1:
                self.before = [library.get_num_threads() for library in libraries]
                for library in libraries:
                    _set_threads(library, 1)
        try:
            yield
        finally:
            with self.lock:
                self.holding -= 1
                if self.holding == 0:
                    for library, n in zip(libraries, self.before, strict=True):
                        _set_threads(library, n)

    @contextlib.contextmanager
    def processors(self) -> Iterator[int]:
        """Give this fit's share of the processors: its own, if one was dealt to it."""
        if cpus_are_shared():
            yield available_cpus()
            return
        with self.lock:
            self.fitting += 1
            share = max(1, available_cpus() // self.fitting)
        try:
            yield share
        finally:
            with self.lock:
                self.fitting -= 1


_shared = _Shared()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.reset)


def _set_threads(library: Any, count: int) -> None:
    # threadpoolctl 3.8 lets only the first thread that ever set a limit set another,
    # and silently does nothing for the rest. Our lock and count make it safe for all.
    setter = getattr(library, "_real_set_num_threads", library.set_num_threads)
    setter(count)


@functools.cache
def _blas_libraries() -> tuple[Any, ...]:
    """Find the loaded BLAS libraries: a search of milliseconds."""
    from threadpoolctl import ThreadpoolController

    return tuple(ThreadpoolController().select(user_api="blas").lib_controllers)


def steady() -> contextlib.AbstractContextManager[None]:
    """Hold BLAS to one thread between calls too.

    OpenBLAS's threads spin for some milliseconds after each product, on the processors
    that the kernel's own workers need: a full-batch method that multiplies between two
    calls became eight times slower.
    """
    return _shared.hold_blas()


def run(description: Any, rows: int, work: Callable[[int], Any]) -> Any:
    """Call ``work(workers)``, with BLAS held and processors shared where it matters."""
    many = description.workers(rows, 2) > 1
    if not many and not description.wants_blas(rows):
        return work(1)
    with _shared.hold_blas():
        if not many:
            return work(1)
        with _shared.processors() as share:
            return work(description.workers(rows, share))
