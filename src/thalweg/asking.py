"""What commands are given: a table, what to predict in it, and their options."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from thalweg.lookup import check_names

# All else is imported by what needs it: --help should not wait.
if TYPE_CHECKING:
    from thalweg.columns import Frame, Series
    from thalweg.tabular import Classifier, Regressor

TablePath = Annotated[
    Path, typer.Argument(help="A CSV file (also gzipped) or a Parquet file.")
]
NoHeader = Annotated[
    bool,
    typer.Option(
        "--no-header", help="The first line is a row: columns are named 1, 2, ..."
    ),
]
Target = Annotated[
    str, typer.Option("--target", "-t", metavar="COLUMN", help="What to predict.")
]
Task = Annotated[
    Literal["auto", "classification", "regression"],
    typer.Option(
        metavar="TASK", help="classification or regression; auto looks at the target."
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="COLUMN", help="Leave it out. Repeatable."),
]
Hidden = Annotated[
    str, typer.Option(metavar="WIDTHS", help="Of the hidden layers, such as 256,128.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
ModelPath = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="The model. [default: TABLE.thalweg]"
    ),
]
FiguresPath = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="All figures, as JSON."),
]


def as_numbers(X: "Frame", y: "Series", task: str) -> tuple[Any, Any]:
    """Return a table as a network takes it: standardized inputs, and the answers."""
    from thalweg.columns import as_frame, encode, is_missing, numbers, study
    from thalweg.tabular import Classifier

    model, _ = choose(task, y)
    known = ~is_missing(y)
    frame, answers = as_frame(X[known]), y[known]
    inputs = encode(study(frame), frame).astype("float32")
    if isinstance(model, Classifier):
        return inputs, answers.to_numpy().astype(str)
    values = numbers(str(answers.name), answers)
    return inputs, ((values - values.mean()) / (values.std() or 1)).astype("float32")


def check_folder(output: Path | None) -> None:
    """Find out before the work is done, not after."""
    if output is not None and not output.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {output.parent} to write {output.name} in. Create it "
            "first, or choose another."
        )


def divide(
    frame: "Frame", target: str, ignore: list[str], category: list[str]
) -> tuple["Frame", "Series"]:
    """Return the columns to learn from, and the one to learn."""
    import pandas as pd

    from thalweg.columns import is_missing, kind_of, numbers

    named = {"--target": [target], "--ignore": ignore, "--category": category}
    for option, names in named.items():
        check_names("column of the table", names, frame.columns, owner=option)
    X, y = frame.drop(columns=[target, *ignore]), frame[target]
    if kind_of(y[~is_missing(y)]) == "number":
        y = pd.Series(numbers(target, y), name=target)
        y = y.astype("Int64") if (y.dropna() % 1 == 0).all() else y
    return X.astype({name: "category" for name in category if name in X}), y


def choose(task: str, y: "Series") -> tuple["Classifier | Regressor", str]:
    """Return the model for a target, and why that one."""
    from thalweg.tabular import Classifier, Regressor
    from thalweg.targets import task_of

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


def use_compile_cache() -> None:
    """Have JAX keep what it compiled for the next run, unless told otherwise."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = _cache_folder() / "thalweg" / "compiled"
    with suppress(OSError):  # a home that cannot be written to
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")


def _cache_folder() -> Path:
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME", home / ".cache"))
