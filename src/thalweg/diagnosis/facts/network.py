"""What the network, the plan and the initialization say before training."""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from scipy.special import entr, logit

from thalweg import engines
from thalweg.core import (
    Array,
    Data,
    Dense,
    DenseNetwork,
    Parameters,
    Plan,
    batch_rows,
    without_noise,
)
from thalweg.diagnosis.facts.group import FactGroup
from thalweg.diagnosis.facts.sample import Sample
from thalweg.diagnosis.problem import Problem, resized

_SQUASHING = ("logistic", "tanh", "hard_logistic", "hard_tanh", "softsign")
_CUTTING = ("relu", "relu6")
_RANGES = {
    "logistic": (0.0, 1.0), "hard_logistic": (0.0, 1.0), "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0), "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0), "softplus": (0.0, np.inf),
}  # fmt: skip
FEW_ROWS = 512
"""The largest number of rows that a network is evaluated on."""
_SMALL_BATCH = 8
"""The noise of the gradient is estimated only if a batch has fewer rows."""
_NO_LAYERS = "no network of dense layers was given"
_NO_RATE = "the method chooses its steps itself, or is unknown"


@dataclass(frozen=True)
class PlanFacts(FactGroup):
    """The plan.

    Parameters
    ----------
    loss, optimizer : str
    first_order : bool
        Whether the optimizer takes a learning rate.
    l2 : float
    epochs : int
    by_class : bool
        Whether the loss is one of a classification.
    batch : int
        Rows of a batch.
    """

    prefix = "static"
    why_not = _NO_LAYERS
    remeasured = True

    loss: str
    optimizer: str
    first_order: bool
    l2: float
    epochs: int
    by_class: bool
    batch: int


@dataclass(frozen=True)
class RateFacts(FactGroup):
    """The learning rate, and the optimizer's default."""

    prefix = "rate"
    why_not = _NO_RATE
    remeasured = True

    value: float
    usual: float


@dataclass(frozen=True)
class BatchFacts(FactGroup):
    """How well batches are mixed: the entropy of their labels over that of all rows."""

    prefix = "rate"
    why_not = _NO_RATE
    remeasured = True

    order: float


@dataclass(frozen=True)
class LayerFacts(FactGroup):
    """The layers.

    Parameters
    ----------
    widths : tuple of int
        Units of each hidden layer.
    outputs : int
    lacks_outputs : bool
        Whether there are more classes than outputs.
    linear : bool
        Whether there are hidden layers and all of them are linear.
    output_activation : str
    frozen : tuple of int
        Layers that are not trained.
    normalized : bool
        Whether a hidden layer is normalized.
    dropout : float
        The largest share that a layer drops.
    unreachable : float
        Share of the targets that the output's activation cannot reach.
    """

    prefix = "static"
    why_not = _NO_LAYERS
    remeasured = True

    widths: tuple[int, ...]
    outputs: int
    lacks_outputs: bool
    linear: bool
    output_activation: str
    frozen: tuple[int, ...]
    normalized: bool
    dropout: float
    unreachable: float


@dataclass(frozen=True)
class StartFacts(FactGroup):
    """The initialization.

    Parameters
    ----------
    loss : float
        The first loss.
    trivial : float
        The loss of the best constant prediction.
    spreads : tuple of float
        Standard deviation of each layer's values before its activation.
    twins : float
        Share of a hidden layer's units that are identical to another one.
    gradients : tuple of float
        Root mean square of the gradient of each layer's weights.
    vanishing : float
        The first of `gradients` over the last one.
    zero_gradient : bool
        Whether all gradients are 0.
    """

    prefix = "start"
    why_not = "no network of dense layers was given, or no finite numbers for it"
    remeasured = True

    loss: float
    trivial: float
    spreads: tuple[float, ...]
    twins: float
    gradients: tuple[float, ...]
    vanishing: float
    zero_gradient: bool


@dataclass(frozen=True)
class UnitFacts(FactGroup):
    """The hidden units.

    Parameters
    ----------
    saturated, saturated_layer : float, int
        The largest share of saturated units in a layer, and that layer.
    dead, dead_layer : float, int
        The largest share of units that are 0 for every row, and that layer.
    dead_by_layer : tuple of float
    """

    saturated: float
    saturated_layer: int
    dead: float
    dead_layer: int
    dead_by_layer: tuple[float, ...]


