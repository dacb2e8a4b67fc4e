"""The `fmin` family: SciPy's older functions by their names, with the check.

Each takes SciPy's arguments and returns what SciPy returns: the minimum alone, or a
tuple by `full_output` and `retall`. Each takes two keywords more: `check`, as in
`minimize`, and `history`, a list to which a record of each iteration is appended.
The start may be a structure of arrays, and comes back as one.
"""

import math
from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np
from scipy import optimize

from thalweg.core import EpochRecord
from thalweg.optimize.arguments import check_functions, find_method, read_start
from thalweg.optimize.iteration_recorder import (
    IterationRecorder,
    MinimizationStopped,
    RecordedHistory,
)
from thalweg.optimize.minimization import Minimization
from thalweg.optimize.recorded_functions import RecordedProduct

_SCIPY = {
    name: getattr(optimize, name)
    for name in (
        "fmin", "fmin_cg", "fmin_bfgs", "fmin_ncg", "fmin_powell", "fmin_l_bfgs_b",
        "fmin_tnc", "fmin_slsqp", "fmin_cobyla",
    )
}  # fmt: skip
_EPSILON = math.sqrt(np.finfo(float).eps)
_UNSET: Any = signature(optimize.fmin_l_bfgs_b).parameters["disp"].default
"""SciPy's own default of an argument that it warns of."""
_TNC_ABORTED = 6
"""TNC's status where the user asked to stop."""

History = list[EpochRecord] | None


class _Family:
    """What the functions below share: one call of SciPy's function of that name.

    Parameters
    ----------
    name : str
    func, x0, fprime, args, check : as given
        `fprime` may be True where `func` returns both.
    history : list or None
    **problem
        Of `Minimization`.
    """

    def __init__(
        self, name: str, func: Any, x0: Any, fprime: Any, args: Any, check: str,
        history: History, callback: Any, **problem: Any,
    ) -> None:  # fmt: skip
        check_functions(func, None if fprime is True else fprime, callback, name)
        args = args if isinstance(args, tuple) else (args,)
        tree, start = read_start(x0, check_finite=check != "off")
        self.name, self.args, self.history = name, args, history
        self.problem = Minimization(
            find_method(name, None, (), tree.size), func, tree, start, args, fprime,
            check=check, owner=name, **problem,
        )  # fmt: skip
        self.recorder: IterationRecorder = self.problem.recorder(callback)

    def call(self, *positional: Any, **options: Any) -> Any:
        """Call SciPy; return its tuple with x in its own structure."""
        problem = self.problem
        try:
            found = _SCIPY[self.name](
                problem.scipy_cost(),
                problem.start,
                *positional,
                args=self.args,
                callback=problem.scipy_callback(self.recorder),
                **options,
            )
        except MinimizationStopped:
            found = self.recorder.previous, problem.log.n_costs, _TNC_ABORTED
        finally:
            if self.history is not None:
                self.history.extend(RecordedHistory(self.recorder))
        if problem.tree.is_flat:
            return found
        if isinstance(found, tuple):
            return problem.tree.unpack(found[0]), *found[1:]
        return problem.tree.unpack(found)

    @property
    def gradient(self) -> Any:
        """The gradient for SciPy: a function, or None."""
        jac = self.problem.scipy_gradient()
        return jac if callable(jac) else None


def fmin(
    func: Callable[..., Any], x0: Any, args: Any = (), xtol: float = 1e-4,
    ftol: float = 1e-4, maxiter: int | None = None, maxfun: int | None = None,
    full_output: Any = 0, disp: Any = 1, retall: Any = 0, callback: Any = None,
    initial_simplex: Any = None, *, check: str = "raise", history: History = None,
) -> Any:  # fmt: skip
    """Minimize by the downhill simplex algorithm, as `scipy.optimize.fmin` does.

    See SciPy for the parameters and what is returned, and `thalweg.optimize.fmin` for
    `check` and `history`.
    """
    family = _Family("fmin", func, x0, None, args, check, history, callback)
    return family.call(
        xtol=xtol, ftol=ftol, maxiter=maxiter, maxfun=maxfun, full_output=full_output,
        disp=disp, retall=retall, initial_simplex=initial_simplex,
    )  # fmt: skip


