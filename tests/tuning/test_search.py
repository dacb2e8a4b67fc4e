"""A search: spaces, samplers, pruning, honest scores, and what is told of bad input."""

import json
import math
import re
import threading
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import joblib
import matplotlib as mpl  # noqa: TID253 (tests may wait for it)
import numpy as np
import optuna  # noqa: TID253
import pytest
from optuna.distributions import FloatDistribution  # noqa: TID253
from optuna.exceptions import ExperimentalWarning  # noqa: TID253
from optuna_integration import OptunaSearchCV
from scipy import stats
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import thalweg as tw
from thalweg import EpochRecord, MLPClassifier, MLPRegressor
from thalweg.datasets import moons
from thalweg.tuning import runner, samplers
from thalweg.tuning.result import SearchTrial
from thalweg.tuning.space import auto_space, combinations, read_space, starts, suggest
from thalweg.tuning.trial import TrialCallback, TrialHandle

X, Y = moons(120)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DECAY = {"alpha": (1e-6, 1.0, "log")}
WIDE = {**DECAY, "learning_rate_init": (1e-4, 1e-1, "log")}
BY_SOLVER = {
    "solver": {
        "adam": {"learning_rate_init": (1e-3, 1e-1, "log"), "schedule": ["cosine"]},
        "lbfgs": {},
    },
    "hidden_layer_sizes": [(4,), (4, 4)],
}


def model(**parameters: Any) -> Any:
    common = {"hidden_layer_sizes": (6,), "max_iter": 12, "n_iter_no_change": np.inf}
    return MLPClassifier(**{**common, "batch_size": 32, **parameters})


def search(space: Any = WIDE, estimator: Any = None, **options: Any) -> Any:
    common = {"n_trials": 8, "random_state": 0, "repeats": 0, "refit": False}
    estimator = model() if estimator is None else estimator
    return tw.search(estimator, space, X, Y, **{**common, **options})


def values(found: Any) -> list[float]:
    return [trial.value for trial in found.trials]


def params(found: Any) -> list[Any]:
    return [dict(trial.params) for trial in found.trials]


# ---------------------------------------------------------------------- spaces


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        ((1e-6, 1.0, "log"), lambda v: 1e-6 <= v <= 1),
        ((0.1, 0.2), lambda v: 0.1 <= v <= 0.2),
        ([0.5, 0.25], lambda v: v in (0.5, 0.25)),
        (FloatDistribution(0.1, 0.2), lambda v: 0.1 <= v <= 0.2),
        (stats.loguniform(1e-3, 1e-2), lambda v: 1e-3 <= v <= 1e-2),
        (stats.uniform(0.5, 0.1), lambda v: 0.5 <= v <= 0.6),
        (stats.expon(scale=0.01), lambda v: v > 0),
    ],
    ids=["log", "linear", "list", "optuna", "loguniform", "uniform", "expon"],
)
def test_forms_of_a_range(spec: Any, allowed: Callable[[float], bool]) -> None:
    found = search({"alpha": spec}, sampler="random")
    assert all(allowed(each["alpha"]) for each in params(found))
    assert len({each["alpha"] for each in params(found)}) > 1


@pytest.mark.parametrize("spec", [(2, 9), stats.randint(2, 10), stats.poisson(5, 1)])
def test_whole_numbers_stay_whole(spec: Any) -> None:
    found = search({"hidden_layer_sizes": spec}, n_trials=4, sampler="random")
    assert all(type(each["hidden_layer_sizes"]) is int for each in params(found))


def test_a_spread_distribution_is_drawn_as_it_is() -> None:
    """A quantile of the normal distribution's median is its mean."""
    entry = read_space({"alpha": stats.norm(3.0, 0.1)}, model(), 10)["alpha"]
    assert entry.value(0.5) == pytest.approx(3.0)
    assert entry.value(stats.norm.cdf(2)) == pytest.approx(3.2)


def test_conditional_parameters_exist_only_with_their_choice() -> None:
    found = search(BY_SOLVER, n_trials=12, sampler="random")
    solvers = {each["solver"] for each in params(found)}
    assert solvers == {"adam", "lbfgs"}
    for each in params(found):
        assert ("schedule" in each) == (each["solver"] == "adam")
        assert isinstance(each["hidden_layer_sizes"], tuple)
    assert {trial.state for trial in found.trials} == {"complete"}


