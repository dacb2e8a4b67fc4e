"""What is exported predicts as the original, in the other program's own runtime."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from skl2onnx import to_onnx
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from thalweg import MLPClassifier, MLPRegressor
from thalweg.core.networks import ACTIVATIONS
from thalweg.core.types import Array
from thalweg.estimators.onnx import register_onnx

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

register_onnx()
IRIS: Any = load_iris()
X, Y = IRIS.data, IRIS.target
LABELED: Any = make_multilabel_classification(random_state=0)
ROWS, LABELS = LABELED
SMALL: dict[str, Any] = {
    "hidden_layer_sizes": (8, 6),
    "random_state": 0,
    "max_iter": 30,
    "learning_rate_init": 0.05,
}
# ONNX Runtime's error function, in `gelu`, is in single precision.
DOUBLE = {"gelu": 1e-6}


def exported(model: Any, X: Array) -> Any:
    """Export a model and predict with what came out."""
    options = {"zipmap": False} if hasattr(model, "classes_") else None
    written: Any = to_onnx(model, X[:1], options=options)
    session = onnxruntime.InferenceSession(
        written.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: X})


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_activations(activation: str, dtype: str) -> None:
    reg = MLPRegressor(activation=activation, **SMALL)
    rows = np.linspace(-5, 5, 60).reshape(30, 2).astype(dtype)
    reg.fit(rows, rows[:, 0] ** 2)
    (found,) = exported(reg, rows)
    tolerance = DOUBLE.get(activation, 1e-12) if dtype == "float64" else 1e-4
    assert found.dtype == dtype
    np.testing.assert_allclose(found[:, 0], reg.predict(rows), atol=tolerance)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"activation": ["tanh", ("leaky_relu", {"slope": 0.3})]},
        {"batch_norm": True, "scale_inputs": True},
        {"layer_norm": True},
        {"hidden_layer_sizes": ()},
    ],
    ids=str,
)
def test_networks(parameters: dict[str, Any]) -> None:
    clf = MLPClassifier(**{**SMALL, **parameters}).fit(X, Y)
    labels, probabilities = exported(clf, X)
    np.testing.assert_allclose(probabilities, clf.predict_proba(X), atol=1e-12)
    np.testing.assert_array_equal(labels, clf.predict(X))
    assert len(set(labels)) > 1


@pytest.mark.parametrize(
    "y", [Y == 1, IRIS.target_names[Y], Y * 10, (Y > 0) * 1.0], ids=range(4)
)
def test_labels(y: Array) -> None:
    clf = MLPClassifier(**SMALL).fit(X, y)
    labels, probabilities = exported(clf, X)
    np.testing.assert_array_equal(labels, clf.predict(X))
    np.testing.assert_allclose(probabilities, clf.predict_proba(X), atol=1e-12)
    assert len(set(labels)) > 1


def test_many_labels() -> None:
    clf = MLPClassifier(**SMALL).fit(ROWS, LABELS)
    labels, probabilities = exported(clf, ROWS)
    np.testing.assert_array_equal(labels, clf.predict(ROWS))
    np.testing.assert_allclose(probabilities, clf.predict_proba(ROWS), atol=1e-12)


@pytest.mark.parametrize("loss", ["focal", "hinge"])
def test_losses_of_classifiers(loss: str) -> None:
    clf = MLPClassifier(loss=loss, **SMALL).fit(X, Y)
    np.testing.assert_array_equal(exported(clf, X)[0], clf.predict(X))


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
@pytest.mark.parametrize("y", [X[:, 0], X[:, :2]], ids=["one", "two"])
def test_regressors(loss: str, y: Array) -> None:
    reg = MLPRegressor(loss, **SMALL).fit(X[:, 2:], y)
    (found,) = exported(reg, X[:, 2:])
    expected = reg.predict(X[:, 2:]).reshape(150, -1)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_pipelines() -> None:
    model = make_pipeline(StandardScaler(), MLPClassifier(**SMALL)).fit(X, Y)
    labels, probabilities = exported(model, X)
    np.testing.assert_array_equal(labels, model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-12)


def test_whole_numbers_are_cast() -> None:
    whole = X.astype(int)
    clf = MLPClassifier(**SMALL).fit(whole, Y)
    _, probabilities = exported(clf, whole)
    np.testing.assert_allclose(probabilities, clf.predict_proba(whole), atol=1e-5)


@pytest.mark.slow
def test_functions_are_refused() -> None:
    reg = MLPRegressor(activation=lambda z: z, **SMALL).fit(X, Y)
    with pytest.raises(ValueError, match="is your own function"):
        to_onnx(reg, X[:1])
