"""The progress of a training or a search, in one line that changes.

By default the line appears only in a terminal, and only for what takes over two
seconds. It is written to standard error, so that the output of a program stays as it
is. A terminal that was closed ends the line, never the training.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from thalweg.core import EpochRecord, Interval, Start, check_number, is_inside

DELAY = 2.0
"""Seconds for which nothing is shown by default: most work is done by then."""

_BETWEEN = 0.25  # seconds between two drawings, which take a millisecond or two
_BETWEEN_LINES = 10.0
"""Seconds between two lines where lines cannot change."""


class Progress:
    """A callback that shows the progress in one line.

    The line has a bar, the epochs (or trials) out of all, the steps, their rate, the
    loss, the validation, and the time left if all epochs are done. Where a line cannot
    change, such as in a file, a line is written every 10 seconds.

    Parameters
    ----------
    delay : float
        Seconds for which nothing is shown.
    label : str
        A word or two in front.

    Examples
    --------
    >>> import thalweg as tw
    >>> from thalweg.datasets import moons
    >>> X, y = moons(60)
    >>> network = tw.DenseNetwork.from_sizes((2, 8, 2))
    >>> run = tw.fit(
    ...     network, X, y, loss="cross_entropy", callbacks=[tw.callbacks.Progress()]
    ... )  # doctest: +SKIP
    """

    every_epoch = False

    def __init__(self, delay: float = 0.0, label: str = "") -> None:
        check_number("delay", delay, Interval("[0, inf)"), owner="Progress")
        self.delay, self.label = delay, label

    def begin(self, start: Start) -> "_Line":
        """Return the line of what begins."""
        return _Line(self, start)

    def __call__(self, record: Any) -> None:
        """Do nothing: the line that `begin` returned is called."""


def usual_progress(callbacks: Sequence[Any]) -> list[Any]:
    """Return the line that is shown although nobody asked for it, if any.

    It is shown in a terminal that can change lines, for work that is not a part of
    other work, unless a callback shows the progress already.
    """
    if any(isinstance(each, Progress) for each in callbacks) or is_inside():
        return []
    alone = threading.current_thread() is threading.main_thread()
    return [Progress(DELAY)] if alone and _in_terminal() else []


def _in_terminal() -> bool:
    """Whether standard error is a terminal in which lines can change."""
    if os.environ.get("TERM", "") in ("dumb", "unknown"):
        return False
    if "PYTEST_CURRENT_TEST" in os.environ:
        return False
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # no standard error, or a closed one
        return False


class _Line:
    """The line of one training or search."""

    every_epoch = False

    def __init__(self, owner: Progress, start: Start) -> None:
        self.owner, self.start = owner, start
        self.begun = self.shown = time.monotonic()
        self.n_done, self.first = 0, 0
        self.best = -math.inf
        self.bar: Any = None
        self.closed = False
        self.console: Any = None

    def __call__(self, record: Any) -> None:
        """Show an epoch, or a trial."""
        if isinstance(record, EpochRecord):
            if self.n_done == 0:
                self.first = record.epoch - 1  # a resumed training begins later
            self.n_done = record.epoch
        else:
            self.n_done += 1
        self.last = record
        value = getattr(record, "value", math.nan)
        self.best = max(self.best, value if value == value else -math.inf)
        self._show()

    def finish(self, result: Any) -> None:
        """Leave the last state where it was shown, and close the line."""
        if self.console is not None and self.n_done and not self.closed:
            self._draw(final=True)
        if self.bar is not None:
            with suppress(OSError, ValueError):
                self.bar.stop()
        self.bar = None

    def text(self) -> str:
        """Return what stands behind the bar."""
        total, unit = self.start.total, "epoch"
        if self.start.kind != "training":
            unit = "trial"
        count = f"{self.n_done}" if math.isinf(total) else f"{self.n_done}/{total:g}"
        parts = [f"{unit} {count}"]
        if self.owner.label:
            parts.insert(0, self.owner.label)
        taken = max(time.monotonic() - self.begun, 1e-9)
        per_second = (self.n_done - self.first) / taken
        steps = self.start.steps
        if steps and steps > 1:
            parts.append(f"{self.n_done * steps:,} steps")
            parts.append(f"{_rate(per_second * steps)} steps/s")
        else:
            parts.append(f"{_rate(per_second)} {unit}s/s")
        parts += self._measured()
        if not math.isinf(total) and per_second > 0 and self.n_done < total:
            parts.append(f"{_clock((total - self.n_done) / per_second)} left")
        return "  ".join(parts)

    def _measured(self) -> list[str]:
        record = self.last
        if not isinstance(record, EpochRecord):
            return [] if math.isinf(self.best) else [f"best {self.best:.4g}"]
        named = {
            "loss": record.loss,
            "validation loss": record.validation_loss,
            "score": record.validation_score,
        }
        return [f"{k} {v:.4g}" for k, v in named.items() if not math.isnan(v)]

    def _show(self) -> None:
        now = time.monotonic()
        if self.closed or now - self.begun < self.owner.delay:
            return
        try:
            if self.console is None:
                self._open()
                self._draw()
            elif now - self.shown >= (_BETWEEN if self.bar else _BETWEEN_LINES):
                self._draw()
        except (OSError, ValueError):  # the terminal was closed
            self.closed = True

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self.console = Console(stderr=True)
        changes = self.console.is_terminal and not self.console.is_dumb_terminal
        if not (changes or self.console.is_jupyter):
            return
        self.bar = Bar(
            BarColumn(12), TextColumn("{task.description}", markup=False),
            console=self.console, auto_refresh=False,
        )  # fmt: skip
        total = None if math.isinf(self.start.total) else self.start.total
        self.task = self.bar.add_task("", total=total)
        self.bar.start()

    def _draw(self, final: bool = False) -> None:
        self.shown = time.monotonic()
        try:
            if self.bar is None:
                self.console.print(
                    self.text(), highlight=False, markup=False, soft_wrap=True
                )
                return
            text = self.text()
            self.bar.update(self.task, completed=self.n_done, description=text)
            self.bar.refresh()
        except (OSError, ValueError):
            self.closed = True


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
