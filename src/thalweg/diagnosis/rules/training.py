"""Rules about training: its curves, its pace, and the weights that it left."""

from thalweg.diagnosis.result import Evidence, Facts, Finding, Prescription, Severity
from thalweg.diagnosis.result import suspected as found

Limits = dict[str, float]
NOTE, ADVICE, SERIOUS, FATAL = Severity


def untrainable(facts: Facts, limit: Limits) -> Finding | None:
    """Repeat what training itself said, from every seed."""
    if not facts["run.error"]:
        return None
    return found(
        FATAL, f"It cannot be trained: {facts['run.error']}", "fit",
        "trainings that failed", facts["run.failed"], limit["failed"], None,
    )  # fmt: skip


def exploding_gradient(facts: Facts, limit: Limits) -> Finding | None:
    """Pascanu et al. (2013), "On the difficulty of training recurrent networks"."""
    spreads, spike = facts.get("start.spreads", (1.0,))[:-1], facts["run.spike"]
    growth = spreads[-1] / max(spreads[0], 1e-9) if len(spreads) > 1 else 1.0
    if growth > limit["growth"] and not facts["static.normalized"]:
        return found(
            NOTE, "Values and gradients grow from layer to layer",
            f"layers 0 to {len(spreads) - 1}", "growth of the values", growth,
            limit["growth"], Prescription("Draw the first weights by the widths.",
                                          {"init": "auto"}, ({"batch_norm": True},)),
        )  # fmt: skip
    stuck = facts["run.last"] > 0.5 * facts["run.first"]
    if spike <= limit["spike"] or not stuck:
        return None
    return found(
        ADVICE, "The gradient explodes", "", "largest over median norm", spike,
        limit["spike"],
        Prescription("Clip the gradient's norm.", {"clip_norm": 1.0},
                     ({"init": "auto"}, {"init": "auto", "clip_norm": 1.0})),
    )  # fmt: skip


def rate_too_high(facts: Facts, limit: Limits) -> Finding | None:
    """LeCun et al. (1998), section 4.6; Cohen et al. (2021): stable below 2/λ."""
    rate, usual = facts["rate.value"], facts["rate.usual"]
    diverged = facts.get("run.diverged") or not facts["run.finite"]
    lost = diverged or facts["run.last"] > 1.05 * facts["run.first"]
    rough = facts.get("run.rises", 0.0) > limit["rises"]
    sharp = facts.get("rate.sharpness", 0.0) > limit["sharpness"] and rough
    wild = facts.get("run.update", 0.0) > limit["update"]
    far = rate > limit["usual"] * usual
    if not (lost or sharp or wild or far):
        return None
    value, bound, what = (
        (facts["rate.sharpness"], limit["sharpness"], "rate times curvature") if sharp
        else (facts["run.update"], limit["update"], "update over weights") if wild
        else (rate, limit["usual"] * usual, "rate"))  # fmt: skip
    return found(
        SERIOUS if lost else NOTE,
        "The learning rate is too high" + (": the loss rises" if lost else ""),
        "learning rate", what, value, bound,
        _rates(facts, "Lower it", [usual if rate > 2 * usual else rate / 3,
                                   rate / 10, rate / 100, 10 * usual]), _curve(facts),
    )  # fmt: skip


def rate_too_low(facts: Facts, limit: Limits) -> Finding | None:
    """Bengio (2012), "Practical recommendations", section 3.1.1."""
    rate, usual = facts["rate.value"], facts["rate.usual"]
    update, slope = facts.get("run.update", 1.0), facts["run.slope"]
    slow = update < limit["update"] or rate < limit["usual"] * usual
    left = facts["run.last"] > 0.2 * facts["run.first"]
    if not slow or not left or not slope > 0:
        return None
    return found(
        NOTE, "The learning rate is too low: the loss still falls, by tiny steps",
        "learning rate", "update over weights" if update < 1 else "rate",
        update if update < 1 else rate, limit["update"],
        _rates(facts, "Raise it", [usual, 3 * usual, 10 * usual, 30 * usual]),
        _curve(facts),
    )  # fmt: skip


def _rates(facts: Facts, what: str, rates: list[float]) -> Prescription:
    first, *others = ({"learning_rate": float(f"{rate:.3g}")} for rate in rates)
    return Prescription(f"{what}: {first['learning_rate']:g}.", first, tuple(others))


