"""How to build a Keras model again, as it was or changed: `KerasRecipe`.

The user's model is never trained or changed here. A recipe holds its layers and what it
was compiled with; `build` clones the layers, draws new weights and compiles. A change
is a new recipe, so that a remedy can be shown as the lines that differ.
"""

import random
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thalweg.core import Array

_building = threading.Lock()
_LONG_NAMES = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}


@dataclass(frozen=True, eq=False)
class KerasRecipe:
    """A Keras model with changes.

    Parameters
    ----------
    model : keras.Model
        The user's; its layers are cloned.
    loss : str, keras.losses.Loss or None
    optimizer : keras.optimizers.Optimizer or None
        The compiled one; its settings are copied.
    optimizer_settings : mapping
        Settings that differ from those of `optimizer`, and ``"class_name"``.
    layers : mapping of str to mapping
        New settings of layers, by the name of the layer; ``"class_name"`` makes another
        kind of layer of it.
    dropped : frozenset of str
        Names of layers that are left out.
    center, spread : ndarray or None
        What the inputs are standardized by, before all layers.
    target : (float, float) or None
        Mean and standard deviation of the target, if it is standardized.
    keeps_weights : bool
        Whether training starts from the weights that the user's model holds.
    """

    model: Any
    loss: Any
    optimizer: Any
    optimizer_settings: Mapping[str, Any] = field(default_factory=dict)
    layers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    center: Array | None = None
    spread: Array | None = None
    target: tuple[float, float] | None = None
    keeps_weights: bool = False

    @classmethod
    def of(cls, model: Any) -> "KerasRecipe":
        """Read a model, compiled or not."""
        loss = model.loss if model.compiled else None
        return cls(model, loss, model.optimizer if model.compiled else None)

    @property
    def layered(self) -> bool:
        """Whether the model is its layers, so that each can be changed."""
        import keras

        kind = type(self.model)
        own = kind is keras.Sequential or kind.__name__ == "Functional"
        return own or (isinstance(self.model, keras.Sequential) and (
            kind.call is keras.Sequential.call))  # fmt: skip

    @property
    def trainable(self) -> bool:
        """Whether the model can be built again and trained by Keras's own step."""
        import keras

        if type(self.model).train_step is not keras.Model.train_step:
            return False
        try:
            with seeded(0):
                self._built()
        except Exception:  # whatever the user's own class raises
            return False
        return True

    def with_layer(self, name: str, **settings: Any) -> "KerasRecipe":
        """Return a recipe in which a layer has other settings."""
        own = {**self.layers.get(name, {}), **settings}
        return replace(self, layers={**self.layers, name: own})

    def with_optimizer(self, **settings: Any) -> "KerasRecipe":
        """Return a recipe with other settings of the optimizer."""
        own = {**self.optimizer_settings, **settings}
        return replace(self, optimizer_settings=own)

    def build(self, seed: int | None, metrics: bool = False) -> Any:
        """Build and compile the model with weights drawn from a seed.

        Parameters
        ----------
        seed : int or None
            None draws as Keras draws.
        metrics : bool
            Whether to compile the metrics of the user's model too.
        """
        with seeded(seed):
            model = self._built()
        # A clone is compiled already, and compile keeps metrics that it is not given.
        model._compile_metrics = None
        model.compile(
            optimizer=self.new_optimizer(), loss=self._new_loss(),
            metrics=_metrics(self.model) if metrics else None,
            loss_weights=self._loss_weight(),
        )  # fmt: skip
        return model

    def bare(self) -> Any:
        """Build the model and do not compile it."""
        return self._built()

    def _built(self) -> Any:
        import keras

        if not self.layered:
            return type(self.model).from_config(self.model.get_config())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # as in settings_of
            model = keras.models.clone_model(self.model, clone_function=self._cloned)
        self._copy_weights(model)
        if self.center is None and self.target is None:
            return model
        layers, stages = keras.layers, [keras.Input(tuple(model.inputs[0].shape[1:]))]
        if self.center is not None and self.spread is not None:
            stages.append(layers.Rescaling(
                _as_setting(1 / self.spread), _as_setting(-self.center / self.spread),
                name="standardized"))  # fmt: skip
        stages += model.layers if isinstance(model, keras.Sequential) else [model]
        if self.target is not None:
            mean, std = self.target
            stages.append(layers.Rescaling(std, mean, name="unit_of_y"))
        return keras.Sequential(stages)

    def _cloned(self, layer: Any) -> Any:
        import keras

        if layer.name in self.dropped:
            return keras.layers.Activation("linear", name=layer.name)
        own = dict(self.layers.get(layer.name, {}))
        if not own:
            return type(layer).from_config(layer.get_config())
        kind = own.pop("class_name", "")
        kind = getattr(keras.layers, kind) if kind else type(layer)
        config = layer.get_config()
        if kind is not type(layer):
            needs = {"units": 1} if "units" in config else {}
            known = kind(**needs).get_config()
            config = {k: v for k, v in config.items() if k in known}
        return kind.from_config({**config, **own})

    def _copy_weights(self, model: Any) -> None:
        """Copy what training does not draw: weights of frozen and adapted layers."""
        import keras

        for old, new in zip(self.model.layers, model.layers, strict=False):
            adapted = isinstance(old, keras.layers.Normalization)
            kept = self.keeps_weights or adapted or not old.trainable
            same = [tuple(v.shape) for v in old.weights] == [
                tuple(v.shape) for v in new.weights]  # fmt: skip
            drawn = "kernel_initializer" in self.layers.get(old.name, {})
            if not kept or not old.weights or not same or drawn:
                continue
            new.set_weights(old.get_weights())
            if adapted:
                new.finalize_state()

    def new_optimizer(self) -> Any:
        """Return a new optimizer with the settings of the compiled one."""
        import keras

        own = dict(self.optimizer_settings)
        name = own.pop("class_name", None)
        made: Any = self.optimizer
        if made is None or name is not None:
            made = keras.optimizers.get(name or "adam")
        return type(made).from_config({**settings_of(made), **own})

    def _new_loss(self) -> Any:
        import keras

        if not isinstance(self.loss, keras.losses.Loss):
            return self.loss
        try:
            return type(self.loss).from_config(self.loss.get_config())
        except (TypeError, ValueError, NotImplementedError):
            return self.loss

    def _loss_weight(self) -> Any:
        """Return the weight that makes the loss one of a standardized target."""
        if self.target is None:
            return None
        power = 1 if "absolute" in loss_name(self.loss) else 2
        return 1 / self.target[1] ** power


