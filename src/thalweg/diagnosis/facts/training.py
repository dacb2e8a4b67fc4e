"""What the training curves and the trained network say."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg import training
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
from thalweg.diagnosis.facts.clock import Clock
from thalweg.diagnosis.facts.group import NO_VALIDATION, FactGroup
from thalweg.diagnosis.facts.network import (
    FEW_ROWS,
    UnitFacts,
    cost_and_gradient,
    data_of,
    entropy,
    facts_of_units,
    in_double,
    layer_values,
    scaled,
    squared_norm,
    trivial_loss,
)
from thalweg.diagnosis.facts.sample import Sample, validation_inputs
from thalweg.diagnosis.problem import Problem

_LEARNED = 0.25
"""Share of the trivial loss below which a network has shown that it can learn."""
_MEMORIZED = 0.01
"""Share of the first loss at which memorizing some rows is ended as a success."""
_DESCENDING = ("sgd", "momentum", "nesterov")
_NOT_TRAINED = "nothing was trained yet: give a fitted model, or let trials run"


@dataclass(frozen=True)
class SeedFacts(FactGroup):
    """Trainings from several seeds.

    Parameters
    ----------
    error : float
        Standard error of a score.
    spread : float
        Range of the scores.
    scores : tuple of float
    """

    prefix = "seeds"
    why_not = "no trials were run"
    remeasured = True

    error: float
    spread: float
    scores: tuple[float, ...]


@dataclass(frozen=True)
class AttemptFacts(FactGroup):
    """The attempts to train: what the first one raised, and how many there were."""

    prefix = "run"
    why_not = _NOT_TRAINED
    remeasured = True

    error: str
    failed: int


@dataclass(frozen=True)
class RunFacts(FactGroup):
    """The length of a training, and whether all losses are finite."""

    prefix = "run"
    why_not = _NOT_TRAINED
    remeasured = True

    finite: bool
    epochs: int


@dataclass(frozen=True)
class CurveFacts(FactGroup):
    """The training curve.

    Parameters
    ----------
    first, last : float
        The first loss, and the mean of the last ones.
    slope : float
        Share of the loss by which an epoch lowers it at the end; NaN for one epoch.
    rises : float
        Share of the epochs in which the loss rises.
    curve : tuple of float
        The finite losses, at most some 200 of them.
    spike : float or None
        The largest norm of the gradient over the median one; None if not recorded.
    update : float or None
        The size of an update over that of the weights; None if not recorded.
    """

    prefix = "run"
    why_not = _NOT_TRAINED
    remeasured = True

    first: float
    last: float
    slope: float
    rises: float
    curve: tuple[float, ...]
    spike: float | None = None
    update: float | None = None


@dataclass(frozen=True)
class ValidationCurveFacts(FactGroup):
    """The validation loss.

    Parameters
    ----------
    held_rise : float
        The mean of the last validation losses over the smallest one.
    held_since : int
        Validations since the smallest one.
    held_curve : tuple of float
    """

    prefix = "run"
    why_not = _NOT_TRAINED
    remeasured = True

    held_rise: float
    held_since: int
    held_curve: tuple[float, ...]


@dataclass(frozen=True)
class StopFacts(FactGroup):
    """Why training ended.

    Parameters
    ----------
    ended_by_epochs : bool
        Whether all epochs were done.
    diverged : bool
        Whether the loss or the weights became infinite or NaN.
    restored : bool
        Whether the weights of an earlier epoch were restored.
    """

    prefix = "run"
    why_not = _NOT_TRAINED
    remeasured = True

    ended_by_epochs: bool
    diverged: bool
    restored: bool


@dataclass(frozen=True)
class EndFacts(FactGroup):
    """Whether all trained weights, or the predictions, are finite."""

    prefix = "end"
    why_not = _NOT_TRAINED
    remeasured = True

    finite: bool


@dataclass(frozen=True)
class EndLossFacts(FactGroup):
    """The loss of the trained network on its training data.

    Parameters
    ----------
    overflow_at : str
        The first place that is not finite; ``""`` if all are.
    loss, trivial : float
        Its loss, and that of the best constant prediction.
    penalty : float
        Norm of the penalty's gradient over that of the data's gradient.
    """

    prefix = "end"
    why_not = _NOT_TRAINED
    remeasured = True

    overflow_at: str
    loss: float
    trivial: float
    penalty: float


@dataclass(frozen=True)
class OutputFacts(FactGroup):
    """The outputs of the trained network.

    Parameters
    ----------
    output_std : float
        The largest standard deviation of a prediction over the rows.
    largest_logit : float or None
        The largest absolute output before the loss; None without dense layers.
    """

    prefix = "end"
    why_not = _NOT_TRAINED
    remeasured = True

    output_std: float
    largest_logit: float | None = None


@dataclass(frozen=True)
class EndUnitFacts(UnitFacts):
    """The hidden units after training."""

    prefix = "end"
    why_not = _NOT_TRAINED
    remeasured = True


@dataclass(frozen=True)
class PredictionFacts(FactGroup):
    """Predictions for the training data.

    Parameters
    ----------
    score : float
        Accuracy, or R2.
    entropy : float or None
        Entropy of the predicted classes over that of the true ones; None for numbers.
    """

    prefix = "end"
    why_not = _NOT_TRAINED
    remeasured = True

    score: float
    entropy: float | None = None


@dataclass(frozen=True)
class MemoryFacts(FactGroup):
    """Share of the first loss that remains if 32 rows are memorized."""

    prefix = "end"
    why_not = _NOT_TRAINED
    remeasured = True

    by_heart: float


@dataclass(frozen=True)
class SharpnessFacts(FactGroup):
    """Learning rate times the Hessian's largest eigenvalue."""

    prefix = "rate"
    why_not = "the method chooses its steps itself, or is unknown"
    remeasured = True

    sharpness: float


