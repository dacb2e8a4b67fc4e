"""The simple models that a network must beat: a constant, a linear model, and trees.

They are fitted as the network is: on the same rows, with the same weights of the
classes, and with a threshold where the network has one. To be cheap, they are fitted on
at most 10,000 rows, chosen evenly among the training data, fewer if the table is wide.
The trees have at most 100 rounds, fewer where there are few rows, many classes or many
columns.
"""

from typing import Any

import numpy as np
from sklearn.base import clone

from thalweg.core import Array
from thalweg.estimators.tabular.estimators import FEW_ROWS, Classifier, Regressor
from thalweg.estimators.tabular.metrics import Guess, Truth
from thalweg.estimators.tabular.trees import TreesClassifier, TreesRegressor

TREES = "boosted trees"
"""The name of the trees among the baselines."""
_ROWS = 10_000
_CELLS = 2_000_000
_LEAST_ROWS = 500
_ITERATIONS = 100
_COLUMN_ROUNDS = 20_000  # columns times rounds of trees
_LEAST_ROUNDS = 10
_WIDE = 500  # columns, from which on numbers get no piecewise-linear encoding


def linear_of(model: Any) -> Any:
    """Return the unfitted linear model to compare a model with.

    It is a network without hidden layers, trained by L-BFGS on all its rows with the
    penalty of scikit-learn's `LogisticRegression` and `Ridge`.
    """
    settings: dict[str, Any] = {
        "hidden_layer_sizes": (),
        "optimizer": "lbfgs",
        "max_epochs": _ITERATIONS,
        "validation_fraction": 0.0,
        "l2": 1.0,
        "dtype": "float64",
        "random_state": 0,
        "scoring": getattr(model, "scoring", None),
        **model.reading_parameters(),
    }
    if _classifies(model):
        return Classifier(**settings, **_of_classes(model))
    return Regressor(**settings)


def trees_of(model: Any, n_rows: int) -> Any:
    """Return the unfitted trees to compare a model with on a table of `n_rows`."""
    few = {"n_rounds": 30, "learning_rate": 0.3} if n_rows < FEW_ROWS else {}
    few |= model.reading_parameters()
    if _classifies(model):
        return TreesClassifier(random_state=0, **few, **_of_classes(model))
    return TreesRegressor(random_state=0, **few)


def _classifies(model: Any) -> bool:
    return isinstance(model, Classifier | TreesClassifier)


def _of_classes(model: Any) -> dict[str, Any]:
    return {"class_weight": model.class_weight, "threshold": model.threshold}


def is_linear(model: Any) -> bool:
    """Whether a model is a network without hidden layers."""
    return np.size(getattr(model, "hidden_layer_sizes", 1)) == 0


def some_rows(n_rows: int, n_columns: int) -> Array:
    """Return the rows that a baseline is fitted on, evenly chosen."""
    most = int(np.clip(_CELLS // max(n_columns, 1), _LEAST_ROWS, _ROWS))
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, most)).astype(int))


def fitted_baseline(model: Any, frame: Any, target: Any) -> Any:
    """Return a baseline, fitted on some of the rows."""
    copy: Any = clone(model)
    width, known = frame.shape[1], copy.get_params()
    if width >= _WIDE and "piecewise" in known:
        copy.set_params(piecewise=False)
    most = max(_COLUMN_ROUNDS // width, _LEAST_ROUNDS)
    if known.get("n_rounds", 0) > most:
        copy.set_params(n_rounds=most, learning_rate=0.3)
    rows = some_rows(len(frame), frame.shape[1])
    if len(np.unique(target.iloc[rows])) < 2:  # a rare class is among the other rows
        rows = np.arange(len(frame))
    return copy.fit(frame.iloc[rows], target.iloc[rows])


def constant_guess(truth: Truth) -> tuple[str, Guess]:
    """Return the best constant prediction for the test rows, after its name."""
    if truth.labels is None:
        return "mean", Guess(np.full(len(truth), np.mean(truth.values)))
    counts = np.bincount(truth.codes, minlength=len(truth.labels))
    predicted = np.repeat(truth.labels[[counts.argmax()]], len(truth))
    return "majority class", Guess(
        predicted, np.tile(counts / counts.sum(), (len(truth), 1))
    )
