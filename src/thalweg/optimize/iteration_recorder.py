"""What happens after each iteration: history, progress line, callback, limits."""

import inspect
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from thalweg.core import Array, EpochRecord, History, PyTree
from thalweg.optimize.line_searches import LineSearches
from thalweg.optimize.recorded_functions import EvaluationLog

_COLUMNS = (
    "loss", "gradient_norm", "update_ratio", "seconds", "evaluations",
    "gradient_evaluations", "line_search_failures", "restarts",
)  # fmt: skip
_GRADIENT_NORM = _COLUMNS.index("gradient_norm")


class MinimizationStopped(Exception):
    """Ends a method of SciPy from inside that knows no StopIteration."""


class IterationRecorder:
    """Records the iterations of one minimization.

    Parameters
    ----------
    log : EvaluationLog
    start : ndarray of shape (n,)
    tree : PyTree
        The structure of x, for the user's callback.
    callback : callable or None
        The user's, in one of SciPy's styles.
    method : str
        SciPy's name of the method.
    searches : LineSearches
    max_time : float or None
        Seconds after which the minimization is stopped.
    max_iterations : float
        Iterations after which it is stopped, for a method that does not count them.
    progress : bool
        Whether a line on stderr follows the iterations.
    fixed : tuple of (ndarray of bool, ndarray), optional
        Which variables the method leaves out of the x of its callback, and their
        values.

    Attributes
    ----------
    stop_reason : str
        Why the minimization was stopped from here: ``"callback"``, ``"max_time"``,
        ``"maxiter"``, or ``""``.
    message : str
        The same as a sentence; ``""`` where SciPy has its own.
    previous : ndarray of shape (n,)
        Where the last iteration ended.
    """

    def __init__(
        self,
        log: EvaluationLog,
        start: Array,
        tree: PyTree,
        callback: Callable[..., Any] | None,
        method: str,
        searches: LineSearches,
        max_time: float | None = None,
        max_iterations: float = np.inf,
        progress: bool = False,
        fixed: tuple[Array, Array] | None = None,
    ) -> None:
        self.log, self.tree, self.method = log, tree, method
        self.callback = None if callback is None else _unify(callback, method)
        self.searches, self.fixed = searches, fixed
        self.max_time = np.inf if max_time is None else max_time
        self.max_iterations, self.progress = max_iterations, progress
        self.stop_reason = self.message = ""
        self.rows: list[list[float]] = []
        self.previous, self._previous_gradient = start, None
        self._previous_size = math.sqrt(start.dot(start))
        self._started = time.perf_counter()

    def record(self, intermediate_result: Any) -> None:
        """Record an iteration; SciPy calls this after each with its own record."""
        self._record(intermediate_result.x, intermediate_result)

    def record_point(self, x: Array) -> None:
        """Record an iteration of a method, or in a case, where SciPy only tells x."""
        self._record(x, None)

    def _record(self, x: Array, record: Any) -> None:
        seconds, log = time.perf_counter() - self._started, self.log
        x = np.array(x, float)
        if self.fixed is not None and len(x) < len(self.fixed[0]):
            x = _with_fixed(x, *self.fixed)
        point = x.tobytes()
        cost = log.cost_at(point) if record is None else float(record.fun)
        gradient = log.gradient_at(point)
        self._fill_in()
        step = x - self.previous
        self.searches.record_iteration(step, self._previous_gradient, log.n_costs)
        norm = math.nan
        if gradient is not None:
            norm = math.sqrt(gradient.dot(gradient))
        elif not step.any() and self.rows:
            norm, gradient = self.rows[-1][_GRADIENT_NORM], self._previous_gradient
        else:
            log.awaited = point
        ratio = math.sqrt(step.dot(step)) / (self._previous_size or 1.0)
        self.rows.append(
            [cost, norm, ratio, seconds, log.n_costs, log.n_gradients,
             self.searches.failures, self.searches.restarts]
        )  # fmt: skip
        self.previous, self._previous_gradient = x, gradient
        self._previous_size = math.sqrt(x.dot(x))
        if self.progress:
            self._show_progress(self.rows[-1])
        self._call_back(record, x, cost)
        self._check_limits(seconds)

    def _fill_in(self) -> None:
        """Complete the last row by a gradient that was computed after it."""
        gradient = self.log.awaited_gradient
        if gradient is not None:
            self.rows[-1][_GRADIENT_NORM] = math.sqrt(gradient.dot(gradient))
            self._previous_gradient = gradient
        self.log.awaited = self.log.awaited_gradient = None

    def _call_back(self, record: Any, x: Array, cost: float) -> None:
        """Call the user's callback, with copies."""
        if self.callback is None:
            return
        own = {"x": self.tree.unpack(x), "fun": cost}
        given = OptimizeResult(own if record is None else {**record, **own})
        try:
            answer = self.callback(given)
        except StopIteration:
            self._stop("callback", STOP_ITERATION if self.method == "TNC" else "")
        else:
            if _is_true(answer):
                self._stop("callback", "The callback asked to stop.")

    def _check_limits(self, seconds: float) -> None:
        if seconds > self.max_time:
            message = f"The time budget of {self.max_time:g} s was used up."
            self._stop("max_time", message)
        if len(self.rows) >= self.max_iterations:
            message = "Maximum number of iterations has been exceeded."
            self._stop("maxiter", message)

    def _stop(self, reason: str, message: str) -> None:
        """Stop the method."""
        self.stop_reason, self.message = reason, message
        raise MinimizationStopped if self.method == "TNC" else StopIteration

    def record_end(self, result: Any) -> None:
        """Record how SciPy ended.

        Parameters
        ----------
        result : scipy.optimize.OptimizeResult
        """
        self._fill_in()
        self.searches.record_end(result, self.log.n_costs)
        if self.rows:
            self.rows[-1][-2] = self.searches.failures

    def end_progress(self) -> None:
        """End the line on stderr."""
        if self.progress and self.rows:
            sys.stderr.write("\n")

    def history(self) -> History:
        """Return every iteration."""
        columns = zip(*self.rows, strict=True) if self.rows else ([],) * len(_COLUMNS)
        return History.from_columns(dict(zip(_COLUMNS, columns, strict=True)))

    def records(self) -> list[EpochRecord]:
        """Return every iteration as a record of its own."""
        return list(self.history())

    def _show_progress(self, row: list[float]) -> None:
        cost, norm, _, _, evaluations, *_ = row
        sys.stderr.write(
            f"\riteration {len(self.rows)}  cost {cost:.6g}  gradient "
            f"{norm:.3g}  evaluations {evaluations:g}   "
        )
        sys.stderr.flush()


STOP_ITERATION = "`callback` raised `StopIteration`."
"""SciPy's message."""


def _with_fixed(x: Array, is_fixed: Array, values: Array) -> Array:
    whole = values.copy()
    whole[~is_fixed] = x
    return whole


def _unify(callback: Callable[..., Any], method: str) -> Callable[..., Any]:
    """Turn any of SciPy's styles of callback into a function of the record.

    SciPy calls by this name only what takes nothing else.
    """
    try:
        parameters = inspect.signature(callback).parameters
    except ValueError:
        parameters = {}  # some functions written in C have no signature
    given = parameters.get("intermediate_result")
    if given is not None and (
        len(parameters) == 1 or given.kind is inspect.Parameter.KEYWORD_ONLY
    ):
        return lambda record: callback(intermediate_result=record)
    if method == "trust-constr" and len(parameters) != 1:
        return lambda record: callback(record.x, record)
    return lambda record: callback(record.x)


def _is_true(answer: Any) -> bool:
    """Whether a callback returned True, be it Python's, NumPy's or JAX's."""
    if getattr(answer, "dtype", None) == np.dtype(bool):
        return np.size(answer) == 1 and bool(np.all(answer))
    return answer is True
