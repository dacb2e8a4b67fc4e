"""The native engine: dense networks on the CPU, whole fits in one call into C.

This side only translates: networks, plans and data into the C kernel's description of
them, and its flat vectors back into parameters. The kernel itself is in the C files
beside this one, which `kernel_template.h` lists. It is absent where the package was
built without a compiler; `covers` then says so.
"""

import contextlib
import functools
import importlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.core import (
    ACTIVATIONS,
    CONSTRAINTS,
    LOSSES,
    NORMALIZATIONS,
    Array,
    Choice,
    Data,
    DenseNetwork,
    EpochSums,
    Network,
    Parameters,
    Plan,
    available_cpus,
    batch_rows,
    cpus_are_shared,
    steps_per_epoch,
    without_noise,
)

if TYPE_CHECKING:
    import thalweg.engines.native._dense as kernel
else:
    try:
        kernel = importlib.import_module("thalweg.engines.native._dense")
    except ImportError:  # built without a compiler
        kernel = None

RULES = (
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "amsgrad",
    "nadam", "radam", "adamax", "lion", "adabelief", "yogi", "sign_sgd",
)  # fmt: skip
_TRAINED = ("weights", "bias", "scale", "shift")
_LARGEST = 2**31 - 1

CHUNK = 256
"""Rows whose outputs are computed at once, so that memory stays flat in the rows."""


def covers(network: DenseNetwork | Network, plan: Plan) -> str:
    """Return "" if the kernel can train this, otherwise why not."""
    if isinstance(network, Network):
        return "it trains dense networks alone"
    if kernel is None:
        _say_once()
        return "the kernel was not built"
    for index, layer in enumerate(network.layers):
        if layer.activation.name not in ACTIVATIONS:
            return f"the activation of layer {index} is a function of yours"
    if plan.loss.name not in LOSSES:
        return "the loss is a function of yours"
    if max(network.widths) > _LARGEST:
        return "a layer is too wide"
    rule = plan.optimizer
    if plan.full_batch or _rule_name(plan) in RULES:
        return ""
    if callable(rule.name):
        return "the optimizer is a transformation of yours"
    return f"it has no {rule.label}"


class Session:
    """One network in training; see `thalweg.engines.Session`."""

    heeds_stop = True

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
        refusal = covers(network, plan)
        if refusal:
            raise ValueError(f"the native engine cannot train this: {refusal}.")
        self.network, self.plan, self.validation = network, plan, validation
        self._dtype = data.X.dtype
        self._layout = _Layout(network)
        self._description = _describe(network, plan, self._layout, data, seed)
        self._table = _table(network, data.X, data.y, data.weights)
        flat = self._layout.pack(parameters, self._dtype)
        self._training = kernel.Training(self._description, self._table, flat)
        if state is not None:
            self._training.recall(*state)

    def advance(
        self,
        orders: Array | None,
        rates: Array,
        mixes: Array,
        stop: tuple[int, float, float, int] | None = None,
    ) -> EpochSums:
        """Train some epochs; as the contract says."""
        n_met = self._table.n_rows if orders is None else orders.shape[1]
        batch = batch_rows(self.plan, n_met)
        per_epoch = steps_per_epoch(self.plan, n_met)
        n_epochs = len(rates) // per_epoch
        orders = None if orders is None else _ready(orders, np.int32)
        if orders is not None and len(orders) < n_epochs:
            raise ValueError(f"orders has {len(orders)} epochs, rates {n_epochs}.")
        columns = np.empty((3, n_epochs))
        rates, mixes = _ready(rates, np.float64), _ready(mixes, np.float64)
        counts = (n_epochs, per_epoch, n_met, batch)
        given = orders, rates, mixes, columns, counts, stop
        train = functools.partial(self._training.advance, *given)
        done, finite = _run(self._description, batch, train)
        losses, norms, ratios = columns[:, :done]
        return EpochSums(losses, norms, ratios, finite)

    def cancel(self) -> None:
        """Make `advance`, running in another thread, return after its step."""
        self._training.cancel()

    def validate(self) -> tuple[Array, Array]:
        """Compute raw outputs and losses on the validation data."""
        return self._judge(self.parameters())

    @functools.cached_property
    def _judge(self) -> Callable[[Parameters], tuple[Array, Array]]:
        assert self.validation is not None
        return judge(self.network, self.plan, self.validation)

    def parameters(self) -> Parameters:
        """Copy the weights as they are now."""
        flat = np.empty(self._layout.n_parameters, self._dtype)
        self._training.copy(flat)
        return self._layout.unpack(flat)

    def state(self) -> Any:
        """Copy what the update rule remembers, and the steps done."""
        return self._training.remember()


