#!/usr/bin/env bash
# Powell's method with directions of one's own, `options={"direc": directions}`, as one
# does who starts it several times from the same directions.
#
# One would guess: the array is read, as x0 is.
#
# What happens (SciPy 1.17.1): the method works in the array itself, and leaves its last
# directions there. The next call begins with these, and ends elsewhere.
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
from scipy.optimize import minimize, rosen

print("scipy", scipy.__version__)
directions = np.eye(3)
calls = [
    minimize(rosen, [-1.2, 1.0, 1.0], method="Powell", options={"direc": directions})
    for _ in range(2)
]
print("evaluations of the same call, twice:", [call.nfev for call in calls])
print("directions after it:")
print(directions.round(3))
sys.exit(0 if not np.array_equal(directions, np.eye(3)) else 1)
PYTHON
