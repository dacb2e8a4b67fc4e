"""Which members a table's model has, where its user does not say otherwise.

The choices were made on tables that never serve to judge the result
(`benchmarks/tables/sources.py` names them, with what was measured on each): german,
horse-colic, phoneme, churn, hpc, glass, digits, abalone, diamonds, hitters, diabetes,
wages. Ratios are of the test loss, geometric means over these twelve tables.

- Eight members, which see numbers in two different ways by turns, are trained on some
  folds and stop early on another. Under 1000 rows two members of both kinds hold out
  each of four folds: by their mean a linear model and a temperature are chosen better
  than by one (0.985 of CatBoost's loss on the five smallest tables, where eight folds
  have 0.991). With more rows each holds out one of eight folds: members that see more
  rows gain more (phoneme 0.936 and not 0.965). Probabilities are averaged, and not
  their logarithms.
- Half of them have a finer piecewise-linear encoding (0.990 alone), half have waves of
  their own (0.984 alone). Beyond 30 numbers both do harm (digits: 1.08 and 1.10); there
  the second half has twice the widths instead (digits: 0.915 of CatBoost).
- Adam with a learning rate of 0.003 is as good as with 0.001 (0.996) and a fifth
  cheaper.
- Regression goes better without dropout (diamonds 0.95, hitters 0.97, abalone 1.00).
- Under 1000 rows five times the penalty is better (horse-colic 0.96, glass 0.98,
  diabetes 0.99, german 1.00), and above it is not (digits 1.12).
- A linear model counts by its out-of-fold loss, less where the gain may be chance
  (diabetes 0.95); a temperature's logarithm is halved (0.995 on small tables).
- No gain had: 16 members (0.995), moving averages of the weights (0.997), more or finer
  pieces, greater widths at twice the time (0.99), other numbers of layers, schedules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.core import Array

MOST_MEMBERS = 64
FEWEST_CROSSED = 40
"""Rows from which on members hold out folds."""
RATE = 0.003
SMALL = 1000
"""Rows below which the penalty is greater."""
WAVES = 4
_WAVE_SPREAD = 0.4
_SIZES = (15_000, 8), (60_000, 4)  # rows at most, and members; beyond them 2
_USUAL_WIDTHS, _WIDER = (128, 64), (256, 128)


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


def n_members(n_rows: int) -> int:
    """Return how many networks a table of so many rows gets."""
    return next((count for most, count in _SIZES if n_rows <= most), 2)


def n_folds(count: int, n_rows: int) -> int:
    """Return into how many folds the rows are divided for so many members."""
    if count <= 2:
        return 10
    return 4 if n_rows < SMALL else 8


def n_each(n_rows: int) -> int:
    """Return how many members hold out the same fold."""
    return 2 if n_rows < SMALL else 1


def network_recipes(
    model: Any, count: int, n_rows: int, *, waves: bool
) -> list[Recipe]:
    """Return the recipes of so many networks.

    What the user has set stays as it is.

    Parameters
    ----------
    model : Classifier or Regressor
    count, n_rows : int
    waves : bool
        Whether the table's numbers can have waves: there are some, and not too many.
    """
    settings: dict[str, Any] = {}
    if model.optimizer == "adam" and model._given("learning_rate") is None:
        settings["learning_rate"] = RATE
    usual_penalty = model.l2 == 1.0 and model.alpha is None
    if usual_penalty and FEWEST_CROSSED <= n_rows < SMALL:
        settings["l2"] = 5.0
    if model.loss == "squared" and model.dropout is None:
        settings["dropout"] = 0.0
    if not model.piecewise:
        pair = [Recipe(settings, "none")]
    elif waves:
        pair = [Recipe(settings, "fine"), Recipe(settings, "usual", WAVES)]
    else:
        usual = tuple(np.atleast_1d(model.hidden_layer_sizes)) == _USUAL_WIDTHS
        wider = {**settings, "hidden_layer_sizes": _WIDER} if usual else settings
        pair = [Recipe(settings, "usual"), Recipe(wider, "usual")]
    return [pair[number % len(pair)] for number in range(count)]


def has_linear(model: Any) -> bool:
    """Whether a linear model may count beside a model's networks.

    Both must have the same loss, and the networks must be trained as usual.
    """
    return model.loss in ("cross_entropy", "squared") and model.optimizer == "adam"


def frequencies(rng: np.random.RandomState, n_numbers: int, count: int) -> Array:
    """Draw the frequencies of a member's waves, (n_numbers, count)."""
    return rng.normal(0, _WAVE_SPREAD, (n_numbers, count))


def n_linear(n_rows: int) -> int:
    """Return how many folds a linear model is fitted without."""
    return 4 if n_rows < 5000 else 2
