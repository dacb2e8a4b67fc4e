"""Rules about the rows: columns, target, and rows held out."""

import numpy as np

from thalweg.diagnosis.result import Evidence, Facts, Finding, Prescription, Severity
from thalweg.diagnosis.result import suspected as found

Limits = dict[str, float]
NOTE, ADVICE, SERIOUS, FATAL = Severity


def nonfinite_data(facts: Facts, limit: Limits) -> Finding | None:
    """IEEE 754: NaN and infinity spread to all that is computed from them."""
    inputs, targets = facts["data.nonfinite"], facts["target.nonfinite"]
    if inputs + targets <= limit["count"]:
        return None
    where = facts["data.nonfinite_at"] if inputs else "y"
    remedy = Prescription("Impute the missing values, with a column that says where.",
                          {"impute": True})  # fmt: skip
    if facts["data.infinite"]:
        remedy = Prescription("Correct the infinite cells, or make them missing (NaN).")
    if targets:
        remedy = Prescription("Leave out the rows whose target is missing.")
    return found(
        FATAL, "Values are missing or infinite", where,
        "cells not finite", inputs + targets, limit["count"], remedy,
    )  # fmt: skip


def uninformative_column(facts: Facts, limit: Limits) -> Finding | None:
    """Kuhn & Johnson (2013), Applied Predictive Modeling, section 3.5."""
    constant, numbered = facts["data.constant"], facts["data.numbered"]
    if not constant and not numbered:
        return None
    useless = (*facts["data.constant_at"], *facts["data.numbered_at"])
    drop = {"drop": useless} if numbered else {}
    what = "says which row it is" if numbered else "is the same in each row"
    return found(
        NOTE, f"A column {what}", _some(numbered or constant),
        "columns", len(numbered or constant), 0,
        Prescription("Drop it.", drop),
    )  # fmt: skip


def unscaled_input(facts: Facts, limit: Limits) -> Finding | None:
    """LeCun et al. (1998), "Efficient BackProp", section 4.3."""
    ratio, largest = facts["inputs.ratio"], facts["inputs.largest"]
    if ratio <= limit["ratio"] and largest <= limit["size"]:
        return None
    wide = ratio > limit["ratio"]
    evidence = Evidence(
        "bars", "Spread of each input", "input", "robust standard deviation",
        facts["inputs.names"], facts["inputs.spreads"], log=True,
    ) if "inputs.names" in facts else None  # fmt: skip
    return found(
        ADVICE, "The inputs are not scaled", facts["inputs.widest"],
        "ratio of spreads" if wide else "largest center or spread",
        ratio if wide else largest, limit["ratio" if wide else "size"],
        Prescription("Standardize the inputs.", {"scale": True}), evidence,
    )  # fmt: skip


def sentinel_value(facts: Facts, limit: Limits) -> Finding | None:
    """Tukey (1977), Exploratory Data Analysis: fences by quartile ranges."""
    hits = [s for s in facts["data.sentinels"]
            if s[3] >= limit["share"] and s[4] > limit["gap"]]  # fmt: skip
    if not hits:
        return None
    _, _, value, share, gap = hits[0]
    mask: dict[int, float] = {}
    for _, at, each, _, _ in hits:
        mask.setdefault(at, each)
    places = ", ".join(dict.fromkeys(s[0] for s in hits[:5]))
    evidence = Evidence(
        "bars", "Share of rows at the repeated extreme", "column", "share",
        tuple(s[0] for s in hits), tuple(s[3] for s in hits), limit["share"],
    )  # fmt: skip
    return found(
        NOTE if facts.get("inputs.encoded") else ADVICE,
        f"The value {value:g} stands in {share:.1%} of the rows and far from all "
        "others: a cap or a sentinel",
        places, "gap in quartile ranges", gap, limit["gap"],
        Prescription("Take it as missing: impute the median, add a column that tells.",
                     {"mask": mask}, ({"drop": tuple(mask)},)), evidence,
    )  # fmt: skip


