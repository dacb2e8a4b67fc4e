"""What several test modules share: engines, drawn networks and data, small tasks."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn import datasets

import thalweg as tw
from thalweg import engines
from thalweg.core.data import Data
from thalweg.core.losses import CLASSIFYING
from thalweg.core.networks import DenseNetwork
from thalweg.core.plan import Plan
from thalweg.core.types import Array, Parameters

ENGINES = [engines.load(name) for name in engines.ENGINES]

each_engine = pytest.mark.parametrize("engine", ENGINES, ids=engines.ENGINES)


def draw_parameters(
    network: DenseNetwork, seed: int = 0, dtype: Any = np.float64
) -> Parameters:
    """Weights of the size that training gives, no two alike, none on a kink."""
    rng = np.random.default_rng(seed)
    drawn: list[dict[str, Array]] = []
    for shapes in network.shapes():
        own = {k: 0.6 * rng.standard_normal(shape) for k, shape in shapes.items()}
        for name in ("scale", "variance"):
            if name in own:
                own[name] = 0.5 + np.abs(own[name])
        drawn.append({k: v.astype(dtype) for k, v in own.items()})
    return tuple(drawn)


def draw_data(
    network: DenseNetwork,
    plan: Plan,
    n_rows: int = 7,
    seed: int = 1,
    dtype: Any = np.float64,
) -> Data:
    """Rows with unequal weights, and targets of the kind that the loss takes."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, network.n_inputs))
    name, k = plan.loss.label, network.n_outputs
    if name in CLASSIFYING:
        y: Array = rng.integers(0, k, n_rows).astype(np.int32)
    elif name in ("poisson", "binary_cross_entropy"):
        y = rng.integers(0, 2, (n_rows, k)).astype(dtype)
    else:
        y = rng.standard_normal((n_rows, k)).astype(dtype)
    weights = rng.uniform(0.5, 2.0, n_rows)
    return Data(X.astype(dtype), y, weights.astype(dtype))


class Task(NamedTuple):
    """Rows, and the sizes of a network for them."""

    X: Array
    y: Array
    sizes: tuple[int, ...]


@cache
def task(name: str) -> Task:
    if "moons" in name:
        X, y = _rows(datasets.make_moons(100, noise=0.1, random_state=0))
        return Task(X, y, (2, 3, 2) if "tiny" in name else (2, 4, 2))
    if "iris" in name:
        X, y = _rows(datasets.load_iris(return_X_y=True))
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        return Task(X, y, (4, 3) if "tiny" in name else (4, 5, 3))
    X, y = _rows(datasets.load_digits(return_X_y=True))
    if "tiny" in name:  # zeros and ones, in four fields
        X, y = X[y < 2][:100], y[y < 2][:100]
        return Task(_pooled(X, 4) / 4, y, (4, 2, 2))
    X, y = X[:300], y[:300]
    if "small" in name:
        return Task(_pooled(X, 2) / 16, y, (16, 5, 10))
    return Task(X / 16, y, (64, 10, 10))


def _pooled(images: Array, side: int) -> Array:
    """Average squares of `side` pixels of images of eight by eight."""
    fields = images.reshape(-1, 8 // side, side, 8 // side, side)
    return fields.mean(axis=(2, 4)).reshape(len(images), -1)


def _rows(made: Any) -> tuple[Array, Array]:
    return made[0], made[1]


def train(name: str, method: Any, **settings: Any) -> tw.Run:
    X, y, sizes = task(name)
    network = tw.DenseNetwork.from_sizes(sizes, activation="tanh")
    given = {"loss": "cross_entropy", "l2": 0.1, "random_state": 0, **settings}
    return tw.fit(network, X, y, optimizer=method, **given)
