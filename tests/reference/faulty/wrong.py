"""Wrong hand-written networks: what people get wrong, one small function each.

Each takes a `Task` and returns ``(fun, jac, x0, args)``; the line above it says what
is wrong with it, and what `check_gradient` must say: cause, place and factor, the
last two where there is a definite one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.reference.faulty.networks import (
    Task,
    Weights,
    course_cost,
    course_gradient,
    course_slopes,
    dense_cost,
    dense_gradient,
    forward,
    sigmoid,
    softmax,
    split,
    with_ones,
)
from thalweg.core.types import Array

Problem = tuple[Callable[..., Any], Any, Any, tuple[Any, ...]]


@dataclass
class Fault:
    """One wrong network, and what is to be said of it."""

    name: str
    make: Callable[[Task], Problem]
    cause: str
    where: str | None
    factor: Callable[[Task], float] | None
    word: str

    def __repr__(self) -> str:
        return self.name


FAULTS: list[Fault] = []

BIASES = "x0['b1'], x0['b2']"
MATRICES = "x0['W1'], x0['W2']"
FIRST = "x0['W1'], x0['b1']"
ALL = "all arrays"


def fault(
    name: str,
    cause: str,
    where: str | None = None,
    factor: Callable[[Task], float] | None = None,
    word: str = "",
) -> Callable[[Callable[[Task], Problem]], Callable[[Task], Problem]]:
    """Enter a network into the table; `word` must occur in the message."""

    def enter(make: Callable[[Task], Problem]) -> Callable[[Task], Problem]:
        FAULTS.append(Fault(name, make, cause, where, factor, word))
        return make

    return enter


def per_row(w: Weights, X: Array, Y: Array, times: Callable[[Array], Array]) -> Weights:
    """Loop over the rows, as columns; `times` is what the error is multiplied by."""
    total = {name: np.zeros_like(value) for name, value in w.items()}
    for x, y in zip(X, Y, strict=True):
        hidden, z = forward(w, x[None])
        delta2 = softmax(z) - y
        delta1 = delta2 @ w["W2"].T * times(hidden)
        total["W1"] += x[:, None] @ delta1
        total["b1"] += delta1[0]
        total["W2"] += hidden.T @ delta2
        total["b2"] += delta2[0]
    return {name: value / len(X) for name, value in total.items()}


def as_column(t: Task, times: Callable[[Array], Array]) -> Problem:
    """Put the loop over rows onto one flat vector, and its gradient into a column."""
    names = list(t.weights)

    def unpacked(x: Array) -> Weights:
        ends = np.cumsum([t.weights[name].size for name in names])[:-1]
        pieces = np.split(np.asarray(x).ravel(), ends)
        return {
            name: piece.reshape(t.weights[name].shape)
            for name, piece in zip(names, pieces, strict=True)
        }

    def gradient(x: Array, X: Array, Y: Array) -> Array:
        found = per_row(unpacked(x), X, Y, times)
        return np.concatenate([found[name].reshape(-1, 1) for name in names])

    x0 = np.concatenate([t.weights[name].ravel() for name in names])
    return lambda x, X, Y: dense_cost(unpacked(x), X, Y), gradient, x0, (t.X, t.Y)


# --------------------------------------------------------------- wrong derivatives


@fault(
    "loop over rows, (n, 1) gradient, slope of a", "wrong-derivative", word="activat"
)
def _(t: Task) -> Problem:
    return as_column(t, lambda a: sigmoid(a) * (1 - sigmoid(a)))


@fault("derivative of the activation, not of z", "wrong-derivative", FIRST)
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        return per_row(w, X, Y, lambda a: sigmoid(a) * (1 - sigmoid(a)))

    return dense_cost, gradient, t.weights, (t.X, t.Y)


@fault("delta not multiplied by the derivative", "wrong-derivative", FIRST)
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        return per_row(w, X, Y, np.ones_like)

    return dense_cost, gradient, t.weights, (t.X, t.Y)


@fault("tanh network, derivative a(1-a)", "wrong-derivative", FIRST)
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        hidden, z = forward(w, X, "tanh")
        delta2 = (softmax(z) - Y) / len(X)
        delta1 = delta2 @ w["W2"].T * hidden * (1 - hidden)
        return {
            "W1": X.T @ delta1, "b1": delta1.sum(axis=0),
            "W2": hidden.T @ delta2, "b2": delta2.sum(axis=0),
        }  # fmt: skip

    return (
        lambda w, X, Y: dense_cost(w, X, Y, 0.0, "tanh"),
        gradient,
        t.weights,
        (
            t.X,
            t.Y,
        ),
    )


@fault("squared error, output delta without its slope", "wrong-derivative", ALL)
def _(t: Task) -> Problem:
    def cost(w: Weights, X: Array, Y: Array) -> float:
        out = sigmoid(forward(w, X)[1])
        return float(((out - Y) ** 2).sum() / (2 * len(X)))

    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        hidden, z = forward(w, X)
        delta2 = (sigmoid(z) - Y) / len(X)
        delta1 = delta2 @ w["W2"].T * hidden * (1 - hidden)
        return {
            "W1": X.T @ delta1, "b1": delta1.sum(axis=0),
            "W2": hidden.T @ delta2, "b2": delta2.sum(axis=0),
        }  # fmt: skip

    return cost, gradient, t.weights, (t.X, t.Y)


@fault("first layer forgotten", "wrong-derivative", "x0['W1']", word="left out")
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        return {**dense_gradient(w, X, Y), "W1": np.zeros_like(w["W1"])}

    return dense_cost, gradient, t.weights, (t.X, t.Y)


@fault("labels (m, 1) spread over the classes", "wrong-derivative", word="one-hot")
def _(t: Task) -> Problem:
    return dense_cost, dense_gradient, t.weights, (t.X, t.labels[:, None] + 1.0)


# ------------------------------------------------------------------ factors, signs


@fault("sum against mean", "factor", ALL, lambda t: t.m, "a mean in the other")
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        return {name: g * len(X) for name, g in dense_gradient(w, X, Y).items()}

    return dense_cost, gradient, t.weights, (t.X, t.Y)


@fault("mean against sum", "factor", ALL, lambda t: 1 / t.m)
def _(t: Task) -> Problem:
    def cost(w: Weights, X: Array, Y: Array) -> float:
        return dense_cost(w, X, Y) * len(X)

    return cost, dense_gradient, t.weights, (t.X, t.Y)


@fault("sum against mean, penalty right", "factor", None, lambda t: t.m, "data's part")
def _(t: Task) -> Problem:
    def gradient(theta: Array, *args: Any) -> Array:
        X, Y, _, shapes = args
        pure = course_gradient(theta, X, Y, 0.0, shapes)
        return course_gradient(theta, *args) + (len(X) - 1) * pure

    return course_cost, gradient, t.theta, (t.X, t.Y, t.lam, t.shapes)


@fault("biases summed, weights averaged", "factor", BIASES, lambda t: t.m)
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        found = dense_gradient(w, X, Y)
        return {**found, "b1": found["b1"] * len(X), "b2": found["b2"] * len(X)}

    return dense_cost, gradient, t.weights, (t.X, t.Y)


@fault("½ of the square forgotten", "factor", "all of x0", lambda t: 0.5, "½")
def _(t: Task) -> Problem:
    def gradient(w: Array, X: Array, Y: Array) -> Array:
        return X.T @ (X @ w - Y)

    def cost(w: Array, X: Array, Y: Array) -> float:
        return float(((X @ w - Y) ** 2).sum())

    return cost, gradient, np.zeros(t.X.shape[1]), (t.X, t.Y[:, 0])


@fault("sign", "sign", ALL, lambda t: -1.0, "uphill")
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        return {name: -g for name, g in dense_gradient(w, X, Y).items()}

    return dense_cost, gradient, t.weights, (t.X, t.Y)


@fault("Y - p in a flat theta", "sign", None, lambda t: -1.0)
def _(t: Task) -> Problem:
    def gradient(theta: Array, *args: Any) -> Array:
        X, Y, _, shapes = args
        pure = course_gradient(theta, X, Y, 0.0, shapes)
        return course_gradient(theta, *args) - 2 * pure

    return course_cost, gradient, t.theta, (t.X, t.Y, t.lam, t.shapes)


# ----------------------------------------------------------------------- penalties


@fault("penalty in the cost only", "missing-penalty", MATRICES, lambda t: t.lam / t.m)
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array, lam: float) -> Weights:
        return dense_gradient(w, X, Y)

    return dense_cost, gradient, t.weights, (t.X, t.Y, t.lam)


@fault("linear: penalty in the cost only", "missing-penalty", "x0['w']",
       lambda t: t.lam, "Add λ·w")  # fmt: skip
def _(t: Task) -> Problem:
    def cost(w: Weights, X: Array, y: Array, lam: float) -> float:
        error = X @ w["w"] + w["b"] - y
        return float(error @ error / len(X) / 2 + lam / 2 * w["w"] @ w["w"])

    def gradient(w: Weights, X: Array, y: Array, lam: float) -> Weights:
        error = (X @ w["w"] + w["b"] - y) / len(X)
        return {"w": X.T @ error, "b": error.sum()}

    start = {"w": np.ones(t.X.shape[1]), "b": np.zeros(())}
    return cost, gradient, start, (t.X, t.Y[:, 0], t.lam)


@fault("penalty in the gradient only", "extra-penalty", MATRICES, lambda t: t.lam / t.m)
def _(t: Task) -> Problem:
    def cost(w: Weights, X: Array, Y: Array, lam: float) -> float:
        return dense_cost(w, X, Y)

    return cost, dense_gradient, t.weights, (t.X, t.Y, t.lam)


@fault("flat: penalty in the cost only", "missing-penalty", None, lambda t: t.lam / t.m)
def _(t: Task) -> Problem:
    def gradient(theta: Array, X: Array, Y: Array, lam: float, shapes: Any) -> Array:
        return course_gradient(theta, X, Y, 0.0, shapes)

    return course_cost, gradient, t.theta, (t.X, t.Y, t.lam, t.shapes)


@fault("biases penalized in the gradient", "penalty-on-bias", BIASES,
       lambda t: t.lam / t.m, "only in the gradient")  # fmt: skip
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array, lam: float) -> Weights:
        found = dense_gradient(w, X, Y, lam)
        for name in ("b1", "b2"):
            found[name] = found[name] + lam / len(X) * w[name]
        return found

    return dense_cost, gradient, t.weights, (t.X, t.Y, t.lam)


@fault("biases penalized in the cost", "penalty-on-bias", BIASES,
       lambda t: t.lam / t.m, "only in the cost")  # fmt: skip
def _(t: Task) -> Problem:
    def cost(w: Weights, X: Array, Y: Array, lam: float) -> float:
        squares = (w["b1"] ** 2).sum() + (w["b2"] ** 2).sum()
        return dense_cost(w, X, Y, lam) + float(lam / (2 * len(X)) * squares)

    return cost, dense_gradient, t.weights, (t.X, t.Y, t.lam)


@fault("flat: bias columns penalized in the gradient", "penalty-on-bias", None,
       lambda t: t.lam / t.m, "only in the gradient")  # fmt: skip
def _(t: Task) -> Problem:
    def gradient(theta: Array, *args: Any) -> Array:
        G1, G2 = course_slopes(theta, *args)
        T1, T2 = split(theta, args[-1])
        G1[:, 0] += args[2] / len(args[0]) * T1[:, 0]
        G2[:, 0] += args[2] / len(args[0]) * T2[:, 0]
        return np.concatenate([G1.ravel(), G2.ravel()])

    return course_cost, gradient, t.theta, (t.X, t.Y, t.lam, t.shapes)


@fault("flat: bias columns penalized in the cost", "penalty-on-bias", None,
       lambda t: t.lam / t.m, "only in the cost")  # fmt: skip
def _(t: Task) -> Problem:
    def cost(theta: Array, X: Array, Y: Array, lam: float, shapes: Any) -> float:
        T1, T2 = split(theta, shapes)
        squares = (T1[:, 0] ** 2).sum() + (T2[:, 0] ** 2).sum()
        return course_cost(theta, X, Y, lam, shapes) + lam / (2 * len(X)) * squares

    return cost, course_gradient, t.theta, (t.X, t.Y, t.lam, t.shapes)


@fault("flat: separate biases penalized in the gradient", "penalty-on-bias", None,
       lambda t: t.lam / t.m)  # fmt: skip
def _(t: Task) -> Problem:
    names = list(t.weights)
    ends = np.cumsum([w.size for w in t.weights.values()])[:-1]

    def unpacked(x: Array) -> Weights:
        return {
            name: piece.reshape(t.weights[name].shape)
            for name, piece in zip(names, np.split(x, ends), strict=True)
        }

    def gradient(x: Array, X: Array, Y: Array, lam: float) -> Array:
        w = unpacked(x)
        found = dense_gradient(w, X, Y, lam)
        for name in ("b1", "b2"):
            found[name] = found[name] + lam / len(X) * w[name]
        return np.concatenate([found[name].ravel() for name in names])

    x0 = np.concatenate([w.ravel() for w in t.weights.values()])
    return (
        lambda x, *args: dense_cost(unpacked(x), *args),
        gradient,
        x0,
        (
            t.X,
            t.Y,
            t.lam,
        ),
    )


@fault("bias columns in a dict penalized", "penalty-on-bias",
       "x0['T1'][:, 0], x0['T2'][:, 0]", lambda t: t.lam / t.m)  # fmt: skip
def _(t: Task) -> Problem:
    def flat(w: Weights) -> Array:
        return np.concatenate([w["T1"].ravel(), w["T2"].ravel()])

    def gradient(w: Weights, *args: Any) -> Weights:
        G1, G2 = course_slopes(flat(w), *args)
        G1[:, 0] += args[2] / len(args[0]) * w["T1"][:, 0]
        G2[:, 0] += args[2] / len(args[0]) * w["T2"][:, 0]
        return {"T1": G1, "T2": G2}

    T1, T2 = split(t.theta, t.shapes)
    args = (t.X, t.Y, t.lam, t.shapes)
    return (
        lambda w, *rest: course_cost(flat(w), *rest),
        gradient,
        ({"T1": T1, "T2": T2}),
        args,
    )


@fault("λ in the gradient, λ/m in the cost", "extra-penalty", MATRICES,
       lambda t: t.lam - t.lam / t.m, "args[2]/args[0].shape[0]")  # fmt: skip
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array, lam: float) -> Weights:
        return dense_gradient(w, X, Y, lam * len(X))

    return dense_cost, gradient, t.weights, (t.X, t.Y, t.lam)


@fault("λ/m in the gradient, λ in the cost", "missing-penalty", MATRICES,
       lambda t: t.lam - t.lam / t.m)  # fmt: skip
def _(t: Task) -> Problem:
    def cost(w: Weights, X: Array, Y: Array, lam: float) -> float:
        return dense_cost(w, X, Y, lam * len(X))

    return cost, dense_gradient, t.weights, (t.X, t.Y, t.lam)


@fault("penalty doubled in the gradient", "extra-penalty", MATRICES,
       lambda t: t.lam / t.m, "½")  # fmt: skip
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array, lam: float) -> Weights:
        return dense_gradient(w, X, Y, 2 * lam)

    return dense_cost, gradient, t.weights, (t.X, t.Y, t.lam)


# ------------------------------------------------------------ order, shapes, numbers


@fault("weight gradient transposed (square)", "transpose", "x0['W']")
def _(t: Task) -> Problem:
    n = t.X.shape[1]
    start = np.random.default_rng(1).normal(size=(n, n))

    def cost(w: Weights, X: Array) -> float:
        return float(((np.tanh(X @ w["W"] + w["b"]) - X) ** 2).sum() / 2)

    def gradient(w: Weights, X: Array) -> Weights:
        out = np.tanh(X @ w["W"] + w["b"])
        delta = (out - X) * (1 - out**2)
        return {"W": delta.T @ X, "b": delta.sum(axis=0)}

    return cost, gradient, {"W": start, "b": np.zeros(n)}, (t.X,)


@fault("weight gradient transposed (its shape too)", "transpose", "x0['W2']", word=".T")
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        found = dense_gradient(w, X, Y)
        return {**found, "W2": found["W2"].T}

    return dense_cost, gradient, t.weights, (t.X, t.Y)


@fault("flat: first matrix transposed", "transpose", word="another order")
def _(t: Task) -> Problem:
    def gradient(theta: Array, *args: Any) -> Array:
        G1, G2 = course_slopes(theta, *args)
        return np.concatenate([G1.T.ravel(), G2.ravel()])

    return course_cost, gradient, t.theta, (t.X, t.Y, t.lam, t.shapes)


@fault("Fortran order in the gradient", "transpose", word="order")
def _(t: Task) -> Problem:
    def gradient(theta: Array, *args: Any) -> Array:
        return np.concatenate([G.ravel("F") for G in course_slopes(theta, *args)])

    return course_cost, gradient, t.theta, (t.X, t.Y, t.lam, t.shapes)


@fault("bias column not dropped (dict)", "shape", "x0['T1']", word="bias column")
def _(t: Task) -> Problem:
    def flat(w: Weights) -> Array:
        return np.concatenate([w["T1"].ravel(), w["T2"].ravel()])

    def gradient(w: Weights, X: Array, Y: Array, lam: float, shapes: Any) -> Weights:
        a1 = with_ones(X)
        a2 = with_ones(sigmoid(a1 @ w["T1"].T))
        delta3 = sigmoid(a2 @ w["T2"].T) - Y
        delta2 = delta3 @ w["T2"] * a2 * (1 - a2)
        return {"T1": delta2.T @ a1 / len(X), "T2": delta3.T @ a2 / len(X)}

    T1, T2 = split(t.theta, t.shapes)
    args = (t.X, t.Y, t.lam, t.shapes)
    return (
        lambda w, *rest: course_cost(flat(w), *rest),
        gradient,
        ({"T1": T1, "T2": T2}),
        args,
    )


@fault("bias column not dropped (flat)", "shape", word="bias column")
def _(t: Task) -> Problem:
    def gradient(theta: Array, X: Array, Y: Array, lam: float, shapes: Any) -> Array:
        T1, T2 = split(theta, shapes)
        a1 = with_ones(X)
        a2 = with_ones(sigmoid(a1 @ T1.T))
        delta3 = sigmoid(a2 @ T2.T) - Y
        delta2 = delta3 @ T2 * a2 * (1 - a2)
        return np.concatenate([(delta2.T @ a1).ravel(), (delta3.T @ a2).ravel()])

    return course_cost, gradient, t.theta, (t.X, t.Y, t.lam, t.shapes)


@fault("an array left out", "shape", word="'b1'")
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        return {k: g for k, g in dense_gradient(w, X, Y).items() if k != "b1"}

    return dense_cost, gradient, t.weights, (t.X, t.Y)


@fault("labels not one-hot", "shape", word="one-hot")
def _(t: Task) -> Problem:
    return dense_cost, dense_gradient, t.weights, (t.X, t.labels)


@fault("gradient not summed over the rows", "shape", word="over the rows")
def _(t: Task) -> Problem:
    def cost(w: Array, X: Array, y: Array) -> float:
        return float(((X @ w - y) ** 2).sum() / 2)

    def gradient(w: Array, X: Array, y: Array) -> Array:
        return X * (X @ w - y)[:, None]

    return cost, gradient, np.zeros(t.X.shape[1]), (t.X, t.Y[:, 0])


@fault("(n, 1) against (n,): cost (n, n)", "shape", word="(n, n)")
def _(t: Task) -> Problem:
    def cost(w: Array, X: Array, y: Array) -> Array:
        return (X @ w[:, None] - y) ** 2

    return (
        cost,
        lambda w, X, y: X.T @ (X @ w - y),
        np.zeros(t.X.shape[1]),
        (
            t.X,
            t.Y[:, 0],
        ),
    )


@fault("gradient is None", "shape", word="None")
def _(t: Task) -> Problem:
    return dense_cost, lambda w, X, Y: None, t.weights, (t.X, t.Y)


@fault("shape changes between calls", "shape", word="entries")
def _(t: Task) -> Problem:
    calls: list[int] = []

    def gradient(w: Array, X: Array, y: Array) -> Array:
        calls.append(1)
        found = X.T @ (X @ w - y)
        return found if len(calls) % 2 else found[:-1]

    def cost(w: Array, X: Array, y: Array) -> float:
        return float(((X @ w - y) ** 2).sum() / 2)

    return cost, gradient, np.zeros(t.X.shape[1]), (t.X, t.Y[:, 0])


@fault("log(0)", "nonfinite", "the cost", word="logarithm of 0")
def _(t: Task) -> Problem:
    def cost(w: Weights, X: Array, Y: Array) -> float:
        out = sigmoid(forward(w, X)[1] * 1e4)
        return float(-(Y * np.log(out) + (1 - Y) * np.log(1 - out)).mean())

    return cost, dense_gradient, t.weights, (t.X, t.Y)


@fault("0/0 in the gradient", "nonfinite", "the gradient of x0['W2']")
def _(t: Task) -> Problem:
    def gradient(w: Weights, X: Array, Y: Array) -> Weights:
        found = dense_gradient(w, X, Y)
        return {**found, "W2": found["W2"] * np.nan}

    return dense_cost, gradient, t.weights, (t.X, t.Y)


@fault("dropout drawn anew at each call", "random", "the cost", word="dropout")
def _(t: Task) -> Problem:
    rng = np.random.default_rng(3)

    def cost(w: Weights, X: Array, Y: Array) -> float:
        return dense_cost(w, X * (rng.random(X.shape) > 0.5), Y)

    return cost, dense_gradient, t.weights, (t.X, t.Y)


@fault("float32 cost and a doubled gradient", "factor", "all of x0", lambda t: 2.0)
def _(t: Task) -> Problem:
    X, y = t.X.astype(np.float32), t.Y[:, 0].astype(np.float32)

    def cost(w: Array) -> np.float32:
        return ((X @ w.astype(np.float32) - y) ** 2).sum() / np.float32(2)

    def gradient(w: Array) -> Array:
        return 2 * X.T @ (X @ w.astype(np.float32) - y)

    return cost, gradient, np.full(X.shape[1], 0.5), ()
