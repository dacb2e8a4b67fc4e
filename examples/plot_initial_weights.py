"""
The initialization matters
==========================

If the initial weights are too small, the signal vanishes in five layers, and the loss
stays at log 10. Xavier initialization suits tanh. He initialization makes up for the
half of the values that ReLU sets to 0.
"""

import sys

import thalweg as tw
from thalweg.datasets import digits, mnist

X, y = mnist(*sys.argv[1:])[0] if sys.argv[1:] else digits()
comparison = tw.compare(
    {
        "std 0.01": {"init": ("normal", {"std": 0.01})},
        "Xavier": {"init": "xavier"},
        "He": {"init": "he_normal"},
    },
    X,
    y,
    hidden=[100] * 4,
    optimizer="sgd",
    learning_rate=0.01,
    batch_size=128,
    epochs=25,
    seeds=3,
    by="training loss",
)
comparison.plot()
