"""What a contender's result is worth, and whether two did the same work.

The figures come from the results themselves, by one plain NumPy network in float64;
nobody reports a loss of its own.
"""

from typing import Any, cast

import numpy as np

from benchmarks.jobs import Array, Job, Result, Trained, Weights

ROWS = 5000
"""Rows that the losses are taken on."""


def verdict(job: Job, result: Result) -> dict[str, float]:
    """Figures that every honest contender comes close to."""
    if job.kind == "train":
        run = cast(Trained, result)
        return {"loss": _loss(job, run.weights), "epochs": run.epochs}
    if job.kind == "search":
        runs = cast(list[Trained], result)
        losses = np.array([_loss(job, run.weights) for run in runs])
        return {"median loss": float(np.median(losses)), "best loss": losses.min()}
    if job.kind == "gradient":
        cost, gradient = cast(tuple[float, Weights], result)
        parts: list[Any] = [part for pair in gradient for part in pair]
        norm = np.sqrt(sum(np.sum(np.square(part, dtype=float)) for part in parts))
        return {"cost": float(cost), "norm": float(norm)}
    return {"loss": _surprise(np.asarray(result), job.y)}


def comparable(job: Job, ours: dict[str, float], theirs: dict[str, float]) -> bool:
    """Whether the figures are as near as rounding and its growth allow."""
    # A long training amplifies rounding; a single pass does not.
    trains = job.kind in ("train", "search")
    relative, absolute = (0.1, 0.02) if trains else (1e-3, 0.0)
    return all(
        abs(ours[name] - theirs[name])
        <= absolute + relative * max(abs(ours[name]), abs(theirs[name]))
        for name in ours
    )


def _loss(job: Job, weights: Weights) -> float:
    hidden = np.asarray(job.X[:ROWS], float)
    bend = np.tanh if job.activation == "tanh" else lambda z: np.maximum(z, 0)
    for W, b in weights[:-1]:
        hidden = bend(hidden @ W + b)
    scores = hidden @ weights[-1][0] + weights[-1][1]
    if job.n_outputs == 1:  # softmax over (0, z) is the logistic function of z
        scores = np.hstack([np.zeros_like(scores), scores])
    scores = scores - scores.max(axis=1, keepdims=True)
    shares = np.exp(scores)
    shares /= shares.sum(axis=1, keepdims=True)
    return _surprise(shares, job.y[:ROWS])


def _surprise(shares: Array, y: Array) -> float:
    chosen = shares[np.arange(len(y)), y].astype(float)
    return float(-np.log(np.maximum(chosen, 1e-300)).mean())
