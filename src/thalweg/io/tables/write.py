"""Write a table to a file, whole or by parts; it appears when it is complete."""

import bz2
import gzip
import lzma
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from thalweg.core import Frame
from thalweg.io.atomic_write import atomic_write
from thalweg.io.tables.arrow import needs_pyarrow

_COMPRESSED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def write_table(frame: Frame, target: Path | IO[str]) -> None:
    """Write a table as the name of `target` says; see `TableWriter`."""
    with TableWriter(target) as writer:
        writer.append(frame)


class TableWriter:
    """Write a table by parts, as a context manager.

    The file appears under its name when the block ends without an error. Otherwise what
    was there stays.

    Parameters
    ----------
    target : Path or text stream
        ``.parquet`` and ``.pq`` give Parquet, ``.jsonl`` and ``.ndjson`` JSON lines,
        any other name CSV; ``.gz``, ``.bz2`` or ``.xz`` behind it compresses text. A
        stream is given CSV.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If Parquet is wanted and pyarrow is not installed, or the format is one that is
        only read.
    """

    def __init__(self, target: Path | IO[str]) -> None:
        self._target = target
        self._stack = ExitStack()
        self._file: Any = target
        self._kind = "csv"
        self._empty = True

    def __enter__(self) -> Self:
        if isinstance(self._target, Path):
            try:
                self._open(self._target)
            except BaseException as error:
                self._stack.__exit__(type(error), error, error.__traceback__)
                raise
        return self

    def _open(self, target: Path) -> None:
        suffixes = [suffix.lower() for suffix in target.suffixes]
        packed = suffixes.pop() if suffixes and suffixes[-1] in _COMPRESSED else ""
        suffix = suffixes[-1] if suffixes else ""
        if suffix in (".parquet", ".pq") and not packed:
            self._kind = "parquet"
            _pyarrow(target)
        elif suffix in (".jsonl", ".ndjson"):
            self._kind = "json"
        elif suffix in (".xlsx", ".xls", ".ods", ".feather", ".arrow", ".json", ".zip"):
            raise ValueError(
                f"{target} cannot be written: a table is written as .csv, .parquet or "
                ".jsonl. Choose one of these endings."
            )
        draft = self._stack.enter_context(atomic_write(target))
        if self._kind == "parquet":
            self._file = draft
        elif packed:
            opened = _COMPRESSED[packed](draft, "wt", encoding="utf-8", newline="")
            self._file = self._stack.enter_context(opened)
        else:
            opened = open(draft, "w", encoding="utf-8", newline="")  # noqa: SIM115
            self._file = self._stack.enter_context(opened)

    def append(self, frame: Frame) -> None:
        """Write the next rows; they have the columns of the first."""
        if self._kind == "parquet":
            self._append_parquet(frame)
        elif self._kind == "json":
            frame.to_json(
                self._file, orient="records", lines=True, date_format="iso",
                force_ascii=False,
            )  # fmt: skip
        else:
            frame.to_csv(
                self._file, index=False, header=self._empty, lineterminator="\n"
            )
        self._empty = False

    def _append_parquet(self, frame: Frame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            if self._empty:
                table = pa.Table.from_pandas(frame, preserve_index=False)
                writer = pq.ParquetWriter(self._file, table.schema)
                self._schema, self._file = (
                    table.schema,
                    self._stack.enter_context(writer),
                )
            else:
                table = pa.Table.from_pandas(
                    frame, schema=self._schema, preserve_index=False
                )
            self._file.write_table(table)
        except (pa.ArrowException, ValueError) as error:
            raise ValueError(
                f"{self._target} cannot be written as Parquet ({error}). Write CSV."
            ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def _pyarrow(target: Path) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise needs_pyarrow(target, "Parquet") from error
