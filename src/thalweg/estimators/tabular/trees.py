"""Boosted trees for tables: the estimators to compare a network with.

They take a table as `Classifier` and `Regressor` do, and their model files are read by
the same functions. scikit-learn grows the trees.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from threadpoolctl import threadpool_limits

from thalweg.core import Array, Series
from thalweg.estimators.constraints import (
    AT_LEAST_1,
    CLASS_WEIGHT,
    POSITIVE,
    SHARE,
    Validated,
)
from thalweg.estimators.persistence import (
    Persistent,
    parameters_from_json,
    parameters_to_json,
)
from thalweg.estimators.splits import as_groups
from thalweg.estimators.tabular.boosted_trees import BoostedTrees
from thalweg.estimators.tabular.columns import arrays_of, study, whole
from thalweg.estimators.tabular.estimators import labeled
from thalweg.estimators.tabular.labels import known_rows
from thalweg.estimators.tabular.metrics import Truth, positive_class
from thalweg.estimators.tabular.prediction import TablePredictor, name_of
from thalweg.estimators.tabular.reading import ReadsTables
from thalweg.estimators.tabular.targets import Classes, Values
from thalweg.estimators.tabular.threshold import best_threshold, out_of_fold

_ROWS_A_LEAF = 20  # scikit-learn's default, fewer for small tables
_SMALL = 2_000_000  # numbers
_TREES = 1000  # at most, over all classes


@dataclass(kw_only=True, eq=False, repr=False)
class _Trees(ReadsTables, TablePredictor, Persistent, Validated):
    """What both estimators share: everything but the target."""

    n_rounds: int = 100
    learning_rate: float = 0.1
    random_state: int | None = None

    _parameter_constraints: ClassVar = {
        "n_rounds": [AT_LEAST_1],
        "learning_rate": [POSITIVE],
        "random_state": [int, None],
        **ReadsTables._reading_constraints,
    }
    _target: ClassVar[type[Classes] | type[Values]]
    dtype = "float64"

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Learn the columns, the target and the trees.

        Parameters
        ----------
        X, y, sample_weight, groups, time : as for `Classifier.fit`
            There are no validation data: groups only divide the rows on which a
            threshold is chosen, and the time is not used.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, a column or a value is not valid.
        """
        self._validate_params()
        frame, target, weights = labeled(X, y, sample_weight, self.missing)
        if groups is not None:
            kept = known_rows(y, self.missing)
            groups = as_groups(groups, len(kept), "fit")[kept]  # pyright: ignore[reportOptionalSubscript]
        self.columns_ = whole(study(frame, self.reading()))
        self.n_features_in_ = len(self.columns_)
        self._remember_names(getattr(X, "columns", ()))
        self.target_ = self._target.study(target, self.reading())
        self.target_name_ = name_of(y)
        n_outputs = self.target_.n_outputs
        n_trees = n_outputs if n_outputs > 2 else 1
        grower = self._grower(
            max_iter=int(np.clip(_TREES // n_trees, 1, self.n_rounds)),
            min_samples_leaf=int(np.clip(len(frame) // 40, 1, _ROWS_A_LEAF)),
            learning_rate=self.learning_rate,
            early_stopping=False,
            random_state=self.random_state,
        )
        inputs = self._encode(frame).toarray()
        # On few rows threads wait for each other longer than they work.
        few = inputs.size < _SMALL
        with (
            threadpool_limits(1 if few else None, user_api="openmp"),
            warnings.catch_warnings(),
        ):
            # The user asked for classes, however many there are.
            warnings.filterwarnings("ignore", "The number of unique classes")
            grower.fit(inputs, self.target_.encode(target), weights)
        self.trees_ = BoostedTrees.of(grower, self._target is Classes)
        self._choose_threshold(frame, target, groups)
        return self

    def _grower(self, **settings: Any) -> Any:
        """Return scikit-learn's estimator."""
        raise NotImplementedError

    def _choose_threshold(self, frame: Any, target: Series, groups: Any) -> None:
        """Choose the threshold of a classifier that asks for one."""

    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the fitted estimator as values that JSON can hold, and arrays."""
        assert self.trees_ is not None
        trees, arrays = self.trees_.to_arrays()
        content: dict[str, Any] = {
            "trees": trees,
            "settings": parameters_to_json(self),
        }
        arrays = {**arrays, **arrays_of(self.columns_)}
        return {**content, **self._kept()}, arrays

    @classmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild the estimator that `to_document` took apart."""
        model = cls(**parameters_from_json(content["settings"]))
        model.target_ = cls._target.from_json(content["target"])
        return model._restore(content, arrays)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


@dataclass(kw_only=True, eq=False, repr=False)
class TreesClassifier(ClassifierMixin, _Trees):
    """Boosted trees that classify the rows of a table.

    Parameters
    ----------
    n_rounds : int
        Trees of each class, at most; all classes together have at most 1000.
    learning_rate : float
        What the leaves are multiplied by.
    class_weight : dict of label to float, "balanced" or None
    threshold : float, str or None
        As for `Classifier`.
    random_state : int or None
    column_kinds, decimal, thousands, date_format, missing
        As for `Classifier`.

    Attributes
    ----------
    classes_, columns_, threshold_, n_features_in_, feature_names_in_
        As for `Classifier`.
    trees_ : BoostedTrees
    """

    class_weight: Mapping[Any, float] | str | None = None
    threshold: float | str | None = None

    _parameter_constraints: ClassVar = {
        **_Trees._parameter_constraints,
        "class_weight": CLASS_WEIGHT,
        "threshold": [SHARE, str, None],
    }
    _target = Classes

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (n_rows, n_classes)."""
        return self._outputs(X)

    def _grower(self, **settings: Any) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        weights = self.class_weight
        if isinstance(weights, Mapping):
            places = {label: k for k, label in enumerate(self.classes_.tolist())}
            weights = {places[label]: weight for label, weight in weights.items()}
        return HistGradientBoostingClassifier(class_weight=weights, **settings)

    def _choose_threshold(self, frame: Any, target: Series, groups: Any) -> None:
        vars(self).pop("threshold_", None)
        if self.threshold is None or len(self.classes_) != 2:
            return
        values = self.target_.clean(target)
        self.positive_ = positive_class(self.classes_, values)
        if not isinstance(self.threshold, str):
            self.threshold_ = float(self.threshold)
            return
        truth = Truth(values, self.classes_, self.positive_, groups)
        copy: Any = clone(self)
        copy.set_params(threshold=None)
        shares = out_of_fold(
            lambda rows: copy.fit(frame[rows], target[rows]),
            lambda rows: frame[rows],
            truth,
        )
        owner = "TreesClassifier: threshold"
        self.threshold_ = best_threshold(self.threshold, truth, shares, owner)


class TreesRegressor(RegressorMixin, _Trees):
    """Boosted trees that predict a number from a table.

    Parameters
    ----------
    n_rounds : int
        Number of trees.
    learning_rate : float
        What the leaves are multiplied by.
    random_state : int or None
    column_kinds, decimal, thousands, date_format, missing
        As for `Classifier`.

    Attributes
    ----------
    columns_, n_features_in_, feature_names_in_
        As for `Classifier`.
    trees_ : BoostedTrees
    """

    _target = Values

    def _grower(self, **settings: Any) -> Any:
        from sklearn.ensemble import HistGradientBoostingRegressor

        return HistGradientBoostingRegressor(**settings)
