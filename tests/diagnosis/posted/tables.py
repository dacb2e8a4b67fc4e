"""Small tables for the posted programs, and the scores of their models on test rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, make_classification
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import train_test_split

# Arrays, as NumPy, SciPy and scikit-learn give them.
Array = Any
Split = tuple[Array, Array, Array, Array]


def split(X: Array, y: Array, seed: int, test: float = 0.3) -> Split:
    """Return training rows, test rows, training targets, test targets."""
    X, X_test, y, y_test = train_test_split(X, y, test_size=test, random_state=seed)
    return X, X_test, y, y_test


def classes(
    seed: int, rows: int = 700, columns: int = 8, kinds: int = 3, **more: Any
) -> Split:
    """Return clusters in standard units, which a small network separates well."""
    made: Any = make_classification(
        rows,
        columns,
        n_informative=more.pop("informative", columns - 2),
        n_redundant=0,
        n_classes=kinds,
        n_clusters_per_class=1,
        class_sep=more.pop("apart", 1.8),
        flip_y=0.0,
        random_state=seed,
        **more,
    )
    X, y = made
    X = (X - X.mean(0)) / X.std(0)
    return split(X.astype("float32"), y, seed)


def digits(seed: int) -> Split:
    """Return scikit-learn's digits as rows of 64 pixels from 0 to 1."""
    loaded: Any = load_digits(return_X_y=True)
    X, y = loaded
    return split((X / 16).astype("float32"), y, seed)


def waves(seed: int, rows: int = 600, columns: int = 5) -> Split:
    """Return a smooth regression: inputs in standard units, target about 0, std 1."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, columns))
    y = np.sin(1.5 * X[:, 0]) + X[:, 1] * X[:, 2] / 2 + 0.6 * X[:, 3]
    y = (y - y.mean()) / y.std() + 0.05 * rng.normal(size=rows)
    return split(X.astype("float32"), y.astype("float32"), seed)


def houses(seed: int, rows: int = 600) -> Split:
    """Return houses in their own units (area, rooms, year, distance) and prices."""
    rng = np.random.default_rng(seed)
    area = rng.uniform(40, 260, rows)
    rooms = np.round(area / 30 + rng.normal(0, 1, rows)).clip(1)
    year = rng.integers(1930, 2020, rows)
    distance = rng.exponential(6000, rows)
    price = 1200 * area + 9000 * rooms + 900 * (year - 1930)
    price = price * (0.6 + 0.8 * np.exp(-distance / 5000)) + rng.normal(0, 9000, rows)
    X = np.column_stack([area, rooms, year, distance])
    return split(X.astype("float32"), price.astype("float32"), seed)


def spirals(seed: int, rows: int = 600, noise: float = 0.1) -> Split:
    """Return two half turns that no straight line separates."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    turn = rng.uniform(0, np.pi, rows)
    X = np.column_stack([np.cos(turn) + y, np.sin(turn) * (1 - 2 * y) + 0.4 * y])
    X = X + noise * rng.normal(size=X.shape)
    return split((X - X.mean(0)).astype("float32"), y, seed)


def sequences(seed: int, rows: int = 500, steps: int = 15) -> Split:
    """Return noisy sines of three speeds, which are the classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, rows)
    phase = rng.uniform(0, 2 * np.pi, rows)
    time = np.arange(steps)
    X = np.sin(time * (0.4 + 0.5 * y[:, None]) + phase[:, None])
    X = X + 0.1 * rng.normal(size=X.shape)
    return split(X[..., None].astype("float32"), y, seed)


def predict(model: Any, X: Array) -> Array:
    """Return what a model of Keras or scikit-learn predicts, as NumPy."""
    quiet = {"verbose": 0} if hasattr(model, "compile") else {}
    return np.asarray(model.predict(X, **quiet))


def labels(model: Any, X: Array, threshold: float = 0.5) -> Array:
    """Return class numbers: the largest of several outputs, or one over a threshold."""
    out = predict(model, X)
    if out.ndim > 1 and out.shape[-1] > 1:
        return out.argmax(-1)
    out = out.reshape(len(X))
    return (out > threshold).astype(int) if out.dtype.kind == "f" else out


def accuracy(X: Array, y: Array, threshold: float = 0.5) -> Callable[[Any], float]:
    """Return a score: the share of test rows whose class is right."""
    return lambda model: float(np.mean(labels(model, X, threshold) == y))


def balanced(X: Array, y: Array, threshold: float = 0.5) -> Callable[[Any], float]:
    """Return a score: the mean of the classes' recalls on test rows."""
    return lambda model: balanced_accuracy_score(y, labels(model, X, threshold))


def r2(X: Array, y: Array) -> Callable[[Any], float]:
    """Return a score: R² on test rows, cut at -1, which NaN gets too."""

    def rate(model: Any) -> float:
        out = predict(model, X).reshape(y.shape)
        return max(-1.0, r2_score(y, out)) if np.isfinite(out).all() else -1.0

    return rate