def _curve(facts: Facts) -> Evidence | None:
    curve = facts.get("run.curve")
    if not curve:
        return None
    step = facts["run.epochs"] / len(curve)
    return Evidence(
        "line", "Loss in training", "epoch", "loss",
        tuple(1 + k * step for k in range(len(curve))), curve, log=min(curve) > 0,
    )  # fmt: skip


def overflow(facts: Facts, limit: Limits) -> Finding | None:
    """Goodfellow et al. (2016), section 4.1."""
    if facts.get("written.cause") == "nonfinite":
        return found(FATAL, facts["written.message"], facts["written.where"], "",
                     float("nan"), float("nan"), None)  # fmt: skip
    where = facts.get("end.overflow_at", "")
    broken = facts.get("run.diverged", False) or not facts["run.finite"]
    broken = broken or bool(where) or not facts.get("end.finite", True)
    logit = facts.get("end.largest_logit", 0.0)
    large = facts.get("static.by_class", False) and logit > limit["logit"]
    if not broken and not large:
        return None
    return found(
        FATAL if broken else NOTE,
        "Numbers overflow" if broken else "The outputs are huge before the loss",
        where or "loss", "largest output", logit, limit["logit"],
        Prescription("Draw smaller first weights.", {"init": "auto"},
                     ({"scale": True}, {"clip_norm": 1.0})),
    )  # fmt: skip


def over_regularized(facts: Facts, limit: Limits) -> Finding | None:
    """Goodfellow et al. (2016), section 7.1: where the penalty outweighs the data."""
    ratio, l2 = facts["end.penalty"], facts["static.l2"]
    trivial = facts["end.loss"] > limit["loss"] * facts["end.trivial"]
    dropped = facts["static.dropout"] >= limit["dropout"]
    if not (trivial and l2 > 0 and ratio > limit["ratio"]) and not dropped:
        return None
    if dropped:
        return found(NOTE, "Dropout leaves little", "hidden layers", "share dropped",
                     facts["static.dropout"], limit["dropout"],
                     Prescription("Drop less.", {"dropout": 0.1}))  # fmt: skip
    return found(
        NOTE, "The penalty outweighs the data", "l2", "gradient of penalty over data",
        ratio, limit["ratio"],
        Prescription("Lower the penalty.", {"l2": l2 / 1000}, ({"l2": l2 / 30},)),
    )  # fmt: skip


def poor_batching(facts: Facts, limit: Limits) -> Finding | None:
    """McCandlish et al. (2018); Bengio (2012), section 3.1.1, on shuffling."""
    order, batch = facts["rate.order"], facts["static.batch"]
    if order < limit["order"]:
        return found(
            ADVICE, "Batches hold few classes each: the rows are sorted, not shuffled",
            "batches", "their entropy over that of all", order, limit["order"],
            Prescription("Shuffle the rows in each epoch.", {"shuffle": True}),
        )  # fmt: skip
    noise, rows = facts.get("rate.noise_scale", 1.0), facts["data.rows"]
    steps = rows / batch * facts.get("run.epochs", facts["static.epochs"])
    if batch < limit["noise"] * noise or batch == 1 < rows:
        return found(
            NOTE, "Batches are so small that noise drowns the gradient", "batch size",
            "batch size", batch, limit["noise"] * noise,
            Prescription("Use 32 rows.", {"batch_size": 32}, ({"batch_size": 200},)),
        )  # fmt: skip
    brief = facts.get("run.epochs", 20) < 20
    if steps < limit["steps"] and batch > 32 and rows > 64 and not brief:
        return found(
            NOTE, "Batches are so large that few updates are done", "batch size",
            "updates", steps, limit["steps"],
            Prescription("Use 32 rows.", {"batch_size": 32}),
        )  # fmt: skip
    return None


