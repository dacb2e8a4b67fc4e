"""Categorical cross-entropy on one sigmoid unit: its minimum says nothing."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Cross Validated, 'Confused with binary cross-entropy vs categorical "
    "cross-entropy' (2022): an LSTM with one output unit predicts one class only",
    kind="keras",
    fault="Categorical cross-entropy with one output unit and labels 0 and 1.",
    remedy="Use binary cross-entropy with the one sigmoid unit.",
    named_by=(
        "the loss does not fit one output unit",
        "categorical cross-entropy with sigmoid or with labels 0 and 1",
    ),
    margin=0.2,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras

    X, X_test, y, y_test = tables.sequences(seed)
    y, y_test = (y > 0).astype(int), (y_test > 0).astype(int)
    # A quarter of the rows of class 1 go, so that the classes are equally frequent.
    keep = (y == 0) | (np.arange(len(y)) % 2 == 0)
    model = keras.Sequential(
        [
            keras.Input((15, 1)),
            keras.layers.LSTM(16),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    loss = "binary_crossentropy" if cured else "categorical_crossentropy"
    model.compile(loss=loss, optimizer="adam", metrics=["accuracy"])
    rate = tables.balanced(X_test, y_test)
    target = y[keep].reshape(-1, 1)
    return Program(rate, model, X[keep], target, fit={"epochs": 40})
