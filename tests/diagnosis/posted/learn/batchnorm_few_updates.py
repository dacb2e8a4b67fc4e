"""Batch normalization after a dozen updates: good in training, chance in use."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="GitHub, keras issues 6014, 7177 and 7265 (2017): training accuracy near 1, "
    "accuracy of evaluate on the same rows near chance",
    kind="keras",
    fault="Momentum 0.99 needs hundreds of updates, and there are twenty: the running "
    "statistics still stand near their first values.",
    remedy="Lower the momentum (0.8), or make more updates with smaller batches.",
    named_by=(
        "too few updates for the running statistics of batch normalization",
        "training and prediction differ on the same rows",
    ),
    margin=0.15,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import BatchNormalization, Dense, ReLU

    X, X_test, y, y_test = tables.classes(seed, kinds=4, columns=10)
    X, X_test = 20 + 10 * X, 20 + 10 * X_test
    momentum = 0.5 if cured else 0.99
    model = keras.Sequential([keras.Input((10,)), Dense(64)])
    model.add(BatchNormalization(momentum=momentum))
    model.add(ReLU())
    model.add(Dense(32))
    model.add(BatchNormalization(momentum=momentum))
    model.add(ReLU())
    model.add(Dense(4, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    rate = tables.accuracy(X_test, y_test)
    fit = {"epochs": 5, "batch_size": 128}
    return Program(rate, model, X, y, X_test, y_test, fit=fit)
