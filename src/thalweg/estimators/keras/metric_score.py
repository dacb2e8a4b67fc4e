"""The score of a Keras model on validation data: its first metric, with its sign."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.core import accuracy, r2
from thalweg.training import MeasuredScore

_UP = (
    "acc", "auc", "precision", "recall", "f1", "fbeta", "r2", "iou", "dice", "kappa",
    "score", "correlation", "similarity", "sensitivity", "specificity", "hit",
)  # fmt: skip
_DOWN = (
    "loss", "error", "mse", "mae", "rmse", "mape", "msle", "entropy", "divergence",
    "distance", "deviance", "hinge", "poisson", "brier", "perplexity", "cosh",
)  # fmt: skip
"""Parts of the names of metrics of one's own, of which greater or smaller is better."""


def score_of(model: Any, monitor: str) -> MeasuredScore | None:
    """Return the first compiled metric as a score; None if there is none.

    Raises
    ------
    ValueError
        If the score is to be watched, and there is none, or it is not known whether a
        greater one is better.
    """
    watched = monitor == "score"
    compiled = model._compile_metrics
    measured = [] if compiled is None else _measured(compiled)
    if not measured:
        if watched:
            raise ValueError(
                f"fit got monitor='score', but {model.name!r} is compiled without "
                "metrics. Compile it with metrics=[...], pass scoring=, or use "
                "monitor='loss'."
            )
        return None
    name, metric = measured[0]
    sign = _direction(metric)
    if sign == 0:
        if watched:
            raise ValueError(
                f"fit got monitor='score', but the first metric of {model.name!r}, "
                f"{name!r}, does not say whether a greater value is better. Pass "
                "scoring=, whose greater value is better, or set the metric's "
                "_direction to 'up' or 'down'."
            )
        return None
    return MeasuredScore(name, sign)


def usual_score(predict: Any, X: Any, y: Any) -> float:
    """Score a model without metrics: accuracy for class numbers, R² for values.

    NaN for what is neither.
    """
    targets = y.get("targets") if isinstance(y, Mapping) else y
    outputs = predict(X)
    if not (isinstance(targets, np.ndarray) and isinstance(outputs, np.ndarray)):
        return float("nan")
    column = targets.reshape(-1) if targets.size == len(targets) else targets
    classes = column.ndim == 1 and targets.dtype.kind in "iu"
    if classes and outputs.ndim == 2 and outputs.shape[1] > 1:
        return accuracy(column, outputs.argmax(axis=1))
    same = np.size(targets) == np.size(outputs) and np.isfinite(outputs).all()
    return r2(targets, outputs.reshape(targets.shape)) if same else float("nan")


def _measured(compiled: Any) -> list[tuple[str, Any]]:
    """List the metrics by the names that Keras gives them."""
    found: list[tuple[str, Any]] = []
    if not compiled.built:
        return found
    for group in (*compiled._flat_metrics, *compiled._flat_weighted_metrics):
        if group is None:
            continue
        for metric in group.metrics:
            prefix = f"{group.output_name}_" if group.output_name else ""
            found.append((prefix + metric.name, metric))
    return found


def _direction(metric: Any) -> int:
    """Return 1 where greater is better, -1 where smaller is, 0 where it is unknown."""
    own = getattr(metric, "_direction", None)
    if own in ("up", "down"):
        return 1 if own == "up" else -1
    words = f"{metric.name} {getattr(getattr(metric, '_fn', None), '__name__', '')}"
    up = any(part in words.lower() for part in _UP)
    down = any(part in words.lower() for part in _DOWN)
    return up - down
