"""Keras models and estimators as problems of the doctor.

Layers, losses and optimizers are read from the model by type and configuration. Each
training builds a copy of it (`KerasRecipe`), so that the user's model does not change.
A copy that is a chain of dense layers is trained by the native kernel, every other one
by Keras itself.
"""

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.class_weight import compute_sample_weight

from thalweg import training
from thalweg.core import Array, History, Plan, StopReason
from thalweg.diagnosis.input_data import InputData, looks_like_classes
from thalweg.diagnosis.keras_layers import LayerView, read_layers, value_of
from thalweg.diagnosis.keras_recipe import (
    KerasRecipe,
    loss_name,
    loss_setting,
    seeded,
    settings_of,
)
from thalweg.diagnosis.problem import Problem, ValidationData, numbered
from thalweg.estimators import from_keras

KERAS_EPOCHS, KERAS_BATCH = 30, 32
"""Epochs of a trial if nobody says how long the model is trained, and Keras's batch."""
_OPTIMIZERS = {"SGD": "sgd", "Adam": "adam", "RMSprop": "rmsprop", "AdamW": "adam"}
_NUMBER_LOSSES = ("squared", "absolute", "huber", "log_cosh", "poisson", "percentage")
_SCALING = ("Normalization", "Rescaling", "BatchNormalization", "LayerNormalization")
_CHAIN = {"InputLayer", "Dense", "Activation", "Dropout", "BatchNormalization",
          "LayerNormalization"}  # fmt: skip
_ACTIVATION_OF = {
    "categorical_crossentropy": "softmax", "sparse_categorical_crossentropy": "softmax",
    "binary_crossentropy": "sigmoid", "mean_squared_error": "any",
    "mean_absolute_error": "any", "huber": "any", "log_cosh": "any",
}  # fmt: skip
"""The activation with which the native kernel computes a loss."""
_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class KerasRun:
    """A training of a Keras model.

    Parameters
    ----------
    model : keras.Model
        Trained.
    history : History
    stop_reason : StopReason
    plan : Plan
    best_epoch : int
    planned : int or None
        Epochs that were asked for, if a callback ended the training before them.
    native : bool
        Whether the native kernel trained it, which takes milliseconds.
    """

    model: Any
    history: History
    stop_reason: StopReason
    plan: Plan
    best_epoch: int = 0
    native: bool = False
    planned: int | None = None


@dataclass(frozen=True)
class Target:
    """What a model learns, and in which form the user gives it.

    Parameters
    ----------
    kind : {"classes", "labels", "numbers"}
        Labels are several answers of yes or no.
    form : {"numbers", "one-hot", "values"}
        Class numbers, a column a class, or anything else.
    classes : int
        The number of classes; 0 for numbers.
    """

    kind: str
    form: str
    classes: int


