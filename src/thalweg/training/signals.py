"""Ends that come from outside, while a training is kept in a checkpoint.

SIGTERM is how a cluster takes a machine away. The training stops after its epoch, the
checkpoint is written, and the program ends with code 143. A signal is handled in Python
only between two calls into compiled code, and an epoch may be one such call that takes
minutes. So a thread learns of the signal at once, through a pipe. After 5 seconds it
writes what was last kept in memory, and ends the program itself.

Ctrl-C stops after the epoch. A second one stops at once, as it does without a
checkpoint. Handlers belong to the main thread, and what was there before is put back.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from thalweg.core import StopReason
from thalweg.training.checkpoint import Checkpoint, Terminated

GRACE = 5.0
"""Seconds after SIGTERM in which an epoch may still end."""

EXIT_CODE = 128 + signal.SIGTERM


@contextmanager
def kept_from_outside(file: Checkpoint | None) -> Iterator[None]:
    """Write a checkpoint at the end of a training, whatever ends it from outside.

    Parameters
    ----------
    file : Checkpoint or None
        With None nothing is done.

    Raises
    ------
    SystemExit
        With code 143 after SIGTERM, once the file is written; a handler that the
        program had is called instead.
    KeyboardInterrupt
        After a second Ctrl-C.
    """
    if file is None or threading.current_thread() is not threading.main_thread():
        yield
        if file is not None:
            file.write()
        return
    ends = _Ends(file)
    ends.listen()
    try:
        with suppress(Terminated):
            yield
        written = file.write()
    finally:
        ends.leave()
    if ends.terminated:
        ends.exit(written)


class _Ends:
    """The handlers of a training's signals, and the thread that keeps the time."""

    def __init__(self, file: Checkpoint) -> None:
        self.file, self.terminated, self.frame = file, False, None
        self._before: dict[int, Any] = {}
        self._ended = threading.Event()
        self._fd = -1

    def listen(self) -> None:
        """Take the signals over."""
        for number, handler in (
            (signal.SIGTERM, self._terminate),
            (signal.SIGINT, self._interrupt),
        ):
            before = signal.getsignal(number)
            # One that is ignored stays so, and what C has set cannot be put back.
            # Ctrl-C is ours only where it would raise KeyboardInterrupt.
            plain = before is signal.default_int_handler
            if before in (None, signal.SIG_IGN) or (
                number == signal.SIGINT and not plain
            ):
                continue
            self._before[number] = before
            signal.signal(number, handler)
        if signal.SIGTERM in self._before and os.name == "posix":
            self._watch()

    def leave(self) -> None:
        """Put everything back as it was."""
        self._ended.set()
        for number, before in self._before.items():
            signal.signal(number, before)
        if self._fd >= 0:
            signal.set_wakeup_fd(self._former)
            os.write(self._fd, b"\0")
            self._thread.join()
            os.close(self._fd)

    def exit(self, written: bool) -> None:
        """End the program after SIGTERM, or let its own handler do what it does."""
        _say(self._words(written))
        handler = self._before.get(signal.SIGTERM)
        if callable(handler):
            handler(signal.SIGTERM, self.frame)
            return
        raise SystemExit(EXIT_CODE)

    def _terminate(self, number: int, frame: Any) -> None:
        self.terminated, self.frame = True, frame
        self.file.stop_reason = StopReason.INTERRUPTED
        self.file.terminates = not callable(self._before[number])

    def _interrupt(self, number: int, frame: Any) -> None:
        if self.file.stop_reason is not None:
            raise KeyboardInterrupt
        self.file.stop_reason = StopReason.INTERRUPTED
        _say(
            "Stopping after this epoch; the model is kept. Press Ctrl-C again to stop "
            "at once."
        )

    def _watch(self) -> None:
        """Start the thread that hears of signals while compiled code runs."""
        read, self._fd = os.pipe()
        os.set_blocking(self._fd, False)
        self._former = signal.set_wakeup_fd(self._fd, warn_on_full_buffer=False)
        self._thread = threading.Thread(
            target=self._keep_time, args=(read,), name="thalweg-signals", daemon=True
        )
        self._thread.start()

    def _keep_time(self, read: int) -> None:
        with open(read, "rb", buffering=0) as pipe:
            while heard := pipe.read(1):
                if heard == b"\0":
                    return
                if heard[0] == signal.SIGTERM and not self._ended.wait(GRACE):
                    self._end_now()

    def _end_now(self) -> None:
        """Write what is in memory, and end the program from this thread."""
        handler = self._before.get(signal.SIGTERM)
        written = self.file.write()
        _say(self._words(written))
        if callable(handler):
            return  # it is called when the main thread comes to it
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(EXIT_CODE)

    def _words(self, written: bool) -> str:
        file = self.file
        if not written:
            return f"Terminated. The checkpoint {file.path} could not be written."
        return (
            f"Terminated. The checkpoint {file.path} holds epoch {file.epochs}; the "
            "same call resumes from there."
        )


def _say(text: str) -> None:
    with suppress(Exception):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


Handler = Callable[[int, Any], Any]
