"""The quality of the models for tables: ``python -m benchmarks.tabular``.

Each method fits the same splits of the same public tables, each fit in a process of
its own on one thread, and what it predicts for the test rows is judged by one function.
The tables are of two halves: settings of thalweg were chosen by the first alone, so
that the second says how good they are. Rivals that are not installed here may be in
another environment, whose Python ``--rivals`` names.

``--growth`` fits generated tables of 500 to 500,000 rows, which chose nothing either.
``--paired`` times eight members and one in turns, with all cores.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Sheet

from benchmarks.machine import ROOT, describe
from benchmarks.tables.methods import METHODS
from benchmarks.tables.sources import CHECK, CHOOSE, N_SPLITS, Table, grown, installed

_WORKER = ROOT / "benchmarks/tables/worker.py"
_FOLDER = ROOT / "build/tables"
_OURS, _FIRST = "thalweg", ("CatBoost", "HistGB")
_QUICK = ("horse-colic", "glass", "diabetes", "penguins", "carseats")
_GROWTH = (500, 5_000, 50_000, 500_000)
_NEAR = 1.01
"""A loss that is so many times another is lost, and one below the inverse is won."""


@dataclass(frozen=True)
class Fit:
    """How a method did on a split of a table; seconds are of processors."""

    table: str
    split: int
    method: str
    loss: float = math.nan
    seconds: float = math.nan
    wall: float = math.nan
    predict: float = math.nan
    memory: int = 0
    rows: int = 0
    columns: int = 0
    error: str = ""


class Results:
    """All fits, and what they say together."""

    def __init__(self, fits: Iterable[Fit], tables: Sequence[Table]) -> None:
        self.tables = tables
        self.by = {(f.table, f.split, f.method): f for f in fits}
        names = {f.method for f in self.by.values() if not f.error}
        self.methods = [name for name in METHODS if name in names]

    def fits(self, table: Table, method: str) -> list[Fit]:
        """Return the fits of all splits, those that failed left out."""
        found = [
            f for (t, _, m), f in self.by.items() if (t, m) == (table.name, method)
        ]
        return [fit for fit in found if not fit.error]

    def losses(self, table: Table, method: str) -> list[float]:
        """Return the loss on each split, the log-loss with 0.01 added.

        A ratio of log-losses near zero would outweigh all other tables.
        """
        shift = 0.01 if table.task == "classification" else 0.0
        return [fit.loss + shift for fit in self.fits(table, method)]

    def ratio(self, table: Table, method: str, other: str) -> float:
        """Return the geometric mean over splits of the losses' ratios."""
        pairs = zip(self.losses(table, method), self.losses(table, other), strict=False)
        return _geometric(a / b for a, b in pairs)

    def normalized(self, table: Table, method: str) -> float:
        """Return 1 for the loss of the best method, 0 for that of the trivial one."""
        mean = {
            name: statistics.mean(found)
            for name in self.methods
            if (found := self.losses(table, name))
        }
        if method not in mean or "trivial" not in mean:
            return math.nan
        best, worst = min(mean.values()), mean["trivial"]
        return max((worst - mean[method]) / (worst - best), 0.0)


def main() -> None:
    """Do what the command line says."""
    asked = _arguments()
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(f"{describe()}\nOne thread.", highlight=False)
    if asked.quick:
        console.print("QUICK: few small tables, one split; these figures say little.")
    if asked.paired:
        return _paired(console, asked.quick)
    fits: list[Fit] = []
    halves = {"choose": CHOOSE, "check": CHECK}
    if asked.growth:
        sizes = _GROWTH[:2] if asked.quick else _GROWTH
        halves = {
            task: tuple(grown(task, n) for n in sizes)
            for task in ("classification", "regression")
        }
    for half, listed in halves.items():
        if asked.half not in (half, "both") and not asked.growth:
            continue
        tables = _there(listed, asked, console)
        found = Results(list(_fit_all(tables, asked, console)), tables)
        fits += found.by.values()
        title = half if asked.growth else _TITLES[half]
        console.print(_losses(found, title), _costs(found, title))
        if not asked.growth:
            console.print(_summary(found, title))
        for fit in found.by.values():
            if fit.error and fit.split == 0:
                where = f"{fit.table}, {fit.method}: {fit.error}"
                console.print(where, highlight=False, markup=False)
        if asked.json:
            asked.json.write_text(json.dumps([asdict(f) for f in fits], indent=1))
    return None


