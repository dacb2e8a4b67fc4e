"""All that a report shows of a fit, gathered in one record.

The page must be enough to do the fit again: what was run, on which bytes, with which
settings and versions.
"""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from shlex import join
from typing import Any

import numpy as np

from thalweg.core import Frame, Series
from thalweg.diagnosis import Diagnosis
from thalweg.estimators import (
    Column,
    Evaluation,
    Values,
    as_day,
    as_days,
    as_frame,
    is_missing,
    numbers,
    texts,
)
from thalweg.report.content import ColumnSketch, Report, TableSketch

_LIBRARIES = ("thalweg", "numpy", "scipy", "scikit-learn", "pandas", "jax")


def summarize(
    model: Any,
    evaluation: Evaluation,
    X: Frame,
    y: Series,
    *,
    path: Path,
    task: str,
    command: Sequence[str],
    diagnosis: Diagnosis | None = None,
) -> Report:
    """Gather what the page about a fit shows.

    Parameters
    ----------
    model : Classifier or Regressor
        Fitted.
    evaluation : Evaluation
    X, y : DataFrame and Series
        The table that it was fitted on, rows without a target included.
    path : Path
        Its file.
    task : str
        What the target is, and why.
    command : sequence of str
        The command line's words after the program's name.
    diagnosis : Diagnosis, optional

    Returns
    -------
    Report
    """
    return Report(
        title=f"{y.name}, predicted from {path.name}",
        run=model.run_,
        evaluation=evaluation,
        table=_sketch_table(model, X, y, path.name, task),
        diagnosis=diagnosis,
        origin=_origin(model, path, command),
    )


def _sketch_table(model: Any, X: Frame, y: Series, name: str, task: str) -> TableSketch:
    known = ~is_missing(y)
    frame = as_frame(X)[known.to_numpy()]
    kind = "number" if isinstance(model.target_, Values) else "category"
    return TableSketch(
        name=name,
        n_rows=int(known.sum()),
        n_unlabeled=int((~known).sum()),
        target=sketch(Column(str(y.name), kind, int((~known).sum())), y[known]),
        task=task,
        columns=tuple(sketch(c, frame[c.name]) for c in model.columns_),
    )


def _origin(model: Any, path: Path, command: Sequence[str]) -> dict[str, str]:
    run = model.run_
    return {
        "Command": join(["thalweg", *command]),
        "Table": f"{path.name}, {path.stat().st_size:,} bytes, SHA-256 {_hash(path)}",
        "Seed": str(model.random_state),
        "Estimator": repr(model),
        "Network": str(run.network),
        "Plan": str(run.plan),
        "Engine": run.engine,
        "Versions": ", ".join(f"{k} {v}" for k, v in _versions().items()),
        "Machine": f"{platform.machine()}, {platform.system()}",
        "Written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _versions() -> Mapping[str, str]:
    found = {"Python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a tree that was not installed
            found[name] = "unknown"
    return found


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sketch(column: Column, values: Series) -> ColumnSketch:
    """Count how a column's values are spread, for a small picture.

    Parameters
    ----------
    column : Column
        What `study` said of it.
    values : Series

    Returns
    -------
    ColumnSketch
        Twenty ranges of equal length for numbers and dates, the twelve most frequent
        values for all else; nothing for a column left out.
    """
    plain = column.name, column.kind, column.detail, column.missing
    if column.kind == "left out":
        return ColumnSketch(*plain)
    if column.kind in ("category", "boolean"):
        counts = texts(values).value_counts()[:12]
        return ColumnSketch(*plain, tuple(counts.index), tuple(counts.tolist()))
    date = column.kind == "date"
    read = (as_days(column.name, column.layout, values) if date
            else numbers(column.name, values))  # fmt: skip
    bars, edges = np.histogram(read[~np.isnan(read)], bins=20)
    shown = [as_day(edge) if date else f"{edge:.4g}" for edge in edges]
    ranges = tuple(f"{low} to {high}" for low, high in pairwise(shown))
    return ColumnSketch(*plain, ranges, tuple(bars.tolist()))
