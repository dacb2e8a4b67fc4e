"""A population's members end as trainings of their own would.

Members are held against fits by themselves, on the kernel where it can: nothing is
compiled for these. Tolerances. Both sides compute in float64 with the same rows, rates
and first weights; only the order in which a product is summed may differ, and the last
bits of tanh and exp, by about n·2⁻⁵³ ≈ 1e-14 a step for the tens of terms here. Some
tens of steps multiply that by at most 1e3 at these rates: hence 1e-9, far below what a
wrong penalty, seed or rate would make.
"""

import importlib.util
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import thalweg as tw
from thalweg import engines
from thalweg.core.history import EpochRecord, StopReason
from thalweg.core.networks import DenseNetwork
from thalweg.core.types import Array
from thalweg.engines.jax import ENGINE
from thalweg.engines.jax.arrays import scoped

CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
# The gradient of a bias before a batch normalization, which takes it out again, is
# rounding alone, some 1e-16, which rules divide by their epsilon of 1e-8; 24 steps at a
# rate of 0.02 add up to 5e-9.
TAKEN_OUT: dict[str, Any] = {"rtol": 0.0, "atol": 5e-9}
CLASSES: dict[str, Any] = {"loss": "cross_entropy", "epochs": 4, "batch_size": 16}


def rows(n_inputs: int = 3, n: int = 40) -> tuple[Array, Array]:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((n, n_inputs))
    return X, (X[:, 0] > 0) + (X[:, 1] > 0.5).astype(int)


def network(hidden: int = 6, **layer: Any) -> DenseNetwork:
    return DenseNetwork.from_sizes((3, hidden, 3), activation="tanh", **layer)


def assert_same(run: tw.Run, lone: tw.Run) -> None:
    assert (run.stop_reason, run.best_epoch) == (lone.stop_reason, lone.best_epoch)
    layers = run.network.layers
    for layer, own, other in zip(layers, run.parameters, lone.parameters, strict=True):
        for name, value in own.items():
            taken_out = name == "bias" and layer.normalization == "batch"
            close = TAKEN_OUT if taken_out else CLOSE
            np.testing.assert_allclose(value, other[name], err_msg=name, **close)
    for name in ("loss", "gradient_norm", "update_ratio", "rate", "validation_loss"):
        ours, theirs = getattr(run.history, name), getattr(lone.history, name)
        np.testing.assert_allclose(ours, theirs, err_msg=name, **CLOSE)


def together(
    members: list[dict[str, Any]], base: DenseNetwork | None = None, **common: Any
) -> list[tw.Run]:
    """Train as one program, and hold each run against a fit of its own."""
    X, y = rows()
    base = base or network()
    runs = tw.fit_population(base, X, y, members, engine="jax", **common)
    for member, run in zip(members, runs, strict=True):
        lone = {"network": base, **common, **member}
        assert_same(run, tw.fit(X=X, y=y, **lone))
    return runs


numbers = st.fixed_dictionaries(
    {"learning_rate": st.floats(1e-4, 0.02), "random_state": st.integers(0, 99)},
    optional={
        "l1": st.floats(0, 1),
        "l2": st.floats(0, 1),
        "weight_decay": st.floats(0, 0.1),
        "clip_norm": st.floats(0.1, 2),
        "dropout": st.sampled_from([0.0, 0.2, 0.5]),
        "epochs": st.integers(1, 4),
        "schedule": st.sampled_from(["constant", "cosine", "inverse_time"]),
    },
)


# Each example compiles: shrinking one would take minutes.
@pytest.mark.slow
@settings(max_examples=3, phases=(Phase.explicit, Phase.generate))
@given(
    members=st.lists(numbers, min_size=2, max_size=5),
    hidden=st.integers(1, 20),
    normalization=st.sampled_from(["none", "batch", "layer"]),
    optimizer=st.sampled_from(
        ["sgd", "momentum", "adam", "rmsprop", "muon", "schedule_free_adamw"]
    ),
    common=st.fixed_dictionaries(
        {"batch_size": st.sampled_from([7, 16, None])},
        optional={
            "validation": st.just(0.25),
            "shuffle": st.just(False),
            "accumulate": st.just(2),
            "average": st.just("ema"),
            "penalty_scale": st.just("batch"),
        },
    ),
)
def test_each_member_is_a_fit_of_its_own(
    members: list[dict[str, Any]],
    hidden: int,
    normalization: str,
    optimizer: str,
    common: dict[str, Any],
):
    base = network(hidden, normalization=normalization)
    own = [dict(member) for member in members]
    for member in own:
        if "dropout" in member:
            first = replace(base.layers[0], dropout=member.pop("dropout"))
            member["network"] = replace(base, layers=(first, *base.layers[1:]))
    runs = together(own, base, **{**CLASSES, "optimizer": optimizer, **common})
    assert all(f"{len(own)} as one program" in run.engine for run in runs)


@pytest.mark.slow
def test_one_that_diverges_keeps_its_last_finite_weights_and_stops_no_other():
    rates = (1e-2, 1e300, 1e-3)
    members: list[dict[str, Any]] = [
        {"learning_rate": rate, "random_state": 3} for rate in rates
    ]
    runs = together(members, **{**CLASSES, "optimizer": "sgd"})
    assert [run.stop_reason is StopReason.NONFINITE for run in runs] == [0, 1, 0]
    assert all(np.isfinite(v).all() for own in runs[1].parameters for v in own.values())


