"""The native kernel: that it runs, its own functions, and what no other engine has.

That it computes what `references` computes is tested with every engine, in
`test_engines`, `test_updates` and `test_noise`. Here: the elementary functions, the
promise that the number of workers and the instruction set never show, trajectories
beside JAX, and input that would make careless C crash.
"""

import multiprocessing
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import thalweg as tw
from thalweg import engines
from thalweg.core.data import Data
from thalweg.core.history import EpochSums
from thalweg.core.networks import ACTIVATIONS, Dense, DenseNetwork
from thalweg.core.plan import Plan, steps_per_epoch
from thalweg.core.types import Array, Parameters
from thalweg.engines.jax import ENGINE as xla
from thalweg.engines.native import ENGINE as native
from thalweg.engines.native import engine as native_engine
from thalweg.engines.native import threads
from thalweg.engines.native.description import kernel

_HEADER = Path(sysconfig.get_path("include")) / "Python.h"
CAN_BUILD = shutil.which("cc") is not None and _HEADER.exists()
built = pytest.mark.skipif(not CAN_BUILD, reason="no compiler here: nothing was built")

SMOOTH = ["identity", "logistic", "tanh", "gelu", "silu", "mish", "softplus"]


def make(
    widths: tuple[int, ...], n_rows: int = 40, dtype: Any = np.float64, **hidden: Any
) -> tuple[DenseNetwork, Data, Parameters]:
    """A network, rows with class numbers and unequal weights, and first weights."""
    network = DenseNetwork.from_sizes(widths, **{"activation": "tanh", **hidden})
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, widths[0])).astype(dtype)
    y = rng.integers(0, widths[-1], n_rows).astype(np.int32)
    weights = rng.uniform(0.5, 2, n_rows).astype(dtype)
    return network, Data(X, y, weights), network.draw(1, dtype)


def train(
    module: Any,
    network: DenseNetwork,
    plan: Plan,
    data: Data,
    first: Parameters,
    epochs: int = 3,
) -> tuple[EpochSums, Parameters]:
    """Some epochs in shuffled order."""
    n_steps = epochs * steps_per_epoch(plan, len(data.X))
    rng = np.random.default_rng(5)
    orders = [rng.permutation(len(data.X)) for _ in range(epochs)]
    session = module.session(network, plan, data, first, 7, None, None)
    rates = np.full(n_steps, plan.rate)
    sums = session.advance(np.array(orders, np.int32), rates, np.ones(n_steps))
    return sums, session.parameters()


def assert_same(found: Parameters, expected: Parameters, rtol: float = 0.0) -> None:
    for mine, other in zip(found, expected, strict=True):
        for name, values in mine.items():
            scale = np.abs(other[name]).max(initial=0.0)
            np.testing.assert_allclose(
                values, other[name], rtol=rtol, atol=rtol * scale, err_msg=name
            )


PLAN = Plan(loss="cross_entropy", batch_size=16, l2=0.01)


# --------------------------------------------------------------- it is what runs


@built
def test_the_kernel_was_built_and_is_the_one_that_runs() -> None:
    # Never skipped where a compiler is: a package that lost its kernel must not pass.
    assert native.refusal(DenseNetwork.from_sizes((2, 3, 1)), Plan()) == ""
    run = tw.fit(
        DenseNetwork.from_sizes((2, 3, 2)), np.eye(2), [0, 1],
        loss="cross_entropy", epochs=2, random_state=0,
    )  # fmt: skip
    assert run.engine.startswith("native")


def test_what_it_cannot_train_goes_to_jax_and_says_why() -> None:
    own = DenseNetwork(2, (Dense(1, lambda z: z * 2),))
    assert "layer 0" in native.refusal(own, Plan())
    assert "loss" in native.refusal(
        DenseNetwork.from_sizes((2, 1)), Plan(loss=lambda z, y: z[:, 0])
    )
    module, why = engines.pick(
        "auto", DenseNetwork.from_sizes((2, 1)), Plan(optimizer="muon")
    )
    assert module is xla
    assert "muon" in why


def test_what_it_cannot_train_is_refused() -> None:
    network, data, first = make((3, 2))
    with pytest.raises(ValueError, match="muon"):
        native.session(
            network, Plan(loss="cross_entropy", optimizer="muon"), data, first
        )


