"""Rules about the rows: columns, target, and validation data."""

import numpy as np

from thalweg.diagnosis.facts.data import (
    ColumnFacts,
    DataFacts,
    ImageFacts,
    InputFacts,
    LabelFacts,
    NumberFacts,
    TargetFacts,
    TargetGaps,
)
from thalweg.diagnosis.facts.group import NotMeasured
from thalweg.diagnosis.facts.neighbors import (
    BestColumnFacts,
    NeighborFacts,
    NeighborhoodFacts,
    ValidationColumnFacts,
)
from thalweg.diagnosis.facts.training import (
    PredictionFacts,
    ValidationScoreFacts,
    ValidationShareFacts,
)
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


def nonfinite_data(
    limits: Limits, data: DataFacts, target_gaps: TargetGaps
) -> Finding | None:
    """IEEE 754: NaN and infinity spread to all that is computed from them."""
    inputs, targets = data.nonfinite, target_gaps.nonfinite
    if inputs + targets <= limits["count"]:
        return None
    where = data.nonfinite_at if inputs else "y"
    remedy = Prescription(
        "Impute the missing values and add missing-value indicator columns.",
        {"impute": True},
    )
    if data.infinite:
        remedy = Prescription("Correct the infinite cells, or make them missing (NaN).")
    if targets:
        remedy = Prescription("Leave out the rows whose target is missing.")
    return suspected(
        FATAL, "Values are missing or infinite", where,
        "missing or infinite cells", inputs + targets, limits["count"], remedy,
    )  # fmt: skip


def uninformative_column(limits: Limits, columns: ColumnFacts) -> Finding | None:
    """Kuhn & Johnson (2013), Applied Predictive Modeling, section 3.5."""
    constant, numbered = columns.constant, columns.numbered
    if not constant and not numbered:
        return None
    drop = {"drop": (*columns.constant_at, *columns.numbered_at)} if numbered else {}
    what = "looks like a row number" if numbered else "has the same value in each row"
    return suspected(
        NOTE, f"A column {what}", _first_three(numbered or constant),
        "columns", len(numbered or constant), 0,
        Prescription("Drop the column.", drop),
    )  # fmt: skip


def unscaled_input(limits: Limits, inputs: InputFacts) -> Finding | None:
    """LeCun et al. (1998), "Efficient BackProp", section 4.3."""
    ratio, largest = inputs.ratio, inputs.largest
    if ratio <= limits["ratio"] and largest <= limits["size"]:
        return None
    wide = ratio > limits["ratio"]
    evidence = None
    if inputs.names is not None and inputs.spreads is not None:
        evidence = Evidence(
            "bars", "Spread of each input", "input", "robust standard deviation",
            inputs.names, inputs.spreads, log=True,
        )  # fmt: skip
    return suspected(
        ADVICE, "The inputs are not scaled", inputs.widest,
        "ratio of the largest to the smallest spread" if wide
        else "largest center or spread",
        ratio if wide else largest, limits["ratio" if wide else "size"],
        Prescription("Standardize the inputs.", {"scale": True}), evidence,
    )  # fmt: skip


def sentinel_value(
    limits: Limits, columns: ColumnFacts, inputs: InputFacts | None
) -> Finding | None:
    """Tukey (1977), Exploratory Data Analysis: fences by quartile ranges."""
    hits = [each for each in columns.sentinels
            if each.share >= limits["share"] and each.gap > limits["gap"]]  # fmt: skip
    if not hits:
        return None
    first = hits[0]
    mask: dict[int, float] = {}
    for each in hits:
        mask.setdefault(each.position, each.value)
    evidence = Evidence(
        "bars", "Share of rows that hold the repeated extreme value", "column", "share",
        tuple(each.name for each in hits), tuple(each.share for each in hits),
        limits["share"],
    )  # fmt: skip
    return suspected(
        NOTE if inputs is not None and inputs.encoded else ADVICE,
        f"The value {first.value:g} occurs in {first.share:.1%} of the rows and is far "
        "from all other values: it is a cap or a sentinel",
        ", ".join(dict.fromkeys(each.name for each in hits[:5])),
        "gap in interquartile ranges", first.gap, limits["gap"],
        Prescription(
            "Treat it as missing: impute the median and add a missing-value indicator "
            "column.",
            {"mask": mask}, ({"drop": tuple(mask)},),
        ), evidence,
    )  # fmt: skip


def unscaled_target(
    limits: Limits, numbers: NumberFacts, predictions: PredictionFacts | None,
    nearest: NeighborFacts | None,
) -> Finding | None:  # fmt: skip
    """scikit-learn user guide, "Transforming target in regression"."""
    low, high = limits["low"], limits["high"]
    # The network does worse than the mean of y, and the inputs can predict y.
    failed = predictions is not None and predictions.score < 0
    if failed and nearest is not None and nearest.best > 0:
        low, high = 1 / limits["lost"], limits["lost"]
    std = numbers.learned
    if low <= std <= high:
        return None
    return suspected(
        ADVICE, "The target is not scaled", "y", "standard deviation",
        std, high if std > 1 else low,
        Prescription("Standardize the target.", {"scale_target": True}),
    )  # fmt: skip


