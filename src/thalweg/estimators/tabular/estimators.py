"""Estimators for tables with columns of any kind: `Classifier` and `Regressor`.

They are scikit-learn estimators for numbers, texts, dates, booleans and missing values.
`fit` learns how to encode the columns (`thalweg.estimators.tabular.preprocessing`), how
to encode the target (`thalweg.estimators.tabular.targets`), and a dense network between
them. `thalweg.estimators.evaluate` scores them on test data.
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, column_or_1d

from thalweg import training
from thalweg.core import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
    FULL_BATCH,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    Array,
    DenseNetwork,
    EpochRecord,
    Frame,
    History,
    Plan,
    Series,
    Spec,
    StopReason,
    canonical,
    check_flag,
    phases,
    plain_number,
)
from thalweg.estimators.constraints import (
    AT_LEAST_0,
    AT_LEAST_1,
    BATCH_SIZE,
    CALLBACKS,
    CLASS_WEIGHT,
    DTYPE,
    ENGINE,
    INFINITY,
    NONNEGATIVE,
    POSITIVE,
    SHARE,
    UPDATE_RULE,
    InvalidParameterError,
    ListOf,
    Named,
    Validated,
    check_class_weight,
)
from thalweg.estimators.mlp.parameters import hidden_sizes
from thalweg.estimators.persistence import (
    Persistent,
    parameters_from_json,
    parameters_to_json,
)
from thalweg.estimators.tabular.preprocessing import (
    Column,
    as_frame,
    encode,
    is_missing,
    study,
    whole,
)
from thalweg.estimators.tabular.several_values import SeveralValues
from thalweg.estimators.tabular.targets import Classes, Values
from thalweg.io import pack_run, unpack_run
from thalweg.training import Callback, as_weights

FEW_ROWS = 200
"""With fewer rows there are no validation data: all rows are used for training."""
_UPDATES = 512  # in training without validation data
_LARGEST = 1e150  # its square is a number yet
_DIVERGED = 1e4  # a loss of standardized targets that no training ends with
_OPTIMIZER = [
    Named({**OPTIMIZERS, **FULL_BATCH}, canonical), UPDATE_RULE,
]  # fmt: skip
_OF_PLAN = (
    "loss", "optimizer", "schedule", "weight_decay", "max_time", "dtype",
)  # fmt: skip
_SAME = {
    "max_iter": "max_epochs",
    "learning_rate_init": "learning_rate",
    "n_iter_no_change": "patience",
    "alpha": "l2",
}
"""scikit-learn's names of parameters, and ours."""


