#!/usr/bin/env bash
# COBYLA, COBYQA and Nelder-Mead on a cost that is NaN everywhere, as that of a network
# whose inputs hold a missing value.
#
# One would guess: the result says that it failed, or `fun` is NaN, which a reader notices.
#
# What happens (SciPy 1.17.1): COBYLA returns success=True with a finite cost of 1e30, the
# number that it puts in the place of NaN, at a point of its first simplex.
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
import warnings

import numpy as np
import scipy
from scipy.optimize import minimize

print("scipy", scipy.__version__)
warnings.simplefilter("ignore")
found = {}
for method in ("COBYLA", "COBYQA", "Nelder-Mead"):
    result = minimize(lambda x: np.nan, [1.0, 2.0], method=method)
    found[method] = result
    print(f"{method:12} success={result.success} fun={result.fun} x={result.x}")
cobyla = found["COBYLA"]
sys.exit(0 if cobyla.success and np.isfinite(cobyla.fun) and cobyla.fun > 1e29 else 1)
PYTHON
