"""One minimization: the user's function checked, and made ready for SciPy.

`minimize` and the `fmin` family share it. It reads the start, checks cost and gradient
where they may be evaluated, derives what JAX can derive, and gives SciPy functions that
are recorded. What the check computed at the first point is not computed again.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.core import Array, PyTree, check_word
from thalweg.optimize.arguments import is_difference_rule
from thalweg.optimize.derivatives import (
    DerivedFunctions,
    check_derivatives,
    derive,
    is_of_jax,
    may_be_jax,
    second_derivatives,
)
from thalweg.optimize.evaluation_cost import describe_slowness
from thalweg.optimize.feasible_region import FeasibleRegion, read_bounds
from thalweg.optimize.finite_differences import FiniteDifferences
from thalweg.optimize.gradient_check import (
    LOG_OF_0_HINT,
    GradientCheck,
    examine_gradient,
)
from thalweg.optimize.iteration_recorder import IterationRecorder
from thalweg.optimize.line_searches import LineSearches
from thalweg.optimize.recorded_functions import (
    EvaluationLog,
    RecordedCost,
    RecordedGradient,
    RecordedPair,
    RecordedProduct,
)
from thalweg.optimize.scipy_methods import Method
from thalweg.optimize.user_function import ONE_HOT_HINT, ShapeError, UserFunction

SINGLE_EPSILON = 1e-3
"""Newton-CG's step where it differences a gradient computed in float32."""
_CLIPPING = ("L-BFGS-B", "SLSQP", "Nelder-Mead", "Powell", "COBYLA", "COBYQA")
"""Methods that move x0 into the bounds before they evaluate anything."""
_SHORTENING = ("L-BFGS-B", "SLSQP", "TNC")
"""Methods whose fixed variables SciPy takes out, which breaks callbacks of its newer
style (findings/scipy_fixed_variables_break_callbacks.sh)."""


