"""Streamed data train as the same rows in memory do, in memory that does not grow.

The same batches in the same order go through the same code of the same engine, cut
into other windows: what comes out is equal to the last bit, which is what is asked.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core.history import EpochRecord, StopReason
from thalweg.core.networks import DenseNetwork
from thalweg.training import streaming

pa = pytest.importorskip("pyarrow")
ds = pytest.importorskip("pyarrow.dataset")
pq = pytest.importorskip("pyarrow.parquet")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((230, 4))
Y = (X[:, 0] > 0).astype(int)
WEIGHT = RNG.uniform(0.5, 2, 230)
BATCHES = [
    (X[i : i + 50], Y[i : i + 50], WEIGHT[i : i + 50]) for i in range(0, 230, 50)
]
NETWORK = DenseNetwork.from_sizes((4, 7, 2), dropout=0.2)
BY_BATCH = {"penalty_scale": "batch"}
PLAN: dict[str, Any] = {"loss": "cross_entropy", "epochs": 4, "random_state": 0}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    columns = {f"x{i}": X[:, i] for i in range(4)}
    content = pa.table({**columns, "class": Y, "weight": WEIGHT})
    pq.write_table(content, tmp_path / "rows.parquet", row_group_size=33)
    return tmp_path / "rows.parquet"


def assert_equal(run: tw.Run, other: tw.Run) -> None:
    assert (run.stop_reason, run.best_epoch) == (other.stop_reason, other.best_epoch)
    for own, its in zip(run.parameters, other.parameters, strict=True):
        for name in own:
            np.testing.assert_array_equal(own[name], its[name], err_msg=name)
    for name in ("gradient_norm", "update_ratio", "rate", "validation_loss"):
        np.testing.assert_array_equal(
            getattr(run.history, name), getattr(other.history, name), err_msg=name
        )
    # Batches are averaged within windows first: another order of a few additions.
    np.testing.assert_allclose(run.history.loss, other.history.loss, rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "settings"),
    [
        ("native", {"optimizer": "momentum", "l2": 0.5, "schedule": "cosine"}),
        ("native", {"validation": (X[:60], Y[:60]), "patience": 1, "epochs": 30}),
        ("native", {"accumulate": 2, "clip_norm": 0.1, "l1": 1, **BY_BATCH}),
        ("jax", {"accumulate": 2, "l2": 0.5, "schedule": "step"}),
    ],
    ids=["penalty", "validation", "accumulate", "jax"],
)
def test_batches_train_as_rows_in_memory_do(
    engine: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    own = {**PLAN, **settings, "engine": engine}
    whole = tw.fit(
        NETWORK, X, Y, sample_weight=WEIGHT, batch_size=50, shuffle=False, **own
    )
    once = tw.fit(NETWORK, BATCHES, **own)
    assert_equal(once, whole)
    assert once.engine == f"{engine} (asked for); streamed"
    if engine == "jax":
        return  # which would compile for each size of window
    monkeypatch.setattr(streaming, "_ROWS", 100)
    many = tw.fit(NETWORK, lambda: iter(BATCHES), **own)
    np.testing.assert_allclose(many.history.loss, whole.history.loss, rtol=1e-12)


def test_parquet_trains_as_rows_in_memory_do(
    table: Path, monkeypatch: pytest.MonkeyPatch
):
    own: dict[str, Any] = {**PLAN, "batch_size": 32, "l2": 0.1, "dtype": "float32"}
    ordered = {**own, "shuffle": False}
    whole = tw.fit(NETWORK, X, Y, sample_weight=WEIGHT, **ordered)
    once = tw.fit(NETWORK, table, "class", sample_weight="weight", **ordered)
    assert_equal(once, whole)
    monkeypatch.setattr(streaming, "_ROWS", 70)
    cut = tw.fit(NETWORK, table, "class", sample_weight="weight", **ordered)
    # float32 rounds at 6e-8; some tens of additions in another order.
    np.testing.assert_allclose(cut.history.loss, whole.history.loss, rtol=1e-5)
    dataset = ds.dataset(table)
    mixed = tw.fit(NETWORK, dataset, "class", sample_weight="weight", **own)
    assert len(mixed.history) == 4


def test_several_targets_name_several_columns(table: Path):
    network = DenseNetwork.from_sizes((3, 5, 2))
    given = {"loss": "squared", "epochs": 2, "shuffle": False, "random_state": 0}
    run = tw.fit(network, table, ["x0", "class"], sample_weight="weight", **given)
    target = np.column_stack([X[:, 0], Y])
    whole = tw.fit(network, X[:, 1:], target, sample_weight=WEIGHT, **given)
    assert_equal(run, whole)


def test_one_pass_over_an_iterator_and_a_callback_that_stops():
    run = tw.fit(NETWORK, iter(BATCHES), **{**PLAN, "epochs": 1})
    assert run.stop_reason is StopReason.MAX_EPOCHS

    def stop(record: EpochRecord) -> bool:
        return record.epoch == 2

    run = tw.fit(NETWORK, BATCHES, callbacks=[stop], **PLAN)
    assert (run.stop_reason, len(run.history)) == (StopReason.CALLBACK, 2)


OWN = tw.Network(
    lambda seed: {"w": np.full((4, 2), 0.1)}, lambda params, X: X @ params["w"]
)


@pytest.mark.parametrize("network", [NETWORK, OWN], ids=["dense", "own"])
def test_batches_of_one_reused_buffer_are_copied(network: Any):
    def reusing() -> Any:
        buffers = np.empty((50, 4)), np.empty(50, np.int32), np.empty(50)
        for batch in BATCHES[:4]:
            for buffer, part in zip(buffers, batch, strict=True):
                buffer[:] = part
            yield buffers

    settings = {**PLAN, "optimizer": "sgd", "shuffle": False}
    run = tw.fit(network, reusing, **settings)
    other = tw.fit(network, BATCHES[:4], **settings)
    np.testing.assert_array_equal(run.history.loss, other.history.loss)


def test_ctrl_c_keeps_the_weights_so_far():
    def press(record: EpochRecord) -> None:
        raise KeyboardInterrupt

    run = tw.fit(NETWORK, BATCHES, callbacks=[press], **PLAN)
    assert (run.stop_reason, len(run.history)) == (StopReason.INTERRUPTED, 1)


def test_divergence_keeps_the_last_finite_weights():
    own = {**PLAN, "optimizer": "sgd", "learning_rate": 1e300}
    run = tw.fit(NETWORK, BATCHES, **own)
    assert run.stop_reason is StopReason.NONFINITE
    assert all(np.isfinite(v).all() for own in run.parameters for v in own.values())


READ = iter(BATCHES)
list(READ)
WRONG: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "width": (
        lambda: [*BATCHES, (X[:5, :3], Y[:5])],
        {},
        r"batch 5 has X of shape \(5, 3\).*batch 0 had \(50, 4\)",
    ),
    "dtype": (
        lambda: [*BATCHES, (X[:5].astype("f4"), Y[:5])],
        {},
        "batch 5 .* type float32, batch 0 .* float64",
    ),
    "not finite": (lambda: [*BATCHES, (X * np.inf, Y)], {}, "batch 5: X holds .*inf"),
    "no batches": (list, {}, "no batch"),
    "no rows": (lambda: [(X[:0], Y[:0])], {}, "batch 0: X has no rows"),
    "used up": (lambda: READ, {"epochs": 1}, "no batch"),
    "read twice": (lambda: iter(BATCHES), {}, "read only once. Give a callable"),
    "to be counted": (
        lambda: iter(BATCHES),
        {"epochs": 1, "l2": 1.0},
        "only once, and a penalty",
    ),
    "used up later": (lambda: lambda: READ, {}, "new iterator at each call"),
    "no pairs": (lambda: X, {}, r"batch 0 is a ndarray; each must be a tuple \(X, y\)"),
    "no batches at all": (lambda: 5, {}, "iterable of batches"),
    "lbfgs": (lambda: BATCHES, {"optimizer": "lbfgs"}, "optimizer='lbfgs'.*streamed"),
    "average": (lambda: BATCHES, {"average": "ema"}, "average='ema'.*streamed"),
    "share": (lambda: BATCHES, {"validation": 0.2}, "validation=0.2.*X_val"),
    "weights": (lambda: BATCHES, {"sample_weight": WEIGHT}, "Give each batch its own"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_batches_is_said(case: str):
    make, settings, sentence = WRONG[case]
    with pytest.raises((ValueError, TypeError), match=sentence):
        tw.fit(NETWORK, make(), **{**PLAN, **settings})


def test_what_is_wrong_with_parquet_is_said(table: Path, tmp_path: Path):
    for y, sentence in (("clas", "column 'clas'"), (None, "y names the target's")):
        with pytest.raises(ValueError, match=sentence):
            tw.fit(NETWORK, table, y, **PLAN)
    with pytest.raises(FileNotFoundError, match="no file"):
        tw.fit(NETWORK, tmp_path / "none.parquet", "class", **PLAN)
    other = tmp_path / "other.parquet"
    other.write_text("not it")
    with pytest.raises(ValueError, match="not a Parquet file"):
        tw.fit(NETWORK, other, "class", **PLAN)
    pq.write_table(pa.table({"x": ["a", "b"], "class": [0, 1]}), other)
    with pytest.raises(ValueError, match="'x' holds string"):
        tw.fit(NETWORK, other, "class", **PLAN)
    pq.write_table(pa.table({"x": [1.0, None], "class": [0, 1]}), other)
    network = DenseNetwork.from_sizes((1, 2))
    with pytest.raises(ValueError, match="rows from 0 on: X holds nan in row 1"):
        tw.fit(network, other, "class", **PLAN)


FLAT = """
import sys
import numpy as np
import thalweg as tw

