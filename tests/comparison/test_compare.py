"""Comparisons: paired, honest about chance and budgets; and looks inside networks."""

import json
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

import thalweg as tw
from thalweg.comparison.compare import judge, paired_difference
from thalweg.comparison.result import Comparison, Trial
from thalweg.core.history import History
from thalweg.core.types import Array
from thalweg.training.inspect import descend, look_inside, trace, train_steps

rng = np.random.RandomState(0)
X = rng.standard_normal((80, 4))
y = (X[:, 0] * X[:, 1] > 0).astype(int)
SMALL: dict[str, Any] = {"hidden": [8], "epochs": 3, "batch_size": 20, "n_jobs": 1}


class Fake(ClassifierMixin, BaseEstimator):
    """Scores at random: what a seed gives all variants, and what it gives this one."""

    def __init__(self, name: int = 0, lift: float = 0.0, random_state: int = 0):
        self.name = name
        self.lift = lift
        self.random_state = random_state

    def fit(self, X: Array, y: Array) -> "Fake":
        return self

    def score(self, X: Array, y: Array, sample_weight: Array | None = None) -> float:
        common = np.random.RandomState(self.random_state).standard_normal()
        own = np.random.RandomState([self.random_state, self.name]).standard_normal()
        return self.lift + 5 * common + own


def compare_fakes(lifts: list[float], draw: int) -> Comparison:
    fakes = {
        f"variant {k}": Fake(1000 * draw + k, lift) for k, lift in enumerate(lifts)
    }
    seeds = range(10 * draw, 10 * draw + 10)
    return tw.compare(fakes, X, y, seeds=seeds, n_jobs=1)


def trials(values: dict[str, list[float]], **more: Any) -> tuple[Trial, ...]:
    return tuple(
        Trial(
            variant=name,
            seed=seed,
            value=value,
            diverged=bool(np.isnan(value)),
            **{
                "passes": 10.0,
                "updates": 10.0,
                "n_parameters": 5,
                "seconds": 1.0,
                "why": "",
                **more,
            },
        )
        for name, own in values.items()
        for seed, value in enumerate(own)
    )


@pytest.mark.slow
def test_equal_variants_are_told_apart_as_rarely_as_promised():
    wrong = sum(compare_fakes([0.0, 0.0], draw).winner != "" for draw in range(200))
    # Nominal: 10 of 200. Within what a binomial gives 99 times of 100.
    low, high = stats.binom.interval(0.99, 200, 0.05)
    assert low <= wrong <= high


def test_several_equal_variants_have_a_winner_as_rarely_as_two():
    draws = np.random.RandomState(0).standard_normal((200, 4, 10))
    found = [
        judge(trials(dict(zip("abcd", draw.tolist(), strict=True)))) for draw in draws
    ]
    wrong = sum(any(d.p_value < 0.05 for d in each.differences) for each in found)
    assert wrong <= stats.binom.ppf(0.99, 200, 0.05)


def test_ten_seeds_find_the_better_variant_through_the_noise_that_they_share():
    found = compare_fakes([0.0, 3.0, 0.0], draw=0)
    assert found.winner == "variant 1"
    assert "With 10 seeds, variant 1 has the best" in found.verdict
    assert "corrected for 3 pairs" in " ".join(found.notes)


def test_a_paired_difference_is_students():
    gaps = np.array([0.3, 0.1, 0.5, -0.1, 0.2])
    mine = paired_difference("a", "b", gaps)
    theirs: Any = stats.ttest_1samp(gaps, 0.0)
    assert mine.p_value == pytest.approx(theirs.pvalue)
    interval = theirs.confidence_interval(0.95)
    assert mine.interval == pytest.approx((interval.low, interval.high))


def test_an_interval_leaves_out_0_where_the_p_value_is_small():
    for shift in np.linspace(-0.5, 0.5, 21):
        gaps = np.array([0.3, 0.1, 0.5, -0.1, 0.2]) + shift
        found = paired_difference("a", "b", gaps, n_pairs=6)
        low, high = found.interval
        assert (found.p_value < 0.05) == (not low <= 0 <= high)


def test_differences_without_spread_are_judged_by_their_signs_alone():
    assert paired_difference("a", "b", np.zeros(5)).p_value == 1.0
    assert paired_difference("a", "b", np.full(5, 0.1)).p_value == 2.0**-4


def test_the_same_variant_twice_differs_nowhere():
    found = tw.compare({"a": "adam", "b": {"optimizer": "adam"}}, X, y, **SMALL)
    assert found.winner == ""
    assert [d.mean for d in found.differences] == [0.0]
    assert "is not significantly better than" in found.verdict


