"""Rules about what was set up: loss, output, first weights, layers."""

from collections.abc import Sequence
from typing import Any

from thalweg.diagnosis.result import Evidence, Facts, Finding, Prescription, Severity
from thalweg.diagnosis.result import suspected as found

Limits = dict[str, float]
NOTE, ADVICE, SERIOUS, FATAL = Severity
_FRESH = {"init": "auto"}
_FRESH_RELU = {"activation": "relu", "init": "auto"}
_DEEP = 4  # hidden layers, beyond which fewer may do better


def wrong_loss(facts: Facts, limit: Limits) -> Finding | None:
    """Bishop (2006), Pattern Recognition and Machine Learning, section 5.2."""
    unique, by_class = facts["target.unique"], facts["static.by_class"]
    if not by_class and facts.get("numbers.like_classes") and unique > 2:
        return found(
            NOTE, f"{unique} whole numbers are learned as quantities, not as classes",
            "loss", "different values", unique, limit["values"],
            Prescription("Learn them as classes, by cross-entropy.",
                         {"target": "classes"}),
        )  # fmt: skip
    many = unique > max(limit["values"], facts["data.rows"] / 5)
    if by_class and many and facts.get("labels.numbers"):
        return found(
            SERIOUS, "Each number of the target is learned as a class of its own",
            "loss", "classes", unique, limit["values"],
            Prescription("Learn a quantity, by squared error.", {"target": "numbers"}),
        )  # fmt: skip
    return None


def degenerate_output(facts: Facts, limit: Limits) -> Finding | None:
    """Bridle (1990): softmax is invariant to a shift, so one unit is always 1."""
    squashed = facts["static.output_activation"] != "identity"
    remedy = Prescription("Leave the output layer linear: the loss squashes it.",
                          {"output_activation": "identity"})  # fmt: skip
    alone = facts["static.outputs"] == 1
    if alone and facts["static.loss"] in ("cross_entropy", "focal", "hinge"):
        return found(
            FATAL, "Softmax over a single unit is 1 whatever the input", "output layer",
            "outputs", 1, 2,
            Prescription("Give one output a class, or take binary cross-entropy.",
                         {"target": "classes"}),
        )  # fmt: skip
    if facts["static.lacks_outputs"]:
        return found(
            FATAL, "There are more classes than outputs", "output layer", "outputs",
            facts["static.outputs"], facts["target.unique"],
            Prescription("Give one output a class."),
        )  # fmt: skip
    if facts["static.by_class"] and squashed:
        name = facts["static.output_activation"]
        return found(
            SERIOUS, f"The output is squashed twice: by {name} and by the loss",
            "output layer", "squashings", 2, 1, remedy,
        )  # fmt: skip
    std = facts.get("end.output_std", 1.0)
    if std >= limit["std"]:
        return None
    return found(
        ADVICE, "The output is the same for each row", "output layer",
        "standard deviation", std, limit["std"], None,
    )  # fmt: skip


def unreachable_output(facts: Facts, limit: Limits) -> Finding | None:
    """Bishop (2006), section 5.1: the output unit must suit the target's range."""
    share = facts["static.unreachable"]
    if share <= limit["share"]:
        return None
    name = facts["static.output_activation"]
    return found(
        SERIOUS, f"The output's {name} cannot reach the target", "output layer",
        "share of targets out of reach", share, limit["share"],
        Prescription("Make the output linear.", {"output_activation": "identity"}),
    )  # fmt: skip


def no_nonlinearity(facts: Facts, limit: Limits) -> Finding | None:
    """Cybenko (1989): without a non-linearity, layers are one linear map."""
    if not facts["static.linear"]:
        return None
    layers = len(facts["static.widths"])
    return found(
        NOTE, "All hidden layers are linear: together they are one linear map",
        "hidden layers", "linear layers", layers, 0,
        Prescription("Use ReLU.", _FRESH_RELU,
                     ({"activation": "tanh", "init": "auto"},)),
    )  # fmt: skip


def frozen_layer(facts: Facts, limit: Limits) -> Finding | None:
    """Yosinski et al. (2014): frozen layers help only if they were learned before."""
    if facts.get("steps.still"):
        return found(
            SERIOUS, "Weights do not move, although their gradient is not 0",
            facts["steps.still"], "steps without a move", facts["steps.count"], 0,
            Prescription("Give them to the optimizer too."),
        )  # fmt: skip
    frozen = facts["static.frozen"]
    if not frozen:
        return None
    return found(
        NOTE, "A layer is not trained", f"layer {', '.join(map(str, frozen))}",
        "layers", len(frozen), 0, Prescription("Train it.", {"frozen": False}),
    )  # fmt: skip


