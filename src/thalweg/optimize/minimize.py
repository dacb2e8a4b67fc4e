"""`minimize`: SciPy's, for people who write their own cost, checked and recorded.

The call and the result are SciPy's. Around them: weights in whatever structure the user
holds them, a check of cost and gradient before the first iteration, a history, a
progress line, a time limit, and the best point so far when it is interrupted.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import optimize

from thalweg.core import Array, PyTree
from thalweg.optimize.argument_types import check_types
from thalweg.optimize.arguments import (
    check_bounds,
    check_functions,
    check_options,
    find_method,
    is_difference_rule,
)
from thalweg.optimize.derivatives import Derivatives, find_derivatives
from thalweg.optimize.finite_differences import FiniteDifferences
from thalweg.optimize.gradient_check import LOG_OF_0_HINT, examine_gradient
from thalweg.optimize.iteration_recorder import IterationRecorder, MinimizationStopped
from thalweg.optimize.line_searches import LineSearches
from thalweg.optimize.memoized_objective import MemoizedObjective
from thalweg.optimize.scipy_methods import Method
from thalweg.optimize.user_function import ONE_HOT_HINT, ShapeError, UserFunction


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
    """Minimize a function as `scipy.optimize.minimize` does, with a check of it first.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> cost``, or ``-> (cost, gradient)`` with ``jac=True``. x has
        the structure and shape of `x0`. A function written in jax.numpy needs no
        gradient: JAX derives it, and products with the Hessian as well.
    x0 : array-like, or nested lists, tuples and dicts of arrays
        The point to begin at.
    args : tuple
        Further arguments of fun, jac, hess and hessp.
    method : str, optional
        SciPy's name in any spelling (``"CG"``, ``"l-bfgs-b"``, ``"fmin_tnc"``); by
        default ``"L-BFGS-B"``, or ``"SLSQP"`` with constraints.
    jac : callable, True, str or None
        Gradient, shaped like x or flat. With None, JAX derives it; if it cannot, SciPy
        takes finite differences, with a warning. SciPy's ``"2-point"``, ``"3-point"``
        and ``"cs"`` ask for finite differences, without a warning.
    hess, hessp : callable, optional
        Hessian ``(x, *args) -> (n, n)``, or its product ``(x, p, *args) -> (n,)``, on
        the flat vector. `hess` may also be one of SciPy's strings or quasi-Newton
        strategies.
    bounds : sequence of (low, high) or scipy.optimize.Bounds, optional
        One pair for each entry of the flat vector.
    constraints : as in SciPy
        On the flat vector.
    tol : float, optional
        As in SciPy.
    callback : callable, optional
        ``callback(x)`` after each iteration, or with SciPy's keyword
        ``intermediate_result``, whatever the method. Raise StopIteration or return
        True to stop.
    options : dict, optional
        SciPy's options of the method.
    check : {"raise", "warn", "off"}
        What to do if cost and gradient disagree (see `check_gradient`).
    max_time : float, optional
        Seconds after which no further iteration begins.
    progress : bool
        Whether a line on stderr follows the iterations.

    Returns
    -------
    scipy.optimize.OptimizeResult
        SciPy's, with x in the structure of x0, and with ``history``
        (`thalweg.core.history.History`), ``check``
        (`thalweg.optimize.GradientCheck`, or None without a check) and ``notes`` (a
        list of what was repaired).

    Raises
    ------
    ValueError, TypeError
        Before the first iteration, for a bad start, cost, gradient, method, option or
        bounds, or a gradient that does not belong to the cost.

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
    check_types(tol, options, constraints, max_time, progress)
    # Prepare the user's function.
    scipy_method = find_method(method, constraints)
    args = args if isinstance(args, tuple) else (args,)
    tree = PyTree(x0)
    check_functions(scipy_method, fun, jac, hess, hessp, callback)
    check_options(scipy_method, constraints, options, check)
    check_bounds(scipy_method, tree, bounds)
    function, start = UserFunction(fun, jac, tree, args), tree.pack(x0)
    start_cost = _compute_start_cost(function, start)

    # Check its gradient, or find out how to get one.
    derivatives = find_derivatives(function, scipy_method, hess, hessp)
    gradient_check = None
    if derivatives.compute_gradient is not None and check != "off":
        gradient_check = examine_gradient(function, start)
        if not gradient_check.ok:
            _raise_or_warn(gradient_check.message, check)
    if derivatives.needs_differences:
        if check != "off" and FiniteDifferences(function, start).is_single:
            _raise_or_warn(_VANISHING_DIFFERENCES, check)
        if jac == "cs":
            _check_complex(function, start)
        if not is_difference_rule(jac):
            _warn_of_differences(tree.size)

    # Call SciPy.
    options = dict(options or {})
    searches = _line_searches(scipy_method, derivatives, bounds, options)
    objective = MemoizedObjective(
        derivatives.compute, derivatives.compute_gradient, start, searches, start_cost
    )
    recorder = IterationRecorder(
        objective, tree, callback, scipy_method.label, max_time, progress
    )
    rule = jac if is_difference_rule(jac) else None
    result = _call_scipy(
        recorder,
        fun=_real_or_complex(objective, function) if jac == "cs" else objective.value,
        x0=start,
        method=scipy_method.label,
        jac=objective.gradient if derivatives.has_gradient else rule,
        bounds=bounds,
        constraints=constraints,
        tol=tol,
        callback=recorder.record_iteration,
        options=options,
        **derivatives.second,
    )

    # Put the result together.
    result.x = tree.unpack(result.x)
    result.history = recorder.history()
    result.check = gradient_check
    result.notes = list(function.notes)
    return result


