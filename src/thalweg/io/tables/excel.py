"""Sheets of Excel workbooks (.xlsx)."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import time
from typing import Any

from thalweg.core import Frame
from thalweg.io.tables.cells import to_series
from thalweg.io.tables.dialect import UNNAMED
from thalweg.io.tables.options import Options
from thalweg.io.tables.source import Source, memory_limit, too_large

_ERRORS = frozenset(
    ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#SPILL!",
     "#CALC!", "#GETTING_DATA", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!")
)  # fmt: skip

Row = tuple[Any, ...]


def is_workbook(source: Source) -> bool:
    """Whether a file is a workbook of any program that packs it as a zip file."""
    return source.head.startswith(b"PK")


def read_excel(source: Source, options: Options) -> Iterator[Frame]:
    """Yield one sheet of a workbook.

    A formula gives the value that Excel kept. Numbers, dates and booleans keep their
    types. Rows and columns at the end that hold nothing are left out, and so is a title
    above the names.

    Raises
    ------
    ValueError
        If the file is damaged, has no such sheet, or the sheet holds no table.
    """
    content = source.seekable()
    _check_workbook(source, content)
    try:
        import openpyxl
    except ImportError as error:
        raise ValueError(
            f"{source.name} is an Excel workbook, which needs openpyxl. Install it "
            "with pip install 'thalweg[excel]', or save the sheet as CSV."
        ) from error
    rows, notes, title = _rows(openpyxl, source, content, options.sheet)
    frame = _as_frame(source.name, title, rows, options.header, notes)
    empty = [name for name in frame.columns if frame[name].isna().all()]
    if empty:
        formulas = _rows(openpyxl, source, content, options.sheet, formulas=True)[0]
        wanted = {str(name) for name in empty}
        _check_formulas(source.name, formulas, wanted)
    frame.attrs["notes"] = notes
    yield frame


def _check_workbook(source: Source, content: Any) -> None:
    try:
        with zipfile.ZipFile(content) as archive:
            names = archive.namelist()
            size = sum(each.file_size for each in archive.infolist())
            if "mimetype" in names:
                kind = archive.read("mimetype")[:100].decode("ascii", "replace")
                raise _Other(
                    f"{source.name} is a document of another program ({kind}). Save "
                    "the table as .xlsx or CSV."
                )
    except _Other as error:
        raise ValueError(str(error)) from None
    except Exception as error:
        raise _damaged(source.name, error) from error
    if "xl/workbook.xml" not in names:
        raise ValueError(
            f"{source.name} is no .xlsx workbook. Save the table as .xlsx or CSV."
        )
    limit = memory_limit()
    if size > limit:
        raise too_large(source.name, "unpacks to", limit)


class _Other(Exception):
    """A sentence about a file that is not Excel's."""


def _damaged(name: str, error: Exception) -> ValueError:
    words = (str(error).splitlines() or [""])[0] or type(error).__name__
    return ValueError(
        f"{name} cannot be read as an Excel workbook ({words}). Open it in Excel and "
        "save it again, or save the sheet as CSV."
    )


def _rows(
    openpyxl: Any, source: Source, content: Any, sheet: str | None,
    formulas: bool = False,
) -> tuple[list[Row], list[str], str]:  # fmt: skip
    """Return the rows of a sheet, notes, and the title of the sheet."""
    try:
        content.seek(0)
        with warnings.catch_warnings():
            # They tell of drawings, styles and checks, which are no part of a table.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(
                content, read_only=True, data_only=not formulas
            )
            try:
                titles = [each.title for each in book.worksheets]
                chosen = _choose(source.name, titles, sheet)
                page = book.worksheets[titles.index(chosen)]
                page.reset_dimensions()
                rows = [tuple(row) for row in page.iter_rows(values_only=True)]
            finally:
                book.close()
    except _Other as error:
        raise ValueError(str(error)) from None
    # openpyxl raises errors of many types at what it does not expect.
    except Exception as error:
        raise _damaged(source.name, error) from error
    notes = []
    if sheet is None and len(titles) > 1:
        notes = [
            f"{source.name} has {len(titles)} sheets; {chosen!r}, the first, is read. "
            f"The others are {', '.join(map(repr, titles[1:6]))} (--sheet, in Python "
            "sheet=)."
        ]
    return _trim(rows), notes, chosen