rng = np.random.default_rng(0)
X = rng.standard_normal((8192, 64), np.float32)
y = (X[:, 0] > 0).astype(int)
network = tw.DenseNetwork.from_sizes((64, 4, 2))

def batches(n):
    def read():
        return ((X + np.float32(i), y) for i in range(n))
    return read

def peak(n, source=None, target=None):
    tw.fit(network, source or batches(n), target, loss="cross_entropy", epochs=1,
           batch_size=8192)
    status = open("/proc/self/status").read()  # getrusage remembers the parent's
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

start = peak(40)
print(start, peak(200))
if len(sys.argv) > 1:
    import pyarrow as pa, pyarrow.parquet as pq
    columns = [f"x{i}" for i in range(64)]
    table = pa.table({**{c: X[:, i] for i, c in enumerate(columns)}, "class": y})
    for name, n in (("small", 12), ("large", 80)):
        with pq.ParquetWriter(f"{sys.argv[1]}/{name}", table.schema) as file:
            for _ in range(n):
                file.write_table(table)
    print(*(peak(0, f"{sys.argv[1]}/{name}", "class") for name in ("small", "large")))
"""


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_memory_stays_flat(tmp_path: Path):
    """400 MB of batches and 160 MB of Parquet pass by; far less before is the measure.

    What may be added is windows of 16 MiB, of which three are held at a time with what
    was made of them, and what the allocators keep: 100 MB is generous.
    """
    command = [sys.executable, "-c", FLAT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        before, after = map(float, line.split())
        assert after - before < 100, done.stdout
