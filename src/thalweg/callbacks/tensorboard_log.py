"""A training as TensorBoard's event files."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.callbacks.log import Log, Writer
from thalweg.callbacks.values import (
    as_scalars,
    final_numbers,
    history_of,
    name_of,
    numbers_of,
    settings_of,
)
from thalweg.core import EpochRecord, Start, check_whole, need
from thalweg.io import PathLike

_SECONDS = 5
"""Seconds after which the numbers are in the file at the latest."""


class TensorBoard(Log):
    """A callback that writes event files, which TensorBoard shows.

    Each number of an `EpochRecord` is a scalar; validation data have ``validation/`` in
    front. The hyperparameters are shown beside the final metrics (HPARAMS). The first
    training is written to the folder itself, each further one to a folder in it: ``2``,
    ``3`` and so on, and each trial of a search or a comparison to one of its own.

    Parameters
    ----------
    folder : path-like
        It is made if it is not there. Show it with ``tensorboard --logdir FOLDER``.
    histograms : int
        Epochs between two histograms of all weights; 0 for none.

    Raises
    ------
    OSError
        If the folder cannot be made or written to.
    ValueError
        If tensorboardX is not installed.
    """

    def __init__(self, folder: PathLike, *, histograms: int = 0) -> None:
        super().__init__()
        check_whole("histograms", histograms, "[0, inf)", owner="TensorBoard")
        need("tensorboardX", "TensorBoard needs tensorboardX", "tensorboard")
        self.folder = Path(os.path.abspath(os.fspath(folder)))
        self.histograms = int(histograms)
        self._check_folder()

    def _check_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.folder, os.W_OK | os.X_OK)
            why = "you have no permission to write there"
        except OSError as error:
            writable, why = False, (error.strerror or str(error)).lower()
        if not writable:
            raise OSError(
                f"TensorBoard got folder={str(self.folder)!r}, which cannot be written "
                f"to: {why}. Give a folder in which you may write."
            )

    def _writer(self, start: Start, number: int) -> Writer:
        folder = self.folder if number == 1 else self.folder / str(number)
        if start.kind == "training":
            return _Training(folder, start, self.histograms)
        return _Trials(folder)


class _Training(Writer):
    """The event file of one training."""

    def __init__(self, folder: Path, start: Start, histograms: int) -> None:
        super().__init__("TensorBoard", str(folder))
        self.start, self.histograms = start, histograms
        self.events = _Events(folder)

    def see(self, record: EpochRecord) -> None:
        """Write the numbers of an epoch."""
        self.events.scalars(numbers_of(record), record.epoch)
        due = self.histograms and record.epoch % self.histograms == 0
        if due and self.start.parameters is not None:
            for name, values in _named(self.start.parameters()):
                self.events.histogram(name, values, record.epoch)

    def end(self, result: Any) -> None:
        """Write the hyperparameters with the final metrics, and close."""
        if result is not None:
            self.events.settings(as_scalars(self.start.settings), final_numbers(result))
        self.events.close()


class _Trials(Writer):
    """The event files of the trials of a search or a comparison."""

    def __init__(self, folder: Path) -> None:
        super().__init__("TensorBoard", str(folder))
        self.folder = folder

    def see(self, record: Any) -> None:
        """Write a trial with all its epochs."""
        name = "".join(c if c.isalnum() else "-" for c in name_of(record))
        events = _Events(self.folder / name)
        for epoch in history_of(record) or ():
            events.scalars(numbers_of(epoch), epoch.epoch)
        events.settings(as_scalars(settings_of(record)), final_numbers(record))
        events.close()


class _Events:
    """One event file."""

    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter
        from tensorboardX.proto import summary_pb2

        messages: Any = summary_pb2  # its names are made at run time
        self.summary = messages.Summary
        self.writer: Any = SummaryWriter(str(folder), flush_secs=_SECONDS)

    def scalars(self, numbers: dict[str, float], step: int) -> None:
        """Write the numbers of an epoch as one event, which is quickest."""
        values = []
        for name, value in numbers.items():
            head, _, rest = name.partition("_")
            inside = head == "validation" and rest
            tag = f"validation/{rest}" if inside else f"training/{name}"
            values.append(self.summary.Value(tag=tag, simple_value=value))
        self.writer.file_writer.add_summary(self.summary(value=values), step)

    def histogram(self, name: str, values: Any, step: int) -> None:
        finite = values[np.isfinite(values)]
        if finite.size:
            self.writer.add_histogram(name, finite, step)

    def settings(self, given: dict[str, Any], numbers: dict[str, float]) -> None:
        from tensorboardX.summary import hparams

        final = {f"final/{name}": value for name, value in numbers.items()}
        for summary in hparams(given, final):
            self.writer.file_writer.add_summary(summary)
        for name, value in final.items():
            self.writer.add_scalar(name, value, 0)

    def close(self) -> None:
        self.writer.close()


def _named(parameters: Any, path: str = "") -> list[tuple[str, Any]]:
    """Return all arrays of nested parameters, with their places as names."""
    if isinstance(parameters, dict):
        items = [(str(k), v) for k, v in parameters.items()]
    elif isinstance(parameters, list | tuple):
        items = [(str(k), v) for k, v in enumerate(parameters)]
    elif parameters is None:
        return []
    else:
        return [(path or "parameters", np.asarray(parameters, float).ravel())]
    named = ((f"{path}/{key}" if path else f"layer_{key}", v) for key, v in items)
    return [pair for name, value in named for pair in _named(value, name)]
