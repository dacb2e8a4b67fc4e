"""A grid search with stratified folds on iris."""

from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("scikit-learn's guide to grid search", "sklearn", 0.88)


def program(seed: int) -> Program:
    X, X_test, y, y_test = tables.split(*load_iris(return_X_y=True), seed=seed)
    network = MLPClassifier((10,), solver="lbfgs", max_iter=300, random_state=seed)
    model = GridSearchCV(
        make_pipeline(StandardScaler(), network),
        {"mlpclassifier__alpha": [1e-2, 1.0]},
        cv=4,
    )
    return Program(tables.accuracy(X_test, y_test), model, X, y)