def unscaled_target(facts: Facts, limit: Limits) -> Finding | None:
    """scikit-learn user guide, "Transforming target in regression"."""
    std, low, high = facts["numbers.learned"], limit["low"], limit["high"]
    if facts.get("end.score", 0.0) < 0 < facts.get("nearest.best", -1.0):
        low, high = 1 / limit["lost"], limit["lost"]  # worse than the mean of y
    if low <= std <= high:
        return None
    return found(
        ADVICE, "The target is not scaled", "y", "standard deviation",
        std, high if std > 1 else low,
        Prescription("Standardize the target.", {"scale_target": True}),
    )  # fmt: skip


def noisy_labels(facts: Facts, limit: Limits) -> Finding | None:
    """Northcutt et al. (2021), "Confident learning"; neighbors as in Wilson (1972)."""
    purity, disagree = facts["labels.purity"], facts["labels.disagree"]
    signal = facts["nearest.score"] > facts["nearest.chance"] or _holds(facts)
    noisy = purity < limit["purity"] and disagree > limit["disagree"] and signal
    if not noisy:
        return None
    clean = facts.get("held.agreement", 0.0) > facts["nearest.score"] + limit["held"]
    return found(
        SERIOUS if clean else NOTE,
        "Labels contradict their neighbors everywhere, not only between classes",
        "y", "purity of the purest neighborhoods", purity, limit["purity"],
        Prescription(
            "Correct the labels; until then leave out those that look wrong.",
            {"leave_out": "doubtful"}, ({"l2": 3.0}, {"dropout": 0.5}),
        ),
    )  # fmt: skip


def misaligned_rows(facts: Facts, limit: Limits) -> Finding | None:
    """Permutation test of the nearest neighbors: Good (2005), chapter 3."""
    score, chance = facts["nearest.score"], facts["nearest.chance"]
    known = _finds_a_line(facts, 2) or _holds(facts)
    if score > chance or known or facts["nearest.rows"] < 40:
        return None
    shifted, shift = facts["nearest.shifted"], facts["nearest.shift"]
    if shifted > chance + limit["gain"]:
        return found(
            FATAL, f"X and y are misaligned: y fits if moved by {shift:+d} rows",
            "y", "agreement of neighbors", score, chance,
            Prescription("Move y back.", {"roll": shift}),
        )  # fmt: skip
    if facts.get("held.agreement", -1) > facts.get("held.chance", 0) + limit["gain"]:
        return found(
            FATAL,
            "X and y are misaligned: the rows held out agree with their neighbors, "
            "those to train on do not",
            "y", "agreement of neighbors", score, chance,
            Prescription("Put the rows of X and y in the same order again."),
        )  # fmt: skip
    return None


def leak(facts: Facts, limit: Limits) -> Finding | None:
    """Kaufman et al. (2012), "Leakage in data mining"; Kapoor & Narayanan (2023)."""
    alone, others = facts["nearest.alone"], facts["nearest.others"]
    enough = facts["data.rows"] >= limit["rows"]  # of a few, one column tells by chance
    lost = alone - facts.get("held.alone", alone) > limit["lost"]
    if enough and alone > limit["alone"] and (alone - others > limit["others"] or lost):
        return found(
            FATAL if lost else SERIOUS,
            "One column tells the target all alone" + (
                ", but not that of the rows held out" if lost else
                ", and the others do not"),
            facts["nearest.alone_name"], "score of that column", alone, limit["alone"],
            Prescription("Drop it, unless it is known before the target is.",
                         {"drop": (facts["nearest.alone_at"],)}),
        )  # fmt: skip
    shared, usual = facts.get("held.shared", 0.0), facts.get("held.repeated", 0.0)
    chance = 2 * np.sqrt(limit["shared"] / facts.get("held.rows", 1))
    if shared > 2 * usual + limit["shared"] + chance:
        return found(
            SERIOUS, "Rows held out are among the rows trained on", "X_val",
            "share of them", shared, limit["shared"],
            Prescription("Split again, and drop the repeated rows before."),
        )  # fmt: skip
    return None


def shifted_test(facts: Facts, limit: Limits) -> Finding | None:
    """Rabanser et al. (2019), "Failing loudly": tests of shift column by column."""
    share = max(facts["held.shifted"], facts["held.stretched"])
    if share <= limit["share"]:
        return None
    return found(
        ADVICE, "The rows held out are scaled or centered otherwise", "X_val",
        "share of columns", share, limit["share"],
        Prescription(
            "Prepare them with what was fitted on the training rows, or split anew.",
            {"match_held": True},
        ),
    )  # fmt: skip