@dataclass(frozen=True, eq=False)
class KerasProblem(Problem):
    """A training of a Keras model.

    Parameters
    ----------
    recipe : KerasRecipe
    target : Target
    epochs, batch : int
    weights_of_classes : mapping or None
        As Keras takes them, by class number.
    wrapper : KerasClassifier, KerasRegressor, Run or None
        What the user gave around the model.
    known : tuple of str
        What is known of the training: "epochs", "batch", "history".
    asked : mapping
        Changes so far, by name, in the words of a prescription.
    """

    recipe: Any = None
    target: Target = Target("numbers", "values", 0)
    epochs: int = KERAS_EPOCHS
    batch: int = KERAS_BATCH
    wrapper: Any = None
    known: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by_class(self) -> bool:
        """Whether the target holds classes."""
        return self.target.kind != "numbers"

    @property
    def loss(self) -> str:
        """The name of the loss, as Keras's functions are named."""
        return loss_name(self.recipe.loss)

    @property
    def lacks_outputs(self) -> bool:
        """A Keras model with too few outputs is examined all the same."""
        return False

    @property
    def dtype(self) -> np.dtype[Any]:
        """Keras computes in float32."""
        return np.dtype("float32")

    def shaped(self, inputs: Array) -> Array:
        """Return flat inputs in the shape that the model takes."""
        if self.images is None:
            return inputs
        return inputs.reshape(-1, *self.images.shape[1:])

    def targets(self, y: Array | None = None) -> Array:
        """Return the target in the form that the user gives it."""
        y = self.y if y is None else y
        if self.target.form == "one-hot" and y.ndim == 1:
            assert self.labels is not None
            return np.eye(len(self.labels), dtype="float32")[y]
        if self.labels is not None and y.ndim == 1:
            return self.labels[y]
        columns = y.astype(float)
        if self.scales_target:
            center, scale = self._center
            columns = ((columns.reshape(len(y), -1) - center) / scale).reshape(y.shape)
        return columns.astype("float32")

    def decide(self, prediction: Array) -> Array:
        """Return outputs as class numbers, or as values in the target's unit."""
        outputs = prediction.reshape(len(prediction), -1)
        if self.target.kind == "labels":
            cut = 0.0 if self._takes_logits else 0.5
            return (outputs[:, : self.y.shape[1]] > cut).astype(int)
        if self.labels is None:
            center, scale = self._center
            found = outputs * scale + center
            wide = self.y.shape[1] if self.y.ndim > 1 else 1
            if found.shape[1] != wide:
                found = np.resize(found[:, :1], (len(found), wide))
            return found.reshape(len(found), *self.y.shape[1:])
        numbers = self.labels if self.labels.dtype.kind in "fiub" else None
        if outputs.shape[1] == 1:
            two = numbers is None or len(self.labels) < 2
            middle = 0.5 if two else float(np.mean(numbers[:2]))
            middle = 0.0 if self._takes_logits else middle
            if len(self.labels) > 2 and numbers is not None:
                return np.abs(outputs - numbers).argmin(axis=1)
            return (outputs[:, 0] > middle).astype(int)
        best = outputs.argmax(axis=1)
        if self.target.form == "one-hot" or numbers is None:
            return np.minimum(best, len(self.labels) - 1)
        where = np.searchsorted(numbers, best)  # an output stands for its number
        return np.minimum(where, len(self.labels) - 1)

    @property
    def _takes_logits(self) -> bool:
        return bool(loss_setting(self.recipe.loss, "from_logits"))

    def first_inputs(self, inputs: Array) -> Array:
        """Return what the first layer with weights is given: scaled by layers or not.

        The rows of an embedding are numbers of words, which have no scale.
        """
        views, front = read_layers(self.recipe.model)
        scaling = [layer for layer in front if type(layer).__name__ in _SCALING]
        if views and views[0].kind == "Embedding":
            return np.zeros((len(inputs), 1))
        if not scaling:
            return inputs
        values: Any = self.shaped(inputs).astype("float32")
        for layer in scaling:
            # In training mode batch normalization scales by the rows themselves.
            norm = type(layer).__name__ == "BatchNormalization"
            if norm:
                low = values.reshape(len(values), -1)
                values = (low - low.mean(axis=0)) / (low.std(axis=0) + 1e-3)
            else:
                values = np.asarray(layer(values))
        return values.reshape(len(values), -1).astype(float)

    @property
    def trainable(self) -> bool:
        """Whether copies of the model can be trained."""
        return self.recipe.trainable

    @property
    def fast(self) -> bool:
        """Whether the native kernel can train the model as it is now."""
        recipe = self.recipe
        views, front = read_layers(recipe.model)
        kinds = {type(layer).__name__ for layer in recipe.model.layers}
        if not kinds <= _CHAIN or front or not views or self.class_weight is not None:
            return False
        own = recipe.layers.get(views[-1].name, {})
        last = own.get("activation", (views[-1].activations or ("linear",))[-1])
        wanted = "linear" if self._takes_logits else _ACTIVATION_OF.get(self.loss)
        return wanted in (last, "any") and last != "log_softmax" and not (
            wanted == "any" and last == "softmax")  # fmt: skip

    def predict(self, run: Any, X: Array) -> Array:
        """Return the outputs of a trained model, in evaluation mode."""
        return outputs_of(run.model, X)

    def train(self, seed: int, deadline: float = np.inf) -> tuple[Any, Any]:
        """Train a copy; return its run and the fitted steps."""
        inputs, pipe = self.prepared()
        return self.fit_network(inputs, seed, deadline), pipe

    def fit_network(self, inputs: Array, seed: int, deadline: float = np.inf) -> Any:
        """Train a copy on prepared inputs."""
        model = self.recipe.build(seed)
        return fit_model(
            model, self.shaped(inputs), self.targets(), self.plan, self.epochs,
            self.batch, self._weights(), seed, deadline,
        )  # fmt: skip

    def _weights(self) -> Array | None:
        if self.class_weight is None or self.labels is None or self.y.ndim > 1:
            return None
        return compute_sample_weight(self.class_weight, self.y)

    # ------------------------------------------------------------------ changes

    def changed(self, name: str, value: Any) -> "KerasProblem | None":
        """Return the problem with a change; None if it is no change of the model.

        Raises
        ------
        ValueError
            If the model does not allow the change.
        """
        made = self._changed(name, value)
        return made and replace(made, asked={**self.asked, name: value})

    def _changed(self, name: str, value: Any) -> "KerasProblem | None":
        if name == "epochs":
            return replace(self, epochs=int(value),
                           plan=Plan.of(self.plan, epochs=int(value)))  # fmt: skip
        if name == "batch_size":
            batch = len(self.y) if value is None else int(value)
            return replace(self, batch=batch,
                           plan=Plan.of(self.plan, batch_size=batch))  # fmt: skip
        if name in ("learning_rate", "clip_norm", "optimizer"):
            return replace(self, recipe=self._with_optimizer(name, value),
                           plan=self._plan_with(name, value))  # fmt: skip
        if name == "loss":
            return replace(self, recipe=replace(self.recipe, loss=value))
        if name == "target":
            return self._with_target(value)
        if name in _LAYER_CHANGES:
            if not self.recipe.layered:
                raise ValueError(
                    f"the layers of {type(self.recipe.model).__name__} are not a list "
                    "that can be changed; change them in your class."
                )
            return replace(self, recipe=change_layers(self.recipe, name, value))
        if name in ("validation", "patience", "shuffle"):
            return self
        return None

    def _with_optimizer(self, name: str, value: Any) -> KerasRecipe:
        if name == "optimizer":
            return replace(self.recipe, optimizer=None).with_optimizer(class_name=value)
        theirs = "global_clipnorm" if name == "clip_norm" else name
        return self.recipe.with_optimizer(**{theirs: float(value)})

    def _plan_with(self, name: str, value: Any) -> Plan:
        return Plan.of(self.plan, **{name: value}) if name == "learning_rate" else (
            self.plan)  # fmt: skip

    def _with_target(self, kind: str) -> "KerasProblem":
        """Learn numbers instead of classes, or classes instead of numbers."""
        if kind == "numbers":
            assert self.labels is not None
            values = self.labels.astype(float)
            held = self.validation_data
            made = replace(
                self, y=values[self.y], labels=None,
                target=Target("numbers", "values", 0),
                validation_data=held and ValidationData(held.X, values[held.y]),
                scales_target=True,
            )  # fmt: skip
            output = {"output_activation": "linear", "outputs": 1}
            loss: Any = "mean_squared_error"
        else:
            labels, y, held = numbered(self.y, self.validation_data)
            k = len(labels)
            made = replace(
                self, y=y, labels=np.arange(k), validation_data=held,
                target=Target("classes", "numbers", k), scales_target=False,
            )  # fmt: skip
            output = {"output_activation": "softmax", "outputs": k}
            loss = "sparse_categorical_crossentropy"
        recipe = replace(made.recipe, loss=loss)
        for name, value in output.items():
            recipe = change_layers(recipe, name, value)
        return replace(made, recipe=recipe)


