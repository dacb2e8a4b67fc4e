"""The options that say how rows are divided, scored and weighted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from thalweg.cli.options import Names, option

if TYPE_CHECKING:
    from thalweg.core import Frame, Series

Metric = Annotated[
    str | None,
    option(
        "What the score is: the name of a scorer of scikit-learn's, e.g. roc_auc, "
        "balanced_accuracy, log_loss, mean_absolute_error. [default: accuracy or R2]",
        of="NAME",
    ),
]
Group = Annotated[
    str | None,
    option(
        "Column that says which rows belong together, e.g. a patient. Rows of one "
        "group are never in both the training and the test data.",
        of="COLUMN",
    ),
]
TimeColumn = Annotated[
    str | None,
    option(
        "Column with a date or number that orders the rows. The latest rows are the "
        "test data.",
        of="COLUMN",
    ),
]
KeepSplitColumns = Annotated[
    bool,
    option(
        "Whether the columns of --group and --time-column are inputs too.",
        "--keep-split-columns",
    ),
]
ClassWeight = Annotated[
    Names,
    option(
        "Weight of a class, or 'balanced' to give rare classes as much weight as "
        "frequent ones. Repeat the option for more classes.",
        of="CLASS=WEIGHT",
    ),
]
Threshold = Annotated[
    str | None,
    option(
        "For two classes: the probability from which on a row is predicted positive, "
        "or the metric that it shall maximize, e.g. f1 or balanced_accuracy. "
        "[default: the most probable class]",
        of="METRIC",
    ),
]


@dataclass(frozen=True, eq=False)
class Divided:
    """The columns to learn from, and the columns that divide the rows.

    Parameters
    ----------
    X : DataFrame
    groups, time : Series or None
    """

    X: "Frame"
    groups: "Series | None" = None
    time: "Series | None" = None

    def of(self, rows: Any) -> dict[str, Any]:
        """Return the columns of some rows as `evaluate` takes them."""
        own = {"groups": self.groups, "time": self.time}
        return {k: None if v is None else v[rows] for k, v in own.items()}


def divide_columns(
    X: "Frame", group: str | None, time: str | None, keep: bool
) -> Divided:
    """Take the columns that divide the rows out of a table."""
    from thalweg.core import check_names

    named = {"--group": group, "--time-column": time}
    for flag, name in named.items():
        if name is not None:
            check_names("column of the table", [name], X.columns, owner=flag)
    groups, times = (None if n is None else X[n] for n in named.values())
    if group is not None and X[group].nunique(dropna=False) < 2:
        raise ValueError(
            f"--group got {group!r}, a column with one value, "
            f"{X[group].iloc[0]!r}, in each row. Choose a column of at least two "
            "groups, because rows of one group are never on both sides of a split."
        )
    left = [name for name in named.values() if name is not None and not keep]
    X = X.drop(columns=list(dict.fromkeys(left)))
    if not X.shape[1]:
        if not left:
            raise ValueError(
                "no column is left to learn from: the table has only the target. Give "
                "a table with other columns, or ignore fewer of them."
            )
        raise ValueError(
            "no column is left to learn from: the table has only the target and the "
            "columns of --group and --time-column. Use --keep-split-columns."
        )
    return Divided(X, groups, times)


def time_or_column(
    given: str | None, column: str | None, names: Any
) -> tuple[float | None, str | None]:
    """Return the seconds of ``--time``, or the column that it names.

    A number, with or without a unit, is a time limit; anything else must be a column.
    """
    from thalweg.cli.live_table import parse_duration

    if given is not None and given in [str(name) for name in names]:
        try:
            parse_duration(given)
        except ValueError:
            if column not in (None, given):
                raise ValueError(
                    f"--time {given} and --time-column {column} name two columns. "
                    "Give one of them."
                ) from None
            return None, given
    return parse_duration(given), column


def parse_class_weight(given: Names, y: "Series") -> Any:
    """Return the weights of the classes by label, ``"balanced"``, or None."""
    if not given:
        return None
    if given == ["balanced"]:
        return "balanced"
    from thalweg.core import check_names

    labels = {str(label).strip(): label for label in y.dropna().unique().tolist()}
    weights = {}
    for text in given:
        label, found, weight = text.rpartition("=")
        try:
            value = float(weight)
        except ValueError:
            value = float("nan")
        if not (found and value >= 0 and value != float("inf")):
            raise ValueError(
                f"--class-weight got {text!r}. Give 'balanced' alone, or a class and "
                "its weight, a number of at least 0, e.g. --class-weight yes=5."
            )
        check_names("class", [label], labels, owner="--class-weight")
        weights[labels[label]] = value
    return weights


def parse_threshold(given: str | None) -> float | str | None:
    """Return a probability, or the name of the metric to maximize."""
    if given is None:
        return None
    try:
        value = float(given)
    except ValueError:
        return given
    if not 0 <= value < 1:
        raise ValueError(
            f"--threshold got {given}. Give a probability from 0 to 1, or a metric, "
            "e.g. f1."
        )
    return value
