"""Faults put into sound trainings, for judging the doctor.

A `Situation` is a training as a user has it: rows to train on, rows as they will come
later, and the estimator's parameters. An injection turns a sound one into a faulty one.
The doctor never sees the names here; a finding's code is compared with the fault's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import thalweg as tw
from thalweg.core.types import Array

Generator = np.random.Generator


@dataclass(frozen=True, eq=False)
class Situation:
    """A training, and the rows that it is judged by."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array
    settings: Mapping[str, Any] = field(default_factory=dict)
    regression: bool = False

    def estimator(self, seed: int) -> Any:
        """Return the estimator, unfitted."""
        kind = tw.MLPRegressor if self.regression else tw.MLPClassifier
        return kind(random_state=seed, **self.settings)

    def having(self, **settings: Any) -> "Situation":
        """Return the same with other parameters."""
        return replace(self, settings={**self.settings, **settings})

    @property
    def first_order(self) -> bool:
        """Whether there is a learning rate."""
        return self.settings["solver"] in ("sgd", "adam")


@dataclass(frozen=True)
class Fault:
    """One way of going wrong.

    Parameters
    ----------
    codes : tuple of str
        The findings that name it; the first is the syllabus' own.
    inject : callable
        ``(situation, rng) -> situation``.
    applies : callable
        Whether a situation can have it.
    """

    codes: tuple[str, ...]
    inject: Callable[[Situation, Generator], Situation]
    applies: Callable[[Situation], bool] = lambda s: True


def _column(s: Situation, rng: Generator) -> int:
    """Choose a column that says something."""
    return int(rng.choice(np.flatnonzero(s.X.std(axis=0) > 0.1)))


def _each(s: Situation, change: Callable[[Array], Array]) -> Situation:
    return replace(s, X=change(s.X), X_test=change(s.X_test))


def unscaled_input(s: Situation, rng: Generator) -> Situation:
    """One column in other units."""
    factors = np.ones(s.X.shape[1])
    factors[_column(s, rng)] = 1e3
    return _each(s, lambda X: X * factors)


def sentinel_value(s: Situation, rng: Generator) -> Situation:
    """One reading of twenty is missing, and written as -999."""
    column = _column(s, rng)

    def spoil(X: Array) -> Array:
        spoiled = X.copy()
        spoiled[rng.random(len(X)) < 0.05, column] = -999
        return spoiled

    return _each(s, spoil)


def nonfinite_data(s: Situation, rng: Generator) -> Situation:
    """One cell is not a number."""
    X = s.X.copy()
    X[rng.integers(len(X)), rng.integers(X.shape[1])] = np.nan
    return replace(s, X=X)


def uninformative_column(s: Situation, rng: Generator) -> Situation:
    """Append a constant column, and the rows' numbers."""

    def append(X: Array, start: int) -> Array:
        return np.column_stack([X, np.full(len(X), 7.0), start + np.arange(len(X))])

    return replace(s, X=append(s.X, 0), X_test=append(s.X_test, len(s.X)))


def unscaled_target(s: Situation, rng: Generator) -> Situation:
    """Give the target in other units."""
    return replace(s, y=s.y * 1e4, y_test=s.y_test * 1e4)


def noisy_labels(s: Situation, rng: Generator) -> Situation:
    """Three labels of ten are drawn anew among the others."""
    y, classes = s.y.copy(), np.unique(s.y)
    rows = np.flatnonzero(rng.random(len(y)) < 0.3)
    shifts = rng.integers(1, len(classes), len(rows))
    y[rows] = classes[(np.searchsorted(classes, y[rows]) + shifts) % len(classes)]
    return replace(s, y=y)


def misaligned_rows(s: Situation, rng: Generator) -> Situation:
    """Let the target slip by one row."""
    return replace(s, y=np.roll(s.y, 1))


def leak(s: Situation, rng: Generator) -> Situation:
    """Let a column know the answer, but only for the rows at hand."""
    codes = np.unique(s.y, return_inverse=True)[1].astype(float)
    told = (codes - codes.mean()) / codes.std()
    later = rng.permutation(np.resize(told, len(s.X_test)))
    return replace(
        s,
        X=np.column_stack([s.X, told + 0.01 * rng.normal(size=len(told))]),
        X_test=np.column_stack([s.X_test, later]),
    )


def class_collapse(s: Situation, rng: Generator) -> Situation:
    """Nineteen rows of twenty of one class are missing."""
    chosen = rng.choice(np.unique(s.y))
    kept = (s.y != chosen) | (rng.random(len(s.y)) < 0.05)
    kept[np.flatnonzero(s.y == chosen)[:2]] = True
    return replace(s, X=s.X[kept], y=s.y[kept])


def shifted_test(s: Situation, rng: Generator) -> Situation:
    """Send the later rows through another scaler."""
    return replace(s, X_test=s.X_test * 2 + 1)


