"""Minimizing a function that you wrote, with its gradient checked."""

from thalweg.optimize.fmin import (
    fmin,
    fmin_bfgs,
    fmin_cg,
    fmin_cobyla,
    fmin_l_bfgs_b,
    fmin_ncg,
    fmin_powell,
    fmin_slsqp,
    fmin_tnc,
)
from thalweg.optimize.gradient_check import GradientCheck, check_gradient
from thalweg.optimize.levenberg_marquardt import minimize_damped
from thalweg.optimize.line_searches import LineSearches
from thalweg.optimize.memoized_objective import MemoizedObjective
from thalweg.optimize.minimize import minimize
from thalweg.optimize.scipy_methods import METHODS, Method
from thalweg.optimize.user_function import ShapeError, UserFunction

__all__ = [
    "METHODS",
    "GradientCheck",
    "LineSearches",
    "MemoizedObjective",
    "Method",
    "ShapeError",
    "UserFunction",
    "check_gradient",
    "fmin",
    "fmin_bfgs",
    "fmin_cg",
    "fmin_cobyla",
    "fmin_l_bfgs_b",
    "fmin_ncg",
    "fmin_powell",
    "fmin_slsqp",
    "fmin_tnc",
    "minimize",
    "minimize_damped",
]