def settings_of(optimizer: Any) -> dict[str, Any]:
    """Return the settings of an optimizer."""
    with warnings.catch_warnings():
        # Keras converts its variables in a way that NumPy will not support.
        warnings.simplefilter("ignore", DeprecationWarning)
        return optimizer.get_config()


def _as_setting(values: Array) -> Any:
    return np.asarray(values, float).tolist()


def _metrics(model: Any) -> Any:
    """Return the metrics that a model was compiled with, as they were given."""
    compiled = getattr(model, "_compile_metrics", None)
    return getattr(compiled, "_user_metrics", None)


def metric_names(model: Any) -> tuple[str, ...]:
    """Return the names of the metrics that a model was compiled with."""
    given = _metrics(model) or ()
    if isinstance(given, str) or not isinstance(given, list | tuple):
        given = (given,)
    return tuple(str(getattr(each, "name", each)) for each in given)


def loss_name(loss: Any) -> str:
    """Return the name of a loss as Keras's functions are named; "" for none."""
    import keras

    if loss is None:
        return ""
    try:
        found = keras.losses.get(loss) if isinstance(loss, str) else loss
    except ValueError:
        return str(loss)
    function = getattr(found, "fn", found)
    name = getattr(function, "__name__", None) or getattr(found, "name", "")
    return _LONG_NAMES.get(name, str(name))


def loss_setting(loss: Any, name: str) -> Any:
    """Return a setting of a compiled loss, such as ``from_logits``; None if none."""
    own = getattr(loss, "_fn_kwargs", None) or {}
    return own.get(name, getattr(loss, name, None))


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seed what Keras draws its seeds from, and restore it afterward."""
    if seed is None:
        yield
        return
    with _building:
        before = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before)
