"""What the columns of a table mean, as people and programs write them.

``tests/tables/columns`` holds a file for each kind of trouble, and what every column
must become: its kind, a part of its description, and the first value as a number.
"""

import json
import warnings
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import thalweg as tw
from thalweg.estimators.tabular.columns import (
    Column,
    LeftOutWarning,
    Reading,
    as_frame,
    encode,
    kind_of,
    measured,
    numbers,
    study,
)
from thalweg.estimators.tabular.columns.notation import find_notation, read
from thalweg.estimators.tabular.estimators import Classifier, Regressor

FOLDER = Path(__file__).parents[1] / "tables" / "columns"
EXPECTED = json.loads((FOLDER / "expected.json").read_text("utf-8"))
QUICK: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_epochs": 2, "random_state": 0}


def frame_of(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv", dtype=str, keep_default_na=False)


def learn(values: Any, **said: Any) -> Column:
    (column,) = study(as_frame(pd.DataFrame({"x": values})), Reading(**said))
    return column


def coded(column: Column, values: Any) -> np.ndarray:
    return encode((column,), pd.DataFrame({"x": values}))


@pytest.mark.parametrize(
    ("name", "column"),
    [(name, column) for name, columns in EXPECTED.items() for column in columns],
)
def test_columns_become_what_they_mean(name: str, column: str):
    wanted = EXPECTED[name][column]
    frame = frame_of(name)[[column]]
    (found,) = study(frame)
    assert found.kind == wanted["kind"], found.detail
    assert wanted.get("detail", "") in found.detail
    encoded = encode((found,), frame)
    assert np.isfinite(encoded).all()
    if "first" in wanted and found.kind == "boolean":
        assert encoded[0, 0] == 2 * wanted["first"] - 1
    elif "first" in wanted:
        assert measured(found, frame[column])[0] == pytest.approx(wanted["first"])


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            pd.date_range("2020", periods=30).astype(str),
            "'soon' is no date like '2020-",
        ),
        ([f"{k}.03.2021" for k in range(1, 31)], "'soon' is no date like '1.03.2021'"),
        ([f"{k} kg" for k in range(30)], "'soon' is no number in kg"),
    ],
)
def test_the_value_that_keeps_a_column_from_its_kind_is_named(values: Any, told: str):
    frame = pd.DataFrame({"x": [*values, "soon"], "y": range(len(values) + 1)})
    column, _ = study(frame)
    assert column.kind == "left out"
    assert told in column.detail


# One notation for a column of numbers

NOTATIONS = [(".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", "\u00a0"),
             (".", "'"), (",", "\u202f")]  # fmt: skip
UNITS = ["{}", "${}", "{} €", "{}%", "{} kg", "CHF {}", "{} km/h", "{}\u00a0EUR"]


def written(value: float, decimals: int, notation: tuple[str, str], unit: str) -> str:
    decimal, thousands = notation
    text = f"{abs(value):,.{decimals}f}".translate(
        str.maketrans({",": thousands, ".": decimal})
    )
    return ("-" if value < 0 else "") + unit.format(text)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=4, max_size=30, unique=True),
    st.sampled_from([0, 1, 2, 4]),
    st.sampled_from(NOTATIONS),
    st.sampled_from(UNITS),
)
def test_numbers_come_back_from_any_notation(
    whole: list[int], decimals: int, notation: tuple[str, str], unit: str
):
    # Two that say which character is which, as every table of real numbers has some.
    values = [each / 10**decimals for each in [*whole, 1234567, 89]]
    texts = [written(each, decimals, notation, unit) for each in values]
    found = find_notation(texts)
    np.testing.assert_allclose(read(texts, found), values, rtol=1e-12)
    column = learn(texts)
    assert column.kind == "number"
    np.testing.assert_allclose(numbers("x", pd.Series(texts), column), values)
    np.testing.assert_allclose(coded(column, values), coded(column, texts), atol=1e-12)


@pytest.mark.parametrize("usual", [".", ","])
def test_what_is_usual_in_the_file_decides_what_its_columns_leave_open(usual: str):
    frame = pd.DataFrame({"x": ["1,234", "5,678"] * 3, "y": ["1.234", "5.678"] * 3})
    frame.attrs["decimal"] = usual
    columns = study(frame)
    first = [float(measured(c, frame[c.name])[0]) for c in columns]
    assert first == ([1234, 1.234] if usual == "." else [1.234, 1234])
    assert all("by default" in column.detail for column in columns)
    said = study(frame, Reading(decimal=","))
    assert [measured(c, frame[c.name])[0] for c in said] == [1.234, 1234]
    assert not any("by default" in column.detail for column in said)


