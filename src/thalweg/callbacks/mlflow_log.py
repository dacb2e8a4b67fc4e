"""A training as a run of MLflow.

A thread of its own speaks to MLflow. The training thereby waits for no server, and a
server that does not answer costs one warning.
"""

import queue
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from thalweg.callbacks.log import Log, Writer
from thalweg.callbacks.values import (
    as_texts,
    final_numbers,
    history_of,
    name_of,
    numbers_of,
    settings_of,
)
from thalweg.core import EpochRecord, Run, Start, check_flag, need, shown

_PATIENCE = 5.0  # seconds until a server must have taken a connection
_AT_THE_END = 60.0  # seconds that the end of a training waits for the thread
_BETWEEN = 1.0  # seconds between two deliveries of metrics
_MOST = 900  # metrics of one delivery; MLflow takes 1000
_LOADER = "thalweg.callbacks.mlflow_model"


class MLflow(Log):
    """A callback that logs a training to MLflow.

    The run has the hyperparameters, the metrics of each epoch by step, and the final
    ones (``final_loss``). The model is logged too: our file, in a folder that
    ``mlflow.pyfunc.load_model`` loads, with its signature. A search or a comparison is
    a run, and each of its trials is a run nested in it.

    Parameters
    ----------
    uri : str or None
        Where MLflow keeps its runs, such as ``"sqlite:///mlflow.db"`` or
        ``"http://host:5000"``. None takes what MLflow itself is set to.
    experiment : str or None
        Its name; it is made if it is not there. None takes MLflow's current one.
    run_name : str or None
        None lets MLflow draw a name.
    tags : mapping of str to str, optional
    log_model : bool
        Whether the model is logged.

    Raises
    ------
    ValueError
        If MLflow is not installed.

    Notes
    -----
    Where the program has a run of MLflow active, ours is nested in it.
    """

    def __init__(
        self,
        uri: str | None = None,
        *,
        experiment: str | None = None,
        run_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        log_model: bool = True,
    ) -> None:
        super().__init__()
        for name, value in {
            "uri": uri, "experiment": experiment, "run_name": run_name
        }.items():  # fmt: skip
            if value is not None and not isinstance(value, str):
                raise TypeError(
                    f"MLflow got {name}={shown(value)}; it must be a text or None."
                )
        check_flag("log_model", log_model, owner="MLflow")
        need("mlflow", "MLflow needs the package mlflow", "mlflow")
        self.uri, self.experiment, self.run_name = uri, experiment, run_name
        self.tags, self.log_model = dict(tags or {}), log_model

    def _writer(self, start: Start, number: int) -> Writer:
        mlflow = import_module("mlflow")
        uri = self.uri or mlflow.get_tracking_uri()
        active = mlflow.active_run()
        parent = None if active is None else active.info.run_id
        return _Logged(self, uri, start, parent)


