"""Shows why a network learns nothing from raw readings: two sets of loss curves.

The data are twelve readings of an infrared sensor bar, whose largest value is 65535. A
network of 25 logistic units trains on them with TNC. On raw readings every hidden unit
is saturated, and training stalls. On standardized readings training takes a dozen
iterations.

``python examples/infrared_tnc.py infrared_tnc.png`` (needs matplotlib)
"""

import sys
from pathlib import Path

import numpy as np

import thalweg as tw
from thalweg.core.types import Array

TABLE = Path(__file__).with_name("infrared.csv")
SEEDS = range(8)


def read() -> tuple[Array, Array]:
    """Return the five inputs of each row, and its class."""
    table = np.genfromtxt(TABLE, delimiter=",", skip_header=1)
    return table[:, :5], table[:, 5].astype(int)


def standardized(X: Array) -> Array:
    """Give each column mean 0 and standard deviation 1."""
    return (X - X.mean(axis=0)) / X.std(axis=0)


def train(X: Array, y: Array, seed: int) -> tuple[tw.Run, float]:
    """Train from one seed; return the run and its accuracy on the training rows."""
    network = tw.DenseNetwork.from_sizes((5, 25, 4), activation="logistic")
    run = tw.fit(
        network,
        X,
        y,
        loss="cross_entropy",
        optimizer="tnc",
        epochs=500,
        random_state=seed,
    )
    return run, float(np.mean(tw.predict(run, X).argmax(axis=1) == y))


def draw(curves: dict[str, list[Array]], path: Path) -> None:
    """Draw the training curves of all runs and write them to a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (name, losses), color in zip(curves.items(), ("C3", "C0"), strict=True):
        for seed, loss in enumerate(losses):
            label = name if seed == 0 else None
            axes.semilogy(
                np.arange(1, len(loss) + 1), loss, color=color, alpha=0.7, label=label
            )
    axes.set(
        xlabel="iteration of TNC",
        ylabel="cross-entropy",
        title="The same network on the same twelve rows, eight seeds",
    )
    axes.legend()
    figure.savefig(path, dpi=150)


def main(path: Path) -> None:
    """Train on both kinds of inputs, print the accuracies, draw the training curves."""
    X, y = read()
    curves = {}
    for name, inputs in (("raw readings", X), ("standardized", standardized(X))):
        done = [train(inputs, y, seed) for seed in SEEDS]
        curves[name] = [run.history.loss for run, _ in done]
        scores = " ".join(f"{accuracy:.2f}" for _, accuracy in done)
        print(f"{name:>12}: accuracy {scores}   {done[0][0].why}")
    draw(curves, path)
    print(f"wrote {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
