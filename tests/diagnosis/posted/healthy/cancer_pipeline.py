"""A scaler and a network in a pipeline."""

from sklearn.datasets import load_breast_cancer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("scikit-learn's user guide, tips on MLP", "sklearn", 0.94)


def program(seed: int) -> Program:
    X, X_test, y, y_test = tables.split(*load_breast_cancer(return_X_y=True), seed=seed)
    network = MLPClassifier((30,), alpha=0.1, max_iter=500, random_state=seed)
    model = make_pipeline(StandardScaler(), network)
    return Program(tables.accuracy(X_test, y_test), model, X, y, X_test, y_test)
