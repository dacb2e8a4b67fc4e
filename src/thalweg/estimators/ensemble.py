"""Ensembles: several networks whose predictions are averaged.

Networks that differ only in their seeds, or in their samples of the rows, make
different errors. The mean of their probabilities or values has a smaller error, and a
large disagreement shows an uncertain prediction (Hansen & Salamon, 1990; Breiman, 1996;
Lakshminarayanan et al., 2017).
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import check_random_state, get_tags, resample
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from thalweg.core import Array, check_jobs, check_whole, naming
from thalweg.estimators.constraints import AT_LEAST_1, ESTIMATOR, Validated
from thalweg.estimators.keras.estimators import KerasClassifier, KerasRegressor
from thalweg.estimators.mlp.classifier import MLPClassifier
from thalweg.estimators.mlp.regressor import MLPRegressor
from thalweg.estimators.persistence import (
    Persistent,
    nest,
    template_from_json,
    template_to_json,
    unnest,
)
from thalweg.estimators.tabular.estimators import Classifier, Regressor
from thalweg.estimators.tabular.trees import TreesClassifier, TreesRegressor
from thalweg.training import run_all


def _classifies(ensemble: "Ensemble") -> bool:
    return is_classifier(ensemble.estimator)


@dataclass(eq=False, repr=False)
class Ensemble(Persistent, MetaEstimatorMixin, Validated):
    """Average the predictions of several networks.

    Parameters
    ----------
    estimator : estimator
        The estimator that each member is a copy of: one of thalweg's or scikit-learn's.
    n_members : int
    bootstrap : bool
        With True each member is trained on its own sample of the rows, drawn with
        replacement and stratified (bagging). With False only the seeds differ.
    random_state : int, RandomState or None
        Source of the members' seeds and samples.
    n_jobs : int or None
        Number of members that are trained at the same time, on threads; all processors
        by default.

    Attributes
    ----------
    members_ : list of estimator
    classes_ : ndarray of shape (n_classes,)
        Only if the members are classifiers.
    n_features_in_ : int

    Examples
    --------
    >>> from thalweg import Ensemble, MLPClassifier
    >>> from thalweg.datasets import blobs
    >>> X, y = blobs(60)
    >>> member = MLPClassifier(solver="lbfgs", hidden_layer_sizes=(8,), max_iter=9999)
    >>> ensemble = Ensemble(member, n_members=3, random_state=0).fit(X, y)
    >>> ensemble.disagreement(X).shape
    (60,)
    """

    estimator: Any
    n_members: int = 5
    _: KW_ONLY
    bootstrap: bool = False
    random_state: int | np.random.RandomState | None = None
    n_jobs: int | None = -1
    classes_: Array = field(init=False)

    _parameter_constraints: ClassVar = {
        "estimator": [ESTIMATOR],
        "n_members": [AT_LEAST_1],
        "bootstrap": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [int, None],
    }

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Train the members.

        Parameters
        ----------
        X, y : as for the members
        **fit_params
            Passed to the `fit` of each member. Not allowed with `bootstrap`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is not valid, or `fit_params` are given with `bootstrap`.
        """
        self._validate_params()
        check_jobs(self.n_jobs, owner="Ensemble")
        check_whole("n_members", self.n_members, "[1, 1e6]", owner="Ensemble")
        if self.bootstrap and fit_params:
            raise ValueError(
                f"Ensemble got bootstrap=True and {', '.join(fit_params)}, which would "
                "not follow the sampled rows. Leave one of them out."
            )
        rng = check_random_state(self.random_state)
        seeds = rng.randint(2**31, size=self.n_members).tolist()

        def member(seed: int) -> Any:
            rows = self._rows(X, y, seed)
            return seeded(self.estimator, seed).fit(*rows, **fit_params)

        self.members_ = run_all(member, [(seed,) for seed in seeds], self.n_jobs)
        self._take_over()
        return self

    def predict(self, X: Any) -> Array:
        """Predict the class with the greatest mean probability, or the mean value.

        Parameters
        ----------
        X : as for the members

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        mean = self._answers(X).mean(axis=0)
        return self.classes_[mean.argmax(axis=1)] if _classifies(self) else mean

    @available_if(_classifies)
    def predict_proba(self, X: Any) -> Array:
        """Return the mean of the members' probabilities, (n_rows, n_classes)."""
        return self._answers(X).mean(axis=0)

    def disagreement(self, X: Any) -> Array:
        """Measure how much the members disagree on each row; 0 where they agree.

        Parameters
        ----------
        X : as for the members

        Returns
        -------
        ndarray of shape (n_rows,)
            The standard deviation of the members' values. For classes, the mean
            Kullback-Leibler divergence of their probabilities from the mean, in nats
            (at most the logarithm of the number of classes).
        """
        answers = self._answers(X)
        if not _classifies(self):
            return answers.std(axis=0)
        from scipy import stats  # slow to import

        together = stats.entropy(answers.mean(axis=0), axis=-1)
        return together - stats.entropy(answers, axis=-1).mean(axis=0)

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy, or R²."""
        from sklearn.metrics import accuracy_score, r2_score  # slow to import

        metric = accuracy_score if _classifies(self) else r2_score
        predicted = self.predict(X)
        with naming("y", "sample_weight", owner="Ensemble.score"):
            return float(metric(y, predicted, sample_weight=sample_weight))

    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the fitted estimator as values that JSON can hold, and arrays.

        Raises
        ------
        ValueError
            If a member is not one of thalweg's own estimators.
        """
        members, arrays = nest(self.members_, "Ensemble")
        return {"template": template_to_json(self), "members": members}, arrays

    @classmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild the estimator that `to_document` took apart."""
        kinds = {kind.__name__: kind for kind in KINDS}
        members = unnest(content["members"], arrays, kinds)
        if "template" in content:
            own = {**kinds, content["template"][0]: cls}
            model: Any = template_from_json(content["template"], own)
        else:  # formats 1 and 2
            model = cls(clone(members[0]), **content["settings"])
        model.members_ = members
        model._take_over()
        return model

    def _rows(self, X: Any, y: Any, seed: int) -> tuple[Any, Any]:
        if not self.bootstrap:
            return X, y
        strata = y if _classifies(self) else None
        drawn: Any = resample(X, y, random_state=seed, stratify=strata)
        return tuple(drawn)

    def _take_over(self) -> None:
        """Set the fitted attributes that the members share."""
        for name in ("classes_", "n_features_in_", "feature_names_in_"):
            if hasattr(self.members_[0], name):
                setattr(self, name, getattr(self.members_[0], name))

    def _answers(self, X: Any) -> Array:
        """Return the probabilities or values, (n_members, n_rows, ...)."""
        check_is_fitted(self)
        method = "predict_proba" if _classifies(self) else "predict"
        return np.array([getattr(member, method)(X) for member in self.members_])

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)


def seeded(estimator: Any, seed: int) -> Any:
    """Return an unfitted copy with every ``random_state`` inside set to `seed`."""
    copy: Any = clone(estimator)
    names = [k for k in copy.get_params() if k.split("__")[-1] == "random_state"]
    return copy.set_params(**dict.fromkeys(names, seed))


KINDS: tuple[type[Persistent], ...] = (
    Classifier, Regressor, TreesClassifier, TreesRegressor, MLPClassifier, MLPRegressor,
    KerasClassifier, KerasRegressor, Ensemble,
)  # fmt: skip
"""The estimators that predict; each may be a member of an ensemble."""
