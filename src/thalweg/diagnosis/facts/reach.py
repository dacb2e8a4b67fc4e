"""How far the network is from what other models reach on the same rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from thalweg.core import Array, r2
from thalweg.diagnosis.facts.group import FactGroup
from thalweg.diagnosis.facts.sample import Sample, validation_inputs
from thalweg.diagnosis.problem import Problem

_AT_ONCE, _MOST_COLUMNS = 800, 1000
_RARE = 0.1
"""Below this share of the rows a class is rare, and all classes count equally."""
_PARTS = 3
_MARGIN, _SHARE = 0.1, 0.2
"""Far from reachable: farther than this score, and than this share of what the best
model gains over a constant prediction."""
_ERRORS = 2.0

Predict = Callable[[Array], Array]
"""Returns what the network decides for prepared inputs."""


@dataclass(frozen=True)
class ReachFacts(FactGroup):
    """The network's score beside those of other models on the same rows.

    Parameters
    ----------
    metric : {"accuracy", "balanced accuracy", "R2"}
        Balanced accuracy where a class is rare.
    score : float
        The network's; NaN if its predictions are not finite.
    trivial : float
        Of the best constant prediction.
    best, by : float, str
        The best other score, and the model that reaches it.
    margin : float
        The network is far from reachable if `best` exceeds its score by more.
    rows : int
    held : bool
        Whether the rows are validation data.
    """

    prefix = "reach"
    why_not = (
        "nothing was trained, there are too few rows, or the inputs are no finite "
        "numbers"
    )
    about_data = False
    remeasured = True

    metric: str
    score: float
    trivial: float
    best: float
    by: str
    margin: float
    rows: int
    held: bool

    @property
    def far(self) -> bool:
        """Whether the network is far from what is reachable."""
        return not self.score >= self.best - self.margin

    @property
    def near(self) -> bool:
        """Whether the network is as good as the best other model, or nearly."""
        return self.score >= self.best - self.margin / 2

    @property
    def sentence(self) -> str:
        """How far the network is from what is reachable."""
        on = "the validation data" if self.held else "the training data"
        got = f"{self.metric} {self.score:.3f} on {on}"
        if not np.isfinite(self.score):
            got = f"no finite predictions for {on}"
        return (
            f"far from what is reachable: {got}, where {self.by} reaches "
            f"{self.best:.3f} and a constant prediction {self.trivial:.3f}"
        )


def facts_of_reach(
    problem: Problem, seen: Sample, predict: Predict, network: bool = False
) -> ReachFacts | None:
    """Compare the network with a neighbor, a linear model, trees, maybe a network.

    Without validation data the other models predict each row from other rows, while the
    network has seen it, so that the comparison favors the network.

    Parameters
    ----------
    problem : Problem
    seen : Sample
    predict : callable
    network : bool
        Whether a default network of thalweg is trained too, if the others do no better
        than a constant prediction.
    """
    if seen.inputs is None or seen.inputs.shape[1] > _MOST_COLUMNS * 4:
        return None
    if problem.y.ndim > 1 and problem.labels is not None:
        return None
    some = np.random.RandomState(7).permutation(len(seen.rows))[:_AT_ONCE]
    X, y = seen.inputs[some], seen.y[some]
    held = problem.validation_data is not None
    if held:
        X_held, y_held = validation_inputs(problem, seen)
        X_held, y_held = X_held[:_AT_ONCE], y_held[:_AT_ONCE]
        if not np.isfinite(X_held).all() or X_held.shape[1] != X.shape[1]:
            return None
    else:
        X_held, y_held = X, y
    if len(y) < 20 or len(y_held) < 8 or not (y != y[:1]).any():
        return None
    try:
        with np.errstate(all="ignore"):
            own = predict(X_held)
    except (ValueError, TypeError, FloatingPointError):
        return None
    judge = _Score.of(problem, y_held)
    trivial = judge(_constant(problem, y, len(y_held)))
    scores: dict[str, float] = {}
    for name, model in _models(problem, len(y)).items():
        guess = _guessed(model, X, y, X_held, held, problem)
        if guess is not None:
            scores[name] = judge(guess)
    if not scores:
        return None
    by = max(scores, key=lambda name: scores[name])
    best = scores[by]
    margin = max(_MARGIN, _SHARE * (best - trivial), _ERRORS * judge.error(best))
    return ReachFacts(
        judge.metric, judge(own), trivial, best, by, margin, len(y_held), held
    )


@dataclass(frozen=True)
class _Score:
    """The score that fits the problem."""

    metric: str
    truth: Array

    @classmethod
    def of(cls, problem: Problem, y: Array) -> "_Score":
        if problem.labels is None:
            return cls("R2", y)
        shares = np.bincount(y.astype(int)) / len(y)
        k = (shares > 0).sum()
        rare = shares[shares > 0].min() < min(_RARE, 0.5 / k)
        return cls("balanced accuracy" if rare else "accuracy", y)

    def __call__(self, guess: Array) -> float:
        if self.metric == "R2":
            guess = np.asarray(guess, float)
            if not np.isfinite(guess).all():
                return float("nan")
            varied = (self.truth != self.truth[:1]).any()
            found = r2(self.truth, guess.reshape(self.truth.shape), pooled=True)
            return max(float(found), -1.0) if varied else 0.0
        hits = np.asarray(guess).astype(int) == self.truth
        if self.metric == "accuracy":
            return float(hits.mean())
        classes = np.unique(self.truth)
        return float(np.mean([hits[self.truth == k].mean() for k in classes]))

    def error(self, score: float) -> float:
        """Return the standard error of a score."""
        n = len(self.truth)
        if self.metric == "R2":
            return float(0.5 / np.sqrt(n))
        if self.metric == "balanced accuracy":
            n = max(int(np.bincount(self.truth.astype(int)).max()), 1)
            counts = np.bincount(self.truth.astype(int))
            n = 2 * int(counts[counts > 0].min())
        share = float(np.clip(score, 0.05, 0.95))
        return float(np.sqrt(share * (1 - share) / n))


def _constant(problem: Problem, y: Array, n: int) -> Array:
    if problem.labels is None:
        return np.tile(y.mean(axis=0), (n, *([1] * (y.ndim - 1))))
    return np.full(n, np.bincount(y.astype(int)).argmax())


def _models(problem: Problem, n: int) -> dict[str, Any]:
    k = min(10, max(n // 10, 1))
    if problem.labels is None:
        return {
            "a linear model": make_pipeline(StandardScaler(), Ridge(1.0)),
            "the nearest neighbors": make_pipeline(
                StandardScaler(), KNeighborsRegressor(k)),
            "a forest of trees": ExtraTreesRegressor(30, random_state=0),
        }  # fmt: skip
    rare: dict[str, Any] = {}
    if _Score.of(problem, problem.y).metric != "accuracy":
        rare = {"class_weight": "balanced"}
    return {
        "a linear model": make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=50, tol=1e-2, **rare)),
        "the nearest neighbors": make_pipeline(
            StandardScaler(), KNeighborsClassifier(k, weights="distance")),
        "a forest of trees": ExtraTreesClassifier(
            30, random_state=0, min_samples_leaf=3 if rare else 1, **rare),
    }  # fmt: skip


def _guessed(
    model: Any, X: Array, y: Array, X_held: Array, held: bool, problem: Problem
) -> Array | None:
    """Predict held-out rows; without validation data, each row from other rows."""
    import warnings

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            if held:
                return model.fit(X, y).predict(X_held)
            guess = np.empty(y.shape, float)
            split: Any = KFold(_PARTS, shuffle=True, random_state=0)
            if problem.labels is not None and np.bincount(y.astype(int)).max() >= 3:
                split = StratifiedKFold(_PARTS, shuffle=True, random_state=0)
            for train, test in split.split(X, y if y.ndim == 1 else y[:, 0]):
                guess[test] = model.fit(X[train], y[train]).predict(X[test]).reshape(
                    guess[test].shape)  # fmt: skip
        except ValueError:
            return None
    return guess
