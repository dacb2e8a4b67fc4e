"""Early stopping watches a score in the wrong direction and stops after one epoch."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2017 to 2021 on Keras' EarlyStopping that "
    "ends after two epochs (mode='min' with an accuracy, patience 0)",
    kind="keras",
    fault="EarlyStopping(monitor='val_accuracy', mode='min'): the rising accuracy "
    "counts as getting worse, so training ends while the loss still falls.",
    remedy="mode='max' (or 'auto') and some patience.",
    named_by=("stopped while still improving", "too few epochs", "early stopping"),
    margin=0.15,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.digits(seed)
    model = keras.Sequential([keras.Input((64,)), Dense(32, activation="relu")])
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(
        monitor="val_accuracy",
        mode="max" if cured else "min",
        patience=5 if cured else 1,
    )
    rate = tables.accuracy(X_test, y_test)
    fit = {"epochs": 40, "callbacks": [stop]}
    return Program(rate, model, X, y, X_test, y_test, fit=fit)
