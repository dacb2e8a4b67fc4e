"""Class labels come back as they were in the table."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest

import thalweg as tw
from thalweg.estimators.tabular.columns import LeftOutWarning, Reading
from thalweg.estimators.tabular.estimators import Classifier, as_target
from thalweg.estimators.tabular.labels import lacks_target
from thalweg.estimators.tabular.targets import Classes, task_of

LABELS: dict[str, list[Any]] = {
    "padded": ["01", "02", "10"],
    "identifiers": ["1234567890123456788", "1234567890123456789"],
    "words for missing": ["NA", "None", "nan", "x"],
    "numbers as texts": ["1.0", "2.50"],
    "integers": [1, 2, 10],
    "beyond 64 bits": [10**20, 10**20 + 1],
    "booleans": [False, True],
    "floats": [1.0, 2.0],
    "dates": [date(2020, 1, 1), date(9999, 12, 31)],
    "times": [datetime(2020, 1, 1, 5), datetime(2021, 1, 1)],
    "clock": [time(8, 30), time(17)],
    "durations": [timedelta(hours=1), timedelta(days=2)],
    "bytes": [b"a", b"b\0"],
    "decimals": [Decimal("1.5"), Decimal("2.5")],
    "a null character": ["a", "a\0"],
    "one of 10 kB": ["x" * 10_000, "y"],
}


def target_of(labels: list[Any], n_rows: int = 24) -> pd.Series:
    values = np.empty(n_rows, dtype=object)
    values[:] = [labels[k % len(labels)] for k in range(n_rows)]
    return pd.Series(values, name="class", dtype=object)


def types(labels: np.ndarray) -> list[Any]:
    return [(type(each), each) for each in labels.tolist()]


@pytest.mark.parametrize("name", LABELS)
def test_labels_keep_their_type_in_the_model_and_its_file(name: str):
    labels = LABELS[name]
    target = target_of(labels)
    found = Classes.study(target)
    assert types(found.labels) == [(type(each), each) for each in labels]
    decoded = found.decode(np.eye(len(labels))[found.encode(target)])
    assert all(decoded == target.to_numpy())
    kept = Classes.from_json(found.to_json())
    assert types(kept.labels) == types(found.labels)
    assert kept.labels.dtype == found.labels.dtype
    np.testing.assert_array_equal(found.clean(target), decoded)


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        (pd.array([1, 2, None] * 4, "Int64"), "int64"),
        (pd.Series([True, None, False] * 4, dtype="boolean"), "bool"),
        (pd.Series(pd.Categorical([2, 1] * 4, categories=[3, 2, 1])), "int64"),
        (pd.Series(["b", "a"] * 4, dtype="category"), "<U1"),
        (pd.Series([1, 2, None] * 4), "float64"),
        (pd.Series([1, 2, None] * 4, dtype=object), "int64"),
        (pd.DataFrame({"y": [1, 2] * 4}), "int64"),
        (np.array([1, 2] * 4, np.uint8), "uint8"),
        (np.array(["2020", "2021"] * 4, "datetime64[Y]"), "datetime64[s]"),
        ([1, 2.0] * 4, "float64"),
    ],
)
def test_labels_of_each_type_of_table(labels: Any, dtype: str):
    target = as_target(labels)
    found = Classes.study(target[~lacks_target(target)])
    assert found.labels.dtype == dtype
    assert len(found.labels) == 2


def test_targets_of_arrow_and_polars_keep_their_integers():
    polars, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    large = [2**62 + 1, None, 2**62 + 3] * 4
    days = [date(2020, 1, 1), date(2021, 1, 1)] * 4
    for make in (pa.array, polars.Series, lambda values: pa.chunked_array([values])):
        target = as_target(make(large))
        found = Classes.study(target[~lacks_target(target)])
        assert found.labels.tolist() == [2**62 + 1, 2**62 + 3]
        assert Classes.study(as_target(make(days))).labels.tolist() == days[:2]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, "a"], "labels of several types: 1 and 'a'"),
        ([True, 2], "labels of several types: booleans and numbers"),
        ([1, 2.5], "use a Regressor"),
        ([2**60, 1.0], r"above 2\*\*53 among floats"),
        ([1j, 2j], "Complex data not supported"),
        ([float("inf"), 1.0], "infinite in row 1"),
        ([(1, 2), (3, 4)], "holds a tuple in row 1"),
        ([Fraction(1, 2), Fraction(1, 3)], "Unknown label type: Fraction"),
    ],
)
def test_labels_that_are_none_are_named(labels: list[Any], message: str):
    with pytest.raises(ValueError, match=message):
        Classes.study(target_of(labels))


def test_a_label_is_one_with_and_without_blanks():
    found = Classes.study(target_of(["wet ", "wet", " dry", "dry"]))
    assert found.labels.tolist() == ["dry", "wet"]
    assert Classes.study(target_of(["a ", "b "])).labels.tolist() == ["a ", "b "]
    assert found.encode(target_of(["wet\t", "dry"], 2)).tolist() == [1, 0]


def test_labels_are_found_in_another_type():
    found = Classes.study(target_of(["1", "2"]))
    assert found.encode(pd.Series([2, 1])).tolist() == [1, 0]
    assert found.encode(pd.Series([2.0, 1.0])).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"has '3', which is not one of .*: '1', '2'"):
        found.encode(pd.Series(["1", "3"]))
    written = Classes.study(target_of(["1.0", "0.0"]))
    assert written.encode(pd.Series(["1", "0"])).tolist() == [1, 0]
    assert found.encode(pd.Series(["2.0", "1.0"])).tolist() == [1, 0]
    with pytest.raises(ValueError, match="has '01', which is not one of"):
        found.encode(pd.Series(["01"]))


def test_a_number_is_one_label_with_and_without_its_point():
    assert Classes.study(target_of(["1.0", "1", "0"])).labels.tolist() == ["0", "1"]
    assert Classes.study(target_of(["01", "1", "1.0"])).labels.tolist() == ["01", "1"]
    assert Classes.study(target_of(["1.10", "1.1"])).labels.tolist() == ["1.1", "1.10"]


@pytest.mark.parametrize(
    ("values", "missing", "lacking"),
    [
        (["a", "", None, "?", "NA"], None, [0, 1, 1, 1, 0]),
        (["a", "b", "NA", "n/a", ""], ["na"], [0, 0, 1, 0, 1]),
        (["1", "2", "NA", "-", ""], None, [0, 0, 1, 1, 1]),
        (["NA", "None", "", "NA"], None, [0, 0, 1, 0]),
        (["NA", "n/a", ""], None, [1, 1, 1]),
        ([1, -999, 2.5, 3, np.nan], ["-999"], [0, 1, 0, 0, 1]),
        (["yes", "no", "unknown", "no", "yes"], None, [0, 0, 0, 0, 0]),
        ([1.0, np.nan, 2.0, 1.0, 2.0], None, [0, 1, 0, 0, 0]),
        (pd.array(["a", None, "b", "a", ""], "string"), None, [0, 1, 0, 0, 1]),
    ],
)
def test_which_targets_are_missing(values: Any, missing: Any, lacking: list[int]):
    found = lacks_target(pd.Series(values, name="y"), missing)
    assert found.astype(int).tolist() == lacking


def test_a_classifier_gives_labels_back_and_says_what_it_left_out(tmp_path: Path):
    X = np.random.RandomState(0).randn(40, 2)
    y = ["None", "01", "", "None"] * 10
    model = Classifier((4,), max_epochs=3, random_state=0)
    with pytest.warns(LeftOutWarning, match="10 of 40 rows have no target 'y'"):
        model.fit(X, y)
    assert model.classes_.tolist() == ["01", "None"]
    assert model.score(X, y) == np.mean(model.predict(X) == y) * 40 / 30
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        tw.load(tmp_path / "model").predict(X), model.predict(X)
    )
    with pytest.raises(ValueError, match="has one class, '01'"):
        Classifier((4,), missing=["none"]).fit(X, y)


def test_a_class_that_was_not_fitted_is_scored_as_wrong():
    X = np.random.RandomState(0).randn(40, 2)
    model = Classifier((4,), max_epochs=2, random_state=0).fit(X, ["a", "b"] * 20)
    assert model.score(X[:4], ["c"] * 4) == 0


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([f"${k},{k:03}.50" for k in range(1, 40)], "regression"),
        ([f"{k} kg" for k in range(1, 40)], "regression"),
        ([f"0{k}" for k in range(1, 10)] * 3, "classification"),
        (["1 star", "5 stars"] * 9, "classification"),
        (["1,5", "2,5", "-"] * 9, "regression"),
        (["yes", "no", "unknown"] * 9, "classification"),
    ],
)
def test_task_follows_from_what_texts_mean(values: list[str], task: str):
    assert task_of(pd.Series(values, name="y"))[0] == task


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["None", "yes"] * 4, "it is a column of texts"),
        (["Yes", "yes", "No"] * 4, "it is a column of texts"),
        (["NA", "None"] * 4, "it is a column of texts"),
        (["yes", "no", ""] * 4, "it is a column of booleans"),
        (["1.0", "1", "0"] * 4, "it holds 2 different whole numbers"),
    ],
)
def test_the_reason_of_a_task_counts_the_classes(values: list[str], reason: str):
    assert task_of(pd.Series(values, name="y")) == ("classification", reason)


def test_dates_are_no_target_where_they_are_too_many_for_classes():
    days = pd.Series(pd.date_range("2024-01-01", periods=60).astype(str), name="y")
    with pytest.raises(ValueError, match="'y' holds 60 different dates in 60 rows"):
        task_of(days)
    assert task_of(days.iloc[[0, 1] * 9])[1].endswith("dates")
    with pytest.raises(ValueError, match="days since the first one") as caught:
        tw.Regressor((4,)).fit(np.arange(60.0)[:, None], days)
    assert "column_kinds" not in str(caught.value)
    with pytest.raises(ValueError, match="'y' holds dates, and a regression needs"):
        tw.Regressor((4,)).fit(np.arange(60.0)[:, None], pd.to_datetime(days))


def test_complex_labels_are_named_without_their_values():
    with pytest.raises(ValueError, match=r"^Complex data not supported.* 'y' .{,90}$"):
        Classifier((4,)).fit(np.ones((90, 1)), np.full(90, 1j))


def test_task_follows_what_the_reader_says():
    values = pd.Series(["1,234", "2,345", "3,456"] * 9, name="y")
    assert task_of(values)[0] == "classification"  # three whole numbers
    assert task_of(values, Reading(decimal=","))[0] == "regression"


def test_numbers_may_be_named_as_missing():
    table = pd.DataFrame({"a": [1.0, 2.0, -999.0, 3.0] * 10, "b": range(40)})
    y = ["x", "y", "x", -999] * 10
    words: Any = [-999]
    model = tw.Classifier(missing=words, max_epochs=1)
    with pytest.warns(UserWarning, match="10 of 40 rows"):
        model.fit(table, y)
    assert model.classes_.tolist() == ["x", "y"]
    assert model.columns_[0].missing == 10