class Minimization:
    """A user's function and start, ready for one of SciPy's methods.

    Parameters
    ----------
    method : Method
    fun, jac : callable, and as in `minimize`
    x0 : as in `minimize`
    tree, start : PyTree, ndarray of shape (n,)
        The structure of x0, and x0 as a vector.
    args : tuple
    bounds, constraints : as in SciPy
    hess, hessp : as in `minimize`
    check : {"raise", "warn", "off"}
    owner : str
        Who is called, for messages.

    Attributes
    ----------
    function : UserFunction
        The functions that are minimized: the user's, or what JAX derived.
    start : ndarray of shape (n,)
    log : EvaluationLog
    gradient_check : GradientCheck or None
    has_single_gradient : bool
        Whether Newton-CG will difference a gradient computed in float32.
    second : dict
        SciPy's keywords ``hess`` and ``hessp``, as far as they are given or derived.
    """

    def __init__(
        self,
        method: Method,
        fun: Callable[..., Any],
        tree: PyTree,
        start: Array,
        args: tuple[Any, ...],
        jac: Any = None,
        *,
        bounds: Any = None,
        constraints: Any = (),
        hess: Any = None,
        hessp: Any = None,
        check: str = "raise",
        owner: str = "minimize",
    ) -> None:
        check_word("check", check, ("raise", "warn", "off"), owner=owner)
        self.method, self.tree, self.start = method, tree, start
        self.check, self.owner, self.jac = check, owner, jac
        self.is_bounded = bounds is not None
        own = jac if jac is True or callable(jac) else None
        self.user = self.function = UserFunction(fun, own, tree, args)
        self.log = EvaluationLog()
        ends = read_bounds(bounds, tree.size) or (None, None)
        self.region = FeasibleRegion(*ends, constraints)
        self.gradient_check: GradientCheck | None = None
        self.has_single_gradient = False
        self._prepare(hess, hessp)

    # ------------------------------------------------------------ before SciPy

    def _prepare(self, hess: Any, hessp: Any) -> None:
        """Check the functions, and derive by JAX what there is to derive."""
        function, method = self.function, self.method
        uses_gradient = "gradient" in method.uses
        first = self._first_point()
        checked = self.check != "off" and first in self.region
        # Without a gradient it must be known whether JAX can derive it.
        derivable = uses_gradient and not function.has_gradient and may_be_jax()
        in_jax = False
        if checked or derivable:
            in_jax = self._evaluate_first(first, checked)
        # A cost in plain operators can be traced too; SciPy alone would difference it.
        derived = derive(function, method, self.jac, in_jax or self.check != "off")
        if derived is not None:
            self._use_derived(derived)
        has_gradient = self.function.has_gradient
        self.second: dict[str, Any] = {}
        if hess is not None:
            self.second["hess"] = hess
        if hessp is not None:
            self.second["hessp"] = RecordedProduct(hessp)
        if derived is not None and not self.second:
            self.second = second_derivatives(method, derived)
        check_derivatives(
            method, has_gradient, self.second.get("hess"), self.second.get("hessp"),
            self.owner,
        )  # fmt: skip
        if checked and uses_gradient and derived is None:
            if has_gradient:
                self._check_gradient(first)
            else:
                self._check_differences(first)
        if method.label == "Newton-CG" and not self.second:
            self._look_for_single_gradient(first)

    def _look_for_single_gradient(self, first: Array) -> None:
        """Tell whether Newton-CG will difference a float32 gradient.

        SciPy's step vanishes in float32: the method would end where it began.
        """
        gradient, point = self.function.gradient(first), first.tobytes()
        if self.returns_pair:
            self.log.known_costs[point] = self.function.cost(first), gradient
        else:
            self.log.known_gradients[point] = gradient
        self.has_single_gradient = self.function.gradient_is_single
        if self.has_single_gradient:
            self.user.notes.append(
                "The gradient is computed in float32. Newton-CG differences it with a "
                f"step of {SINGLE_EPSILON}. Compute it in float64: X.astype(float)."
            )

    def _first_point(self) -> Array:
        """Return the first point that SciPy will evaluate."""
        clips = self.method.label in _CLIPPING
        return self.region.clip(self.start) if clips else self.start

    def _evaluate_first(self, first: Array, checked: bool) -> bool:
        """Compute the first cost, for the check and for SciPy; tell if it is JAX's."""
        function, point = self.function, first.tobytes()
        if not checked:
            value = function.fun(self.tree.unpack(first), *function.args)
            self.log.known_costs[point] = function.check_cost(value)
            return is_of_jax(type(value))
        try:
            cost = function.cost(first)
            if function.jac is True:
                known: Any = cost, function.gradient(first)
            else:
                known = cost
        except ShapeError as error:
            raise ValueError(f"{self.owner}: {error}") from None
        except Warning:
            raise  # the user's filter makes it an error, wherever it comes from
        except Exception as error:
            raise ValueError(
                f"{self.owner}: the cost raised {type(error).__name__} at x0: {error}. "
                "If shapes do not match, look for bias columns that were not dropped. "
                f"{ONE_HOT_HINT}"
            ) from error
        if not np.isfinite(cost):
            self._raise_or_warn(f"the cost is {cost} at x0. {LOG_OF_0_HINT}")
        self.log.known_costs[point] = known
        return is_of_jax(function.cost_type)

    def _use_derived(self, derived: DerivedFunctions) -> None:
        """Minimize what JAX derived; the cost so far may be of another precision."""
        self.log.known_costs.clear()
        self.user.notes.clear()
        tree = PyTree(self.start, check_finite=False)
        self.function = UserFunction(derived.cost, derived.gradient, tree)

    def _check_gradient(self, first: Array) -> None:
        function = self.function
        self.gradient_check = examine_gradient(function, first, self.region, brief=True)
        if callable(function.jac) and function.first_gradient is not None:
            point, gradient = function.first_gradient
            self.log.known_gradients[point] = gradient
        if not self.gradient_check.ok and self.gradient_check.cause != "inconclusive":
            self._raise_or_warn(self.gradient_check.message)
        elif not self.gradient_check.ok:
            self.user.notes.append(self.gradient_check.message)

    def _check_differences(self, first: Array) -> None:
        """Check a cost that SciPy will difference."""
        if FiniteDifferences(self.function, first, self.region).is_single:
            self._raise_or_warn(_VANISHING_DIFFERENCES)
        if self.jac == "cs":
            self._check_complex(first)
        if not is_difference_rule(self.jac):
            warnings.warn(
                f"{self.owner} got no gradient, and the cost is not written in "
                f"jax.numpy: finite differences take {self.tree.size} evaluations for "
                "each gradient. Pass jac, or write the cost in jax.numpy.",
                RuntimeWarning,
                stacklevel=5,
            )

    def _check_complex(self, first: Array) -> None:
        """Raise if the cost cannot be differentiated by complex steps."""
        beside = first.astype(complex)
        beside[0] += 1e-20j
        try:
            with warnings.catch_warnings():
                # NumPy only warns where an imaginary part is dropped.
                warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
                self.function.complex_cost(beside)
        except ShapeError as error:
            raise ValueError(f"{self.owner}: {error}") from None
        except Exception as error:
            raise ValueError(
                f"{self.owner}: the cost raised {type(error).__name__} at a complex x, "
                f"which jac='cs' needs: {error}. Use jac='2-point' or '3-point'."
            ) from error

    def _raise_or_warn(self, message: str) -> None:
        raise_or_warn(self.owner, message, self.check, stacklevel=7)

    # ----------------------------------------------------------- handed to SciPy

    def evaluate_start(self) -> None:
        """Compute cost and gradient at the start, as SciPy would."""
        self.scipy_cost()(self.start, *self.user.args)
        if not self.returns_pair and callable(self.scipy_gradient()):
            self.scipy_gradient()(self.start, *self.user.args)

    @property
    def returns_pair(self) -> bool:
        """Whether the cost comes with its gradient from one function."""
        return self.function.jac is True

    def scipy_cost(self) -> RecordedCost | RecordedPair:
        """Return the cost as SciPy calls it, or cost and gradient."""
        copies = self.method.label == "COBYQA"
        if self.returns_pair:
            return RecordedPair(self.function, self.log, copies)
        return RecordedCost(self.function, self.log, copies)

    def scipy_gradient(self) -> Any:
        """Return what SciPy gets as `jac`."""
        if callable(self.function.jac):
            return RecordedGradient(self.function, self.log)
        return self.jac

    def recorder(
        self,
        callback: Callable[..., Any] | None,
        max_searches: float = np.inf,
        **limits: Any,
    ) -> IterationRecorder:
        """Return the recorder of the iterations.

        Parameters
        ----------
        callback : callable or None
            The user's.
        max_searches : float
            Most points that one line search may try.
        **limits
            Of `IterationRecorder`.
        """
        # Differences hide how often a search evaluates the cost.
        label = self.method.label if self.function.has_gradient else ""
        searches = LineSearches(label, self.is_bounded, max_searches)
        fixed = None
        if self.region.is_bounded and self.region.fixed.any():
            fixed = self.region.fixed, np.array(self.region.low)
        return IterationRecorder(
            self.log, self.start, self.tree, callback, self.method.label, searches,
            fixed=fixed, **limits,
        )  # fmt: skip

    def scipy_callback(self, recorder: IterationRecorder) -> Callable[..., Any]:
        """Return the recorder's callback in the style that the method needs."""
        label = self.method.label
        shortened = label in _SHORTENING and recorder.fixed is not None
        if label == "TNC" or shortened:
            return recorder.for_points()
        return recorder.for_records()

    def notes(self) -> list[str]:
        """Return what was repaired, and whether the functions are slow."""
        return [
            *self.user.notes,
            *(note for note in self.function.notes if note not in self.user.notes),
            *describe_slowness(self.log, self.user),
        ]


def raise_or_warn(owner: str, message: str, check: str, stacklevel: int) -> None:
    """Do as `check` says with a fault that was found."""
    if check == "raise":
        raise ValueError(
            f"{owner}: {message} (check='warn' minimizes in spite of this.)"
        )
    warnings.warn(f"{owner}: {message}", RuntimeWarning, stacklevel=stacklevel)


_VANISHING_DIFFERENCES = (
    "the cost is computed in float32, in which finite differences vanish. Compute it "
    "in float64 (X.astype(float)), or pass jac."
)
