"""Imports on first use, and forks: `importing`.

A child that is forked while another thread imports a module inherits the lock of that
module from a thread that it does not have, and hangs when it needs the module. So a
fork waits for the imports on first use that other threads have begun. Imports do not
wait for each other: Python's own locks see to them.
"""

# The first two acquire locks before a fork and release them after it.
# If they were imported while a fork waits, they would only release.
import concurrent.futures.thread  # noqa: F401
import logging  # noqa: F401
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident

_PATIENCE = 60.0
"""Seconds after which a fork waits no longer."""

_depths: dict[int, int] = {}
"""How many imports on first use each thread is within."""


@contextmanager
def importing() -> Iterator[None]:
    """Let forks wait while this holds."""
    thread = get_ident()
    _depths[thread] = _depths.get(thread, 0) + 1
    try:
        yield
    finally:
        _depths[thread] -= 1
        if not _depths[thread]:
            del _depths[thread]


def _wait() -> None:
    until, own = time.monotonic() + _PATIENCE, get_ident()
    while any(each != own for each in list(_depths)) and time.monotonic() < until:
        time.sleep(0.001)


def _forget_others() -> None:
    own = get_ident()
    for thread in [each for each in _depths if each != own]:
        del _depths[thread]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait, after_in_child=_forget_others)
