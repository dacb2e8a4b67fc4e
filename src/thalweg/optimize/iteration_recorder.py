"""What happens after each iteration: history, progress line, callback, time limit."""

import inspect
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from thalweg.core import History, PyTree
from thalweg.optimize.memoized_objective import MemoizedObjective


class MinimizationStopped(Exception):
    """Ends SciPy's loop from inside, as not all of its methods have another way."""


class IterationRecorder:
    """Records the iterations of one minimization.

    Parameters
    ----------
    objective : MemoizedObjective
    tree : PyTree
        The structure of x, for the user's callback.
    callback : callable or None
        The user's, in one of SciPy's styles.
    method : str
        SciPy's name of the method.
    max_time : float or None
        Seconds after which the minimization is stopped.
    progress : bool
        Whether a line on stderr follows the iterations.
    """

    def __init__(
        self,
        objective: MemoizedObjective,
        tree: PyTree,
        callback: Callable[..., Any] | None,
        method: str,
        max_time: float | None,
        progress: bool,
    ) -> None:
        self.objective, self.tree = objective, tree
        self.callback = None if callback is None else _unify(callback, method)
        self.max_time = np.inf if max_time is None else max_time
        self.progress = progress
        self.rows: list[dict[str, float]] = []
        self._started = time.perf_counter()

    def record_iteration(self, intermediate_result: Any) -> None:
        """Record an iteration; SciPy calls this after each.

        Parameters
        ----------
        intermediate_result : scipy.optimize.OptimizeResult or ndarray
            SciPy passes its record to an argument of this name, and TNC the vector.

        Raises
        ------
        MinimizationStopped
            If the callback asks to stop, or the time is used up.
        """
        x = np.array(getattr(intermediate_result, "x", intermediate_result), float)
        seconds = time.perf_counter() - self._started
        row = {**self.objective.record_iteration(x), "seconds": seconds}
        self.rows.append(row)
        if self.progress:
            self._show_progress(row)
        if self.callback is not None:
            is_record = isinstance(intermediate_result, optimize.OptimizeResult)
            record = dict(intermediate_result) if is_record else {}
            own = {"x": self.tree.unpack(x), "fun": row["loss"]}
            _call_back(self.callback, optimize.OptimizeResult(record | own))
        if seconds > self.max_time:
            raise MinimizationStopped(
                f"The time budget of {self.max_time:g} s was used up."
            )

    def record_end(self, result: Any) -> None:
        """Record how SciPy ended.

        Parameters
        ----------
        result : scipy.optimize.OptimizeResult
        """
        searches = self.objective.line_searches
        searches.record_end(result, self.objective.n_values)
        if self.rows:
            self.rows[-1]["line_search_failures"] = searches.failures

    def end_progress(self) -> None:
        """End the line on stderr."""
        if self.progress and self.rows:
            sys.stderr.write("\n")

    def history(self) -> History:
        """Return every iteration."""
        names = self.rows[0] if self.rows else ("loss",)
        columns = {name: [row[name] for row in self.rows] for name in names}
        return History.from_columns(columns)

    def _show_progress(self, row: dict[str, float]) -> None:
        sys.stderr.write(
            f"\riteration {len(self.rows)}  cost {row['loss']:.6g}  gradient "
            f"{row['gradient_norm']:.3g}  evaluations {row['evaluations']:g}   "
        )
        sys.stderr.flush()


def _unify(callback: Callable[..., Any], method: str) -> Callable[..., Any]:
    """Turn any of SciPy's styles of callback into a function of the record."""
    try:
        parameters = inspect.signature(callback).parameters
    except ValueError:
        parameters = {}  # some functions written in C have no signature
    if "intermediate_result" in parameters:
        return lambda record: callback(intermediate_result=record)
    if method == "trust-constr" and len(parameters) == 2:
        return lambda record: callback(record.x, record)
    return lambda record: callback(record.x)


def _call_back(callback: Callable[..., Any], record: optimize.OptimizeResult) -> None:
    try:
        stop = _is_true(callback(record))
    except StopIteration:
        stop = True
    if stop:
        raise MinimizationStopped("The callback asked to stop.")


def _is_true(answer: Any) -> bool:
    """Whether a callback returned True, be it Python's, NumPy's or JAX's."""
    if getattr(answer, "dtype", None) == np.dtype(bool):
        return np.size(answer) == 1 and bool(np.all(answer))
    return answer is True