@pytest.mark.parametrize("n_rows", [100, 5000])
def test_a_search_for_a_table_begins_with_what_did_well_on_others(n_rows: int) -> None:
    estimator = tw.Classifier((64,), l2=2.0)
    space = read_space("auto", estimator, n_rows)
    first, *others = starts(space, estimator, n_rows)
    assert (first["hidden_layer_sizes"], first["l2"]) == ("(64,)", 2.0)
    assert len(others) > 3
    for stored in (first, *others):
        drawn = optuna.trial.FixedTrial(stored)
        suggest(space, drawn)
        assert drawn.params == stored


def test_a_search_of_fewer_trials_than_it_could_begin_with_ends_after_them() -> None:
    table = tw.Classifier((4,), max_epochs=2)
    found = search("auto", table, sampler="tpe", n_trials=2)
    assert len(found.trials) == 2


@pytest.mark.parametrize(
    "estimator",
    [
        MLPClassifier(max_iter=2),
        MLPRegressor(max_iter=2),
        tw.Classifier(max_epochs=2),
        tw.Regressor(max_epochs=2),
        tw.Ensemble(MLPClassifier(max_iter=2), n_members=2),
        make_pipeline(StandardScaler(), tw.Classifier(max_epochs=2)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_automatic_spaces_hold_nothing_that_fails(estimator: Any) -> None:
    found = search("auto", estimator, n_trials=6, sampler="random")
    assert {trial.state for trial in found.trials} == {"complete"}, found.trials
    hidden = [name for name in found.space if name.endswith("hidden_layer_sizes")]
    assert len(hidden) == 1


def test_automatic_spaces_have_what_was_promised() -> None:
    space = auto_space(MLPClassifier(), 1000)
    assert set(space) >= {"hidden_layer_sizes", "activation", "init", "solver", "alpha"}
    first_order = {"learning_rate_init", "schedule", "batch_size", "dropout"}
    assert set(space["solver"]["adam"]) >= {*first_order, "batch_norm"}
    assert space["solver"]["lbfgs"] == {}
    assert max(auto_space(MLPClassifier(), 100)["solver"]["sgd"]["batch_size"]) == 16


# -------------------------------------------------------------------- samplers


GAUSSIAN = pytest.param(
    "gp",
    marks=pytest.mark.skipif(
        find_spec("torch") is None,
        reason="Optuna's Gaussian process needs torch, a gigabyte that only the extra "
        "thalweg[gp] installs",
    ),
)


@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes", "narrowing", GAUSSIAN])
def test_seeded_searches_repeat(sampler: str) -> None:
    once = search(sampler=sampler, n_jobs=1)
    again = search(sampler=sampler, n_jobs=1)
    other = search(sampler=sampler, n_jobs=1, random_state=1)
    assert params(once) == params(again)
    assert values(once) == values(again)
    assert params(once) != params(other)


@pytest.mark.parametrize("sampler", ["random", "grid", "narrowing"])
def test_trials_do_not_depend_on_how_many_run_at_once(sampler: str) -> None:
    space = {"alpha": [0.1, 0.2, 0.3], "solver": ["adam", "sgd"]}
    space = space if sampler == "grid" else WIDE
    one, two = (search(space, sampler=sampler, n_jobs=n) for n in (1, 2))
    assert params(one) == params(two)
    assert values(one) == values(two)
    assert one.best == two.best


def test_grid_tries_everything_once() -> None:
    space = {
        "alpha": [0.1, 0.2],
        "solver": {"adam": {"schedule": ["cosine", "constant"]}, "lbfgs": {}},
        "hidden_layer_sizes": (2, 3),
    }
    found = search(space, sampler="grid", n_trials=None, timeout=60)
    tried = {tuple(sorted(each.items())) for each in params(found)}
    assert len(found.trials) == len(tried) == 2 * 3 * 2
    assert len(combinations(read_space(space, model(), 10))) == 12


def test_a_grid_goes_on_if_two_runners_ask_for_its_last_trial() -> None:
    space = read_space({"alpha": [0.1, 0.2]}, model(), 10)
    study = optuna.create_study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        for index in range(3):
            study.sampler = samplers.make_sampler("grid", 0, index, 2, space)
            suggest(space, study.ask())
    assert [trial.params["alpha"] for trial in study.trials] == [0.1, 0.2, 0.1]


def test_narrowing_goes_where_it_went_well() -> None:
    """The score is best at alpha = 1e-3; each round's range lies in the last one's."""

    def score(fitted: Any, X: Any, y: Any) -> float:
        return -abs(math.log10(fitted.alpha) + 3)

    found = search(
        DECAY, model(max_iter=1), sampler="narrowing", n_trials=40, scoring=score
    )
    rounds = np.log10([each["alpha"] for each in params(found)]).reshape(4, 10)
    spans = np.ptp(rounds, axis=1)
    assert (spans[1:] < spans[:-1]).all()
    assert spans[-1] < 0.2 * spans[0]
    assert found.best_params["alpha"] == pytest.approx(1e-3, rel=0.2)


def test_narrowing_trains_briefly() -> None:
    found = search(sampler="narrowing", n_trials=4, refit=True)
    assert {len(trial.history) for trial in found.trials} == {3}
    assert found.best_estimator.n_iter_ == 12


@pytest.mark.slow
def test_tpe_beats_chance_on_a_plain_slope() -> None:
    def score(fitted: Any, X: Any, y: Any) -> float:
        return -abs(math.log10(fitted.alpha) + 3)

    options = {"n_trials": 30, "scoring": score, "n_jobs": 1}
    guided = search(DECAY, model(max_iter=1), **options)
    chance = search(DECAY, model(max_iter=1), sampler="random", **options)
    assert np.mean(values(guided)[15:]) > np.mean(values(chance)[15:])


def test_a_sampler_of_optunas_is_taken_as_it_is() -> None:
    sampler = optuna.samplers.RandomSampler(seed=3)
    assert len(search(sampler=sampler, n_trials=3).trials) == 3


# --------------------------------------------------------------------- pruning


def good_or_bad(**options: Any) -> Any:
    """Half of the rates learn nothing at all."""
    space = {"learning_rate_init": [1e-9, 0.05]}
    estimator = model(**{"max_iter": 30, **options.pop("parameters", {})})
    return search(space, estimator, sampler="random", n_jobs=1, **options)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "halving", "hyperband"])
def test_hopeless_trials_are_given_up(pruner: str) -> None:
    found = good_or_bad(pruner=pruner, n_trials=20)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    assert all(len(trial.history) < 30 for trial in pruned)
    assert found.best_trial.state == "complete"
    assert found.best_params["learning_rate_init"] == 0.05


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["lbfgs", "cg", "tnc", "trust-krylov", "adam"])
def test_every_solver_can_be_pruned(solver: str) -> None:
    class Late(optuna.pruners.BasePruner):
        def prune(self, study: Any, trial: Any) -> bool:
            return trial.number > 0 and trial.last_step >= 3

    found = search(DECAY, model(solver=solver), pruner=Late(), n_trials=3, n_jobs=1)
    assert [trial.state for trial in found.trials] == ["complete", "pruned", "pruned"]
    assert [len(trial.history) for trial in found.trials[1:]] == [3, 3]


