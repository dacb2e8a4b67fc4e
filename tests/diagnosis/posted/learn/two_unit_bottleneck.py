"""Ten classes pass through a hidden layer of one unit."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2016 to 2020 answered by 'more neurons'; the "
    "faults 'wrong number of neurons' of DeepFD (2022) and DeepCrime (2021)",
    kind="keras",
    fault="The second hidden layer has one ReLU unit, before ten classes.",
    remedy="Give the hidden layer more units (32).",
    named_by=("a hidden layer is too narrow", "too little capacity", "dead units"),
    margin=0.2,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.digits(seed)
    y_one_hot = keras.utils.to_categorical(y)
    model = keras.Sequential([keras.Input((64,)), Dense(64, activation="relu")])
    model.add(Dense(32 if cured else 1, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, model, X, y_one_hot, fit={"epochs": 20})
