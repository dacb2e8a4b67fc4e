"""A process that trains until it is killed, by `test_checkpoint_kills`.

It imports everything once. For each line that it reads, it forks a child that does the
training named there, and prints the child's number. The child writes what came out to
``PATH.result``.

    KIND PATH [CALL NUMBER]

With CALL and NUMBER the child ends itself by SIGKILL at the NUMBER-th time that it
comes to ``write`` (in the middle of the file), ``fsync``, ``chmod`` (between fsync and
rename) or ``replace`` (the rename).
"""

import hashlib
import json
import os
import signal
import sys
import warnings
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

import thalweg as tw
from thalweg.io import model_file

rng = np.random.default_rng(0)
X = rng.normal(size=(400, 5))
Y = (np.sin(2 * X[:, 0]) + X[:, 1] > 0).astype(int)
NETWORK = tw.DenseNetwork.from_sizes((5, 24, 2), dropout=0.2)
EVERY = 0.02
"""Seconds between two checkpoints."""

Training = Callable[[Path, Callable[[Any], None]], Any]


def _fit(network: Any, *data: Any, **settings: Any) -> Training:
    common = {"loss": "cross_entropy", "random_state": 0, **settings}

    def train(path: Path, see: Callable[[Any], None]) -> Any:
        run = tw.fit(
            network, *data, checkpoint=path, checkpoint_every=EVERY, callbacks=[see],
            **common,
        )  # fmt: skip
        parts = [value for own in run.parameters for value in own.values()]
        return [*parts, run.history.loss, run.history.validation_loss]

    return train


def _batches() -> Any:
    for start in range(0, len(X), 40):
        yield X[start : start + 40], Y[start : start + 40]


def _population(path: Path, see: Callable[[Any], None]) -> Any:
    members = [{"learning_rate": rate, "callbacks": [see]} for rate in (0.001, 0.01)]
    runs = tw.fit_population(
        NETWORK, X, Y, members, loss="cross_entropy", random_state=0, epochs=150,
        checkpoint=path, checkpoint_every=EVERY, n_jobs=1,
    )  # fmt: skip
    return [value for run in runs for own in run.parameters for value in own.values()]


def _mlp(path: Path, see: Callable[[Any], None]) -> Any:
    model = tw.MLPClassifier(
        (16,), max_iter=250, n_iter_no_change=300, early_stopping=True, dropout=0.1,
        random_state=0, callbacks=[see],
    )  # fmt: skip
    model.fit(X, Y, checkpoint=path, checkpoint_every=EVERY)
    return [*model.coefs_, *model.intercepts_, np.array(model.loss_curve_)]


def _classifier(path: Path, see: Callable[[Any], None]) -> Any:
    model = tw.Classifier(
        (16,), max_epochs=150, patience=None, members=1, random_state=0,
        callbacks=[see],
    )  # fmt: skip
    model.fit(X, Y, checkpoint=path, checkpoint_every=EVERY)
    return [model.predict_proba(X), model.history_.loss]


SMALL = tw.DenseNetwork.from_sizes((5, 8, 2))
TRAININGS: dict[str, Training] = {
    "fit": _fit(NETWORK, X, Y, epochs=250, validation=0.2, patience=300),
    "average": _fit(NETWORK, X, Y, epochs=250, average="ema", schedule="cosine"),
    "accumulate": _fit(NETWORK, X, Y, epochs=250, accumulate=2, batch_size=50),
    "phases": _fit(
        SMALL, X, Y, optimizer=["adam", "momentum", "lbfgs"], epochs=[100, 100, 60]
    ),
    "jax": _fit(NETWORK, X, Y, epochs=200, engine="jax", average="polyak"),
    "lbfgs": _fit(SMALL, X, Y, optimizer="lbfgs", epochs=200),
    "stream": _fit(NETWORK, _batches, epochs=120),
    "population": _population,
    "mlp": _mlp,
    "classifier": _classifier,
}


def result(arrays: list[Any]) -> str:
    """Return a digest of all bits of a result."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def die_at(name: str, number: int) -> None:
    """Kill this process at a call while it writes, before the call does anything."""
    calls = [0]

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*arguments: Any, **more: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **more)

        return dying

    if name != "write":
        setattr(os, name, counted(getattr(os, name)))
        return

    class Torn(FileIO):
        def write(self, data: Any) -> int:
            half = len(data) // 2
            super().write(data[:half])
            counted(lambda: None)()
            return half + super().write(data[half:])

    module: Any = model_file
    module.open = Torn


def main() -> None:
    warnings.simplefilter("ignore")
    kinds = sys.argv[1:] or [*TRAININGS]
    if "jax" in kinds:
        import jax  # noqa: F401  # its threads begin in the child, at the first use
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        kind, name, *fault = line.split()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            path = Path(name)
            log = open(f"{path}.epochs", "a")  # noqa: SIM115
            if fault:
                die_at(fault[0], int(fault[1]))

            def see(record: Any, log: Any = log) -> None:
                log.write(f"{record.epoch} {record.seconds}\n")
                log.flush()

            code = 0
            try:
                found = result(TRAININGS[kind](path, see))
                Path(f"{path}.result").write_text(json.dumps(found))
            except SystemExit as end:
                code = int(end.code or 0)
            except BaseException as error:
                code = 1
                Path(f"{path}.error").write_text(repr(error))
            Path(f"{path}.code").write_text(str(code))
            os._exit(code)
        print(child, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
