"""Minimize a function of your own, with its gradient checked."""

from thalweg.optimize.gradient_check import GradientCheck, check_gradient
from thalweg.optimize.levenberg_marquardt import minimize_damped
from thalweg.optimize.minimize import minimize
from thalweg.optimize.scipy_methods import (
    METHODS,
    LineSearches,
    MemoizedObjective,
    Method,
)
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
    "minimize",
    "minimize_damped",
]
