#!/usr/bin/env bash
# A callback of SciPy's newer style, `callback(intermediate_result)`, with a variable that
# equal bounds fix.
#
# One would guess: the callback gets the record with all of x, whatever the method, and
# nothing is printed.
#
# What happens (SciPy 1.17.1): L-BFGS-B prints the callback itself to the standard output
# at each call. TNC ends in an AttributeError, because it passes a bare vector to the
# wrapper that expects a record. COBYLA's callback gets an x without the fixed variable.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import contextlib
import io
import sys

import numpy as np
import scipy
from scipy.optimize import minimize, rosen

print("scipy", scipy.__version__, "numpy", np.__version__)
found = {}
for method in ("L-BFGS-B", "TNC", "COBYLA"):
    shapes = set()

    def callback(intermediate_result, shapes=shapes):
        shapes.add(intermediate_result.x.shape)

    def show(intermediate_result):
        callback(intermediate_result)

    printed = io.StringIO()
    error = ""
    with contextlib.redirect_stdout(printed):
        try:
            minimize(
                rosen, [0.5, 0.7, 0.5], method=method, callback=show,
                bounds=[(0, 2), (0.7, 0.7), (0, 2)],
            )
        except AttributeError as raised:
            error = str(raised)
    found[method] = (bool(printed.getvalue()), shapes, error)
    print(method, "printed:", repr(printed.getvalue()[:40]), "shapes:", shapes, error)
same = (
    found["L-BFGS-B"][0]
    and "no attribute 'x'" in found["TNC"][2]
    and found["COBYLA"][1] == {(2,)}
)
sys.exit(0 if same else 1)
PYTHON
