"""What the estimators offer beyond scikit-learn's, one test a promise."""

import warnings
from typing import Any

import numpy as np
import optax
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.preprocessing import StandardScaler

from thalweg import EpochRecord, MLPClassifier, MLPRegressor
from thalweg.core.optimizers import FULL_BATCH, OPTIMIZERS
from thalweg.core.types import Array
from thalweg.estimators.mlp.parameters import make_plan

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.RandomState(0)
X = RNG.standard_normal((80, 3))
SIGNAL = X @ [2.0, -1.0, 0.5]
Y = (SIGNAL > 0).astype(int)
THREE = np.digitize(SIGNAL, [-1, 1])
LABELS = (X > 0).astype(int)
NOISE = RNG.standard_normal(80)


def classifier(**parameters: Any) -> Any:
    common = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 30}
    return MLPClassifier(**{**common, "learning_rate_init": 0.05, **parameters})


def regressor(loss: Any = "squared_error", **parameters: Any) -> Any:
    common = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 30}
    return MLPRegressor(loss, **{**common, "learning_rate_init": 0.05, **parameters})


def step(**parameters: Any) -> tuple[Array, Array]:
    """All weights before and after one plain gradient step on all rows."""
    plain = {"solver": "sgd", "momentum": 0.0, "batch_size": 80, "max_iter": 1}
    clf = classifier(**plain, warm_start=True, **parameters).initialize(X, Y)
    before = flat(clf)
    return before, flat(clf.fit(X, Y))


def flat(estimator: Any) -> Array:
    return np.concatenate([w.ravel() for w in estimator.coefs_ + estimator.intercepts_])


# --------------------------------------------------------------------- solvers


@pytest.mark.parametrize("name", [*OPTIMIZERS, *FULL_BATCH])
def test_every_optimizer_is_a_solver(name: str) -> None:
    plan = make_plan(classifier(solver=name), "cross_entropy")
    expected = "nesterov" if name == "sgd" else name
    assert plan.optimizer.name == expected
    assert plan.full_batch == (name in FULL_BATCH)


@pytest.mark.slow
@pytest.mark.parametrize(
    "solver",
    [
        "rmsprop",
        ("adamw", {"weight_decay": 0.1}),
        optax.adam(0.05),
        "lbfgs_on_device",
        "cg",
        "bfgs",
        "tnc",
        "trust-ncg",
        "trust-krylov",
        "trust-exact",
        "L-BFGS-B",
        ("lbfgs", {"max_corrections": 5}),
        "newton-cg",
    ],
    ids=lambda solver: "optax" if hasattr(solver, "update") else str(solver),
)
def test_solvers_learn_and_leave_a_history(solver: Any) -> None:
    clf = classifier(solver=solver).fit(X, Y, X_val=X[:20], y_val=Y[:20])
    history = clf.history_
    assert clf.score(X, Y) > 0.9
    assert len(history) == clf.n_iter_ == len(clf.loss_curve_)
    assert history.loss[-1] < history.loss[0]
    assert np.isfinite(history.validation_loss).all()
    assert np.isfinite(history.validation_score).all()
    assert clf.stop_reason_.endswith(".")
    counted = np.isfinite(history.evaluations).all()
    plan = make_plan(clf, "cross_entropy")
    assert counted == (plan.full_batch or plan.on_device)


def test_weights_can_be_bounded_and_biases_are_not() -> None:
    clf = classifier(solver="lbfgs", alpha=0.0, bounds=(0.0, 0.25)).fit(X, Y)
    weights = np.concatenate([own.ravel() for own in clf.coefs_])
    assert ((weights >= 0) & (weights <= 0.25)).all()
    assert (weights == 0).any()
    assert (weights == 0.25).any()
    assert min(own.min() for own in clf.intercepts_) < 0
    assert max(own.max() for own in clf.intercepts_) > 0.25


def test_least_squares_have_their_own_method() -> None:
    reg = regressor(solver="levenberg-marquardt", activation="tanh").fit(X, SIGNAL)
    assert reg.loss_ < regressor(solver="lbfgs", activation="tanh").fit(X, SIGNAL).loss_
    assert reg.score(X, SIGNAL) > 0.99