@dataclass(frozen=True)
class StartUnitFacts(UnitFacts):
    """The hidden units before training."""

    prefix = "start"
    why_not = StartFacts.why_not
    remeasured = True


@dataclass(frozen=True)
class FirstStepFacts(FactGroup):
    """What the first steps would do.

    Parameters
    ----------
    climbs : bool or None
        Whether a tiny step raises the loss; None for the optimizers of thalweg.
    noise_scale : float or None
        Batch size at which noise and gradient are equal; None for large batches.
    """

    prefix = "rate"
    why_not = _NO_RATE
    remeasured = True

    climbs: bool | None = None
    noise_scale: float | None = None


Units = TypeVar("Units", bound=UnitFacts)


# ---------------------------------------------------------------------------- plan


def facts_of_plan(
    problem: Problem,
) -> tuple[PlanFacts, RateFacts | None, BatchFacts | None]:
    """Read the plan."""
    plan, rows = problem.plan, problem.X.shape[0]
    facts = PlanFacts(
        loss=problem.loss,
        optimizer=plan.optimizer.label,
        first_order=plan.first_order,
        l2=plan.l2,
        epochs=plan.epochs,
        by_class=problem.by_class,
        batch=batch_rows(plan, rows),
    )
    if not plan.first_order:
        return facts, None, None
    usual = Plan(optimizer=plan.optimizer).rate
    return facts, RateFacts(plan.rate, usual), BatchFacts(_order_of_batches(problem))


def facts_of_layers(problem: Problem) -> LayerFacts:
    """Read the network."""
    *hidden, output = problem.network.layers
    names = tuple(layer.activation.label for layer in hidden)
    rates = problem.plan.layer_rates or (1.0,) * (len(hidden) + 1)
    frozen = [
        k for k, d in enumerate(problem.network.layers) if d.frozen or not rates[k]
    ]
    activation = output.activation.label
    return LayerFacts(
        widths=tuple(layer.units for layer in hidden),
        outputs=problem.network.n_outputs,
        lacks_outputs=problem.lacks_outputs,
        linear=bool(hidden) and set(names) == {"identity"},
        output_activation=activation,
        frozen=tuple(frozen),
        normalized=any(d.normalized != "none" for d in hidden),
        dropout=max((d.dropout for d in hidden), default=0.0),
        unreachable=_unreachable(problem, activation),
    )


