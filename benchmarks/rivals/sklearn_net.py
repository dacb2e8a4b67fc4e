"""scikit-learn's MLPClassifier."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.jobs import Array, Job, Trained


def train(job: Job) -> Callable[[], Trained]:
    """One fit."""
    return lambda: _fit(job, job.seed, job.rate)


def search(job: Job) -> Callable[[], list[Trained]]:
    """One fit after the other."""
    return lambda: [
        _fit(job, job.seed + trial, rate) for trial, rate in enumerate(job.rates)
    ]


def predict(job: Job) -> Callable[[], Array]:
    """Probabilities by an estimator that was given the weights."""
    classes = np.arange(job.n_outputs)
    estimator = MLPClassifier(job.hidden, activation=job.activation)
    estimator.partial_fit(job.X[: len(classes)], classes, classes=classes)
    weights, _ = job.begin()
    estimator.coefs_ = [W for W, _ in weights]
    estimator.intercepts_ = [b for _, b in weights]
    return lambda: np.asarray(estimator.predict_proba(job.X))


def _fit(job: Job, seed: int, rate: float) -> Trained:
    batch: Any = job.batch_rows  # annotated as str there
    estimator = MLPClassifier(
        job.hidden,
        activation=job.activation,
        solver="adam" if job.rule == "adam" else "sgd",
        alpha=job.l2,
        batch_size=batch,
        learning_rate_init=rate,
        max_iter=job.epochs,
        random_state=seed,
        n_iter_no_change=job.epochs if job.patience is None else job.patience,
    )
    estimator.fit(job.X, job.y)
    weights = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    return Trained(weights, estimator.n_iter_)
