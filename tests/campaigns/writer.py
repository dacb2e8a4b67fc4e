"""A process that writes until it is killed; `test_kills` starts and kills it.

It imports everything once. For each line that it reads, it forks a child that does the
work named there, and prints the child's number.

    model PATH     save one of two models, again and again
    report PATH    write a report of one of two trainings
    table PATH     write one of two tables of predictions
    search PATH    search, and keep the trials in PATH
"""

import os
import signal
import sys
import warnings
from collections.abc import Callable
from functools import cache
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import thalweg as tw
from thalweg import report
from thalweg.io import atomic_write
from thalweg.report import page
from thalweg.tuning import storage

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X.sum(axis=1) > 0).astype(int)
N_TRIALS = 6


def models() -> list[Any]:
    """Two models of a size that takes several writes of a page."""
    return [
        tw.MLPClassifier((300, 40), max_iter=1, random_state=seed).fit(X, Y)
        for seed in (0, 1)
    ]


def runs() -> list[Any]:
    network = tw.DenseNetwork.from_sizes((3, 2))
    return [
        tw.fit(network, X, Y, loss="cross_entropy", epochs=epochs, random_state=0)
        for epochs in (2, 3)
    ]


def search(path: str, **options: Any) -> Any:
    model = tw.MLPClassifier((4,), max_iter=30, n_iter_no_change=50, random_state=0)
    space = {"alpha": (1e-6, 1.0, "log")}
    common: dict[str, Any] = {"n_jobs": 1, "repeats": 0, "refit": False}
    return tw.search(
        model, space, X, Y, n_trials=N_TRIALS, sampler="random", storage=path,
        random_state=0, **common, **options,
    )  # fmt: skip


def work_of(kind: str, ready: dict[str, Any]) -> Callable[[str], None]:
    """Return what a child does with a path."""

    def save(path: str) -> None:
        for model in cycle(ready["models"]):
            tw.save(model, path)

    def write_report(path: str) -> None:
        for run in cycle(ready["runs"]):
            report.write(run, path)

    def write_table(path: str) -> None:
        for letter in cycle("ab"):
            with atomic_write(path) as draft, open(draft, "w") as file:
                for _ in range(200):
                    file.write(letter * 999 + "\n")

    work = {"model": save, "report": write_report, "table": write_table}
    return work.get(kind, search)


def main() -> None:
    warnings.simplefilter("ignore")
    storage.HEARTBEAT_INTERVAL = 0.05
    ready: dict[str, Any] = {"models": models(), "runs": runs()}
    # To compress Plotly's program takes longer than all else: kills would hit that.
    inside: Any = page
    inside._plotly = cache(inside._plotly)
    with TemporaryDirectory() as folder:
        report.write(ready["runs"][0], Path(folder) / "first.html")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        kind, path = line.rstrip("\n").split(" ", 1)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = 0
            try:
                work_of(kind, ready)(str(Path(path)))
            except BaseException as error:
                code = 1
                Path(f"{path}.error").write_text(repr(error))
            os._exit(code)
        print(child, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