def test_without_a_kernel_it_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_engine, "kernel", None)
    native_engine._say_once.cache_clear()  # pyright: ignore[reportPrivateUsage]
    network = DenseNetwork.from_sizes((2, 1))
    with pytest.warns(RuntimeWarning, match="without a C compiler"):
        assert native.refusal(network, Plan()) == "the kernel was not built"
    assert native.refusal(network, Plan()) == "the kernel was not built"


# ------------------------------------------------------------ elementary functions

LEVELS = ["baseline", "avx2", "avx512"]


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Any:
    """Each instruction set that this processor has."""
    try:
        kernel.use_level(request.param)
    except ValueError:
        pytest.skip("this processor does not have it")
    yield request.param
    kernel.use_level()


def arguments(which: str, dtype: Any) -> Array:
    """Random numbers over the whole range, and every kind of extreme."""
    info, rng = np.finfo(dtype), np.random.default_rng(0)
    low, high = np.log(float(info.smallest_subnormal)) - 1, np.log(float(info.max)) + 1
    size = 10 ** rng.uniform(np.log10(float(info.smallest_subnormal)), 0, 50000)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0]
    extremes = [info.max, info.tiny, info.smallest_subnormal, info.eps]
    signed = np.concatenate([extremes, np.negative(extremes), special])
    ranges = {
        "exp": [rng.uniform(low, high, 200000), size, -size, signed],
        "tanh": [rng.uniform(-25, 25, 200000), size, -size, signed],
        "log": [np.exp(rng.uniform(low, high - 1, 200000)), size, signed],
        "log1p": [rng.uniform(0, 1, 100000), size, [0.0, 1.0, np.nan]],
        "expm1": [rng.uniform(low, 0, 100000), -size, [0.0, -0.0, -np.inf, np.nan]],
    }
    with np.errstate(over="ignore"):
        return np.concatenate(ranges[which]).astype(dtype)


@built
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("which", ["exp", "tanh", "log", "log1p", "expm1"])
def test_elementary_functions_are_within_two_units(
    level: str, which: str, dtype: Any
) -> None:
    x = arguments(which, dtype)
    found = np.empty_like(x)
    kernel.elementary(which, x, found)
    wide = np.float64 if dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        exact = getattr(np, which)(x.astype(wide))
        expected = exact.astype(dtype)
        finite = np.isfinite(expected)
        unit = np.abs(np.spacing(expected[finite])).astype(wide)
    np.testing.assert_array_equal(found[~finite], expected[~finite])
    error = np.abs(found[finite].astype(wide) - exact[finite]) / unit
    assert error.max() <= 2
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


@built
@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_published_vectors_of_the_generator(
    key: tuple[int, int], counter: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert kernel.threefry(*key, *counter) == expected


# ------------------------------------------------------------------ beside JAX


@built
@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["momentum", "adam", "nadam", "adadelta"])
@pytest.mark.parametrize("activation", SMOOTH)
def test_fifty_steps_are_jaxs(activation: str, optimizer: str) -> None:
    network, data, first = make((5, 7, 6, 3), 50, activation=activation, dropout=0.2)
    plan = replace(PLAN, batch_size=10, optimizer=optimizer, learning_rate=0.01)
    sums, found = train(native, network, plan, data, first, 10)
    expected_sums, expected = train(xla, network, plan, data, first, 10)
    assert_same(found, expected, 1e-9)
    np.testing.assert_allclose(sums.loss, expected_sums.loss, rtol=1e-9)
    np.testing.assert_allclose(
        sums.gradient_norm, expected_sums.gradient_norm, rtol=1e-8
    )
    np.testing.assert_allclose(sums.update_ratio, expected_sums.update_ratio, rtol=1e-8)


layers = st.builds(
    Dense,
    units=st.integers(1, 20),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    normalization=st.sampled_from(["none", "none", "batch", "layer"]),
    dropout=st.sampled_from([0.0, 0.0, 0.3]),
    residual=st.just(0),
    frozen=st.booleans(),
)


