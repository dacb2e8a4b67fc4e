"""Rules about training: its curves, its learning rate, and the trained network."""

from thalweg.diagnosis.facts.data import DataFacts, NumberFacts
from thalweg.diagnosis.facts.group import NotMeasured
from thalweg.diagnosis.facts.neighbors import NeighborFacts
from thalweg.diagnosis.facts.network import (
    BatchFacts,
    FirstStepFacts,
    LayerFacts,
    PlanFacts,
    RateFacts,
    StartFacts,
)
from thalweg.diagnosis.facts.training import (
    AttemptFacts,
    CurveFacts,
    EndFacts,
    EndLossFacts,
    MemoryFacts,
    ModeFacts,
    OutputFacts,
    PredictionFacts,
    RunFacts,
    SeedFacts,
    SharpnessFacts,
    StopFacts,
    ValidationCurveFacts,
    ValidationScoreFacts,
)
from thalweg.diagnosis.facts.user_function import GradientFacts
from thalweg.diagnosis.facts.validation import ValidationFacts
from thalweg.diagnosis.result import (
    Evidence,
    Finding,
    Limits,
    Prescription,
    Severity,
    suspected,
)

NOTE, ADVICE, SERIOUS, FATAL = Severity
_NAN = float("nan")


def untrainable(limits: Limits, attempts: AttemptFacts) -> Finding | None:
    """Repeat what training itself said, from every seed."""
    if not attempts.error:
        return None
    return suspected(
        FATAL, f"Training fails: {attempts.error}", "fit",
        "trainings that failed", attempts.failed, limits["failed"], None,
    )  # fmt: skip


def exploding_gradient(
    limits: Limits, curve: CurveFacts, start: StartFacts | None,
    layers: LayerFacts | None,
) -> Finding | NotMeasured | None:  # fmt: skip
    """Pascanu et al. (2013), "On the difficulty of training recurrent networks"."""
    if curve.spike is None:
        return NotMeasured(CurveFacts)
    spreads = start.spreads[:-1] if start is not None else ()
    growth = spreads[-1] / max(spreads[0], 1e-9) if len(spreads) > 1 else 1.0
    normalized = layers is not None and layers.normalized
    if growth > limits["growth"] and not normalized:
        return suspected(
            NOTE, "Values and gradients grow from layer to layer",
            f"layers 0 to {len(spreads) - 1}", "growth of the values", growth,
            limits["growth"],
            Prescription(
                "Use an initializer scaled by layer width, such as He or Glorot "
                '(`init="auto"`).',
                {"init": "auto"}, ({"batch_norm": True},),
            ),
        )  # fmt: skip
    stuck = curve.last > 0.5 * curve.first
    if curve.spike <= limits["spike"] or not stuck:
        return None
    return suspected(
        ADVICE, "The gradient explodes", "", "largest over median gradient norm",
        curve.spike, limits["spike"],
        Prescription("Clip the norm of the gradient.", {"clip_norm": 1.0},
                     ({"init": "auto"}, {"init": "auto", "clip_norm": 1.0})),
    )  # fmt: skip


def rate_too_high(
    limits: Limits, rate: RateFacts, run: RunFacts, stop: StopFacts | None,
    curve: CurveFacts | None, sharpness: SharpnessFacts | None,
) -> Finding | NotMeasured | None:  # fmt: skip
    """LeCun et al. (1998), section 4.6; Cohen et al. (2021): stable below 2/λ."""
    diverged = not run.finite or (stop is not None and stop.diverged)
    if curve is None and not diverged:
        return NotMeasured(CurveFacts)
    lost = diverged or (curve is not None and curve.last > 1.05 * curve.first)
    rises = curve.rises if curve is not None else 0.0
    update = (curve.update or 0.0) if curve is not None else 0.0
    curvature = sharpness.sharpness if sharpness is not None else 0.0
    sharp = curvature > limits["sharpness"] and rises > limits["rises"]
    wild = update > limits["update"]
    usual, value = rate.usual, rate.value
    if not (lost or sharp or wild or value > limits["usual"] * usual):
        return None
    measured, limit, what = (
        (curvature, limits["sharpness"], "learning rate times curvature") if sharp
        else (update, limits["update"], "size of an update over that of the weights")
        if wild else (value, limits["usual"] * usual, "learning rate"))  # fmt: skip
    return suspected(
        SERIOUS if lost else NOTE,
        "The learning rate is too high" + (": the loss rises" if lost else ""),
        "learning rate", what, measured, limit,
        _rates("Lower the learning rate to", usual if value > 2 * usual else value / 3,
               value / 10, value / 100, 10 * usual),
        _loss_curve(run, curve),
    )  # fmt: skip


