"""Searches that are kept, broken off, resumed and spread over processes."""

import importlib.util
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import optuna  # noqa: TID253 (tests may wait for it)
import pytest
from optuna.trial import TrialState  # noqa: TID253

import thalweg as tw
from thalweg import EpochRecord, MLPClassifier
from thalweg.datasets import moons
from thalweg.tuning import storage

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = moons(120)
SPACE = {"alpha": (1e-6, 1.0, "log"), "learning_rate_init": (1e-3, 1e-1, "log")}
FILES = ["study.db", "study.journal"]


def model(**parameters: Any) -> Any:
    common = {"hidden_layer_sizes": (6,), "max_iter": 12, "n_iter_no_change": np.inf}
    return MLPClassifier(**{**common, "batch_size": 32, **parameters})


def search(storage: Any, **options: Any) -> Any:
    common = {"n_trials": 12, "random_state": 0, "repeats": 0, "refit": False}
    given = {"estimator": model(), "space": SPACE, "sampler": "random", **common}
    return tw.search(X=X, y=Y, storage=storage, **{**given, **options})


def told(found: Any) -> list[tuple[Any, float]]:
    """What the trials were and how they did, in no order."""
    return sorted((trial.params["alpha"], trial.value) for trial in found.trials)


def study_of(path: Path) -> Any:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        store = storage.open_storage(path)
        return optuna.load_study(study_name="search", storage=store)
    finally:
        optuna.logging.set_verbosity(before)


