"""Keras models, trained by any of our optimizers: `from_keras`.

The Keras model keeps the weights. `fit` starts from them and puts the trained weights
back, so that `evaluate`, `predict` and `save` of Keras use them. During training the
model is a `Network` whose forward pass is Keras's own `stateless_call`. A chain of
dense layers is translated into a `DenseNetwork` where that computes the same, and the
native kernel trains it.
"""

import copy
import inspect
import math
import operator as op
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, cast

import numpy as np

from thalweg import engines
from thalweg.core import Array, Choice, DenseNetwork, Network, Plan, Prepared, Run
from thalweg.estimators.keras import dense
from thalweg.estimators.keras.dense import NotEquivalent

_STRANGE_STEPS = ("train_step", "compute_loss")
_UNSUPPORTED = {
    "use_ema": (
        "Compile it without use_ema, and pass average=('ema', {'decay': 0.99}) to fit."
    ),
    "loss_scale_factor": (
        "Compile it without loss_scale_factor, or pass another optimizer to fit."
    ),
}
"""Options of Keras optimizers that change more than an update, and what to do."""
_WINDOWS = 1 << 22
"""Most entries of a convolution's windows: from 5 million on XLA's own was faster."""


def from_keras(model: Any) -> Network:
    """Make a Keras model trainable by `thalweg.fit`.

    Parameters
    ----------
    model : keras.Model
        Sequential, functional or a subclass, built, on the JAX back-end. If it is
        compiled, `fit` uses its loss, its optimizer and its first metric, unless a plan
        or a setting gives others.

    Returns
    -------
    Network
        It starts from the weights of the model, and `fit` puts the trained weights
        back. Further calls return the same network with its compiled programs, until
        the model is compiled again or other weights become trainable.

    Raises
    ------
    TypeError
        If `model` is not a Keras model.
    ValueError
        If Keras runs on another back-end, the model has no weights yet, or the model
        overrides the training step.

    Examples
    --------
    >>> import os
    >>> os.environ["KERAS_BACKEND"] = "jax"
    >>> import keras
    >>> import numpy as np
    >>> import thalweg as tw
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> layers = [keras.layers.Dense(5, "tanh"), keras.layers.Dense(1)]
    >>> model = keras.Sequential([keras.Input((1,)), *layers])
    >>> run = tw.fit(tw.from_keras(model), X, np.sin(3 * X), optimizer="lbfgs")
    >>> float(abs(model.predict(X, verbose=0) - np.sin(3 * X)).max()) < 0.05
    True
    """
    import keras

    if not isinstance(model, keras.Model):
        raise TypeError(
            f"from_keras got {model!r}, which is not a Keras model. Give a keras.Model."
        )
    if keras.backend.backend() != "jax":
        raise ValueError(
            f"from_keras got a model on Keras's {keras.backend.backend()} back-end; it "
            "needs the JAX back-end. Set the environment variable KERAS_BACKEND=jax "
            "before Keras is imported (os.environ['KERAS_BACKEND'] = 'jax'), and start "
            "Python again."
        )
    if not (model.built and model.weights):
        raise ValueError(
            f"from_keras got {model.name!r}, which is not built: its weights do not "
            "exist yet. Call model.build(input_shape), or call the model on a few rows."
        )
    for name in _STRANGE_STEPS:
        if getattr(type(model), name) is not getattr(keras.Model, name):
            raise ValueError(
                f"from_keras got {model.name!r}, which overrides {name}; thalweg.fit "
                "would not call that method. Add to the loss with add_loss, or pass a "
                "loss function to fit."
            )
    held = vars(model).get("_thalweg")
    if held is None or not all(map(op.is_, held.made_of, _parts(model))):
        held = KerasAdapter(model)
        # Keras would take an attribute that is set otherwise for a part of the model.
        object.__setattr__(model, "_thalweg", held)
    return held.network


def _parts(model: Any) -> list[Any]:
    """List what programs depend on and what their weights are: others, another size."""
    made = [getattr(model, name, None) for name in ("optimizer", "_compile_loss")]
    kept = model.non_trainable_variables
    return [*made, *model.trainable_variables, None, *kept]


