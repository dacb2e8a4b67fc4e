"""The functional interface: two branches that meet."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("Keras' guide to the functional interface", "keras", 0.85)


def program(seed: int) -> Program:
    import keras
    from keras.layers import BatchNormalization, Dense, concatenate

    X, X_test, y, y_test = tables.classes(seed, rows=900, columns=10, kinds=4)
    inputs = keras.Input((10,))
    wide = Dense(16, activation="relu")(inputs)
    deep = Dense(32, activation="relu")(inputs)
    deep = BatchNormalization()(deep)
    deep = Dense(16, activation="relu")(deep)
    output = Dense(4, activation="softmax")(concatenate([wide, deep]))
    model = keras.Model(inputs, output)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    one_hot = np.eye(4, dtype="float32")[y]
    fit = {"epochs": 40, "batch_size": 16, "validation_split": 0.15}
    return Program(rate, model, X, one_hot, fit=fit)