@pytest.mark.slow
def test_a_journal_cut_off_in_mid_write_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a kill left of its last record, which ends a trial."""
    path = tmp_path / "study.journal"
    search(path, n_trials=2, n_jobs=1)
    lines = path.read_bytes().splitlines(keepends=True)
    told = max(i for i, line in enumerate(lines) if b'"state":1' in line)
    before, last = b"".join(lines[:told]), lines[told]
    for cut in range(1, len(last)):
        path.write_bytes(before + last[:cut])
        with pytest.warns(UserWarning, match=f"a partial line.*These {cut} bytes"):
            study = study_of(path)
        assert [t.state.name for t in study.trials] == ["COMPLETE", "RUNNING"]
        study.set_user_attr("a line", cut)
        assert study_of(path).user_attrs["a line"] == cut
    path.write_bytes(before + last[:9])
    monkeypatch.setattr(storage, "HEARTBEAT_TIMEOUT", 0.0)  # its runner lives: us
    with pytest.warns(UserWarning, match="a partial line"):
        found = search(path, n_trials=2)
    assert values(found) == values(search(None, n_trials=2))


def test_files_of_others_are_not_shortened(tmp_path: Path) -> None:
    path = tmp_path / "diary.log"
    path.write_text("a line\nand half a")
    with pytest.raises(ValueError, match="cannot be used"):
        search(path)
    assert path.read_text() == "a line\nand half a"


def values(found: Any) -> list[float]:
    return sorted(trial.value for trial in found.trials)


def nap(record: EpochRecord) -> None:
    time.sleep(0.02)


# -------------------------------------------------------------------- resuming


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_what_was_finished_counts(file: str, tmp_path: Path) -> None:
    whole = search(None)
    first = search(tmp_path / file, n_trials=5)
    assert len(first.trials) == 5
    rest = search(tmp_path / file)
    assert told(rest) == told(whole)
    assert rest.best_score == whole.best_score
    again = search(tmp_path / file)
    assert told(again) == told(rest)
    lengths = [len(trial.history) for trial in again.trials]
    assert lengths == [12] * 12


@pytest.mark.slow
def test_the_seed_is_kept_with_the_study(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    search(path, n_trials=2, random_state=None)
    more = search(path, n_trials=4, random_state=None)
    other = tmp_path / "b.db"
    whole = search(other, n_trials=4, random_state=study_of(path).user_attrs["seed"])
    assert told(more) == told(whole)


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_a_search_survives_being_killed(file: str, tmp_path: Path) -> None:
    """Killed in mid-trial: what was done counts, what was running is done again."""
    path = tmp_path / file
    command = [sys.executable, __file__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for awaited in ("done", "done", "done", "begun"):
            assert any(line == f"{awaited}\n" for line in child.stdout)
        child.send_signal(signal.SIGKILL)
    study = study_of(path)
    states = [trial.state for trial in study.trials]
    assert TrialState.RUNNING in states
    done = {t.user_attrs["index"] for t in study.trials if t.state.is_finished()}
    found = search(path)
    assert told(found) == told(search(None))
    trials = study_of(path).trials
    lost = [t for t in trials if t.state is TrialState.FAIL]
    assert len(lost) == states.count(TrialState.RUNNING)
    assert done.isdisjoint(t.user_attrs.get("index") for t in lost)
    again = {t.user_attrs["index"] for t in trials if "attempt" in t.user_attrs}
    assert len(again) == len(lost)


def begin_elsewhere(path: Path, seconds_ago: float) -> None:
    """Leave a trial running, as a runner on another machine does."""
    search(path, n_trials=2)
    study = study_of(path)
    line = {"at": time.time() - seconds_ago, "host": "elsewhere", "pid": 1}
    study.set_user_attr("runner abc", line)
    study.ask().set_user_attr("runner", "abc")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds_ago", "lost"), [(1.0, False), (2 * storage.HEARTBEAT_TIMEOUT, True)]
)
def test_a_heartbeat_that_stopped_frees_its_trials(
    seconds_ago: float, lost: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.db"
    begin_elsewhere(path, seconds_ago)
    found = search(path, n_trials=4)
    states = [trial.state for trial in study_of(path).trials]
    assert states.count(TrialState.RUNNING) == (not lost)
    assert states.count(TrialState.FAIL) == lost
    # One that runs elsewhere counts: it will be told there.
    assert len(found.trials) == 4 - (not lost)
    if lost:
        assert told(found) == told(search(None, n_trials=4))


@pytest.mark.slow
def test_a_runner_of_this_machine_is_asked_whether_it_lives(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    begin_elsewhere(path, 0.0)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    line = {"at": time.time(), "host": socket.gethostname(), "pid": gone.pid}
    study_of(path).set_user_attr("runner abc", line)
    assert len(search(path, n_trials=4).trials) == 4


def test_heartbeats_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "HEARTBEAT_INTERVAL", 0.05)
    study = optuna.create_study()
    with storage.Heartbeat(study) as heartbeat:
        name = f"runner {heartbeat.runner}"
        first = study.user_attrs[name]["at"]
        for _ in range(100):
            time.sleep(0.05)
            if study.user_attrs[name]["at"] > first:
                break
        assert first < study.user_attrs[name]["at"] <= time.time()
    assert study.user_attrs[name]["at"] == 0


# -------------------------------------------------------- storages that are wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"space": {"alpha": (1e-6, 1.0, "log")}}, "space"),
        ({"estimator": model(max_iter=13)}, "estimator"),
        ({"scoring": "f1"}, "metric"),
        ({"cv": 3}, "division"),
        ({"X": X + 1}, "data"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_another_search_in_the_same_place(
    change: dict[str, Any], part: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.db"
    search(path, n_trials=1)
    given = {"estimator": model(), "space": SPACE, "X": X, "y": Y, **change}
    with pytest.raises(ValueError, match=f"another {part} .*another study_name"):
        tw.search(**given, storage=path, n_trials=1, repeats=0)
    options = {"study_name": "second", "n_trials": 1, "repeats": 0, "refit": False}
    assert len(tw.search(**given, storage=path, **options).trials) == 1


def test_a_study_that_is_not_ours(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    study = optuna.create_study(study_name="search", storage=url, direction="maximize")
    study.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(ValueError, match="thalweg did not make"):
        search(tmp_path / "a.db")


def test_a_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    search(path, n_trials=1)
    monkeypatch.setattr(storage, "_BUSY_TIMEOUT", 0.1)
    with sqlite3.connect(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ValueError, match=r"a\.db is locked by another program"):
            search(path)
        other.rollback()
    other.close()


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_something_else(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("a table, with commas\n" * 100)
    with pytest.raises(ValueError, match=f"{file} cannot be used to keep a study"):
        search(tmp_path / file)


@pytest.mark.parametrize("url", ["oracle://host/name", "nonsense://host/name"])
def test_a_database_without_its_driver(url: str) -> None:
    with pytest.raises(ValueError, match="storage"):
        search(url)


@pytest.mark.parametrize(
    "name",
    ["z?1.db", "a b#.db", "100%.db", "%41.sqlite", "{x}.db", "ü&=;.db", ":memory:.db"],
)
def test_a_path_is_a_path(name: str, tmp_path: Path) -> None:
    search(tmp_path / name, n_trials=1)
    assert len(search(str(tmp_path / name), n_trials=2).trials) == 2
    assert os.listdir(tmp_path) == [name]


def test_a_relative_path_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    search("a?.db", n_trials=1)
    assert os.listdir(tmp_path) == ["a?.db"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [("folder.db", "is a folder"), ("no/a.db", "does not exist"), (3, "storage=3")],
)
def test_a_storage_that_cannot_be_is_named(
    bad: Any, message: str, tmp_path: Path
) -> None:
    (tmp_path / "folder.db").mkdir()
    given = tmp_path / bad if isinstance(bad, str) else bad
    with pytest.raises((OSError, TypeError), match=message):
        search(given)


SECRET = "s3cr3t"
WITH_PASSWORD = [
    f"postgresql://user:{SECRET}@localhost:1/name",
    f"postgresql+psycopg2://user:{SECRET}@localhost:1/name",
    f"postgresql://localhost:1/name?user=me&password={SECRET}",
    f"postgresql://user:{SECRET}%40%2F@localhost:port/name",
    f"mysql://user:{SECRET}@localhost:1/name",
    f"nonsense://user:{SECRET}@host/name",
    f"redis://:{SECRET}@localhost:1",
    f"sqlite://user:{SECRET}@host/name",
]


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_a_password_is_never_printed(url: str) -> None:
    with pytest.raises(ValueError, match=r"name|storage") as caught:
        search(url)
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    assert SECRET not in repr(storage.StudyAddress.of(url, "search"))
    assert SECRET not in storage.shown(url)


@pytest.mark.parametrize(
    ("installed", "driver"),
    [
        ({"psycopg", "psycopg2"}, "psycopg"),
        ({"psycopg"}, "psycopg"),
        ({"psycopg2"}, "psycopg2"),
    ],
)
def test_the_driver_of_postgresql_that_is_installed_is_taken(
    installed: set[str], driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_module(name: str) -> None:
        if name not in installed:
            raise ImportError(name)

    monkeypatch.setattr(storage, "import_module", import_module)
    for scheme in ("postgresql", "postgres"):
        url = storage._with_driver(f"{scheme}://me@host/name")  # pyright: ignore[reportPrivateUsage]
        assert url == f"postgresql+{driver}://me@host/name"
    installed.clear()
    with pytest.raises(ValueError, match=r"driver is not installed.*psycopg\[binary\]"):
        search("postgresql://me@host/name")


@pytest.mark.parametrize("moment", ["asked", "signed", "suggested", "failed"])
def test_a_trial_orphaned_at_any_moment_is_done_again(
    moment: str, tmp_path: Path
) -> None:
    """A runner is killed at a moment of its second trial; the search is resumed."""
    path = tmp_path / "a.db"
    search(path, n_trials=1)
    study = study_of(path)
    store = study._storage
    dead = "runner 0123456789ab"
    line = {"at": time.time(), "host": socket.gethostname(), "pid": 2**22 + 1}
    study.set_user_attr(dead, line)
    trial = study.ask()
    if moment != "asked":
        trial.set_user_attr("runner", dead.split()[1])
        trial.set_user_attr("index", 1)
    if moment in ("suggested", "failed"):
        trial.suggest_float("alpha", 1e-6, 1.0, log=True)
    if moment == "failed":  # another runner marked it, and died before it queued it
        store.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    found = search(path, n_trials=3)
    assert [each.state for each in found.trials] == ["complete"] * 3
    states = [each.state.name for each in study_of(path).get_trials()]
    assert sorted(states) == ["COMPLETE"] * 3 + ["FAIL"]
    fresh = search(tmp_path / "b.db", n_trials=3)
    if moment in ("asked", "signed"):
        assert told(found) == told(fresh)


# ------------------------------------------------------------------- PostgreSQL


def find_server() -> Path | None:
    """Return the folder of PostgreSQL's programs; Debian keeps them off the path."""
    own = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = [Path(own).resolve()] if own else debian
    return found[-1].parent if found else None


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """Start a server of our own, on a socket in a folder that is thrown away."""
    here = "SQLite and the journal keep searches in the other tests"
    pytest.importorskip(
        "psycopg2", reason=f"psycopg2-binary has no wheel for this Python; {here}"
    )
    programs = find_server()
    if programs is None:
        pytest.skip(f"the system has no PostgreSQL server to start; {here}")
    pwd = pytest.importorskip(
        "pwd", reason="Windows: the server is found on POSIX only"
    )
    root = os.geteuid() == 0  # which it refuses to run as
    if root and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip("PostgreSQL refuses root, and the system has no user postgres")
    given: Any = {"user": "postgres", "cwd": "/"} if root else {}
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        if root:
            shutil.chown(folder, "postgres")
        data = ["-D", f"{folder}/data"]
        init = [programs / "initdb", *data, "-U", "tester", "-A", "trust"]
        subprocess.run(init, check=True, **given, **quiet)
        options = ["-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        command = [programs / "postgres", *data, *options]
        server = subprocess.Popen(command, **given, **quiet)
        try:
            for _ in range(300):
                ready = subprocess.run(
                    [programs / "pg_isready", "-h", folder], **quiet
                ).returncode
                if ready == 0:
                    break
                time.sleep(0.1)
            yield f"postgresql+psycopg2://tester@/postgres?host={folder}"
        finally:
            server.send_signal(signal.SIGINT)  # ends the connections, then itself
            server.wait()


@pytest.mark.postgres
@pytest.mark.slow
def test_postgres_keeps_a_search(postgres: str) -> None:
    first = search(postgres, n_trials=5)
    assert len(first.trials) == 5
    found = search(postgres)
    assert told(found) == told(search(None))
    with joblib.parallel_config(backend="loky", n_jobs=2):
        pruned = search(
            postgres, space={"learning_rate_init": [1e-9, 0.05]}, pruner="median",
            estimator=model(max_iter=30), n_trials=20, study_name="pruned",
            sampler="random",
        )  # fmt: skip
    assert any(trial.state == "pruned" for trial in pruned.trials)


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("localhost", 0))
        return own.getsockname()[1]


