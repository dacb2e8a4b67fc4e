"""Three measured quantities are predicted through softmax."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2017 to 2020 on Keras regressions with "
    "several outputs and softmax; an output case of DeepDiagnosis (2022)",
    kind="keras",
    fault="Softmax at the output of a regression: outputs lie in 0..1 and sum to one.",
    remedy="No activation at the output.",
    named_by=("the output activation cannot reach the target",),
    margin=0.3,
    floor=0.7,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    rng = np.random.default_rng(seed)
    X = rng.normal(size=(600, 6)).astype("float32")
    y = np.tanh(X @ rng.normal(size=(6, 8)) / 2) @ rng.normal(size=(8, 3))
    X, X_test, y, y_test = tables.split(X, y.astype("float32"), seed)
    model = keras.Sequential([keras.Input((6,)), Dense(48, activation="tanh")])
    model.add(Dense(24, activation="tanh"))
    model.add(Dense(3, activation="linear" if cured else "softmax"))
    model.compile(keras.optimizers.Adam(0.01), "mean_absolute_error")
    rate = tables.r2(X_test, y_test)
    return Program(rate, model, X, y, X_test, y_test, fit={"epochs": 50})
