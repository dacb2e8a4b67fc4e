"""Data sets to try networks on: generated, bundled with scikit-learn, or downloaded.

Small sets are returned as ``(X, y)``, sets of images as ``((X, y), (X_test, y_test))``
with pixels from 0 to 1 in float32. Files of images are read from the folder given, or
from scikit-learn's data folder (`sklearn.datasets.get_data_home`). scikit-learn
downloads those that are missing, and compares their checksums.
"""

import gzip
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets

from thalweg.core import Array
from thalweg.io import PathLike

Rows = tuple[Array, Array]
_sklearn: Any = datasets  # whose types leave open how many arrays a loader returns

_MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def moons(n: int = 200, noise: float = 0.2, random_state: int = 0) -> Rows:
    """Generate two half circles, one reaching into the other; X of shape (n, 2)."""
    return _sklearn.make_moons(n, noise=noise, random_state=random_state)


def circles(n: int = 200, noise: float = 0.1, random_state: int = 0) -> Rows:
    """Generate a ring around a smaller ring; X of shape (n, 2)."""
    return _sklearn.make_circles(n, noise=noise, factor=0.5, random_state=random_state)


def blobs(n: int = 200, n_classes: int = 3, random_state: int = 0) -> Rows:
    """Generate one Gaussian cloud for each class; X of shape (n, 2)."""
    return _sklearn.make_blobs(n, centers=n_classes, random_state=random_state)


def spirals(
    n: int = 300, n_classes: int = 3, noise: float = 0.2, random_state: int = 0
) -> Rows:
    """Generate an arm of a spiral for each class; X of shape (n, 2), length up to 1."""
    rng = np.random.RandomState(random_state)
    y = np.arange(n) * n_classes // n
    radius = rng.uniform(0.02, 1.0, n)
    turn = 2 * np.pi / n_classes * y + 4 * radius + noise * rng.standard_normal(n)
    return np.column_stack([radius * np.sin(turn), radius * np.cos(turn)]), y


def digits() -> Rows:
    """Return scikit-learn's digits; X of shape (1797, 64), values from 0 to 1."""
    X, y = _sklearn.load_digits(return_X_y=True)
    return X / 16, y


def infrared() -> Rows:
    """Return twelve readings of an infrared sensor bar; X of shape (12, 5), 4 classes.

    The columns are four sensors and a slope. A sensor's largest value is 65535.
    """
    return np.array(_READINGS, float), np.repeat([1, 0, 2, 3], 3)


def mnist(folder: PathLike | None = None) -> tuple[Rows, Rows]:
    """Return 60000 and 10000 handwritten digits; X of shape (n, 784).

    Parameters
    ----------
    folder : str or path-like, optional
        Folder of the four gzipped files; None for scikit-learn's data folder. Missing
        files are downloaded to it.

    Raises
    ------
    OSError
        If a file is missing and cannot be downloaded. The message says where to put it.
    ValueError
        If a file is damaged.
    """
    return _images("mnist", folder)


def fashion_mnist(folder: PathLike | None = None) -> tuple[Rows, Rows]:
    """Return 60000 and 10000 pictures of clothes; X of shape (n, 784).

    Parameters
    ----------
    folder : str or path-like, optional
        Folder of the four gzipped files; None for scikit-learn's data folder. Missing
        files are downloaded to it.

    Raises
    ------
    OSError
        If a file is missing and cannot be downloaded. The message says where to put it.
    ValueError
        If a file is damaged.
    """
    return _images("fashion-mnist", folder)


def cifar10(folder: PathLike | None = None) -> tuple[Rows, Rows]:
    """Return 50000 and 10000 photographs; X of shape (n, 3072), channel by channel.

    Parameters
    ----------
    folder : str or path-like, optional
        Folder of ``cifar-10-binary.tar.gz``, or of ``cifar10_subset.npz`` with the
        arrays X_train, y_train, X_test and y_test; None for scikit-learn's data folder.
        A missing archive is downloaded to it.

    Raises
    ------
    OSError
        If the archive is missing and cannot be downloaded. The message says where to
        put it.
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
            f"{path} is not a gzipped IDX file, or it is damaged ({error}). Delete it: "
            "the next call downloads it again."
        ) from error


def _batch(archive: tarfile.TarFile, name: str) -> Rows:
    file = archive.extractfile(name)
    assert file is not None
    rows = np.frombuffer(file.read(), np.uint8).reshape(-1, 3073)
    return _shades(rows[:, 1:]), rows[:, 0].astype(int)


def _files(name: str, folder: PathLike | None) -> list[Path]:
    """Return the paths of a set's files; download those that are missing."""
    home = Path(folder or Path(_sklearn.get_data_home()) / "thalweg" / name)
    address, checksums = _SOURCES[name]
    return [
        path if path.is_file() else _fetch(f"{address}/{path.name}", path, checksum)
        for path, checksum in ((home / file, checksums[file]) for file in checksums)
    ]


def _fetch(url: str, path: Path, checksum: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _sklearn.fetch_file(
            url, path.parent, path.name, sha256=checksum, n_retries=0
        )
    except OSError as error:
        raise OSError(
            f"{path.name} is not in {path.parent} and could not be downloaded from "
            f"{url} ({error}). Put it into {path.parent} yourself, or give the folder "
            "that has it."
        ) from error


def _checksums(*checksums: str) -> dict[str, str]:
    return dict(zip(_MNIST_FILES, checksums, strict=True))


_SOURCES = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        _checksums(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion-mnist": (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        _checksums(
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    "cifar10": (
        "https://www.cs.toronto.edu/~kriz",
        {
            "cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9dd"
            "da3db29a59bca1dd"
        },
    ),
}
"""The address of each set, and the SHA-256 checksums of its files."""

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
