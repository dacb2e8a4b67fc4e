"""scikit-learn estimators around a function that builds a Keras model.

`KerasClassifier` and `KerasRegressor` keep scikit-learn's contract: parameters are
stored and cloned unchanged. Each `fit` builds a new model, which `thalweg.fit` trains.
A pickle holds only the weights of the model, since the function can build it again.
"""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from thalweg import engines
from thalweg.core import (
    Array,
    EpochRecord,
    History,
    Plan,
    link,
    logistic,
    softmax,
    with_complement,
)
from thalweg.estimators.constraints import (
    AT_LEAST_0,
    AT_LEAST_1,
    BATCH_SIZE,
    CALLBACKS,
    CLASS_WEIGHT,
    OPEN_SHARE,
    ListOf,
    Validated,
    check_class_weight,
)
from thalweg.estimators.keras.model import from_keras
from thalweg.estimators.persistence import (
    Persistent,
    parameters_from_json,
    parameters_to_json,
)
from thalweg.estimators.typed_json import from_json, to_json
from thalweg.training import as_rows, as_weights, fit

_KEPT = (
    "_shape", "_seed", "_wide", "n_outputs_", "classes_", "stop_reason_", "engine_",
    "n_iter_", "n_features_in_", "feature_names_in_",
)  # fmt: skip
_NESTED = ("build_params", "settings")
_LINKED = ("cross_entropy", "focal", "binary_cross_entropy")
_building = threading.Lock()