def _scaled(factor: float, only_last: bool = False) -> Any:
    """Return an initializer: Glorot's normal, times a factor."""

    def draw(rng: Any, fan_in: int, fan_out: int) -> Array:
        gain = 1.0 if only_last and fan_out > 10 else factor
        return gain * rng.normal(0, np.sqrt(2 / (fan_in + fan_out)), (fan_in, fan_out))

    return draw


def _setting(**settings: Any) -> Callable[[Situation, Generator], Situation]:
    return lambda s, rng: s.having(**settings)


def _times_rate(factor: float) -> Callable[[Situation, Generator], Situation]:
    return lambda s, rng: s.having(
        learning_rate_init=factor * s.settings["learning_rate_init"]
    )


def _few_rows(s: Situation, rng: Generator) -> Situation:
    """Twenty rows, trained for long."""
    rows = rng.permutation(len(s.X))[:20]
    rows = np.union1d(rows, np.unique(s.y, return_index=True)[1][:10])
    few = s.having(max_iter=500, n_iter_no_change=500, alpha=0.0)
    return replace(few, X=s.X[rows], y=s.y[rows])


def _sorted_rows(s: Situation, rng: Generator) -> Situation:
    """Rows in the order of their classes, not shuffled, in small batches."""
    order = np.argsort(s.y, kind="stable")
    few = s.having(shuffle=False, batch_size=min(32, len(order)))
    return replace(few, X=s.X[order], y=s.y[order])


def _no_signal(s: Situation, rng: Generator) -> Situation:
    """Columns that have nothing to do with the target."""
    return replace(
        s, X=rng.normal(size=s.X.shape), X_test=rng.normal(size=s.X_test.shape)
    )


def _first_order(s: Situation) -> bool:
    return s.first_order


def _classes(s: Situation) -> bool:
    return not s.regression


def _regression(s: Situation) -> bool:
    return s.regression


FAULTS: Mapping[str, Fault] = {
    "column x 1000": Fault(("unscaled-input",), unscaled_input),
    "-999 in 5 %": Fault(("sentinel-value",), sentinel_value),
    "one NaN": Fault(("nonfinite-data",), nonfinite_data),
    "constant and row number": Fault(
        ("uninformative-column", "unscaled-input"), uninformative_column
    ),
    "target x 10000": Fault(("unscaled-target",), unscaled_target, _regression),
    "30 % of labels flipped": Fault(("noisy-labels",), noisy_labels, _classes),
    "target slipped by a row": Fault(("misaligned-rows", "no-signal"), misaligned_rows),
    "answer among the columns": Fault(("leak",), leak),
    "one class nearly gone": Fault(("class-collapse",), class_collapse, _classes),
    "later rows scaled otherwise": Fault(("shifted-test",), shifted_test),
    "zero weights": Fault(
        ("symmetric-init",), _setting(init="zeros", activation="tanh")
    ),
    "first weights x 10": Fault(
        ("init-scale", "saturated-units"), _setting(init=_scaled(10))
    ),
    "first weights / 100": Fault(("init-scale",), _setting(init=_scaled(0.01))),
    "tanh, first weights x 20": Fault(
        ("saturated-units", "init-scale"),
        _setting(init=_scaled(20), activation="tanh"),
    ),
    "twelve sigmoid layers": Fault(
        ("vanishing-gradient",),
        _setting(hidden_layer_sizes=(20,) * 12, activation="logistic"),
    ),
    "eight layers, gain 3": Fault(
        ("exploding-gradient", "init-scale"),
        _setting(hidden_layer_sizes=(50,) * 8, init=_scaled(3)),
    ),
    "rate x 100": Fault(("rate-too-high",), _times_rate(100), _first_order),
    "rate / 10000": Fault(("rate-too-low",), _times_rate(1e-4), _first_order),
    "no non-linearity": Fault(("no-nonlinearity",), _setting(activation="identity")),
    "one unit": Fault(("underfitting",), _setting(hidden_layer_sizes=(1,))),
    "twenty rows": Fault(("overfitting",), _few_rows),
    "penalty 10": Fault(
        ("over-regularized",), _setting(alpha=10.0, penalty_scale="sample")
    ),
    "batches of one": Fault(("poor-batching",), _setting(batch_size=1), _first_order),
    "sorted, not shuffled": Fault(
        ("poor-batching",), _sorted_rows, lambda s: s.first_order and not s.regression
    ),
    "one epoch": Fault(("stopped-early",), _setting(max_iter=1)),
    "ten layers of five": Fault(
        ("seed-fragility", "dead-units"),
        _setting(hidden_layer_sizes=(5,) * 10, activation="relu"),
    ),
    "unrelated columns": Fault(("no-signal",), _no_signal),
    "last weights x 10000": Fault(
        ("overflow", "init-scale"), _setting(init=_scaled(1e4, only_last=True))
    ),
}