class Objective:
    """The plan's objective on all rows; see `thalweg.engines.Objective`."""

    def __init__(self, network: DenseNetwork, plan: Plan, data: Data) -> None:
        self._layout, self._dtype = _Layout(network), data.X.dtype
        self._table = _table(network, data.X, data.y, data.weights)
        self._description = _describe(
            without_noise(network), plan, self._layout, data, 0, all_rows=True
        )
        self._cost = kernel.Cost(self._description, self._table)
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
        _run(self._description, rows, lambda workers: self._cost.settle(flat))
        return self._layout.unpack(flat)

    def _value(self, flat: Array, gradient: Array | None) -> float:
        compute = functools.partial(self._cost, flat, gradient)
        return _run(self._description, self._table.n_rows, compute)


def cost_and_gradient(
    network: DenseNetwork, plan: Plan, parameters: Parameters, data: Data
) -> tuple[float, Parameters]:
    """Compute an `Objective` and its gradient once."""
    return Objective(network, plan, data).cost_and_gradient(parameters)


def outputs(network: DenseNetwork, parameters: Parameters, X: Any) -> Array:
    """Return the raw outputs, shape (n_rows, n_outputs)."""
    return _forward(network, X, only_last=True)(parameters)[-1]


def activations(network: DenseNetwork, parameters: Parameters, X: Any) -> list[Array]:
    """Return the outputs of every layer, each of shape (n_rows, units)."""
    return _forward(network, X, only_last=False)(parameters)


def row_losses(plan: Plan, outputs: Array, y: Array) -> Array:
    """Compute the loss of each row of raw `outputs` against `y`, without penalties."""
    return _losses(plan, outputs, y)(outputs)


def judge(
    network: DenseNetwork, plan: Plan, data: Data
) -> Callable[[Parameters], tuple[Array, Array]]:
    """Return what computes raw outputs and losses of rows, again and again."""
    outputs = _forward(network, data.X, only_last=True)
    shape = data.n_rows, network.n_outputs
    losses = _losses(plan, np.zeros(shape, data.dtype), data.y)

    def judged(parameters: Parameters) -> tuple[Array, Array]:
        found = outputs(parameters)[-1]
        return found, losses(found)

    return judged


def _losses(plan: Plan, shaped: Array, y: Array) -> Callable[[Array], Array]:
    """Return what computes losses of outputs that are shaped so, again and again."""
    dtype = shaped.dtype
    network = DenseNetwork.from_sizes((1, shaped.shape[1]))
    table = kernel.Table(_ready(shaped, dtype), _target(y, dtype), None)
    description = _describe(network, plan, _Layout(network), None, 0, dtype=dtype)

    def losses(outputs: Array) -> Array:
        found = np.empty(len(outputs), dtype)
        kernel.row_losses(description, table, _ready(outputs, dtype), found)
        return found

    return losses


def _forward(
    network: DenseNetwork, X: Any, *, only_last: bool
) -> Callable[[Parameters], list[Any]]:
    """Return what computes the layers' outputs for weights, again and again."""
    layout = _Layout(network)
    description = _describe(network, Plan(), layout, None, 0, dtype=X.dtype)
    skipped = len(network.layers) - 1 if only_last else 0
    table, rows = _table(network, X), X.shape[0]

    def outputs(parameters: Parameters) -> list[Any]:
        found = [
            None if index < skipped else np.empty((rows, layer.units), X.dtype)
            for index, layer in enumerate(network.layers)
        ]
        given = description, table, layout.pack(parameters, X.dtype), found, CHUNK
        _run(description, rows, functools.partial(kernel.outputs, *given))
        return found

    return outputs


# ------------------------------------------------------------------ translation


class _Layout:
    """Where each parameter lies in the flat vector: trained ones first."""

    def __init__(self, network: DenseNetwork) -> None:
        layers = network.layers
        self.offsets: list[dict[str, int]] = [{} for _ in layers]
        self._shapes = network.shapes()
        self.n_parameters = self.n_trained = 0

        def kept(place: tuple[int, str]) -> bool:
            return place[1] not in _TRAINED or layers[place[0]].frozen

        places = [(i, name) for i, own in enumerate(self._shapes) for name in own]
        for i, name in sorted(places, key=kept):
            size = int(np.prod(self._shapes[i][name]))
            self.offsets[i][name] = self.n_parameters
            self.n_parameters += size
            self.n_trained += size * (not kept((i, name)))

    def pack(self, parameters: Parameters, dtype: Any) -> Array:
        flat = np.empty(self.n_parameters, dtype)
        for own, places in zip(parameters, self.unpack(flat), strict=True):
            for name, place in places.items():
                if own[name].shape != place.shape:
                    raise ValueError(
                        f"{name} has shape {own[name].shape}, not {place.shape}."
                    )
                place[...] = own[name]
        return flat

    def unpack(self, flat: Array) -> Parameters:
        """Return views of all parameters, or of the trained ones that `flat` holds."""

        def view(start: int, shape: tuple[int, ...]) -> Array:
            return flat[start : start + int(np.prod(shape))].reshape(shape)

        return tuple(
            {k: view(at, shapes[k]) for k, at in offsets.items() if at < len(flat)}
            for shapes, offsets in zip(self._shapes, self.offsets, strict=True)
        )


