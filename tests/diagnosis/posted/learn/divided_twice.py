"""Pixels divided by 255 twice, then plain SGD."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2018 to 2021 on images rescaled both in the "
    "generator and in the model, whose accuracy stays at chance",
    kind="keras",
    fault="The pixels are divided by 255 twice, so all inputs are below 0.004.",
    remedy="Divide once.",
    named_by=("the inputs are all tiny", "inputs are not scaled"),
    margin=0.2,
    floor=0.8,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D

    X, X_test, y, y_test = tables.digits(seed)
    X, X_test = X.reshape(-1, 8, 8, 1), X_test.reshape(-1, 8, 8, 1)
    if not cured:
        X, X_test = X / 255, X_test / 255
    model = keras.Sequential([keras.Input((8, 8, 1)), Conv2D(8, 3, activation="relu")])
    model.add(MaxPooling2D())
    model.add(Flatten())
    model.add(Dense(32, activation="relu"))
    model.add(Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, model, X, y, fit={"epochs": 12, "batch_size": 32})
