"""Tables that are read and written part by part, in constant memory."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thalweg.core import Frame

_FORMULA = "=+-@\t\r"
"""What a text begins with that a spreadsheet takes for a formula."""


def read_parts(table: Path, rows: int, header: bool) -> "Iterator[Frame]":
    """Yield the rows of a table in parts of at most so many rows."""
    from thalweg.io import read_table

    if table.suffix in (".parquet", ".pq") and table.is_file():
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            batches = pq.ParquetFile(table).iter_batches(rows)
            yield from (batch.to_pandas() for batch in batches)
            return
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"{table} cannot be read or written as Parquet ({error}). Write the "
                "file again, or use CSV."
            ) from error
    frame = read_table(table, header=header)
    for start in range(0, len(frame), rows):
        yield frame.iloc[start : start + rows]


def write_parts(
    parts: "Iterable[Frame]", output: Path | None, *, formulas: bool = False
) -> None:
    """Write parts of a table as one file, which appears when it is complete.

    Parameters
    ----------
    parts : iterable of DataFrame
    output : Path or None
        Parquet if the name says so, otherwise CSV; None is standard output.
    formulas : bool
        Whether a text of a CSV may begin as a formula of a spreadsheet does.
    """
    from thalweg.io import atomic_write

    if output is None:
        _write_csv(parts, sys.stdout, formulas, shows=sys.stdout.isatty())
        return
    with atomic_write(output) as draft:
        if output.suffix in (".parquet", ".pq"):
            _write_parquet(parts, draft)
            return
        with open(draft, "w", encoding="utf-8", newline="") as file:
            _write_csv(parts, file, formulas)


def _write_csv(
    parts: "Iterable[Frame]", file: IO[str], formulas: bool, shows: bool = False
) -> None:
    for number, part in enumerate(parts):
        frame = part if formulas else quote_formulas(part)
        frame = _printable(frame) if shows else frame
        frame.to_csv(file, index=False, header=number == 0, lineterminator="\n")


def quote_formulas(frame: "Frame") -> "Frame":
    """Put an apostrophe before each text that a spreadsheet would compute.

    Numbers, also those that are written as texts, stay as they are.
    """
    import pandas as pd

    changed: dict[Any, Any] = {}
    for name in frame.columns:
        values = frame[name]
        if not _holds_texts(values):
            continue
        text = values.astype("string")
        risky = text.str.startswith(tuple(_FORMULA)).fillna(False).astype(bool)
        risky &= pd.to_numeric(text, errors="coerce").isna()
        if risky.any():
            changed[name] = values.astype(object).where(~risky, "'" + text)
    risky_names = [n for n in frame.columns if str(n).startswith(tuple(_FORMULA))]
    names = {name: f"'{name}" for name in risky_names}
    return frame.assign(**changed).rename(columns=names) if changed or names else frame


def _holds_texts(values: Any) -> bool:
    return values.dtype.kind in "OTUS" or hasattr(values, "cat") or (
        str(values.dtype).startswith(("str", "large_string"))
    )  # fmt: skip


def _printable(frame: "Frame") -> "Frame":
    """Show control characters as their codes: a terminal would obey them."""
    from thalweg.cli.printing import plain

    texts = [name for name in frame.columns if _holds_texts(frame[name])]
    shown = {n: frame[n].map(plain, na_action="ignore").astype(object) for n in texts}
    names = {name: plain(name) for name in frame.columns}
    return frame.assign(**shown).rename(columns=names)


def _write_parquet(parts: "Iterable[Frame]", path: Path) -> None:
    from thalweg.core import need

    pa = need("pyarrow", f"{path.name} is a Parquet file, which needs pyarrow",
              "parquet")  # fmt: skip
    pq = need("pyarrow.parquet", "writing Parquet needs pyarrow", "parquet")
    writer = None
    try:
        for part in parts:
            rows = pa.Table.from_pandas(part, preserve_index=False)
            if writer is None:
                writer = pq.ParquetWriter(path, rows.schema)
            writer.write_table(rows.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()
