"""
Which learning rate, and how much decay?
========================================

The best values can only be found by trying. The search draws pairs at random, on
logarithmic scales, and trains each for a few epochs. The pictures show the training
curves of the best twenty, and which values do well.
"""

import sys

import thalweg as tw
from thalweg.datasets import digits, mnist

X, y = mnist(*sys.argv[1:])[0] if sys.argv[1:] else digits()
model = tw.MLPClassifier((100, 100), solver="sgd", max_iter=20)
space = {"learning_rate_init": (1e-6, 1e-1, "log"), "alpha": (1e-6, 1e-2, "log")}
found = tw.search(
    model, space, X[:500], y[:500], n_trials=40, sampler="random", random_state=0
)
print(found)
found.plot("curves")

# %%
# The learning rate matters. The decay hardly matters:
found.plot("slice")
