"""Rules about a Keras model: what its layers, its loss and its target say together."""

from typing import Any

from thalweg.diagnosis.facts.keras import ModelFacts, NormModeFacts, OutputLayerFacts
from thalweg.diagnosis.result import (
    Finding,
    Prescription,
    Severity,
    suspected,
)

NOTE, ADVICE, SERIOUS, FATAL = Severity
_NAN = float("nan")
_OF_CLASSES = ("categorical_crossentropy", "sparse_categorical_crossentropy")
_OF_NUMBERS = (
    "mean_squared_error", "mean_absolute_error", "huber", "log_cosh",
    "mean_squared_logarithmic_error", "mean_absolute_percentage_error", "poisson",
)  # fmt: skip
_PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid", "log_softmax")
_OF_SHARES = ("accuracy", "acc", "binary_accuracy", "categorical_accuracy",
              "sparse_categorical_accuracy")  # fmt: skip


def fitting(output: OutputLayerFacts) -> Prescription:
    """Return the output layer and loss that suit the target."""
    k, two = output.classes, output.classes == 2
    from_0 = output.low == 0 and output.high == k - 1
    own: dict[str, Any]
    if output.target == "numbers":
        own = _own("linear", output.columns, "mean_squared_error")
    elif output.target == "labels":
        own = _own("sigmoid", output.columns, "binary_crossentropy")
    elif output.form == "one-hot":
        own = _own("softmax", k, "categorical_crossentropy")
    elif two and from_0 and output.units == 1:
        own = _own("sigmoid", 1, "binary_crossentropy")
    elif two and (output.low, output.high) == (-1, 1):
        own = _own("tanh", 1, "mean_squared_error")
    elif from_0:
        own = _own("softmax", k, "sparse_categorical_crossentropy")
    elif output.low >= 0 and output.high < 10 * k + 10:
        own = _own("softmax", int(output.high) + 1, "sparse_categorical_crossentropy")
    else:
        return Prescription("Number the classes from 0.")
    if output.loss in _OF_NUMBERS and output.target == "numbers":
        own.pop("loss")
    now = {"outputs": output.units, "loss": output.loss,
           "output_activation": (output.activations or ("linear",))[-1]}  # fmt: skip
    several = len(output.activations) > 1 or output.logits
    changes = {name: value for name, value in own.items()
               if now[name] != value or (several and name != "outputs")}  # fmt: skip
    return Prescription(_in_words(own), changes or own)


def _own(activation: str, units: int, loss: str) -> dict[str, Any]:
    return {"output_activation": activation, "outputs": units, "loss": loss}


def _in_words(own: dict[str, Any]) -> str:
    units = "1 unit" if own["outputs"] == 1 else f"{own['outputs']} units"
    loss = f" and loss={own['loss']!r}" if "loss" in own else ""
    return (f"Use an output layer of {units} with "
            f"activation={own['output_activation']!r}{loss}.")  # fmt: skip


def degenerate_model_output(output: OutputLayerFacts) -> Finding | None:
    """Judge whether the outputs can tell rows and classes apart."""
    said = _degenerate(output)
    if said is None:
        return None
    severity, cause, value, limit, remedy = said
    return suspected(severity, cause, f"layer {output.layer!r}", "outputs", value,
                     limit, remedy)  # fmt: skip