def test_solvers_hand_over_in_phases() -> None:
    clf = classifier(solver=["adam", "lbfgs"], max_iter=20).fit(X, Y)
    adam = classifier(solver="adam", max_iter=20).fit(X, Y)
    np.testing.assert_allclose(clf.loss_curve_[:20], adam.loss_curve_, rtol=1e-12)
    assert clf.loss_ < adam.loss_
    assert clf.stop_reason_.startswith("adam: All 20 epochs were done. Then lbfgs: ")
    assert not hasattr(clf, "partial_fit")
    with pytest.raises(ValueError, match="'solver' parameter"):
        classifier(solver=["adam", "lbfsg"]).fit(X, Y)


def test_rate_of_none_is_the_solvers_own() -> None:
    assert make_plan(classifier(solver="lion"), "squared").rate == 0.05
    lion = classifier(solver="lion", learning_rate_init=None)
    assert make_plan(lion, "squared").rate == 1e-4
    assert make_plan(classifier(solver=optax.sgd(0.1)), "squared").rate == 1


def test_partial_fit_follows_the_solver() -> None:
    assert hasattr(classifier(solver="lion"), "partial_fit")
    assert not hasattr(classifier(solver="cg"), "partial_fit")
    assert not hasattr(regressor(solver=("lbfgs", {})), "partial_fit")


@pytest.mark.parametrize("solver", ["adam", "rmsprop"])
def test_schedule_for_every_first_order_solver(solver: str) -> None:
    schedule = ("step", {"every": 2, "factor": 0.5})
    clf = classifier(solver=solver, schedule=schedule, max_iter=5).fit(X, Y)
    expected = 0.05 * np.array([1, 1, 0.5, 0.5, 0.25])
    np.testing.assert_allclose(clf.history_.rate, expected)


@pytest.mark.parametrize(
    "setting", [{"schedule": "cosine"}, {"weight_decay": 0.1}, {"clip_norm": 1.0}]
)
def test_what_a_full_batch_solver_cannot_heed_is_refused(
    setting: dict[str, Any],
) -> None:
    with pytest.raises(ValueError, match="'lbfgs', which does not use it"):
        classifier(solver="lbfgs", **setting).fit(X, Y)


def test_dropout_is_refused_by_a_full_batch_solver() -> None:
    with pytest.raises(ValueError, match="dropout"):
        classifier(solver="cg", dropout=0.5).fit(X, Y)


# --------------------------------------------------------------------- network


def test_activation_per_layer() -> None:
    activation = ["tanh", ("leaky_relu", {"slope": 0.3})]
    reg = regressor(hidden_layer_sizes=(4, 5), activation=activation, max_iter=3)
    reg.fit(X, SIGNAL)
    (w1, w2, w3), (b1, b2, b3) = reg.coefs_, reg.intercepts_
    z = np.tanh(X @ w1 + b1) @ w2 + b2
    expected = np.where(z >= 0, z, 0.3 * z) @ w3 + b3
    np.testing.assert_allclose(reg.predict(X), expected[:, 0], atol=1e-12)


def test_activation_of_ones_own() -> None:
    reg = regressor(activation=lambda z: z * abs(z), max_iter=3).fit(X, SIGNAL)
    z = X @ reg.coefs_[0] + reg.intercepts_[0]
    expected = (z * abs(z)) @ reg.coefs_[1] + reg.intercepts_[1]
    np.testing.assert_allclose(reg.predict(X), expected[:, 0], atol=1e-12)


def test_dropout_acts_in_training_alone() -> None:
    dropped = classifier(dropout=0.5, max_iter=3).fit(X, Y)
    again = classifier(dropout=[0.5], max_iter=3).fit(X, Y)
    whole = classifier(max_iter=3).fit(X, Y)
    np.testing.assert_array_equal(flat(dropped), flat(again))
    assert abs(flat(dropped) - flat(whole)).max() > 1e-3
    np.testing.assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))


def test_batch_norm_learns_from_inputs_of_any_scale() -> None:
    small = X * 1e-3
    assert classifier(batch_norm=True).fit(small, Y).score(small, Y) > 0.9
    assert classifier().fit(small, Y).score(small, Y) < 0.8