def answers(port: int) -> bool:
    with socket.socket() as own:
        return own.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.integration
def test_redis_keeps_a_search() -> None:
    pytest.importorskip("redis", reason="Redis' client is not installed: an option")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("the system has no Redis server to start")
    port = free_port()
    command = [program, "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    with subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL) as server:
        try:
            while not answers(port):
                time.sleep(0.05)
            url = f"redis://127.0.0.1:{port}"
            assert len(search(url, n_trials=5).trials) == 5
            assert told(search(url)) == told(search(None))
        finally:
            server.terminate()


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optunas_proxy_keeps_a_search(tmp_path: Path) -> None:
    """Workers that cannot reach the database report, and are pruned, through it."""
    pytest.importorskip("grpc", reason="grpcio is not installed: an option")
    store, port = f"sqlite:///{tmp_path / 'study.db'}", free_port()
    serve = (
        "from optuna.storages import RDBStorage, run_grpc_proxy_server as run;"
        f"run(RDBStorage({store!r}), port={port})"
    )
    command = [sys.executable, "-W", "ignore", "-c", serve]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            proxy = optuna.storages.GrpcStorageProxy(port=port)
            proxy.wait_server_ready(timeout=60)
            with joblib.parallel_config(backend="loky", n_jobs=2):
                found = search(
                    proxy, space={"learning_rate_init": [1e-9, 0.05]}, n_trials=20,
                    estimator=model(max_iter=30), pruner="median", sampler="random",
                )  # fmt: skip
        finally:
            server.terminate()
    assert any(trial.state == "pruned" for trial in found.trials)


def test_a_driver_that_is_not_installed_is_named() -> None:
    if importlib.util.find_spec("redis") is not None:
        pytest.skip("redis is installed, so that nothing is missing to be named")
    with pytest.raises(ValueError, match=r"driver is not installed.*redis for Redis"):
        search("redis://localhost:1")


# ------------------------------------------------------------- other processes


def test_pruning_from_processes_needs_a_shared_storage() -> None:
    with (
        joblib.parallel_config(backend="loky", n_jobs=2),
        pytest.raises(ValueError, match="cannot report to a study in memory"),
    ):
        search(None, pruner="median")


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_processes_prune_through_the_file(file: str, tmp_path: Path) -> None:
    space = {"learning_rate_init": [1e-9, 0.05]}
    with joblib.parallel_config(backend="loky", n_jobs=2):
        found = search(
            tmp_path / file, space=space, pruner="median", n_trials=20,
            estimator=model(max_iter=30), sampler="random",
        )  # fmt: skip
    assert any(trial.state == "pruned" for trial in found.trials)


def deadly(fitted: Any, X: Any, y: Any) -> float:
    """Score; but a worker that meets the middle setting dies of it."""
    if fitted.alpha == 0.5:
        os.kill(os.getpid(), signal.SIGKILL)
    return fitted.alpha


@pytest.mark.integration
@pytest.mark.slow
def test_a_worker_that_dies_loses_only_its_trial() -> None:
    """The others are done; the one that kills is given up after three attempts."""
    space = {"alpha": [0.1, 0.2, 0.5, 0.3, 0.4]}
    with joblib.parallel_config(backend="loky", n_jobs=2):
        found = search(None, space=space, sampler="grid", scoring=deadly)
    done = sorted(t.params["alpha"] for t in found.trials if t.state == "complete")
    assert done == [0.1, 0.2, 0.3, 0.4]
    (failed,) = [trial for trial in found.trials if trial.state == "failed"]
    assert failed.why == "Its worker died 3 times."


@pytest.mark.dask
@pytest.mark.slow
def test_dask_does_the_same_trials_though_a_worker_is_killed() -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    killed: list[int] = []
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as c,
    ):

        def kill(trial: Any) -> None:
            if not killed:
                killed.append(min(c.run(os.getpid).values()))
                os.kill(killed[0], signal.SIGKILL)

        with joblib.parallel_config(backend="dask"):
            slow = model(callbacks=(nap,))
            found = search(None, estimator=slow, callbacks=[kill])
    whole = search(None, n_jobs=1)
    assert killed
    assert told(found) == told(whole)
    assert found.best_params == whole.best_params


