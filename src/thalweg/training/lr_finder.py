"""The learning-rate finder: raise the rate until the loss blows up.

One update a rate says little: the loss of a batch is noisy, and at the first rates the
noise is all there is. So the suggestion is no point of the steepest slope. It is the
geometric mean of three rates that noise moves little: where the smoothed loss has
fallen half of the way, where it is lowest, and where it blows up. Limits keep it near
the first of them, and away from the last.
`benchmarks/find_rate.py` measures how near it is to the best rate.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg import engines
from thalweg.core import (
    Array,
    DenseNetwork,
    EpochSums,
    FitRequest,
    Interval,
    Network,
    Plan,
    as_random_state,
    batch_rows,
    check_number,
    check_whole,
    short_repr,
)
from thalweg.training.data import as_data
from thalweg.training.loop import check_network, check_plan

_FEWEST = 5
"""Losses that a suggestion needs."""


@short_repr
@dataclass(frozen=True, eq=False)
class RateFinding:
    """What `find_rate` saw: the loss as the learning rate grew.

    Parameters
    ----------
    rates, losses : ndarray of shape (n_steps,)
        The rate of each step and the smoothed loss of its batch.
    suggestion : float
        The geometric mean of the rates where the loss has fallen half of the way, where
        it is lowest, and where it blows up; at most 40 times the first of them, and an
        eighth of the last.
    largest : float
        The last rate before the loss blew up (or the last one tried).
    note : str
        Why the suggestion is not to be relied on: the loss did not fall, or the
        suggestion is at an end of the range. Empty otherwise; `find_rate` warns of it.
    """

    rates: Array
    losses: Array
    suggestion: float
    largest: float
    note: str = ""


def find_rate(
    network: DenseNetwork | Network,
    X: Any,
    y: Any,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    n_steps: int = 150,
    plan: Plan | None = None,
    sample_weight: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
    engine: str = "auto",
    **settings: Any,
) -> RateFinding:
    """Find a learning rate by raising it until the loss blows up (Smith, 2017).

    Parameters
    ----------
    network, X, y, plan, sample_weight, random_state, engine
        As for `fit`.
    lowest, highest : float
        First and last rate tried, on a geometric scale.
    n_steps : int
        Updates, one batch each.
    **settings
        Fields of `Plan`.

    Returns
    -------
    RateFinding
        The loss at each rate, and a rate to train with.

    Warns
    -----
    UserWarning
        If the loss does not fall, or the suggestion is at an end of the range.

    Raises
    ------
    ValueError
        If ``0 < lowest < highest`` does not hold, or as in `fit`.
    """
    for name, rate in {"lowest": lowest, "highest": highest}.items():
        check_number(name, rate, Interval("(-inf, inf]"), owner="find_rate")
    check_whole("n_steps", n_steps, "[1, 1e9]", owner="find_rate")
    if not 0 < lowest < highest < np.inf or n_steps < 10:
        raise ValueError(
            f"find_rate got lowest={lowest!r}, highest={highest!r}, "
            f"n_steps={n_steps!r}; it needs 0 < lowest < highest and at least 10 steps."
        )
    asked = FitRequest(network, settings, X, y, plan, sample_weight)
    adapter = check_network(network).adapter
    if adapter is not None:
        adapter = adapter.reading()
        asked = adapter.prepare(asked)
        network = asked.network
    plan = check_plan(network, Plan.of(asked.plan, **asked.settings))
    rng = as_random_state(random_state)
    data = as_data(network, plan, asked.X, asked.y, asked.sample_weight, None)
    trainer, _ = engines.pick(engine, network, plan)
    first = trainer.initial_parameters(network, asked.parameters, rng, data.dtype)
    trainer.examine(network, [plan], data, first)
    seed = int(rng.randint(2**31))
    session = trainer.session(network, plan, data, first, seed)
    if adapter is not None:
        adapter.begin(session)
    rates = np.geomspace(lowest, highest, n_steps)
    orders = _batches(plan, data.n_rows, n_steps, rng)
    found = _read_rates(rates, session.advance(orders, rates, np.ones(n_steps)))
    if found.note:
        warnings.warn(f"find_rate: {found.note}", UserWarning, stacklevel=2)
    return found


def _batches(
    plan: Plan, n_rows: int, n_steps: int, rng: np.random.RandomState
) -> Array:
    """Random rows for `n_steps` batches, each an epoch of its own."""
    size = batch_rows(plan, n_rows)
    n_passes = -(-n_steps * size // n_rows)
    drawn = np.concatenate([rng.permutation(n_rows) for _ in range(n_passes)])
    return drawn[: n_steps * size].reshape(n_steps, size).astype(np.int32)


def _read_rates(rates: Array, sums: EpochSums) -> RateFinding:
    from scipy.ndimage import gaussian_filter1d, median_filter

    losses = (sums.loss if sums.finite else sums.loss[:-1]).astype(float)
    count = len(losses)
    if count < _FEWEST:
        low = float(rates[0])
        note = (
            f"the loss is not finite after update {count} already, at the rate "
            f"{rates[count]:.1e}. Scale the inputs and targets, or give a lower lowest."
        )
        return RateFinding(rates[:count], losses, low, low, note)
    # The first rates do nothing: what the loss does there is noise.
    quiet = losses[: max(count // 5, _FEWEST - 1)]
    start, noise = np.median(quiet), quiet.std()
    # One loss that is huge must not hide the others around it.
    capped = np.minimum(losses, start + 10 * max(abs(start), noise))
    width = max(len(rates) / 40, 1.0)
    smooth = gaussian_filter1d(capped, width, mode="nearest")
    fallen = (start - np.minimum.accumulate(smooth)).clip(0)
    too_high = start - fallen / 2 + max(5 * noise, abs(start) / 10)
    back = median_filter(capped, 3, mode="nearest") > too_high
    back[: len(quiet)] = False
    blown = np.flatnonzero(back)
    end = int(blown[0]) if len(blown) else count
    bottom = int(np.argmin(smooth[:end]))
    middle = (start + smooth[bottom]) / 2
    higher = np.flatnonzero(smooth[: bottom + 1] > middle)
    half = min(int(higher[-1]) + 1, bottom) if len(higher) else 0
    places = [half, bottom, min(end, len(rates) - 1)]
    if fallen[bottom] < 4 * noise / np.sqrt(2 * np.sqrt(np.pi) * width):
        places[:2] = 0, 0  # where the noise is lowest means nothing
    own = rates[places]
    mean = float(np.exp(np.log(own).mean()))
    limits = [40 * own[0]] * (half < bottom) + [own[2] / 8] * (end < len(rates))
    suggestion = max(min([mean, *limits]), rates[0])
    return RateFinding(
        rates=rates[:count],
        losses=smooth,
        suggestion=float(suggestion),
        largest=float(rates[end - 1]),
        note=_note(rates, places, float(suggestion)),
    )


def _note(rates: Array, places: list[int], suggestion: float) -> str:
    """Say why the places where the loss changes give no good suggestion."""
    lowest, highest = f"{rates[0]:.1e}", f"{rates[-1]:.1e}"
    near = (rates[-1] / rates[0]) ** 0.05
    if not places[1]:
        return (
            f"the loss did not fall by more than its noise between the rates {lowest} "
            f"and {rates[places[2]]:.1e}, so that the suggestion is a guess. Scale the "
            "inputs and targets, or give larger batches or more steps."
        )
    if suggestion > rates[-1] / near:
        return (
            f"the loss still falls at the highest rate, {highest}, so that the "
            "suggestion is at the end of the range. Give a larger highest."
        )
    if suggestion < rates[0] * near:
        return (
            f"the loss blows up soon after the lowest rate, {lowest}, so that the "
            "suggestion is at the end of the range. Give a smaller lowest."
        )
    return ""
