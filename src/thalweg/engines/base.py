"""What every engine offers: the contracts, as protocols."""

from typing import Any, Protocol

from thalweg.core import Array, EpochSums, Parameters


class Session(Protocol):
    """One network in training on one engine.

    The batches' order and the learning rates come from outside, so that every engine
    sees the same ones; dropout and noise are drawn inside, by the generator that
    `thalweg.engines.jax.random` specifies, from (seed, step, layer, element).
    """

    heeds_stop: bool
    """Whether `advance` takes notice of `stop`."""

    def advance(
        self,
        orders: Array | None,
        rates: Array,
        mixes: Array,
        stop: tuple[int, float, float, int] | None = None,
    ) -> EpochSums:
        """Train some epochs.

        Parameters
        ----------
        orders : ndarray of shape (n_epochs, n_met), int32, or None
            Row numbers in the order to be met: a permutation an epoch, or any other
            choice of rows. None for all rows in their own order, where the number of
            epochs follows from `rates`.
        rates : ndarray of shape (n_epochs * steps_per_epoch,), float64
            Learning rate of each update; the steps are those of `n_met` rows.
        mixes : ndarray of the same shape
            `thalweg.core.plan.mixing_factors`.
        stop : (limit, tol, best, waited), optional
            Where heeded, the last epoch is the one after which more than `limit`
            epochs in a row had a loss not below the best by `tol`; `best` and `waited`
            are the counts before the first (`thalweg.training.monitor.EarlyStopping`).
        """
        ...

    def validate(self) -> tuple[Array, Array]:
        """Raw outputs (n_rows, n_outputs) and losses (n_rows,) on validation data."""
        ...

    def parameters(self) -> Parameters:
        """Copy the weights as they are now: the averages, where the plan averages."""
        ...

    def state(self) -> Any:
        """Copy what the update rule remembers, and the steps done; can be pickled."""
        ...


class Objective(Protocol):
    """What a full-batch method minimizes: the plan's objective on all rows at once.

    As a training step sees it (batch normalization takes the statistics of all rows),
    but with nothing dropped and no noise added. A gradient has the names and shapes of
    the trained parameters: nothing for a frozen layer, no running statistics.
    """

    def cost_and_gradient(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Compute the objective and its gradient."""
        ...

    def cost(self, parameters: Parameters) -> float:
        """Compute the objective alone, at about a third of the work."""
        ...

    def settle(self, parameters: Parameters) -> Parameters:
        """Set the running statistics to those of all rows."""
        ...
