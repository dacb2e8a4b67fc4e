"""`minimize`: SciPy's, for people who write their own cost, checked and recorded.

The call and the result are SciPy's. Around them: weights in whatever structure one
holds them, a look at cost and gradient before the first iteration, a history, a
progress line, a time budget, and the best point so far when interrupted.
"""

import importlib
import inspect
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import optimize

from thalweg.core import ALIASES, Array, History, PyTree, check_names, check_word, find
from thalweg.optimize.finite_differences import FiniteDifferences
from thalweg.optimize.gradient_check import LOG_OF_0, GradientCheck, examine
from thalweg.optimize.scipy_methods import (
    METHODS,
    LineSearches,
    MemoizedObjective,
    Method,
)
from thalweg.optimize.user_function import ONE_HOT, ShapeError, UserFunction


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: str | None = None,
    jac: Any = None,
    hess: Any = None,
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
    jac : callable, True, str or None
        Gradient, shaped like x or flat. None derives it (JAX), or else takes finite
        differences, with a warning; SciPy's ``"2-point"`` and so on take them without.
    hess, hessp : callable, optional
        Hessian ``(x, *args) -> (n, n)``, or its product ``(x, p, *args) -> (n,)``, on
        the flat vector. SciPy's strings and quasi-Newton strategies are taken as hess.
    bounds : sequence of (low, high) or scipy.optimize.Bounds, optional
        One pair for each entry of the flat vector.
    constraints : as in SciPy
        On the flat vector.
    tol : float, optional
        As in SciPy.
    callback : callable, optional
        ``callback(x)`` after each iteration, or with SciPy's keyword
        ``intermediate_result``, whatever the method; raising StopIteration or
        returning True ends.
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
        (`thalweg.core.history.History`), ``check``
        (`thalweg.optimize.gradient_check.GradientCheck` or None) and ``notes`` (what
        was put right in passing).

    Raises
    ------
    ValueError, TypeError
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
    chosen = _resolve(method, constraints)
    args = args if isinstance(args, tuple) else (args,)
    packing = PyTree(x0)
    _check_call(chosen, fun, jac, hess, hessp, constraints, options, check)
    _check_bounds(chosen, packing, bounds)
    start = packing.pack(x0)
    problem = _Problem(chosen, UserFunction(fun, jac, packing, args), hess, hessp)
    found = problem.look(start, check)
    descent = _Descent(problem, callback, max_time, progress, bool(constraints))
    result = descent.run(start, bounds, constraints, tol, dict(options or {}))
    result.x = packing.unpack(result.x)
    result.history = descent.history()
    result.check = found
    result.notes = list(problem.written.notes)
    return result


# ----------------------------------------------------------------- checks of the call


def _resolve(method: Any, constraints: Any) -> Method:
    if method is None:
        return METHODS["slsqp" if constraints else "lbfgs"]
    if not isinstance(method, str):
        raise TypeError(f"minimize got method={method!r}; it must be a name.")
    name = ALIASES.get(method.lower(), method.lower().removeprefix("fmin_"))
    return find("method", name, METHODS, owner="minimize")


def _check_call(
    method: Method, fun: Any, jac: Any, hess: Any, hessp: Any, constraints: Any,
    options: Any, check: str,
) -> None:  # fmt: skip
    if not callable(fun):
        raise TypeError(f"minimize got fun={fun!r}; it must be a function of x.")
    check_word("check", check, ("raise", "warn", "off"), owner="minimize")
    if not (jac is None or isinstance(jac, bool) or callable(jac) or _is_rule(jac)):
        raise ValueError(
            f"minimize got jac={jac!r}; it must be a function, True where fun returns "
            "(cost, gradient), None, or one of '2-point', '3-point', 'cs'."
        )
    _check_use(method, "hess", hess is not None)
    _check_use(method, "hessp", hessp is not None)
    _check_use(method, "constraints", bool(constraints))
    label = f"option of {method.label}"
    check_names(label, options or {}, method.options.split(), owner="minimize")


def _check_use(method: Method, name: str, given: bool) -> None:
    if given and name not in method.takes:
        able = [each.label for each in METHODS.values() if name in each.takes]
        raise ValueError(
            f"minimize got {name} with method {method.label!r}, which makes no use of "
            f"it. Leave it out, or take one of {', '.join(able)}."
        )


def _check_bounds(method: Method, packing: PyTree, bounds: Any) -> None:
    if bounds is None:
        return
    _check_use(method, "bounds", True)
    low, high = _ends(bounds)
    allowed = {packing.size, 1 if isinstance(bounds, optimize.Bounds) else packing.size}
    for ends in (low, high):
        if len(ends) not in allowed:
            raise ValueError(
                f"minimize got bounds of {len(ends)} pairs for {packing.size} weights. "
                "Give one pair (low, high) for each, in the order of the flat vector."
            )
    crossed = np.flatnonzero(low > high)
    if len(crossed):
        raise ValueError(
            f"minimize got bounds whose low end is above the high one at entry "
            f"{crossed[0]}. Each must be a pair (low, high)."
        )