class KerasAdapter:
    """A Keras model that holds the weights of a `Network`."""

    def __init__(self, model: Any) -> None:
        self.model, self.made_of = model, _parts(model)
        self.trained = _named(model.trainable_variables)
        self.kept = _named(model.non_trainable_variables)
        # Of the last fit: the same ones find their programs compiled.
        self._loss: CompiledLoss | None = None
        self._rule: Rule | None = None
        self._unlike = ""
        self._takes_training = "training" in inspect.signature(model.call).parameters
        self.network = Network(
            self.init,
            self.apply,
            project=self.project if self._constrained() else None,
            settle=self.settle,
            adds_loss=True,
            dtype=model.variable_dtype,
            adapter=self,
        )

    # The network.

    def init(self, seed: int) -> Any:
        """Return the current weights; the seed has no effect."""
        return _values(self.trained), _values(self.kept)

    def apply(self, params: Any, X: Any, state: Any, training: bool) -> Any:
        """Compute the model; return ``(outputs, state, added loss)``."""
        weights = [params[name] for name in self.trained]
        others = [state[name] for name in self.kept]
        more = {"training": training} if self._takes_training else {}
        with _changed(_as_products(self.model)):
            outputs, after, losses = self.model.stateless_call(
                weights, others, X, return_losses=True, **more
            )
        return outputs, dict(zip(self.kept, after, strict=True)), sum(losses)

    def project(self, params: Any) -> Any:
        """Project weights onto their constraints."""
        bounded = {k: v.constraint for k, v in self.trained.items() if v.constraint}
        return {**params, **{name: bounded[name](params[name]) for name in bounded}}

    def settle(self, params: Any, state: Any, X: Any) -> Any:
        """Return the state with the statistics of batch normalization for all rows."""
        with _changed(_forgetful(self.model)):
            return self.apply(params, X, state, training=True)[1]

    def _constrained(self) -> bool:
        return any(variable.constraint for variable in self.trained.values())

    # Before and after a fit.

    def prepare(
        self,
        settings: Mapping[str, Any],
        plan: Plan | None = None,
        parameters: Any = None,
    ) -> Prepared:
        """Return what to train and how, by the model's settings where fit has none."""
        scoring = self._scoring(settings, plan)
        given, loss = dict(settings), Choice("")
        takes_loss = self._takes_loss(settings, plan)
        compiled = plan is None and getattr(self.model, "optimizer", None) is not None
        by_theirs = compiled and not {"optimizer", "learning_rate"} & set(given)
        if takes_loss:
            given["monitor"] = given.get("monitor", "loss")  # as Keras does
        else:
            named = {"loss": given["loss"]} if "loss" in given else {}
            loss = Plan.of(plan, **named).loss
            dense.refuse_twice(self.model, str(loss.name))
        try:
            if parameters is not None or callable(loss.name):
                raise NotEquivalent("weights or a loss function passed to fit")
            network, changed = dense.translate(self.model, takes_loss, by_theirs)
            if set(changed) & set(settings) or (plan and changed):
                raise NotEquivalent(f"{', '.join(changed)} of the model itself")
        except NotEquivalent as other:
            self._unlike = f"the native kernel has no equivalent of {other}"
        else:
            kept = {} if plan else {"dtype": "float32"}
            settled = {**kept, **given, **changed}
            return Prepared(network, settled, dense.weights(self.model), scoring)
        if takes_loss:
            if not (self._loss and self._loss.is_of(self.model)):
                self._loss = CompiledLoss(self.model)
            given["loss"] = self._loss
        if by_theirs:
            if not (self._rule and self._rule.is_of(self.model)):
                self._rule = Rule(self.model, list(self.trained))
            given["optimizer"] = self._rule
        return Prepared(self.network, given, parameters, scoring)

    def _scoring(
        self, settings: Mapping[str, Any], plan: Plan | None
    ) -> Callable[..., float] | None:
        """Return the first compiled metric as a score, if there is one."""
        measured = self.model.compiled and self.model._compile_metrics is not None
        return self._score if measured and self._takes_loss(settings, plan) else None

    def finish(self, run: Run) -> Run:
        """Put the trained weights into the model."""
        if isinstance(run.network, DenseNetwork):
            dense.assign(self.model, run.parameters)
            note = f"{run.engine}; the Keras model {self.model.name!r} is only dense"
            return replace(run, engine=note)
        for variables, values in zip(
            (self.trained, self.kept), run.parameters, strict=True
        ):
            for name, variable in variables.items():
                variable.assign(values[name])
        return replace(run, engine=f"{run.engine}; {self._unlike}")

    def _takes_loss(self, settings: Mapping[str, Any], plan: Plan | None) -> bool:
        return plan is None and "loss" not in settings and bool(self.model.loss)

    def _score(self, predict: Callable[[Any], Any], X: Any, y: Any) -> float:
        self.model.reset_metrics()
        found = self.model.compute_metrics(X, y, predict(X))
        self.model.reset_metrics()
        name = next(name for name in found if name != "loss")
        metrics = [m for each in self.model.metrics for m in _inside(each)]
        up = any(m.name == name and _direction(m) == "up" for m in metrics)
        return float(found[name]) * (1 if up else -1)


