"""Contenders timed in turns, each in a process of its own."""

import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import contenders
from benchmarks.jobs import Job
from benchmarks.machine import ROOT

LONG = 60.0
"""Seconds after which no further round is begun, if there were three; or after three
times as many, if there was one."""

STARTS = 3
"""Fresh processes of each contender for the cold time, fewer where they are slow."""

_PAUSE = 0.05  # OpenBLAS's and OpenMP's threads spin for a while after their work


@dataclass
class Timing:
    """How one contender did; times in seconds, memory in bytes."""

    contender: str
    warm: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    memory: int = 0
    verdict: dict[str, float] = field(default_factory=dict)
    remark: str = ""
    error: str = ""

    @property
    def median(self) -> float:
        """The median warm time; NaN where there is none."""
        return statistics.median(self.warm) if self.warm else float("nan")

    def times_slower_than(self, other: "Timing") -> float:
        """Median of the ratios within rounds."""
        pairs = zip(self.warm, other.warm, strict=False)
        ratios = [mine / theirs for mine, theirs in pairs]
        return statistics.median(ratios) if ratios else float("nan")


class Worker:
    """A process that has done a job once, and does it again when asked."""

    def __init__(self, path: Path, contender: str, threads: int) -> None:
        started = time.perf_counter()
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by close)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", path, contender, str(threads)],
            cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip
        try:
            self.memory = self._hear("peak")["peak"]
            self.cold = time.perf_counter() - started
            self.judged = self._hear("verdict")
        except RuntimeError:
            self.close()
            raise

    def again(self) -> float:
        """Have the work done; how many seconds it took."""
        time.sleep(_PAUSE)
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._hear("seconds")["seconds"]

    def close(self) -> None:
        """End the process."""
        with suppress(OSError):
            self.process.communicate()
        self.errors.close()

    def _hear(self, what: str) -> dict[str, Any]:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith(f'{{"{what}"'):
                return json.loads(line)
        self.errors.seek(0)
        raise RuntimeError(self.errors.read().strip().splitlines()[-1])


def measure(
    job: Job,
    names: list[str],
    threads: int,
    repeats: int,
    tell: Callable[[str], None] = lambda what: None,
) -> list[Timing]:
    """Time contenders on a job.

    Parameters
    ----------
    job : Job
    names : list of str
        As in `contenders`; ours first.
    threads : int
        Cores for each.
    repeats : int
        Rounds, fewer where they would take longer than `LONG`.
    tell : callable
        Is told what is being done.
    """
    with _saved(job) as path:
        timings = {name: Timing(name) for name in names}
        workers: dict[str, Worker] = {}
        try:
            for _ in range(min(repeats, STARTS)):
                _start(path, timings, workers, threads, tell)
                if sum(t.cold[-1] for t in timings.values() if t.cold) > LONG / 6:
                    break
            _take_turns(timings, workers, repeats, tell)
        finally:
            for worker in workers.values():
                worker.close()
    return list(timings.values())


def _start(
    path: Path,
    timings: dict[str, Timing],
    workers: dict[str, Worker],
    threads: int,
    tell: Callable[[str], None],
) -> None:
    """Start everyone afresh, one after the other; the last to start stay."""
    for name, timing in timings.items():
        if name in workers:
            workers.pop(name).close()
        if not contenders.installed(name):
            timing.error = "not installed"
            continue
        tell(f"{contenders.title(name)} from cold")
        try:
            worker = workers[name] = Worker(path, name, threads)
        except RuntimeError as error:
            timing.error = str(error)
            continue
        timing.cold.append(worker.cold)
        timing.memory = worker.memory
        timing.verdict, timing.remark = (
            worker.judged["verdict"],
            worker.judged["remark"],
        )


def _take_turns(
    timings: dict[str, Timing],
    workers: dict[str, Worker],
    repeats: int,
    tell: Callable[[str], None],
) -> None:
    started = time.perf_counter()
    for done in range(repeats):
        elapsed = time.perf_counter() - started
        if elapsed > 3 * LONG or (done >= 3 and elapsed > LONG):
            break
        for name, worker in list(workers.items()):
            tell(f"{contenders.title(name)}, round {done + 1} of {repeats}")
            try:
                timings[name].warm.append(worker.again())
            except (RuntimeError, OSError) as error:
                timings[name].error = str(error)
                workers.pop(name).close()


@contextmanager
def _saved(job: Job) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job"
        path.write_bytes(pickle.dumps(job, protocol=5))
        yield path
