"""Two classes, one output unit, softmax: the output is always one."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2016 to 2019 on a binary Keras classifier "
    "whose accuracy stays at one class's share, such as 'Keras accuracy does not "
    "change'; also the benchmark of DeepLocalize (2021)",
    kind="keras",
    fault="The last layer is Dense(1) with softmax, so every output is 1.",
    remedy="Use sigmoid on the one unit (or two units with softmax).",
    named_by=("softmax on one unit", "the output activation is constant or wrong"),
    margin=0.2,
    floor=0.9,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.classes(seed, kinds=2)
    model = keras.Sequential()
    model.add(keras.Input((8,)))
    model.add(Dense(16, activation="relu"))
    model.add(Dense(12, activation="relu"))
    model.add(Dense(1, activation="sigmoid" if cured else "softmax"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, model, X, y, fit={"epochs": 30, "batch_size": 16})
