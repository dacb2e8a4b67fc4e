"""What held-out rows tell beyond a score, against scikit-learn and by hand."""

import json
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.inspection import permutation_importance
from sklearn.metrics import r2_score

from thalweg import Classifier, Regressor
from thalweg.estimators.tabular.columns import study
from thalweg.estimators.tabular.evaluation import (
    Evaluation,
    calibration,
    confusion,
    evaluate,
    importances,
    residuals,
)
from thalweg.estimators.tabular.targets import Classes, Values
from thalweg.report.summary import sketch

QUICK: dict[str, Any] = {"hidden_layer_sizes": (8,), "random_state": 0}


def test_row_scores_have_the_score_as_their_mean():
    truth, predicted = np.array([1.0, 2, 4, 9]), np.array([1.5, 2, 3, 7])
    values, classes = Values(0, 1), Classes(np.array([0, 1]))
    # Both are sums of four terms in another order.
    found = values.row_scores(truth, predicted).mean()
    assert found == pytest.approx(r2_score(truth, predicted), rel=1e-14)
    assert classes.row_scores(truth, np.array([1, 0, 4, 9])).mean() == 0.75


def test_confusion_counts_true_by_predicted():
    found = confusion(np.array(["a", "b", "b", "c"]), np.array(["a", "c", "b", "c"]))
    assert found.labels == ("a", "b", "c")
    assert found.counts == ((1, 0, 0), (0, 1, 1), (0, 0, 1))


def test_rare_classes_share_a_row_where_there_are_many():
    truth = np.repeat(np.arange(60), np.r_[np.full(30, 1), np.full(30, 5)])
    found = confusion(truth, np.roll(truth, 1))
    assert (len(found.labels), found.labels[-1]) == (40, "21 others")
    assert np.sum(found.counts) == len(truth)


def test_calibration_sees_an_overconfident_classifier():
    rng = np.random.RandomState(0)
    confidence = rng.uniform(0.5, 1, 5000)
    honest = calibration(confidence, rng.uniform(size=5000) < confidence)
    boasting = calibration(confidence, rng.uniform(size=5000) < confidence - 0.2)
    assert honest is not None
    assert boasting is not None
    # 500 rows a bin: a share's standard error is at most 0.022, so their mean
    # distance stays below 0.03 for an honest one.
    assert honest.error < 0.03
    assert boasting.error == pytest.approx(0.2, abs=0.03)
    assert honest.counts == (500,) * 10
    inside = [low < p < high for p, (low, high) in
              zip(honest.confidence, honest.intervals, strict=True)]  # fmt: skip
    assert sum(inside) >= 8


def test_few_rows_tell_nothing_of_calibration():
    assert calibration(np.full(44, 0.9), np.full(44, True)) is None


def test_residuals_keep_rows_over_the_whole_table():
    values = np.arange(10_000.0)
    kept = residuals(values, values + 1)
    assert (len(kept.truth), kept.truth[0], kept.truth[-1]) == (2000, 0, 9999)
    assert kept.predicted[5] == kept.truth[5] + 1


@pytest.mark.slow
def test_importance_is_scikit_learns():
    data: Any = load_diabetes(return_X_y=True, as_frame=True)
    X, y = data
    model = Regressor(**QUICK, max_epochs=30).fit(X[:300], y[:300])
    part, truth = X[300:], y[300:].to_numpy()
    found = importances([model], [part], truth, model.predict(part))
    theirs: Any = permutation_importance(
        model, part, truth, n_repeats=30, random_state=1
    )
    for each in found:
        place = list(X.columns).index(each.column)
        # Two means, of 10 and of 30 shuffles: four standard errors apart at the most.
        apart = 4 * theirs.importances_std[place] * np.sqrt(1 / 10 + 1 / 30)
        assert abs(each.drop - theirs.importances_mean[place]) < apart
        assert each.interval[0] < each.drop < each.interval[1]
    drops = [each.drop for each in found]
    assert drops == sorted(drops, reverse=True)


@pytest.mark.slow
def test_cross_validated_rows_are_looked_at_too():
    data: Any = load_iris(return_X_y=True, as_frame=True)
    y = data[1]
    X = data[0].assign(useless=np.random.RandomState(0).normal(size=150))
    found = evaluate(Classifier(**QUICK), X, y, closely=True)
    assert found.confusion is not None
    assert np.sum(found.confusion.counts) == 150
    right = np.trace(np.array(found.confusion.counts)) / 150
    assert right == pytest.approx(found.score, abs=1e-12)
    assert {each.column for each in found.importance} == set(X)
    assert found.importance[0].column.startswith("petal")
    useless = {each.column: each.interval for each in found.importance}["useless"]
    assert useless[0] <= 0.01
    gain, low, high = found.gains["majority class"]
    assert gain == pytest.approx(found.score - 1 / 3, abs=1e-12)
    assert 0 < low < gain < high
    assert Evaluation.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_column_is_sketched_as_it_is_spread():
    frame = pd.DataFrame(
        {
            "number": [*range(19), None],
            "text": ["a", "a", "b", None] * 5,
            "date": pd.date_range("2024-01-01", periods=20).astype(str),
            "same": [1] * 20,
        }
    )
    found = {c.name: sketch(c, frame[c.name]) for c in study(frame)}
    assert sum(found["number"].counts) == 19
    assert found["number"].labels[0] == "0 to 0.9"
    assert found["text"].labels == ("a", "b")
    assert found["text"].counts == (10, 5)
    assert found["text"].missing == 5
    assert found["date"].labels[0].startswith("2024-01-01 to ")
    assert found["same"].counts == ()
