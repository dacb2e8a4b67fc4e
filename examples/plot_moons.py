"""
How wide must the hidden layer be?
==================================

One unit gives a straight boundary. Three units give a boundary that bends around the
moons. Each point is a network with another seed.
"""

import thalweg as tw
from thalweg.comparison.plot import SweepDisplay
from thalweg.datasets import moons
from thalweg.plots.planes import BoundaryDisplay

X, y = moons(200)
comparison = tw.compare(
    {str(width): {"hidden": [width]} for width in (1, 2, 3)},
    X,
    y,
    activation="tanh",
    optimizer="lbfgs",
    epochs=50,
    l2=0.01,
    seeds=3,
)
SweepDisplay.from_comparison(comparison, xlabel="units of the hidden layer")

# %%
# The decision boundary with three units:
model = tw.MLPClassifier((3,), "tanh", solver="lbfgs", random_state=0, max_iter=1000)
BoundaryDisplay.from_estimator(model.fit(X, y), X, y)