def test_folds_are_pruned_as_one_training() -> None:
    steps: list[int] = []

    class Note(optuna.pruners.BasePruner):
        def prune(self, study: Any, trial: Any) -> bool:
            steps.append(trial.last_step)
            return False

    search(pruner=Note(), n_trials=1, cv=3, n_jobs=1)
    assert steps == list(range(1, 37))


def test_trials_of_other_lengths_are_compared_where_they_are_as_far() -> None:
    steps: dict[int, list[int]] = {}

    class Note(optuna.pruners.BasePruner):
        def prune(self, study: Any, trial: Any) -> bool:
            steps.setdefault(trial.number, []).append(trial.last_step)
            return False

    search({"max_iter": [6, 24]}, pruner=Note(), sampler="grid", cv=2, n_jobs=1)
    assert steps == {0: list(range(2, 25, 2)), 1: list(range(1, 25))}


def test_a_trial_trains_as_the_final_fit_does() -> None:
    """No row that it is scored on has a say: same weights as a plain fit."""
    split = ShuffleSplit(1, test_size=0.2, random_state=0)
    found = search(DECAY, cv=split, n_trials=1, pruner="median", random_state=5)
    ((train, held),) = split.split(X, Y)
    plain = model(**found.best_params, random_state=5).fit(X[train], Y[train])
    assert found.best_score == plain.score(X[held], Y[held])
    np.testing.assert_allclose(
        found.best_trial.history.loss, plain.history_.loss, rtol=1e-5
    )


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_validation_data_are_evaluated_now_and_then(solver: str) -> None:
    """In a search alone, and unless a callback of the user's wants each epoch."""
    own = model(solver=solver, max_iter=45, n_iter_no_change=np.inf, tol=0)
    (trial,) = search(DECAY, own, n_trials=1).trials
    looked = np.flatnonzero(np.isfinite(trial.history.validation_score)) + 1
    assert looked.tolist() == list(range(3, 46, 3))
    assert np.isfinite(trial.history.loss).all()
    seen: list[float] = []
    own.callbacks = [lambda record: seen.append(record.validation_score)]
    search(DECAY, own, n_trials=1, repeats=0, refit=False)
    assert len(seen) == 45
    assert np.isfinite(seen).all()


