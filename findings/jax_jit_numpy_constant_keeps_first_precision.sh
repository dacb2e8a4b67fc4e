#!/usr/bin/env bash
# A jitted JAX function that closes over a NumPy float64 array, used in both precisions.
#
# One would guess: `jax.jit` keys its cache on whether 64-bit numbers are enabled, so the
# same function can be called first in JAX's default 32 bits and then within
# `jax.enable_x64(True)`, and is simply traced again.
#
# What happens (JAX 0.10.2): the closed-over array keeps the precision of the first
# trace, and the second call raises an error while the program is lowered. The same
# function with a jax.numpy array in the NumPy array's place works in both.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import jax
import jax.numpy as jnp
import numpy as np


def main():
    print("jax", jax.__version__, "numpy", np.__version__)
    changed = False
    for name, target in (
        ("NumPy constant", np.array([1.0, 2.0])),
        ("jax.numpy constant", jnp.array([1.0, 2.0])),
    ):
        shared = jax.jit(lambda x, target=target: ((x - target) ** 2).sum())
        print(name, "in 32 bits:", float(shared(np.zeros(2))))
        try:
            with jax.enable_x64(True):
                print(name, "in 64 bits:", float(shared(np.zeros(2))))
            failed = False
        except Exception as error:
            print(name, "in 64 bits:", type(error).__name__, str(error).splitlines()[0])
            failed = True
        changed |= failed != (name == "NumPy constant")
    return int(changed)


sys.exit(main())
PYTHON
