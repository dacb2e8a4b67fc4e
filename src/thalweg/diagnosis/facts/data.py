"""What the rows say by themselves: cells, columns, target, inputs."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from thalweg.core import Array
from thalweg.diagnosis.facts.group import FactGroup
from thalweg.diagnosis.facts.sample import (
    MOST_ROWS,
    Sample,
    numeric,
)
from thalweg.diagnosis.input_data import looks_like_classes
from thalweg.diagnosis.problem import Problem, take
from thalweg.diagnosis.readers import TableEncoder

_NO_DATA = "there are no data"


@dataclass(frozen=True)
class DataFacts(FactGroup):
    """All the data.

    Parameters
    ----------
    rows : int
        Number of rows in X.
    nonfinite : int
        Cells of X and X_val that are missing or infinite and that no step imputes.
    infinite : int
        Cells of X and X_val that are infinite.
    nonfinite_at : str
        The first cell of X that is missing or infinite; ``""`` if there is none.
    """

    prefix = "data"
    why_not = _NO_DATA
    about_data = True

    rows: int
    nonfinite: int
    infinite: int
    nonfinite_at: str


@dataclass(frozen=True)
class TargetGaps(FactGroup):
    """Targets that are missing or infinite: how many."""

    prefix = "target"
    why_not = _NO_DATA
    about_data = True

    nonfinite: int


class Sentinel(NamedTuple):
    """A value at a column's extreme that repeats, far from all others.

    Parameters
    ----------
    name : str
        Of the column.
    position : int
        Of the column in X.
    value : float
    share : float
        Share of the rows that hold the value.
    gap : float
        Distance from the nearest other value, in interquartile ranges of the other
        values, or in whole ranges if most of them are equal.
    """

    name: str
    position: int
    value: float
    share: float
    gap: float


@dataclass(frozen=True)
class ColumnFacts(FactGroup):
    """The columns of numbers, each by itself.

    Parameters
    ----------
    constant, constant_at : tuple of str, tuple of int
        Names and positions of columns with one value.
    numbered, numbered_at : tuple of str, tuple of int
        Names and positions of columns that look like a row number.
    sentinels : tuple of Sentinel
        The largest gaps first.
    """

    prefix = "data"
    why_not = _NO_DATA
    about_data = True

    constant: tuple[str, ...]
    constant_at: tuple[int, ...]
    numbered: tuple[str, ...]
    numbered_at: tuple[int, ...]
    sentinels: tuple[Sentinel, ...]


@dataclass(frozen=True)
class LabelFacts(FactGroup):
    """A classification's target: rows in each class; whether labels are numbers."""

    prefix = "labels"
    why_not = "the target is no class"
    about_data = True

    counts: tuple[int, ...]
    numbers: bool


@dataclass(frozen=True)
class NumberFacts(FactGroup):
    """The target of a regression.

    Parameters
    ----------
    learned : float
        Standard deviation of what the network learns.
    like_classes : bool
        Whether the target looks like class numbers.
    """

    prefix = "numbers"
    why_not = "the target is no number"
    about_data = True

    learned: float
    like_classes: bool


@dataclass(frozen=True)
class TargetFacts(FactGroup):
    """The number of different targets."""

    prefix = "target"
    why_not = _NO_DATA
    about_data = True

    unique: int


@dataclass(frozen=True)
class ImageFacts(FactGroup):
    """A stack of images: the shape of one, and the correlation along each axis."""

    prefix = "image"
    why_not = "X is no stack of images, (n_rows, height, width, channels)"
    about_data = True

    shape: tuple[int, ...]
    along: tuple[float, ...]


@dataclass(frozen=True)
class InputFacts(FactGroup):
    """The inputs as the network is given them.

    Parameters
    ----------
    ratio : float
        The widest column's spread over the narrowest one's.
    largest : float
        The largest spread or absolute median of a column.
    widest : str
        The column to which `largest` belongs.
    encoded : bool or None
        Whether a table was encoded, so that the columns are scaled.
    names, spreads : tuple of str, tuple of float, or None
        The columns that vary; None if none does or if a table was encoded.
    """

    prefix = "inputs"
    why_not = "the inputs are not finite numbers"
    about_data = True
    remeasured = True

    ratio: float
    largest: float
    widest: str
    encoded: bool | None = None
    names: tuple[str, ...] | None = None
    spreads: tuple[float, ...] | None = None


