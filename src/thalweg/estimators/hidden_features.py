"""The outputs of a hidden layer as features for another model.

Training finds the features that a hidden layer computes. A transformer passes them on,
for example to a linear model, a forest or a scatter plot.
"""

from collections.abc import Mapping
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from thalweg.core import Array
from thalweg.estimators.constraints import ESTIMATOR, Validated
from thalweg.estimators.ensemble import KINDS
from thalweg.estimators.persistence import (
    Persistent,
    nest,
    template_from_json,
    template_to_json,
    unnest,
)
from thalweg.training import look_inside


class HiddenFeatures(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    MetaEstimatorMixin,
    Persistent,
    Validated,
):
    """Train a network, and transform rows into the outputs of a hidden layer.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, Classifier or Regressor
        A copy of it is fitted. A fitted one in scikit-learn's ``FrozenEstimator`` is
        used without fitting. Of several members of a table's model the first is used.
    layer : int
        Index of the hidden layer, from 0, or backward from -1; the last by default.

    Attributes
    ----------
    estimator_ : estimator
        The fitted network.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from thalweg import HiddenFeatures, MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier((8, 2), solver="lbfgs", random_state=0, max_iter=9999)
    >>> HiddenFeatures(network).fit_transform(X, y).shape
    (150, 2)
    """

    _parameter_constraints: ClassVar = {
        "estimator": [ESTIMATOR],
        "layer": [Integral],
    }

    def __init__(self, estimator: Any, *, layer: int = -1) -> None:
        self.estimator = estimator
        self.layer = layer

    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
        """Train the network.

        Parameters
        ----------
        X, y, **fit_params
            As for the network's own `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the network has no such hidden layer.
        """
        self._validate_params()
        copy: Any = clone(self.estimator)
        self.estimator_ = copy.fit(X, y, **fit_params)
        self._take_over()
        self._n_features_out = self._values(X).shape[1]
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Return the outputs of the hidden layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, units)
        """
        check_is_fitted(self)
        return self._values(X)

    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the fitted transformer as values that JSON can hold, and arrays."""
        frozen = isinstance(self.estimator, FrozenEstimator)
        fitted = self.estimator_.estimator if frozen else self.estimator_
        network, arrays = nest([fitted], "HiddenFeatures")
        content = {
            "network": network,
            "template": None if frozen else template_to_json(self.estimator),
            "layer": int(self.layer),
            "n_features_out": self._n_features_out,
        }
        return content, arrays

    @classmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild the transformer that `to_document` took apart."""
        kinds = {kind.__name__: kind for kind in KINDS}
        (network,) = unnest(content["network"], arrays, kinds)
        if content["template"] is None:
            network = template = FrozenEstimator(network)
        else:
            template = template_from_json(content["template"], kinds)
        made = cls(template, layer=content["layer"])
        made.estimator_ = network
        made._n_features_out = content["n_features_out"]
        made._take_over()
        return made

    def _take_over(self) -> None:
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))

    def _values(self, X: Any) -> Array:
        network = getattr(self.estimator_, "estimator", self.estimator_)
        layers = (
            network.activations(X)
            if hasattr(network, "activations")
            else look_inside(network.run_, network.encode_for(0, X)).activations
        )
        hidden = layers[:-1]
        if not -len(hidden) <= self.layer < len(hidden):
            advice = (
                f"Give an integer from 0 to {len(hidden) - 1}, or -1 for the last."
                if hidden
                else "Train a network with at least one hidden layer."
            )
            raise ValueError(
                f"HiddenFeatures got layer={self.layer!r} for a network with "
                f"{len(hidden)} hidden layer(s). {advice}"
            )
        return np.asarray(hidden[self.layer])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        own = get_tags(self.estimator)
        tags.input_tags, tags.target_tags.required = own.input_tags, True
        return tags
