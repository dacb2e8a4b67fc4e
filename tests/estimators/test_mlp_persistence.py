"""A fitted MLP estimator goes into a model file and comes back as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

import thalweg as tw

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(40, 3))
NAMES = np.array(["no", "perhaps", "yes"])
KEPT: dict[str, tuple[Any, Any]] = {
    "classes": (tw.MLPClassifier(), np.arange(40) % 3),
    "names": (tw.MLPClassifier(scale_inputs=True), NAMES[np.arange(40) % 3]),
    "two": (tw.MLPClassifier(batch_norm=True, solver="sgd"), np.arange(40) % 2 == 1),
    "labels": (
        tw.MLPClassifier(hidden_layer_sizes=()),
        np.arange(80).reshape(40, 2) % 2,
    ),
    "weighted": (tw.MLPClassifier(class_weight={0: 1.0, 1: 2.0}), np.arange(40) % 2),
    "values": (
        tw.MLPRegressor(hidden_layer_sizes=[4, 3], dtype="float32"),
        np.ones(40),
    ),
    "endless": (tw.MLPRegressor(n_iter_no_change=np.inf), np.arange(40.0)),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_model_file_predicts_the_same(name: str, tmp_path: Path) -> None:
    estimator, y = KEPT[name]
    clf: Any = clone(estimator)
    clf.set_params(max_iter=3)
    clf.fit(X, y)
    clf.save(tmp_path / "clf")
    again = tw.load(tmp_path / "clf")
    np.testing.assert_array_equal(again.predict(X), clf.predict(X))
    if hasattr(clf, "predict_proba"):
        np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(again.history_.loss, clf.history_.loss)
    assert {**again.get_params(), "random_state": 0} == {
        **clf.get_params(),
        "random_state": 0,
    }
    assert again.score(X, y) == clf.score(X, y)


def test_a_model_file_takes_no_functions(tmp_path: Path) -> None:
    clf = tw.MLPRegressor(schedule=lambda step: 1.0, max_iter=1, n_iter_no_change=1)
    clf.fit(X, X[:, 0])
    with pytest.raises(ValueError, match="got an estimator with schedule=<function"):
        clf.save(tmp_path / "clf")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "settings",
    [{}, {"scale_inputs": True}, {"batch_norm": True}, {"early_stopping": True},
     {"solver": "sgd", "learning_rate": "adaptive"}, {"solver": "lbfgs"}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("kind", [tw.MLPClassifier, tw.MLPRegressor])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_was_saved_goes_on(kind: Any, settings: Any, tmp_path: Path) -> None:
    """A further fit of a loaded estimator is that of the one that was saved."""
    rows = np.random.default_rng(0).standard_normal((40, 3))
    y = (rows[:, 0] > 0) * 1
    own = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, **settings}
    model = kind(warm_start=True, **own).fit(rows, y)
    model.save(tmp_path / "model")
    stops_early = "early_stopping" in settings
    if settings.get("solver") != "lbfgs" and not stops_early:
        again = kind.load(tmp_path / "model").partial_fit(rows, y)
        assert again.loss_curve_[:3] == model.loss_curve_[:3]
    loaded = kind.load(tmp_path / "model").fit(rows, y)
    assert len(loaded.loss_curve_) > len(model.loss_curve_)
    if not stops_early:  # the best score of an earlier fit may be that of other data
        np.testing.assert_array_equal(loaded.coefs_[0], model.fit(rows, y).coefs_[0])
