"""Collect what a report shows about a fit.

The page must be enough to reproduce the fit. It therefore names the command, the
table's checksum, the settings and the versions of the libraries.
"""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
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
    as_frame,
    lacks_target,
    measured,
    show,
    texts,
)
from thalweg.report.content import ColumnSketch, Report, TableSketch

_LONGEST = 80  # characters of a label
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
    """Collect what a report shows about a fit.

    Parameters
    ----------
    model : Classifier or Regressor
        Fitted; boosted trees too.
    evaluation : Evaluation
    X, y : DataFrame and Series
        The table that the model was fitted on, including rows without a target.
    path : Path
        The file of the table.
    task : str
        Classification or regression, and why.
    command : sequence of str
        The arguments of the command line.
    diagnosis : Diagnosis, optional

    Returns
    -------
    Report
    """
    return Report(
        title=f"{y.name}, predicted from {path.name}",
        run=getattr(model, "run_", None),
        evaluation=evaluation,
        table=_sketch_table(model, X, y, path.name, task),
        diagnosis=diagnosis,
        origin=_origin(model, path, command),
    )


def _sketch_table(model: Any, X: Frame, y: Series, name: str, task: str) -> TableSketch:
    known = ~lacks_target(y, getattr(model, "missing", None))
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
    run = getattr(model, "run_", None)
    trained = {} if run is None else {
        "Network": str(run.network),
        "Plan": str(run.plan),
        "Engine": run.engine,
    }  # fmt: skip
    return {
        "Command": join(["thalweg", *command]),
        "Table": path.name + _fingerprint(path),
        "Seed": str(model.random_state),
        "Estimator": repr(model),
        **trained,
        "Versions": ", ".join(f"{k} {v}" for k, v in _versions().items()),
        "Machine": f"{platform.machine()}, {platform.system()}",
        "Written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _versions() -> Mapping[str, str]:
    found = {"Python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # it runs from a source tree
            found[name] = "unknown"
    return found


def _fingerprint(path: Path) -> str:
    if not path.is_file():  # several tables, or standard input
        return ""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f", {path.stat().st_size:,} bytes, SHA-256 {digest}"


def sketch(column: Column, values: Series) -> ColumnSketch:
    """Count the values of a column, for a small histogram.

    Parameters
    ----------
    column : Column
        The description of the column by `thalweg.estimators.study`.
    values : Series

    Returns
    -------
    ColumnSketch
        Twenty ranges of equal length for numbers and dates, and the twelve most
        frequent values otherwise. No counts for a column that is left out.
    """
    described = partial(
        ColumnSketch, column.name, column.kind, column.detail, column.missing
    )
    if column.kind == "left out":
        return described()
    if column.kind in ("category", "boolean", "text"):
        counts = texts(values, column.absent).value_counts()[:12]
        labels = tuple(_crop(label) for label in counts.index)
        return described(labels=labels, counts=tuple(counts.tolist()))
    read = measured(column, values)
    bars, edges = np.histogram(read[~np.isnan(read)], bins=20)
    shown = [show(column, edge) for edge in edges]
    ranges = tuple(f"{low} to {high}" for low, high in pairwise(shown))
    return described(labels=ranges, counts=tuple(bars.tolist()))


def _crop(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