# ---------------------------------------------------------------- changes of layers


def _change_output(recipe: Any, views: list[LayerView], value: str) -> Any:
    """Give the last layer one activation, and none behind it."""
    last = views[-1]
    extra = [layer.name for layer in last.after
             if layer.name in last.activation_layers]  # fmt: skip
    recipe = replace(recipe, dropped=recipe.dropped.union(extra))
    return recipe.with_layer(last.name, activation=value)


def _change_outputs(recipe: Any, views: list[LayerView], value: int) -> Any:
    return recipe.with_layer(views[-1].name, units=int(value))


def _change_activation(recipe: Any, views: list[LayerView], value: str) -> Any:
    """Give all hidden layers an activation."""
    for view in views[:-1]:
        if view.kind in ("Embedding",):
            continue
        names = view.activation_layers
        recipe = replace(recipe, dropped=recipe.dropped.union(names))
        act = "tanh" if view.recurrent else value
        if view.kind != "Bidirectional":
            recipe = recipe.with_layer(view.name, activation=act)
    return recipe


def _change_missing(recipe: Any, views: list[LayerView], value: str) -> Any:
    """Give the hidden layers that have no activation one."""
    for view in views[:-1]:
        if not view.activations and not view.recurrent and view.kind != "Embedding":
            recipe = recipe.with_layer(view.name, activation=value)
    return recipe


