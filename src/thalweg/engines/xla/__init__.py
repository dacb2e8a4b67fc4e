"""The JAX engine: any plan, as whole-epoch programs that XLA compiles.

See `arrays` for what goes in and out, `programs` for what is compiled.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import jax
import numpy as np

from thalweg.engines.xla import programs, updates
from thalweg.engines.xla.arrays import cast, epochs, pad, pad_rows, padded, scoped
from thalweg.engines.xla.programs import padded_rows
from thalweg.lookup import resolved
from thalweg.networks import DenseNetwork, without_noise
from thalweg.plan import Data, Plan, batch_rows, steps_per_epoch
from thalweg.records import Array, EpochSums, Parameters

CHUNK = 8192
"""Rows whose outputs are computed at once, so that memory stays flat in the rows."""

SLOTS = 256
"""Epochs that one call of the training program has room for."""

_JACOBIAN = 1 << 24
"""Most entries of a Jacobian that are held at once."""

_Result = TypeVar("_Result")

steady = nullcontext
"""XLA has threads of its own, which sleep between calls."""


def covers(network: DenseNetwork, plan: Plan) -> str:
    """Empty: this engine runs every network and plan that can be described."""
    return ""


class Session:
    """One network in training; see `thalweg.engines.Session`."""

    def __init__(
        self,
        network: DenseNetwork,
        plan: Plan,
        data: Data,
        parameters: Parameters,
        seed: int = 0,
        state: Any = None,
        validation: Data | None = None,
    ) -> None:
        self.network, self.plan, self.data = network, plan, data
        self.validation = validation
        self._seed, self._steps, self._searched = np.uint32(seed), 0, np.zeros(2)
        self._dtype = data.X.dtype
        self._n_rows = len(data.X)
        self._per_epoch = steps_per_epoch(plan, self._n_rows)
        self._numbers = cast(
            programs.numbers_of(network, plan, float(data.weights.sum())), self._dtype
        )
        batch = batch_rows(plan, self._n_rows)
        self._batch = padded_rows(batch) if self._per_epoch == 1 else batch
        self._begin(parameters)
        if state is not None:
            self._steps, rule, accumulated = state
            self._carry = self._carry._replace(rule=rule, accumulated=accumulated)

    heeds_stop = False

    def advance(
        self, orders: Array | None, rates: Array, mixes: Array, stop: Any = None
    ) -> EpochSums:
        """Train some epochs; as the contract says, but not heeding `stop`."""
        n_steps = len(rates)
        n_met = self._n_rows if orders is None else orders.shape[1]
        per_epoch = steps_per_epoch(self.plan, n_met)
        n_epochs = n_steps // per_epoch
        shape = self._shape(orders is not None)
        slots = 1 if n_epochs == 1 else SLOTS * -(-n_epochs // SLOTS)
        counts = {
            "rows": np.int32(n_met),
            "steps": np.int32(n_steps),
            "per_epoch": np.int32(per_epoch),
            "before": np.int32(self._steps),
            "seed": self._seed,
            "slots": np.zeros(slots, self._dtype),
        }
        flat = np.zeros(0, np.int32) if orders is None else orders.ravel()
        room = padded_rows(len(flat)) + self._batch
        arguments = (
            pad(flat, room),
            pad(rates.astype(self._dtype), padded_rows(n_steps)),
            pad(mixes.astype(self._dtype), padded_rows(n_steps)),
        )
        self._carry, sums = self._call(
            programs.advance_program(shape),
            self._carry, self._everything, self._numbers, *arguments, counts,
        )  # fmt: skip
        sums = jax.device_get(sums)
        self._steps += int(sums.steps.sum())
        before = self._searched
        self._searched = [*before, sums.evaluations.sum(), sums.failures.sum()]
        return epochs(sums, bool(self._carry.finite), before)

    def validate(self) -> tuple[Array, Array]:
        """Compute raw outputs and losses on the validation data."""
        assert self.validation is not None
        outputs = _layer_outputs(self.network, self._current(), self.validation.X)[-1]
        return outputs, row_losses(self.plan, outputs, self.validation.y)

    def parameters(self) -> Parameters:
        """Copy the weights as they are now."""
        return jax.tree.map(np.array, self._current())

    def state(self) -> Any:
        """Copy what the update rule remembers, and the steps done."""
        remembered = (self._carry.rule, self._carry.accumulated)
        return (self._steps, *jax.tree.map(np.array, remembered))

    def _begin(self, parameters: Parameters) -> None:
        rows = padded_rows(self._n_rows) + self._batch * (self._per_epoch > 1)
        trained, kept = programs.split(self.network, parameters)
        begin = programs.begin_program(self._shape(False))
        self._everything = self._call(jax.device_put, padded(self.data, rows))
        self._carry = self._call(begin, trained, kept, self._numbers)

    def _shape(self, shuffled: bool) -> programs.Shape:
        return programs.shape_of(self.network, self.plan, self._batch, shuffled)

    def _current(self) -> Any:
        carry = self._carry
        trained = carry.average or carry.trained
        optimizer = resolved(self.plan.optimizer)
        trained = self._call(updates.evaluated, optimizer, carry.rule, trained)
        return programs.merge(trained, carry.kept)

    def _call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        return scoped(self._dtype, function, *arguments)


def outputs(network: DenseNetwork, parameters: Parameters, X: Array) -> Array:
    """Return the raw outputs, shape (n_rows, n_outputs)."""
    return _layer_outputs(network, parameters, X)[-1]


def activations(network: DenseNetwork, parameters: Parameters, X: Array) -> list[Array]:
    """Return the outputs of every layer, each of shape (n_rows, units)."""
    return _layer_outputs(network, parameters, X)


def row_losses(plan: Plan, outputs: Array, y: Array) -> Array:
    """Compute the loss of each row of raw `outputs` against `y`, without penalties."""
    loss = resolved(plan.loss)
    rows = padded_rows(len(outputs))
    numbers = cast(loss.numbers, outputs.dtype)
    program = programs.losses_program(loss.structure)
    losses = scoped(
        outputs.dtype, program, numbers, pad_rows(outputs, rows), pad_rows(y, rows)
    )
    return np.asarray(losses)[: len(outputs)]


class Objective:
    """The plan's objective on all rows; see `thalweg.engines.Objective`."""

    def __init__(self, network: DenseNetwork, plan: Plan, data: Data) -> None:
        self.network, self._dtype = network, data.X.dtype
        rows = padded_rows(len(data.X))
        quiet = without_noise(network)
        self._shape = programs.shape_of(quiet, plan, rows, shuffled=False)
        self._numbers = cast(
            programs.numbers_of(quiet, plan, float(data.weights.sum())), self._dtype
        )
        self._batch = scoped(self._dtype, jax.device_put, padded(data, rows))

    def cost_and_gradient(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Compute the objective and its gradient."""
        program = programs.cost_and_gradient_program(self._shape)
        cost, gradient = self._call(program, parameters)
        return float(cost), jax.tree.map(np.array, gradient)

    def cost(self, parameters: Parameters) -> float:
        """Compute the objective alone."""
        return float(self._call(programs.cost_program(self._shape), parameters))

    def hessian_product(
        self, parameters: Parameters, direction: Parameters
    ) -> Parameters:
        """Multiply a direction, shaped like the gradient, by the exact Hessian."""
        program = programs.hessian_product_program(self._shape)
        return jax.tree.map(np.array, self._call(program, parameters, direction))

    def hessian(self, parameters: Parameters) -> tuple[Array, Parameters]:
        """Compute the whole Hessian; gives what `gauss_newton` does."""
        return self._matrix(programs.hessian_program(self._shape), parameters)

    def gauss_newton(self, parameters: Parameters) -> tuple[Array, Parameters]:
        """Compute the Gauss-Newton matrix, and what its rows stand for.

        Returns
        -------
        matrix : ndarray of shape (p, p)
        order : tuple of dict of str to ndarray of int
            The trained parameters' places in the matrix, shaped like the gradient.
        """
        trained, _ = programs.split(self.network, parameters)
        n_trained = sum(leaf.size for leaf in jax.tree.leaves(trained))
        n_rows = len(self._batch.X)
        fits = _JACOBIAN // (n_trained * self.network.n_outputs)
        rows = max(d for d in _divisors(n_rows) if d <= max(fits, 1))
        program = programs.gauss_newton_program(self._shape, rows)
        return self._matrix(program, parameters)

    def _matrix(
        self, program: Callable[..., Any], parameters: Parameters
    ) -> tuple[Array, Parameters]:
        trained, _ = programs.split(self.network, parameters)
        matrix = np.array(self._call(program, parameters))
        leaves, structure = jax.tree.flatten(trained)
        ends = np.cumsum([leaf.size for leaf in leaves])
        places = [
            np.arange(end - leaf.size, end).reshape(leaf.shape)
            for leaf, end in zip(leaves, ends, strict=True)
        ]
        return matrix, jax.tree.unflatten(structure, places)

    def settle(self, parameters: Parameters) -> Parameters:
        """Set the running statistics to those of all rows."""
        program = programs.statistics_program(self._shape)
        statistics = jax.tree.map(np.array, self._call(program, parameters))
        return tuple(
            {**own, **seen} for own, seen in zip(parameters, statistics, strict=True)
        )

    def _call(self, program: Callable[..., Any], parameters: Any, *more: Any) -> Any:
        trained, kept = programs.split(self.network, parameters)
        arguments = (trained, kept, self._batch, self._numbers, *more)
        return scoped(self._dtype, program, *arguments)


def cost_and_gradient(
    network: DenseNetwork, plan: Plan, parameters: Parameters, data: Data
) -> tuple[float, Parameters]:
    """Compute an `Objective` and its gradient once."""
    return Objective(network, plan, data).cost_and_gradient(parameters)


def _layer_outputs(network: DenseNetwork, parameters: Any, X: Array) -> list[Array]:
    program = programs.outputs_program(programs.skeleton(network))
    chunks = []
    for start in range(0, max(len(X), 1), CHUNK):
        chunk = X[start : start + CHUNK]
        filled = pad_rows(chunk, padded_rows(len(chunk)))
        layers = scoped(X.dtype, program, parameters, filled)
        chunks.append([np.asarray(layer)[: len(chunk)] for layer in layers])
    return [np.concatenate(parts) for parts in zip(*chunks, strict=True)]


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]
