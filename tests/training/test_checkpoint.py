"""Checkpoints: what was ended goes on, and ends with the same bits."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.io import read_model_of_kind, write_model_file
from thalweg.training import checkpoint as checkpoints
from thalweg.training import evaluations, streaming

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 3))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
NETWORK = tw.DenseNetwork.from_sizes((3, 6, 2), dropout=0.2)
QUIET = tw.DenseNetwork.from_sizes((3, 4, 2))
COLUMNS = (
    "loss", "gradient_norm", "update_ratio", "rate", "validation_loss",
    "validation_score", "evaluations", "gradient_evaluations", "hessian_products",
    "line_search_failures", "restarts",
)  # fmt: skip


class Ended(Exception):
    """Ends a training between two epochs, as a crash would."""


def ends_at(epoch: int) -> Callable[[Any], None]:
    def callback(record: Any) -> None:
        if record.epoch == epoch:
            raise Ended

    return callback


def fit(path: Path | None = None, end: int = 0, **settings: Any) -> tw.Run:
    network = settings.pop("network", NETWORK)
    more: dict[str, Any] = {
        "loss": "cross_entropy", "epochs": 9, "batch_size": 20, "random_state": 0,
        "callbacks": [ends_at(end)] if end else (), **settings,
    }  # fmt: skip
    if path is not None:
        more = {"checkpoint": path, "checkpoint_every": 1, **more}
    return tw.fit(network, X, Y, **more)


def assert_same(one: tw.Run, other: tw.Run) -> None:
    for mine, theirs in zip(one.parameters, other.parameters, strict=True):
        for name, value in mine.items():
            np.testing.assert_array_equal(value, theirs[name])
    for name in COLUMNS:
        np.testing.assert_array_equal(
            getattr(one.history, name), getattr(other.history, name)
        )
    assert (one.why, one.best_epoch) == (other.why, other.best_epoch)


FIRST_ORDER: dict[str, dict[str, Any]] = {
    "dropout": {},
    "ema": {"average": "ema"},
    "polyak": {"average": "polyak", "schedule": "cosine"},
    "accumulate": {"accumulate": 3},
    "best weights": {"validation": 0.2, "patience": 2},
    "plateau": {"validation": 0.2, "schedule": ("plateau", {"patience": 1})},
    "adaptive": {"optimizer": "momentum", "schedule": "adaptive", "patience": 1},
    "phases": {"optimizer": ["adam", "sgd"], "epochs": [4, 5]},
    "float64": {"dtype": "float64", "weight_decay": 0.1, "clip_norm": 0.1},
}


@pytest.mark.parametrize("settings", FIRST_ORDER.values(), ids=FIRST_ORDER.keys())
@pytest.mark.parametrize("end", [1, 6])
def test_a_resumed_training_has_the_same_bits(
    settings: dict[str, Any], end: int, tmp_path: Path
) -> None:
    path = tmp_path / "run.ckpt"
    with pytest.raises(Ended):
        fit(path, end, **settings)
    assert_same(fit(path, **settings), fit(**settings))
    assert os.listdir(tmp_path) == ["run.ckpt"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ema", "best weights", "phases"])
def test_a_resumed_training_has_the_same_bits_on_jax(name: str, tmp_path: Path) -> None:
    settings = {**FIRST_ORDER[name], "engine": "jax"}
    with pytest.raises(Ended):
        fit(tmp_path / "run", 5, **settings)
    assert_same(fit(tmp_path / "run", **settings), fit(**settings))


@pytest.mark.parametrize("optimizer", ["lbfgs", "cg", "tnc", "nelder-mead"])
def test_a_full_batch_method_repeats_its_evaluations(
    optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"network": QUIET, "optimizer": optimizer, "validation": 0.2}
    settings |= {"batch_size": None, "epochs": 8}
    whole = fit(**settings)
    path = tmp_path / "run"
    with pytest.raises(Ended):
        fit(path, 5, **settings)
    asked, record = [], evaluations.Evaluations._record  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(
        evaluations.Evaluations,
        "_record",
        lambda self, *answer: (asked.append(1), record(self, *answer)),
    )
    assert_same(fit(path, **settings), whole)
    assert 0 < len(asked) < whole.history.evaluations[-1]  # the others were recorded


def test_a_method_with_too_much_to_record_begins_anew_from_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluations, "MOST_BYTES", 100)
    settings = {"network": QUIET, "optimizer": "lbfgs", "batch_size": None}
    path = tmp_path / "run"
    with pytest.raises(Ended):
        fit(path, 5, **settings)
    run = fit(path, **settings)
    assert "resumed from a checkpoint after iteration 4" in run.why
    assert run.history.restarts[3] == 0
    assert run.history.restarts[4] == 1
    assert len(run.history) == 9
    assert run.history.evaluations[4] > run.history.evaluations[3]
    assert_same(fit(path, **settings), run)


def batches() -> Any:
    for start in range(0, 90, 10):
        yield X[start : start + 10], Y[start : start + 10]


@pytest.mark.parametrize("within", [False, True])
def test_a_stream_resumes_even_within_an_epoch(
    within: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "_ROWS", 20)
    given: dict[str, Any] = {"loss": "cross_entropy", "epochs": 4, "random_state": 0}
    whole = tw.fit(NETWORK, batches, **given)
    count, offer = [0], checkpoints.Part.offer_within

    def offer_and_end(part: Any, *arguments: Any) -> None:
        offer(part, *arguments)
        count[0] += 1
        if count[0] == 12:
            raise Ended

    kept = {"checkpoint": tmp_path / "run", "checkpoint_every": 0.0 if within else 1}
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Part, "offer_within", offer_and_end)
        with pytest.raises(Ended):
            tw.fit(NETWORK, batches, **given, **kept)
    found = checkpoints.read_checkpoint(tmp_path / "run")["fit"]
    assert len(found["seen"]) == (2 if within else 0)
    assert_same(tw.fit(NETWORK, batches, **given, **kept), whole)


def test_members_share_a_file(tmp_path: Path) -> None:
    def train(end: int = 0, **kept: Any) -> list[tw.Run]:
        seen = []

        def callback(record: Any) -> None:
            seen.append(record)
            if len(seen) == end:
                raise Ended

        members = [
            {"learning_rate": rate, "callbacks": [callback]} for rate in (0.001, 0.1)
        ]
        return tw.fit_population(
            NETWORK, X, Y, members, loss="cross_entropy", epochs=5, random_state=0,
            n_jobs=1, **kept,
        )  # fmt: skip

    kept = {"checkpoint": tmp_path / "all", "checkpoint_every": 1}
    with pytest.raises(Ended):
        train(8, **kept)
    for one, other in zip(train(**kept), train(), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize(
    "settings",
    [{}, {"early_stopping": True}, {"solver": "sgd", "learning_rate": "invscaling"}],
)
def test_an_estimator_resumes(settings: dict[str, Any], tmp_path: Path) -> None:
    def train(end: int = 0, **kept: Any) -> Any:
        callbacks = [ends_at(end)] if end else ()
        model = tw.MLPClassifier(
            (5,), max_iter=8, random_state=0, callbacks=callbacks, **settings
        )
        with pytest.warns(match="Maximum iterations") if not end else _nothing():
            return model.fit(X, Y, **kept)

    kept = {"checkpoint": tmp_path / "run", "checkpoint_every": 1}
    whole = train()
    with pytest.raises(Ended):
        train(5, **kept)
    resumed = train(**kept)
    for name in ("coefs_", "intercepts_"):
        for one, other in zip(
            getattr(whole, name), getattr(resumed, name), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    for name in ("loss_curve_", "t_", "best_loss_", "validation_scores_", "n_iter_"):
        assert getattr(whole, name) == getattr(resumed, name)


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_without_a_seed_the_drawn_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run"
    settings = {"random_state": None, "validation": 0.2}
    with pytest.raises(Ended):
        fit(path, 4, **settings)
    assert len(fit(path, **settings).history) == 9


def test_a_finished_training_is_returned_and_more_epochs_go_on(tmp_path: Path) -> None:
    path = tmp_path / "run"
    first = fit(path)
    seen: list[Any] = []
    assert_same(fit(path, callbacks=[seen.append]), first)
    assert seen == []
    assert_same(fit(path, epochs=12), fit(epochs=12))


def test_a_callback_that_stopped_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "run"
    stop: dict[str, Any] = {"callbacks": [lambda record: record.epoch >= 3]}
    assert len(fit(path, **stop).history) == 3
    assert len(fit(path, **stop).history) == 3
    assert_same(fit(path), fit())


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "rate": ({"learning_rate": 0.5}, "learning_rate is 0.5, and was None"),
    "optimizer": ({"optimizer": "sgd"}, "optimizer is 'sgd'"),
    "batch": ({"batch_size": 7}, "batch_size is 7, and was 20"),
    "fewer epochs": ({"epochs": 3}, "epochs is 3, and was 9"),
    "seed": ({"random_state": 1}, "random_state is another"),
    "network": ({"network": QUIET}, "another network (widths [3, 4, 2]"),
    "phases": ({"optimizer": ["adam", "sgd"]}, "2 phases and had 1"),
    "validation": ({"validation": (X, Y)}, "the validation data are others"),
    "data": ({"sample_weight": np.arange(90.0)}, "weights has other values"),
    "weights": ({"parameters": NETWORK.draw(5)}, "the initial weights are others"),
}


@pytest.mark.parametrize(("change", "words"), OTHERS.values(), ids=OTHERS.keys())
def test_a_checkpoint_of_something_else_is_refused(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    fit(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Cannot resume") as caught:
        fit(path, **change)
    assert words in str(caught.value)
    assert "resume=False" in str(caught.value)
    assert path.read_bytes() == before
    fit(path, resume=False, **change)
    assert path.read_bytes() != before


def test_epochs_that_a_schedule_depends_on_are_refused(tmp_path: Path) -> None:
    fit(tmp_path / "run", schedule="cosine")
    with pytest.raises(ValueError, match="epochs is 12"):
        fit(tmp_path / "run", schedule="cosine", epochs=12)


@pytest.mark.parametrize("keep", [0, 9, 400, -1])
def test_a_damaged_checkpoint_is_refused_and_may_be_replaced(
    keep: int, tmp_path: Path
) -> None:
    path = tmp_path / "run"
    fit(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="it is damaged"):
        fit(path)
    if keep != 9:  # of which nothing tells what it was
        fit(path, resume=False)
        fit(path)


def test_a_checkpoint_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    fit(path)
    content, arrays = read_model_of_kind("checkpoint", path)
    write_model_file(path, "checkpoint", {**content, "version": 9}, arrays)
    with pytest.raises(ValueError, match=r"a newer thalweg .*version 9"):
        fit(path)


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    table, model = tmp_path / "table.csv", tmp_path / "model"
    table.write_text("a,b\n1,2\n")
    tw.save(fit(), model)
    for path in (table, model):
        before = path.read_bytes()
        for resume in ("auto", False):
            with pytest.raises(ValueError, match="checkpoint"):
                fit(path, resume=resume)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"checkpoint": "no/such/folder/run"}, "there is no folder"),
        ({"checkpoint": "."}, "is a folder"),
        ({"checkpoint": 3}, "checkpoint=3"),
        ({"checkpoint_every": 5}, "without checkpoint"),
        ({"resume": True}, "without checkpoint"),
        ({"checkpoint": "run", "resume": True}, "there is no checkpoint run"),
        ({"checkpoint": "run", "resume": "yes"}, "resume='yes'"),
        ({"checkpoint": "run", "checkpoint_every": 0}, "checkpoint_every=0"),
        ({"checkpoint": "run", "checkpoint_every": -1.0}, "checkpoint_every=-1.0"),
        ({"checkpoint": "run", "checkpoint_every": "soon"}, "checkpoint_every='soon'"),
        ({"checkpoint": "run", "checkpoint_every": True}, "checkpoint_every=True"),
    ],
)
def test_what_is_wrong_is_said_before_the_training(
    given: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError, OSError)) as caught:
        fit(callbacks=[ends_at(1)], **given)
    assert words in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("given", "epochs", "seconds"),
    [
        (5, 5, None), ("5", 5, None), ("5 epochs", 5, None), (60.0, None, 60),
        ("90s", None, 90), ("1.5 min", None, 90), ("2 h", None, 7200), (None, None, 30),
    ],
)  # fmt: skip
def test_an_interval_is_epochs_or_seconds(
    given: Any, epochs: int | None, seconds: float | None
) -> None:
    found = checkpoints.Interval.of(given)
    assert found.epochs == epochs
    assert seconds is None or found.seconds == seconds


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_a_warning_and_the_old_file_stays(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    with pytest.raises(Ended):
        fit(path, 4)
    before = path.read_bytes()

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.warns(RuntimeWarning) as told:
            run = fit(path)
    assert len(told) == 1
    assert str(path) in str(told[0].message)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run"]
    assert_same(run, fit())


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
def test_an_end_within_a_write_leaves_the_old_file(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    with pytest.raises(Ended):
        fit(path, 4)

    def end(*arguments: Any) -> None:
        raise Ended

    with monkeypatch.context() as patch:
        patch.setattr(os, call, end)
        with pytest.raises(Ended):
            fit(path)
    assert_same(fit(path), fit())


def test_by_default_writing_takes_a_small_share(tmp_path: Path) -> None:
    kept = checkpoints.open_checkpoint(tmp_path / "run")
    assert kept is not None
    file: Any = kept.file
    file._cost = 1.0
    now = file._written
    assert not file.is_due(now + 45.0)
    assert file.is_due(now + 51.0)


SCRIPT = """
import sys, time
import numpy as np
import thalweg as tw
from thalweg.training import signals
signals.GRACE = float(sys.argv[2])
X = np.random.default_rng(0).normal(size=(50, 3))
def see(record):
    print(record.epoch, flush=True)
    time.sleep(float(sys.argv[3]) if record.epoch > 1 else 0)
