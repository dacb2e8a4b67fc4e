"""A noisy binary problem with dropout, a penalty and early stopping."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial(
    "TensorFlow's tutorial on overfitting and underfitting", "keras", 0.7
)


def program(seed: int) -> Program:
    import keras
    from keras.layers import Dense, Dropout
    from keras.regularizers import l2

    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1200, 12)).astype("float32")
    signal = X[:, 0] + X[:, 1] * X[:, 2] - 0.7 * X[:, 3]
    y = (signal + 0.8 * rng.normal(size=1200) > 0).astype(int)
    X, X_test, y, y_test = tables.split(X, y, seed)
    model = keras.Sequential([keras.Input((12,))])
    model.add(Dense(64, activation="elu", kernel_regularizer=l2(1e-3)))
    model.add(Dropout(0.3))
    model.add(Dense(64, activation="elu", kernel_regularizer=l2(1e-3)))
    model.add(Dropout(0.3))
    model.add(Dense(1))
    model.compile(
        "adam",
        keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)],
    )
    stop = keras.callbacks.EarlyStopping(patience=15, restore_best_weights=True)
    rate = tables.accuracy(X_test, y_test, threshold=0.0)
    fit = {"epochs": 150, "callbacks": [stop]}
    return Program(rate, model, X, y, X_test, y_test, fit=fit)
