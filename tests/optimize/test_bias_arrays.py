"""Which arrays are biases: told by their place and by what they do, not by their rank.

In each case the cost has a penalty on some arrays that the gradient lacks, or the other
way round, and the message must call them what they are.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
from thalweg.core import PyTree
from thalweg.core.types import Array

STRENGTH = 0.3
RNG = np.random.default_rng(7)
X, T = RNG.normal(size=(40, 10)), RNG.normal(size=(40, 3))
Y = RNG.normal(size=40)
PATCHES = RNG.normal(size=(40, 2, 2, 3, 3))
"""What a kernel of 3x3 pixels sees at the four places of each image."""


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def linear(xp: Any, p: Any) -> Any:
    """One unit, whatever the shapes of its weights and bias."""
    weights, bias = p
    return xp.mean((X @ weights.ravel() + bias.ravel() - Y) ** 2)


def simple_regression(xp: Any, p: Any) -> Any:
    weight, bias = p
    return xp.mean((X[:, 0] * weight.ravel() + bias.ravel() - Y) ** 2)


def softmax_regression(xp: Any, p: Any) -> Any:
    weights, bias = p
    scores = xp.exp(X @ weights + bias)
    return -xp.mean(xp.log(scores[:, 0] / scores.sum(axis=1)))


def hidden_layer(xp: Any, p: Any) -> Any:
    weights1, bias1, weights2, bias2 = p
    hidden = xp.tanh(X @ weights1 + bias1.ravel())
    return xp.mean((hidden @ weights2.ravel() + bias2.ravel() - Y) ** 2)


def three_layers(xp: Any, p: Any) -> Any:
    weights1, bias1, weights2, bias2, weights3, bias3 = p
    hidden = xp.tanh(xp.tanh(X @ weights1 + bias1) @ weights2 + bias2)
    return xp.mean((hidden @ weights3 + bias3 - T) ** 2)


def rows_first(xp: Any, p: Any) -> Any:
    """Matrices as (outputs, inputs), biases first."""
    bias1, weights1, bias2, weights2 = p
    hidden = xp.maximum(X @ weights1.T + bias1, 0)
    return xp.mean((hidden @ weights2.T + bias2 - T) ** 2)


def scaled(xp: Any, p: Any) -> Any:
    """A hidden layer whose units have a scale and a shift."""
    weights, scale, shift, out = p
    return xp.mean(((xp.tanh(X @ weights) * scale + shift) @ out - Y) ** 2)


def convolution(xp: Any, p: Any) -> Any:
    kernel, bias, out = p
    maps = xp.einsum("nijuv,uvck->nijk", PATCHES, kernel)
    return xp.mean((xp.tanh(maps + bias).mean(axis=(1, 2)) @ out - Y) ** 2)


def ratings(xp: Any, p: Any) -> Any:
    """A factorization with a bias for each of 8 users."""
    users, items, bias = p
    return xp.mean((users @ items.T + bias[:, None] - X[:8, :5]) ** 2)


class Case(NamedTuple):
    """Data's part of a cost, its arrays, and which of them are the biases."""

    cost: Any
    arrays: list[Array]
    biases: tuple[int, ...]


