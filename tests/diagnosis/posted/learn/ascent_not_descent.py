"""The gradient has the wrong sign: the search stops where it began."""

from typing import Any

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2013 to 2019 on networks written in NumPy "
    "whose cost rises, answered by the sign of the update",
    kind="hand",
    fault="The error is target minus output where the cost needs output minus target.",
    remedy="Turn the sign of the gradient.",
    named_by=("the gradient has the wrong sign", "the gradient is wrong"),
    margin=0.4,
    floor=0.7,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.waves(seed)
    X, y = X.astype(float), y.astype(float)
    rng = np.random.default_rng(seed)

    def unpack(w: Any) -> Any:
        return w[:60].reshape(5, 12), w[60:72], w[72:84], w[84]

    def forward(w: Any, X: Any) -> Any:
        W1, b1, w2, b2 = unpack(w)
        hidden = np.tanh(X @ W1 + b1)
        return hidden, hidden @ w2 + b2

    def cost(w: Any) -> Any:
        return ((forward(w, X)[1] - y) ** 2).mean() / 2

    def gradient(w: Any) -> Any:
        hidden, out = forward(w, X)
        delta = (out - y if cured else y - out) / len(y)
        back = np.outer(delta, unpack(w)[2]) * (1 - hidden**2)
        parts = (X.T @ back).ravel(), back.sum(0), hidden.T @ delta, [delta.sum()]
        return np.concatenate(parts)

    def rate(w: Any) -> Any:
        out = forward(w, X_test)[1]
        left = ((out - y_test) ** 2).sum() / ((y_test - y_test.mean()) ** 2).sum()
        return max(-1.0, float(1 - left))

    x0 = 0.4 * rng.normal(size=85)
    fit = {"method": "BFGS", "options": {"maxiter": 200}}
    return Program(rate, (cost, gradient), X, y, x0=x0, fit=fit)
