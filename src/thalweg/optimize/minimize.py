"""`minimize`: SciPy's, for people who write their own cost, checked and recorded.

The call and the result are SciPy's. Around them: weights in whatever structure the user
holds them, a check of cost and gradient before the first iteration, a history, a
progress line, a time limit, and the best point so far when it is interrupted.
`docs/minimize.md` lists where the result is another than SciPy's.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult
from scipy.optimize import minimize as minimize_by_scipy

from thalweg.core import Array, PyTree
from thalweg.optimize.argument_types import check_types
from thalweg.optimize.arguments import (
    check_functions,
    find_method,
    known_options,
    read_start,
)
from thalweg.optimize.gradient_check import LOG_OF_0_HINT
from thalweg.optimize.iteration_recorder import (
    IterationRecorder,
    MinimizationStopped,
    RecordedHistory,
)
from thalweg.optimize.minimization import SINGLE_EPSILON, Minimization
from thalweg.optimize.scipy_methods import Method


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: str | Callable[..., Any] | None = None,
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
) -> OptimizeResult:
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
    method : str or callable, optional
        SciPy's name in any spelling (``"CG"``, ``"l-bfgs-b"``, ``"fmin_tnc"``), or a
        minimizer of your own, which is called as SciPy calls it. By default SciPy's:
        ``"SLSQP"`` with constraints, ``"L-BFGS-B"`` with bounds, otherwise ``"BFGS"``
        (from 5,000 weights on ``"L-BFGS-B"``, as BFGS keeps a full matrix).
    jac : callable, True, str or None
        Gradient, shaped like x or flat. With None, JAX derives that of a cost which
        returns an array of JAX's; otherwise SciPy takes finite differences, with a
        warning unless `check` is ``"off"``. SciPy's ``"2-point"``, ``"3-point"``
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
        ``intermediate_result``, whatever the method. x is a copy. Raise StopIteration
        or return True, or anything true but an array, to stop.
    options : dict, optional
        SciPy's options of the method. TNC takes ``maxiter`` as well.
    check : {"raise", "warn", "off"}
        What to do if cost and gradient disagree (see `check_gradient`). A right
        gradient costs at most 20 evaluations more.
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
        list of what was repaired, or is slow). If it was stopped from outside the
        method, ``stop_reason`` says by what: ``"callback"``, ``"max_time"``,
        ``"maxiter"``, ``"interrupt"`` or ``"nan"``.

    Raises
    ------
    ValueError, TypeError
        Before the first iteration, for a bad start, cost, method or bounds, or a
        gradient that does not belong to the cost.

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
    # What a function as `method` takes is its own matter.
    own = callable(method)
    check_types(tol, options, () if own else constraints, max_time, progress)
    check_functions(fun, jac, callback, "minimize")
    args = args if isinstance(args, tuple) else (args,)
    tree, start = read_start(x0, check_finite=check != "off")
    if callable(method):
        chosen = Method(getattr(method, "__name__", "custom"), _ALL)
    else:
        chosen = find_method(method, bounds, constraints, tree.size)
        options = known_options(chosen, options)
    problem = Minimization(
        chosen, fun, tree, start, args, jac, bounds=bounds, constraints=constraints,
        hess=hess, hessp=hessp, check=check,
    )  # fmt: skip
    given: dict[str, Any] = {
        "args": args, "bounds": bounds, "constraints": constraints, "tol": tol,
        "options": dict(options or {}),
    }  # fmt: skip
    if callable(method):
        return _call_custom(problem, method, callback, given)
    limit = given["options"].pop("maxiter", None) if chosen.label == "TNC" else None
    if problem.has_single_gradient:
        given["options"].setdefault("eps", SINGLE_EPSILON)
    recorder = problem.recorder(
        callback,
        max_searches=given["options"].get("maxls", 20)
        if chosen.label == "L-BFGS-B"
        else np.inf,
        max_time=max_time,
        max_iterations=np.inf if limit is None else limit,
        progress=progress,
    )
    return _call_scipy(problem, recorder, given)


_ALL = frozenset({"gradient", "hess", "hessp", "bounds", "constraints"})
"""What a user's own method may make use of."""
STOPPED = 99
"""SciPy's status of a minimization that a callback stopped."""
_TNC_LIMIT = 3
"""TNC's status where it reached its limit of evaluations."""


