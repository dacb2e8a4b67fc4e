"""A measured quantity, rounded, is given to a classifier."""

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, 'Unknown label type: continuous' and its follow-ups (2016 "
    "to 2020), where the target was cast to int for MLPClassifier",
    kind="sklearn",
    fault="The target is a quantity; cast to integers it makes hundreds of classes.",
    remedy="MLPRegressor.",
    named_by=("the target looks like a regression", "far too many classes"),
    margin=0.15,
    floor=0.85,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.waves(seed, rows=500)
    y, y_test = np.round(50 + 20 * y).astype(int), np.round(50 + 20 * y_test)
    if cured:
        network = MLPRegressor(
            hidden_layer_sizes=(40,), max_iter=1000, random_state=seed
        )
        network.set_params(learning_rate_init=0.01, alpha=1.0)
    else:
        network = MLPClassifier((40,), max_iter=200, random_state=seed)
    model = make_pipeline(StandardScaler(), network)
    return Program(tables.r2(X_test, y_test), model, X, y)