def rate_too_low(
    limits: Limits, rate: RateFacts, curve: CurveFacts, run: RunFacts
) -> Finding | None:
    """Bengio (2012), "Practical recommendations", section 3.1.1."""
    update = curve.update if curve.update is not None else 1.0
    slow = update < limits["update"] or rate.value < limits["usual"] * rate.usual
    left = curve.last > 0.2 * curve.first
    if not slow or not left or not curve.slope > 0:
        return None
    usual, known = rate.usual, update < 1
    return suspected(
        NOTE, "The learning rate is too low: the loss still falls, in tiny steps",
        "learning rate",
        "size of an update over that of the weights" if known else "learning rate",
        update if known else rate.value, limits["update"],
        _rates("Raise the learning rate to", usual, 3 * usual, 10 * usual, 30 * usual),
        _loss_curve(run, curve),
    )  # fmt: skip


def _rates(what: str, *rates: float) -> Prescription:
    first, *others = ({"learning_rate": float(f"{rate:.3g}")} for rate in rates)
    return Prescription(f"{what} {first['learning_rate']:g}.", first, tuple(others))


def _loss_curve(run: RunFacts, facts: CurveFacts | None) -> Evidence | None:
    if facts is None:
        return None
    curve = facts.curve
    step = run.epochs / len(curve)
    return Evidence(
        "line", "Training loss", "epoch", "loss",
        tuple(1 + k * step for k in range(len(curve))), curve, log=min(curve) > 0,
    )  # fmt: skip


def overflow(
    limits: Limits, gradient: GradientFacts | None, run: RunFacts | None,
    stop: StopFacts | None, end: EndFacts | None, end_loss: EndLossFacts | None,
    outputs: OutputFacts | None, plan: PlanFacts | None,
) -> Finding | NotMeasured | None:  # fmt: skip
    """Goodfellow et al. (2016), section 4.1."""
    if gradient is not None and gradient.cause == "nonfinite":
        return suspected(FATAL, gradient.message, gradient.where, "", _NAN, _NAN, None)
    if run is None:
        return NotMeasured(RunFacts)
    where = end_loss.overflow_at if end_loss is not None else ""
    diverged = not run.finite or (stop is not None and stop.diverged)
    broken = diverged or bool(where) or (end is not None and not end.finite)
    logit = (outputs.largest_logit or 0.0) if outputs is not None else 0.0
    large = plan is not None and plan.by_class and logit > limits["logit"]
    if not broken and not large:
        return None
    return suspected(
        FATAL if broken else NOTE,
        "Numbers overflow" if broken else "The outputs before the loss are huge",
        where or "loss", "largest output", logit, limits["logit"],
        Prescription("Use smaller initial weights.", {"init": "auto"},
                     ({"scale": True}, {"clip_norm": 1.0})),
    )  # fmt: skip


def over_regularized(
    limits: Limits, end_loss: EndLossFacts, plan: PlanFacts, layers: LayerFacts
) -> Finding | None:
    """Goodfellow et al. (2016), section 7.1: where the penalty outweighs the data."""
    if layers.dropout >= limits["dropout"]:
        return suspected(
            NOTE, "Dropout leaves too few units", "hidden layers", "share dropped",
            layers.dropout, limits["dropout"],
            Prescription("Lower the dropout rate.", {"dropout": 0.1}),
        )  # fmt: skip
    ratio, l2 = end_loss.penalty, plan.l2
    trivial = end_loss.loss > limits["loss"] * end_loss.trivial
    if not (trivial and l2 > 0 and ratio > limits["ratio"]):
        return None
    return suspected(
        NOTE, "The penalty outweighs the data", "l2",
        "gradient of the penalty over gradient of the data", ratio, limits["ratio"],
        Prescription("Lower the penalty.", {"l2": l2 / 1000}, ({"l2": l2 / 30},)),
    )  # fmt: skip