def _ends(bounds: Any) -> tuple[Array, Array]:
    """Return the low and the high ends, NaN for none."""
    if isinstance(bounds, optimize.Bounds):
        return np.atleast_1d(bounds.lb), np.atleast_1d(bounds.ub)
    try:
        pairs = np.array([(low, high) for low, high in bounds], float).reshape(-1, 2)
    except (TypeError, ValueError):
        raise ValueError(
            f"minimize got bounds={bounds!r}; it must be a sequence of pairs "
            "(low, high), None for no end."
        ) from None
    return pairs[:, 0], pairs[:, 1]


def _is_rule(jac: Any) -> bool:
    return isinstance(jac, str) and jac in ("2-point", "3-point", "cs")


# ------------------------------------------------------------------------ the problem


class _Problem:
    """The user's functions on the flat vector, and what was derived from them."""

    def __init__(
        self, method: Method, written: UserFunction, hess: Any, hessp: Any
    ) -> None:
        self.method, self.written = method, written
        self.hess, self.hessp = hess, hessp
        self.given = written.jac is True or callable(written.jac)
        self.derived: Any = None

    def look(self, start: Array, mode: str) -> GradientCheck | None:
        """Look at the first cost, and at the gradient or how to come by one."""
        self._look_at_cost(start)
        if "gradient" in self.method.takes and not self.given:
            self._derive(start, mode)
        if "hess!" in self.method.uses and not self.curvature():
            raise ValueError(
                f"minimize: method {self.method.label!r} needs second derivatives. "
                "Pass hess or hessp, or write the cost in jax.numpy and leave jac out."
            )
        if mode == "off" or not (self.given and self.has_gradient):
            return None
        found = examine(self.written, start)
        if not found.ok:
            _object(found.message, mode)
        return found

    def _look_at_cost(self, start: Array) -> None:
        try:
            cost = self.written.cost(start)
        except ShapeError as error:
            raise ValueError(f"minimize: {error}") from None
        except Exception as error:
            raise ValueError(
                f"minimize: the cost raised {type(error).__name__} at x0: {error}. If "
                "shapes do not match, look for bias columns that were not dropped. "
                f"{ONE_HOT}"
            ) from error
        if not np.isfinite(cost):
            raise ValueError(f"minimize: the cost is {cost} at x0. {LOG_OF_0}")

    def _derive(self, start: Array, mode: str) -> None:
        """Derive a gradient, or see whether finite differences will do."""
        written, packing = self.written, self.written.packing
        if not _is_rule(written.jac):
            engine = importlib.import_module("thalweg.engines.jax.autodiff")
            self.derived = engine.derive(
                written.fun, packing.unpack, packing.size, written.args
            )
        if self.derived is not None:
            return
        if "gradient!" in self.method.uses:
            raise ValueError(
                f"minimize: method {self.method.label!r} needs a gradient. Pass jac, "
                "or write the cost in jax.numpy."
            )
        if mode != "off" and FiniteDifferences(written, start).single:
            _object(
                "the cost is computed in float32, in which finite differences vanish. "
                "Compute it in float64 (X.astype(float)), or pass jac.",
                mode,
            )
        if not _is_rule(written.jac):
            warnings.warn(
                "minimize got no gradient, and the cost is not written in jax.numpy: "
                f"finite differences take {packing.size} evaluations for each "
                "gradient. Pass jac, or write the cost in jax.numpy.",
                RuntimeWarning,
                stacklevel=4,
            )

    def look_at(self, x: Array) -> tuple[float, Array | None]:
        """Cost at the flat vector, and the gradient if that comes with it."""
        if self.derived is not None:
            return self.derived.both(x)
        return self.written.cost(x), None

    @property
    def has_gradient(self) -> bool:
        """Whether the method gets a gradient from us."""
        return "gradient" in self.method.takes and (
            self.given or self.derived is not None
        )

    def curvature(self) -> dict[str, Any]:
        """Second derivatives, as SciPy's keywords."""
        args = self.written.args
        if self.hessp is not None:
            product = self.hessp
            return {"hessp": lambda x, p: np.ravel(product(x, p, *args))}
        if callable(self.hess):
            whole = self.hess
            return {"hess": lambda x: whole(x, *args)}
        if self.hess is not None:
            return {"hess": self.hess}
        if self.derived is None or "hess" not in self.method.takes:
            return {}
        if "hessp" in self.method.takes:
            return {"hessp": self.derived.product}
        product = self.derived.product
        return {"hess": lambda x: np.array([product(x, row) for row in np.eye(len(x))])}