def test_a_fold_that_ends_before_it_is_looked_at_does_not_hide_the_others() -> None:
    study = optuna.create_study(direction="maximize")
    trial = study.ask()
    handle = TrialHandle(lambda: trial)
    callback = TrialCallback(handle, usual_epochs=40, epochs=40)
    for epoch in (1, 2):  # of two folds: the first converges at once
        callback.begin_fold()
        score = np.nan if epoch == 1 else 0.75
        callback(EpochRecord(epoch, *[np.nan] * 5, validation_score=score))
    assert study.trials[0].intermediate_values == {42: 0.75}


# -------------------------------------------------------------------- honesty


@pytest.mark.slow
def test_the_luck_of_the_best_is_shown() -> None:
    """Labels by chance: the best of many looks good, and fresh trainings do not."""
    rng = np.random.RandomState(0)
    noise, labels = rng.standard_normal((120, 5)), rng.randint(2, size=120)
    space = {"hidden_layer_sizes": (2, 40), **DECAY}
    found = tw.search(
        model(solver="lbfgs"), space, noise, labels, n_trials=30, repeats=8,
        random_state=0, sampler="random", refit=False,
    )  # fmt: skip
    assert len(found.estimates) == 8
    assert found.best_score > found.estimate + 0.05
    # 24 rows, 8 times over: three standard errors of a share of one half
    assert found.estimate == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(24 * 8))
    assert "luck" in str(found)


def test_nested_cross_validation_scores_whole_searches() -> None:
    outer = StratifiedKFold(3, shuffle=True, random_state=1)
    found = search(n_trials=3, nested=outer, sampler="random")
    options: Any = {"n_trials": 3, "sampler": "random", "repeats": 0, "random_state": 0}
    by_hand = [
        tw.search(model(), WIDE, X[rows], Y[rows], **options).best_estimator.score(
            X[rest], Y[rest]
        )
        for rows, rest in outer.split(X, Y)
    ]
    assert found.nested == pytest.approx(by_hand, abs=0)
    assert f"Nested cross-validation: {np.mean(found.nested):.4f}" in str(found)


def test_splits_from_a_generator_serve_every_trial() -> None:
    splits = list(ShuffleSplit(2, test_size=0.3, random_state=0).split(X, Y))
    options: Any = {"n_trials": 2, "sampler": "random", "repeats": 1}
    once, again = search(cv=iter(splits), **options), search(cv=splits, **options)
    assert values(once) == values(again)
    assert once.estimates == again.estimates


def test_nested_folds_are_checked_before_the_search() -> None:
    with pytest.raises(
        ValueError, match=r"nested: search got cv=1; it must be a whole"
    ):
        search(nested=1, callbacks=[lambda trial: pytest.fail("a trial ran")])


