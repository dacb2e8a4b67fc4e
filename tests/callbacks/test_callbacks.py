"""Callbacks learn of beginning and end, and write what happened in between."""

import copy
import io
import pickle
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import callbacks
from thalweg.callbacks import CSVLog, Progress, Report, Start, TensorBoard
from thalweg.core import inside
from thalweg.datasets import moons
from thalweg.display import usual_progress

X, Y = moons(60)
NETWORK = tw.DenseNetwork.from_sizes((2, 4, 2))
PLAN: dict[str, Any] = {"loss": "cross_entropy", "epochs": 4, "random_state": 0}


def read_csv(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path)


class Spy:
    """Notes all that it is told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def begin(self, start: Start) -> None:
        self.told.append(("begin", start))

    def __call__(self, record: Any) -> None:
        self.told.append(("record", record))

    def finish(self, result: Any) -> None:
        self.told.append(("finish", result))

    def fitted(self, estimator: Any, X: Any) -> None:
        self.told.append(("fitted", estimator))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def __deepcopy__(self, memo: Any) -> "Spy":
        return self


@pytest.mark.parametrize(
    "settings",
    [{}, {"optimizer": "lbfgs"}, {"optimizer": ["adam", "lbfgs"], "epochs": [2, 2]}],
    ids=["first order", "full batch", "phases"],
)
def test_a_training_has_a_beginning_and_an_end(settings: dict[str, Any]):
    spy = Spy()
    run = tw.fit(NETWORK, X, Y, callbacks=[spy], **PLAN | settings)
    assert spy.names == ["begin", *["record"] * len(run.history), "finish"]
    start = spy.told[0][1]
    assert start.kind == "training"
    assert start.total == 4
    assert start.network is NETWORK
    assert spy.told[-1][1] is run


def test_a_stream_has_both_too():
    spy = Spy()
    tw.fit(NETWORK, lambda: [(X, Y)], callbacks=[spy], **PLAN)
    assert spy.names == ["begin", *["record"] * 4, "finish"]


@pytest.mark.slow
def test_population_gives_each_member_its_own():
    spies = [Spy(), Spy()]
    members: list[dict[str, Any]] = [{"callbacks": [spy]} for spy in spies]
    tw.fit_population(NETWORK, X, Y, members, engine="jax", **PLAN)
    for spy in spies:
        assert spy.names == ["begin", *["record"] * 4, "finish"]


@pytest.mark.parametrize("members", [1, 2])
def test_an_estimator_is_told_when_it_can_predict(members: int):
    spy = Spy()
    model = tw.Classifier(
        (4,), max_epochs=3, members=members, random_state=0, callbacks=[spy]
    ).fit(X, Y)
    assert spy.names[0] == "begin"
    assert spy.told[0][1].settings["max_epochs"] == 3
    assert spy.told[-1] == ("fitted", model)
    assert spy.names.count("finish") == 1


def test_an_mlp_is_told_when_it_can_predict():
    spy = Spy()
    with pytest.warns(match="Maximum iterations"):
        model = tw.MLPClassifier((4,), max_iter=2, callbacks=[spy]).fit(X, Y)
    assert spy.names == ["begin", "record", "record", "finish", "fitted"]
    assert spy.told[-1][1] is model


def test_what_begin_returns_is_called_in_its_place():
    class Each:
        def begin(self, start: Start) -> Any:
            seen: list[int] = []
            found.append(seen)
            return lambda record: seen.append(record.epoch)

        def __call__(self, record: Any) -> None:
            pytest.fail("its own call")

    found: list[list[int]] = []
    each = Each()
    for _ in range(2):
        tw.fit(NETWORK, X, Y, callbacks=[each], **PLAN)
    assert found == [[1, 2, 3, 4]] * 2


def test_an_error_is_an_end_without_a_result():
    def fail(record: Any) -> None:
        raise KeyError("mine")

    spy = Spy()
    with pytest.raises(KeyError) as caught:
        tw.fit(NETWORK, X, Y, callbacks=[spy, fail], **PLAN)
    assert spy.told[-1] == ("finish", None)
    assert "fail raised this" in caught.value.__notes__[0]


def test_watching_changes_no_weights(tmp_path: Path):
    plain = tw.fit(NETWORK, X, Y, **PLAN)
    log = [CSVLog(tmp_path / "log.csv"), TensorBoard(tmp_path, histograms=1)]
    seen = tw.fit(NETWORK, X, Y, callbacks=[*log, Progress(1e9)], **PLAN)
    for ours, theirs in zip(plain.parameters, seen.parameters, strict=True):
        np.testing.assert_array_equal(ours["weights"], theirs["weights"])


# -------------------------------------------------------------------------- CSV


def test_csv_holds_the_history(tmp_path: Path):
    path = tmp_path / "log.csv"
    run = tw.fit(NETWORK, X, Y, validation=0.2, callbacks=[CSVLog(path)], **PLAN)
    table = read_csv(path)
    assert table.epoch.tolist() == [1, 2, 3, 4]
    for name in ("loss", "validation_score", "seconds"):
        np.testing.assert_array_equal(table[name], getattr(run.history, name))


def test_csv_counts_trainings_and_replaces_an_older_file(tmp_path: Path):
    path = tmp_path / "log.csv"
    path.write_text("older,file\n1,2\n")
    log = CSVLog(path)
    for _ in range(2):
        tw.fit(NETWORK, X, Y, callbacks=[log], **PLAN)
    table = read_csv(path)
    assert table.training.tolist() == [1] * 4 + [2] * 4


def test_csv_goes_on_with_a_resumed_training(tmp_path: Path):
    path, kept = tmp_path / "log.csv", tmp_path / "run.ckpt"
    for epochs in (2, 4):
        settings = PLAN | {"epochs": epochs, "checkpoint": kept}
        tw.fit(NETWORK, X, Y, callbacks=[CSVLog(path)], **settings)
    assert read_csv(path).epoch.tolist() == [1, 2, 3, 4]


@pytest.mark.slow
def test_csv_of_a_search_and_of_a_comparison(tmp_path: Path):
    path = tmp_path / "log.csv"
    given = {"hidden": [4], "epochs": 2, "seeds": 2, "n_jobs": 1}
    tw.compare(["sgd", "adam"], X, Y, callbacks=[CSVLog(path)], **given)
    assert read_csv(path).variant.tolist() == ["sgd", "sgd", "adam", "adam"]
    model = tw.MLPClassifier((4,), max_iter=2)
    found = tw.search(
        model, {"alpha": (1e-5, 1.0, "log")}, X, Y, n_trials=2, repeats=0, n_jobs=1,
        refit=False, random_state=0, callbacks=[CSVLog(path)],
    )  # fmt: skip
    values = read_csv(path).value
    assert values.tolist() == [trial.value for trial in found.trials]


def test_copies_write_to_one_file(tmp_path: Path):
    log = CSVLog(tmp_path / "log.csv")
    assert copy.deepcopy(log) is log
    again = pickle.loads(pickle.dumps(log))
    tw.fit(NETWORK, X, Y, callbacks=[again], **PLAN)
    assert len(read_csv(log.path)) == 4


def test_a_file_that_goes_away_is_one_warning(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    log = CSVLog(folder / "log.csv")
    folder.rename(tmp_path / "moved")
    with pytest.warns(match=r"CSVLog stopped writing to .*log\.csv: No such file"):
        run = tw.fit(NETWORK, X, Y, callbacks=[log], **PLAN)
    assert len(run.history) == 4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: CSVLog(p / "no" / "log.csv"), "there is no folder"),
        (lambda p: CSVLog(p), "folder"),
        (lambda p: TensorBoard(p / "file"), "cannot be written to: file exists"),
        (lambda p: TensorBoard(p / "file" / "x"), "cannot be written to"),
        (lambda p: TensorBoard(p, histograms=-1), "histograms=-1"),
        (lambda p: Report(p / "no" / "x.html"), "there is no folder"),
        (lambda p: Report(p / "x.html", every=0), "every=0"),
        (lambda p: Progress(delay=-1), "delay=-1"),
    ],
)
def test_bad_input_is_named_before_the_work(make: Any, words: str, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises((OSError, ValueError), match=re.escape(words)):
        make(tmp_path)


# ------------------------------------------------------------------ TensorBoard


@pytest.fixture(scope="module")
def read_events() -> Any:
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )

    def read(folder: Path) -> Any:
        found = event_accumulator.EventAccumulator(
            str(folder), size_guidance={"histograms": 0}
        )
        return found.Reload()

    return read


@pytest.mark.slow
def test_tensorboard_reads_what_was_written(tmp_path: Path, read_events: Any):
    board = TensorBoard(tmp_path / "tb", histograms=2)
    run = tw.fit(NETWORK, X, Y, validation=0.2, callbacks=[board], **PLAN)
    found = read_events(tmp_path / "tb")
    for tag, column in {
        "training/loss": run.history.loss,
        "validation/loss": run.history.validation_loss,
    }.items():
        events = found.Scalars(tag)
        assert [event.step for event in events] == [1, 2, 3, 4]
        np.testing.assert_allclose([event.value for event in events], column, 1e-6)
    histogram = found.Histograms("layer_0/weights")
    assert [event.step for event in histogram] == [2, 4]
    assert histogram[0].histogram_value.num == 8
    told = found.SummaryMetadata("_hparams_/session_start_info")
    assert b"cross_entropy" in told.plugin_data.content


@pytest.mark.slow
def test_tensorboard_of_several_trainings(tmp_path: Path, read_events: Any):
    board = TensorBoard(tmp_path)
    for _ in range(2):
        tw.fit(NETWORK, X, Y, callbacks=[board], **PLAN)
    for folder in (tmp_path, tmp_path / "2"):
        assert len(read_events(folder).Scalars("training/loss")) == 4


# --------------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Be in a terminal; not a fixture, for pytest sets these itself before a test."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    return found


def test_progress_is_usual_only_in_a_terminal(monkeypatch: pytest.MonkeyPatch):
    terminal(monkeypatch)
    assert usual_progress([])
    assert not usual_progress([Progress()])
    with inside():
        assert not usual_progress([])
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(usual_progress([])))
    thread.start()
    thread.join()
    assert found == [[]]
    monkeypatch.setenv("TERM", "dumb")
    assert not usual_progress([])
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not usual_progress([])
    monkeypatch.setattr(sys, "stderr", None)
    assert not usual_progress([])


def test_progress_shows_what_takes_long(monkeypatch: pytest.MonkeyPatch):
    screen = terminal(monkeypatch)
    tw.fit(NETWORK, X, Y, **PLAN)
    assert screen.getvalue() == ""
    monkeypatch.setattr("thalweg.display.progress.DELAY", 0.0)
    tw.fit(NETWORK, X, Y, validation=0.2, batch_size=10, **PLAN)
    shown = screen.getvalue()
    assert "epoch 4/4" in shown
    assert "steps/s" in shown
    assert "validation loss" in shown
    assert "\x1b" in shown


def test_no_color_has_no_colors(monkeypatch: pytest.MonkeyPatch):
    screen = terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    tw.fit(NETWORK, X, Y, callbacks=[Progress()], **PLAN)
    assert "epoch 4/4" in screen.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*[34]\d", screen.getvalue())


def test_progress_in_a_pipe_writes_lines_if_asked(capsys: pytest.CaptureFixture[str]):
    tw.fit(NETWORK, X, Y, **PLAN)
    assert capsys.readouterr().err == ""
    tw.fit(NETWORK, X, Y, callbacks=[Progress(label="mine")], **PLAN)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("mine  epoch 4/4")


def test_a_terminal_that_was_closed_ends_the_line(monkeypatch: pytest.MonkeyPatch):
    screen = terminal(monkeypatch)

    def close(record: Any) -> None:
        if record.epoch == 2:
            screen.close()
        time.sleep(0.3)

    run = tw.fit(NETWORK, X, Y, callbacks=[Progress(), close], **PLAN)
    assert len(run.history) == 4


def test_progress_leaves_epochs_together():
    """It must not make an engine train epoch by epoch."""
    spy = Spy()
    spy.every_epoch = False  # pyright: ignore[reportAttributeAccessIssue]
    tw.fit(NETWORK, X, Y, callbacks=[spy], **{**PLAN, "epochs": 50})
    assert spy.names.count("record") < 50
    assert next(v.epoch for n, v in reversed(spy.told) if n == "record") == 50


# ----------------------------------------------------------------------- report


@pytest.mark.slow
def test_report_is_written_during_and_after(tmp_path: Path):
    path, during = tmp_path / "report.html", list[str]()
    report = Report(path, every=1e-9)
    tw.fit(
        NETWORK, X, Y,
        callbacks=[report, lambda record: during.append(path.read_text())], **PLAN,
    )  # fmt: skip
    assert "The training had done 2 of 4 epochs." in during[1]
    assert "All 4 epochs were done." in path.read_text()


def test_exports_are_sorted():
    assert callbacks.__all__ == sorted(callbacks.__all__)
    assert tw.callbacks is callbacks
