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
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from thalweg import engines
from thalweg.core import (
    Array,
    DenseNetwork,
    EpochRecord,
    History,
    Start,
    fitting,
    link,
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
from thalweg.estimators.keras.probabilities import (
    as_label_probabilities,
    as_probabilities,
    excludes,
    output_width,
    takes_one_hot,
)
from thalweg.estimators.mlp.callbacks import TaskPerEpoch
from thalweg.estimators.persistence import (
    Persistent,
    parameters_from_json,
    parameters_to_json,
)
from thalweg.estimators.typed_json import from_json, to_json
from thalweg.io import PathLike
from thalweg.training import Kept, as_rows, as_weights, fit, open_checkpoint

_KEPT = (
    "_shape", "_seed", "_wide", "_several", "n_outputs_", "classes_", "stop_reason_",
    "engine_", "n_iter_", "n_features_in_", "feature_names_in_",
)  # fmt: skip
_NESTED = ("build_params", "settings")
_LINKED = ("cross_entropy", "focal", "binary_cross_entropy")
_building = threading.Lock()


@dataclass(eq=False, repr=False)
class _KerasEstimator(Persistent, CallbackSupportMixin, Validated):
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
    warm_start: bool = False
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
        "warm_start": ["boolean"],
        "callbacks": CALLBACKS,
    }

    # The differences of the two estimators.

    def _learn(self, y: Array) -> int:
        """Learn from the targets; return how many outputs the model needs."""
        raise NotImplementedError

    def _encode(self, y: Array) -> Array:
        raise NotImplementedError

    def _check_outputs(self) -> None:
        """Raise ValueError unless the outputs of the model fit the targets."""
        width = output_width(self.model_, self._shape)
        if width is None:
            raise ValueError(
                f"{type(self).__name__} got a model with several outputs. Join them by "
                "a Concatenate layer, or train the model with thalweg.fit."
            )
        if width != self.n_outputs_:
            raise ValueError(
                f"{type(self).__name__} got a model with {width} outputs for "
                f"{self.n_outputs_} targets. Let build_fn end in a layer of n_outputs "
                "units, its second argument."
            )

    def _weights(self, sample_weight: Any, y: Array) -> Array | None:
        if sample_weight is None:
            return None
        return as_weights(sample_weight, len(y), np.dtype(float))

    # Fitting.

    @with_callbacks
    def fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, *,
        checkpoint: PathLike | Kept | None = None,
        checkpoint_every: int | float | str | None = None,
        resume: bool | str = "auto",
    ) -> Self:  # fmt: skip
        """Build the model and train it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        checkpoint : path-like, optional
            File in which the training is kept, so that the same call again goes on
            from there after a kill or an interruption.
        checkpoint_every : int, float or str, optional
            How often it is written: 5 (epochs), 60.0 (seconds), "10 min". By default
            every 30 seconds.
        resume : {"auto", True, False}
            Whether to go on from the file: if it is there, in any case, or never.

        Returns
        -------
        self : object
        """
        self._validate_params()
        goes_on = self.warm_start and hasattr(self, "model_")
        kept = open_checkpoint(checkpoint, checkpoint_every, resume)
        return self._fit(
            X, y, sample_weight, goes_on, self.epochs, kept=kept,
            tasks=hasattr(self, "_skl_callbacks"),
        )  # fmt: skip

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, goes_on: bool, epochs: Any,
        classes: Any = None, kept: Kept | None = None, tasks: bool = False,
    ) -> Self:  # fmt: skip
        given = {"X": X, "y": y}
        if sample_weight is not None:
            given["metadata"] = {"sample_weight": sample_weight}
        X, y = self._check(X, y, reset=not goes_on)
        rng = check_random_state(self.random_state)
        if not goes_on:
            self._shape = X.shape[1:]
            named = classes is not None and np.ndim(y) == 1
            self.n_outputs_ = self._learn(np.asarray(classes) if named else y)
        self._check_known(y)
        weights = self._weights(sample_weight, y)
        if not goes_on:
            self._seed = int(rng.randint(2**31))
            self._build(X)
            self._check_outputs()
        watching = [_Tasks(self, given)] if tasks else []
        with fitting(self, X):
            run = fit(
                from_keras(self.model_), X, self._encode(y),
                sample_weight=weights,
                validation=self.validation_fraction,
                random_state=rng,
                callbacks=[*(self.callbacks or ()), *watching],
                checkpoint=kept,
                **{**self._plan_settings(), "epochs": epochs},
            )  # fmt: skip
            self.history_, self.stop_reason_, self.engine_ = (
                run.history, run.why, run.engine
            )  # fmt: skip
            self.n_iter_ = len(run.history)
            self._make_ready()
        for each in watching:
            each.close()
        return self

    def _check_known(self, y: Array) -> None:
        """Raise ValueError for targets that the first fit did not have."""

    def _check(self, X: Any, y: Any, **more: Any) -> tuple[Any, Any]:
        checked: Any = validate_data(
            self, X, y, allow_nd=True, multi_output=True, dtype="numeric", **more
        )
        return checked

    def _build(self, X: Any = None) -> None:
        """Build the model with the initial weights of the seed."""
        import keras

        build, owner = self.build_fn or default_model, type(self).__name__
        if isinstance(build, keras.Model):
            raise ValueError(
                f"{owner} got build_fn={build.name!r}, a Keras model. Give a function "
                "that builds one, such as lambda shape, n_outputs: "
                "keras.models.clone_model(model); compile the clone in it too."
            )
        with _seeded(self._seed):
            model: Any = build(
                self._shape, self.n_outputs_, **(self.build_params or {})
            )
            if not isinstance(model, keras.Model):
                raise ValueError(
                    f"{owner} got a build_fn that returned {type(model).__name__}; it "
                    "must return a keras.Model."
                )
            if not model.built:
                rows = np.zeros((1, *self._shape), "float32") if X is None else X[:1]
                model(np.asarray(rows))
        self.model_ = model

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
        outputs = engine.outputs(network, parameters, rows)
        raw = isinstance(network, DenseNetwork) and network.raw_outputs
        return outputs if raw else link(plan.loss)(outputs)

    def _make_ready(self) -> None:
        """Prepare the network for predictions."""
        adapter: Any = from_keras(self.model_).adapter
        self._ready = adapter.ready(self._plan_settings())

    # scikit-learn's contract.

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; entries of dicts also as ``build_params__name``."""
        found = super().get_params(deep)
        for name in _NESTED if deep else ():
            own = found[name] if isinstance(found[name], Mapping) else {}
            found |= {f"{name}__{key}": value for key, value in own.items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters; entries of dicts as ``build_params__name``.

        scikeras's names are taken as well: ``model__name`` is an entry of
        `build_params`, and ``optimizer__learning_rate`` the learning rate.
        """
        for key in list(params):
            name, _, rest = key.partition("__")
            if name == "optimizer" and rest and rest != "learning_rate":
                raise ValueError(
                    f"{type(self).__name__} got {key}={params[key]!r}. Of the "
                    "optimizer, only learning_rate can be set so. Let build_fn take "
                    f"the option as an argument, and set model__{rest}; or set "
                    f"settings__optimizer=('adam', {{{rest!r}: ...}}) for one of "
                    "thalweg."
                )
            if key == "optimizer__learning_rate":
                name, rest = "settings", "learning_rate"
            name = "build_params" if name == "model" and rest else name
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
            model = state.pop("model_")
            state["_values"] = _arrays(_variables(model))
            optimizer: Any = getattr(model, "optimizer", None)
            if optimizer is not None and optimizer.built:
                state["_memory"] = _arrays(optimizer.variables)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        values, memory = state.pop("_values", None), state.pop("_memory", None)
        super().__setstate__(state)
        if values is not None:
            self._build()
            for variable, value in zip(_variables(self.model_), values, strict=True):
                variable.assign(value)
            if memory is not None:
                optimizer = self.model_.optimizer
                optimizer.build(self.model_.trainable_variables)
                for variable, value in zip(optimizer.variables, memory, strict=True):
                    variable.assign(value)
            self._make_ready()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")


