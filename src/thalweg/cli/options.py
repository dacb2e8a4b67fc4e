"""What commands are given: a table, what to predict in it, and their options."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from thalweg.core import check_names

# All else is imported by what needs it: --help should not wait.
if TYPE_CHECKING:
    from thalweg.core import Frame, Series
    from thalweg.estimators import Classifier, Regressor

File = Path | None
Names = list[str] | None


def option(text: str, *names: str, of: str | None = None) -> Any:
    """Declare an option: what it is for, its names, and what it is given."""
    return typer.Option(*names, help=text, metavar=of)


def output(text: str) -> Any:
    """Declare where to write what is handed over."""
    return option(text, "--output", "-o", of="FILE")


TablePath = Annotated[
    Path, typer.Argument(help="A CSV file (also gzipped) or a Parquet file.")
]
NoHeader = Annotated[
    bool, option("The first line is a row: columns are named 1, 2, ...", "--no-header")
]
Target = Annotated[str, option("What to predict.", "--target", "-t", of="COLUMN")]
Task = Annotated[
    Literal["auto", "classification", "regression"],
    option("classification or regression; auto looks at the target.", of="TASK"),
]
Ignore = Annotated[Names, option("Leave it out. Repeatable.", "--ignore", of="COLUMN")]
Hidden = Annotated[str, option("Of the hidden layers, such as 256,128.", of="WIDTHS")]
Seed = Annotated[int, option("Seed of everything random.")]
ModelPath = Annotated[File, output("The model. [default: TABLE.thalweg]")]
FiguresPath = Annotated[File, output("All figures, as JSON.")]


def as_numbers(X: "Frame", y: "Series", task: str) -> tuple[Any, Any]:
    """Return a table as a network takes it: standardized inputs, and the answers."""
    from thalweg.estimators import (
        Classifier,
        as_frame,
        encode,
        is_missing,
        numbers,
        study,
    )

    model, _ = choose(task, y)
    known = ~is_missing(y)
    frame, answers = as_frame(X[known]), y[known]
    inputs = encode(study(frame), frame).astype("float32")
    if isinstance(model, Classifier):
        return inputs, answers.to_numpy().astype(str)
    values = numbers(str(answers.name), answers)
    return inputs, ((values - values.mean()) / (values.std() or 1)).astype("float32")


def prepare(*outputs: Path | None) -> None:
    """Find out before the work is done, not after, whether its files can be written.

    JAX keeps what it compiles for the next run, unless told otherwise.
    """
    from thalweg.io import check_folder, user_cache

    for path in filter(None, outputs):
        check_folder(path)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = user_cache() / "compiled"
    with suppress(OSError):  # a home that cannot be written to
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")


def read_columns(
    table: Path, no_header: bool, target: str, ignore: Names, category: Names = None
) -> tuple["Frame", "Series"]:
    """Read the columns to learn from, and the one to learn."""
    import pandas as pd

    from thalweg.estimators import is_missing, kind_of, numbers
    from thalweg.io import read_table

    frame = read_table(table, header=not no_header)
    ignore, category = ignore or [], category or []
    named = {"--target": [target], "--ignore": ignore, "--category": category}
    for flag, names in named.items():
        check_names("column of the table", names, frame.columns, owner=flag)
    X, y = frame.drop(columns=[target, *ignore]), frame[target]
    if kind_of(y[~is_missing(y)]) == "number":
        y = pd.Series(numbers(target, y), name=target)
        y = y.astype("Int64") if (y.dropna() % 1 == 0).all() else y
    return X.astype({name: "category" for name in category if name in X}), y


def choose(task: str, y: "Series") -> tuple["Classifier | Regressor", str]:
    """Return the model for a target, and why that one."""
    from thalweg.estimators import Classifier, Regressor, task_of

    other = {"classification": "regression", "regression": "classification"}
    why = "as asked"
    if task == "auto":
        task, reason = task_of(y)
        why = f"because {reason} (otherwise: --task {other[task]})"
    model = Classifier() if task == "classification" else Regressor()
    return model, f"{task}, {why}"


def widths(given: str) -> tuple[int, ...]:
    """Understand the widths of hidden layers."""
    words = [word.strip() for word in given.split(",") if word.strip()]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise ValueError(
            f"--hidden got {given!r}; it must be widths such as 100 or "
            "256,128, or '' for no hidden layer. Write whole numbers above 0."
        )
    return tuple(map(int, words))