def _call_scipy(
    problem: Minimization, recorder: IterationRecorder, given: dict[str, Any]
) -> OptimizeResult:
    """Call SciPy; if it does not end by itself, return the best point so far."""
    is_paired, method = problem.returns_pair, problem.method.label
    if method == "COBYLA" and problem.region.fixed.all():
        method = "SLSQP"  # SciPy then only evaluates the cost; its COBYLA fails
    try:
        if recorder.max_iterations < 1:
            problem.evaluate_start()
            recorder.stop_at_limit()
        result: Any = minimize_by_scipy(
            problem.scipy_cost(),
            problem.start,
            method=method,
            jac=True if is_paired else problem.scipy_gradient(),
            callback=problem.scipy_callback(recorder),
            **given,
            **problem.second,
        )
        if recorder.stop_reason and recorder.message:
            result.message, result.status = recorder.message, STOPPED
            result.success = False
    except MinimizationStopped:
        result = _stopped(problem, recorder)
    except KeyboardInterrupt:
        result = _best_so_far(problem, recorder, bool(given["constraints"]))
        recorder.stop_reason = "interrupt"
    finally:
        recorder.end_progress()
    # COBYLA takes NaN for 1e30, and calls that a success.
    has_none = problem.method.label == "COBYLA" and problem.log.best_cost == np.inf
    if np.isnan(result.fun) or has_none:
        _replace_nan(result, problem)
        recorder.stop_reason = "nan"
    recorder.record_end(result)
    if recorder.stop_reason:
        result.stop_reason = recorder.stop_reason
    result.x = _shaped(result.x, problem.tree)
    result.history = RecordedHistory(recorder)
    result.check, result.notes = problem.gradient_check, problem.notes()
    return result


def _call_custom(
    problem: Minimization, method: Any, callback: Any, given: dict[str, Any]
) -> Any:
    """Call a user's own minimizer, through SciPy; it gets what the user gave."""
    is_flat = problem.tree.is_flat
    is_paired = problem.returns_pair
    user = problem.user
    jac = True if is_paired else problem.jac
    if not is_flat and not is_paired:
        jac = problem.scipy_gradient()
    result: Any = minimize_by_scipy(
        user.fun if is_flat else problem.scipy_cost(),
        problem.start,
        method=method,
        jac=jac,
        callback=callback,
        **given,
        **problem.second,
    )
    if isinstance(result, OptimizeResult):
        result.check, result.notes = problem.gradient_check, problem.notes()
        if not is_flat and np.size(result.x) == problem.tree.size:
            result.x = problem.tree.unpack(np.ravel(result.x))
    return result


def _shaped(x: Array, tree: PyTree) -> Any:
    return x if tree.is_flat else tree.unpack(x)


# ------------------------------------------------------------ other ends than SciPy's


def _stopped(problem: Minimization, recorder: IterationRecorder) -> OptimizeResult:
    """Return where TNC was when it was stopped, as TNC returns it."""
    x, log = recorder.previous, problem.log
    point = x.tobytes()
    gradient = log.gradient_at(point)
    return OptimizeResult(
        x=x,
        fun=log.cost_at(point),
        jac=np.full(len(x), np.nan) if gradient is None else gradient,
        nfev=log.n_costs,
        nit=recorder.n_iterations,
        status=_TNC_LIMIT if recorder.stop_reason == "maxiter" else STOPPED,
        message=recorder.message,
        success=False,
    )


def _best_so_far(
    problem: Minimization, recorder: IterationRecorder, constrained: bool
) -> OptimizeResult:
    log = problem.log
    x, cost = recorder.previous, recorder.previous_cost
    # Of points that may break constraints, the one of the lowest cost is not the best.
    if log.best_point and not (constrained and recorder.n_iterations):
        x, cost = np.frombuffer(log.best_point).copy(), log.best_cost
    return OptimizeResult(
        x=x,
        fun=cost,
        success=False,
        status=STOPPED,
        message="Interrupted from the keyboard.",
        nit=recorder.n_iterations,
        nfev=log.n_costs,
        njev=log.n_gradients,
    )


def _replace_nan(result: OptimizeResult, problem: Minimization) -> None:
    """Never end in success with NaN: return the best finite point instead."""
    log = problem.log
    result.success, result.status = False, STOPPED
    result.message = f"The cost became nan. {LOG_OF_0_HINT}"
    if np.isfinite(log.best_cost):
        result.x = np.frombuffer(log.best_point).copy()
        result.fun = log.best_cost
