"""Trains a 3072-200-10 network of logistic units with conjugate gradients.

The network has 616,610 weights and an L2 penalty. It trains on the full batch of 5,000
images of CIFAR-10. People often write such a training with ``fmin_cg`` and a cost
function of their own. Every iteration lowers the cost.

``python examples/cifar_cg.py [cifar10_subset.npz]``

The file holds ``X_train``, ``y_train``, ``X_test`` and ``y_test``. Each image is a row
of 3072 bytes. Without a file the example generates images: ten blurred patterns with
strong noise.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

import thalweg as tw

ITERATIONS = 120
PENALTY = 100.0
"""λ of λ/(2m)·Σw²: the best of 10, 30 and 100 on validation data."""

Images = tuple[Any, Any, Any, Any]


def made_up(n_train: int = 5000, n_test: int = 1000) -> Images:
    """Generate images of ten classes that are hard to tell apart."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(10, 3, 8, 8))
    patterns = np.kron(coarse, np.ones((4, 4))).reshape(10, 3072)
    labels = rng.integers(0, 10, n_train + n_test)
    noise = rng.normal(size=(len(labels), 3072))
    pixels = np.clip(128 + 10 * patterns[labels] + 50 * noise, 0, 255).astype(np.uint8)
    return (
        pixels[:n_train],
        labels[:n_train],
        pixels[n_train:],
        labels[n_train:],
    )


def read(path: Path) -> Images:
    """Read 5,000 training images, and all test images."""
    with np.load(path) as file:
        names = ("X_train", "y_train", "X_test", "y_test")
        X, y, X_test, y_test = (file[name] for name in names)
    return X[:5000], y[:5000], X_test, y_test


def show(record: tw.EpochRecord) -> None:
    """Print the cost of an iteration, every tenth time."""
    if record.epoch == 1 or record.epoch % 10 == 0:
        spent = f"{record.evaluations:4.0f} evaluations  {record.seconds:6.1f} s"
        print(f"iteration {record.epoch:3d}  cost {record.loss:.6f}  {spent}")


def train(images: Images, iterations: int = ITERATIONS) -> tuple[tw.Run, float]:
    """Train on the training images; return the run and the test accuracy."""
    X, y, X_test, y_test = images
    mean, spread = X.mean(axis=0), X.std(axis=0)
    X, X_test = (np.float32((pixels - mean) / spread) for pixels in (X, X_test))
    network = tw.DenseNetwork.from_sizes((3072, 200, 10), activation="logistic")
    run = tw.fit(
        network,
        X,
        np.eye(10)[y],
        loss="binary_cross_entropy",
        l2=PENALTY,
        optimizer="cg",
        epochs=iterations,
        random_state=0,
        callbacks=[show],
    )
    predicted = tw.predict(run, X_test).argmax(axis=1)
    return run, float(np.mean(predicted == y_test))


def main() -> None:
    """Train, and print the result."""
    real = len(sys.argv) > 1
    run, accuracy = train(read(Path(sys.argv[1])) if real else made_up())
    cost = run.history.loss
    falls = "at every" if (np.diff(cost) < 0).all() else "not at every"
    per_evaluation = run.history.seconds[-1] / run.history.evaluations[-1]
    print(run.why)
    print(f"engine: {run.engine}")
    print(f"the cost fell from {cost[0]:.4f} to {cost[-1]:.4f}, {falls} iteration")
    print(f"{per_evaluation:.3f} s an evaluation")
    print(f"test accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
