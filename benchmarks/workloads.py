"""The workloads of design.md, by name: what their jobs are, in which dtypes, for whom.

``quick`` makes each one small, to see that everything works.
"""

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.jobs import Array, Job
from benchmarks.machine import ROOT

MNIST = ROOT.parent / "shared" / "data" / "mnist"
_ALL = ("numpy", "sklearn", "torch", "jax")
_BOTH = ("float64", "float32")


class Workload(NamedTuple):
    """A title, ``make(dtype, quick)``, the dtypes to run in, and the rivals."""

    title: str
    make: Callable[[str, bool], Job]
    dtypes: tuple[str, ...] = ("float32",)
    rivals: tuple[str, ...] = _ALL


def moons(dtype: str, quick: bool) -> Job:
    """Full-batch descent on a summed loss: as its mean, with 200 times the rate."""
    from sklearn.datasets import make_moons

    drawn: Any = make_moons(200, noise=0.20, random_state=0)
    X, y = drawn
    rng = np.random.RandomState(0)
    weights: list[tuple[Array, Array]] = [
        (rng.randn(n, m) / np.sqrt(n), np.zeros(m)) for n, m in ((2, 3), (3, 2))
    ]
    return Job(
        "train", X.astype(dtype), y, (3,), "make_moons(200, noise=0.2)", "tanh",
        "sgd", rate=200 * 0.01, l2=0.01, epochs=2000 if quick else 20_000,
        weights=weights,
    )  # fmt: skip


def classifier(name: str, rule: str, dtype: str, quick: bool) -> Job:
    """Fit a classifier whole with scikit-learn's defaults, until it says stop."""
    from sklearn import datasets

    loaded: Any = getattr(datasets, f"load_{name}")(return_X_y=True)
    X, y = loaded
    return Job(
        "train", X.astype(dtype), y, (100,), f"scikit-learn's {name}, as it comes",
        rule=rule, l2=1e-4, batch=200, epochs=20 if quick else 200, patience=10,
        estimator=True,
    )  # fmt: skip


def digits_epoch(dtype: str, quick: bool) -> Job:
    """Train for one epoch: nine steps, and all that a call costs."""
    from sklearn.datasets import load_digits

    loaded: Any = load_digits(return_X_y=True)
    X, y = (loaded[0] / 16).astype(dtype), loaded[1]
    data = "scikit-learn's digits / 16"
    return Job("train", X, y, (100,), data, l2=1e-4, batch=200)


def mnist(dtype: str, quick: bool) -> Job:
    """400 steps an epoch, five epochs."""
    X, y, data = images(6400 if quick else 51_200, dtype)
    hidden, epochs = (100, 100, 100, 100), 2 if quick else 5
    return Job("train", X, y, hidden, data, batch=128, epochs=epochs)


def cost_gradient(dtype: str, quick: bool) -> Job:
    """616,610 parameters."""
    rng = np.random.default_rng(0)
    n_rows = 1000 if quick else 10_000
    X = rng.random((n_rows, 3072), dtype=np.float32).astype(dtype) - 0.5
    y = rng.integers(10, size=n_rows)
    y[:10] = range(10)
    return Job("gradient", X, y, (200,), "random numbers", l2=1.0)


def search(dtype: str, quick: bool) -> Job:
    """Try rates drawn log-uniformly, each trial from weights of its own."""
    X, y, data = images(2560 if quick else 25_600, dtype)
    n_trials = 4 if quick else 100
    rates = 10 ** np.random.RandomState(0).uniform(-4, -2, n_trials)
    hidden = (100,) * 5
    return Job("search", X, y, hidden, data, batch=128, rates=tuple(rates.tolist()))


def classic(dtype: str, quick: bool) -> Job:
    """Try rates for seven layers on 400 images, as a textbook does."""
    X, y, data = images(400, dtype)
    n_trials = 4 if quick else 100
    rates = 10 ** np.random.RandomState(0).uniform(-6, -2, n_trials)
    return Job(
        "search", X, y, (100,) * 6, data, rule="sgd", batch=100,
        epochs=5 if quick else 50, l2=1e-4, rates=tuple(rates.tolist()),
    )  # fmt: skip


def prediction(dtype: str, quick: bool) -> Job:
    """Give the probabilities of five classes."""
    rng = np.random.default_rng(0)
    n_rows = 50_000 if quick else 1_000_000
    X = rng.standard_normal((n_rows, 20)).astype(dtype)
    return Job("predict", X, np.arange(n_rows) % 5, (100,), "random numbers")


def images(n_rows: int, dtype: str) -> tuple[Array, Array, str]:
    """Return MNIST's first training images where they are, blots otherwise."""
    if MNIST.exists():
        X = _idx(MNIST / "train-images-idx3-ubyte.gz", 16).reshape(-1, 784)[:n_rows]
        y = _idx(MNIST / "train-labels-idx1-ubyte.gz", 8)[:n_rows]
        return np.divide(X, 255, dtype=dtype), y.astype(np.int64), "real MNIST"
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % 10
    blots = rng.random((10, 784)) ** 4
    X = blots[y] * rng.random((n_rows, 784), np.float32)
    return X.astype(dtype), y, "synthetic, shaped like MNIST"


def _idx(path: Path, header: int) -> Array:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def _classifiers() -> dict[str, Workload]:
    names = {"iris": "iris", "cancer": "breast_cancer", "wine": "wine"}
    return {
        f"{short}-{solver}": Workload(
            f"{name.replace('_', ' ')}, default classifier, {solver}",
            partial(classifier, name, rule),
            _BOTH,
        )
        for short, name in {**names, "digits": "digits"}.items()
        for solver, rule in (("adam", "adam"), ("sgd", "nesterov"))
    }


WORKLOADS = {
    "moons": Workload(
        "moons 200x2, 3 tanh units, 20000 full-batch steps",
        moons, ("float64",), ("numpy", "torch", "jax"),
    ),
    **_classifiers(),
    "epoch": Workload("digits, one epoch", digits_epoch, _BOTH),
    "mnist": Workload("MNIST 784-100x4-10, batch 128, 2000 Adam steps", mnist),
    "gradient": Workload(
        "cost + gradient, 10000x3072-200-10",
        cost_gradient, rivals=("numpy", "torch", "jax"),
    ),
    "search": Workload(
        "100 random-search trials of 784-100x6-10, 200 steps each",
        search, rivals=("numpy", "numpy:dtype=float64", "sklearn", "torch", "jax"),
    ),
    "classic": Workload(
        "100 random-search trials of 784-100x6-10 on 400 rows, 50 epochs each",
        classic, rivals=("numpy", "numpy:dtype=float64"),
    ),
    "predict": Workload("predict, 1,000,000x20, 100 hidden", prediction, _BOTH),
}  # fmt: skip


def chosen(names: list[str]) -> dict[str, Workload]:
    """Pick the workloads whose names begin with one of `names`; all for none."""
    picked = {
        key: workload
        for key, workload in WORKLOADS.items()
        if not names or any(key.startswith(name) for name in names)
    }
    unknown = [n for n in names if not any(key.startswith(n) for key in WORKLOADS)]
    if unknown:
        raise SystemExit(
            f"no workload is called {', '.join(unknown)}; there are "
            f"{', '.join(WORKLOADS)}"
        )
    return picked
