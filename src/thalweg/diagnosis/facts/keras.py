"""What the layers, the loss and the optimizer of a Keras model say."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core import Array
from thalweg.diagnosis.facts.group import FactGroup
from thalweg.diagnosis.facts.network import (
    BatchFacts,
    LayerFacts,
    PlanFacts,
    RateFacts,
)
from thalweg.diagnosis.facts.sample import Sample
from thalweg.diagnosis.facts.training import EndUnitFacts
from thalweg.diagnosis.keras_layers import (
    LayerView,
    initializer_value,
    read_layers,
    recurrent_activation,
    value_of,
)
from thalweg.diagnosis.keras_reader import KerasProblem, outputs_of, typical_rate
from thalweg.diagnosis.keras_recipe import loss_name, loss_setting, metric_names

_NO_MODEL = "no Keras model was given"
_RANGES = {
    "sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0),
    "softmax": (0.0, 1.0), "softsign": (-1.0, 1.0), "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0), "softplus": (0.0, np.inf),
}  # fmt: skip
_FEW = 256


@dataclass(frozen=True)
class OutputLayerFacts(FactGroup):
    """The output layer, the loss and the target, side by side.

    Parameters
    ----------
    layer : str
        Name of the last layer with weights.
    units : int
    activations : tuple of str
        Of the outputs, in order, without linear ones.
    loss : str
        "" if the model is not compiled.
    logits : bool
        Whether the loss takes outputs before the activation.
    target : {"classes", "labels", "numbers"}
    form : {"numbers", "one-hot", "values"}
    classes : int
    columns : int
        Columns of the target.
    low, high : float
        The smallest and the largest number of the target.
    unreachable : float
        Share of a numeric target that the last activation cannot reach.
    per_step : bool
        Whether the model returns a value for each step of a sequence, and the target
        has one for each row.
    noise : str
        Name of a layer of dropout or noise behind the last layer with weights.
    norm : str
        Name of a layer of normalization there.
    axis : str
        Name of a layer whose softmax sums over another axis than the last one.
    metrics : tuple of str
    """

    prefix = "output"
    why_not = _NO_MODEL
    remeasured = True

    layer: str
    units: int
    activations: tuple[str, ...]
    loss: str
    logits: bool
    target: str
    form: str
    classes: int
    columns: int
    low: float
    high: float
    unreachable: float
    per_step: bool
    noise: str
    norm: str
    axis: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class ModelFacts(FactGroup):
    """The layers of a Keras model.

    Parameters
    ----------
    frozen : tuple of str
        Layers with weights that are not trained.
    all_frozen : bool
        Whether no weight is trained.
    constant : tuple of str
        Layers whose weights all start at one value.
    linear : tuple of str
        Hidden layers without a non-linearity, followed by another layer.
    hidden : int
        The number of hidden layers.
    squashing : int
        Hidden layers with a sigmoid.
    unadapted : tuple of str
        Normalization layers without statistics.
    relu_recurrence : tuple of str
    norms : int
        Layers of batch normalization.
    norm_updates : float
        Updates of their statistics, over what their momentum needs.
    penalty : float
        The penalties over the last loss; 0 if not known.
    l2 : float
        The largest weight of a penalty.
    compiled : bool
    """

    prefix = "model"
    why_not = _NO_MODEL
    remeasured = True

    frozen: tuple[str, ...]
    all_frozen: bool
    constant: tuple[str, ...]
    linear: tuple[str, ...]
    hidden: int
    squashing: int
    unadapted: tuple[str, ...]
    relu_recurrence: tuple[str, ...]
    norms: int
    norm_updates: float
    penalty: float
    l2: float
    compiled: bool


@dataclass(frozen=True)
class NormModeFacts(FactGroup):
    """The score on the same rows in training mode and in evaluation mode."""

    prefix = "mode"
    why_not = "the model has no batch normalization, or was not trained"
    remeasured = True

    training: float
    evaluation: float


def facts_of_keras_plan(
    problem: KerasProblem,
) -> tuple[PlanFacts, RateFacts | None, BatchFacts]:
    """Read what the model was compiled with, and how long it is trained."""
    optimizer = problem.recipe.new_optimizer()
    plan = PlanFacts(
        loss=problem.loss,
        optimizer=type(optimizer).__name__,
        first_order=True,
        l2=0.0,
        epochs=problem.epochs,
        by_class=problem.by_class,
        batch=min(problem.batch, len(problem.y)),
    )
    rate = None
    if problem.recipe.optimizer is not None or problem.recipe.optimizer_settings:
        steps = problem.epochs * -(-len(problem.y) // max(problem.batch, 1))
        value = typical_rate(optimizer, steps)
        usual = float(value_of(type(optimizer)().learning_rate))
        rate = RateFacts(value, usual)
    return plan, rate, BatchFacts(1.0)


def model_of(problem: KerasProblem, run: Any) -> Any:
    """Return the model that a run trained; without one, the problem's own."""
    if run is not None:
        return run.model
    recipe = problem.recipe
    changed = recipe.layers or recipe.dropped
    return recipe.build(0) if changed else recipe.model