class CompiledLoss:
    """The loss or losses that a model was compiled with, one number for each row.

    Parameters
    ----------
    model : keras.Model
    """

    def __init__(self, model: Any) -> None:
        self._compiled = model._compile_loss
        weights = self._compiled._user_loss_weights
        self.names = list(getattr(model, "output_names", None) or [])
        self.losses, self.weights = copy.copy(model.loss), copy.copy(weights)
        self.__name__ = str(getattr(model.loss, "name", model.loss))

    def is_of(self, model: Any) -> bool:
        """Tell whether the model is still compiled with this loss."""
        return self._compiled is model._compile_loss

    def __call__(self, outputs: Any, y: Any) -> Any:
        """Compute the loss of each row, with the weights that a mask has in Keras."""
        if isinstance(outputs, Mapping):
            names, found = [*outputs], [*outputs.values()]
        else:
            found = list(outputs) if isinstance(outputs, tuple | list) else [outputs]
            names = self.names or [str(i) for i in range(len(found))]
        targets = _aligned(y, names, "y") if len(found) > 1 else [_single(y)]
        losses = _aligned(self.losses, names, "loss")
        weights = _aligned(1.0 if self.weights is None else self.weights, names, "")
        parts = zip(losses, weights, found, targets, strict=True)
        return sum(w * _row_losses(loss, z, t) for loss, w, z, t in parts if loss)