# ----------------------------------------------------------- checks of the function


def _compute_start_cost(function: UserFunction, start: Array) -> float:
    try:
        cost = function.cost(start)
    except ShapeError as error:
        raise ValueError(f"minimize: {error}") from None
    except Exception as error:
        raise ValueError(
            f"minimize: the cost raised {type(error).__name__} at x0: {error}. If "
            "shapes do not match, look for bias columns that were not dropped. "
            f"{ONE_HOT_HINT}"
        ) from error
    if not np.isfinite(cost):
        raise ValueError(f"minimize: the cost is {cost} at x0. {LOG_OF_0_HINT}")
    return cost


def _check_complex(function: UserFunction, start: Array) -> None:
    """Raise if the cost cannot be differentiated by complex steps."""
    beside = start.astype(complex)
    beside[0] += 1e-20j
    try:
        with warnings.catch_warnings():
            # NumPy only warns where an imaginary part is dropped.
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            function.complex_cost(beside)
    except ShapeError as error:
        raise ValueError(f"minimize: {error}") from None
    except Exception as error:
        raise ValueError(
            f"minimize: the cost raised {type(error).__name__} at a complex x, which "
            f"jac='cs' needs: {error}. Use jac='2-point' or '3-point'."
        ) from error


_VANISHING_DIFFERENCES = (
    "the cost is computed in float32, in which finite differences vanish. Compute it "
    "in float64 (X.astype(float)), or pass jac."
)


def _warn_of_differences(n_weights: int) -> None:
    warnings.warn(
        "minimize got no gradient, and the cost is not written in jax.numpy: finite "
        f"differences take {n_weights} evaluations for each gradient. Pass jac, or "
        "write the cost in jax.numpy.",
        RuntimeWarning,
        stacklevel=3,
    )


def _raise_or_warn(message: str, check: str) -> None:
    if check == "raise":
        raise ValueError(
            f"minimize: {message} (check='warn' minimizes in spite of this.)"
        )
    warnings.warn(f"minimize: {message}", RuntimeWarning, stacklevel=3)


# --------------------------------------------------------------------- around SciPy


def _line_searches(
    method: Method, derivatives: Derivatives, bounds: Any, options: Mapping[str, Any]
) -> LineSearches:
    if not derivatives.has_gradient:
        return LineSearches()  # differences hide how often a search evaluates the cost
    limit = options.get("maxls", 20) if method.label == "L-BFGS-B" else np.inf
    return LineSearches(method.label, bounds is not None, limit)


def _real_or_complex(
    objective: MemoizedObjective, function: UserFunction
) -> Callable[[Array], float | complex]:
    """Return the cost for SciPy's complex steps, which are not iterates."""
    return lambda x: (
        function.complex_cost(x) if np.iscomplexobj(x) else objective.value(x)
    )


def _call_scipy(
    recorder: IterationRecorder, **arguments: Any
) -> optimize.OptimizeResult:
    """Call SciPy; if it does not end by itself, return the best point so far."""
    constrained = bool(arguments["constraints"])
    try:
        result: Any = optimize.minimize(**arguments)
    except MinimizationStopped as stopped:
        return _best_so_far(recorder, constrained, str(stopped))
    except KeyboardInterrupt:
        message = "Interrupted from the keyboard."
        return _best_so_far(recorder, constrained, message)
    finally:
        recorder.end_progress()
    recorder.record_end(result)
    if np.isfinite(result.fun):
        return result
    message = f"The cost became {result.fun}. {LOG_OF_0_HINT}"
    return _best_so_far(recorder, constrained, message)


def _best_so_far(
    recorder: IterationRecorder, constrained: bool, message: str
) -> optimize.OptimizeResult:
    objective = recorder.objective
    # Of points that may break constraints, the one of the lowest cost is not the best.
    last = objective.evaluation_at(objective.previous)
    best = last if constrained else objective.best
    return optimize.OptimizeResult(
        x=best.x,
        fun=best.cost,
        success=False,
        status=99,
        message=message,
        nit=len(recorder.rows),
        nfev=objective.n_values,
        njev=objective.n_gradients,
    )
