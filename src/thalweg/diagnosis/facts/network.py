"""What network, plan, first weights, history and last weights say."""

from typing import Any

import numpy as np
from scipy.special import entr, logit

from thalweg import engines, training
from thalweg.core import (
    Array,
    Data,
    DenseNetwork,
    EpochRecord,
    History,
    Parameters,
    Plan,
    Run,
    StopReason,
    accuracy,
    batch_rows,
    link,
    r2,
    without_noise,
)
from thalweg.diagnosis.facts.sample import Sample, held_inputs
from thalweg.diagnosis.problem import Problem, resized

_SQUASHING = ("logistic", "tanh", "hard_logistic", "hard_tanh", "softsign")
_CUTTING = ("relu", "relu6")
_RANGES = {
    "logistic": (0.0, 1.0), "hard_logistic": (0.0, 1.0), "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0), "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0), "softplus": (0.0, np.inf),
}  # fmt: skip
_FEW = 512
_LEARNED = 0.25  # of the trivial loss: with less, a network has shown that it can
_BY_HEART = 0.01  # of the first loss: what is left then is no matter
_SMALL_BATCH = 8
"""Rows of a batch, below which it is asked whether noise drowns its gradient."""
_DESCENDING = ("sgd", "momentum", "nesterov")


def facts_of_plan(problem: Problem) -> dict[str, Any]:
    """Read the plan."""
    plan, rows = problem.plan, problem.X.shape[0]
    facts = {
        "static.loss": problem.loss,
        "static.optimizer": plan.optimizer.label,
        "static.first_order": plan.first_order,
        "static.l2": plan.l2,
        "static.epochs": plan.epochs,
        "static.by_class": problem.by_class,
        "static.batch": batch_rows(plan, rows),
    }
    if plan.first_order:
        usual = Plan(optimizer=plan.optimizer).rate
        facts |= {"rate.value": plan.rate, "rate.usual": usual,
                  "rate.order": _order_of_batches(problem)}  # fmt: skip
    return facts


def facts_of_layers(problem: Problem) -> dict[str, Any]:
    """Read the network."""
    *hidden, output = problem.network.layers
    names = tuple(layer.activation.label for layer in hidden)
    rates = problem.plan.layer_rates or (1.0,) * (len(hidden) + 1)
    still = [
        k for k, d in enumerate(problem.network.layers) if d.frozen or not rates[k]
    ]
    squash = output.activation.label
    return {
        "static.widths": tuple(layer.units for layer in hidden),
        "static.outputs": problem.network.n_outputs,
        "static.lacks_outputs": problem.lacks_outputs,
        "static.linear": bool(hidden) and set(names) == {"identity"},
        "static.output_activation": squash,
        "static.frozen": tuple(still),
        "static.normalized": any(d.normalized != "none" for d in hidden),
        "static.dropout": max((d.dropout for d in hidden), default=0.0),
        "static.unreachable": _unreachable(problem, squash),
    }


