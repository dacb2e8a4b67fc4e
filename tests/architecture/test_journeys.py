"""The journeys in docs/architecture.md are the ones that the code takes.

Each journey is run once on a small task while every call of a function of thalweg is
recorded. The page defines the terms: the spine of a journey, a leaf, a return.

``python tests/architecture/test_journeys.py`` prints the lists of the page as the code
is now; with ``--write`` it puts them into the page.
"""

import io
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_iris

import thalweg as tw
from thalweg.cli.app import main as command
from thalweg.core.types import Array

SOURCE = f"{Path(tw.__file__).parent}/"
PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"

USER = "your function"
WORK = "Session.advance"

FILES_BEFORE = {
    "MLPClassifier().fit": 10,
    "thalweg fit --members 1": 29,
    "search": 18,
    "diagnose": 27,
    "minimize": 6,
    "fit(from_keras(...))": 8,
}
"""Files that these runs passed while the package was flat, `core` not counted."""


class Step(NamedTuple):
    """One function of thalweg, by its file and qualified name."""

    file: str
    function: str


class Call(NamedTuple):
    """One call, and the calls that it was made in, outermost first."""

    stack: tuple[Step, ...]
    step: Step


class Journey(NamedTuple):
    """What one run passed. The last step of the path is where the work is done."""

    path: list[Step]
    spine: list[str]
    files: list[str]


# ------------------------------------------------------------------------- Tracing


@contextmanager
def recorded(calls: list[Call]) -> Iterator[None]:
    """Record every call of a function of thalweg outside `core`, in any thread."""
    main: list[Step | None] = []
    stacks = {threading.get_ident(): main}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "return"):
            return
        # A thread works for whoever waits for it.
        stack = stacks.setdefault(threading.get_ident(), list(main))
        if event == "return":
            if stack:
                stack.pop()
            return
        step = passed(frame)
        if step is not None:
            calls.append(Call(tuple(s for s in stack if s is not None), step))
        stack.append(step)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def passed(frame: FrameType) -> Step | None:
    """Return the step that a frame is; None outside thalweg and in `core`."""
    code = frame.f_code
    function = code.co_qualname.partition(".<locals>")[0]
    if code is user_function.__code__ and within_scipy(frame):
        return Step(USER, function)
    file = code.co_filename.removeprefix(SOURCE)
    if file == code.co_filename or code.co_name == "<module>":
        return None
    return None if file.startswith(("core/", "__init__.py")) else Step(file, function)


def within_scipy(frame: FrameType | None) -> bool:
    while frame is not None:
        if "/scipy/optimize/" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


# ------------------------------------------------------------------------- Judging


def works(step: Step) -> bool:
    """Whether an engine trains here, or SciPy evaluates the function."""
    return step.file == USER or (
        step.file.startswith("engines/") and step.function.endswith(WORK)
    )


def judge(calls: list[Call]) -> Journey:
    counted = {
        call.stack[-1].file
        for call in calls
        if call.stack and call.stack[-1].file != call.step.file
    }
    work = next((call for call in calls if works(call.step)), None)
    assert work, f"nothing that was called is named {WORK}"
    kept = [step for step in work.stack if step.file in counted]
    path = [*dict.fromkeys(kept), work.step]
    spine = [file for file, _ in groupby(step.file for step in kept)]
    files = dict.fromkeys(call.step.file for call in calls if call.step.file in counted)
    return Journey(path, spine, list(files))


# ------------------------------------------------------------------------ Journeys


def rows() -> tuple[Array, Array]:
    X, y = load_iris(return_X_y=True)
    return np.asarray(X)[::5], np.asarray(y)[::5]


def user_function(x: Array) -> Any:
    return ((x - 1) ** 2).sum()


def user_gradient(x: Array) -> Array:
    return 2 * (x - 1)


def estimator() -> tw.MLPClassifier:
    return tw.MLPClassifier((3,), max_iter=3, random_state=0)


def run_command(folder: Path) -> None:
    X, y = rows()
    table = folder / "flowers.csv"
    lines = [
        "a,b,c,d,kind",
        *(",".join(map(str, (*x, f"k{k}"))) for x, k in zip(X, y, strict=True)),
    ]
    table.write_text("\n".join(lines) + "\n")
    words = [
        "fit",
        str(table),
        "--target",
        "kind",
        "--epochs",
        "3",
        "--members",
        "1",
        "-o",
        str(folder / "m.thalweg"),
    ]
    with pytest.raises(SystemExit, match="0"):
        command(words)


def fit_keras(_: Path) -> None:
    import keras

    X, y = rows()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    tw.fit(tw.from_keras(model), X.astype("float32"), y, loss="cross_entropy", epochs=2)


JOURNEYS: dict[str, Callable[[Path], Any]] = {
    "MLPClassifier().fit": lambda _: estimator().fit(*rows()),
    "thalweg fit --members 1": run_command,
    "search": lambda _: tw.search(
        estimator(), {"alpha": [1e-4, 1e-2]}, *rows(), n_trials=2, n_jobs=1,
        random_state=0,
    ),
    "diagnose": lambda _: tw.diagnose(estimator(), *rows()),
    "minimize": lambda _: tw.minimize(
        user_function, np.zeros(2), jac=user_gradient
    ),
    "fit(from_keras(...))": fit_keras,
}  # fmt: skip


def walk(name: str, folder: Path) -> Journey:
    """Run a journey twice, since the first run also imports, and judge the second."""
    calls = list[Call]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        JOURNEYS[name](folder)
        with recorded(calls):
            JOURNEYS[name](folder)
    return judge(calls)


# ------------------------------------------------------------------------- The page


def section(name: str, journey: Journey) -> str:
    steps = "".join(
        f"{i}. `{step.file}::{step.function}`\n"
        if step.file != USER
        else f"{i}. {USER}\n"
        for i, step in enumerate(journey.path, 1)
    )
    return f"### `{name}`\n\n{steps}"


def written(page: str, name: str) -> str:
    """Return what the page says about a journey."""
    start = page.index(f"### `{name}`\n")
    end = page.find("\n#", start + 1)
    return page[start:].strip() + "\n" if end < 0 else page[start:end].strip() + "\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.keras) if "keras" in name else name
        for name in JOURNEYS
    ],
)
def test_the_page_lists_the_journey_and_its_spine_is_short(
    name: str, tmp_path: Path
) -> None:
    journey = walk(name, tmp_path)
    assert written(PAGE.read_text(), name) == section(name, journey), (
        "refresh the page: python tests/architecture/test_journeys.py --write"
    )
    assert len(set(journey.spine)) <= FILES_BEFORE[name] / 2
    assert [file for file in journey.spine if journey.spine.count(file) > 1] == []


def main(write: bool) -> None:
    page = PAGE.read_text() if write else ""
    for name in JOURNEYS:
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            journey = walk(name, Path(folder))
        own = section(name, journey)
        print(own)
        print(f"spine: {len(journey.spine)} files; whole run: {len(journey.files)}\n")
        if write:
            page = page.replace(written(page, name), own)
    if write:
        PAGE.write_text(page)


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")  # as conftest.py does
    main("--write" in sys.argv)
