"""Trainings side by side: in order, the same bits, and all of them stopped at once."""

import _thread
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import datasets
from thalweg.core import cpu
from thalweg.core.types import Array
from thalweg.training.parallel import run_all

X, y = datasets.blobs(60)
NETWORK = tw.DenseNetwork.from_sizes((X.shape[1], 20, len(np.unique(y))))


def first_bias(seed: int, optimizer: str = "adam") -> Array:
    run = tw.fit(
        NETWORK, X, y, loss="cross_entropy", optimizer=optimizer, epochs=20,
        random_state=seed,
    )  # fmt: skip
    return run.parameters[0]["bias"]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("n_jobs", [2, -1])
def test_the_same_bits_as_one_after_another(optimizer: str, n_jobs: int):
    jobs = [(seed, optimizer) for seed in range(6)]
    alone = [first_bias(*job) for job in jobs]
    np.testing.assert_array_equal(run_all(first_bias, jobs, n_jobs), alone)


@pytest.mark.parametrize(("n_jobs", "share"), [(1, 8), (2, 4), (3, 2), (16, 2)])
def test_each_has_its_share_of_the_processors(
    monkeypatch: pytest.MonkeyPatch, n_jobs: int, share: int
):
    monkeypatch.setattr("thalweg.core.cpu.os.sched_getaffinity", lambda who: range(8))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = run_all(
        lambda: (cpu.available_cpus(), cpu.cpus_are_shared()), [()] * 4, n_jobs
    )
    assert found == [(share, True)] * 4
    assert (cpu.available_cpus(), cpu.cpus_are_shared()) == (8, False)


def test_nothing_to_do():
    assert run_all(first_bias, []) == []


def trains_on(met: list[int], ended: list[int]) -> Callable[[int], None]:
    """Return a function that trains for minutes, after noting that it has begun."""

    def work(number: int) -> None:
        met.append(number)
        if number == 3:
            raise ZeroDivisionError("a mistake in one")
        try:
            tw.fit(
                NETWORK, X, y, loss="cross_entropy", epochs=10**7, batch_size=None,
                engine="native" if number else "auto",
            )  # fmt: skip
        finally:
            ended.append(number)

    return work


@pytest.mark.parametrize("jobs", [[1, 3, 4, 5], [3, 1]])
def test_an_error_stops_the_others_and_says_where_it_was(jobs: list[int]):
    met: list[int] = []
    ended: list[int] = []
    with pytest.raises(ZeroDivisionError, match="in one") as caught:
        run_all(trains_on(met, ended), [(job,) for job in jobs], 2)
    place = f"training {jobs.index(3) + 1} of {len(jobs)}"
    assert any(place in note for note in caught.value.__notes__)
    assert set(met) <= set(jobs[:2])
    assert [*sorted(ended), 3] == sorted(met, key=lambda job: (job == 3, job))


@pytest.fixture
def heeded():
    """Have Ctrl-C heard, which what a shell starts in the background ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("what", ["fit", "estimator"])
# Python loses an interrupt that meets it in the callback of a weak reference, and
# only tells; a user presses again.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function:pytest.PytestUnraisableExceptionWarning"
)
def test_control_c_stops_all(n_jobs: int, what: str):
    met: list[int] = []
    heard = threading.Event()

    def work(number: int) -> Any:
        met.append(number)
        if what == "fit":
            return trains_on([], [])(number)
        model = tw.MLPClassifier(max_iter=10**7, n_iter_no_change=10**7)
        return model.fit(X, y)

    def press() -> None:
        while len(met) < n_jobs:
            time.sleep(0.01)
        time.sleep(0.1)
        _thread.interrupt_main()
        while not heard.wait(1.0):
            _thread.interrupt_main()

    before = threading.active_count()
    presser = threading.Thread(target=press)
    presser.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_all(work, [(0,), (1,), (2,), (4,)], n_jobs)
    finally:
        heard.set()
    presser.join()
    assert len(met) == n_jobs
    assert threading.active_count() <= before + 1  # joblib's own may be about to end
