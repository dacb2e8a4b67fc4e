"""An autoencoder of standardized columns that ends in sigmoid."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow and Data Science Stack Exchange, questions of 2017 to 2020 "
    "on a Keras autoencoder whose loss stops early on standardized inputs",
    kind="keras",
    fault="The inputs, which are the targets, run from -3 to 3; sigmoid gives 0 to 1.",
    remedy="End in a linear layer (or scale the inputs to 0..1).",
    named_by=("the output activation cannot reach the target",),
    margin=0.2,
    floor=0.6,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    import keras
    from keras.layers import Dense

    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(600, 3))
    X = causes @ rng.normal(size=(3, 12)) + 0.1 * rng.normal(size=(600, 12))
    X = ((X - X.mean(0)) / X.std(0)).astype("float32")
    X, X_test, _, _ = tables.split(X, X, seed)
    seen = keras.Input((12,))
    code = Dense(4, activation="relu")(Dense(16, activation="relu")(seen))
    back = Dense(16, activation="relu")(code)
    back = Dense(12, activation="linear" if cured else "sigmoid")(back)
    model = keras.Model(seen, back)
    model.compile(keras.optimizers.Adam(0.005), "mse")
    rate = tables.r2(X_test, X_test)
    return Program(rate, model, X, X, X_test, X_test, fit={"epochs": 60})
