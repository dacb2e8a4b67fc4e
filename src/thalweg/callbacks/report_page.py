"""The HTML report of a training that still runs."""

import os
import time
from pathlib import Path
from typing import Any

from thalweg.callbacks.log import Log, Writer
from thalweg.core import (
    EpochRecord,
    History,
    Interval,
    Start,
    check_number,
)
from thalweg.io import PathLike, check_output


class Report(Log):
    """A callback that writes the report of the training so far, as one HTML page.

    Reload the page in the browser to see the newest state. It is complete at any time.
    After the end it is what ``thalweg.report.write`` writes of the run. In a search or
    a comparison the page is not written.

    Parameters
    ----------
    path : path-like
        The HTML file; it is replaced each time.
    every : float
        Seconds between two writings. Writing takes a part of a second.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If Plotly or Jinja2 is not installed.
    """

    def __init__(self, path: PathLike, every: float = 30.0) -> None:
        from thalweg import report

        super().__init__()
        check_number("every", every, Interval("(0, inf)"), owner="Report")
        report.check()
        check_output(path)
        self.path, self.every = Path(os.path.abspath(os.fspath(path))), every

    def _writer(self, start: Start, number: int) -> Writer:
        own = self.path.with_stem(f"{self.path.stem}-{number}")
        return _Page(self.path if number == 1 else own, start, self.every)


class _Page(Writer):
    """The page of one training."""

    def __init__(self, path: Path, start: Start, every: float) -> None:
        super().__init__("Report", str(path))
        self.path, self.start, self.every = path, start, every
        self.written = time.monotonic()
        self.records: list[EpochRecord] = []

    def see(self, record: Any) -> None:
        """Take note of an epoch, and write the page if it is due."""
        if not isinstance(record, EpochRecord):
            return
        self.records.append(record)
        if time.monotonic() - self.written >= self.every:
            self._write(None)
            self.written = time.monotonic()

    def end(self, result: Any) -> None:
        """Write the page of the run, or of what there is of it."""
        if self.start.kind == "training" and (self.records or result is not None):
            self._write(result)

    def _write(self, run: Any) -> None:
        from thalweg import report

        report.write(self._so_far() if run is None else run, self.path)

    def _so_far(self) -> Any:
        from thalweg.core import Run, StopReason

        names = [name for name in vars(self.records[0]) if name != "metrics"]
        columns = {n: [getattr(r, n) for r in self.records] for n in names}
        metrics = {
            name: [r.metrics.get(name, float("nan")) for r in self.records]
            for name in self.records[-1].metrics
        }
        history = History.from_columns({**columns, "metrics": metrics})
        done = self.records[-1].epoch
        return Run(
            network=self.start.network,
            plan=", ".join(f"{k} {v}" for k, v in self.start.settings.items()),
            parameters=None,
            history=history,
            stop_reason=StopReason.INTERRUPTED,
            why=f"The training had done {done} of {self.start.total:g} epochs.",
            engine="",
            best_epoch=len(history),
        )