_TITLES = {
    "choose": "Tables that settings were chosen by",
    "check": "Tables that chose nothing",
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.tabular", description=__doc__
    )
    parser.add_argument("names", nargs="*", metavar="name", help="tables (all)")
    parser.add_argument("--quick", action="store_true", help="does everything work?")
    parser.add_argument("--half", choices=["choose", "check", "both"], default="both")
    parser.add_argument("--splits", type=int, default=N_SPLITS)
    parser.add_argument(
        "--methods", nargs="*", choices=list(METHODS), help="these alone"
    )
    parser.add_argument(
        "--rivals", type=Path, metavar="PYTHON",
        help="the Python of another environment, for the rivals that are not here",
    )  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, default=_FOLDER, help="where tables are kept as Parquet"
    )
    parser.add_argument("--growth", action="store_true", help="500 to 500,000 rows")
    parser.add_argument(
        "--paired", action="store_true", help="the time of eight members beside one's"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    asked = parser.parse_args()
    if asked.splits < 1:
        parser.error("--splits is at least 1")
    known = {table.name for table in (*CHOOSE, *CHECK)}
    if wrong := set(asked.names) - known:
        parser.error(f"no table {', '.join(sorted(wrong))}; there are {sorted(known)}")
    if asked.quick:
        asked.splits, asked.names = 1, asked.names or list(_QUICK)
    if asked.growth:
        asked.splits = 1
    return asked


def _there(
    tables: Sequence[Table], asked: argparse.Namespace, console: Console
) -> list[Table]:
    """Return the tables that can be read here, and say which cannot."""
    if asked.growth:
        return list(tables)
    wanted = [t for t in tables if not asked.names or t.name in asked.names]
    if asked.rivals:  # which may have the packages that tables come in
        _tell_tables(asked.rivals, asked.folder)
    kept = []
    for table, rows, why in installed(tuple(wanted), asked.folder):
        if rows is None:
            console.print(f"{table.name} ({table.source}) is not here: {why}")
        else:
            kept.append(table)
    return kept


def _tell_tables(python: Path, folder: Path) -> None:
    command = [python, ROOT / "benchmarks/tables/sources.py", folder.resolve()]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


def _fit_all(
    tables: Sequence[Table], asked: argparse.Namespace, console: Console
) -> Iterable[Fit]:
    absent: dict[str, str] = {}
    methods = asked.methods or list(METHODS)
    with console.status("") as status:
        for table in tables:
            for number in range(asked.splits):
                for method in methods:
                    if method in absent:
                        continue
                    status.update(f"{table.name}, split {number}: {method}")
                    fit = _fit(table, number, method, asked)
                    if fit.error.startswith("ModuleNotFoundError"):
                        absent[method] = fit.error
                    else:
                        yield fit
    for method, why in absent.items():
        console.print(f"{method} is not installed: {why.partition(': ')[2]}")


def _fit(table: Table, number: int, method: str, asked: argparse.Namespace) -> Fit:
    """Fit in a process of its own, here or where the rivals are."""
    pythons = [Path(sys.executable)]
    if asked.rivals and method not in (_OURS, "one network"):
        pythons.append(asked.rivals)
    last = ""
    for python in pythons:
        command = [
            python, _WORKER, asked.folder.resolve(), table.name, str(number), method
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            facts = json.loads(done.stdout.splitlines()[-1])
            return Fit(table.name, number, method, **facts)
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        if not last.startswith("ModuleNotFoundError"):
            break
    return Fit(table.name, number, method, error=last)


def _losses(found: Results, title: str) -> Sheet:
    """Losses with standard errors; in each row the best in green, ours red if lost."""
    caption = f"{title}: log-loss or root mean squared error ± standard error"
    sheet = Sheet("table", "source", "rows", title=caption, title_justify="left")
    for method in found.methods:
        sheet.add_column(method, justify="right")
    for table in found.tables:
        rows = max((f.rows for m in found.methods for f in found.fits(table, m)),
                   default=0)  # fmt: skip
        means = {
            name: statistics.mean(fit.loss for fit in fits)
            for name in found.methods
            if (fits := found.fits(table, name))
        }
        cells = []
        for name in found.methods:
            if name not in means:
                cells.append("-")
                continue
            each = [fit.loss for fit in found.fits(table, name)]
            error = (
                statistics.stdev(each) / math.sqrt(len(each)) if len(each) > 1 else 0.0
            )
            cell = f"{means[name]:.4g} ± {error:.2g}"
            if means[name] == min(means.values()):
                cell = f"[green]{cell}[/]"
            elif name == _OURS and means[name] > _NEAR * min(means.values()):
                cell = f"[red]{cell}[/]"
            cells.append(cell)
        sheet.add_row(table.name, table.source, str(rows), *cells)
    return sheet


def _costs(found: Results, title: str) -> Sheet:
    caption = (
        f"{title}: seconds of processor time of fit, and peak memory of the process"
    )
    sheet = Sheet("table", title=caption, title_justify="left")
    for method in found.methods:
        sheet.add_column(method, justify="right")
    for table in found.tables:
        cells = []
        for name in found.methods:
            fits = found.fits(table, name)
            if not fits:
                cells.append("-")
                continue
            seconds = statistics.mean(fit.seconds for fit in fits)
            memory = max(fit.memory for fit in fits) / 1e6
            cells.append(f"{seconds:.3g} s {memory:.0f} MB")
        sheet.add_row(table.name, *cells)
    return sheet


def _summary(found: Results, title: str) -> Sheet:
    """Say what each method is worth over all tables."""
    first = next((m for m in _FIRST if m in found.methods), found.methods[0])
    sheet = Sheet(
        "method", f"loss over {first}", "won", "lost", "normalized",
        "lost to linear", "time over HistGB", "memory over one network",
        title=f"{title}: all together", title_justify="left",
        caption=f"Won and lost: against {first}, by 1 %. Normalized: 0 is the trivial "
        "prediction, 1 the best of all. Memory: the peak of the process. Geometric "
        "means.",
    )  # fmt: skip
    for method in found.methods:
        tables = [table for table in found.tables if found.losses(table, method)]
        ratios = [found.ratio(table, method, first) for table in tables]
        over = [found.ratio(table, method, "linear") for table in tables]
        each = [found.normalized(table, method) for table in tables]
        times = [
            a.seconds / max(b.seconds, 0.01)
            for table in tables
            for a, b in zip(
                found.fits(table, method), found.fits(table, "HistGB"), strict=False
            )
        ]
        memory = [
            a.memory / b.memory
            for table in tables
            for a, b in zip(
                found.fits(table, method), found.fits(table, "one network"),
                strict=False,
            )
        ]  # fmt: skip
        sheet.add_row(
            method, f"{_geometric(ratios):.3f}",
            str(sum(ratio < 1 / _NEAR for ratio in ratios)),
            str(sum(ratio > _NEAR for ratio in ratios)),
            f"{statistics.mean(each):.3f}",
            str(sum(ratio > _NEAR for ratio in over)),
            f"{_geometric(max(value, 1e-3) for value in times):.2f}",
            f"{_geometric(memory):.2f}",
        )  # fmt: skip
    return sheet


def _paired(console: Console, quick: bool) -> None:
    """Time eight members and one in turns, in one process, on all cores."""
    from thalweg.estimators.tabular.estimators import Classifier, Regressor

    kinds: dict[str, Any] = {"classification": Classifier, "regression": Regressor}
    for task, kind in kinds.items():
        table = grown(task, 500 if quick else 5_000)
        frame = table.load()
        target = frame.pop(table.target)
        seconds: dict[int, list[float]] = {1: [], 8: []}
        for _ in range(2 if quick else 7):
            for members, taken in seconds.items():
                model = kind(random_state=0, members=members)
                started = time.perf_counter()
                model.fit(frame, target)
                taken.append(time.perf_counter() - started)
        ratios = [b / a for a, b in zip(*seconds.values(), strict=True)]
        console.print(
            f"{table.name}: one {statistics.median(seconds[1]):.2f} s, eight "
            f"{statistics.median(seconds[8]):.2f} s, median of the ratios "
            f"{statistics.median(ratios):.2f} with {os.cpu_count()} cores",
            highlight=False,
        )


def _geometric(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values if value > 0]
    return math.exp(statistics.mean(logs)) if logs else math.nan


if __name__ == "__main__":
    main()
