"""Every kernel starts at one: all hidden units are the same unit."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions on Keras' 'ones' initializer and on symmetric "
    "units (2017 to 2020); a mutation of DeepCrime (2021)",
    kind="keras",
    fault="kernel_initializer='ones', so that all units of a layer are equal forever.",
    remedy="Use a random initializer.",
    named_by=("constant initial weights", "symmetric hidden units"),
    margin=0.2,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.digits(seed)
    start = "glorot_uniform" if cured else "ones"
    inputs = keras.Input((64,))
    hidden = Dense(32, activation="tanh", kernel_initializer=start)(inputs)
    output = Dense(10, activation="softmax", kernel_initializer=start)(hidden)
    model = keras.Model(inputs, output)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, model, X, y, fit={"epochs": 30})
