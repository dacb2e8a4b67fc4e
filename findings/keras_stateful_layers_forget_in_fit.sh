#!/usr/bin/env bash
# A recurrent layer with `stateful=True`, trained by `model.fit` on JAX.
#
# One would guess: as its documentation says, the last state of each row of a batch is
# the first state of that row in the next batch.
#
# What happens (Keras 3.15.1, JAX back-end): the states are zeros after `fit`, as if the
# layer were not stateful. A call of the model itself keeps them.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  keras==3.15.1 jax==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PYTHON'
import sys

import keras
import numpy as np

print("keras", keras.__version__)
layer = keras.layers.SimpleRNN(2, stateful=True)
model = keras.Sequential([keras.Input(batch_shape=(4, 3, 1)), layer])
model.compile("sgd", "mse")
X, y = np.ones((8, 3, 1), "float32"), np.ones((8, 2), "float32")


def state():
    return float(np.abs(np.array(layer.states[0])).max())


model.fit(X, y, batch_size=4, shuffle=False, verbose=0)
fitted = state()
model(X[:4])
print("largest state after fit:", fitted)
print("after a call:", state())
sys.exit(0 if fitted == 0 and state() > 0 else 1)
PYTHON
