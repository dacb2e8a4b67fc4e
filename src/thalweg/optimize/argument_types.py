"""What the plain arguments of `minimize` may be: numbers, flags, options."""

from collections.abc import Mapping, Sequence
from typing import Any

from thalweg.core import Interval, check_flag, check_number, shown


def check_types(
    tol: Any, options: Any, constraints: Any, max_time: Any, progress: Any
) -> None:
    """Raise ValueError or TypeError for an argument of the wrong type, by its name."""
    owner = "minimize"
    if tol is not None:
        check_number("tol", tol, Interval("[-inf, inf]"), owner=owner)
    if max_time is not None:
        check_number("max_time", max_time, Interval("(0, inf]"), owner=owner)
    check_flag("progress", progress, owner=owner)
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(
            f"minimize got options={shown(options)}; it must be a dict, such as "
            '{"maxiter": 100}, or None.'
        )
    single = isinstance(constraints, Mapping) or hasattr(constraints, "lb")
    several = isinstance(constraints, Sequence) and not isinstance(constraints, str)
    wrong = several and any(isinstance(each, str | int | float) for each in constraints)
    if (not single and not several and constraints is not None) or wrong:
        raise TypeError(
            f"minimize got constraints={shown(constraints)}; it must be a dict, a "
            "LinearConstraint or NonlinearConstraint of SciPy, or a sequence of these."
        )
