"""A grid search over folds that are not shuffled, on rows sorted by class."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions on cross-validation scores of zero with KFold on "
    "the iris data (2014 to 2020)",
    kind="sklearn",
    fault="KFold(3) without shuffle on rows sorted by class: each fold holds a class "
    "that its training rows lack.",
    remedy="KFold(shuffle=True) or StratifiedKFold.",
    named_by=(
        "validation data hold classes that were never trained on",
        "the rows are sorted by class",
        "the folds are not shuffled",
    ),
    margin=0.5,
    floor=0.85,
    score="mean score of the folds",
)


def program(seed: int, cured: bool) -> Program:
    X, y = load_iris(return_X_y=True)
    X = X + 0.02 * np.random.default_rng(seed).normal(size=X.shape)
    folds = KFold(3, shuffle=cured, random_state=seed if cured else None)
    network = MLPClassifier((10,), solver="lbfgs", max_iter=200, random_state=seed)
    model = GridSearchCV(
        make_pipeline(StandardScaler(), network),
        {"mlpclassifier__alpha": [1e-4, 1e-1]},
        cv=folds,
    )
    return Program(lambda search: float(search.best_score_), model, X, y)