def _object(message: str, mode: str) -> None:
    if mode == "raise":
        raise ValueError(f"minimize: {message} (check='warn' goes on all the same.)")
    if mode == "warn":
        warnings.warn(f"minimize: {message}", RuntimeWarning, stacklevel=5)


# ------------------------------------------------------------------------ the descent


class _Ended(Exception):
    """Ends SciPy's loop from inside: not all of its methods take another way."""


class _Descent:
    """One minimization: counts, history, the best point so far."""

    def __init__(
        self,
        problem: _Problem,
        callback: Callable[..., Any] | None,
        max_time: float | None,
        progress: bool,
        constrained: bool,
    ) -> None:
        self.problem, self.callback, self.progress = problem, callback, progress
        self.max_time = np.inf if max_time is None else max_time
        self.constrained = constrained
        self.started = time.perf_counter()
        self.rows: list[dict[str, float]] = []
        self.trail: MemoizedObjective

    def run(
        self, start: Array, bounds: Any, constraints: Any, tol: float | None,
        options: dict[str, Any],
    ) -> optimize.OptimizeResult:  # fmt: skip
        """Minimize; interrupted or ended, give the best point met."""
        problem, searches = self.problem, LineSearches("")
        if problem.has_gradient:
            name = problem.method.label
            most = options.get("maxls", 20) if name == "L-BFGS-B" else np.inf
            searches = LineSearches(name, bounds is not None, most)
        separate = problem.given and problem.has_gradient
        slope = problem.written.gradient if separate else None
        trail = self.trail = MemoizedObjective(problem.look_at, slope, start, searches)
        trail.best.cost = problem.written.cost(start)
        try:
            result: Any = optimize.minimize(
                trail.value,
                start,
                method=self.problem.method.label,
                bounds=bounds,
                constraints=constraints,
                tol=tol,
                callback=self._note,
                options=options,
                **self._derivatives(),
            )
        except _Ended as ended:
            return self._best_so_far(str(ended))
        except KeyboardInterrupt:
            return self._best_so_far("Interrupted from the keyboard.")
        finally:
            if self.progress and self.rows:
                sys.stderr.write("\n")
        searches.end(result, trail.n_values)
        if self.rows:
            self.rows[-1]["line_search_failures"] = searches.failures
        if np.isfinite(result.fun):
            return result
        return self._best_so_far(f"The cost became {result.fun}. {LOG_OF_0}")

    def _derivatives(self) -> dict[str, Any]:
        rule = self.problem.written.jac
        if self.problem.has_gradient:
            return {"jac": self.trail.gradient, **self.problem.curvature()}
        return {"jac": rule if _is_rule(rule) else None, **self.problem.curvature()}

    def history(self) -> History:
        """Every iteration."""
        names = self.rows[0] if self.rows else ("loss",)
        columns = {name: [row[name] for row in self.rows] for name in names}
        return History.from_columns(columns)

    def _note(self, intermediate_result: Any) -> None:
        """Take note of an iteration; SciPy gives its record, or the bare vector."""
        x = np.array(getattr(intermediate_result, "x", intermediate_result), float)
        seconds = time.perf_counter() - self.started
        self.rows.append({**self.trail.note(x), "seconds": seconds})
        if self.progress:
            self._show(self.rows[-1])
        cost = self.rows[-1]["loss"]
        self._call_back(intermediate_result, x, cost)
        if seconds > self.max_time:
            raise _Ended(f"The time budget of {self.max_time:g} s was used up.")

    def _show(self, row: dict[str, float]) -> None:
        sys.stderr.write(
            f"\riteration {len(self.rows)}  cost {row['loss']:.6g}  gradient "
            f"{row['gradient_norm']:.3g}  evaluations {row['evaluations']:g}   "
        )
        sys.stderr.flush()

    def _call_back(self, given: Any, x: Array, cost: float) -> None:
        if self.callback is None:
            return
        parameters = inspect.signature(self.callback).parameters
        record = dict(given) if isinstance(given, optimize.OptimizeResult) else {}
        x = self.problem.written.packing.unpack(x)
        result = optimize.OptimizeResult(record | {"x": x, "fun": cost})
        try:
            if "intermediate_result" in parameters:
                answer = self.callback(intermediate_result=result)
            elif self.problem.method.label == "trust-constr" and len(parameters) == 2:
                answer = self.callback(x, result)
            else:
                answer = self.callback(x)
        except StopIteration:
            answer = True
        if answer is True:
            raise _Ended("The callback asked to stop.")

    def _best_so_far(self, message: str) -> optimize.OptimizeResult:
        trail = self.trail
        # Of points that may break constraints, the cheapest is not the best.
        best = trail.meet(trail.previous) if self.constrained else trail.best
        return optimize.OptimizeResult(
            x=best.x, fun=best.cost, success=False, status=99, message=message,
            nit=len(self.rows), nfev=trail.n_values, njev=trail.n_gradients,
        )  # fmt: skip
