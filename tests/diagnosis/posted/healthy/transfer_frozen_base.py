"""A base trained on some digits, frozen; a new head learns the other digits."""

from typing import Any

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("Keras' guide to transfer learning", "keras", 0.9)


def program(seed: int) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.digits(seed)
    base = keras.Sequential([keras.Input((64,)), Dense(192, activation="relu")])
    first = keras.Sequential([base, Dense(5, activation="softmax")])
    first.compile("adam", "sparse_categorical_crossentropy")
    quiet: Any = 0
    first.fit(X[y < 5], y[y < 5], epochs=15, verbose=quiet)

    base.trainable = False
    inputs = keras.Input((64,))
    features = base(inputs, training=False)
    model = keras.Model(inputs, Dense(5, activation="softmax")(features))
    model.compile(
        keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    rate = tables.accuracy(X_test[y_test >= 5], y_test[y_test >= 5] - 5)
    return Program(rate, model, X[y >= 5], y[y >= 5] - 5, fit={"epochs": 40})
