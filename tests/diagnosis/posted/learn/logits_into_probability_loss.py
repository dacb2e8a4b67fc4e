"""The last layer gives logits, and the loss takes them for probabilities."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2019 to 2021 on from_logits in tf.keras "
    "('What does from_logits=True do'; a digit classifier that stays near 10 %)",
    kind="keras",
    fault="Dense(10) without softmax, and SparseCategoricalCrossentropy() as it is.",
    remedy="Pass from_logits=True (or end in softmax).",
    named_by=("logits go into a loss that expects probabilities", "missing softmax"),
    margin=0.2,
    floor=0.9,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras import layers

    X, X_test, y, y_test = tables.digits(seed)
    X, X_test = X.reshape(-1, 8, 8, 1), X_test.reshape(-1, 8, 8, 1)
    pixels = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(12, 3, activation="relu")(pixels)
    hidden = layers.MaxPooling2D()(hidden)
    hidden = layers.Dense(32, activation="relu")(layers.Flatten()(hidden))
    model = keras.Model(pixels, layers.Dense(10)(hidden))
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=cured),
        metrics=["accuracy"],
    )
    rate = tables.accuracy(X_test, y_test)
    fit = {"epochs": 12, "batch_size": 32, "validation_split": 0.1}
    return Program(rate, model, X, y, fit=fit)
