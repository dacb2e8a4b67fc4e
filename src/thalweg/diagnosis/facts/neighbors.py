"""What rows say of each other: nearest neighbors, and one column at a time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import NearestNeighbors

from thalweg.core import Array, accuracy, folds, r2
from thalweg.diagnosis.facts.data import LabelFacts, filled
from thalweg.diagnosis.facts.group import NO_VALIDATION, FactGroup
from thalweg.diagnosis.facts.sample import Sample, numeric, standardized
from thalweg.diagnosis.problem import Problem

NEIGHBORS, _CIRCLE = 5, 15
"""Neighbors that predict a row, and those that a neighborhood consists of."""
AT_ONCE = 1000
"""The largest number of rows among which neighbors are sought."""
_SHIFTS = (-3, -2, -1, 1, 2, 3)
_SHUFFLES = 20


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
    why_not = NO_VALIDATION
    about_data = True

    alone: float


def facts_of_neighbors(
    problem: Problem, seen: Sample
) -> tuple[NeighborFacts | None, NeighborhoodFacts | None]:
    """Compare each row's target with those of its neighbors.

    The targets are taken as they are, shuffled, and moved by a few rows.
    """
    assert seen.inputs is not None
    some = np.random.RandomState(2).permutation(len(seen.rows))[:AT_ONCE]
    if len(some) < 8 or problem.y.ndim > 1:
        return None, None
    points = standardized(seen.inputs)[some]
    order = nearest_rows(points, min(_CIRCLE, len(some) - 1))
    rows = seen.rows[some]
    y, close = problem.y[rows], order[:, :NEIGHBORS]
    agree = _agreement if problem.labels is not None else _explained
    score, chance = score_and_chance(problem, y, close, seed=3)
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


def nearest_rows(points: Array, k: int) -> Array:
    """Return the k nearest other rows of each row."""
    near: Any = NearestNeighbors(n_neighbors=k, algorithm="brute")
    return near.fit(points).kneighbors(return_distance=False)


def score_and_chance(
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
        predicted[fold == k] = columns[fold == k] @ _ridge(X, T)
    by_class = labels is not None
    return _score(
        predicted.argmax(axis=1) if by_class else predicted[:, 0], y, by_class
    )


def _ridge(X: Array, T: Array) -> Array:
    """Solve the normal equations, in whichever form has fewer of them."""
    penalty = 1e-2 * len(X)
    if X.shape[1] > len(X):  # one equation a row
        return X.T @ np.linalg.solve(X @ X.T + np.eye(len(X)) * penalty, T)
    return np.linalg.solve(X.T @ X + np.eye(X.shape[1]) * penalty, X.T @ T)


def facts_of_best_column(
    problem: Problem, seen: Sample
) -> tuple[BestColumnFacts | None, ValidationColumnFacts | None]:
    """Find the column that predicts the target best, and compare it with the others.

    By itself, a column predicts the target of a row from the rows next to it if all
    are sorted by that column.
    """
    some = np.random.RandomState(5).permutation(len(seen.rows))[:AT_ONCE]
    columns, y = filled(seen.raw[some]), problem.y[seen.rows[some]]
    if problem.y.ndim > 1 or not columns.shape[1] or len(some) < 20:
        return None, None
    by_class = problem.labels is not None
    alone = _alone(columns, y, by_class)
    k = int(alone.argmax())
    validation, others = None, 1.0
    if problem.validation_data is not None and len(problem.validation_data.y) >= 20:
        column = filled(numeric(problem.validation_data.X)[0][:, [k]])
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
        return accuracy(y, guess)
    return r2(y, guess) if (y != y[:1]).any() else 0.0
