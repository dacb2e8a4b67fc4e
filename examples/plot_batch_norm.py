"""
Batch normalization makes up for a bad initialization
=====================================================

Each panel has initial weights of another standard deviation, from 1 to 0.0001. With
batch normalization five layers learn from all of them, though slowly from the largest
and the smallest. Without it they learn only where the standard deviation happens to be
right. A cross marks a network that diverged.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import thalweg as tw
from thalweg.datasets import digits, mnist

X, y = mnist(*sys.argv[1:])[0] if sys.argv[1:] else digits()
X, y = X[:1000], y[:1000]
figure, axes = plt.subplots(4, 4, figsize=(6.0, 5.6), layout="constrained")
comparisons = {}
for panel, std in zip(axes.flat, np.logspace(0, -4, 16), strict=True):
    comparisons[std] = tw.compare(
        {"batch norm": {"normalization": "batch"}, "none": {}},
        X,
        y,
        hidden=[100] * 4,
        init=("normal", {"std": std}),
        optimizer="sgd",
        learning_rate=0.01,
        batch_size=100,
        epochs=20,
        seeds=1,
        validation=(X, y),
    )
    comparisons[std].plot(what="validation_score", ax=panel, legend=False)
    panel.set_title(f"std {std:.2g}", fontsize=8)
    panel.set(xlabel="", ylabel="", ylim=(0, 1.02))
    panel.label_outer()
figure.supxlabel("epoch", fontsize=9)
figure.supylabel("training accuracy", fontsize=9)
lines, names = axes[-1, -1].get_legend_handles_labels()
figure.legend(lines, names, loc="outside upper center", ncols=2, fontsize=8)
