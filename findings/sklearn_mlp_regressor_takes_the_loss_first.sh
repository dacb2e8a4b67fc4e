#!/usr/bin/env bash
# The widths of a network given by position to scikit-learn's two MLP estimators.
#
# One would guess: both take `hidden_layer_sizes` first, as they did for ten years, so that
# MLPRegressor((40,)) is a network with 40 hidden units.
#
# What happens (scikit-learn 1.9.1): MLPRegressor has `loss` in the first place, and
# MLPClassifier has `hidden_layer_sizes`. The mistake is found at `fit`, where the message
# speaks of the loss.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  scikit-learn==1.9.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import inspect
import sys

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor

print("scikit-learn", sklearn.__version__)
first = {
    kind.__name__: next(iter(inspect.signature(kind).parameters))
    for kind in (MLPClassifier, MLPRegressor)
}
print("first parameters:", first)
X = np.arange(20.0)[:, None]
try:
    MLPRegressor((40,)).fit(X, X[:, 0])
    said = ""
except ValueError as error:
    said = str(error)
print("MLPRegressor((40,)).fit:", said[:120])
sys.exit(0 if "'loss' parameter" in said and first["MLPClassifier"] != "loss" else 1)
PYTHON
