"""Tables as they come: read, understood, encoded, learned from, measured and kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

import thalweg as tw
from thalweg.core.history import EpochRecord
from thalweg.estimators.tabular.columns import as_frame, encode, study
from thalweg.estimators.tabular.estimators import Classifier, Regressor, encode_once
from thalweg.estimators.tabular.evaluation import evaluate
from thalweg.estimators.tabular.targets import task_of
from thalweg.io import read_table

# Most tests fit a table with a row number, a name and a constant, which are left out.
pytestmark = pytest.mark.filterwarnings("ignore:.*left out of training")
ROOT = Path(__file__).parents[2]
QUICK: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_epochs": 3, "random_state": 0}


def mixed(n_rows: int = 60) -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    size = rng.normal(size=n_rows)
    frame = pd.DataFrame(
        {
            "size": np.where(rng.random(n_rows) < 0.1, np.nan, size),
            "color": (["red", "green", None, "red"] * n_rows)[:n_rows],
            "sold": pd.date_range("2020-01-01", periods=n_rows, freq="13D").astype(str),
            "new": rng.random(n_rows) < 0.5,
            "level": pd.Categorical.from_codes(
                rng.integers(0, 3, n_rows), ["a", "b", "c"]
            ),
            "name": [f"item {i}" for i in range(n_rows)],
            "id": np.arange(n_rows) + 1000,
            "unit": "kg",
        }
    )
    return frame, pd.Series(np.where(size > 0, "big", "small"), name="class")


def kinds(frame: pd.DataFrame) -> dict[str, str]:
    return {column.name: column.kind for column in study(as_frame(frame))}


def coded(values: Any) -> np.ndarray:
    frame = as_frame(pd.DataFrame({"x": values}))
    return encode(study(frame), frame)


# What columns hold


def test_every_kind_of_column_is_told_apart():
    assert kinds(mixed()[0]) == {
        "size": "number",
        "color": "category",
        "sold": "date",
        "new": "boolean",
        "level": "category",
        "name": "left out",
        "id": "left out",
        "unit": "left out",
    }


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", " 2.5", "?", "1e3"], "number"),
        (["True", "false", "", "TRUE"], "boolean"),
        (["2020-01-31", "2021-02-28", None], "date"),
        (["31/12/2020", "01/02/2021", "NA"], "date"),
        (["3 Mar 2020", "14 Apr 2021"], "date"),
        (["31.12.2020 08:30", "01.02.2021 17:00"], "date"),
        (["007", "abc", "007"], "category"),
        ([1, "abc", None, 1], "category"),
        (pd.array([1, None, 3], "Int64"), "number"),
        (pd.to_datetime(["2020-01-01", "2021-05-05"], utc=True), "date"),
    ],
)
def test_kind_of_column(values: Any, kind: str):
    assert kinds(pd.DataFrame({"x": values})) == {"x": kind}


def test_sentinel_does_not_flatten_the_rest():
    rng = np.random.default_rng(0)
    values = rng.normal(3500, 300, 90)
    values[::3] = 65535
    encoded = coded(values)
    assert np.abs(encoded).max() <= 3
    assert encoded[1::3, 0].std() > 0.1
    few = np.r_[values[values < 65535], 65535]
    assert coded(few)[:-1, 0].std() > 0.7
    assert np.isfinite(coded([0.0, 1e308, -1e308, 1.0])).all()


def test_pieces_follow_the_quantiles():
    encoded = coded(np.arange(1000.0))
    assert encoded.shape == (1000, 9)
    np.testing.assert_allclose(encoded[[0, -1], 1:], [[-1] * 8, [1] * 8])
    assert (np.diff(encoded, axis=0) >= 0).all()


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("piecewise", [True, False])
def test_pieces_can_be_left_out_and_tables_encoded_once(piecewise: bool, members: int):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=300), "hue": ["red", "blue"] * 150})
    y = X["x"] + (X["hue"] == "red")
    own = Regressor(max_epochs=2, random_state=0, piecewise=piecewise, members=members)
    model = own.fit(X, y)
    pieces = 3 if members == 1 else 3 + 6
    assert model.encode(X).shape == (300, 2 + 1 + pieces * piecewise)
    table, new = encode_once(X, y, X[:9])
    copy: Any = clone(own)
    again = copy.fit(table, y)
    np.testing.assert_array_equal(again.predict(new), model.predict(X[:9]))
    assert again.fit(table[:250], y[:250]).predict(new).shape == (9,)


def test_missing_numbers_are_zero_and_marked():
    np.testing.assert_allclose(coded([1.0, np.nan, 3.0])[1], [0, 1])


def test_rare_categories_share_and_unseen_ones_have_no_column():
    frame = pd.DataFrame(
        {"x": ["a"] * 500 + ["b"] * 480 + [f"r{i}" for i in range(20)]}
    )
    columns = study(frame)
    new = pd.DataFrame({"x": ["a", "b", "r3", "new", None]})
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]]
    np.testing.assert_array_equal(encode(columns, new), expected)
    few = study(pd.DataFrame({"x": ["a", "b", None, "a"]}))
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(encode(few, new), expected)


def test_categories_of_numbers_survive_a_missing_value():
    columns = study(pd.DataFrame({"x": pd.Categorical([1, 2, 1, 2])}))
    np.testing.assert_array_equal(
        encode(columns, pd.DataFrame({"x": [1, np.nan, 2]})), [[1, 0], [0, 0], [0, 1]]
    )


# The estimators


@pytest.mark.slow
def test_classifier_takes_a_mixed_table_and_keeps_it(tmp_path: Path):
    X, y = mixed()
    model = Classifier(random_state=0, max_epochs=60).fit(X, y)
    assert model.score(X, y) > 0.9
    assert list(model.classes_) == ["big", "small"]
    assert list(model.feature_names_in_) == list(X)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    model.save(tmp_path / "model")
    for back in (tw.load(tmp_path / "model"), Classifier.load(tmp_path / "model")):
        assert isinstance(back, Classifier)
        np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
        assert back.get_params() == model.get_params()
        assert back.columns_ == model.columns_
    with pytest.raises(
        ValueError, match=r"holds a Classifier, not a Regressor\. .* thalweg\.load"
    ):
        Regressor.load(tmp_path / "model")


@pytest.mark.slow
def test_regressor_standardizes_its_target(tmp_path: Path):
    X, y = load_diabetes(return_X_y=True)
    y = 1e6 + 1e3 * np.asarray(y)
    model = Regressor(random_state=0).fit(X, y)
    assert model.score(X, y) > 0.4
    assert model.stop_reason_.startswith("The validation loss")
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        tw.load(tmp_path / "model").predict(X), model.predict(X)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "labels", [[0, 1], [7, 3], [True, False], ["a", "b"], [1.0, 2.0]]
)
def test_labels_keep_their_type(labels: list[Any], tmp_path: Path):
    X = np.arange(20.0)[:, None]
    y = np.array(labels)[np.arange(20) % 2]
    model = Classifier(**QUICK).fit(X, y)
    model.save(tmp_path / "model")
    assert tw.load(tmp_path / "model").predict(X).dtype == y.dtype
    assert set(model.classes_.tolist()) == set(labels)


@pytest.mark.slow
def test_same_seed_same_network():
    X, y = load_iris(return_X_y=True)
    first, second = (Classifier(**QUICK).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_rows_without_a_target_are_left_out():
    X, y = load_iris(return_X_y=True)
    gaps = pd.Series(y.astype(float))
    gaps[::10] = np.nan
    model = Classifier(**QUICK).fit(X, gaps)
    kept = Classifier(**QUICK).fit(X[gaps.notna()], y[gaps.notna()])
    np.testing.assert_array_equal(model.predict_proba(X), kept.predict_proba(X))


@pytest.mark.slow
def test_columns_are_found_by_name():
    X, y = mixed()
    model = Classifier(**QUICK).fit(X, y)
    shuffled = X[list(X)[::-1]].assign(extra=1).drop(columns="name")
    np.testing.assert_array_equal(model.predict(shuffled), model.predict(X))
    with pytest.raises(ValueError, match="no column 'size', 'color', which"):
        model.predict(X.drop(columns=["size", "color"]))


def test_unseen_categories_and_missing_values_are_fine_in_new_rows():
    X, y = mixed()
    model = Classifier(**QUICK).fit(X, y)
    new = X.head(3).assign(
        color="blue", level=None, new=[True, None, "false"], sold=None
    )
    assert set(model.predict(new)) <= {"big", "small"}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("size", "tall", "column 'size' holds numbers, but row 4 has 'tall'"),
        ("size", np.inf, r"column 'size' is infinite \(inf\) in row 4"),
        ("sold", "soon", "column 'sold' holds dates like 2024-12-31, but row 4"),
        ("new", "maybe", "column 'new' holds true or false, but row 4 has 'maybe'"),
    ],
)
def test_new_rows_that_do_not_fit(column: str, value: Any, message: str):
    X, y = mixed()
    model = Classifier(**QUICK).fit(X, y)
    new = X.astype({column: object})
    new.loc[3, column] = value
    with pytest.raises(ValueError, match=message):
        model.predict(new)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X.iloc[:0], y[:0]), "empty"),
        (lambda X, y: (X.assign(gap=np.nan), y), "column 'gap' has no value"),
        (
            lambda X, y: (X.assign(size=np.inf), y),
            r"'size' is infinite \(inf\) in row 1",
        ),
        (lambda X, y: (pd.concat([X, X], axis=1), y), "two columns named 'size'"),
        (lambda X, y: (X[["unit", "name"]], y), "no column is left to learn from"),
        (lambda X, y: (X, y.where(y == "big")), "has one class, 'big'"),
        (lambda X, y: (X, y.where(y == "neither")), "has a value in 0 of 60"),
        (lambda X, y: (X, X["name"]), "as many classes as rows, 60"),
        (lambda X, y: (X, X["size"].fillna(0.5)), "use a Regressor"),
        (lambda X, y: (X, y[:9]), "60 rows and y has 9"),
        (lambda X, y: (X, None), "y is None"),
        (lambda X, y: (X["size"], y), "must have rows and columns"),
    ],
)
def test_tables_that_cannot_be_learned_from(change: Any, message: str):
    with pytest.raises(ValueError, match=message):
        Classifier(**QUICK).fit(*change(*mixed()))


def test_text_among_numbers_is_found_at_fit():
    values = [*map(str, range(40)), "tall"]
    with pytest.raises(ValueError, match="holds numbers, but row 41 has 'tall'"):
        Classifier(**QUICK).fit(
            pd.DataFrame({"x": values}), ["a", "b", "a"] * 13 + ["b"] * 2
        )


def test_regressor_needs_numbers_that_differ():
    X, y = mixed()
    with pytest.raises(ValueError, match="holds numbers, but row 1 has"):
        Regressor(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match="is 3 in each row"):
        Regressor(**QUICK).fit(X, np.full(60, 3))


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("optimizer", "adm", "Did you mean 'adam'"),
        (
            "learning_rate",
            -1,
            r"'learning_rate' .* Classifier .*, inf\) or None. Got -1",
        ),
        ("max_epochs", 0, "'max_epochs' .* Got 0"),
        ("batch_size", 0, "'batch_size' .* Got 0"),
        ("optimizer", ["adm"], "Did you mean 'adam'"),
        (
            "patience",
            -1,
            r"'patience' .* an int in the range \[0, inf\) or None. Got -1",
        ),
        ("class_weight", {"huge": 2}, "Options: 'big', 'small'"),
        ("dtype", "int8", "dtype"),
        ("piecewise", "no", "'piecewise' .* Got 'no'"),
    ],
)
def test_parameters_are_checked(parameter: str, value: Any, message: str):
    with pytest.raises(ValueError, match=message):
        Classifier(**QUICK).set_params(**{parameter: value}).fit(*mixed())


@pytest.mark.slow
def test_weights_and_validation_rows_are_used():
    X, y = mixed()
    heavy = np.where(y == "big", 50.0, 1.0)
    by_class = Classifier(**QUICK, members=1, class_weight={"big": 50.0}).fit(X, y)
    by_row = Classifier(**QUICK, members=1).fit(
        X, y, sample_weight=heavy, X_val=X, y_val=y
    )
    np.testing.assert_allclose(
        by_class.predict_proba(X), by_row.predict_proba(X), rtol=1
    )
    assert np.isnan(by_class.history_.validation_score).all()
    assert np.isfinite(by_row.history_.validation_score).all()
    assert (by_class.predict(X) == "big").mean() > (y == "big").mean()


def test_watched_rows_change_nothing():
    frame, y = mixed()
    plain = Classifier(**QUICK, members=1).fit(frame, y)
    watched = Classifier(**QUICK, members=1).fit(
        frame, y, X_val=frame[:20], y_val=y[:20], watch_only=True
    )
    np.testing.assert_array_equal(
        watched.predict_proba(frame), plain.predict_proba(frame)
    )
    score = watched.score(frame[:20], y[:20])
    assert watched.history_.validation_score[-1] == pytest.approx(score)


def test_callbacks_can_stop():
    def stop(epoch: EpochRecord) -> bool:
        return epoch.epoch == 2

    model = Classifier(**QUICK, callbacks=[stop]).fit(*mixed())
    assert len(model.history_) == 2
    assert model.stop_reason_ == "A callback asked to stop."


@pytest.mark.slow
def test_works_inside_scikit_learn():
    X, y = load_breast_cancer(return_X_y=True)
    model = clone(Classifier(hidden_layer_sizes=(8,), random_state=0))
    assert cross_val_score(model, X, y, cv=2).min() > 0.9


def expected_failures(estimator: Any) -> dict[str, str]:
    return {
        "check_sample_weight_equivalence_on_dense_data": "columns have no weights",
    }


@pytest.mark.slow
# With 8 units, since a check asks for 1000 epochs of whatever has max_iter.
@parametrize_with_checks(
    [
        Classifier((8,), learning_rate=0.01, random_state=0, dtype="float64"),
        Regressor((16,), learning_rate=0.01, random_state=0, dtype="float64"),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_contract(estimator: Any, check: Callable[[Any], None]):
    check(estimator)


# How good it is


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"] * 9, "classification"),
        ([True, False] * 9, "classification"),
        ([0, 1, 2] * 9, "classification"),
        ([1, 2] * 2, "classification"),
        (np.arange(30), "regression"),
        (np.arange(100) % 21, "regression"),
        (np.linspace(0, 1, 9), "regression"),
        ([1.5, 2.5] * 9, "regression"),
        (["1", "2", "?", "2"] * 5, "classification"),
    ],
)
def test_task_follows_from_the_target(values: Any, task: str):
    assert task_of(pd.Series(values, name="y"))[0] == task


@pytest.mark.slow
def test_few_rows_are_cross_validated():
    X, y = load_iris(return_X_y=True, as_frame=True)
    networks: list[str] = []
    model = Classifier(**QUICK)
    found = evaluate(model, X, y, networks.append)
    assert (found.n_rows, len(networks)) == (150, 11)
    assert found.baselines["majority class"] == pytest.approx(1 / 3)
    assert found.baselines["logistic regression"] > 0.9
    assert found.interval[0] < found.score < found.interval[1]
    assert len(model.run_.history) == 3


@pytest.mark.slow
def test_very_few_rows_are_left_out_one_by_one():
    X, y = mixed(12)
    found = evaluate(Classifier(**QUICK), X[["size", "color"]], y)
    assert (found.n_rows, "all the others" in found.method) == (12, True)


def test_interrupting_ends_a_cross_validation():
    def interrupt(epoch: EpochRecord) -> None:
        raise KeyboardInterrupt

    X, y = mixed()
    networks: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        evaluate(Classifier(**QUICK, callbacks=[interrupt]), X, y, networks.append)
    assert networks == ["network 1 of 11"]


@pytest.mark.slow
def test_many_rows_are_held_out():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = Regressor(random_state=0)
    found = evaluate(model, X, y)
    assert found.n_rows == 89
    assert found.baselines["mean"] == 0
    assert 0.1 < found.interval[0] < found.score < found.interval[1] < 0.8
    assert abs(found.score - found.baselines["ridge regression"]) < 0.15


@pytest.mark.slow
def test_infrared_table_is_learned():
    table = read_table(ROOT / "examples" / "infrared.csv")
    y = pd.to_numeric(table.pop("class"))
    model = Classifier(random_state=0).fit(table, y)
    assert model.score(table, y) == 1


@pytest.mark.slow
def test_adult_is_learned_in_time():
    folder = ROOT.parent / "shared" / "data" / "tabular"
    if folder.exists():
        parts = [
            read_table(folder / f"adult-{p}.csv.gz", header=False)
            for p in ("train", "test")
        ]
        targets = [part.pop("15").str.rstrip(".") for part in parts]
        wanted = 0.85
    else:
        X, y = load_breast_cancer(return_X_y=True, as_frame=True)
        parts, targets, wanted = [X[::2], X[1::2]], [y[::2], y[1::2]], 0.94
    model = Classifier(random_state=0, max_time=50).fit(parts[0], targets[0])
    assert model.score(parts[1], targets[1]) >= wanted
