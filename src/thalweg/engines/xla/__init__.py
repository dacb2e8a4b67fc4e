"""The JAX engine: any plan, as whole-epoch programs that XLA compiles.

See `arrays` for what goes in and out, `programs` for what is compiled.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import jax
import numpy as np

from thalweg.engines.xla import own, programs, updates
from thalweg.engines.xla.arrays import (
    cast,
    dense,
    epochs,
    pad,
    pad_rows,
    padded,
    scoped,
    written_out,
)  # fmt: skip
from thalweg.engines.xla.own import Leaves as Leaves
from thalweg.engines.xla.own import blame as blame
from thalweg.engines.xla.own import examine as examine
from thalweg.engines.xla.own import first_weights as first_weights
from thalweg.engines.xla.own import floating_type as floating_type
from thalweg.engines.xla.passes import merge, split
from thalweg.engines.xla.programs import padded_rows
from thalweg.lookup import resolved
from thalweg.networks import DenseNetwork, Network, without_noise
from thalweg.plan import Data, Plan, batch_rows, steps_per_epoch
from thalweg.records import Array, EpochSums, Parameters

CHUNK = 8192
"""Rows whose outputs are computed at once, so that memory stays flat in the rows."""

SLOTS = 256
"""Epochs that one call of the training program has room for."""

_JACOBIAN = 1 << 24
"""Most entries of a Jacobian that are held at once."""

_Result = TypeVar("_Result")
_Any = DenseNetwork | Network

steady = nullcontext
"""XLA has threads of its own, which sleep between calls."""


def covers(network: _Any, plan: Plan) -> str:
    """Empty: this engine runs every network and plan that can be described."""
    return ""


def on_gpu() -> bool:
    """Whether JAX computes on a GPU here, unless it is told otherwise."""
    return jax.devices()[0].platform == "gpu"


class Session:
    """One network in training; see `thalweg.engines.Session`."""

    def __init__(
        self,
        network: _Any,
        plan: Plan,
        data: Data,
        parameters: Any,
        seed: int = 0,
        state: Any = None,
        validation: Data | None = None,
    ) -> None:
        self.network, self.plan, self.data = network, plan, (data := dense(data))
        self.validation = validation
        self._seed, self._steps, self._searched = np.uint32(seed), 0, np.zeros(2)
        self._dtype, self._n_rows = data.dtype, data.n_rows
        self._per_epoch = steps_per_epoch(plan, self._n_rows)
        numbers = programs.numbers_of(network, plan, float(data.weights.sum()))
        self._numbers = self._call(jax.device_put, cast(numbers, self._dtype))
        batch = batch_rows(plan, self._n_rows)
        # The rows of a `Network` may depend on each other: it is given no others.
        padded = self._per_epoch == 1 and not isinstance(network, Network)
        self._batch = padded_rows(batch) if padded else batch
        self._looped, self.note = True, ""
        if isinstance(network, Network):
            self._looped = not own.convolves(network)
            self.note = own.remark(self._looped, self._n_rows % self._batch)
        self._begin(parameters)
        if state is not None:
            self._steps, rule, accumulated = state
            self._carry = self._carry._replace(rule=rule, accumulated=accumulated)

    heeds_stop = False

    def advance(
        self, orders: Array | None, rates: Array, mixes: Array, stop: Any = None
    ) -> EpochSums:
        """Train some epochs; as the contract says, but not heeding `stop`."""
        if isinstance(self.network, Network):
            return self._advance_exactly(orders, rates, mixes)
        n_met = self._n_rows if orders is None else orders.shape[1]
        per_epoch, before = steps_per_epoch(self.plan, n_met), self._steps
        sums = self._run(orders, n_met, per_epoch, rates, mixes)
        sums = jax.device_get(sums)
        self._steps = before + int(sums.steps.sum())
        return self._told(sums, bool(self._carry.finite))

    def _told(self, sums: Any, finite: bool) -> EpochSums:
        before = self._searched
        found = (sums.evaluations.sum(), sums.failures.sum())
        self._searched = np.add(before, found)
        return epochs(sums, finite, before)

    def _advance_exactly(
        self, orders: Array | None, rates: Array, mixes: Array
    ) -> EpochSums:
        """Train some epochs on batches without padding, in as few calls as can be."""
        whole = orders is None and self._per_epoch == 1
        if orders is None:
            shape = (len(rates) // self._per_epoch, self._n_rows)
            orders = np.broadcast_to(np.arange(self._n_rows, dtype=np.int32), shape)
        seen: list[tuple[int, Any, Any]] = []
        size = self._batch
        try:
            for epoch, rows, steps in own.parts(orders, size):
                self._batch = min(size, rows.shape[1])
                per_epoch = rows.shape[1] // self._batch
                order, n_met = None if whole else rows, rows.shape[1]
                sums = self._run(order, n_met, per_epoch, rates[steps], mixes[steps])
                seen.append((epoch, sums, self._carry.finite))
        finally:
            self._batch = size
        return self._told(*own.put_together(jax.device_get(seen), len(orders)))

    def _run(
        self, orders: Array | None, n_met: int, per_epoch: int, rates: Array,
        mixes: Array,
    ) -> Any:  # fmt: skip
        """Run one program, of whole epochs of `n_met` rows; return its sums."""
        n_steps = len(rates)
        n_epochs = n_steps // per_epoch
        shape = self._shape(orders is not None)
        slots = 1 if n_epochs == 1 else SLOTS * -(-n_epochs // SLOTS)
        counts = {
            "rows": np.int32(n_met),
            "steps": np.int32(n_steps),
            "per_epoch": np.int32(per_epoch),
            "before": np.int32(self._steps),
            "seed": self._seed,
        }
        flat = np.zeros(0, np.int32) if orders is None else orders.ravel()
        arguments = (
            pad(flat, padded_rows(len(flat)) + self._batch),
            pad(rates.astype(self._dtype), padded_rows(n_steps)),
            pad(mixes.astype(self._dtype), padded_rows(n_steps)),
        )
        sums: Any = programs.no_sums(slots, self._dtype)
        program = programs.compiled(programs.advance, shape)
        given = *arguments, counts
        if not self._looped:  # many calls take them
            given = self._call(jax.device_put, given)

        def train() -> tuple[Any, Any]:
            carry, seen = self._carry, sums
            for at in range(1 if self._looped else n_steps):
                carry, seen = program(
                    carry, seen, np.int32(at), self._everything, self._numbers, *given
                )
            return carry, seen

        self._carry, sums = self._call(train)
        self._steps += n_steps
        return sums

    def validate(self) -> tuple[Array, Array]:
        """Compute raw outputs and losses on the validation data."""
        assert self.validation is not None
        return judge(self.network, self.plan, self.validation)(self._current())

    def parameters(self) -> Parameters:
        """Copy the weights as they are now."""
        return own.host(self._current())

    def state(self) -> Any:
        """Copy what the update rule remembers, and the steps done."""
        remembered = (self._carry.rule, self._carry.accumulated)
        return (self._steps, *own.host(remembered))

    def _begin(self, parameters: Any) -> None:
        rows = padded_rows(self._n_rows) + self._batch * (self._per_epoch > 1)
        trained, kept = split(self.network, parameters)
        begin = programs.compiled(programs.begin, self._shape(False))
        self._everything = self._call(jax.device_put, padded(self.data, rows))
        self._carry = self._call(begin, trained, kept, self._numbers)

    def _shape(self, shuffled: bool) -> programs.Shape:
        shape = programs.shape_of(self.network, self.plan, self._batch, shuffled)
        return shape if self._looped else replace(shape, looped=False)

    def _current(self) -> Any:
        carry = self._carry
        averaged = resolved(self.plan.average).name != "none"
        trained = carry.average if averaged else carry.trained
        optimizer = resolved(self.plan.optimizer)
        trained = self._call(updates.evaluated, optimizer, carry.rule, trained)
        return merge(self.network, trained, carry.kept)

    def _call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        return scoped(self._dtype, function, *arguments)


def outputs(network: _Any, parameters: Any, X: Any) -> Any:
    """Return the raw outputs, shape (n_rows, n_outputs)."""
    return activations(network, parameters, X)[-1]


def row_losses(plan: Plan, outputs: Array, y: Array) -> Array:
    """Compute the loss of each row of raw `outputs` against `y`, without penalties."""
    loss = resolved(plan.loss)
    rows = padded_rows(len(outputs))
    numbers = cast(loss.numbers, outputs.dtype)
    program = programs.compiled(programs.losses, loss.structure)
    losses = scoped(
        outputs.dtype, program, numbers, pad_rows(outputs, rows), pad_rows(y, rows)
    )
    return np.asarray(losses)[: len(outputs)]


def judge(
    network: _Any, plan: Plan, data: Data
) -> Callable[[Any], tuple[Array, Array]]:
    """Return what computes raw outputs and losses of rows, again and again."""
    if isinstance(network, Network):
        return lambda parameters: own.judge(network, plan, parameters, data)

    def judged(parameters: Parameters) -> tuple[Array, Array]:
        found = outputs(network, parameters, data.X)
        return found, row_losses(plan, found, data.y)

    return judged


class Objective:
    """The plan's objective on all rows; see `thalweg.engines.Objective`."""

    def __init__(self, network: _Any, plan: Plan, data: Data) -> None:
        self.network, self._dtype, data = network, data.dtype, dense(data)
        exact = isinstance(network, Network)
        rows = data.n_rows if exact else padded_rows(data.n_rows)
        quiet = without_noise(network)
        self._shape = programs.shape_of(quiet, plan, rows, shuffled=False)
        self._numbers = cast(
            programs.numbers_of(quiet, plan, float(data.weights.sum())), self._dtype
        )
        self._batch = scoped(self._dtype, jax.device_put, padded(data, rows))

    def cost_and_gradient(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Compute the objective and its gradient."""
        cost, gradient = self._call(programs.cost_and_gradient, parameters)
        return float(cost), jax.tree.map(np.array, gradient)

    def cost(self, parameters: Parameters) -> float:
        """Compute the objective alone."""
        return float(self._call(programs.cost, parameters))

    def hessian_product(
        self, parameters: Parameters, direction: Parameters
    ) -> Parameters:
        """Multiply a direction, shaped like the gradient, by the exact Hessian."""
        product = self._call(programs.hessian_product, parameters, direction)
        return jax.tree.map(np.array, product)

    def hessian(self, parameters: Parameters) -> tuple[Array, Parameters]:
        """Compute the whole Hessian; gives what `gauss_newton` does."""
        return self._matrix(programs.hessian, parameters)

    def repeats(self, parameters: Any) -> bool:
        """Whether the objective is the same when computed again, one step later."""
        first, second = self._call(programs.redrawn, parameters)
        return bool(first == second)

    def rowwise(self, parameters: Any) -> bool:
        """Whether rows train apart: neither outputs nor losses depend on others."""
        return bool(self._call(programs.rowwise, parameters)[0])

    def gauss_newton(self, parameters: Parameters) -> tuple[Array, Parameters]:
        """Compute the Gauss-Newton matrix, and what its rows stand for.

        Returns
        -------
        matrix : ndarray of shape (p, p)
        order : tuple of dict of str to ndarray of int
            The trained parameters' places in the matrix, shaped like the gradient.
        """
        trained, _ = split(self.network, parameters)
        n_trained = sum(leaf.size for leaf in jax.tree.leaves(trained))
        n_rows = padded_rows(len(self._batch.weights))
        batch = self._batch
        if n_rows > len(batch.weights):
            batch = jax.tree.map(lambda v: pad(np.asarray(v), n_rows), batch)
        fits = _JACOBIAN // (n_trained * self._n_outputs(parameters))
        rows = max(d for d in _divisors(n_rows) if d <= max(fits, 1))
        return self._matrix(programs.gauss_newton, parameters, rows, batch=batch)

    def _matrix(
        self,
        function: Callable[..., Any],
        parameters: Parameters,
        *fixed: Any,
        batch: Any = None,
    ) -> tuple[Array, Parameters]:
        trained, _ = split(self.network, parameters)
        matrix = np.array(self._call(function, parameters, fixed=fixed, batch=batch))
        leaves, structure = jax.tree.flatten(trained)
        ends = np.cumsum([leaf.size for leaf in leaves])
        places = [
            np.arange(end - leaf.size, end).reshape(leaf.shape)
            for leaf, end in zip(leaves, ends, strict=True)
        ]
        return matrix, jax.tree.unflatten(structure, places)

    def settle(self, parameters: Parameters) -> Parameters:
        """Set the running statistics to those of all rows."""
        kept = own.host(self._call(programs.statistics, parameters))
        return merge(self.network, split(self.network, parameters)[0], kept)

    def _n_outputs(self, parameters: Any) -> int:
        if isinstance(self.network, DenseNetwork):
            return self.network.n_outputs
        return int(self._call(programs.rowwise, parameters)[1])

    def _call(
        self,
        function: Callable[..., Any],
        parameters: Any,
        *more: Any,
        fixed: tuple[Any, ...] = (),
        batch: Any = None,
    ) -> Any:
        program = programs.compiled(function, self._shape, *fixed)
        trained, kept = split(self.network, parameters)
        batch = self._batch if batch is None else batch
        arguments = (trained, kept, batch, self._numbers, *more)
        return scoped(self._dtype, program, *arguments)


def cost_and_gradient(
    network: DenseNetwork, plan: Plan, parameters: Parameters, data: Data
) -> tuple[float, Parameters]:
    """Compute an `Objective` and its gradient once."""
    return Objective(network, plan, data).cost_and_gradient(parameters)


def activations(network: _Any, parameters: Any, X: Any) -> list[Any]:
    """Return the outputs of every layer, each of shape (n_rows, units)."""
    program = programs.compiled(programs.outputs, programs.skeleton(network))
    single = isinstance(network, DenseNetwork)
    at_once = CHUNK if single else own.ROWS_AT_ONCE
    dtype = X.dtype if single else own.floating_type(parameters)
    n_rows = jax.tree.leaves(X)[0].shape[0]

    def outputs_of(rows: slice) -> Any:
        size = min(at_once, n_rows - rows.start)
        chunk = jax.tree.map(lambda v: written_out(v[rows]), X)
        filled = pad_rows(chunk, padded_rows(size))
        layers = scoped(dtype, program, *split(network, parameters), filled)
        return jax.tree.map(lambda v: np.asarray(v)[:size], layers)

    starts = range(0, max(n_rows, 1), at_once)
    chunks = [outputs_of(slice(start, start + at_once)) for start in starts]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]
