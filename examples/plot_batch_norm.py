"""
Batch normalization makes up for a bad initialization
=====================================================

The initial weights have a standard deviation of 0.01, which is too small. Five layers
learn with batch normalization. Without it they do not learn.
"""

import thalweg as tw
from thalweg.datasets import digits

X, y = digits()
X, y = X[:1000], y[:1000]
tw.compare(
    {"batch norm": {"normalization": "batch"}, "none": {}},
    X,
    y,
    hidden=[100] * 4,
    init=("normal", {"std": 0.01}),
    optimizer="sgd",
    learning_rate=0.01,
    batch_size=100,
    epochs=20,
    seeds=2,
    validation=(X, y),
).plot(what="validation_score")
