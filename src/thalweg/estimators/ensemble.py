"""Several networks trained at once and averaged.

Networks that differ only in their seeds, or in the rows they were given, err in
different places: the mean of their probabilities (or values) errs less, and where they
disagree, the answer is in doubt (Hansen & Salamon, 1990; Breiman, 1996;
Lakshminarayanan et al., 2017).
"""

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_random_state, get_tags, resample
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from thalweg.core import Array
from thalweg.estimators.persistence import load
from thalweg.io import (
    Contents,
    PathLike,
    read_model_file,
    read_model_of_kind,
    understood_model,
    write_model_file,
)
from thalweg.training import run_all


def _classifies(ensemble: "Ensemble") -> bool:
    return is_classifier(ensemble.estimator)


@dataclass(eq=False, repr=False)
class Ensemble(MetaEstimatorMixin, BaseEstimator):
    """Average several networks, trained side by side.

    Parameters
    ----------
    estimator : estimator
        What each member is a copy of: any of thalweg's, or scikit-learn's.
    n_members : int
    bootstrap : bool
        True gives each member its own sample of the rows, drawn with replacement
        (bagging; each class keeps its share); False lets the seeds alone differ.
    random_state : int, RandomState or None
        Source of the members' seeds and samples.
    n_jobs : int or None
        Members trained at once, on threads; all processors by default.

    Attributes
    ----------
    members_ : list of estimator
    classes_ : ndarray of shape (n_classes,)
        Of a classifier.
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

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Train the members.

        Parameters
        ----------
        X, y : as for the members
        **fit_params
            Handed on to each member; not ``sample_weight`` with ``bootstrap``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is less than one member, or weights cannot follow the rows.
        """
        if not isinstance(self.n_members, int | np.integer) or self.n_members < 1:
            raise ValueError(
                f"Ensemble got n_members={self.n_members!r}; it must be a whole number "
                "of at least 1."
            )
        if self.bootstrap and fit_params:
            raise ValueError(
                f"Ensemble got bootstrap=True and {', '.join(fit_params)}, which would "
                "not follow the rows drawn. Leave one of them out."
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
        """Predict: the class of the greatest mean probability, or the mean value.

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
        """Say how far the members are apart, row by row; 0 where they agree.

        Parameters
        ----------
        X : as for the members

        Returns
        -------
        ndarray of shape (n_rows,)
            Standard deviation of the members' values; for classes, the mean
            Kullback-Leibler divergence of their probabilities from the mean, in nats
            (at most the logarithm of the number of classes).
        """
        answers = self._answers(X)
        if not _classifies(self):
            return answers.std(axis=0)
        together = stats.entropy(answers.mean(axis=0), axis=-1)
        return together - stats.entropy(answers, axis=-1).mean(axis=0)

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy, or R²."""
        metric = accuracy_score if _classifies(self) else r2_score
        return float(metric(y, self.predict(X), sample_weight=sample_weight))

    def save(self, path: PathLike) -> None:
        """Write all members to one model file; nothing in it is code.

        Raises
        ------
        ValueError
            If the members are not thalweg's `Classifier` or `Regressor`.
        """
        check_is_fitted(self)
        parts = [_taken_apart(member) for member in self.members_]
        settings = {"n_members": int(self.n_members), "bootstrap": bool(self.bootstrap)}
        content = {"settings": settings, "members": [part[:2] for part in parts]}
        arrays = {
            f"{i}.{name}": value
            for i, (_, _, own) in enumerate(parts)
            for name, value in own.items()
        }
        write_model_file(path, "Ensemble", content, arrays)

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        OSError
            If the file does not exist or cannot be opened.
        ValueError
            If it is not a whole model file, or holds another kind of model.
        """
        content, arrays = read_model_of_kind("Ensemble", path)
        with understood_model(path):
            own: list[dict[str, Array]] = [{} for _ in content["members"]]
            for name, value in arrays.items():
                number, _, rest = name.partition(".")
                own[int(number)][rest] = value
            members = [
                _put_together((*part, its))
                for part, its in zip(content["members"], own, strict=True)
            ]
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
        """Set the attributes that the members share."""
        for name in ("classes_", "n_features_in_", "feature_names_in_"):
            if hasattr(self.members_[0], name):
                setattr(self, name, getattr(self.members_[0], name))

    def _answers(self, X: Any) -> Array:
        """Return the members' probabilities or values, the member first."""
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


# A member's own file is all that is known of how to keep it.


def _taken_apart(member: Any) -> Contents:
    if not hasattr(member, "save"):
        raise ValueError(
            f"Ensemble cannot save members of type {type(member).__name__}: only "
            "thalweg's own estimators have a file format. Use one of them, or keep the "
            "ensemble in memory."
        )
    with TemporaryDirectory() as folder:
        member.save(Path(folder) / "member")
        return read_model_file(Path(folder) / "member")


def _put_together(contents: Contents) -> Any:
    with TemporaryDirectory() as folder:
        write_model_file(Path(folder) / "member", *contents)
        return load(Path(folder) / "member")