def test_validation_rows_can_be_given() -> None:
    found = search(validation=(X[:30], Y[:30]), n_trials=1, repeats=2, random_state=2)
    plain = model(**found.best_params, random_state=2).fit(X, Y)
    assert found.best_score == plain.score(X[:30], Y[:30])


def test_the_winner_is_fitted_on_all_rows_as_it_was_configured() -> None:
    found = search(refit=True, estimator=model(random_state=3))
    again = model(random_state=3, **found.best_params).fit(X, Y)
    np.testing.assert_array_equal(found.best_estimator.coefs_[0], again.coefs_[0])


def test_a_search_with_a_seed_ends_in_the_same_network() -> None:
    first, second = (
        search(refit=True, n_trials=2, sampler="random").best_estimator
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.coefs_[0], second.coefs_[0])


# --------------------------------------------------------------------- results


@pytest.mark.slow
def test_results_survive_json_and_are_drawn_from_it() -> None:
    found = search(BY_SOLVER, n_trials=12, repeats=2, sampler="random")
    read = tw.SearchResult.from_json(json.loads(json.dumps(found.to_json())))
    assert str(read) == str(found)
    assert params(read) == params(found)
    frame = read.to_frame()
    assert list(frame["value"]) == values(found)
    assert frame["learning_rate_init"].isna().any()
    style = dict(mpl.rcParams)
    for what in ("course", "curves", "parallel", "slice"):
        assert read.plot(what).figure_.axes, what
    read.plot("contour", params=["solver", "hidden_layer_sizes"])
    assert dict(mpl.rcParams) == style
    assert read.plot("slice", backend="plotly").figure_.to_json()


def test_best_curves_stand_in_a_grid() -> None:
    found = search(n_trials=8)
    display = found.plot("curves", count=7)
    lines = [ax.lines[0].get_ydata() for ax in display.figure_.axes]
    best = found.ranking()[:7]
    for line, trial in zip(lines, best, strict=True):
        np.testing.assert_array_equal(line, trial.history.validation_score)
    with pytest.raises(ValueError, match="what='colors'"):
        found.plot("colors")


@pytest.mark.parametrize(
    ("scoring", "told"), [("neg_log_loss", "neg_log_loss"), ("f1", "score")]
)
def test_best_curves_show_what_they_say(scoring: str, told: str) -> None:
    """The loss where the search is for it; the network's own score for any other."""
    found = search(n_trials=2, scoring=scoring)
    figure = found.plot("curves").figure_
    (line,) = figure.axes[0].lines
    history = found.best_trial.history
    by_loss = scoring == "neg_log_loss"
    curve = -history.validation_loss if by_loss else history.validation_score
    np.testing.assert_array_equal(line.get_ydata(), curve)
    assert figure.get_supylabel() == f"validation {told}"


def test_importances_and_ranges_find_what_matters() -> None:
    def score(fitted: Any, X: Any, y: Any) -> float:
        return -abs(math.log10(fitted.learning_rate_init) + 2)

    options = {"n_trials": 40, "scoring": score, "sampler": "random"}
    found = search(WIDE, model(max_iter=1), **options)
    assert found.importances["learning_rate_init"] > 0.8
    low, high = found.ranges["learning_rate_init"]
    assert 1e-3 < low < 1e-2 < high < 1e-1
    assert found.ranges["alpha"][0] < 1e-3 < found.ranges["alpha"][1]
    assert found.plot("importances").figure_.axes


def test_callbacks_see_every_trial_and_can_end_it() -> None:
    seen: list[SearchTrial] = []

    def third(trial: SearchTrial) -> Any:
        seen.append(trial)
        return np.bool_(len(seen) == 3)

    found = search(callbacks=[third], n_jobs=1)
    assert [trial.number for trial in seen] == [0, 1, 2]
    assert len(found.trials) == 3


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_keyboard_ends_it_with_what_there_is(n_jobs: int) -> None:
    def strike(trial: SearchTrial) -> None:
        if trial.number == 3:
            raise KeyboardInterrupt

    found = search(callbacks=[strike], n_jobs=n_jobs, n_trials=50)
    assert 3 <= len(found.trials) <= 6
    assert "interrupted" in found.notes[-1]


