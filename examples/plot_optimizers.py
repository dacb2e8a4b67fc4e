"""
Which optimizer?
================

All variants start from the same weights and see the same rows in the same order. Their
differences can therefore be judged in pairs. If the interval of a difference contains
zero, the difference may be chance.
"""

import thalweg as tw
from thalweg.comparison.plot import DifferenceDisplay
from thalweg.datasets import digits

X, y = digits()
rates = {"sgd": 0.01, "momentum": 0.01, "adagrad": 0.01, "adam": 0.001}
comparison = tw.compare(
    {name: {"optimizer": name, "learning_rate": rate} for name, rate in rates.items()},
    X,
    y,
    hidden=[100] * 4,
    batch_size=128,
    epochs=5,
    seeds=3,
    by="training loss",
)
comparison.plot()

# %%
# The differences, with simultaneous confidence intervals:
DifferenceDisplay.from_comparison(comparison)
