"""`check_grad` and `approx_fprime`: SciPy's, on whatever structure x has."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from thalweg.core import Array
from thalweg.optimize.arguments import read_start
from thalweg.optimize.user_function import UserFunction

_CHECK_GRAD, _APPROX_FPRIME = optimize.check_grad, optimize.approx_fprime
_EPSILON = np.sqrt(np.finfo(float).eps)


def check_grad(
    func: Callable[..., Any],
    grad: Callable[..., Any],
    x0: Any,
    *args: Any,
    epsilon: Any = _EPSILON,
    direction: str = "all",
    rng: Any = None,
    seed: Any = None,
) -> float:
    """Return how far a gradient is from differences, as `scipy.optimize.check_grad`.

    `thalweg.check_gradient` says in sentences what is wrong. A gradient may have the
    structure of x0, or be a column.

    Parameters
    ----------
    func, grad, x0, *args, epsilon, direction, rng, seed
        As in SciPy; x0 may be a structure of arrays.

    Returns
    -------
    float
        The norm of the difference.
    """
    tree, start = read_start(x0, check_finite=False)
    function = UserFunction(func, grad, tree)
    given = {"rng": rng, "seed": seed}

    def own_func(x: Array, *args: Any) -> Any:
        return func(tree.unpack(x), *args)

    def own_grad(x: Array, *args: Any) -> Any:
        gradient = grad(tree.unpack(x), *args)
        is_column = np.shape(gradient) == (tree.size, 1) != (1, 1)
        if tree.is_flat and not is_column:
            return gradient  # it may be the Jacobian of several functions
        return function.flatten_gradient(gradient)

    given = {name: value for name, value in given.items() if value is not None}
    return _CHECK_GRAD(
        own_func, own_grad, start, *args, epsilon=epsilon, direction=direction, **given
    )


def approx_fprime(
    xk: Any, f: Callable[..., Any], epsilon: Any = _EPSILON, *args: Any
) -> Any:
    """Difference a function as `scipy.optimize.approx_fprime` does.

    Parameters
    ----------
    xk, f, epsilon, *args
        As in SciPy; xk may be a structure of arrays.

    Returns
    -------
    ndarray, or a structure like xk
        The gradient; of a vector-valued function the Jacobian of shape (m, n).
    """
    tree, start = read_start(xk, check_finite=False)
    found: Any = _APPROX_FPRIME(
        start, lambda x, *more: f(tree.unpack(x), *more), epsilon, *args
    )
    return found if tree.is_flat or np.ndim(found) > 1 else tree.unpack(found)
