"""A learning rate schedule that is near zero after half an epoch."""

from typing import Any

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2017 to 2021 on Keras' decay argument and "
    "ExponentialDecay counted in steps, not epochs; training stops improving at once",
    kind="keras",
    fault="ExponentialDecay with decay_steps=1 and rate 0.7 counts batches, so the "
    "rate is near zero before the first epoch ends.",
    remedy="Count in epochs: decay_steps of one epoch's batches (and 0.95).",
    named_by=("the learning rate decays too fast", "the learning rate is too low"),
    margin=0.2,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.classes(seed, rows=800, columns=10, kinds=4)
    schedule: Any = keras.optimizers.schedules.ExponentialDecay(
        0.1, decay_steps=35 if cured else 1, decay_rate=0.95 if cured else 0.7
    )
    model = keras.Sequential([keras.Input((10,)), Dense(32, activation="relu")])
    model.add(Dense(32, activation="relu"))
    model.add(Dense(4, activation="softmax"))
    model.compile(
        keras.optimizers.SGD(schedule),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, model, X, y, fit={"epochs": 25, "batch_size": 16})
