"""Learning-rate schedules and averages of the weights, by name."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thalweg.core.registry import (
    AT_LEAST_1,
    CLOSED_SHARE,
    NONNEGATIVE,
    OPEN_SHARE,
    POSITIVE,
    SHARE,
    tabulate,
)
from thalweg.core.types import Array

_PACE = {"floor": (1e-6, NONNEGATIVE)}

SCHEDULES = tabulate(
    {
        "constant": {},
        "inverse_scaling": {"power": 0.5},
        "invscaling": {"power": (0.5, "(-inf, inf)"), "rows_before": 0.0},
        "inverse_time": {"decay": 0.01},
        "linear": {"floor": 0.0},
        "step": {"every": 10, "factor": 0.5},
        "exponential": {"factor": 0.95},
        "cosine": {"floor": 0.0},
        "cosine_restarts": {"period": 10, "growth": 2.0, "floor": 0.0},
        "one_cycle": {"peak": 0.3, "start": 0.04, "end": 1e-4},
        "plateau": {"factor": (0.5, OPEN_SHARE), "patience": 5, **_PACE},
        "adaptive": {"factor": (0.2, OPEN_SHARE), **_PACE},
    },
    **dict.fromkeys(("every", "period", "growth"), AT_LEAST_1),
    **dict.fromkeys(("power", "rows_before", "decay", "end", "patience"), NONNEGATIVE),
    floor=CLOSED_SHARE, factor=POSITIVE, start=POSITIVE, peak=OPEN_SHARE,
)  # fmt: skip
"""Schedules by name. ``power``, ``decay`` count updates; ``every``, ``period`` and the
``factor`` of ``exponential`` count epochs; ``floor``, ``start`` and ``end`` are shares
of the learning rate, except in the two that watch the loss, where ``floor`` is a rate.
``invscaling`` is scikit-learn's: it counts rows, those of earlier fits
(``rows_before``) too, and changes between epochs.
``plateau`` cuts the rate when the monitored value has stopped improving; ``adaptive``,
scikit-learn's, cuts it where training would have stopped."""

AVERAGES = tabulate(
    {"none": {}, "ema": {"decay": 0.999}, "polyak": {"start": 0.5}},
    decay=SHARE,
    start=SHARE,
)
"""Averages of the weights over updates: ``ema`` exponential, without the pull of the
initial weights; ``polyak`` the plain mean from the share ``start`` of the epochs on
(Polyak & Juditsky, 1992; stochastic weight averaging, Izmailov et al., 2018)."""


class Clock(NamedTuple):
    """Numbers of the updates asked for and of their epochs; how these are counted."""

    steps: Array
    epoch: Array
    per_epoch: float
    total: int
    n_rows: int


def _invscaling(clock: Clock, power: float, rows_before: float) -> Array:
    rows_seen = rows_before + clock.epoch * clock.n_rows
    # scikit-learn sets the rate at the end of an epoch: the first is untouched.
    return np.where(clock.epoch == 0, 1.0, (rows_seen + 1.0) ** -power)


def _half_cosine(done: Array, floor: float) -> Array:
    # Loshchilov & Hutter (2017), "SGDR", eq. 5.
    return floor + (1 - floor) * (1 + np.cos(np.pi * np.minimum(done, 1))) / 2


def _cosine_restarts(clock: Clock, period: int, growth: float, floor: float) -> Array:
    first = period * clock.per_epoch
    if growth == 1:
        done = (clock.steps % first) / first
    else:
        # The cycles' lengths are a geometric series; invert its sum.
        cycle = np.floor(np.log1p(clock.steps / first * (growth - 1)) / np.log(growth))
        begun = first * (growth**cycle - 1) / (growth - 1)
        done = (clock.steps - begun) / (first * growth**cycle)
    return _half_cosine(done, floor)


def _one_cycle(clock: Clock, peak: float, start: float, end: float) -> Array:
    # Smith & Topin (2018), with cosine flanks.
    done = np.minimum(clock.steps / max(clock.total - 1, 1), 1)
    risen = (1 - np.cos(np.pi * np.minimum(done / peak, 1))) / 2
    fall = _half_cosine((done - peak) / (1 - peak), end)
    return np.where(done < peak, start + (1 - start) * risen, fall)


FACTORS: dict[str, Callable[..., Array]] = {
    "inverse_scaling": lambda clock, power: (clock.steps + 1.0) ** -power,
    "invscaling": _invscaling,
    "inverse_time": lambda clock, decay: 1 / (1 + decay * clock.steps),
    "linear": lambda clock, floor: (
        1 - (1 - floor) * np.minimum(clock.steps / clock.total, 1)
    ),
    "step": lambda clock, every, factor: factor ** (clock.epoch // every),
    "exponential": lambda clock, factor: factor**clock.epoch,
    "cosine": lambda clock, floor: _half_cosine(clock.steps / clock.total, floor),
    "cosine_restarts": _cosine_restarts,
    "one_cycle": _one_cycle,
}
"""The others are constant: ``plateau`` and ``adaptive`` are steered by the loop."""

STRENGTHS = {name: SCHEDULES[name] for name in ("constant", *FACTORS)}
"""Schedules of dropout and weight decay: those that do not follow the loss."""
