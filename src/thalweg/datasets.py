"""Data to try networks on: drawn, bundled with a dependency, or fetched once.

Small sets come as ``(X, y)``, image sets as ``((X, y), (X_test, y_test))`` with pixels
from 0 to 1 in float32. Image files are looked for in the folder given, then in the
user's cache, and downloaded to there, their checksums compared, if they are in neither.
"""

import gzip
import hashlib
import tarfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets

from thalweg.core import Array
from thalweg.io import PathLike, replace_file, user_cache

Rows = tuple[Array, Array]
_theirs: Any = datasets  # whose types leave open how many arrays there are

_MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def moons(n: int = 200, noise: float = 0.2, random_state: int = 0) -> Rows:
    """Draw two half circles that reach into each other; X of shape (n, 2)."""
    return _theirs.make_moons(n, noise=noise, random_state=random_state)


def circles(n: int = 200, noise: float = 0.1, random_state: int = 0) -> Rows:
    """Draw a ring around another; X of shape (n, 2)."""
    return _theirs.make_circles(n, noise=noise, factor=0.5, random_state=random_state)


def blobs(n: int = 200, n_classes: int = 3, random_state: int = 0) -> Rows:
    """Draw one Gaussian cloud a class; X of shape (n, 2)."""
    return _theirs.make_blobs(n, centers=n_classes, random_state=random_state)


def spirals(
    n: int = 300, n_classes: int = 3, noise: float = 0.2, random_state: int = 0
) -> Rows:
    """Draw one arm of a spiral a class; X of shape (n, 2), inside the unit circle."""
    rng = np.random.RandomState(random_state)
    y = np.arange(n) * n_classes // n
    radius = rng.uniform(0.02, 1.0, n)
    turn = 2 * np.pi / n_classes * y + 4 * radius + noise * rng.standard_normal(n)
    return np.column_stack([radius * np.sin(turn), radius * np.cos(turn)]), y


def digits() -> Rows:
    """Return scikit-learn's 1797 digits; X of shape (1797, 64), from 0 to 1."""
    X, y = _theirs.load_digits(return_X_y=True)
    return X / 16, y


def infrared() -> Rows:
    """Return twelve readings of an infrared sensor bar; X of shape (12, 5), 4 classes.

    The columns are four sensors and a slope. A sensor's ceiling is 65535.
    """
    return np.array(_READINGS, float), np.repeat([1, 0, 2, 3], 3)


def mnist(folder: PathLike | None = None) -> tuple[Rows, Rows]:
    """Return 60000 and 10000 handwritten digits; X of shape (n, 784).

    Parameters
    ----------
    folder : str or path-like, optional
        Where the four files are, gzipped; None for the user's cache.

    Raises
    ------
    OSError
        If the files are neither there nor can be downloaded: where to put them.
    """
    return _images("mnist", folder)


def fashion_mnist(folder: PathLike | None = None) -> tuple[Rows, Rows]:
    """Return 60000 and 10000 pictures of clothes; X of shape (n, 784).

    Parameters
    ----------
    folder : str or path-like, optional
        Where the four files are, gzipped; None for the user's cache.

    Raises
    ------
    OSError
        If the files are neither there nor can be downloaded: where to put them.
    """
    return _images("fashion-mnist", folder)


def cifar10(folder: PathLike | None = None) -> tuple[Rows, Rows]:
    """Return 50000 and 10000 photographs; X of shape (n, 3072), channel by channel.

    Parameters
    ----------
    folder : str or path-like, optional
        Where ``cifar-10-binary.tar.gz`` is, or ``cifar10_subset.npz`` with the arrays
        X_train, y_train, X_test and y_test; None for the user's cache.

    Raises
    ------
    OSError
        If the file is neither there nor can be downloaded: where to put it.
    """
    subset = Path(folder or "") / "cifar10_subset.npz"
    if folder is not None and subset.is_file():
        with np.load(subset) as file:
            X, y, X_test, y_test = (
                file[name] for name in ("X_train", "y_train", "X_test", "y_test")
            )
        return (_shades(X), y), (_shades(X_test), y_test)
    (path,) = _files("cifar10", folder)
    with tarfile.open(path) as archive:
        parts = {Path(name).name: name for name in archive.getnames()}
        names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
        batches = [_batch(archive, parts[name]) for name in names]
    X, y = (np.concatenate(each) for each in zip(*batches[:5], strict=True))
    return (X, y), batches[5]


def _images(name: str, folder: PathLike | None) -> tuple[Rows, Rows]:
    X, y, X_test, y_test = (_read_idx(path) for path in _files(name, folder))
    return (_shades(X), y.astype(int)), (_shades(X_test), y_test.astype(int))


def _shades(pixels: Array) -> Array:
    return pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(255)


def _read_idx(path: Path) -> Array:
    """Read an IDX file: two zeros, the type, the rank, the sizes, the values."""
    try:
        data = gzip.decompress(path.read_bytes())
        rank = data[3]
        shape = tuple(np.frombuffer(data, ">u4", rank, offset=4).tolist())
        return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (EOFError, IndexError, ValueError, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{path} is no gzipped IDX file, or a damaged one ({error}). Delete it, "
            "and it is downloaded anew."
        ) from error


def _batch(archive: tarfile.TarFile, name: str) -> Rows:
    file = archive.extractfile(name)
    assert file is not None
    rows = np.frombuffer(file.read(), np.uint8).reshape(-1, 3073)
    return _shades(rows[:, 1:]), rows[:, 0].astype(int)


def _files(name: str, folder: PathLike | None) -> list[Path]:
    """Return the paths of a set's files, fetching those that are missing."""
    address, checksums = _SOURCES[name]
    home = user_cache() / "data" / name if folder is None else Path(folder)
    paths = [home / file for file in checksums]
    for path in paths:
        if not path.is_file():
            _fetch(f"{address}/{path.name}", path, checksums)
    return paths


def _fetch(url: str, path: Path, checksums: Mapping[str, str]) -> None:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            data = answer.read()
    except OSError as error:
        raise OSError(
            f"{path.name} is not in {path.parent} and could not be downloaded from "
            f"{url} ({error}). Put {', '.join(checksums)} into {path.parent}, or give "
            "the folder that they are in."
        ) from error
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != checksums[path.name]:
        raise OSError(
            f"what {url} gave is not {path.name}: its checksum is another. Try again, "
            f"or put the file into {path.parent} yourself."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)


def _checked(*checksums: str) -> dict[str, str]:
    return dict(zip(_MNIST_FILES, checksums, strict=True))


_SOURCES = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        _checked(
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "fashion-mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        _checked(
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "cifar10": (
        "https://www.cs.toronto.edu/~kriz",
        {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
    ),
}
"""Where each set is, and the MD5 sums that its authors give."""

_READINGS = (
    (65535, 3670, 65535, 3885, -0.73),
    (65535, 3962, 65535, 3556, -0.72),
    (65535, 3573, 65535, 3529, -0.61),
    (3758, 3123, 4117, 3173, -0.21),
    (3906, 3119, 4288, 3135, -0.28),
    (3750, 3073, 4080, 3212, -0.26),
    (65535, 3458, 65535, 3330, -0.85),
    (65535, 3315, 65535, 3306, -0.87),
    (65535, 3950, 65535, 3613, -0.84),
    (65535, 32576, 65535, 19613, -0.35),
    (65535, 16657, 65535, 16618, -0.37),
    (65535, 16657, 65535, 16618, -0.32),
)