def class_collapse(facts: Facts, limit: Limits) -> Finding | None:
    """He & Garcia (2009), "Learning from imbalanced data", section 3."""
    counts = [c for c in facts["labels.counts"] if c]
    imbalance = max(counts) / min(counts)
    entropy, rarer = facts.get("end.entropy", 1.0), facts.get("held.rarer", 1.0)
    remedy = Prescription("Weight the classes equally.", {"class_weight": "balanced"})
    if entropy < limit["entropy"]:
        return found(ADVICE, "The network predicts few of the classes", "output",
                     "entropy of predictions over that of labels",
                     entropy, limit["entropy"], remedy)  # fmt: skip
    if rarer > limit["rarer"] and rarer < 1e6:
        sure = facts["held.rarer_errors"] > limit["errors"]
        return found(SERIOUS if sure else NOTE,
                     "A class is rarer in training than held out", "y",
                     "how many times", rarer, limit["rarer"], remedy)  # fmt: skip
    if imbalance > limit["imbalance"]:
        return found(NOTE, "A class is rare", "y", "ratio of the classes",
                     imbalance, limit["imbalance"], remedy)  # fmt: skip
    return None


def image_layout(facts: Facts, limit: Limits) -> Finding | None:
    """Ruderman (1994), "The statistics of natural images": neighbors are alike."""
    shape, along = facts["image.shape"], facts["image.along"]
    if len(shape) < 3:
        return None
    gap = along[-1] - min(along[:-1])
    if gap <= limit["gap"] or shape[-1] <= limit["channels"]:
        return None
    axis = int(np.argmin(along[:-1]))
    return found(
        SERIOUS, f"Axis {axis + 1} of X looks like the channels, not the last one", "X",
        "correlation of neighbors, last axis above it", gap, limit["gap"],
        Prescription(f"np.moveaxis(X, {axis + 1}, -1): height, width, channels."),
    )  # fmt: skip


def no_signal(facts: Facts, limit: Limits) -> Finding | None:
    """Permutation test of the nearest neighbors, beside a linear and a constant one."""
    if facts["target.unique"] == 1:
        return found(
            FATAL, "The target is the same in each row: there is nothing to learn",
            "y", "different values", 1, 2, Prescription("Look at how y was made."),
        )  # fmt: skip
    scores = [facts["nearest.linear"], facts.get("held.score", -1.0)]
    near = facts["nearest.score"] > facts["nearest.chance"]
    ceiling = _ceiling(facts, limit["errors"])
    if near or max(scores) > ceiling or facts["nearest.rows"] < 40:
        return None
    if facts["nearest.shifted"] > facts["nearest.chance"] + 0.1:
        return None  # misaligned
    return found(
        ADVICE, "The inputs say nothing of the target that neighbors or a line find",
        "X", "best simple score", max(scores), ceiling,
        Prescription("Look for other inputs, and at the order of the rows."),
    )  # fmt: skip


def _ceiling(facts: Facts, errors: float) -> float:
    """Return how high the constant prediction's score may come by chance."""
    constant = facts.get("labels.constant", 0.0)
    variance = max(constant * (1 - constant), 0.01)
    return constant + errors * float(np.sqrt(variance / facts["nearest.rows"]))


def _holds(facts: Facts) -> bool:
    """Whether what was learned is right of the rows held out, more than by chance."""
    if "held.score" not in facts or "held.rows" not in facts:
        return False
    rows = {**facts, "nearest.rows": facts["held.rows"]}
    return facts["held.score"] > _ceiling(rows, 2)


def _finds_a_line(facts: Facts, errors: float) -> bool:
    return facts["nearest.linear"] > _ceiling(facts, errors)


def few_rows(facts: Facts, limit: Limits) -> Finding | None:
    """Wilson (1927): the 95 % interval of a share."""
    n = facts["data.rows"]
    if n >= limit["rows"]:
        return None
    half = 0.98 / np.sqrt(n + 3.84)
    return found(
        NOTE, f"{n} rows limit any claim: a score is known to ±{half:.2f} at best", "",
        "rows", n, limit["rows"], Prescription("Collect more rows."),
    )  # fmt: skip


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
