"""Right hand-written networks, of the kinds that a hasty check would be alarmed by.

Each takes a `Task` and returns ``(fun, jac, x0, args)``.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.reference.faulty.networks import (
    Task,
    Weights,
    course_cost,
    course_gradient,
    dense_cost,
    dense_gradient,
    forward,
    sigmoid,
)
from tests.reference.faulty.wrong import Problem, as_column
from thalweg.core.types import Array

SOUND: dict[str, Callable[[Task], Problem]] = {}


def sound(name: str) -> Callable[[Callable[[Task], Problem]], None]:
    """Enter a network into the table."""
    return lambda make: SOUND.setdefault(name, make) and None


@sound("softmax, penalty without the biases")
def _(t: Task) -> Problem:
    return dense_cost, dense_gradient, t.weights, (t.X, t.Y, t.lam)


@sound("flat theta, bias columns not penalized")
def _(t: Task) -> Problem:
    return course_cost, course_gradient, t.theta, (t.X, t.Y, t.lam, t.shapes)


@sound("tanh")
def _(t: Task) -> Problem:
    return dense_cost, dense_gradient, t.weights, (t.X, t.Y, t.lam, "tanh")


@sound("ReLU kinks")
def _(t: Task) -> Problem:
    return dense_cost, dense_gradient, t.weights, (t.X, t.Y, t.lam, "relu")


@sound("ReLU, all weights 0 but the last")
def _(t: Task) -> Problem:
    first = {"W1": np.zeros_like(t.weights["W1"]), "W2": np.abs(t.weights["W2"])}
    return dense_cost, dense_gradient, {**t.weights, **first}, (t.X, t.Y, 0.0, "relu")


@sound("everything begins at 0")
def _(t: Task) -> Problem:
    zeros = {name: np.zeros_like(w) for name, w in t.weights.items()}
    return dense_cost, dense_gradient, zeros, (t.X, t.Y, t.lam)


@sound("float32 inside, and the cost too")
def _(t: Task) -> Problem:
    data = t.X.astype(np.float32), t.Y.astype(np.float32)

    def single(w: Weights) -> Weights:
        return {name: value.astype(np.float32) for name, value in w.items()}

    def cost(w: Weights) -> np.float32:
        return np.float32(dense_cost(single(w), *data))

    return cost, lambda w: dense_gradient(single(w), *data), t.weights, ()


@sound("float32 weights inside a float64 cost")
def _(t: Task) -> Problem:
    def single(w: Weights) -> Weights:
        return {name: value.astype(np.float32) for name, value in w.items()}

    return (
        lambda w, *args: dense_cost(single(w), *args),
        lambda w, *args: dense_gradient(single(w), *args),
        t.weights,
        (t.X.astype(np.float32), t.Y),
    )


@sound("loop over rows, (n, 1) gradient with the right numbers")
def _(t: Task) -> Problem:
    return as_column(t, lambda a: a * (1 - a))


@sound("squared error, (n, 1) weights")
def _(t: Task) -> Problem:
    def cost(w: Array, X: Array, y: Array) -> float:
        return float(((sigmoid(X @ w) - y) ** 2).mean())

    def gradient(w: Array, X: Array, y: Array) -> Array:
        out = sigmoid(X @ w)
        return X.T @ (2 * (out - y) * out * (1 - out)) / len(X)

    return cost, gradient, np.zeros((t.X.shape[1], 1)), (t.X, t.Y[:, :1])


@sound("a (1, 1) cost, weights in nested lists")
def _(t: Task) -> Problem:
    def named(layers: Any) -> Weights:
        (W1, b1), (W2, b2) = layers
        return {"W1": W1, "b1": b1, "W2": W2, "b2": b2}

    def both(layers: Any, *args: Any) -> tuple[Array, Any]:
        cost, g = dense_cost(named(layers), *args), dense_gradient(named(layers), *args)
        return np.full((1, 1), cost), [[g["W1"], g["b1"]], [g["W2"], g["b2"]]]

    w = t.weights
    return both, True, [[w["W1"], w["b1"]], [w["W2"], w["b2"]]], (t.X, t.Y, t.lam)


@sound("keys of the gradient in another order")
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        return dict(reversed(dense_gradient(w, X, Y).items()))

    return dense_cost, gradient, t.weights, (t.X, t.Y)


@sound("inputs of 65535, not scaled")
def _(t: Task) -> Problem:
    # log(softmax) would be log(0) here; written with log-sum-exp it is finite.
    def cost(w: Weights, X: Array, Y: Array) -> float:
        z = forward(w, X)[1]
        top = z.max(axis=1, keepdims=True)
        log_sum = top + np.log(np.exp(z - top).sum(axis=1, keepdims=True))
        return float((log_sum - z)[Y == 1].mean())

    X = np.where(t.X > 0.5, 65535.0, np.round(3000 + 500 * t.X))
    return cost, dense_gradient, t.weights, (X, t.Y)


@sound("tiny inputs and gradients")
def _(t: Task) -> Problem:
    return dense_cost, dense_gradient, t.weights, (1e-6 * t.X, t.Y)


@sound("near convergence")
def _(t: Task) -> Problem:
    X, y = t.X, t.Y[:, 0]
    best = np.linalg.solve(X.T @ X, X.T @ y)

    def cost(w: Array) -> float:
        return float(((X @ w - y) ** 2).sum() / 2)

    return cost, lambda w: X.T @ (X @ w - y), best * (1 + 1e-9), ()


@sound("a hundred thousand weights")
def _(t: Task) -> Problem:
    big = Task.draw(len(t.X), m=20, n=784, h=120, k=10)
    return dense_cost, dense_gradient, big.weights, (big.X, big.Y, t.lam)


@sound("one weight")
def _(t: Task) -> Problem:
    return lambda w: float((w - 3) ** 4), lambda w: 4 * (w - 3) ** 3, 0.0, ()


@sound("absolute penalty")
def _(t: Task) -> Problem:
    def cost(w: Array, X: Array, y: Array, lam: float) -> float:
        return float(((X @ w - y) ** 2).mean() + lam * np.abs(w).sum())

    def gradient(w: Array, X: Array, y: Array, lam: float) -> Array:
        return 2 * X.T @ (X @ w - y) / len(X) + lam * np.sign(w)

    return cost, gradient, np.zeros(t.X.shape[1]), (t.X, t.Y[:, 0], t.lam)


@sound("log(p + 1e-8)")
def _(t: Task) -> Problem:
    def cost(theta: Array, X: Array, Y: Array) -> float:
        p = sigmoid(X @ theta)
        return float(-(Y * np.log(p + 1e-8) + (1 - Y) * np.log(1 - p + 1e-8)).mean())

    def gradient(theta: Array, X: Array, Y: Array) -> Array:
        return X.T @ (sigmoid(X @ theta) - Y) / len(X)

    return cost, gradient, np.zeros(t.X.shape[1]), (t.X, t.Y[:, 0])


@sound("JAX, float32")
def _(t: Task) -> Problem:
    X, y = jnp.asarray(t.X, jnp.float32), jnp.asarray(t.Y[:, 0], jnp.float32)

    def cost(w: Any) -> Any:
        return jnp.mean((jnp.tanh(X @ jnp.asarray(w, jnp.float32)) - y) ** 2)

    return cost, jax.grad(lambda w: cost(w)), np.zeros(t.X.shape[1]), ()