def _change_recurrent(recipe: Any, views: list[LayerView], value: str) -> Any:
    for view in views:
        if view.recurrent and view.kind != "Bidirectional":
            recipe = recipe.with_layer(view.name, activation=value)
    return recipe


def _change_init(recipe: Any, views: list[LayerView], value: Any) -> Any:
    """Draw the weights by the width of the layers."""
    recipe = replace(recipe, keeps_weights=False)
    for view in views:
        layer = view.layer
        config = layer.get_config()
        if "kernel_initializer" in config:
            relu = "relu" in "".join(view.activations)
            name = "he_normal" if relu else "glorot_uniform"
            recipe = recipe.with_layer(
                view.name, kernel_initializer=name, bias_initializer="zeros"
            )
    return recipe


def _change_widths(recipe: Any, views: list[LayerView], value: Any) -> Any:
    """Change the widths of the hidden dense layers."""
    hidden = [view for view in views[:-1] if view.kind == "Dense"]
    for k, view in enumerate(hidden):
        recipe = recipe.with_layer(view.name, units=int(value[min(k, len(value) - 1)]))
    return recipe


def _change_frozen(recipe: Any, views: list[LayerView], value: bool) -> Any:
    for view in views:
        recipe = recipe.with_layer(view.name, trainable=not value)
    return recipe


def _change_dropout(recipe: Any, views: list[LayerView], value: float) -> Any:
    """Set the rate of all Dropout layers between hidden layers."""
    for view in views[:-1]:
        for layer in view.after:
            if "Dropout" in type(layer).__name__:
                recipe = recipe.with_layer(layer.name, rate=float(value))
    return recipe


def _change_dropped(recipe: Any, views: list[LayerView], value: Any) -> Any:
    return replace(recipe, dropped=recipe.dropped.union(value))


def _change_penalty(recipe: Any, views: list[LayerView], value: float) -> Any:
    import keras

    penalty = keras.regularizers.L2(float(value)) if value else None
    for view in views:
        if "kernel_regularizer" in view.layer.get_config():
            recipe = recipe.with_layer(
                view.name, kernel_regularizer=penalty, activity_regularizer=None
            )
    return recipe


def _change_momentum(recipe: Any, views: list[LayerView], value: float) -> Any:
    for view in views:
        for layer in view.after:
            if type(layer).__name__ == "BatchNormalization":
                recipe = recipe.with_layer(layer.name, momentum=float(value))
    return recipe


def _change_norms(recipe: Any, views: list[LayerView], value: Any) -> Any:
    """Leave out batch normalization."""
    if value is True:
        raise ValueError("batch normalization is not added to a Keras model here.")
    names = [layer.name for view in views for layer in view.after
             if type(layer).__name__ == "BatchNormalization"]  # fmt: skip
    return replace(recipe, dropped=recipe.dropped.union(names))