def _order_of_batches(problem: Problem) -> float:
    """Return the mean entropy of the labels of a batch over that of all labels."""
    size = batch_rows(problem.plan, problem.X.shape[0])
    if problem.labels is None or problem.plan.shuffle or problem.y.ndim > 1 or size < 2:
        return 1.0
    k = len(problem.labels)
    whole = entropy(np.bincount(problem.y, minlength=k))
    cut = problem.y[: len(problem.y) // size * size].reshape(-1, size)[:200]
    parts = [entropy(np.bincount(batch, minlength=k)) for batch in cut]
    return float(np.mean(parts) / whole) if whole > 0 and parts else 1.0


def _unreachable(problem: Problem, activation: str) -> float:
    """Return the share of targets that the output's activation cannot reach."""
    low, high = _RANGES.get(activation, (-np.inf, np.inf))
    if problem.by_class or problem.labels is not None:
        return 0.0
    y = problem.targets()
    y = y[np.isfinite(y)]
    return float(((y < low) | (y > high)).mean())


# --------------------------------------------------------------------------- start


def facts_of_start(
    problem: Problem, seen: Sample
) -> tuple[StartFacts, StartUnitFacts, FirstStepFacts]:
    """Examine the initialization, on standardized inputs: their scale has no effect."""
    assert seen.inputs is not None
    some = np.random.RandomState(4).permutation(len(seen.rows))[:FEW_ROWS]
    inputs = np.clip(scaled(seen.inputs[some]), -10, 10)
    network = without_noise(resized(problem.network, inputs.shape[1]))
    weights = network.draw(0)
    part = data_of(problem, seen, some, inputs)
    plan = Plan.of(problem.plan, l1=0.0, l2=0.0)
    with np.errstate(all="ignore"):
        values = layer_values(network, weights, inputs)
        cost, gradient = cost_and_gradient(network, plan, weights, part)
        trivial = trivial_loss(problem, part)
        spreads = _spreads(network, in_double(weights), inputs, values)
    sizes = [_rms(own["weights"]) for own in gradient if "weights" in own]
    start = StartFacts(
        loss=float(cost),
        trivial=trivial,
        spreads=tuple(spreads),
        twins=_twins(network, weights),
        gradients=tuple(sizes),
        vanishing=_ratio(sizes),
        zero_gradient=bool(max(sizes, default=0.0) < 1e-12),
    )
    climbs = noise_scale = None
    if plan.optimizer.label == "" or callable(plan.optimizer.name):
        climbs = _climbs(network, problem.plan, weights, part)
    if problem.plan.first_order and batch_rows(plan, problem.X.shape[0]) < _SMALL_BATCH:
        noise_scale = _noise_scale(network, plan, weights, part)
    units = facts_of_units(StartUnitFacts, network, values)
    return start, units, FirstStepFacts(climbs, noise_scale)


def scaled(columns: Array) -> Array:
    """Standardize each column."""
    std = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(std > 0, std, 1)


def data_of(problem: Problem, seen: Sample, some: Array, inputs: Array) -> Data:
    """Return some rows of a sample as an engine takes them."""
    y = np.nan_to_num(problem.targets(seen.y[some]))
    y = y if y.dtype == np.int32 else y.astype(float)
    return Data(
        np.ascontiguousarray(inputs, float), np.ascontiguousarray(y), np.ones(len(y))
    )


def _engine(network: DenseNetwork, plan: Plan) -> Any:
    return engines.pick("auto", network, plan)[0]


def cost_and_gradient(
    network: DenseNetwork, plan: Plan, weights: Parameters, data: Data
) -> tuple[float, Parameters]:
    """Return the loss and its gradient, computed in float64."""
    engine = _engine(network, plan)
    return engine.cost_and_gradient(network, plan, in_double(weights), data)


def layer_values(
    network: DenseNetwork, weights: Parameters, inputs: Array
) -> list[Array]:
    """Return the output of each layer."""
    return _engine(network, Plan()).activations(network, in_double(weights), inputs)


def _spreads(
    network: DenseNetwork, weights: Parameters, inputs: Array, values: list[Array]
) -> list[float]:
    """Return the standard deviation of each layer's values before its activation.

    Normalization and shortcuts are left out.
    """
    spreads = []
    read = _embedded(network, weights, inputs)
    for layer, own, before in zip(
        network.layers, weights, (read, *values), strict=False
    ):
        W = own.get("weights")
        if W is None:
            W = weights[layer.shares or 0]["weights"]
            W = W.T if layer.transposed else W
        spreads.append(float((before @ W + own["bias"]).std()))
    return spreads


def _embedded(network: DenseNetwork, weights: Parameters, inputs: Array) -> Array:
    """Return what the first layer reads: the output of a layer that changes nothing."""
    if not network.embedding:
        return inputs
    width = network.widths[0]
    same = replace(network, layers=(Dense(width, "identity"),), input_noise=0.0)
    own = {**weights[0], "weights": np.eye(width), "bias": np.zeros(width)}
    known = {name: own[name] for name in same.shapes()[0]}
    return layer_values(same, (known,), inputs)[0]


def in_double(weights: Parameters) -> Parameters:
    """Return weights in float64."""
    return tuple({k: np.asarray(v, float) for k, v in own.items()} for own in weights)


def _ratio(sizes: list[float]) -> float:
    """Return the first layer's gradient over the last one's; 1 if it is not known."""
    known = sizes[-1] > 0 and np.isfinite(sizes).all()
    return sizes[0] / sizes[-1] if known else 1.0


def _rms(values: Array) -> float:
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.mean(np.square(values))))


def _twins(network: DenseNetwork, weights: Parameters) -> float:
    """Return the largest share of a hidden layer's units that equal another one.

    Units are equal if their incoming and their outgoing weights are the same: such
    units stay equal during training.
    """
    shares = [0.0]
    for index in range(len(network.layers) - 1):
        own, following = weights[index], weights[index + 1]
        if "weights" not in own or "weights" not in following or len(own["bias"]) < 2:
            continue
        units = np.vstack([own["weights"], own["bias"], following["weights"].T])
        _, counts = np.unique(units.round(12), axis=1, return_counts=True)
        shares.append(float(counts[counts > 1].sum() / units.shape[1]))
    return max(shares)