def poor_batching(
    limits: Limits, batches: BatchFacts, plan: PlanFacts, data: DataFacts,
    first_step: FirstStepFacts | None, run: RunFacts | None,
) -> Finding | None:  # fmt: skip
    """McCandlish et al. (2018); Bengio (2012), section 3.1.1, on shuffling."""
    if batches.order < limits["order"]:
        return suspected(
            ADVICE,
            "Each batch holds only a few of the classes: the rows are sorted and not "
            "shuffled",
            "batches", "entropy of a batch's labels over that of all labels",
            batches.order, limits["order"],
            Prescription("Shuffle the rows in each epoch.", {"shuffle": True}),
        )  # fmt: skip
    noise = first_step.noise_scale if first_step is not None else None
    noise = 1.0 if noise is None else noise
    rows, batch = data.rows, plan.batch
    epochs = run.epochs if run is not None else plan.epochs
    if batch < limits["noise"] * noise or batch == 1 < rows:
        return suspected(
            NOTE, "Batches are so small that noise hides the gradient", "batch size",
            "batch size", batch, limits["noise"] * noise,
            Prescription("Use a batch size of 32.", {"batch_size": 32},
                         ({"batch_size": 200},)),
        )  # fmt: skip
    updates = rows / batch * epochs
    brief = run is not None and run.epochs < 20
    if updates < limits["steps"] and batch > 32 and rows > 64 and not brief:
        return suspected(
            NOTE, "Batches are so large that there are few updates", "batch size",
            "updates", updates, limits["steps"],
            Prescription("Use a batch size of 32.", {"batch_size": 32}),
        )  # fmt: skip
    return None


