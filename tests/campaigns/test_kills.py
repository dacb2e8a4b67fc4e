"""The kill campaign: SIGKILL while something is written loses and tears nothing.

In full, 500 kills: ``THALWEG_CAMPAIGN=full pytest tests/campaigns/test_kills.py -s``.
The figures in docs/reliability.md are what it prints.
"""

import contextlib
import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
FULL = os.environ.get("THALWEG_CAMPAIGN") == "full"
KILLS = {"model": (200, 8), "report": (100, 3), "table": (50, 8)}  # full, and in CI
SEARCHES = {".db": (75, 4), ".journal": (75, 4)}
WRITER = Path(__file__).parent / "writer.py"


def writer_module() -> Any:
    spec = importlib.util.spec_from_file_location("campaign_writer", WRITER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[[str, Path], int]]:
    """Start a child that does some work with a path; return its number."""
    with subprocess.Popen(
        [sys.executable, str(WRITER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given, told = process.stdin, process.stdout
        assert told.readline() == "ready\n"

        def begin(kind: str, path: Path) -> int:
            print(kind, path, file=given, flush=True)
            return int(told.readline())

        yield begin
        given.close()


def kill_after(child: int, seconds: float) -> bool:
    """Kill a child after some time; return whether it was still at work."""
    time.sleep(seconds)
    hit = is_alive(child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    while is_alive(child):
        time.sleep(0.0005)
    return hit


def is_alive(child: int) -> bool:
    try:
        os.kill(child, 0)
    except ProcessLookupError:
        return False
    return True


def wholes(kind: str, folder: Path) -> set[Any]:
    """What a file of this kind may hold, and nothing else."""
    if kind == "table":
        return {(letter * 999 + "\n") * 200 for letter in "ab"}
    writer = writer_module()
    if kind == "model":
        return {model.predict_proba(writer.X).tobytes() for model in writer.models()}
    found = set()
    for run in writer.runs():
        report.write(run, folder / "whole.html")
        found.add(steady(folder / "whole.html"))
    return found


def steady(page: Path) -> str:
    """Return a page without the times that a training took, which differ."""
    text = page.read_text(encoding="utf-8")
    return f"{text.count('</html>')} {text.count('<script')} {text[-300:]}"


def content(kind: str, path: Path) -> Any:
    if kind == "table":
        return path.read_text()
    if kind == "report":
        return steady(path)
    return tw.load(path).predict_proba(writer_module().X).tobytes()


@pytest.mark.parametrize("kind", KILLS)
def test_a_kill_leaves_the_old_file_or_the_new_one(
    kind: str, start: Callable[[str, Path], int], tmp_path: Path
) -> None:
    rng = random.Random(18)
    n_kills, whole = KILLS[kind][not FULL], wholes(kind, tmp_path)
    path = tmp_path / "out" / f"file.{kind}"
    path.parent.mkdir()
    child = start(kind, path)
    while not path.exists():
        assert is_alive(child)
        time.sleep(0.001)
    begun = time.perf_counter()
    time.sleep(0.02)
    n_drafts = 0
    for _ in range(n_kills):
        kill_after(child, rng.uniform(0, 0.15 if kind == "report" else 0.03))
        assert content(kind, path) in whole  # the old one or the new one, whole
        names = os.listdir(path.parent)
        n_drafts += len(names) - 1
        assert len(names) <= 2  # a draft of the killed writer, and none before it
        child = start(kind, path)
    kill_after(child, 1.0 if kind == "report" else 0.2)
    assert content(kind, path) in whole
    seconds = time.perf_counter() - begun
    print(  # noqa: T201
        f"{kind}: {n_kills} kills, 0 lost, 0 torn, {n_drafts} drafts left and swept, "
        f"{seconds:.0f} s"
    )


@pytest.mark.parametrize("suffix", SEARCHES)
def test_a_killed_search_resumes_with_all_its_trials(
    suffix: str, start: Callable[[str, Path], int], tmp_path: Path
) -> None:
    rng, writer, n_kills, n_searches = random.Random(18), writer_module(), 0, 0
    begun = time.perf_counter()
    while n_kills < SEARCHES[suffix][not FULL]:
        path = tmp_path / f"study {n_searches}{suffix}"
        n_searches += 1
        for _ in range(5):
            n_kills += kill_after(start("search", path), rng.uniform(0.02, 0.35))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a journal's partial line is told
            found = writer.search(str(path))
        states = [trial.state for trial in found.trials]
        assert states == ["complete"] * writer.N_TRIALS
        values = [trial.params["alpha"] for trial in found.trials]
        assert len(np.unique(values)) == writer.N_TRIALS
        assert not path.with_name(f"{path.name}.error").exists()
    seconds = time.perf_counter() - begun
    print(  # noqa: T201
        f"search {suffix}: {n_kills} kills of {n_searches} searches, 0 lost, 0 torn, "
        f"{seconds:.0f} s"
    )
