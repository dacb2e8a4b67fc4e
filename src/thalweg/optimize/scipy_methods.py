"""SciPy's minimizers: which arguments each one uses or needs, and its options."""

from dataclasses import dataclass

from thalweg.core import ALIASES


@dataclass(frozen=True)
class Method:
    """One of the methods.

    Parameters
    ----------
    label : str
        SciPy's name of it.
    uses : frozenset of str
        Those of ``"gradient"``, ``"hess"``, ``"hessp"``, ``"bounds"`` and
        ``"constraints"`` that it can make use of.
    needs : frozenset of str
        Those of them that it cannot do without; ``"hess"`` means that it needs second
        derivatives, as `hess` or, where it uses that, as `hessp`.
    options : tuple of str
        Names of its options.
    """

    label: str
    uses: frozenset[str]
    needs: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()


def _method(label: str, uses: str, options: str, needs: str = "") -> Method:
    """Write a method's words as one text each."""
    words = frozenset(uses.split()), frozenset(needs.split()), tuple(options.split())
    return Method(label, *words)


_DIFFERENCES = "eps finite_diff_rel_step workers"
_TRUST = (
    "initial_trust_radius max_trust_radius eta gtol maxiter disp return_all inexact "
    "subproblem_maxiter workers"
)
_METHODS = (
    _method(
        "CG", "gradient", f"maxiter gtol norm c1 c2 return_all disp {_DIFFERENCES}"
    ),
    _method(
        "BFGS",
        "gradient",
        f"maxiter gtol norm xrtol c1 c2 hess_inv0 return_all disp {_DIFFERENCES}",
    ),
    _method(
        "L-BFGS-B",
        "gradient bounds",
        f"maxiter maxfun maxcor maxls ftol gtol disp iprint {_DIFFERENCES}",
    ),
    _method(
        "TNC",
        "gradient bounds",
        "maxiter maxfun ftol gtol xtol scale offset maxCGit eta stepmx accuracy minfev "
        f"rescale mesg_num disp {_DIFFERENCES}",
    ),
    _method(
        "Newton-CG",
        "gradient hess hessp",
        "maxiter xtol c1 c2 eps return_all disp workers",
        needs="gradient",
    ),
    _method("trust-ncg", "gradient hess hessp", _TRUST, needs="gradient hess"),
    _method(
        "trust-krylov",
        "gradient hess hessp",
        _TRUST,
        needs="gradient hess",
    ),
    _method(
        "trust-exact",
        "gradient hess",
        _TRUST,
        needs="gradient hess",
    ),
    _method("dogleg", "gradient hess", _TRUST, needs="gradient hess"),
    _method(
        "trust-constr",
        "gradient hess hessp bounds constraints",
        "maxiter gtol xtol barrier_tol sparse_jacobian initial_tr_radius "
        "initial_constr_penalty initial_barrier_parameter initial_barrier_tolerance "
        "factorization_method finite_diff_rel_step workers verbose disp",
    ),
    _method(
        "SLSQP",
        "gradient bounds constraints",
        f"maxiter ftol disp iprint {_DIFFERENCES}",
    ),
    _method("Powell", "bounds", "maxiter maxfev xtol ftol direc return_all disp"),
    _method(
        "Nelder-Mead",
        "bounds",
        "maxiter maxfev xatol fatol initial_simplex adaptive return_all disp",
    ),
    _method("COBYLA", "bounds constraints", "maxiter rhobeg tol catol f_target disp"),
    _method(
        "COBYQA",
        "bounds constraints",
        "maxiter maxfev f_target feasibility_tol initial_tr_radius final_tr_radius "
        "scale disp",
    ),
)

METHODS = {
    ALIASES.get(method.label.lower(), method.label.lower()): method
    for method in _METHODS
}
"""The methods by thalweg's name of them: ``"lbfgs"``, ``"cg"``, ``"trust-constr"``."""
