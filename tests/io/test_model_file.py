"""Model files: what goes in comes out, and nothing else is believed."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from thalweg.core.history import History, Run, StopReason
from thalweg.core.networks import Dense, DenseNetwork
from thalweg.core.plan import Plan
from thalweg.io import model_file

ARRAYS = {
    "turned": np.arange(6.0).reshape(2, 3).T,
    "one": np.array(3, np.int32),
    "none": np.zeros((0, 3), np.float32),
}


def some_run(dtype: str = "float32") -> Run:
    layers = (Dense(3, "tanh", normalization="batch"), Dense(2, "identity"))
    network = DenseNetwork(4, layers)
    names = [name for name in History.__dataclass_fields__ if name != "metrics"]
    columns: dict[str, Any] = {name: [0.5, np.nan] for name in names}
    columns["metrics"] = {"val_mae": [0.5, np.nan]}
    return Run(
        network=network,
        plan=Plan(
            loss="cross_entropy", optimizer=("adam", {"beta_1": 0.8}), dtype=dtype
        ),
        parameters=network.draw(0, dtype),
        history=History.from_columns(columns),
        stop_reason=StopReason.MAX_EPOCHS,
        why="All 2 epochs were done.",
        engine="jax (default)",
        best_epoch=2,
    )


def load_run(path: Path) -> Run:
    return model_file.read_model(path, {"run": model_file.unpack_run})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.thalweg"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_run_comes_back_as_it_was(path: Path, dtype: str):
    run = some_run(dtype)
    model_file.save_run(run, path)
    back = load_run(path)
    assert (back.network, back.plan) == (run.network, run.plan)
    assert (back.stop_reason, back.why) == (run.stop_reason, run.why)
    assert (back.engine, back.best_epoch) == (run.engine, run.best_epoch)
    np.testing.assert_equal(back.history.to_json(), run.history.to_json())
    for before, after in zip(run.parameters, back.parameters, strict=True):
        assert before.keys() == after.keys()
        for name in before:
            assert after[name].dtype == dtype
            np.testing.assert_array_equal(after[name], before[name])


def test_arrays_keep_dtype_shape_and_order(path: Path):
    model_file.write_model_file(path, "thing", {"a": [1, None, "ü"]}, ARRAYS)
    kind, content, arrays = model_file.read_model_file(path)
    assert (kind, content) == ("thing", {"a": [1, None, "ü"]})
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_function_cannot_be_saved(path: Path):
    network = DenseNetwork(1, (Dense(1, lambda z: z),))
    run = some_run()
    broken = Run(**{**vars(run), "network": network, "parameters": network.draw(0)})
    with pytest.raises(ValueError, match=r"function .* cannot be written"):
        model_file.save_run(broken, path)
    assert not path.exists()


def test_failed_write_leaves_the_old_file_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    model_file.write_model_file(path, "old", {}, ARRAYS)

    def fail(*names: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        model_file.write_model_file(path, "new", {}, ARRAYS)
    assert model_file.read_model_file(path)[0] == "old"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_missing_file_and_folder_are_named(path: Path):
    with pytest.raises(FileNotFoundError, match=r"no file .*model\.thalweg"):
        model_file.read_model_file(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        model_file.read_model_file(path.parent)
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        model_file.write_model_file(path.parent / "nowhere" / "model", "thing", {}, {})


def test_foreign_safetensors_file_is_told_so(path: Path):
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="thalweg did not write"):
        model_file.read_model_file(path)


def test_newer_file_asks_for_an_upgrade(path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(model_file, "FORMAT", 99)
        model_file.write_model_file(path, "run", {}, {})
    with pytest.raises(ValueError, match=r"newer thalweg \(format 99.*Upgrade"):
        model_file.read_model_file(path)


def test_other_kind_says_how_to_load_it(path: Path):
    model_file.write_model_file(path, "Classifier", {}, {})
    with pytest.raises(ValueError, match=r"model\.thalweg holds a Classifier, not a r"):
        load_run(path)


@pytest.mark.parametrize("content", [{}, {"network": 3}, [], None])
def test_content_that_makes_no_run_is_damage(path: Path, content: object):
    model_file.write_model_file(path, "run", content, {})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="damaged"):
        load_run(path)


def test_weights_of_another_shape_are_damage(path: Path):
    content, arrays = model_file.pack_run(some_run())
    model_file.write_model_file(
        path, "run", content, {**arrays, "layer.0.weights": np.zeros((2, 2))}
    )
    with pytest.raises(ValueError, match="damaged"):
        load_run(path)


def test_text_file_is_told_so(path: Path):
    path.write_text(json.dumps({"not": "a model"}) * 9)
    with pytest.raises(ValueError, match="not a model file"):
        model_file.read_model_file(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("saving") / "model"
    model_file.save_run(some_run(), path)
    return path.read_bytes()


@given(share=st.floats(0, 1, exclude_max=True))
def test_truncated_file_is_refused(
    share: float, whole: bytes, tmp_path_factory: pytest.TempPathFactory
):
    path = tmp_path_factory.getbasetemp() / "truncated"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"truncated (is|was)"):
        load_run(path)


@given(share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_flipped_byte_is_refused(
    share: float, flip: int, whole: bytes, tmp_path_factory: pytest.TempPathFactory
):
    path = tmp_path_factory.getbasetemp() / "flipped"
    data = bytearray(whole)
    data[int(share * len(data))] ^= flip
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"flipped (is|was)"):
        load_run(path)
