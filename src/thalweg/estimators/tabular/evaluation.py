"""Evaluating a table's model on test data: score, baselines, confusion, importance.

Each function takes the targets and the predictions for rows that the model was not
trained on, and returns a record. The intervals are over these rows: they are a sample,
and another sample would have another score.
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
from thalweg.core import (
    Array,
    Frame,
    Record,
    Series,
    StopReason,
    folds,
    short_repr,
    wilson,
)
from thalweg.estimators.tabular.estimators import (
    FEW_ROWS,
    Classifier,
    Regressor,
    labeled,
)
from thalweg.estimators.tabular.preprocessing import encode_each
from thalweg.estimators.tabular.targets import Values


@short_repr
@dataclass(frozen=True)
class Confusion(Record):
    """The confusion matrix.

    Parameters
    ----------
    labels : tuple of str
    counts : tuple of tuple of int
        Number of rows of each true class (first index) and predicted class.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@short_repr
@dataclass(frozen=True)
class Calibration(Record):
    """Whether the probabilities of a classifier match how often it is right.

    Rows are sorted by the probability of the predicted class and divided into bins of
    about the same number of rows (the bins of Guo et al., 2017, section 2, have the
    same width instead).

    Parameters
    ----------
    confidence, accuracy : tuple of float
        Mean probability and share of correct predictions in each bin.
    intervals : tuple of (float, float)
        95 % confidence interval of each accuracy.
    counts : tuple of int
        Number of rows of each bin.
    error : float
        Expected calibration error: mean difference of confidence and accuracy, weighted
        by rows.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    counts: tuple[int, ...]
    error: float


@short_repr
@dataclass(frozen=True)
class Residuals(Record):
    """Targets and predictions of values, for at most 2000 rows."""

    truth: tuple[float, ...]
    predicted: tuple[float, ...]


@short_repr
@dataclass(frozen=True)
class Importance(Record):
    """Permutation importance: the drop of the score when a column is shuffled.

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


@short_repr
@dataclass(frozen=True)
class Evaluation(Record):
    """The score of a model on test data, with baselines and details.

    Parameters
    ----------
    metric : str
        ``"accuracy"`` or ``"R2"``, or the scorer's name.
    score : float
        The model's score; greater is better.
    interval : (float, float)
        95 % confidence interval of `score`.
    n_rows : int
        Number of rows of the test data.
    method : str
        How the test data were held out, in words.
    baselines : mapping of str to float
        Scores of simple models on the same rows, by their names.
    intervals : mapping of str to (float, float)
        95 % confidence interval of each baseline.
    gains : mapping of str to (float, float, float)
        Difference of the model's score and each baseline's, row by row: mean and 95 %
        confidence interval.
    confusion : Confusion or None
        None for values.
    residuals : Residuals or None
        None for classes.
    calibration : Calibration or None
        None for values, and for fewer than 45 rows.
    importance : tuple of Importance
        One for each column, the greatest drop first; empty if not measured.
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
_HELD_OUT = 5000  # at most about so many rows are test data


def n_networks(n_rows: int) -> int:
    """Return how many networks `evaluate` trains for a table of `n_rows`."""
    return 1 if n_rows >= FEW_ROWS else _n_folds(n_rows) + 1


def evaluate(
    model: Classifier | Regressor,
    X: Any,
    y: Any,
    announce: Callable[[str], None] = lambda text: None,
    closely: bool = False,
) -> Evaluation:
    """Fit `model`, and score it on rows that it was not fitted on.

    With `FEW_ROWS` rows or more, a fifth of them (at most about 5000) are test data,
    and the model is fitted on the others. With fewer rows, a copy is fitted for each
    fold of a cross-validation (10 folds, or leave-one-out under 30 rows), the
    predictions of all folds are scored together, and the model itself is then fitted on
    all rows.

    Parameters
    ----------
    model : Classifier or Regressor
        It is fitted in place.
    X, y : as for `Classifier.fit`
    announce : callable
        It is called with a text before each network is trained. Interrupting from the
        keyboard ends the training of a single network, and a whole cross-validation.
    closely : bool
        Whether to add the details of a report: confusion or residuals, calibration,
        importance of the columns, and the gain over each baseline.

    Returns
    -------
    Evaluation
        Accuracy with Wilson's interval, or R² with a bootstrap interval, and the scores
        of a constant and of a linear model on the same rows and inputs.
    """
    frame, target, _ = labeled(X, y, None)
    if target.ndim == 2:
        raise ValueError(
            f"evaluate scores one target and got y with {target.shape[1]} columns. "
            "Evaluate a Regressor of each column."
        )
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
    """Return a mask of the test rows for each fold, stratified by the target."""
    n_rows = len(target)
    few = n_rows < FEW_ROWS
    step = _n_folds(n_rows) if few else max(5, n_rows // _HELD_OUT)
    fold = folds(target.to_numpy(), step, np.random.RandomState(0))
    return [fold == k for k in range(step if few else 1)]


def _guess(
    model: Classifier | Regressor, frame: Frame, target: Series, held: Array
) -> tuple[Array, Array, Array]:
    """Fit on the other rows; return the targets and predictions of the test rows.

    The third array holds the predictions of a linear model.
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
    """Add the details of a report, from the same rows, to an evaluation.

    Parameters
    ----------
    found : Evaluation
    models : sequence of Classifier or Regressor
        Fitted models, one for each part of the rows.
    parts : sequence of DataFrame
        The test rows of each model.
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
    """Return the confusion matrix; with more than 40 classes the rarest are merged.

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
    """Compare the confidence of a classifier with its accuracy.

    Parameters
    ----------
    confidence : ndarray of shape (n_rows,)
        Probability of the predicted class.
    right : ndarray of bool, shape (n_rows,)

    Returns
    -------
    Calibration or None
        None for fewer than 45 rows, which are too few.
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
    """Return the residuals to draw; of many rows, an evenly chosen sample."""
    kept = _spread_out(len(truth), _MOST_ROWS)
    return Residuals(tuple(truth[kept].tolist()), tuple(predicted[kept].tolist()))


def importances(
    models: Sequence[Any], parts: Sequence[Frame], truth: Array, predicted: Array
) -> tuple[Importance, ...]:
    """Compute permutation importances (Breiman, 2001, section 10).

    The encoding of each column is shuffled among the rows of all parts, ten times, with
    the same permutations for each column.

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
    """Yield each column with the predictions for `own` rows, (n_orders, n_own)."""
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
    """Return the mean and its 95 % interval (Student's t over the rows)."""
    mean, error = float(values.mean()), float(stats.sem(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return mean, (mean - half, mean + half)


def _spread_out(n: int, most: int) -> Array:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))
