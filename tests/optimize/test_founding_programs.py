"""The two programs that this library was founded on, as they were posted.

Only the import is another: ``from thalweg import minimize`` and ``fmin_cg``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import OptimizeWarning

import thalweg as tw
from thalweg.core.types import Array

# NumPy advises against its matrices, which posted programs are full of.
pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass")

INFRARED = Path(__file__).parents[2] / "examples" / "infrared.csv"


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


# ------------------------------------------------- TNC, with maxiter, on the table


def unroll(params: Any, n: int, h: int, k: int) -> tuple[Any, Any]:
    theta1 = np.matrix(np.reshape(params[: h * (n + 1)], (h, n + 1)))
    theta2 = np.matrix(np.reshape(params[h * (n + 1) :], (k, h + 1)))
    return theta1, theta2


def backprop(
    params: Any, n: int, h: int, k: int, X: Any, y: Any, rate: float
) -> tuple[Any, Any]:
    m = X.shape[0]
    theta1, theta2 = unroll(params, n, h, k)
    a1 = np.insert(np.matrix(X), 0, values=np.ones(m), axis=1)
    a2 = np.insert(sigmoid(a1 * theta1.T), 0, values=np.ones(m), axis=1)
    out = sigmoid(a2 * theta2.T)
    first = np.multiply(-y, np.log(out))
    second = np.multiply(1 - y, np.log(1 - out))
    J = np.sum(first - second) / m
    J += (
        rate
        / (2 * m)
        * (np.sum(np.power(theta1[:, 1:], 2)) + np.sum(np.power(theta2[:, 1:], 2)))
    )
    d3 = out - y
    d2 = np.multiply(d3 * theta2, np.multiply(a2, 1 - a2))[:, 1:]
    delta1, delta2 = d2.T * a1 / m, d3.T * a2 / m
    delta1[:, 1:] += theta1[:, 1:] * rate / m
    delta2[:, 1:] += theta2[:, 1:] * rate / m
    return J, np.concatenate((np.ravel(delta1), np.ravel(delta2)))


@pytest.mark.parametrize("most", [3, 500])
def test_tnc_takes_maxiter_on_the_infrared_table(most: int):
    table = np.genfromtxt(INFRARED, delimiter=",", skip_header=1)
    X, labels = table[:, :5], table[:, 5].astype(int)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    classes, codes = np.unique(labels, return_inverse=True)
    y = np.eye(len(classes))[codes]
    rng = np.random.default_rng(0)
    params = (rng.random(25 * 6 + len(classes) * 26) - 0.5) * 0.25
    fmin = tw.minimize(
        fun=backprop, x0=params, args=(5, 25, len(classes), X, y, 0.01),
        method="TNC", jac=True, options={"maxiter": most},
    )  # fmt: skip
    assert fmin.nit == len(fmin.history) <= most
    theta1, theta2 = unroll(fmin.x, 5, 25, len(classes))
    assert fmin.check.ok
    if most == 3:
        assert (fmin.nit, fmin.success, fmin.stop_reason) == (3, False, "maxiter")
        assert fmin.fun == fmin.history.loss[-1]
        assert fmin.message == "Maximum number of iterations has been exceeded."
    else:
        hidden = sigmoid(np.insert(X, 0, 1, axis=1) @ theta1.T)
        out = sigmoid(np.insert(np.asarray(hidden), 0, 1, axis=1) @ theta2.T)
        assert (np.asarray(out).argmax(axis=1) == codes).all()


# ---------------------------------------- fmin_cg, a matrix as gradient, on images


def images() -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    y = np.arange(60) % 3
    patterns = rng.normal(size=(3, 8 * 8))
    return patterns[y] + 0.5 * rng.normal(size=(60, 64)), np.eye(3)[y]


def cost_function(theta: Any, X: Any, Y: Any, lam: float) -> Any:
    m, (t1, t2) = len(X), split(theta)
    out = forward(X, t1, t2)[-1]
    loss = -np.sum(Y * np.log(out) + (1 - Y) * np.log(1 - out)) / m
    return loss + lam / (2 * m) * (np.sum(t1**2) + np.sum(t2**2))


def gradient_function(theta: Any, X: Any, Y: Any, lam: float) -> Any:
    m, (t1, t2) = len(X), split(theta)
    a1, a2, out = forward(X, t1, t2)
    d3 = out - Y
    d2 = (d3 @ t2)[:, 1:] * a2[:, 1:] * (1 - a2[:, 1:])
    g1, g2 = d2.T @ a1 / m, d3.T @ a2 / m
    g1[:, 1:] += lam / m * t1[:, 1:]
    g2[:, 1:] += lam / m * t2[:, 1:]
    return np.matrix(np.concatenate([g1.flatten(), g2.flatten()])).T


def split(theta: Any) -> tuple[Any, Any]:
    return theta[: 6 * 65].reshape(6, 65), theta[6 * 65 :].reshape(3, 7)


def forward(X: Any, t1: Any, t2: Any) -> tuple[Any, Any, Any]:
    a1 = np.c_[np.ones(len(X)), X]
    a2 = np.c_[np.ones(len(X)), sigmoid(a1 @ t1.T)]
    return a1, a2, sigmoid(a2 @ t2.T)


def test_fmin_cg_is_stopped_with_the_cause_and_runs_once_it_is_mended(
    capsys: pytest.CaptureFixture[str],
):
    X, Y = images()
    start = np.random.default_rng(2).uniform(-0.12, 0.12, 6 * 65 + 3 * 7)
    with pytest.raises(ValueError, match="a penalty reaches the biases only in the co"):
        tw.fmin_cg(cost_function, start, gradient_function, (X, Y, 1.0), maxiter=50)

    def without_biases(theta: Any, X: Any, Y: Any, lam: float) -> Any:
        t1, t2 = split(theta)
        biases = lam / (2 * len(X)) * (np.sum(t1[:, 0] ** 2) + np.sum(t2[:, 0] ** 2))
        return cost_function(theta, X, Y, lam) - biases

    rows: list[Any] = []
    with pytest.warns(OptimizeWarning, match="Maximum number of iterations"):
        found, cost, *_ = tw.fmin_cg(
            without_biases, start, gradient_function, (X, Y, 1.0), maxiter=50,
            full_output=True, history=rows,
        )  # fmt: skip
    assert "Iterations: " in capsys.readouterr().out
    assert cost == rows[-1].loss < 0.3 * rows[0].loss
    assert (forward(X, *split(found))[-1].argmax(axis=1) == Y.argmax(axis=1)).all()