def _degenerate(output: OutputLayerFacts) -> Any:
    units, k, acts = output.units, output.classes, output.activations
    last = acts[-1] if acts else "linear"
    remedy = fitting(output)
    if output.per_step:
        return (
            FATAL, "The model returns a value for each step of the sequence, and y has "
            "one for each row: each is compared with all", _NAN, _NAN,
            Prescription("Let the last recurrent layer return its last state only "
                         "(return_sequences=False).", {"last_state": True}),
        )  # fmt: skip
    if last == "softmax" and units == 1:
        return (FATAL, "Softmax over a single unit is 1 whatever the input", 1, 2,
                remedy)  # fmt: skip
    if output.loss in _OF_CLASSES and units == 1:
        return (FATAL, f"{output.loss} over a single output is 0 whatever the input",
                1, 2, remedy)  # fmt: skip
    if output.axis:
        return (
            SERIOUS, f"The softmax of layer {output.axis!r} sums over the rows and not "
            "over the classes", _NAN, _NAN,
            Prescription("Let the softmax sum over the last axis (axis=-1).",
                         {"output_activation": "softmax",
                          "without_layers": (output.axis,)}),
        )  # fmt: skip
    if output.target == "classes":
        if output.form == "one-hot" and units != output.columns:
            return (FATAL, f"y has {output.columns} columns and the model {units} "
                    "output(s)", units, output.columns, remedy)  # fmt: skip
        if units == 1 and k > 2:
            return (FATAL, f"The model has one output for {k} classes", 1, k, remedy)
        if output.form == "numbers" and units > 1 and output.high >= units:
            return (FATAL, f"y holds the class number {output.high:g}, but the model "
                    f"has outputs for 0 to {units - 1}", units, output.high + 1,
                    remedy)  # fmt: skip
    elif units != output.columns and units:
        return (FATAL, f"y has {output.columns} column(s) and the model {units} "
                "output(s)", units, output.columns, remedy)  # fmt: skip
    if output.logits and last in ("softmax", "sigmoid"):
        return (SERIOUS, f"Two activations are applied to the output: {last}, and the "
                "one in the loss (from_logits=True)", 2, 1, remedy)  # fmt: skip
    if len(acts) > 1:
        return (SERIOUS, "Several activations are applied to the output: "
                + ", then ".join(acts), len(acts), 1, remedy)  # fmt: skip
    if output.noise:
        return (SERIOUS, f"Dropout is applied to the output (layer {output.noise!r})",
                _NAN, _NAN, _without(output.noise))  # fmt: skip
    if output.norm:
        return (ADVICE, f"The output is normalized (layer {output.norm!r})",
                _NAN, _NAN, _without(output.norm))  # fmt: skip
    return None


def _without(layer: str) -> Prescription:
    return Prescription("Leave out that layer.", {"without_layers": (layer,)})


def unreachable_model_output(output: OutputLayerFacts) -> Finding | None:
    """Judge whether the output's activation can reach what the loss or y wants."""
    last = output.activations[-1] if output.activations else "linear"
    place, remedy = f"layer {output.layer!r}", fitting(output)
    if output.target == "numbers":
        share = output.unreachable
        if share <= 0.01 and not (last == "softmax" and output.units > 1):
            return None
        return suspected(
            SERIOUS, f"The output's activation, {last}, cannot reach the target",
            place, "share of targets out of reach", share, 0.01, remedy,
        )  # fmt: skip
    by_probability = output.loss in (*_OF_CLASSES, "binary_crossentropy") or (
        "focal" in output.loss)  # fmt: skip
    if by_probability and not output.logits and last not in _PROBABILITIES:
        return suspected(
            SERIOUS,
            f"The loss {output.loss} takes probabilities, but the outputs are "
            f"{last}: they are not between 0 and 1", place, "", _NAN, _NAN, remedy,
        )  # fmt: skip
    negative = output.form == "numbers" and output.low < 0
    if negative and last in ("sigmoid", "softmax", "relu") and output.units == 1:
        return suspected(
            SERIOUS, f"The output's activation, {last}, cannot reach the target "
            f"{output.low:g}", place, "smallest target", output.low, 0, remedy,
        )  # fmt: skip
    if last == "relu" and not by_probability and not output.logits:
        return suspected(
            ADVICE, "ReLU at the output: a unit that is 0 for all rows learns nothing",
            place, "", _NAN, _NAN, remedy,
        )  # fmt: skip
    return None


