"""
Five networks show where a prediction is uncertain
==================================================

The members of an ensemble are trained on different samples of the rows. Together they
are right more often than alone. Where they disagree, the prediction is uncertain: the
disagreement is larger where the ensemble is wrong.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

import thalweg as tw
from thalweg.datasets import digits, mnist
from thalweg.plots import WeightsDisplay

X, y = mnist(*sys.argv[1:])[0] if sys.argv[1:] else digits()
X, X_test, y, y_test = train_test_split(np.float32(X), y, random_state=0, stratify=y)
X, y, X_test, y_test = X[:400], y[:400], X_test[:2000], y_test[:2000]
member = tw.MLPClassifier((50,), learning_rate_init=0.003, tol=0.01, n_iter_no_change=5)
ensemble = tw.Ensemble(member, 5, bootstrap=True, random_state=0).fit(X, y)
members = np.array([each.score(X_test, y_test) for each in ensemble.members_])
together = ensemble.score(X_test, y_test)
disagreement = ensemble.disagreement(X_test)
right = ensemble.predict(X_test) == y_test

figure, axes = plt.subplots(1, 2, figsize=(6.0, 3.0), layout="constrained")
axes[0].plot(np.arange(1, 6), members, "o", label="members")
axes[0].axhline(together, color="C1", label="ensemble")
axes[0].set(xlabel="member", ylabel="test accuracy")
edges = np.linspace(0, disagreement.max(), 16)
for name, chosen in {"right": right, "wrong": ~right}.items():
    share = np.full(chosen.sum(), 1 / chosen.sum())
    axes[1].hist(disagreement[chosen], edges, weights=share, alpha=0.6, label=name)
axes[1].set(xlabel="disagreement [nats]", ylabel="share of the rows")
for panel in axes:
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)

# %%
# The weights of one member's first layer, as images:
WeightsDisplay.from_estimator(ensemble.members_[0], most=25)