def test_layer_norm_takes_the_scale_out_of_a_row() -> None:
    for layer_norm in (True, False):
        clf = classifier(layer_norm=layer_norm, max_iter=3).fit(X, Y)
        before = clf.predict_proba(X)
        clf.coefs_[0], clf.intercepts_[0] = clf.coefs_[0] * 9, clf.intercepts_[0] * 9
        same = np.allclose(clf.predict_proba(X), before, atol=1e-3)
        assert same is layer_norm


def test_init_draws_the_first_weights() -> None:
    wide = classifier(hidden_layer_sizes=(5000,), init="he_normal").initialize(X, Y)
    assert wide.coefs_[0].std() == pytest.approx(np.sqrt(2 / 3), rel=0.05)
    assert not wide.intercepts_[0].any()
    ones = classifier(init=lambda rng, i, o: np.ones((i, o))).initialize(X, Y)
    assert (ones.coefs_[0] == 1).all()


def test_initialize_draws_as_fit_would() -> None:
    ours = classifier(warm_start=True).initialize(X, Y)
    still = TheirClassifier((6,), random_state=0, learning_rate_init=1e-300, max_iter=1)
    still.fit(X, Y)
    for found, expected in zip(ours.coefs_, still.coefs_, strict=True):
        np.testing.assert_array_equal(found, expected)
    expected = np.asarray(still.predict_proba(X))
    np.testing.assert_allclose(ours.predict_proba(X), expected)
    assert ours.fit(X, Y).score(X, Y) > 0.9


# ---------------------------------------------------------- losses and penalties


@pytest.mark.parametrize(
    "loss", ["cross_entropy", ("focal", {"gamma": 1.0}), "hinge"], ids=str
)
@pytest.mark.parametrize("y", [Y, THREE], ids=["binary", "multiclass"])
def test_losses_classify(loss: Any, y: Array) -> None:
    clf = classifier(loss=loss, max_iter=60).fit(X, y)
    assert clf.score(X, y) > 0.85
    assert clf.n_outputs_ == len(np.unique(y))
    if loss == "hinge":
        assert not hasattr(clf, "predict_proba")
        assert not hasattr(clf, "predict_log_proba")
    else:
        np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1)


def test_loss_of_ones_own_has_no_probabilities() -> None:
    clf = classifier(loss=lambda z, y: ((z - 1) ** 2).sum(axis=1), max_iter=2)
    assert clf.fit(X, THREE).predict(X).shape == (80,)
    assert not hasattr(clf, "predict_proba")


def test_labels_are_smoothed() -> None:
    loss = ("binary_cross_entropy", {"label_smoothing": 0.5})
    for y in (LABELS, Y):
        smooth = classifier(loss=loss, max_iter=200).fit(X, y).predict_proba(X)
        assert smooth.max() < classifier(max_iter=200).fit(X, y).predict_proba(X).max()


@pytest.mark.parametrize(
    ("loss", "y"),
    [("focal", LABELS), ("binary_cross_entropy", THREE), (len, LABELS)],
    ids=["focal", "binary", "own"],
)
def test_loss_must_suit_the_target(loss: Any, y: Array) -> None:
    with pytest.raises(ValueError, match="which does not suit multi"):
        classifier(loss=loss).fit(X, y)


def test_quantiles_are_where_they_should_be() -> None:
    y = SIGNAL + NOISE
    for quantile in (0.1, 0.9):
        loss = ("quantile", {"quantile": quantile})
        reg = regressor(loss, max_iter=300, n_iter_no_change=np.inf).fit(X, y)
        assert (y < reg.predict(X)).mean() == pytest.approx(quantile, abs=0.07)


def test_robust_losses_leave_an_outlier_alone() -> None:
    y = SIGNAL.copy()
    y[0] = 500
    squared, *robust = (
        abs(regressor(loss, max_iter=200).fit(X, y).predict(X) - SIGNAL)[1:].mean()
        for loss in ("squared_error", "absolute_error", ("huber", {"delta": 0.5}))
    )
    assert max(robust) < squared / 3


def test_class_weights_are_sample_weights() -> None:
    weights = np.where(THREE == 1, 5.0, np.where(THREE == 2, 0.5, 1.0))
    by_class = classifier(class_weight={1: 5.0, 2: 0.5}).fit(X, THREE)
    by_row = classifier().fit(X, THREE, sample_weight=weights)
    np.testing.assert_array_equal(flat(by_class), flat(by_row))
    balanced = classifier(class_weight="balanced").fit(X, THREE)
    weights = 80 / (3 * np.bincount(THREE)[THREE])
    by_row = classifier().fit(X, THREE, sample_weight=weights)
    np.testing.assert_allclose(balanced.predict_proba(X), by_row.predict_proba(X))


