"""Perceptron on digits."""

from sklearn.linear_model import Perceptron

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("scikit-learn's reference example of Perceptron", "sklearn", 0.88)


def program(seed: int) -> Program:
    X, X_test, y, y_test = tables.digits(seed)
    model = Perceptron(tol=1e-3, random_state=seed)
    return Program(tables.accuracy(X_test, y_test), model, X, y)
