#!/usr/bin/env bash
# Newton-CG with a gradient that is computed in float32, as most networks' are, and without
# a Hessian, which SciPy then takes from differences of the gradient.
#
# One would guess: it goes down, a little less exactly than in float64.
#
# What happens (SciPy 1.17.1): the step of the differences, about 1.5e-8, vanishes in
# float32, so that all curvatures are 0. The method ends after a few steps, far from the
# minimum, and reports success.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import scipy
from scipy.optimize import minimize

print("scipy", scipy.__version__)
start = np.array([3.0, -2.0, 5.0])


def cost(x):
    return float(np.sum(np.cosh(x)))


ends = {}
for dtype in ("float64", "float32"):

    def gradient(x, dtype=dtype):
        return np.sinh(x.astype(dtype))

    result = minimize(cost, start, jac=gradient, method="Newton-CG")
    norm = float(np.linalg.norm(np.sinh(result.x)))
    print(f"{dtype}: success={result.success} cost={result.fun:.4g} (3 is the least) "
          f"gradient norm={norm:.3g} iterations={result.nit}")
    ends[dtype] = result.success and norm > 1
sys.exit(0 if ends["float32"] and not ends["float64"] else 1)
PYTHON