run = tw.fit(
    tw.DenseNetwork.from_sizes((3, 1)), X, X[:, 0], epochs=10**6, random_state=0,
    checkpoint=sys.argv[1], callbacks=[see],
)
print("kept", run.stop_reason.name, len(run.history), flush=True)
"""


def started(path: Path, grace: float, pause: float) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(grace), str(pause)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    while process.stdout.readline().strip() != "2":
        assert process.poll() is None
    return process


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_sigterm_writes_the_checkpoint_and_ends_with_143(tmp_path: Path) -> None:
    process = started(tmp_path / "run", grace=30, pause=0.05)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Terminated. The checkpoint" in told
    assert checkpoints.read_checkpoint(tmp_path / "run")["fit"]["epochs"] >= 2


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_ctrl_c_keeps_the_model_and_twice_stops_at_once(tmp_path: Path) -> None:
    process = started(tmp_path / "run", grace=30, pause=0.05)
    process.send_signal(signal.SIGINT)
    said, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "kept INTERRUPTED" in said
    assert "Stopping after this epoch" in told
    process = started(tmp_path / "other", grace=30, pause=30)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "kept" not in said


def test_handlers_are_put_back_and_are_ours_only_with_a_checkpoint(
    tmp_path: Path,
) -> None:
    names = signal.SIGTERM, signal.SIGINT
    before = [signal.getsignal(name) for name in names]
    seen: list[Any] = []
    see = lambda record: seen.append([signal.getsignal(name) for name in names])
    fit(callbacks=[see], epochs=1)
    fit(tmp_path / "run", callbacks=[see], epochs=1)
    assert seen[0] == before
    assert all(one != other for one, other in zip(seen[1], before, strict=True))
    assert [signal.getsignal(name) for name in names] == before
    assert signal.set_wakeup_fd(-1) == -1
