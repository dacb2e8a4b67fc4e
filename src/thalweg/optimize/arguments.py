"""The checks of what `minimize` is called with, before anything is computed."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from thalweg.core import ALIASES, Array, PyTree, check_names, check_word, find
from thalweg.optimize.scipy_methods import METHODS, Method

DIFFERENCE_RULES = ("2-point", "3-point", "cs")
"""SciPy's names of finite differences, to be given as `jac`."""


class _Ends(NamedTuple):
    """The ends of bounds, NaN for none."""

    low: Array
    high: Array


def find_method(method: Any, constraints: Any) -> Method:
    """Return the method of that name, or the default one.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, or something that is not a name.
    """
    if method is None:
        return METHODS["slsqp" if constraints else "lbfgs"]
    if not isinstance(method, str):
        raise TypeError(
            f"minimize got method={method!r}; it must be a name. Options: "
            f"{', '.join(sorted(METHODS))}."
        )
    name = ALIASES.get(method.lower(), method.lower().removeprefix("fmin_"))
    return find("method", name, METHODS, owner="minimize")


def check_functions(
    method: Method, fun: Any, jac: Any, hess: Any, hessp: Any, callback: Any
) -> None:
    """Raise if a function is not callable, or if the method does not support it."""
    if not callable(fun):
        raise TypeError(f"minimize got fun={fun!r}; it must be a function of x.")
    if not (
        jac is None or isinstance(jac, bool) or callable(jac) or is_difference_rule(jac)
    ):
        raise ValueError(
            f"minimize got jac={jac!r}; it must be a function, True where fun returns "
            "(cost, gradient), None, or one of '2-point', '3-point', 'cs'."
        )
    if not (callback is None or callable(callback)):
        raise TypeError(
            f"minimize got callback={callback!r}; it must be a function of x or None."
        )
    _check_use(method, "hess", hess is not None)
    _check_use(method, "hessp", hessp is not None)


def check_options(
    method: Method,
    constraints: Any,
    options: Mapping[str, Any] | None,
    check: str,
) -> None:
    """Raise for unknown options, or constraints that the method does not support."""
    check_word("check", check, ("raise", "warn", "off"), owner="minimize")
    _check_use(method, "constraints", bool(constraints))
    label = f"option of {method.label}"
    check_names(label, options or {}, method.options, owner="minimize")


def check_bounds(method: Method, tree: PyTree, bounds: Any) -> None:
    """Raise for bounds that do not fit the weights, or that the method cannot use."""
    if bounds is None:
        return
    _check_use(method, "bounds", True)
    ends = _ends_of(bounds)
    allowed = {tree.size, 1 if isinstance(bounds, optimize.Bounds) else tree.size}
    for end in ends:
        if len(end) not in allowed:
            raise ValueError(
                f"minimize got bounds of {len(end)} pairs for {tree.size} weights. "
                "Give one pair (low, high) for each, in the order of the flat vector."
            )
    crossed = np.flatnonzero(ends.low > ends.high)
    if len(crossed):
        raise ValueError(
            f"minimize got bounds whose low end is above the high one at entry "
            f"{crossed[0]}. Each must be a pair (low, high)."
        )


def is_difference_rule(jac: Any) -> bool:
    """Whether `jac` names finite differences of SciPy."""
    return isinstance(jac, str) and jac in DIFFERENCE_RULES


def _check_use(method: Method, argument: str, given: bool) -> None:
    if given and argument not in method.uses:
        able = [each.label for each in METHODS.values() if argument in each.uses]
        raise ValueError(
            f"minimize got {argument}, which method {method.label!r} does not support. "
            f"Leave it out, or use one of {', '.join(able)}."
        )


def _ends_of(bounds: Any) -> _Ends:
    if isinstance(bounds, optimize.Bounds):
        return _Ends(np.atleast_1d(bounds.lb), np.atleast_1d(bounds.ub))
    try:
        pairs = np.array([(low, high) for low, high in bounds], float).reshape(-1, 2)
    except (TypeError, ValueError):
        raise ValueError(
            f"minimize got bounds={bounds!r}; it must be a sequence of pairs "
            "(low, high), with None for no limit."
        ) from None
    return _Ends(pairs[:, 0], pairs[:, 1])
