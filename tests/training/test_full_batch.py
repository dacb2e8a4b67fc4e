"""Every full-batch method trains through `fit`, watched like a first-order one.

SciPy called directly, on the slow network of `references`, is what the counts of
evaluations are compared with.
"""

from typing import Any

import numpy as np
import pytest
from scipy import optimize, special
from threadpoolctl import threadpool_info

import thalweg as tw
from benchmarks import curvature
from examples import cifar_cg, infrared_tnc
from tests.helpers import task, train
from tests.reference import networks as references
from thalweg import engines
from thalweg.core.data import Data
from thalweg.core.history import StopReason
from thalweg.core.optimizers import FULL_BATCH
from thalweg.core.types import Array, Parameters

BY_PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov")
BLIND = ("powell", "nelder-mead")
SMOOTH = [name for name in FULL_BATCH if name not in BLIND]


def test_blas_is_held_between_evaluations_and_given_back():
    """OpenBLAS's threads spin after each product, on the kernel's processors."""
    before, within = blas_threads(), set[int]()
    train(
        "iris", "lbfgs", epochs=3, callbacks=[lambda _: within.update(blas_threads())]
    )
    assert within == {1}
    assert blas_threads() == before


def blas_threads() -> set[int]:
    pools = threadpool_info()
    return {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}


LOSSES = {
    "iris": 0.058, "moons": 0.06, "digits": 0.06, "small digits": 0.16,
    "tiny iris": 0.0895, "tiny moons": 0.053, "tiny digits": 0.083,
}  # fmt: skip
"""Loss, penalty included, that L-BFGS gets below in at most 300 iterations."""

SIZES = {
    **dict.fromkeys(("trust-exact", "dogleg", "levenberg-marquardt"), "small digits"),
    "powell": "tiny digits",
}
"""Digits for methods that are for small networks, or tiny ones."""

PATIENT: dict[str, Any] = {
    "powell": ("powell", {"ftol": 1e-7, "max_evaluations": 40000}),
}
EPOCHS = {"cg": 120, "bfgs": 150, "powell": 250, "nelder-mead": 12000}
CASES = [
    *((name, method) for method in SMOOTH for name in ("iris", "moons")),
    *((SIZES.get(method, "digits"), method) for method in SMOOTH),
    *((name, "powell") for name in ("iris", "moons", "tiny digits")),
    *((name, "nelder-mead") for name in ("tiny iris", "tiny moons", "tiny digits")),
]


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_lbfgs(name: str):
    assert train(name, "lbfgs", epochs=300).history.loss[-1] < LOSSES[name]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), CASES)
def test_method_trains_to_its_loss(name: str, method: str):
    optimizer = PATIENT.get(method, method)
    run = train(name, optimizer, epochs=EPOCHS.get(method, 70))
    loss = run.history.loss
    assert loss[-1] < LOSSES[name]
    assert (np.diff(loss) <= 1e-12).all()
    X, y, _ = task(name)
    assert np.mean(tw.predict(run, X).argmax(axis=1) == y) > 0.95


def test_every_method_is_tried_here():
    assert {method for _, method in CASES} == {*FULL_BATCH}


@pytest.mark.parametrize("method", BLIND)
@pytest.mark.parametrize("engine", ["native", "jax"])
def test_methods_without_gradient_compute_none(method: str, engine: str):
    history = train("tiny moons", method, epochs=3, engine=engine).history
    assert history.gradient_evaluations[-1] == 0
    assert np.isnan(history.gradient_norm).all()
    assert history.evaluations[-1] >= 3


# ----------------------------------------------------------- counts are SciPy's own


SCIPY = {"lbfgs": "L-BFGS-B", "cg": "CG", "bfgs": "BFGS", "tnc": "TNC",
         "newton-cg": "Newton-CG", "trust-ncg": "trust-ncg",
         "trust-krylov": "trust-krylov", "trust-exact": "trust-exact"}  # fmt: skip