def _change_sequences(recipe: Any, views: list[LayerView], value: bool) -> Any:
    """Let the last recurrence return its last state only."""
    last = [view for view in views if view.recurrent][-1]
    return recipe.with_layer(last.name, return_sequences=not value)


_LAYER_CHANGES: dict[str, Any] = {
    "output_activation": _change_output,
    "outputs": _change_outputs,
    "activation": _change_activation,
    "missing_activation": _change_missing,
    "recurrent_activation": _change_recurrent,
    "init": _change_init,
    "hidden": _change_widths,
    "frozen": _change_frozen,
    "dropout": _change_dropout,
    "without_layers": _change_dropped,
    "l2": _change_penalty,
    "norm_momentum": _change_momentum,
    "batch_norm": _change_norms,
    "last_state": _change_sequences,
}


def change_layers(recipe: Any, name: str, value: Any) -> Any:
    """Return a recipe with a change of its layers."""
    return _LAYER_CHANGES[name](recipe, read_layers(recipe.model)[0], value)


# ------------------------------------------------------------------------- training


def fit_model(
    model: Any, X: Array, y: Array, plan: Plan, epochs: int, batch: int,
    weights: Array | None, seed: int, deadline: float,
) -> KerasRun:  # fmt: skip
    """Train a compiled model, natively if it is a chain of dense layers.

    Raises
    ------
    ValueError
        Whenever Keras or `thalweg.fit` raises.
    TimeoutError
        If the deadline came before the last epoch.
    """
    left = deadline - time.perf_counter()
    batch = min(batch, len(X))
    if _is_chain(model) and weights is None:
        limit = {"max_time": max(left, 0.01)} if np.isfinite(left) else {}
        try:
            run = training.fit(
                from_keras(model), X, y, epochs=epochs, batch_size=batch,
                random_state=seed, engine="native", **limit,
            )  # fmt: skip
        except ValueError:
            pass
        else:
            if run.stop_reason is StopReason.TIME_BUDGET:
                raise TimeoutError
            return KerasRun(model, run.history, run.stop_reason, plan,
                            len(run.history), native=True)  # fmt: skip
    return _fit_by_keras(model, X, y, plan, epochs, batch, weights, seed, left)


def _fit_by_keras(
    model: Any, X: Array, y: Array, plan: Plan, epochs: int, batch: int,
    weights: Array | None, seed: int, left: float,
) -> KerasRun:  # fmt: skip
    import keras

    ends = time.perf_counter() + left

    class Deadline(keras.callbacks.Callback):
        """Stops at the deadline."""

        late = False

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch + 1 < epochs and time.perf_counter() > ends:
                self.late = self.model.stop_training = True

    watch = Deadline()
    before = np.random.get_state()  # noqa: NPY002
    try:
        with seeded(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the user has seen what Keras warns of
            # Keras shuffles arrays by NumPy's global generator.
            np.random.seed(seed)  # noqa: NPY002
            found = model.fit(
                X, y, epochs=epochs, batch_size=batch, verbose=0,
                sample_weight=weights,
                callbacks=[watch, keras.callbacks.TerminateOnNaN()],
            )  # fmt: skip
    except TimeoutError:
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    finally:
        np.random.set_state(before)  # noqa: NPY002
    if watch.late:
        raise TimeoutError
    history = history_of(found)
    finite = bool(np.isfinite(history.loss).all())
    reason = StopReason.MAX_EPOCHS if finite else StopReason.NONFINITE
    return KerasRun(model, history, reason, plan, len(history))


def _is_chain(model: Any) -> bool:
    return {type(layer).__name__ for layer in model.layers} <= _CHAIN


def outputs_of(model: Any, X: Any, training_mode: bool = False) -> Array:
    """Return the outputs of a model for some rows.

    All calls take as many rows, so that they are compiled once; the last rows are
    repeated to fill a call. In training mode, where rows may affect each other, they
    are not.
    """
    parts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in range(0, len(X), _AT_ONCE):
            rows = X[k : k + _AT_ONCE]
            missing = 0 if training_mode else _AT_ONCE - len(rows)
            full = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])
            found = np.asarray(model(full, training=training_mode))
            parts.append(found[: len(rows)])
    outputs = np.concatenate(parts).astype(float)
    return outputs.reshape(len(outputs), -1) if outputs.ndim < 3 else outputs


