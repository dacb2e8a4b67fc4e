"""A table of the epochs, or of the trials, as a CSV file that grows."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from thalweg.callbacks.log import Log, Writer
from thalweg.callbacks.values import as_scalars, settings_of
from thalweg.core import EpochRecord, Start
from thalweg.io import PathLike, check_output

_EPOCH = tuple(f.name for f in fields(EpochRecord) if f.name != "metrics")
_TRIAL = ("number", "variant", "seed", "value", "state", "seconds", "settings", "why")


class CSVLog(Log):
    """A callback that writes each epoch as a row of a CSV file.

    The columns are those of `History`; ``training`` counts the trainings that this
    object has seen, such as the folds of an estimator. In a search or a comparison the
    rows are the trials. Each row is in the file as soon as its epoch has ended.

    Parameters
    ----------
    path : path-like
        A file that is there is replaced, unless a training is resumed: its epochs are
        then added.

    Raises
    ------
    OSError
        If the file cannot be written.
    """

    def __init__(self, path: PathLike) -> None:
        super().__init__()
        check_output(path)
        self.path = Path(os.path.abspath(os.fspath(path)))
        self._columns: list[str] = []

    def _writer(self, start: Start, number: int) -> Writer:
        return _Table(self, start, number)

    def add(self, row: Mapping[str, Any], training: int, first: int | None) -> None:
        """Write a row; the first ones of the file begin it.

        `first` is the number of the epoch where it is the first that was seen.
        """
        with self._lock:
            if not self._columns:
                self._begin(row, training, first)
            elif not row.keys() <= set(self._columns):
                self._widen([name for name in row if name not in self._columns])
            with self.path.open("a", newline="", encoding="utf-8") as file:
                file.write(self._line(row))

    def _begin(self, row: Mapping[str, Any], training: int, first: int | None) -> None:
        kept: list[dict[str, Any]] = []
        if first is not None and first > 1:  # of a training that is resumed
            kept = [
                each
                for each in self._rows()
                if each.get("training") == str(training)
                and each.get("epoch", "").isdecimal()
                and int(each["epoch"]) < first
            ]
        self._columns = list(dict.fromkeys([*row, *(n for e in kept for n in e)]))
        self._write(kept)

    def _widen(self, names: list[str]) -> None:
        kept = self._rows()
        self._columns += names
        self._write(kept)

    def _rows(self) -> list[dict[str, Any]]:
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                return [
                    {k: v for k, v in row.items() if k is not None}
                    for row in csv.DictReader(file)
                ]
        except (FileNotFoundError, UnicodeDecodeError, csv.Error):
            return []

    def _write(self, rows: list[dict[str, Any]]) -> None:
        head = self._line(dict(zip(self._columns, self._columns, strict=True)))
        lines = [head, *map(self._line, rows)]
        with self.path.open("w", newline="", encoding="utf-8") as file:
            file.write("".join(lines))

    def _line(self, row: Mapping[str, Any]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(
            [_cell(row.get(name, "")) for name in self._columns]
        )
        return text.getvalue()


class _Table(Writer):
    """The rows of one training, search or comparison."""

    def __init__(self, log: CSVLog, start: Start, number: int) -> None:
        super().__init__("CSVLog", str(log.path))
        self.log, self.start, self.number, self.seen = log, start, number, False

    def see(self, record: Any) -> None:
        """Write an epoch, or a trial."""
        if isinstance(record, EpochRecord):
            own = {name: getattr(record, name) for name in _EPOCH}
            row = {"training": self.number, **own, **record.metrics}
            first = None if self.seen else record.epoch
        else:
            row = {n: getattr(record, n) for n in _TRIAL if hasattr(record, n)}
            row["settings"] = json.dumps(as_scalars(settings_of(record)))
            first = None
        self.log.add(row, self.number, first)
        self.seen = True


def _cell(value: Any) -> Any:
    missing = isinstance(value, float) and math.isnan(value)
    return "" if missing else value