@dataclass(eq=False, repr=False)
class _KerasEstimator(Persistent, Validated):
    """What both estimators share."""

    build_fn: Callable[..., Any] | None = None
    _: KW_ONLY
    build_params: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] | None = None
    epochs: int = 200
    batch_size: int | str | None = "auto"
    validation_fraction: float | None = None
    patience: int | None = None
    random_state: int | np.random.RandomState | None = None
    callbacks: Sequence[Callable[[EpochRecord], bool | None]] = ()

    _parameter_constraints: ClassVar = {
        "build_fn": [callable, None],
        "build_params": [Mapping, None],
        "settings": [Mapping, None],
        "epochs": [AT_LEAST_1, ListOf(AT_LEAST_1)],
        "batch_size": [*BATCH_SIZE, None],
        "validation_fraction": [OPEN_SHARE, None],
        "patience": [AT_LEAST_0, None],
        "random_state": ["random_state"],
        "callbacks": CALLBACKS,
    }

    # The differences of the two estimators.

    def _learn(self, y: Array) -> int:
        """Learn from the targets; return how many outputs the model needs."""
        raise NotImplementedError

    def _encode(self, y: Array) -> Array:
        raise NotImplementedError

    def _weights(self, sample_weight: Any, y: Array) -> Array:
        return as_weights(sample_weight, len(y), np.dtype(float))

    # Fitting.

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Build the model and train it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object
        """
        self._validate_params()
        X, y = self._check(X, y)
        self._shape, self.n_outputs_ = X.shape[1:], self._learn(y)
        weights = self._weights(sample_weight, y)
        rng = check_random_state(self.random_state)
        self._seed = int(rng.randint(2**31))
        self._build()
        run = fit(
            from_keras(self.model_), X, self._encode(y),
            sample_weight=weights,
            validation=self.validation_fraction,
            random_state=rng,
            callbacks=self.callbacks or (),
            **self._plan_settings(),
        )  # fmt: skip
        self.history_, self.stop_reason_, self.engine_ = (
            run.history, run.why, run.engine
        )  # fmt: skip
        self.n_iter_ = len(run.history)
        self._make_ready()
        return self

    def _check(self, X: Any, y: Any, **more: Any) -> tuple[Any, Any]:
        checked: Any = validate_data(
            self, X, y, allow_nd=True, multi_output=True, dtype="numeric", **more
        )
        return checked

    def _build(self) -> None:
        """Build the model with the initial weights of the seed."""
        build = self.build_fn or default_model
        with _seeded(self._seed):
            self.model_ = build(
                self._shape, self.n_outputs_, **(self.build_params or {})
            )

    def _plan_settings(self) -> dict[str, Any]:
        own = {
            "epochs": self.epochs, "batch_size": self.batch_size,
            "patience": self.patience, **(self.settings or {}),
        }  # fmt: skip
        if not self.model_.loss and "loss" not in own:
            own["loss"] = self._usual_loss()
        return own

    def _usual_loss(self) -> Any:
        return "squared"

    # Predicting.

    def _outputs(self, X: Any) -> Array:
        """Return the outputs of the model after the activation of our loss."""
        check_is_fitted(self)
        X = validate_data(self, X, allow_nd=True, dtype="numeric", reset=False)
        network, parameters, plan = self._ready
        engine, _ = engines.pick("auto", network, plan)
        rows = as_rows(network, X, np.dtype("float32"))
        return link(plan.loss)(engine.outputs(network, parameters, rows))

    def _make_ready(self) -> None:
        """Prepare the network for predictions."""
        adapter: Any = from_keras(self.model_).adapter
        prepared = adapter.prepare(self._plan_settings())
        network, first = prepared.network, prepared.parameters
        first = network.init(0) if first is None else first
        self._ready = network, first, Plan(loss=prepared.settings["loss"])

    # scikit-learn's contract.

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; entries of dicts also as ``build_params__name``."""
        found = super().get_params(deep)
        for name in _NESTED if deep else ():
            own = found[name] if isinstance(found[name], Mapping) else {}
            found |= {f"{name}__{key}": value for key, value in own.items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters; entries of dicts as ``build_params__name``."""
        for key in list(params):
            name, _, rest = key.partition("__")
            if name in _NESTED and rest:
                own = {**(params.get(name, getattr(self, name)) or {})}
                params[name] = {**own, rest: params.pop(key)}
        return super().set_params(**params)

    # Model files.

    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the fitted estimator as values that JSON can hold, and arrays.

        Raises
        ------
        ValueError
            If `build_fn` or another parameter is a function, which no file can keep.
        """
        if self.build_fn is not None:
            raise ValueError(
                f"save got a {type(self).__name__} with build_fn={self.build_fn!r}. A "
                "model file cannot keep a function. Save the model with "
                "model_.save(path) of Keras, or keep the estimator with pickle."
            )
        kept = {name: getattr(self, name) for name in _KEPT if hasattr(self, name)}
        content = {
            "settings": parameters_to_json(self),
            "fitted": to_json("its attributes", kept),
            "history": self.history_.to_json(),
        }
        values = [np.array(each.value) for each in _variables(self.model_)]
        return content, {f"variable.{k}": value for k, value in enumerate(values)}

    @classmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild the estimator that `to_document` took apart."""
        made = cls(**parameters_from_json(content["settings"]))
        vars(made).update(from_json(content["fitted"]))
        made.history_ = History.from_json(content["history"])
        made._build()
        for k, variable in enumerate(_variables(made.model_)):
            variable.assign(arrays[f"variable.{k}"])
        made._make_ready()
        return made

    def __getstate__(self) -> dict[str, Any]:
        plain: Any = super().__getstate__()
        state: dict[str, Any] = {**plain}
        state.pop("_ready", None)
        if "model_" in state:
            variables = _variables(state.pop("model_"))
            state["_values"] = [np.array(variable.value) for variable in variables]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = state.pop("_values", None)
        super().__setstate__(state)
        if values is not None:
            self._build()
            for variable, value in zip(_variables(self.model_), values, strict=True):
                variable.assign(value)
            self._make_ready()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")


@dataclass(eq=False, repr=False)
class KerasClassifier(ClassifierMixin, _KerasEstimator):
    """A classifier around a function that builds a Keras model.

    Parameters
    ----------
    build_fn : callable or None
        ``build_fn(shape, n_outputs, **build_params) -> keras.Model``, where `shape` is
        that of a row of X and `n_outputs` the number of classes. The outputs of the
        model may be logits or probabilities by softmax; for two classes a single output
        by a sigmoid is allowed. If the model is compiled, fit uses its loss and
        optimizer; otherwise the loss is the cross-entropy of logits. None builds one
        hidden layer of 100 units.
    build_params : dict or None
        Further arguments of `build_fn`; ``build_params__name`` in a search.
    settings : dict or None
        Fields of `thalweg.Plan`, such as ``{"optimizer": "lbfgs"}``, which override
        what the model is compiled with; ``settings__name`` in a search.
    epochs : int
        Largest number of epochs, or of iterations of a full-batch method.
    batch_size : int, "auto" or None
        As in `thalweg.Plan`.
    validation_fraction : float or None
        Share of the rows used as validation data; None for no validation data.
    patience : int or None
        Training stops after this many epochs without an improvement.
    class_weight : dict, "balanced" or None
        As in scikit-learn.
    random_state : int, RandomState or None
        Source of the initial weights and of all other random numbers.
    callbacks : sequence of callable
        Each is called with a `thalweg.EpochRecord` after each epoch. Training stops if
        one returns True.

    Attributes
    ----------
    model_ : keras.Model
    classes_ : ndarray of shape (n_classes,)
    history_ : thalweg.History
    stop_reason_, engine_ : str
    n_features_in_, n_outputs_, n_iter_ : int

    Examples
    --------
    >>> import os
    >>> os.environ["KERAS_BACKEND"] = "jax"
    >>> from sklearn.datasets import load_iris
    >>> from thalweg import KerasClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = KerasClassifier(settings={"optimizer": "lbfgs"}, random_state=0)
    >>> clf.fit(X, y).score(X, y) > 0.97
    True
    """

    class_weight: Mapping[Any, float] | str | None = field(default=None, kw_only=True)

    _parameter_constraints: ClassVar = {
        **_KerasEstimator._parameter_constraints,
        "class_weight": CLASS_WEIGHT,
    }

    def predict(self, X: ArrayLike) -> Array:
        """Predict the classes of rows; shape (n_samples,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Estimate the probability of each class; shape (n_samples, n_classes)."""
        outputs = self._outputs(X)
        squash = logistic if outputs.shape[1] == 1 else softmax
        linked = self._ready[2].loss.name in _LINKED
        done = linked or _ends_in_probabilities(self.model_)
        probabilities = with_complement(outputs if done else squash(outputs))
        return probabilities[:, : len(self.classes_)]

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Estimate the logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _check(self, X: Any, y: Any, **more: Any) -> tuple[Any, Any]:
        X, y = super()._check(X, y, **more)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        return X, y

    def _learn(self, y: Array) -> int:
        self.classes_ = np.unique(y)
        return max(2, len(self.classes_))

    def _encode(self, y: Array) -> Array:
        numbers = np.searchsorted(self.classes_, y)
        width = int(self.model_.output_shape[-1])
        if width == 1:
            return numbers[:, None].astype("float32")
        if "loss" not in (self.settings or {}) and _takes_one_hot(self.model_.loss):
            return np.eye(width, dtype="float32")[numbers]
        return numbers

    def _usual_loss(self) -> Any:
        one = int(self.model_.output_shape[-1]) == 1
        return "binary_cross_entropy" if one else "cross_entropy"

    def _weights(self, sample_weight: Any, y: Array) -> Array:
        weights = super()._weights(sample_weight, y)
        if self.class_weight is None:
            return weights
        labels = self.classes_ if np.ndim(y) == 1 else None
        check_class_weight(self.class_weight, labels, type(self).__name__)
        return weights * compute_sample_weight(self.class_weight, y)


class KerasRegressor(RegressorMixin, _KerasEstimator):
    """A regressor around a function that builds a Keras model.

    Parameters
    ----------
    build_fn, build_params, settings, epochs, batch_size, validation_fraction, \
patience, random_state, callbacks
        As in `KerasClassifier`. A model that is not compiled has the squared loss.

    Attributes
    ----------
    model_, history_, stop_reason_, engine_, n_features_in_, n_outputs_, n_iter_
        As in `KerasClassifier`.

    Examples
    --------
    >>> import os
    >>> os.environ["KERAS_BACKEND"] = "jax"
    >>> import numpy as np
    >>> from thalweg import KerasRegressor
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> reg = KerasRegressor(settings={"optimizer": "lbfgs"}, random_state=0)
    >>> reg.fit(X, np.sin(3 * X[:, 0])).score(X, np.sin(3 * X[:, 0])) > 0.99
    True
    """

    def predict(self, X: ArrayLike) -> Array:
        """Predict values, in the shape of y: (n_samples,) or (n_samples, n_outputs)."""
        outputs = self._outputs(X)
        return outputs if self._wide else outputs.reshape(len(outputs))

    def _check(self, X: Any, y: Any, **more: Any) -> tuple[Any, Any]:
        X, y = super()._check(X, y, y_numeric=True, **more)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _learn(self, y: Array) -> int:
        self._wide = y.ndim == 2
        return y.shape[1] if self._wide else 1

    def _encode(self, y: Array) -> Array:
        return y.reshape(len(y), -1).astype("float32")


def default_model(shape: tuple[int, ...], n_outputs: int) -> Any:
    """Build a model with one hidden layer of 100 units."""
    import keras

    flat = [keras.layers.Flatten()] if len(shape) > 1 else []
    dense = [keras.layers.Dense(100, "relu"), keras.layers.Dense(n_outputs)]
    return keras.Sequential([keras.Input(shape), *flat, *dense])


@contextmanager
def _seeded(seed: int) -> Any:
    """Seed Keras's initializers, and restore Python's generator afterward."""
    with _building:
        before = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before)


def _variables(model: Any) -> list[Any]:
    return [*model.trainable_variables, *model.non_trainable_variables]


def _takes_one_hot(loss: Any) -> bool:
    """Tell whether a compiled loss takes rows of class probabilities as targets."""
    import keras

    found = keras.losses.get(loss) if isinstance(loss, str) else loss
    function = getattr(found, "fn", found)
    while isinstance(function, partial):
        function = function.func
    return function in (
        keras.losses.categorical_crossentropy,
        keras.losses.categorical_focal_crossentropy,
    )


def _ends_in_probabilities(model: Any) -> bool:
    """Tell whether the last layer is a softmax or a sigmoid."""
    import keras

    last = model.layers[-1] if model.layers else model
    squashing = (keras.activations.softmax, keras.activations.sigmoid)
    return isinstance(last, keras.layers.Softmax) or (
        getattr(last, "activation", None) in squashing
    )
