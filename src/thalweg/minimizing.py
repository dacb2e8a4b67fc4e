"""`minimize`: SciPy's, for people who write their own cost, checked and recorded.

The call and the result are SciPy's. Around them: weights in whatever structure one
holds them, a look at cost and gradient before the first iteration, a history, a
progress line, a time budget, and the best point so far when interrupted.
"""

import importlib
import inspect
import re
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import optimize

from thalweg.gradients import Misshapen, Written, examine
from thalweg.lookup import check_names, find
from thalweg.packing import Packing
from thalweg.plan import ALIASES
from thalweg.records import Array, GradientCheck, History

_METHODS = {
    "cg": "CG",
    "bfgs": "BFGS",
    "lbfgs": "L-BFGS-B",
    "tnc": "TNC",
    "newton-cg": "Newton-CG",
    "trust-ncg": "trust-ncg",
    "trust-krylov": "trust-krylov",
    "trust-exact": "trust-exact",
    "trust-constr": "trust-constr",
    "dogleg": "dogleg",
    "slsqp": "SLSQP",
    "powell": "Powell",
    "nelder-mead": "Nelder-Mead",
    "cobyla": "COBYLA",
    "cobyqa": "COBYQA",
}
_WITHOUT_GRADIENT = ("powell", "nelder-mead", "cobyla", "cobyqa")
_BY_PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr")
_BY_HESSIAN = ("dogleg", "trust-exact", *_BY_PRODUCTS)
_BOUNDED = (
    "lbfgs", "tnc", "slsqp", "powell", "nelder-mead", "trust-constr", "cobyla",
    "cobyqa",
)  # fmt: skip
_CONSTRAINED = ("slsqp", "trust-constr", "cobyla", "cobyqa")


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: str | None = None,
    jac: Any = None,
    hess: Callable[..., Any] | None = None,
    hessp: Callable[..., Any] | None = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    check: str = "raise",
    max_time: float | None = None,
    progress: bool = False,
) -> optimize.OptimizeResult:
    """Minimize a function; as `scipy.optimize.minimize`, with eyes open.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> cost``, or ``-> (cost, gradient)`` with ``jac=True``. x has
        the structure and shape of `x0`. A function written in jax.numpy needs no
        gradient: that and its Hessian products are derived.
    x0 : array-like, or nested lists, tuples and dicts of arrays
        Where to begin.
    args : tuple
        Further arguments of fun, jac, hess and hessp.
    method : str, optional
        SciPy's name in any spelling (``"CG"``, ``"l-bfgs-b"``, ``"fmin_tnc"``); by
        default ``"L-BFGS-B"``, or ``"SLSQP"`` with constraints.
    jac : callable, True or None
        Gradient, shaped like x or flat. None derives it (JAX), or else takes finite
        differences, with a warning.
    hess, hessp : callable, optional
        Hessian ``(x, *args) -> (n, n)``, or its product ``(x, p, *args) -> (n,)``, on
        the flat vector.
    bounds : sequence of (low, high) or scipy.optimize.Bounds, optional
        One pair for each entry of the flat vector.
    constraints : as in SciPy
    tol : float, optional
        As in SciPy.
    callback : callable, optional
        ``callback(x)`` after each iteration, or with SciPy's keyword
        ``intermediate_result``; raising StopIteration ends.
    options : dict, optional
        SciPy's options of the method.
    check : {"raise", "warn", "off"}
        What a disagreement of cost and gradient does (see `check_gradient`).
    max_time : float, optional
        Seconds after which no iteration is begun.
    progress : bool
        Whether a line on stderr follows the iterations.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's, with x in the structure of x0, and ``history``
        (`thalweg.records.History`), ``check`` (`thalweg.records.GradientCheck` or
        None) and ``notes`` (what was put right in passing).

    Raises
    ------
    ValueError
        Before the first iteration, for a bad start, cost, gradient, method, option,
        bounds, or a gradient that is not the cost's.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> def cost(w, X, y):
    ...     error = X @ w["slope"] + w["offset"] - y
    ...     return error @ error / 2, {"slope": X.T @ error, "offset": error.sum()}
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])
    >>> start = {"slope": np.zeros(1), "offset": np.zeros(())}
    >>> res = tw.minimize(cost, start, (X, y), method="CG", jac=True)
    >>> np.round(res.x["slope"], 4), np.round(res.x["offset"], 4)
    (array([2.]), np.float64(1.0))
    """
    name = _resolve(method, constraints)
    args = args if isinstance(args, tuple) else (args,)
    packing = Packing(x0)
    _check_call(name, packing, hess, hessp, bounds, constraints, options, check)
    start = packing.pack(x0)
    problem = _Problem(fun, jac, hess, hessp, packing, args, name, start)
    found = problem.check(start, check)
    descent = _Descent(problem, callback, max_time, progress)
    result = descent.run(start, name, bounds, constraints, tol, dict(options or {}))
    result.x = packing.unpack(result.x)
    result.history = descent.history()
    result.check = found
    result.notes = list(problem.written.notes)
    return result


