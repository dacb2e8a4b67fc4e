"""Whatever can be called is a function: `minimize` and `check_gradient` take each kind.

The cost is ½·|x - target|², written once in operators that NumPy and JAX share.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
from thalweg.core import PyTree
from thalweg.core.types import Array
from thalweg.optimize import ShapeError, UserFunction

TARGET = np.array([1.0, -2.0, 0.5])
START = np.full(3, 2.0)


def cost(x: Any, target: Any = TARGET) -> Any:
    return ((x - target) ** 2).sum() / 2


def gradient(x: Any, target: Any = TARGET) -> Any:
    return x - target


def wrong(x: Any, target: Any = TARGET) -> Any:
    return 2 * (x - target)


class Model:
    """A user's class whose methods are the functions."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def method(self, x: Any) -> Any:
        return self.function(x, TARGET)

    @classmethod
    def of_class(cls, x: Any) -> Any:
        return gradient(x)

    def __call__(self, x: Any) -> Any:
        return self.function(x, TARGET)


def jitted(function: Callable[..., Any]) -> Callable[..., Any]:
    target = jnp.array(TARGET)
    return jax.jit(lambda x: function(x, target))


def in_float64(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile, and call with 64 bits as users of JAX do who want them."""
    compiled = jitted(function)

    def call(x: Any) -> Any:
        with jax.enable_x64(True):
            return compiled(jnp.asarray(x))

    return call


def vectorized(function: Callable[..., Any]) -> Any:
    """A function that `numpy.vectorize` made; the cost needs a signature."""
    signature = "(n)->()" if np.ndim(function(START)) == 0 else "(n)->(n)"
    return np.vectorize(function, signature=signature)


KINDS: dict[str, Callable[[Callable[..., Any]], Any]] = {
    "function": lambda function: function,
    "lambda": lambda function: lambda x: function(x),
    "partial": lambda function: functools.partial(function, target=TARGET),
    "partial of a method": lambda f: functools.partial(Model.method, Model(f)),
    "bound method": lambda function: Model(function).method,
    "callable object": Model,
    "jitted": jitted,
    "jitted in float64": in_float64,
    "vectorized": vectorized,
    "cached": lambda f: functools.lru_cache(lambda key: f(np.array(key))),
}


def as_given(kind: str, function: Callable[..., Any]) -> Any:
    made = KINDS[kind](function)
    # An array cannot be the key of a cache; users hash its numbers.
    return (lambda x: made(tuple(x))) if kind == "cached" else made


@pytest.mark.parametrize("of_gradient", KINDS)
@pytest.mark.parametrize("of_cost", ["function", "jitted", "callable object"])
def test_every_kind_of_gradient_is_checked(of_cost: str, of_gradient: str):
    fun = as_given(of_cost, cost)
    right = tw.check_gradient(fun, as_given(of_gradient, gradient), START)
    assert right.ok, right.message
    found = tw.check_gradient(fun, as_given(of_gradient, wrong), START)
    assert (found.cause, found.where) == ("factor", "all of x0")
    assert found.factor == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_cost_is_checked(kind: str):
    fun = as_given(kind, cost)
    assert tw.check_gradient(fun, gradient, START).ok
    assert tw.check_gradient(fun, wrong, START).cause == "factor"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_minimized(kind: str):
    res = tw.minimize(
        as_given(kind, cost), START, jac=as_given(kind, gradient), method="CG"
    )
    assert res.check.ok
    assert np.allclose(res.x, TARGET, atol=1e-5)
    with pytest.raises(ValueError, match=r"all of x0 is 2 times"):
        tw.minimize(as_given(kind, cost), START, jac=as_given(kind, wrong))


def test_a_class_method_and_a_universal_function_are_gradients():
    assert tw.check_gradient(cost, Model.of_class, START).ok
    assert tw.check_gradient(lambda x: -np.cos(x).sum(), np.sin, np.ones(3)).ok


@pytest.mark.parametrize(
    "kind",
    ["function", "lambda", "partial", "bound method", "callable object", "jitted"],
)
def test_jax_derives_every_kind_that_it_can_trace(kind: str):
    res = tw.minimize(KINDS[kind](cost), START, method="trust-krylov")
    assert np.allclose(res.x, TARGET, atol=1e-6)


@pytest.mark.parametrize("method", ["BFGS", "trust-krylov"])
def test_a_compiled_cost_that_was_called_with_32_bits_before(method: str):
    """JAX keeps its NumPy constants as they were at the first call."""
    target = np.array(TARGET)  # not an array that another test compiled
    fun = jax.jit(lambda x: cost(x, target))
    assert fun(START).dtype == np.float32
    res = tw.minimize(fun, START, method=method)
    assert np.allclose(res.x, TARGET, atol=1e-6)


@pytest.mark.parametrize(
    "both",
    [
        lambda x: (cost(x), gradient(x)),
        functools.partial(lambda scale, x: [cost(x), scale * gradient(x)], 1.0),
        jax.value_and_grad(jitted(cost)),
        jax.jit(jax.value_and_grad(jitted(cost))),
        Model(lambda x, target: (cost(x), gradient(x))),
        Model(lambda x, target: (cost(x), gradient(x))).method,
    ],
    ids=["lambda", "partial", "JAX", "jitted", "object", "method"],
)
def test_every_kind_may_return_cost_and_gradient(both: Any):
    assert tw.check_gradient(both, True, START).ok
    res = tw.minimize(both, START, jac=True, method="BFGS")
    assert np.allclose(res.x, TARGET, atol=1e-5)


def test_every_kind_of_callback_is_called():
    seen: list[Array] = []

    class Watcher:
        def method(self, x: Array) -> None:
            seen.append(x)

        def __call__(self, *, intermediate_result: Any) -> None:
            seen.append(intermediate_result.x)

    def keep(where: list[Array], x: Array) -> None:
        where.append(x)

    callbacks: list[Any] = [
        seen.append, Watcher(), Watcher().method, functools.partial(keep, seen),
        lambda x: seen.append(x),
    ]  # fmt: skip
    for count, callback in enumerate(callbacks, 1):
        tw.minimize(cost, START, jac=gradient, method="CG", callback=callback)
        assert len(seen) == count  # one iteration each
        assert np.allclose(seen[-1], TARGET)
    # `max` is written in C and has no signature.
    tw.minimize(cost, START, jac=gradient, method="CG", callback=max)


@pytest.mark.parametrize(
    "yes", [True, np.True_, np.array(True), jnp.array(True), 1, "stop"]
)
def test_every_kind_of_true_stops(yes: Any):
    x = np.array([-1.2, 1.0])
    res = tw.minimize(
        lambda x: ((1 - x) ** 4).sum(), x, jac=lambda x: -4 * (1 - x) ** 3,
        method="BFGS", callback=lambda x: yes,
    )  # fmt: skip
    assert (res.nit, res.message) == (1, "The callback asked to stop.")


def test_a_callback_that_returns_numbers_does_not_stop():
    x = np.array([-1.2, 1.0])
    res = tw.minimize(
        lambda x: ((1 - x) ** 4).sum(), x, jac=lambda x: -4 * (1 - x) ** 3,
        method="BFGS", callback=lambda x: x,
    )  # fmt: skip
    assert res.success


@pytest.mark.parametrize("callback", ["print", 3, [print]])
def test_a_callback_that_cannot_be_called_is_named(callback: Any):
    with pytest.raises(TypeError, match=r"minimize got callback=.*function of x"):
        tw.minimize(cost, START, jac=gradient, callback=callback)


def test_a_second_call_at_the_same_point_is_answered_from_the_first():
    points: list[Array] = []

    def both(x: Array) -> tuple[float, Array]:
        points.append(x)
        return cost(x), gradient(x)

    function = UserFunction(both, True, PyTree(START))
    assert function.has_gradient
    assert function.cost(START) == cost(START)
    assert np.array_equal(function.gradient(START), gradient(START))
    assert len(points) == 1
    function.recompute_cost(START)
    assert len(points) == 2


def test_notes_are_kept_once_and_in_order():
    function = UserFunction(
        lambda x: cost(x).reshape(1, 1), lambda x: gradient(x)[:, None], PyTree(START)
    )
    for _ in range(3):
        function.cost(START)
        function.gradient(START)
    first, second = function.notes
    assert "shape (1, 1)" in first
    assert "shape (3, 1) and was reshaped to (3,)" in second


@pytest.mark.parametrize(
    ("gradient", "where", "cause"),
    [
        (lambda x: {"W": x["W"].T, "b": x["b"]}, "x0['W']", "transpose"),
        (lambda x: {"W": x["W"], "b": np.zeros(3)}, "x0['b']", "shape"),
        (lambda x: np.zeros(7), "x0['b']", "shape"),
    ],
)
def test_a_shape_beyond_repair_has_a_place(gradient: Any, where: str, cause: str):
    tree = PyTree({"W": np.ones((2, 3)), "b": np.zeros(2)})
    function = UserFunction(lambda x: 0.0, gradient, tree)
    with pytest.raises(ShapeError) as raised:
        function.gradient(np.zeros(8))
    assert (raised.value.where, raised.value.cause) == (where, cause)