@dataclass(frozen=True)
class ValidationScoreFacts(FactGroup):
    """The score on the validation data."""

    prefix = "held"
    why_not = NO_VALIDATION
    about_data = True
    remeasured = True

    score: float


@dataclass(frozen=True)
class ValidationShareFacts(FactGroup):
    """The score on the rows that the training itself held out.

    Parameters
    ----------
    score : float
        At the epoch whose weights were kept.
    rows : int
        Number of these rows.
    """

    prefix = "share"
    why_not = "the training held out no rows"

    score: float
    rows: int


@dataclass(frozen=True)
class ModeFacts(FactGroup):
    """The largest difference of two predictions for the same rows."""

    prefix = "mode"
    why_not = "the model cannot predict yet"

    differs: float


# -------------------------------------------------------------------------- curves


def facts_of_run(run: Run) -> tuple[RunFacts, StopFacts]:
    """Read how a training went and why it ended."""
    loss, diverged = run.history.loss, run.stop_reason is StopReason.NONFINITE
    finite = bool(np.isfinite(loss).all()) if len(loss) else not diverged
    return RunFacts(finite, len(loss)), StopFacts(
        ended_by_epochs=run.stop_reason is StopReason.MAX_EPOCHS,
        diverged=diverged,
        restored=run.best_epoch < len(run.history),
    )


