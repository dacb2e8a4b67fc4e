"""Dropout after the last layer of a regression."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2016 to 2020 on where to put dropout in Keras "
    "('Where to add a dropout layer in a neural network'); a structural fault of "
    "NeuraLint (2021)",
    kind="keras",
    fault="The last layer is Dropout(0.5), so half of the outputs are zeros in "
    "training and the others are doubled.",
    remedy="Remove the dropout after the output layer.",
    named_by=("dropout at the output",),
    margin=0.1,
    floor=0.7,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense, Dropout

    X, X_test, y, y_test = tables.waves(seed)
    y, y_test = y + 3, y_test + 3
    model = keras.Sequential([keras.Input((5,)), Dense(32, activation="relu")])
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1))
    if not cured:
        model.add(Dropout(0.5))
    model.compile(keras.optimizers.Adam(0.005), "mse")
    rate = tables.r2(X_test, y_test)
    return Program(rate, model, X, y, fit={"epochs": 50, "validation_split": 0.1})
