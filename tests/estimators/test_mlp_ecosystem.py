"""The estimators with the rest of scikit-learn, and with what users keep data in."""

import copy
import pickle
import re
from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.inspection import DecisionBoundaryDisplay, permutation_importance
from sklearn.model_selection import (
    GridSearchCV,
    LearningCurveDisplay,
    cross_val_score,
    cross_validate,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from thalweg import MLPClassifier, MLPRegressor
from thalweg.core import cpu
from thalweg.engines.native.description import kernel

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS: Any = load_iris(as_frame=True)
FRAME, NAMES = IRIS.data, IRIS.target_names[IRIS.target]
X, Y = FRAME.to_numpy(), IRIS.target.to_numpy()
SMALL: dict[str, Any] = {
    "hidden_layer_sizes": (8,),
    "learning_rate_init": 0.02,
    "max_iter": 30,
    "random_state": 0,
}


def classifier(**parameters: Any) -> Any:
    return MLPClassifier(**{**SMALL, **parameters})


def pipeline() -> Any:
    return make_pipeline(StandardScaler(), classifier())


# ------------------------------------------------------------- meta-estimators


def test_grid_search_finds_what_theirs_finds() -> None:
    grid = {"alpha": [1e-4, 10.0], "hidden_layer_sizes": [(8,), ()]}
    ours, theirs = (
        GridSearchCV(kind(**SMALL), grid, cv=3).fit(X, Y)
        for kind in (MLPClassifier, TheirClassifier)
    )
    assert ours.best_params_ == theirs.best_params_
    scores = theirs.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], scores)


@pytest.mark.integration
@pytest.mark.slow
def test_cross_validation_in_two_processes_is_the_same() -> None:
    # A check that memory is mapped read-only between them comes with it.
    with joblib.parallel_config(max_nbytes=100):
        apart = cross_val_score(pipeline(), X, Y, cv=4, n_jobs=2)
    np.testing.assert_array_equal(apart, cross_val_score(pipeline(), X, Y, cv=4))
    assert apart.mean() > 0.9


class Counting(MLPClassifier):
    """Keeps how many processors it took."""

    def fit(self, *args: Any, **params: Any) -> Any:
        self.processors_ = cpu.available_cpus()
        return super().fit(*args, **params)


