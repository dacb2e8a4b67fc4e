"""
Four optimizers in one ravine
=============================

On a small network, optimizers that use the curvature reach a lower loss in fewer passes
over the data. Each of their passes takes more time.
"""

import matplotlib.pyplot as plt
import numpy as np

import thalweg as tw
from thalweg.plots import ComparisonDisplay

X = np.linspace(-1, 1, 64)[:, None]
variants = {
    "SGD": {"optimizer": "sgd", "learning_rate": 0.1},
    "Adam": {"optimizer": "adam", "learning_rate": 0.01},
    "L-BFGS": {"optimizer": ("lbfgs", {"ftol": 0.0, "gtol": 0.0})},
    "Levenberg-Marquardt": {"optimizer": "levenberg-marquardt"},
}
for epochs in (2, 200):  # the first, short one imports and compiles what is needed
    comparison = tw.compare(
        variants,
        X,
        np.sin(6 * X[:, 0]),
        hidden=[10],
        activation="tanh",
        batch_size=None,
        epochs=epochs,
        seeds=1,
        validation=None,
        by="training loss",
        n_jobs=1,
    )
figure, (left, right) = plt.subplots(1, 2, figsize=(6.0, 3.2), layout="constrained")
ComparisonDisplay.from_comparison(comparison, against="passes", ax=left, legend=False)
ComparisonDisplay.from_comparison(comparison, against="seconds", ax=right, legend=False)
left.set(xscale="log", yscale="log")
right.set(xscale="log", yscale="log", ylabel="")
lines, names = left.get_legend_handles_labels()
figure.legend(lines, names, loc="outside upper center", ncols=2, fontsize=8)