def fmin_powell(
    func: Callable[..., Any], x0: Any, args: Any = (), xtol: float = 1e-4,
    ftol: float = 1e-4, maxiter: int | None = None, maxfun: int | None = None,
    full_output: Any = 0, disp: Any = 1, retall: Any = 0, callback: Any = None,
    direc: Any = None, *, check: str = "raise", history: History = None,
) -> Any:  # fmt: skip
    """Minimize by Powell's method, as `scipy.optimize.fmin_powell` does.

    See SciPy for the parameters and what is returned, and `thalweg.optimize.fmin` for
    `check` and `history`.
    """
    family = _Family("fmin_powell", func, x0, None, args, check, history, callback)
    return family.call(
        xtol=xtol, ftol=ftol, maxiter=maxiter, maxfun=maxfun, full_output=full_output,
        disp=disp, retall=retall, direc=direc,
    )  # fmt: skip


def fmin_cg(
    f: Callable[..., Any], x0: Any, fprime: Any = None, args: Any = (),
    gtol: float = 1e-5, norm: float = np.inf, epsilon: Any = _EPSILON,
    maxiter: int | None = None, full_output: Any = 0, disp: Any = 1, retall: Any = 0,
    callback: Any = None, c1: float = 1e-4, c2: float = 0.4, *, check: str = "raise",
    history: History = None,
) -> Any:  # fmt: skip
    """Minimize by conjugate gradients, as `scipy.optimize.fmin_cg` does.

    See SciPy for the parameters and what is returned, and `thalweg.optimize.fmin` for
    `check` and `history`.
    """
    family = _Family("fmin_cg", f, x0, fprime, args, check, history, callback)
    return family.call(
        fprime=family.gradient, gtol=gtol, norm=norm, epsilon=epsilon, maxiter=maxiter,
        full_output=full_output, disp=disp, retall=retall, c1=c1, c2=c2,
    )  # fmt: skip


def fmin_bfgs(
    f: Callable[..., Any], x0: Any, fprime: Any = None, args: Any = (),
    gtol: float = 1e-5, norm: float = np.inf, epsilon: Any = _EPSILON,
    maxiter: int | None = None, full_output: Any = 0, disp: Any = 1, retall: Any = 0,
    callback: Any = None, xrtol: float = 0, c1: float = 1e-4, c2: float = 0.9,
    hess_inv0: Any = None, *, check: str = "raise", history: History = None,
) -> Any:  # fmt: skip
    """Minimize by BFGS, as `scipy.optimize.fmin_bfgs` does.

    See SciPy for the parameters and what is returned, and `thalweg.optimize.fmin` for
    `check` and `history`.
    """
    family = _Family("fmin_bfgs", f, x0, fprime, args, check, history, callback)
    return family.call(
        fprime=family.gradient, gtol=gtol, norm=norm, epsilon=epsilon, maxiter=maxiter,
        full_output=full_output, disp=disp, retall=retall, xrtol=xrtol, c1=c1, c2=c2,
        hess_inv0=hess_inv0,
    )  # fmt: skip


def fmin_ncg(
    f: Callable[..., Any], x0: Any, fprime: Any, fhess_p: Any = None, fhess: Any = None,
    args: Any = (), avextol: float = 1e-5, epsilon: Any = _EPSILON,
    maxiter: int | None = None, full_output: Any = 0, disp: Any = 1, retall: Any = 0,
    callback: Any = None, c1: float = 1e-4, c2: float = 0.9, *, check: str = "raise",
    history: History = None,
) -> Any:  # fmt: skip
    """Minimize by Newton's method, as `scipy.optimize.fmin_ncg` does.

    See SciPy for the parameters and what is returned, and `thalweg.optimize.fmin` for
    `check` and `history`.
    """
    family = _Family("fmin_ncg", f, x0, fprime, args, check, history, callback)
    product = RecordedProduct(fhess_p) if callable(fhess_p) else fhess_p
    return family.call(
        fprime=family.gradient, fhess_p=product, fhess=fhess, avextol=avextol,
        epsilon=epsilon, maxiter=maxiter, full_output=full_output, disp=disp,
        retall=retall, c1=c1, c2=c2,
    )  # fmt: skip


def fmin_l_bfgs_b(
    func: Callable[..., Any], x0: Any, fprime: Any = None, args: Any = (),
    approx_grad: Any = 0, bounds: Any = None, m: int = 10, factr: float = 1e7,
    pgtol: float = 1e-5, epsilon: Any = 1e-8, iprint: Any = _UNSET,
    maxfun: int = 15000, maxiter: int = 15000, disp: Any = _UNSET, callback: Any = None,
    maxls: int = 20, *, check: str = "raise", history: History = None,
) -> Any:  # fmt: skip
    """Minimize by L-BFGS-B, as `scipy.optimize.fmin_l_bfgs_b` does.

    See SciPy for the parameters and what is returned, and `thalweg.optimize.fmin` for
    `check` and `history`.
    """
    family = _Family(
        "fmin_l_bfgs_b", func, x0, _gradient_of(fprime, approx_grad), args, check,
        history, callback, bounds=bounds,
    )  # fmt: skip
    return family.call(
        fprime=family.gradient, approx_grad=approx_grad, bounds=bounds, m=m,
        factr=factr, pgtol=pgtol, epsilon=epsilon, iprint=iprint, maxfun=maxfun,
        maxiter=maxiter, disp=disp, maxls=maxls,
    )  # fmt: skip


