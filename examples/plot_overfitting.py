"""
Overfitting, and two remedies
=============================

A network of seven layers overfits 300 images: its accuracy on them reaches 1, and its
accuracy on other images does not. Weight decay keeps the weights smaller. Dropout makes
each unit work without some of the others. Both narrow the gap between the two losses.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

import thalweg as tw
from thalweg.datasets import digits, mnist
from thalweg.plots import TrainingDisplay

X, y = mnist(*sys.argv[1:])[0] if sys.argv[1:] else digits()
n_inputs = X.shape[1]
X, X_test, y, y_test = train_test_split(np.float32(X), y, random_state=0, stratify=y)
measured_on = {"training": (X[:300], y[:300]), "test": (X_test[:2000], y_test[:2000])}
remedies = {
    "nothing": ({}, {"epochs": 200}),
    "weight decay 0.1": ({}, {"epochs": 200, "weight_decay": 0.1}),
    "dropout 0.2": ({"dropout": 0.2}, {"epochs": 300}),
}
runs = {}
for name, (layers, settings) in remedies.items():
    network = tw.DenseNetwork.from_sizes(
        [n_inputs, *[100] * 6, 10], init="he_normal", **layers
    )
    for part, rows in measured_on.items():  # the same training, measured twice
        runs[name, part] = tw.fit(
            network,
            X[:300],
            y[:300],
            loss="cross_entropy",
            optimizer="sgd",
            learning_rate=0.01,
            batch_size=100,
            validation=rows,
            restore_best=False,
            random_state=0,
            **settings,
        )

figure, axes = plt.subplots(1, 3, figsize=(6.0, 2.8), sharey=True, layout="constrained")
for panel, name in zip(axes, remedies, strict=True):
    for part in measured_on:
        history = runs[name, part].history
        panel.plot(history.epoch, history.validation_score, label=part)
    panel.set_title(name, fontsize=9)
    panel.set_xlabel("epoch")
axes[0].set_ylabel("accuracy")
axes[-1].legend(frameon=False)

# %%
# The losses show the gap earlier. This is the training without a remedy:
TrainingDisplay.from_run(runs["nothing", "test"], what="loss")