def facts_of_curve(history: History) -> CurveFacts | None:
    """Measure the training curve; None if it holds no finite loss."""
    known = history.loss[np.isfinite(history.loss)]
    if not len(known):
        return None
    n = len(known)
    tail = max(min(n // 5, 20), 1)
    late, early = known[-1], known[max(n - 1 - tail, 0)]
    scale = max(abs(early), 1e-300)
    steps = min(tail, n - 1)
    norms = history.gradient_norm[np.isfinite(history.gradient_norm)]
    ratios = history.update_ratio[np.isfinite(history.update_ratio)]
    rises = np.diff(known) > 1e-3 * np.abs(known[:-1])
    typical = max(float(np.median(norms)), 1e-300) if len(norms) else np.nan
    return CurveFacts(
        first=float(known[0]),
        last=float(known[-max(min(n // 10, 5), 1) :].mean()),
        slope=float((early - late) / scale / steps) if steps else float("nan"),
        rises=float(rises.mean()) if n > 1 else 0.0,
        curve=tuple(known[:: max(n // 200, 1)].tolist()),
        spike=float(norms.max() / typical) if len(norms) else None,
        update=float(np.median(ratios[-max(len(ratios) // 4, 1) :]))
        if len(ratios) else None,
    )  # fmt: skip


def facts_of_validation_curve(history: History) -> ValidationCurveFacts | None:
    """Measure the validation loss; None if it was measured less than twice."""
    if not np.isfinite(history.loss).any():
        return None
    held = history.validation_loss[np.isfinite(history.validation_loss)]
    if len(held) < 2:
        return None
    best = int(held.argmin())
    return ValidationCurveFacts(
        held_rise=float(held[-5:].mean() / max(held[best], 1e-300)),
        held_since=len(held) - 1 - best,
        held_curve=tuple(held[:: max(len(held) // 200, 1)].tolist()),
    )


def facts_of_validation_share(
    problem: Problem, run: Run
) -> ValidationShareFacts | None:
    """Return the score of a share that training held out; None if there was none."""
    scores = run.history.validation_score
    if problem.validation is None or not 0 < run.best_epoch <= len(scores):
        return None
    kept = float(scores[run.best_epoch - 1])
    rows = round(problem.validation * len(problem.y))
    return ValidationShareFacts(kept, rows) if np.isfinite(kept) and rows else None


# ----------------------------------------------------------------- trained network


@dataclass(frozen=True)
class TrainedFacts:
    """What `facts_of_end` and `facts_of_outputs` measure; None is unknown."""

    end: EndFacts | None
    end_loss: EndLossFacts | None = None
    outputs: OutputFacts | None = None
    end_units: EndUnitFacts | None = None
    predictions: PredictionFacts | None = None
    memory: MemoryFacts | None = None
    sharpness: SharpnessFacts | None = None
    validation_score: ValidationScoreFacts | None = None


def facts_of_end(
    problem: Problem, run: Run, seen: Sample, clock: Clock
) -> TrainedFacts:
    """Examine a trained network of dense layers on its training data."""
    assert seen.inputs is not None
    weights, network = run.parameters, run.network
    finite = all(np.isfinite(v).all() for own in weights for v in own.values())
    if not finite or seen.inputs.shape[1] != network.n_inputs:
        return TrainedFacts(EndFacts(finite))
    some = np.random.RandomState(4).permutation(len(seen.rows))[:FEW_ROWS]
    inputs = seen.inputs[some]
    data = data_of(problem, seen, some, inputs)
    quiet = without_noise(network)
    plain = Plan.of(run.plan, l1=0.0, l2=0.0)
    with np.errstate(all="ignore"):
        values = layer_values(quiet, weights, inputs)
        cost, gradient = cost_and_gradient(quiet, plain, weights, data)
        with_penalty = cost_and_gradient(quiet, run.plan, weights, data)[1]
        prediction = link(run.plan.loss)(values[-1])
        trivial = trivial_loss(problem, data)
    of_penalty = tuple({k: p[k] - g[k] for k in g} for p, g in
                       zip(with_penalty, gradient, strict=True))  # fmt: skip
    per_sample = run.plan.penalty_scale == "sample"
    rows = len(problem.y) if per_sample else batch_rows(run.plan, len(problem.y))
    penalty = np.sqrt(squared_norm(of_penalty)) * len(some) / rows
    force = np.sqrt(squared_norm(gradient))
    predictions = validation_score = memory = sharpness = None
    if np.isfinite(prediction).all():
        predictions, validation_score = _scores(problem, run, seen, some, prediction)
    normalized = any(layer.normalized != "none" for layer in network.layers)
    unlearned = cost > _LEARNED * trivial and not normalized
    if unlearned and clock.allows(MemoryFacts):
        memory = _by_heart(quiet, problem.plan.loss, data, clock)
    if run.plan.optimizer.label in _DESCENDING and clock.allows(SharpnessFacts):
        sharpness = SharpnessFacts(_sharpness(quiet, run.plan, weights, data))
    return TrainedFacts(
        end=EndFacts(finite),
        end_loss=EndLossFacts(
            overflow_at=_first_nonfinite(values, cost),
            loss=float(cost),
            trivial=trivial,
            penalty=float(penalty / force) if force > 0 else 0.0,
        ),
        outputs=OutputFacts(
            output_std=float(prediction.std(axis=0).max()),
            largest_logit=float(np.abs(values[-1]).max()),
        ),
        end_units=facts_of_units(EndUnitFacts, network, values),
        predictions=predictions,
        memory=memory,
        sharpness=sharpness,
        validation_score=validation_score,
    )


def _by_heart(
    network: DenseNetwork, loss: Any, data: Data, clock: Clock
) -> MemoryFacts | None:
    """Return the share of the first loss that remains if 32 rows are memorized."""
    some = np.sort(np.unique(data.X, axis=0, return_index=True)[1])[:32]
    X = scaled(data.X)
    plan, first = Plan(loss=loss, optimizer="lbfgs", epochs=300), []

    def learned(epoch: EpochRecord) -> bool:
        first.append(epoch.loss)
        return bool(epoch.loss < _MEMORIZED * first[0]) or clock.left <= 0

    left = training.fit(network, X[some], data.y[some], plan=plan, random_state=0,
                        callbacks=[learned]).history.loss  # fmt: skip
    share = float(np.nanmin(left) / (left[0] or 1.0)) if len(left) else 1.0
    if share >= _MEMORIZED and not clock.allows(MemoryFacts):
        return None  # it was not given enough time
    return MemoryFacts(share)


def facts_of_outputs(problem: Problem, run: Run, seen: Sample) -> TrainedFacts:
    """Examine the predictions of any trained network for its training data."""
    assert seen.inputs is not None
    some = np.random.RandomState(4).permutation(len(seen.rows))[:FEW_ROWS]
    prediction = np.asarray(training.predict(run, problem.shaped(seen.inputs[some])))
    if not np.isfinite(prediction).all():
        return TrainedFacts(EndFacts(finite=False))
    predictions, validation_score = _scores(problem, run, seen, some, prediction)
    return TrainedFacts(
        end=EndFacts(finite=True),
        outputs=OutputFacts(float(prediction.std(axis=0).max())),
        predictions=predictions,
        validation_score=validation_score,
    )


def _first_nonfinite(values: list[Array], cost: float) -> str:
    for index, a in enumerate(values):
        if not np.isfinite(a).all():
            return f"the output of layer {index}"
    return "" if np.isfinite(cost) else "the loss"


def _scores(
    problem: Problem, run: Run, seen: Sample, some: Array, prediction: Array
) -> tuple[PredictionFacts, ValidationScoreFacts | None]:
    assert seen.inputs is not None
    guess, y = problem.decide(prediction), seen.y[some]
    relative_entropy = validation_score = None
    if problem.labels is not None and y.ndim == 1:
        k = len(problem.labels)
        predicted, true = (np.bincount(np.clip(v.astype(int), 0, k - 1), minlength=k)
                           for v in (guess, y))  # fmt: skip
        of_true = entropy(true)
        relative_entropy = entropy(predicted) / of_true if of_true > 0 else 1.0
    predictions = PredictionFacts(score(problem, guess, y), relative_entropy)
    if problem.validation_data is not None:
        held, y_held = validation_inputs(problem, seen)
        if np.isfinite(held).all() and held.shape[1] == seen.inputs.shape[1]:
            with np.errstate(all="ignore"):
                guess = problem.decide(training.predict(run, problem.shaped(held)))
            validation_score = ValidationScoreFacts(score(problem, guess, y_held))
    return predictions, validation_score


def score(problem: Problem, guess: Array, y: Array) -> float:
    """Accuracy for classes, R² of at least -1 for values."""
    if problem.labels is not None:
        return accuracy(y, guess)
    if not np.isfinite(guess).all():
        return float("nan")
    return max(r2(y, guess, pooled=True), -1.0) if (y != y[:1]).any() else 0.0


def _sharpness(
    network: DenseNetwork, plan: Plan, weights: Parameters, data: Data
) -> float:
    """Return the learning rate times the Hessian's largest eigenvalue.

    Five steps of the power method find the eigenvalue; each product with the Hessian
    is a difference of gradients. With momentum μ training is stable up to 2(1 + μ)
    instead of 2, so the result is divided by 1 + μ.
    """
    rng = np.random.RandomState(5)
    weights = in_double(weights)
    start = cost_and_gradient(network, plan, weights, data)[1]
    direction: Parameters = tuple(
        {k: rng.standard_normal(v.shape) for k, v in own.items()} for own in start
    )
    value = 0.0
    for _ in range(5):
        size = np.sqrt(squared_norm(direction))
        if not size > 0:
            return 0.0
        step = 1e-4 / size
        moved = tuple(
            {k: v + step * own[k] if k in own else v for k, v in w.items()}
            for w, own in zip(weights, direction, strict=True)
        )
        there = cost_and_gradient(network, plan, moved, data)[1]
        product = tuple({k: (t[k] - s[k]) / step for k in s}
                        for t, s in zip(there, start, strict=True))  # fmt: skip
        pairs = zip(product, direction, strict=True)
        value = sum(float((p[k] * d[k]).sum()) for p, d in pairs for k in p) / size**2
        direction = product
    constants = dict(plan.optimizer.constants)
    return plan.rate * value / (1 + float(constants.get("momentum") or 0.0))