class Rule:
    """A Keras optimizer with the `init` and `update` of an optax transformation.

    Parameters
    ----------
    model : keras.Model
        Compiled with the optimizer.
    names : list of str
        Names of the trained weights, in the order of the model.
    """

    def __init__(self, model: Any, names: list[str]) -> None:
        self.optimizer, self.names = model.optimizer, names
        for name, advice in _UNSUPPORTED.items():
            if getattr(self.optimizer, name, None):
                raise ValueError(
                    f"from_keras got {model.name!r}, whose compiled optimizer uses "
                    f"{name}, which thalweg.fit does not support. {advice}"
                )
        self.optimizer.build(model.trainable_variables)
        self.start = self._state()

    def is_of(self, model: Any) -> bool:
        """Tell whether it is the optimizer of the model, with an unchanged state."""
        if self.optimizer is not model.optimizer:
            return False
        return all(map(np.array_equal, self.start, self._state()))

    def _state(self) -> list[Array]:
        return [np.array(variable.value) for variable in self.optimizer.variables]

    def init(self, params: Any) -> list[Array]:
        """Return the state of the optimizer; compiled programs hold it as constant."""
        return self.start

    def update(self, updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        """Compute a step of the optimizer; return the changes of the weights."""
        gradient, weights = ([t[n] for n in self.names] for t in (updates, params))
        updated, state = self.optimizer.stateless_apply(state, gradient, weights)
        pairs = zip(self.names, updated, weights, strict=True)
        return {name: new - old for name, new, old in pairs}, state


def _named(variables: list[Any]) -> dict[str, Any]:
    """Return variables by their paths, numbered if a subclass gives one twice."""
    named: dict[str, Any] = {}
    for variable in variables:
        name, number = variable.path, 2
        while name in named:
            name, number = f"{variable.path} ({number})", number + 1
        named[name] = variable
    return named


def _values(variables: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.array(variable.value) for name, variable in variables.items()}


@contextmanager
def _changed(changes: list[tuple[Any, str, Any]]) -> Iterator[None]:
    """Replace attributes of layers for a while, unnoticed by Keras's tracking."""
    before = [vars(layer).get(name) for layer, name, _ in changes]
    try:
        for change in changes:
            object.__setattr__(*change)
        yield
    finally:
        for (layer, name, _), old in zip(changes, before, strict=True):
            vars(layer).pop(name)
            if old is not None:
                object.__setattr__(layer, name, old)


def _as_products(model: Any) -> list[tuple[Any, str, Any]]:
    """List faster equivalents of layers that are slow on a CPU.

    The gradients that XLA computes of convolutions and of maxima over windows are slow
    on a CPU. A pooling whose windows tile the image becomes a maximum over axes: a step
    of a network of two convolutions and poolings then took 4.6 ms instead of 10.2 (28
    by 28, 16 and 32 channels, batches of 32). A convolution becomes a product of the
    kernel with all windows, up to a size: that step then took 2.4 ms instead of 3.3,
    and with 4 and 8 channels 1.6 instead of 2.5. Inside a loop it is as fast.
    """
    layers = [] if engines.on_gpu() else model._flatten_layers()
    found = [(layer, *rewritten(layer)) for layer in layers]
    return [(layer, name, partial(own, layer)) for layer, name, own in found if own]


def _forgetful(model: Any) -> list[tuple[Any, str, Any]]:
    """List the changes that make running statistics those of the batch."""
    return [
        (layer, "momentum", 0.0)
        for layer in model._flatten_layers()
        if hasattr(layer, "moving_mean") and hasattr(layer, "momentum")
    ]


def rewritten(layer: Any) -> tuple[str, Callable[..., Any] | None]:
    """Return the name of a method of a layer, and a faster equivalent on a CPU."""
    from keras import layers

    kind, last = type(layer), getattr(layer, "data_format", "") == "channels_last"
    if last and kind in (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D):
        tiles = layer.pool_size == layer.strides and layer.padding == "valid"
        return "call", _tiled_max if tiles else None
    if last and kind in (layers.Conv1D, layers.Conv2D, layers.Conv3D):
        plain = {*layer.strides, *layer.dilation_rate, layer.groups} == {1}
        fits = plain and layer.padding in ("valid", "same")
        return "convolution_op", _by_windows if fits else None
    return "", None


def _tiled_max(layer: Any, inputs: Any) -> Any:
    import keras

    size = layer.pool_size
    tiles = [n // p for n, p in zip(inputs.shape[1:-1], size, strict=True)]
    kept = [slice(n * p) for n, p in zip(tiles, size, strict=True)]
    pairs = [each for pair in zip(tiles, size, strict=True) for each in pair]
    windows = keras.ops.reshape(
        inputs[(slice(None), *kept)], (-1, *pairs, inputs.shape[-1])
    )
    return keras.ops.max(windows, axis=tuple(range(2, 2 + len(pairs), 2)))


def _by_windows(layer: Any, inputs: Any, kernel: Any) -> Any:
    import keras

    *size, _, units = kernel.shape
    filled = inputs
    if layer.padding == "same":
        around = [((k - 1) // 2, k // 2) for k in size]
        filled = cast(Any, keras.ops.pad(inputs, [(0, 0), *around, (0, 0)]))
    spots = [n - k + 1 for n, k in zip(filled.shape[1:-1], size, strict=True)]
    if inputs.shape[0] * math.prod(spots) * math.prod(kernel.shape[:-1]) > _WINDOWS:
        return type(layer).convolution_op(layer, inputs, kernel)
    windows = [
        filled[
            (slice(None), *(slice(i, i + n) for i, n in zip(at, spots, strict=True)))
        ]
        for at in product(*map(range, size))
    ]
    flat = keras.ops.reshape(kernel, (-1, units))
    return keras.ops.matmul(keras.ops.concatenate(windows, axis=-1), flat)


def _aligned(values: Any, names: list[str], what: str) -> list[Any]:
    """Return one value for each output from a single value, a list or a dict."""
    if isinstance(values, Mapping):
        if what and set(values) != set(names):
            raise ValueError(
                f"fit got {what} for {[*values]}, but the Keras model has the outputs "
                f"{names}. Give one for each output."
            )
        return [values.get(name, 1.0) for name in names]
    if not isinstance(values, tuple | list):
        return [values] * len(names)
    if len(values) != len(names):
        raise ValueError(
            f"fit got {len(values)} values of {what or 'loss_weights'}, but the Keras "
            f"model has the outputs {names}. Give one for each output."
        )
    return list(values)


def _single(y: Any) -> Any:
    """Return the target, which may be in a list or dict of one."""
    if isinstance(y, Mapping):
        y = [*y.values()]
    return y[0] if isinstance(y, tuple | list) else y


def _row_losses(loss: Any, outputs: Any, y: Any) -> Any:
    import keras

    found = keras.losses.get(loss)
    if not isinstance(found, keras.losses.Loss):
        # The wrapper that compile puts around functions has no public name.
        wrapper: Any = keras.losses.MeanSquaredError.__base__
        found = wrapper(found)
    losses = found.call(keras.ops.cast(y, outputs.dtype), outputs)
    losses = losses * _shares(losses, outputs, y)
    rows = losses.reshape(len(losses), -1)
    return rows.sum(1) * len(rows) if found.reduction == "sum" else rows.mean(1)


def _shares(losses: Any, outputs: Any, y: Any) -> Any:
    """Return the weight of each loss under the mask of the outputs; the mean is 1."""
    import keras

    class Ones(keras.losses.Loss):
        # The mask is accessible only through its effect on a loss.
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return keras.ops.ones_like(losses)

    counted: Any = Ones(reduction="none")(y, outputs)
    return counted / keras.ops.maximum(keras.ops.mean(counted), 1e-12)


def _inside(metric: Any) -> list[Any]:
    return list(getattr(metric, "metrics", [metric]))


def _direction(metric: Any) -> str:
    return getattr(metric, "_direction", "down")
