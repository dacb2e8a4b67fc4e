"""
First weights matter
====================

Too small, and five layers pass nothing on: the loss stays at log 10. Xavier's scale
suits tanh; He's makes up for the half that ReLU cuts off.
"""

import thalweg as tw
from thalweg.datasets import digits

X, y = digits()
tw.compare(
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
    epochs=20,
    seeds=2,
).plot()
