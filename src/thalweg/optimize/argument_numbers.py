"""Numbers that explain a number: what people make of the user's arguments.

A factor of 1/40 says more as ``0.025 (= 1/args[0].shape[0])``: the m to divide by, the
λ of a penalty, or λ/m.
"""

from typing import Any

import numpy as np


def common_factors(args: tuple[Any, ...]) -> dict[str, float]:
    """Name the lengths of array arguments, such as m, and 1/m, 1/(2·m) and 2·m."""
    lengths = _lengths(args)
    return {
        **{f"1/{name}": 1 / n for name, n in lengths.items()},
        **lengths,
        **{f"1/(2·{name})": 1 / (2 * n) for name, n in lengths.items()},
        **{f"2·{name}": 2 * n for name, n in lengths.items()},
    }


def penalty_strengths(args: tuple[Any, ...]) -> dict[str, float]:
    """Name what people make of a number among the arguments: λ, λ/m, λ - λ/m."""
    numbers = {
        f"args[{i}]": float(arg)
        for i, arg in enumerate(args)
        if isinstance(arg, int | float | np.number) and not isinstance(arg, bool)
    }
    found: dict[str, float] = {}
    for name, value in numbers.items():
        found[name] = value
        for length, n in _lengths(args).items():
            found |= {f"{name}/{length}": value / n,
                      f"({name} - {name}/{length})": value - value / n,
                      f"2·{name}/{length}": 2 * value / n,
                      f"{name}/(2·{length})": value / n / 2}  # fmt: skip
        found |= {f"{name}/2": value / 2, f"2·{name}": 2 * value}
    return found


def spell(value: float, names: dict[str, float]) -> str:
    """Write a number, followed by the first of the names that stands for it."""
    for name, candidate in names.items():
        if np.isclose(value, candidate, rtol=1e-3, atol=0):
            return f"{value:.4g} (= {name})"
    return f"{value:.4g}"


def has_class_numbers(args: tuple[Any, ...]) -> bool:
    """Whether an argument looks like class numbers: one column, not just 0 and 1."""
    for arg in args:
        if hasattr(arg, "dtype") and max(np.shape(arg), default=0) == np.size(arg) > 2:
            array = np.asarray(arg)
            if array.dtype.kind not in "fiub":
                continue
            values = np.unique(array.astype(float))
            whole = np.array_equal(values, np.round(values))
            if whole and values[-1] > 1 and len(values) < 100:
                return True
    return False


def _lengths(args: tuple[Any, ...]) -> dict[str, float]:
    """Name each length of an array argument once, from 3 on."""
    found: dict[float, str] = {}
    for i, arg in enumerate(args):
        for axis, n in enumerate(getattr(arg, "shape", ())):
            found.setdefault(float(n), f"args[{i}].shape[{axis}]")
    return {name: n for n, name in found.items() if n > 2}
