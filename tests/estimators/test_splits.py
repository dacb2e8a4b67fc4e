"""Honest splits: groups, times and repeated rows stay on one side."""

from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest
from sklearn.datasets import load_breast_cancer

import thalweg as tw
from thalweg.core import folds
from thalweg.estimators import (
    as_groups,
    as_times,
    evaluate,
    evaluation_splits,
    group_folds,
    hold_out_honestly,
    repeated_rows,
)
from thalweg.tuning.splits import divide

QUICK: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_epochs": 2, "random_state": 0}


def cancer() -> tuple[pd.DataFrame, pd.Series]:
    data: Any = load_breast_cancer(return_X_y=True, as_frame=True)
    return data


def test_rows_without_groups_times_and_repeats_are_divided_as_ever():
    X, y = cancer()
    (split,) = evaluation_splits(X, y).splits
    fold = folds(y.to_numpy(), 5, np.random.RandomState(0))
    np.testing.assert_array_equal(split.test, np.flatnonzero(fold == 0))


@pytest.mark.parametrize("n_groups", [7, 60, 1500])
def test_groups_are_never_divided(n_groups: int):
    rng = np.random.RandomState(0)
    groups = rng.permutation(np.arange(3000) % n_groups)
    y = rng.randint(3, size=3000)
    fold = group_folds(y, groups, 5, classes=True)
    for group in range(n_groups):
        assert len(set(fold[groups == group])) == 1
    sizes = np.bincount(fold)
    assert len(sizes) == 5
    assert sizes.min() > 0.5 * 3000 / min(5, n_groups)


def test_the_latest_rows_are_held_out_and_no_time_is_divided():
    times = np.random.RandomState(0).randint(50, size=1000).astype(float)
    train, test = hold_out_honestly(np.zeros(1000), 0.2, None, times, False)
    assert times[train].max() < times[test].min()
    assert 0.15 < len(test) / 1000 < 0.25
    assert len(train) + len(test) == 1000


def test_groups_of_the_latest_rows_are_in_neither_part():
    times, groups = np.arange(1000.0), np.arange(1000) % 10
    with pytest.raises(ValueError, match="0 of 1000 rows are left to train on"):
        hold_out_honestly(np.zeros(1000), 0.2, groups, times, False)
    groups = np.arange(1000) // 30
    train, test = hold_out_honestly(np.zeros(1000), 0.2, groups, times, False)
    assert not set(groups[train]) & set(groups[test])
    assert times[train].max() < times[test].min()


@pytest.mark.parametrize(
    ("given", "order"),
    [
        (pd.Series(["2024-03-01", "2023-12-31", None, "2024-01-05"]), [2, 1, 3, 0]),
        (
            pd.to_datetime(["2024-03-01", "2023-12-31", None, "2024-01-05"]),
            [2, 1, 3, 0],
        ),
        (["10", "9", "", "11"], [2, 1, 0, 3]),
        (np.array([3.0, 1.0, np.nan, 2.0]), [2, 1, 3, 0]),
        (pd.Series([1, 2, 3, 4], dtype="Int64"), [0, 1, 2, 3]),
        (pd.date_range("2024-01-01", periods=4, tz="Asia/Tokyo"), [0, 1, 2, 3]),
    ],
)
def test_times_are_numbers_or_dates_and_missing_ones_come_first(
    given: Any, order: list[int]
):
    found: Any = as_times(given, 4, "fit")
    assert np.argsort(found, kind="stable").tolist() == order


