"""Metrics against scikit-learn's, and the intervals against what they promise."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as theirs

from thalweg.estimators.tabular.metrics import (
    Guess,
    Truth,
    find_metric,
    measure,
    measure_all,
    measure_classes,
    positive_class,
)
from thalweg.estimators.tabular.threshold import best_threshold

LABELS = np.array(["a", "b", "c", "d"])


def drawn(n_classes: int, n: int = 300, seed: int = 0) -> tuple[Truth, Guess]:
    """Return targets, and predictions that are better than chance, with ties."""
    rng = np.random.RandomState(seed)
    codes, labels = rng.randint(n_classes, size=n), LABELS[:n_classes]
    shares = rng.dirichlet(np.ones(n_classes), size=n).round(1) + 0.01
    shares[np.arange(n), codes] += 0.3
    shares /= shares.sum(axis=1, keepdims=True)
    guess = Guess(labels[shares.argmax(axis=1)], shares)
    return Truth(labels[codes], labels), guess


def auc(truth: Truth, guess: Guess, w: Any) -> float:
    shares: Any = guess.probabilities
    if shares.shape[1] == 2:
        return float(theirs.roc_auc_score(truth.codes, shares[:, 1], sample_weight=w))
    return float(
        theirs.roc_auc_score(truth.codes, shares, multi_class="ovr", sample_weight=w)
    )


REFERENCES: dict[str, Any] = {
    "accuracy": lambda t, g, w: theirs.accuracy_score(
        t.values, g.predicted, sample_weight=w
    ),
    "balanced_accuracy": lambda t, g, w: theirs.balanced_accuracy_score(
        t.values, g.predicted, sample_weight=w
    ),
    "neg_log_loss": lambda t, g, w: theirs.log_loss(
        t.values, g.probabilities, sample_weight=w
    ),
    "roc_auc": auc,
    **{
        f"{kind}_{average}": lambda t, g, w, kind=kind, average=average: getattr(
            theirs, f"{kind}_score"
        )(t.values, g.predicted, average=average, sample_weight=w)
        for kind in ("f1", "precision", "recall")
        for average in ("macro", "micro", "weighted")
    },
}


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", REFERENCES)
def test_metrics_of_classes_are_scikit_learns(name: str, n_classes: int):
    truth, guess = drawn(n_classes)
    weights = np.random.RandomState(1).randint(0, 4, size=len(truth)).astype(float)
    metric: Any = find_metric(name, True)
    found = metric.compute(truth, guess, weights[None])[0]
    assert found == pytest.approx(REFERENCES[name](truth, guess, weights), rel=1e-12)


def test_metrics_of_one_class_are_about_the_positive_one():
    truth, guess = drawn(2)
    shares: Any = guess.probabilities
    label: Any
    for positive, label in enumerate("ab"):
        told = Truth(truth.values, truth.labels, positive)
        f1 = theirs.f1_score(truth.values, guess.predicted, pos_label=label)
        assert find_metric("f1", True).value_of(told, guess) == pytest.approx(f1)
        area = theirs.average_precision_score(
            truth.values == label, shares[:, positive]
        )
        found = find_metric("average_precision", True).value_of(told, guess)
        assert found == pytest.approx(area)


@pytest.mark.parametrize("n", [40, 41])  # the median of an even and an odd number
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("r2", theirs.r2_score),
        ("neg_root_mean_squared_error", theirs.root_mean_squared_error),
        ("neg_mean_absolute_error", theirs.mean_absolute_error),
        ("neg_median_absolute_error", theirs.median_absolute_error),
        ("neg_mean_squared_error", theirs.mean_squared_error),
    ],
)
def test_metrics_of_values_are_scikit_learns(name: str, reference: Any, n: int):
    rng = np.random.RandomState(0)
    values = rng.standard_normal(n) + 1e6
    truth, guess = Truth(values), Guess(values + rng.standard_normal(n))
    found = find_metric(name, False).value_of(truth, guess)
    assert found == pytest.approx(reference(values, guess.predicted), rel=1e-9)
    # A sample is the same as its rows written out.
    rows = rng.randint(n, size=n)
    weights = np.bincount(rows, minlength=n).astype(float)[None]
    metric: Any = find_metric(name, False)
    sampled = reference(values[rows], guess.predicted[rows])
    assert metric.compute(truth, guess, weights)[0] == pytest.approx(sampled, rel=1e-9)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """The balanced accuracy of a coin is 0.5: 95 % of the intervals hold it."""
    rng, held = np.random.RandomState(0), 0
    metric = find_metric("balanced_accuracy", True)
    for _ in range(60):
        values, said = rng.choice(["a", "b"], (2, 80))
        low, high = Truth(values, LABELS[:2]).interval(metric, Guess(said))
        held += low <= 0.5 <= high
    assert held >= 51  # of 60, three standard errors below 57


def test_many_rows_are_resampled_in_part_and_the_interval_is_as_narrow():
    rng = np.random.RandomState(0)
    values = rng.standard_normal(100_000)
    truth, guess = Truth(values), Guess(values + rng.standard_normal(100_000))
    low, high = truth.interval(find_metric("neg_mean_squared_error", False), guess)
    # The squares of normal numbers have the standard deviation √2.
    half = 1.96 * np.sqrt(2 / 100_000)
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)


def test_groups_are_resampled_as_a_whole():
    rng = np.random.RandomState(0)
    shift = np.repeat(rng.standard_normal(20), 50)
    values = np.zeros(1000)
    alone, grouped = (
        Truth(values, groups=groups) for groups in (None, np.repeat(np.arange(20), 50))
    )
    metric = find_metric("neg_mean_squared_error", False)
    widths = [np.ptp(t.interval(metric, Guess(shift))) for t in (alone, grouped)]
    assert widths[1] > 4 * widths[0]  # √50 in theory


def test_other_scorers_are_scikit_learns_own():
    truth, guess = drawn(2)
    found = measure(find_metric("matthews_corrcoef", True), truth, guess)
    value = theirs.matthews_corrcoef(truth.values, guess.predicted)
    assert found.value == pytest.approx(value)
    assert found.interval[0] < value < found.interval[1]
    same = find_metric(theirs.make_scorer(theirs.accuracy_score), True)
    assert same.value_of(truth, guess) == find_metric(None, True).value_of(truth, guess)


def test_a_class_without_rows_is_left_out_and_named():
    truth, guess = drawn(4)
    kept = truth.values != "d"
    shares: Any = guess.probabilities
    part = Truth(truth.values[kept], LABELS)
    of_part = Guess(guess.predicted[kept], shares[kept])
    found = {m.name: m for m in measure_all(find_metric(None, True), part, of_part)}
    areas = [
        theirs.roc_auc_score(part.values == label, shares[kept, k])
        for k, label in enumerate("abc")
    ]
    assert found["roc_auc"].value == pytest.approx(np.mean(areas))
    assert found["roc_auc"].note == "without d, of which there are no test rows"
    assert [each.n_rows for each in measure_classes(part, of_part)][-1] == 0


@pytest.mark.parametrize(
    ("name", "classes", "sentence"),
    [
        ("accurcy", True, "Did you mean 'accuracy'"),
        ("r2", True, "scores numbers, but the target holds classes"),
        ("roc_auc", False, "scores classes, but the target holds numbers"),
        (3, True, "evaluate got 3 as a metric"),
    ],
)
def test_wrong_metrics_are_refused(name: Any, classes: bool, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        find_metric(name, classes)


def test_a_metric_of_two_classes_is_refused_for_more():
    with pytest.raises(ValueError, match="f1_macro"):
        measure(find_metric("f1", True), *drawn(3))


def test_neg_may_be_left_out():
    assert find_metric("log_loss", True) == find_metric("neg_log_loss", True)
    assert find_metric("max_error", False).label == "max error"


@pytest.mark.parametrize(
    ("labels", "rows", "positive"),
    [
        ((0, 1), (0, 1, 1, 1), 1),
        (("no", "yes"), ("no", "yes", "yes"), 1),
        (("churn", "stay"), ("stay", "stay", "churn"), 0),
        (("a", "b"), ("a", "b"), 1),
    ],
)
def test_the_positive_class_is_yes_or_the_rarer(
    labels: tuple[Any, ...], rows: tuple[Any, ...], positive: int
):
    assert positive_class(np.array(labels), np.array(rows)) == positive


def test_the_threshold_is_the_best_of_all():
    truth, guess = drawn(2)
    shares: Any = guess.probabilities
    found = best_threshold("f1", truth, shares[:, 1], "fit")
    cuts = np.linspace(0, 1, 1001)
    right = truth.codes == 1
    said = shares[:, 1] >= cuts[:, None]
    f1 = 2 * (said & right).sum(axis=1) / (said.sum(axis=1) + right.sum())
    assert theirs.f1_score(right, shares[:, 1] >= found) == pytest.approx(max(f1))
    with pytest.raises(ValueError, match="no threshold changes it"):
        best_threshold("roc_auc", truth, shares[:, 1], "fit")