def stopped_early(facts: Facts, limit: Limits) -> Finding | None:
    """Prechelt (1998), "Early stopping - but when?"."""
    slope, epochs = facts["run.slope"], facts["run.epochs"]
    falling = slope > limit["slope"] or (epochs < 10 and not slope <= 0)
    if not facts["run.ended_by_epochs"] or not falling:
        return None
    more = max(20 * epochs, 100)
    return found(
        NOTE, "Training ended while the loss still fell", "epochs",
        "share it fell by an epoch", slope, limit["slope"],
        Prescription(f"Train for {more} epochs.", {"epochs": more},
                     ({"epochs": more // 4},)), _curve(facts),
    )  # fmt: skip


def underfitting(facts: Facts, limit: Limits) -> Finding | None:
    """Goodfellow et al. (2016), section 5.2: capacity below the task's."""
    score, heart = facts["end.score"], facts.get("end.by_heart", 0.0)
    short = facts.get("nearest.best", -1.0) - score
    narrow = min(facts["static.widths"], default=99) < limit["width"] and score < 1
    unable = heart > limit["heart"]
    if not (short > limit["left"] or narrow or unable):
        return None
    depth = len(facts["static.widths"])  # fewer layers would cure other faults
    wide = max(100, 2 * max(facts["static.widths"], default=0))
    what, value, bound = (
        ("share of the loss left on 32 rows alone", heart, limit["heart"]) if unable
        else ("score short of the simple one", short, limit["left"]))  # fmt: skip
    return found(
        NOTE, "The network cannot learn 32 rows by heart" if unable else
        "The network does worse than its neighbors or a line on its own rows",
        "hidden layers", what, value, bound,
        Prescription("Widen the hidden layers.", {"hidden": (wide,) * depth},
                     ({"hidden": (64,) * depth},)),
    )  # fmt: skip


def overfitting(facts: Facts, limit: Limits) -> Finding | None:
    """Prechelt (1998); Srivastava et al. (2014)."""
    rise, since = facts.get("run.held_rise", 1.0), facts.get("run.held_since", 0)
    gap = facts["end.score"] - facts.get("held.score", facts["end.score"])
    curve = facts.get("run.held_curve")
    rose = rise > limit["rise"] and since >= limit["checks"]
    few = facts["data.rows"] < limit["few"] and "held.rows" in facts
    most = limit["gap"] / 2 if few else limit["gap"]
    # Weights of n layers share a factor c of the target: c^(1/n) each, c² of the loss.
    power = 2 - 2 / (1 + len(facts.get("static.widths", (1,))))
    unit = facts.get("numbers.learned", 1.0) ** power
    l2 = max(100 * facts["static.l2"], 1.0) * unit
    fewer = max(facts.get("run.epochs", facts["static.epochs"]) // 8, 20)
    if not (rose and not facts["run.restored"]) and gap <= most:
        return None
    evidence = Evidence(
        "line", "Loss on rows held out", "epoch", "loss",
        tuple(float(k + 1) for k in range(len(curve))), curve,
    ) if curve else None  # fmt: skip
    return found(
        SERIOUS if few else NOTE, "The network learns its rows by heart", "",
        "validation loss over its least" if rose else "score lost on rows held out",
        rise if rose else gap, limit["rise"] if rose else most,
        Prescription(("Collect more rows. " if few else "") +
                     "Penalize the weights more.", {"l2": l2},
                     ({"validation": 0.2, "patience": 20}, {"dropout": 0.5},
                      {"l2": l2 / 10}, {"epochs": fewer})), evidence,
    )  # fmt: skip


def mode_confusion(facts: Facts, limit: Limits) -> Finding | None:
    """Srivastava et al. (2014), section 4; Ioffe & Szegedy (2015), section 3.1."""
    if facts.get("written.cause") == "random":
        return found(
            SERIOUS, facts["written.message"], facts["written.where"], "", float("nan"),
            float("nan"), Prescription("Draw masks outside of the function."),
        )  # fmt: skip
    differs = facts["mode.differs"]
    if differs > limit["difference"]:
        return found(
            SERIOUS, "Two predictions for the same rows differ: dropout or noise is on",
            "predict", "largest difference", differs, limit["difference"],
            Prescription("Switch to the mode for predicting before you predict."),
        )  # fmt: skip
    apart = facts.get("end.loss", 0.0) / max(facts.get("run.last", 1.0), 1e-3)
    moving = facts.get("static.normalized") and facts.get("static.first_order")
    if not moving or apart <= limit["loss"] or facts["run.epochs"] < 3:
        return None
    return found(
        NOTE, "The loss is higher in predicting than in training", "normalization",
        "loss over that in training", apart, limit["loss"],
        Prescription("Normalize by layer, or not at all.", {"batch_norm": False}),
    )  # fmt: skip


def seed_fragility(facts: Facts, limit: Limits) -> Finding | None:
    """Bouthillier et al. (2021), "Accounting for variance"."""
    spread, error = facts["seeds.spread"], facts["seeds.error"]
    if spread <= limit["spread"] * error:
        return None
    return found(
        NOTE, "The score depends on the seed", "random_state",
        "range over seeds, in standard errors", spread / error, limit["spread"],
        Prescription("Draw the first weights by the layer's widths, normalize batches.",
                     {"init": "auto", "batch_norm": True},
                     ({"hidden": (64,), "init": "auto"},)),
    )  # fmt: skip
