"""Several networks as one model of a table: trained, judged, blended, kept."""

import os
import pickle
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from thalweg import Classifier, HiddenFeatures, Regressor, load, predict
from thalweg.core import EpochRecord, StopReason, share_cpus
from thalweg.diagnosis import diagnose
from thalweg.estimators import load_fitted_table, register_onnx
from thalweg.estimators.tabular import linear
from thalweg.estimators.tabular.intervals import Scores
from thalweg.estimators.tabular.out_of_fold import (
    OutOfFold,
    best_share,
    best_temperature,
)

QUICK: dict[str, Any] = {
    "hidden_layer_sizes": (8,), "max_epochs": 4, "random_state": 0,
}  # fmt: skip


def mixed(n: int = 160, seed: int = 0) -> Any:
    """A table of all kinds, with missing values."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "size": rng.normal(size=n),
        "count": rng.integers(0, 40, n),
        "hue": rng.choice(["red", "green", "blue", ""], n),
        "kept": rng.random(n) > 0.4,
    })  # fmt: skip
    frame.loc[::9, "size"] = np.nan
    score = frame["size"].fillna(0) + (frame["hue"] == "red") + frame["kept"]
    return frame, score + rng.normal(0, 0.3, n)


FRAME, VALUES = mixed()
CLASSES = pd.Series(np.where(VALUES > 0.8, "big", "small"), name="class")


@pytest.fixture(scope="module")
def regressor() -> Any:
    return Regressor(**QUICK).fit(FRAME, VALUES)


@pytest.fixture(scope="module")
def classifier() -> Any:
    return Classifier(**QUICK).fit(FRAME, CLASSES)


def judged(model: Classifier | Regressor) -> dict[str, Any]:
    """Return what the fit has measured out of fold."""
    assert model.out_of_fold_ is not None
    return model.out_of_fold_


def test_members_are_averaged_on_one_encoded_table(classifier: Any):
    members, inputs = classifier.trained_, classifier.encode(FRAME)
    own = [members.of_member(k, inputs) for k in range(len(members))]
    mean = np.tensordot(members.weights, np.array(own), 1)
    powers = mean ** (1 / members.temperature)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(FRAME), expected, atol=1e-6)
    assert members.weights.sum() == pytest.approx(1)
    assert [view.pieces for view in members.views[:8]] == ["fine", "usual"] * 4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_so_many_networks_are_trained(count: int):
    model = Regressor(**QUICK, members=count).fit(FRAME, VALUES)
    networks = [run for run in model.runs_ if len(run.network.layers) > 1]
    assert len(networks) == count
    assert model.run_ is model.runs_[0]


def test_processors_change_nothing(regressor: Any):
    with share_cpus(1):
        copy: Any = clone(regressor)
        alone = copy.fit(FRAME, VALUES)
    np.testing.assert_array_equal(alone.predict(FRAME), regressor.predict(FRAME))


def test_one_member_is_the_network_of_before():
    one = Regressor(**QUICK, members=1).fit(FRAME, VALUES)
    assert len(one.runs_) == 1
    assert one.run_.plan.rate == 0.001
    assert not any(column.finer for column in one.columns_)


@pytest.mark.parametrize("model", ["regressor", "classifier"])
def test_a_file_keeps_all(model: str, request: Any, tmp_path: Path):
    fitted = request.getfixturevalue(model)
    path = tmp_path / "model.thalweg"
    fitted.save(path)
    again, table = load(path), load_fitted_table(path)
    copy = pickle.loads(pickle.dumps(fitted))
    for other in (again, table, copy):
        np.testing.assert_array_equal(other.predict(FRAME), fitted.predict(FRAME))
        for part, own in zip(
            other.predict(FRAME, interval=0.8),
            fitted.predict(FRAME, interval=0.8),
            strict=True,
        ):
            np.testing.assert_array_equal(part, own)
    assert again.out_of_fold_ == fitted.out_of_fold_
    assert again.calibrated_ == fitted.calibrated_


def test_each_row_is_held_out_from_two_members(classifier: Any):
    assert classifier.out_of_fold_["n_rows"] == len(FRAME)
    # Their mean is better than one of them, for a convex loss.
    assert classifier.out_of_fold_["loss"] <= classifier.out_of_fold_["one"]


def test_groups_stay_together():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(32), 5)
    frame = pd.DataFrame({"x": np.repeat(rng.normal(size=32), 5)})
    y = np.repeat(rng.normal(size=32), 5)  # known by its group alone
    known = Regressor(random_state=0, max_epochs=30).fit(frame, y)
    fair = Regressor(random_state=0, max_epochs=30).fit(frame, y, groups=groups)
    assert judged(fair)["loss"] > judged(known)["loss"] + 0.2


def test_the_latest_rows_are_held_out_from_all():
    when = np.arange(len(FRAME))
    model = Regressor(**QUICK).fit(FRAME, VALUES, time=when)
    assert judged(model)["n_rows"] == pytest.approx(0.15 * len(FRAME), abs=1)


def test_rows_of_weight_zero_are_as_if_they_were_not_there():
    weights = np.r_[np.ones(120), np.zeros(40)]
    other = CLASSES.where(weights > 0, "big")
    first, second = (
        Classifier(**QUICK).fit(FRAME, y, sample_weight=weights)
        for y in (CLASSES, other)
    )
    np.testing.assert_array_equal(
        first.predict_proba(FRAME), second.predict_proba(FRAME)
    )


def test_weights_of_classes_are_weights_of_rows():
    heavy = np.where(CLASSES == "big", 50.0, 1.0)
    by_class = Classifier(**QUICK, class_weight={"big": 50.0}).fit(FRAME, CLASSES)
    by_row = Classifier(**QUICK).fit(FRAME, CLASSES, sample_weight=heavy)
    np.testing.assert_array_equal(
        by_class.predict_proba(FRAME), by_row.predict_proba(FRAME)
    )
    assert (by_class.predict(FRAME) == "big").mean() > (CLASSES == "big").mean()


def test_a_callback_sees_the_first_member_and_stops_all():
    seen: list[int] = []

    def stop(epoch: EpochRecord) -> bool:
        seen.append(epoch.epoch)
        return epoch.epoch == 2

    model = Classifier(**QUICK, callbacks=[stop]).fit(FRAME, CLASSES)
    networks = [run for run in model.runs_ if len(run.network.layers) > 1]
    assert seen == [1, 2]
    assert [len(run.history) for run in networks] == [2] * 8


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="no signals")
def test_interrupting_keeps_what_was_learned():
    def interrupt(epoch: EpochRecord) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    model = Classifier(**QUICK, callbacks=[interrupt]).fit(FRAME, CLASSES)
    assert [run.stop_reason for run in model.runs_] == [StopReason.INTERRUPTED]
    assert model.predict_proba(FRAME).shape == (len(FRAME), 2)


@pytest.mark.slow
def test_interrupting_members_side_by_side_keeps_them():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(4000, 10)))
    model = Regressor((64,), max_epochs=10**5, patience=None, random_state=0)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    model.fit(frame, frame[0])
    assert StopReason.INTERRUPTED in {run.stop_reason for run in model.runs_}
    assert 1 <= len(model.runs_) < 8
    assert np.isfinite(model.predict(frame[:5])).all()


def test_time_limit_buys_members():
    model = Regressor((8,), max_epochs=1, random_state=0, time_limit=1.5)
    model.fit(FRAME, VALUES)
    networks = [run for run in model.runs_ if len(run.network.layers) > 1]
    assert len(networks) > 8


def test_max_time_is_shared():
    model = Regressor((8,), patience=None, max_epochs=10**6, random_state=0)
    model.set_params(max_time=0.3, members=3).fit(FRAME, VALUES)
    reasons = {run.stop_reason for run in model.runs_[:3]}
    assert reasons == {StopReason.TIME_BUDGET}


def test_warm_start_continues_each_member(regressor: Any):
    copy: Any = clone(regressor)
    model = copy.set_params(warm_start=True).fit(FRAME, VALUES)
    before = model.out_of_fold_["one"]
    first = model.columns_
    model.fit(FRAME, VALUES)
    assert model.columns_ is first
    assert model.out_of_fold_["one"] < before
    with pytest.raises(ValueError, match="got members=3 and continues from a fit with"):
        model.set_params(members=3).fit(FRAME, VALUES)
    with pytest.raises(ValueError, match="no column 'hue'"):
        model.set_params(members=None).fit(FRAME.drop(columns="hue"), VALUES)


def test_partial_fit_goes_on_part_by_part():
    model = Classifier((8,), random_state=0, learning_rate=0.01)
    for start in range(0, 160, 20):
        part = slice(start, start + 20)
        model.partial_fit(FRAME[part], CLASSES[part], classes=["big", "small", "none"])
    assert model.classes_.tolist() == ["big", "none", "small"]
    assert len(model.runs_) == 8
    early = Classifier((8,), random_state=0, learning_rate=0.01)
    early.partial_fit(FRAME[:20], CLASSES[:20])
    assert model.score(FRAME, CLASSES) > early.score(FRAME, CLASSES)
    with pytest.raises(ValueError, match="'new', which is not one of the classes"):
        model.partial_fit(FRAME[:1], ["new"])


def test_a_linear_table_is_left_to_the_linear_model():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(150, 30)))
    y = frame @ rng.normal(size=30)
    model = Regressor(random_state=0).fit(frame, y)
    assert judged(model)["share"] > 0.8
    assert model.score(*_again(rng, y, frame)) > 0.98


def _again(rng: Any, y: Any, frame: pd.DataFrame) -> tuple[pd.DataFrame, Any]:
    slopes = np.linalg.lstsq(frame.to_numpy(), np.asarray(y))[0]
    new = pd.DataFrame(rng.normal(size=(200, 30)))
    return new, new @ slopes


def test_ridge_solves_its_normal_equations():
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(60, 5)), rng.normal(size=(60, 1)), rng.random(60)
    held = np.arange(15)
    ((run,),) = linear.ridge(X, y, w, [held], [3.0])
    slopes, bias = run.parameters[0]["weights"], run.parameters[0]["bias"]
    apart = (y - X @ slopes - bias)[15:]
    gradient = -(X[15:] * w[15:, None]).T @ apart + 3.0 * slopes
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    np.testing.assert_allclose((w[15:, None] * apart).sum(), 0, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression_is_scikit_learns(n_classes: int):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 4)), np.arange(90) % n_classes
    X[:, 0] += y
    held = np.arange(30)
    ((run,),) = linear.logistic(X, y, None, [held], [2.0], n_classes)
    theirs = LogisticRegression(C=0.5, tol=1e-3).fit(X[30:], y[30:])
    np.testing.assert_allclose(predict(run, X), theirs.predict_proba(X), atol=1e-6)


def test_a_class_that_a_fold_lacks_is_not_predicted():
    X, y = np.arange(12.0)[:, None], np.repeat([0, 1, 2], 4)
    ((run,),) = linear.logistic(X, y, None, [np.arange(4)], [1.0], 3)
    assert predict(run, X)[:, 0].max() < 1e-9


def found(outputs: Any, truth: Any) -> OutOfFold:
    """Out-of-fold predictions of all rows."""
    n = len(truth)
    return OutOfFold(np.arange(n), outputs, np.ones(n, int), truth, np.ones(n))


def test_a_share_that_may_be_chance_is_none():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    good = found(truth[:, None] + rng.normal(0, 0.1, (400, 1)), truth)
    other = found(truth[:, None] + rng.normal(0, 0.1, (400, 1)), truth)
    bad = found(rng.normal(size=(400, 1)), truth)
    assert best_share(good, other)[0] == pytest.approx(0.5, abs=0.1)
    assert best_share(good, bad)[0] < 0.02
    assert best_share(bad, good)[0] > 0.95


def test_confident_probabilities_are_cooled():
    rng = np.random.default_rng(0)
    z = rng.normal(size=2000)
    truth = (rng.random(2000) < 1 / (1 + np.exp(-z))).astype(int)

    def of(factor: float) -> OutOfFold:
        shares = 1 / (1 + np.exp(-factor * z))
        return found(np.column_stack([1 - shares, shares]), truth)

    # Half of the logarithm is taken.
    assert best_temperature(of(4.0)) == pytest.approx(2.0, abs=0.25)
    assert best_temperature(of(1.0)) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_intervals_hold_what_they_promise(level: float):
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        distances = np.abs(rng.standard_t(3, size=61))
        scores = Scores.of(distances[:60])
        covered.append(distances[60] <= scores.quantile(level)[0])
    # Binomial: three standard errors below the level.
    assert np.mean(covered) > level - 3 * np.sqrt(level * (1 - level) / 200)


@pytest.mark.slow
def test_intervals_of_fits_cover_new_rows():
    settings: dict[str, Any] = {**QUICK, "hidden_layer_sizes": (4,), "members": 4}
    hits: list[Any] = []
    sets: list[Any] = []
    for seed in range(40):
        frame, y = mixed(200, seed)
        labels = np.where(y > 0.8, "big", "small")
        if seed % 2:
            model = Regressor(**settings).fit(frame[:100], y[:100])
            new = model.predict(frame[100:], interval=0.8)
            hits += list((new.lower <= y[100:]) & (y[100:] <= new.upper))
        else:
            model = Classifier(**settings).fit(frame[:100], labels[:100])
            new = model.predict(frame[100:], interval=0.8)
            places = np.searchsorted(model.classes_, labels[100:])
            sets += list(new.included[np.arange(100), places])
    assert 0.75 < np.mean(hits) < 0.95
    assert np.mean(sets) > 0.75


def test_few_rows_have_no_bound_for_a_high_level():
    scores = Scores.of(np.arange(20.0))
    assert scores.quantile(0.9)[0] == 18
    assert np.isinf(scores.quantile(0.99)[0])


def test_many_distances_are_thinned_on_the_safe_side():
    distances = np.random.default_rng(0).random(50_000)
    scores = Scores.of(distances)
    assert len(scores.values) <= 2000
    exact = np.sort(distances)[int(np.ceil(50_001 * 0.9)) - 1]
    assert exact <= scores.quantile(0.9)[0] < exact + 0.002


@pytest.mark.parametrize("level", [0, 1, 1.5, -0.1])
def test_a_level_is_a_probability(regressor: Any, level: float):
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        regressor.predict(FRAME, interval=level)


def test_quantiles_are_as_wide_as_the_rows_ask_for(tmp_path: Path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.uniform(-2, 2, (1200, 2)), columns=["x", "noise"])
    y = frame["x"] + frame["noise"].abs() * rng.normal(size=1200)
    model = Regressor((16,), max_epochs=10, random_state=0)
    model.fit(frame[:600], y[:600])
    model.save(tmp_path / "model.thalweg")
    new, truth = frame[600:], y[600:]
    quiet = new["noise"].abs() < 0.7
    for level in (0.6, 0.9):
        found = model.predict(new, interval="quantile", level=level)
        hit = (found.lower <= truth) & (truth <= found.upper)
        wide = found.upper - found.lower
        # Three standard errors of the 600 new rows and the 300 that it is judged by.
        assert hit.mean() > level - 3 * np.sqrt(
            level * (1 - level) * (1 / 600 + 1 / 300)
        )
        assert wide[quiet].mean() < 0.7 * wide[~quiet].mean()
        again = load_fitted_table(tmp_path / "model.thalweg")
        same = again.predict(new, interval="quantile", level=level)
        np.testing.assert_array_equal(same.lower, found.lower)
    with pytest.raises(ValueError, match="must be a probability"):
        model.predict(new, interval="wide")


def test_classes_have_no_quantiles(classifier: Any):
    with pytest.raises(ValueError, match="a Regressor of one target has"):
        classifier.predict(FRAME, interval="quantile")


def test_without_out_of_fold_predictions_there_are_no_intervals():
    model = Regressor(**QUICK, members=1).fit(FRAME, VALUES)
    with pytest.raises(ValueError, match="no out-of-fold predictions"):
        model.predict(FRAME, interval=0.9)


def test_given_validation_data_judge_all_members():
    model = Classifier(**QUICK).fit(
        FRAME, CLASSES, X_val=FRAME[:50], y_val=CLASSES[:50]
    )
    assert judged(model)["n_rows"] == 50
    inner = model.predict(FRAME[:50], interval=0.9)
    assert inner.included.any(axis=1).all()


def test_hidden_features_and_the_doctor_look_at_the_first_member(classifier: Any):
    values = HiddenFeatures(Classifier(**QUICK)).fit_transform(FRAME, CLASSES)
    assert values.shape == (len(FRAME), 8)
    told = diagnose(classifier, FRAME, CLASSES, trials=False, budget=5)
    assert told.findings is not None


register_onnx()


def exported(model: Any, frame: pd.DataFrame, types: Any = None) -> Any:
    """Export a model, and predict with ONNX Runtime."""
    options = {"zipmap": False} if hasattr(model, "predict_proba") else None
    written: Any = to_onnx(model, frame[:1], initial_types=types, options=options)
    session = onnxruntime.InferenceSession(
        written.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feed = {
        each.name: frame[[each.name]].to_numpy(object).astype(str)
        if "string" in each.type
        else frame[[each.name]].to_numpy()
        for each in session.get_inputs()
    }
    return session.run(None, feed)


def strange(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with unseen categories and values beyond the known ones."""
    new = frame.copy()
    new.loc[::3, "hue"] = "purple"
    new.loc[::4, "size"] = 1e3
    return new


