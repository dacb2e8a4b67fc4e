"""MLflow's client reads back what the callback logged on SQLite."""

import socket
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.callbacks import MLflow
from thalweg.datasets import moons

mlflow = pytest.importorskip("mlflow")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore"),
]
X, Y = moons(60)
NETWORK = tw.DenseNetwork.from_sizes((2, 4, 2))
PLAN: dict[str, Any] = {"loss": "cross_entropy", "epochs": 4, "random_state": 0}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)  # load_model looks there
    artifacts = (folder / "artifacts").as_uri()
    mlflow.MlflowClient(uri).create_experiment("tests", artifact_location=artifacts)
    yield uri
    mlflow.set_tracking_uri(before)


def runs(uri: str, name: str) -> list[Any]:
    """Return the run of a name, and those nested in it, in their order."""
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("tests").experiment_id
    every = client.search_runs([experiment], order_by=["attributes.start_time"])
    own = next(run for run in every if run.info.run_name == name)
    parent = "mlflow.parentRunId"
    return [own, *(r for r in every if r.data.tags.get(parent) == own.info.run_id)]


def test_a_training_is_a_run(store: str):
    log = MLflow(store, experiment="tests", run_name="fit", tags={"mine": "1"})
    run = tw.fit(NETWORK, X, Y, validation=0.2, callbacks=[log], **PLAN)
    (found,) = runs(store, "fit")
    assert found.info.status == "FINISHED"
    assert found.data.params["epochs"] == "4"
    assert found.data.tags["mine"] == "1"
    kept = mlflow.MlflowClient(store).get_metric_history(found.info.run_id, "loss")
    assert [each.step for each in kept] == [1, 2, 3, 4]
    np.testing.assert_array_equal([each.value for each in kept], run.history.loss)
    model = mlflow.pyfunc.load_model(f"runs:/{found.info.run_id}/model")
    assert model.metadata.signature.inputs.inputs[0].shape == (-1, 2)
    np.testing.assert_array_equal(model.predict(X), tw.predict(run, X))


def test_an_estimator_is_logged_as_the_model(store: str):
    import pandas as pd

    frame = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 0, "u", "v")})
    log = MLflow(store, experiment="tests", run_name="estimator")
    model = tw.Classifier((4,), max_epochs=2, random_state=0, callbacks=[log])
    model.fit(frame, Y)
    (found,) = runs(store, "estimator")
    loaded = mlflow.pyfunc.load_model(f"runs:/{found.info.run_id}/model")
    assert loaded.metadata.signature.inputs.input_names() == ["a", "b"]
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    files = mlflow.MlflowClient(store).list_artifacts(found.info.run_id, "model/data")
    assert [Path(each.path).name for each in files] == ["model.thalweg"]


def test_trials_are_nested_runs(store: str):
    log = MLflow(store, experiment="tests", run_name="comparison")
    tw.compare(["sgd", "adam"], X, Y, hidden=[4], epochs=2, seeds=2, callbacks=[log])
    own, *trials = runs(store, "comparison")
    assert own.info.status == "FINISHED"
    assert {t.data.params["variant"] for t in trials} == {"sgd", "adam"}
    assert len(trials) == 4
    log = MLflow(store, experiment="tests", run_name="search")
    found = tw.search(
        tw.MLPClassifier((4,), max_iter=2), {"alpha": (1e-5, 1.0, "log")}, X, Y,
        n_trials=2, repeats=0, n_jobs=1, random_state=0, callbacks=[log],
    )  # fmt: skip
    own, *trials = runs(store, "search")
    values = sorted(trial.data.metrics["final_value"] for trial in trials)
    assert values == sorted(trial.value for trial in found.trials)


def test_an_error_is_a_failed_run(store: str):
    def fail(record: Any) -> None:
        raise KeyError("mine")

    log = MLflow(store, experiment="tests", run_name="failed")
    with pytest.raises(KeyError):
        tw.fit(NETWORK, X, Y, callbacks=[log, fail], **PLAN)
    assert runs(store, "failed")[0].info.status == "FAILED"


@pytest.mark.parametrize("listens", [False, True])
def test_a_server_that_does_not_answer_is_one_warning(
    listens: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("thalweg.callbacks.mlflow_log._AT_THE_END", 0.5)
    with socket.socket() as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        server.bind(("127.0.0.1", 0))
        if listens:  # and never says a word
            server.listen()
        log = MLflow(f"http://127.0.0.1:{server.getsockname()[1]}")
        begun = time.monotonic()
        run = tw.fit(NETWORK, X, Y, callbacks=[log], **PLAN)
        assert time.monotonic() - begun < 30
    assert len(run.history) == 4
    (told,) = [str(w.message) for w in caught if "MLflow" in str(w.message)]
    assert told.startswith("MLflow stopped writing to http://127.0.0.1:")
    assert told.endswith("The work goes on without it.")