def _resolve(method: str | None, constraints: Any) -> str:
    if method is None:
        return "slsqp" if constraints else "lbfgs"
    if not isinstance(method, str):
        raise TypeError(f"minimize got method={method!r}; it must be a name.")
    name = ALIASES.get(method.lower(), method.lower())
    find("method", name, _METHODS, owner="minimize")
    return name


def _check_call(
    name: str, packing: Packing, hess: Any, hessp: Any, bounds: Any, constraints: Any,
    options: Mapping[str, Any] | None, check: str,
) -> None:  # fmt: skip
    method = _METHODS[name]
    if check not in ("raise", "warn", "off"):
        raise ValueError(
            f"minimize got check={check!r}; it must be 'raise', 'warn' or 'off'."
        )
    given = [n for n, v in (("hess", hess), ("hessp", hessp)) if v is not None]
    takes = {"hess": _BY_HESSIAN, "hessp": _BY_PRODUCTS}
    for second in given:
        if name not in takes[second]:
            able = ", ".join(_METHODS[n] for n in takes[second])
            raise ValueError(
                f"minimize got {second} with method {method!r}, which makes no use of "
                f"it. Leave it out, or take one of {able}."
            )
    if bounds is not None:
        _check_bounds(name, packing, bounds)
    if constraints and name not in _CONSTRAINED:
        able = ", ".join(_METHODS[n] for n in _CONSTRAINED)
        raise ValueError(
            f"minimize got constraints with method {method!r}, which knows none. Take "
            f"one of {able}."
        )
    check_names(
        f"option of {method}", options or {}, _option_names(name), owner="minimize"
    )


def _check_bounds(name: str, packing: Packing, bounds: Any) -> None:
    if name not in _BOUNDED:
        able = ", ".join(_METHODS[n] for n in _BOUNDED)
        raise ValueError(
            f"minimize got bounds with method {_METHODS[name]!r}, which knows none. "
            f"Take one of {able}."
        )
    if not isinstance(bounds, optimize.Bounds) and len(bounds) != packing.size:
        raise ValueError(
            f"minimize got bounds of {len(bounds)} pairs for {packing.size} weights. "
            "Give one pair (low, high) for each, in the order of the flat vector."
        )


def _option_names(name: str) -> list[str]:
    """Read the names of a method's options off SciPy's own documentation."""
    text = optimize.show_options("minimize", _METHODS[name], disp=False) or ""
    names = re.findall(r"^ *(\w+(?:, \w+)*) ?: ", text, flags=re.MULTILINE)
    options = [part for line in names for part in line.split(", ")]
    own = {"fun", "x0", "args", "jac", "hess", "hessp", "bounds", "constraints"}
    return sorted({*options, "disp", "maxiter", "return_all"} - own)


