"""y is a row, the output a column: the error is a square table."""

from typing import Any

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2013 to 2021 on NumPy broadcasting of (n,) "
    "against (n, 1) in regression and networks written by hand",
    kind="hand",
    fault="The output is (n, 1) and y is (n,), so output - y has shape (n, n), and the "
    "best weights give the mean of y.",
    remedy="y[:, None], so that both are columns.",
    named_by=("(n, 1) against (n,)", "broadcasting", "shapes of y and output"),
    margin=0.4,
    floor=0.7,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.waves(seed, rows=300)
    X = X.astype(float)
    y = y.astype(float)[:, None] if cured else y.astype(float)

    def forward(w: Any, X: Any) -> Any:
        hidden = np.tanh(X @ w[:50].reshape(5, 10) + w[50:60])
        return hidden, hidden @ w[60:70].reshape(10, 1) + w[70]

    def cost(w: Any) -> Any:
        return np.mean((forward(w, X)[1] - y) ** 2)

    def gradient(w: Any) -> Any:
        hidden, out = forward(w, X)
        error = 2 * (out - y) / (out - y).size
        delta = error.sum(axis=1, keepdims=True)
        back = (delta @ w[60:70].reshape(1, 10)) * (1 - hidden**2)
        parts = X.T @ back, back.sum(0), hidden.T @ delta, delta.sum()
        return np.concatenate([np.ravel(part) for part in parts])

    def rate(w: Any) -> Any:
        left = ((forward(w, X_test)[1][:, 0] - y_test) ** 2).mean()
        return max(-1.0, float(1 - left / y_test.var()))

    x0 = 0.4 * np.random.default_rng(seed).normal(size=71)
    fit = {"method": "L-BFGS-B", "options": {"maxiter": 200}}
    return Program(rate, (cost, gradient), X, y, x0=x0, fit=fit)