# --------------------------------------------------------------------- columns, target


def facts_of_cells(problem: Problem, seen: Sample) -> tuple[DataFacts, TargetGaps]:
    """Count the cells and the targets that are missing or infinite."""
    raw, names, _ = numeric(problem.X)
    where, bad, infinite = "", 0, 0
    held = (
        raw[:0]
        if problem.validation_data is None
        else numeric(problem.validation_data.X)[0]
    )
    for rows, of in ((held, " of X_val"), (raw, "")):
        if len(at := np.argwhere(~np.isfinite(rows))):
            where = f"row {at[0][0]}{of}, {names[at[0][1]]}"
            bad, infinite = bad + len(at), infinite + int(np.isinf(rows).sum())
    target = problem.y if problem.y.dtype.kind == "f" else np.zeros(1)
    return DataFacts(
        rows=int(problem.X.shape[0]),
        nonfinite=0 if bad and _are_imputed(problem, seen) else bad,
        infinite=infinite,
        nonfinite_at=where,
    ), TargetGaps(problem.lost + int((~np.isfinite(target)).sum()))


def _are_imputed(problem: Problem, seen: Sample) -> bool:
    """Whether the steps turn every cell that is missing or infinite into a number.

    What a step does tells more than its class: an imputer may be the user's own, or
    stand inside a ColumnTransformer, or be given some of the columns only.
    """
    if problem.repairs.get("impute"):
        return True
    if seen.pipe is None:
        return False
    for X in (
        problem.X,
        *(() if problem.validation_data is None else (problem.validation_data.X,)),
    ):
        bad = np.flatnonzero(~np.isfinite(numeric(X)[0]).all(axis=1))[:MOST_ROWS]
        if not len(bad):
            continue
        try:
            prepared = seen.pipe.transform(take(X, bad))
        except (ValueError, TypeError):
            return False
        if not np.isfinite(numeric(prepared)[0]).all():
            return False
    return True


def facts_of_columns(seen: Sample) -> ColumnFacts:
    """Look for columns that hold no information, and for sentinels."""
    raw, n = seen.raw, len(seen.raw)
    constant = np.ptp(raw, axis=0) == 0 if n else np.zeros(0, bool)
    numbered = []
    for k in np.flatnonzero((raw == np.round(raw)).all(axis=0) & ~constant):
        values = np.sort(raw[:, k])
        whole = n > 20 and (np.diff(values) > 0).all()
        if (
            whole
            and len(seen.rows)
            and values[-1] - values[0] < 1.5 * seen.rows[-1] + 2
        ):
            numbered.append(int(k))
    return ColumnFacts(
        constant=tuple(seen.names[k] for k in np.flatnonzero(constant)),
        constant_at=tuple(seen.where[k] for k in np.flatnonzero(constant)),
        numbered=tuple(seen.names[k] for k in numbered),
        numbered_at=tuple(seen.where[k] for k in numbered),
        sentinels=_sentinels(seen),
    )


def _sentinels(seen: Sample) -> tuple[Sentinel, ...]:
    """Find values at a column's extreme that repeat, far from all others."""
    found: list[Sentinel] = []
    ascending = np.sort(filled(seen.raw), axis=0)
    n = len(ascending)
    for sign, columns in ((1.0, ascending), (-1.0, -ascending[::-1])):
        if n < 4 or not columns.shape[1]:
            continue
        extreme = columns[-1]
        count = (columns == extreme).sum(axis=0)
        left = n - count
        at = np.arange(columns.shape[1])
        others = [columns[np.maximum((q * (left - 1)).astype(int), 0), at]
                  for q in (0.25, 0.75, 1.0)]  # fmt: skip
        spread = others[1] - others[0]
        # If most values of a column are equal, the others tell a range, if they are
        # enough.
        told = (columns != others[0]).sum(axis=0) >= 2 * count
        spread = np.where((spread > 0) | ~told, spread, others[2] - columns[0])
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = (extreme - others[2]) / spread
        enough = (count >= 2) & (left >= 3) & (spread > 0) & (_distinct(columns) > 3)
        for k in np.flatnonzero(enough & np.isfinite(gap)):
            value, share = float(sign * extreme[k]), float(count[k] / n)
            found.append(
                Sentinel(seen.names[k], seen.where[k], value, share, float(gap[k]))
            )
    return tuple(sorted(found, key=lambda each: -each.gap)[:20])


