"""A line fitted by plain SGD to x from 0 to 200: the loss becomes NaN."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="GitHub, keras issue 3040, 'Simple Linear Regression Nan's after a few "
    "iterations' (2016); also in the benchmark of DeepLocalize (2021)",
    kind="keras",
    fault="SGD's step is too large for inputs in the hundreds; the weights overflow.",
    remedy="Scale x, or lower the learning rate.",
    named_by=("inputs are not scaled", "the learning rate is too high", "overflow"),
    margin=0.9,
    floor=0.9,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    import keras

    rng = np.random.default_rng(seed)
    x = np.arange(200.0)
    y = 2 * x + 5 * rng.normal(size=200)
    scale = 200.0 if cured else 1.0
    X, X_test, y, y_test = tables.split((x / scale)[:, None], y, seed)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    rate = 0.05 if cured else 0.001
    model.compile(optimizer=keras.optimizers.SGD(rate), loss="mean_squared_error")
    score = tables.r2(X_test, y_test)
    return Program(score, model, X, y, fit={"epochs": 20, "batch_size": 1})
