"""A regression of minutes that ends in sigmoid, which cannot exceed one."""

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2016 to 2020 on a Keras regression that "
    "predicts 1 for every row; also in the lists of UMLAUT (2021) and NeuraLint (2021)",
    kind="keras",
    fault="The target lies between 0 and 100 and the output is a sigmoid.",
    remedy="No activation at the output of a regression.",
    named_by=("the output activation cannot reach the target",),
    margin=0.4,
    floor=0.7,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense, Dropout

    X, X_test, y, y_test = tables.waves(seed)
    y, y_test = (50 + 15 * y).clip(0, 100), (50 + 15 * y_test).clip(0, 100)
    model = keras.Sequential()
    model.add(keras.Input((5,)))
    model.add(Dense(64, activation="relu"))
    model.add(Dropout(0.1))
    model.add(Dense(32, activation="relu"))
    model.add(Dense(1, activation=None if cured else "sigmoid"))
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss="mean_squared_error")
    rate = tables.r2(X_test, y_test)
    fit = {"epochs": 80, "batch_size": 32}
    return Program(rate, model, X, y, X_test, y_test, fit=fit)