_RAY = """
import joblib, ray, thalweg as tw
from sklearn.datasets import load_iris
X, y = load_iris(return_X_y=True)
model = tw.MLPClassifier((6,), max_iter=5, solver="lbfgs")
options = {"n_trials": 4, "random_state": 0, "repeats": 0, "sampler": "random"}
def alphas(**more):
    found = tw.search(model, {"alpha": (1e-5, 1.0)}, X, y, **options, **more)
    return [(trial.params["alpha"], trial.value) for trial in found.trials]
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
with joblib.parallel_config(backend="ray"):
    spread = alphas()
print("the same:", spread == alphas(n_jobs=1))
"""


@pytest.mark.ray
@pytest.mark.slow
def test_ray_does_the_same_trials() -> None:
    """In a process of its own: Ray warns of much, and leaves threads behind."""
    pytest.importorskip("ray", reason="Ray has no wheel for this Python")
    command = [sys.executable, "-W", "ignore", "-c", _RAY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    # Ray has its own things to say, on the same stream.
    assert "the same: True" in done.stdout, done.stderr[-2000:]


if __name__ == "__main__":  # the search that is killed

    def say(word: str) -> None:
        sys.stdout.write(f"{word}\n")
        sys.stdout.flush()

    def begin(record: EpochRecord) -> None:
        nap(record)
        if record.epoch == 1:
            say("begun")

    slow = model(callbacks=(begin,))
    search(Path(sys.argv[1]), estimator=slow, callbacks=[lambda trial: say("done")])
