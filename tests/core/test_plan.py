"""Plans: schedules against their formulas and their authors, averages, links, errors.

Schedules are compared with optax's and scikit-learn's own where they have one, and
with the formula told step by step where not. Both are float64 sums of a few terms, so
1e-12 is some thousand roundings; optax computes in float32, hence 1e-6 there.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn.neural_network import MLPClassifier

from thalweg.core.losses import LOSSES, link
from thalweg.core.optimizers import DEFAULT_RATES, OPTIMIZERS
from thalweg.core.plan import (
    Plan,
    batch_rows,
    mixing_factors,
    rate_factors,
    steps_per_epoch,
)
from thalweg.core.schedules import AVERAGES, SCHEDULES
from thalweg.core.types import Array

N_ROWS, PER_EPOCH, EPOCHS = 23, 6, 20
TOTAL = PER_EPOCH * EPOCHS


def plan(schedule: Any = "constant", **settings: Any) -> Plan:
    return Plan(
        **{
            "schedule": schedule,
            "batch_size": 4,
            "epochs": EPOCHS,
            "patience": 5,
            **settings,
        }
    )


def factors(schedule: Any, first: int = 0, count: int = TOTAL, **settings: Any) -> Any:
    return rate_factors(plan(schedule, **settings), first, count, N_ROWS)


def restarts(step: int, growth: int = 2) -> float:
    """Told step by step: cycles of 3 epochs, each `growth` times the one before."""
    length, left = 3 * PER_EPOCH, step
    while left >= length:
        left, length = left - length, length * growth
    return 0.1 + 0.9 * (1 + np.cos(np.pi * left / length)) / 2


def one_cycle(step: int) -> float:
    """Cosine up to the peak at three tenths of the run, and cosine down from it."""
    done = step / (TOTAL - 1)
    if done < 0.3:
        return 0.04 + 0.96 * (1 - np.cos(np.pi * done / 0.3)) / 2
    return 1e-4 + (1 - 1e-4) * (1 + np.cos(np.pi * (done - 0.3) / 0.7)) / 2


FORMULAS: dict[str, tuple[Any, Callable[[int], float]]] = {
    "constant": ("constant", lambda t: 1.0),
    "inverse_scaling": (
        ("inverse_scaling", {"power": 0.7}),
        lambda t: 1 / (t + 1) ** 0.7,
    ),
    "inverse_time": (
        ("inverse_time", {"decay": 0.03}),
        lambda t: 1 / (1 + 0.03 * t),
    ),
    "linear": (("linear", {"floor": 0.2}), lambda t: 1 - 0.8 * t / TOTAL),
    "step": (
        ("step", {"every": 3, "factor": 0.4}),
        lambda t: 0.4 ** (t // PER_EPOCH // 3),
    ),
    "exponential": (
        ("exponential", {"factor": 0.9}),
        lambda t: 0.9 ** (t // PER_EPOCH),
    ),
    "cosine": (
        ("cosine", {"floor": 0.1}),
        lambda t: 0.1 + 0.9 * (1 + np.cos(np.pi * t / TOTAL)) / 2,
    ),
    "cosine_restarts": (
        ("cosine_restarts", {"period": 3, "growth": 2, "floor": 0.1}),
        restarts,
    ),
    "cosine_restarts of equal length": (
        ("cosine_restarts", {"period": 3, "growth": 1, "floor": 0.1}),
        lambda t: restarts(t, growth=1),
    ),
    "one_cycle": ("one_cycle", one_cycle),
    "invscaling": (
        ("invscaling", {"power": 0.3}),
        lambda t: 1.0 if t < PER_EPOCH else (t // PER_EPOCH * N_ROWS + 1) ** -0.3,
    ),
    "plateau": ("plateau", lambda t: 1.0),
    "adaptive": ("adaptive", lambda t: 1.0),
    "a function": (lambda t: 1 / (2 + t), lambda t: 1 / (2 + t)),
}


def test_every_schedule_has_a_formula() -> None:
    assert set(SCHEDULES) <= set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_schedule_is_its_formula(name: str) -> None:
    schedule, formula = FORMULAS[name]
    expected = [formula(t) for t in range(TOTAL)]
    np.testing.assert_allclose(factors(schedule), expected, rtol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("warmup", [0, 9])
def test_chunks_of_a_schedule_are_the_schedule(name: str, warmup: int) -> None:
    """The loop asks for some epochs at a time, and once an epoch where it watches."""
    schedule, _ = FORMULAS[name]
    whole = factors(schedule, warmup=warmup)
    pieces = [factors(schedule, i, 6, warmup=warmup) for i in range(0, TOTAL, 6)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert whole.dtype == np.float64


OPTAX: dict[str, tuple[Any, Any]] = {
    "inverse_time": (
        ("inverse_time", {"decay": 0.03}),
        lambda t: 1 / (1 + 0.03 * t),
    ),
    "cosine": (
        ("cosine", {"floor": 0.1}),
        optax.cosine_decay_schedule(1.0, TOTAL, alpha=0.1),
    ),
    "linear": (("linear", {"floor": 0.2}), optax.linear_schedule(1.0, 0.2, TOTAL)),
    "exponential": (
        ("exponential", {"factor": 0.9}),
        optax.exponential_decay(1.0, PER_EPOCH, 0.9, staircase=True),
    ),
    "step": (
        ("step", {"every": 3, "factor": 0.4}),
        optax.exponential_decay(1.0, 3 * PER_EPOCH, 0.4, staircase=True),
    ),
    "cosine_restarts": (
        ("cosine_restarts", {"period": 3, "growth": 1, "floor": 0.1}),
        optax.sgdr_schedule(
            [
                {
                    "init_value": 1.0, "peak_value": 1.0, "warmup_steps": 0,
                    "decay_steps": 3 * PER_EPOCH, "end_value": 0.1,
                }
                for _ in range(10)
            ]
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTAX)
def test_schedule_is_optaxs(name: str) -> None:
    schedule, theirs = OPTAX[name]
    steps = range(0, TOTAL, 7)
    expected = [float(theirs(t)) for t in steps]
    np.testing.assert_allclose(factors(schedule)[::7], expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_invscaling_is_sklearns() -> None:
    """The rate that scikit-learn is left with after each epoch."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((N_ROWS, 2)), rng.integers(0, 2, N_ROWS)
    settings: dict[str, Any] = {
        "solver": "sgd", "learning_rate": "invscaling", "batch_size": 4,
        "power_t": 0.3, "learning_rate_init": 0.1,
    }  # fmt: skip
    for epochs in (1, 2, 5):
        theirs: Any = MLPClassifier((2,), max_iter=epochs, **settings).fit(X, y)
        mine = factors(("invscaling", {"power": 0.3}))[epochs * PER_EPOCH]
        rate = getattr(theirs, "_optimizer").learning_rate  # noqa: B009
        np.testing.assert_allclose(0.1 * mine, rate, rtol=1e-12)


