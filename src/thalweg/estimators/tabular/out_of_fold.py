"""Predictions for rows that a member was not trained on, and what is chosen by them.

Each member holds out a fold of the rows. What it predicts for them says how good the
model is, without any further data: how much a linear model should count, whether the
probabilities are too confident, and how far predictions are from the truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from thalweg.core import Array
from thalweg.estimators.tabular.members import heated

_LEAST = 1e-15  # of a probability, in a logarithm
_SHARES = np.linspace(0, 1, 21)
_HOTTEST = np.log(5)


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions for rows that their networks were not trained on.

    Parameters
    ----------
    rows : ndarray of int, shape (n_held,)
        Their numbers in the table.
    outputs : ndarray of shape (n_held, n_outputs)
        Means over the members that held out the row.
    counts : ndarray of int, shape (n_held,)
        How many members that were.
    truth : ndarray of shape (n_held,) or (n_held, n_outputs)
        Class numbers, or scaled values.
    weights : ndarray of shape (n_held,)
    """

    rows: Array
    outputs: Array
    counts: Array
    truth: Array
    weights: Array

    def take(self, places: Array) -> "OutOfFold":
        """Return some of the rows."""
        return OutOfFold(*(getattr(self, f.name)[places] for f in fields(self)))

    def losses(self, outputs: Array | None = None) -> Array:
        """Return each row's log-loss, or mean squared error of the scaled values."""
        outputs = self.outputs if outputs is None else outputs
        if self.truth.dtype.kind in "iu":
            shares = outputs[np.arange(len(outputs)), self.truth]
            return -np.log(np.maximum(shares, _LEAST))
        truth = self.truth.reshape(len(outputs), -1)
        return ((truth - outputs) ** 2).mean(axis=1)

    def distances(self) -> Array:
        """Return how far predictions are from the truth.

        Returns
        -------
        ndarray of shape (n_held, n_outputs) or (n_held,)
            Absolute residuals of scaled values, or one minus the probability of the
            true class.
        """
        if self.truth.dtype.kind in "iu":
            return 1 - self.outputs[np.arange(len(self.outputs)), self.truth]
        return np.abs(self.truth.reshape(len(self.outputs), -1) - self.outputs)

    def loss(self, outputs: Array | None = None) -> float:
        """Return the weighted mean of the losses."""
        return float(np.average(self.losses(outputs), weights=self.weights))

    def gain(self, outputs: Array) -> tuple[float, float]:
        """Return how much lower the loss of outputs is, and its standard error."""
        apart = self.losses() - self.losses(outputs)
        mean = float(np.average(apart, weights=self.weights))
        spread = np.average((apart - mean) ** 2, weights=self.weights)
        return mean, float(np.sqrt(spread / max(len(apart), 1)))


def gather(
    held: Sequence[tuple[Array, Array]], truth: Array, weights: Array | None
) -> OutOfFold:
    """Return the mean of what members predict for the rows that they hold out.

    Parameters
    ----------
    held : sequence of (ndarray of int, ndarray of shape (n_held, n_outputs))
        The rows of each member, and what it predicts for them.
    truth : ndarray of shape (n_rows,) or (n_rows, n_outputs)
    weights : ndarray of shape (n_rows,) or None
    """
    total: Any = np.zeros((len(truth), held[0][1].shape[1]))
    counts = np.zeros(len(truth), int)
    for rows, outputs in held:
        total[rows] += outputs
        counts[rows] += 1
    rows = np.flatnonzero(counts)
    own = np.ones(len(truth)) if weights is None else np.asarray(weights, float)
    mean = total[rows] / counts[rows, None]
    return OutOfFold(rows, mean, counts[rows], truth[rows], own[rows])


def best_share(first: OutOfFold, second: OutOfFold) -> tuple[float, OutOfFold]:
    """Return how much a second model should count beside a first, and their mean.

    The share with the least loss is shrunk by as much as the gain may be chance: by
    ``1 - 1 / z**2``, where z is the gain in standard errors (James & Stein, 1961).
    """
    found = [first.loss((1 - w) * first.outputs + w * second.outputs) for w in _SHARES]
    share = float(_SHARES[int(np.nanargmin(found))])
    gain, error = first.gain((1 - share) * first.outputs + share * second.outputs)
    share = share * max(0.0, 1 - (error / gain) ** 2) if gain > 0 else 0.0
    mean = (1 - share) * first.outputs + share * second.outputs
    return share, replace(first, outputs=mean)


def best_temperature(found: OutOfFold) -> float:
    """Return the temperature with the least log-loss, 1 unless it is better for sure.

    The mean of all members is less confident than that of the few that held out a row.
    Therefore half of the temperature's logarithm is taken.
    """

    def loss(logarithm: float) -> float:
        return found.loss(heated(found.outputs, float(np.exp(logarithm))))

    answer: Any = minimize_scalar(loss, bounds=(-_HOTTEST, _HOTTEST), method="bounded")
    temperature = float(np.exp(answer.x / 2))
    gain, error = found.gain(heated(found.outputs, temperature))
    return temperature if gain > error else 1.0