class _Tasks:
    """Calls scikit-learn's callbacks from a fit, of which each epoch is a task."""

    def __init__(self, estimator: Any, given: dict[str, Any]) -> None:
        self.estimator, self.given = estimator, given
        adapter: Any = from_keras(estimator.model_).adapter
        settings = estimator._plan_settings()
        kinds = (True, False)
        self.ready = {k: adapter.ready(settings, as_dense=k) for k in kinds}
        self.task: TaskPerEpoch | None = None

    def begin(self, start: Start) -> Any:
        """Begin the task of the fit."""
        network, _, plan = self.ready[isinstance(start.network, DenseNetwork)]
        parameters: Any = start.parameters
        root = self.estimator._init_callback_context(max_subtasks=int(start.total))
        fitted = lambda: {"_ready": (network, parameters(), plan)}
        epochs = lambda: start.total
        self.task = TaskPerEpoch(self.estimator, root, epochs, fitted, self.given)
        return self.task

    def __call__(self, record: EpochRecord) -> None:
        """Do nothing: the task is called."""

    def close(self) -> None:
        """End the task of the fit."""
        if self.task is not None:
            self.task.close()


@dataclass(eq=False, repr=False)
class KerasClassifier(ClassifierMixin, _KerasEstimator):
    """A classifier around a function that builds a Keras model.

    Parameters
    ----------
    build_fn : callable or None
        ``build_fn(shape, n_outputs, **build_params) -> keras.Model``, where `shape` is
        that of a row of X and `n_outputs` the number of classes, or of labels where y
        is a matrix of 0 and 1 with a column for each label. The outputs of the
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
        As in `thalweg.Plan`; "auto" is 32 for a compiled model, as in Keras.
    validation_fraction : float or None
        Share of the rows used as validation data; None for no validation data.
    patience : int or None
        Training stops after this many epochs without an improvement.
    class_weight : dict, "balanced" or None
        As in scikit-learn.
    random_state : int, RandomState or None
        Source of the initial weights and of all other random numbers.
    warm_start : bool
        Whether a further `fit` goes on from the weights of the one before.
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
    _several = False  # whether rows have labels, any number of them

    _parameter_constraints: ClassVar = {
        **_KerasEstimator._parameter_constraints,
        "class_weight": CLASS_WEIGHT,
    }

    def partial_fit(
        self, X: Any, y: Any, classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:  # fmt: skip
        """Train for one epoch more, from the weights of now.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features, ...)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), optional
            All classes, at the first call; by default those of `y`.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object
        """
        self._validate_params()
        goes_on = hasattr(self, "model_")
        return self._fit(X, y, sample_weight, goes_on, 1, classes)

    def predict(self, X: ArrayLike) -> Array:
        """Predict the classes of rows; shape (n_samples,).

        After a fit to labels, whether each row has each; shape (n_samples, n_labels).
        """
        if self._several:
            return (self.predict_proba(X) > 0.5).astype(int)
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Estimate the probability of each class or label; (n_samples, n_classes)."""
        outputs = self._outputs(X)
        linked = self._ready[2].loss.name in _LINKED
        own = self._ready[0]
        linked &= not (isinstance(own, DenseNetwork) and own.raw_outputs)
        if self._several:
            return as_label_probabilities(self.model_, outputs, linked)
        found = as_probabilities(self.model_, outputs, linked)
        return found[:, : len(self.classes_)]

    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Estimate the logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _check(self, X: Any, y: Any, **more: Any) -> tuple[Any, Any]:
        X, y = super()._check(X, y, **more)
        y = y.toarray() if issparse(y) else y
        if y.ndim == 1 or y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
            check_classification_targets(y)
        else:
            _check_labels(y)
        return X, y

    def _learn(self, y: Array) -> int:
        self._several = y.ndim == 2
        self.classes_ = np.arange(y.shape[1]) if self._several else np.unique(y)
        return len(self.classes_) if self._several else max(2, len(self.classes_))

    def _check_outputs(self) -> None:
        if self._several:
            super()._check_outputs()
            given = (self.settings or {}).get("loss")
            if excludes(self.model_) or given in ("cross_entropy", "focal"):
                raise ValueError(
                    "KerasClassifier got a y with a column for each label, and a "
                    "model of which a row has one class only. Let it end in a sigmoid "
                    "with loss='binary_crossentropy'; if each row has one class, pass "
                    "y.argmax(axis=1)."
                )
            return
        width, n_classes = output_width(self.model_, self._shape), len(self.classes_)
        if width == self.n_outputs_ or (width == 1 and n_classes <= 2):
            return
        raise ValueError(
            f"KerasClassifier got a model with {width or 'several'} "
            f"output{'s' * (width != 1)} for {n_classes} "
            "classes. Let build_fn end in a layer of n_outputs units, its second "
            "argument; for two classes one unit is allowed."
        )

    def _check_known(self, y: Array) -> None:
        columns = y.shape[1] if y.ndim == 2 else 0
        if columns != (known := self.n_outputs_ if self._several else 0):
            words = [f"{n} columns" if n else "one column" for n in (columns, known)]
            raise ValueError(
                f"KerasClassifier got a y of {words[0]}, but the first fit had "
                f"{words[1]}. Give the same labels, or fit anew."
            )
        if self._several:
            return
        if unknown := sorted(set(y.tolist()) - set(self.classes_.tolist())):
            raise ValueError(
                f"KerasClassifier got the class {unknown[0]!r}, which the first fit "
                f"did not have. It knows {self.classes_.tolist()}. Fit anew."
            )

    def _encode(self, y: Array) -> Array:
        if self._several:
            return y.astype("float32")
        numbers = np.searchsorted(self.classes_, y)
        width = output_width(self.model_, self._shape)
        if width == 1:
            return numbers[:, None].astype("float32")
        if "loss" not in (self.settings or {}) and takes_one_hot(self.model_.loss):
            return np.eye(width or 0, dtype="float32")[numbers]
        return numbers

    def _usual_loss(self) -> Any:
        one = self._several or output_width(self.model_, self._shape) == 1
        return "binary_cross_entropy" if one else "cross_entropy"

    def _weights(self, sample_weight: Any, y: Array) -> Array | None:
        weights = super()._weights(sample_weight, y)
        if self.class_weight is None:
            return weights
        if self._several and isinstance(self.class_weight, Mapping):
            raise ValueError(
                "KerasClassifier got class_weight with a y of several columns. Use "
                "'balanced', or give each row its sample_weight."
            )
        labels = None if self._several else self.classes_
        check_class_weight(self.class_weight, labels, type(self).__name__)
        by_class = compute_sample_weight(self.class_weight, y)
        return by_class if weights is None else weights * by_class

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _check_labels(y: Array) -> None:
    """Raise ValueError unless columns of targets hold 0 and 1."""
    if type_of_target(y) == "multilabel-indicator" and np.isin(y, (0, 1)).all():
        return
    raise ValueError(
        f"KerasClassifier got a y of {y.shape[1]} columns that do not hold 0 and 1. "
        "With a column for each label, 1 says that a row has it. For several targets "
        "with classes, fit a classifier for each (sklearn.multioutput)."
    )


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

    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch more, from the weights of now.

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
        return self._fit(X, y, sample_weight, hasattr(self, "model_"), 1)

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


def _arrays(variables: list[Any]) -> list[Array]:
    return [np.array(each.value) for each in variables]


def _variables(model: Any) -> list[Any]:
    return [*model.trainable_variables, *model.non_trainable_variables]