class Slow:
    """The objective of moons in NumPy, and how often its Hessian was asked for.

    Products with that are JAX's: with differences, Krylov methods take other steps.
    """

    def __init__(self) -> None:
        X, y, sizes = task("moons")
        self.network = tw.DenseNetwork.from_sizes(sizes, activation="tanh")
        self.plan = tw.Plan(loss="cross_entropy", l2=0.1)
        self.data = Data(X, y.astype(np.int32), np.ones(len(X)))
        self.first = self.network.draw(np.random.RandomState(0))
        self.exact = engines.curved_objective(self.network, self.plan, self.data)
        self.products = 0

    def both(self, x: Array) -> tuple[float, Array]:
        cost, gradient = references.objective(
            self.network, self.plan, self.unpack(x), self.data
        )
        return cost, self.pack(gradient)

    def product(self, x: Array, v: Array) -> Array:
        self.products += 1
        exact = self.exact.hessian_product(self.unpack(x), self.unpack(v))
        return self.pack(exact)

    def hessian(self, x: Array) -> Array:
        return np.array([self.product(x, row) for row in np.eye(len(x))])

    def pack(self, parameters: Parameters) -> Array:
        names = ("weights", "bias")
        return np.concatenate([p[n].ravel() for n in names for p in parameters])

    def unpack(self, x: Array) -> Parameters:
        shaped: Parameters = tuple({} for _ in self.first)
        for name in ("weights", "bias"):
            for own, first in zip(shaped, self.first, strict=True):
                size = first[name].size
                own[name], x = x[:size].reshape(first[name].shape), x[size:]
        return shaped


@pytest.mark.slow
@pytest.mark.parametrize("method", SCIPY)
def test_counts_are_scipys_own(method: str):
    slow, n = Slow(), 6
    given: dict[str, Any] = {}
    if method in BY_PRODUCTS:
        given["hessp"] = slow.product
    if method == "trust-exact":
        given["hess"] = slow.hessian
    losses: list[float] = []
    limit = {"maxfun": 15000} if method == "tnc" else {"maxiter": n}

    def note(x: Array) -> None:
        losses.append(slow.both(x)[0])

    theirs: Any = optimize.minimize(
        slow.both,
        slow.pack(slow.first),
        jac=True,
        method=SCIPY[method],
        callback=note,
        options=limit,
        **given,
    )
    run = train("moons", method, epochs=n, parameters=slow.first)
    history = run.history
    assert history.loss == pytest.approx(losses[:n], rel=1e-6)
    if method == "tnc":
        assert len(history) == n
        return
    assert len(history) == theirs.nit
    assert history.evaluations[-1] == theirs.nfev
    assert history.gradient_evaluations[-1] == theirs.nfev
    assert history.hessian_products[-1] == slow.products


# ------------------------------------------------------- watched like the others


def test_history_and_sentence():
    run = train("moons", "lbfgs", epochs=20)
    history = run.history
    assert len(history) == run.best_epoch == 20
    assert run.why == "All 20 epochs were done."
    assert np.isnan(history.rate).all()
    assert (np.diff(history.evaluations) >= 1).all()
    assert (np.diff(history.seconds) > 0).all()
    assert (history.gradient_norm > 0).all()
    assert ((history.update_ratio > 0) & (history.update_ratio < 10)).all()


@pytest.mark.parametrize("method", ["lbfgs", "trust-krylov", "tnc"])
def test_convergence_is_told_in_the_methods_words(method: str):
    run = train("moons", method, epochs=1000)
    assert run.stop_reason is tw.StopReason.METHOD_CONVERGED
    assert " converged: " in run.why
    assert len(run.history) < 1000


def test_evaluations_can_be_limited():
    run = train("moons", ("lbfgs", {"max_evaluations": 12}), epochs=500)
    assert run.stop_reason is tw.StopReason.MAX_EVALUATIONS
    assert 12 <= run.history.evaluations[-1] <= 15


@pytest.mark.parametrize("method", ["lbfgs", "tnc", "newton-cg", "levenberg-marquardt"])
def test_callback_stops(method: str):
    seen: list[int] = []

    def stop(record: tw.EpochRecord) -> bool:
        seen.append(record.epoch)
        return record.epoch == 4

    run = train("moons", method, epochs=50, callbacks=[stop])
    assert seen == [1, 2, 3, 4]
    assert run.stop_reason is tw.StopReason.CALLBACK
    assert len(run.history) == 4


