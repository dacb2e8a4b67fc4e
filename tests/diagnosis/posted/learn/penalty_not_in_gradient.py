"""The cost has a penalty which the gradient lacks: the line search gives up."""

from typing import Any

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2014 to 2019 on 'Desired error not "
    "necessarily achieved due to precision loss' with a course's regularized "
    "network in Python",
    kind="hand",
    fault="The cost adds a penalty on the weights, the gradient does not.",
    remedy="Add the penalty's gradient, lambda times the weights.",
    named_by=("the gradient lacks the penalty", "the gradient is wrong"),
    margin=0.1,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.digits(seed)
    X, one_hot, decay = X.astype(float), np.eye(10)[y], 5e-3
    sizes = 64 * 12, 12, 120, 10

    def unpack(w: Any) -> Any:
        W1, b1, W2, b2 = np.split(w, np.cumsum(sizes)[:-1])
        return W1.reshape(64, 12), b1, W2.reshape(12, 10), b2

    def forward(w: Any, X: Any) -> Any:
        W1, b1, W2, b2 = unpack(w)
        hidden = 1 / (1 + np.exp(-(X @ W1 + b1)))
        z = hidden @ W2 + b2
        e = np.exp(z - z.max(1, keepdims=True))
        return hidden, e / e.sum(1, keepdims=True)

    def cost(w: Any) -> Any:
        p = forward(w, X)[1]
        W1, _, W2, _ = unpack(w)
        fit = -np.log(p[np.arange(len(y)), y] + 1e-12).mean()
        return fit + decay * ((W1**2).sum() + (W2**2).sum())

    def gradient(w: Any) -> Any:
        W1, _, W2, _ = unpack(w)
        hidden, p = forward(w, X)
        delta = (p - one_hot) / len(y)
        back = delta @ W2.T * hidden * (1 - hidden)
        dW1, dW2 = X.T @ back, hidden.T @ delta
        if cured:
            dW1, dW2 = dW1 + 2 * decay * W1, dW2 + 2 * decay * W2
        return np.concatenate([dW1.ravel(), back.sum(0), dW2.ravel(), delta.sum(0)])

    def rate(w: Any) -> Any:
        return float(np.mean(forward(w, X_test)[1].argmax(1) == y_test))

    x0 = np.random.default_rng(seed).normal(size=sum(sizes))
    fit = {"method": "CG", "options": {"maxiter": 60}}
    return Program(rate, (cost, gradient), X, y, x0=x0, fit=fit)
