#!/usr/bin/env bash
# SciPy's trust-krylov on the Rosenbrock function of 30 variables, with a small gtol.
#
# One would guess: as trust-ncg does, the method converges once the gradient is smaller
# than gtol, or stops because it can get no further. The objective is finite everywhere,
# so it is never evaluated at a point that is not finite.
#
# What happens (SciPy 1.17.1): near the minimum, where the norm of the gradient is below
# 1e-8, the trust-region subproblem returns steps of NaN. The objective is evaluated at
# points of NaN, each of these steps is refused, and the method goes on so until its
# limit of iterations. trust-ncg converges in about 150 iterations.
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
from scipy.optimize import minimize, rosen, rosen_der, rosen_hess_prod

warnings.simplefilter("ignore")
print("scipy", scipy.__version__, "numpy", np.__version__)
found = {}
for method in ("trust-ncg", "trust-krylov"):
    asked = {"finite": 0, "not finite": 0}

    def cost(x, asked=asked):
        asked["finite" if np.isfinite(x).all() else "not finite"] += 1
        return rosen(x)

    result = minimize(
        cost, np.zeros(30), jac=rosen_der, hessp=rosen_hess_prod, method=method,
        options={"gtol": 1e-10},
    )
    norm = np.linalg.norm(result.jac)
    print(f"{method}: success {result.success}, {result.nit} iterations, "
          f"gradient norm {norm:.1e}, points {asked}")
    found[method] = result.success, asked["not finite"]
still = found["trust-ncg"] == (True, 0) and (
    not found["trust-krylov"][0] and found["trust-krylov"][1] > 100
)
sys.exit(0 if still else 1)
PYTHON