def test_validation_early_stopping_and_best_weights():
    X, y, _ = task("moons")
    held_out = X[:30], 1 - y[:30]  # which it gets ever more wrong
    run = train("moons", "lbfgs", epochs=200, validation=held_out, patience=5, l2=0.0)
    losses = run.history.validation_loss
    assert run.stop_reason is tw.StopReason.EARLY_STOPPING
    assert run.best_epoch == int(np.argmin(losses)) + 1 < len(losses)
    outputs = tw.predict(run, held_out[0])
    at_best = -np.log(outputs[np.arange(30), held_out[1]]).mean()
    assert at_best == pytest.approx(losses.min(), rel=1e-6)


def test_patience_without_validation():
    run = train("moons", "cg", epochs=500, patience=3, tol=1e-2)
    assert run.stop_reason is tw.StopReason.CONVERGED
    assert len(run.history) < 200


def test_time_budget():
    run = train("moons", "powell", epochs=10_000, max_time=1e-3)
    assert run.stop_reason is tw.StopReason.TIME_BUDGET
    assert len(run.history) == 1


def test_interrupt_keeps_the_weights_so_far():
    def interrupt(record: tw.EpochRecord) -> None:
        if record.epoch == 5:
            raise KeyboardInterrupt

    run = train("moons", "lbfgs", epochs=20, callbacks=[interrupt])
    same = train("moons", "lbfgs", epochs=5)
    assert run.stop_reason is tw.StopReason.INTERRUPTED
    for own, other in zip(run.parameters, same.parameters, strict=True):
        assert np.array_equal(own["weights"], other["weights"])


@pytest.mark.parametrize("method", ["lbfgs", "tnc", "powell", "nelder-mead"])
@pytest.mark.parametrize("bounds", [(0.0, 0.25), (None, 0.1), (-0.1, None)])
def test_weights_stay_within_their_bounds(method: str, bounds: Any):
    run = train("tiny iris", method, epochs=20, bounds=bounds)
    (own,) = run.parameters
    low, high = (-np.inf if bounds[0] is None else bounds[0], bounds[1] or np.inf)
    assert own["weights"].min() >= low
    assert own["weights"].max() <= high
    assert run.history.loss[-1] < run.history.loss[0]
    if method != "nelder-mead":
        gaps = np.abs(own["weights"][..., None] - [low, high])
        assert gaps.min() < 1e-3  # Powell's line searches come only near


@pytest.mark.slow
def test_levenberg_marquardt_needs_fewer_evaluations():
    """Benchmarks hold the whole table; two of its rows, where it is far ahead."""
    found = curvature.problems()
    for name in ("wave, 10 units", "hills, 8 units"):
        for seed in range(2):
            efforts = curvature.compare(found[name], seed, epochs=250)
            newton, quasi = efforts["Levenberg-Marquardt"], efforts["L-BFGS"]
            assert newton.evaluations + newton.matrices < quasi.evaluations
            assert newton.matrices > 1
            assert quasi.matrices == 0


# --------------------------------------------------------------- kinds of network


def test_float32_network_is_minimized_in_float64():
    X, y, sizes = task("moons")
    network = tw.DenseNetwork.from_sizes(sizes, activation="tanh")
    run = tw.fit(
        network, np.float32(X), y, loss="cross_entropy", l2=0.1, optimizer="lbfgs",
        epochs=60, random_state=0,
    )  # fmt: skip
    assert run.parameters[0]["weights"].dtype == np.float32
    assert run.history.loss[-1] < 0.1


def test_batch_norm_is_trained_on_all_rows():
    X, y, sizes = task("moons")
    network = tw.DenseNetwork.from_sizes(
        sizes, activation="tanh", normalization="batch"
    )
    run = tw.fit(
        network, X, y, loss="cross_entropy", l2=0.1, optimizer="lbfgs", epochs=60,
        random_state=0,
    )  # fmt: skip
    p = tw.predict(run, X)
    fit_part = -np.log(p[np.arange(len(y)), y]).mean()
    squares = sum((own["weights"] ** 2).sum() for own in run.parameters)
    assert fit_part + 0.05 * squares / len(X) == pytest.approx(run.history.loss[-1])
    assert np.mean(p.argmax(axis=1) == y) > 0.95