@pytest.mark.slow
def test_a_pipeline_is_searched_and_pruned_by_its_last_step() -> None:
    pipe = make_pipeline(StandardScaler(), model(max_iter=30))
    space = {
        "mlpclassifier__learning_rate_init": [1e-9, 0.05],
        "standardscaler__with_mean": [True, False],
    }
    options = {"pruner": "median", "n_trials": 20, "refit": True}
    found = search(space, pipe, sampler="random", n_jobs=1, **options)
    assert any(trial.state == "pruned" for trial in found.trials)
    assert found.best_estimator.score(X, Y) > 0.7


def test_other_estimators_are_searched_too() -> None:
    found = search({"C": (1e-3, 1e3, "log")}, LogisticRegression(), pruner="median")
    assert "does not report its score between epochs" in found.notes[0]
    with pytest.raises(ValueError, match="no training curves"):
        found.plot("curves")


def test_epochs_limit_trials_and_not_the_result() -> None:
    found = search(epochs=2, n_trials=2, refit=True)
    assert [len(trial.history) for trial in found.trials] == [2, 2]
    assert found.best_estimator.n_iter_ == 12


# -------------------------------------------------------------------- bad input


BAD: list[tuple[str, Any, dict[str, Any], type[Exception], list[str]]] = [
    ("unknown", {"alfa": (0.1, 1.0)}, {}, ValueError, ["'alfa'", "'alpha'"]),
    ("empty", {"alpha": (1.0, 0.1)}, {}, ValueError, ["(1.0, 0.1)", "empty"]),
    ("point", {"alpha": (1.0, 1.0)}, {}, ValueError, ["below high"]),
    ("endless", {"alpha": (0.0, np.inf)}, {}, ValueError, ["finite"]),
    ("no choice", {"alpha": []}, {}, ValueError, ["at least one"]),
    ("twice", {"alpha": [1.0, 1]}, {}, ValueError, ["twice"]),
    ("log of zero", {"alpha": (0.0, 1.0, "log")}, {}, ValueError, ["above 0"]),
    ("no range", {"solver": ("adam", "sgd")}, {}, TypeError, ["as a list"]),
    ("value", {"alpha": 3}, {}, TypeError, ["space['alpha']=3"]),
    ("no space", {}, {}, TypeError, ["space={}"]),
    ("sampler", DECAY, {"sampler": "tpa"}, ValueError, ["'tpe'", "random"]),
    ("sampler kind", DECAY, {"sampler": 3}, TypeError, ["sampler=3"]),
    ("scorer", DECAY, {"scoring": "acuracy"}, ValueError, ["'accuracy'", "no scorer"]),
    ("pruner", DECAY, {"pruner": "medium"}, ValueError, ["'median'"]),
    ("grid", DECAY, {"sampler": "grid"}, ValueError, ["'alpha'", "List"]),
    ("no trials", DECAY, {"n_trials": 0}, ValueError, ["n_trials=0", "[1, inf)"]),
    ("endless time", DECAY, {"n_trials": None}, ValueError, ["never end"]),
    ("no time", DECAY, {"timeout": 0}, ValueError, ["timeout=0"]),
    ("share", DECAY, {"validation": 1.5}, ValueError, ["validation=1.5"]),
    ("storage", DECAY, {"storage": "study.txt"}, ValueError, [".db", "study.txt"]),
    ("folder", DECAY, {"storage": "no/such/a.db"}, OSError, ["does not exist"]),
    (
        "kinds",
        {"solver": {"adam": {"alpha": (0.1, 1.0)}, "sgd": {"alpha": [0.1]}}},
        {}, ValueError, ["'alpha'", "two branches"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("space", "options", "kind", "parts"),
    [case[1:] for case in BAD],
    ids=[case[0] for case in BAD],
)
def test_what_cannot_be_searched(
    space: Any, options: dict[str, Any], kind: type[Exception], parts: list[str]
) -> None:
    with pytest.raises(kind) as caught:
        search(space, **options)
    for part in parts:
        assert part in str(caught.value)


def test_a_sampler_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs torch.*thalweg\[gp\]"):
        search(sampler="gp")


def test_an_estimator_without_a_space_of_its_own() -> None:
    with pytest.raises(ValueError, match=r"Logistic.+Give a space"):
        search("auto", LogisticRegression())


def test_rows_of_unequal_number() -> None:
    with pytest.raises(ValueError, match="inconsistent numbers"):
        tw.search(model(), WIDE, X, Y[:50])


def test_a_scorer_that_fails_is_told_once() -> None:
    def broken(fitted: Any, X: Any, y: Any) -> float:
        raise RuntimeError("no ruler")

    with pytest.raises(ValueError, match="no ruler") as caught:
        search(scoring=broken, n_trials=50)
    assert str(caught.value).count("no ruler") == 1
    # It gave up after ten of the fifty; some more were under way by then.
    assert re.search(r"all 1\d trials", str(caught.value))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_score_that_is_no_number_is_a_failure() -> None:
    def lost(fitted: Any, X: Any, y: Any) -> float:
        return float("nan")

    with pytest.raises(ValueError, match="score on the validation data is nan"):
        search(scoring=lost, n_trials=2)


def test_some_trials_may_fail() -> None:
    space = {"solver": ["adam", "lbfgs", "none such"], **DECAY}
    found = search(space, n_trials=12, sampler="random")
    failed = [trial for trial in found.trials if trial.state == "failed"]
    assert 0 < len(failed) < 12
    assert all("none such" in trial.why for trial in failed)
    assert math.isnan(failed[0].value)
    assert f"({len(failed)} failed)" in str(found)


@pytest.mark.slow
def test_a_time_budget_shorter_than_a_trial() -> None:
    slow = model(max_iter=10**6)
    begun = time.perf_counter()
    found = search(DECAY, slow, timeout=0.5, n_trials=4)
    assert time.perf_counter() - begun < 10
    assert {trial.state for trial in found.trials} == {"cut"}
    assert "No trial was complete when the time was up" in found.notes[-1]
    assert 0 <= found.best_score <= 1


def test_a_time_budget_ends_a_long_search() -> None:
    found = search(n_trials=10**6, timeout=0.5)
    assert 1 <= len(found.trials) < 10**4
    assert found.best_trial.state == "complete"


def test_more_jobs_than_processors_are_capped_and_said() -> None:
    many = joblib.cpu_count() + 30
    with pytest.warns(UserWarning, match=f"n_jobs={many} is more than"):
        found = search(n_jobs=many, n_trials=2)
    assert f"n_jobs={many}" in found.notes[0]


def test_trials_run_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "available_cpus", lambda: 2)
    names: set[str] = set()
    both = threading.Barrier(2, timeout=30)

    def wait(record: EpochRecord) -> None:
        if record.epoch == 1:
            names.add(threading.current_thread().name)
            both.wait()

    search(estimator=model(callbacks=(wait,)), n_trials=2, n_jobs=2)
    assert len(names) == 2


# --------------------------------------------------- the searches of other people


@pytest.mark.parametrize(
    "kind", [GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV, OptunaSearchCV]
)
@pytest.mark.parametrize(
    "estimator", [model(random_state=0), tw.Classifier(max_epochs=3, random_state=0)],
    ids=["MLPClassifier", "Classifier"],
)  # fmt: skip
def test_searches_of_others_run_on_our_estimators(kind: Any, estimator: Any) -> None:
    """Unchanged, and each finds that a network that may not learn is worse."""
    rate = "alpha" if hasattr(estimator, "alpha") else "l2"
    options: dict[str, Any] = {"cv": 3, "random_state": 0}
    options |= {"n_iter": 2} if kind is RandomizedSearchCV else {}
    options |= {"n_trials": 2} if kind is OptunaSearchCV else {}
    space: Any = {rate: [1e-3, 1e6]}
    if kind is OptunaSearchCV:
        space = {rate: FloatDistribution(1e-3, 1e-2)}
    if kind is GridSearchCV:
        del options["random_state"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.simplefilter("ignore", FutureWarning)  # Optuna's, of itself
        found: Any = kind(estimator, space, **options).fit(X, Y)
    assert found.best_params_[rate] <= 1e-2
    assert found.best_score_ > 0.5
    assert np.shape(found.predict(X)) == Y.shape
