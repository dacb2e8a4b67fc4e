#!/usr/bin/env bash
# `keras.layers.SpectralNormalization` around a layer, trained by `model.fit` on JAX.
#
# One would guess: as its documentation says, the kernel is divided by its largest
# singular value at each call in training, in `fit` as when the model is called.
#
# What happens (Keras 3.15.1, JAX back-end): the layer assigns the divided kernel to the
# variable. `fit` differentiates with respect to the trained variables and drops what
# was assigned to them, so that the kernel after `fit` is not normalized. The loss is
# that of another kernel than the model holds. The learning rate is 0 here, so that
# nothing else can change the kernel.
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
keras.utils.set_random_seed(0)
layer = keras.layers.SpectralNormalization(keras.layers.Dense(2))
model = keras.Sequential([keras.Input((3,)), layer])
model.compile(keras.optimizers.SGD(0.0), "mse")
X, y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")


def largest():
    return float(np.linalg.svd(np.array(layer.layer.kernel))[1][0])


before = largest()
model.fit(X, y, epochs=20, verbose=0)
fitted = largest()
for _ in range(20):
    model(X, training=True)
print("largest singular value before:", round(before, 4))
print("after 20 epochs of fit:", round(fitted, 4))
print("after 20 calls with training=True:", round(largest(), 4))
sys.exit(0 if abs(fitted - 1) > 0.01 and abs(largest() - 1) < 0.01 else 1)
PYTHON
