"""A sine over several periods, MLPRegressor as it comes."""

import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, 'scikit-learn MLPRegressor' questions on fitting a sine or "
    "another curve of one input (2016 to 2020): the fit is almost a straight line",
    kind="sklearn",
    fault="Adam at 0.001 makes two updates an epoch on 200 rows and stops at 200 "
    "epochs.",
    remedy="solver='lbfgs' (or far more iterations) with tanh and scaled input.",
    named_by=(
        "too few updates or iterations",
        "the learning rate is too low",
        "the training stopped early",
    ),
    margin=0.4,
    floor=0.8,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-10, 10, (300, 1))
    y = np.sin(x[:, 0]) + 0.05 * rng.normal(size=300)
    X, X_test, y, y_test = tables.split(x, y, seed)
    if cured:
        network = MLPRegressor(
            hidden_layer_sizes=(60,),
            activation="tanh",
            solver="lbfgs",
            max_iter=3000,
            random_state=seed,
        )
        model = make_pipeline(StandardScaler(), network)
    else:
        model = MLPRegressor(
            hidden_layer_sizes=(60,), activation="tanh", random_state=seed
        )
    return Program(tables.r2(X_test, y_test), model, X, y)