def test_penalty_of_the_sample_does_not_depend_on_the_batch() -> None:
    sgd: dict[str, Any] = {"solver": "sgd", "batch_size": 20, "max_iter": 5}
    batch = classifier(**sgd, alpha=0.1).fit(X, Y)
    sample = classifier(**sgd, alpha=0.1 * 80 / 20, penalty_scale="sample").fit(X, Y)
    np.testing.assert_allclose(flat(batch), flat(sample), atol=1e-12)


def test_l1_empties_weights() -> None:
    plain, sparse = (classifier(l1=l1, max_iter=200).fit(X, Y) for l1 in (0.0, 3.0))
    small = [np.mean(abs(clf.coefs_[0]) < 0.01) for clf in (plain, sparse)]
    assert small[1] > small[0] + 0.3


def test_weight_decay_is_decoupled() -> None:
    before, plain = step()
    _, decayed = step(weight_decay=0.2)
    n_weights = 3 * 6 + 6
    expected = plain[:n_weights] - 0.05 * 0.2 * before[:n_weights]
    np.testing.assert_allclose(decayed[:n_weights], expected)
    np.testing.assert_allclose(decayed[n_weights:], plain[n_weights:])


def test_clip_norm_bounds_the_step() -> None:
    before, after = step(clip_norm=0.01)
    assert np.linalg.norm(after - before) == pytest.approx(0.05 * 0.01)


# -------------------------------------------------------------- data and stopping


def test_scaling_inside_is_scaling_before() -> None:
    inside = classifier(scale_inputs=True).fit(X * 100, Y)
    scaled = StandardScaler().fit_transform(X * 100)
    before = classifier().fit(scaled, Y)
    np.testing.assert_array_equal(flat(inside), flat(before))
    expected = before.predict_proba(scaled)
    np.testing.assert_allclose(inside.predict_proba(X * 100), expected)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("solver", ["adam", "lbfgs", ["adam", "cg"]], ids=str)
def test_watched_rows_change_nothing(solver: Any, early: bool) -> None:
    model = classifier(solver=solver, max_iter=60, n_iter_no_change=3)
    model.set_params(early_stopping=early)
    plain = model.fit(X, Y).stop_reason_, model.history_.loss.tolist(), flat(model)
    model.fit(X, Y, X_val=X[:20], y_val=1 - Y[:20], watch_only=True)
    watched = model.stop_reason_, model.history_.loss.tolist(), flat(model)
    assert watched[:2] == plain[:2]
    np.testing.assert_array_equal(watched[2], plain[2])
    assert np.isfinite(model.history_.validation_score).all()
    if not early or solver == "lbfgs":  # early stopping records its own rows
        assert model.history_.validation_score[-1] == model.score(X[:20], 1 - Y[:20])


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "cg"])
def test_given_rows_stop_every_solver(solver: str) -> None:
    noise = np.random.RandomState(1).randint(2, size=80)
    clf = classifier(solver=solver, max_iter=200, n_iter_no_change=3, scoring="roc_auc")
    clf.fit(X, noise, X_val=X[:20], y_val=1 - noise[:20])
    assert "validation score had not improved" in clf.stop_reason_
    assert clf.n_iter_ == len(clf.validation_scores_) < 200
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    best = roc_auc_score(1 - noise[:20], clf.predict_proba(X[:20])[:, 1])
    assert best == pytest.approx(clf.best_validation_score_)


@pytest.mark.parametrize("solver", ["adam", "cg", ("lbfgs", {})], ids=str)
def test_held_out_share_stops_the_others(solver: Any) -> None:
    reg = regressor(
        solver=solver, early_stopping=True, scoring="neg_mean_squared_error"
    )
    reg.fit(X, SIGNAL)
    assert len(reg.validation_scores_) == reg.n_iter_
    assert max(reg.validation_scores_) <= 0


@pytest.mark.parametrize("scoring", ["f1_macro", "neg_log_loss", None])
def test_scoring_sees_labels(scoring: str | None) -> None:
    names = np.array(["low", "middle", "high"])[THREE]
    clf = classifier(scoring=scoring, early_stopping=True).fit(X, names)
    assert np.isfinite(clf.validation_scores_).all()


