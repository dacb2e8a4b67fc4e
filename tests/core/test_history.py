"""Records: columns and rows, sentences, and JSON there and back, NaN included."""

import dataclasses
import json
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.core.history import EpochRecord, History, Run, StopReason
from thalweg.estimators.tabular.evaluation import Evaluation

COLUMNS = [
    f.name
    for f in dataclasses.fields(EpochRecord)
    if f.name not in ("epoch", "metrics")
]
# JSON has one value for what is not finite, so an infinity comes back as NaN.
NUMBERS = st.floats(allow_infinity=False)


@st.composite
def histories(draw: st.DrawFn) -> History:
    n = draw(st.integers(0, 4))
    column = st.lists(NUMBERS, min_size=n, max_size=n)
    columns: dict[str, Any] = {name: draw(column) for name in COLUMNS}
    names = draw(st.lists(st.sampled_from(["mae", "val_mae", "auc"]), unique=True))
    return History.from_columns(
        {**columns, "metrics": {name: draw(column) for name in names}}
    )


def history(n: int) -> History:
    columns = {name: np.arange(n) + 10.0 * i for i, name in enumerate(COLUMNS)}
    return History.from_columns(columns)


@given(histories())
def test_history_goes_through_json_and_back(written: History) -> None:
    text = json.dumps(written.to_json(), allow_nan=False)
    read = History.from_json(json.loads(text))
    assert len(read) == len(written)
    for name in COLUMNS:
        assert getattr(read, name).dtype == np.float64
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    assert [*read.metrics] == [*written.metrics]
    for name, values in written.metrics.items():
        np.testing.assert_array_equal(read.metrics[name], values)


def test_infinity_is_written_as_nothing() -> None:
    content = History.from_columns({"loss": [1.0, np.inf, -np.inf]}).to_json()
    assert content["loss"] == [1.0, None, None]


def test_columns_that_are_missing_are_nan() -> None:
    """A history written before a column existed can still be read."""
    read = History.from_json({"loss": [1.0, 2.0]})
    np.testing.assert_array_equal(read.rate, [np.nan, np.nan])


@given(histories())
def test_rows_are_the_columns(columns: History) -> None:
    rows = list(columns)
    assert len(rows) == len(columns)
    np.testing.assert_array_equal(columns.epoch, [row.epoch for row in rows])
    for name in COLUMNS:
        found = [getattr(row, name) for row in rows]
        np.testing.assert_array_equal(found, getattr(columns, name))
    for name, values in columns.metrics.items():
        np.testing.assert_array_equal([row.metrics[name] for row in rows], values)


def test_indices_count_as_in_a_list() -> None:
    three = history(3)
    assert [three[i].epoch for i in (0, 2, -1, -3)] == [1, 3, 3, 1]
    last: list[Any] = [2.0 + 10 * i for i in range(len(COLUMNS))]
    assert three[-1] == EpochRecord(3, *last)
    for index in (3, -4):
        with pytest.raises(IndexError):
            three[index]


def test_records_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        history(1)[0].loss = 0.0  # pyright: ignore[reportAttributeAccessIssue]


FACTS: dict[str, Any] = {
    "epochs": 7, "epoch": 3, "best_epoch": 2, "best": "at epoch 2", "tol": 1e-4,
    "patience": 5,
    "monitor": "loss", "max_time": 1.5, "rate": 0.01, "where": "the loss",
    "method": "lbfgs", "message": "fine", "evaluations": 12,
    "remedy": "Scale the inputs.",
}  # fmt: skip


@pytest.mark.parametrize("reason", StopReason, ids=lambda r: r.name)
def test_every_reason_is_a_sentence(reason: StopReason) -> None:
    """With known facts only, so that the watcher can fill every one in."""
    named = [name for _, name, _, _ in string.Formatter().parse(reason.value) if name]
    assert set(named) <= set(FACTS)
    sentence = reason.value.format(**FACTS)
    assert sentence[0].isalpha()
    assert sentence.endswith((".", ": fine"))
    assert "{" not in sentence


def run(n: int) -> Run:
    return Run(
        network=None, plan=None, parameters=(), history=history(n),
        stop_reason=StopReason.CALLBACK, why="A callback asked to stop.",
        engine="jax (default)", best_epoch=n,
    )  # fmt: skip


@pytest.mark.parametrize(("n", "loss"), [(0, "nan"), (3, "2")])
def test_run_says_what_matters(n: int, loss: str) -> None:
    assert repr(run(n)) == f"Run({n} epochs, loss {loss}; A callback asked to stop.)"


def test_evaluation_goes_through_json_and_back() -> None:
    written = Evaluation(
        "accuracy", 0.9, (0.8, 0.95), 100, "held out", {"majority": 0.5}
    )
    read = Evaluation.from_json(json.loads(json.dumps(written.to_json())))
    assert read == written
    assert isinstance(read.interval, tuple)
