"""
Four optimizers in one ravine
=============================

On a small network, optimizers that use the curvature reach a lower loss in fewer passes
over the data.
"""

import numpy as np

import thalweg as tw

X = np.linspace(-1, 1, 64)[:, None]
tw.compare(
    {
        "SGD": {"optimizer": "sgd", "learning_rate": 0.1},
        "Adam": {"optimizer": "adam", "learning_rate": 0.01},
        "L-BFGS": {"optimizer": ("lbfgs", {"ftol": 0.0, "gtol": 0.0})},
        "Levenberg-Marquardt": {"optimizer": "levenberg-marquardt"},
    },
    X,
    np.sin(6 * X[:, 0]),
    hidden=[10],
    activation="tanh",
    batch_size=None,
    epochs=200,
    seeds=1,
    validation=None,
    by="training loss",
).plot(against="passes")