class _Problem:
    """The user's functions, on the flat vector."""

    def __init__(
        self, fun: Callable[..., Any], jac: Any, hess: Any, hessp: Any,
        packing: Packing, args: tuple[Any, ...], name: str, start: Array,
    ) -> None:  # fmt: skip
        self.packing, self.args, self.name = packing, args, name
        self.written = Written(fun, jac, packing, args)
        self.hess, self.hessp = hess, hessp
        self.derived: Any = None
        if jac is not None and jac is not True and not callable(jac):
            raise ValueError(
                f"minimize got jac={jac!r}; it must be a function, True where fun "
                "returns (cost, gradient), or None."
            )
        self.given = jac is not None
        if self.given or name in _WITHOUT_GRADIENT:
            return
        engine = importlib.import_module("thalweg.engines.xla.functions")
        self.derived = engine.derive(fun, packing.unpack, packing.size, args)
        if self.derived is None:
            warnings.warn(
                "minimize got no gradient, and the cost is not written in jax.numpy: "
                f"finite differences take {packing.size} evaluations for each "
                "gradient. Pass jac, or write the cost in jax.numpy.",
                RuntimeWarning,
                stacklevel=4,
            )

    def check(self, start: Array, mode: str) -> GradientCheck | None:
        """Look at the first cost and, if one is given, at the gradient."""
        try:
            cost = self.written.cost(start)
        except Misshapen as error:
            raise ValueError(f"minimize: {error}") from None
        except Exception as error:
            raise ValueError(
                f"minimize: the cost raised {type(error).__name__} at x0: {error}. If "
                "shapes do not match, look for labels that should be one-hot rows, "
                "and for bias columns that were not dropped."
            ) from error
        if not np.isfinite(cost):
            raise ValueError(
                f"minimize: the cost is {cost} at x0. A logarithm of 0 is the usual "
                "reason: saturated units give probabilities of exactly 0 or 1. Scale "
                "the inputs, begin with smaller weights, or compute the loss from the "
                "pre-activations."
            )
        if not self.given or mode == "off":
            return None
        found = examine(self.written, start)
        if not found.ok and mode == "raise":
            raise ValueError(
                f"minimize: {found.message} (check='warn' goes on all the same.)"
            )
        if not found.ok:
            warnings.warn(f"minimize: {found.message}", RuntimeWarning, stacklevel=4)
        return found

    def value(self, x: Array) -> float:
        """Cost at the flat vector."""
        return self.written.cost(x)

    def both(self, x: Array) -> tuple[float, Array]:
        """Cost and gradient at the flat vector."""
        if self.derived is not None:
            return self.derived.both(x)
        return self.written.cost(x), self.written.gradient(x)

    @property
    def has_gradient(self) -> bool:
        """Whether a gradient is given or derived."""
        return self.given or self.derived is not None

    def curvature(self) -> dict[str, Any]:
        """Second derivatives, as SciPy's keywords."""
        if self.hessp is not None:
            return {"hessp": lambda x, p: self.hessp(x, p, *self.args)}
        if self.hess is not None:
            return {"hess": lambda x: self.hess(x, *self.args)}
        if self.derived is None or self.name not in _BY_HESSIAN:
            return {}
        if self.name in _BY_PRODUCTS:
            return {"hessp": self.derived.product}
        return {"hess": self._whole}

    def _whole(self, x: Array) -> Array:
        return np.array([self.derived.product(x, row) for row in np.eye(len(x))])


