"""Which members a table's model has, where its user does not say otherwise.

The choices were made on tables that never serve to judge the result
(`benchmarks/tables/sources.py` names them, with what was measured on each): german,
horse-colic, phoneme, churn, hpc, glass, digits, abalone, diamonds, hitters, diabetes,
wages. Ratios are of the test loss, geometric means over these twelve tables.

- Eight members, each trained on seven eighths of the rows, stop early on their own
  eighth; their probabilities are averaged, not the logarithms of these.
- Adam with a learning rate of 0.003 is as good as with 0.001 (0.996) and a fifth
  cheaper.
- Members that see numbers in different ways, half of them with a finer
  piecewise-linear encoding and half with waves of their own, are better than eight
  alike (0.97); beyond 30 numbers waves do harm (digits: 1.10).
- Regression goes better without dropout (diamonds 0.95, hitters 0.97, abalone 1.00).
- Under 1000 rows five times the penalty is better (horse-colic 0.96, glass 0.98,
  diabetes 0.99, german 1.00), and above it is not (digits 1.12).
- A linear model counts as much as the out-of-fold loss says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.core import Array

MEMBERS = 8
MOST_MEMBERS = 64
FEWEST_CROSSED = 40
"""Rows from which on members hold out folds."""
RATE = 0.003
SMALL = 1000
"""Rows below which the penalty is greater."""
WAVES = 4
_WAVE_SPREAD = 0.4
_MOST_LINEAR = 8


@dataclass(frozen=True)
class Recipe:
    """How a member differs from what the estimator's parameters say.

    Parameters
    ----------
    settings : mapping of str to value
        Parameters of the estimator.
    pieces : {"usual", "fine", "none"}
        Which piecewise-linear encoding it sees.
    waves : int
        How many frequencies each number gets.
    linear : bool
        Whether it is a linear model.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    pieces: str = "usual"
    waves: int = 0
    linear: bool = False


def network_recipes(model: Any, count: int, n_rows: int) -> list[Recipe]:
    """Return the recipes of so many networks.

    What the user has set stays as it is.
    """
    settings: dict[str, Any] = {}
    if model.optimizer == "adam" and model._given("learning_rate") is None:
        settings["learning_rate"] = RATE
    if (
        FEWEST_CROSSED <= n_rows < SMALL
        and model._given("l2") == 1.0
        and model.alpha is None
    ):
        settings["l2"] = 5.0
    if model.loss == "squared" and model.dropout is None:
        settings["dropout"] = 0.0
    kinds = [Recipe(settings, "none")]
    if model.piecewise:
        kinds = [Recipe(settings, "fine"), Recipe(settings, "usual", WAVES)]
    return [kinds[number % len(kinds)] for number in range(count)]


def has_linear(model: Any) -> bool:
    """Whether a linear model may count beside a model's networks.

    Both must have the same loss, and the networks must be trained as usual.
    """
    return model.loss in ("cross_entropy", "squared") and model.optimizer == "adam"


def frequencies(rng: np.random.RandomState, n_numbers: int, count: int) -> Array:
    """Draw the frequencies of a member's waves, (n_numbers, count)."""
    return rng.normal(0, _WAVE_SPREAD, (n_numbers, count))


def n_linear(n_rows: int) -> int:
    """Return how many folds a linear model is trained without."""
    return _MOST_LINEAR if n_rows < 2000 else 2