def facts_of_units(
    kind: type[Units], network: DenseNetwork, values: list[Array]
) -> Units:
    """Return the largest shares of saturated and of dead units, and their layers."""
    saturated, dead = [], []
    for layer, a in zip(network.layers[:-1], values[:-1], strict=True):
        name = layer.activation.label
        squashed = layer.normalized == "none" and name in _SQUASHING
        flat = _flat(name, a) if name in _SQUASHING else np.zeros(a.shape, bool)
        saturated.append(float((flat.mean(axis=0) > 0.95).mean()) if squashed else 0.0)
        cut = name in _CUTTING
        dead.append(float((a <= 0).all(axis=0).mean()) if cut else 0.0)
    return kind(
        saturated=max(saturated, default=0.0),
        saturated_layer=int(np.argmax(saturated)) if saturated else 0,
        dead=max(dead, default=0.0),
        dead_layer=int(np.argmax(dead)) if dead else 0,
        dead_by_layer=tuple(dead),
    )


def _flat(name: str, a: Array) -> Array:
    """Return where the activation's slope is under a hundredth of its largest."""
    if name in ("logistic", "hard_logistic"):
        return a * (1 - a) < 0.0025
    return 1 - a**2 < 0.01 if name in ("tanh", "hard_tanh") else (1 - np.abs(a)) < 0.1


def trivial_loss(problem: Problem, data: Data) -> float:
    """Return the loss of the best constant prediction."""
    y, numbers = data.y, data.y.dtype == np.int32
    if numbers:
        best = np.bincount(y, minlength=problem.network.n_outputs) / len(y)
    else:
        best = y.mean(axis=0)
    if numbers or problem.loss == "poisson":
        best = np.log(np.maximum(best, 1e-12))
    elif problem.loss == "binary_cross_entropy":
        best = logit(np.clip(best, 1e-12, 1 - 1e-12))
    outputs = np.tile(best, (len(y), 1))
    try:
        losses = _engine(problem.network, problem.plan).row_losses(
            problem.plan, outputs, y
        )
    except ValueError:
        return float("nan")
    return float(np.mean(losses))


def _climbs(network: DenseNetwork, plan: Plan, weights: Parameters, data: Data) -> bool:
    """Whether a tiny step of the user's own optimizer raises the loss."""
    plain = {"schedule": "constant", "warmup": 0, "l1": 0.0, "l2": 0.0}
    tiny = Plan.of(
        plan,
        learning_rate=1e-4 * plan.rate,
        batch_size=None,
        dtype="float64",
        **plain,
    )
    engine = _engine(network, tiny)
    session = engine.session(network, tiny, data, weights)
    before, _ = cost_and_gradient(network, tiny, weights, data)
    session.advance(None, np.full(3, tiny.rate), np.ones(3))
    after, _ = cost_and_gradient(network, tiny, session.parameters(), data)
    return bool(after > before * (1 + 1e-12))


def _noise_scale(
    network: DenseNetwork, plan: Plan, weights: Parameters, data: Data
) -> float:
    """Estimate the batch size at which noise and signal are equal.

    McCandlish et al. (2018), "An empirical model of large-batch training", appendix A.
    """
    n, small = len(data.X), 16
    if n < 4 * small:
        return 1.0
    whole = squared_norm(cost_and_gradient(network, plan, weights, data)[1])
    parts = []
    for k in range(0, min(n, 8 * small), small):
        cut = slice(k, k + small)
        batch = Data(data.X[cut], data.y[cut], data.weights[cut])
        parts.append(squared_norm(cost_and_gradient(network, plan, weights, batch)[1]))
    signal = (n * whole - small * np.mean(parts)) / (n - small)
    noise = (np.mean(parts) - whole) / (1 / small - 1 / n)
    return float(noise / signal) if signal > 0 else float(n)


def squared_norm(gradient: Parameters) -> float:
    """Return the squared Euclidean norm over all layers."""
    with np.errstate(over="ignore"):
        return float(sum(np.square(v).sum() for own in gradient for v in own.values()))


def entropy(counts: Array) -> float:
    """Return the entropy of a distribution given by counts."""
    return float(entr(counts / counts.sum()).sum())
