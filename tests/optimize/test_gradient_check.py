"""`check_gradient` names each wrong network of `tests/faulty`, and no right one."""

from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.reference.faulty.networks import Task, course_cost, course_gradient
from tests.reference.faulty.right import SOUND
from tests.reference.faulty.wrong import FAULTS, Fault
from thalweg.core.pytree import PyTree
from thalweg.core.types import Array

SIZES: dict[int, dict[str, int]] = {0: {}, 1: {"m": 41, "n": 4, "h": 3, "k": 5}}
"""Seed to the sizes of the task that it draws."""


@pytest.mark.parametrize("seed", SIZES)
@pytest.mark.parametrize("fault", FAULTS, ids=repr)
def test_wrong_network_is_named(fault: Fault, seed: int):
    task = Task.draw(seed, **SIZES[seed])
    fun, jac, x0, args = fault.make(task)
    check = tw.check_gradient(fun, jac, x0, args)
    assert (check.ok, check.cause) == (False, fault.cause)
    if fault.where is not None:
        assert check.where == fault.where
    if fault.factor is not None:
        assert check.factor == pytest.approx(fault.factor(task), rel=1e-3)
    assert fault.word in check.message
    assert str(check) == check.message
    assert check.message.endswith((".", "]"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("name", SOUND)
def test_right_network_raises_no_alarm(name: str, seed: int):
    fun, jac, x0, args = SOUND[name](Task.draw(seed))
    check = tw.check_gradient(fun, jac, x0, args)
    assert check, check.message
    assert check.error < 2e-4
    assert "agree on" in check.message


@pytest.mark.slow
def test_minimize_raises_what_the_check_says():
    task = Task.draw(0)
    for fault in FAULTS[:12]:
        fun, jac, x0, args = fault.make(task)
        message = tw.check_gradient(fun, jac, x0, args).message
        with pytest.raises(ValueError, match="minimize: ") as raised:
            tw.minimize(fun, x0, args, jac=jac, method="CG")
        assert message[1:60] in str(raised.value)


def test_column_gradient_with_right_numbers_is_only_noted():
    make = SOUND["loop over rows, (n, 1) gradient with the right numbers"]
    fun, jac, x0, args = make(Task.draw(0))
    check = tw.check_gradient(fun, jac, x0, args)
    assert check.ok
    assert "(57, 1)" in check.notes[0]
    assert "SciPy" in check.notes[0]


def test_float32_cost_is_noted():
    fun, jac, x0, args = SOUND["float32 inside, and the cost too"](Task.draw(0))
    assert "float64" in tw.check_gradient(fun, jac, x0, args).notes[0]


def test_numbers_are_spelled_by_the_arguments_they_come_from():
    task = Task.draw(0)
    args = (task.X, task.Y, task.lam, task.shapes)

    def gradient(theta: Array, X: Array, Y: Array, lam: float, shapes: Any) -> Array:
        return course_gradient(theta, X, Y, 0.0, shapes)

    check = tw.check_gradient(course_cost, gradient, task.theta, args)
    assert "(= args[2]/args[0].shape[0])" in check.message


def test_rare_mistake_in_a_large_vector_is_found():
    task = Task.draw(2, m=60, n=60, h=40, k=4)
    flaws = [f for f in FAULTS if f.name.startswith("flat: ") and "bias" in f.name]
    assert len(flaws) == 3
    for fault in flaws:
        fun, jac, x0, args = fault.make(task)
        check = tw.check_gradient(fun, jac, x0, args)
        assert check.cause == "penalty-on-bias", fault.name
        assert check.factor == pytest.approx(task.lam / 60, rel=1e-3)


def test_single_wrong_entry_is_placed():
    def gradient(w: Array) -> Array:
        found = 2 * w
        found[1] += 0.5 * w[1]
        return found

    check = tw.check_gradient(lambda w: float(w @ w), gradient, np.ones(6))
    assert check.where == "x0[1]"
    assert check.cause == "factor"
    assert check.factor == pytest.approx(1.25)


def test_labels_that_are_texts_do_not_stop_the_search_for_the_mistake():
    labels = np.array(["cat", "dog", "cat", "bird"])
    X = np.random.default_rng(0).normal(size=(4, 3))

    def cost(w: Array, X: Array, labels: Array) -> float:
        return float(np.cos(X @ w) @ (labels == "cat"))

    def gradient(w: Array, X: Array, labels: Array) -> Array:
        return X.T @ (np.cos(X @ w) * (labels == "cat"))

    check = tw.check_gradient(cost, gradient, np.ones(3), (X, labels))
    assert check.cause == "wrong-derivative", check.message
    assert "one-hot" not in check.message


def test_two_mistakes_are_told_of_the_later_array():
    def gradient(w: dict[str, Array]) -> dict[str, Array]:
        return {"a": np.cos(w["a"]) ** 2, "b": -2 * w["b"]}

    def cost(w: dict[str, Array]) -> float:
        return float(np.sin(w["a"]).sum() + w["b"] @ w["b"])

    start = {"a": np.arange(1.0, 5.0), "b": np.ones(3)}
    check = tw.check_gradient(cost, gradient, start)
    assert (check.cause, check.where) == ("sign", "x0['b']")


def test_check_does_not_change_what_it_is_given():
    fun, jac, x0, args = SOUND["tanh"](Task.draw(0))
    before = {name: w.copy() for name, w in x0.items()}
    first = tw.check_gradient(fun, jac, x0, args)
    assert all(np.array_equal(before[name], x0[name]) for name in x0)
    assert tw.check_gradient(fun, jac, x0, args).error == first.error


@pytest.mark.parametrize("jac", [None, False, "2-point", 3])
def test_jac_must_be_a_function(jac: Any):
    with pytest.raises(ValueError, match="check_gradient got jac="):
        tw.check_gradient(lambda x: x @ x, jac, np.ones(2))


@pytest.mark.parametrize(
    ("x0", "message"),
    [
        ([], "holds no numbers"),
        (np.array([1.0, np.nan]), r"x0 is not finite at \[1\]"),
        ({"W": np.ones(2), "b": np.inf}, r"x0\['b'\] is not finite"),
        ({"W": None}, r"x0\['W'\] is None"),
        ([np.ones(2), "abc"], r"x0\[1\] is 'abc'"),
        (np.array([1j]), "real numbers"),
    ],
)
def test_bad_start_is_named(x0: Any, message: str):
    with pytest.raises(ValueError, match=message):
        tw.check_gradient(lambda x: 0.0, lambda x: x, x0)


@pytest.mark.parametrize(
    "x0",
    [
        np.arange(3.0),
        np.arange(4.0).reshape(4, 1),
        2.5,
        [1.0, 2.0],
        [np.ones((2, 3)), np.zeros(3)],
        {"layers": [{"W": np.ones((2, 2)), "b": 0.5}], "rest": (np.ones(1),)},
    ],
)
def test_tree_is_flattened_and_restored(x0: Any):
    tree = PyTree(x0)
    flat = tree.pack(x0) + 1
    assert flat.shape == (tree.size,)
    again = tree.unpack(flat)
    assert np.array_equal(tree.pack(again), flat)
    assert type(again) is type(x0) or isinstance(again, np.ndarray)
    assert tree.part_at(tree.size - 1) is tree.parts[-1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"W": np.ones(2)}, r"Missing: \['b'\]"),
        ({"W": np.ones(2), "b": 1.0, "c": 1.0}, r"Unknown: \['c'\]"),
        ([np.ones(2), 1.0], "x0 is a dict, but a list of 2 was returned"),
    ],
)
def test_tree_says_what_does_not_match(value: Any, message: str):
    with pytest.raises(ValueError, match=message):
        PyTree({"W": np.ones(2), "b": 0.0}).pack(value)
