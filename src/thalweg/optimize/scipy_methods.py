"""SciPy's minimizers: what each makes use of, and the points that they meet.

Both `thalweg.minimize` and the full-batch methods of `fit` give SciPy the cost and the
gradient of a `MemoizedObjective`, which records each iteration.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from thalweg.core import ALIASES, Array

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


class Method(NamedTuple):
    """What one of SciPy's methods makes use of, and the names of its options."""

    label: str
    uses: str
    options: str

    @property
    def takes(self) -> list[str]:
        """What it makes use of, needed or not."""
        return self.uses.replace("!", "").split()


_DIFFERENCES = "eps finite_diff_rel_step workers"
_TRUST = "initial_trust_radius max_trust_radius eta gtol maxiter disp return_all"
_LISTED = {
    "CG": ("gradient", f"maxiter gtol norm c1 c2 return_all disp {_DIFFERENCES}"),
    "BFGS": (
        "gradient",
        f"maxiter gtol norm xrtol c1 c2 hess_inv0 return_all disp {_DIFFERENCES}",
    ),
    "L-BFGS-B": (
        "gradient bounds", f"maxiter maxfun maxcor maxls ftol gtol {_DIFFERENCES}",
    ),
    "TNC": (
        "gradient bounds",
        "maxfun ftol gtol xtol scale offset maxCGit eta stepmx accuracy minfev rescale "
        f"disp {_DIFFERENCES}",
    ),
    "Newton-CG": (
        "gradient! hess hessp", "maxiter xtol c1 c2 eps return_all disp workers",
    ),
    "trust-ncg": ("gradient! hess! hessp", _TRUST),
    "trust-krylov": ("gradient! hess! hessp", f"{_TRUST} inexact"),
    "trust-exact": ("gradient! hess!", f"{_TRUST} subproblem_maxiter"),
    "dogleg": ("gradient! hess!", _TRUST),
    "trust-constr": (
        "gradient hess hessp bounds constraints",
        "maxiter gtol xtol barrier_tol sparse_jacobian initial_tr_radius "
        "initial_constr_penalty initial_barrier_parameter initial_barrier_tolerance "
        "factorization_method finite_diff_rel_step workers verbose disp",
    ),
    "SLSQP": ("gradient bounds constraints", f"maxiter ftol disp {_DIFFERENCES}"),
    "Powell": ("bounds", "maxiter maxfev xtol ftol direc return_all disp"),
    "Nelder-Mead": (
        "bounds", "maxiter maxfev xatol fatol initial_simplex adaptive return_all disp",
    ),
    "COBYLA": ("bounds constraints", "maxiter rhobeg tol catol f_target disp"),
    "COBYQA": (
        "bounds constraints",
        "maxiter maxfev f_target feasibility_tol initial_tr_radius final_tr_radius "
        "scale disp",
    ),
}  # fmt: skip
"""`uses` with ``!``: what the method cannot do without."""

METHODS = {
    ALIASES.get(label.lower(), label.lower()): Method(label, *words)
    for label, words in _LISTED.items()
}


@dataclass
class Evaluation:
    """A point, and what is known about it."""

    x: Array
    cost: float = np.inf
    gradient: Array | None = None
    known: bool = False


class MemoizedObjective:
    """What a method computed on its way, counted; the last points, and the best one.

    Parameters
    ----------
    look : callable
        x → cost, and the gradient, or None where that is not computed with it.
    slope : callable or None
        x → gradient; None where `look` gives it, or nothing does.
    start : ndarray of shape (n,)
    searches : LineSearches
        Counts of the method's line searches.
    """

    def __init__(
        self,
        look: Callable[[Array], tuple[float, Array | None]],
        slope: Callable[[Array], Array] | None,
        start: Array,
        searches: LineSearches,
    ) -> None:
        self.look, self.slope, self.searches = look, slope, searches
        self.n_values = self.n_gradients = 0
        self.previous, self.best = start, Evaluation(start)
        self._last: list[Evaluation] = []
        self._gradient = np.full(len(start), np.nan)

    def value(self, x: Array) -> float:
        """Compute the cost at a point, if it is not known."""
        met = self.meet(x)
        if not met.known:
            met.cost, gradient = self.look(met.x)
            met.known = True
            self.n_values += 1
            if gradient is not None:
                met.gradient = gradient
                self.n_gradients += 1
            if met.cost < self.best.cost:
                self.best = met
        return met.cost

    def gradient(self, x: Array) -> Array:
        """Compute the gradient at a point, if it is not known; NaN without one."""
        met = self.meet(x)
        if self.slope is None:
            self.value(met.x)
        elif met.gradient is None:
            met.gradient = self.slope(met.x)
            self.n_gradients += 1
        return np.full(len(met.x), np.nan) if met.gradient is None else met.gradient

    def meet(self, x: Array) -> Evaluation:
        """Find a point among the last ones, or begin a new one."""
        x = np.array(x, float)
        for met in (*reversed(self._last), self.best):
            # The first number tells nearly all others apart, whatever their length.
            if (met.x[:1] == x[:1]).all() and np.array_equal(met.x, x):
                return met
        self._last = [*self._last[-3:], Evaluation(x)]
        return self._last[-1]

    def note(self, x: Array) -> dict[str, float]:
        """Take note of an iteration that ended here; return its row of a history."""
        cost, gradient, before = self.value(x), self.gradient(x), self.previous
        self.searches.see(x - before, self._gradient, self.n_values)
        self.previous, self._gradient = x, gradient
        size = float(np.linalg.norm(before))
        return {
            "loss": cost,
            "gradient_norm": float(np.linalg.norm(gradient)),
            "update_ratio": float(np.linalg.norm(x - before)) / (size or 1.0),
            "evaluations": self.n_values,
            "gradient_evaluations": self.n_gradients,
            "line_search_failures": self.searches.failures,
            "restarts": self.searches.restarts,
        }
