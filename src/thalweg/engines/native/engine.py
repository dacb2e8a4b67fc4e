"""The native engine: dense networks on the CPU, whole fits in one call into C.

This side only translates: networks, plans and data into the C kernel's description of
them, and its flat vectors back into parameters. The kernel itself is in the C files
beside this one, from `descriptions.h` on. It is absent where the package was built
without a compiler; `NativeEngine.refusal` then says so.
"""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from thalweg.core import (
    ACTIVATIONS,
    LOSSES,
    Array,
    Data,
    DenseLeaves,
    DenseNetwork,
    EpochSums,
    Parameters,
    Plan,
    batch_rows,
    steps_per_epoch,
    with_dropout,
    without_noise,
)
from thalweg.engines.base import Evaluator, StopRule, blame_layers, check_arrays
from thalweg.engines.native.description import (
    LARGEST,
    RULES,
    as_ready,
    as_table,
    as_target,
    describe,
    kernel,
    rule_name,
)
from thalweg.engines.native.layout import Layout
from thalweg.engines.native.threads import run, steady

CHUNK = 256
"""Rows whose outputs are computed at once, so that memory stays flat in the rows."""

PAD = 16
"""Vectors in the kernel's memory begin at multiples of this; see `memory.h`."""


class NativeSession:
    """One network in training; see `thalweg.engines.Session`."""

    heeds_stop = True
    note = ""

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
        self.network, self.plan, self.validation = network, plan, validation
        self._dtype = data.X.dtype
        self._layout = Layout(network)
        self._description = describe(network, plan, self._layout, data, seed)
        self._table = as_table(network, data.X, data.y, data.weights)
        flat = self._layout.pack(parameters, self._dtype)
        self._training = kernel.Training(self._description, self._table, flat)
        if state is not None:
            self._training.recall(*state)

    def advance(
        self,
        orders: Array | None,
        rates: Array,
        mixes: Array,
        stop: StopRule | None = None,
    ) -> EpochSums:
        """Train some epochs; as the contract says."""
        n_met = self._table.n_rows if orders is None else orders.shape[1]
        batch = batch_rows(self.plan, n_met)
        per_epoch = steps_per_epoch(self.plan, n_met)
        n_epochs = len(rates) // per_epoch
        orders = None if orders is None else as_ready(orders, np.int32)
        if orders is not None and len(orders) < n_epochs:
            raise ValueError(f"orders has {len(orders)} epochs, rates {n_epochs}.")
        columns = np.empty((3, n_epochs))
        rates, mixes = as_ready(rates, np.float64), as_ready(mixes, np.float64)
        counts = (n_epochs, per_epoch, n_met, batch)
        given = orders, rates, mixes, columns, counts, stop
        train = functools.partial(self._training.advance, *given)
        done, finite = run(self._description, batch, train)
        losses, norms, ratios = columns[:, :done]
        return EpochSums(losses, norms, ratios, finite)

    def begin_epoch(self) -> None:
        """Nothing: the kernel measures nothing besides its loss."""

    def adapt(self, decay: float, dropout: float) -> None:
        """Multiply weight decay and dropout from here on."""
        changed = with_dropout(self.network, dropout)
        shares = np.array([layer.dropout for layer in changed.layers])
        self._training.adapt(self.plan.decay * decay, shares)

    def cancel(self) -> None:
        """Make `advance`, running in another thread, return after its step."""
        self._training.cancel()

    def validate(self) -> tuple[Array, Array]:
        """Compute raw outputs and losses on the validation data."""
        return self._evaluate(self._flat())

    @functools.cached_property
    def _evaluate(self) -> Callable[[Array], tuple[Array, Array]]:
        assert self.validation is not None
        return _flat_evaluator(self.network, self.plan, self._layout, self.validation)

    def parameters(self) -> Parameters:
        """Copy the weights as they are now."""
        return self._layout.unpack(self._flat())

    def _flat(self) -> Array:
        flat = np.empty(self._layout.n_parameters, self._dtype)
        self._training.copy(flat)
        return flat

    def state(self) -> Any:
        """Copy what the update rule remembers, and the steps done."""
        return self._training.remember()

    def snapshot(self) -> dict[str, Array]:
        """Copy all that is needed to resume, as named arrays."""
        steps, updates, content = self._training.remember()
        flat = np.empty(self._layout.n_parameters, self._dtype)
        self._training.copy(flat)
        found = {
            "counts": np.array([steps, updates]),
            "rule": np.frombuffer(content, np.uint8).copy(),
            "parameters": flat,
        }
        if self.plan.average.name != "none":
            found["average"] = flat[: self._layout.n_trained].copy()
            self._training.copy_stepped(flat)
        return found

    def restore(self, snapshot: Mapping[str, Array]) -> None:
        """Go on from a snapshot; as the contract says."""
        mine, theirs = self.snapshot(), dict(snapshot)
        names = sorted(mine)
        if sorted(theirs) != names:
            raise ValueError("its arrays are those of another network or optimizer")
        check_arrays([mine[name] for name in names], [theirs[name] for name in names])
        flat = np.ascontiguousarray(theirs["parameters"])
        self._training = kernel.Training(self._description, self._table, flat)
        steps, updates = theirs["counts"].tolist()
        self._training.recall(steps, updates, theirs["rule"].tobytes())
        if "average" in theirs:
            self._training.set_average(np.ascontiguousarray(theirs["average"]))

    def remembered(self) -> tuple[int, list[Parameters]]:
        """Return the updates done, and each vector of the update rule, by layer."""
        _, updates, content = self._training.remember()
        found = np.frombuffer(content, self._dtype)
        padded = -(-self._layout.n_trained // PAD) * PAD
        rows = found.reshape(-1, padded)[:, : self._layout.n_trained]
        return updates, [self._layout.unpack(np.array(row)) for row in rows]


class NativeObjective:
    """The plan's objective on all rows; see `thalweg.engines.Objective`."""

    def __init__(self, network: DenseNetwork, plan: Plan, data: Data) -> None:
        self._layout, self._dtype = Layout(network), data.X.dtype
        self._table = as_table(network, data.X, data.y, data.weights)
        self._description = describe(
            without_noise(network), plan, self._layout, data, 0, all_rows=True
        )
        self._cost = kernel.Cost(self._description, self._table)
        self._noisy = network.noisy
        self._settles = any(layer.normalized == "batch" for layer in network.layers)

    def cost_and_gradient(self, parameters: Parameters) -> tuple[float, Parameters]:
        """Compute the objective and its gradient."""
        flat = self._layout.pack(parameters, self._dtype)
        gradient = np.empty(self._layout.n_trained, self._dtype)
        return self._value(flat, gradient), self._layout.unpack(gradient)

    def cost(self, parameters: Parameters) -> float:
        """Compute the objective alone."""
        return self._value(self._layout.pack(parameters, self._dtype), None)

    def settle(self, parameters: Parameters) -> Parameters:
        """Set the running statistics to those of all rows."""
        if not self._settles:
            return parameters
        flat = self._layout.pack(parameters, self._dtype)
        rows = self._table.n_rows
        run(self._description, rows, lambda workers: self._cost.settle(flat))
        return self._layout.unpack(flat)

    def repeats(self, parameters: Parameters) -> bool:
        """Whether training computes the same objective again: no dropout, no noise."""
        return not self._noisy

    def rowwise(self, parameters: Parameters) -> bool:
        """Whether rows train apart: they do but for batch normalization."""
        return not self._settles

    def _value(self, flat: Array, gradient: Array | None) -> float:
        compute = functools.partial(self._cost, flat, gradient)
        return run(self._description, self._table.n_rows, compute)


class NativeEngine:
    """Dense networks on the CPU, in C; see `thalweg.engines.Engine`."""

    name = "native"

    def refusal(self, network: Any, plan: Plan) -> str:
        """Say why the kernel cannot train this; empty if it can."""
        if not isinstance(network, DenseNetwork):
            return "it trains dense networks alone"
        if kernel is None:
            _say_once()
            return "the kernel was not built"
        if network.embedding:
            return "the network has embeddings"
        for index, layer in enumerate(network.layers):
            if layer.activation.name not in ACTIVATIONS:
                return f"the activation of layer {index} is a user-defined function"
        if plan.loss.name not in LOSSES:
            return "the loss is a user-defined function"
        if max(network.widths) > LARGEST:
            return "a layer is too wide"
        rule = plan.optimizer
        if plan.full_batch or rule_name(plan) in RULES:
            return ""
        if callable(rule.name):
            return "the optimizer is a user-defined transformation"
        return f"it has no {rule.label}"

    def initial_parameters(
        self,
        network: DenseNetwork,
        parameters: Parameters | None,
        rng: np.random.RandomState,
        dtype: np.dtype[Any],
    ) -> Parameters:
        """Return the initial parameters: those given, checked, or drawn ones."""
        return network.initial_parameters(parameters, rng, dtype)

    def examine(
        self,
        network: DenseNetwork,
        plans: Sequence[Plan],
        data: Data,
        parameters: Parameters,
    ) -> None:
        """Nothing: the data were checked against the network's widths."""

    def floating_type(self, parameters: Parameters) -> np.dtype[Any]:
        """Return the type of the weights."""
        return parameters[0]["bias"].dtype

    def leaves(self, network: DenseNetwork, parameters: Parameters) -> DenseLeaves:
        """Return what turns parameters into the list of those trained, and back."""
        return DenseLeaves(network, parameters)

    def flatten(self, parameters: Parameters) -> list[Array]:
        """List all arrays, layer by layer."""
        return [value for own in parameters for value in own.values()]

    def unflatten(self, example: Parameters, arrays: Sequence[Array]) -> Parameters:
        """Undo `flatten`."""
        check_arrays(self.flatten(example), arrays)
        rest = iter(arrays)
        return tuple({name: next(rest) for name in own} for own in example)

    def session(
        self,
        network: DenseNetwork,
        plan: Plan,
        data: Data,
        parameters: Parameters,
        seed: int = 0,
        state: Any = None,
        validation: Data | None = None,
    ) -> NativeSession:
        """Begin a training."""
        refusal = self.refusal(network, plan)
        if refusal:
            raise ValueError(f"the native engine cannot train this: {refusal}.")
        return NativeSession(network, plan, data, parameters, seed, state, validation)

    def objective(
        self, network: DenseNetwork, plan: Plan, data: Data
    ) -> NativeObjective:
        """Return the plan's objective on all rows."""
        return NativeObjective(network, plan, data)

    def cost_and_gradient(
        self, network: DenseNetwork, plan: Plan, parameters: Any, data: Data
    ) -> tuple[float, Any]:
        """Compute the objective and its gradient once."""
        return self.objective(network, plan, data).cost_and_gradient(parameters)

    def outputs(self, network: DenseNetwork, parameters: Parameters, X: Any) -> Array:
        """Return the raw outputs, shape (n_rows, n_outputs)."""
        return _outputs_of(network, parameters, X, only_last=True)[-1]

    def activations(
        self, network: DenseNetwork, parameters: Parameters, X: Any
    ) -> list[Array]:
        """Return the outputs of every layer, each of shape (n_rows, units)."""
        return _outputs_of(network, parameters, X, only_last=False)

    def row_losses(self, plan: Plan, outputs: Array, y: Array) -> Array:
        """Compute the loss of each row of raw `outputs`, without penalties."""
        return _losses(plan, outputs, y)(outputs)

    def evaluator(self, network: DenseNetwork, plan: Plan, data: Data) -> Evaluator:
        """Return what computes raw outputs and losses of rows, again and again."""
        return _evaluator(network, plan, data)

    def blame(
        self, network: DenseNetwork, plan: Plan, parameters: Parameters, data: Data
    ) -> str:
        """Name the layer in which something first is not finite."""
        return blame_layers(self, network, plan, parameters, data)

    def steady(self) -> AbstractContextManager[None]:
        """Hold BLAS to one thread between calls too."""
        return steady()


ENGINE = NativeEngine()


def _evaluator(network: DenseNetwork, plan: Plan, data: Data) -> Evaluator:
    """Return what computes raw outputs and losses of rows, again and again."""
    layout = Layout(network)
    evaluate = _flat_evaluator(network, plan, layout, data)
    return lambda parameters: evaluate(layout.pack(parameters, data.X.dtype))


def _flat_evaluator(
    network: DenseNetwork, plan: Plan, layout: Layout, data: Data
) -> Callable[[Array], tuple[Array, Array]]:
    """Return the same for weights in one flat vector, as the kernel has them."""
    outputs = _forward(network, layout, data.X, only_last=True)
    shape = data.n_rows, network.n_outputs
    losses = _losses(plan, np.zeros(shape, data.dtype), data.y)

    def evaluate(flat: Array) -> tuple[Array, Array]:
        found = outputs(flat)[-1]
        return found, losses(found)

    return evaluate


def _losses(plan: Plan, shaped: Array, y: Array) -> Callable[[Array], Array]:
    """Return what computes losses of outputs that are shaped so, again and again."""
    dtype = shaped.dtype
    network = DenseNetwork.from_sizes((1, shaped.shape[1]))
    table = kernel.Table(as_ready(shaped, dtype), as_target(y, dtype), None)
    told = describe(network, plan, Layout(network), None, 0, dtype=dtype)

    def losses(outputs: Array) -> Array:
        found = np.empty(len(outputs), dtype)
        kernel.row_losses(told, table, as_ready(outputs, dtype), found)
        return found

    return losses


def _outputs_of(
    network: DenseNetwork, parameters: Parameters, X: Any, *, only_last: bool
) -> list[Any]:
    """Compute the layers' outputs once."""
    layout = Layout(network)
    flat = layout.pack(parameters, X.dtype)
    return _forward(network, layout, X, only_last=only_last)(flat)


def _forward(
    network: DenseNetwork, layout: Layout, X: Any, *, only_last: bool
) -> Callable[[Array], list[Any]]:
    """Return what computes the layers' outputs for flat weights, again and again."""
    told = describe(network, Plan(), layout, None, 0, dtype=X.dtype)
    skipped = len(network.layers) - 1 if only_last else 0
    table, rows = as_table(network, X), X.shape[0]

    def outputs(flat: Array) -> list[Any]:
        found = [
            None if index < skipped else np.empty((rows, layer.units), X.dtype)
            for index, layer in enumerate(network.layers)
        ]
        given = told, table, flat, found, CHUNK
        run(told, rows, functools.partial(kernel.outputs, *given))
        return found

    return outputs


@functools.cache
def _say_once() -> None:
    warnings.warn(
        "thalweg was built without a C compiler: networks are trained on JAX, which "
        "needs about a second before the first step. Install a compiler and reinstall "
        "thalweg for the faster engine.",
        RuntimeWarning,
        stacklevel=3,
    )