def test_variants_meet_the_same_rows_whether_noise_is_drawn_or_not():
    quiet_and_noisy = {"quiet": {}, "noisy": {"input_noise": 1e-12}}
    found = tw.compare(quiet_and_noisy, X, y, seeds=2, **SMALL)
    for quiet, noisy in zip(found.of("quiet"), found.of("noisy"), strict=True):
        assert quiet.history is not None
        assert noisy.history is not None
        np.testing.assert_allclose(quiet.history.loss, noisy.history.loss, rtol=1e-9)


def test_a_rate_of_nothing_loses_against_adam():
    variants = {"stuck": {"optimizer": "sgd", "learning_rate": 1e-9}, "adam": "adam"}
    found = tw.compare(variants, X, y, by="training loss", learning_rate=0.02, **SMALL)
    assert found.winner == "adam"


def test_unequal_budgets_are_said():
    variants = {"adam": {"epochs": 5}, "lbfgs": "lbfgs", "wide": {"hidden": [16]}}
    found = tw.compare(variants, X, y, seeds=2, **SMALL)
    notes = " ".join(found.notes)
    assert "Unequal budgets, in passes over the rows: adam 5, lbfgs" in notes
    assert "Networks of unequal size, in parameters: adam 58, lbfgs 58, wide" in notes
    assert "Unequal numbers of updates: adam 20, lbfgs 3, wide 12" in notes


def test_a_variant_that_diverges_is_kept_and_said():
    target = X[:, 0] * 1e3
    rates = {"wild": {"learning_rate": 1e6}, "tame": {"learning_rate": 1e-9}}
    found = tw.compare(rates, X, target, optimizer="sgd", seeds=2, **SMALL)
    wild = found.of("wild")
    assert all(trial.diverged and np.isnan(trial.value) for trial in wild)
    assert all("stopped being finite" in trial.why for trial in wild)
    assert found.winner == "tame"
    assert found.differences == ()
    assert "wild diverged with 2 of 2 seeds" in found.notes[0]


def test_nothing_is_said_of_chance_with_one_seed_or_where_all_diverged():
    one = judge(trials({"a": [0.5], "b": [0.7]}))
    assert one.winner == ""
    assert "one seed cannot show" in one.verdict
    lost = judge(trials({"a": [np.nan, 1.0], "b": [np.nan, np.nan]}))
    assert lost.verdict == "Every variant diverged."


def test_networks_and_estimators_stand_side_by_side():
    variants = {
        "plan": tw.Plan(optimizer="adam", epochs=3, loss="cross_entropy"),
        "network": tw.DenseNetwork.from_sizes((4, 8, 2)),
        "logistic": LogisticRegression(),
        "phases": {"optimizer": ["adam", "lbfgs"]},
        "norm": {"normalization": "layer", "l2": 0.1},
    }
    labels = np.array(["no", "yes"])[y]
    found = tw.compare(variants, X, labels, seeds=2, **SMALL)
    assert found.variants == tuple(variants)
    assert len(found.trials) == 10
    assert np.isfinite([trial.value for trial in found.trials]).all()


@pytest.mark.parametrize(
    ("variants", "more", "words"),
    [
        (["adam", "adm"], {}, "Did you mean 'adam'"),
        ({"a": {"lerning_rate": 1.0}, "b": {}}, {}, "Did you mean 'learning_rate'"),
        ({"a": {"activation": "rely"}, "b": {}}, {}, "Did you mean 'relu'"),
        ({"a": ("lbfgs", {}), "b": {"init": "hee"}}, {}, "init='hee'"),
        ({"only": "adam"}, {}, "at least two"),
        (["sgd", "adam"], {"by": "scores"}, "Did you mean 'score'"),
        (["sgd", "adam"], {"validation": None}, "by='training loss'"),
        ({"a": LogisticRegression(), "b": {}}, {"by": "loss"}, "by='score'"),
        (
            {"a": {"optimizer": "lbfgs", "learning_rate": 1.0}, "b": {}},
            {},
            "chooses its step by itself",
        ),
        (
            {"a": tw.DenseNetwork.from_sizes((3, 2)), "b": {}},
            {},
            "the data need 4 and 2",
        ),
    ],
)
def test_what_is_wrong_with_a_comparison_is_said(
    variants: Any, more: dict[str, Any], words: str
):
    with pytest.raises(ValueError, match=words):
        tw.compare(variants, X, y, seeds=2, **SMALL, **more)


