"""Checks of arguments: an error names the parameter, its value and what is allowed.

`thalweg.core.registry` checks names and numbers of choices with the same words.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np

from thalweg.core.registry import Interval, shown


def check_flag(parameter: str, value: object, *, owner: str) -> None:
    """Raise TypeError unless `value` is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(
            f"{owner} got {parameter}={shown(value)}; it must be True or False."
        )


def check_whole(parameter: str, value: object, allowed: str, *, owner: str) -> None:
    """Raise ValueError unless `value` is a whole number in an interval."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value not in Interval(allowed):
        raise ValueError(
            f"{owner} got {parameter}={shown(value)}; it must be a whole number in "
            f"{allowed}."
        )


def check_jobs(n_jobs: object, *, owner: str) -> None:
    """Raise ValueError unless `n_jobs` is what joblib takes: a whole number or None."""
    if n_jobs is not None:
        check_whole("n_jobs", n_jobs, "(-inf, inf)", owner=owner)
    if n_jobs == 0 or (isinstance(n_jobs, Integral) and abs(int(n_jobs)) > 10**6):
        raise ValueError(
            f"{owner} got n_jobs={shown(n_jobs)}; it must be a whole number, -1 for "
            "all processors, or None."
        )


def as_callbacks(
    callbacks: Iterable[Callable[..., Any]] | None, *, owner: str
) -> tuple[Callable[..., Any], ...]:
    """Return callbacks as a tuple, none for None; raise TypeError for anything else."""
    if callbacks is None:
        return ()
    found = tuple(callbacks) if isinstance(callbacks, Iterable) else (callbacks,)
    single = not isinstance(callbacks, Iterable) or isinstance(callbacks, str)
    if single or not all(map(callable, found)):
        raise TypeError(
            f"{owner} got callbacks={shown(callbacks)}; it must be a sequence of "
            "functions, such as [print]."
        )
    return found


def asks_to_stop(answer: Any) -> bool:
    """Tell whether a callback's answer is true: True, 1, NumPy's or JAX's True.

    An array of several numbers is no answer: SciPy's callbacks may return their x.
    """
    return getattr(answer, "ndim", 0) == 0 and bool(answer)


@contextmanager
def naming(*parameters: str, owner: str) -> Iterator[None]:
    """Name the parameters where a library's error about their values does not.

    Use it around the conversion of what was given, and nothing else.
    """
    try:
        yield
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        text = str(error)
        if any(re.search(rf"\b{name}\b", text) for name in parameters):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        wrong = " and ".join(parameters)
        raise kind(f"{owner} cannot use {wrong}: {text}") from error
