"""
Which learning rate, and how much decay?
========================================

Nobody can say before trying. Draw pairs at random, on logarithmic scales, train each
for a few epochs, and look where it went well.
"""

import thalweg as tw
from thalweg.datasets import digits

X, y = digits()
model = tw.MLPClassifier((100, 100), solver="sgd", max_iter=20)
space = {"learning_rate_init": (1e-6, 1e-1, "log"), "alpha": (1e-6, 1e-2, "log")}
found = tw.search(
    model, space, X[:500], y[:500], n_trials=40, sampler="random", random_state=0
)
print(found)
found.plot("curves")

# %%
# The rate matters; the decay hardly does:
found.plot("slice")