def test_new_rows_are_read_as_they_say_and_otherwise_as_at_fit():
    german = learn(["1.234,5", "12,75", "7", "900"])
    for texts in (["1.234"], ["1234"], ["1234,0"], ["1,234.0"], ["1'234.0"]):
        assert numbers("x", pd.Series(texts), german).tolist() == [1234]
    assert numbers("x", pd.Series(["1.5"]), german).tolist() == [1.5]
    plain = learn([1.5, 2.5, 1000.0])
    for texts in (["1,234.5"], ["1.234,5"], ["$1,234.50"], ["1234.5"]):
        assert numbers("x", pd.Series(texts), plain).tolist() == [1234.5]


def test_new_rows_in_another_unit_are_refused_or_converted():
    column = learn(["12 kg", "3 kg", "7 kg"])
    assert numbers("x", pd.Series(["5", "300 g"]), column).tolist() == [5, 0.3]
    with pytest.raises(ValueError, match="holds numbers in kg, but row 2 has '3 lb'"):
        numbers("x", pd.Series(["5 kg", "3 lb"]), column)
    with pytest.raises(ValueError, match=r"numbers in \$, but row 1 has '€5'"):
        numbers("x", pd.Series(["€5"]), learn(["$5", "$7"]))


# A value means the same in each type


def numeric_forms(values: list[int]) -> Iterator[pd.Series]:
    for dtype in ("int64", "float32", "Int64", "str", "category", object):
        yield pd.Series(values).astype(dtype)
    yield pd.Series([str(float(each)) for each in values])
    yield pd.Series([Decimal(each) for each in values], dtype=object)
    yield pd.Series([float(each) for each in values]).astype("category")
    yield pd.Series([str(values[0]), float(values[1]), *values[2:]], dtype=object)
    yield pd.Series(pd.arrays.SparseArray(values))


@pytest.mark.parametrize("kind", [None, "category", "number"])
def test_a_number_means_the_same_in_each_type(kind: str | None):
    kinds = {"x": kind} if kind else {}
    forms = list(numeric_forms([1, 2, 1, 3] * 3))
    for fitted in forms:
        column = learn(fitted, kinds=kinds)
        for new in forms:
            np.testing.assert_array_equal(coded(column, new), coded(column, fitted))


def test_a_boolean_means_the_same_in_each_type():
    truth = [True, False, True, True]
    # fmt: off
    words = [("yes", "no"), ("Y", "N"), ("TRUE", "false"), (1, 0), (1.0, 0.0),
             ("1", "0"), ("1.0", "0.0"), (np.True_, np.False_), ("ja", "nein")]
    # fmt: on
    forms = [pd.Series([yes if each else no for each in truth]) for yes, no in words]
    forms += [pd.Series(truth, dtype="boolean"), pd.Series(truth, dtype=object)]
    for fitted in (forms[0], forms[1], forms[2], pd.Series(truth)):
        column = learn(fitted)
        assert column.kind == "boolean"
        for new in forms:
            assert coded(column, new)[:, 0].tolist() == [1, -1, 1, 1]


def test_a_date_means_the_same_in_each_type():
    days = pd.Series(pd.to_datetime(["2024-01-31", "2024-02-29", "2023-05-17"] * 2))
    forms = [days.dt.strftime(layout) for layout in ("%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y",
             "%Y%m%d", "%B %d, %Y", "%Y-%m-%d 00:00 UTC")]  # fmt: skip
    forms += [days, days.dt.tz_localize("UTC"), days.dt.date, days.dt.to_period("D")]
    for fitted in forms:
        column = learn(fitted)
        assert column.kind == "date"
        for new in forms:
            np.testing.assert_allclose(coded(column, new), coded(column, fitted))


def test_a_boolean_category_is_a_word_like_any_other():
    column = learn(pd.Series([True, False, True], dtype="category"))
    assert coded(column, ["true", "False", "TRUE"]).argmax(axis=1).tolist() == [0, 1, 0]