class _Logged(Writer):
    """One training, search or comparison, and the thread that logs it."""

    def __init__(self, log: MLflow, uri: str, start: Start, parent: str | None) -> None:
        super().__init__("MLflow", uri)
        self.log, self.uri, self.start, self.parent = log, uri, start, parent
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.waiting: list[tuple[dict[str, float], int, int]] = []
        self.sent, self.trouble = time.monotonic(), ""
        self.run_id, self.experiment_id = "", ""
        self.client: Any = None
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()
        self.jobs.put(self._begin)

    def see(self, record: Any) -> None:
        """Log an epoch, or a trial with all its epochs."""
        if self.trouble:
            return self.give_up(self.trouble)
        if not isinstance(record, EpochRecord):
            self.jobs.put(lambda: self._log_trial(record))
            return None
        self.waiting.append((numbers_of(record), record.epoch, _now()))
        if time.monotonic() - self.sent >= _BETWEEN:
            self._send()
        return None

    def end(self, result: Any) -> None:
        """Log what a work ended with; a fit of an estimator is not at its end yet."""
        self._send()
        self.jobs.put(lambda: self._log_end(result))
        if self.start.estimator is None or result is None:
            if isinstance(result, Run) and self.log.log_model:
                self.jobs.put(lambda: self._log_model(result, self.start.sample))
            best = getattr(result, "best_estimator", None)
            if best is not None and self.log.log_model:
                self.jobs.put(lambda: self._log_model(best, self.start.sample))
            self._close("FAILED" if result is None else "FINISHED")

    def fitted(self, estimator: Any, X: Any) -> None:
        """Log the estimator, which is what is predicted with, and end."""
        if self.failed:
            return
        if self.log.log_model:
            self.jobs.put(lambda: self._log_model(estimator, X))
        self._close("FINISHED")

    def _close(self, status: str) -> None:
        """End the run, and wait for the thread, but not for ever."""
        self.jobs.put(lambda: self.client.set_terminated(self.run_id, status))
        self.jobs.put(None)
        self.thread.join(_AT_THE_END)
        if self.thread.is_alive():
            self.trouble = f"it did not answer within {_AT_THE_END:.0f} seconds."
        if self.trouble:
            self.give_up(self.trouble)

    def _send(self) -> None:
        waiting, self.waiting = self.waiting, []
        self.sent = time.monotonic()
        if waiting:
            self.jobs.put(lambda: self._log_epochs(self.run_id, waiting))

    # What the thread does.

    def _work(self) -> None:
        try:
            while (job := self.jobs.get()) is not None:
                job()
        except Exception as error:
            text = " ".join(str(error).split())
            said = text if len(text) < 300 else f"{text[:300]}..."
            self.trouble = f"{type(error).__name__}: {said.rstrip('.')}."

    def _begin(self) -> None:
        _reach(self.uri)
        self.client = import_module("mlflow").MlflowClient(self.uri)
        self.experiment_id = self._experiment()
        self.run_id = self._create(self.log.run_name, self.parent, self.log.tags)
        self._log_settings(self.run_id, self.start.settings)

    def _experiment(self) -> str:
        if self.log.experiment is None:
            fluent = import_module("mlflow.tracking.fluent")
            return str(fluent._get_experiment_id())
        found = self.client.get_experiment_by_name(self.log.experiment)
        if found is not None:
            return found.experiment_id
        return self.client.create_experiment(self.log.experiment)

    def _create(
        self, name: str | None, parent: str | None, tags: Mapping[str, str]
    ) -> str:
        own = {"mlflow.source.name": "thalweg", **tags}
        if parent:
            own["mlflow.parentRunId"] = parent
        run = self.client.create_run(self.experiment_id, tags=own, run_name=name)
        return run.info.run_id

    def _log_settings(self, run_id: str, settings: Mapping[str, Any]) -> None:
        entities = import_module("mlflow.entities")
        texts = as_texts({_allowed(k): v for k, v in settings.items()}, most=500)
        params = [entities.Param(k, v) for k, v in texts.items()]
        for begin in range(0, len(params), 100):
            self.client.log_batch(run_id, params=params[begin : begin + 100])

    def _log_epochs(
        self, run_id: str, epochs: list[tuple[dict[str, float], int, int]]
    ) -> None:
        entities = import_module("mlflow.entities")
        metrics = [
            entities.Metric(_allowed(name), value, at, step)
            for numbers, step, at in epochs
            for name, value in numbers.items()
        ]
        for begin in range(0, len(metrics), _MOST):
            self.client.log_batch(run_id, metrics=metrics[begin : begin + _MOST])

    def _log_final(self, run_id: str, result: Any) -> None:
        final = {f"final_{k}": v for k, v in final_numbers(result).items()}
        self._log_epochs(run_id, [(final, 0, _now())])

    def _log_trial(self, trial: Any) -> None:
        run_id = self._create(name_of(trial), self.run_id, {})
        self._log_settings(run_id, settings_of(trial))
        history = history_of(trial)
        if history is not None:
            epochs = [(numbers_of(each), each.epoch, _now()) for each in history]
            self._log_epochs(run_id, epochs)
        self._log_final(run_id, trial)
        if trial.why:
            self.client.set_tag(run_id, "why", trial.why[:5000])
        failed = getattr(trial, "state", "") == "failed"
        self.client.set_terminated(run_id, "FAILED" if failed else "FINISHED")

    def _log_end(self, result: Any) -> None:
        if result is None:
            return
        self._log_final(self.run_id, result)
        said = getattr(result, "why", "") or getattr(result, "verdict", "")
        if said:
            self.client.set_tag(self.run_id, "why", said[:5000])

    def _log_model(self, model: Any, sample: Any) -> None:
        """Log our file, and what lets MLflow predict with it."""
        from thalweg import __version__
        from thalweg.callbacks.mlflow_model import Predictor
        from thalweg.estimators import save

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.thalweg"
            try:
                save(model, path)
            except (TypeError, ValueError) as error:
                self.client.set_tag(self.run_id, "model", f"not logged: {error}"[:5000])
                return
            signature: Any = None
            if sample is not None:
                with warnings.catch_warnings():  # whole numbers have no missing ones
                    warnings.simplefilter("ignore")
                    predicted = Predictor(model).predict(sample)
                    models = import_module("mlflow.models")
                    signature = models.infer_signature(sample, predicted)
            kept = Path(folder) / "model"
            with warnings.catch_warnings():  # it would rather have an example
                warnings.simplefilter("ignore")
                import_module("mlflow.pyfunc").save_model(
                    kept, loader_module=_LOADER, data_path=str(path),
                    signature=signature, pip_requirements=[f"thalweg=={__version__}"],
                )  # fmt: skip
            self.client.log_artifacts(self.run_id, str(kept), "model")


def _now() -> int:
    return int(time.time() * 1000)


def _allowed(name: str) -> str:
    """Return a name with the characters that MLflow takes."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)


def _reach(uri: str) -> None:
    """Raise ConnectionError unless a server takes connections.

    MLflow itself would try for minutes.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), _PATIENCE).close()
    except OSError as error:
        raise ConnectionError(
            f"no server answers at {parts.hostname}:{port} ({error})"
        ) from error
