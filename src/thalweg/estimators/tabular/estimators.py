"""Estimators for tables with columns of any kind: `Classifier` and `Regressor`.

They are scikit-learn estimators for numbers, texts, dates, booleans and missing values.
`fit` learns how to encode the columns (`thalweg.estimators.tabular.columns`), how
to encode the target (`thalweg.estimators.tabular.targets`), and a dense network between
them. `thalweg.estimators.evaluate` scores them on test data.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from sklearn.exceptions import ConvergenceWarning

from thalweg import training
from thalweg.core import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
    FULL_BATCH,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    Array,
    CompactRows,
    DenseNetwork,
    EpochRecord,
    Frame,
    History,
    Plan,
    Series,
    Spec,
    StopReason,
    as_random_state,
    canonical,
    check_flag,
    hold_out,
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
from thalweg.estimators.splits import (
    Split,
    as_groups,
    as_times,
    hold_out_honestly,
)
from thalweg.estimators.tabular.columns import (
    Column,
    arrays_of,
    as_frame,
    study,
    warn_left_out,
    whole,
)
from thalweg.estimators.tabular.labels import (
    as_target,
    known_rows,
    lacks_target,
    target_name,
)
from thalweg.estimators.tabular.metrics import (
    Truth,
    find_metric,
    positive_class,
)
from thalweg.estimators.tabular.prediction import TablePredictor, name_of
from thalweg.estimators.tabular.reading import ReadsTables
from thalweg.estimators.tabular.several_values import SeveralValues
from thalweg.estimators.tabular.targets import Classes, Values
from thalweg.estimators.tabular.threshold import best_threshold, out_of_fold
from thalweg.io import pack_run
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
class _Tabular(ReadsTables, TablePredictor, Persistent, Validated):
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
    scoring: Any = None
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
        "scoring": [str, callable, None],
        **ReadsTables._reading_constraints,
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
        *,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Learn the columns, the target and the network.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            Numbers, texts, dates, booleans, missing values.
        y : Series or array-like of shape (n_rows,)
            Rows with a missing target are left out, with a warning. A `Regressor` also
            takes several targets of numbers, of shape (n_rows, n_targets).
        sample_weight : array-like of shape (n_rows,), optional
        X_val, y_val : optional
            Validation data; by default they are a part of `X`.
        watch_only : bool
            Whether `X_val` and `y_val` are only recorded in `history_`, and never stop
            training or select weights. If a part of `X` is validation data already,
            that part is recorded instead.
        groups : array-like of shape (n_rows,), optional
            Rows of one group, such as those of one patient, are never both in the
            training and in the validation data.
        time : array-like of shape (n_rows,), optional
            Numbers or dates. The latest rows are the validation data.

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
        X, y = training.collected(X), training.collected(y)
        frame, target, weights = labeled(X, y, sample_weight, self.missing)
        if groups is not None or time is not None:
            kept = known_rows(y, self.missing)
            known_groups = as_groups(groups, len(kept), "fit")
            known_times = as_times(time, len(kept), "fit")
            groups = None if known_groups is None else known_groups[kept]
            time = None if known_times is None else known_times[kept]
        n_rows = _n_rows(y)
        self.n_left_out_ = n_rows - len(target)
        if weights is not None and not weights.all():  # they count for nothing
            some = weights > 0
            frame, target, weights = frame[some], target[some], weights[some]
            groups, time = (None if v is None else v[some] for v in (groups, time))
        _check_size(frame)
        self._study(X, frame)
        self.target_ = self._study_target(target).weighed(target, weights)
        self.target_name_ = name_of(y)
        if not isinstance(frame, Encoded):
            warn_left_out(self.columns_, target_name(y), self.n_left_out_, n_rows)
        inputs, encoded = self._encode(frame), self.target_.encode(target)
        if watch_only and self._validates(len(frame)):
            X_val, watch_only = None, False
        validation = self._validation(len(frame), X_val, y_val)
        settings = self._settings(len(frame), validation is not None and not watch_only)
        network = self._network(inputs.shape[1], settings)
        held_out = validation if isinstance(validation, tuple) else None
        if isinstance(validation, float):
            split = self._inner_split(encoded, groups, time)
            if split is not None:
                rows, held = split
                share = () if weights is None else (weights[held],)
                held_out = validation = (inputs[held], encoded[held], *share)
                inputs, encoded = inputs[rows], encoded[rows]
                weights = None if weights is None else weights[rows]
        self.run_ = training.fit(
            network,
            inputs,
            encoded,
            sample_weight=weights,
            class_weight=self._class_weight(),
            validation=validation,
            random_state=self.random_state,
            callbacks=[*(self.callbacks or ()), *([_tell] if self.verbose else [])],
            engine=self.engine,
            **settings,
            monitor="training" if watch_only else "auto",
        )
        self._choose_threshold(frame, target, groups, held_out)
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

    def _inner_split(self, encoded: Array, groups: Any, times: Any) -> Split | None:
        """Return training and validation rows, or None where any will do."""
        if groups is None and times is None:
            return None
        classes = self._target is Classes
        share = self.validation_fraction
        return hold_out_honestly(encoded, share, groups, times, classes)

    def _choose_threshold(
        self, frame: Any, target: Series, groups: Any, held_out: Any
    ) -> None:
        """Choose the threshold of a classifier that asks for one."""

    def _score(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> float:
        """Return the metric that `scoring` names."""
        if callable(self.scoring) or sample_weight is not None:
            from sklearn.metrics import get_scorer

            scorer: Any = get_scorer(self.scoring)
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            return float(scorer(self, X, y, **weights))
        frame, target, _ = labeled(X, y, None, self.missing, fewest=1)
        metric = find_metric(
            self.scoring, self._target is Classes, owner=type(self).__name__
        )
        value = metric.value_of(*self.compared(frame, target))
        return value if metric.greater else -value

    def _usual_score(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> float:
        """Return accuracy, or R², on the rows that have a target."""
        self._check_fitted()
        given = (X, y, sample_weight, self.missing)
        frame, target, weights = labeled(*given, fewest=1)
        rows = frame if len(target) < _n_rows(y) else X
        return self.target_.compare(target, self.predict(rows), weights)

    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the fitted estimator as values that JSON can hold, and arrays."""
        settings = parameters_to_json(self)
        run, arrays = pack_run(self.run_)
        arrays = {**arrays, **arrays_of(self.columns_)}
        content = {
            "run": run,
            "settings": settings,
        }
        return {**content, **self._kept()}, arrays

    @classmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild the estimator that `to_document` took apart."""
        settings = dict(content["settings"])
        if isinstance(settings["hidden_layer_sizes"], list):  # a tuple in format 1
            settings["hidden_layer_sizes"] = tuple(settings["hidden_layer_sizes"])
        model = cls(**parameters_from_json(settings))
        several = "targets" in content["target"]
        kind = SeveralValues if several else cls._target
        model.target_ = kind.from_json(content["target"])
        return model._restore(content, arrays)

    @property
    def history_(self) -> History:
        """One record for each epoch."""
        return self.run_.history

    @property
    def stop_reason_(self) -> str:
        """Why training stopped, in a sentence."""
        return self.run_.why

    @property
    def n_iter_(self) -> int:
        """Number of epochs that were trained, or of iterations of a full-batch method.

        scikit-learn asks for it, since ``max_iter`` is a parameter.
        """
        return len(self.run_.history)

    def _inputs(self, X: Any) -> CompactRows:
        return self._encode(X) if isinstance(X, Encoded) else super()._inputs(X)

    def aligned(self, X: Any) -> Frame:
        """Return a table in which the fitted columns are found by their names."""
        frame = super().aligned(X)
        _check_size(frame)
        return frame

    def _study_target(self, target: Any) -> Any:
        return self._target.study(target, self.reading())

    def _study(self, X: Any, frame: "Frame | Encoded") -> None:
        known = isinstance(frame, Encoded)
        columns = frame.studied if known else study(frame, self.reading())
        self.columns_ = columns if self.piecewise else whole(columns)
        self.n_features_in_ = len(self.columns_)
        self._remember_names(getattr(X, "columns", ()))

    def _encode(self, frame: "Frame | Encoded") -> CompactRows:
        if isinstance(frame, Encoded):
            return frame.inputs[self.piecewise].astype(self.dtype)
        return super()._encode(frame)

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
        frame, target, _ = labeled(X_val, y_val, None, self.missing)
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
    scoring : str, callable or None
        What `score` returns: the name of a scorer of scikit-learn's, such as
        ``"roc_auc"``. None is accuracy.
    threshold : float, str or None
        The probability of the positive class from which on it is predicted, for two
        classes. The name of a metric, such as ``"f1"`` or ``"balanced_accuracy"``,
        chooses the threshold that maximizes it: on the validation data, or, where
        there are none, on the out-of-fold predictions of a 5-fold cross-validation.
        None predicts the most probable class. The positive class is 1, true or yes
        where the other is 0, false or no, and otherwise the rarer one.
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
    column_kinds, decimal, thousands, date_format, missing
        As for `thalweg.estimators.tabular.reading.ReadsTables`: what columns hold, how
        numbers and dates are written, and what texts stand for a missing value.
    verbose : bool or int
        Whether to print each epoch.
    max_iter, learning_rate_init, n_iter_no_change
        scikit-learn's names of `max_epochs`, `learning_rate` and `patience`.
    alpha : float or None
        L2 penalty as in scikit-learn's MLP, in place of `l2`: it is divided by the
        number of rows of a batch.

    Attributes
    ----------
    n_left_out_ : int
        Number of rows that were left out because their target is missing.
    classes_ : ndarray of shape (n_classes,)
    threshold_ : float or None
        The threshold that `predict` uses.
    positive_ : int
        Number of the class that the threshold is about.
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
    threshold: float | str | None = None

    _parameter_constraints: ClassVar = {
        **_Tabular._parameter_constraints,
        "class_weight": CLASS_WEIGHT,
        "threshold": [SHARE, str, None],
    }
    _target = Classes

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return accuracy, or the metric that `scoring` names.

        Greater is better, as for scikit-learn's scorers: a loss is negative.
        """
        if self.scoring is None:
            return self._usual_score(X, y, sample_weight)
        return self._score(X, y, sample_weight)

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (n_rows, n_classes).

        Raises
        ------
        ValueError
            If columns are missing, or a value is of another kind than at fit.
        """
        return self._outputs(X)

    def _inner_split(self, encoded: Array, groups: Any, times: Any) -> Split | None:
        if isinstance(self.threshold, str) and groups is None and times is None:
            n_rows = len(encoded)
            n_held = round(self.validation_fraction * n_rows)
            if not 0 < n_held < n_rows:
                return None
            rng = np.random.RandomState(
                as_random_state(self.random_state).randint(2**31)
            )
            held = hold_out(n_rows, n_held, rng, encoded)
            return Split(np.flatnonzero(~held), np.flatnonzero(held))
        return super()._inner_split(encoded, groups, times)

    def _choose_threshold(
        self, frame: Any, target: Series, groups: Any, held_out: Any
    ) -> None:
        vars(self).pop("threshold_", None)
        if self.threshold is None:
            return
        if len(self.classes_) != 2:
            raise ValueError(
                f"Classifier got threshold={self.threshold!r}, which is for two "
                f"classes, but the target has {len(self.classes_)}. Leave it out."
            )
        values = self.target_.clean(target)
        self.positive_ = positive_class(self.classes_, values)
        if not isinstance(self.threshold, str):
            self.threshold_ = float(self.threshold)
            return
        if held_out is not None:
            values = self.classes_[np.asarray(held_out[1], int)]
            truth = Truth(values, self.classes_, self.positive_)
            shares = training.predict(self.run_, held_out[0])[:, self.positive_]
        else:
            truth = Truth(values, self.classes_, self.positive_, groups)
            copy: Any = clone(self)
            copy.set_params(threshold=None, callbacks=())
            shares = out_of_fold(
                lambda rows: copy.fit(
                    frame[rows],
                    target[rows],
                    groups=None if groups is None else groups[rows],
                ),
                lambda rows: frame[rows],
                truth,
            )
        owner = "Classifier: threshold"
        self.threshold_ = best_threshold(self.threshold, truth, shares, owner)

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
    max_time, callbacks, random_state, dtype, engine, column_kinds, decimal, \
    thousands, date_format, missing, verbose, max_iter, alpha, \
    learning_rate_init, n_iter_no_change
        As for `Classifier`.
    scoring : str, callable or None
        What `score` returns, such as ``"neg_mean_absolute_error"``. None is R².

    Attributes
    ----------
    run_, columns_, n_features_in_, feature_names_in_
        As for `Classifier`.
    """

    _target = Values

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return R², or the metric that `scoring` names.

        Greater is better, as for scikit-learn's scorers: a loss is negative.
        """
        if self.scoring is None:
            return self._usual_score(X, y, sample_weight)
        return self._score(X, y, sample_weight)

    def _study_target(self, target: Any) -> "Values | SeveralValues":
        _check_size(target.to_frame() if target.ndim == 1 else target, "target")
        if target.ndim == 2:
            return SeveralValues.study(target, self.reading())
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
    copy: Any = clone(model)
    _, target, _ = labeled(X, y, None, copy.missing)
    copy.target_ = copy._study_target(target)
    watched = copy._validates(len(target))
    settings = copy._settings(len(target), watched)
    return copy._network(n_inputs, settings), phases(None, settings)[0], watched


def labeled(
    X: Any,
    y: Any,
    sample_weight: ArrayLike | None,
    missing: Sequence[str] | None = None,
    fewest: int = 2,
) -> tuple[Any, Series, Array | None]:
    """Return the rows that have a target, with it and with their weights.

    Parameters
    ----------
    X, y, sample_weight
        As for `Classifier.fit`.
    missing : sequence of str, optional
        Texts that stand for a missing target.
    fewest : int
        Number of rows that are needed.
    """
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    import pandas as pd

    frame = X if isinstance(X, Encoded) else as_frame(X)
    wide = _as_wide(y)
    target: Any = as_target(y) if wide is None else wide
    if len(target) != len(frame):
        raise ValueError(
            f"X has {len(frame)} rows and y has {len(target)}; inconsistent numbers of "
            "samples. Give one value of y for each row."
        )
    several = [target] if wide is None else [target[name] for name in target]
    lacking = np.any([lacks_target(each, missing) for each in several], axis=0)
    known = pd.Series(~lacking)
    if known.sum() < fewest:
        raise ValueError(
            f"the target {target_name(y)!r} has a value in {known.sum()} of "
            f"{len(frame)} row(s); fit needs at least two (n_samples = 1 or 0). Fill "
            "in the target."
        )
    weights = None
    if sample_weight is not None:
        weights = as_weights(sample_weight, len(frame), np.dtype(float))[known]
    return frame[known.to_numpy()], target[known], weights


def _n_rows(y: Any) -> int:
    """Return the number of rows, also of what has no length but becomes an array."""
    return len(y) if hasattr(y, "__len__") else len(np.asarray(y))


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
    rows = (list, tuple, np.ndarray)
    # As an array, texts would all be as wide as the longest.
    if isinstance(y, list | tuple) and not (y and isinstance(y[0], rows)):
        return None
    shape = getattr(y, "shape", None) or np.asarray(y).shape
    if len(shape) != 2 or shape[1] < 2:
        return None
    table = y.copy(deep=False) if isinstance(y, pd.DataFrame) else pd.DataFrame(y)
    return table.set_axis(map(str, table.columns), axis=1).reset_index(drop=True)


def _tell(epoch: EpochRecord) -> None:
    print(f"Epoch {epoch.epoch}, loss = {epoch.loss:.8f}")  # noqa: T201
    if not np.isnan(epoch.validation_score):
        print(f"Validation score: {epoch.validation_score:f}")  # noqa: T201


def _batch_rows(n_rows: int) -> int:
    """Return a fortieth of the rows, as a power of two between 16 and 256."""
    return int(np.clip(2 ** round(np.log2(n_rows / 40)), 16, 256))