def filled(columns: Array) -> Array:
    """Put a column's median where it has no finite number."""
    bad = ~np.isfinite(columns)
    if not bad.any():
        return columns
    known = np.where(bad & ~bad.all(axis=0), np.nan, np.where(bad, 0.0, columns))
    return np.where(bad, np.nanmedian(known, axis=0), columns)


def _distinct(columns: Array) -> Array:
    """Return how many different values sorted columns hold."""
    return 1 + (columns[1:] != columns[:-1]).sum(axis=0)


def facts_of_inputs(
    problem: Problem, seen: Sample, sentinels: tuple[Sentinel, ...]
) -> InputFacts:
    """Measure how wide the columns are, without sentinels and mostly-zeros.

    A column of two values can be too wide, but never too narrow.
    """
    assert seen.inputs is not None
    columns = np.array(seen.inputs)
    if columns.shape == seen.raw.shape:
        for sentinel in sentinels:
            k = seen.names.index(sentinel.name)
            hit = seen.raw[:, k] == sentinel.value
            if sentinel.gap > 5 and not hit.all():
                columns[hit, k] = np.median(columns[~hit, k])
    low, middle, high = np.percentile(columns, [5, 50, 95], axis=0)
    spread, size = (high - low) / 3.3, np.abs(middle)
    encoded = any(isinstance(step, TableEncoder) for step in problem.steps)
    distinct = _distinct(np.sort(columns[:200], axis=0))
    spread = np.where(distinct == 2, columns.std(axis=0), spread)
    varied = (distinct > 1) & (spread > 0)
    if not varied.any() or encoded:
        return InputFacts(ratio=1.0, largest=0.0, widest="", encoded=encoded)
    least = spread[varied & (distinct > 2)].min(initial=spread[varied].max())
    spread, size = spread[varied], size[varied]
    same = columns.shape[1] == len(seen.names)
    every = seen.names if same else [f"input {k}" for k in range(columns.shape[1])]
    names = np.array(every)[varied]
    widest = int(np.argmax(np.maximum(spread, size)))
    return InputFacts(
        ratio=float(spread.max() / least),
        largest=float(max(spread.max(), size.max())),
        widest=str(names[widest]),
        names=tuple(names.tolist()[:40]),
        spreads=tuple(spread.tolist()[:40]),
    )


def facts_of_labels(problem: Problem) -> LabelFacts | None:
    """Count the classes; None for a regression."""
    if problem.labels is None:
        return None
    y = problem.y if problem.y.ndim == 1 else problem.y.argmax(axis=1)
    counts = np.bincount(y.astype(int), minlength=len(problem.labels))
    return LabelFacts(tuple(counts.tolist()), problem.labels.dtype.kind in "fiu")


def facts_of_numbers(problem: Problem) -> NumberFacts | None:
    """Measure a regression's target; None for a classification."""
    if problem.labels is not None:
        return None
    values = np.asarray(problem.y, float)
    known = values[np.isfinite(values)]
    return NumberFacts(
        learned=1.0 if problem.scales_target else float(known.std()),
        like_classes=looks_like_classes(values) if values.ndim == 1 else False,
    )


def facts_of_target(problem: Problem) -> TargetFacts:
    """Count the different targets."""
    if problem.labels is not None:
        return TargetFacts(len(problem.labels))
    values = np.asarray(problem.y, float)
    return TargetFacts(len(np.unique(values[np.isfinite(values)])))


def facts_of_images(problem: Problem) -> ImageFacts | None:
    """Correlate neighboring pixels along each axis of a stack of images."""
    if problem.images is None:
        return None
    sample = np.asarray(problem.images[:500], float)
    middle = sample - sample.mean(axis=0)
    along = []
    for axis in range(1, sample.ndim):
        first = np.take(middle, range(sample.shape[axis] - 1), axis)
        second = np.take(middle, range(1, sample.shape[axis]), axis)
        norm = np.sqrt((first**2).sum() * (second**2).sum())
        along.append(float((first * second).sum() / norm) if norm > 0 else 0.0)
    return ImageFacts(sample.shape[1:], tuple(along))