@pytest.mark.parametrize(
    ("read", "given", "sentence"),
    [
        (as_times, ["a", "b"], "got 'a' as the time of row 1"),
        (as_times, [1, 1], "the same time in each row"),
        (as_times, [1, 2, 3], "3 values for 2 rows"),
        (as_groups, [1, None], "row 2 has no value"),
        (as_groups, ["x", "x"], "one value, 'x'"),
        (as_groups, [[1, 2], [3, 4]], "shape \\(2, 2\\)"),
    ],
)
def test_what_is_no_group_and_no_time(read: Any, given: Any, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        read(given, 2, "fit")


def test_repeated_rows_are_found_and_kept_together():
    X, y = cancer()
    assert repeated_rows(X, y) is None
    twice = pd.concat([X, X[:50]], ignore_index=True)
    target = pd.concat([y, y[:50]], ignore_index=True)
    groups: Any = repeated_rows(twice, target)
    np.testing.assert_array_equal(groups[:569], np.arange(569))
    np.testing.assert_array_equal(groups[569:], np.arange(50))
    target[569] = 1 - target[569]  # the same row with another target is no copy
    changed: Any = repeated_rows(twice, target)
    assert changed[569] == 569
    folded = evaluation_splits(twice, target)
    (split,) = folded.splits
    assert not set(groups[split.train][1:]) & set(groups[split.test]) - {0}
    assert folded.notes[0].startswith("49 rows repeat another row exactly")


def test_equal_rows_of_a_table_with_few_values_are_no_copies():
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"class": rng.randint(4, size=400), "sex": rng.choice(["m", "f"])})
    assert repeated_rows(X, pd.Series(rng.randint(2, size=400))) is None


def test_the_score_of_copies_is_honest():
    """Labels of noise, each row twice: a model that learns by heart gains nothing."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.standard_normal((150, 5)))
    y = pd.Series(rng.randint(2, size=150))
    twice = pd.concat([X, X], ignore_index=True), pd.concat([y, y], ignore_index=True)
    model = tw.Classifier((64,), max_epochs=60, l2=0, dropout=0.0, random_state=0)
    found = evaluate(model, *twice, refit=False)
    assert found.interval[0] < 0.5
    assert found.baselines["boosted trees"] < 0.7
    assert "150 rows repeat" in found.notes[0]


def test_groups_reach_the_validation_data_of_the_fit():
    X, y = cancer()
    groups = np.arange(len(y)) // 9
    plain = tw.Classifier(**QUICK).fit(X, y)
    grouped = tw.Classifier(**QUICK).fit(X, y, groups=groups)
    assert plain.history_.validation_loss[0] != grouped.history_.validation_loss[0]
    timed = tw.Classifier(**QUICK).fit(X, y, time=np.arange(len(y)))
    held = np.arange(len(y)) >= 484  # the latest 15 %
    given = tw.Classifier(**QUICK).fit(X, y, X_val=X[held], y_val=y[held])
    assert np.isfinite(timed.history_.validation_loss).all()
    assert len(given.history_) == len(timed.history_)


def test_evaluate_says_how_the_rows_were_divided():
    X, y = cancer()
    by_group = evaluate(tw.Classifier(**QUICK), X, y, groups=np.arange(len(y)) // 9)
    assert by_group.method == "13 of 64 groups, held out from training"
    by_time = evaluate(tw.Classifier(**QUICK), X, y, time=np.arange(len(y)))
    assert by_time.method == "the latest ones, held out from training"
    assert by_time.n_rows == 114


def test_a_search_respects_groups_and_refuses_a_splitter_without_splits():
    X, y = cancer()
    model, groups = tw.Classifier(**QUICK), np.arange(len(y)) // 9
    how: Any
    for how in ({"cv": 3}, {"cv": None, "validation": 0.2}):
        for part in divide(model, X, y, groups=groups, **how).parts:
            assert part.validation is not None
            assert not set(groups[part.train]) & set(groups[part.validation])
    times = np.arange(len(y), dtype=float)
    for part in divide(model, X, y, cv=3, time=times).parts:
        assert part.validation is not None
        assert times[part.train].max() < times[part.validation].min()
    with pytest.raises(ValueError, match="yields no split"):
        divide(model, X, y, cv=[])
    with pytest.raises(ValueError, match="at most as many folds as groups"):
        divide(model, X, y, cv=5, groups=np.arange(len(y)) % 3)
