"""
Overfitting, and how the training curves show it
================================================

A network of seven layers overfits 300 images: the training loss goes to zero, and the
validation loss does not follow. Weight decay keeps the weights smaller and narrows the
gap between the two losses.
"""

import thalweg as tw
from thalweg.datasets import digits
from thalweg.plots.training import TrainingDisplay

X, y = digits()
network = tw.DenseNetwork.from_sizes([64, *[100] * 6, 10], init="he_normal")
for decay in (0.0, 0.1):
    run = tw.fit(
        network,
        X[:300],
        y[:300],
        loss="cross_entropy",
        optimizer="sgd",
        learning_rate=0.01,
        weight_decay=decay,
        batch_size=100,
        epochs=100,
        validation=(X[300:], y[300:]),
        random_state=0,
    )
    TrainingDisplay.from_run(run, what=["loss", "score"])
