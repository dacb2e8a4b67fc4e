"""The campaign of checkpoints: kills lose no more than the interval, and no bits.

In full, 300 kills and 60 of SIGTERM:
``THALWEG_CAMPAIGN=full pytest tests/campaigns/test_checkpoint_kills.py -s``.
docs/long-jobs.md says what of it was run.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thalweg.training.checkpoint import read_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.integration]
FULL = os.environ.get("THALWEG_CAMPAIGN") == "full"
KINDS = (
    "fit", "average", "accumulate", "phases", "jax", "lbfgs", "stream", "population",
    "mlp", "classifier",
)  # fmt: skip
KILLS = 26 if FULL else 2
TERMS = 6 if FULL else 1
FAULTS = [
    (call, number) for call in ("write", "fsync", "chmod", "replace") for number in (2,)
]
TRAINER = Path(__file__).parent / "trainer.py"
LONGEST = 120.0
SLACK = 3.0
"""Seconds that a busy machine may add to the interval."""

Start = Callable[..., int]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Start a child that trains with a path; return its number."""
    with subprocess.Popen(
        [sys.executable, str(TRAINER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given, told = process.stdin, process.stdout
        assert told.readline() == "ready\n"

        def begin(kind: str, path: Path, *fault: object) -> int:
            print(kind, path, *fault, file=given, flush=True)
            return int(told.readline())

        yield begin
        given.close()


def is_alive(child: int) -> bool:
    try:
        text = Path(f"/proc/{child}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def wait(child: int) -> None:
    end = time.monotonic() + LONGEST
    while is_alive(child):
        assert time.monotonic() < end, "a child does not end"
        time.sleep(0.002)


def send_after(child: int, seconds: float, number: int) -> bool:
    """Send a signal after some time; return whether the child was still at work."""
    time.sleep(seconds)
    hit = is_alive(child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)
    wait(child)
    return hit


def finished(start: Start, kind: str, path: Path) -> str:
    """Train to the end; return the digest of the result."""
    Path(f"{path}.result").unlink(missing_ok=True)
    wait(start(kind, path))
    error = Path(f"{path}.error")
    assert not error.exists(), error.read_text()
    return json.loads(Path(f"{path}.result").read_text())


def lost(path: Path) -> float:
    """Return the seconds of training that the checkpoint does not have.

    A training writes a line of its log after each epoch.
    """
    log = Path(f"{path}.epochs")
    lines = log.read_text().splitlines() if log.exists() else []
    if not lines or len(lines[-1].split()) < 2:
        return 0.0
    last = float(lines[-1].split()[1])
    if not path.exists():
        return last
    parts = read_checkpoint(path).values()  # raises if it is torn
    clocks = [each["monitor"]["seconds"] for each in parts if "monitor" in each]
    return max(last - max(clocks, default=0.0), 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_resumes_to_the_same_bits(
    kind: str, start: Start, tmp_path: Path
) -> None:
    rng, begun = random.Random(22), time.perf_counter()
    whole = tmp_path / "whole"
    wanted = finished(start, kind, whole)
    again = time.perf_counter()
    assert finished(start, kind, tmp_path / "timed") == wanted
    usual = time.perf_counter() - again
    n_kills, n_files, most, hits = 0, 0, 0.0, 0
    while n_kills < KILLS:
        path = tmp_path / f"run{n_files}"
        n_files += 1
        for _ in range(5):
            n_kills += 1
            hit = send_after(
                start(kind, path), rng.uniform(0.05, 0.6) * usual, signal.SIGKILL
            )
            hits += hit
            if hit and kind != "population":  # whose members have a clock each
                most = max(most, lost(path))
        assert finished(start, kind, path) == wanted
        assert not list(tmp_path.glob(".thalweg-*"))
    assert most < 0.02 + SLACK
    for number, fault in enumerate(FAULTS):
        path = tmp_path / f"fault{number}"
        wait(start(kind, path, *fault))
        if path.exists():
            read_checkpoint(path)
        assert finished(start, kind, path) == wanted
        assert not list(tmp_path.glob(".thalweg-*"))
    seconds = time.perf_counter() - begun
    print(  # noqa: T201
        f"\n{kind}: {n_kills} kills ({hits} while it ran), {len(FAULTS)} within a "
        f"write, 0 torn, 0 other bits, at most {most:.2f} s lost, {seconds:.0f} s"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_terminated_training_ends_with_143_and_resumes(
    kind: str, start: Start, tmp_path: Path
) -> None:
    rng = random.Random(143)
    wanted = finished(start, kind, tmp_path / "whole")
    again = time.perf_counter()
    finished(start, kind, tmp_path / "timed")
    usual = time.perf_counter() - again
    codes, slowest = [], 0.0
    for number in range(TERMS):
        path = tmp_path / f"run{number}"
        child = start(kind, path)
        time.sleep(rng.uniform(0.2, 0.7) * usual)
        asked = time.perf_counter()
        if send_after(child, 0.0, signal.SIGTERM):
            slowest = max(slowest, time.perf_counter() - asked)
            code = Path(f"{path}.code")
            codes.append(code.read_text() if code.exists() else "killed")
        assert finished(start, kind, path) == wanted
    # Before and after the training the signal ends the program as it always does.
    assert set(codes) <= {"143", "killed", "0"}
    print(f"\n{kind}: SIGTERM, codes {codes}, at most {slowest:.2f} s")  # noqa: T201