@pytest.mark.integration
@pytest.mark.slow
def test_processes_share_the_processors_out() -> None:
    found = cross_validate(
        Counting(**SMALL), X, Y, cv=2, n_jobs=2,
        return_estimator=True,
    )  # fmt: skip
    fair = max(cpu.available_cpus() // 2, 1)
    assert [each.processors_ for each in found["estimator"]] == [fair, fair]


def test_several_outputs_of_classes_by_their_wrapper() -> None:
    both = np.column_stack([Y, Y == 1])
    several = MultiOutputClassifier(pipeline()).fit(X, both)
    assert (several.predict(X) == both).mean() > 0.9


def test_bagging_and_calibration_and_importance() -> None:
    bag = BaggingClassifier(pipeline(), n_estimators=3, random_state=0).fit(X, Y)
    assert bag.score(X, Y) > 0.9
    calibrated = CalibratedClassifierCV(pipeline(), cv=3).fit(X, Y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    assert calibrated.score(X, Y) > 0.9
    importance: Any = permutation_importance(pipeline().fit(X, Y), X, Y, random_state=0)
    assert importance.importances_mean.argmax() in (2, 3)  # the petals


def test_displays_draw() -> None:
    import matplotlib as mpl
    from matplotlib import pyplot

    with mpl.rc_context({"backend": "agg"}):
        fitted = pipeline().fit(X[:, :2], Y)
        boundary = DecisionBoundaryDisplay.from_estimator(fitted, X[:, :2])
        assert boundary.surface_ is not None
        sizes = np.array([0.5, 1.0])
        curve: Any = LearningCurveDisplay.from_estimator(
            pipeline(), X, Y, cv=3, train_sizes=sizes, shuffle=True, random_state=0
        )
        assert len(curve.lines_) == 2
        pyplot.close("all")


def test_metadata_is_routed() -> None:
    weights = np.where(Y == 1, 0.0, 1.0)
    with config_context(enable_metadata_routing=True):
        routed = classifier().set_fit_request(sample_weight=True)
        routed.set_score_request(sample_weight=True)
        scaler: Any = StandardScaler().set_fit_request(sample_weight=False)
        search = GridSearchCV(make_pipeline(scaler, routed), {}, cv=3)
        search.fit(X, Y, sample_weight=weights)
        assert 1 not in search.predict(X)
        validated = classifier().set_fit_request(X_val=True, y_val=True)
        piped: Any = Pipeline([("clf", validated)]).fit(X, Y, X_val=X, y_val=Y)
    assert piped[-1].best_validation_score_ == piped.score(X, Y)


# ------------------------------------------------------------------- callbacks


class Stop:
    """Stops at an epoch, and counts."""

    max_propagation_depth = None

    def __init__(self, at: int) -> None:
        self.at, self.begun, self.ended = at, 0, 0

    def setup(self, estimator: Any, context: Any) -> None: ...

    def teardown(self, estimator: Any, context: Any) -> None: ...

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self.begun += context.task_name == "epoch"

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        self.ended += context.task_name == "epoch"
        return context.task_name == "epoch" and context.task_id + 1 == self.at


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_scoring_monitor_sees_every_epoch(solver: str) -> None:
    monitor: Any = ScoringMonitor(scoring="accuracy")
    clf = classifier(solver=solver, max_iter=5, scale_inputs=True)
    clf.set_callbacks(monitor).fit(X, Y)
    rows = monitor.get_logs().data
    epochs = [row["accuracy"] for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == clf.n_iter_ == 5
    assert epochs[-1] == clf.score(X, Y)
    assert len({*epochs}) > 1
    fits = [row["accuracy"] for row in rows if row["task_name"] == "fit"]
    assert fits == [clf.score(X, Y)]


def test_scoring_monitor_weighs_and_takes_frames() -> None:
    weights = np.where(Y == 0, 1.0, 0.0)
    monitor: Any = ScoringMonitor(scoring="accuracy")
    clf = classifier(max_iter=3).set_callbacks(monitor)
    clf.fit(FRAME, Y, sample_weight=weights)
    expected = clf.score(FRAME, Y, sample_weight=weights)
    assert monitor.get_logs().data[-1]["accuracy"] == expected


def test_callback_stops() -> None:
    stop = Stop(at=3)
    clf = classifier().set_callbacks(stop).fit(X, Y)
    assert clf.n_iter_ == 3
    assert clf.stop_reason_ == "A callback asked to stop."
    assert stop.begun == stop.ended


def test_callbacks_reach_into_searches_and_pipelines() -> None:
    stop, monitor = Stop(at=2), cast(Any, ScoringMonitor(scoring="accuracy"))
    watched = classifier().set_callbacks(monitor)
    piped = Pipeline([("scale", StandardScaler()), ("clf", watched)])
    search = GridSearchCV(piped, {"clf__alpha": [0.1, 1.0]}, cv=2)
    search.set_callbacks(stop).fit(X, Y)
    assert search.best_estimator_["clf"].n_iter_ == 2
    rows = monitor.get_logs().data
    assert sum(row["task_name"] == "epoch" for row in rows) == 2 * (2 * 2 + 1)


def test_progress_bar_ends_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    clf = classifier(max_iter=4).set_callbacks(ProgressBar()).fit(X, Y)
    assert "100%" in capsys.readouterr().out
    assert clf.n_iter_ == 4


def test_partial_fit_has_no_callbacks() -> None:
    stop = Stop(at=1)
    classifier().set_callbacks(stop).partial_fit(X, Y, classes=[0, 1, 2])
    assert stop.begun == 0


# ----------------------------------------------------------- kinds of data


def test_frames_give_names() -> None:
    import polars

    expected = classifier().fit(X, Y).predict_proba(X)
    for frame in (FRAME, polars.from_pandas(FRAME)):
        clf = classifier().fit(frame, Y)
        assert list(clf.feature_names_in_) == list(FRAME.columns)
        np.testing.assert_array_equal(clf.predict_proba(frame), expected)
        with pytest.raises(ValueError, match="feature names should match"):
            clf.predict(FRAME[FRAME.columns[::-1]])


def test_targets_may_be_series_of_strings() -> None:
    import pandas as pd

    for series in (pd.Series(NAMES), pd.Series(NAMES, dtype="category")):
        clf = classifier(solver="lbfgs").fit(X, series)
        assert set(clf.predict(X)) <= set(clf.classes_) == set(NAMES)
        assert clf.score(X, series) > 0.9


@pytest.mark.skipif(kernel is None, reason="JAX knows no sparse rows")
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "cg"}])
def test_sparse_rows_stay_sparse(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    words: Any = sparse.random(60, 20_000, 0.001, format="csr", rng=0)
    labels = np.arange(60) % 3

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("made dense")

    monkeypatch.setattr(sparse.csr_matrix, "toarray", refuse)
    model = MLPClassifier((4,), max_iter=2, random_state=0, **settings)
    predicted = model.fit(words, labels).predict(words.tocsc())
    assert predicted.shape == (60,)


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array])
def test_sparse_rows_give_the_same(kind: Any) -> None:
    rows = np.where(X > 2, X, 0)
    # Sums over a row skip its zeros, so they round apart; few steps of L-BFGS, which
    # magnifies that more than a thousandfold.
    for options in (
        {},
        {"early_stopping": True},
        {"solver": "lbfgs", "max_iter": 15},
    ):
        dense = classifier(**options).fit(rows, Y)
        thin = classifier(**options).fit(kind(rows), Y)
        np.testing.assert_allclose(thin.coefs_[0], dense.coefs_[0], atol=1e-10)
        expected = dense.predict_proba(rows)
        found = thin.predict_proba(kind(rows))
        np.testing.assert_allclose(found, expected, atol=1e-10)