def test_scoring_may_be_a_function() -> None:
    def count(estimator: Any, X: Array, y: Array) -> float:
        return float((estimator.predict(X) == y).all(axis=1).sum())

    clf = classifier(scoring=count).fit(X, LABELS, X_val=X[:20], y_val=LABELS[:20])
    assert clf.best_validation_score_ == count(clf, X[:20], LABELS[:20]) > 5


def test_validation_data_must_fit() -> None:
    with pytest.raises(ValueError, match="Give both of them or neither"):
        classifier().fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match="classes not in"):
        classifier(warm_start=True).fit(X, Y, X_val=X, y_val=Y + 1)
    with pytest.raises(ValueError, match="as many columns"):
        regressor().fit(X, X, X_val=X, y_val=SIGNAL)
    with pytest.raises(ValueError, match="2 features"):
        regressor().fit(X, SIGNAL, X_val=X[:, :2], y_val=SIGNAL)


def test_validation_data_need_not_hold_every_class() -> None:
    clf = classifier(warm_start=True, max_iter=2)
    for _ in range(2):
        clf.fit(X, THREE, X_val=X[THREE == 1], y_val=THREE[THREE == 1])
    assert clf.best_validation_score_ > 0


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_dtype_is_what_is_computed_in(solver: str) -> None:
    clf = classifier(solver=solver, dtype="float32").fit(X, Y)
    assert {w.dtype for w in clf.coefs_} == {np.dtype("float32")}
    assert clf.score(X, Y) > 0.9


