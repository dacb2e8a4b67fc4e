"""The gradient of the biases was left out: they stay at zero."""

from typing import Any

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2014 to 2020 on hand-written networks that "
    "never update the bias ('Why does my neural network not learn XOR')",
    kind="hand",
    fault="The gradient returns zeros for both biases.",
    remedy="Sum the errors over the rows into the bias gradients.",
    named_by=("the gradient of the bias is wrong or zero", "the gradient is wrong"),
    margin=0.15,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 2))
    inside = (np.hypot(x[:, 0], x[:, 1]) < 1.2).astype(float)
    X, X_test, y, y_test = tables.split(x, inside, seed)

    def unpack(w: Any) -> Any:
        return w[:12].reshape(2, 6), w[12:18], w[18:24], w[24]

    def forward(w: Any, X: Any) -> Any:
        W1, b1, w2, b2 = unpack(w)
        hidden = np.tanh(X @ W1 + b1)
        return hidden, 1 / (1 + np.exp(-np.clip(hidden @ w2 + b2, -30, 30)))

    def cost(w: Any) -> Any:
        p = forward(w, X)[1].clip(1e-12, 1 - 1e-12)
        return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()

    def gradient(w: Any) -> Any:
        hidden, p = forward(w, X)
        error = (p - y) / len(y)
        back = np.outer(error, w[18:24]) * (1 - hidden**2)
        b1, b2 = np.zeros(6), 0.0
        if cured:
            b1, b2 = back.sum(0), error.sum()
        return np.concatenate([(X.T @ back).ravel(), b1, hidden.T @ error, [b2]])

    def rate(w: Any) -> Any:
        return float(np.mean((forward(w, X_test)[1] > 0.5) == y_test))

    x0 = np.zeros(25)
    x0[:12], x0[18:24] = 0.5 * rng.normal(size=12), 0.5 * rng.normal(size=6)
    fit = {"method": "L-BFGS-B", "options": {"maxiter": 200}}
    return Program(rate, (cost, gradient), X, y, x0=x0, fit=fit)
