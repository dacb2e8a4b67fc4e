"""Delimited text: CSV in its many dialects, read block by block.

Everything is read as text, so that a code such as 007 keeps its zeros. A block of lines
without quotes is split by its delimiter, which takes half the time of a parser; all
other blocks are parsed by Python's csv module.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from thalweg.core import Frame
from thalweg.io.tables.dialect import (
    ONE_COLUMN,
    Dialect,
    find_dialect,
    is_number,
    unescape,
)
from thalweg.io.tables.options import Options
from thalweg.io.tables.source import Source

LONGEST_FIELD = 1 << 24
"""The most characters of a quoted field; without a limit, one quote takes a file."""

LONGEST_LINE = 1 << 26
"""The most characters of a line."""

ROWS = 1 << 16
"""Rows of a frame, about."""


def read_delimited(
    source: Source, blocks: Iterator[str], options: Options
) -> Iterator[Frame]:
    """Yield the rows of a delimited text file as frames of texts.

    Parameters
    ----------
    source : Source
    blocks : iterator of str
        The characters of the file.
    options : Options

    Raises
    ------
    ValueError
        If the file is empty or no table; the message names the line, the delimiter
        that was assumed, and what to do.
    """
    blocks = _checked_lines(source.name, blocks)
    first = ""
    for block in blocks:
        first += block
        if first.strip() and first.count("\n") > 1:
            break
    first = first.removeprefix("\ufeff")
    rest = next(blocks, "")
    dialect = find_dialect(
        source.name,
        first,
        complete=not rest,
        header=options.header,
        delimiter=options.delimiter,
    )
    texts = chain([first, rest], blocks)
    rows = _Rows(source.name, dialect, texts)
    names = [dialect.names[i] for i in dialect.kept]
    held: list[Any] = []
    begin = 0
    for columns in rows.columns():
        held.append(_compact(names, [columns[i] for i in dialect.kept]))
        if rows.count - begin >= ROWS:
            yield _frame(dialect, held, rows.notes)
            held, begin = [], rows.count
    if held:
        yield _frame(dialect, held, rows.notes)
    if not rows.count:
        raise ValueError(
            f"{source.name} has a first line and no rows. Add rows. If the first line "
            "is a row and not the names, use --no-header (in Python, header=False)."
        )


def _checked_lines(name: str, blocks: Iterator[str]) -> Iterator[str]:
    """Pass blocks on; raise ValueError at a line that is no line of a table."""
    length = 0
    for block in blocks:
        cut = block.rfind("\n")
        length = length + len(block) if cut < 0 else len(block) - cut - 1
        if length > LONGEST_LINE:
            raise ValueError(
                f"{name} is not a table: it has a line of more than {LONGEST_LINE:,} "
                "characters. Write each row in a line."
            )
        yield block


def _compact(names: list[str], columns: list[list[str]]) -> Any:
    """Return a table of texts: Arrow's, which is small, or else pandas'."""
    try:
        import pyarrow as pa
    except ImportError:
        import pandas as pd

        series = [pd.Series(each, dtype=str) for each in columns]
        return pd.DataFrame(dict(zip(names, series, strict=True)))
    return pa.table([pa.array(each, pa.large_string()) for each in columns], names)


def _frame(dialect: Dialect, tables: list[Any], notes: list[str]) -> Frame:
    import pandas as pd

    if isinstance(tables[0], pd.DataFrame):
        frame = pd.concat(tables, ignore_index=True)
    else:
        import pyarrow as pa

        frame = pa.concat_tables(tables).to_pandas()
    if dialect.delimiter not in (",", ONE_COLUMN):
        frame.attrs["decimal"] = ","
    frame.attrs["notes"] = [*dialect.notes, *notes]
    return frame


class _Lines:
    """The lines of blocks of text, counted; each block ends with a whole line."""

    def __init__(self, texts: Iterator[str], skip: int) -> None:
        self.blocks = _whole_lines(texts)
        self.lines: list[str] = []
        self.at = 0
        self.number = 0  # of the last line given
        self.taken: list[str] = []  # since the record began
        self.cut_off = False  # whether the last line loaded has no end
        for _ in range(skip):
            next(self, None)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.at == len(self.lines):
            self.load(next(self.blocks))
        line = self.lines[self.at]
        self.at += 1
        self.number += 1
        self.taken.append(line)
        return line

    def load(self, text: str) -> None:
        """Take the lines of the next block."""
        self.lines, self.at = text.removesuffix("\n").split("\n"), 0
        self.cut_off = not text.endswith("\n")

    def next_block(self) -> str | None:
        """Return the lines that are left of the block begun, or the next block."""
        if self.at < len(self.lines):
            text = "\n".join(self.lines[self.at :]) + "\n" * (not self.cut_off)
            self.lines, self.at = [], 0
            return text
        return next(self.blocks, None)


def _whole_lines(texts: Iterator[str]) -> Iterator[str]:
    parts: list[str] = []
    for text in texts:
        cut = text.rfind("\n") + 1
        if not cut:
            parts.append(text)
            continue
        yield "".join([*parts, text[:cut]])
        parts = [text[cut:]]
    rest = "".join(parts)
    if rest:
        yield rest


class _Rows:
    """The rows of a delimited text file, checked against its first line."""

    def __init__(self, name: str, dialect: Dialect, texts: Iterator[str]) -> None:
        self.name, self.dialect = name, dialect
        self.width = len(dialect.names)
        self.lines = _Lines(texts, dialect.first_row)
        self.count = 0
        self.short = 0
        self.notes: list[str] = []

    def columns(self) -> Iterator[list[list[str]]]:
        """Yield the fields of the rows, block by block, as one list a column."""
        while (text := self.lines.next_block()) is not None:
            flat = self._split(text)
            if flat is None:
                self.lines.load(text)
                flat = list(chain.from_iterable(self._parse()))
            columns = [flat[i :: self.width] for i in range(self.width)]
            self._check_padding(columns)
            self.count += len(columns[0])
            if columns[0]:
                yield columns

    def _split(self, text: str) -> list[str] | None:
        """Return all fields of a block without quotes, if its rows are as expected."""
        delimiter = self.dialect.delimiter
        if '"' in text or delimiter == " ":
            return None
        lines = text.removesuffix("\n").split("\n")
        if delimiter != ONE_COLUMN:
            expected = self.width - 1
            if any(line.count(delimiter) != expected for line in lines):
                return None
            if expected == 0 and not all(lines):
                return None
            lines = delimiter.join(lines).split(delimiter)
        self.lines.number += text.count("\n") + (not text.endswith("\n"))
        return list(map(str.strip, lines))

    def _parse(self) -> Iterator[list[str]]:
        """Yield the rows of the block that is loaded, and the end of its last row."""
        reader = self._reader(self._prepared(self.lines))
        while self.lines.at < len(self.lines.lines):
            self.lines.taken = []
            begin = self.lines.number + 1
            before = csv.field_size_limit(LONGEST_FIELD)
            try:
                fields = next(reader)
            except csv.Error as error:
                fields = self._parse_again(begin, error)
                reader = self._reader(self._prepared(self.lines))
            finally:
                csv.field_size_limit(before)
            row = self._checked(begin, [field.strip() for field in fields])
            if row is not None:
                yield row

    def _prepared(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            text = unescape(line) if self.dialect.escaped else line
            if self.dialect.delimiter == " ":
                text = text.replace("\t", " ").strip()
            yield f"{text}\n"

    def _reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        return csv.reader(
            lines,
            delimiter=self.dialect.delimiter,
            skipinitialspace=True,
            strict=True,
        )

    def _parse_again(self, begin: int, error: csv.Error) -> list[str]:
        """Parse a row again without the blanks that follow its closing quotes."""
        taken = list(self._prepared(iter(self.lines.taken)))
        ends = re.escape(self.dialect.delimiter)
        cleaned = [re.sub(rf'"[ \t]+(?={ends}|$)', '"', line) for line in taken]
        if cleaned != taken:
            try:
                (fields,) = self._reader(iter(cleaned))
                return fields
            except (csv.Error, ValueError):
                pass
        raise self._misquoted(begin, error)

    def _misquoted(self, begin: int, error: csv.Error) -> ValueError:
        taken = self.lines.taken
        opened, inside = begin, False
        for number, line in enumerate(taken, begin):
            if line.count('"') % 2:
                inside = not inside
                opened = number if inside else opened
        if "end of data" in str(error) or "field larger" in str(error):
            why = (
                "the file ends before it closes"
                if "end of data" in str(error)
                else f"it does not close within {LONGEST_FIELD:,} characters"
            )
            return ValueError(
                f"{self.name} is not a table: the quote that opens in line {opened} "
                f"begins a string without end ({why}). Close the quote in that line, "
                f"or remove it. The line was read with {self.dialect.described}."
            )
        return ValueError(
            f"{self.name} is not a table: line {begin} opens a quote that does not "
            f"close where a field ends (found in line {self.lines.number}). Close the "
            "quote where the field ends, and write each quote inside a field twice. "
            f"The line was read with {self.dialect.described}."
        )

    def _checked(self, line: int, fields: list[str]) -> list[str] | None:
        """Return the fields of one row, as many as there are names; None if blank."""
        if len(fields) == self.width:
            return fields
        if not fields:
            return [""] if self.width == 1 else None
        if len(fields) > self.width and not any(fields[self.width :]):
            return fields[: self.width]
        if len(fields) > self.width:
            raise self._too_long(line, fields)
        if fields == [""]:
            return None
        if self.lines.cut_off and self.lines.at == len(self.lines.lines):
            raise ValueError(
                f"{self.name} is cut off: its last line, {line}, has {len(fields)} of "
                f"{self.width} fields, with {self.dialect.described}, and no line end. "
                "Copy the file again, or complete or remove that line."
            )
        if len(fields) == 1 and self.width > 2:
            raise ValueError(
                f"{self.name} is not a table: line {line} has one field "
                f"({fields[0][:40]!r}) and the first line has {self.width}, with "
                f"{self.dialect.described}. Remove that line if it is a title, a "
                "comment or a part of the line before it; otherwise complete it, or "
                "give the delimiter (--delimiter, in Python delimiter=)."
            )
        if len(fields) <= self.dialect.kept[-1]:
            self._note_short(line, len(fields))
        return fields + [""] * (self.width - len(fields))

    def _too_long(self, line: int, fields: list[str]) -> ValueError:
        hint = f"Quote fields that contain {self.dialect.delimiter!r}."
        if self.dialect.delimiter == ONE_COLUMN:
            hint = "Close every quote where the field ends."
        elif self.dialect.delimiter == "," and any(map(is_number, fields)):
            hint += (
                " If commas mark decimals, delimit by semicolons, or quote the numbers."
            )
        return ValueError(
            f"{self.name} is not a table: line {line} has {len(fields)} fields, more "
            f"fields than the first line, which has {self.width}, with "
            f"{self.dialect.described}. Correct that line. {hint} If another character "
            "delimits, name it (--delimiter, in Python delimiter=)."
        )

    def _note_short(self, line: int, n_fields: int) -> None:
        self.short += 1
        if self.short == 1:
            self.notes = [""]
            self.first_short = (line, n_fields)
        first, count = self.first_short
        rows = "row has" if self.short == 1 else "rows have"
        self.notes[0] = (
            f"{self.name}: {self.short} {rows} fewer fields than the first line; what "
            f"they lack is taken for missing. The first is line {first}, with {count} "
            f"of {self.width} fields and {self.dialect.described}."
        )

    def _check_padding(self, columns: Sequence[list[str]]) -> None:
        """Raise ValueError if a column without a name has a value after all."""
        for i in self.dialect.empty:
            if any(columns[i]):
                value = next(filter(None, columns[i]))
                row = self.count + columns[i].index(value) + 1
                raise ValueError(
                    f"{self.name} has a value ({value[:40]!r}) in row {row} of column "
                    f"{i + 1}, which has no name. Name the column in the first line, "
                    "or remove the value."
                )