def symmetric_init(facts: Facts, limit: Limits) -> Finding | None:
    """Goodfellow et al. (2016), Deep Learning, section 8.4."""
    share = facts["start.twins"]
    still = facts["start.zero_gradient"]
    if share <= limit["share"] and not still:
        return None
    what = "Units of a layer begin alike and stay alike" if not still else (
        "No gradient reaches any weight at the start")  # fmt: skip
    return found(
        SERIOUS, what, "first weights", "share of identical units", share,
        limit["share"],
        Prescription("Draw the first weights at random.", _FRESH, (_FRESH_RELU,)),
    )  # fmt: skip


def init_scale(facts: Facts, limit: Limits) -> Finding | None:
    """He et al. (2015), section 2.2; Glorot & Bengio (2010), section 4.2."""
    *spreads, last = facts["start.spreads"]
    loss, trivial = facts["start.loss"], facts["start.trivial"]
    if facts["static.normalized"] or not max(spreads, default=0) > 0:
        return None  # all zeros are alike before they are small
    if "numbers.learned" in facts:  # outputs may begin small, but not huge
        spreads.append(max(last / max(facts["numbers.learned"], 1e-9), 1.0))
    far = max(
        spreads, key=lambda s: max(s / limit["high"], limit["low"] / max(s, 1e-9))
    )
    off = not limit["low"] <= far <= limit["high"]
    lossy = facts["static.by_class"] and loss > limit["loss"] * trivial
    if not off and not lossy:
        return None
    evidence = _bars("Values in each layer before training", "standard deviation",
                     spreads, log=True)  # fmt: skip
    shallow = [{**_FRESH, "hidden": (100, 100)}] if len(spreads) > _DEEP else []
    value, bound = (loss / trivial, limit["loss"]) if not off else (
        far, limit["high" if far > 1 else "low"])  # fmt: skip
    return found(
        NOTE, "The first weights are too " + ("small" if off and far < 1 else "large"),
        f"layer {spreads.index(far)}" if off else "",
        "spread of its values" if off else "first loss over the trivial one",
        value, bound,
        Prescription("Draw them by the widths.", _FRESH,
                     (_FRESH_RELU, {**_FRESH, "clip_norm": 1.0}, *shallow)), evidence,
    )  # fmt: skip


def saturated_units(facts: Facts, limit: Limits) -> Finding | None:
    """Glorot & Bengio (2010), section 3."""
    when = "end" if "end.saturated" in facts else "start"
    share, layer = facts[f"{when}.saturated"], facts[f"{when}.saturated_layer"]
    if share <= limit["share"]:
        return None
    return found(
        NOTE, "Most units are saturated: their slope is almost 0", f"layer {layer}",
        "share of units", share, limit["share"],
        Prescription("Draw the first weights by the layer's widths.", _FRESH,
                     ({"scale": True}, {"batch_norm": True, "init": "auto"},
                      _FRESH_RELU)),
    )  # fmt: skip


def dead_units(facts: Facts, limit: Limits) -> Finding | None:
    """Lu et al. (2020), "Dying ReLU and initialization"."""
    when = "end" if "end.dead" in facts else "start"
    share, layer = facts[f"{when}.dead"], facts[f"{when}.dead_layer"]
    if share <= limit["share"]:
        return None
    by_layer = facts[f"{when}.dead_by_layer"]
    shallow = [{**_FRESH, "hidden": (100, 100)}] if len(by_layer) > _DEEP else []
    evidence = _bars("Units that are 0 on every row", "share of units", by_layer,
                     limit=limit["share"])  # fmt: skip
    return found(
        NOTE, "Units are 0 on every row and learn nothing", f"layer {layer}",
        "share of units", share, limit["share"],
        Prescription("Draw the first weights anew, biases at 0.", _FRESH,
                     ({"activation": "leaky_relu", "init": "auto"}, *shallow)),
        evidence,
    )  # fmt: skip


def vanishing_gradient(facts: Facts, limit: Limits) -> Finding | None:
    """Hochreiter (1991); Glorot & Bengio (2010), section 4.2."""
    ratio = facts["start.vanishing"]
    learned = facts.get("end.loss", 1.0) < limit["loss"] * facts["start.trivial"]
    if ratio >= limit["ratio"] or (learned and "end.loss" in facts):
        return None
    sizes = facts["start.gradients"]
    evidence = _bars("Gradient of each layer's weights at the start",
                     "root mean square", sizes, log=True)  # fmt: skip
    return found(
        ADVICE, "The gradient dies out on the way to the first layer", "layer 0",
        "gradient of the first over the last layer", ratio, limit["ratio"],
        Prescription("Use ReLU and weights drawn for it.",
                     _FRESH_RELU, ({"batch_norm": True, "init": "auto"},
                                   {"hidden": (100, 100), **_FRESH_RELU})), evidence,
    )  # fmt: skip


def _bars(title: str, what: str, values: Sequence[float], **more: Any) -> Evidence:
    """Draw a value of each layer."""
    names = tuple(f"layer {k}" for k in range(len(values)))
    return Evidence("bars", title, "layer", what, names, tuple(values), **more)
