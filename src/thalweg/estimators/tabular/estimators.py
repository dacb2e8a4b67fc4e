"""Estimators for tables with columns of any kind: `Classifier` and `Regressor`.

They are scikit-learn estimators for numbers, texts, dates, booleans and missing values.
`fit` learns how to encode the columns (`thalweg.estimators.tabular.columns`), how
to encode the target (`thalweg.estimators.tabular.targets`), and a dense network between
them. `thalweg.estimators.evaluate` scores them on test data.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, column_or_1d

from thalweg import training
from thalweg.core import (
    ACTIVATIONS,
    FULL_BATCH,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    Array,
    CompactRows,
    DenseNetwork,
    Frame,
    History,
    Plan,
    Series,
    Spec,
    canonical,
    check_names,
    phases,
)
from thalweg.estimators.constraints import (
    AT_LEAST_0,
    AT_LEAST_1,
    CALLBACKS,
    CLASS_WEIGHT,
    DTYPE,
    ENGINE,
    NONNEGATIVE,
    POSITIVE,
    SHARE,
    UPDATE_RULE,
    ListOf,
    Named,
    Validated,
)
from thalweg.estimators.persistence import (
    Persistent,
    parameters_from_json,
    parameters_to_json,
)
from thalweg.estimators.tabular.columns import (
    Column,
    as_frame,
    encode_compact,
    is_missing,
    study,
    whole,
)
from thalweg.estimators.tabular.targets import Classes, Values
from thalweg.io import pack_run, unpack_run
from thalweg.training import Callback, as_weights

FEW_ROWS = 200
"""With fewer rows there are no validation data: all rows are used for training."""
_UPDATES = 512  # in training without validation data
_OPTIMIZER = [
    Named({**OPTIMIZERS, **FULL_BATCH}, canonical), UPDATE_RULE,
]  # fmt: skip
_OF_PLAN = (
    "loss", "optimizer", "learning_rate", "schedule", "l2", "weight_decay", "max_time",
    "dtype",
)  # fmt: skip


@dataclass(kw_only=True, eq=False, repr=False)
class _Tabular(Persistent, Validated):
    """What both estimators share: everything but the target."""

    hidden_layer_sizes: Sequence[int] = field(default=(128, 64), kw_only=False)
    activation: Spec = field(default="relu", kw_only=False)
    loss: Spec = "squared"
    piecewise: bool = True
    dropout: float | None = None
    optimizer: Any = "adam"
    learning_rate: float | None = None
    schedule: Spec = "constant"
    batch_size: int | None = None
    max_epochs: int | None = None
    l2: float = 1.0
    weight_decay: float = 0.0
    validation_fraction: float = 0.15
    patience: int | None = 10
    max_time: float | None = None
    callbacks: Sequence[Callback] = ()
    random_state: int | np.random.RandomState | None = None
    dtype: str = "float32"
    engine: str = "auto"

    _parameter_constraints: ClassVar = {
        "hidden_layer_sizes": ["array-like"],
        "activation": [Named(ACTIVATIONS), callable],
        "loss": [Named(LOSSES), callable],
        "piecewise": ["boolean"],
        "dropout": [SHARE, None],
        "optimizer": [*_OPTIMIZER, ListOf(*_OPTIMIZER)],
        "learning_rate": [POSITIVE, None],
        "schedule": [Named(SCHEDULES), callable],
        "batch_size": [AT_LEAST_1, None],
        "max_epochs": [AT_LEAST_1, ListOf(AT_LEAST_1), None],
        "l2": [NONNEGATIVE],
        "weight_decay": [NONNEGATIVE],
        "validation_fraction": [SHARE],
        "patience": [AT_LEAST_0, None],
        "max_time": [POSITIVE, None],
        "callbacks": CALLBACKS,
        "random_state": ["random_state"],
        "dtype": DTYPE,
        "engine": ENGINE,
    }
    _target: ClassVar[type[Classes] | type[Values]]
    target_: Any = field(init=False)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
        watch_only: bool = False,
    ) -> Self:
        """Learn the columns, the target and the network.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            Numbers, texts, dates, booleans, missing values.
        y : Series or array-like of shape (n_rows,)
            Rows with a missing target are left out.
        sample_weight : array-like of shape (n_rows,), optional
        X_val, y_val : optional
            Validation data; by default they are a part of `X`.
        watch_only : bool
            Whether `X_val` and `y_val` are only recorded in `history_`, and never stop
            training or select weights. If a part of `X` is validation data already,
            that part is recorded instead.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, a column or a value is not valid. The message names it and
            says what to do.
        """
        self._validate_params()
        frame, target, weights = labeled(X, y, sample_weight)
        self._study(X, frame)
        self.target_ = self._target.study(target)
        inputs = self._encode(frame)
        if watch_only and self._validates(len(frame)):
            X_val, watch_only = None, False
        validation = self._validation(len(frame), X_val, y_val)
        settings = self._settings(len(frame), validation is not None and not watch_only)
        self.run_ = training.fit(
            self._network(inputs.shape[1], settings),
            inputs,
            self.target_.encode(target),
            sample_weight=weights,
            class_weight=self._class_weight(),
            validation=validation,
            random_state=self.random_state,
            callbacks=self.callbacks or (),
            engine=self.engine,
            **settings,
            monitor="training" if watch_only else "auto",
        )
        return self

    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the fitted estimator as values that JSON can hold, and arrays."""
        settings = parameters_to_json(self)
        run, arrays = pack_run(self.run_)
        content = {
            "run": run,
            "settings": settings,
            "columns": [column.to_json() for column in self.columns_],
            "names": list(getattr(self, "feature_names_in_", ())),
            "target": self.target_.to_json(),
        }
        return content, arrays

    @classmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild the estimator that `to_document` took apart."""
        settings = dict(content["settings"])
        if isinstance(settings["hidden_layer_sizes"], list):  # a tuple in format 1
            settings["hidden_layer_sizes"] = tuple(settings["hidden_layer_sizes"])
        model = cls(**parameters_from_json(settings))
        model.columns_ = tuple(map(Column.from_json, content["columns"]))
        model.n_features_in_ = len(model.columns_)
        model._remember_names(content["names"])
        model.target_ = cls._target.from_json(content["target"])
        model.run_ = unpack_run(content["run"], arrays)
        return model

    @property
    def history_(self) -> History:
        """One record for each epoch."""
        return self.run_.history

    @property
    def stop_reason_(self) -> str:
        """Why training stopped, in a sentence."""
        return self.run_.why

    def encode(self, X: Any) -> Array:
        """Return the inputs of the network for a table, (n_rows, n_inputs).

        Columns are found by name if both tables have names, and by position otherwise.
        Further columns are ignored.
        """
        return self._inputs(X).toarray()

    def _inputs(self, X: Any) -> CompactRows:
        check_is_fitted(self)
        if isinstance(X, Encoded):
            return self._encode(X)
        frame = as_frame(X)
        if not (hasattr(self, "feature_names_in_") and hasattr(X, "columns")):
            if frame.shape[1] != self.n_features_in_:
                raise ValueError(
                    f"X has {frame.shape[1]} features, but {type(self).__name__} is "
                    f"expecting {self.n_features_in_} features as input. Give the "
                    "columns of the table that it was fitted on, in the same order."
                )
            frame = frame.set_axis([c.name for c in self.columns_], axis=1)
        return self._encode(frame)

    def predict(self, X: Any) -> Array:
        """Predict each row: its most probable class, or its value in float64.

        Raises
        ------
        ValueError
            If columns are missing, or a value is of another kind than at fit.
        """
        outputs = self._outputs(X)
        return self.target_.decode(outputs)

    def _outputs(self, X: Any) -> Array:
        inputs = self._inputs(X)
        return training.predict(self.run_, inputs)

    def _study(self, X: Any, frame: "Frame | Encoded") -> None:
        columns = frame.studied if isinstance(frame, Encoded) else study(frame)
        self.columns_ = columns if self.piecewise else whole(columns)
        self.n_features_in_ = len(self.columns_)
        self._remember_names(getattr(X, "columns", ()))

    def _encode(self, frame: "Frame | Encoded") -> CompactRows:
        if isinstance(frame, Encoded):
            return frame.inputs[self.piecewise].astype(self.dtype)
        return encode_compact(self.columns_, frame, self.dtype)

    def _remember_names(self, names: Iterable[object]) -> None:
        vars(self).pop("feature_names_in_", None)
        known = list(names)
        if known and all(isinstance(name, str) for name in known):
            self.feature_names_in_ = np.array(known, dtype=object)

    def _network(self, n_inputs: int, settings: Mapping[str, Any]) -> DenseNetwork:
        sizes = (n_inputs, *self.hidden_layer_sizes, self.target_.n_outputs)
        # A full-batch method needs an objective without random numbers.
        plans = phases(None, settings)
        fixed = any(plan.full_batch or plan.on_device for plan in plans)
        usual = 0.0 if fixed else 0.1
        dropout = usual if self.dropout is None else self.dropout
        return DenseNetwork.from_sizes(
            sizes, activation=self.activation, dropout=dropout
        )

    def _settings(self, n_rows: int, watched: bool) -> dict[str, Any]:
        """Return the fields of the plan."""
        batch = _batch_rows(n_rows) if self.batch_size is None else self.batch_size
        steps = -(-n_rows // max(batch, 1))
        usual = 100 if watched else int(np.clip(_UPDATES // steps, 20, 512))
        return {
            **{name: getattr(self, name) for name in _OF_PLAN},
            "epochs": usual if self.max_epochs is None else self.max_epochs,
            "batch_size": batch,
            "patience": self.patience if watched else None,
        }

    def _validation(self, n_rows: int, X_val: Any, y_val: Any) -> Any:
        """Return the validation data: a share, rows, or None."""
        if X_val is None:
            return self.validation_fraction if self._validates(n_rows) else None
        frame, target, _ = labeled(X_val, y_val, None)
        return self._encode(frame), self.target_.encode(target)

    def _validates(self, n_rows: int) -> bool:
        """Whether a part of the rows is used as validation data."""
        return n_rows >= FEW_ROWS and self.validation_fraction > 0

    def _class_weight(self) -> Mapping[int, float] | str | None:
        return None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


@dataclass(frozen=True, eq=False)
class Encoded:
    """A table that was encoded once, for many fits on the same rows.

    `inputs` holds the encodings with and without piecewise-linear parts, by whether
    they have these.
    """

    studied: tuple[Column, ...]
    inputs: Mapping[bool, CompactRows]
    columns: Sequence[Any] = ()

    def __len__(self) -> int:
        return len(self.inputs[True])

    def __getitem__(self, rows: Any) -> "Encoded":
        inputs = {piecewise: each[rows] for piecewise, each in self.inputs.items()}
        return Encoded(self.studied, inputs, self.columns)


def encode_once(X: Any, y: Any, X_val: Any) -> tuple[Encoded, Encoded]:
    """Encode training data and validation data as a fit would."""
    table, *_ = labeled(X, y, None)
    models = [Regressor(dtype="float64", piecewise=each) for each in (True, False)]
    for model in models:
        model._study(X, table)  # pyright: ignore[reportPrivateUsage]
    studied, names = models[0].columns_, getattr(X, "columns", ())

    def encoded(rows: Any) -> Encoded:
        inputs = {model.piecewise: model._inputs(rows) for model in models}  # pyright: ignore[reportPrivateUsage]
        return Encoded(studied, inputs, names)

    return encoded(X), encoded(X_val)


@dataclass(kw_only=True, eq=False, repr=False)
class Classifier(ClassifierMixin, _Tabular):
    """A dense network that classifies the rows of a table.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers.
    activation : str, (str, dict) or callable
        One of `thalweg.core.networks.ACTIVATIONS`.
    loss : str or (str, dict)
        ``"cross_entropy"`` or ``"focal"``.
    piecewise : bool
        Whether numbers also get a piecewise-linear encoding between up to nine of
        their quantiles (Gorishniy et al., 2022, section 3.2). It helps if the target
        depends on a number with jumps and bends, and not if it depends smoothly.
    dropout : float or None
        Share of the hidden layers' outputs that are dropped at each training step. None
        is 0.1, and 0 for a full-batch method.
    optimizer : str, (str, dict), optax.GradientTransformation or list of these
        One of `thalweg.core.optimizers.OPTIMIZERS` or
        `thalweg.core.optimizers.FULL_BATCH`. In a list, such as ``["adam", "lbfgs"]``,
        each continues from the weights of the one before.
    learning_rate : float or None
        None is the default of the optimizer.
    schedule : str, (str, dict) or callable
        One of `thalweg.core.schedules.SCHEDULES`.
    batch_size : int or None
        Number of rows of one update. None is a fortieth of the rows, between 16 and
        256.
    max_epochs : int or None
        None is 100 with validation data, and otherwise as many as 512 updates need, but
        at least 20. A list has one for each optimizer.
    l2, weight_decay : float
        L2 penalty and decoupled decay of the weights.
    validation_fraction : float
        Share of the rows used as validation data, stratified, to stop early and to keep
        the best weights; 0 for none. With fewer than `FEW_ROWS` rows there are none.
    patience : int or None
        Training stops after this many epochs without a better validation loss.
    class_weight : dict of label to float, "balanced" or None
        Weights of the classes.
    max_time : float or None
        No epoch starts after this many seconds.
    callbacks : sequence of callable
        Each is called with the `EpochRecord` after each epoch. Training stops if one
        returns True.
    random_state : int, RandomState or None
        Source of all random numbers.
    dtype : {"float32", "float64"}
        Floating-point type of the computation.
    engine : {"auto", "native", "jax"}
        The engine that trains.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    run_ : Run
        The network, its weights and the history of training.
    columns_ : tuple of Column
        How each column of the table is encoded.
    n_features_in_, feature_names_in_
        Number and names of the table's columns.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"size": [1, 2, 8, 9] * 5, "hue": ["red", "blue"] * 10})
    >>> answer = ["small", "small", "large", "large"] * 5
    >>> model = Classifier(random_state=0).fit(table, answer)
    >>> model.predict(pd.DataFrame({"hue": ["green", None], "size": [1.5, 7]}))
    array(['small', 'large'], dtype='<U5')
    """

    loss: Spec = "cross_entropy"
    class_weight: Mapping[Any, float] | str | None = None

    _parameter_constraints: ClassVar = {
        **_Tabular._parameter_constraints,
        "class_weight": CLASS_WEIGHT,
    }
    _target = Classes

    @property
    def classes_(self) -> Array:
        """The labels, in the order of `predict_proba`'s columns."""
        return self.target_.labels

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (n_rows, n_classes).

        Raises
        ------
        ValueError
            If columns are missing, or a value is of another kind than at fit.
        """
        return self._outputs(X)

    def _class_weight(self) -> Mapping[int, float] | str | None:
        given = self.class_weight
        if not isinstance(given, Mapping):
            return given
        numbered = {label: k for k, label in enumerate(self.classes_.tolist())}
        check_names("class", map(str, given), map(str, numbered), owner="class_weight")
        return {numbered[label]: weight for label, weight in given.items()}


class Regressor(RegressorMixin, _Tabular):
    """A dense network that predicts a number from a table.

    Parameters
    ----------
    loss : str, (str, dict) or callable
        A regression loss of `thalweg.core.losses.LOSSES`, such as ``"squared"``,
        ``"absolute"``, ``"huber"`` or ``"quantile"``. It is computed for the
        standardized target.
    hidden_layer_sizes, activation, piecewise, dropout, optimizer, learning_rate, \
    schedule, batch_size, max_epochs, l2, weight_decay, validation_fraction, patience, \
    max_time, callbacks, random_state, dtype, engine
        As for `Classifier`.

    Attributes
    ----------
    run_, columns_, n_features_in_, feature_names_in_
        As for `Classifier`.
    """

    _target = Values


def table_blueprint(
    model: Classifier | Regressor, X: Any, y: Any, n_inputs: int
) -> tuple[DenseNetwork, Plan, bool]:
    """Return what `fit` would train: network, plan, and whether it validates.

    With several phases, the plan is that of the first.
    """
    _, target, _ = labeled(X, y, None)
    copy: Any = clone(model)
    copy.target_ = copy._target.study(target)
    watched = copy._validates(len(target))
    settings = copy._settings(len(target), watched)
    return copy._network(n_inputs, settings), phases(None, settings)[0], watched


def labeled(
    X: Any, y: Any, sample_weight: ArrayLike | None
) -> tuple[Any, Series, Array | None]:
    """Return the rows that have a target, with it and with their weights."""
    import pandas as pd

    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    frame = X if isinstance(X, Encoded) else as_frame(X)
    named = isinstance(y, pd.Series)
    values = y if named else column_or_1d(y, warn=True)
    if len(values) != len(frame):
        raise ValueError(
            f"X has {len(frame)} rows and y has {len(values)}; inconsistent numbers of "
            "samples. Give one value of y for each row."
        )
    target = pd.Series(values.array if named else values, name=target_name(y))
    known = ~is_missing(target)
    if known.sum() < 2:
        raise ValueError(
            f"the target {target.name!r} has a value in {known.sum()} of {len(frame)} "
            "row(s); fit needs at least two (n_samples = 1 or 0). Fill in the target."
        )
    weights = None
    if sample_weight is not None:
        weights = as_weights(sample_weight, len(frame), np.dtype(float))[known]
    return frame[known.to_numpy()], target[known], weights


def target_name(y: Any) -> str:
    """Return the name of a target."""
    return str(getattr(y, "name", None) or "y")


def _batch_rows(n_rows: int) -> int:
    """Return a fortieth of the rows, as a power of two between 16 and 256."""
    return int(np.clip(2 ** round(np.log2(n_rows / 40)), 16, 256))
