"""
The outputs of each layer
=========================

Sigmoid layers with weights of standard deviation 1 are saturated at 0 and 1. There the
slope of the sigmoid is close to 0, and so is every gradient.
"""

import numpy as np

import thalweg as tw
from thalweg.plots.layers import LayersDisplay
from thalweg.training.inspect import look_inside

rows = np.random.RandomState(0).standard_normal((1000, 100))
network = tw.DenseNetwork.from_sizes(
    [100] * 6,
    activation="logistic",
    output_activation="logistic",
    init=("normal", {"std": 1.0}),
)
LayersDisplay.from_values(look_inside(network, rows, random_state=0), span=(0, 1))