def test_frozen_layer_stays():
    X, y, _ = task("moons")
    network = tw.DenseNetwork(
        2, (tw.Dense(4, activation="tanh", frozen=True), tw.Dense(2))
    )
    first = network.draw(np.random.RandomState(0))
    run = tw.fit(
        network, X, y, loss="cross_entropy", optimizer="bfgs", epochs=5,
        parameters=first,
    )  # fmt: skip
    assert np.array_equal(run.parameters[0]["weights"], first[0]["weights"])
    assert not np.array_equal(run.parameters[1]["weights"], first[1]["weights"])


def test_hessian_products_are_those_of_the_gradient():
    slow, h = Slow(), 1e-5
    rng = np.random.default_rng(0)
    x = slow.pack(slow.first)
    for _ in range(5):
        v = rng.normal(size=len(x))
        slopes = (slow.both(x + h * v)[1] - slow.both(x - h * v)[1]) / (2 * h)
        assert slow.product(x, v) == pytest.approx(slopes, abs=1e-8)


# --------------------------------------------------------------------- bad input


@pytest.mark.parametrize("method", ["tnc", "lbfgs", "powell"])
@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("learning_rate", 0.1, "it chooses its step by itself"),
        ("schedule", "cosine", "it chooses its step by itself"),
        ("warmup", 3, "it chooses its step by itself"),
        ("layer_rates", (1.0, 0.5), "it chooses its step by itself"),
        ("weight_decay", 0.1, "use l2"),
        ("clip_norm", 1.0, "it needs the objective's own gradient"),
        ("clip_value", 1.0, "it needs the objective's own gradient"),
        ("accumulate", 2, "it sees all rows at once"),
        ("average", "ema", "its last weights are its best"),
    ],
)
def test_what_means_nothing_to_it_is_refused(
    method: str, name: str, value: Any, why: str
):
    with pytest.raises(ValueError, match=why) as raised:
        train("moons", method, **{name: value})
    assert f"optimizer={method!r}" in str(raised.value)
    assert f"Plan got {name}=" in str(raised.value)


@pytest.mark.parametrize("given", [{"dropout": 0.5}, {"input_noise": 0.1}])
def test_noise_is_refused(given: dict[str, Any]):
    X, y, sizes = task("moons")
    network = tw.DenseNetwork.from_sizes(sizes, **given)
    with pytest.raises(ValueError, match="changes at every evaluation"):
        tw.fit(network, X, y, loss="cross_entropy", optimizer="cg")


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("lbgfs", "Did you mean 'lbfgs'"),
        (("tnc", {"momentum": 0.9}), "'momentum', which is no constant of 'tnc'"),
        (("lbfgs", {"max_corrections": 0}), r"must be a number in \[1, inf\)"),
    ],
)
def test_unknown_names_are_refused(optimizer: Any, message: str):
    with pytest.raises(ValueError, match=message):
        train("moons", optimizer)


@pytest.mark.parametrize(
    ("method", "bounds", "message"),
    [
        ("cg", (-1, 1), "does not support bounds. Use one of lbfgs, tnc"),
        *(("tnc", bad, r"must be \(low, high\)")
          for bad in [(1, -1), 3, (1,), (0, 1, 2), ("a", 1), (np.nan, 1), [(0, 1)]]),
    ],
)  # fmt: skip
def test_bad_bounds_are_refused(method: str, bounds: Any, message: str):
    with pytest.raises(ValueError, match=message):
        train("tiny iris", method, bounds=bounds)


def test_nonfinite_start_is_told():
    X, y, sizes = task("moons")
    network = tw.DenseNetwork.from_sizes(sizes)
    first = network.draw(np.random.RandomState(0))
    huge = tuple({name: v * 1e300 for name, v in own.items()} for own in first)
    run = tw.fit(
        network, X, y, loss="cross_entropy", optimizer="lbfgs", parameters=huge
    )
    assert run.stop_reason is tw.StopReason.NONFINITE
    assert "the objective" in run.why
    assert "learning rate" not in run.why


@pytest.mark.parametrize("spelling", ["L-BFGS-B", "fmin_l_bfgs_b", "l-bfgs"])
def test_scipys_spellings(spelling: str):
    run = train("moons", spelling, epochs=2)
    assert run.history.loss[-1] == train("moons", "lbfgs", epochs=2).history.loss[-1]


# --------------------------------------------------------------------- the examples


