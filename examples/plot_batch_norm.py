"""
Batch norm forgives the scale of the first weights
==================================================

From weights of standard deviation 0.01, five layers learn with batch norm and do not
learn without.
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