def history_of(given: Any) -> History:
    """Read what Keras's History, or its dict, says of a training."""
    columns = getattr(given, "history", given)
    names = {"validation_loss": "val_loss", "loss": "loss"}
    found = {ours: [float(v) for v in columns[theirs]]
             for ours, theirs in names.items() if theirs in columns}  # fmt: skip
    epochs = len(found.get("loss", ()))
    if "learning_rate" in columns:
        found["rate"] = [float(v) for v in columns["learning_rate"]]
    if len(found.get("validation_loss", ())) != epochs:
        found.pop("validation_loss", None)
    rest = {k: v for k, v in columns.items() if k not in ("loss", "val_loss")
            and len(v) == epochs and np.ndim(v) == 1}  # fmt: skip
    return History.from_columns({"loss": (), **found, "metrics": rest})


# -------------------------------------------------------------------------- reading


def problem_of_keras(
    subject: Any, last: Any, data: InputData, steps: Any, settings: Any
) -> Problem:
    """Bring KerasClassifier or KerasRegressor into the form of a problem."""
    fitted = getattr(last, "model_", None)
    y = data.y
    n_outputs = 1 if y.ndim == 1 else y.shape[1]
    if is_classifier(last) and y.ndim == 1:
        n_outputs = len(np.unique(y))
        if y.dtype.kind not in "fiub":
            labels, y = np.unique(y, return_inverse=True)
            data = replace(data, y=y)
            held = data.validation_data
            if held is not None:
                at = np.searchsorted(labels, held.y)
                data = replace(data, validation_data=ValidationData(held.X, at))
    model = fitted
    shape = _row_shape(data, steps)
    if model is None:
        model = built_by(last, shape, n_outputs)
    own = {"epochs": last.epochs, "batch_size": last.batch_size,
           "class_weight": getattr(last, "class_weight", None),
           "validation": last.validation_fraction}  # fmt: skip
    if own["batch_size"] == "auto":
        own["batch_size"] = KERAS_BATCH if model.compiled else min(200, len(y))
    own = {k: v for k, v in own.items() if v is not None}
    history = getattr(last, "history_", None) if fitted is not None else None
    own |= {k: v for k, v in (last.settings or {}).items()
            if k in ("learning_rate", "epochs", "batch_size", "optimizer")}  # fmt: skip
    own["by_class"] = is_classifier(last)
    return problem_of_model(subject, model, data, steps, own, history, last)


def built_by(estimator: Any, shape: tuple[int, ...], n_outputs: int) -> Any:
    """Return the model that an estimator's ``build_fn`` builds."""
    from sklearn.base import clone

    made: Any = clone(estimator)
    made._shape, made.n_outputs_, made._seed = shape, n_outputs, 0
    made._build()
    return made.model_


def default_build() -> Any:
    """Return the function that builds a model if the user gives none."""
    from thalweg.estimators import KerasClassifier

    return KerasClassifier.default_model


def _row_shape(data: InputData, steps: Any) -> tuple[int, ...]:
    if data.images is not None:
        return data.images.shape[1:]
    if not steps:
        return (data.X.shape[1],)
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline

    pipe: Any = make_pipeline(*map(clone, steps))
    return pipe.fit_transform(data.X[:2000], data.y[:2000]).shape[1:]


_SETTINGS = ("epochs", "batch_size", "class_weight", "history", "validation_split",
             "validation", "learning_rate", "optimizer", "by_class", "shuffle",
             "verbose", "loss")  # fmt: skip


