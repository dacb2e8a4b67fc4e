"""Every parameter of every estimator is checked, as scikit-learn checks its own."""

from typing import Any

import numpy as np
import pytest
import sklearn

import thalweg as tw

ESTIMATORS = {
    type(each).__name__: each
    for each in (
        tw.MLPClassifier(),
        tw.MLPRegressor(),
        tw.Classifier(),
        tw.Regressor(),
        tw.KerasClassifier(),
        tw.KerasRegressor(),
        tw.Ensemble(tw.Classifier()),
        tw.HiddenFeatures(tw.MLPClassifier()),
    )
}
X = np.arange(12.0).reshape(6, 2)
Y = np.arange(6) % 2


class Anything:
    """What no parameter may be."""


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_parameter_is_checked(name: str) -> None:
    estimator: Any = ESTIMATORS[name]
    for parameter, default in estimator.get_params(deep=False).items():
        estimator.set_params(**{parameter: Anything()})
        with pytest.raises(ValueError, match=f"'{parameter}' parameter of {name} must"):
            estimator.fit(X, Y)
        estimator.set_params(**{parameter: default})
    estimator._validate_params()


@pytest.mark.parametrize(
    ("optimizer", "hint"),
    [
        ("adm", "adam"),
        (("lbgfs", {}), "lbfgs"),
        (["adam", "lbgfs"], "lbfgs"),
        (["adam", ("lbgfs", {})], "lbfgs"),
    ],
)
def test_the_nearest_name_is_suggested(optimizer: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=f"Did you mean '{hint}'") as caught:
        tw.Classifier(optimizer=optimizer).fit(X, Y)
    assert isinstance(caught.value, TypeError)
    assert "{'adabelief', 'adadelta', " in str(caught.value)


def test_the_setting_of_scikit_learn_skips_the_checks() -> None:
    model: Any = tw.MLPClassifier(alpha=-1)
    with sklearn.config_context(skip_parameter_validation=True):
        model._validate_params()
    with pytest.raises(ValueError, match="alpha"):
        model._validate_params()
