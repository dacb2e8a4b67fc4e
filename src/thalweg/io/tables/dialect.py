"""How a text file writes a table: delimiter, names, and what is no part of the table.

All of it is found in the first lines, so that a file of any length is read in one pass.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

DELIMITERS = "\t;|,"
"""The delimiters that are recognized, beside blanks; the first wins a tie."""

ONE_COLUMN = "\0"
"""The delimiter of a file of one column: no text holds it."""

SAMPLE = 200
"""Lines that are looked at."""

UNNAMED = "unnamed column"

_COMMENTS = ("#", "%", "//")
_NUMBER = re.compile(r"[-+(]?[$€£]?\s?(\d[\d.,' ]*|[.,]\d+)([eE][-+]?\d+)?\s?[%)]?")
_ESCAPED = re.compile(r'\\(["\\])')
_WORDS = {
    ",": "a comma",
    ";": "a semicolon",
    "\t": "a tab",
    "|": "a bar",
    " ": "blanks",
}

Record = tuple[int, list[str]]
"""The number of the last line of a record, and its fields."""


@dataclass(frozen=True)
class Dialect:
    """How a text file writes a table.

    Parameters
    ----------
    delimiter : str
        One character; a blank stands for one or several blanks or tabs.
    names : tuple of str
        Of all fields of a row.
    kept : tuple of int
        Which fields are columns.
    empty : tuple of int
        Fields without a name that the first rows leave empty.
    first_row : int
        Number of lines before the first row.
    escaped : bool
        Whether a backslash stands before a quote inside a quoted field, and not a
        second quote.
    notes : tuple of str
        What a reader should know of what was assumed.
    """

    delimiter: str
    names: tuple[str, ...]
    kept: tuple[int, ...]
    empty: tuple[int, ...]
    first_row: int
    escaped: bool
    notes: tuple[str, ...] = ()

    @property
    def described(self) -> str:
        """The delimiter in words."""
        if self.delimiter == ONE_COLUMN:
            return "no delimiter"
        return f"{_WORDS.get(self.delimiter, repr(self.delimiter))} as the delimiter"


def find_dialect(
    name: str, sample: str, *, complete: bool, header: bool, delimiter: str | None
) -> Dialect:
    """Find how a table is written from the first characters of its file.

    Parameters
    ----------
    name : str
        What messages call the file.
    sample : str
        The first characters.
    complete : bool
        Whether they are the whole file; otherwise the last line may be a part of one.
    header : bool
        Whether a line holds the names of the columns.
    delimiter : str or None
        None recognizes the delimiter.

    Raises
    ------
    ValueError
        If there is no line, two columns have the same name, or the file holds a page
        of the web.
    """
    lines = sample.split("\n", SAMPLE)[:SAMPLE]
    if not complete and len(lines) < SAMPLE and len(lines) > 1:
        lines.pop()
    start = next((i for i, line in enumerate(lines) if line.strip()), None)
    if start is None:
        raise ValueError(f"{name} is empty. Give a table with at least one row.")
    _refuse_markup(name, lines[start])
    stated = re.fullmatch(r'"?sep=(.)"?[,;\t]*', lines[start])
    if stated:
        delimiter, start = delimiter or stated[1], start + 1
    found = _Finder(lines, start, header, sample, stated is not None)
    if delimiter is None:
        delimiter = found.delimiter()
    return found.dialect(name, delimiter)


def fields_of(lines: Sequence[str], delimiter: str, escaped: bool) -> list[Record]:
    """Split lines into records, quotes and line ends inside them respected."""
    if delimiter == " ":
        lines = [line.replace("\t", " ").strip() for line in lines]
    if escaped:
        lines = [unescape(line) for line in lines]
    reader = csv.reader(
        [f"{line}\n" for line in lines], delimiter=delimiter, skipinitialspace=True
    )
    try:
        return [(reader.line_num, [f.strip() for f in fields]) for fields in reader]
    except csv.Error:
        return []


def unescape(line: str) -> str:
    """Write quotes inside quoted fields twice, where a backslash marks them."""
    return _ESCAPED.sub(lambda m: '""' if m[1] == '"' else "\\", line)


def is_number(text: str) -> bool:
    """Whether a text looks like a number in any convention."""
    return bool(_NUMBER.fullmatch(text))


class _Finder:
    """The first lines of a file, split by each delimiter that is tried."""

    def __init__(
        self,
        lines: Sequence[str],
        start: int,
        header: bool,
        sample: str,
        stated: bool,
    ) -> None:
        self.lines, self.start, self.header = lines, start, header
        self.stated = stated
        self.backslashes = '\\"' in sample

    def delimiter(self) -> str:
        """Return the delimiter that splits the most lines into equally many fields."""
        shares = {each: self._share(each) for each in DELIMITERS}
        highest = max(shares.values())
        best = [each for each in DELIMITERS if shares[each] == highest]
        if highest >= 0.5:
            return best[0] if len(best) == 1 else self._of_equals(best)
        if self._share(" ") >= 0.5 and self._has_numbers(" "):
            return " "
        return next(filter(self._divides, DELIMITERS), ONE_COLUMN)

    def _divides(self, delimiter: str) -> bool:
        """Whether a delimiter splits the names and most rows, if not evenly."""
        rows = [fields for _, fields in self.records(delimiter)]
        split = sum(len(fields) > 1 for fields in rows)
        return self.header and bool(rows) and len(rows[0]) > 1 and 2 * split > len(rows)

    def _of_equals(self, delimiters: list[str]) -> str:
        """Choose among delimiters that split equally well."""
        if "\t" in delimiters:
            return "\t"
        if "," in delimiters:  # which may be in numbers
            for other in delimiters[:-1]:
                cells = [f for _, fields in self.records(other) for f in fields]
                if all(is_number(cell) for cell in cells if "," in cell):
                    return other
        return max(delimiters, key=lambda each: _width(self.records(each)))

    def records(self, delimiter: str, escaped: bool = False) -> list[Record]:
        """Return the records that are not blank, with the numbers of their lines."""
        found = fields_of(self.lines[self.start :], delimiter, escaped)
        return [(self.start + line, f) for line, f in found if any(f) or len(f) > 1]

    def dialect(self, name: str, delimiter: str) -> Dialect:
        """Find the names, and the fields that are columns."""
        escaped = self._escaped(delimiter)
        records = self.records(delimiter, escaped)
        before = self._preamble(delimiter, records)
        notes: tuple[str, ...] = ()
        if before:
            text = records[before - 1][1][0]
            notes = (
                f"{name}: line {records[before - 1][0]} ({_crop(text)!r}) and what "
                "stands before it is taken for a title or comment.",
            )
        last = records[before - 1][0] if before else self.start
        records = records[before:]
        if not records:
            raise ValueError(
                f"{name} holds no names and no rows. Give a table with at least one "
                "row."
            )
        if not self.header:
            if not before and delimiter == ONE_COLUMN and not self.stated:
                last = 0  # blank lines are rows
            names = tuple(str(i + 1) for i in range(_width(records)))
            everything = tuple(range(len(names)))
            return Dialect(delimiter, names, everything, (), last, escaped, notes)
        first_row, names = records.pop(0)
        if records and _is_ruler(records[0][1]):
            first_row, _ = records.pop(0)
        rows = [fields for _, fields in records]
        row_names = _has_row_names(names, rows, delimiter, self._quoted(records))
        if row_names:
            names = ["", *names]
            notes += (
                f"{name}: each row has one field more than the first line; the first "
                f"field ({_crop(rows[0][0])!r}) is taken for the name of the row and "
                "left out.",
            )
        named = _named(name, names)
        if len(names) > 1 and all(map(is_number, names)):
            notes += (
                f"{name}: the names of the columns are numbers. If line {first_row} is "
                "a row, use --no-header (in Python, header=False).",
            )
        empty, index = [], [0] if row_names else []
        for i, text in enumerate(names):
            if text or i in index:
                continue
            values = [row[i] if i < len(row) else "" for row in rows]
            if not any(values):
                empty.append(i)
            elif i == 0 and _is_index(values):
                index.append(i)
        kept = [i for i in range(len(names)) if i not in {*empty, *index}]
        if not kept:
            raise ValueError(
                f"{name} has no column with a name and a value. Give a table whose "
                "first line holds the names of its columns."
            )
        return Dialect(
            delimiter, named, tuple(kept), tuple(empty), first_row, escaped, notes
        )

    def _share(self, delimiter: str) -> float:
        """Return the share of records that have the usual number of fields."""
        records = self.records(delimiter, self.backslashes)
        records = records[self._preamble(delimiter, records) :]
        if not records:
            return 0.0
        rows = [fields for _, fields in records]
        width = _width(records)
        if width < 2:
            return 0.0
        even = max(
            sum(_trimmed(row, each) == each for row in rows)
            for each in {width, len(rows[0])} - {1}
        )
        if self.header and len(rows) > 1 and len(rows[0]) == 1:
            return 0.0 if not self._quoted(records[1:]) else even / len(rows)
        return even / len(rows)

    def _has_numbers(self, delimiter: str) -> bool:
        """Whether some column holds numbers: prose has blanks too."""
        records = self.records(delimiter)
        rows = [fields for _, fields in records][int(self.header) :]
        width = _width(records)
        return self._numeric(rows, width)

    def _quoted(self, records: Sequence[Record]) -> bool:
        """Whether every row begins with a quoted field."""
        return bool(records) and all(
            self.lines[line - 1].lstrip().startswith('"') or "\n" in "".join(fields)
            for line, fields in records
        )

    def _escaped(self, delimiter: str) -> bool:
        r"""Whether \" stands for a quote: then it splits the lines more evenly."""
        if not self.backslashes:
            return False
        plain, escaped = (self.records(delimiter, each) for each in (False, True))

        def uneven(records: list[Record]) -> tuple[int, int]:
            width = _width(records)
            return sum(len(f) != width for _, f in records), -len(records)

        wrong = any(re.search(r'(?<!")"(?!")', f) for _, fs in plain for f in fs)
        return uneven(escaped) < uneven(plain) or (
            wrong and uneven(escaped) <= uneven(plain)
        )

    def _preamble(self, delimiter: str, records: list[Record]) -> int:
        """Return how many records stand before the names and are no part of a table."""
        width = _width(records)
        comments = 0
        for _, fields in records[:20]:
            if width < 2 or not fields[0].startswith(_COMMENTS):
                break
            comments += 1
        if not self.header:
            return comments
        # The last comment may hold the names.
        if comments and len(records[comments - 1][1]) == width:
            comments -= not self._begins_table(records[comments:], width)
        title = comments
        while title < min(20, len(records)) and _is_title(records[title][1], width):
            title += 1
        none = title == comments or not any(records[comments][1])
        if none or len(records) - title < 2:
            return comments
        lines = [line for line, _ in records[: title + 1]]
        gap = lines[-1] - lines[-2] > 1 or not any(records[title - 1][1])
        return title if self._begins_table(records[title:], width, gap) else comments

    def _begins_table(
        self, records: list[Record], width: int, gap: bool = False
    ) -> bool:
        """Whether names come next, and then rows: numbers below them tell."""
        if len(records) < 2:
            return False
        names, rows = records[0][1], [fields for _, fields in records[1:]]
        return (
            len(names) == width
            and all(names)
            and len(set(names)) == len(names)
            and not any(map(is_number, names))
            and (gap or self._numeric(rows, width))
        )

    @staticmethod
    def _numeric(rows: list[list[str]], width: int) -> bool:
        full = [row for row in rows if len(row) == width]
        columns = zip(*full, strict=True)
        return any(all(map(is_number, column)) for column in columns)