def test_warmup_climbs_in_equal_steps_to_the_schedule() -> None:
    warm, plain = factors("cosine", warmup=5), factors("cosine")
    expected = plain[:7] * [0.2, 0.4, 0.6, 0.8, 1, 1, 1]
    np.testing.assert_allclose(warm[:7], expected, rtol=1e-12)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "one_cycle"])
def test_schedules_stay_at_their_end(schedule: str) -> None:
    """More updates than the plan has epochs: as when a fit goes on."""
    late = factors(schedule, TOTAL, 10)
    np.testing.assert_array_equal(late, np.full(10, late[0]))


def test_a_warmup_counts_updates_and_no_batches() -> None:
    """The rate of the issue: 0.025 for the first update of four batches, not 0.1."""
    warm = plan(warmup=4, accumulate=4)
    np.testing.assert_allclose(
        rate_factors(warm, 0, 20, N_ROWS), np.repeat([0.25, 0.5, 0.75, 1, 1], 4)
    )


@given(
    name=st.sampled_from(sorted(SCHEDULES)),
    first=st.integers(0, 10**6),
    n_rows=st.integers(1, 10**6),
    batch=st.one_of(st.none(), st.integers(1, 1000)),
    epochs=st.integers(1, 1000),
)
def test_default_schedules_stay_between_zero_and_one(
    name: str, first: int, n_rows: int, batch: int | None, epochs: int
) -> None:
    drawn = Plan(schedule=name, batch_size=batch, epochs=epochs, patience=5)
    found = rate_factors(drawn, first, 5, n_rows)
    assert found.shape == (5,)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()


@given(n_rows=st.integers(1, 500), batch=st.one_of(st.none(), st.integers(1, 600)))
def test_batches_cover_the_rows(n_rows: int, batch: int | None) -> None:
    drawn = Plan(batch_size=batch)
    rows, steps = batch_rows(drawn, n_rows), steps_per_epoch(drawn, n_rows)
    assert rows <= n_rows
    assert (steps - 1) * rows < n_rows <= steps * rows


def test_auto_batches_are_sklearns() -> None:
    assert [batch_rows(Plan(), n) for n in (5, 200, 201)] == [5, 200, 200]


