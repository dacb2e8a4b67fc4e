"""``python -m benchmarks``: measure, print the table, draw the curves."""

import argparse
import json
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.contenders import CONTENDERS, remark
from benchmarks.jobs import Job
from benchmarks.report import Measured, Peaks, as_json, show
from benchmarks.timing import measure
from benchmarks.workloads import WORKLOADS, Workload, chosen
from thalweg.engines import ENGINES


def main() -> None:
    """Do what the command line says."""
    asked = _arguments()
    if asked.list:
        for name, workload in WORKLOADS.items():
            print(f"{name:14}{workload.title}; {', '.join(workload.dtypes)}")
        return
    workloads = chosen(asked.names)
    console = Console(stderr=True)
    if asked.plots:
        _draw(asked, console)
        return
    with console.status("GEMM peak"):
        threads = sorted({1, asked.threads})
        peaks = {n: machine.gemm_peak(n) for n in threads}
    measured: list[Measured] = []
    with suppress(KeyboardInterrupt):  # then what there is so far is shown
        for name, workload in workloads.items():
            for dtype in workload.dtypes:
                measured.append(_measure(name, workload, dtype, asked, console))
                _save(measured, peaks, asked)
    with console.status("GEMM peak, once more"):  # somebody may have been busy
        again = {n: machine.gemm_peak(n) for n in threads}
    peaks = {n: {k: max(v, again[n][k]) for k, v in peaks[n].items()} for n in threads}
    show(measured, peaks, asked.threads, asked.quick)
    _save(measured, peaks, asked)


def _save(measured: list[Measured], peaks: Peaks, asked: argparse.Namespace) -> None:
    if asked.json:
        asked.json.write_text(as_json(measured, peaks, asked.threads, asked.quick))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help="workloads, or how their names begin"
    )
    parser.add_argument("--list", action="store_true", help="name the workloads")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: does everything work?"
    )
    parser.add_argument("--repeats", type=int, default=0, help="rounds (15; quick: 2)")
    parser.add_argument(
        "--rivals", nargs="*", choices=[*CONTENDERS][1:],
        help="these alone (all, and our other engines)",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument(
        "--plots", type=Path, metavar="FILE",
        help="draw cost against rows, width, depth and threads, and nothing else",
    )  # fmt: skip
    asked = parser.parse_args()
    if not 1 <= asked.threads <= machine.cores() or asked.repeats < 0:
        parser.error(f"--threads is 1 to {machine.cores()}, --repeats at least 1")
    asked.repeats = asked.repeats or (2 if asked.quick else 15)
    return asked


def _contenders(
    workload: Workload, job: Job, wanted: list[str] | None = None
) -> list[str]:
    """List ours as it picks its engine, ours on every other engine, the rivals."""
    if wanted is not None:
        rivals = (each for each in workload.rivals if each.split(":")[0] in wanted)
        return ["ours", *rivals]
    others = [] if len(ENGINES) == 1 else set(ENGINES) - {remark("ours", job)}
    return ["ours", *(f"ours:engine={name}" for name in others), *workload.rivals]


def _measure(
    name: str,
    workload: Workload,
    dtype: str,
    asked: argparse.Namespace,
    console: Console,
) -> Measured:
    job = workload.make(dtype, asked.quick)
    with console.status(name) as status:
        timings = measure(
            job, _contenders(workload, job, asked.rivals), asked.threads, asked.repeats,
            lambda what: status.update(f"{name}, {dtype}: {what}"),
        )  # fmt: skip
    return Measured(name, workload.title, dtype, job, timings)


def _draw(asked: argparse.Namespace, console: Console) -> None:
    from benchmarks import curves

    with console.status("curves") as status:
        measured = curves.measure_all(
            asked.threads, asked.repeats, asked.quick, status.update
        )
    curves.draw(measured, asked.plots)
    if asked.json:
        asked.json.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
