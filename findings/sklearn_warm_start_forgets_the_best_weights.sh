#!/usr/bin/env bash
# Early stopping of an MLP that is fitted again and again on the same rows, with
# warm_start.
#
# One would guess: early_stopping keeps the weights of the best validation score, and
# `best_validation_score_` is the score of the network that `predict` uses. A second fit
# that does not beat it leaves the network as it was.
#
# What happens (scikit-learn 1.9.1): a further fit that never beats the old best score
# leaves the weights of its last epoch. `best_validation_score_` stays at what an earlier
# network reached.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

print("scikit-learn", sklearn.__version__)
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 5))
y = (X[:, 0] + rng.normal(size=300) > 0).astype(int)
model = MLPClassifier(
    (16,), early_stopping=True, warm_start=True, random_state=0, learning_rate_init=0.01,
    n_iter_no_change=5,
)
moved = False
for fit in range(4):
    model.fit(X, y)
    size, best = float(np.abs(model.coefs_[0]).sum()), model.best_validation_score_
    if fit:
        moved |= best == before[1] and size != before[0]
    print(f"fit {fit + 1}: best score {best:.3f}, sum of |weights| {size:.2f}")
    before = size, best
sys.exit(0 if moved else 1)
PYTHON
