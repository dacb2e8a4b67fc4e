"""Iris, split and scaled: data alone."""

from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("The first table of most tutorials", "data", 0.88)


def program(seed: int) -> Program:
    X, X_test, y, y_test = tables.split(*load_iris(return_X_y=True), seed=seed)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    probe = MLPClassifier((10,), solver="lbfgs", max_iter=300, random_state=seed)
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, None, X, y, X_test, y_test, probe=probe)
