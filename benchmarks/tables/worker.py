"""One method on one split, alone in its process and on one thread.

``python benchmarks/tables/worker.py FOLDER TABLE SPLIT METHOD`` prints a line of JSON:
the loss on the test rows, seconds of processor time of fit and of predict, and the peak
memory. It needs pandas, pyarrow and the method's own library and nothing else, so
that a rival may live in an environment of its own.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from benchmarks.machine import limit_threads, peak_memory  # noqa: E402

_LEAST = 1e-15  # a probability


def loss_of(found: Any, target: Any, classes: Any, task: str) -> float:
    """Return the log-loss, or the root of the mean squared error."""
    import numpy as np

    if task == "regression":
        errors = np.ravel(np.asarray(found, float)) - np.asarray(target, float)
        return float(np.sqrt(np.mean(errors**2)))
    shares = np.asarray(found, float)
    shares = np.clip(shares / shares.sum(axis=1, keepdims=True), _LEAST, 1)
    places = np.searchsorted(classes, np.asarray(target))
    return float(-np.log(shares[np.arange(len(shares)), places]).mean())


def processor_seconds() -> float:
    """Return the time that this process and its children have computed."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main(folder: str, name: str, number: str, method: str) -> None:
    """Fit, predict, and say how it went."""
    limit_threads(1)
    from benchmarks.tables.methods import METHODS
    from benchmarks.tables.sources import find, split

    warnings.simplefilter("ignore")
    table = find(name)
    train, test = split(table, table.stored(Path(folder)), int(number))
    target, truth = train.pop(table.target), test.pop(table.target)
    classes = None
    if table.task == "classification":
        import numpy as np

        target, truth = target.astype(str), truth.astype(str)
        classes = np.unique(target.to_numpy(object).astype(str))
    given = (target.to_numpy(), test, table.task)
    fit, predict = METHODS[method](train, *given)
    before, started = processor_seconds(), time.perf_counter()
    fit()
    fitted, ended = processor_seconds(), time.perf_counter()
    found = predict()
    print(
        json.dumps(
            {
                "loss": loss_of(found, truth, classes, table.task),
                "seconds": fitted - before,
                "wall": ended - started,
                "predict": processor_seconds() - fitted,
                "memory": peak_memory(),
                "rows": len(train),
                "columns": train.shape[1],
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
