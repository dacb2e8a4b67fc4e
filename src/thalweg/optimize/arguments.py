"""What `minimize` is called with: the method, the start, and names that are unknown.

What SciPy accepts is accepted. A slip that SciPy passes over in silence, or only warns
of, is a warning here too, with the nearest name.
"""

import difflib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import OptimizeWarning

from thalweg.core import ALIASES, Array, PyTree, find
from thalweg.optimize.scipy_methods import METHODS, Method

DIFFERENCE_RULES = ("2-point", "3-point", "cs")
"""SciPy's names of finite differences, to be given as `jac`."""

MOST_FOR_BFGS = 5000
"""BFGS keeps a full matrix: above this size it is not the default."""


def find_method(method: Any, bounds: Any, constraints: Any, size: int) -> Method:
    """Return the method of that name, or the default one.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, or something that is not a name.
    """
    if method is None:
        if constraints:
            return METHODS["slsqp"]
        is_small = bounds is None and size <= MOST_FOR_BFGS
        return METHODS["bfgs" if is_small else "lbfgs"]
    if not isinstance(method, str):
        raise TypeError(
            f"minimize got method={method!r}; it must be a name or a function. "
            f"Options: {', '.join(sorted(METHODS))}."
        )
    name = ALIASES.get(method.lower(), method.lower().removeprefix("fmin_"))
    return find("method", name, METHODS, owner="minimize")


def check_functions(fun: Any, jac: Any, callback: Any, owner: str) -> None:
    """Raise if a function is not callable; warn of a `jac` that SciPy does not know."""
    if not callable(fun):
        raise TypeError(f"{owner} got fun={fun!r}; it must be a function of x.")
    if not (callback is None or callable(callback)):
        raise TypeError(
            f"{owner} got callback={callback!r}; it must be a function of x or None."
        )
    known = jac is None or isinstance(jac, bool | np.bool_) or callable(jac)
    if not known and not is_difference_rule(jac):
        warnings.warn(
            f"{owner} got jac={jac!r}, which SciPy takes as None: it must be a "
            "function, True where fun returns (cost, gradient), None, or one of "
            f"'2-point', '3-point', 'cs'.{_did_you_mean(jac, DIFFERENCE_RULES)}",
            OptimizeWarning,
            stacklevel=3,
        )


def known_options(method: Method, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Leave out options that the method does not know, with SciPy's warning.

    Names that are like none of ours are left to SciPy, which may be newer. (Its
    trust-constr has no warning, so there all of them are left out.)
    """
    # SciPy's Powell writes into its option `direc`.
    kept = {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in (options or {}).items()
    }
    for name in (options or {}).keys() - set(method.options):
        hint = _did_you_mean(name, method.options)
        if hint or method.label == "trust-constr":
            del kept[name]
            warnings.warn(
                f"Unknown solver options: {name}.{hint} Method {method.label} knows "
                f"{', '.join(method.options)}.",
                OptimizeWarning,
                stacklevel=3,
            )
    return kept


def is_difference_rule(jac: Any) -> bool:
    """Whether `jac` names finite differences of SciPy."""
    return isinstance(jac, str) and jac in DIFFERENCE_RULES


def read_start(x0: Any, check_finite: bool) -> tuple[PyTree, Array]:
    """Return the structure of x0, and x0 as a flat float64 vector.

    A number, or whatever SciPy takes as one vector, is a vector.

    Raises
    ------
    ValueError
        If it does not hold real numbers, or none.
    """
    vector = _as_vector(x0)
    tree = PyTree(x0 if vector is None else vector, check_finite)
    return tree, tree.pack(x0) if vector is None else vector


def _as_vector(x0: Any) -> Array | None:
    """Return what SciPy takes as one vector; None for other structures."""
    if isinstance(x0, Mapping):
        return None
    if hasattr(x0, "_fields") and not all(map(np.isscalar, x0)):
        return None  # a named tuple of arrays comes back as one
    try:
        array = np.array(x0)
    except ValueError:
        return None  # arrays of different shapes
    if array.ndim > 1 or array.dtype.kind not in "fiub":
        return None
    if array.dtype != np.longdouble:
        array = array.astype(float)
    return np.atleast_1d(array)


def _did_you_mean(name: Any, options: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(str(name), options, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