CASES = {
    "linear, w (n,) and b ()": Case(linear, [normal(10), normal()], (1,)),
    "linear, w (n,) and b (1,)": Case(linear, [normal(10), normal(1)], (1,)),
    "linear, W (n, 1) and b (1,)": Case(linear, [normal(10, 1), normal(1)], (1,)),
    "linear, W (n, 1) and b (1, 1)": Case(linear, [normal(10, 1), normal(1, 1)], (1,)),
    "linear, W (1, n)": Case(linear, [normal(1, 10), normal(1)], (1,)),
    "softmax": Case(softmax_regression, [normal(10, 4), normal(4)], (1,)),
    "softmax, square": Case(softmax_regression, [normal(10, 10), normal(10)], (1,)),
    "hidden layer, w2 (h,)": Case(
        hidden_layer, [normal(10, 6), normal(6), normal(6), normal()], (1, 3)
    ),
    "hidden layer, W2 (h, 1)": Case(
        hidden_layer, [normal(10, 6), normal(1, 6), normal(6, 1), normal(1)], (1, 3)
    ),
    "three layers": Case(
        three_layers,
        [normal(10, 5), normal(5), normal(5, 5), normal(5), normal(5, 3), normal(3)],
        (1, 3, 5),
    ),
    "rows first": Case(
        rows_first, [normal(6), normal(6, 10), normal(3), normal(3, 6)], (0, 2)
    ),
    "scale and shift": Case(
        scaled, [normal(10, 6), normal(6), normal(6), normal(6)], (2,)
    ),
    "convolution": Case(
        convolution, [normal(3, 3, 1, 4), normal(4), normal(4)], (1,)
    ),
    "ratings": Case(ratings, [normal(8, 2), normal(5, 2), normal(8)], (2,)),
}  # fmt: skip


def exact_gradient(cost: Any) -> Any:
    """Derive the gradient by JAX; the cost itself is called with NumPy, for speed."""
    derived = jax.jit(jax.grad(lambda p: cost(jnp, p)))

    def call(p: list[Array]) -> list[Array]:
        with jax.enable_x64(True):
            return [np.array(g) for g in derived(p)]

    return call


GRADIENTS = {case.cost: exact_gradient(case.cost) for case in CASES.values()}
GRADIENTS[simple_regression] = exact_gradient(simple_regression)


def check(
    case: Case, penalized: Iterable[int], only_in: str, *, weights_too: bool = False
) -> tw.GradientCheck:
    """Check a gradient whose penalty on some arrays stands in one place only."""
    whole = [k for k in range(len(case.arrays)) if k not in case.biases]
    in_both = whole if weights_too else []
    in_cost = [*in_both, *(penalized if only_in == "cost" else [])]
    in_gradient = [*in_both, *(penalized if only_in == "gradient" else [])]

    def cost(p: list[Array]) -> float:
        squares = sum(float((p[k] ** 2).sum()) for k in in_cost)
        return float(case.cost(np, p)) + STRENGTH / 2 * squares

    def gradient(p: list[Array]) -> list[Array]:
        pairs = enumerate(GRADIENTS[case.cost](p))
        return [g + STRENGTH * in_gradient.count(k) * p[k] for k, g in pairs]

    return tw.check_gradient(cost, gradient, case.arrays)


@pytest.mark.parametrize("name", CASES)
def test_a_penalty_on_the_weights_that_the_gradient_lacks(name: str):
    case = CASES[name]
    weights = [k for k in range(len(case.arrays)) if k not in case.biases]
    found = check(case, weights, "cost")
    assert found.cause == "missing-penalty", found.message
    assert found.factor == pytest.approx(STRENGTH, rel=1e-3)
    assert found.where == ", ".join(f"x0[{k}]" for k in weights)
    assert "Add λ·w to the gradient" in found.message


@pytest.mark.parametrize("name", CASES)
def test_a_penalty_on_one_array_of_weights_is_not_on_a_bias(name: str):
    case = CASES[name]
    for k in range(len(case.arrays)):
        if k not in case.biases:
            found = check(case, [k], "cost")
            assert (found.cause, found.where) == ("missing-penalty", f"x0[{k}]")
            found = check(case, [k], "gradient")
            assert (found.cause, found.where) == ("extra-penalty", f"x0[{k}]")


@pytest.mark.parametrize("only_in", ["cost", "gradient"])
@pytest.mark.parametrize("name", CASES)
def test_a_penalty_on_the_biases_is_told_as_such(name: str, only_in: str):
    case = CASES[name]
    found = check(case, case.biases, only_in, weights_too=True)
    assert found.cause == "penalty-on-bias", found.message
    assert found.factor == pytest.approx(STRENGTH, rel=1e-3)
    assert found.where == ", ".join(f"x0[{k}]" for k in case.biases)
    assert f"the biases only in the {only_in}" in found.message


