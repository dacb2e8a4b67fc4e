"""What `thalweg.minimize` adds to SciPy's own time: ``python -m benchmarks.minimize``.

Rosenbrock's function in 2 and 1,000 variables. In each round every contender runs once,
one after another, so that a busy machine slows all of them; the time is that of the
process. The figure is the median over rounds of the ratio to SciPy's time in the same
round. Every row is shown, whoever wins.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import optimize
from threadpoolctl import threadpool_limits

import thalweg as tw

METHODS = ("CG", "BFGS", "L-BFGS-B", "TNC", "Nelder-Mead")
SIZES = (2, 1000)
GOALS = {"off": 1.15, "raise": 1.5}
_SECONDS = 0.02
"""A round repeats a short run so long; process time is counted in small steps."""
_LIMITS: dict[str, dict[str, Any]] = {
    "CG": {"maxiter": 100},
    "BFGS": {"maxiter": 4},
    "L-BFGS-B": {"maxiter": 100},
    "TNC": {"maxfun": 300},
    "Nelder-Mead": {"maxiter": 30},
}
"""Options in 1,000 variables, where whole runs take seconds."""


def contenders(method: str, size: int) -> dict[str, Callable[[], Any]]:
    """Return the three functions to call: SciPy, without the check, and with it."""
    start = np.tile([-1.2, 1.0], size // 2)
    given: dict[str, Any] = {"method": method}
    if method != "Nelder-Mead":
        given["jac"] = optimize.rosen_der
    if size > 2:
        given["options"] = _LIMITS.get(method)
    return {
        "SciPy": lambda: optimize.minimize(optimize.rosen, start, **given),
        **{
            check: lambda check=check: tw.minimize(
                optimize.rosen, start, check=check, **given
            )
            for check in GOALS
        },
    }


def measure(method: str, size: int, rounds: int) -> dict[str, list[float]]:
    """Return seconds a run, a list over the rounds for each contender."""
    functions = contenders(method, size)
    begun = time.process_time()
    functions["SciPy"]()
    repeats = max(1, round(_SECONDS / (time.process_time() - begun + 1e-9)))
    for function in functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    names = list(functions)
    for k in range(rounds):
        for name in names[k % 3 :] + names[: k % 3]:
            begun = time.process_time()
            for _ in range(repeats):
                functions[name]()
            seconds[name].append((time.process_time() - begun) / repeats)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str) -> float:
    """Return the median over rounds of the time relative to SciPy's."""
    pairs = zip(seconds[name], seconds["SciPy"], strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser("python -m benchmarks.minimize")
    parser.add_argument("--rounds", type=int, default=25)
    asked = parser.parse_args()
    table = Table("method", "variables", "SciPy", "check off", "check", "evaluations")
    for size, method in itertools.product(SIZES, METHODS):
        # OpenBLAS's idle threads spin, which is none of ours.
        with threadpool_limits(1):
            seconds = measure(method, size, asked.rounds)
            found = contenders(method, size)["SciPy"]()
            cells = [
                f"{ratio(seconds, check):.2f}{' !' * (ratio(seconds, check) > goal)}"
                for check, goal in GOALS.items()
            ]
            own = 1e3 * statistics.median(seconds["SciPy"])
            table.add_row(method, f"{size:,}", f"{own:.2f} ms", *cells, f"{found.nfev}")
    Console().print(table, "Times SciPy's own; ! is over the goal.", soft_wrap=True)


if __name__ == "__main__":
    main()
