"""How often the line searches of one of SciPy's methods failed, and its restarts.

SciPy reports neither, but both can be told from what it does:

- CG, BFGS, Newton-CG and TNC end at the first search that fails, with a status that
  says so.
- L-BFGS-B lets a search try ``maxls`` points. An iteration that took more evaluations
  had a failed search: the method then forgets its curvature and searches again along
  the negative gradient. Two failures in a row end it.
- A restart of CG or L-BFGS-B shows as a step exactly along the negative gradient.
  Bounds bend the steps, so restarts are unknown with them. BFGS never restarts.
"""

import math
from typing import Any

import numpy as np

from thalweg.core import Array

_FAILED_STATUS = {"CG": 2, "BFGS": 2, "Newton-CG": 2, "TNC": 4, "L-BFGS-B": 2}
"""SciPy's status of a run that a failed search ended, by its name of the method."""

_RESTARTING = ("CG", "L-BFGS-B")
_NEVER_RESTARTING = ("BFGS",)
_COSINE_TOLERANCE = 1e-10


class LineSearches:
    """Counts the failed line searches and the restarts of one minimization.

    Parameters
    ----------
    method : str
        SciPy's name of the method; ``""`` for one without line searches.
    bounded : bool
        Whether the weights have bounds.
    max_evaluations : float
        Most points that one search may try, if that is limited.

    Attributes
    ----------
    failures, restarts : float
        The counts so far; NaN where they cannot be known.
    """

    def __init__(
        self, method: str = "", bounded: bool = False, max_evaluations: float = np.inf
    ) -> None:
        self.method, self.max_evaluations = method, max_evaluations
        self.failures = 0.0 if method in _FAILED_STATUS else np.nan
        known = not bounded and method in (*_RESTARTING, *_NEVER_RESTARTING)
        self.restarts = 0.0 if known else np.nan
        self._is_first, self._evaluations = True, 1

    def record_iteration(
        self, step: Array, gradient: Array | None, evaluations: int
    ) -> None:
        """Count what an iteration reveals.

        Parameters
        ----------
        step : ndarray of shape (n,)
            The change of the weights.
        gradient : ndarray of shape (n,) or None
            The gradient before the step, if it is known.
        evaluations : int
            Evaluations of the objective so far.
        """
        self.failures += evaluations - self._evaluations > self.max_evaluations
        may_be_restart = not self._is_first and self.method in _RESTARTING
        if may_be_restart and gradient is not None:
            size = math.sqrt(step.dot(step)) * math.sqrt(gradient.dot(gradient))
            self.restarts += bool(step @ gradient < (_COSINE_TOLERANCE - 1) * size)
        self._is_first, self._evaluations = False, evaluations

    def continue_from(self, failures: float, evaluations: int) -> None:
        """Go on counting where another minimization was left."""
        self.failures, self._evaluations = failures, evaluations + 1

    def record_end(self, result: Any, evaluations: int) -> None:
        """Count the searches that ended the method.

        Parameters
        ----------
        result : scipy.optimize.OptimizeResult
        evaluations : int
            Evaluations of the objective in all.
        """
        failed = result.get("status") == _FAILED_STATUS.get(self.method, "none")
        if failed and np.isfinite(result.fun):
            since = evaluations - self._evaluations
            self.failures += max(since // self.max_evaluations, 1)
