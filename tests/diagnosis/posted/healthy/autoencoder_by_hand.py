"""A code of three numbers for twelve columns, by L-BFGS."""

from typing import Any

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("The sparse autoencoder exercise of a course", "hand", 0.8, "r2")


def program(seed: int) -> Program:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 12))
    X = X / X.std(0) + 0.1 * rng.normal(size=(400, 12))
    X, X_test, _, _ = tables.split(X, X, seed)

    def forward(w: Any, X: Any) -> Any:
        code = np.tanh(0.2 * X @ w[:48].reshape(12, 4) + w[48:52])
        return code, code @ w[52:100].reshape(4, 12) + w[100:]

    def cost(w: Any) -> Any:
        return ((forward(w, X)[1] - X) ** 2).mean()

    def gradient(w: Any) -> Any:
        code, out = forward(w, X)
        delta = 2 * (out - X) / X.size
        back = delta @ w[52:100].reshape(4, 12).T * (1 - code**2)
        parts = 0.2 * X.T @ back, back.sum(0), code.T @ delta, delta.sum(0)
        return np.concatenate([part.ravel() for part in parts])

    def rate(w: Any) -> Any:
        return float(1 - ((forward(w, X_test)[1] - X_test) ** 2).mean() / X_test.var())

    x0 = 0.5 * rng.normal(size=112)
    fit = {"method": "L-BFGS-B", "options": {"maxiter": 400}}
    return Program(rate, (cost, gradient), X, X, x0=x0, fit=fit)
