"""Predicting with what a table's model has learned: columns, target and network.

This is all that a program needs which only predicts. It is apart from the estimators
(`thalweg.estimators.tabular.estimators`), which are scikit-learn's and take a second to
import.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Self

import numpy as np

from thalweg.core import Array, CompactRows, Frame, Run, Series
from thalweg.estimators.tabular.boosted_trees import BoostedTrees
from thalweg.estimators.tabular.columns import (
    Column,
    as_frame,
    as_seen,
    encode_compact,
    with_arrays,
)
from thalweg.estimators.tabular.intervals import (
    ClassSet,
    Interval,
    Scores,
    check_level,
)
from thalweg.estimators.tabular.members import Members
from thalweg.estimators.tabular.metrics import (
    Guess,
    Metric,
    Truth,
    find_metric,
    measure_all,
    positive_class,
)
from thalweg.estimators.tabular.quantiles import QuantileBand
from thalweg.estimators.tabular.several_values import SeveralValues
from thalweg.estimators.tabular.targets import Classes, Values
from thalweg.io import PathLike, read_model

_TARGETS = {
    "Classifier": Classes,
    "Regressor": Values,
    "TreesClassifier": Classes,
    "TreesRegressor": Values,
}
_KINDS = (
    *_TARGETS, "run", "MLPClassifier", "MLPRegressor", "KerasClassifier",
    "KerasRegressor", "Ensemble", "HiddenFeatures",
)  # fmt: skip


class TablePredictor:
    """What predicts the target of a table's rows.

    Attributes
    ----------
    columns_ : tuple of Column
    target_ : Classes or Values
    trained_ : Members
        The trained networks; missing where trees predict.
    trees_ : BoostedTrees or None
    scores_ : Scores or None
        How far out-of-fold predictions were from the truth.
    band_ : QuantileBand or None
        The quantiles of these distances, row by row.
    out_of_fold_, calibrated_ : dict or None
        What was found out of fold; see `Classifier`.
    n_features_in_ : int
    feature_names_in_ : ndarray of object
        Only if the table had names.
    threshold_ : float or None
        Probability of the class `positive_` from which on it is predicted; None
        predicts the most probable class.
    positive_ : int
        Number of the class that the threshold is about.
    target_name_: str or None
        The target's name, if it had one.
    """

    columns_: tuple[Column, ...]
    target_: Any
    trained_: Members
    trees_: BoostedTrees | None = None
    scores_: Scores | None = None
    band_: QuantileBand | None = None
    out_of_fold_: dict[str, Any] | None = None
    calibrated_: dict[str, Any] | None = None
    n_features_in_: int
    threshold_: float | None = None
    positive_: int = 1
    target_name_: str | None = None
    dtype: str = "float32"

    @property
    def runs_(self) -> tuple[Run, ...]:
        """The trained networks, whose outputs are averaged."""
        return self.trained_.runs

    @property
    def run_(self) -> Run:
        """The first of the trained networks, or the only one."""
        return self.trained_.run

    @property
    def classes_(self) -> Array:
        """The labels, in the order of `predict_proba`'s columns."""
        if not isinstance(self.target_, Classes):
            raise AttributeError(f"{type(self).__name__} predicts numbers, not classes")
        return self.target_.labels

    def encode(self, X: Any) -> Array:
        """Return the inputs of the network for a table, (n_rows, n_inputs).

        Columns are found by name if both tables have names, and by position otherwise.
        Further columns are ignored.
        """
        return self._inputs(X).toarray()

    def encode_for(self, number: int, X: Any) -> Array:
        """Return the inputs of one of several networks, (n_rows, n_inputs)."""
        return self.trained_.views[number].of(self._inputs(X)).toarray()

    def columns_of(self, number: int) -> tuple[Column, ...]:
        """Return the columns as one of several networks sees them, without waves."""
        if len(self.trained_) == 1:
            return self.columns_
        return as_seen(self.columns_, self.trained_.views[number].pieces)

    def _inputs(self, X: Any) -> CompactRows:
        return self._encode(self.aligned(X))

    def aligned(self, X: Any) -> Frame:
        """Return a table in which the fitted columns are found by their names.

        Raises
        ------
        ValueError
            If a table without names has another number of columns.
        """
        self._check_fitted()
        frame = as_frame(X)
        # Asking a lazy frame for its columns costs a warning.
        named = hasattr(X, "collect_schema") or hasattr(X, "columns")
        if not (hasattr(self, "feature_names_in_") and named):
            if frame.shape[1] != self.n_features_in_:
                raise ValueError(
                    f"X has {frame.shape[1]} features, but {type(self).__name__} is "
                    f"expecting {self.n_features_in_} features as input. Give the "
                    "columns of the table that it was fitted on, in the same order."
                )
            frame = frame.set_axis([c.name for c in self.columns_], axis=1)
        return frame

    def predict(
        self, X: Any, *, interval: float | str | None = None, level: float = 0.9
    ) -> Any:
        """Predict each row: its most probable class, or its value in float64.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
        interval : float, "quantile" or None
            A probability, such as 0.9. Each row then also gets an interval, or a set
            of classes, that holds the true value with this probability, on average
            over rows like those of the fit. It is found by conformal prediction on
            out-of-fold predictions. All intervals of a target have the same width;
            with ``"quantile"`` they are as wide as the row asks for, by conformalized
            quantiles, which a `Regressor` of one target has.
        level : float
            The probability where `interval` is ``"quantile"``.

        Returns
        -------
        ndarray, Interval or ClassSet
            Predictions of shape (n_rows,). With `interval`, ``(prediction, lower,
            upper)`` for values, and ``(prediction, included)`` for classes, where
            ``included`` has shape (n_rows, n_classes) and is True for the classes of
            the set. A bound is infinite where the fit had too few rows for the
            probability.

        Raises
        ------
        ValueError, TypeError
            If columns are missing, a value is of another kind than at fit, the
            probability is none, or the model has no out-of-fold predictions.
        """
        level = check_level("level", level, f"{type(self).__name__}.predict")
        if interval is None:
            return self.decide(self._outputs(X))
        return self.with_interval(self._inputs(X), interval, level)[0]

    def with_interval(
        self, inputs: CompactRows, interval: float | str, level: float = 0.9
    ) -> tuple[Interval | ClassSet, Array]:
        """Return predictions with intervals or sets, and the outputs they come from."""
        owner = f"{type(self).__name__}.predict"
        asked = isinstance(interval, str)
        if asked and interval != "quantile":
            raise ValueError(
                f"{owner} got interval={interval!r}; it must be a probability, such as "
                '0.9, or "quantile".'
            )
        if not asked:
            level = check_level("interval", interval, owner)
        if self.scores_ is None:
            raise ValueError(
                "The model has no out-of-fold predictions, which intervals come from. "
                "Fit it with members=None or at least 2, validation_fraction above 0, "
                "and at least 40 rows, or give validation data."
            )
        outputs = self.outputs_of(inputs)
        predicted = self.decide(outputs)
        if asked:
            if self.band_ is None:
                raise ValueError(
                    f'{owner} got interval="quantile", which a Regressor of one target '
                    "has that was fitted on at least 60 rows with loss='squared'. Give "
                    "the probability itself, such as interval=0.9."
                )
            below, above = self.band_.interval(inputs, level)
            bounds = [self.target_.decode(outputs + each) for each in (below, above)]
            return Interval(predicted, *bounds), outputs
        most = self.scores_.quantile(level)
        if isinstance(self.target_, Classes):
            included = 1 - outputs <= most
            included[np.arange(len(outputs)), outputs.argmax(axis=1)] = True
            return ClassSet(predicted, included), outputs
        bounds = [self.target_.decode(outputs + sign * most) for sign in (-1, 1)]
        return Interval(predicted, *bounds), outputs

    def decide(self, outputs: Array) -> Array:
        """Return predictions from the outputs of the network."""
        if self.threshold_ is None:
            return self.target_.decode(outputs)
        positive = outputs[:, self.positive_] >= self.threshold_
        places = np.where(positive, self.positive_, 1 - self.positive_)
        return self.target_.decode(np.eye(2)[places])

    def outputs_of(self, inputs: Array | CompactRows) -> Array:
        """Return what the network makes of inputs: probabilities, or scaled values."""
        if self.trees_ is not None:
            dense = inputs.toarray() if isinstance(inputs, CompactRows) else inputs
            return self.trees_.outputs(dense)
        return self.trained_.outputs(inputs)

    def compared(self, frame: Any, target: Series) -> tuple[Truth, Guess]:
        """Return the targets of some rows, and what is predicted for them."""
        outputs = self._outputs(frame)
        truth = self.target_.clean(target)
        if not isinstance(self.target_, Classes):
            return Truth(truth, frame=frame), Guess(self.target_.decode(outputs))
        labels = self.target_.labels
        positive = positive_class(labels, truth)
        told = Truth(truth, labels, positive, frame=frame)
        return told, Guess(self.decide(outputs), outputs)

    def _outputs(self, X: Any) -> Array:
        return self.outputs_of(self._inputs(X))

    def _encode(self, frame: Any) -> CompactRows:
        return encode_compact(self.columns_, frame, self.dtype)

    def _check_fitted(self) -> None:
        if not hasattr(self, "columns_"):
            from sklearn.utils.validation import check_is_fitted

            check_is_fitted(self)

    def _remember_names(self, names: Iterable[object]) -> None:
        vars(self).pop("feature_names_in_", None)
        known = list(names)
        if known and all(isinstance(name, str) for name in known):
            self.feature_names_in_ = np.array(known, dtype=object)

    def _kept(self) -> dict[str, Any]:
        """Return what a model file keeps beside the network or the trees."""
        kept: dict[str, Any] = {
            "columns": [column.to_json() for column in self.columns_],
            "names": list(getattr(self, "feature_names_in_", ())),
            "target": self.target_.to_json(),
            "target_name": self.target_name_,
        }
        if self.threshold_ is not None:
            value, positive = float(self.threshold_), int(self.positive_)
            kept["threshold"] = {"value": value, "positive": positive}
        return kept

    def _restore(self, content: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Take over what a model file holds of the fitted model."""
        columns = map(Column.from_json, content["columns"])
        self.columns_ = with_arrays(columns, arrays)
        self.n_features_in_ = len(self.columns_)
        self._remember_names(content["names"])
        if "trees" in content:
            self.trees_ = BoostedTrees.from_arrays(content["trees"], arrays)
        else:
            self.trained_ = Members.from_document(content, arrays)
            if (scores := Scores.from_arrays("scores", arrays)) is not None:
                self.scores_ = scores
            if (band := content.get("band")) is not None:
                self.band_ = QuantileBand.from_document(band, arrays)
        for name in ("out_of_fold", "calibrated"):
            if name in content:
                setattr(self, f"{name}_", content[name])
        self.target_name_ = content.get("target_name")
        if (kept := content.get("threshold")) is not None:
            self.threshold_, self.positive_ = kept["value"], kept["positive"]
        return self


def name_of(y: Any) -> str | None:
    """Return the name of a target that has one."""
    name = getattr(y, "name", None)
    return None if name is None else str(name)


class FittedTable(TablePredictor):
    """A `Classifier` or `Regressor` from a model file, which can only predict."""

    @classmethod
    def of(
        cls, kind: str, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild what the `to_document` of an estimator took apart."""
        model = cls()
        several = "targets" in content["target"]
        target = SeveralValues if several else _TARGETS[kind]
        model.target_ = target.from_json(content["target"])
        model.dtype = content["settings"].get("dtype", "float64")
        return model._restore(content, arrays)

    @property
    def classifies(self) -> bool:
        """Whether the target holds classes."""
        return isinstance(self.target_, Classes)

    def outputs(self, X: Any) -> Array:
        """Return probabilities of the classes or scaled values, (n_rows, n_outputs)."""
        return self._outputs(X)

    def outputs_with_interval(
        self, X: Any, interval: float
    ) -> tuple[Interval | ClassSet, Array]:
        """Return predictions with intervals or sets, and what `outputs` returns."""
        return self.with_interval(self._inputs(X), interval)

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (n_rows, n_classes)."""
        return self._outputs(X)

    def score_outputs(self, target: Series, outputs: Array) -> tuple[Metric, ...]:
        """Return the usual metrics of outputs for rows whose targets are known.

        Raises
        ------
        ValueError
            If a target is a class that the model does not know.
        """
        self.target_.encode(target)  # raises for a class that is new
        values = self.target_.clean(target)
        if not self.classifies:
            truth, guess = Truth(values), Guess(self.decide(outputs))
        else:
            positive = positive_class(self.classes_, values)
            truth = Truth(values, self.classes_, positive)
            guess = Guess(self.decide(outputs), outputs)
        return measure_all(find_metric(None, self.classifies), truth, guess)


def load_fitted_table(path: PathLike) -> FittedTable:
    """Read a model of a table from a file, only to predict with it.

    Raises
    ------
    OSError
        If the file does not exist or cannot be opened.
    ValueError
        If the file is damaged, or holds a model of another kind.
    """
    found = read_model(path, {name: partial(_either, name) for name in _KINDS})
    if isinstance(found, FittedTable):
        return found
    raise ValueError(
        f"{path} holds a {found} without the description of a table. Predict with it "
        "in Python: thalweg.load(path)."
    )


def _either(kind: str, content: Any, arrays: Any) -> FittedTable | str:
    return FittedTable.of(kind, content, arrays) if kind in _TARGETS else kind