@pytest.mark.parametrize("settings", [{}, {"members": 1}, {"threshold": 0.2}], ids=str)
def test_mixed_tables_are_exported(settings: dict[str, Any]):
    model = Classifier(**QUICK, **settings).fit(FRAME, CLASSES)
    for new in (FRAME, strange(FRAME)):
        labels, shares = exported(model, new)
        np.testing.assert_allclose(shares, model.predict_proba(new), atol=1e-5)
        np.testing.assert_array_equal(labels, model.predict(new))
        assert len(set(labels)) == 2


def test_values_are_exported(regressor: Any):
    (values,) = exported(regressor, strange(FRAME))
    expected = regressor.predict(strange(FRAME))
    np.testing.assert_allclose(values[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_dates_are_exported_as_days():
    days = np.arange(80) * 30.0
    when = pd.Timestamp("2001-01-01") + pd.to_timedelta(days, unit="D")
    frame = pd.DataFrame({"when": when.astype(str), "x": np.sin(days)})
    model = Regressor(**QUICK).fit(frame, days)
    with pytest.raises(ValueError, match=r"'when' cannot be exported.*days since 1970"):
        exported(model, frame)
    since = (when - pd.Timestamp("1970-01-01")).days.to_numpy(float)
    types = [(name, DoubleTensorType([None, 1])) for name in frame]
    (values,) = exported(model, frame.assign(when=since), types)
    np.testing.assert_allclose(values[:, 0], model.predict(frame), rtol=1e-4)
