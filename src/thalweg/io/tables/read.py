"""Read a table from a file of any format, whole or by parts.

The first bytes tell the format. `source` unpacks them, and one module reads each format
as a stream of frames. `read_table` puts the frames together; `iter_table` cuts them
into parts of a given number of rows.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from thalweg.core import Frame
from thalweg.io.atomic_write import PathLike
from thalweg.io.tables.arrow import arrow_format, read_arrow
from thalweg.io.tables.delimited import read_delimited
from thalweg.io.tables.excel import is_workbook, read_excel
from thalweg.io.tables.json_records import is_json, read_json
from thalweg.io.tables.options import Options
from thalweg.io.tables.source import open_source, table_files
from thalweg.io.tables.text import text_blocks


def read_table(
    path: PathLike | Sequence[PathLike],
    *,
    header: bool = True,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
) -> Frame:
    """Read a table from one file or several.

    CSV and other delimited text, JSON (lines or an array of records), Excel workbooks,
    Parquet, and Feather are told apart by their content. Each may be compressed by
    gzip, bzip2, xz, zip or Zstandard.

    Parameters
    ----------
    path : str, path-like or sequence of them
        ``"-"`` is standard input. A pattern such as ``"data/*.csv"`` stands for the
        files that match it, in the order of their names. Several files must have the
        same columns, in any order; their rows follow each other.
    header : bool
        Whether the first line of a text file or sheet holds the names of the columns.
        Otherwise these are "1", "2" and so on.
    encoding : str or None
        Of a text file. None recognizes UTF-8, UTF-16 and UTF-32, and reads anything
        else as Windows-1252.
    delimiter : str or None
        Of a text file: one character, ``"tab"`` or ``"space"``. None recognizes
        commas, semicolons, tabs, bars and blanks.
    sheet : str or None
        Of a workbook. None takes the first.

    Returns
    -------
    DataFrame
        A text file gives texts without surrounding spaces, "" where a field is empty.
        Other formats keep their types. ``frame.attrs["notes"]`` lists what was assumed
        and a user should know. ``frame.attrs["decimal"]`` is ``","`` where the fields
        of a text file are not delimited by commas, so that a comma in a number is
        likelier a decimal comma.

    Raises
    ------
    OSError
        If a file does not exist or cannot be read.
    ValueError
        If a file is empty or damaged, a line has too many fields (the message says
        which), two columns have the same name, files have different columns, or the
        table does not fit in memory.
    """
    import pandas as pd

    options = Options(header, encoding, delimiter, sheet)
    frames = list(_frames(table_files(path), options, whole=True))
    attrs = _common_attrs(frames)
    frame: Frame = frames[0]
    if len(frames) > 1:
        for each in frames:
            each.attrs = {}
        frame = pd.concat(frames, ignore_index=True)
    frame.attrs = attrs
    return frame


def iter_table(
    path: PathLike | Sequence[PathLike],
    *,
    rows: int = 65_536,
    header: bool = True,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
) -> Iterator[Frame]:
    """Read a table by parts of at most `rows` rows, as `read_table` reads it whole.

    Text files, Parquet and Feather take constant memory; an array of JSON and a
    workbook are read whole first.

    Parameters
    ----------
    path : str, path-like or sequence of them
    rows : int
        The most rows of a part.
    header, encoding, delimiter, sheet
        As for `read_table`.

    Yields
    ------
    DataFrame
        Its index goes on from the part before. The columns of JSON lines are those that
        occurred up to there.

    Raises
    ------
    OSError, ValueError
        As `read_table`, as soon as the part is reached that it concerns.
    """
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise ValueError(f"rows must be an int above 0. Got {rows!r} instead.")
    options = Options(header, encoding, delimiter, sheet)
    return _parts(table_files(path), options, rows)


def _parts(files: list[PathLike], options: Options, rows: int) -> Iterator[Frame]:
    import pandas as pd

    held: list[Frame] = []
    count = begin = 0

    def part(n_rows: int) -> Frame:
        nonlocal held, count, begin
        attrs = _common_attrs(held)
        for each in held:
            each.attrs = {}
        whole = pd.concat(held, ignore_index=True) if len(held) > 1 else held[0]
        taken, rest = whole.iloc[:n_rows], whole.iloc[n_rows:]
        rest.attrs, count = attrs, len(rest)
        held = [rest] if count else []
        taken = taken.set_axis(pd.RangeIndex(begin, begin + len(taken)))
        begin += len(taken)
        taken.attrs = attrs
        return taken

    for frame in _frames(files, options, whole=False):
        held.append(frame)
        count += len(frame)
        while count >= rows:
            yield part(rows)
    if count:
        yield part(count)


def _frames(files: list[PathLike], options: Options, *, whole: bool) -> Iterator[Frame]:
    """Yield the frames of all files, with the columns of the first in their order."""
    names: list[str] | None = None
    for file in files:
        with open_source(file, whole=whole) as source:
            kind = arrow_format(source)
            if kind:
                frames = read_arrow(source, kind, options)
            elif is_workbook(source):
                frames = read_excel(source, options)
            else:
                blocks = text_blocks(source, options.encoding)
                first = next(blocks)
                blocks = chain([first], blocks)
                json = is_json(first, source.suffix)
                frames = (
                    read_json(source, blocks)
                    if json
                    else read_delimited(source, blocks, options)
                )
            count = 0
            for frame in frames:
                count += len(frame)
                if names is None or len(files) == 1:
                    names = list(frame.columns)
                elif list(frame.columns) != names:
                    frame = _reordered(frame, names, source.name, str(files[0]))
                yield frame
            if not count:
                raise ValueError(
                    f"{source.name} has no rows. Give a table with at least one row."
                )


def _reordered(frame: Frame, names: list[str], name: str, first: str) -> Frame:
    """Return a frame of a later file with the columns of the first."""
    lacking = [repr(str(each)) for each in names if each not in frame.columns]
    beyond = [repr(str(each)) for each in frame.columns if each not in names]
    if lacking or beyond:
        parts = [
            *([f"it has no column {', '.join(lacking[:5])}"] if lacking else []),
            *([f"{first} has no column {', '.join(beyond[:5])}"] if beyond else []),
        ]
        raise ValueError(
            f"{name} has other columns than {first}: {' and '.join(parts)}. Give files "
            "with the same columns, or read them one by one."
        )
    attrs = frame.attrs
    frame = frame[names]
    frame.attrs = attrs
    return frame


def _common_attrs(frames: Sequence[Frame]) -> dict[str, Any]:
    """Return what is known of all frames: their notes, the last of each once."""
    notes: dict[str, None] = {}
    for before, after in zip(frames, [*frames[1:], None], strict=True):
        mine = before.attrs.get("notes", [])
        later = after.attrs.get("notes", []) if after is not None else []
        notes |= dict.fromkeys(note for note in mine if len(later) < len(mine))
        notes |= dict.fromkeys(note for note in mine if note in later)
    attrs: dict[str, Any] = {"notes": list(notes)}
    if all(frame.attrs.get("decimal") == "," for frame in frames):
        attrs["decimal"] = ","
    return attrs
