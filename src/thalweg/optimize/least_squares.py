"""`least_squares`: SciPy's, with the Jacobian checked against the residuals."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import Bounds, OptimizeResult
from scipy.optimize import least_squares as least_squares_by_scipy

from thalweg.core import PyTree, check_word
from thalweg.optimize.arguments import read_start
from thalweg.optimize.feasible_region import FeasibleRegion
from thalweg.optimize.jacobian_check import examine_jacobian
from thalweg.optimize.minimization import raise_or_warn


def least_squares(
    fun: Callable[..., Any], x0: Any, jac: Any = "2-point",
    bounds: Any = (-np.inf, np.inf), method: str = "trf", ftol: float | None = 1e-8,
    xtol: float | None = 1e-8, gtol: float | None = 1e-8, x_scale: Any = None,
    loss: Any = "linear", f_scale: float = 1.0, diff_step: Any = None,
    tr_solver: str | None = None, tr_options: Mapping[str, Any] | None = None,
    jac_sparsity: Any = None, max_nfev: int | None = None, verbose: int = 0,
    args: Any = (), kwargs: Mapping[str, Any] | None = None, callback: Any = None,
    workers: Any = None, *, check: str = "raise",
) -> OptimizeResult:  # fmt: skip
    """Minimize a sum of squares as `scipy.optimize.least_squares` does.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args, **kwargs) -> residuals`` of shape (m,).
    x0 : array-like, or nested lists, tuples and dicts of arrays
        The point to begin at; x has its structure.
    jac : callable or str
        ``jac(x, *args, **kwargs) -> Jacobian`` of shape (m, n), or SciPy's rule of
        finite differences.
    bounds, method, ftol, xtol, gtol, x_scale, loss, f_scale, diff_step, tr_solver, \
tr_options, jac_sparsity, max_nfev, verbose, args, kwargs, callback, workers
        As in SciPy.
    check : {"raise", "warn", "off"}
        What to do if Jacobian and residuals disagree.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's, with x in the structure of x0, and with ``check``
        (`thalweg.optimize.GradientCheck`, or None without a check).

    Raises
    ------
    ValueError, TypeError
        For what SciPy refuses, and for a Jacobian that does not belong to the
        residuals.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> t = np.arange(4.0)
    >>> fun = lambda x: x[0] * t + x[1] - (2 * t + 1)
    >>> jac = lambda x: np.stack([t, np.ones(4)], axis=1)
    >>> np.round(tw.least_squares(fun, [0.0, 0.0], jac).x, 6)
    array([2., 1.])
    """
    check_word("check", check, ("raise", "warn", "off"), owner="least_squares")
    if not callable(fun):
        raise TypeError(f"least_squares got fun={fun!r}; it must be a function of x.")
    tree, start = read_start(x0, check_finite=check != "off")
    residuals = _OwnStructure(fun, tree)
    jacobian: Any = _OwnStructure(jac, tree) if callable(jac) else jac
    found = None
    if check != "off" and callable(jac):
        further = args if isinstance(args, tuple) else (args,)
        named = dict(kwargs or {})
        found = examine_jacobian(
            lambda x: residuals(x, *further, **named),
            lambda x: jacobian(x, *further, **named),
            start,
            _region(bounds, tree.size),
            further,
        )
        if not found.ok and found.cause != "inconclusive":
            raise_or_warn("least_squares", found.message, check, stacklevel=3)
    minimize_squares: Any = least_squares_by_scipy  # its stub is too narrow
    result = minimize_squares(
        residuals, start, jacobian, bounds, method, ftol, xtol, gtol, x_scale, loss,
        f_scale, diff_step, tr_solver, {} if tr_options is None else tr_options,
        jac_sparsity, max_nfev, verbose, args, {} if kwargs is None else kwargs,
        callback=callback, workers=workers,
    )  # fmt: skip
    result.check = found
    if not tree.is_flat:
        result.x = tree.unpack(result.x)
    return result


class _OwnStructure:
    """A user's function, called with x in its own structure.

    What it returns is copied, because it may be a buffer that is used again. It can be
    pickled, because SciPy's `workers` send it to other processes.
    """

    def __init__(self, function: Callable[..., Any], tree: PyTree) -> None:
        self.function = function
        self.tree = None if tree.is_flat else tree

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        own = np.copy(x) if self.tree is None else self.tree.unpack(x)
        return copy.copy(self.function(own, *args, **kwargs))


def _region(bounds: Any, size: int) -> FeasibleRegion:
    low, high = (
        (bounds.lb, bounds.ub) if isinstance(bounds, Bounds) else (bounds[0], bounds[1])
    )
    low, high = (np.asarray(end, float) for end in (low, high))
    if not all(end.shape in ((), (1,), (size,)) for end in (low, high)):
        return FeasibleRegion()  # SciPy refuses them
    return FeasibleRegion(np.broadcast_to(low, (size,)), np.broadcast_to(high, (size,)))
