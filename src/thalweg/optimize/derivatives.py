"""Where a method of SciPy gets its derivatives from.

The gradient is the user's, or JAX derives it from a cost written in jax.numpy, or SciPy
takes finite differences. Second derivatives are the user's, or JAX's.
"""

import sys
from typing import Any

import numpy as np

from thalweg import engines
from thalweg.core import Array
from thalweg.optimize.arguments import is_difference_rule
from thalweg.optimize.scipy_methods import Method
from thalweg.optimize.user_function import UserFunction


class DerivedFunctions:
    """The cost and the gradient that JAX derived, computed together.

    Parameters
    ----------
    derived : thalweg.engines.jax.autodiff.Derived
    """

    def __init__(self, derived: Any) -> None:
        self._both, self.product = derived.both, derived.product
        self._point, self._value = b"", (np.nan, np.empty(0))

    def cost(self, x: Array, *args: Any) -> float:
        """Compute the cost at the flat vector `x`."""
        return self._at(x)[0]

    def gradient(self, x: Array, *args: Any) -> Array:
        """Compute the gradient at the flat vector `x`."""
        return self._at(x)[1]

    def _at(self, x: Array) -> tuple[float, Array]:
        point = x.tobytes()
        if point != self._point:
            self._point, self._value = point, self._both(x)
        return self._value


def may_be_jax() -> bool:
    """Whether a cost may be written in jax.numpy, which is loaded then."""
    return "jax" in sys.modules


def is_of_jax(cost_type: type) -> bool:
    """Whether what a cost returned is an array of JAX's."""
    jax = sys.modules.get("jax")
    return jax is not None and issubclass(cost_type, jax.Array)


def derive(
    function: UserFunction, method: Method, jac: Any, in_jax: bool
) -> DerivedFunctions | None:
    """Derive by JAX where the user gives no gradient; None if that cannot be.

    A cost in plain operators, which JAX could trace as well, is left to SciPy's
    differences, unless the method cannot do without a gradient.

    Parameters
    ----------
    function : UserFunction
    method : Method
    jac : object
        As the user gave it.
    in_jax : bool
        Whether the cost is written in jax.numpy.
    """
    if function.has_gradient or is_difference_rule(jac):
        return None
    if not ("gradient" in method.needs or ("gradient" in method.uses and in_jax)):
        return None
    tree = function.tree
    derived = engines.autodiff().derive(
        function.fun, tree.unpack, tree.size, function.args
    )
    return None if derived is None else DerivedFunctions(derived)


def check_derivatives(
    method: Method, has_gradient: bool, hess: Any, hessp: Any, owner: str
) -> None:
    """Raise if the method lacks derivatives that it needs."""
    if "gradient" in method.needs and not has_gradient:
        raise ValueError(
            f"{owner}: method {method.label!r} needs a gradient. Pass jac, or write "
            "the cost in jax.numpy."
        )
    if "hess" in method.needs and hess is None and hessp is None:
        raise ValueError(
            f"{owner}: method {method.label!r} needs second derivatives. Pass hess or "
            "hessp, or write the cost in jax.numpy and leave jac out."
        )


def second_derivatives(method: Method, derived: DerivedFunctions) -> dict[str, Any]:
    """Return what JAX derived as SciPy's keyword, if the method uses it."""
    if "hessp" in method.uses:
        return {"hessp": lambda x, p, *args: derived.product(x, p)}
    if "hess" in method.uses:
        product = derived.product
        return {
            "hess": lambda x, *args: np.array([product(x, e) for e in np.eye(len(x))])
        }
    return {}
