"""What predictions on held-out rows tell beyond a score.

Each function takes what was true and what was predicted for rows that were not trained
on, and gives a record of `thalweg.estimators.tabular.evaluation`. Uncertainty is over
these rows: they are a sample, and another one would score differently.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import confusion_matrix

from thalweg import training
from thalweg.core import Array, Frame, Record, Series, StopReason, folds, wilson
from thalweg.estimators.tabular.estimators import (
    FEW_ROWS,
    Classifier,
    Regressor,
    labeled,
)
from thalweg.estimators.tabular.preprocessing import encode_each
from thalweg.estimators.tabular.targets import Values


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


_VERY_FEW_ROWS = 30
_HELD_OUT = 5000  # rows that a model is measured on, at most about so many


def n_networks(n_rows: int) -> int:
    """How many networks `evaluate` trains for a table of `n_rows`."""
    return 1 if n_rows >= FEW_ROWS else _n_folds(n_rows) + 1


def evaluate(
    model: Classifier | Regressor,
    X: Any,
    y: Any,
    announce: Callable[[str], None] = lambda text: None,
    closely: bool = False,
) -> Evaluation:
    """Fit `model`, and measure it on rows that it was not fitted on.

    With `FEW_ROWS` or more, one row of five is held out for good (at most 5000), and
    the model fitted on the others. With fewer, a model is fitted for each fold of a
    cross-validation (10 folds, or each row its own under 30 rows) and the model itself
    at last on all rows; the folds' predictions are scored together.

    Parameters
    ----------
    model : Classifier or Regressor
        Is fitted.
    X, y : as for `Classifier.fit`
    announce : callable
        Is told which network is trained next. Interrupting from the keyboard ends
        the training of a single network, and the whole of a cross-validation.
    closely : bool
        Whether to add what a report shows: confusion or residuals, calibration,
        importance of the columns, and the gain over each baseline.

    Returns
    -------
    Evaluation
        Accuracy with Wilson's interval, or R² with a bootstrap interval, beside what a
        constant and a linear model reach on the same rows and the same inputs.
    """
    frame, target, _ = labeled(X, y, None)
    held_out, total = evaluation_folds(target), n_networks(len(frame))
    models, parts = [], []
    for number, rows in enumerate(held_out, start=1):
        announce(f"network {number} of {total}")
        each: Any = model if total == 1 else clone(model)
        parts.append(_guess(each, frame, target, rows))
        models.append(each)
        if total > 1 and each.run_.stop_reason is StopReason.INTERRUPTED:
            raise KeyboardInterrupt
    if total > 1:
        announce(f"network {total} of {total}")
        model.fit(frame, target)
    truth, predicted, linear = map(np.concatenate, zip(*parts, strict=True))
    constant, value = model.target_.constant(truth)
    guesses = {constant: np.full(len(truth), value), model.target_.linear: linear}
    found = Evaluation(
        metric=model.target_.metric,
        score=model.target_.score(truth, predicted),
        interval=model.target_.interval(truth, predicted),
        n_rows=len(truth),
        method=_describe(len(held_out), len(frame)),
        baselines={name: model.target_.score(truth, g) for name, g in guesses.items()},
    )
    if not closely:
        return found
    frames = [frame[rows] for rows in held_out]
    return look_closely(found, models, frames, truth, predicted, guesses)


def _n_folds(n_rows: int) -> int:
    return n_rows if n_rows < _VERY_FEW_ROWS else 10


def evaluation_folds(target: Series) -> list[Array]:
    """Mark the rows of each fold, or of the only one; each has its share of all y."""
    n_rows = len(target)
    few = n_rows < FEW_ROWS
    step = _n_folds(n_rows) if few else max(5, n_rows // _HELD_OUT)
    fold = folds(target.to_numpy(), step, np.random.RandomState(0))
    return [fold == k for k in range(step if few else 1)]


def _guess(
    model: Classifier | Regressor, frame: Frame, target: Series, held: Array
) -> tuple[Array, Array, Array]:
    """Fit on the rows not held out; return of the others what is true and predicted.

    The last is what a linear model predicts.
    """
    model.fit(frame[~held], target[~held])
    inputs, asked = model.encode(frame[~held]), model.encode(frame[held])
    truth, linear = model.target_.clean(target), model.target_.linear_model()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        linear.fit(inputs, truth[~held])
    return truth[held], model.predict(frame[held]), linear.predict(asked)


def _describe(n_held_out: int, n_rows: int) -> str:
    if n_held_out == 1:
        return "held out from training"
    if n_held_out == n_rows:
        return "each predicted by a network trained on all the others"
    return f"each predicted by one of {n_held_out} networks not trained on it"


_MOST_LABELS = 40
_MOST_ROWS = 2000
_ROWS_A_BIN = 15
_MOST_BINS = 10
_SHUFFLES = 10
_PREDICTIONS = 2_000_000  # that importance is measured with, at most


def look_closely(
    found: Evaluation,
    models: Sequence[Any],
    parts: Sequence[Frame],
    truth: Array,
    predicted: Array,
    simple: Mapping[str, Array],
) -> Evaluation:
    """Add to a score all that a report shows of the same rows.

    Parameters
    ----------
    found : Evaluation
    models : sequence of Classifier or Regressor
        Fitted, one for each part of the rows, which it was not fitted on.
    parts : sequence of DataFrame
        The rows of each.
    truth, predicted : ndarray of shape (n_rows,)
        Targets and predictions of all parts.
    simple : mapping of str to ndarray of shape (n_rows,)
        Predictions of the baselines.

    Returns
    -------
    Evaluation
    """
    target = models[0].target_
    found = replace(
        found,
        intervals={name: target.interval(truth, g) for name, g in simple.items()},
        gains={name: _gain(target, truth, predicted, g) for name, g in simple.items()},
        importance=importances(models, parts, truth, predicted),
    )
    if isinstance(target, Values):
        return replace(found, residuals=residuals(truth, predicted))
    shares = [
        m.predict_proba(p).max(axis=1) for m, p in zip(models, parts, strict=True)
    ]
    return replace(
        found,
        confusion=confusion(truth, predicted),
        calibration=calibration(np.concatenate(shares), truth == predicted),
    )


def confusion(truth: Array, predicted: Array) -> Confusion:
    """Count which classes are taken for which; the rarest beyond 40 are one.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n_rows,)
    """
    labels, counts = np.unique(np.concatenate([truth, predicted]), return_counts=True)
    names = [str(label) for label in labels]
    codes = np.searchsorted(labels, truth), np.searchsorted(labels, predicted)
    if len(labels) > _MOST_LABELS:
        kept = np.sort(np.argsort(-counts, kind="stable")[: _MOST_LABELS - 1])
        place = np.full(len(labels), len(kept))
        place[kept] = np.arange(len(kept))
        codes = place[codes[0]], place[codes[1]]
        names = [names[k] for k in kept] + [f"{len(labels) - len(kept)} others"]
    table = confusion_matrix(*codes, labels=np.arange(len(names)))
    return Confusion(tuple(names), tuple(map(tuple, table.tolist())))


def calibration(confidence: Array, right: Array) -> Calibration | None:
    """Compare how sure a classifier is with how often it is right.

    Parameters
    ----------
    confidence : ndarray of shape (n_rows,)
        Probability of the class predicted.
    right : ndarray of bool, shape (n_rows,)

    Returns
    -------
    Calibration or None
        None for fewer than 45 rows, from which nothing could be told.
    """
    n_bins = min(_MOST_BINS, len(right) // _ROWS_A_BIN)
    if n_bins < 3:
        return None
    bins = np.array_split(np.argsort(confidence, kind="stable"), n_bins)
    sure = np.array([confidence[rows].mean() for rows in bins], float)
    share = np.array([right[rows].mean() for rows in bins])
    sizes = [len(rows) for rows in bins]
    return Calibration(
        confidence=tuple(sure.tolist()),
        accuracy=tuple(share.tolist()),
        intervals=tuple(wilson(p, n) for p, n in zip(share, sizes, strict=True)),
        counts=tuple(sizes),
        error=float(np.average(np.abs(sure - share), weights=sizes)),
    )


def residuals(truth: Array, predicted: Array) -> Residuals:
    """Keep what is to be drawn: evenly chosen rows, if there are many."""
    kept = _spread_out(len(truth), _MOST_ROWS)
    return Residuals(tuple(truth[kept].tolist()), tuple(predicted[kept].tolist()))


def importances(
    models: Sequence[Any], parts: Sequence[Frame], truth: Array, predicted: Array
) -> tuple[Importance, ...]:
    """Measure what the score loses when a column is shuffled (Breiman, 2001, sec. 10).

    A column's numbers, as the network is given them, are shuffled among the rows of all
    parts, ten times, with the same orders for each column.

    Parameters
    ----------
    models, parts, truth
        As for `look_closely`.
    predicted : ndarray of shape (n_rows,)

    Returns
    -------
    tuple of Importance
        The greatest drop first.
    """
    import pandas as pd

    used = (c for m in models for c in m.columns_ if c.kind != "left out")
    columns = list(dict.fromkeys(c.name for c in used))
    most = _PREDICTIONS // (_SHUFFLES * len(columns))
    kept = _spread_out(len(truth), int(np.clip(most, 100, _MOST_ROWS)))
    part = np.repeat(np.arange(len(parts)), [len(rows) for rows in parts])[kept]
    rows, truth = pd.concat(parts).iloc[kept], truth[kept]
    rng = np.random.RandomState(0)
    orders = [rng.permutation(len(kept)) for _ in range(_SHUFFLES)]
    said = {name: np.tile(predicted[kept], (_SHUFFLES, 1)) for name in columns}
    for number, model in enumerate(models):
        own = np.flatnonzero(part == number)
        for name, guesses in _shuffled_guesses(model, rows, own, orders):
            said[name][:, own] = guesses
    target = models[0].target_
    usual = target.row_scores(truth, predicted[kept])
    found = [
        Importance(name, *_mean(usual - target.row_scores(truth, guesses).mean(axis=0)))
        for name, guesses in said.items()
    ]
    return tuple(sorted(found, key=lambda each: -each.drop))


def _shuffled_guesses(
    model: Any, rows: Frame, own: Array, orders: Sequence[Array]
) -> Iterator[tuple[str, Array]]:
    """Give for each column what a model predicts for `own` rows, (n_orders, n_own)."""
    blocks = encode_each(model.columns_, rows)
    usual = np.tile(
        np.concatenate([b[own] for b in blocks.values()], 1), (len(orders), 1)
    )
    sources = np.concatenate([order[own] for order in orders])
    start = 0
    for name, block in blocks.items():
        place = slice(start, start := start + block.shape[1])
        inputs = usual.astype(model.dtype)
        inputs[:, place] = block[sources]
        outputs = training.predict(model.run_, inputs)
        yield name, model.target_.decode(outputs).reshape(len(orders), -1)


def _gain(
    target: Any, truth: Array, predicted: Array, simple: Array
) -> tuple[float, float, float]:
    scores = target.row_scores(truth, np.stack([predicted, simple]))
    mean, (low, high) = _mean(scores[0] - scores[1])
    return mean, low, high


def _mean(values: Array) -> tuple[float, tuple[float, float]]:
    """Return the mean with its 95 % interval (Student's t over the rows)."""
    mean, error = float(values.mean()), float(stats.sem(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return mean, (mean - half, mean + half)


def _spread_out(n: int, most: int) -> Array:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))