@dataclass(kw_only=True, eq=False, repr=False)
class _Tabular(Persistent, Validated):
    """What both estimators share: everything but the target."""

    hidden_layer_sizes: int | Sequence[int] = field(default=(128, 64), kw_only=False)
    activation: Spec = field(default="relu", kw_only=False)
    loss: Spec = "squared"
    piecewise: bool = True
    dropout: float | None = None
    optimizer: Any = "adam"
    learning_rate: float | None = None
    schedule: Spec = "constant"
    batch_size: int | str | None = None
    max_epochs: int | Sequence[int] | None = None
    l2: float = 1.0
    weight_decay: float = 0.0
    validation_fraction: float = 0.15
    patience: int | None = 10
    max_time: float | None = None
    callbacks: Sequence[Callback] = ()
    random_state: int | np.random.RandomState | None = None
    dtype: str = "float32"
    engine: str = "auto"
    verbose: bool | int = False
    max_iter: int | Sequence[int] | None = None
    alpha: float | None = None
    learning_rate_init: float | None = None
    n_iter_no_change: int | float | None = None

    _parameter_constraints: ClassVar = {
        "hidden_layer_sizes": ["array-like", AT_LEAST_1],
        "activation": [Named({**ACTIVATIONS, **ACTIVATION_ALIASES}), callable],
        "loss": [Named(LOSSES), callable],
        "piecewise": ["boolean"],
        "dropout": [SHARE, None],
        "optimizer": [*_OPTIMIZER, ListOf(*_OPTIMIZER)],
        "learning_rate": [POSITIVE, None],
        "schedule": [Named(SCHEDULES), callable],
        "batch_size": [*BATCH_SIZE, None],
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
        "verbose": ["verbose"],
        "max_iter": [AT_LEAST_1, ListOf(AT_LEAST_1), None],
        "alpha": [NONNEGATIVE, None],
        "learning_rate_init": [POSITIVE, None],
        "n_iter_no_change": [AT_LEAST_1, INFINITY, None],
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
            Rows with a missing target are left out. A `Regressor` also takes several
            targets of numbers, of shape (n_rows, n_targets).
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
        check_flag("watch_only", watch_only, owner=f"{type(self).__name__}.fit")
        if (X_val is None) != (y_val is None):
            raise ValueError(
                "fit got only one of X_val and y_val. Give both of them or neither."
            )
        frame, target, weights = labeled(X, y, sample_weight)
        _check_size(frame)
        self._study(X, frame)
        self.target_ = self._study_target(target)
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
            callbacks=[*(self.callbacks or ()), *([_tell] if self.verbose else [])],
            engine=self.engine,
            **settings,
            monitor="training" if watch_only else "auto",
        )
        self._warn_if_diverged()
        return self

    def _warn_if_diverged(self) -> None:
        loss = self.run_.history.loss
        huge = len(loss) > 0 and not loss[-1] < max(_DIVERGED, loss[0] / 2)
        if self.run_.stop_reason is StopReason.NONFINITE or huge:
            last = loss[-1] if len(loss) else np.nan
            warnings.warn(
                f"Training diverged: the loss is {last:.3g} after {len(loss)} "
                f"epoch(s). {self.run_.why} Lower learning_rate, which is "
                f"{self.run_.plan.rate:g}, or use another optimizer.",
                ConvergenceWarning,
                stacklevel=3,
            )

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
        several = "targets" in content["target"]
        kind = SeveralValues if several else cls._target
        model.target_ = kind.from_json(content["target"])
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
        _check_size(frame)
        return self._encode(frame)

    def predict(self, X: Any) -> Array:
        """Predict each row: its most probable class, or its value in float64.

        Several targets are predicted as (n_rows, n_targets).

        Raises
        ------
        ValueError
            If columns are missing, or a value is of another kind than at fit.
        """
        outputs = self._outputs(X)
        return self.target_.decode(outputs)

    def _outputs(self, X: Any) -> Array:
        inputs = self.encode(X)
        return training.predict(self.run_, inputs)

    def _study_target(self, target: Any) -> Any:
        return self._target.study(target)

    def _study(self, X: Any, frame: "Frame | Encoded") -> None:
        columns = frame.studied if isinstance(frame, Encoded) else study(frame)
        self.columns_ = columns if self.piecewise else whole(columns)
        self.n_features_in_ = len(self.columns_)
        self._remember_names(getattr(X, "columns", ()))

    def _encode(self, frame: "Frame | Encoded") -> Array:
        known = isinstance(frame, Encoded)
        inputs = frame.inputs[self.piecewise] if known else encode(self.columns_, frame)
        return inputs.astype(self.dtype)

    def _remember_names(self, names: Iterable[object]) -> None:
        vars(self).pop("feature_names_in_", None)
        known = list(names)
        if known and all(isinstance(name, str) for name in known):
            self.feature_names_in_ = np.array(known, dtype=object)

    def _network(self, n_inputs: int, settings: Mapping[str, Any]) -> DenseNetwork:
        sizes = (n_inputs, *hidden_sizes(self), self.target_.n_outputs)
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
        batch = plain_number(self.batch_size)
        batch = _batch_rows(n_rows) if batch is None else batch
        batch = min(200, n_rows) if batch == "auto" else batch
        steps = -(-n_rows // batch)
        usual = 100 if watched else int(np.clip(_UPDATES // steps, 20, 512))
        epochs, patience = self._given("max_epochs"), self._given("patience")
        by_batch = {} if self.alpha is None else {"penalty_scale": "batch"}
        return {
            **{name: getattr(self, name) for name in _OF_PLAN},
            **by_batch,
            "learning_rate": self._given("learning_rate"),
            "l2": self._given("l2"),
            "epochs": usual if epochs is None else epochs,
            "batch_size": batch,
            "patience": patience if watched and patience != np.inf else None,
        }

    def _given(self, name: str) -> Any:
        """Return the value of a parameter, under whichever name it was given."""
        same = [theirs for theirs, ours in _SAME.items() if ours == name]
        given = [getattr(self, each) for each in same]
        return next((each for each in given if each is not None), getattr(self, name))

    def _validate_params(self) -> None:
        if isinstance(self.learning_rate, str):
            raise InvalidParameterError(
                f"The 'learning_rate' parameter of {type(self).__name__} must be a "
                f"number above 0 or None. Got {self.learning_rate!r} instead. How the "
                "rate changes is the parameter schedule here; for example, "
                "schedule='invscaling'."
            )
        super()._validate_params()
        hidden_sizes(self)
        usual = {each.name: each.default for each in fields(type(self))}
        for theirs, ours in _SAME.items():
            pair = getattr(self, theirs), getattr(self, ours)
            if pair[0] is not None and pair[1] != usual[ours]:
                raise ValueError(
                    f"{type(self).__name__} got {theirs}={pair[0]!r} and "
                    f"{ours}={pair[1]!r}, two names of one parameter. Give one of them."
                )

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
    inputs: Mapping[bool, Array]
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
        inputs = {model.piecewise: model.encode(rows) for model in models}
        return Encoded(studied, inputs, names)

    return encoded(X), encoded(X_val)


@dataclass(kw_only=True, eq=False, repr=False)
class Classifier(ClassifierMixin, _Tabular):
    """A dense network that classifies the rows of a table.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
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
    batch_size : int, "auto" or None
        Number of rows of one update. None is a fortieth of the rows, between 16 and
        256; "auto" is min(200, n_rows), as in scikit-learn.
    max_epochs : int or None
        None is 100 with validation data, and otherwise as many as 512 updates need, but
        at least 20. A list has one for each optimizer.
    l2, weight_decay : float
        L2 penalty and decoupled decay of the weights. The penalty is divided by the
        number of rows of the training data, whatever the batch size.
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
    verbose : bool or int
        Whether to print each epoch.
    max_iter, learning_rate_init, n_iter_no_change
        scikit-learn's names of `max_epochs`, `learning_rate` and `patience`.
    alpha : float or None
        L2 penalty as in scikit-learn's MLP, in place of `l2`: it is divided by the
        number of rows of a batch.

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

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of each probability, (n_rows, n_classes)."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _study_target(self, target: Any) -> Classes:
        if target.ndim == 2:
            raise ValueError(
                f"Classifier predicts one target and got y with {target.shape[1]} "
                "columns. Fit one classifier for each with "
                "sklearn.multioutput.MultiOutputClassifier(Classifier())."
            )
        return super()._study_target(target)

    def _class_weight(self) -> Mapping[int, float] | str | None:
        given = self.class_weight
        if not isinstance(given, Mapping):
            return given
        check_class_weight(given, self.classes_, type(self).__name__)
        numbered = {label: k for k, label in enumerate(self.classes_.tolist())}
        return {numbered[plain_number(key)]: weight for key, weight in given.items()}


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
    max_time, callbacks, random_state, dtype, engine, verbose, max_iter, alpha, \
    learning_rate_init, n_iter_no_change
        As for `Classifier`.

    Attributes
    ----------
    run_, columns_, n_features_in_, feature_names_in_
        As for `Classifier`.
    """

    _target = Values

    def _study_target(self, target: Any) -> "Values | SeveralValues":
        _check_size(target.to_frame() if target.ndim == 1 else target, "target")
        if target.ndim == 2:
            return SeveralValues.study(target)
        return super()._study_target(target)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def table_blueprint(
    model: Classifier | Regressor, X: Any, y: Any, n_inputs: int
) -> tuple[DenseNetwork, Plan, bool]:
    """Return what `fit` would train: network, plan, and whether it validates.

    With several phases, the plan is that of the first.
    """
    _, target, _ = labeled(X, y, None)
    copy: Any = clone(model)
    copy.target_ = copy._study_target(target)
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
    wide = _as_wide(y)
    values = y if named else column_or_1d(y, warn=True) if wide is None else wide
    if len(values) != len(frame):
        raise ValueError(
            f"X has {len(frame)} rows and y has {len(values)}; inconsistent numbers of "
            "samples. Give one value of y for each row."
        )
    if wide is None:
        target = pd.Series(values.array if named else values, name=target_name(y))
        known = ~is_missing(target)
    else:
        target = wide
        known = ~np.any([is_missing(column) for _, column in wide.items()], axis=0)
        known = pd.Series(known)
    if known.sum() < 2:
        raise ValueError(
            f"the target {target_name(y)!r} has a value in {known.sum()} of "
            f"{len(frame)} row(s); fit needs at least two (n_samples = 1 or 0). Fill "
            "in the target."
        )
    weights = None
    if sample_weight is not None:
        weights = as_weights(sample_weight, len(frame), np.dtype(float))[known]
    return frame[known.to_numpy()], target[known], weights


def _check_size(frame: Any, what: str = "column") -> None:
    """Raise ValueError for numbers so large that their squares overflow."""
    if isinstance(frame, Encoded):
        return
    for name, values in frame.items():
        if getattr(values.dtype, "kind", "O") not in "iuf":
            continue
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        large = np.isfinite(numbers) & (np.abs(numbers) > _LARGEST)
        if large.any():
            row = int(np.flatnonzero(large)[0])
            raise ValueError(
                f"the {what} {name!r} holds {numbers[row]:g} in row {row + 1}. Numbers "
                f"beyond {_LARGEST:g} cannot be standardized. Divide the column, take "
                "its logarithm, or leave it empty there."
            )


def _as_wide(y: Any) -> Frame | None:
    """Return several targets as a table, and None for one target."""
    import pandas as pd

    if hasattr(y, "to_pandas"):
        y = y.to_pandas()
    shape = np.shape(y)
    if len(shape) != 2 or shape[1] < 2:
        return None
    table = y.copy(deep=False) if isinstance(y, pd.DataFrame) else pd.DataFrame(y)
    return table.set_axis(map(str, table.columns), axis=1).reset_index(drop=True)


def target_name(y: Any) -> str:
    """Return the name of a target."""
    return str(getattr(y, "name", None) or "y")


def _tell(epoch: EpochRecord) -> None:
    print(f"Epoch {epoch.epoch}, loss = {epoch.loss:.8f}")  # noqa: T201
    if not np.isnan(epoch.validation_score):
        print(f"Validation score: {epoch.validation_score:f}")  # noqa: T201


def _batch_rows(n_rows: int) -> int:
    """Return a fortieth of the rows, as a power of two between 16 and 256."""
    return int(np.clip(2 ** round(np.log2(n_rows / 40)), 16, 256))
