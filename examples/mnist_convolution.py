"""Trains a small Keras convolutional network on MNIST with a one-cycle schedule.

``python examples/mnist_convolution.py [FOLDER] [SEED ...]`` prints the test accuracy
of each seed. The default seed is 0. FOLDER holds the four files of MNIST. Without it
they are downloaded.
"""

import os
import sys
from typing import Any

import numpy as np

import thalweg as tw
from thalweg import datasets

os.environ.setdefault("KERAS_BACKEND", "jax")

EPOCHS, BATCH, PEAK = 3, 64, 3e-3


def network() -> Any:
    """Build two 3 by 3 convolutions with 16 and 32 channels, each with pooling."""
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def accuracy(seed: int, folder: str | None) -> float:
    """Train on the 60,000 training images; return the accuracy on the 10,000 others."""
    import keras

    (X, y), (X_test, y_test) = datasets.mnist(folder)
    X, X_test = (np.float32(each).reshape(-1, 28, 28, 1) for each in (X, X_test))
    keras.utils.set_random_seed(seed)
    run = tw.fit(
        tw.from_keras(network()), X, y, loss="cross_entropy", optimizer="adam",
        learning_rate=PEAK, schedule="one_cycle", batch_size=BATCH, epochs=EPOCHS,
        random_state=seed,
    )  # fmt: skip
    return float((tw.predict(run, X_test).argmax(1) == y_test).mean())


def main(folder: str | None = None, *seeds: str) -> None:
    """Print the test accuracy of each seed."""
    for seed in seeds or ("0",):
        print(f"seed {seed}: {accuracy(int(seed), folder):.4f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