@built
@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(layers, max_size=3), st.integers(1, 70), st.integers(1, 40))
def test_gradient_of_any_network_is_jaxs(
    hidden: list[Dense], n_rows: int, width: int
) -> None:
    network = DenseNetwork(width, (*hidden, Dense(3, "identity")))
    _, data, _ = make((width, 3), n_rows)
    first = network.draw(2)
    plan = replace(PLAN, l1=0.01)
    cost, gradient = native.cost_and_gradient(network, plan, first, data)
    expected_cost, expected = xla.cost_and_gradient(network, plan, first, data)
    assert cost == pytest.approx(expected_cost, rel=1e-12)
    size = max((np.abs(v).max() for own in expected for v in own.values()), default=1.0)
    for mine, other in zip(gradient, expected, strict=True):
        assert mine.keys() == other.keys()
        for name, values in mine.items():
            np.testing.assert_allclose(values, other[name], rtol=0, atol=1e-12 * size)


# -------------------------------------------------------- workers, levels, bits


def with_workers(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(threads, "available_cpus", lambda: count)


@built
@pytest.mark.slow
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_workers_never_shows(
    monkeypatch: pytest.MonkeyPatch, normalization: str, dtype: Any
) -> None:
    network, data, first = make(
        (200, 150, 120, 10), 700, dtype, normalization=normalization, dropout=0.1
    )
    plan = replace(PLAN, batch_size=300, optimizer="adam")
    bits, costs = [], []
    for count in (1, 2, 5):
        with_workers(monkeypatch, count)
        sums, found = train(native, network, plan, data, first)
        bits.append((sums.loss, sums.gradient_norm, sums.update_ratio, *flat(found)))
        cost, gradient = native.cost_and_gradient(network, plan, first, data)
        outputs = native.outputs(network, first, data.X)
        costs.append((np.array(cost), outputs, *flat(gradient)))
    for other in (1, 2):
        for mine, theirs in zip(bits[0], bits[other], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        for mine, theirs in zip(costs[0], costs[other], strict=True):
            np.testing.assert_array_equal(mine, theirs)


@built
def test_the_choice_of_workers_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for several slices, in which a team and one worker take turns.
    network, data, first = make((100, 200, 10), 500, np.float32)
    plan = replace(PLAN, batch_size=500, optimizer="adam")
    found = []
    for count in (1, 2):
        with_workers(monkeypatch, count)
        found.append(flat(train(native, network, plan, data, first, 600)[1]))
    for alone, chosen in zip(*found, strict=True):
        np.testing.assert_array_equal(alone, chosen)


def flat(parameters: Parameters) -> list[Array]:
    return [values for own in parameters for values in own.values()]


@pytest.mark.slow
@built
def test_every_instruction_set_agrees(level: str) -> None:
    network, data, first = make((6, 30, 20, 4), 90)
    _, found = train(native, network, PLAN, data, first)
    _, expected = train(xla, network, PLAN, data, first)
    assert_same(found, expected, 1e-9)


@built
def test_large_batches_pass_in_blocks() -> None:
    network, data, first = make((3, 4, 3), 10000)
    plan = replace(PLAN, batch_size=None)
    cost, gradient = native.cost_and_gradient(network, plan, first, data)
    expected_cost, expected = xla.cost_and_gradient(network, plan, first, data)
    assert cost == pytest.approx(expected_cost, rel=1e-12)
    assert_same(gradient, expected, 1e-11)


# ------------------------------------------------------------- stopping inside


@built
def test_the_stopping_rule_inside_is_the_one_outside() -> None:
    network, data, first = make((3, 5, 3), 30)
    plan = replace(PLAN, batch_size=30, learning_rate=0.05)
    rates, ones = np.full(400, 0.05), np.ones(400)
    free = native.session(network, plan, data, first)
    losses = free.advance(None, rates, ones).loss
    best, waited, last = np.inf, 0, 0
    while waited <= 5:
        waited = 0 if losses[last] <= best - 1e-2 else waited + 1
        best = min(best, losses[last])
        last += 1
    assert last < 400
    session = native.session(network, plan, data, first)
    sums = session.advance(None, rates, ones, (5, 1e-2, np.inf, 0))
    np.testing.assert_array_equal(sums.loss, losses[:last])


@built
def test_the_stopping_rule_goes_on_from_earlier_counts() -> None:
    network, data, first = make((3, 5, 3), 30)
    session = native.session(network, PLAN, data, first)
    counts = (3, 0.0, -1.0, 2)  # no loss is below -1, and two epochs have waited
    assert len(session.advance(None, np.ones(20), np.ones(20), counts).loss) == 2


@built
def test_a_stop_inside_is_a_stop_epoch_by_epoch() -> None:
    network, data, _ = make((3, 5, 3), 30)
    settings: dict[str, Any] = {
        "loss": "cross_entropy", "tol": 0.01, "patience": 3, "random_state": 0,
        "epochs": 500, "learning_rate": 0.05,
    }  # fmt: skip
    inside = tw.fit(network, data.X, data.y, **settings)
    outside = tw.fit(network, data.X, data.y, callbacks=[lambda e: None], **settings)
    assert len(inside.history) == len(outside.history) < 500
    assert inside.why == outside.why
    assert_same(inside.parameters, outside.parameters)


@built
def test_another_thread_can_cancel() -> None:
    network, data, first = make((50, 100, 3), 500)
    session = native.session(network, PLAN, data, first)
    n_epochs = 100000
    n_steps = n_epochs * steps_per_epoch(PLAN, 500)
    done: list[EpochSums] = []

    def work() -> None:
        done.append(session.advance(None, np.full(n_steps, 1e-3), np.ones(n_steps)))

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        session.cancel()
        thread.join(0.01)
    assert len(done[0].loss) < n_epochs


# -------------------------------------------------------------- hostile input


@built
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_nan_anywhere_gives_a_nan_loss(activation: str) -> None:
    network, data, first = make((3, 4, 3), 20, activation=activation)
    data.X[13, 1] = np.nan
    sums, found = train(native, network, PLAN, data, first)
    assert not sums.finite
    assert np.isnan(sums.loss[-1])
    assert all(np.isfinite(values).all() for values in flat(found))


@pytest.mark.slow
@built
@pytest.mark.parametrize(
    ("widths", "n_rows", "batch"),
    [
        ((3, 2), 1, 200),
        ((1, 1, 1, 2), 5, 2),
        ((4, 5, 1), 17, 16),
        ((2, 10000, 2), 3, 9),
    ],
)
def test_odd_sizes(widths: tuple[int, ...], n_rows: int, batch: int) -> None:
    network, data, first = make(widths, n_rows)
    plan = replace(PLAN, batch_size=batch)
    _, found = train(native, network, plan, data, first, 2)
    _, expected = train(xla, network, plan, data, first, 2)
    assert_same(found, expected, 1e-9)


@built
def test_no_rows() -> None:
    network, data, first = make((3, 4, 2))
    assert native.outputs(network, first, data.X[:0]).shape == (0, 2)
    nothing = Data(data.X[:0], data.y[:0], data.weights[:0])
    with pytest.raises(ValueError, match="no rows"):
        native.session(network, PLAN, nothing, first)


def misaligned(values: Array) -> Array:
    raw = np.zeros(values.nbytes + 1, np.uint8)
    shifted = raw[1:].view(values.dtype).reshape(values.shape)
    shifted[...] = values
    return shifted


def read_only(values: Array) -> Array:
    copy = values.copy()
    copy.flags.writeable = False
    return copy


@built
@pytest.mark.parametrize(
    "how", [misaligned, read_only, np.asfortranarray, lambda v: np.repeat(v, 2, 0)[::2]]
)
def test_arrays_as_they_come(how: Any) -> None:
    network, data, first = make((3, 4, 3), 30)
    _, expected = train(native, network, PLAN, data, first)
    odd = Data(how(data.X), how(data.y), how(data.weights))
    start = tuple({k: how(v) for k, v in own.items()} for own in first)
    _, found = train(native, network, PLAN, odd, start)
    assert_same(found, expected)


@built
def test_what_would_be_read_outside_an_array_is_refused() -> None:
    network, data, first = make((3, 4, 3), 30)
    session = native.session(network, PLAN, data, first)
    orders = np.full((1, 30), 30, np.int32)
    with pytest.raises(ValueError, match="outside"):
        session.advance(orders, np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="epochs"):
        session.advance(orders[:0], np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="shape"):
        native.outputs(network, first, data.X[:, :2])
    with pytest.raises(ValueError, match="weights has shape"):
        native.session(network, PLAN, replace(data, weights=data.weights[1:]), first)
    with pytest.raises(ValueError, match="bytes"):
        native.session(network, PLAN, data, first, 0, (1, 1, b"short"))
    cut = ({**first[0], "bias": first[0]["bias"][1:]}, first[1])
    with pytest.raises(ValueError, match="shape"):
        native.session(network, PLAN, data, cut)


@built
def test_classes_that_the_network_lacks_do_no_harm() -> None:
    network, data, first = make((3, 4, 3), 30)
    data.y[:] = 2**31 - 1
    data.y[3] = -(2**31)
    cost, _ = native.cost_and_gradient(network, PLAN, first, data)
    expected, _ = xla.cost_and_gradient(network, PLAN, first, data)
    assert cost == pytest.approx(expected, rel=1e-12)


# ------------------------------------------------------------------ sparse rows


@built
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_rows_are_dense_rows(dtype: Any) -> None:
    network, data, first = make((30, 5, 3), 40, dtype)
    X = data.X * (np.random.default_rng(3).random(data.X.shape) < 0.1)
    dense, compressed = replace(data, X=X), replace(data, X=sparse.csr_array(X))
    tight = 1e-4 if dtype == np.float32 else 1e-10
    _, expected = train(native, network, PLAN, dense, first)
    rates = np.full(9, PLAN.rate)
    session = native.session(network, PLAN, compressed, first, 7)
    orders = [np.random.default_rng(5)]
    orders = np.array([orders[0].permutation(40) for _ in range(3)], np.int32)
    session.advance(orders, rates, np.ones(9))
    assert_same(session.parameters(), expected, tight)
    np.testing.assert_allclose(
        native.outputs(network, first, sparse.csr_array(X)),
        native.outputs(network, first, X),
        rtol=tight, atol=tight,
    )  # fmt: skip


@built
def test_sparse_rows_that_lie_are_refused() -> None:
    network, data, first = make((30, 5, 3), 4)
    X = sparse.csr_array(data.X)
    X.indices[5] = 30
    with pytest.raises(ValueError, match="sparse"):
        native.session(network, PLAN, replace(data, X=X), first)


# ------------------------------------------------------- threads and processes


@built
@pytest.mark.slow
def test_many_threads_fit_at_once() -> None:
    from threadpoolctl import threadpool_info

    network, data, first = make((100, 200, 150, 3), 400)
    plan = replace(PLAN, batch_size=200)
    before = [entry["num_threads"] for entry in threadpool_info()]
    _, expected = train(native, network, plan, data, first)
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            pool.submit(train, native, network, plan, data, first) for _ in range(24)
        ]
        for job in jobs:
            assert_same(job.result()[1], expected)
    assert [entry["num_threads"] for entry in threadpool_info()] == before


def child(queue: Any) -> None:
    network, data, first = make((100, 200, 150, 3), 400)
    _, found = train(native, network, replace(PLAN, batch_size=200), data, first)
    queue.put(found[0]["weights"])


@built
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore")  # JAX and Python warn of forks with threads
def test_a_forked_child_can_fit() -> None:
    network, data, first = make((100, 200, 150, 3), 400)
    _, expected = train(native, network, replace(PLAN, batch_size=200), data, first)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    np.testing.assert_array_equal(queue.get(timeout=60), expected[0]["weights"])
    process.join(60)
    assert process.exitcode == 0


@built
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_nothing_leaks() -> None:
    network, data, first = make((50, 60, 3), 300)

    def pages() -> int:
        for _ in range(100):
            train(native, network, PLAN, data, first, 1)
            native.cost_and_gradient(network, PLAN, first, data)
            native.outputs(network, first, data.X)
        return int(Path("/proc/self/statm").read_text().split()[1])

    pages()
    before = pages()
    assert pages() - before < 500


PREDICTION = """
import pathlib
import numpy as np
from thalweg.engines.native import ENGINE as native
from thalweg.core import DenseNetwork

def peak():
    text = pathlib.Path("/proc/self/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) * 1024

network = DenseNetwork.from_sizes((20, 100, 5))
parameters = network.draw(np.random.RandomState(0), np.float32)
X = np.ones((1_000_000, 20), np.float32)
native.outputs(network, parameters, X[:100_000])
before = peak()
found = native.outputs(network, parameters, X)
print(peak() - before - found.nbytes)
"""


@pytest.mark.integration
@built
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
def test_prediction_takes_no_memory_by_the_row() -> None:
    """Ten times the rows: beside what comes out, not even one number more a row."""
    command = [sys.executable, "-c", PREDICTION]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(told.stdout) < 4 * 900_000
