"""The contents of a report, as frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from thalweg.core import Run
from thalweg.diagnosis import Diagnosis
from thalweg.estimators import Evaluation


@dataclass(frozen=True)
class ColumnSketch:
    """A column of a table, and the distribution of its values.

    Parameters
    ----------
    name, kind, detail : str
        As in `thalweg.estimators.tabular.columns.Column`.
    missing : int
        Rows without a value.
    labels : tuple of str
        Ranges of numbers, or categories.
    counts : tuple of int
        Number of rows for each label.
    """

    name: str
    kind: str
    detail: str
    missing: int
    labels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableSketch:
    """A description of a table.

    Parameters
    ----------
    name : str
    n_rows, n_unlabeled : int
        Number of rows with and without a target.
    target : ColumnSketch
    task : str
        Classification or regression, and why.
    columns : tuple of ColumnSketch
        The columns to learn from.
    """

    name: str
    n_rows: int
    n_unlabeled: int
    target: ColumnSketch
    task: str
    columns: tuple[ColumnSketch, ...]


@dataclass(frozen=True, eq=False)
class Report:
    """The contents of a report. The page leaves out what is None or empty.

    Parameters
    ----------
    title : str
    run : Run or None
    evaluation : Evaluation or None
    table : TableSketch or None
    diagnosis : Diagnosis or None
    origin : mapping of str to str
        What is needed to reproduce the result: command, seed, versions and so on.
    """

    title: str
    run: Run | None = None
    evaluation: Evaluation | None = None
    table: TableSketch | None = None
    diagnosis: Diagnosis | None = None
    origin: Mapping[str, str] = field(default_factory=dict)
