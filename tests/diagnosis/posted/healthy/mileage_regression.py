"""A regression of mileage from a car's measures, normalized in the model."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial(
    "TensorFlow's basic regression tutorial (fuel efficiency)", "keras", 0.7, "r2"
)


def program(seed: int) -> Program:
    import keras
    from keras.layers import Dense, Normalization

    rng = np.random.default_rng(seed)
    cylinders = rng.choice([4.0, 6.0, 8.0], 500)
    weight = 1500 + 350 * (cylinders - 2) + rng.normal(0, 200, 500)
    power = 15 * cylinders + rng.normal(0, 12, 500)
    year = rng.integers(70, 83, 500)
    miles = 48 - 0.007 * weight - 0.06 * power + 0.6 * (year - 70)
    miles = miles + rng.normal(0, 1.5, 500)
    X = np.column_stack([cylinders, weight, power, year]).astype("float32")
    X, X_test, y, y_test = tables.split(X, miles.astype("float32"), seed)
    scale = Normalization(axis=-1)
    scale.adapt(X)
    model = keras.Sequential([keras.Input((4,)), scale])
    model.add(Dense(64, activation="relu"))
    model.add(Dense(64, activation="relu"))
    model.add(Dense(1))
    model.compile(loss="mean_absolute_error", optimizer=keras.optimizers.Adam(0.003))
    rate = tables.r2(X_test, y_test)
    fit = {"validation_split": 0.2, "epochs": 100}
    return Program(rate, model, X, y, fit=fit)