@pytest.mark.slow
def test_infrared_readings_stall_raw_and_train_standardized():
    """Saturated units carry one bit each, so the best loss is known beforehand.

    On raw readings every hidden unit is near 0 or 1. Rows on which all units agree are
    one row to the output layer: the best that it can give them is the frequency of
    their classes. That loss is the plateau, and training ends on it unless a unit
    leaves saturation. Units with a slope below 1e-9 cannot, on any processor. Of the
    other four seeds one leaves it, and where it then ends depends on rounding: with
    readings moved by 1e-14, its accuracy is 0.75 or 0.83. So no single raw score is
    claimed for those, only what they have in common.
    """
    X, y = infrared_tnc.read()
    raw = [infrared_tnc.train(X, y, seed) for seed in infrared_tnc.SEEDS]
    scaled = infrared_tnc.standardized(X)
    standardized = [infrared_tnc.train(scaled, y, s) for s in infrared_tnc.SEEDS]
    stalled = list[bool]()
    for seed, (run, accuracy) in zip(infrared_tnc.SEEDS, raw, strict=True):
        assert isinstance(run.network, tw.DenseNetwork)
        first = run.network.draw(np.random.RandomState(seed))[0]
        values = X @ first["weights"] + first["bias"]
        loss, best = plateau(values > 0, y)
        stalled.append(abs(run.history.loss[-1] - loss) < 1e-4)
        if stalled[-1]:
            assert accuracy <= best <= 0.75
        if np.abs(values).min() > 20:
            assert stalled[-1], seed
            assert accuracy == best
    assert sum(stalled) >= 6
    assert min(run.history.loss[-1] for run, _ in raw) > 0.1
    assert max(accuracy for _, accuracy in raw) < 1
    assert max(run.history.loss[-1] for run, _ in standardized) < 1e-6
    assert [accuracy for _, accuracy in standardized] == [1.0] * 8


def plateau(bits: Array, y: Array) -> tuple[float, float]:
    """Return the least cross-entropy of a network that sees only `bits` of each row.

    The second value is its accuracy.
    """
    _, groups = np.unique(bits, axis=0, return_inverse=True)
    counts = np.array([np.bincount(y[groups == g], minlength=4) for g in set(groups)])
    loss = special.entr(counts / counts.sum(axis=1, keepdims=True)).sum(axis=1)
    return loss @ counts.sum(axis=1) / len(y), counts.max(axis=1).sum() / len(y)


def test_cifar_sized_network_falls_at_every_iteration(
    capsys: pytest.CaptureFixture[str],
):
    run, accuracy = cifar_cg.train(cifar_cg.made_up(300, 100), 10)
    assert (np.diff(run.history.loss) < 0).all()
    assert run.network.n_parameters == 616_610
    assert accuracy > 0.3
    assert capsys.readouterr().out.startswith("iteration   1  cost ")


def test_a_method_that_asks_for_nan_is_stopped_with_its_last_weights(
    monkeypatch: pytest.MonkeyPatch,
):
    """A stand-in asks: when SciPy's trust-krylov does so is a matter of rounding."""
    points: list[Array] = []

    def asks_for_nan(
        fun: Any, x0: Array, *, jac: Any, callback: Any, **given: Any
    ) -> None:
        x = x0
        for _ in range(3):
            x = x - 0.1 * jac(x)
            callback(optimize.OptimizeResult(x=x, fun=fun(x)))
            points.append(x)
        fun(np.full_like(x, np.nan))
        pytest.fail("the method went on")

    monkeypatch.setattr(optimize, "minimize", asks_for_nan)
    run = train("tiny iris", "trust-krylov", epochs=400)
    assert run.stop_reason is StopReason.METHOD_STOPPED
    assert "it asked for weights that are not finite" in run.why
    assert len(run.history) == 3
    found = np.concatenate([v.ravel() for own in run.parameters for v in own.values()])
    np.testing.assert_array_equal(np.sort(found), np.sort(points[-1]))


def test_trust_krylov_ends_at_the_least_loss():
    """However often it asks for weights of NaN near the minimum, as in SciPy 1.17."""
    run = train("tiny iris", ("trust-krylov", {"gtol": 1e-12}), epochs=400)
    assert run.stop_reason in (StopReason.METHOD_STOPPED, StopReason.METHOD_CONVERGED)
    assert run.history.loss[-1] == pytest.approx(run.history.loss.min(), rel=1e-6)
    assert all(np.isfinite(v).all() for own in run.parameters for v in own.values())