# What the reader says


def test_kinds_that_are_asked_for():
    table = pd.DataFrame(
        {
            "code": [1, 2, 3] * 20,
            "size": ["01", "02", "03"] * 20,
            "note": ["good car", "bad car", "old car"] * 20,
            "day": ["20240131", "20240201", "20240302"] * 20,
            "skip": range(60),
        }
    )
    kinds = {"code": "category", "size": "number", "note": "text", "skip": "ignore"}
    found = {c.name: c.kind for c in study(table, Reading(kinds=kinds))}
    assert found == {**kinds, "day": "date", "skip": "left out"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Classifier(**QUICK, column_kinds=kinds).fit(table, ["a", "b"] * 30)
    assert {c.name: c.kind for c in model.columns_} == found


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"column_kinds": {"size": "numeric"}}, r"column_kinds\['size'\]='numeric'"),
        ({"column_kinds": {"sizes": "number"}}, "Did you mean 'size'"),
        ({"column_kinds": {"hue": "number"}}, "'hue' holds numbers, but row 1 has"),
        ({"column_kinds": {"hue": "date"}}, "'hue' holds dates like 2024-12-31, but"),
        ({"column_kinds": {"hue": "boolean"}}, "'hue' holds true or false, but"),
        ({"decimal": ";"}, "'decimal' .* Got ';'"),
        ({"decimal": ",", "thousands": ","}, "must be two characters"),
        ({"thousands": "abc"}, "thousands='abc'"),
        ({"date_format": "dd.mm"}, "date_format='dd.mm'"),
        ({"missing": "NA"}, "'missing' .* Got 'NA'"),
    ],
)
def test_wrong_words_about_a_table_are_named(said: dict[str, Any], message: str):
    table = pd.DataFrame({"size": range(1, 13), "hue": ["red", "blue"] * 6})
    with pytest.raises((ValueError, TypeError), match=message):
        Classifier(**QUICK, **said).fit(table, ["a", "b"] * 6)


def test_texts_that_mean_missing_can_be_named():
    table = pd.DataFrame(
        {"x": ["1", "-999", "3", "NA"] * 5, "y": [1.0, -999, 3, 4] * 5}
    )
    columns = study(table[["y"]].assign(x=["1", "-999", "3", "5"] * 5),
                    Reading(missing=("-999",)))  # fmt: skip
    assert [column.missing for column in columns] == [5, 5]
    assert learn(["a", "NA", "none"] * 4, missing=()).categories == ("NA", "a", "none")
    with pytest.raises(ValueError, match="row 4 has 'NA'"):
        study(table, Reading(kinds={"x": "number"}, missing=("-999",)))


def test_what_is_left_out_is_said_once():
    table = pd.DataFrame(
        {"x": range(40), "unit": "kg", "name": map(str, range(40, 80))}
    )
    table["name"] = "item " + table["name"]
    target = pd.Series(["a", "b", None, "a"] * 10, name="class")
    with pytest.warns(LeftOutWarning) as caught:
        model = Classifier(**QUICK).fit(table, target)
    (warning,) = caught
    assert str(warning.message) == (
        "2 column(s) are left out of training ('unit': 'kg' in each row; 'name': "
        "almost every value is unique). 10 of 40 rows have no target 'class' and are "
        "left out of training."
    )
    assert warning.filename == __file__
    assert model.n_left_out_ == 10


# Text, and categories of many kinds


def reviews(n_rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(n_rows)
    good, bad = "clean friendly quiet lovely", "dirty noisy rude cold"
    usual = "the room was by a station and we stayed two nights"
    y = rng.integers(0, 2, n_rows)
    words = [(good if each else bad).split() for each in y]
    texts = [
        " ".join([*rng.permutation(usual.split()), *rng.choice(w, 1)]) for w in words
    ]
    return pd.DataFrame({"note": texts, "x": rng.normal(size=n_rows)}), y


def test_free_text_is_learned_from_and_kept(tmp_path: Path):
    (X, y), (new, truth) = reviews(300), reviews(301)
    model = Classifier((16,), random_state=0, max_epochs=12).fit(X, y)
    assert [column.kind for column in model.columns_] == ["text", "number"]
    assert roc_auc_score(truth, model.predict_proba(new)[:, 1]) > 0.8
    model.save(tmp_path / "model")
    loaded = tw.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(new), model.predict_proba(new))
    changed = new.assign(note=[None, "", *new["note"][2:]])
    assert np.isfinite(loaded.predict_proba(changed)).all()


