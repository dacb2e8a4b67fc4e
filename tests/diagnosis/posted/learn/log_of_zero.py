"""A cross-entropy without guard on raw columns: log(0) times 0 is NaN."""

from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2014 to 2020 on 'RuntimeWarning: divide by "
    "zero in log' in logistic regression and networks with scipy.optimize",
    kind="hand",
    fault="Columns in the thousands saturate the sigmoid; log(1 - 1) makes the cost "
    "NaN and the search ends at once.",
    remedy="Scale the columns (and keep the probability off 0 and 1).",
    named_by=("the cost is NaN or infinite", "inputs are not scaled", "log of zero"),
    margin=0.1,
    floor=0.9,
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.split(*load_breast_cancer(return_X_y=True), seed=seed)
    if cured:
        mean, deviation = X.mean(0), X.std(0)
        X, X_test = (X - mean) / deviation, (X_test - mean) / deviation
    ones = np.ones((len(X), 1))
    X, X_test = np.hstack([ones, X]), np.hstack([np.ones((len(X_test), 1)), X_test])

    def sigmoid(z: Any) -> Any:
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-z))

    def cost(w: Any) -> Any:
        p = sigmoid(X @ w)
        with np.errstate(divide="ignore", invalid="ignore"):
            return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean() + 1e-3 * w @ w

    def gradient(w: Any) -> Any:
        return X.T @ (sigmoid(X @ w) - y) / len(y) + 2e-3 * w

    def rate(w: Any) -> Any:
        return float(np.mean((X_test @ w > 0) == y_test))

    x0 = np.ones(31)
    fit = {"method": "BFGS", "options": {"maxiter": 200}}
    return Program(rate, (cost, gradient), X, y, x0=x0, fit=fit)
