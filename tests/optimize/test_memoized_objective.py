"""A `MemoizedObjective` computes each thing once, and keeps the best point."""

import numpy as np
import pytest

from thalweg.core.types import Array
from thalweg.optimize import LineSearches, MemoizedObjective

START = np.array([3.0, -1.0])


def square(x: Array) -> float:
    return float(x @ x)


def objective(start_cost: float = np.inf) -> MemoizedObjective:
    """The cost and its gradient as two functions."""
    return MemoizedObjective(
        lambda x: (square(x), None), lambda x: 2 * x, START, LineSearches(), start_cost
    )


def test_each_is_computed_once_a_point():
    both = objective()
    for _ in range(3):
        assert both.value(START) == 10
        assert np.array_equal(both.gradient(START), [6, -2])
    assert (both.n_values, both.n_gradients) == (1, 1)
    both.value(START / 2)
    assert (both.n_values, both.n_gradients) == (2, 1)


def test_a_gradient_that_comes_with_the_cost_is_kept():
    together = MemoizedObjective(
        lambda x: (square(x), 2 * x), None, START, LineSearches()
    )
    assert np.array_equal(together.gradient(START), [6, -2])
    assert together.value(START) == 10
    assert (together.n_values, together.n_gradients) == (1, 1)


def test_without_a_gradient_it_is_nan():
    alone = MemoizedObjective(lambda x: (square(x), None), None, START, LineSearches())
    assert np.isnan(alone.gradient(START)).all()
    assert (alone.n_values, alone.n_gradients) == (1, 0)


def test_the_best_point_is_the_cheapest_and_remembered_for_good():
    both = objective()
    costs = [both.value(START * k) for k in (1.0, 0.5, 2.0, 3.0, 4.0, 5.0, 6.0)]
    assert both.best.cost == min(costs)
    assert np.array_equal(both.best.x, START / 2)
    both.value(START / 2)
    assert both.n_values == len(costs)
    both.value(START)  # forgotten by now
    assert both.n_values == len(costs) + 1


def test_a_known_cost_of_the_start_makes_it_the_best_and_counts_nothing():
    both = objective(square(START))
    both.value(2 * START)
    assert both.best.cost == 10
    assert np.array_equal(both.best.x, START)
    assert both.n_values == 1


def test_what_is_given_may_be_overwritten_afterwards():
    both, x = objective(), START.copy()
    both.value(x)
    x[:] = 0
    assert both.value(x) == 0
    assert np.array_equal(both.evaluation_at(START).x, START)
    assert both.n_values == 2


def test_a_row_of_the_history():
    both = objective()
    both.value(START)
    row = both.record_iteration(START / 2)
    assert row["loss"] == 2.5
    assert row["gradient_norm"] == pytest.approx(np.sqrt(10))
    assert row["update_ratio"] == pytest.approx(0.5)
    assert (row["evaluations"], row["gradient_evaluations"]) == (2, 1)
    assert np.isnan([row["line_search_failures"], row["restarts"]]).all()
    assert np.array_equal(both.previous, START / 2)
