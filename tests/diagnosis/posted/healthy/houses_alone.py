"""Scaled houses and scaled prices: data alone."""

from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial(
    "House prices, the second table of most tutorials", "data", 0.85, "r2"
)


def program(seed: int) -> Program:
    X, X_test, y, y_test = tables.houses(seed)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    center, scale = y.mean(), y.std()
    y, y_test = (y - center) / scale, (y_test - center) / scale
    probe = MLPRegressor(hidden_layer_sizes=(20,), max_iter=600, random_state=seed)
    rate = tables.r2(X_test, y_test)
    return Program(rate, None, X, y, X_test, y_test, probe=probe)
