"""The figures as two tables, warm and cold, and as JSON.

A ratio above 1 is how many times slower a rival is. Rows that we lose stay, in red.
"""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.contenders import CONTENDERS, title
from benchmarks.jobs import Job
from benchmarks.judging import comparable
from benchmarks.machine import describe
from benchmarks.timing import Timing

Peaks = dict[int, dict[str, float]]
"""GEMM peak in operations a second: threads -> dtype -> peak."""

_RIVALS = [name for name in CONTENDERS if name != "ours"]


@dataclass
class Measured:
    """A workload in a dtype, and how everyone did."""

    name: str
    title: str
    dtype: str
    job: Job
    timings: list[Timing]

    @property
    def ours(self) -> list[Timing]:
        """One an engine."""
        return [t for t in self.timings if t.contender.startswith("ours")]

    def rivals(self, kind: str) -> list[Timing]:
        """One rival and its variants."""
        return [t for t in self.timings if t.contender.split(":")[0] == kind]

    def peak_share(self, timing: Timing, peak: dict[str, float]) -> float:
        """Share of the GEMM peak in its dtype that a contender's products reach."""
        epochs = int(timing.verdict.get("epochs", self.job.epochs))
        return self.job.flops(epochs) / timing.median / peak[self.dtype]


def show(measured: list[Measured], peaks: Peaks, threads: int, quick: bool) -> None:
    """Print the tables, and what must be known to read them."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(_heading(peaks, threads, quick), highlight=False)
    console.print(_warm(measured, peaks[threads]), _cold(measured))
    for line in _notes(measured):
        console.print(line, highlight=False, markup=False)


def as_json(measured: list[Measured], peaks: Peaks, threads: int, quick: bool) -> str:
    """Write every figure, single rounds included."""
    rows = [
        {
            **asdict(timing), "workload": m.name, "dtype": m.dtype, "data": m.job.data,
            "median": timing.median, "peak_share": m.peak_share(timing, peaks[threads]),
            "ratio": timing.times_slower_than(m.ours[0]),
        }
        for m in measured for timing in m.timings
    ]  # fmt: skip
    content = {
        "machine": describe(), "threads": threads, "quick": quick,
        "gemm_peak": peaks, "rows": rows,
    }  # fmt: skip
    return json.dumps(_without_nan(content), indent=1)


def _heading(peaks: Peaks, threads: int, quick: bool) -> str:
    lines = [describe()]
    for count, peak in peaks.items():
        speeds = ", ".join(f"{k} {v / 1e9:.0f} GF/s" for k, v in peak.items())
        lines.append(f"GEMM peak, {count} thread{'s' * (count > 1)}: {speeds}")
    lines.append(f"Everyone had {threads} core{'s' * (threads > 1)}.")
    if quick:
        lines.append("QUICK: small sizes; these figures measure nothing.")
    return "\n".join(lines)


def _warm(measured: list[Measured], peak: dict[str, float]) -> Table:
    table = _table("Warm: median time, and how many times slower a rival is")
    table.add_column("GEMM peak", justify="right")
    for m in measured:
        for ours in m.ours:
            rivals = [_ratio_cell(m, ours, kind) for kind in _RIVALS]
            own = _short(ours.error) if ours.error else _time(ours.median)
            share = "" if ours.error else f"{m.peak_share(ours, peak):.0%}"
            table.add_row(m.title, m.dtype, f"{own} {_engine(ours)}", *rivals, share)
        table.add_section()
    return table


def _cold(measured: list[Measured]) -> Table:
    table = _table("Cold: first time in a fresh process, imports included; peak memory")
    for m in measured:
        for ours in m.ours:
            rivals = [
                "\n".join(_cold_cell(t) for t in m.rivals(kind)) or "-"
                for kind in _RIVALS
            ]
            own = f"{_cold_cell(ours)} {_engine(ours)}"
            table.add_row(m.title, m.dtype, own, *rivals)
        table.add_section()
    return table


def _table(caption: str) -> Table:
    table = Table("workload", "dtype", "ours", title=caption, title_justify="left")
    for name in _RIVALS:
        table.add_column(CONTENDERS[name].title, justify="right")
    return table


def _ratio_cell(m: Measured, ours: Timing, kind: str) -> str:
    return "\n".join(_against(m, ours, rival) for rival in m.rivals(kind)) or "-"


def _against(m: Measured, ours: Timing, rival: Timing) -> str:
    if not rival.warm:
        return _short(rival.error)
    ratio = rival.times_slower_than(ours)
    colour = "green" if ratio >= 1 else "red"
    shown = "" if math.isnan(ratio) else f" [{colour}]{ratio:.3g}x[/]"
    return f"{_variant(rival)}{_time(rival.median)}{shown}{_mark(m, ours, rival)}"


def _cold_cell(timing: Timing) -> str:
    if not timing.cold:
        return _short(timing.error)
    seconds = sorted(timing.cold)[len(timing.cold) // 2]
    return f"{_variant(timing)}{_time(seconds)} {timing.memory / 1e6:.0f} MB"


def _engine(ours: Timing) -> str:
    asked = ours.contender.partition("=")[2]
    return asked or f"{ours.remark} (auto)"


def _variant(timing: Timing) -> str:
    change = timing.contender.partition("=")[2]
    return f"{change}: " if change and not timing.remark else ""


def _mark(m: Measured, ours: Timing, rival: Timing) -> str:
    if not ours.verdict or comparable(m.job, ours.verdict, rival.verdict):
        return ""
    return " †"


def _short(error: str) -> str:
    return error if error == "not installed" else "failed"


def _time(seconds: float) -> str:
    if seconds < 0.1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def _notes(measured: list[Measured]) -> list[str]:
    lines = ["Memory is a process's peak: interpreter, libraries and data included."]
    lines += sorted({f"{m.name}: {m.job.data}" for m in measured})
    for m in measured:
        for t in m.timings:
            if t.error and t.error != "not installed":
                lines.append(f"{m.name} {m.dtype}, {title(t.contender)}: {t.error}")
        if any(_mark(m, m.ours[0], t) for t in m.timings if t.verdict):
            figures = "; ".join(
                f"{title(t.contender)} {_figures(t)}" for t in m.timings if t.verdict
            )
            lines.append(f"† {m.name} {m.dtype}, not the same result: {figures}")
    return lines


def _figures(timing: Timing) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in timing.verdict.items())


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