# -------------------------------------------------------------------- averages


def averaged(values: Array, mixes: Array) -> Array:
    average, out = values[0], []
    for value, mix in zip(values, mixes, strict=True):
        average = average + mix * (value - average)
        out.append(average)
    return np.array(out)


def test_mixing_of_ema_is_the_corrected_average() -> None:
    values = np.random.default_rng(0).standard_normal(TOTAL)
    mixes = mixing_factors(plan(average=("ema", {"decay": 0.8})), 0, TOTAL, N_ROWS)
    found = averaged(values, mixes)
    for t in (1, 2, 7, TOTAL):
        expected = np.average(values[:t], weights=0.8 ** np.arange(t)[::-1])
        np.testing.assert_allclose(found[t - 1], expected, rtol=1e-10)


def test_mixing_of_polyak_is_the_mean_of_the_second_half() -> None:
    values = np.random.default_rng(0).standard_normal(TOTAL)
    mixes = mixing_factors(plan(average=("polyak", {"start": 0.5})), 0, TOTAL, N_ROWS)
    found, half = averaged(values, mixes), TOTAL // 2
    np.testing.assert_allclose(found[:half], values[:half], rtol=1e-12)
    for t in (half + 1, half + 5, TOTAL):
        np.testing.assert_allclose(found[t - 1], values[half:t].mean(), rtol=1e-10)


@pytest.mark.parametrize("name", AVERAGES)
def test_chunks_of_mixing_are_the_mixing(name: str) -> None:
    mixed = plan(average=name, accumulate=4)
    whole = mixing_factors(mixed, 0, TOTAL, N_ROWS)
    pieces = [mixing_factors(mixed, i, 6, N_ROWS) for i in range(0, TOTAL, 6)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert ((whole > 0) & (whole <= 1)).all()


# ----------------------------------------------------------------------- links

LINKS: dict[str, Callable[[Array], Array]] = {
    "cross_entropy": lambda z: softmax(z, axis=1),
    "focal": lambda z: softmax(z, axis=1),
    "binary_cross_entropy": expit,
    "poisson": np.exp,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_link_belongs_to_its_loss(loss: str) -> None:
    z = 3 * np.random.default_rng(0).standard_normal((5, 3))
    expected = LINKS.get(loss, lambda z: z)(z)
    found = link(Plan(loss=loss).loss)(z)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_links_do_not_overflow(loss: str) -> None:
    z = np.array([[1e4, -1e4], [-1e4, 1e4]])
    np.testing.assert_array_equal(link(Plan(loss=loss).loss)(z), [[1, 0], [0, 1]])


def test_link_of_a_function_is_the_identity() -> None:
    z = np.ones((2, 2))
    assert link(Plan(loss=lambda outputs, y: outputs).loss)(z) is z


# ------------------------------------------------------------- plans themselves

PLANS: list[dict[str, Any]] = [
    {},
    {"loss": ("huber", {"delta": 2.0}), "optimizer": ("adam", {"beta_1": 0.5})},
    {"schedule": ("step", {"every": 3}), "average": "ema", "layer_rates": (1, 0.5)},
    {"batch_size": None, "learning_rate": 0.3, "clip_norm": 1.0, "patience": 3},
    {"optimizer": "lbfgs", "loss": "cross_entropy", "l2": 0.1},
]


@pytest.mark.parametrize("settings", PLANS, ids=str)
def test_json_round_trip(settings: dict[str, Any]) -> None:
    written = Plan(**settings)
    assert Plan.from_json(json.loads(json.dumps(written.to_json()))) == written


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"lbfgs_on_device"}))
def test_default_rates(name: str) -> None:
    assert Plan(optimizer=name).rate == DEFAULT_RATES.get(name, 1e-3)
    assert Plan(optimizer=name, learning_rate=0.25).rate == 0.25


def test_a_transformation_of_the_users_has_rate_one() -> None:
    assert Plan(optimizer=optax.adam(0.1)).rate == 1.0


def test_decay_is_the_plans_and_adamws() -> None:
    assert Plan(weight_decay=0.5).decay == 0.5
    assert Plan(optimizer="adamw").decay == 0.01
    both = Plan(optimizer=("adamw", {"weight_decay": 0.25}), weight_decay=0.5)
    assert both.decay == 0.75


def test_of_puts_settings_into_a_plan() -> None:
    base = Plan(epochs=3)
    assert Plan.of(base) == base
    assert Plan.of(base, l2=1.0) == Plan(epochs=3, l2=1.0)
    assert Plan.of(epochs=3) == base


