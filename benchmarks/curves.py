"""Cost against rows, width, depth and threads: how long training takes as each grows.

One epoch of Adam in float32 on random rows; the base is 10,000 rows, 64-256-256-10.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import title
from benchmarks.jobs import Job
from benchmarks.timing import measure

CONTENDERS = ["ours", "numpy"]
_POWERS = {"rows": 1, "width": 2, "depth": 1, "threads": -1}

Curves = dict[str, dict[str, Any]]
"""Axis -> "at" (its values), and the seconds at each by contender."""


def measure_all(
    threads: int, repeats: int, quick: bool, tell: Callable[[str], None]
) -> Curves:
    """Time ours and NumPy along the four axes."""
    rows = [1000, 2000] if quick else [1000, 3000, 10_000, 30_000, 100_000]
    width = [16, 32] if quick else [16, 32, 64, 128, 256, 512, 1024]
    depth = [1, 2] if quick else [1, 2, 4, 8, 16, 32]
    base = 1000 if quick else 10_000
    axes: dict[str, tuple[Sequence[int], Callable[[int], Job]]] = {
        "rows": (rows, lambda n: _job(n)),
        "width": (width, lambda n: _job(base, n)),
        "depth": (depth, lambda n: _job(base, 256, n)),
        "threads": (range(1, threads + 1), lambda n: _job(base, 512)),
    }
    curves: Curves = {}
    for axis, (values, make) in axes.items():
        seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for value in values:
            tell(f"{axis} {value}")
            cores = value if axis == "threads" else threads
            for timing in measure(make(value), CONTENDERS, cores, repeats):
                seconds[timing.contender].append(timing.median)
        curves[axis] = {"at": list(values), **seconds}
    return curves


def draw(curves: Curves, path: Path) -> None:
    """Draw the four curves into one picture."""
    from matplotlib.figure import Figure

    figure = Figure((9, 7), layout="constrained")
    for axes, (axis, curve) in zip(
        figure.subplots(2, 2).flat, curves.items(), strict=True
    ):
        at = np.array(curve["at"], float)
        for name in CONTENDERS:
            axes.plot(at, curve[name], "o-", label=title(name))
        ours, power = curve["ours"], _POWERS[axis]
        from_end = 0 if axis == "threads" else -1
        ideal = ours[from_end] * (at / at[from_end]) ** power
        axes.plot(at, ideal, "k--", lw=0.8, label=f"∝ {axis}^{power}")
        axes.set(xlabel=axis, ylabel="seconds", xscale="log", yscale="log")
        axes.legend()
    figure.suptitle("One epoch of training, float32")
    figure.savefig(path)


def _job(n_rows: int, width: int = 256, depth: int = 2) -> Job:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 64)).astype(np.float32)
    y = np.arange(n_rows) % 10
    return Job("train", X, y, (width,) * depth, "random numbers", batch=200)