def test_engine_says_which_ran_and_why() -> None:
    assert classifier(engine="jax", max_iter=1).fit(X, Y).engine_.startswith("jax (")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_see_every_epoch_and_stop(solver: str) -> None:
    seen: list[EpochRecord] = []

    def stop_at_three(record: EpochRecord) -> bool:
        seen.append(record)
        return record.epoch == 3

    clf = classifier(solver=solver, callbacks=[stop_at_three]).fit(X, Y)
    assert [record.epoch for record in seen] == [1, 2, 3]
    assert [record.loss for record in seen] == clf.loss_curve_
    assert clf.n_iter_ == 3
    assert clf.stop_reason_ == "A callback asked to stop."


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_max_time_stops(solver: str) -> None:
    clf = classifier(solver=solver, max_time=1e-9).fit(X, Y)
    assert clf.n_iter_ == 1
    assert "time budget" in clf.stop_reason_


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_verbose_prints_every_epoch_and_why_it_ended(
    solver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clf = classifier(solver=solver, verbose=True, max_iter=3).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Iteration 1, loss = {clf.loss_curve_[0]:.8f}"
    assert len(lines) == 4
    assert lines[-1] == clf.stop_reason_


def test_changed_sizes_are_not_taken_in_by_a_warm_start() -> None:
    clf = classifier(warm_start=True, max_iter=2).fit(X, Y)
    with pytest.warns(UserWarning, match=r"on with the weights .* have \[6\] units"):
        clf.set_params(hidden_layer_sizes=(3,)).fit(X, Y)
    assert clf.predict(X).shape == (80,)
    assert clf.coefs_[0].shape == (3, 6)


def test_batches_without_weight_are_passed_over() -> None:
    weights = np.repeat([0.0, 1.0], 40)
    batches: dict[str, Any] = {"batch_size": 20, "shuffle": False}
    clf = classifier(**batches, alpha=0.0).fit(X, Y, sample_weight=weights)
    assert np.isfinite(flat(clf)).all()


def test_lbfgs_that_is_done_before_it_begins_keeps_its_loss() -> None:
    clf = classifier(solver="lbfgs", warm_start=True, max_iter=500, tol=0.1).fit(X, Y)
    loss = clf.loss_
    assert clf.fit(X, Y).n_iter_ == 0
    assert clf.loss_ == loss


# --------------------------------------------------------------------- complaints


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("solver", "adm", "Got 'adm' instead. Did you mean 'adam'?"),
        (
            "solver",
            3,
            "an object implementing 'init' and 'update' or a list of these. G",
        ),
        ("activation", "rleu", "Got 'rleu' instead. Did you mean 'relu'?"),
        ("activation", ["relu", "relu"], "one for each of the 1 hidden layers"),
        ("activation", ["rleu"], "must be a str among {'elu', "),
        ("loss", "log-loss", "Did you mean 'log_loss'?"),
        ("schedule", "cosin", "Did you mean 'cosine'?"),
        ("init", "he_norml", "Did you mean 'he_normal'?"),
        ("learning_rate", "adaptiv", "Did you mean 'adaptive'?"),
        ("engine", "tpu", "must be a str among {'auto', 'jax', 'native'}"),
        ("dtype", "float16", "must be a str among {'float32', 'float64'} or None"),
        ("hidden_layer_sizes", (2.5,), "an int or a sequence of ints. Got (2.5,)"),
        ("dropout", 1.0, "a float in the range [0.0, 1.0) or a list of these. Got 1.0"),
        ("alpha", -1, "must be a float in the range [0.0, inf). Got -1"),
        (
            "learning_rate_init",
            np.array([0.1, 0.2]),
            "in the range (0.0, inf) or None. Got array",
        ),
        ("batch_size", np.array([8, 9]), "an int in the range [1, inf). Got"),
        ("max_iter", 1.5, "must be an int in the range [1, inf). Got 1.5"),
        (
            "batch_norm",
            1,
            "must be an instance of 'bool' or an instance of 'numpy.bool'. Got 1",
        ),
        ("callbacks", [3], "must be a sequence of callables or None. Got [3]"),
        ("scoring", "acuracy", "acuracy"),
        ("class_weight", "balance", "balance"),
    ],
)
def test_bad_parameters(parameter: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        classifier(**{parameter: value}).fit(X, Y)
    assert message in str(error.value)
    assert parameter in str(error.value)


def test_two_normalizations_are_refused() -> None:
    with pytest.raises(ValueError, match="False where batch_norm is True"):
        classifier(batch_norm=True, layer_norm=True).fit(X, Y)


def test_divergence_names_the_rate() -> None:
    reg = regressor(solver="sgd", learning_rate_init=1e6, activation="identity")
    with pytest.raises(ValueError, match=r"Lower the learning rate \(1e\+06\)"):
        reg.fit(X, SIGNAL)


def test_divergence_after_a_good_epoch_warns_and_keeps_it() -> None:
    reg = regressor(
        solver="sgd", momentum=0.0, activation="identity", schedule=lambda t: 30.0**t
    )
    reg.set_params(learning_rate_init=0.01, max_iter=300)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        reg.fit(X, SIGNAL, X_val=X, y_val=SIGNAL)
    assert "Lower the learning rate" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert np.isfinite(flat(reg)).all()
    assert reg.score(X, SIGNAL) == pytest.approx(reg.best_validation_score_)


@pytest.mark.parametrize(
    "change",
    [{"solver": "sgd"}, {"solver": "lion"}, {"engine": "jax"}, {"dtype": "float32"}],
    ids=str,
)
def test_a_changed_solver_begins_anew_and_says_so(change: dict[str, Any]) -> None:
    rows, y = X[:40], Y[:40]
    clf = classifier().partial_fit(rows, y, classes=np.unique(Y))
    fresh = classifier(**change).partial_fit(rows, y, classes=np.unique(Y))
    fresh.coefs_, fresh.intercepts_ = clf.coefs_, clf.intercepts_
    clf.set_params(**change)
    with pytest.warns(UserWarning, match="begins with a new state"):
        clf.partial_fit(rows, y)
    clf.partial_fit(rows, y)  # with no more words


def test_a_warm_start_says_where_the_best_was_and_compares_no_other_data() -> None:
    clf = classifier(
        early_stopping=True, warm_start=True, max_iter=200, n_iter_no_change=3,
        learning_rate_init=0.05,
    )  # fmt: skip
    clf.fit(X, Y)
    best = clf.best_validation_score_
    clf.fit(X, Y)
    assert (clf.best_validation_score_, clf.n_iter_) == (best, 1)
    assert clf.stop_reason_.endswith("its best was in an earlier fit.")
    other = np.random.default_rng(0).integers(0, len(np.unique(Y)), len(Y))
    clf.fit(X, np.unique(Y)[other])
    assert clf.best_validation_score_ < best
    assert "at epoch" in clf.stop_reason_