# -------------------------------------------------------- copies and appearance


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_pickled_goes_on_as_the_original(solver: str) -> None:
    clf = classifier(solver=solver, warm_start=True, batch_norm=True).fit(X, Y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert again.history_.loss.tolist() == clf.loss_curve_
    for each in (clf, again):
        each.fit(X, Y)
        if solver == "adam":
            each.partial_fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_skops_needs_to_trust_what_the_page_lists(solver: str) -> None:
    from skops import io
    from skops.io.exceptions import UntrustedTypesFoundException

    page = (Path(__file__).parents[2] / "docs" / "persistence.md").read_text()
    trusted = re.findall(r'^    "(thalweg\..*)",$', page, re.MULTILINE)
    clf = classifier(solver=solver, scale_inputs=True).fit(X, Y)
    again: Any = io.loads(io.dumps(clf), trusted=trusted)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    with pytest.raises(UntrustedTypesFoundException):
        io.loads(io.dumps(clf))


def test_clones_carry_parameters_alone() -> None:
    clf = classifier(dropout=0.1, callbacks=[print], solver=("lion", {"beta_1": 0.8}))
    fresh: Any = clone(clf.initialize(X, Y))
    assert fresh.get_params() == clf.get_params()
    assert not hasattr(fresh, "coefs_")
    assert hasattr(copy.deepcopy(clf), "coefs_")


def test_parameters_are_theirs_and_more() -> None:
    for ours, theirs in (
        (MLPClassifier(), TheirClassifier()),
        (MLPRegressor(), TheirRegressor()),
    ):
        own, expected = ours.get_params(), theirs.get_params()
        assert {name: own.get(name, "missing") for name in expected} == expected
        assert len(own) > len(expected)


def test_representations() -> None:
    clf = classifier(solver="lbfgs").fit(X, Y)
    assert "solver='lbfgs'" in repr(clf)
    page = clf._repr_html_()
    assert "MLPClassifier" in page
    assert "fitted" in page
