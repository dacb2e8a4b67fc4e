"""SGD with 1e-5: after all epochs the weights are where they were."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2016 to 2019 on a constant Keras loss, whose "
    "answer is a larger learning rate; also a comment of 2019 on keras issue 2711",
    kind="keras",
    fault="The learning rate of 1e-5 is too low for 30 epochs.",
    remedy="Raise the learning rate to 0.1 (or use Adam).",
    named_by=("the learning rate is too low", "the weights hardly move"),
    margin=0.2,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.classes(seed, kinds=3)
    model = keras.Sequential([keras.Input((8,)), Dense(32, activation="relu")])
    model.add(Dense(3, activation="softmax"))
    optimizer = keras.optimizers.SGD(learning_rate=0.1 if cured else 1e-5)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    fit = {"epochs": 30, "batch_size": 16}
    return Program(rate, model, X, y, X_test, y_test, fit=fit)