def problem_of_model(
    subject: Any, model: Any, data: InputData, steps: Any, settings: Mapping[str, Any],
    history: Any = None, wrapper: Any = None,
) -> Problem:  # fmt: skip
    """Bring a Keras model, compiled or not, into the form of a problem.

    Raises
    ------
    TypeError
        For settings that `model.fit` does not have.
    """
    unknown = [name for name in settings if name not in _SETTINGS]
    if unknown:
        raise TypeError(
            f"diagnose got {', '.join(unknown)}. With a Keras model it takes epochs, "
            "batch_size, class_weight, validation_split, and history."
        )
    given = dict(settings)
    history = given.pop("history", None) if history is None else history
    model = _built_copy(model, data)
    recipe = KerasRecipe.of(model)
    if "loss" in given and recipe.loss is None:
        recipe = replace(recipe, loss=given["loss"])
    X, y, held = data.X, data.y, data.validation_data
    target = _target_of(recipe, y, given.get("by_class"))
    labels = None
    if target.kind == "classes":
        if y.ndim > 1:
            y = y.argmax(axis=1)
            held = held and ValidationData(held.X, held.y.argmax(axis=1))
            labels = np.arange(target.classes)
        else:
            labels, y, held = numbered(y, held)
    elif target.kind == "labels":
        labels = np.arange(y.shape[1])
        y = y.astype(int)
    else:
        y = y.astype(float)
        held = held and ValidationData(held.X, held.y.astype(float))
    raw = history if history is not None else getattr(model, "history", None)
    trained = _is_trained(model, raw)
    curve = _read_history(raw)
    epochs, known, planned = given.get("epochs"), [], None
    if isinstance(epochs, list | tuple):
        epochs = sum(epochs)
    if curve is not None and len(curve):
        known.append("history")
    params = getattr(raw, "params", None) or {}
    if epochs is None and curve is not None and len(curve):
        epochs = len(curve)
        asked = int(params.get("epochs") or epochs)
        planned = asked if asked > epochs and np.isfinite(curve.loss).all() else None
    rows = len(y) * (1 - float(given.get("validation_split") or 0.0))
    batch = given.get("batch_size")
    if batch is None and params.get("steps"):
        batch = _batch_of(rows, int(params["steps"]))
    if epochs is not None:
        known.append("epochs")
    if batch is not None:
        known.append("batch")
    epochs, batch = int(epochs or KERAS_EPOCHS), int(batch or KERAS_BATCH)
    optimizer = recipe.optimizer
    rate = None
    if optimizer is not None:
        rate = typical_rate(recipe.new_optimizer(), epochs * int(-(-rows // batch)))
    rate = given.get("learning_rate", rate) or 1e-3
    name = _OPTIMIZERS.get(type(optimizer).__name__, "adam")
    plan = Plan.of(
        None, loss="cross_entropy" if target.kind == "classes" else "squared",
        optimizer=name, learning_rate=rate, epochs=epochs, batch_size=batch,
    )  # fmt: skip
    run = None
    if trained:
        curve = curve if curve is not None else History.from_columns({"loss": ()})
        finite = bool(np.isfinite(curve.loss).all()) if len(curve) else True
        full = len(curve) >= epochs or not len(curve)
        reason = StopReason.MAX_EPOCHS if full else StopReason.CALLBACK
        run = KerasRun(model, curve, reason if finite else StopReason.NONFINITE, plan,
                       len(curve), planned=planned)  # fmt: skip
    if run is None and _has_constant_weights(model):
        recipe = replace(recipe, keeps_weights=True)
    return KerasProblem(
        subject, X, y, labels, held, steps, None, plan, run,
        class_weight=given.get("class_weight"), validation=None,
        recipe=recipe, target=target, epochs=epochs, batch=batch, wrapper=wrapper,
        known=tuple(known),
    )  # fmt: skip


def typical_rate(optimizer: Any, steps: int) -> float:
    """Return the learning rate; the median over the training if it has a schedule."""
    import keras

    schedule = getattr(optimizer, "_learning_rate", None)
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return float(value_of(optimizer.learning_rate))
    at = np.unique(np.linspace(0, max(steps - 1, 0), 41).astype(int))
    return float(np.median([float(np.asarray(schedule(int(step)))) for step in at]))


def _batch_of(rows: float, steps: int) -> int:
    """Return the batch size that so many steps an epoch need."""
    low, high = int(np.ceil(rows / steps)), int(np.ceil(rows / max(steps - 1, 1)))
    usual = [b for b in (KERAS_BATCH, *(2**k for k in range(13)), 10, 20, 50, 100, 200,
             500, 1000) if low <= b <= max(high, low)]  # fmt: skip
    return usual[0] if usual else low


def _built_copy(model: Any, data: InputData) -> Any:
    """Return the model, or a built copy of it if it has no weights yet."""
    import keras

    if model.built and model.weights:
        return model
    shape = data.images.shape[1:] if data.images is not None else data.X.shape[1:]
    try:
        copy = keras.models.clone_model(model) if isinstance(
            model, keras.Sequential) else (
                type(model).from_config(model.get_config()))  # fmt: skip
        copy(np.zeros((1, *shape), "float32"))
    except Exception as error:
        raise ValueError(
            f"diagnose cannot call {model.name!r} on a row of X of shape {shape}: "
            f"{type(error).__name__}: {str(error).splitlines()[0]}. Give the data that "
            "the model is made for, or call the model on a few rows first."
        ) from error
    if model.compiled:
        copy.compile(optimizer=type(model.optimizer).from_config(
            settings_of(model.optimizer)), loss=model.loss,
            metrics=getattr(getattr(model, "_compile_metrics", None), "_user_metrics",
                            None))  # fmt: skip
    return copy


def _is_trained(model: Any, history: Any) -> bool:
    if history is not None:
        return True
    optimizer = getattr(model, "optimizer", None)
    steps = getattr(optimizer, "iterations", None)
    return steps is not None and int(value_of(steps)) > 0


def _read_history(raw: Any) -> History | None:
    if raw is None:
        return None
    if isinstance(raw, History):
        return raw
    columns = getattr(raw, "history", raw)
    return history_of(raw) if isinstance(columns, Mapping) else None


def _has_constant_weights(model: Any) -> bool:
    """Whether the kernels of a model that was not trained are constant."""
    kernels = [value_of(v) for v in model.trainable_variables if len(v.shape) > 1]
    return any(k.size > 1 and np.ptp(k) == 0 for k in kernels)


def _target_of(recipe: KerasRecipe, y: Array, by_class: Any = None) -> Target:
    """Tell what the target is from its values and from the loss."""
    loss = loss_name(recipe.loss)
    classifies = "crossentropy" in loss or "hinge" in loss or "focal" in loss
    if y.ndim > 1:
        flat = y.reshape(len(y), -1)
        binary = y.dtype.kind == "b" or bool(np.isin(flat, (0, 1)).all())
        if binary and y.ndim == 2 and (flat.sum(axis=1) == 1).all():
            return Target("classes", "one-hot", flat.shape[1])
        if binary and y.ndim == 2:
            return Target("labels", "values", flat.shape[1])
        return Target("numbers", "values", 0)
    if y.dtype.kind not in "fiub":
        return Target("classes", "numbers", len(np.unique(y)))
    values = np.unique(y[np.isfinite(y)]) if y.dtype.kind == "f" else np.unique(y)
    whole = bool((values == np.round(values)).all())
    squashed = output_is(recipe, "softmax", "sigmoid") or output_width_of(recipe) > 1
    two = whole and len(values) == 2
    several = looks_like_classes(y) and squashed and len(values) > 1
    wants = classifies and whole
    if by_class or two or several or wants:
        return Target("classes", "numbers", len(values))
    return Target("numbers", "values", 0)


def output_is(recipe: KerasRecipe, *names: str) -> bool:
    """Whether the model ends in one of these activations."""
    views, _ = read_layers(recipe.model)
    return bool(views and views[-1].activations and views[-1].activations[-1] in names)


def output_width_of(recipe: KerasRecipe) -> int:
    """Return the number of outputs; 1 if it is not known."""
    outputs = getattr(recipe.model, "outputs", None) or ()
    if len(outputs) == 1 and len(outputs[0].shape) > 1 and outputs[0].shape[-1]:
        return int(outputs[0].shape[-1])
    views, _ = read_layers(recipe.model)
    return views[-1].units if views else 1
