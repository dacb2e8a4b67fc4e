"""Minimize a function of your own, with its gradient checked."""

from thalweg.optimize.gradient_check import GradientCheck, check_gradient
from thalweg.optimize.levenberg_marquardt import minimize_damped
from thalweg.optimize.minimize import minimize
from thalweg.optimize.scipy_methods import METHODS, LineSearches, Method, Trail
from thalweg.optimize.user_function import Misshapen, Written

__all__ = [
    "METHODS",
    "GradientCheck",
    "LineSearches",
    "Method",
    "Misshapen",
    "Trail",
    "Written",
    "check_gradient",
    "minimize",
    "minimize_damped",
]