def fmin_tnc(
    func: Callable[..., Any], x0: Any, fprime: Any = None, args: Any = (),
    approx_grad: Any = 0, bounds: Any = None, epsilon: Any = 1e-8, scale: Any = None,
    offset: Any = None, messages: int = 15, maxCGit: int = -1,
    maxfun: int | None = None, eta: float = -1, stepmx: float = 0, accuracy: float = 0,
    fmin: float = 0, ftol: float = -1, xtol: float = -1, pgtol: float = -1,
    rescale: float = -1, disp: Any = None, callback: Any = None, *,
    check: str = "raise", history: History = None,
) -> Any:  # fmt: skip
    """Minimize by a truncated Newton method, as `scipy.optimize.fmin_tnc` does.

    See SciPy for the parameters and what is returned, and `thalweg.optimize.fmin` for
    `check` and `history`.
    """
    family = _Family(
        "fmin_tnc", func, x0, _gradient_of(fprime, approx_grad), args, check, history,
        callback, bounds=bounds,
    )  # fmt: skip
    return family.call(
        fprime=family.gradient, approx_grad=approx_grad, bounds=bounds, epsilon=epsilon,
        scale=scale, offset=offset, messages=messages, maxCGit=maxCGit, maxfun=maxfun,
        eta=eta, stepmx=stepmx, accuracy=accuracy, fmin=fmin, ftol=ftol, xtol=xtol,
        pgtol=pgtol, rescale=rescale, disp=disp,
    )  # fmt: skip


def fmin_slsqp(
    func: Callable[..., Any], x0: Any, eqcons: Any = (), f_eqcons: Any = None,
    ieqcons: Any = (), f_ieqcons: Any = None, bounds: Any = (), fprime: Any = None,
    fprime_eqcons: Any = None, fprime_ieqcons: Any = None, args: Any = (),
    iter: int = 100, acc: float = 1e-6, iprint: int = 1, disp: Any = None,
    full_output: Any = 0, epsilon: Any = _EPSILON, callback: Any = None, *,
    check: str = "raise", history: History = None,
) -> Any:  # fmt: skip
    """Minimize under constraints by SLSQP, as `scipy.optimize.fmin_slsqp` does.

    See SciPy for the parameters and what is returned, and `thalweg.optimize.fmin` for
    `check` and `history`.
    """
    family = _Family(
        "fmin_slsqp", func, x0, fprime, args, check, history, callback,
        bounds=bounds if np.size(bounds) else None,
    )  # fmt: skip
    return family.call(
        eqcons=eqcons, f_eqcons=f_eqcons, ieqcons=ieqcons, f_ieqcons=f_ieqcons,
        bounds=bounds, fprime=family.gradient, fprime_eqcons=fprime_eqcons,
        fprime_ieqcons=fprime_ieqcons, iter=iter, acc=acc, iprint=iprint, disp=disp,
        full_output=full_output, epsilon=epsilon,
    )  # fmt: skip


def fmin_cobyla(
    func: Callable[..., Any], x0: Any, cons: Any, args: Any = (), consargs: Any = None,
    rhobeg: float = 1.0, rhoend: float = 1e-4, maxfun: int = 1000, disp: Any = None,
    catol: float = 2e-4, *, callback: Any = None, check: str = "raise",
    history: History = None,
) -> Any:  # fmt: skip
    """Minimize under constraints by COBYLA, as `scipy.optimize.fmin_cobyla` does.

    See SciPy for the parameters and what is returned, and `thalweg.optimize.fmin` for
    `check` and `history`.
    """
    family = _Family("fmin_cobyla", func, x0, None, args, check, history, callback)
    return family.call(
        cons, consargs=consargs, rhobeg=rhobeg, rhoend=rhoend, maxfun=maxfun,
        disp=disp, catol=catol,
    )  # fmt: skip


def _gradient_of(fprime: Any, approx_grad: Any) -> Any:
    """Return the gradient as `minimize` calls it; func may return both."""
    if approx_grad:
        return None
    return True if fprime is None else fprime
