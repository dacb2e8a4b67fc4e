"""SGD with a learning rate of 3 on a small classifier: every ReLU dies."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="GitHub, keras issue 2711, 'Loss not changing when training' (2016, with "
    "answers until 2020): the accuracy is stuck after the first epoch",
    kind="keras",
    fault="The learning rate is far too high.",
    remedy="Lower the learning rate.",
    named_by=("the learning rate is too high", "dead units from too large steps"),
    margin=0.2,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Activation, Dense

    X, X_test, y, y_test = tables.digits(seed)
    y_one_hot = keras.utils.to_categorical(y, 10)
    model = keras.Sequential([keras.Input((64,)), Dense(48), Activation("relu")])
    model.add(Dense(48))
    model.add(Activation("relu"))
    model.add(Dense(10))
    model.add(Activation("softmax"))
    optimizer = keras.optimizers.SGD(learning_rate=0.1 if cured else 3.0, momentum=0.9)
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, model, X, y_one_hot, fit={"epochs": 15, "batch_size": 32})
