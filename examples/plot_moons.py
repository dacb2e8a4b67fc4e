"""
How wide must the hidden layer be?
==================================

One unit gives a straight boundary. Three units give a boundary that bends around the
moons. Each point is a network with another seed.
"""

import matplotlib.pyplot as plt

import thalweg as tw
from thalweg.datasets import moons
from thalweg.plots import BoundaryDisplay, SweepDisplay

X, y = moons(200)
comparison = tw.compare(
    {str(width): {"hidden": [width]} for width in (1, 2, 3)},
    X,
    y,
    activation="tanh",
    optimizer="lbfgs",
    epochs=50,
    l2=0.01,
    seeds=3,
)
SweepDisplay.from_comparison(comparison, xlabel="units of the hidden layer")

# %%
# The decision boundary of a network without a hidden layer, and of networks with one of
# up to fifty units. More than three units change it little:
figure, axes = plt.subplots(2, 4, figsize=(6.0, 3.7), layout="constrained")
runs = {}
for panel, width in zip(axes.flat, (0, 1, 2, 3, 4, 5, 20, 50), strict=True):
    hidden = [width] if width else []
    runs[width] = run = tw.fit(
        tw.DenseNetwork.from_sizes([2, *hidden, 2], activation="tanh"),
        X,
        y,
        loss="cross_entropy",
        optimizer="sgd",
        batch_size=None,
        learning_rate=2.0,
        l2=0.01,
        epochs=5000,
        random_state=0,
    )
    BoundaryDisplay.from_predictor(
        lambda rows, run=run: tw.predict(run, rows), X, y, ax=panel, legend=False
    )
    title = f"{width} unit{'s' * (width > 1)}" if width else "no hidden layer"
    panel.set_title(title, fontsize=8)
    panel.label_outer()
