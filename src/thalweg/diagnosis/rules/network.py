"""Rules about what was set up: loss, output, initialization, layers."""

from collections.abc import Sequence
from typing import Any

from thalweg.diagnosis.facts.data import DataFacts, LabelFacts, NumberFacts, TargetFacts
from thalweg.diagnosis.facts.group import NotMeasured
from thalweg.diagnosis.facts.network import (
    LayerFacts,
    PlanFacts,
    StartFacts,
    StartUnitFacts,
)
from thalweg.diagnosis.facts.training import EndLossFacts, EndUnitFacts, OutputFacts
from thalweg.diagnosis.facts.user_function import StepFacts
from thalweg.diagnosis.result import (
    Evidence,
    Finding,
    Limits,
    Prescription,
    Severity,
    suspected,
)

NOTE, ADVICE, SERIOUS, FATAL = Severity
_SCALED_INIT = {"init": "auto"}
_RELU = {"activation": "relu", "init": "auto"}
_USE_SCALED_INIT = (
    'Use an initializer scaled by layer width, such as He or Glorot (`init="auto"`).'
)
_DEEP = 4
"""With more hidden layers than this, fewer layers are tried as a remedy too."""


def wrong_loss(
    limits: Limits, target: TargetFacts, plan: PlanFacts, data: DataFacts,
    numbers: NumberFacts | None, labels: LabelFacts | None,
) -> Finding | None:  # fmt: skip
    """Bishop (2006), Pattern Recognition and Machine Learning, section 5.2."""
    unique, like_classes = target.unique, numbers is not None and numbers.like_classes
    if not plan.by_class and like_classes and unique > 2:
        return suspected(
            NOTE,
            f"The target has {unique} different whole numbers, which are learned as "
            "quantities, not as classes",
            "loss", "different values", unique, limits["values"],
            Prescription("Learn them as classes, by cross-entropy.",
                         {"target": "classes"}),
        )  # fmt: skip
    many = unique > max(limits["values"], data.rows / 5)
    if plan.by_class and many and labels is not None and labels.numbers:
        return suspected(
            SERIOUS, "Each number of the target is learned as a class of its own",
            "loss", "classes", unique, limits["values"],
            Prescription("Learn a quantity, by squared error.", {"target": "numbers"}),
        )  # fmt: skip
    return None


def degenerate_output(
    limits: Limits, layers: LayerFacts, plan: PlanFacts, target: TargetFacts,
    outputs: OutputFacts | None,
) -> Finding | None:  # fmt: skip
    """Bridle (1990): softmax is invariant to a shift, so one unit is always 1."""
    if layers.outputs == 1 and plan.loss in ("cross_entropy", "focal", "hinge"):
        return suspected(
            FATAL, "Softmax over a single unit is 1 whatever the input", "output layer",
            "outputs", 1, 2,
            Prescription("Use one output per class, or use binary cross-entropy.",
                         {"target": "classes"}),
        )  # fmt: skip
    if layers.lacks_outputs:
        return suspected(
            FATAL, "There are more classes than outputs", "output layer", "outputs",
            layers.outputs, target.unique, Prescription("Use one output per class."),
        )  # fmt: skip
    if plan.by_class and layers.output_activation != "identity":
        return suspected(
            SERIOUS,
            "Two activations are applied to the output: "
            f"{layers.output_activation}, and the one in the loss",
            "output layer", "activations", 2, 1,
            Prescription(
                "Make the output layer linear: the loss contains the activation.",
                {"output_activation": "identity"},
            ),
        )  # fmt: skip
    if outputs is None or outputs.output_std >= limits["std"]:
        return None
    return suspected(
        ADVICE, "The output is the same for each row", "output layer",
        "standard deviation", outputs.output_std, limits["std"], None,
    )  # fmt: skip


def unreachable_output(limits: Limits, layers: LayerFacts) -> Finding | None:
    """Bishop (2006), section 5.1: the output unit must suit the target's range."""
    share = layers.unreachable
    if share <= limits["share"]:
        return None
    return suspected(
        SERIOUS,
        f"The output's activation, {layers.output_activation}, cannot reach the target",
        "output layer", "share of targets out of reach", share, limits["share"],
        Prescription("Make the output layer linear.",
                     {"output_activation": "identity"}),
    )  # fmt: skip


def no_nonlinearity(limits: Limits, layers: LayerFacts) -> Finding | None:
    """Cybenko (1989): without a non-linearity, layers are one linear map."""
    if not layers.linear:
        return None
    return suspected(
        NOTE, "All hidden layers are linear: together they are one linear map",
        "hidden layers", "linear layers", len(layers.widths), 0,
        Prescription("Use ReLU.", _RELU, ({"activation": "tanh", "init": "auto"},)),
    )  # fmt: skip


def frozen_layer(
    limits: Limits, steps: StepFacts | None, layers: LayerFacts | None
) -> Finding | NotMeasured | None:
    """Yosinski et al. (2014): frozen layers help only if they were learned before."""
    if steps is not None and steps.still:
        return suspected(
            SERIOUS, "Some weights do not change, although their gradient is not 0",
            steps.still, "steps without a change", steps.count, 0,
            Prescription("Pass these weights to the optimizer too."),
        )  # fmt: skip
    if layers is None:
        return NotMeasured(LayerFacts)
    if not layers.frozen:
        return None
    return suspected(
        NOTE, "A layer is not trained", f"layer {', '.join(map(str, layers.frozen))}",
        "layers", len(layers.frozen), 0,
        Prescription("Train the layer.", {"frozen": False}),
    )  # fmt: skip