def _order_of_batches(problem: Problem) -> float:
    """Return how mixed the batches are: their labels' entropy over that of all rows."""
    size = batch_rows(problem.plan, problem.X.shape[0])
    if problem.labels is None or problem.plan.shuffle or problem.y.ndim > 1 or size < 2:
        return 1.0
    k = len(problem.labels)
    whole = _entropy(np.bincount(problem.y, minlength=k))
    cut = problem.y[: len(problem.y) // size * size].reshape(-1, size)[:200]
    parts = [_entropy(np.bincount(batch, minlength=k)) for batch in cut]
    return float(np.mean(parts) / whole) if whole > 0 and parts else 1.0


def _unreachable(problem: Problem, squash: str) -> float:
    """Return the share of targets that the output's activation cannot reach."""
    low, high = _RANGES.get(squash, (-np.inf, np.inf))
    if problem.by_class or problem.labels is not None:
        return 0.0
    y = problem.targets()
    y = y[np.isfinite(y)]
    return float(((y < low) | (y > high)).mean())


# --------------------------------------------------------------------------- start


def facts_of_start(problem: Problem, seen: Sample) -> dict[str, Any]:
    """Look at the first weights, on standardized inputs so that scale says nothing."""
    assert seen.inputs is not None
    some = np.random.RandomState(4).permutation(len(seen.rows))[:_FEW]
    inputs = np.clip(_scaled(seen.inputs[some]), -10, 10)
    network = without_noise(resized(problem.network, inputs.shape[1]))
    weights = network.draw(0)
    part = _data(problem, seen, some, inputs)
    plan = Plan.of(problem.plan, l1=0.0, l2=0.0)
    with np.errstate(all="ignore"):
        inside = _inside(network, weights, inputs)
        cost, gradient = _slope(network, plan, weights, part)
        trivial = trivial_loss(problem, part)
        spreads = _spreads(network, _doubled(weights), inputs, inside)
    sizes = [_rms(own["weights"]) for own in gradient if "weights" in own]
    facts = {
        "start.loss": float(cost),
        "start.trivial": trivial,
        "start.spreads": tuple(spreads),
        "start.twins": _twins(network, weights),
        "start.gradients": tuple(sizes),
        "start.vanishing": _ratio(sizes),
        "start.zero_gradient": bool(max(sizes, default=0.0) < 1e-12),
        **{f"start.{name}": v for name, v in _stuck(network, inside).items()},
    }
    if plan.optimizer.label == "" or callable(plan.optimizer.name):
        facts["rate.climbs"] = _climbs(network, problem.plan, weights, part)
    if problem.plan.first_order and batch_rows(plan, problem.X.shape[0]) < _SMALL_BATCH:
        facts["rate.noise_scale"] = _noise_scale(network, plan, weights, part)
    return facts


def _scaled(columns: Array) -> Array:
    std = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(std > 0, std, 1)


def _data(problem: Problem, seen: Sample, some: Array, inputs: Array) -> Data:
    y = np.nan_to_num(problem.targets(seen.y[some]))
    y = y if y.dtype == np.int32 else y.astype(float)
    return Data(
        np.ascontiguousarray(inputs, float), np.ascontiguousarray(y), np.ones(len(y))
    )


def _engine(network: DenseNetwork, plan: Plan) -> Any:
    return engines.pick("auto", network, plan)[0]


def _slope(
    network: DenseNetwork, plan: Plan, weights: Parameters, data: Data
) -> tuple[float, Parameters]:
    engine = _engine(network, plan)
    return engine.cost_and_gradient(network, plan, _doubled(weights), data)


def _inside(network: DenseNetwork, weights: Parameters, inputs: Array) -> list[Array]:
    """Return each layer's values."""
    return _engine(network, Plan()).activations(network, _doubled(weights), inputs)


def _spreads(
    network: DenseNetwork, weights: Parameters, inputs: Array, inside: list[Array]
) -> list[float]:
    """Return how widely each layer's values spread before its activation.

    Without normalization and shortcuts.
    """
    spreads = []
    for layer, own, before in zip(
        network.layers, weights, (inputs, *inside), strict=False
    ):
        W = own.get("weights")
        if W is None:
            W = weights[layer.shares or 0]["weights"]
            W = W.T if layer.transposed else W
        spreads.append(float((before @ W + own["bias"]).std()))
    return spreads


def _doubled(weights: Parameters) -> Parameters:
    """Return weights in double precision."""
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

    Equal are those with the same weights on the way in and on the way out: they will
    always do the same.
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


def _stuck(network: DenseNetwork, inside: list[Array]) -> dict[str, Any]:
    """Return the largest shares of saturated and of dead units, and their layers."""
    saturated, dead = [], []
    for layer, a in zip(network.layers[:-1], inside[:-1], strict=True):
        name = layer.activation.label
        squashed = layer.normalized == "none" and name in _SQUASHING
        flat = _flat(name, a) if name in _SQUASHING else np.zeros(a.shape, bool)
        saturated.append(float((flat.mean(axis=0) > 0.95).mean()) if squashed else 0.0)
        cut = name in _CUTTING
        dead.append(float((a <= 0).all(axis=0).mean()) if cut else 0.0)
    return {
        "saturated": max(saturated, default=0.0),
        "saturated_layer": int(np.argmax(saturated)) if saturated else 0,
        "dead": max(dead, default=0.0),
        "dead_layer": int(np.argmax(dead)) if dead else 0,
        "dead_by_layer": tuple(dead),
    }


def _flat(name: str, a: Array) -> Array:
    """Return where the activation's slope is under a hundredth of its largest."""
    if name in ("logistic", "hard_logistic"):
        return a * (1 - a) < 0.0025
    return 1 - a**2 < 0.01 if name in ("tanh", "hard_tanh") else (1 - np.abs(a)) < 0.1


def trivial_loss(problem: Problem, data: Data) -> float:
    """Return the loss of the best prediction that is the same for each row."""
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
    """Whether a tiny step of the user's own rule makes the loss rise."""
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
    before, _ = _slope(network, tiny, weights, data)
    session.advance(None, np.full(3, tiny.rate), np.ones(3))
    after, _ = _slope(network, tiny, session.parameters(), data)
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
    whole = _norm2(_slope(network, plan, weights, data)[1])
    parts = []
    for k in range(0, min(n, 8 * small), small):
        cut = slice(k, k + small)
        batch = Data(data.X[cut], data.y[cut], data.weights[cut])
        parts.append(_norm2(_slope(network, plan, weights, batch)[1]))
    signal = (n * whole - small * np.mean(parts)) / (n - small)
    noise = (np.mean(parts) - whole) / (1 / small - 1 / n)
    return float(noise / signal) if signal > 0 else float(n)


def _norm2(gradient: Parameters) -> float:
    with np.errstate(over="ignore"):
        return float(sum(np.square(v).sum() for own in gradient for v in own.values()))


# ----------------------------------------------------------------------------- run


def facts_of_run(problem: Problem, run: Run, seen: Sample) -> dict[str, Any]:
    """Read the history of a training."""
    facts = facts_of_history(run.history)
    facts["run.ended_by_epochs"] = run.stop_reason is StopReason.MAX_EPOCHS
    facts["run.diverged"] = run.stop_reason is StopReason.NONFINITE
    if not len(run.history):
        facts["run.finite"] = run.stop_reason is not StopReason.NONFINITE
    facts["run.restored"] = run.best_epoch < len(run.history)
    return facts


def facts_of_history(history: History) -> dict[str, Any]:
    """Measure the curves alone; the callback does so during training."""
    loss = history.loss
    finite = bool(np.isfinite(loss).all())
    known = loss[np.isfinite(loss)]
    facts: dict[str, Any] = {"run.finite": finite, "run.epochs": len(loss)}
    if not len(known):
        return facts
    n = len(known)
    tail = max(min(n // 5, 20), 1)
    late, early = known[-1], known[max(n - 1 - tail, 0)]
    scale = max(abs(early), 1e-300)
    steps = min(tail, n - 1)
    norms = history.gradient_norm[np.isfinite(history.gradient_norm)]
    ratios = history.update_ratio[np.isfinite(history.update_ratio)]
    facts |= {
        "run.first": float(known[0]),
        "run.last": float(known[-max(min(n // 10, 5), 1) :].mean()),
        "run.slope": float((early - late) / scale / steps) if steps else float("nan"),
        "run.rises": float((np.diff(known) > 1e-3 * np.abs(known[:-1])).mean())
        if n > 1 else 0.0,
        "run.curve": tuple(known[:: max(n // 200, 1)].tolist()),
    }  # fmt: skip
    if len(norms):
        typical = max(float(np.median(norms)), 1e-300)
        facts["run.spike"] = float(norms.max() / typical)
    if len(ratios):
        facts["run.update"] = float(np.median(ratios[-max(len(ratios) // 4, 1) :]))
    held = history.validation_loss[np.isfinite(history.validation_loss)]
    if len(held) > 1:
        best = int(held.argmin())
        facts |= {
            "run.held_rise": float(held[-5:].mean() / max(held[best], 1e-300)),
            "run.held_since": len(held) - 1 - best,
            "run.held_curve": tuple(held[:: max(len(held) // 200, 1)].tolist()),
        }
    return facts


# ----------------------------------------------------------------------------- end


def facts_of_end(problem: Problem, run: Run, seen: Sample) -> dict[str, Any]:
    """Look at the trained network on the rows that it was trained on."""
    assert seen.inputs is not None
    weights, network = run.parameters, run.network
    finite = all(np.isfinite(v).all() for own in weights for v in own.values())
    facts: dict[str, Any] = {"end.finite": finite}
    if not finite or seen.inputs.shape[1] != network.n_inputs:
        return facts
    some = np.random.RandomState(4).permutation(len(seen.rows))[:_FEW]
    inputs = seen.inputs[some]
    data = _data(problem, seen, some, inputs)
    quiet = without_noise(network)
    plain = Plan.of(run.plan, l1=0.0, l2=0.0)
    with np.errstate(all="ignore"):
        inside = _inside(quiet, weights, inputs)
        outputs = inside[-1]
        cost, gradient = _slope(quiet, plain, weights, data)
        with_penalty = _slope(quiet, run.plan, weights, data)[1]
        prediction = link(run.plan.loss)(outputs)
        trivial = trivial_loss(problem, data)
    facts["end.overflow_at"] = _first_nonfinite(inside, cost)
    of_penalty = tuple({k: p[k] - g[k] for k in g} for p, g in
                       zip(with_penalty, gradient, strict=True))  # fmt: skip
    per_sample = run.plan.penalty_scale == "sample"
    rows = len(problem.y) if per_sample else batch_rows(run.plan, len(problem.y))
    penalty = np.sqrt(_norm2(of_penalty)) * len(some) / rows
    force = np.sqrt(_norm2(gradient))
    facts |= {
        "end.loss": float(cost),
        "end.trivial": trivial,
        "end.penalty": float(penalty / force) if force > 0 else 0.0,
        "end.output_std": float(prediction.std(axis=0).max()),
        "end.largest_logit": float(np.abs(outputs).max()),
        **{f"end.{name}": v for name, v in _stuck(network, inside).items()},
    }
    if np.isfinite(prediction).all():
        facts |= _scores(problem, run, seen, some, prediction)
    if cost > _LEARNED * trivial and not any(d.normalized != "none" for d in
                                             network.layers):  # fmt: skip
        facts["end.by_heart"] = _by_heart(quiet, problem.plan.loss, data)
    if run.plan.optimizer.label in _DESCENDING:
        facts["rate.sharpness"] = _sharpness(quiet, run.plan, weights, data)
    return facts


def _by_heart(network: DenseNetwork, loss: Any, data: Data) -> float:
    """Return the share of the first loss that is left of 32 rows learned alone."""
    some = np.sort(np.unique(data.X, axis=0, return_index=True)[1])[:32]
    X = _scaled(data.X)
    plan, first = Plan(loss=loss, optimizer="lbfgs", epochs=300), []

    def learned(epoch: EpochRecord) -> bool:
        first.append(epoch.loss)
        return bool(epoch.loss < _BY_HEART * first[0])

    left = training.fit(network, X[some], data.y[some], plan=plan, random_state=0,
                        callbacks=[learned]).history.loss  # fmt: skip
    return float(np.nanmin(left) / (left[0] or 1.0)) if len(left) else 1.0


def facts_of_outputs(problem: Problem, run: Run, seen: Sample) -> dict[str, Any]:
    """Look at what any trained network says of the rows that it was trained on."""
    assert seen.inputs is not None
    some = np.random.RandomState(4).permutation(len(seen.rows))[:_FEW]
    prediction = np.asarray(training.predict(run, problem.shaped(seen.inputs[some])))
    facts: dict[str, Any] = {"end.finite": bool(np.isfinite(prediction).all())}
    if not facts["end.finite"]:
        return facts
    facts["end.output_std"] = float(prediction.std(axis=0).max())
    return facts | _scores(problem, run, seen, some, prediction)


def _first_nonfinite(inside: list[Array], cost: float) -> str:
    for index, a in enumerate(inside):
        if not np.isfinite(a).all():
            return f"the output of layer {index}"
    return "" if np.isfinite(cost) else "the loss"


def _scores(
    problem: Problem, run: Run, seen: Sample, some: Array, prediction: Array
) -> dict[str, Any]:
    assert seen.inputs is not None
    guess, y = problem.decide(prediction), seen.y[some]
    facts: dict[str, Any] = {"end.score": score(problem, guess, y)}
    if problem.labels is not None and y.ndim == 1:
        k = len(problem.labels)
        told, true = (np.bincount(np.clip(v.astype(int), 0, k - 1), minlength=k)
                      for v in (guess, y))  # fmt: skip
        entropy = _entropy(true)
        facts["end.entropy"] = _entropy(told) / entropy if entropy > 0 else 1.0
    if problem.held is not None:
        held, y_held = held_inputs(problem, seen)
        if np.isfinite(held).all() and held.shape[1] == seen.inputs.shape[1]:
            with np.errstate(all="ignore"):
                guess = problem.decide(training.predict(run, problem.shaped(held)))
            facts["held.score"] = score(problem, guess, y_held)
    return facts


def score(problem: Problem, guess: Array, y: Array) -> float:
    """Accuracy for classes, R² of at least -1 for values."""
    if problem.labels is not None:
        return accuracy(y, guess)
    if not np.isfinite(guess).all():
        return float("nan")
    return max(r2(y, guess, pooled=True), -1.0) if (y != y[:1]).any() else 0.0


def _entropy(counts: Array) -> float:
    return float(entr(counts / counts.sum()).sum())


def _sharpness(
    network: DenseNetwork, plan: Plan, weights: Parameters, data: Data
) -> float:
    """Rate times the Hessian's largest eigenvalue, by five products.

    Each is a difference of gradients. Momentum μ allows 2(1 + μ), and is divided out.
    """
    rng = np.random.RandomState(5)
    weights = _doubled(weights)
    start = _slope(network, plan, weights, data)[1]
    way: Parameters = tuple(
        {k: rng.standard_normal(v.shape) for k, v in own.items()} for own in start
    )
    value = 0.0
    for _ in range(5):
        size = np.sqrt(_norm2(way))
        if not size > 0:
            return 0.0
        step = 1e-4 / size
        moved = tuple(
            {k: v + step * own[k] if k in own else v for k, v in w.items()}
            for w, own in zip(weights, way, strict=True)
        )
        there = _slope(network, plan, moved, data)[1]
        product = tuple({k: (t[k] - s[k]) / step for k in s}
                        for t, s in zip(there, start, strict=True))  # fmt: skip
        value = sum(float((p[k] * w[k]).sum()) for p, w in
                    zip(product, way, strict=True) for k in p) / size**2  # fmt: skip
        way = product
    constants = dict(plan.optimizer.constants)
    return plan.rate * value / (1 + float(constants.get("momentum") or 0.0))
