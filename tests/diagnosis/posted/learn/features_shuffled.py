"""The rows were shuffled, the labels were not."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2016 to 2020 on Keras models at chance after "
    "np.random.shuffle of X alone; 'wrong labels' in the taxonomy of real "
    "faults (2019)",
    kind="keras",
    fault="X was shuffled in place before fit and y was not: the pairs are broken.",
    remedy="Shuffle X and y with one permutation.",
    named_by=("inputs and labels do not belong together", "labels are unrelated"),
    margin=0.2,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense, Dropout

    X, X_test, y, y_test = tables.digits(seed)
    order = np.random.default_rng(seed).permutation(len(X))
    X = X[order]
    if cured:
        y = y[order]
    model = keras.Sequential([keras.Input((64,)), Dense(64, activation="relu")])
    model.add(Dropout(0.2))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, model, X, y, X_test, y_test, fit={"epochs": 15})