@pytest.mark.parametrize("name", CASES)
def test_a_penalty_on_everything_is_not_on_the_biases_alone(name: str):
    case = CASES[name]
    found = check(case, range(len(case.arrays)), "cost")
    assert (found.cause, found.where) == ("missing-penalty", "all arrays")


@pytest.mark.parametrize("penalized", [0, 1])
def test_one_weight_and_one_bias_look_alike_and_get_the_advice_that_holds(
    penalized: int,
):
    case = Case(simple_regression, [normal(1), normal(1)], (1,))
    assert check(case, [penalized], "cost").cause == "missing-penalty"


@pytest.mark.parametrize("start", [{"w": normal(10), "b": 0.0},
                                   {"W": normal(10, 1), "b": np.zeros(1)}])  # fmt: skip
def test_minimize_tells_of_the_missing_penalty_of_a_linear_model(start: Any):
    tree = PyTree(start)

    def split(p: Any) -> tuple[Array, Array]:
        flat = tree.pack(p)
        return flat[:10], flat[10:]

    def cost(p: Any, X: Array, y: Array, penalty: float) -> float:
        weights, bias = split(p)
        error = X @ weights + bias - y
        return float(error @ error / (2 * len(y)) + penalty / 2 * weights @ weights)

    def gradient(p: Any, X: Array, y: Array, penalty: float) -> Any:
        weights, bias = split(p)
        error = X @ weights + bias - y
        return tree.unpack(np.append(X.T @ error, error.sum()) / len(y))

    with pytest.raises(ValueError, match=r"lacks 0.1 .* Add λ·w to the grad") as raised:
        tw.minimize(cost, start, (X, Y, 0.1), jac=gradient)
    assert "bias" not in str(raised.value)
    assert "(= args[2])" in str(raised.value)


# ------------------------------------------------------------------ one flat vector


def flat_check(case: Case, penalized: Iterable[int]) -> tw.GradientCheck:
    """The same arrays in one vector; the gradient lacks the penalty on some."""
    tree = PyTree(case.arrays)
    mask = np.zeros(tree.size)
    for k in penalized:
        mask[tree.parts[k].start : tree.parts[k].stop] = STRENGTH

    def cost(x: Array) -> float:
        return float(case.cost(np, tree.unpack(x)) + mask @ x**2 / 2)

    def gradient(x: Array) -> Array:
        return tree.pack(GRADIENTS[case.cost](tree.unpack(x)))

    return tw.check_gradient(cost, gradient, tree.pack(case.arrays))


@pytest.mark.parametrize(
    ("name", "penalized"),
    [
        ("linear, w (n,) and b ()", [0]),
        ("hidden layer, w2 (h,)", [0, 2]),
        ("hidden layer, w2 (h,)", [2]),
        ("three layers", [0, 2, 4]),
        ("rows first", [1, 3]),
    ],
)
def test_weights_in_a_flat_vector_are_no_biases(name: str, penalized: list[int]):
    assert flat_check(CASES[name], penalized).cause == "missing-penalty"


@pytest.mark.parametrize(
    ("name", "penalized"),
    [
        ("linear, w (n,) and b ()", [1]),
        ("hidden layer, w2 (h,)", [1, 3]),
        ("three layers", [1, 3, 5]),
    ],
)
def test_biases_in_a_flat_vector_are_found(name: str, penalized: list[int]):
    assert flat_check(CASES[name], penalized).cause == "penalty-on-bias"


@pytest.mark.parametrize("penalized", [0, 1])
def test_two_weights_in_a_vector_may_be_either(penalized: int):
    case = Case(simple_regression, [normal(1), normal(1)], (1,))
    assert flat_check(case, [penalized]).cause == "missing-penalty"
