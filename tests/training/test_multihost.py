"""Two processes on this machine train one network, as one with all rows would.

Tolerances. In float64 the rows' terms are added in another order than one process adds
them: about n·2⁻⁵³ ≈ 1e-14 for the hundred rows here, times the few steps: hence 1e-11.
The two processes themselves agree to the last bit.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw

WORKER = """
import json, os, sys
import jax
port, me, folder, job = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
jax.distributed.initialize(f"127.0.0.1:{port}", 2, me, shutdown_timeout_seconds=2)
import numpy as np
import thalweg as tw
from tests.training import test_multihost as shared

fits = shared.JOBS[job]
for number, (network, mine, settings) in enumerate(fits):
    X, y, weight = (values[mine[me]] for values in shared.ROWS)
    settings = dict(settings)
    if "checkpoint" in settings:
        settings["checkpoint"] = f"{folder}/{settings['checkpoint']}"
    if settings.pop("dies", False) and me == 1:
        settings["callbacks"] = [lambda r: os._exit(9) if r.epoch == 4 else None]
    if settings.pop("stops", False) and me == 1:
        settings["callbacks"] = [lambda r: r.epoch == 2]
    try:
        run = tw.fit_over_hosts(network, X, y, sample_weight=weight, **settings)
    except (ConnectionError, ValueError) as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    else:
        found = {
            "reason": run.stop_reason.name,
            "engine": run.engine,
            "loss": run.history.loss.tolist(),
            "validation_loss": run.history.validation_loss.tolist(),
            "weights": [{k: v.tolist() for k, v in own.items()}
                        for own in run.parameters],
        }
    with open(f"{folder}/{job}.{number}.{me}.json", "w") as file:
        json.dump(found, file)
"""

RNG = np.random.default_rng(0)
X = RNG.standard_normal((96, 4))
ROWS = X, (X[:, 0] > 0).astype(int), RNG.uniform(0.5, 2, 96)
NETWORK = tw.DenseNetwork.from_sizes((4, 7, 2), activation="tanh")
NORMED = tw.DenseNetwork.from_sizes((4, 7, 2), normalization="batch")
HALVES = (slice(0, 40), slice(40, 96))  # unequal, of course
# Batches of 16 by taking 8 from each process in turn.
TURNS = np.arange(96).reshape(-1, 2, 8)
IN_TURN = (TURNS[:, 0].ravel(), TURNS[:, 1].ravel())

PLAN: dict[str, Any] = {
    "loss": "cross_entropy", "epochs": 6, "learning_rate": 0.05, "random_state": 1,
}  # fmt: skip
WHOLE: dict[str, Any] = {**PLAN, "batch_size": None}
BATCHES: dict[str, Any] = {**PLAN, "batch_size": 16, "shuffle": False}
RESUMED: dict[str, Any] = {**PLAN, "batch_size": 16, "validation": (X[:9], ROWS[1][:9])}
KEPT = {**RESUMED, "checkpoint": "kept", "average": "ema"}

JOBS: dict[str, list[tuple[Any, Any, dict[str, Any]]]] = {
    "fits": [
        (NETWORK, HALVES, {**WHOLE, "l2": 0.3}),
        (NETWORK, IN_TURN, {**BATCHES, "l2": 0.3, "penalty_scale": "batch"}),
        (NETWORK, IN_TURN, {**BATCHES, "clip_norm": 0.1, "accumulate": 2}),
        (NETWORK, HALVES, {**KEPT, "checkpoint": "other"}),
        (NETWORK, HALVES, {**PLAN, "stops": True}),
        (NORMED, HALVES, PLAN),
        (NETWORK, HALVES, {**PLAN, "optimizer": "lbfgs"}),
        (NETWORK, HALVES, {**PLAN, "validation": 0.2}),
    ],
    "dies": [(NETWORK, HALVES, {**KEPT, "dies": True})],
    "resumes": [(NETWORK, HALVES, KEPT)],
}


def run_two(job: str, folder: Path, seconds: float = 120) -> list[list[Any]]:
    """Run a job in two processes; what each found, a fit and then a process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(port), str(me), str(folder), job],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for me in range(2)
    ]  # fmt: skip
    said = []
    for process in processes:
        try:
            said.append(process.communicate(timeout=seconds)[0])
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            said.append("timed out: " + process.communicate()[0])
    found = []
    for number in range(len(JOBS[job])):
        files = [folder / f"{job}.{number}.{me}.json" for me in range(2)]
        found.append([json.loads(f.read_text()) if f.exists() else None for f in files])
    assert found[0][0] is not None, "\n".join(said)
    return found


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    return run_two("fits", tmp_path_factory.mktemp("hosts"))


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("number", range(3), ids=["whole", "batches", "accumulate"])
def test_two_processes_train_as_one_with_all_rows(fits: list[list[Any]], number: int):
    network, _, settings = JOBS["fits"][number]
    lone = tw.fit(network, *ROWS[:2], sample_weight=ROWS[2], engine="jax", **settings)
    first, second = fits[number]
    assert first["weights"] == second["weights"]
    assert first["loss"] == second["loss"]
    np.testing.assert_allclose(first["loss"], lone.history.loss, rtol=1e-11)
    for own, other in zip(first["weights"], lone.parameters, strict=True):
        for name in own:
            np.testing.assert_allclose(own[name], other[name], rtol=1e-11, atol=1e-11)
    assert first["engine"] == "jax (process 0 of 2)"


@pytest.mark.slow
@pytest.mark.integration
def test_what_one_process_says_stops_all(fits: list[list[Any]]):
    for found in fits[4]:
        assert (found["reason"], len(found["loss"])) == ("CALLBACK", 2)


@pytest.mark.slow
@pytest.mark.integration
def test_what_needs_all_rows_in_one_place_is_refused(fits: list[list[Any]]):
    sentences = ("normalization='batch' in layer 0", "optimizer='lbfgs'", "no share")
    for found, sentence in zip(fits[5:], sentences, strict=True):
        assert all(sentence in each["error"] for each in found)


@pytest.mark.integration
@pytest.mark.slow
def test_a_lost_process_stops_the_other_and_the_checkpoint_resumes(
    fits: list[list[Any]], tmp_path: Path
):
    (survivor, lost), *_ = run_two("dies", tmp_path)
    assert lost is None
    assert "ConnectionError: fit_over_hosts lost the connection" in survivor["error"]
    assert "resume from epoch 3" in survivor["error"]
    ((first, second),) = run_two("resumes", tmp_path)
    uninterrupted = fits[3][0]
    assert first["weights"] == second["weights"] == uninterrupted["weights"]
    for name in ("loss", "validation_loss", "reason"):
        assert first[name] == uninterrupted[name]
