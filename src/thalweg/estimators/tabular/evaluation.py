"""What predictions on held-out rows tell beyond a score.

Each function takes what was true and what was predicted for rows that were not trained
on, and gives a record of `thalweg.evaluations`. Uncertainty is over these rows: they
are a sample, and another one would score differently.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats
from sklearn.metrics import confusion_matrix

from thalweg import training
from thalweg.columns import Frame, encode_each
from thalweg.evaluations import (
    Calibration,
    Confusion,
    Evaluation,
    Importance,
    Residuals,
)
from thalweg.records import Array
from thalweg.targets import Values, wilson

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