def wrong_model_loss(output: OutputLayerFacts) -> Finding | None:
    """Judge whether the loss suits the target and the output."""
    loss, target = output.loss, output.target
    last = output.activations[-1] if output.activations else "linear"
    remedy, entropy = fitting(output), "crossentropy" in output.loss
    if not loss:
        return None

    def found(severity: Severity, cause: str) -> Finding:
        return suspected(severity, cause, f"loss {loss}", "", _NAN, _NAN, remedy)

    if target == "numbers" and entropy:
        return found(SERIOUS, f"The target is numbers, but {loss} is a loss of classes")
    if target != "numbers" and loss in _OF_NUMBERS:
        hinge = (output.low, output.high) == (-1, 1)
        return (
            None
            if hinge
            else found(NOTE, f"The target is classes, but {loss} is a loss of numbers")
        )
    if loss == "sparse_categorical_crossentropy" and output.form == "one-hot":
        return found(FATAL, f"{loss} takes class numbers, but y has a column a class")
    wide = output.form == "numbers" and output.units > 1
    if loss == "categorical_crossentropy" and wide:
        return found(FATAL, f"{loss} takes a column a class, but y has class numbers")
    if loss == "binary_crossentropy" and wide and target == "classes":
        return found(FATAL, f"{loss} takes a column a class, but y has class numbers")
    if loss == "binary_crossentropy" and output.form == "numbers" and (
        target == "classes" and (output.low < 0 or output.high > 1)):  # fmt: skip
        return found(
            SERIOUS,
            f"{loss} takes targets from 0 to 1, but y goes from "
            f"{output.low:g} to {output.high:g}",
        )
    if loss in _OF_CLASSES and target == "labels":
        return found(ADVICE, "A row may have several labels, but "
                     f"{loss} supposes one")  # fmt: skip
    if loss in _OF_CLASSES and last == "sigmoid" and output.units > 1:
        return found(NOTE, f"Sigmoid outputs are not one distribution, which {loss} "
                     "supposes")  # fmt: skip
    if loss == "binary_crossentropy" and last == "softmax" and output.units > 2:
        return found(NOTE, f"{loss} takes each output by itself, but softmax makes "
                     "them one distribution")  # fmt: skip
    return None


def wrong_model_metric(output: OutputLayerFacts) -> Finding | None:
    """Judge whether the metrics can be read for this target."""
    if output.target != "numbers":
        return None
    hits = [name for name in output.metrics if name in _OF_SHARES]
    if not hits:
        return None
    return suspected(
        ADVICE, f"The metric {hits[0]} counts equal numbers, and means nothing for a "
        "target of quantities", f"metric {hits[0]!r}", "", _NAN, _NAN,
        Prescription("Use metrics=['mae'] or the loss; compare it with that of the "
                     "mean."),
    )  # fmt: skip


def frozen_model_layers(model: ModelFacts) -> Finding | None:
    """Judge the layers that are not trained."""
    if not model.frozen:
        return None
    cause = "No layer is trained" if model.all_frozen else "A layer is not trained"
    return suspected(
        SERIOUS if model.all_frozen else NOTE, cause,
        f"layer {', '.join(map(repr, model.frozen[:3]))}", "layers",
        len(model.frozen), 0,
        Prescription("Train the layer (trainable = True).", {"frozen": False}),
    )  # fmt: skip


def mode_of_norms(modes: NormModeFacts, model: ModelFacts | None) -> Finding | None:
    """Judge running statistics that do not fit the data yet."""
    gap = modes.training - modes.evaluation
    if gap <= 0.1:
        return None
    few = model is not None and model.norm_updates < 1
    return suspected(
        SERIOUS,
        "On the same rows the model scores lower in evaluation mode than in training "
        "mode: the running statistics of batch normalization are not those of the data"
        + (", because there were few updates" if few else ""),
        "BatchNormalization", "score in training mode minus in evaluation mode", gap,
        0.1,
        Prescription("Lower the momentum of BatchNormalization to 0.9, or train with "
                     "more updates.", {"norm_momentum": 0.9},
                     ({"batch_norm": False},)),
    )  # fmt: skip
