"""Networks as people write them by hand in NumPy, right ones.

Two of them: `dense`, weights in a dict, softmax and cross-entropy; and `course`, one
flat theta with a bias column in each matrix, sigmoids everywhere, as the well-known
course teaches it. Both average over the rows and have the penalty λ/(2m)·Σw² without
the biases. `wrong` makes its mistakes on top of these.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.core.types import Array

Weights = dict[str, Array]


@dataclass
class Task:
    """Data and first weights of random sizes."""

    X: Array
    labels: Array
    Y: Array
    weights: Weights
    theta: Array
    lam: float
    shapes: tuple[tuple[int, int], tuple[int, int]]

    @classmethod
    def draw(cls, seed: int, m: int = 30, n: int = 5, h: int = 6, k: int = 3) -> "Task":
        rng = np.random.default_rng(seed)
        labels = np.arange(m) % k
        weights = {
            "W1": rng.normal(size=(n, h)) / np.sqrt(n), "b1": np.zeros(h),
            "W2": rng.normal(size=(h, k)) / np.sqrt(h), "b2": np.zeros(k),
        }  # fmt: skip
        shapes = (h, n + 1), (k, h + 1)
        theta = np.concatenate([rng.uniform(-1, 1, s).ravel() for s in shapes]) * 0.5
        X, Y = rng.normal(size=(m, n)), np.eye(k)[labels]
        return cls(X, labels, Y, weights, theta, float(rng.uniform(0.3, 3)), shapes)

    @property
    def m(self) -> int:
        return len(self.X)


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


ACTIVATIONS: dict[str, Any] = {
    "sigmoid": (sigmoid, lambda a: a * (1 - a)),
    "tanh": (np.tanh, lambda a: 1 - a**2),
    "relu": (lambda z: np.maximum(z, 0), lambda a: (a > 0) * 1.0),
}
"""The function of z, and its derivative as an expression in a."""


def forward(w: Weights, X: Array, activation: str = "sigmoid") -> tuple[Array, Array]:
    hidden = ACTIVATIONS[activation][0](X @ w["W1"] + w["b1"])
    return hidden, hidden @ w["W2"] + w["b2"]


def dense_cost(
    w: Weights, X: Array, Y: Array, lam: float = 0.0, activation: str = "sigmoid"
) -> float:
    p = softmax(forward(w, X, activation)[1])
    squares = (w["W1"] ** 2).sum() + (w["W2"] ** 2).sum()
    return float(-(Y * np.log(p)).sum() / len(X) + lam / (2 * len(X)) * squares)


def dense_gradient(
    w: Weights, X: Array, Y: Array, lam: float = 0.0, activation: str = "sigmoid"
) -> Weights:
    m = len(X)
    hidden, z = forward(w, X, activation)
    delta2 = (softmax(z) - Y) / m
    delta1 = delta2 @ w["W2"].T * ACTIVATIONS[activation][1](hidden)
    return {
        "W1": X.T @ delta1 + lam / m * w["W1"], "b1": delta1.sum(axis=0),
        "W2": hidden.T @ delta2 + lam / m * w["W2"], "b2": delta2.sum(axis=0),
    }  # fmt: skip


Shapes = tuple[tuple[int, int], tuple[int, int]]


def split(theta: Array, shapes: Shapes) -> tuple[Array, Array]:
    end = shapes[0][0] * shapes[0][1]
    return theta[:end].reshape(shapes[0]), theta[end:].reshape(shapes[1])


def with_ones(a: Array) -> Array:
    return np.hstack([np.ones((len(a), 1)), a])


def course_cost(theta: Array, X: Array, Y: Array, lam: float, shapes: Shapes) -> float:
    T1, T2 = split(theta, shapes)
    out = sigmoid(with_ones(sigmoid(with_ones(X) @ T1.T)) @ T2.T)
    losses = -Y * np.log(out) - (1 - Y) * np.log(1 - out)
    squares = (T1[:, 1:] ** 2).sum() + (T2[:, 1:] ** 2).sum()
    return float(losses.sum() / len(X) + lam / (2 * len(X)) * squares)


def course_slopes(
    theta: Array, X: Array, Y: Array, lam: float, shapes: Shapes
) -> tuple[Array, Array]:
    """The gradients of both matrices, before they are flattened."""
    T1, T2 = split(theta, shapes)
    a1 = with_ones(X)
    hidden = sigmoid(a1 @ T1.T)
    a2 = with_ones(hidden)
    delta3 = sigmoid(a2 @ T2.T) - Y
    delta2 = (delta3 @ T2)[:, 1:] * hidden * (1 - hidden)
    G1, G2 = delta2.T @ a1 / len(X), delta3.T @ a2 / len(X)
    G1[:, 1:] += lam / len(X) * T1[:, 1:]
    G2[:, 1:] += lam / len(X) * T2[:, 1:]
    return G1, G2


def course_gradient(
    theta: Array, X: Array, Y: Array, lam: float, shapes: Shapes
) -> Array:
    G1, G2 = course_slopes(theta, X, Y, lam, shapes)
    return np.concatenate([G1.ravel(), G2.ravel()])
