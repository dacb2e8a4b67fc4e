"""``python -m benchmarks.keras_fit``: our fit of Keras models beside Keras's own.

Both train the same model from the same weights on the same batches, with the optimizer
and the loss that it is compiled with, on the JAX back-end. The first fit compiles and
is shown apart; the others are taken in turns, and their medians compared.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import thalweg as tw

os.environ.setdefault("KERAS_BACKEND", "jax")

Made = tuple[Any, Any, Any]


def dense(hidden: int, n_rows: int, loss: str) -> Callable[[], Made]:
    """Make 64 inputs, two hidden layers, ten classes or one value."""

    def make() -> Made:
        from keras import Input, Sequential
        from keras.layers import Dense

        X = _rows(n_rows, 64)
        by_class = loss != "mse"
        end = Dense(10, "softmax") if by_class else Dense(1)
        y = X[:, :10].argmax(1) if by_class else X[:, :1]
        layers = [Dense(hidden, "relu"), Dense(hidden, "relu"), end]
        return Sequential([Input((64,)), *layers]), X, y

    return make


def convolutional(width: int, n_rows: int) -> Callable[[], Made]:
    """Make two convolutions with pooling on pictures of 28 by 28."""

    def make() -> Made:
        from keras import Input, Sequential
        from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D

        X = _rows(n_rows, 28, 28, 1)
        layers = [
            Conv2D(width, 3, activation="relu"), MaxPooling2D(2),
            Conv2D(2 * width, 3, activation="relu"), MaxPooling2D(2),
            Flatten(), Dense(10, "softmax"),
        ]  # fmt: skip
        y = X.reshape(n_rows, -1)[:, :10].argmax(1)
        return Sequential([Input((28, 28, 1)), *layers]), X, y

    return make


def recurrent(kind: str, units: int, n_rows: int) -> Callable[[], Made]:
    """Make one recurrent layer on series of 20 steps."""

    def make() -> Made:
        from keras import Input, Sequential, layers

        X = _rows(n_rows, 20, 8)
        cell = getattr(layers, kind)(units)
        return Sequential([Input((20, 8)), cell, layers.Dense(1)]), X, X[:, -1, :1]

    return make


WORKLOADS = {
    "dense, 16 units, 500 rows": (dense(16, 500, "ce"), 10),
    "dense, 16 units, 500 rows, mse": (dense(16, 500, "mse"), 10),
    "dense, 256 units, 4000 rows": (dense(256, 4000, "ce"), 3),
    "dense, 256 units, 4000 rows, mse": (dense(256, 4000, "mse"), 3),
    "convolutional, 4 and 8 channels, 320 rows": (convolutional(4, 320), 3),
    "convolutional, 16 and 32 channels, 1280 rows": (convolutional(16, 1280), 1),
    "LSTM, 8 units, 500 rows": (recurrent("LSTM", 8, 500), 5),
    "GRU, 64 units, 1000 rows": (recurrent("GRU", 64, 1000), 2),
}
"""What is trained, and for how many epochs."""


def measure(make: Callable[[], Made], epochs: int, rounds: int) -> dict[str, Any]:
    """Time both, in turns, warm; the same weights before each fit."""
    model, X, y = make()
    loss = "sparse_categorical_crossentropy" if y.ndim == 1 else "mse"
    start = [np.array(variable.value) for variable in model.variables]
    network = tw.from_keras(model)
    engine = ""

    def ours() -> float:
        nonlocal engine
        run = tw.fit(network, X, y, batch_size=32, epochs=epochs, shuffle=False)
        engine = run.engine.split(" (")[0]
        return float(run.history.loss[-1])

    def theirs() -> float:
        history = model.fit(
            X, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0
        )
        return history.history["loss"][-1]

    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    losses = {}
    model.compile("adam", loss)
    # Or the first to fit would pay for both.
    model.optimizer.build(model.trainable_variables)
    for _ in range(rounds + 1):
        for name, work in (("ours", ours), ("theirs", theirs)):
            for variable, value in zip(model.variables, start, strict=True):
                variable.assign(value)
            for variable in model.optimizer.variables[2:]:
                variable.assign(np.zeros(variable.shape))
            model.optimizer.iterations.assign(0)
            began = time.perf_counter()
            losses[name] = work()
            seconds[name].append(time.perf_counter() - began)
    ratios = [b / a for a, b in zip(*(s[1:] for s in seconds.values()), strict=True)]
    warm = {name: statistics.median(s[1:]) for name, s in seconds.items()}
    return {
        "engine": engine, "first": {k: s[0] for k, s in seconds.items()}, "warm": warm,
        "times_faster": statistics.median(ratios), "loss": losses,
    }  # fmt: skip


def main() -> None:
    """Measure all, print the table, and write the figures where asked."""
    parser = argparse.ArgumentParser("python -m benchmarks.keras_fit")
    parser.add_argument("names", nargs="*", help="how workloads' names begin")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    chosen = {
        name: work for name, work in WORKLOADS.items()
        if not asked.names or name.startswith(tuple(asked.names))
    }  # fmt: skip
    found = {name: measure(*work, asked.rounds) for name, work in chosen.items()}
    table = Table("model, batches of 32", "engine", "ours", "Keras", "times faster",
                  "first fit: ours", "Keras")  # fmt: skip
    for name, each in found.items():
        first, warm = each["first"], each["warm"]
        table.add_row(
            name, each["engine"], f"{warm['ours']:.4f}", f"{warm['theirs']:.4f}",
            f"{each['times_faster']:.2f}", f"{first['ours']:.2f}",
            f"{first['theirs']:.2f}",
        )  # fmt: skip
    Console().print(table)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


def _rows(*shape: int) -> Any:
    return np.random.RandomState(0).rand(*shape).astype("float32")


if __name__ == "__main__":
    main()