def test_an_estimator_for_another_task_is_refused():
    variants = {"a": LogisticRegression(), "b": {}}
    with pytest.raises(ValueError, match="a regression task"):
        tw.compare(variants, X, X[:, 0], seeds=2, **SMALL)


def test_an_estimator_that_diverges_is_kept():
    wild = tw.MLPRegressor(
        hidden_layer_sizes=(8,),
        activation="identity",
        solver="sgd",
        learning_rate_init=1e9,
        batch_size=5,
    )
    found = tw.compare({"wild": wild, "net": {}}, X, 1e3 * X[:, 0], seeds=2, **SMALL)
    assert [trial.diverged for trial in found.of("wild")] == [True, True]
    assert found.winner == "net"


def test_a_comparison_survives_json_and_becomes_a_frame():
    values = {"a": [0.5, 0.25, np.nan], "b": [1.0, 2.0, 3.0], "c": [1.0, 1.5, 2.0]}
    history = History.from_columns({"loss": [3.0, 2.0, 1.0], "seconds": [1, 2, 3]})
    found = judge(trials(values, history=history))
    back = Comparison.from_json(json.loads(json.dumps(found.to_json())))
    assert back.to_json() == found.to_json()
    assert str(back) == str(found)
    frame = back.to_frame()
    assert frame.shape[0] == 9
    assert set(frame["variant"]) == {"a", "b", "c"}
    assert back.time_to(2.0)["b"].tolist() == [2.0, 2.0, 2.0]
    assert back.time_to(0.5, by="epoch")["b"].tolist() == [np.inf] * 3
    assert back.summary()["b"]["mean"] == 2.0


def test_passes_count_epochs_and_evaluations_over_all_phases():
    nan = np.nan
    history = History.from_columns(
        {"loss": [1.0] * 6, "evaluations": [nan, nan, 2, 5, 1, 3]}
    )
    assert history.passes.tolist() == [1, 2, 4, 7, 8, 10]


def test_a_trace_begins_with_the_first_weights_and_ends_with_the_last():
    network = tw.DenseNetwork.from_sizes((4, 8, 2))
    run, kept = trace(
        network, X, y, loss="cross_entropy", epochs=3, batch_size=20, random_state=0
    )
    assert len(kept) == 4
    first = network.draw(0)
    np.testing.assert_array_equal(kept[0][0]["weights"], first[0]["weights"])
    np.testing.assert_array_equal(kept[-1][0]["weights"], run.parameters[0]["weights"])


def test_a_descent_follows_the_rule_of_its_optimizer():
    rules = {
        "sgd": {"optimizer": "sgd", "learning_rate": 0.95},
        "momentum": {"optimizer": "momentum", "learning_rate": 0.1},
    }
    paths = descend(rules, steps=30)
    point, velocity = np.array([-7.0, 2.0]), np.zeros(2)
    for seen in paths.points["momentum"][1:]:
        velocity = 0.9 * velocity - 0.1 * point * [0.1, 2.0]
        point = point + velocity
        np.testing.assert_allclose(seen, point, rtol=1e-9)
    steps = np.arange(31)[:, None]
    exact = np.array([-7.0, 2.0]) * (1 - 0.95 * np.array([0.1, 2.0])) ** steps
    np.testing.assert_allclose(paths.points["sgd"], exact, rtol=1e-9)
    assert paths.z.shape == (len(paths.y), len(paths.x))


def test_steps_are_recorded_one_by_one():
    network = tw.DenseNetwork.from_sizes((4, 8, 2))
    settings = {"loss": "cross_entropy", "learning_rate": 0.02, "batch_size": 20}
    history = train_steps(network, X, y, 60, **settings)
    assert len(history) == 60
    assert history.loss[-10:].mean() < history.loss[:10].mean()
    assert (np.diff(history.seconds) > 0).all()


def test_a_look_inside_sees_each_layer():
    run = tw.fit(
        tw.DenseNetwork.from_sizes((4, 8, 2)), X, y,
        loss="cross_entropy", epochs=3, batch_size=20, random_state=0,
    )  # fmt: skip
    seen = look_inside(run, X, y)
    assert [a.shape for a in seen.activations] == [(80, 8), (80, 2)]
    assert [g.shape for g in seen.gradients] == [(4, 8), (8, 2)]
    by_hand = np.maximum(
        X @ run.parameters[0]["weights"] + run.parameters[0]["bias"], 0
    )
    np.testing.assert_allclose(seen.activations[0], by_hand, rtol=1e-9)
    untrained = look_inside(run.network, X, random_state=1)
    assert untrained.gradients == ()
