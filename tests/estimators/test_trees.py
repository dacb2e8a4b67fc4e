"""Boosted trees as plain arrays, against scikit-learn's; the choice of a model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

import thalweg as tw
from thalweg.estimators import (
    TreesClassifier,
    TreesRegressor,
    evaluate,
    evaluate_best,
    linear_of,
    load_fitted_table,
)

SAME: dict[str, Any] = {"max_iter": 20, "early_stopping": False, "random_state": 0}


@pytest.mark.parametrize("load", [datasets.load_breast_cancer, datasets.load_wine])
def test_trees_predict_what_scikit_learns_do(load: Any, tmp_path: Path):
    X, y = load(return_X_y=True, as_frame=True)
    ours = TreesClassifier(n_rounds=20, random_state=0).fit(X, y)
    inputs = ours.encode(X)
    least = int(np.clip(len(X) // 40, 1, 20))
    theirs = HistGradientBoostingClassifier(min_samples_leaf=least, **SAME)
    with threadpool_limits(1, user_api="openmp"):
        shares = theirs.fit(inputs, y).predict_proba(inputs)
    np.testing.assert_allclose(ours.predict_proba(X), shares, rtol=0, atol=1e-15)
    ours.save(tmp_path / "trees.thalweg")
    for read in (tw.load, load_fitted_table):
        kept = read(tmp_path / "trees.thalweg")
        np.testing.assert_array_equal(kept.predict(X), ours.predict(X))
        np.testing.assert_array_equal(kept.predict_proba(X), ours.predict_proba(X))


def test_trees_of_values(tmp_path: Path):
    loaded: Any = datasets.load_diabetes(return_X_y=True, as_frame=True)
    X, y = loaded
    ours = TreesRegressor(n_rounds=20, random_state=0).fit(X, y)
    theirs = HistGradientBoostingRegressor(min_samples_leaf=11, **SAME)
    scaled = (y - y.mean()) / y.std(ddof=0)
    with threadpool_limits(1, user_api="openmp"):
        predicted = theirs.fit(ours.encode(X), scaled).predict(ours.encode(X))
    found = (ours.predict(X) - y.mean()) / y.std(ddof=0)
    np.testing.assert_allclose(found, predicted, rtol=0, atol=1e-12)
    ours.save(tmp_path / "trees.thalweg")
    again: Any = tw.load(tmp_path / "trees.thalweg")
    np.testing.assert_array_equal(again.predict(X), ours.predict(X))


def test_the_linear_model_is_logistic_regression():
    X, y = datasets.load_breast_cancer(return_X_y=True, as_frame=True)
    model = linear_of(tw.Classifier(piecewise=False))
    model.set_params(piecewise=False, max_epochs=3000).fit(X, y)
    # Two outputs share the weights of one, so that half the penalty is on them.
    theirs = LogisticRegression(C=2.0, max_iter=3000, tol=1e-8)
    shares = theirs.fit(model.encode(X), y).predict_proba(model.encode(X))
    np.testing.assert_allclose(model.predict_proba(X), shares, atol=2e-3)


def test_the_better_model_is_handed_over():
    """Trees find what is no sum of the columns, and two epochs do not."""
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(400, 6))
    y = (X[:, 0] > 0.5) != (X[:, 1] > 0.5)
    network = tw.Classifier((4,), max_epochs=2, random_state=0)
    model, found = evaluate_best(network, X, y.astype(int))
    assert isinstance(model, TreesClassifier)
    assert found.subject == "tree ensemble"
    assert "better than the network's" in found.notes[0]
    line = rng.standard_normal((400, 3))
    target = line @ [1.0, 2, 3] + 0.01 * rng.standard_normal(400)
    network = tw.Regressor((4,), max_epochs=2, scoring="neg_mean_absolute_error")
    _, found = evaluate_best(network, X, y.astype(float))
    assert found.subject == "tree ensemble"
    assert found.metric == "neg_mean_absolute_error"
    assert "its MAE is better" in found.notes[0]
    network = tw.Regressor((4,), max_epochs=2, members=1)
    model, found = evaluate_best(network, line, target)
    assert model.hidden_layer_sizes == ()
    assert found.score > 0.99


def test_a_network_that_loses_says_so():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((300, 3))
    y = X @ [1.0, 2, 3]
    network = tw.Regressor((4,), max_epochs=2, members=1, random_state=0)
    found = evaluate(network, X, y)
    assert found.verdict.startswith("The network does worse than ridge regression")
    assert found.gains["ridge regression"][2] < 0


def test_the_model_is_fitted_on_all_rows_in_the_end():
    X, y = datasets.load_breast_cancer(return_X_y=True, as_frame=True)
    quick: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_epochs": 2}
    model, same = (tw.Classifier(**quick, random_state=0) for _ in range(2))
    evaluate(model, X, y)
    same.fit(X, y)
    for ours, theirs in zip(model.run_.parameters, same.run_.parameters, strict=True):
        np.testing.assert_array_equal(ours["weights"], theirs["weights"])
    before = tw.Classifier(**quick, random_state=0)
    evaluate(before, X, y, refit=False)
    first, second = (m.run_.parameters[0]["weights"] for m in (model, before))
    assert first.shape != second.shape or (first != second).any()


@pytest.mark.parametrize("n_rows", [150, 569])
def test_a_threshold_is_chosen_kept_and_used(n_rows: int, tmp_path: Path):
    X, y = datasets.load_breast_cancer(return_X_y=True, as_frame=True)
    X, y = X[:n_rows], y[:n_rows]
    model = tw.Classifier((4,), max_epochs=3, random_state=0, threshold="f1")
    model.fit(X, y)
    assert 0 < float(model.threshold_ or 0) < 1
    shares = model.predict_proba(X)[:, model.positive_]
    said = (shares >= model.threshold_).astype(int)
    np.testing.assert_array_equal(model.predict(X), said)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        tw.Classifier.load(tmp_path / "model").predict(X), said
    )
    fixed = tw.Classifier((4,), max_epochs=1, threshold=0.0, random_state=0).fit(X, y)
    assert set(fixed.predict(X)) == {1}


def test_a_threshold_needs_two_classes():
    X, y = datasets.load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="for two classes"):
        tw.Classifier((4,), max_epochs=1, threshold="f1").fit(X, y)


def test_scoring_is_what_score_returns():
    X, y = datasets.load_breast_cancer(return_X_y=True, as_frame=True)
    from sklearn.metrics import get_scorer

    model = tw.Classifier((4,), max_epochs=2, random_state=0).fit(X, y)
    for name in ("roc_auc", "neg_log_loss", "f1", "matthews_corrcoef"):
        expected = get_scorer(name)(model, X, y)
        assert model.set_params(scoring=name).score(X, y) == pytest.approx(expected)
