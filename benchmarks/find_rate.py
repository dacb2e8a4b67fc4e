"""``python -m benchmarks.find_rate``: how near `find_rate` is to the best rate.

On four data sets, for each optimizer and batch size, the best rate is the one of a grid
over the range of `find_rate` whose training loss is lowest after some epochs, as a mean
over seeds. Shown are the suggestions of 20 seeds, and the largest factor between one of
them and that rate. A suggestion at an end of the range must have a note.
"""

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn import datasets
from sklearn.preprocessing import scale

import thalweg as tw

GRID = 10.0 ** np.arange(-6, 1.01, 0.5)
Case = tuple[str, Any, Any, str, int]


def cases() -> Iterator[Case]:
    """Yield names, inputs, targets, losses and numbers of outputs."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-3, 3, (300, 1))
    yield "sine", X, np.sin(X[:, 0]) + 0.1 * rng.randn(300), "squared", 1
    X, y = datasets.load_diabetes(return_X_y=True)
    yield "diabetes", scale(X), scale(y), "squared", 1
    X, y = datasets.load_breast_cancer(return_X_y=True)
    yield "breast cancer", scale(X), y, "cross_entropy", 2
    X, y = datasets.load_digits(return_X_y=True)
    yield "digits", X / 16, y, "cross_entropy", 10


def best_rate(network: Any, X: Any, y: Any, epochs: int, **settings: Any) -> float:
    """Train at each rate of the grid; return the one of the lowest loss."""

    def loss(rate: float, seed: int) -> float:
        own = {"learning_rate": rate, "random_state": seed, "epochs": epochs}
        losses = tw.fit(network, X, y, **own, **settings).history.loss
        return losses[-1] if len(losses) == epochs else np.inf

    found = [np.mean([loss(rate, seed) for seed in range(3)]) for rate in GRID]
    return float(GRID[int(np.argmin(found))])


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    table = Table("data", "optimizer", "batch", "epochs", "best", "found", "factor")
    factors = list[float]()
    for name, X, y, loss, n_outputs in cases():
        network = tw.DenseNetwork.from_sizes((X.shape[1], 32, n_outputs))
        for optimizer in ("adam", "sgd", "momentum"):
            for batch in (32, 200):
                own = {"loss": loss, "optimizer": optimizer, "batch_size": batch}
                found = np.array([
                    tw.find_rate(network, X, y, random_state=seed, **own).suggestion
                    for seed in range(given.seeds)
                ])  # fmt: skip
                for epochs in (10, 50):
                    best = best_rate(network, X, y, epochs, **own)
                    factor = float(np.maximum(found / best, best / found).max())
                    factors.append(factor)
                    span = f"{found.min():.1e} to {found.max():.1e}"
                    row = name, optimizer, str(batch), str(epochs), f"{best:.0e}", span
                    table.add_row(*row, f"{factor:.1f}")
    console = Console()
    console.print(table)
    console.print(f"largest factor {max(factors):.1f}, median {np.median(factors):.1f}")


if __name__ == "__main__":
    main()