def facts_of_model(
    problem: KerasProblem, run: Any
) -> tuple[LayerFacts, OutputLayerFacts, ModelFacts]:
    """Read the layers, and compare the output layer and the loss with the target."""
    model = model_of(problem, run)
    views, front = read_layers(model)
    output = _facts_of_output(problem, model, views)
    hidden = views[:-1]
    frozen = tuple(view.name for view in views if not _is_trained(view.layer))
    nonlinear = [view for view in hidden if view.kind != "Embedding"]
    linear = tuple(view.name for view in nonlinear if _is_linear(view))
    rates = [float(layer.rate) for view in hidden for layer in view.after
             if "Dropout" in type(layer).__name__]  # fmt: skip
    norms = [layer for view in hidden for layer in view.after
             if "Normalization" in type(layer).__name__]  # fmt: skip
    batch_norms = [n for n in norms if type(n).__name__ == "BatchNormalization"]
    layers = LayerFacts(
        widths=tuple(view.units for view in hidden if view.kind == "Dense"),
        outputs=output.units,
        lacks_outputs=False,
        linear=bool(nonlinear) and len(linear) == len(nonlinear),
        output_activation=output.activations[-1] if output.activations else "identity",
        frozen=(),
        normalized=bool(norms),
        dropout=max(rates, default=0.0),
        unreachable=output.unreachable,
    )
    steps = max(len(problem.y) // max(min(problem.batch, len(problem.y)), 1), 1)
    done = len(run.history) if run is not None and len(run.history) else problem.epochs
    needed = [3 / max(1 - float(n.momentum), 1e-6) for n in batch_norms]
    return layers, output, ModelFacts(
        frozen=frozen,
        all_frozen=bool(model.weights) and not model.trainable_variables,
        constant=_constant(model, views, run is not None),
        linear=linear,
        hidden=len(nonlinear),
        squashing=sum("sigmoid" in view.activations
                      for view in nonlinear if not view.recurrent),
        unadapted=tuple(n.name for n in front
                        if type(n).__name__ == "Normalization" and _is_unadapted(n)),
        relu_recurrence=tuple(view.name for view in views
                              if recurrent_activation(view) == "relu"),
        norms=len(batch_norms),
        norm_updates=steps * done / max(needed) if needed else 1.0,
        penalty=_penalty(model, run),
        l2=_strength(views),
        compiled=bool(problem.recipe.loss),
    )  # fmt: skip


def _is_trained(layer: Any) -> bool:
    return bool(layer.trainable) and (not layer.weights or bool(
        layer.trainable_variables))  # fmt: skip


def _is_linear(view: LayerView) -> bool:
    """Whether a layer and what follows it is linear, before the next one."""
    if view.recurrent or view.activations:
        return False
    pools = [type(layer).__name__ for layer in view.after]
    return not any("MaxPooling" in p or "LayerNorm" in p or "Lambda" in p
                   for p in pools)  # fmt: skip


def _is_unadapted(layer: Any) -> bool:
    if getattr(layer, "input_mean", None) is not None:
        return False
    if not layer.built:
        return True
    count = getattr(layer, "count", None)
    mean, variance = (value_of(getattr(layer, name, 0.0)) for name in (
        "adapt_mean", "adapt_variance"))  # fmt: skip
    fresh = not mean.any() and bool((variance == 1).all())
    return fresh and (count is None or int(value_of(count)) == 0)


def _constant(model: Any, views: list[LayerView], trained: bool) -> tuple[str, ...]:
    """Return the layers whose weights start at one value."""
    found: list[str] = []
    for view in views:
        value = initializer_value(view.layer)
        kernel = view.kernel
        same = kernel is not None and kernel.size > 1 and np.ptp(kernel) == 0
        twins = kernel is not None and kernel.ndim == 2 and kernel.shape[1] > 1 and (
            trained and value is not None)  # fmt: skip
        hidden = view is not views[-1] or len(views) == 1
        if (value is not None or (same and not trained)) and (hidden or twins):
            found.append(view.name)
    # A single layer of one unit or a linear model may start at 0.
    if len(views) == 1:
        return ()
    return tuple(found)


def _penalty(model: Any, run: Any) -> float:
    if run is None or not len(run.history):
        return 0.0
    last = float(run.history.loss[-1])
    try:
        added = float(sum(np.asarray(loss) for loss in model.losses))
    except (TypeError, ValueError):
        return 0.0
    return added / last if last > 0 and np.isfinite(last) else 0.0


def _strength(views: list[LayerView]) -> float:
    found = [0.0]
    for view in views:
        for name in ("kernel_regularizer", "activity_regularizer"):
            own = getattr(view.layer, name, None)
            found += [float(np.asarray(getattr(own, k, 0.0))) for k in ("l1", "l2")]
    return max(found)


def _facts_of_output(
    problem: KerasProblem, model: Any, views: list[LayerView]
) -> OutputLayerFacts:
    last = views[-1] if views else None
    y, target = problem.y, problem.target
    values = y.astype(float)
    if problem.labels is not None and y.ndim == 1 and (
        problem.labels.dtype.kind in "fiub" and target.form != "one-hot"):  # fmt: skip
        values = problem.labels.astype(float)
    if target.form == "one-hot":
        values = np.array([0.0, 1.0])
    known = values[np.isfinite(values)]
    acts = last.activations if last is not None else ()
    low, high = _RANGES.get(acts[-1] if acts else "", (-np.inf, np.inf))
    unreachable = 0.0
    if target.kind == "numbers":
        learned = problem.targets().astype(float)
        learned = learned[np.isfinite(learned)]
        unreachable = float(((learned < low) | (learned > high)).mean())
    after = last.after if last is not None else ()
    kinds = {type(layer).__name__: layer.name for layer in after}
    noise = [n for k, n in kinds.items() if "Dropout" in k or "Gaussian" in k]
    norm = [n for k, n in kinds.items() if "Normalization" in k]
    shape = tuple(getattr(model, "output_shape", ()) or ())
    deep = len(shape) == 3 and (y.ndim == 1 or target.form == "one-hot")
    columns = y.shape[1] if y.ndim > 1 else 1
    if target.form == "one-hot":
        columns = target.classes
    return OutputLayerFacts(
        layer=last.name if last is not None else "",
        units=int(shape[-1]) if shape and shape[-1] else (last.units if last else 0),
        activations=acts,
        loss=loss_name(problem.recipe.loss),
        logits=bool(loss_setting(problem.recipe.loss, "from_logits")),
        target=target.kind,
        form=target.form,
        classes=target.classes,
        columns=columns,
        low=float(known.min()) if len(known) else 0.0,
        high=float(known.max()) if len(known) else 0.0,
        unreachable=unreachable,
        per_step=deep,
        noise=noise[0] if noise else "",
        norm=norm[0] if norm else "",
        axis=_wrong_axis(after),
        metrics=metric_names(problem.recipe.model),
    )


def _wrong_axis(after: tuple[Any, ...]) -> str:
    for layer in after:
        axis = getattr(layer, "axis", -1)
        rank = len(layer.output.shape) if hasattr(layer, "output") else 2
        if type(layer).__name__ == "Softmax" and axis not in (-1, rank - 1):
            return str(layer.name)
    return ""


def facts_of_model_units(
    problem: KerasProblem, run: Any, seen: Sample
) -> tuple[EndUnitFacts | None, NormModeFacts | None]:
    """Look at the hidden units and at batch normalization on some rows."""
    assert seen.inputs is not None
    rows = np.random.RandomState(4).permutation(len(seen.rows))[:_FEW]
    X = problem.shaped(seen.inputs[rows]).astype("float32")
    views, _ = read_layers(run.model)
    mode = None
    layers = [layer for view in views for layer in view.after]
    if any(type(layer).__name__ == "BatchNormalization" for layer in layers):
        mode = _mode(problem, run.model, X, seen.y[rows])
    return _units(run.model, views, X), mode


def _mode(problem: KerasProblem, model: Any, X: Array, y: Array) -> Any:
    from thalweg.diagnosis.facts.training import score

    kept = [value_of(v) for v in model.non_trainable_variables]
    try:
        scores = [score(problem, problem.decide(outputs_of(model, X, mode)), y)
                  for mode in (True, False)]  # fmt: skip
    finally:
        for variable, value in zip(model.non_trainable_variables, kept, strict=True):
            variable.assign(value)
    return NormModeFacts(*scores)


def _units(model: Any, views: list[LayerView], X: Array) -> EndUnitFacts | None:
    """Return the shares of hidden units that are dead or saturated."""
    import keras

    hidden = [view for view in views[:-1] if view.kind == "Dense" and view.activations]
    if not hidden or not hasattr(model, "operations"):
        return None
    try:
        outputs = [view.layer.output if not view.activation_layers else
                   next(each for each in view.after
                        if each.name == view.activation_layers[-1]).output
                   for view in hidden]  # fmt: skip
        found = keras.Model(model.inputs, outputs)(X)
    except (ValueError, AttributeError, KeyError):
        return None
    found = found if isinstance(found, list | tuple) else [found]
    dead, saturated = [], []
    for view, values in zip(hidden, found, strict=True):
        a = np.asarray(values, float).reshape(-1, values.shape[-1])
        name = view.activations[-1]
        dead.append(float((a <= 0).all(axis=0).mean()) if name == "relu" else 0.0)
        flat = np.zeros(a.shape, bool)
        if name == "sigmoid":
            flat = a * (1 - a) < 0.0025
        elif name == "tanh":
            flat = 1 - a**2 < 0.01
        saturated.append(float((flat.mean(axis=0) > 0.95).mean()))
    return EndUnitFacts(
        saturated=max(saturated), saturated_layer=int(np.argmax(saturated)),
        dead=max(dead), dead_layer=int(np.argmax(dead)), dead_by_layer=tuple(dead),
    )  # fmt: skip
