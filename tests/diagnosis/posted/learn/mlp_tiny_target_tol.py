"""A target of about 1e-3: the loss is below the tolerance from the start."""

from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2017 to 2021 on an MLPRegressor that predicts "
    "about the same value for daily returns and other small targets",
    kind="sklearn",
    fault="The target is about 0.001, so the loss falls by less than tol and training "
    "stops after some epochs, worse than the mean.",
    remedy="Scale the target.",
    named_by=("the target is not scaled", "stopped early by tol", "too few epochs"),
    margin=0.4,
    floor=0.7,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.waves(seed)
    y, y_test = 0.001 * y, 0.001 * y_test
    model = MLPRegressor(hidden_layer_sizes=(50,), max_iter=500, random_state=seed)
    if cured:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    return Program(tables.r2(X_test, y_test), model, X, y)
