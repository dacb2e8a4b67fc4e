"""
The outputs of each layer
=========================

Five layers of 100 units that have not been trained, one row of panels for each
initialization. Sigmoid layers with weights of standard deviation 1 are saturated at 0
and 1. There the slope of the sigmoid is close to 0, and so is every gradient. With a
standard deviation of 0.01 all outputs are almost the same.
"""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

import thalweg as tw
from thalweg.plots import LayersDisplay
from thalweg.training import look_inside

rows = np.random.RandomState(0).standard_normal((1000, 100))
inits = {
    "std 1": ("normal", {"std": 1.0}),
    "std 0.01": ("normal", {"std": 0.01}),
    "Xavier": "xavier",
    "He": "he_normal",
}


def draw(activation: Any, span: tuple[float, float]) -> dict[str, Any]:
    """Draw the values of each layer; return them."""
    found = {}
    figure, axes = plt.subplots(4, 5, figsize=(6.0, 5.4), layout="constrained")
    for panels, (name, init) in zip(axes, inits.items(), strict=True):
        network = tw.DenseNetwork.from_sizes(
            [100] * 6, activation=activation, output_activation=activation, init=init
        )
        found[name] = look_inside(network, rows, random_state=1)
        LayersDisplay.from_values(found[name], ax=panels, span=span)
        panels[0].set_ylabel(f"{name}\nshare", fontsize=8)
        if panels is not axes[0]:
            for panel in panels:
                panel.set_title("")
    figure.suptitle(f"Outputs of {activation} layers", fontsize=10)
    return found


logistic = draw("logistic", span=(0.0, 1.0))

# %%
# tanh layers are saturated at −1 and 1. Xavier initialization keeps their outputs
# spread:
tanh = draw("tanh", span=(-1.0, 1.0))

# %%
# ReLU layers halve the square of their values. He initialization makes up for it, and
# Xavier initialization does not:
relu = draw("relu", span=(0.0, 3.0))
