"""Scores against scikit-learn's, and intervals that cover."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, r2_score

from thalweg.core import accuracy, r2, wilson

RNG = np.random.RandomState(0)
WEIGHTS = RNG.uniform(0.5, 2.0, 60)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3)])
@pytest.mark.parametrize("pooled", [False, True])
def test_r2_is_scikit_learns(shape: Any, weights: Any, pooled: bool) -> None:
    scale = np.arange(1, 4)[: shape[1]] if len(shape) > 1 else 1  # unequal variances
    truth = scale * RNG.standard_normal(shape)
    predicted = truth + RNG.standard_normal(shape)
    way: Any = "variance_weighted" if pooled else "uniform_average"
    expected = r2_score(truth, predicted, sample_weight=weights, multioutput=way)
    found = r2(truth, predicted, weights, pooled=pooled)
    assert found == pytest.approx(expected, rel=1e-12)


def test_r2_of_a_target_that_does_not_vary() -> None:
    """As scikit-learn: explained wholly or not at all, whatever the unit."""
    flat = np.full((5, 2), 4.0)
    half = np.column_stack([flat[:, 0], flat[:, 1] + 1])
    for predicted in (flat, flat + 1, 100 * flat, half):
        expected = r2_score(flat, predicted)
        assert r2(flat, predicted) == expected
        assert r2(flat[:, 1], predicted[:, 1]) == r2_score(flat[:, 1], predicted[:, 1])


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("shape", [(60,), (60, 3)])
def test_accuracy_is_scikit_learns(shape: Any, weights: Any) -> None:
    """A row of several labels is right if all of them are."""
    truth, predicted = RNG.randint(2, size=(2, *shape))
    expected = accuracy_score(truth, predicted, sample_weight=weights)
    assert accuracy(truth, predicted, weights) == pytest.approx(expected, rel=1e-14)


def test_accuracy_of_texts() -> None:
    truth = np.array(["no", "yes", "no", "yes"], object)
    assert accuracy(truth, np.array(["no", "no", "no", "yes"], object)) == 0.75


@pytest.mark.parametrize(("right", "n"), [(0, 10), (7, 10), (10, 10), (999, 1000)])
def test_wilson_solves_its_equation(right: int, n: int) -> None:
    """At each end, the share is 1.96 standard errors of that end away."""
    low, high = wilson(right / n, n)
    z = stats.norm.ppf(0.975)
    for end in (low, high):
        if 0 < end < 1:
            error = np.sqrt(end * (1 - end) / n)
            assert abs(right / n - end) == pytest.approx(z * error, rel=1e-9)
    assert 0 <= low <= right / n <= high <= 1
