"""What a method's line searches did, told from its steps and its last words.

SciPy counts evaluations, but neither the searches that failed nor the restarts. Both
can be known all the same, for the methods named here:

- A search of CG, BFGS, Newton-CG or TNC that fails ends the method, which says so in
  its status.
- L-BFGS-B lets a search fail once: it drops its memory, and searches along the negative
  gradient. An iteration then takes more points than one search may try (``maxls``). If
  that search fails too, the method ends, and says so.
- A restart is an iteration after the first whose step lies along the negative gradient
  at its start: CG's, whose β was 0 (Polak-Ribière+), or L-BFGS-B's without its memory.
  With bounds the step is bent, and there is no telling. BFGS never restarts.

For methods without line searches, and those whose searches cannot fail or be seen, the
counts are NaN.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.records import Array

_STATUS = {"CG": 2, "BFGS": 2, "Newton-CG": 2, "TNC": 4, "L-BFGS-B": 2}
"""SciPy's status where a search failed, by its name of the method."""

_RESTARTING = ("CG", "L-BFGS-B")
_STRAIGHT = 1e-10


@dataclass
class LineSearches:
    """The counts of one minimization.

    Parameters
    ----------
    method : str
        SciPy's name of it.
    bounded : bool
    most : float
        Most points that one search may try, where that is a limit.
    """

    method: str
    bounded: bool = False
    most: float = np.inf
    failures: float = field(init=False)
    restarts: float = field(init=False)

    def __post_init__(self) -> None:
        self.failures = 0.0 if self.method in _STATUS else np.nan
        telling = not self.bounded and self.method in (*_RESTARTING, "BFGS")
        self.restarts = 0.0 if telling else np.nan
        self._begun, self._evaluations = False, 1

    def see(self, step: Array, slope: Array, evaluations: int) -> None:
        """Take note of an iteration.

        Parameters
        ----------
        step, slope : ndarray of shape (n,)
            What was added to the point, and the gradient before it was.
        evaluations : int
            Of the objective, so far.
        """
        self.failures += evaluations - self._evaluations > self.most
        if self._begun and self.method in _RESTARTING:
            size = np.linalg.norm(step) * np.linalg.norm(slope)
            self.restarts += bool(step @ slope < (_STRAIGHT - 1) * size)
        self._begun, self._evaluations = True, evaluations

    def end(self, result: Any, evaluations: int) -> None:
        """Take note of what SciPy gave back, and of the points since."""
        failed = result.get("status") == _STATUS.get(self.method, "none")
        if failed and np.isfinite(result.fun):
            self.failures += max((evaluations - self._evaluations) // self.most, 1)
