"""Options that say how a table is read, shared by all commands that read one.

`reads_table` gives a command these options: the command takes one parameter `reading`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

if TYPE_CHECKING:
    from thalweg.estimators import Reading

Kind = Literal["number", "category", "text", "date", "boolean", "ignore"]

_TABLE = (
    "A table: CSV or other text, .xlsx, JSON lines, Parquet or Feather, also "
    "compressed; - is standard input. A pattern in quotes, such as 'data/*.csv', "
    "reads several as one"
)
TablePath = Annotated[Path, typer.Argument(metavar="TABLE", help=f"{_TABLE}.")]
TablePaths = Annotated[
    list[Path],
    typer.Argument(metavar="TABLE", help=f"{_TABLE}, and so do several tables."),
]


@dataclass(frozen=True)
class ReadingOptions:
    """What the options say of the files and of the columns of a table.

    Parameters
    ----------
    file : mapping
        Keyword arguments of `thalweg.io.read_table` and `iter_table`.
    columns : mapping
        Parameters of `Classifier` and `Regressor`, those that are given.
    """

    file: Mapping[str, Any]
    columns: Mapping[str, Any]


AS_FOUND = ReadingOptions({}, {})


def _option(text: str, name: str, of: str | None = None) -> Any:
    return typer.Option(name, help=text, metavar=of)


_FILE: dict[str, tuple[Any, Any]] = {
    "no_header": (
        Annotated[
            bool,
            _option(
                "The first line holds data, not names. Columns are then named 1, 2, "
                "3, ...",
                "--no-header",
            ),
        ],
        False,
    ),
    "encoding": (
        Annotated[
            str | None,
            _option(
                "Encoding of a text file, e.g. utf-8 or cp1252. [default: recognized]",
                "--encoding",
                "NAME",
            ),
        ],
        None,
    ),
    "delimiter": (
        Annotated[
            str | None,
            _option(
                "What delimits the fields of a text file: a character, tab or space. "
                "[default: recognized]",
                "--delimiter",
                "CHARACTER",
            ),
        ],
        None,
    ),
    "sheet": (
        Annotated[
            str | None,
            _option("Sheet of a workbook. [default: the first]", "--sheet", "NAME"),
        ],
        None,
    ),
}
_COLUMNS: dict[str, tuple[Any, Any]] = {
    "decimal": (
        Annotated[
            Literal[".", ","] | None,
            _option(
                "Decimal mark of all numbers. [default: recognized column by column]",
                "--decimal",
            ),
        ],
        None,
    ),
    "thousands": (
        Annotated[
            str | None,
            _option(
                "Character between groups of digits, or '' for none. [default: "
                "recognized column by column]",
                "--thousands",
                "CHARACTER",
            ),
        ],
        None,
    ),
    "date_format": (
        Annotated[
            str | None,
            _option(
                "Format of all dates, e.g. %d.%m.%Y. [default: recognized column by "
                "column]",
                "--date-format",
                "FORMAT",
            ),
        ],
        None,
    ),
    "missing": (
        Annotated[
            list[str] | None,
            _option(
                "Text that stands for a missing value. Repeat the option for more "
                "texts. [default: NA, ?, null and others]",
                "--missing",
                "TEXT",
            ),
        ],
        None,
    ),
    "kind": (
        Annotated[
            list[str] | None,
            _option(
                "What a column holds: number, category, text, date, boolean, or ignore "
                "to leave it out. Repeat the option for more columns. [default: "
                "recognized]",
                "--kind",
                "COLUMN=KIND",
            ),
        ],
        None,
    ),
}


def reads_table(*, columns: bool = False) -> Callable[[Any], Any]:
    """Give a command the options of reading, in place of its parameter `reading`.

    Parameters
    ----------
    columns : bool
        Whether the command also takes the options that say what columns hold.
    """
    options = _FILE | (_COLUMNS if columns else {})

    def decorate(command: Any) -> Any:
        parameters: list[Parameter] = []
        for parameter in signature(command).parameters.values():
            if parameter.name != "reading":
                parameters.append(parameter)
                continue
            parameters += [
                Parameter(name, parameter.kind, default=default, annotation=annotation)
                for name, (annotation, default) in options.items()
            ]

        @wraps(command)
        def run(**given: Any) -> Any:
            taken = {name: given.pop(name) for name in options}
            return command(**given, reading=_collect(taken))

        run.__signature__ = signature(command).replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def how_columns_read(reading: ReadingOptions) -> "Reading":
    """Return what the options say of columns, as estimators take it.

    Raises
    ------
    ValueError
        If an option has a value that is not allowed.
    """
    from thalweg.estimators import Classifier

    try:
        return Classifier(**reading.columns).reading()
    except ValueError as error:
        sentence = re.sub(
            r"Classifier got (\w+)=",
            lambda match: f"--{match[1].replace('_', '-')} got ",
            str(error),
        )
        raise ValueError(sentence) from error


def check_kinds(reading: ReadingOptions, columns: Sequence[str], target: str) -> None:
    """Raise ValueError if --kind names the target, or no column of the table."""
    from thalweg.core import check_names

    named = [*reading.columns.get("column_kinds", ())]
    if target in named:
        raise ValueError(
            f"--kind got {target!r}, which is the target. Say what is predicted with "
            "--task classification or --task regression."
        )
    check_names("column of the table", named, columns, owner="--kind")


def one_name(tables: Sequence[Path]) -> Path:
    """Return a path whose name stands for all tables: the first, and how many more."""
    first = tables[0]
    if str(first) == "-":
        first = Path("standard input")
    if len(tables) == 1:
        return first
    return first.with_name(f"{first.name} and {len(tables) - 1} more")


def _collect(given: Mapping[str, Any]) -> ReadingOptions:
    file = {name: given[name] for name in ("encoding", "delimiter", "sheet")}
    columns = {name: given.get(name) for name in _COLUMNS if name != "kind"}
    if given.get("kind"):
        columns["column_kinds"] = dict(map(_parse_kind, given["kind"]))
    return ReadingOptions(
        {"header": not given["no_header"], **file},
        {name: value for name, value in columns.items() if value is not None},
    )


def _parse_kind(given: str) -> tuple[str, str]:
    name, equals, kind = given.rpartition("=")
    if not equals or not name or kind not in get_args(Kind):
        raise ValueError(
            f"--kind got {given!r}. Write COLUMN=KIND, where KIND is one of "
            f"{', '.join(get_args(Kind))}, as in --kind zip=category."
        )
    return name, kind
