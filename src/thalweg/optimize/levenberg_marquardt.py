"""The Levenberg-Marquardt method: Gauss-Newton steps, damped until they help.

Each iteration solves (H + μI) δ = −g with the Gauss-Newton matrix H. A step that lowers
the objective is taken, and μ shrinks by how well the model foretold the gain; a step
that does not is thrown away, and μ grows faster and faster (Nielsen, 1999, "Damping
parameter in Marquardt's method", eq. 2.5).
"""

from collections.abc import Callable

import numpy as np
from scipy import linalg, optimize

from thalweg.core import Array

_MOST_DAMPING = 1e16


def minimize_damped(
    both: Callable[[Array], tuple[float, Array]],
    curvature: Callable[[Array], Array],
    x0: Array,
    *,
    damping: float,
    gtol: float,
    xtol: float,
    max_iterations: int,
    callback: Callable[[Array], None],
) -> optimize.OptimizeResult:
    """Minimize by damped Gauss-Newton steps.

    Parameters
    ----------
    both : callable
        x → objective and gradient (n,).
    curvature : callable
        x → Gauss-Newton matrix (n, n), positive semi-definite.
    x0 : ndarray of shape (n,), float64
    damping : float
        First μ, as a share of the largest diagonal entry of the matrix.
    gtol : float
        Largest entry of the gradient at which to stop.
    xtol : float
        Relative length of a step at which to stop.
    max_iterations : int
        Most steps taken.
    callback : callable
        Called with x after each step taken.

    Returns
    -------
    scipy.optimize.OptimizeResult
        With x, success, message, nit and nfev.
    """
    x = np.array(x0, float)
    cost, gradient = both(x)
    matrix = curvature(x)
    mu, growth = damping * float(matrix.diagonal().max(initial=1e-12)), 2.0
    steps, n_values = 0, 1
    while steps < max_iterations:
        if np.abs(gradient).max() <= gtol:
            return _end(x, steps, n_values, "the gradient is as good as zero")
        step = _solve(matrix, mu, gradient)
        if np.linalg.norm(step) <= xtol * (np.linalg.norm(x) + xtol):
            return _end(x, steps, n_values, "the steps have become too short to matter")
        new_cost, new_gradient = both(x + step)
        n_values += 1
        foretold = 0.5 * float(step @ (mu * step - gradient))
        gain = (cost - new_cost) / foretold
        if gain > 0:
            x, cost, gradient = x + step, new_cost, new_gradient
            matrix = curvature(x)
            mu, growth = mu * max(1 / 3, 1 - (2 * gain - 1) ** 3), 2.0
            steps += 1
            callback(x)
        else:
            mu, growth = mu * growth, 2 * growth
            if not mu < _MOST_DAMPING:
                return _end(x, steps, n_values, "no step lowers the objective", False)
    return _end(x, steps, n_values, "enough steps were taken", False)


def _solve(matrix: Array, mu: float, gradient: Array) -> Array:
    damped = matrix + mu * np.eye(len(matrix))
    try:
        return -linalg.cho_solve(linalg.cho_factor(damped), gradient)
    except linalg.LinAlgError:
        # Rounding can cost the matrix its definiteness; more damping gives it back.
        return -np.linalg.lstsq(damped, gradient, rcond=None)[0]


def _end(
    x: Array, steps: int, n_values: int, message: str, success: bool = True
) -> optimize.OptimizeResult:
    return optimize.OptimizeResult(
        x=x, success=success, message=message, nit=steps, nfev=n_values
    )
