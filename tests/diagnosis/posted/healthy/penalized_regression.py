"""A network of one hidden layer with a penalty, by BFGS."""

from typing import Any

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("SciPy lectures on fitting with minimize", "hand", 0.8, "r2")


def program(seed: int) -> Program:
    X, X_test, y, y_test = tables.waves(seed)
    X, y = X.astype(float), y.astype(float)

    def forward(w: Any, X: Any) -> Any:
        hidden = np.tanh(X @ w[:60].reshape(5, 12) + w[60:72])
        return hidden, hidden @ w[72:84] + w[84]

    def cost(w: Any) -> Any:
        return ((forward(w, X)[1] - y) ** 2).mean() / 2 + 5e-4 * w @ w

    def gradient(w: Any) -> Any:
        hidden, out = forward(w, X)
        delta = (out - y) / len(y)
        back = np.outer(delta, w[72:84]) * (1 - hidden**2)
        parts = X.T @ back, back.sum(0), hidden.T @ delta, delta.sum()
        return np.concatenate([np.ravel(part) for part in parts]) + 1e-3 * w

    def rate(w: Any) -> Any:
        left = ((forward(w, X_test)[1] - y_test) ** 2).mean() / y_test.var()
        return max(-1.0, float(1 - left))

    x0 = 0.4 * np.random.default_rng(seed).normal(size=85)
    fit = {"method": "BFGS", "options": {"maxiter": 300}}
    return Program(rate, (cost, gradient), X, y, x0=x0, fit=fit)
