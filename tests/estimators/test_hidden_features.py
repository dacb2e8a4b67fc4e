"""Hidden layers as features for other models."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from thalweg import Classifier, HiddenFeatures, MLPClassifier, MLPRegressor

SMALL = MLPRegressor(
    hidden_layer_sizes=(3,), solver="lbfgs", max_iter=9999, random_state=0
)
IRIS: Any = load_iris(as_frame=True)
X, Y = IRIS.data, IRIS.target
NETWORK = MLPClassifier(
    (6, 3), solver="lbfgs", max_iter=9999, scale_inputs=True, random_state=0
)


@parametrize_with_checks([HiddenFeatures(SMALL)])
def test_check(estimator: Any, check: Any) -> None:
    check(estimator)


def test_values_are_those_of_the_layer() -> None:
    fitted = HiddenFeatures(NETWORK, layer=0).set_output(transform="pandas").fit(X, Y)
    network = fitted.estimator_
    scaled = network.scaler_.transform(X.to_numpy())
    expected = np.maximum(scaled @ network.coefs_[0] + network.intercepts_[0], 0)
    found = fitted.transform(X)
    assert list(found.columns) == [f"hiddenfeatures{i}" for i in range(6)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # another order of sums


@pytest.mark.parametrize(
    "network",
    [
        NETWORK,
        Classifier((6, 3), optimizer="lbfgs", random_state=0),
        FrozenEstimator(NETWORK.fit(X, Y)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_another_model_goes_on_from_them(network: Any) -> None:
    pipeline = make_pipeline(HiddenFeatures(network), LogisticRegression()).fit(X, Y)
    assert pipeline[0].transform(X).shape == (150, 3)
    assert pipeline.score(X, Y) > 0.9


@pytest.mark.parametrize("sizes", [(), (4,)])
def test_a_layer_that_is_not_there(sizes: tuple[int, ...]) -> None:
    network = MLPClassifier(sizes, solver="lbfgs", max_iter=9999)
    with pytest.raises(ValueError, match=f"layer=1 .* with {len(sizes)} hidden"):
        HiddenFeatures(network, layer=1).fit(X, Y)