def stopped_early(
    limits: Limits, curve: CurveFacts, run: RunFacts, stop: StopFacts
) -> Finding | None:
    """Prechelt (1998), "Early stopping - but when?"."""
    slope, epochs = curve.slope, run.epochs
    falling = slope > limits["slope"] or (epochs < 10 and not slope <= 0)
    if not stop.ended_by_epochs or not falling:
        return None
    more = max(20 * epochs, 100)
    return suspected(
        NOTE, "Training ended while the loss still fell", "epochs",
        "share by which an epoch lowers the loss", slope, limits["slope"],
        Prescription(f"Train for {more} epochs.", {"epochs": more},
                     ({"epochs": more // 4},)), _loss_curve(run, curve),
    )  # fmt: skip


def underfitting(
    limits: Limits, predictions: PredictionFacts, layers: LayerFacts,
    memory: MemoryFacts | None, nearest: NeighborFacts | None,
) -> Finding | None:  # fmt: skip
    """Goodfellow et al. (2016), section 5.2: capacity below the task's."""
    score, remains = predictions.score, memory.by_heart if memory is not None else 0.0
    short = (nearest.best if nearest is not None else -1.0) - score
    narrow = min(layers.widths, default=99) < limits["width"] and score < 1
    unable = remains > limits["heart"]
    if not (short > limits["left"] or narrow or unable):
        return None
    depth = len(layers.widths)  # fewer layers would remedy other faults
    wide = max(100, 2 * max(layers.widths, default=0))
    what, value, limit = (
        ("share of the loss that remains on 32 rows", remains, limits["heart"])
        if unable
        else ("best score of a simple model minus the network's", short,
              limits["left"]))  # fmt: skip
    return suspected(
        NOTE, "The network cannot memorize 32 rows" if unable else
        "On its own training data the network does worse than nearest neighbors or a "
        "linear model",
        "hidden layers", what, value, limit,
        Prescription("Widen the hidden layers.", {"hidden": (wide,) * depth},
                     ({"hidden": (64,) * depth},)),
    )  # fmt: skip


def overfitting(
    limits: Limits, predictions: PredictionFacts, data: DataFacts, plan: PlanFacts,
    run: RunFacts | None, stop: StopFacts | None,
    validation_curve: ValidationCurveFacts | None, validation: ValidationFacts | None,
    validation_score: ValidationScoreFacts | None, layers: LayerFacts | None,
    numbers: NumberFacts | None,
) -> Finding | None:  # fmt: skip
    """Prechelt (1998); Srivastava et al. (2014)."""
    gap = 0.0
    if validation_score is not None:
        gap = predictions.score - validation_score.score
    rose = validation_curve is not None and (
        validation_curve.held_rise > limits["rise"]
        and validation_curve.held_since >= limits["checks"]
    )
    restored = stop is not None and stop.restored
    few = data.rows < limits["few"] and validation is not None
    most = limits["gap"] / 2 if few else limits["gap"]
    if not (rose and not restored) and gap <= most:
        return None
    # Weights of n layers share a factor c of the target: c^(1/n) each, c² of the loss.
    depth = len(layers.widths) if layers is not None else 1
    scale = numbers.learned if numbers is not None else 1.0
    l2 = max(100 * plan.l2, 1.0) * scale ** (2 - 2 / (1 + depth))
    fewer = max((run.epochs if run is not None else plan.epochs) // 8, 20)
    evidence = None
    if validation_curve is not None and validation_curve.held_curve:
        curve = validation_curve.held_curve
        evidence = Evidence(
            "line", "Validation loss", "epoch", "loss",
            tuple(float(k + 1) for k in range(len(curve))), curve,
        )  # fmt: skip
    return suspected(
        SERIOUS if few else NOTE, "The network overfits", "",
        "validation loss over its minimum" if rose
        else "training score minus validation score",
        validation_curve.held_rise if rose and validation_curve is not None else gap,
        limits["rise"] if rose else most,
        Prescription(
            ("Collect more rows. " if few else "") + "Use a stronger L2 penalty.",
            {"l2": l2},
            ({"validation": 0.2, "patience": 20}, {"dropout": 0.5}, {"l2": l2 / 10},
             {"epochs": fewer}),
        ), evidence,
    )  # fmt: skip


def mode_confusion(
    limits: Limits, gradient: GradientFacts | None, mode: ModeFacts | None,
    end_loss: EndLossFacts | None, curve: CurveFacts | None, layers: LayerFacts | None,
    plan: PlanFacts | None, run: RunFacts | None,
) -> Finding | NotMeasured | None:  # fmt: skip
    """Srivastava et al. (2014), section 4; Ioffe & Szegedy (2015), section 3.1."""
    if gradient is not None and gradient.cause == "random":
        return suspected(
            SERIOUS, gradient.message, gradient.where, "", _NAN, _NAN,
            Prescription("Draw random masks outside of the function."),
        )  # fmt: skip
    if mode is None:
        return NotMeasured(ModeFacts)
    if mode.differs > limits["difference"]:
        return suspected(
            SERIOUS,
            "Two predictions for the same rows differ: dropout or noise is still on",
            "predict", "largest difference", mode.differs, limits["difference"],
            Prescription("Put the model in evaluation mode before predicting."),
        )  # fmt: skip
    in_training = curve.last if curve is not None else 1.0
    in_evaluation = end_loss.loss if end_loss is not None else 0.0
    ratio = in_evaluation / max(in_training, 1e-3)
    moving = layers is not None and layers.normalized and (
        plan is not None and plan.first_order
    )  # fmt: skip
    brief = run is None or run.epochs < 3
    if not moving or ratio <= limits["loss"] or brief:
        return None
    return suspected(
        NOTE, "The loss is higher in evaluation mode than in training mode",
        "normalization", "loss in evaluation mode over loss in training mode", ratio,
        limits["loss"],
        Prescription(
            "Use layer normalization instead of batch normalization, or none.",
            {"batch_norm": False},
        ),
    )  # fmt: skip


def seed_fragility(limits: Limits, seeds: SeedFacts) -> Finding | None:
    """Bouthillier et al. (2021), "Accounting for variance"."""
    if seeds.spread <= limits["spread"] * seeds.error:
        return None
    return suspected(
        NOTE, "The score depends on the seed", "random_state",
        "range of the scores in standard errors", seeds.spread / seeds.error,
        limits["spread"],
        Prescription(
            "Use an initializer scaled by layer width, such as He or Glorot "
            '(`init="auto"`), and batch normalization.',
            {"init": "auto", "batch_norm": True}, ({"hidden": (64,), "init": "auto"},),
        ),
    )  # fmt: skip