def _describe(
    network: DenseNetwork,
    plan: Plan,
    layout: _Layout,
    data: Data | None,
    seed: int,
    *,
    dtype: Any = None,
    all_rows: bool = False,
) -> Any:
    """Make the kernel's description of a network and a plan."""
    rows = 1 if data is None else data.X.shape[0]
    if rows < 1:
        raise ValueError("there are no rows to train on.")
    rates = plan.layer_rates or (1.0,) * len(network.layers)
    places = zip(layout.offsets, rates, strict=True)
    layers = [_layer(network, index, *place) for index, place in enumerate(places)]
    norms = [dict(layer.normalization.constants) for layer in network.layers]
    batch = rows if all_rows else batch_rows(plan, rows)
    whole = data if plan.penalty_scale == "none" else None
    total = 1.0 if whole is None else float(whole.weights.sum())
    numbers = {
        "input_noise": float(network.input_noise),
        "n_parameters": layout.n_parameters,
        "n_trained": layout.n_trained,
        "l1": plan.l1 * total,
        "l2": plan.l2 * total,
        "decay": plan.decay,
        "clip_norm": plan.clip_norm or np.inf,
        "clip_value": plan.clip_value or np.inf,
        "penalty_by_batch": plan.penalty_scale == "batch",
        "averaged": plan.average.name != "none",
        "accumulate": int(plan.accumulate),
        "batch": batch,
        "seed": int(seed),
        "cold": [not norm.get("warmup", True) for norm in norms],
        **_loss(plan),
        **_rule(plan),
    }
    is_double = (dtype if data is None else data.X.dtype) == np.float64
    return kernel.Description(layers, numbers, is_double)


def _layer(
    network: DenseNetwork, index: int, offsets: dict[str, int], rate: float
) -> tuple[Any, ...]:
    layer = network.layers[index]
    activation = layer.activation
    norm, constraint = layer.normalization, layer.constraint
    norms, limits = dict(norm.constants), dict(constraint.constants)
    return (
        network.widths[index],
        layer.units,
        _number(ACTIVATIONS, activation),
        next(iter(activation.numbers.values()), 0.0),
        _number(NORMALIZATIONS, norm),
        norms.get("epsilon", 0.0),
        norms.get("momentum", 0.0),
        _number(CONSTRAINTS, constraint),
        limits.get("limit", 0.0),
        layer.residual,
        index if layer.shares is None else layer.shares,
        layer.transposed and layer.shares is not None,
        layer.frozen,
        layer.dropout,
        int(layer.dropout * 2**32),
        rate,
        *(
            offsets.get(key, -1)
            for key in ("weights", "bias", "scale", "shift", "mean", "variance")
        ),
    )


def _number(table: Mapping[str, Any], choice: Choice) -> int:
    """Return a choice's number in C, whose enumerations keep the tables' order."""
    return list(table).index(choice.label) if choice.name in table else 0


def _loss(plan: Plan) -> dict[str, Any]:
    loss = plan.loss
    constants = dict(loss.constants)
    scale = constants.pop("scale", 1.0)
    numbers = [float(v) for v in constants.values() if isinstance(v, float)]
    return {
        "loss": _number(LOSSES, loss),
        "loss_scale": scale,
        "loss_constant": numbers[0] if numbers else 0.0,
        "loss_variant": any(v is True for v in constants.values()),
    }


def _rule_name(plan: Plan) -> Any:
    name = plan.optimizer.name
    return "adam" if name == "adamw" else name  # whose decay is the plan's


def _rule(plan: Plan) -> dict[str, Any]:
    constants: dict[str, Any] = dict(plan.optimizer.constants)
    constants.pop("weight_decay", None)
    name = _rule_name(plan)
    known = constants if name in RULES else {}
    return {
        "rule": RULES.index(name) if name in RULES else 0,
        "constants": [float(v) for v in known.values() if not isinstance(v, bool)],
        "variant": any(v is True for v in known.values()),
    }


