"""Eight sigmoid layers: no gradient reaches the first ones."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Cross Validated and Stack Overflow, questions of 2015 to 2019 on deep "
    "sigmoid networks that do not learn; 'vanishing gradient' of AutoTrainer (2021)",
    kind="keras",
    fault="Eight hidden layers of sigmoid units: the gradient vanishes.",
    remedy="Use ReLU in the hidden layers.",
    named_by=("vanishing gradients", "saturating or sigmoid hidden layers"),
    margin=0.2,
    floor=0.8,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    X, X_test, y, y_test = tables.digits(seed)
    kind = "relu" if cured else "sigmoid"
    model = keras.Sequential([keras.Input((64,))])
    for _ in range(8):
        model.add(Dense(32, activation=kind))
    model.add(Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, model, X, y, fit={"epochs": 20, "batch_size": 32})
