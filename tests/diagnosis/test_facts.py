"""What is measured, held against what can be worked out by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.datasets import make_moons

import thalweg as tw
from thalweg.diagnosis.facts import measure, neighbors
from thalweg.diagnosis.facts.training import facts_of_curve, score
from thalweg.diagnosis.readers import understand
from thalweg.diagnosis.remedies import contradicted_rows

rng = np.random.RandomState


def facts(subject: Any, X: Any, y: Any, *held: Any, **settings: Any) -> Any:
    return measure(understand(subject, X, y, *held, **settings))


def columns(n: int = 200) -> Any:
    """Two blobs along the first of three columns."""
    X = rng(0).standard_normal((n, 3))
    y = np.arange(n) % 2
    X[:, 0] += 4 * y
    return X, y


def net(*sizes: int, **options: Any) -> Any:
    return tw.DenseNetwork.from_sizes(sizes, **options)


# ------------------------------------------------------------------------ the rows


def test_a_repeated_extreme_is_measured_against_the_others():
    X, y = columns()
    others = np.arange(190.0)
    X[:, 1] = np.r_[others, np.full(10, -950.0)][rng(1).permutation(200)]
    ((name, at, value, share, gap),) = facts(None, X, y).columns.sentinels
    assert (name, at, value, share) == ("column 1", 1, -950.0, 0.05)
    # The others' quartiles are about 94.5 apart, the gap is 950.
    assert gap == pytest.approx(950 / 94.5, rel=0.02)


@pytest.mark.parametrize(("value", "gap"), [(-950.0, 950 / 30), (999.0, 969 / 30)])
def test_where_most_values_are_alike_the_gap_is_in_ranges(value: float, gap: float):
    """Or the brightest pixels at the border of an image would be sentinels."""
    X, y = columns()
    X[:, 1] = np.r_[np.zeros(160), np.arange(1.0, 31.0), np.full(10, value)]
    (_, _, at, _, found), *_ = facts(None, X, y).columns.sentinels
    assert (at, found) == (value, pytest.approx(gap))


def test_a_pixel_that_is_rarely_lit_has_no_sentinel():
    X, y = columns()
    X[:, 1] = np.r_[np.zeros(190), 3.0, 5.0, np.full(8, 253.0)]
    sentinels = facts(None, X, y).columns.sentinels
    assert not [each for each in sentinels if each.value == 253]


@pytest.mark.parametrize("factor", [1, 1000])
def test_a_column_of_two_values_can_be_wide_but_not_narrow(factor: int):
    X, y = columns()
    rare = np.zeros(200)
    rare[:3] = 1
    X[:, 1], X[:, 2] = factor * (np.arange(200) % 2), rare
    seen = facts(None, X, y)
    assert (seen.inputs.ratio > 100) == (factor > 1)
    assert (seen.inputs.widest == "column 1") == (factor > 1)


@pytest.mark.parametrize("shift", [-3, -1, 2])
def test_a_slip_of_the_target_is_found_with_its_direction(shift: int):
    X, y = columns()
    y = y[order := rng(2).permutation(200)]
    seen = facts(None, X[order], np.roll(y, -shift))
    assert seen.nearest.shift == shift
    assert seen.nearest.shifted > 0.9
    assert seen.nearest.score < seen.nearest.chance


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_a_column_that_tells_all_is_told_from_one_that_tells_part(kind: str):
    X, y = columns()
    y = y if kind == "classes" else X[:, 0] + X[:, 1]
    told = y + 1e-3 * rng(3).standard_normal(200)
    told[100:] = rng(4).permutation(told[100:])  # where it is not known yet
    X = np.c_[X, told]
    seen = facts(None, X[:100], y[:100], X[100:], y[100:])
    assert seen.best_column.alone_name == "column 3"
    assert seen.best_column.alone > 0.98 > seen.best_column.others
    assert seen.validation_column.alone < 0.7


def test_constant_columns_and_row_numbers():
    X, y = columns()
    seen = facts(None, np.c_[X, np.full(200, 7.0), np.arange(200)], y)
    assert seen.columns.constant_at == (3,)
    assert seen.columns.numbered_at == (4,)


def test_spread_ignores_a_sentinel():
    X, y = columns()
    X[::20, 2] = -99999
    assert facts(None, X, y).inputs.ratio < 5


def test_rows_held_out_are_held_against_the_others():
    X, y = columns()
    moved = X[100:] + np.array([0, 5, 0])
    seen = facts(None, X[:100], y[:100], moved, y[100:])
    assert seen.validation.shifted == pytest.approx(1 / 3)
    assert seen.validation.shared == 0
    again = facts(None, X, y, X[:50], y[:50])
    assert again.validation.shared == 1


def test_a_class_rarer_than_held_out_is_counted_in_errors():
    X, _ = columns()
    y = np.r_[np.arange(100) % 25 == 0, np.arange(100) % 2].astype(int)
    seen = facts(None, X[:100], y[:100], X[100:], y[100:])
    assert seen.validation.rarer == pytest.approx(0.5 / 0.04)
    table = np.array([[96, 4], [50, 50]])
    usual = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    pearson = ((table - usual) ** 2 / usual).sum()
    assert seen.validation.rarer_errors == pytest.approx(np.sqrt(pearson))


@pytest.mark.parametrize("flipped", [0.0, 0.3])
def test_contradicted_rows_are_those_that_trusted_neighbors_contradict(flipped: float):
    X, true = columns()
    y = np.where(rng(1).random(200) < flipped, 1 - true, true)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    wrong, mistaken = np.zeros(200, bool), []
    for _ in range(2):
        asked = ~wrong
        for i in range(200):
            order = np.argsort(((scaled - scaled[i]) ** 2).sum(axis=1))
            order = order[asked[order]][:16]
            votes = np.bincount(y[order[order != i]], minlength=2)
            wrong[i] = votes.argmax() != y[i]
        mistaken.append((wrong != (y != true)).sum())
    found = contradicted_rows(understand(None, X, y))
    np.testing.assert_array_equal(found, np.flatnonzero(wrong))
    assert mistaken[1] < mistaken[0] or not flipped


def test_images_are_alike_along_height_and_width():
    smooth = rng(0).standard_normal((30, 9, 9, 4)).cumsum(axis=1).cumsum(axis=2)
    height, width, channels = facts(None, smooth, np.arange(30) % 2).images.along
    assert min(height, width) > 0.8
    assert abs(channels) < 0.3


# --------------------------------------------------------------------- the network

CE: Any = {"loss": "cross_entropy", "optimizer": "sgd", "learning_rate": 0.1}


def test_twins_are_units_alike_on_the_way_in_and_out():
    X, y = columns()
    assert facts(net(3, 10, 2, init="zeros"), X, y, **CE).start.twins == 1.0
    assert facts(net(3, 10, 2), X, y, **CE).start.twins == 0.0


def test_the_trivial_loss_is_the_entropy_of_the_classes():
    X, _ = columns()
    y = (np.arange(200) % 4 == 0).astype(int)
    seen = facts(net(3, 10, 2), X, y, **CE)
    assert seen.start.trivial == pytest.approx(entropy([0.25, 0.75]))


@pytest.mark.parametrize(("order", "mixed"), [("sorted", 0.0), ("mixed", 1.0)])
def test_batches_of_sorted_rows_hold_one_class_each(order: str, mixed: float):
    X, y = columns()
    y = np.sort(y) if order == "sorted" else y
    seen = facts(net(3, 5, 2), X, y, shuffle=False, batch_size=20, **CE)
    assert seen.batches.order == pytest.approx(mixed, abs=1e-9)


def test_sharpness_is_the_rate_times_the_largest_eigenvalue():
    X = rng(0).standard_normal((100, 3)) * [3.0, 1.0, 0.2]
    y = X @ [1.0, 2.0, 3.0]
    settings: Any = {"loss": "squared", "optimizer": "sgd", "learning_rate": 0.01}
    run = tw.fit(net(3, 1), X, y, epochs=2, random_state=0, **settings)
    A = np.c_[X, np.ones(100)]
    largest = np.linalg.eigvalsh(A.T @ A / 100).max()
    found = facts(run, X, y).sharpness.sharpness
    # Five products of the power method; squared is half the square.
    assert found == pytest.approx(0.01 * largest, rel=0.05)


@pytest.mark.parametrize(("width", "able"), [(1, False), (30, True)])
def test_only_a_wide_enough_network_learns_32_rows_by_heart(width: int, able: bool):
    X, y = make_moons(300, noise=0.15, random_state=0)
    network = net(2, width, 2)
    run = tw.fit(network, X, y, epochs=1, random_state=0, **CE)
    left = facts(run, X, y).memory.by_heart
    assert (left < 0.05) == able


def test_the_curve_by_hand():
    loss = [2.0, 1.0, 1.5, 0.5, np.nan]
    norm = [1.0, 1.0, 9.0, 1.0, 1.0]
    history = tw.History.from_columns({"loss": loss, "gradient_norm": norm})
    curve = facts_of_curve(history)
    assert curve is not None
    assert (curve.first, curve.last) == (2.0, 0.5)
    assert curve.slope == pytest.approx((1.5 - 0.5) / 1.5)
    assert curve.rises == pytest.approx(1 / 3)
    assert (curve.spike, curve.update) == (9.0, None)
    assert facts_of_curve(tw.History.from_columns({"loss": [np.nan]})) is None


def test_what_cannot_be_measured_is_none_and_has_no_name():
    X, y = columns()
    alone = facts(None, X, y)
    assert {*alone.groups()} == {
        "data", "target_gaps", "columns", "labels", "target", "inputs", "nearest",
        "neighborhoods", "best_column",
    }  # fmt: skip
    assert {name.split(".")[0] for name in alone.by_name()} == {
        "data", "target", "labels", "inputs", "nearest"
    }  # fmt: skip
    X = X.copy()
    X[3, 1] = np.nan
    broken = facts(net(3, 5, 2), X, y, **CE)
    assert broken.data.nonfinite == 1
    assert broken.data.nonfinite_at == "row 3, column 1"
    assert broken.inputs is None
    assert "inputs.ratio" not in broken.by_name()


@pytest.mark.parametrize("n_rows", [3, 6, 7, 12])
def test_a_target_that_does_not_vary_is_never_explained(n_rows: int) -> None:
    """For these numbers of rows, the mean of 0.1 is not 0.1 to the last bit."""
    problem: Any = SimpleNamespace(labels=None)
    y = np.full(n_rows, 0.1)
    assert (y - y.mean()).any()
    assert score(problem, y, y) == score(problem, y + 1, y) == 0.0


def test_ridge_regression_is_the_same_with_more_columns_than_rows():
    rng = np.random.default_rng(0)
    X, T = rng.normal(size=(20, 50)), rng.normal(size=(20, 2))
    found = neighbors._ridge(X, T)  # pyright: ignore[reportPrivateUsage]
    expected = np.linalg.solve(X.T @ X + np.eye(50) * 0.2, X.T @ T)
    # The condition number is about 1e3, so that twelve digits agree.
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
