"""Every kernel starts at zero: the hidden units stay zero."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow and Cross Validated, 'Why should weights of neural networks "
    "be initialized to random numbers' (2013) and later Keras questions on 'zeros'",
    kind="keras",
    fault="kernel_initializer='zeros' in every layer.",
    remedy="Use a random initializer (the default).",
    named_by=("zero initialization", "constant initial weights"),
    margin=0.2,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.classes(seed, kinds=3)
    start = "glorot_uniform" if cured else "zeros"
    model = keras.Sequential(
        [
            keras.Input((8,)),
            Dense(20, activation="relu", kernel_initializer=start),
            Dense(20, activation="relu", kernel_initializer=start),
            Dense(3, activation="softmax", kernel_initializer=start),
        ]
    )
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, model, X, y, fit={"epochs": 25})
