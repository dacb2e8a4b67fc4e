"""One batch of all rows and few epochs: twenty updates in all."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2017 to 2021 answered by a smaller batch; the "
    "fault 'wrong batch size' of DeepFD (2022)",
    kind="keras",
    fault="batch_size is larger than the data, so twenty epochs are twenty updates.",
    remedy="batch_size=32.",
    named_by=("too few updates", "the batch is too large", "too few epochs"),
    margin=0.15,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.digits(seed)
    model = keras.Sequential([keras.Input((64,)), Dense(24, activation="relu")])
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    fit = {"epochs": 20, "batch_size": 32 if cured else 2000}
    return Program(rate, model, X, y, X_test, y_test, fit=fit)
