"""The drop-in estimators give scikit-learn's numbers.

Each case is fitted by scikit-learn and by us, on the same float64 data from the same
`random_state`. A case that differs by more than the tolerance passes only if
scikit-learn's own numbers differ as much once X moves by one unit in the last place.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn import neural_network as theirs
from sklearn.datasets import load_iris

import thalweg as ours
from thalweg.core.types import Array

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.RandomState(0)
X = RNG.standard_normal((97, 5))
WEIGHTS = RNG.uniform(0.1, 3, 97)
SIGNAL = X @ RNG.standard_normal((5, 4)) + RNG.standard_normal((97, 4))
TARGETS = {
    "binary": SIGNAL[:, 0] > 0,
    "multiclass": np.array(["a", "b", "c"])[SIGNAL[:, :3].argmax(axis=1)],
    "multilabel": (SIGNAL[:, :3] > 0).astype(int),
    "regression": SIGNAL[:, 0],
    "outputs": SIGNAL[:, :2],
    "counts": np.floor(np.exp(SIGNAL[:, 0] / 2)),
}
TOLERANCE = 1e-8


def fit(estimator: Any, X: Array, y: Array) -> None:
    estimator.fit(X, y)


def fit_twice(estimator: Any, X: Array, y: Array) -> None:
    estimator.set_params(warm_start=True).fit(X, y).fit(X, y)


def fit_weighted(estimator: Any, X: Array, y: Array) -> None:
    estimator.fit(X, y, sample_weight=WEIGHTS)


def fit_partially(estimator: Any, X: Array, y: Array) -> None:
    classes = {"classes": np.unique(y)} if hasattr(estimator, "predict_proba") else {}
    for rows in (slice(0, 40), slice(40, 97), slice(0, 40), slice(20, 60)):
        estimator.partial_fit(X[rows], y[rows], **classes)


class Case(NamedTuple):
    """What is fitted how; the estimator's class follows from the target."""

    target: str
    parameters: dict[str, Any] = {}  # noqa: RUF012
    action: Callable[[Any, Array, Array], None] = fit


STOPPING = {"early_stopping": True, "n_iter_no_change": 5}
SGD = {"solver": "sgd", "learning_rate_init": 0.05}
MOMENTA = {
    "plain": {"momentum": 0.0},
    "momentum": {"nesterovs_momentum": False},
    "nesterov": {},
}
SCHEDULES = {
    "constant": {},
    "invscaling": {"power_t": 0.3},
    "adaptive": {"tol": 1e-2, "n_iter_no_change": 2},
}

CASES = {
    "binary": Case("binary"),
    "multiclass": Case("multiclass"),
    "multilabel": Case("multilabel"),
    "regression": Case("regression"),
    "outputs": Case("outputs"),
    "poisson": Case("counts", {"loss": "poisson"}),
    "unshuffled": Case("multiclass", {"shuffle": False}),
    "one batch": Case("multiclass", {"batch_size": 97}),
    "penalized": Case("multiclass", {"alpha": 1.0}),
    "no hidden layer": Case("regression", {"hidden_layer_sizes": ()}),
    "own betas": Case("binary", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-2}),
    "converged": Case("regression", {"tol": 1e-2, "n_iter_no_change": 3}),
    **{
        f"activation {name}": Case("binary", {"activation": name})
        for name in ("identity", "logistic", "tanh")
    },
    **{
        f"sgd {momentum} {schedule}": Case(
            "multiclass",
            {**SGD, **MOMENTA[momentum], **SCHEDULES[schedule]}
            | {"learning_rate": schedule},
        )
        for momentum in MOMENTA
        for schedule in SCHEDULES
    },
    "sgd regression": Case("outputs", {**SGD, "learning_rate_init": 0.01}),
    "stopping binary": Case("binary", STOPPING),
    "stopping multiclass": Case("multiclass", STOPPING),
    "stopping multilabel": Case("multilabel", STOPPING),
    "stopping regression": Case("regression", STOPPING),
    "stopping adaptive": Case(
        "binary", {**STOPPING, **SGD, "learning_rate": "adaptive"}
    ),
    "stopping weighted": Case("binary", STOPPING, fit_weighted),
    "warm adam": Case("binary", {"max_iter": 15}, fit_twice),
    "warm invscaling": Case(
        "binary", {**SGD, "learning_rate": "invscaling", "max_iter": 15}, fit_twice
    ),
    "warm stopping": Case("binary", {**STOPPING, "max_iter": 15}, fit_twice),
    "weighted binary": Case("binary", {}, fit_weighted),
    "weighted sgd": Case("multiclass", SGD, fit_weighted),
    "weighted regression": Case("outputs", {}, fit_weighted),
    "partial binary": Case("binary", {}, fit_partially),
    "partial multiclass": Case("multiclass", {}, fit_partially),
    "partial regression": Case("regression", {}, fit_partially),
    "partial adaptive": Case(
        "multiclass", {**SGD, "learning_rate": "adaptive"}, fit_partially
    ),
    "partial invscaling": Case(
        "multiclass", {**SGD, "learning_rate": "invscaling"}, fit_partially
    ),
    **{
        f"lbfgs {target}": Case(target, {"solver": "lbfgs", "max_iter": 15})
        for target in ("binary", "multiclass", "multilabel", "regression", "outputs")
    },
    "lbfgs poisson": Case(
        "counts", {"solver": "lbfgs", "max_iter": 15, "loss": "poisson"}
    ),
    "lbfgs weighted": Case(
        "multiclass", {"solver": "lbfgs", "max_iter": 15}, fit_weighted
    ),
    "lbfgs warm": Case("binary", {"solver": "lbfgs", "max_iter": 7}, fit_twice),
}


