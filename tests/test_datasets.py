"""Data sets: drawn, bundled, read from files, fetched once."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thalweg import datasets
from thalweg.core.types import Array


def idx(values: Array) -> bytes:
    sizes = np.array(values.shape, ">u4").tobytes()
    return gzip.compress(bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes())


def idx_files(n: int, n_test: int) -> dict[str, bytes]:
    rng = np.random.RandomState(0)
    parts = [("train", n), ("t10k", n_test)]
    files = {}
    for name, count in parts:
        images = rng.randint(256, size=(count, 28, 28)).astype(np.uint8)
        labels = rng.randint(10, size=count).astype(np.uint8)
        files[f"{name}-images-idx3-ubyte.gz"] = idx(images)
        files[f"{name}-labels-idx1-ubyte.gz"] = idx(labels)
    return files


def put(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("draw", "n_classes"),
    [
        (datasets.moons, 2),
        (datasets.circles, 2),
        (datasets.blobs, 3),
        (datasets.spirals, 3),
    ],
)
def test_drawn_sets_are_planes_of_classes(
    draw: Callable[..., tuple[Array, Array]], n_classes: int
):
    X, y = draw(90)
    assert X.shape == (90, 2)
    assert np.bincount(y).tolist() == [90 // n_classes] * n_classes
    again, _ = draw(90)
    other, _ = draw(90, random_state=1)
    np.testing.assert_array_equal(X, again)
    assert not np.array_equal(X, other)


def test_bundled_sets_are_as_described():
    X, y = datasets.digits()
    assert X.shape == (1797, 64)
    assert (X.min(), X.max()) == (0.0, 1.0)
    X, y = datasets.infrared()
    assert X.shape == (12, 5)
    assert np.bincount(y).tolist() == [3, 3, 3, 3]


def test_the_infrared_table_is_the_one_in_the_examples():
    path = Path(__file__).parents[1] / "examples" / "infrared.csv"
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    X, y = datasets.infrared()
    np.testing.assert_array_equal(table, np.column_stack([X, y]))


def test_images_are_read_from_a_folder(tmp_path: Path):
    folder = put(idx_files(20, 5), tmp_path)
    (X, y), (X_test, y_test) = datasets.mnist(folder)
    assert (X.shape, y.shape, X_test.shape, y_test.shape) == (
        (20, 784), (20,), (5, 784), (5,),
    )  # fmt: skip
    assert X.dtype == np.float32
    assert 0 <= X.min() < X.max() <= 1


def test_missing_files_are_fetched_once_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = idx_files(6, 3)
    source = put(files, tmp_path / "source")
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    monkeypatch.setitem(datasets._SOURCES, "mnist", (f"file://localhost{source}", sums))  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    (X, _), _ = datasets.mnist()
    for name in files:
        (source / name).unlink()
    (again, _), _ = datasets.mnist()
    np.testing.assert_array_equal(X, again)
    assert len(list((tmp_path / "home" / "thalweg" / "mnist").iterdir())) == 4


def test_what_is_fetched_must_be_what_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = put(idx_files(6, 3), tmp_path / "source")
    _, sums = datasets._SOURCES["mnist"]  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setitem(datasets._SOURCES, "mnist", (f"file://localhost{source}", sums))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(OSError, match=r"SHA256 checksum .* differs"):
        datasets.mnist(tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize(
    "load", [datasets.mnist, datasets.fashion_mnist, datasets.cifar10]
)
def test_offline_the_folder_for_the_files_is_named(
    load: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def offline(*arguments: Any, **options: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    folder = tmp_path / "new"
    with pytest.raises(OSError, match=f"into {folder} yourself, or give the folder"):
        load(folder)
    assert list(folder.iterdir()) == []


def test_a_damaged_file_is_named(tmp_path: Path):
    files = idx_files(6, 3)
    files["train-labels-idx1-ubyte.gz"] = b"not gzip"
    with pytest.raises(ValueError, match=r"train-labels.* is not a gzipped IDX file"):
        datasets.mnist(put(files, tmp_path))


def test_photographs_are_read_from_the_binary_archive(tmp_path: Path):
    rng = np.random.RandomState(0)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name in names:
            rows = rng.randint(256, size=(4, 3073)).astype(np.uint8)
            rows[:, 0] %= 10
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = rows.size
            archive.addfile(info, io.BytesIO(rows.tobytes()))
    (X, y), (X_test, _) = datasets.cifar10(tmp_path)
    assert X.shape == (20, 3072)
    assert y.max() < 10
    assert X_test.shape == (4, 3072)


def test_photographs_are_read_from_a_subset(tmp_path: Path):
    pixels, labels = np.full((3, 3072), 255, np.uint8), np.arange(3)
    np.savez(
        tmp_path / "cifar10_subset.npz",
        X_train=pixels, y_train=labels, X_test=pixels[:1], y_test=labels[:1],
    )  # fmt: skip
    (X, y), (X_test, _) = datasets.cifar10(tmp_path)
    assert (X == 1).all()
    assert y.tolist() == [0, 1, 2]
    assert len(X_test) == 1