class _Ended(Exception):
    """Ends SciPy's loop from inside."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class _Descent:
    """One minimization: counts, history, the best point so far."""

    def __init__(
        self,
        problem: _Problem,
        callback: Callable[..., Any] | None,
        max_time: float | None,
        progress: bool,
    ) -> None:
        self.problem, self.callback = problem, callback
        self.max_time, self.progress = max_time or np.inf, progress
        self.started = time.perf_counter()
        self.n_values = self.n_gradients = 0
        self.met: list[tuple[Array, float, Array | None]] = []
        self.best: tuple[float, Array] = (np.inf, np.empty(0))
        self.rows: list[dict[str, float]] = []
        self.previous = np.empty(0)

    def run(
        self, start: Array, name: str, bounds: Any, constraints: Any,
        tol: float | None, options: dict[str, Any],
    ) -> optimize.OptimizeResult:  # fmt: skip
        """Minimize; interrupted or ended, give the best point met."""
        problem = self.problem
        self.previous = start
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", optimize.OptimizeWarning)
                result: Any = optimize.minimize(
                    self.both if problem.has_gradient else self.value,
                    start,
                    method=_METHODS[name],
                    jac=True if problem.has_gradient else None,
                    bounds=bounds,
                    constraints=constraints,
                    tol=tol,
                    callback=self._note,
                    options=options,
                    **problem.curvature(),
                )
            return result
        except _Ended as ended:
            return self._best_so_far(ended.message)
        except KeyboardInterrupt:
            return self._best_so_far("Interrupted from the keyboard.")
        finally:
            if self.progress and self.rows:
                sys.stderr.write("\n")

    def value(self, x: Array) -> float:
        """Cost, counted and remembered."""
        cost = self.problem.value(x)
        self._remember(x, cost, None)
        return cost

    def both(self, x: Array) -> tuple[float, Array]:
        """Cost and gradient, counted and remembered."""
        cost, gradient = self.problem.both(x)
        self.n_gradients += 1
        self._remember(x, cost, gradient)
        return cost, gradient

    def history(self) -> History:
        """Every iteration."""
        names = ("loss", "gradient_norm", "update_ratio", "seconds", "evaluations",
                 "gradient_evaluations")  # fmt: skip
        columns = {name: [row[name] for row in self.rows] for name in names}
        return History.from_columns(columns)

    def _remember(self, x: Array, cost: float, gradient: Array | None) -> None:
        self.n_values += 1
        self.met = [*self.met[-2:], (np.array(x), cost, gradient)]
        if cost < self.best[0]:
            self.best = (cost, np.array(x))

    def _note(self, intermediate_result: Any) -> None:
        x = np.array(getattr(intermediate_result, "x", intermediate_result), float)
        cost, gradient = self._known(x)
        moved = np.linalg.norm(x - self.previous)
        size = float(np.linalg.norm(self.previous)) or 1.0
        self.previous = x
        norm = np.nan if gradient is None else float(np.linalg.norm(gradient))
        seconds = time.perf_counter() - self.started
        self.rows.append({
            "loss": cost, "gradient_norm": norm, "update_ratio": float(moved) / size,
            "seconds": seconds, "evaluations": self.n_values,
            "gradient_evaluations": self.n_gradients,
        })  # fmt: skip
        if self.progress:
            self._show(cost, norm)
        self._call_back(intermediate_result, x)
        if seconds > self.max_time:
            raise _Ended(f"The time budget of {self.max_time:g} s was used up.")

    def _show(self, cost: float, norm: float) -> None:
        sys.stderr.write(
            f"\riteration {len(self.rows)}  cost {cost:.6g}  gradient {norm:.3g}  "
            f"evaluations {self.n_values}   "
        )
        sys.stderr.flush()

    def _known(self, x: Array) -> tuple[float, Array | None]:
        for met, cost, gradient in reversed(self.met):
            if np.array_equal(met, x):
                return cost, gradient
        if self.problem.has_gradient:
            return self.problem.both(x)
        return self.problem.value(x), None

    def _call_back(self, intermediate_result: Any, x: Array) -> None:
        if self.callback is None:
            return
        try:
            if "intermediate_result" in inspect.signature(self.callback).parameters:
                self.callback(intermediate_result=intermediate_result)
            else:
                self.callback(self.problem.packing.unpack(x))
        except StopIteration:
            raise _Ended("The callback asked to stop.") from None

    def _best_so_far(self, message: str) -> optimize.OptimizeResult:
        cost, x = self.best
        return optimize.OptimizeResult(
            x=x, fun=cost, success=False, status=99, message=message,
            nit=len(self.rows), nfev=self.n_values, njev=self.n_gradients,
        )  # fmt: skip
