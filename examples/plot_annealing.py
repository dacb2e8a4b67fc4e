"""
A constant and an annealed learning rate
========================================

Three tanh units learn to tell the moons apart. With a constant learning rate the loss
settles above the optimum. With a rate that falls slowly every seed reaches it. The rate
must not fall too fast: with a decay of 0.01 in place of 0.001 four networks of ten
ended above 0.075.
"""

import matplotlib.pyplot as plt

import thalweg as tw
from thalweg.datasets import moons
from thalweg.plots import ComparisonDisplay

X, y = moons(200)
comparison = tw.compare(
    {
        "constant rate": {},
        "annealed rate": {"schedule": ("inverse_time", {"decay": 0.001})},
    },
    X,
    y,
    hidden=[3],
    activation="tanh",
    loss="cross_entropy",
    optimizer="sgd",
    batch_size=None,
    learning_rate=2.0,
    l2=0.01,
    epochs=10000,
    seeds=4,
    validation=None,
    by="training loss",
)
figure, (left, right) = plt.subplots(1, 2, figsize=(6.0, 3.2), layout="constrained")
for panel in (left, right):
    ComparisonDisplay.from_comparison(comparison, ax=panel, legend=False)
    panel.set(xscale="log", xlabel="epoch")
left.set_yscale("log")
right.set(yscale="linear", xlim=(500, None), ylim=(0.067, 0.076), ylabel="")
lines, names = left.get_legend_handles_labels()
figure.legend(lines, names, loc="outside upper center", ncols=2, fontsize=8)