@pytest.mark.parametrize("start", ["SKU", "user"])
def test_short_codes_are_no_text(start: str):
    for code in (f"{start}{{:05}}x", f"{start} {{}}", f"{start}-{{}} new"):
        codes = pd.Series([code.format(k) for k in range(400)], name="x")
        assert kind_of(codes) == "category"


def test_many_rare_categories_are_told_apart_by_hashes():
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 300, 6000)
    frame = pd.DataFrame({"x": [f"shop {k}" for k in levels]})
    (column,) = study(frame)
    assert column.buckets
    encoded = encode((column,), frame)
    assert encoded.shape[1] < 200
    patterns = {row.tobytes() for row in encoded}
    assert len(patterns) > 270


def test_one_long_category_costs_no_more_than_itself():
    column = learn(["x" * 10_000, "y", "y", "x" * 10_000])
    assert coded(column, ["y", "x" * 10_000]).shape == (2, 2)
    assert len(column.detail) < 100


# Tables in many forms


def test_tables_of_every_library_are_taken():
    polars, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    columns = {"n": [1, None, 3, 4], "t": ["a", "b", None, "a"],
               "d": [date(2024, 1, 31), date(2024, 2, 1), None, date(9999, 12, 31)],
               "b": [True, None, False, True]}  # fmt: skip
    table = pd.DataFrame(columns, dtype=object)
    wanted = study(as_frame(table))
    expected = encode(wanted, as_frame(table))
    arrow = pa.table(columns)
    forms = [
        polars.DataFrame(columns),
        polars.DataFrame(columns).lazy(),
        arrow,
        arrow.to_pandas(types_mapper=pd.ArrowDtype),
        columns,
        table.to_dict("records"),
        table.to_records(index=False),
        table.convert_dtypes(),
        table.astype({"t": "category"}),
    ]
    for form in forms:
        frame = as_frame(form)
        assert [c.kind for c in study(frame)] == [c.kind for c in wanted]
        np.testing.assert_allclose(encode(wanted, frame), expected)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"x": [[1], [2]]}), r"column 'x' holds a list in row 1: \[1\]"),
        (pd.DataFrame({"x": [{}, {"a": 1}]}), "column 'x' holds a dict in row 1"),
        (pd.DataFrame({"x": [1j, 2j]}), "Complex data not supported: column 'x'"),
        (pd.DataFrame({"x": [1, 2j]}, dtype=object), "'x' has 2j in row 2"),
        (pd.DataFrame({"x": ["1", "inf"]}), "'x' is infinite"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "two columns named '1'"),
        (pd.DataFrame({"x": [None, float("nan")]}), "no value in any row"),
        ([[1, 2], [3]], "rows of the table have different lengths"),
        ({"x": [1, 2], "y": [1]}, "they hold 'x': 2, 'y': 1"),
        ({"x": 5}, "they hold 'x': 0"),
        ([1, 2, 3], "must have rows and columns"),
    ],
)
def test_cells_that_hold_no_value_are_named(table: Any, message: str):
    with pytest.raises(ValueError, match=message):
        study(as_frame(table))


def test_integers_beyond_64_bits_are_numbers():
    column = learn([10**30, 2**70, 5, 7])
    assert column.kind == "number"
    np.testing.assert_array_equal(
        coded(column, ["5", 10**30]), coded(column, [5.0, 1e30])
    )


def test_a_target_of_prices_is_a_target_of_numbers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=80)
    price = np.round(5000 + 1000 * x, 2)
    texts = pd.Series([f"${each:,.2f}" for each in price], name="price")
    model = Regressor(**QUICK).fit(x[:, None], texts)
    again = Regressor(**QUICK).fit(x[:, None], price)
    np.testing.assert_array_equal(model.predict(x[:, None]), again.predict(x[:, None]))
    assert model.score(x[:, None], texts) == again.score(x[:, None], price)
    found = [tw.diagnose(each, x[:, None], y, trials=False)
             for each, y in ((model, texts), (again, price))]  # fmt: skip
    assert str(found[0]) == str(found[1])