def symmetric_init(limits: Limits, start: StartFacts) -> Finding | None:
    """Goodfellow et al. (2016), Deep Learning, section 8.4."""
    if start.twins <= limits["share"] and not start.zero_gradient:
        return None
    return suspected(
        SERIOUS,
        "The gradient of every weight is 0 at the start" if start.zero_gradient
        else "Units of a layer start equal and stay equal",
        "initialization", "share of identical units", start.twins, limits["share"],
        Prescription("Initialize the weights at random.", _SCALED_INIT, (_RELU,)),
    )  # fmt: skip


def init_scale(
    limits: Limits, start: StartFacts, layers: LayerFacts, plan: PlanFacts,
    numbers: NumberFacts | None,
) -> Finding | None:  # fmt: skip
    """He et al. (2015), section 2.2; Glorot & Bengio (2010), section 4.2."""
    *spreads, last = start.spreads
    if layers.normalized or not max(spreads, default=0) > 0:
        return None  # weights that are all 0 are reported as equal, not as small
    if numbers is not None:  # outputs may start small, but not huge
        spreads.append(max(last / max(numbers.learned, 1e-9), 1.0))
    far = max(
        spreads, key=lambda s: max(s / limits["high"], limits["low"] / max(s, 1e-9))
    )
    off = not limits["low"] <= far <= limits["high"]
    lossy = plan.by_class and start.loss > limits["loss"] * start.trivial
    if not off and not lossy:
        return None
    evidence = _bars_by_layer("Values in each layer before training",
                              "standard deviation", spreads, log=True)  # fmt: skip
    remedy = Prescription(
        _USE_SCALED_INIT, _SCALED_INIT,
        (_RELU, {**_SCALED_INIT, "clip_norm": 1.0}, *_shallow(len(spreads))),
    )  # fmt: skip
    if not off:
        return suspected(
            NOTE, "The initial weights are too large", "",
            "first loss over the loss of a constant prediction",
            start.loss / start.trivial, limits["loss"], remedy, evidence,
        )  # fmt: skip
    small = far < 1
    return suspected(
        NOTE, f"The initial weights are too {'small' if small else 'large'}",
        f"layer {spreads.index(far)}", "standard deviation of its values", far,
        limits["low" if small else "high"], remedy, evidence,
    )  # fmt: skip


def _shallow(n_layers: int) -> list[dict[str, Any]]:
    """Return a remedy with fewer layers, where there are many."""
    return [{**_SCALED_INIT, "hidden": (100, 100)}] if n_layers > _DEEP else []


def saturated_units(
    limits: Limits, start_units: StartUnitFacts | None, end_units: EndUnitFacts | None
) -> Finding | NotMeasured | None:
    """Glorot & Bengio (2010), section 3."""
    units = end_units or start_units
    if units is None:
        return NotMeasured(StartUnitFacts)
    if units.saturated <= limits["share"]:
        return None
    return suspected(
        NOTE, "Most units are saturated: their slope is almost 0",
        f"layer {units.saturated_layer}", "share of units", units.saturated,
        limits["share"],
        Prescription(_USE_SCALED_INIT, _SCALED_INIT,
                     ({"scale": True}, {"batch_norm": True, "init": "auto"}, _RELU)),
    )  # fmt: skip


def dead_units(
    limits: Limits, start_units: StartUnitFacts | None, end_units: EndUnitFacts | None
) -> Finding | NotMeasured | None:
    """Lu et al. (2020), "Dying ReLU and initialization"."""
    units = end_units or start_units
    if units is None:
        return NotMeasured(StartUnitFacts)
    if units.dead <= limits["share"]:
        return None
    evidence = _bars_by_layer("Units that are 0 for every row", "share of units",
                              units.dead_by_layer, limit=limits["share"])  # fmt: skip
    leaky = {"activation": "leaky_relu", "init": "auto"}
    return suspected(
        NOTE, "Units are 0 for every row and learn nothing",
        f"layer {units.dead_layer}", "share of units", units.dead, limits["share"],
        Prescription("Initialize the weights again, with biases of 0.", _SCALED_INIT,
                     (leaky, *_shallow(len(units.dead_by_layer)))),
        evidence,
    )  # fmt: skip


def vanishing_gradient(
    limits: Limits, start: StartFacts, end_loss: EndLossFacts | None
) -> Finding | None:
    """Hochreiter (1991); Glorot & Bengio (2010), section 4.2."""
    learned = end_loss is not None and (end_loss.loss < limits["loss"] * start.trivial)
    if start.vanishing >= limits["ratio"] or learned:
        return None
    evidence = _bars_by_layer(
        "Gradient of each layer's weights at the start", "root mean square",
        start.gradients, log=True,
    )  # fmt: skip
    return suspected(
        ADVICE, "The gradient vanishes on its way to the first layer", "layer 0",
        "gradient of the first layer over that of the last layer", start.vanishing,
        limits["ratio"],
        Prescription("Use ReLU with the initializer made for it (He).", _RELU,
                     ({"batch_norm": True, "init": "auto"},
                      {"hidden": (100, 100), **_RELU})), evidence,
    )  # fmt: skip


def _bars_by_layer(
    title: str, what: str, values: Sequence[float], **options: Any
) -> Evidence:
    names = tuple(f"layer {k}" for k in range(len(values)))
    return Evidence("bars", title, "layer", what, names, tuple(values), **options)
