"""Images of digits: the published accuracy of a deep network after 2000 Adam steps.

On MNIST where its files stand beside the checkout, in shared/data/mnist; otherwise on
scikit-learn's digits, whose 450 test images make the bound wider.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

import thalweg as tw
from thalweg import datasets
from thalweg.core.types import Array

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"


def images() -> tuple[Array, Array, Array, Array, float]:
    """Training and test images and labels, and the accuracy to reach."""
    if MNIST.is_dir():
        (X, y), (X_test, y_test) = datasets.mnist(MNIST)
        return X[:51200], X_test, y[:51200], y_test, 0.97
    X, y = datasets.digits()
    parts: Any = train_test_split(X, y, random_state=0)
    return parts[0], parts[1], parts[2], parts[3], 0.95


@pytest.mark.integration
@pytest.mark.slow
def test_five_layers_learn_digits() -> None:
    X, X_test, y, y_test, goal = images()
    network = tw.DenseNetwork.from_sizes((X.shape[1], 100, 100, 100, 100, 10))
    steps = -(-len(X) // 128)
    run = tw.fit(
        network, np.float32(X), y, loss="cross_entropy", optimizer="adam",
        schedule="cosine", epochs=2000 // steps, batch_size=128, random_state=0,
    )  # fmt: skip
    found = tw.predict(run, np.float32(X_test)).argmax(axis=1)
    assert (found == y_test).mean() >= goal