def _width(records: Sequence[Record]) -> int:
    """Return the usual number of fields; of two, that of the later records."""
    widths = [len(fields) for _, fields in records]
    if not widths:
        return 0
    counts = Counter(widths)
    most = max(counts.values())
    return max(width for width, count in counts.items() if count == most)


def _trimmed(row: list[str], width: int) -> int:
    """Return the number of fields without empty ones past the width."""
    return width if len(row) > width and not any(row[width:]) else len(row)


def _is_title(fields: list[str], width: int) -> bool:
    """Whether a record fills one cell, or none, of a table of several columns."""
    return not any(fields[1:]) and (len(fields) == 1 < width or width > 2)


def _is_ruler(fields: list[str]) -> bool:
    """Whether a record is a line drawn below the names, as databases print it."""
    drawn = [text for text in fields if text]
    return bool(drawn) and all(
        "---" in text and not text.strip("-+=:| ") for text in drawn
    )


def _has_row_names(
    names: list[str], rows: list[list[str]], delimiter: str, quoted: bool
) -> bool:
    """Whether rows begin with a name that the header lacks, as R writes them."""
    if not rows or any(len(row) != len(names) + 1 for row in rows):
        return False
    first = [row[0] for row in rows]
    if not any(row[-1] for row in rows):
        return False  # a delimiter at the end of each row
    return (quoted or delimiter in "\t ") and len(set(first)) == len(first)


def _is_index(values: list[str]) -> bool:
    """Whether a column holds the numbers of rows, as pandas and R write them."""
    return all(map(str.isdecimal, values)) and len(set(values)) == len(values)


def _named(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    names = [text or f"{UNNAMED} {i + 1}" for i, text in enumerate(texts)]
    most, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"{name} has {count} columns named {most!r}. Rename all but one. If the "
            "first line is a row, use --no-header (in Python, header=False)."
        )
    return tuple(names)


def _refuse_markup(name: str, line: str) -> None:
    text = line.lstrip("\ufeff \t").lower()
    if text.startswith(("<!doctype html", "<html", "<?xml", "<table", "{\\rtf")):
        kind = "RTF" if text.startswith("{") else "HTML or XML, as pages of the web"
        raise ValueError(
            f"{name} is no table: it holds {kind}. Download or save the table itself, "
            "as CSV."
        )


def _crop(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
