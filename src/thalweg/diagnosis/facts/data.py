"""What the rows say by themselves: columns, target, neighbors, validation data."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import NearestNeighbors

from thalweg.core import Array
from thalweg.diagnosis.facts.group import FactGroup
from thalweg.diagnosis.facts.sample import (
    MOST_ROWS,
    Sample,
    numeric,
    standardized,
    validation_inputs,
)
from thalweg.diagnosis.input_data import looks_like_classes
from thalweg.diagnosis.problem import Problem, folds, take
from thalweg.diagnosis.readers import TableEncoder

_NEIGHBORS, _CIRCLE, _AT_ONCE = 5, 15, 1000
_SHIFTS = (-3, -2, -1, 1, 2, 3)
_SHUFFLES = 20
_CONTRADICT = 0.05
"""If the neighbors contradict more than this share of the rows, the neighbors of the
validation data are examined too."""
_NO_DATA = "there are no data"
_NO_VALIDATION = "no rows were held out: give X_val and y_val"


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


@dataclass(frozen=True)
class NeighborFacts(FactGroup):
    """How well simple methods predict the target of each row.

    Parameters
    ----------
    score : float
        Agreement of the nearest neighbors with each row: accuracy, or R2.
    chance : float
        What `score` may reach if the targets are shuffled.
    shifted, shift : float, int
        The best `score` if y is moved by a few rows, and by how many.
    linear : float
        Score of a linear model.
    rows : int
        Number of rows examined.
    best : float
        The best of these scores.
    """

    prefix = "nearest"
    why_not = (
        "there are too few rows, several targets, or inputs that are no finite numbers"
    )
    about_data = True

    score: float
    chance: float
    shifted: float
    shift: int
    linear: float
    rows: int
    best: float


@dataclass(frozen=True)
class NeighborhoodFacts(FactGroup):
    """The labels among each row's neighbors.

    Parameters
    ----------
    purity : float
        Share of the most frequent label, in the purest tenth of the neighborhoods.
    disagree : float
        Share of rows whose label most neighbors contradict.
    constant : float
        Share of the most frequent label among all rows.
    """

    prefix = "labels"
    why_not = LabelFacts.why_not
    about_data = True

    purity: float
    disagree: float
    constant: float


@dataclass(frozen=True)
class BestColumnFacts(FactGroup):
    """The column that by itself predicts the target best.

    Parameters
    ----------
    alone : float
        Its score.
    alone_name, alone_at : str, int
        Its name and its position in X.
    others : float
        The score of all other columns together; 1.0 if it does not matter.
    """

    prefix = "nearest"
    why_not = NeighborFacts.why_not
    about_data = True

    alone: float
    alone_name: str
    alone_at: int
    others: float


@dataclass(frozen=True)
class ValidationColumnFacts(FactGroup):
    """The score of that column on the validation data."""

    prefix = "held"
    why_not = _NO_VALIDATION
    about_data = True

    alone: float


@dataclass(frozen=True)
class ValidationFacts(FactGroup):
    """The validation data, compared with the training data.

    Parameters
    ----------
    rows : int
    shifted, stretched : float
        Shares of the columns whose mean or whose spread differs.
    shared : float
        Share of the validation rows that are in the training data too.
    repeated : float
        Share of the training rows that are repeated.
    agreement, chance : float or None
        Agreement of neighbors within the validation data, and what it may reach by
        chance; None if there was no reason to ask.
    rarer, rarer_errors : float or None
        How many times rarer a class is in the training data, and by how many standard
        errors; None for a target that is no class.
    """

    prefix = "held"
    why_not = _NO_VALIDATION
    about_data = True

    rows: int
    shifted: float
    stretched: float
    shared: float
    repeated: float
    agreement: float | None = None
    chance: float | None = None
    rarer: float | None = None
    rarer_errors: float | None = None


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
    ascending = np.sort(_filled(seen.raw), axis=0)
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


def _filled(columns: Array) -> Array:
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


# ----------------------------------------------------------------------- neighbors


def facts_of_neighbors(
    problem: Problem, seen: Sample
) -> tuple[NeighborFacts | None, NeighborhoodFacts | None]:
    """Compare each row's target with those of its neighbors.

    The targets are taken as they are, shuffled, and moved by a few rows.
    """
    assert seen.inputs is not None
    some = np.random.RandomState(2).permutation(len(seen.rows))[:_AT_ONCE]
    if len(some) < 8 or problem.y.ndim > 1:
        return None, None
    points = standardized(seen.inputs)[some]
    order = _neighbors(points, min(_CIRCLE, len(some) - 1))
    rows = seen.rows[some]
    y, close = problem.y[rows], order[:, :_NEIGHBORS]
    agree = _agreement if problem.labels is not None else _explained
    score, chance = _score_and_chance(problem, y, close, seed=3)
    shifted = [agree(np.roll(problem.y, s)[rows], close) for s in _SHIFTS]
    best_shift = int(np.argmax(shifted))
    linear = _linear(points, y, problem.labels)
    best, neighborhoods = max(score, linear), None
    if problem.labels is not None and len(some) >= 4 * _CIRCLE:
        votes = np.eye(len(problem.labels))[y][order].sum(axis=1)
        pure = votes.max(axis=1) / order.shape[1]
        own = votes.argmax(axis=1) != y
        best = max(float(1 - own.mean()), linear)
        neighborhoods = NeighborhoodFacts(
            purity=float(np.percentile(pure, 90)),
            disagree=float(own.mean()),
            constant=float(np.bincount(y).max() / len(y)),
        )
    return NeighborFacts(
        score=score, chance=chance, shifted=shifted[best_shift],
        shift=_SHIFTS[best_shift], linear=linear, rows=len(some), best=best,
    ), neighborhoods  # fmt: skip


def _neighbors(points: Array, k: int) -> Array:
    """Return the k nearest rows of each row, without the row itself."""
    near: Any = NearestNeighbors(n_neighbors=k, algorithm="brute")
    return near.fit(points).kneighbors(return_distance=False)


def _score_and_chance(
    problem: Problem, y: Array, close: Array, seed: int
) -> tuple[float, float]:
    """Return how well neighbors predict the target, and how well they may by chance."""
    agree = _agreement if problem.labels is not None else _explained
    rng = np.random.RandomState(seed)
    chance = [agree(rng.permutation(y), close) for _ in range(_SHUFFLES)]
    return agree(y, close), float(np.mean(chance) + 3 * np.std(chance))


def _agreement(y: Array, close: Array) -> float:
    return float((y[close] == y[:, None]).mean())


def _explained(y: Array, close: Array) -> float:
    return _score(y[close].mean(axis=1), y, by_class=False)


def _linear(points: Array, y: Array, labels: Array | None) -> float:
    """Score a ridge regression by two-fold cross-validation."""
    target = np.eye(len(labels))[y] if labels is not None else y[:, None]
    columns = np.hstack([points, np.ones((len(points), 1))])
    fold = np.arange(len(y)) % 2
    predicted = np.empty_like(target, dtype=float)
    for k in (0, 1):
        X, T = columns[fold != k], target[fold != k]
        square = X.T @ X + np.eye(X.shape[1]) * 1e-2 * len(X)
        predicted[fold == k] = columns[fold == k] @ np.linalg.solve(square, X.T @ T)
    by_class = labels is not None
    return _score(
        predicted.argmax(axis=1) if by_class else predicted[:, 0], y, by_class
    )


# --------------------------------------------------------------------------- leaks


def facts_of_best_column(
    problem: Problem, seen: Sample
) -> tuple[BestColumnFacts | None, ValidationColumnFacts | None]:
    """Find the column that predicts the target best, and compare it with the others.

    By itself, a column predicts the target of a row from the rows next to it if all
    are sorted by that column.
    """
    some = np.random.RandomState(5).permutation(len(seen.rows))[:_AT_ONCE]
    columns, y = _filled(seen.raw[some]), problem.y[seen.rows[some]]
    if problem.y.ndim > 1 or not columns.shape[1] or len(some) < 20:
        return None, None
    by_class = problem.labels is not None
    alone = _alone(columns, y, by_class)
    k = int(alone.argmax())
    validation, others = None, 1.0
    if problem.validation_data is not None and len(problem.validation_data.y) >= 20:
        column = _filled(numeric(problem.validation_data.X)[0][:, [k]])
        score = float(_alone(column, problem.validation_data.y, by_class)[0])
        validation = ValidationColumnFacts(score)
    if alone[k] > 0.97 and columns.shape[1] > 1:
        forest: Any = ExtraTreesClassifier if by_class else ExtraTreesRegressor
        rest = np.delete(columns, k, axis=1)
        guess: Any = cross_val_predict(forest(20, random_state=0), rest, y,
                                       cv=PredefinedSplit(folds(y, 3)))  # fmt: skip
        others = _score(guess, y, by_class)
    name, position = seen.names[k], seen.where[k]
    return BestColumnFacts(float(alone[k]), name, position, others), validation


def _alone(columns: Array, y: Array, by_class: bool) -> Array:
    """Return how well each column by itself predicts the target."""
    along = y[columns.argsort(axis=0, kind="stable")]
    if by_class:  # the borders between the classes are not counted as errors
        borders = (along[1:] != along[:-1]).sum(axis=0) + 1 - len(np.unique(y))
        return 1 - borders / len(y)
    return np.array([_score((a[2:] + a[:-2]) / 2, a[1:-1], False) for a in along.T])


def _score(guess: Array, y: Array, by_class: bool) -> float:
    if by_class:
        return float((guess == y).mean())
    total = ((y - y.mean()) ** 2).sum()
    return float(1 - ((guess - y) ** 2).sum() / total) if total > 0 else 0.0


# ----------------------------------------------------------------- validation data


def facts_of_validation(
    problem: Problem, seen: Sample, nearest: NeighborFacts | None,
    neighborhoods: NeighborhoodFacts | None,
) -> ValidationFacts | None:  # fmt: skip
    """Compare the validation data with the training data.

    Neighbors within the validation data are examined only if those within the training
    data contradict: it takes time.
    """
    assert problem.validation_data is not None
    assert seen.inputs is not None
    held, y = validation_inputs(problem, seen)
    own = seen.inputs
    mean, std = own.mean(axis=0), own.std(axis=0)
    varied = std > 0
    if not varied.any() or not np.isfinite(held).all():
        return None
    std = std[varied]
    shift = np.abs(held.mean(axis=0) - mean)[varied] / std
    # The mean of a few rows differs by chance.
    shift = np.maximum(shift - 3 / np.sqrt(len(held)), 0)
    with np.errstate(divide="ignore"):
        stretch = np.abs(np.log(held.std(axis=0)[varied] / std))
    all_rows = {row.tobytes() for row in _number_rows(problem.X)}
    shared = np.mean(
        [row.tobytes() in all_rows for row in _number_rows(problem.validation_data.X)]
    )
    n = problem.X.shape[0]
    by_chance = nearest is not None and nearest.score <= nearest.chance
    contradict = by_chance or (
        neighborhoods is not None and neighborhoods.disagree > _CONTRADICT
    )
    agreement = chance = rarer = rarer_errors = None
    if len(y) >= 40 and y.ndim == 1 and contradict:
        agreement, chance = _validation_agreement(problem, held, y)
    if problem.labels is not None and problem.y.ndim == 1:
        rarer, rarer_errors = _rarer(problem.y, y.astype(int), len(problem.labels))
    return ValidationFacts(
        rows=len(problem.validation_data.y),
        shifted=float((shift > 0.5).mean()),
        stretched=float((stretch > np.log(3)).mean()),
        shared=float(shared),
        repeated=float(1 - (len(all_rows) - 1) / max(n - 1, 1)),
        agreement=agreement,
        chance=chance,
        rarer=rarer,
        rarer_errors=rarer_errors,
    )


def _rarer(training: Array, validation: Array, k: int) -> tuple[float, float]:
    """Return how much rarer a class is in the training data, and in how many errors."""
    counts = np.array([np.bincount(y, minlength=k) for y in (training, validation)])
    n = np.array([[len(training)], [len(validation)]])
    (own, held), both = counts / n, counts.sum(axis=0) / n.sum()
    times = held / np.maximum(own, 1e-9)
    rarest = int(times.argmax())
    error = np.sqrt((both * (1 - both))[rarest] * (1 / n).sum())
    apart = (held - own)[rarest] / max(error, 1e-9)
    return float(times[rarest]), float(apart)


def _validation_agreement(
    problem: Problem, held: Array, y: Array
) -> tuple[float, float]:
    held, y = held[:_AT_ONCE], y[:_AT_ONCE]
    close = _neighbors(standardized(held), _NEIGHBORS)
    return _score_and_chance(problem, y, close, seed=6)


def _number_rows(X: Any) -> Array:
    return np.ascontiguousarray(numeric(X)[0])
