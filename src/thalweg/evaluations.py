"""How good a model is and on which table: what a report shows, as frozen records.

`thalweg.tabular` and `thalweg.heldout` fill these in; nothing here computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from thalweg.findings import Diagnosis
from thalweg.records import Record, Run


@dataclass(frozen=True)
class Confusion(Record):
    """Which classes are taken for which.

    Parameters
    ----------
    labels : tuple of str
    counts : tuple of tuple of int
        Rows of each true class (first index) by the class predicted.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Calibration(Record):
    """Whether a classifier is right as often as it is sure to be.

    Rows are put in order of the probability of the class predicted, and divided into
    bins of about equally many (Guo et al., 2017, section 2, whose bins are equally
    wide).

    Parameters
    ----------
    confidence, accuracy : tuple of float
        Mean probability and share of right predictions in each bin.
    intervals : tuple of (float, float)
        95 % confidence interval of each accuracy.
    counts : tuple of int
        Rows of each bin.
    error : float
        Expected calibration error: mean distance of the two, weighted by rows.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    counts: tuple[int, ...]
    error: float


@dataclass(frozen=True)
class Residuals(Record):
    """Values and what was predicted for them; 2000 rows at the most."""

    truth: tuple[float, ...]
    predicted: tuple[float, ...]


@dataclass(frozen=True)
class Importance(Record):
    """What the score loses when a column's values are shuffled among the rows.

    Parameters
    ----------
    column : str
    drop : float
        Mean over the shuffles.
    interval : (float, float)
        95 % confidence interval of `drop`, over the rows.
    """

    column: str
    drop: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Evaluation(Record):
    """How good a model is on data that it was not trained on.

    Parameters
    ----------
    metric : str
        ``"accuracy"`` or ``"R2"``, or the scorer's name.
    score : float
        The model's score; greater is better.
    interval : (float, float)
        95 % confidence interval of `score`.
    n_rows : int
        Rows that it was measured on.
    method : str
        How the rows were held out, in words.
    baselines : mapping of str to float
        Score on the same rows of the simple models named.
    intervals : mapping of str to (float, float)
        95 % confidence interval of each baseline.
    gains : mapping of str to (float, float, float)
        What the model scores above each baseline, row by row: mean and 95 % confidence
        interval.
    confusion : Confusion or None
        None for values.
    residuals : Residuals or None
        None for classes.
    calibration : Calibration or None
        None for values, and where the rows are too few.
    importance : tuple of Importance
        One a column, the greatest drop first; empty where not measured.
    """

    metric: str
    score: float
    interval: tuple[float, float]
    n_rows: int
    method: str
    baselines: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    gains: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    confusion: Confusion | None = None
    residuals: Residuals | None = None
    calibration: Calibration | None = None
    importance: tuple[Importance, ...] = ()


@dataclass(frozen=True)
class ColumnSketch:
    """A column of a table, and how its values are spread.

    Parameters
    ----------
    name, kind, detail : str
        As in `thalweg.columns.Column`.
    missing : int
        Rows without a value.
    labels : tuple of str
        Ranges of numbers, or categories.
    counts : tuple of int
        Rows of each.
    """

    name: str
    kind: str
    detail: str
    missing: int
    labels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableSketch:
    """A table as it was seen.

    Parameters
    ----------
    name : str
    n_rows, n_unlabeled : int
        Rows with and without a target.
    target : ColumnSketch
    task : str
        Classification or regression, and why.
    columns : tuple of ColumnSketch
        Those to learn from.
    """

    name: str
    n_rows: int
    n_unlabeled: int
    target: ColumnSketch
    task: str
    columns: tuple[ColumnSketch, ...]


@dataclass(frozen=True, eq=False)
class Report:
    """All that a page about a fit shows; what is None or empty is left out.

    Parameters
    ----------
    title : str
    run : Run or None
    evaluation : Evaluation or None
    table : TableSketch or None
    diagnosis : Diagnosis or None
    origin : mapping of str to str
        What it takes to do it again: command, seed, versions and so on.
    """

    title: str
    run: Run | None = None
    evaluation: Evaluation | None = None
    table: TableSketch | None = None
    diagnosis: Diagnosis | None = None
    origin: Mapping[str, str] = field(default_factory=dict)
