"""All that a report shows of a fit, gathered in one record.

The page must be enough to do the fit again: what was run, on which bytes, with which
settings and versions.
"""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shlex import join
from typing import Any

from thalweg.columns import Column, Frame, Series, as_frame, is_missing, sketch
from thalweg.evaluations import Evaluation, Report, TableSketch
from thalweg.findings import Diagnosis
from thalweg.targets import Values

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
