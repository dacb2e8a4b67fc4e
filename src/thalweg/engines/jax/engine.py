"""The JAX engine: any network and plan, as whole-epoch programs that XLA compiles.

See `arrays` for what goes in and out, `step` for what is compiled.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import jax
import numpy as np

from thalweg.core import (
    Array,
    Data,
    DenseLeaves,
    DenseNetwork,
    EpochSums,
    Network,
    Parameters,
    Plan,
    batch_rows,
    steps_per_epoch,
    with_dropout,
    without_noise,
)
from thalweg.engines.base import Evaluator, TrainedLeaves, blame_layers
from thalweg.engines.jax import arrays, curvature, custom_network, optimizers, step
from thalweg.engines.jax.forward import merge, ordered, split
from thalweg.engines.jax.step import padded_rows

CHUNK = 8192
"""Rows whose outputs are computed at once, so that memory stays flat in the rows."""

SLOTS = 256
"""Epochs that one call of the training program has room for."""

_JACOBIAN = 1 << 24
"""Most entries of a Jacobian that are held at once."""

_Result = TypeVar("_Result")
_Any = DenseNetwork | Network


class JaxSession:
    """One network in training; see `thalweg.engines.Session`."""

    heeds_stop = False

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
        self.network, self.plan, self.validation = network, plan, validation
        self._seed, self._steps, self._searched = np.uint32(seed), 0, np.zeros(2)
        self._dtype = data.dtype
        self._n_rows, weight = self._sizes(data)
        self._whole = steps_per_epoch(plan, self._n_rows) == 1
        batch = batch_rows(plan, self._n_rows)
        # The rows of a `Network` may depend on each other: it is given no others.
        exact = isinstance(network, Network)
        self._batch = padded_rows(batch) if self._whole and not exact else batch
        self._looped, self.note = True, ""
        if exact:
            self._looped = not custom_network.convolves(network)
            self.note = custom_network.remark(self._looped, self._n_rows % self._batch)
        numbers = arrays.cast(step.numbers_of(network, plan, weight), self._dtype)
        self._numbers = self._call(self._share, numbers)
        room = padded_rows(self._n_rows) + self._batch * (not self._whole)
        self._everything = self._call(
            self._keep, arrays.padded(arrays.dense(data), room)
        )
        begin = step.compiled(step.begin, self._shape(self._batch, False))
        first = split(network, parameters)
        self._carry = self._call(begin, *first, self._numbers)
        self._loss: Any = plan.loss.name
        self.measures: dict[str, float] = {}
        self.begin_epoch()
        if state is not None:
            # A state of an earlier version has no measures.
            self._steps, rule, accumulated, *rest = state
            measured = rest[0] if rest else ()
            self._carry = self._carry._replace(
                rule=rule, accumulated=accumulated, measured=measured
            )

    def advance(
        self, orders: Array | None, rates: Array, mixes: Array, stop: Any = None
    ) -> EpochSums:
        """Train some epochs; as the contract says, but not heeding `stop`."""
        n_met = self._n_rows if orders is None else orders.shape[1]
        n_epochs = len(rates) // -(-n_met // self._batch)
        before, seen = self._steps, []
        for epoch, rows, steps in self._parts(orders, n_epochs):
            sums = self._run(rows, rates[steps], mixes[steps])
            seen.append((epoch, sums, self._carry.finite))
        sums, finite = custom_network.put_together(jax.device_get(seen), n_epochs)
        self._steps = before + int(sums.steps.sum())
        searched = self._searched
        found = (sums.evaluations.sum(), sums.failures.sum())
        self._searched = np.add(searched, found)
        told = arrays.epochs(sums, finite, searched)
        return replace(told, measures=self._results(self._carry.measured))

    def _parts(self, orders: Array | None, n_epochs: int) -> Iterable[Any]:
        """Cut epochs into calls: the first one's number, row numbers, the steps."""
        if isinstance(self.network, DenseNetwork) or (orders is None and self._whole):
            return [(0, orders, slice(None))]
        if orders is None:
            every = np.arange(self._n_rows, dtype=np.int32)
            orders = np.broadcast_to(every, (n_epochs, self._n_rows))
        return custom_network.parts(orders, self._batch)

    def _run(self, orders: Array | None, rates: Array, mixes: Array) -> Any:
        """Run one program, of whole epochs; return its sums."""
        n_steps, batch = len(rates), self._batch
        n_met = self._n_rows if orders is None else orders.shape[1]
        if isinstance(self.network, Network):
            batch = min(batch, n_met)
        per_epoch = -(-n_met // batch)
        n_epochs = n_steps // per_epoch
        slots = 1 if n_epochs == 1 else SLOTS * -(-n_epochs // SLOTS)
        flat = np.zeros(0, np.int32) if orders is None else orders.ravel()
        chosen = self._call(
            self._keep, arrays.pad(flat, padded_rows(len(flat)) + batch)
        )
        course = arrays.course(
            chosen, rates, mixes, self._dtype, self._seed,
            rows=n_met, per_epoch=per_epoch, before=self._steps,
        )  # fmt: skip
        # Placed beforehand where many calls take it; one call does that sooner.
        placed = course if self._looped else self._call(self._share, course)
        given = self._everything, self._numbers, placed
        program = self._program(self._shape(batch, orders is not None))
        carry, sums = self._carry, step.no_sums(slots, self._dtype)
        for at in range(1 if self._looped else n_steps):
            carry, sums = self._call(program, carry, sums, np.int32(at), *given)
        self._carry, self._steps = carry, self._steps + n_steps
        return sums

    def validate(self) -> tuple[Array, Array]:
        """Compute raw outputs and losses on the validation data."""
        assert self.validation is not None
        given = self.network, self.plan, self.validation
        if not hasattr(self._loss, "of_batch"):
            return _evaluator(*given)(self._current())
        outputs, losses, measured = _evaluated_by_batch(*given, self._current())
        self.measures = self._results(measured)
        return outputs, losses

    def parameters(self) -> Parameters:
        """Copy the weights as they are now."""
        return ordered(self.network, custom_network.host(self._current()))

    def state(self) -> Any:
        """Copy what the update rule remembers, and the steps done."""
        carry = self._carry
        remembered = (carry.rule, carry.accumulated, carry.measured)
        return (self._steps, *custom_network.host(remembered))

    @property
    def by_epoch(self) -> bool:
        """Whether epochs must come one by one, since each is measured apart."""
        return bool(jax.tree.leaves(self._carry.measured))

    def begin_epoch(self) -> None:
        """Forget what a loss of whole batches measured till now."""
        if hasattr(self._loss, "of_batch"):
            self._carry = self._carry._replace(measured=self._loss.nothing_measured())

    def snapshot(self) -> dict[str, Array]:
        """Copy all that is needed to resume, as named arrays."""
        leaves = custom_network.as_arrays(self._carry)
        counts = {"steps": np.array(self._steps), "searched": np.array(self._searched)}
        return counts | {f"carry.{k}": leaf for k, leaf in enumerate(leaves)}

    def restore(self, snapshot: Mapping[str, Array]) -> None:
        """Go on from a snapshot; as the contract says."""
        count = sum(name.startswith("carry.") for name in snapshot)
        leaves = [snapshot[f"carry.{k}"] for k in range(count)]
        carry = custom_network.from_arrays(self._carry, leaves)
        self._carry = self._call(self._placed, carry)
        self._steps, self._searched = int(snapshot["steps"]), snapshot["searched"]

    def adapt(self, decay: float, dropout: float) -> None:
        """Multiply weight decay and dropout from here on."""
        network = self.network
        if isinstance(network, DenseNetwork):
            network = with_dropout(network, dropout)
        numbers = step.numbers_of(network, self.plan, 1.0)
        numbers["decay"] *= decay
        names = ("decay", "dropout", "threshold")
        changed = arrays.cast({name: numbers[name] for name in names}, self._dtype)
        self._numbers = {**self._numbers, **self._call(self._share, changed)}

    def memory(self) -> Any:
        """Return what the update rule remembers."""
        return self._carry.rule

    def change(self, parameters: Any, memory: Any) -> None:
        """Go on from other weights and another memory of the update rule."""
        trained, kept = split(self.network, parameters)
        self._carry = self._carry._replace(trained=trained, kept=kept, rule=memory)

    def _results(self, measured: Any) -> dict[str, float]:
        some = bool(jax.tree.leaves(measured))
        return self._loss.results(jax.device_get(measured)) if some else {}

    def _shape(self, batch: int, shuffled: bool) -> step.Shape:
        shape = step.shape_of(self.network, self.plan, batch, shuffled)
        return shape if self._looped else replace(shape, looped=False)

    def _current(self) -> Any:
        carry = self._carry
        averaged = self.plan.average.name != "none"
        trained = carry.average if averaged else carry.trained
        optimizer = self.plan.optimizer
        trained = self._call(optimizers.evaluated, optimizer, carry.rule, trained)
        return merge(self.network, trained, carry.kept)

    def _call(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        return arrays.scoped(self._dtype, function, *arguments)

    # What is otherwise where several processes train: see `multihost`.

    def _sizes(self, data: Data) -> tuple[int, float]:
        """Count the rows, and sum the weights of all."""
        return data.n_rows, float(data.weights.sum())

    def _share(self, values: Any) -> Any:
        """Bring what is the same for all to the device."""
        return jax.device_put(values)

    def _placed(self, carry: Any) -> Any:
        """Bring what a step takes over to where it begins."""
        return jax.device_put(carry)

    def _keep(self, values: Any) -> Any:
        """Bring what each has of its own, rows and their order, to the device."""
        return jax.device_put(values)

    def _program(self, shape: step.Shape) -> Callable[..., Any]:
        return step.compiled(step.advance, shape)


class JaxObjective:
    """The plan's objective on all rows; see `thalweg.engines.Objective`."""

    def __init__(self, network: _Any, plan: Plan, data: Data) -> None:
        self.network, self._dtype, data = network, data.dtype, arrays.dense(data)
        exact = isinstance(network, Network)
        rows = data.n_rows if exact else padded_rows(data.n_rows)
        quiet = without_noise(network)
        self._shape = step.shape_of(quiet, plan, rows, shuffled=False)
        self._numbers = arrays.cast(
            step.numbers_of(quiet, plan, float(data.weights.sum())), self._dtype
        )
        self._batch = arrays.scoped(
            self._dtype, jax.device_put, arrays.padded(data, rows)
        )

    def cost_and_gradient(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Compute the objective and its gradient."""
        cost, gradient = self._call(step.cost_and_gradient, parameters)
        return float(cost), jax.tree.map(np.array, gradient)

    def cost(self, parameters: Parameters) -> float:
        """Compute the objective alone."""
        return float(self._call(step.cost, parameters))

    def hessian_product(
        self, parameters: Parameters, direction: Parameters
    ) -> Parameters:
        """Multiply a direction, shaped like the gradient, by the exact Hessian."""
        product = self._call(curvature.hessian_product, parameters, direction)
        return jax.tree.map(np.array, product)

    def hessian(self, parameters: Parameters) -> tuple[Array, Parameters]:
        """Compute the whole Hessian; gives what `gauss_newton` does."""
        return self._matrix(curvature.hessian, parameters)

    def repeats(self, parameters: Any) -> bool:
        """Whether training computes the same objective again one step later."""
        if isinstance(self.network, DenseNetwork):
            return not self.network.noisy
        first, second = self._call(curvature.redrawn, parameters)
        return bool(first == second)

    def rowwise(self, parameters: Any) -> bool:
        """Whether rows train apart: neither outputs nor losses depend on others."""
        if isinstance(self.network, DenseNetwork):
            return all(layer.normalized != "batch" for layer in self.network.layers)
        return bool(self._call(curvature.rowwise, parameters)[0])

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
            batch = jax.tree.map(lambda v: arrays.pad(np.asarray(v), n_rows), batch)
        fits = _JACOBIAN // (n_trained * self._n_outputs(parameters))
        rows = max(d for d in _divisors(n_rows) if d <= max(fits, 1))
        return self._matrix(curvature.gauss_newton, parameters, rows, batch=batch)

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
        kept = custom_network.host(self._call(step.statistics, parameters))
        return merge(self.network, split(self.network, parameters)[0], kept)

    def _n_outputs(self, parameters: Any) -> int:
        if isinstance(self.network, DenseNetwork):
            return self.network.n_outputs
        return int(self._call(curvature.rowwise, parameters)[1])

    def _call(
        self,
        function: Callable[..., Any],
        parameters: Any,
        *more: Any,
        fixed: tuple[Any, ...] = (),
        batch: Any = None,
    ) -> Any:
        program = step.compiled(function, self._shape, *fixed)
        trained, kept = split(self.network, parameters)
        batch = self._batch if batch is None else batch
        arguments = (trained, kept, batch, self._numbers, *more)
        return arrays.scoped(self._dtype, program, *arguments)


class JaxEngine:
    """Any network and plan, on a CPU or GPU; see `thalweg.engines.Engine`."""

    name = "jax"

    def refusal(self, network: _Any, plan: Plan) -> str:
        """Nothing: this engine trains every network and plan that can be described."""
        return ""

    def on_gpu(self) -> bool:
        """Whether JAX computes on a GPU here, unless it is told otherwise."""
        return jax.devices()[0].platform == "gpu"

    def initial_parameters(
        self,
        network: _Any,
        parameters: Any,
        rng: np.random.RandomState,
        dtype: np.dtype[Any],
    ) -> Any:
        """Return the initial parameters: those given, checked, or drawn ones."""
        if isinstance(network, DenseNetwork):
            return network.initial_parameters(parameters, rng, dtype)
        return custom_network.initial_parameters(network, parameters, rng, dtype)

    def examine(
        self, network: _Any, plans: Sequence[Plan], data: Data, parameters: Any
    ) -> None:
        """Raise ValueError unless network, data and losses fit each other."""
        if isinstance(network, Network):
            custom_network.examine(network, plans, data, parameters)

    def floating_type(self, parameters: Any) -> np.dtype[Any]:
        """Return the type of the first floating array; float32 if there is none."""
        return custom_network.floating_type(parameters)

    def leaves(self, network: _Any, parameters: Any) -> TrainedLeaves:
        """Return what turns parameters into the list of those trained, and back."""
        if isinstance(network, DenseNetwork):
            return DenseLeaves(network, parameters)
        return custom_network.Leaves(network, parameters)

    def flatten(self, parameters: Any) -> list[Array]:
        """List all arrays, in JAX's order."""
        return custom_network.as_arrays(parameters)

    def unflatten(self, example: Any, arrays: Sequence[Array]) -> Any:
        """Undo `flatten`."""
        return custom_network.from_arrays(example, arrays)

    def session(
        self,
        network: _Any,
        plan: Plan,
        data: Data,
        parameters: Any,
        seed: int = 0,
        state: Any = None,
        validation: Data | None = None,
    ) -> JaxSession:
        """Begin a training."""
        return JaxSession(network, plan, data, parameters, seed, state, validation)

    def objective(self, network: _Any, plan: Plan, data: Data) -> JaxObjective:
        """Return the plan's objective on all rows, with exact second derivatives."""
        return JaxObjective(network, plan, data)

    def cost_and_gradient(
        self, network: _Any, plan: Plan, parameters: Any, data: Data
    ) -> tuple[float, Any]:
        """Compute the objective and its gradient once."""
        return self.objective(network, plan, data).cost_and_gradient(parameters)

    def outputs(self, network: _Any, parameters: Any, X: Any) -> Any:
        """Return the raw outputs, shape (n_rows, n_outputs)."""
        return _activations(network, parameters, X)[-1]

    def activations(self, network: _Any, parameters: Any, X: Any) -> list[Any]:
        """Return the outputs of every layer, each of shape (n_rows, units)."""
        return _activations(network, parameters, X)

    def row_losses(self, plan: Plan, outputs: Array, y: Array) -> Array:
        """Compute the loss of each row of raw `outputs`, without penalties."""
        return _row_losses(plan, outputs, y)

    def evaluator(self, network: _Any, plan: Plan, data: Data) -> Evaluator:
        """Return what computes raw outputs and losses of rows, again and again."""
        return _evaluator(network, plan, data)

    def blame(self, network: _Any, plan: Plan, parameters: Any, data: Data) -> str:
        """Name the place of what first is not finite."""
        if isinstance(network, DenseNetwork):
            return blame_layers(self, network, plan, parameters, data)
        sample = data.take(slice(256))
        outputs, losses = _evaluator(network, plan, sample)(parameters)
        if bad := custom_network.not_finite(outputs):
            return f"the network's output{bad[0]}"
        if not np.isfinite(losses).all():
            return "the loss"
        _, gradient = self.cost_and_gradient(network, plan, parameters, sample)
        if bad := custom_network.not_finite(gradient):
            return f"the gradient of params{bad[0]}"
        return "the size of the gradient or the update"

    def steady(self) -> AbstractContextManager[None]:
        """Do nothing: XLA's threads sleep between calls."""
        return nullcontext()


ENGINE = JaxEngine()


def _row_losses(plan: Plan, outputs: Array, y: Array) -> Array:
    """Compute the loss of each row of raw `outputs` against `y`, without penalties."""
    loss = plan.loss
    rows = padded_rows(len(outputs))
    numbers = arrays.cast(loss.numbers, outputs.dtype)
    program = step.compiled(step.losses, loss.structure)
    losses = arrays.scoped(
        outputs.dtype,
        program,
        numbers,
        arrays.pad_rows(outputs, rows),
        arrays.pad_rows(y, rows),
    )
    return np.asarray(losses)[: len(outputs)]


def _evaluator(network: _Any, plan: Plan, data: Data) -> Evaluator:
    """Return what computes raw outputs and losses of rows, again and again."""

    def evaluate(parameters: Any) -> tuple[Any, Array]:
        if isinstance(network, Network):
            return _evaluated_at_once(network, plan, parameters, data)
        found = _activations(network, parameters, data.X)[-1]
        return found, _row_losses(plan, found, data.y)

    return evaluate


def _evaluated_at_once(
    network: Network, plan: Plan, parameters: Any, data: Data
) -> tuple[Any, Array]:
    """Compute both in one pass: a loss may heed what goes with outputs, as masks do."""
    shape = step.shape_of(network, plan, 0, False)
    program = step.compiled(step.validation, shape)
    numbers = step.numbers_of(network, plan, 1.0)["loss"]
    rows = data.X, data.y
    return _in_chunks(
        network, parameters, program, data.dtype, rows, numbers, exact=True
    )


def _evaluated_by_batch(
    network: _Any, plan: Plan, data: Data, parameters: Any
) -> tuple[Any, Array, Any]:
    """Compute a loss of whole batches, which each of the rows of a batch is given."""
    loss: Any = plan.loss.name
    program = step.compiled(
        step.validation_of_batch, step.shape_of(network, plan, 0, False)
    )
    given, measured = split(network, parameters), loss.nothing_measured()
    size = loss.validation_batch or batch_rows(plan, data.n_rows)
    outputs, losses = [], np.zeros(data.n_rows)
    for start in range(0, data.n_rows, size):
        part = slice(start, start + size)
        here = jax.tree.map(lambda v, part=part: v[part], (data.X, data.y))
        found, value, measured = arrays.scoped(
            data.dtype, program, *given, measured, *here
        )
        outputs.append(jax.tree.map(np.asarray, found))
        losses[part] = float(value)
    return jax.tree.map(lambda *v: np.concatenate(v), *outputs), losses, measured


def _activations(network: _Any, parameters: Any, X: Any) -> list[Any]:
    """Return the outputs of every layer, each of shape (n_rows, units)."""
    program = step.compiled(step.outputs, step.skeleton(network))
    single = isinstance(network, DenseNetwork)
    dtype = X.dtype if single else custom_network.floating_type(parameters)
    return _in_chunks(network, parameters, program, dtype, (X,))


def _in_chunks(
    network: _Any, parameters: Any, program: Any, dtype: Any, rows: tuple[Any, ...],
    *more: Any, exact: bool = False,
) -> Any:  # fmt: skip
    """Run a program on some rows at a time, padded unless they must be `exact`."""
    at_once = (
        CHUNK if isinstance(network, DenseNetwork) else custom_network.ROWS_AT_ONCE
    )
    n_rows = jax.tree.leaves(rows)[0].shape[0]

    def found(start: int) -> Any:
        size = min(at_once, n_rows - start)
        here = slice(start, start + size)
        chunk = jax.tree.map(lambda v: arrays.written_out(v[here]), rows)
        filled = arrays.pad_rows(chunk, size if exact else padded_rows(size))
        given = *split(network, parameters), *filled, *more
        found = arrays.scoped(dtype, program, *given)
        return jax.tree.map(lambda v: np.asarray(v)[:size], found)

    chunks = [found(start) for start in range(0, max(n_rows, 1), at_once)]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]
