"""The sigmoid's derivative is taken of the output as if it were the input."""

from typing import Any

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2015 to 2020 on sigmoid_derivative(x) = x (1 "
    "- x) given the weighted sum instead of the activation, in networks for "
    "XOR",
    kind="hand",
    fault="s'(z) is computed as z (1 - z) of the weighted sum z, not of the "
    "activation.",
    remedy="Use a (1 - a) with the activation a.",
    named_by=("the gradient is wrong", "the derivative of the activation is wrong"),
    margin=0.15,
    floor=0.9,
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.spirals(seed)
    X = X.astype(float)

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-np.clip(z, -30, 30)))

    def forward(w: Any, X: Any) -> Any:
        z = X @ w[:20].reshape(2, 10) + w[20:30]
        a = sigmoid(z)
        return z, a, sigmoid(a @ w[30:40] + w[40])

    def cost(w: Any) -> Any:
        return ((forward(w, X)[2] - y) ** 2).mean()

    def gradient(w: Any) -> Any:
        z, a, out = forward(w, X)
        delta = 2 * (out - y) * out * (1 - out) / len(y)
        slope = a * (1 - a) if cured else z * (1 - z)
        back = np.outer(delta, w[30:40]) * slope
        parts = (X.T @ back).ravel(), back.sum(0), a.T @ delta, [delta.sum()]
        return np.concatenate(parts)

    def rate(w: Any) -> Any:
        return float(np.mean((forward(w, X_test)[2] > 0.5) == y_test))

    x0 = 2 * np.random.default_rng(seed).normal(size=41)
    fit = {"method": "BFGS", "options": {"maxiter": 300}}
    return Program(rate, (cost, gradient), X, y, x0=x0, fit=fit)
