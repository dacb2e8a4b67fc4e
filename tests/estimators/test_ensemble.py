"""Ensembles: scikit-learn estimators that average, doubt, and go into one file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

import thalweg as tw
from thalweg import datasets
from thalweg.io import model_file

X, y = datasets.blobs(60)
FAST: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_epochs": 3, "batch_size": 16}


@pytest.mark.slow
@pytest.mark.parametrize("member", [LogisticRegression(), Ridge()])
def test_an_ensemble_keeps_the_contract(member: Any):
    ensemble = tw.Ensemble(member, n_members=2, n_jobs=1)
    # Checks that do not concern it, such as of sample weights, skip themselves.
    results = check_estimator(ensemble, on_skip=None)
    assert {each["status"] for each in results} <= {"passed", "skipped"}


def test_probabilities_are_averaged():
    ensemble = tw.Ensemble(tw.Classifier(**FAST), 3, random_state=0).fit(X, y)
    each = [member.predict_proba(X) for member in ensemble.members_]
    mean = np.mean(each, axis=0)
    np.testing.assert_allclose(ensemble.predict_proba(X), mean, rtol=1e-6)
    np.testing.assert_array_equal(ensemble.predict(X), mean.argmax(axis=1))
    assert not np.allclose(each[0], each[1])


def test_values_are_averaged():
    ensemble = tw.Ensemble(tw.Regressor(**FAST), 3, random_state=0).fit(X, X[:, 0])
    each = np.array([member.predict(X) for member in ensemble.members_])
    np.testing.assert_allclose(ensemble.predict(X), each.mean(axis=0))
    np.testing.assert_allclose(ensemble.disagreement(X), each.std(axis=0))
    assert not hasattr(ensemble, "predict_proba")
    assert is_regressor(ensemble)


def test_the_seed_decides_and_threads_do_not():
    first, second = (
        tw.Ensemble(tw.Classifier(**FAST), 3, random_state=1, n_jobs=jobs).fit(X, y)
        for jobs in (1, 2)
    )
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


@pytest.mark.parametrize("seed", [0, 1])
def test_bagging_gives_members_their_own_rows_and_every_class(seed: int):
    rare = np.r_[np.zeros(58, int), 1, 2]
    tree = DecisionTreeClassifier()
    ensemble = tw.Ensemble(tree, 8, bootstrap=True, random_state=seed).fit(X, rare)
    assert all(member.classes_.tolist() == [0, 1, 2] for member in ensemble.members_)
    assert is_classifier(ensemble)


def test_members_disagree_where_the_answer_is_in_doubt():
    Z, z = datasets.moons(200)
    tree = DecisionTreeClassifier(max_depth=4)
    ensemble = tw.Ensemble(tree, 20, bootstrap=True, random_state=0).fit(Z, z)
    doubt = ensemble.disagreement(Z)
    wrong = ensemble.predict(Z) != z
    assert (doubt >= -1e-12).all()
    assert doubt.max() <= np.log(2)
    assert doubt[wrong].mean() > 2 * doubt[~wrong].mean()


@pytest.mark.parametrize(
    ("member", "target"),
    [
        (tw.Classifier(**FAST), y),
        (tw.Regressor(**FAST), X[:, 0]),
        (tw.MLPClassifier((5,), solver="lbfgs", tol=1.0), y),
        (tw.MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", tol=1e6), X),
    ],
)
def test_an_ensemble_goes_into_one_file(member: Any, target: Any, tmp_path: Path):
    ensemble = tw.Ensemble(member, 2, random_state=0).fit(X, target)
    ensemble.save(tmp_path / "all.thalweg")
    back = tw.Ensemble.load(tmp_path / "all.thalweg")
    np.testing.assert_array_equal(back.predict(X), ensemble.predict(X))
    np.testing.assert_array_equal(back.disagreement(X), ensemble.disagreement(X))
    assert [path.name for path in tmp_path.iterdir()] == ["all.thalweg"]


def test_only_members_that_have_a_file_format_are_saved(tmp_path: Path):
    ensemble = tw.Ensemble(LogisticRegression(), 2).fit(X, y)
    with pytest.raises(ValueError, match="cannot save members of type Logistic"):
        ensemble.save(tmp_path / "all.thalweg")
    model_file.write_model_file(tmp_path / "other", "thing", {}, {})
    with pytest.raises(ValueError, match="holds a thing, not an Ensemble"):
        tw.Ensemble.load(tmp_path / "other")


@pytest.mark.parametrize(
    ("options", "fit_params", "words"),
    [
        ({"n_members": 0}, {}, "'n_members' parameter of Ensemble must be an int in"),
        ({"bootstrap": True}, {"sample_weight": np.ones(60)}, "would not follow"),
    ],
)
def test_what_is_wrong_with_an_ensemble_is_said(
    options: dict[str, Any], fit_params: dict[str, Any], words: str
):
    with pytest.raises(ValueError, match=words):
        tw.Ensemble(LogisticRegression(), **options).fit(X, y, **fit_params)
