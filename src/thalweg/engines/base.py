"""What every engine offers: the contracts, as protocols.

An engine is an object. `thalweg.engines` picks one for a network and a plan, and
nothing above asks which one it got: what only JAX can do for a network of the user's
own, every engine answers for the networks that it trains.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from thalweg.core import Array, Data, EpochSums, Parameters, Plan

StopRule = tuple[int, float, float, int]
"""Early stopping on the training loss, ``(limit, tol, best, waited)``: the last epoch
is the one after which more than `limit` epochs in a row had a loss not below the best
by `tol`; `best` and `waited` are the counts before the first."""

Evaluator = Callable[[Any], tuple[Any, Array]]
"""From parameters to raw outputs (n_rows, n_outputs) and losses (n_rows,) of rows."""


class Session(Protocol):
    """One network in training on one engine.

    The batches' order and the learning rates come from outside, so that every engine
    sees the same ones; dropout and noise are drawn inside, by the generator that
    `thalweg.engines.jax.random` specifies, from (seed, step, layer, element).
    """

    heeds_stop: bool
    """Whether `advance` takes notice of `stop`."""

    note: str
    """What is particular about the programs, for `Run.engine`; mostly empty."""

    def advance(
        self,
        orders: Array | None,
        rates: Array,
        mixes: Array,
        stop: StopRule | None = None,
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
        stop : StopRule, optional
            When to stop by the training loss, where it is heeded.
        """
        ...

    def begin_epoch(self) -> None:
        """Forget what a `BatchLoss` measured till now."""
        ...

    def adapt(self, decay: float, dropout: float) -> None:
        """Multiply the plan's weight decay and the network's dropout from here on."""
        ...

    def validate(self) -> tuple[Array, Array]:
        """Raw outputs (n_rows, n_outputs) and losses (n_rows,) on validation data."""
        ...

    def parameters(self) -> Parameters:
        """Copy the weights as they are now: the averages, where the plan averages."""
        ...

    def state(self) -> Any:
        """Copy what the optimizer remembers, and the steps done; can be pickled."""
        ...

    def snapshot(self) -> dict[str, Array]:
        """Copy all that is needed to resume, the weights included, as named arrays."""
        ...

    def restore(self, snapshot: Mapping[str, Array]) -> None:
        """Go on from the `snapshot` of a session of the same network and plan.

        Raises
        ------
        ValueError
            If it is that of another network or optimizer.
        """
        ...


class BatchLoss(Protocol):
    """A loss that only a whole batch has, with the forward pass of a `Network` in it.

    It may measure more, over the batches of an epoch.
    """

    validation_batch: int | None
    """Rows of a batch of validation data; None for those of a batch in training."""

    def of_batch(
        self, trained: Any, kept: Any, measured: Any, X: Any, y: Any, *, training: bool
    ) -> tuple[Any, Any, Any, Any]:
        """Return the loss, the outputs, and `kept` and `measured` after the batch."""
        ...

    def nothing_measured(self) -> Any:
        """Return what is measured before the first batch; empty if nothing is."""
        ...

    def results(self, measured: Any) -> dict[str, float]:
        """Return what was measured, by name."""
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

    def repeats(self, parameters: Parameters) -> bool:
        """Whether training computes the same objective again one step later."""
        ...

    def rowwise(self, parameters: Parameters) -> bool:
        """Whether rows train apart: neither outputs nor losses depend on others."""
        ...


class CurvedObjective(Objective, Protocol):
    """An objective with exact second derivatives, which only JAX has."""

    def hessian_product(self, parameters: Any, direction: Any) -> Any:
        """Multiply a direction, shaped like the gradient, by the exact Hessian."""
        ...

    def hessian(self, parameters: Any) -> tuple[Array, Any]:
        """Compute the whole Hessian, and what its rows stand for."""
        ...

    def gauss_newton(self, parameters: Any) -> tuple[Array, Any]:
        """Compute the Gauss-Newton matrix, and what its rows stand for."""
        ...


