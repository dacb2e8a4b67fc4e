"""Each symptom of the syllabus: a sick case, and the healthy twin that looks like it.

A sick case must be named among the root causes or their symptoms (an alarm, or folded
beneath one); its twin must raise no alarm at all.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_moons

import thalweg as tw
from thalweg.diagnosis.result import Severity
from thalweg.diagnosis.rules import THRESHOLDS

rng = np.random.RandomState


def scaled(load: Any = load_iris) -> Any:
    X, y = load(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def moons(n: Any = 300, noise: Any = 0.2, seed: Any = 0) -> Any:
    return make_moons(n, noise=noise, random_state=seed)


def line(n: Any = 200, noise: Any = 0.1) -> Any:
    X = rng(0).standard_normal((n, 4))
    return X, X @ [1.0, -2.0, 0.5, 0.0] + noise * rng(1).standard_normal(n)


def net(*sizes: int, **options: Any) -> Any:
    return tw.DenseNetwork.from_sizes(sizes, **options)


def clf(**options: Any) -> Any:
    return tw.MLPClassifier(
        **{"hidden_layer_sizes": (30,), "learning_rate_init": 0.01,
           "max_iter": 100, "random_state": 0, **options}
    )  # fmt: skip


def reg(**options: Any) -> Any:
    return tw.MLPRegressor(
        **{"hidden_layer_sizes": (30,), "learning_rate_init": 0.01,
           "max_iter": 200, "random_state": 0, **options}
    )  # fmt: skip


def changed(X: Any, column: Any, value: Any, share: Any = None) -> Any:
    X = X.copy()
    if share is None:
        X[:, column] = X[:, column] * value
    else:
        X[rng(5).permutation(len(X))[: int(share * len(X))], column] = value
    return X


def given(
    subject: Any, X: Any, y: Any, X_val: Any = None, y_val: Any = None, **more: Any
) -> Any:
    return {"subject": subject, "X": X, "y": y, "X_val": X_val, "y_val": y_val, **more}


def fitted(model: Any, X: Any, y: Any, *more: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return given(model.fit(X, y), X, y, *more, **options)


def halves(X: Any, y: Any, seed: Any = 0) -> Any:
    order = rng(seed).permutation(len(y))
    one, two = order[: len(y) // 2], order[len(y) // 2 :]
    return X[one], y[one], X[two], y[two]


# ------------------------------------------------------------------- hand-written


def logistic_data() -> Any:
    X, y = moons(60)
    return X, y.astype(float)


def cost(w: Any, X: Any, y: Any) -> Any:
    z = X @ w["W"] + w["b"]
    penalty = 0.05 * (w["W"] ** 2).sum()
    return np.mean(np.logaddexp(0, z) - y * z) + penalty


def gradient(w: Any, X: Any, y: Any) -> Any:
    d = (1 / (1 + np.exp(-(X @ w["W"] + w["b"]))) - y) / len(y)
    return {"W": X.T @ d + 0.1 * w["W"], "b": d.sum()}


def written(cost: Any = cost, gradient: Any = gradient, **more: Any) -> Any:
    X, y = logistic_data()
    x0 = {"W": np.array([0.3, -0.2]), "b": 0.1}
    return given((cost, gradient), X, y, x0=x0, **more)


def wrong(**changes: Callable[..., Any]) -> Any:
    def wrong_gradient(w: Any, X: Any, y: Any) -> Any:
        right = gradient(w, X, y)
        return {name: changes.get(name, lambda g, w: g)(right[name], w) for name in w}

    return wrong_gradient


def broadcast_cost(w: Any, X: Any, y: Any) -> Any:
    z = (X @ w["W"] + w["b"])[:, None]
    return np.mean((z - y) ** 2)


def broadcast_gradient(w: Any, X: Any, y: Any) -> Any:
    d = 2 * ((X @ w["W"] + w["b"]) - y.mean()) / len(y)
    return {"W": X.T @ d, "b": d.sum()}


def steps(sign: Any = -1.0, keep: Any = 0.0, frozen: Any = False) -> Any:
    """Record gradient descent, with the mistakes asked for."""
    X, y = logistic_data()
    w, used, taken = {"W": np.array([0.3, -0.2]), "b": 0.1}, None, []
    for _ in range(25):
        g = gradient(w, X, y)
        old = used or {name: 0 * g[name] for name in g}
        used = {name: g[name] + keep * old[name] for name in g}
        taken.append((dict(w), used))
        w = {name: w[name] + sign * 0.5 * used[name] * (not (frozen and name == "b"))
             for name in w}  # fmt: skip
    return written(steps=taken)


# ------------------------------------------------------------------------ the cases


def deep(activation: Any, **more: Any) -> Any:
    return clf(hidden_layer_sizes=(15,) * 12, activation=activation, **more)


class Noisy(tw.MLPClassifier):
    """Forgets to switch dropout off."""

    def predict_proba(self, X: Any) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        p = super().predict_proba(X)
        return p * (rng().rand(*p.shape) > 0.5)


def ascending() -> Any:
    import optax

    return optax.scale(0.05)


def descending() -> Any:
    import optax

    return optax.sgd(0.05)


def images(swap: Any) -> Any:
    X = rng(0).standard_normal((40, 18, 12, 3)).cumsum(axis=1).cumsum(axis=2)
    X[..., 1] = rng(1).standard_normal((40, 18, 12)).cumsum(axis=1).cumsum(axis=2)
    return np.swapaxes(X, 1, 3) if swap else X


def by_order(y: Any) -> Any:
    """Three classes that lie on a circle, not on a line."""
    return np.array([1.0, 2.0, 0.0])[y]


class Twins(NamedTuple):
    sick: Callable[[], dict[str, Any]]
    healthy: Callable[[], dict[str, Any]]
    least: Severity = Severity.ADVICE


def sgd(**more: Any) -> Any:
    return clf(solver="sgd", learning_rate_init=0.05, **more)


def run_of(network: Any, X: Any, y: Any, **settings: Any) -> Any:
    return given(tw.fit(network, X, y, random_state=0, **settings), X, y)


CASES: dict[str, Twins] = {
    "unscaled-input": Twins(
        lambda: given(clf(), changed(scaled()[0], 1, 1e3), scaled()[1]),
        lambda: (
            given(
                clf(),
                (rng(0).rand(200, 30) < 0.05).astype(float) * 50,
                rng(0).rand(200) > 0.5,
                trials=False,
            )
            if False
            else given(clf(), *scaled())
        ),
    ),
    "sentinel-value": Twins(
        lambda: given(
            clf(max_iter=30), changed(scaled()[0], 2, -999, 0.1), scaled()[1]
        ),
        # A sensor's real cap, near the other values.
        lambda: given(clf(), np.minimum(scaled()[0], 1.2), scaled()[1]),
    ),
    "untrainable": Twins(
        lambda: given(clf(), np.c_[scaled()[0].astype(str), ["a"] * 150], scaled()[1]),
        lambda: given(clf(), *scaled()),
    ),
    "nonfinite-data": Twins(
        lambda: given(clf(), changed(scaled()[0], 2, np.nan, 0.02), scaled()[1]),
        lambda: given(
            tw.Classifier((20,), max_epochs=100, random_state=0),
            changed(scaled()[0], 2, np.nan, 0.02),
            scaled()[1],
        ),
    ),
    "uninformative-column": Twins(
        lambda: given(
            clf(),
            np.c_[scaled()[0], np.ones(150), rng(0).permutation(150)],
            scaled()[1],
        ),
        lambda: given(clf(), *scaled()),
        Severity.NOTE,
    ),
    "unscaled-target": Twins(
        lambda: given(reg(), line()[0], 1e4 * line()[1]),
        lambda: given(reg(), line()[0], 5 * line()[1]),
    ),
    "noisy-labels": Twins(
        lambda: given(
            clf(hidden_layer_sizes=(100,), solver="lbfgs", alpha=0, max_iter=300),
            *noisy(),
        ),
        # Overlapping classes.
        lambda: given(clf(alpha=0.1), *moons(300, 0.35)),
    ),
    "misaligned-rows": Twins(
        lambda: given(clf(), *rolled()),
        lambda: given(clf(), scaled()[0], rng(0).randint(3, size=150)),
    ),
    "leak": Twins(
        lambda: given(
            clf(), np.c_[moons(300, 0.5)[0], moons(300, 0.5)[1]], moons(300, 0.5)[1]
        ),
        lambda: given(clf(), *scaled()),
    ),
    "class-collapse": Twins(
        lambda: given(clf(max_iter=150), *rare()),
        lambda: given(clf(), *scaled()),
    ),
    "shifted-test": Twins(
        lambda: given(clf(), *shifted(1.0)),
        lambda: given(clf(), *shifted(0.0)),
    ),
    "symmetric-init": Twins(
        lambda: given(clf(init="zeros", activation="tanh"), *moons()),
        # Zeros in the output layer alone are fine.
        lambda: given(
            zero_output(),
            *moons(),
            loss="cross_entropy",
            epochs=200,
            learning_rate=0.02,
        ),
    ),
    "init-scale": Twins(
        lambda: given(
            clf(
                init=("normal", {"std": 1e-4}),
                max_iter=40,
                hidden_layer_sizes=(30, 30, 30),
            ),
            *moons(),
        ),
        lambda: given(
            clf(batch_norm=True, max_iter=200, init=("normal", {"std": 0.01})), *moons()
        ),
    ),
    "saturated-units": Twins(
        lambda: given(clf(init=("normal", {"std": 50.0}), activation="tanh"), *moons()),
        # A confident output layer saturates nothing inside.
        lambda: given(clf(activation="tanh", max_iter=300), *scaled()),
    ),
    "dead-units": Twins(
        lambda: given(dead_at_birth(), *moons(), loss="cross_entropy", epochs=60),
        lambda: given(clf(l1=1e-3), *scaled()),
    ),
    "vanishing-gradient": Twins(
        lambda: given(deep("logistic"), *moons()),
        lambda: given(
            clf(hidden_layer_sizes=(15, 15), activation="logistic", max_iter=400),
            *moons(),
        ),
    ),
}


def one_hot() -> Any:
    X, _ = scaled()
    binned = np.clip((2 * X).round() + 4, 0, 8).astype(int)
    return np.hstack([np.eye(9)[column] for column in binned.T])


def noisy() -> Any:
    X, y = moons(300, 0.1)
    flip = rng(0).rand(300) < 0.3
    clean, answer = moons(300, 0.1, 1)
    return X, np.where(flip, 1 - y, y), clean, answer


def rolled() -> Any:
    X, y = scaled()
    order = rng(0).permutation(150)
    return X[order], np.roll(y[order], 1)


def rare() -> Any:
    X, y = moons(400, 0.25)
    held, answer = moons(200, 0.25, 1)
    kept = (y == 0) | (rng(0).rand(400) < 0.04)
    return X[kept], y[kept], held, answer


def shifted(by: Any) -> Any:
    X, y, held, answer = halves(*scaled())
    return X, y, held + by, answer


def zero_output() -> Any:
    layers = (tw.Dense(20, "tanh"), tw.Dense(2, "identity", "zeros"))
    return tw.DenseNetwork(2, layers)


def dead_at_birth() -> Any:
    bias = ("constant", {"value": -10.0})
    return tw.DenseNetwork(2, (tw.Dense(20, bias_init=bias), tw.Dense(2, "identity")))


CASES |= {
    "exploding-gradient": Twins(
        lambda: run_of(net(2, 20, 20, 20, 2, init=("normal", {"std": 3.0})), *moons(),
                       loss="cross_entropy", optimizer="sgd", learning_rate=0.1,
                       batch_size=32, epochs=40),
        lambda: given(sgd(max_iter=300), *moons()),
    ),
    "rate-too-high": Twins(
        lambda: given(clf(learning_rate_init=10.0), *moons()),
        # The edge of stability: a rate near the largest that works.
        lambda: given(sgd(batch_size=300, momentum=0.0, max_iter=400,
                          n_iter_no_change=400), *moons()),
    ),
    "rate-too-low": Twins(
        lambda: given(clf(learning_rate_init=1e-6), *scaled()),
        lambda: given(clf(schedule="cosine"), *scaled()),
    ),
    "wrong-gradient": Twins(
        lambda: written(gradient=wrong(W=lambda g, w: 2 * g)), written,
    ),
    "lost-penalty": Twins(
        lambda: written(gradient=wrong(W=lambda g, w: g - 0.1 * w["W"])), written,
    ),
    "ascent": Twins(
        lambda: given(net(2, 10, 2), *moons(), loss="cross_entropy",
                      optimizer=ascending(), epochs=20),
        lambda: given(net(2, 30, 2), *moons(), loss="cross_entropy",
                      optimizer=descending(), epochs=300,
                      trials=False),
    ),
    "frozen-layer": Twins(
        lambda: given(tw.DenseNetwork(2, (tw.Dense(3, frozen=True),
                                          tw.Dense(2, "identity"))), *moons(),
                      loss="cross_entropy", epochs=200, learning_rate=0.02),
        # Wanted: a wide random layer that needs no training.
        lambda: given(tw.DenseNetwork(2, (tw.Dense(300, frozen=True, bias_init=(
                                            "uniform", {"limit": 3.0})),
                                          tw.Dense(2, "identity"))), *moons(),
                      loss="cross_entropy", epochs=200, learning_rate=0.02),
    ),
    "stale-gradient": Twins(lambda: steps(keep=1.0), steps),
    "wrong-loss": Twins(
        lambda: given(reg(), scaled()[0], by_order(scaled()[1])),
        # Ordinal: rings of an abalone, grades of a wine.
        lambda: given(reg(alpha=0.01), line()[0], np.round(line()[1]).clip(-3, 3)),
    ),
    "degenerate-output": Twins(
        lambda: given(net(2, 30, 1), *moons(), loss="cross_entropy", epochs=100,
                      learning_rate=0.02),
        lambda: given(net(2, 30, 2), *moons(), loss="cross_entropy", epochs=200,
                      learning_rate=0.02),
    ),
    "unreachable-output": Twins(
        lambda: given(net(4, 20, 1, output_activation="relu"), *line(),
                      loss="squared", epochs=200, learning_rate=0.01),
        lambda: given(net(4, 30, 1, output_activation="softplus"), line()[0],
                      np.exp(line()[1] / 3), loss="squared", epochs=200,
                      learning_rate=0.01),
    ),
    "no-nonlinearity": Twins(
        lambda: given(clf(activation="identity"), *moons(300, 0.15)),
        lambda: given(reg(activation="identity"), *line()),
    ),
    "underfitting": Twins(
        lambda: given(clf(hidden_layer_sizes=(1,)), *moons(300, 0.15)),
        lambda: given(clf(), *moons(300, 0.35)),
    ),
    "overfitting": Twins(
        lambda: given(clf(hidden_layer_sizes=(200,), alpha=0, max_iter=500, tol=0),
                      *few()),
        lambda: given(clf(), *halves(*scaled())),
    ),
    "over-regularized": Twins(
        lambda: given(clf(alpha=100.0), *scaled()),
        lambda: given(clf(alpha=0.1), *scaled()),
    ),
    "mode-confusion": Twins(
        lambda: fitted(Noisy((30,), learning_rate_init=0.01, random_state=0),
                       *scaled()),
        lambda: fitted(clf(dropout=0.2), *scaled()),
    ),
    "poor-batching": Twins(
        lambda: given(clf(solver="sgd", shuffle=False, batch_size=5, max_iter=10,
                          learning_rate_init=0.2), *by_class()),
        lambda: given(sgd(shuffle=False, batch_size=25, max_iter=100), *mixed()),
    ),
    "stopped-early": Twins(
        lambda: given(clf(max_iter=1, learning_rate_init=0.001), *scaled()),
        lambda: given(clf(max_iter=60), *scaled()),
    ),
    "seed-fragility": Twins(
        lambda: given(clf(hidden_layer_sizes=(5,) * 10), *moons(300, 0.1)),
        lambda: given(clf(), *few_held()),
    ),
    "no-signal": Twins(
        lambda: given(clf(max_iter=20), rng(0).randn(200, 4),
                      rng(1).randint(2, size=200)),
        lambda: given(clf(), *moons(300, 0.35)),
    ),
    "overflow": Twins(
        lambda: run_of(net(2, 10, 2, init=("normal", {"std": 1e160})), *moons(),
                       loss="cross_entropy", optimizer="sgd", epochs=20),
        lambda: given(clf(max_iter=400), *moons()),
    ),
    "image-layout": Twins(
        lambda: given(None, images(True), rng(0).randint(2, size=40), trials=False),
        lambda: given(None, images(False), rng(0).randint(2, size=40), trials=False),
    ),
    "shape-trap": Twins(
        lambda: written(broadcast_cost, broadcast_gradient), written,
    ),
}  # fmt: skip


def few() -> Any:
    X = rng(0).standard_normal((420, 20))
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    return X[:20], y[:20], X[20:], y[20:]


def few_held() -> Any:
    X, y = scaled()
    order = rng(0).permutation(150)
    return X[order[:120]], y[order[:120]], X[order[120:]], y[order[120:]]


def by_class() -> Any:
    X, y = moons()
    order = np.argsort(y[:200], kind="stable")
    return X[:200][order], y[:200][order], X[200:], y[200:]


def mixed() -> Any:
    X, y = scaled()
    order = rng(0).permutation(150)
    return X[order[50:]], y[order[50:]], X[order[:50]], y[order[:50]]


def codes(found: tw.Diagnosis, least: Severity) -> set[str]:
    """Return what is named: alarms, and what is folded beneath them."""
    named = [f for f in found.findings if f.severity >= least]
    return {f.code for f in named} | {s.code for f in named for s in f.symptoms}


@pytest.mark.slow
@pytest.mark.parametrize("code", CASES)
def test_the_sick_case_is_named(code: str):
    twins = CASES[code]
    found = tw.diagnose(**twins.sick())
    assert code in codes(found, twins.least), str(found)


def test_every_code_is_there():
    assert {*CASES, "few-rows"} == {*THRESHOLDS}


@pytest.mark.parametrize("code", CASES)
def test_its_healthy_twin_raises_no_alarm(code: str):
    found = tw.diagnose(**CASES[code].healthy())
    if code == "misaligned-rows":  # a target of pure noise is said to be one
        assert codes(found, Severity.ADVICE) <= {"no-signal"}, str(found)
    else:
        assert found.healthy, str(found)