def _table(network: DenseNetwork, X: Any, y: Any = None, weights: Any = None) -> Any:
    """Check rows and hand them over; X may be a sparse matrix of compressed rows."""
    dtype, rows = X.dtype, X.shape[0]
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"X has dtype {dtype}; it must be float32 or float64.")
    if X.ndim != 2 or X.shape[1] != network.n_inputs:
        raise ValueError(f"X has shape {X.shape}, not (n_rows, {network.n_inputs}).")
    if rows > _LARGEST:
        raise ValueError(f"X has {rows} rows; the kernel takes {_LARGEST}.")
    y = None if y is None else _target(y, dtype)
    weights = None if weights is None else _ready(weights, dtype)
    allowed = (y, ((rows,), (rows, network.n_outputs))), (weights, ((rows,),))
    for name, (given, shapes) in zip(("y", "weights"), allowed, strict=True):
        if given is not None and given.shape not in shapes:
            raise ValueError(f"{name} has shape {given.shape} for {rows} rows.")
    if not hasattr(X, "indptr"):
        return kernel.Table(_ready(X, dtype), y, weights)
    X = X.tocsr()
    return kernel.Table(
        _ready(X.data, dtype), y, weights, _ready(X.indices, np.int32),
        _ready(X.indptr, np.int64), network.n_inputs,
    )  # fmt: skip


def _target(y: Array, dtype: Any) -> Array:
    return _ready(y, np.int32 if y.ndim == 1 else dtype)


def _ready(values: Any, dtype: Any) -> Array:
    """Return an array that C can read: a copy where it is not contiguous or aligned."""
    return np.require(values, dtype, ["C_CONTIGUOUS", "ALIGNED"])


# ------------------------------------------------------------ threads and BLAS


class _Shared:
    """What concurrent fits in one process share: processors, and the hold on BLAS.

    BLAS is held to one thread while any of them runs: the kernel's own workers are
    the threads. The first in sets the limit and the last out restores what was there
    before, so that concurrent fits do not restore each other's limit.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew, in a forked child as well: its parent's threads are not there."""
        self.lock = threading.Lock()
        self.fitting = self.holding = 0
        self.before: list[int] = []

    @contextlib.contextmanager
    def hold_blas(self) -> Iterator[None]:
        """Hold NumPy's and SciPy's BLAS to one thread."""
        libraries = _blas_libraries()
        with self.lock:
            self.holding += 1
            if self.holding == 1:
                self.before = [library.get_num_threads() for library in libraries]
                for library in libraries:
                    _set_threads(library, 1)
        try:
            yield
        finally:
            with self.lock:
                self.holding -= 1
                if self.holding == 0:
                    for library, n in zip(libraries, self.before, strict=True):
                        _set_threads(library, n)

    @contextlib.contextmanager
    def processors(self) -> Iterator[int]:
        """Give this fit's share of the processors: its own, if one was dealt to it."""
        if cpus_are_shared():
            yield available_cpus()
            return
        with self.lock:
            self.fitting += 1
            share = max(1, available_cpus() // self.fitting)
        try:
            yield share
        finally:
            with self.lock:
                self.fitting -= 1


_shared = _Shared()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.reset)


def _set_threads(library: Any, count: int) -> None:
    # threadpoolctl 3.8 lets only the first thread that ever set a limit set another,
    # and silently does nothing for the rest. Our lock and count make it safe for all.
    setter = getattr(library, "_real_set_num_threads", library.set_num_threads)
    setter(count)


@functools.cache
def _blas_libraries() -> tuple[Any, ...]:
    """Find the loaded BLAS libraries: a search of milliseconds."""
    from threadpoolctl import ThreadpoolController

    return tuple(ThreadpoolController().select(user_api="blas").lib_controllers)


def steady() -> contextlib.AbstractContextManager[None]:
    """Hold BLAS to one thread between calls too.

    OpenBLAS's threads spin for some milliseconds after each product, on the processors
    that the kernel's own workers need: a full-batch method that multiplies between two
    calls became eight times slower.
    """
    return _shared.hold_blas()


def _run(description: Any, rows: int, work: Callable[[int], Any]) -> Any:
    """Call ``work(workers)``, with BLAS held and processors shared where it matters."""
    many = description.workers(rows, 2) > 1
    if not many and not description.wants_blas(rows):
        return work(1)
    with _shared.hold_blas():
        if not many:
            return work(1)
        with _shared.processors() as share:
            return work(description.workers(rows, share))


@functools.cache
def _say_once() -> None:
    warnings.warn(
        "thalweg was built without a C compiler: networks are trained on JAX, which "
        "needs about a second before the first step. Install a compiler and reinstall "
        "thalweg for the faster engine.",
        RuntimeWarning,
        stacklevel=3,
    )


def _take_blas() -> None:
    cython_blas = importlib.import_module("scipy.linalg.cython_blas")

    capsules: Any = vars(cython_blas)["__pyx_capi__"]
    with contextlib.suppress(ValueError):  # another signature: our loops instead
        kernel.take_blas(capsules["sgemm"], capsules["dgemm"])


if kernel is not None:
    _take_blas()