class TrainedLeaves(Protocol):
    """The arrays that are trained, as a list in a fixed order, and back."""

    shapes: list[tuple[int, ...]]

    def of(self, parameters: Any) -> list[Array]:
        """List the arrays of parameters, or of something shaped like those trained."""
        ...

    def filled(self, leaves: list[Array]) -> Any:
        """Put arrays where they belong."""
        ...

    def joined(self, parameters: Any, trained: Any) -> Any:
        """Replace what is trained in `parameters`."""
        ...


class Engine(Protocol):
    """What trains networks of some kinds; `network` is a DenseNetwork or a Network."""

    name: str

    def refusal(self, network: Any, plan: Plan) -> str:
        """Say why it cannot train this, as half a sentence; empty if it can."""
        ...

    def initial_parameters(
        self,
        network: Any,
        parameters: Any,
        rng: np.random.RandomState,
        dtype: np.dtype[Any],
    ) -> Any:
        """Return the initial parameters: those given, checked, or drawn ones."""
        ...

    def examine(
        self, network: Any, plans: Sequence[Plan], data: Data, parameters: Any
    ) -> None:
        """Raise ValueError unless network, data and losses fit each other."""
        ...

    def floating_type(self, parameters: Any) -> np.dtype[Any]:
        """Return what parameters are computed with: float32 or float64."""
        ...

    def leaves(self, network: Any, parameters: Any) -> TrainedLeaves:
        """Return what turns parameters into the list of those trained, and back."""
        ...

    def flatten(self, parameters: Any) -> list[Array]:
        """List all arrays of parameters, for a file."""
        ...

    def unflatten(self, example: Any, arrays: Sequence[Array]) -> Any:
        """Undo `flatten`, for parameters that are shaped like `example`.

        Raises
        ------
        ValueError
            If the arrays are those of another network.
        """
        ...

    def session(
        self,
        network: Any,
        plan: Plan,
        data: Data,
        parameters: Any,
        seed: int = 0,
        state: Any = None,
        validation: Data | None = None,
    ) -> Session:
        """Begin a training, or continue another session's from its `state`."""
        ...

    def objective(self, network: Any, plan: Plan, data: Data) -> Objective:
        """Return the plan's objective on all rows."""
        ...

    def cost_and_gradient(
        self, network: Any, plan: Plan, parameters: Any, data: Data
    ) -> tuple[float, Any]:
        """Compute the objective and its gradient once."""
        ...

    def outputs(self, network: Any, parameters: Any, X: Any) -> Any:
        """Raw outputs, without dropout, noise or batch statistics."""
        ...

    def activations(self, network: Any, parameters: Any, X: Any) -> list[Any]:
        """Return the same for every layer's output."""
        ...

    def row_losses(self, plan: Plan, outputs: Array, y: Array) -> Array:
        """Compute the loss of each row, without penalties."""
        ...

    def evaluator(self, network: Any, plan: Plan, data: Data) -> Evaluator:
        """Return what computes outputs and losses of some rows, again and again."""
        ...

    def blame(self, network: Any, plan: Plan, parameters: Any, data: Data) -> str:
        """Name the place of what first is not finite: an output, a loss, a gradient."""
        ...

    def steady(self) -> AbstractContextManager[None]:
        """Prepare for many calls of an objective in turn."""
        ...


def check_arrays(wanted: Sequence[Array], found: Sequence[Array]) -> None:
    """Raise ValueError unless both have the same shapes and types."""
    first, second = (
        [(each.shape, str(each.dtype)) for each in arrays] for arrays in (wanted, found)
    )
    if first != second:
        raise ValueError("its arrays are those of another network or optimizer")


def blame_layers(
    engine: Engine, network: Any, plan: Plan, parameters: Any, data: Data
) -> str:
    """Name the layer of a dense network in which something first is not finite."""
    sample = data.take(slice(4096))
    with np.errstate(all="ignore"):
        outputs = engine.activations(network, parameters, sample.X)
        for index, output in enumerate(outputs):
            if not np.isfinite(output).all():
                return f"the output of layer {index}"
        cost, gradient = engine.cost_and_gradient(network, plan, parameters, sample)
    if not np.isfinite(cost):
        return "the loss"
    for index in reversed(range(len(gradient))):
        if not all(np.isfinite(g).all() for g in gradient[index].values()):
            return f"the gradient of layer {index}"
    return "the size of the gradient or the update"
