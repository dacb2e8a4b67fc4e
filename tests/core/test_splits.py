"""Splits: every part gets its share of all classes and values."""

from typing import Any

import numpy as np
import pytest

from thalweg.core import folds, hold_out


@pytest.mark.parametrize("n_held", [1, 7, 20, 99])
def test_hold_out_takes_each_class_in_proportion(n_held: int) -> None:
    classes = np.repeat([0, 1, 2], [10, 30, 60])
    held = hold_out(100, n_held, np.random.RandomState(0), classes)
    assert held.sum() == n_held
    shares = np.bincount(classes[held], minlength=3)
    assert (np.abs(shares - n_held * np.array([0.1, 0.3, 0.6])) < 1).all()


def test_hold_out_draws_the_same_rows_for_the_same_seed() -> None:
    once, again, other = (
        hold_out(50, 10, np.random.RandomState(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    assert once.sum() == 10


def test_hold_out_is_drawn_without_regard_to_the_order_of_the_rows() -> None:
    """Each row is held out about as often as any other: 2000 draws of 10 of 40."""
    draws = [hold_out(40, 10, np.random.RandomState(seed)) for seed in range(2000)]
    counts = np.sum(draws, axis=0)
    spread = np.sqrt(2000 * 0.25 * 0.75)
    assert (np.abs(counts - 500) < 4.5 * spread).all()


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("labels", [[0, 1], ["b", "a"]], ids=["numbers", "texts"])
def test_folds_have_their_share_of_each_class(labels: Any, seed: int | None) -> None:
    y = np.repeat(np.array(labels, object), [9, 41])
    fold = folds(y, 5, None if seed is None else np.random.RandomState(seed))
    assert np.bincount(fold).tolist() == [10] * 5
    for label in labels:
        counts = np.bincount(fold[y == label])
        assert np.ptp(counts) <= 1


@pytest.mark.parametrize("seed", [None, 0])
def test_folds_have_their_share_of_each_range(seed: int | None) -> None:
    """Of five values that are neighbors, each of five folds has one."""
    y = np.random.RandomState(0).standard_normal(50)
    fold = folds(y, 5, None if seed is None else np.random.RandomState(seed))
    for neighbors in np.argsort(y).reshape(10, 5):
        assert sorted(fold[neighbors]) == [0, 1, 2, 3, 4]


def test_folds_keep_the_order_of_equal_values_unless_they_are_drawn() -> None:
    same = np.zeros(7)
    assert folds(same, 3).tolist() == [0, 1, 2, 0, 1, 2, 0]
    drawn = folds(same, 3, np.random.RandomState(0))
    assert drawn.tolist() != [0, 1, 2, 0, 1, 2, 0]
    assert np.bincount(drawn).tolist() == [3, 2, 2]


def test_each_row_can_be_a_fold_of_its_own() -> None:
    y = np.array([2, 0, 1, 0])
    assert sorted(folds(y, 4, np.random.RandomState(0))) == [0, 1, 2, 3]