@pytest.mark.slow
def test_each_stops_for_its_own_reason():
    X, y = rows()
    members: list[dict[str, Any]] = [
        {"learning_rate": 0.1, "patience": 2, "random_state": 1},
        {"learning_rate": 0.01, "epochs": 3, "random_state": 2},
        {"callbacks": [lambda record: record.epoch == 5], "random_state": 3},
        {"learning_rate": 0.05, "random_state": 4},
    ]
    common = {**CLASSES, "epochs": 30, "validation": (X[:20], y[:20])}
    assert [run.stop_reason for run in together(members, **common)] == [
        StopReason.EARLY_STOPPING,
        StopReason.MAX_EPOCHS,
        StopReason.CALLBACK,
        StopReason.MAX_EPOCHS,
    ]


@pytest.mark.slow
def test_members_may_share_the_order_of_their_rows_and_scale_their_weights():
    small, large = (network(init=("normal", {"std": s})) for s in (0.01, 1.0))
    members: list[dict[str, Any]] = [
        {"parameters": each.draw(seed), "random_state": 0}
        for each in (small, large)
        for seed in range(2)
    ]
    together(members, **CLASSES)


def test_on_the_cpu_the_kernel_trains_them_side_by_side():
    X, y = rows()
    members: list[dict[str, Any]] = [
        {"random_state": seed, "learning_rate": 0.01} for seed in range(3)
    ]
    runs = tw.fit_population(network(), X, y, members, **CLASSES)
    for member, run in zip(members, runs, strict=True):
        lone = tw.fit(network(), X, y, **CLASSES, **member)
        assert run.engine == lone.engine
        assert_same(run, lone)


@pytest.mark.slow
def test_on_a_gpu_they_are_one_program(monkeypatch: pytest.MonkeyPatch):
    """The choice alone: what JAX is told to be a GPU is still this processor."""
    X, y = rows()
    members: list[dict[str, Any]] = [{"random_state": seed} for seed in range(3)]
    pretend_gpu(monkeypatch)
    small = tw.fit_population(network(), X, y, members, **CLASSES)
    monkeypatch.setattr(engines, "GPU_WORK", 6 * network().n_parameters * 16 * 2.5)
    large = tw.fit_population(network(), X, y, members, **CLASSES)
    lone = tw.fit(network(), X, y, **CLASSES, **members[0])
    assert "native" in small[0].engine
    assert "native" in lone.engine
    assert large[0].engine.startswith("jax (on the GPU")
    assert_same(large[0], lone)


def test_auto_takes_a_gpu_for_steps_that_are_large_enough(
    monkeypatch: pytest.MonkeyPatch,
):
    one = network()
    enough = int(engines.GPU_WORK / (6 * one.n_parameters)) + 1
    plan = tw.Plan()
    assert "native" in engines.pick("auto", one, plan, 2 * enough)[1]
    pretend_gpu(monkeypatch)
    assert "native" in engines.pick("auto", one, plan, enough // 2)[1]
    assert "native" in engines.pick("native", one, plan, enough)[1]
    assert "on the GPU" in engines.pick("auto", one, plan, enough)[1]


def test_what_a_callback_raises_names_no_other_and_ends_all():
    X, y = rows()

    def fail(record: EpochRecord) -> None:
        raise ZeroDivisionError(f"in epoch {record.epoch}")

    members: list[dict[str, Any]] = [{}, {"callbacks": [fail]}, {}]
    with pytest.raises(ZeroDivisionError, match="in epoch 1"):
        tw.fit_population(network(), X, y, members, engine="jax", **CLASSES)


def test_no_product_is_rounded_to_tf32():
    """A GPU would round a user's own products too, unless told not to."""
    square = np.ones((2, 2), np.float32)
    lowered = scoped(square.dtype, jax.jit(lambda a: a @ a).lower, square)
    assert "HIGHEST" in lowered.as_text()


@pytest.mark.gpu
@pytest.mark.skipif(not ENGINE.on_gpu(), reason="no GPU here")
def test_a_gpu_trains_what_the_cpu_trains():
    X, y = rows()
    members = [{"random_state": seed, "learning_rate": 0.01} for seed in range(8)]
    settings: dict[str, Any] = {**CLASSES, "dtype": "float32"}
    runs = tw.fit_population(network(), X, y, members, engine="jax", **settings)
    for member, run in zip(members, runs, strict=True):
        lone = tw.fit(network(), X, y, engine="native", **settings, **member)
        # float32 rounds at 6e-8; tens of terms, ten-odd steps.
        np.testing.assert_allclose(run.history.loss, lone.history.loss, rtol=1e-4)


def pretend_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(platform="gpu")])


@pytest.mark.slow
def test_what_is_of_another_kind_is_trained_apart():
    members: list[dict[str, Any]] = [
        {"learning_rate": 0.01},
        {"network": network(9)},
        {"optimizer": "lbfgs"},
        {"learning_rate": 0.02},
        {"optimizer": ["adam", "lbfgs"]},
    ]
    runs = together(members, random_state=1, **CLASSES)
    together_ = ["as one program" in run.engine for run in runs]
    assert together_ == [True, False, False, True, False]


@pytest.mark.slow
def test_ctrl_c_keeps_the_weights_so_far():
    X, y = rows()

    def press(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    members: list[dict[str, Any]] = [{"callbacks": [press]}, {}]
    runs = tw.fit_population(network(), X, y, members, engine="jax", **CLASSES)
    assert [run.stop_reason for run in runs] == [StopReason.INTERRUPTED] * 2
    assert [len(run.history) for run in runs] == [2, 1]


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ([{}, {"learning_rat": 1}], "member 1.*learning_rat.*learning_rate"),
        ([{"l2": -1.0}, {}], "l2=-1.0"),
        ([{"random_state": -1}, {}], "random_state is -1"),
    ],
)
def test_what_is_wrong_with_a_member_is_said(
    members: list[dict[str, Any]], sentence: str
):
    X, y = rows()
    with pytest.raises(ValueError, match=sentence):
        tw.fit_population(network(), X, y, members, engine="jax", **CLASSES)
