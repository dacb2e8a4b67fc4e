"""Sequences of word numbers, an embedding, a mean, one sigmoid."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("TensorFlow's tutorial on movie reviews", "keras", 0.85)


def program(seed: int) -> Program:
    import keras
    from keras.layers import Dense, Dropout, Embedding, GlobalAveragePooling1D

    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, 1000)
    usual = 1 / np.arange(1, 201)
    tilt = np.where(np.arange(200) % 2 == 0, 2.2, 1.0)
    words = [
        rng.choice(200, 30, p=(p := usual * (tilt if kind else 3.2 - tilt)) / p.sum())
        for kind in y
    ]
    X, X_test, y, y_test = tables.split(np.array(words), y, seed)
    model = keras.Sequential([keras.Input((30,), dtype="int32"), Embedding(200, 16)])
    model.add(Dropout(0.2))
    model.add(GlobalAveragePooling1D())
    model.add(Dropout(0.2))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(
        keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"]
    )
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, model, X, y, X_test, y_test, fit={"epochs": 25})
