"""What commands are given: a table, what to predict in it, and their options."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from thalweg.cli.printing import warn
from thalweg.cli.reading import (
    AS_FOUND,
    ReadingOptions,
    check_kinds,
    how_columns_read,
)

# Everything else is imported by the function that needs it, so that --help is quick.
if TYPE_CHECKING:
    from thalweg.core import Frame, Series
    from thalweg.estimators import Classifier, Regressor

File = Path | None
Names = list[str] | None


def option(text: str, *names: str, of: str | None = None) -> Any:
    """Declare an option: its help text, its names, and a name for its value."""
    return typer.Option(*names, help=text, metavar=of)


def output(text: str) -> Any:
    """Declare the file to write."""
    return option(text, "--output", "-o", of="FILE")


Target = Annotated[str, option("Column to predict.", "--target", "-t", of="COLUMN")]
Task = Annotated[
    Literal["auto", "classification", "regression"],
    option(
        "classification, regression or auto, which decides by the target's values.",
        of="TASK",
    ),
]
Ignore = Annotated[
    Names,
    option(
        "Column to leave out. Repeat the option for more columns.",
        "--ignore",
        of="COLUMN",
    ),
]
Hidden = Annotated[
    str, option("Widths of the hidden layers, e.g. 256,128.", of="WIDTHS")
]
Seed = Annotated[
    int, option("Seed of all random numbers. The same seed repeats a result.", of="N")
]
ModelPath = Annotated[
    File, output("File to write the model to. [default: TABLE.thalweg]")
]
ResultsPath = Annotated[File, output("File to write all results to, as JSON.")]


@dataclass(frozen=True)
class ModelChoice:
    """The model for a target.

    Parameters
    ----------
    model : Classifier or Regressor
        Not fitted.
    reason : str
        The task, and why it is that one.
    """

    model: "Classifier | Regressor"
    reason: str


def encode_table(
    X: "Frame", y: "Series", task: str, reading: ReadingOptions = AS_FOUND
) -> tuple[Any, Any]:
    """Return X and y as a network takes them: columns encoded, numbers standardized."""
    from thalweg.estimators import (
        Classifier,
        as_frame,
        encode,
        lacks_target,
        numbers,
        study,
    )

    model = choose_model(task, y, reading).model
    known = ~lacks_target(y, model.missing)
    frame, target = as_frame(X[known]), y[known]
    inputs = encode(study(frame, model.reading()), frame).astype("float32")
    if isinstance(model, Classifier):
        return inputs, target.to_numpy().astype(str)
    values = numbers(str(target.name), target)
    return inputs, ((values - values.mean()) / (values.std() or 1)).astype("float32")


def model_output(output: File, tables: Sequence[Path]) -> Path:
    """Return the file to write a model to: as given, or named after the first table.

    Raises
    ------
    OSError
        If no table is found.
    """
    from thalweg.io import table_files

    if output:
        return output
    name = Path(table_files(tables)[0]).name.split(".")[0]
    return Path(f"{'model' if name in ('-', '') else name}.thalweg")


def prepare(*outputs: File, picture: File = None, read: Sequence[File] = ()) -> None:
    """Try whether the files can be written, before the work rather than after it.

    No two of them may be the same file, and none of them a file that is read.

    Also keep the programs that JAX compiles for the next run, unless the environment
    says where they go.
    """
    from thalweg.io import check_output

    taken = {os.path.realpath(path): "read" for path in filter(None, read)}
    for path in filter(None, (*outputs, picture)):
        check_output(path)
        if use := taken.get(os.path.realpath(path)):
            raise ValueError(
                f"{path} is {use} by this command too. Give another name to write to."
            )
        taken[os.path.realpath(path)] = "written"
    if picture:
        _check_picture(picture)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = _cache_folder() / "compiled"
    with suppress(OSError):  # a home that cannot be written to
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")


def read_columns(
    tables: Sequence[Path], reading: ReadingOptions, target: str, ignore: Names,
    category: Names = None,
) -> tuple["Frame", "Series"]:  # fmt: skip
    """Read a table; return the columns to learn from, and the target."""
    import pandas as pd

    from thalweg.core import check_names
    from thalweg.estimators import lacks_target, numbers, study_numbers, task_of

    frame = read_whole(tables, reading)
    ignore, category = ignore or [], category or []
    named = {"--target": [target], "--ignore": ignore, "--category": category}
    for flag, names in named.items():
        check_names("column of the table", names, frame.columns, owner=flag)
    check_kinds(reading, [*frame.columns], target)
    how = how_columns_read(reading)
    how = replace(how, usual_decimal=frame.attrs.get("decimal", how.usual_decimal))
    X, y = frame.drop(columns=[target, *ignore]), frame[target]
    if task_of(y, how)[0] == "regression":
        written = study_numbers(y, how)
        y = pd.Series(numbers(target, y, written), name=target)
        y.attrs["notation"] = written.detail
    elif pd.api.types.is_string_dtype(y.dtype):
        known = y[~lacks_target(y, how.missing)].astype(str)
        if known.str.fullmatch("-?(0|[1-9][0-9]{0,17})").all():  # and no 01
            y = pd.Series(pd.to_numeric(y, errors="coerce"), dtype="Int64", name=target)
    return X.astype({name: "category" for name in category if name in X}), y


def read_whole(tables: Sequence[Path], reading: ReadingOptions) -> "Frame":
    """Read a table, and tell on standard error what was assumed of its files."""
    from thalweg.io import read_table

    frame = read_table(tables, **reading.file)
    for note in frame.attrs.get("notes", ()):
        warn(f"Note: {note}")
    return frame


def choose_model(
    task: str, y: "Series", reading: ReadingOptions = AS_FOUND
) -> ModelChoice:
    """Return the model for a target."""
    from thalweg.estimators import Classifier, Regressor, task_of

    other = {"classification": "regression", "regression": "classification"}
    why = "as asked"
    if task == "auto":
        task, reason = task_of(y, how_columns_read(reading))
        notation = y.attrs.get("notation")
        reason = f"{reason}; {notation}" if notation else reason
        why = f"because {reason} (to change it: --task {other[task]})"
    model = Classifier if task == "classification" else Regressor
    return ModelChoice(model(**reading.columns), f"{task}, {why}")


def parse_widths(given: str) -> tuple[int, ...]:
    """Return the widths of hidden layers that a text such as ``"256,128"`` names."""
    words = [word.strip() for word in given.split(",") if word.strip()]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise ValueError(
            f"--hidden got {given!r}. Give the widths of the hidden layers as whole "
            "numbers above 0, e.g. 100 or 256,128, or '' for no hidden layer."
        )
    return tuple(map(int, words))


def _check_picture(path: Path) -> None:
    from thalweg.display import new_figure

    known = new_figure()[0].canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ValueError(
            f"{path} does not name a format of pictures. End the name in one of "
            f"{', '.join(f'.{name}' for name in sorted(known))}."
        )


def _cache_folder() -> Path:
    """Return the user's folder for files that a program can make again."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", home / ".cache"))
    return base / "thalweg"