def make(library: Any, target: str, **parameters: Any) -> Any:
    """Make an estimator for a target, with a small network."""
    labels = target in ("binary", "multiclass", "multilabel")
    kind = library.MLPClassifier if labels else library.MLPRegressor
    common = {"hidden_layer_sizes": (7, 4), "batch_size": 25, "max_iter": 40}
    return kind(**{**common, "random_state": 3, **parameters})


def numbers(library: Any, case: Case, X: Array) -> dict[str, Any]:
    """Fit a case and return all that must agree."""
    estimator = make(library, case.target, **case.parameters)
    case.action(estimator, X, TARGETS[case.target])
    counts = {"n_iter_": estimator.n_iter_, "t_": estimator.t_}
    # scikit-learn's L-BFGS leaves neither a curve nor scores.
    curves = {
        name: getattr(estimator, name)
        for name in ("loss_curve_", "validation_scores_", "best_loss_")
        if case.parameters.get("solver") != "lbfgs"
    }
    predict = getattr(estimator, "predict_proba", estimator.predict)
    weights = {"coefs_": estimator.coefs_, "intercepts_": estimator.intercepts_}
    return {**counts, **curves, **weights, "loss_": estimator.loss_, "y": predict(X)}


def differing(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the names of the numbers that do not agree."""
    return [
        name
        for name, value in expected.items()
        if not agrees(found[name], value, exact=name in ("n_iter_", "t_"))
    ]


def agrees(found: Any, expected: Any, exact: bool) -> bool:
    if expected is None or found is None:
        return found is expected
    if isinstance(expected, list):
        return len(found) == len(expected) and all(
            agrees(f, e, exact) for f, e in zip(found, expected, strict=True)
        )
    tolerance = 0 if exact else TOLERANCE
    close = np.allclose(found, expected, rtol=tolerance, atol=tolerance)
    return np.shape(found) == np.shape(expected) and close


@pytest.mark.parametrize("name", CASES)
def test_same_numbers(name: str) -> None:
    case = CASES[name]
    expected = numbers(theirs, case, X)
    different = differing(numbers(ours, case, X), expected)
    if different:
        moved = numbers(theirs, case, np.nextafter(X, np.inf))
        assert differing(moved, expected), f"{different} differ from scikit-learn's"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "binary",
        "sgd nesterov invscaling",
        "stopping weighted",
        "partial multiclass",
        "weighted regression",
        "lbfgs multiclass",
    ],
)
def test_same_numbers_on_jax(name: str) -> None:
    case = CASES[name]
    on_jax = case._replace(parameters={**case.parameters, "engine": "jax"})
    assert differing(numbers(ours, on_jax, X), numbers(theirs, case, X)) == []


def test_numbers_that_differ_are_seen() -> None:
    case = CASES["binary"]
    expected = numbers(theirs, case, X)
    assert differing(expected, expected) == []
    other = numbers(theirs, case._replace(parameters={"alpha": 0.1}), X)
    assert {"coefs_", "loss_curve_", "y"} <= set(differing(other, expected))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_same_numbers_with_defaults(solver: str) -> None:
    iris, y = load_iris(return_X_y=True)
    found = ours.MLPClassifier(solver=solver, random_state=0).fit(iris, y)
    expected = theirs.MLPClassifier(solver=solver, random_state=0).fit(iris, y)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=TOLERANCE)
    probabilities = np.asarray(expected.predict_proba(iris))
    np.testing.assert_allclose(found.predict_proba(iris), probabilities, atol=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["binary", "multiclass", "regression", "outputs"])
def test_whole_lbfgs_ends_as_well(target: str) -> None:
    y = TARGETS[target]
    parameters = {"solver": "lbfgs", "alpha": 1.0, "activation": "tanh"}
    found = make(ours, target, **parameters, max_iter=1000).fit(X, y)
    expected = make(theirs, target, **parameters, max_iter=1000).fit(X, y)
    assert found.loss_ == pytest.approx(expected.loss_, rel=0.02)
    assert found.score(X, y) == pytest.approx(expected.score(X, y), abs=0.02)
    assert found.t_ == expected.t_ == 0


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("pair", [(ours, theirs), (theirs, ours)], ids=["to", "from"])
def test_weights_of_the_other_library_predict_the_same(target: str, pair: Any) -> None:
    loss = {"loss": "poisson"} if target == "counts" else {}
    giver, taker = (
        make(library, target, **loss, max_iter=2, random_state=seed)
        for seed, library in enumerate(pair)
    )
    giver.fit(X, TARGETS[target])
    taker.fit(X, TARGETS[target])
    taker.coefs_, taker.intercepts_ = giver.coefs_, giver.intercepts_
    if hasattr(giver, "predict_proba"):
        np.testing.assert_array_equal(taker.predict(X), giver.predict(X))
        np.testing.assert_allclose(taker.predict_proba(X), giver.predict_proba(X))
    else:
        np.testing.assert_allclose(taker.predict(X), giver.predict(X))
