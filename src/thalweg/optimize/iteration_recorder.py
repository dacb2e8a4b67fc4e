"""What happens after each iteration: history, progress line, callback, limits."""

import inspect
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from thalweg.core import Array, History, PyTree, asks_to_stop
from thalweg.optimize.line_searches import LineSearches
from thalweg.optimize.recorded_functions import EvaluationLog

_COLUMNS = (
    "loss", "gradient_norm", "update_ratio", "seconds", "evaluations",
    "gradient_evaluations", "line_search_failures", "restarts",
)  # fmt: skip
_MOST_NUMBERS = 1_000_000
"""So many numbers of iterates and gradients are kept until they are digested."""


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
    rows : list of tuple
        The history, up to the iterations whose norms are not yet computed: few of them
        are ever read.
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
        self._is_watched = (
            progress or callback is not None or max_time is not None
            or max_iterations < np.inf
        )  # fmt: skip
        self.rows: list[tuple[float, ...]] = []
        self._iterations: list[tuple[Any, ...]] = []
        self._most_kept = _MOST_NUMBERS // (2 * len(start)) + 1
        self._previous, self._previous_gradient = start, None
        self._end: dict[str, Any] | None = None
        self._started = time.perf_counter()

    def for_records(self) -> Callable[..., None]:
        """Return the callback for methods that pass SciPy's record."""

        def callback(intermediate_result: Any) -> None:
            self._record(intermediate_result["x"], intermediate_result)

        # SciPy inspects it, which is slow without this.
        callback.__signature__ = _SIGNATURE
        return callback

    def for_points(self) -> Callable[[Array], None]:
        """Return the callback for where SciPy only passes x."""
        self.log.keeps_costs = True
        return lambda x: self._record(x, None)

    def _record(self, x: Array, record: Any) -> None:
        log = self.log
        x = np.array(x, float)
        if self.fixed is not None and len(x) < len(self.fixed[0]):
            x = _with_fixed(x, *self.fixed)
        point, gradient = x.tobytes(), None
        if log.n_gradients:
            if log.awaited_gradient is not None:
                self.fill_in()
            gradient = log.gradient_at(point)
            log.awaited = point if gradient is None else None
        iterations = self._iterations
        iterations.append((
            log.cost_at(point) if record is None else record["fun"], x, gradient,
            time.perf_counter(), log.n_costs, log.n_gradients,
        ))  # fmt: skip
        if len(iterations) > self._most_kept:
            self._digest(iterations[:-1])
            del iterations[:-1]
        if self._is_watched:
            self._watch(record)

    def _watch(self, record: Any) -> None:
        """Tell of the last iteration, and stop the method if that is asked for."""
        cost, x, _, now, *_ = self._iterations[-1]
        if self.progress:
            self._show_progress()
        if self.callback is not None:
            self._call_back(record, x, float(cost))
        self._check_limits(now - self._started)

    def fill_in(self) -> None:
        """Complete the last iteration by a gradient that was computed after it."""
        if self.log.awaited_gradient is not None:
            cost, x, _, *counts = self._iterations[-1]
            gradient = self.log.awaited_gradient
            self._iterations[-1] = cost, x, gradient, *counts
        self.log.awaited = self.log.awaited_gradient = None

    def _digest(self, iterations: list[tuple[Any, ...]]) -> None:
        """Turn iterations into rows of the history."""
        for cost, x, gradient, now, n_costs, n_gradients in iterations:
            step = x - self._previous
            if gradient is None and self.rows and not step.any():
                gradient = self._previous_gradient
            norm = math.nan
            if gradient is not None:
                norm = math.sqrt(gradient.dot(gradient))
            self.searches.record_iteration(step, self._previous_gradient, n_costs)
            size = math.sqrt(self._previous.dot(self._previous))
            ratio = math.sqrt(step.dot(step)) / (size or 1.0)
            self.rows.append(
                (float(cost), norm, ratio, now - self._started, n_costs, n_gradients,
                 self.searches.failures, self.searches.restarts)
            )  # fmt: skip
            self._previous, self._previous_gradient = x, gradient

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
            if asks_to_stop(answer):
                self._stop("callback", "The callback asked to stop.")

    def _check_limits(self, seconds: float) -> None:
        if seconds > self.max_time:
            message = f"The time budget of {self.max_time:g} s was used up."
            self._stop("max_time", message)
        if self.n_iterations >= self.max_iterations:
            self.stop_at_limit()

    def stop_at_limit(self) -> None:
        """Stop the method because of its iterations."""
        self._stop("maxiter", "Maximum number of iterations has been exceeded.")

    def _stop(self, reason: str, message: str) -> None:
        """Stop the method."""
        self.stop_reason, self.message = reason, message
        raise MinimizationStopped if self.method == "TNC" else StopIteration

    @property
    def n_iterations(self) -> int:
        """How many iterations were recorded."""
        return len(self.rows) + len(self._iterations)

    @property
    def previous(self) -> Array:
        """Where the last iteration ended, or the start."""
        return self._iterations[-1][1] if self._iterations else self._previous

    @property
    def previous_cost(self) -> float:
        """The cost there; NaN before the first iteration."""
        return float(self._iterations[-1][0]) if self._iterations else math.nan

    def record_end(self, result: Any) -> None:
        """Record how SciPy ended.

        Parameters
        ----------
        result : scipy.optimize.OptimizeResult
        """
        self.fill_in()
        self._end = {"status": result.get("status"), "fun": result.fun}

    def columns(self) -> dict[str, Sequence[float]]:
        """Return the history by column."""
        self.fill_in()
        self._digest(self._iterations)
        self._iterations = []
        columns = [list(column) for column in zip(*self.rows, strict=True)]
        columns = columns or [[] for _ in _COLUMNS]
        if self._end is not None and self.rows:
            self.searches.record_end(OptimizeResult(self._end), self.log.n_costs)
            columns[-2][-1] = self.searches.failures
        return dict(zip(_COLUMNS, columns, strict=True))

    def end_progress(self) -> None:
        """End the line on stderr."""
        if self.progress and self.n_iterations:
            sys.stderr.write("\n")

    def _show_progress(self) -> None:
        cost, _, gradient, _, n_costs, _ = self._iterations[-1]
        norm = math.nan if gradient is None else math.sqrt(gradient.dot(gradient))
        sys.stderr.write(
            f"\riteration {self.n_iterations}  cost {cost:.6g}  gradient "
            f"{norm:.3g}  evaluations {n_costs:g}   "
        )
        sys.stderr.flush()


class RecordedHistory(History):
    """A history whose norms are computed when something first reads it.

    Parameters
    ----------
    recorder : IterationRecorder
    """

    def __init__(self, recorder: IterationRecorder) -> None:
        object.__setattr__(self, "_recorder", recorder)

    def __getattr__(self, name: str) -> Any:
        recorder = self.__dict__.get("_recorder")
        if recorder is None or name.startswith("_"):
            raise AttributeError(name)
        self.__dict__.update(History.from_columns(recorder.columns()).__dict__)
        del self.__dict__["_recorder"]
        return getattr(self, name)

    def __reduce__(self) -> Any:
        return History, tuple(getattr(self, each.name) for each in fields(History))


_SIGNATURE = inspect.Signature(
    [inspect.Parameter("intermediate_result", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
)
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
