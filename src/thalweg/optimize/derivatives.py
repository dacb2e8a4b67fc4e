"""Where a method of SciPy gets its derivatives from.

The gradient is the user's, or JAX derives it from a cost written in jax.numpy, or SciPy
takes finite differences. Second derivatives are the user's, or JAX's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg import engines
from thalweg.core import Array
from thalweg.optimize.arguments import is_difference_rule
from thalweg.optimize.scipy_methods import Method
from thalweg.optimize.user_function import UserFunction


@dataclass(frozen=True)
class Derivatives:
    """The functions of the flat vector that a method needs.

    Parameters
    ----------
    compute : callable
        x → (cost, gradient), or (cost, None) where the gradient is a function of its
        own or there is none.
    compute_gradient : callable or None
        x → gradient, if it is a function of its own.
    has_gradient : bool
        Whether the method gets a gradient from either of them.
    needs_differences : bool
        Whether SciPy has to take finite differences for the method.
    second : dict
        SciPy's keyword ``hess`` or ``hessp`` and its value, or nothing.
    """

    compute: Callable[[Array], tuple[float, Array | None]]
    compute_gradient: Callable[[Array], Array] | None
    has_gradient: bool
    needs_differences: bool
    second: dict[str, Any]


def find_derivatives(
    function: UserFunction, method: Method, hess: Any, hessp: Any
) -> Derivatives:
    """Use the user's derivatives, and derive by JAX those that the method lacks.

    Raises
    ------
    ValueError
        If the method needs derivatives that there is no way to get.
    """
    derived = None
    uses_gradient = "gradient" in method.uses
    if uses_gradient and not function.has_gradient:
        derived = _derive_by_jax(function)
    has_gradient = uses_gradient and (function.has_gradient or derived is not None)
    if "gradient" in method.needs and not has_gradient:
        raise ValueError(
            f"minimize: method {method.label!r} needs a gradient. Pass jac, or write "
            "the cost in jax.numpy."
        )
    second = _second_derivatives(method, hess, hessp, function.args, derived)
    if "hess" in method.needs and not second:
        raise ValueError(
            f"minimize: method {method.label!r} needs second derivatives. Pass hess or "
            "hessp, or write the cost in jax.numpy and leave jac out."
        )
    own_gradient = has_gradient and derived is None
    return Derivatives(
        compute=function.cost_alone if derived is None else derived.both,
        compute_gradient=function.gradient if own_gradient else None,
        has_gradient=has_gradient,
        needs_differences=uses_gradient and not has_gradient,
        second=second,
    )


def _derive_by_jax(function: UserFunction) -> Any:
    """Return JAX's derivatives of the cost; None if JAX cannot trace it."""
    if is_difference_rule(function.jac):
        return None  # the user asked for differences
    tree = function.tree
    return engines.autodiff().derive(
        function.fun, tree.unpack, tree.size, function.args
    )


def _second_derivatives(
    method: Method, hess: Any, hessp: Any, args: tuple[Any, ...], derived: Any
) -> dict[str, Any]:
    """Return the second derivatives as SciPy's keyword."""
    if hessp is not None:
        return {"hessp": lambda x, p: np.ravel(hessp(x, p, *args))}
    if callable(hess):
        return {"hess": lambda x: hess(x, *args)}
    if hess is not None:
        return {"hess": hess}  # a rule of differences or a quasi-Newton strategy
    if derived is None or "hess" not in method.uses:
        return {}
    if "hessp" in method.uses:
        return {"hessp": derived.product}
    product = derived.product
    return {"hess": lambda x: np.array([product(x, row) for row in np.eye(len(x))])}
