"""
Four optimizers in one bowl
===========================

The bowl x²/20 + y² is twenty times steeper in one direction than in the other. Plain
gradient descent zigzags across it. Momentum overshoots. AdaGrad and Adam rescale each
direction and turn along the valley.
"""

from thalweg.plots import PathsDisplay
from thalweg.training import descend

paths = descend(
    {
        "SGD": {"optimizer": "sgd", "learning_rate": 0.95},
        "momentum": {"optimizer": "momentum", "learning_rate": 0.1},
        "AdaGrad": {"optimizer": "adagrad", "learning_rate": 1.5},
        "Adam": {"optimizer": "adam", "learning_rate": 0.3},
    },
    steps=30,
)
PathsDisplay.from_paths(paths, apart=True)
