"""Three rows in a hundred are failures, and none is predicted."""

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions on MLPClassifier and unbalanced classes (2016 to "
    "2021), such as 'scikit-learn class_weight for MLPClassifier'",
    kind="sklearn",
    fault="One class has 4 % of the rows; the accuracy is 96 % without ever naming it.",
    remedy="Repeat the rare rows until both classes are equally frequent.",
    named_by=("a class is rare", "one class is never predicted", "class imbalance"),
    margin=0.12,
    floor=0.65,
    score="balanced accuracy",
)


def program(seed: int, cured: bool) -> Program:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2500, 6))
    risk = X[:, 0] + X[:, 1] * X[:, 2] / 2 + 0.5 * X[:, 3] + 0.9 * rng.normal(size=2500)
    y = (risk > np.quantile(risk, 0.96)).astype(int)
    X, X_test, y, y_test = tables.split(X, y, seed)
    if cured:
        rare = np.flatnonzero(y)
        rows = np.concatenate([np.arange(len(y)), rng.choice(rare, len(y) - len(rare))])
        X, y = X[rows], y[rows]
    model = make_pipeline(
        StandardScaler(),
        MLPClassifier((10,), alpha=1.0, max_iter=60, random_state=seed),
    )
    return Program(tables.balanced(X_test, y_test), model, X, y)
