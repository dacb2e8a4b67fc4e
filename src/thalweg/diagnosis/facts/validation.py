"""How the validation data differ from the training data."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Array
from thalweg.diagnosis.facts.group import NO_VALIDATION, FactGroup
from thalweg.diagnosis.facts.neighbors import (
    AT_ONCE,
    NEIGHBORS,
    NeighborFacts,
    NeighborhoodFacts,
    nearest_rows,
    score_and_chance,
)
from thalweg.diagnosis.facts.sample import (
    Sample,
    numeric,
    standardized,
    validation_inputs,
)
from thalweg.diagnosis.problem import Problem

_CONTRADICT = 0.05
"""If the neighbors contradict more than this share of the rows, the neighbors of the
validation data are examined too."""


@dataclass(frozen=True)
class ValidationFacts(FactGroup):
    """The validation data, compared with the training data.

    Parameters
    ----------
    rows : int
    shifted, stretched : float
        Shares of the columns whose mean or whose spread differs.
    shared : float
        Share of the validation rows that are in the training data too.
    repeated : float
        Share of the training rows that are repeated.
    agreement, chance : float or None
        Agreement of neighbors within the validation data, and what it may reach by
        chance; None if there was no reason to ask.
    rarer, rarer_errors : float or None
        How many times rarer a class is in the training data, and by how many standard
        errors; None for a target that is no class.
    """

    prefix = "held"
    why_not = NO_VALIDATION
    about_data = True

    rows: int
    shifted: float
    stretched: float
    shared: float
    repeated: float
    agreement: float | None = None
    chance: float | None = None
    rarer: float | None = None
    rarer_errors: float | None = None


def facts_of_validation(
    problem: Problem, seen: Sample, nearest: NeighborFacts | None,
    neighborhoods: NeighborhoodFacts | None,
) -> ValidationFacts | None:  # fmt: skip
    """Compare the validation data with the training data.

    Neighbors within the validation data are examined only if those within the training
    data contradict: it takes time.
    """
    assert problem.validation_data is not None
    assert seen.inputs is not None
    held, y = validation_inputs(problem, seen)
    own = seen.inputs
    mean, std = own.mean(axis=0), own.std(axis=0)
    varied = std > 0
    if not varied.any() or not np.isfinite(held).all():
        return None
    std = std[varied]
    shift = np.abs(held.mean(axis=0) - mean)[varied] / std
    # The mean of a few rows differs by chance.
    shift = np.maximum(shift - 3 / np.sqrt(len(held)), 0)
    with np.errstate(divide="ignore"):
        stretch = np.abs(np.log(held.std(axis=0)[varied] / std))
    all_rows = {row.tobytes() for row in _number_rows(problem.X)}
    shared = np.mean(
        [row.tobytes() in all_rows for row in _number_rows(problem.validation_data.X)]
    )
    n = problem.X.shape[0]
    by_chance = nearest is not None and nearest.score <= nearest.chance
    contradict = by_chance or (
        neighborhoods is not None and neighborhoods.disagree > _CONTRADICT
    )
    agreement = chance = rarer = rarer_errors = None
    if len(y) >= 40 and y.ndim == 1 and contradict:
        agreement, chance = _validation_agreement(problem, held, y)
    if problem.labels is not None and problem.y.ndim == 1:
        rarer, rarer_errors = _rarer(problem.y, y.astype(int), len(problem.labels))
    return ValidationFacts(
        rows=len(problem.validation_data.y),
        shifted=float((shift > 0.5).mean()),
        stretched=float((stretch > np.log(3)).mean()),
        shared=float(shared),
        repeated=float(1 - (len(all_rows) - 1) / max(n - 1, 1)),
        agreement=agreement,
        chance=chance,
        rarer=rarer,
        rarer_errors=rarer_errors,
    )


def _rarer(training: Array, validation: Array, k: int) -> tuple[float, float]:
    """Return how much rarer a class is in the training data, and in how many errors."""
    counts = np.array([np.bincount(y, minlength=k) for y in (training, validation)])
    n = np.array([[len(training)], [len(validation)]])
    (own, held), both = counts / n, counts.sum(axis=0) / n.sum()
    times = held / np.maximum(own, 1e-9)
    rarest = int(times.argmax())
    error = np.sqrt((both * (1 - both))[rarest] * (1 / n).sum())
    apart = (held - own)[rarest] / max(error, 1e-9)
    return float(times[rarest]), float(apart)


def _validation_agreement(
    problem: Problem, held: Array, y: Array
) -> tuple[float, float]:
    held, y = held[:AT_ONCE], y[:AT_ONCE]
    close = nearest_rows(standardized(held), NEIGHBORS)
    return score_and_chance(problem, y, close, seed=6)


def _number_rows(X: Any) -> Array:
    return np.ascontiguousarray(numeric(X)[0])