def _choose(name: str, titles: Sequence[str], sheet: str | None) -> str:
    if not titles:
        raise _Other(f"{name} has no sheet of cells. Give a workbook with a table.")
    if sheet is None:
        return titles[0]
    for title in titles:
        if title == sheet or title.strip().lower() == sheet.strip().lower():
            return title
    raise _Other(
        f"{name} has no sheet {sheet!r}. Its sheets are "
        f"{', '.join(map(repr, titles[:20]))}."
    )


def _trim(rows: list[Row]) -> list[Row]:
    """Clean the cells; cut off rows and columns at the end that hold nothing."""
    cleaned = [tuple(map(_clean, row)) for row in rows]
    while cleaned and not any(value is not None for value in cleaned[-1]):
        cleaned.pop()
    width = max(
        (i + 1 for row in cleaned for i, v in enumerate(row) if v is not None),
        default=0,
    )
    return [row[:width] + (None,) * (width - len(row)) for row in cleaned]


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        value = value.strip()
        return None if not value or value in _ERRORS else value
    return value.isoformat() if isinstance(value, time) else value


def _as_frame(
    name: str, title: str, rows: list[Row], header: bool, notes: list[str]
) -> Frame:
    import pandas as pd

    where = f"sheet {title!r} of {name}"
    if not rows:
        raise ValueError(f"{where} is empty. Give a sheet with a table (--sheet).")
    first = next(i for i, row in enumerate(rows) if any(v is not None for v in row))
    if header:
        start = _find_names(rows, first)
        if start > first:
            text = next(v for v in rows[first] if v is not None)
            notes.append(
                f"{where}: what stands above row {start + 1} ({str(text)[:40]!r}) is "
                "taken for a title."
            )
        names = [_name(value, i) for i, value in enumerate(rows[start])]
        rows = rows[start + 1 :]
    else:
        names = [str(i + 1) for i in range(len(rows[first]))]
        rows = rows[first:]
    # A row without a value is a gap in a sheet.
    rows = [row for row in rows if any(v is not None for v in row) or len(names) == 1]
    if not rows:
        raise ValueError(
            f"{where} has a first row and no others. Add rows. If the first row holds "
            "values and not the names, use --no-header (in Python, header=False)."
        )
    columns = {}
    for i, each in enumerate(names):
        values = [row[i] for row in rows]
        if each.startswith(UNNAMED) and all(v is None for v in values):
            continue
        if each in columns:
            raise ValueError(
                f"{where} has {names.count(each)} columns named {each!r}. Rename all "
                "but one."
            )
        columns[each] = to_series(values)
    if header and names[0] in columns and names[0].startswith(UNNAMED):
        values = [row[0] for row in rows]
        whole = all(isinstance(v, int) and not isinstance(v, bool) for v in values)
        if whole and len(set(values)) == len(values) and len(columns) > 1:
            del columns[names[0]]  # the numbers of rows that pandas writes
    return pd.DataFrame(columns)


def _name(value: Any, i: int) -> str:
    if value is None:
        return f"{UNNAMED} {i + 1}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _find_names(rows: list[Row], first: int) -> int:
    """Return which row holds the names: below a title, which fills one cell."""
    width = len(rows[first])
    for i in range(first, min(first + 10, len(rows))):
        filled = [value for value in rows[i] if value is not None]
        if len(filled) > 1 or width < 3:
            texts = all(isinstance(value, str) for value in filled)
            enough = len(filled) > width / 2
            return i if i == first or (texts and enough) else first
    return first


def _check_formulas(name: str, rows: list[Row], wanted: set[str]) -> None:
    """Raise ValueError if a column is empty because its formulas have no values."""
    for i in range(len(rows[0]) if rows else 0):
        column = [row[i] for row in rows]
        formulas = any(isinstance(v, str) and v.startswith("=") for v in column)
        names = {_name(value, i) for value in column[:11]}
        if formulas and names & wanted:
            raise ValueError(
                f"{name} has formulas without values in column "
                f"{sorted(names & wanted)[0]!r}: the program that wrote the workbook "
                "did not compute them. Open it in Excel and save it again."
            )
