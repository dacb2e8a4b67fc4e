#!/usr/bin/env bash
# A product with the Hessian, `hessp(x, p)`, given to SciPy's trust-constr.
#
# One would guess: p is a direction of floating-point numbers, as it is in Newton-CG and
# trust-ncg. A product written with jax.jvp, which wants x and p of one type, works.
#
# What happens (SciPy 1.17.1): trust-constr wraps the product in a LinearOperator, which
# calls it once with zeros of type int8 to learn the type of what it returns. jax.jvp
# refuses integers with a TypeError.
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
from scipy.optimize import minimize, rosen, rosen_der, rosen_hess_prod

print("scipy", scipy.__version__, "numpy", np.__version__)
types = {}
for method in ("trust-ncg", "trust-constr"):
    seen = types[method] = set()

    def product(x, p, seen=seen):
        seen.add(str(p.dtype))
        return rosen_hess_prod(x, p)

    minimize(rosen, [0.5, 0.7], jac=rosen_der, hessp=product, method=method)
    print(method, seen)
sys.exit(0 if types == {"trust-ncg": {"float64"}, "trust-constr": {"float64", "int8"}}
         else 1)
PYTHON
