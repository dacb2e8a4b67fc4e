"""The learning-rate finder: raise the rate until the loss blows up."""

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


@short_repr
@dataclass(frozen=True, eq=False)
class RateFinding:
    """What `find_rate` saw: the loss as the learning rate grew.

    Parameters
    ----------
    rates, losses : ndarray of shape (n_steps,)
        The rate of each step and the smoothed loss of its batch.
    suggestion : float
        The rate at which the loss fell fastest.
    largest : float
        The last rate before the loss blew up (or the last one tried).
    """

    rates: Array
    losses: Array
    suggestion: float
    largest: float


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
        The loss at each rate, and where it fell fastest.

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
    return _read_rates(rates, session.advance(orders, rates, np.ones(n_steps)))


def _batches(
    plan: Plan, n_rows: int, n_steps: int, rng: np.random.RandomState
) -> Array:
    """Random rows for `n_steps` batches, each an epoch of its own."""
    size = batch_rows(plan, n_rows)
    n_passes = -(-n_steps * size // n_rows)
    drawn = np.concatenate([rng.permutation(n_rows) for _ in range(n_passes)])
    return drawn[: n_steps * size].reshape(n_steps, size).astype(np.int32)


def _read_rates(rates: Array, sums: EpochSums) -> RateFinding:
    losses = sums.loss if sums.finite else sums.loss[:-1]
    weights = 0.9 ** np.arange(len(losses))
    before = [losses[i::-1] for i in range(len(losses))]  # the newest first
    smooth = np.array([np.average(b, weights=weights[: len(b)]) for b in before])
    lowest = np.fmin.accumulate(smooth)
    blown = np.flatnonzero(smooth > lowest + 0.5 * np.abs(smooth[0]))
    end = int(blown[0]) if len(blown) else len(smooth)
    bottom = max(int(np.argmin(smooth[:end])), 2)
    slopes = np.gradient(smooth[: bottom + 1], np.log(rates[: bottom + 1]))
    return RateFinding(
        rates=rates[: len(losses)],
        losses=smooth,
        suggestion=float(rates[int(np.argmin(slopes))]),
        largest=float(rates[end - 1]),
    )