def noisy_labels(
    limits: Limits, neighborhoods: NeighborhoodFacts, nearest: NeighborFacts,
    validation: ValidationFacts | None, validation_score: ValidationScoreFacts | None,
) -> Finding | None:  # fmt: skip
    """Northcutt et al. (2021), "Confident learning"; neighbors as in Wilson (1972)."""
    signal = nearest.score > nearest.chance or _predicts_validation(
        neighborhoods, validation, validation_score
    )
    impure = neighborhoods.purity < limits["purity"]
    if not (impure and neighborhoods.disagree > limits["disagree"] and signal):
        return None
    agreement = validation.agreement if validation is not None else None
    clean = (agreement or 0.0) > nearest.score + limits["held"]
    return suspected(
        SERIOUS if clean else NOTE,
        "Labels contradict their neighbors everywhere, not only between classes",
        "y", "purity of the purest neighborhoods", neighborhoods.purity,
        limits["purity"],
        Prescription(
            "Correct the labels; until then, leave out the rows whose neighbors "
            "contradict their label.",
            {"leave_out": "contradicted"}, ({"l2": 3.0}, {"dropout": 0.5}),
        ),
    )  # fmt: skip


def misaligned_rows(
    limits: Limits, nearest: NeighborFacts, neighborhoods: NeighborhoodFacts | None,
    validation: ValidationFacts | None, validation_score: ValidationScoreFacts | None,
) -> Finding | None:  # fmt: skip
    """Permutation test of the nearest neighbors: Good (2005), chapter 3."""
    score, chance = nearest.score, nearest.chance
    predicted = nearest.linear > _highest_by_chance(neighborhoods, nearest.rows, 2)
    predicted = predicted or _predicts_validation(
        neighborhoods, validation, validation_score
    )
    if score > chance or predicted or nearest.rows < 40:
        return None
    if nearest.shifted > chance + limits["gain"]:
        return suspected(
            FATAL,
            f"X and y are misaligned: y fits if it is moved by {nearest.shift:+d} rows",
            "y", "agreement of neighbors", score, chance,
            Prescription("Move y back.", {"roll": nearest.shift}),
        )  # fmt: skip
    if validation is None or validation.agreement is None or validation.chance is None:
        return None
    if validation.agreement <= validation.chance + limits["gain"]:
        return None
    return suspected(
        FATAL,
        "X and y are misaligned: neighbors agree in the validation data, but not in "
        "the training data",
        "y", "agreement of neighbors", score, chance,
        Prescription("Put the rows of X and y back into the same order."),
    )  # fmt: skip


def leak(
    limits: Limits, best_column: BestColumnFacts, data: DataFacts,
    validation_column: ValidationColumnFacts | None, validation: ValidationFacts | None,
) -> Finding | None:  # fmt: skip
    """Kaufman et al. (2012), "Leakage in data mining"; Kapoor & Narayanan (2023)."""
    alone = best_column.alone
    enough = data.rows >= limits["rows"]  # among a few rows it may happen by chance
    lost = validation_column is not None and (
        alone - validation_column.alone > limits["lost"]
    )
    unique = alone - best_column.others > limits["others"]
    if enough and alone > limits["alone"] and (unique or lost):
        return suspected(
            FATAL if lost else SERIOUS,
            "One column by itself predicts the target" + (
                ", but not in the validation data" if lost
                else ", and the other columns together do not"),
            best_column.alone_name, "score of that column", alone, limits["alone"],
            Prescription(
                "Drop the column, unless its value is known before the target is.",
                {"drop": (best_column.alone_at,)},
            ),
        )  # fmt: skip
    if validation is None:
        return None
    chance = 2 * np.sqrt(limits["shared"] / validation.rows)
    if validation.shared > 2 * validation.repeated + limits["shared"] + chance:
        return suspected(
            SERIOUS, "Rows of the validation data are in the training data too",
            "X_val", "share of these rows", validation.shared, limits["shared"],
            Prescription("Drop the repeated rows, then split again."),
        )  # fmt: skip
    return None


def shifted_test(limits: Limits, validation: ValidationFacts) -> Finding | None:
    """Rabanser et al. (2019), "Failing loudly": tests of shift column by column."""
    share = max(validation.shifted, validation.stretched)
    if share <= limits["share"]:
        return None
    return suspected(
        ADVICE,
        "The validation data have a different mean or scale than the training data",
        "X_val", "share of columns", share, limits["share"],
        Prescription(
            "Transform the validation data with the scaler that was fitted on the "
            "training data, or split again.",
            {"match_held": True},
        ),
    )  # fmt: skip


