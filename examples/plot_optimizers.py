"""
Which optimizer?
================

All variants start from the same weights and see the same rows in the same order. Their
differences can therefore be judged in pairs. If the interval of a difference contains
zero, the difference may be chance.
"""

import sys

import thalweg as tw
from thalweg.datasets import digits, mnist
from thalweg.plots import DifferenceDisplay

X, y = mnist(*sys.argv[1:])[0] if sys.argv[1:] else digits()
rates = {"sgd": 0.01, "momentum": 0.01, "adagrad": 0.01, "adam": 0.001}
comparison = tw.compare(
    {name: {"optimizer": name, "learning_rate": rate} for name, rate in rates.items()},
    X,
    y,
    hidden=[100] * 4,
    batch_size=128,
    epochs=25,
    seeds=3,
    by="training loss",
)
comparison.plot()

# %%
# The differences, with simultaneous confidence intervals:
DifferenceDisplay.from_comparison(comparison)
