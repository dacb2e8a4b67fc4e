"""House prices as they are, ten epochs of Adam: the output never gets there."""

from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow and Data Science Stack Exchange, questions of 2017 to 2021 "
    "on Keras house-price regressions whose loss stays at 1e10",
    kind="keras",
    fault="The target is in the hundred thousands; the first outputs are near zero and "
    "Adam moves each weight by about 0.001 a step.",
    remedy="Scale the target (and transform predictions back).",
    named_by=("the target is not scaled", "the training is too short for this target"),
    margin=0.4,
    floor=0.6,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras import layers

    X, X_test, y, y_test = tables.houses(seed)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    if cured:
        center, scale = y.mean(), y.std()
        y, y_test = (y - center) / scale, (y_test - center) / scale
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(32, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    rate = tables.r2(X_test, y_test)
    return Program(rate, model, X, y, fit={"epochs": 40, "batch_size": 16})