def class_collapse(
    limits: Limits, labels: LabelFacts, predictions: PredictionFacts | None,
    validation: ValidationFacts | None,
) -> Finding | None:  # fmt: skip
    """He & Garcia (2009), "Learning from imbalanced data", section 3."""
    remedy = Prescription("Weight the classes equally.", {"class_weight": "balanced"})
    entropy = predictions.entropy if predictions is not None else None
    if entropy is not None and entropy < limits["entropy"]:
        return suspected(
            ADVICE, "The network predicts only a few of the classes", "output",
            "entropy of predictions over entropy of labels", entropy,
            limits["entropy"], remedy,
        )  # fmt: skip
    rarer = validation.rarer if validation is not None else None
    errors = validation.rarer_errors if validation is not None else None
    if rarer is not None and errors is not None and limits["rarer"] < rarer < 1e6:
        return suspected(
            SERIOUS if errors > limits["errors"] else NOTE,
            "A class is rarer in the training data than in the validation data", "y",
            "times rarer", rarer, limits["rarer"], remedy,
        )  # fmt: skip
    counts = [count for count in labels.counts if count]
    imbalance = max(counts) / min(counts)
    if imbalance > limits["imbalance"]:
        return suspected(
            NOTE, "A class is rare", "y", "largest over smallest class", imbalance,
            limits["imbalance"], remedy,
        )  # fmt: skip
    return None


def image_layout(limits: Limits, images: ImageFacts) -> Finding | None:
    """Ruderman (1994), "The statistics of natural images": neighbors are alike."""
    shape, along = images.shape, images.along
    if len(shape) < 3:
        return None
    gap = along[-1] - min(along[:-1])
    if gap <= limits["gap"] or shape[-1] <= limits["channels"]:
        return None
    axis = int(np.argmin(along[:-1]))
    return suspected(
        SERIOUS,
        f"Axis {axis + 1} of X looks like the channels, which must be the last axis",
        "X", "correlation of neighboring pixels, last axis minus that axis", gap,
        limits["gap"],
        Prescription(
            f"Move the axis: np.moveaxis(X, {axis + 1}, -1) gives height, width, "
            "channels."
        ),
    )  # fmt: skip


def no_signal(
    limits: Limits, target: TargetFacts, nearest: NeighborFacts | None,
    neighborhoods: NeighborhoodFacts | None,
    validation_score: ValidationScoreFacts | None,
    validation_share: ValidationShareFacts | None,
) -> Finding | NotMeasured | None:  # fmt: skip
    """Permutation test of the nearest neighbors, beside a linear and a constant one."""
    if target.unique == 1:
        return suspected(
            FATAL, "The target is the same in each row: there is nothing to learn",
            "y", "different values", 1, 2, Prescription("Check how y was made."),
        )  # fmt: skip
    if nearest is None:
        return NotMeasured(NeighborFacts)
    ceiling = _highest_by_chance(neighborhoods, nearest.rows, limits["errors"])
    on_validation = validation_score.score if validation_score is not None else -1.0
    best = max(nearest.linear, on_validation)
    predicted = nearest.score > nearest.chance or best > ceiling
    if validation_share is not None:
        # One more standard error, because the best epoch was chosen on these rows.
        enough = _highest_by_chance(
            neighborhoods, validation_share.rows, limits["errors"] + 1
        )
        predicted = predicted or validation_share.score > enough
    misaligned = nearest.shifted > nearest.chance + 0.1
    if predicted or misaligned or nearest.rows < 40:
        return None
    return suspected(
        ADVICE,
        "The inputs do not predict the target: neighbors and a linear model do no "
        "better than chance",
        "X", "best score of a simple model", best, ceiling,
        Prescription("Look for other inputs, and check the order of the rows."),
    )  # fmt: skip


def _highest_by_chance(
    neighborhoods: NeighborhoodFacts | None, rows: int, errors: float
) -> float:
    """Return what a constant prediction may score by chance."""
    constant = neighborhoods.constant if neighborhoods is not None else 0.0
    variance = max(constant * (1 - constant), 0.01)
    return constant + errors * float(np.sqrt(variance / rows))


def _predicts_validation(
    neighborhoods: NeighborhoodFacts | None, validation: ValidationFacts | None,
    validation_score: ValidationScoreFacts | None,
) -> bool:  # fmt: skip
    """Whether the network predicts the validation data better than by chance."""
    if validation is None or validation_score is None:
        return False
    highest = _highest_by_chance(neighborhoods, validation.rows, 2)
    return validation_score.score > highest


def few_rows(limits: Limits, data: DataFacts) -> Finding | None:
    """Wilson (1927): the 95 % interval of a share."""
    n = data.rows
    if n >= limits["rows"]:
        return None
    half = 0.98 / np.sqrt(n + 3.84)
    return suspected(
        NOTE,
        f"{n} rows are few: at best, a score is known to within ±{half:.2f}", "",
        "rows", n, limits["rows"], Prescription("Collect more rows."),
    )  # fmt: skip


def _first_three(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
