"""Softmax regression of digits by conjugate gradients."""

from typing import Any

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("Exercises of a machine-learning course, in NumPy", "hand", 0.92)


def program(seed: int) -> Program:
    X, X_test, y, y_test = tables.digits(seed)
    X, one_hot = X.astype(float), np.eye(10)[y]

    def chances(w: Any, X: Any) -> Any:
        z = X @ w[:640].reshape(64, 10) + w[640:]
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def cost(w: Any) -> Any:
        p = chances(w, X)[np.arange(len(y)), y]
        return -np.log(p + 1e-12).mean() + 5e-4 * w @ w

    def gradient(w: Any) -> Any:
        delta = (chances(w, X) - one_hot) / len(y)
        return np.concatenate([(X.T @ delta).ravel(), delta.sum(0)]) + 1e-3 * w

    def rate(w: Any) -> Any:
        return float(np.mean(chances(w, X_test).argmax(1) == y_test))

    x0 = np.zeros(650)  # Sound here: the cost is convex, with no hidden layer.
    fit = {"method": "CG", "options": {"maxiter": 100}}
    return Program(rate, (cost, gradient), X, y, x0=x0, fit=fit)
