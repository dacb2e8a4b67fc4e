"""The Levenberg-Marquardt method: Gauss-Newton steps, damped until they help.

Each iteration solves (H + μI) δ = −g with the Gauss-Newton matrix H. A step that lowers
the objective is taken, and μ shrinks by how well the model predicted the gain. A step
that does not is rejected, and μ grows faster with every rejection (Nielsen, 1999,
"Damping parameter in Marquardt's method", eq. 2.5).
"""

from collections.abc import Callable

import numpy as np
from scipy import linalg, optimize

from thalweg.core import Array

_MAX_DAMPING = 1e16


def minimize_damped(
    cost_and_gradient: Callable[[Array], tuple[float, Array]],
    gauss_newton: Callable[[Array], Array],
    x0: Array,
    *,
    damping: float,
    gtol: float,
    xtol: float,
    max_iterations: int,
    callback: Callable[[Array], None],
) -> optimize.OptimizeResult:
    """Minimize by damped Gauss-Newton steps (Levenberg-Marquardt).

    Parameters
    ----------
    cost_and_gradient : callable
        x → objective and its gradient of shape (n,).
    gauss_newton : callable
        x → Gauss-Newton matrix of shape (n, n), positive semi-definite.
    x0 : ndarray of shape (n,), float64
    damping : float
        The first μ, as a share of the largest diagonal entry of the matrix.
    gtol : float
        The method converges when no entry of the gradient is larger.
    xtol : float
        The method converges when a step is shorter, relative to x.
    max_iterations : int
        Most steps that are taken.
    callback : callable
        Called with x after each step that is taken.

    Returns
    -------
    scipy.optimize.OptimizeResult
        With x, success, message, nit and nfev.
    """
    x = np.array(x0, float)
    cost, gradient = cost_and_gradient(x)
    matrix = gauss_newton(x)
    mu, growth = damping * float(matrix.diagonal().max(initial=1e-12)), 2.0
    steps, n_values = 0, 1
    while steps < max_iterations:
        if np.abs(gradient).max() <= gtol:
            return _result(
                x, steps, n_values, "no entry of the gradient was larger than gtol"
            )
        step = _solve(matrix, mu, gradient)
        if np.linalg.norm(step) <= xtol * (np.linalg.norm(x) + xtol):
            return _result(x, steps, n_values, "the step was shorter than xtol allows")
        new_cost, new_gradient = cost_and_gradient(x + step)
        n_values += 1
        predicted = 0.5 * float(step @ (mu * step - gradient))
        gain = (cost - new_cost) / predicted
        if gain > 0:
            x, cost, gradient = x + step, new_cost, new_gradient
            matrix = gauss_newton(x)
            mu, growth = mu * max(1 / 3, 1 - (2 * gain - 1) ** 3), 2.0
            steps += 1
            callback(x)
        else:
            mu, growth = mu * growth, 2 * growth
            if not mu < _MAX_DAMPING:
                return _result(
                    x, steps, n_values, "no step lowered the objective", False
                )
    return _result(x, steps, n_values, "max_iterations steps were taken", False)


def _solve(matrix: Array, mu: float, gradient: Array) -> Array:
    damped = matrix + mu * np.eye(len(matrix))
    try:
        return -linalg.cho_solve(linalg.cho_factor(damped), gradient)
    except linalg.LinAlgError:
        # Rounding can cost the matrix its definiteness; more damping restores it.
        return -np.linalg.lstsq(damped, gradient, rcond=None)[0]


def _result(
    x: Array, steps: int, n_values: int, message: str, success: bool = True
) -> optimize.OptimizeResult:
    return optimize.OptimizeResult(
        x=x, success=success, message=message, nit=steps, nfev=n_values
    )
