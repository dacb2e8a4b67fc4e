"""Adam with 0.5 in a network of several hidden layers."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2017 to 2021 on a Keras model that predicts "
    "one class with Adam at 0.1 and more; a learning rate case of DeepFD (2022)",
    kind="keras",
    fault="Adam's learning rate is 0.5.",
    remedy="Use Adam's default of 0.001.",
    named_by=("the learning rate is too high",),
    margin=0.15,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.classes(seed, rows=900, columns=12, kinds=4)
    inputs = keras.Input((12,))
    hidden = Dense(64, activation="relu")(inputs)
    hidden = Dense(64, activation="relu")(hidden)
    hidden = Dense(32, activation="relu")(hidden)
    model = keras.Model(inputs, Dense(4, activation="softmax")(hidden))
    optimizer = keras.optimizers.Adam(learning_rate=0.001 if cured else 0.5)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    fit = {"epochs": 20, "validation_split": 0.15}
    return Program(rate, model, X, y, fit=fit)