ERRORS: list[tuple[dict[str, Any], list[str]]] = [
    ({"learning_rate": -0.1}, ["learning_rate=-0.1", "(0, inf)"]),
    ({"learning_rate": 0}, ["learning_rate=0", "(0, inf)"]),
    ({"learning_rate": float("nan")}, ["learning_rate=nan", "(0, inf)"]),
    ({"learning_rate": "fast"}, ["learning_rate='fast'", "(0, inf)"]),
    ({"optimizer": "adamm"}, ["optimizer='adamm'", "Did you mean 'adam'?"]),
    ({"optimizer": ("adam", {"beta1": 0.5})}, ["'beta1'", "Did you mean 'beta_1'?"]),
    ({"optimizer": ("adam", {"beta_1": 1.0})}, ["beta_1=1.0", "[0, 1)"]),
    ({"loss": "crossentropy"}, ["loss='crossentropy'", "mean 'cross_entropy'?"]),
    ({"loss": ("huber", {"delta": 0.0})}, ["'huber'", "delta=0.0", "(0, inf)"]),
    ({"schedule": "cosin"}, ["schedule='cosin'", "Did you mean 'cosine'?"]),
    ({"average": "emma"}, ["average='emma'", "Did you mean 'ema'?"]),
    ({"epochs": 0}, ["epochs=0", "[1, inf)"]),
    ({"epochs": 1.5}, ["epochs=1.5", "whole number"]),
    ({"epochs": None}, ["epochs=None", "[1, inf)"]),
    ({"batch_size": 0}, ["batch_size=0", "[1, inf)"]),
    ({"batch_size": 2.5}, ["batch_size=2.5", "whole number"]),
    ({"batch_size": "all"}, ["batch_size='all'"]),
    ({"l1": -1.0}, ["l1=-1.0", "[0, inf)"]),
    ({"l2": float("inf")}, ["l2=inf", "[0, inf)"]),
    ({"weight_decay": -1}, ["weight_decay=-1", "[0, inf)"]),
    ({"clip_norm": 0}, ["clip_norm=0", "(0, inf)"]),
    ({"clip_value": -1}, ["clip_value=-1", "(0, inf)"]),
    ({"accumulate": 0}, ["accumulate=0", "[1, inf)"]),
    ({"warmup": -1}, ["warmup=-1", "[0, inf)"]),
    ({"patience": -1}, ["patience=-1", "[0, inf)"]),
    ({"tol": -1e-3}, ["tol=-0.001", "[0, inf)"]),
    ({"max_time": 0}, ["max_time=0", "(0, inf)"]),
    ({"penalty_scale": "row"}, ["penalty_scale='row'", "'sample', 'batch'"]),
    ({"monitor": "acc"}, ["monitor='acc'", "'auto', 'loss', 'score', 'training'"]),
    ({"dtype": "float16"}, ["dtype='float16'", "'float32', 'float64'"]),
    ({"optimizer": "lbfgs", "learning_rate": 0.1}, ["learning_rate=0.1", "'lbfgs'"]),
    ({"schedule": "adaptive"}, ["adaptive", "patience=None"]),
    ({"optimizer": "cg", "schedule": "cosine"}, ["schedule=", "'cg'"]),
]


@pytest.mark.parametrize(("settings", "words"), ERRORS, ids=lambda v: str(v)[:40])
def test_errors_name_parameter_value_and_way_out(
    settings: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(ValueError) as caught:
        Plan(**settings)
    message = str(caught.value)
    assert [word for word in words if word not in message] == []


def test_unknown_setting_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'epoch'.*Did you mean 'epochs'"):
        Plan.of(epoch=3)


@pytest.mark.parametrize("optimizer", [3, None, lambda: 0])
def test_what_is_no_optimizer_is_refused(optimizer: Any) -> None:
    with pytest.raises(TypeError, match=r"optimizer=.*GradientTransformation"):
        Plan(optimizer=optimizer)


def test_plans_are_equal_by_value_and_hashable() -> None:
    assert Plan(layer_rates=(1, 2)) == Plan(layer_rates=(1.0, 2.0))
    assert len({Plan(), Plan(), Plan(l2=1.0)}) == 2


def test_a_plan_reads_as_its_settings():
    told = str(Plan(loss=("huber", {"delta": 2.0}), optimizer="sgd", batch_size=32))
    assert told.startswith("loss huber (delta 2.0, scale 1.0), optimizer sgd, sched")
    assert "batch size 32" in told
    assert "None" not in told
