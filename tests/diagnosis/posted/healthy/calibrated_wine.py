"""Calibrated probabilities of a network."""

from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_wine
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("scikit-learn's guide to calibration", "sklearn", 0.92)


def program(seed: int) -> Program:
    X, X_test, y, y_test = tables.split(*load_wine(return_X_y=True), seed=seed)
    network = MLPClassifier((20,), max_iter=400, random_state=seed)
    pipeline = make_pipeline(StandardScaler(), network)
    model = CalibratedClassifierCV(pipeline, cv=3)
    return Program(tables.accuracy(X_test, y_test), model, X, y)
