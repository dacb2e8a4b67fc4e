"""How many processors a piece of work may use: its share, where several run at once.

Work that shares knows two things by it: not to take what the others need, and that
Ctrl-C is meant for all of them, not for itself alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_share: ContextVar[int | None] = ContextVar("share", default=None)
_keeps: ContextVar[bool] = ContextVar("keeps", default=False)


def available_cpus() -> int:
    """Count the processors that the work that asks may use.

    At most those of the process, and ``OMP_NUM_THREADS``, by which joblib's processes
    are told to take less.
    """
    mine = _share.get()
    if mine is not None:
        return mine
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(count, int(limit))) if limit.isdigit() else count


def cpus_are_shared() -> bool:
    """Whether the work that asks is one of several that were begun together."""
    return _share.get() is not None


@contextmanager
def share_cpus(count: int) -> Iterator[None]:
    """Let the work inside use `count` processors, and know that it is not alone."""
    token = _share.set(count)
    try:
        yield
    finally:
        _share.reset(token)


def interrupts_are_shared() -> bool:
    """Whether Ctrl-C is meant for all of the work that was begun together.

    Work of which each piece keeps what it has by then hears it by itself.
    """
    return cpus_are_shared() and not _keeps.get()


@contextmanager
def keep_on_interrupt() -> Iterator[None]:
    """Let each piece of the work inside keep what it has when it is interrupted."""
    token = _keeps.set(True)
    try:
        yield
    finally:
        _keeps.reset(token)
