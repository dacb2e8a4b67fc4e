"""`least_squares` returns what SciPy's returns, and names a wrong Jacobian."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import thalweg as tw
from thalweg.core.types import Array

least_squares_of_scipy: Any = optimize.least_squares  # its stub is too narrow

T = np.linspace(0, 3, 30)
Y = 2 * np.exp(-1.3 * T) + 0.5
START = [1.0, 1.0, 0.0]


def residuals(p: Array) -> Array:
    return p[0] * np.exp(-p[1] * T) + p[2] - Y


def jacobian(p: Array) -> Array:
    decay = np.exp(-p[1] * T)
    return np.stack([decay, -p[0] * T * decay, np.ones(30)], axis=1)


def changed(place: Any, factor: float, shift: float = 0.0) -> Callable[[Array], Array]:
    def change(found: Array) -> Array:
        found[place] = factor * found[place] + shift
        return found

    return change


WRONG: dict[str, tuple[Callable[[Array], Array], str, str, str]] = {
    "factor": (lambda J: 2 * J, "factor", "the Jacobian", "2 times what the residuals"),
    "sign": (lambda J: -J, "sign", "the Jacobian", "model - data"),
    "shape": (lambda J: J[:, :2], "shape", "the Jacobian", r"\(30, 2\).*\(30, 3\)"),
    "transposed": (lambda J: J.T, "transpose", "the Jacobian", "Return its .T"),
    "entry": (
        changed((3, 1), 2.0), "factor", "entry [3, 1] of the Jacobian", "is 2 times"
    ),
    "column": (
        changed((slice(None), 1), -1.0), "sign", "column 1 of the Jacobian", "sign"
    ),
    "row": (changed(4, 1.0, 0.3), "wrong-derivative", "row 4 of the Jacobian",
            r"entry \[4, 0\] is .*, and finite differences give"),
    "zero": (changed((slice(None), 2), 0.0), "wrong-derivative",
             "column 2 of the Jacobian", "is 0, but"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str):
    change, cause, where, words = WRONG[name]
    jac = lambda p: change(jacobian(p))
    with pytest.raises(ValueError, match=f"least_squares: .*{words}"):
        tw.least_squares(residuals, START, jac)
    if name in ("shape", "transposed"):
        return  # SciPy cannot go on
    with pytest.warns(RuntimeWarning, match=words):
        res = tw.least_squares(residuals, START, jac, check="warn", max_nfev=3)
    assert (res.check.cause, res.check.where.lower()) == (cause, where.lower())


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_results_are_scipys(method: str):
    for jac in (jacobian, "2-point", "3-point"):
        theirs: Any = least_squares_of_scipy(residuals, START, jac, method=method)
        ours = tw.least_squares(residuals, START, jac, method=method)
        for name in theirs:
            np.testing.assert_equal(ours[name], theirs[name], name)
    ours = tw.least_squares(residuals, START, jacobian, method=method)
    assert ours.check.ok


def test_a_square_jacobian_may_be_transposed():
    A = np.random.default_rng(0).normal(size=(4, 4))
    with pytest.raises(ValueError, match="transposed"):
        tw.least_squares(lambda x: A @ x**3 - 1, np.ones(4), lambda x: (A * 3 * x**2).T)


def test_buffers_and_structures_are_safe():
    buffer, rows = np.zeros((30, 3)), np.zeros(30)

    def fun(p: Array) -> Array:
        rows[:] = residuals(p)
        return rows

    def jac(p: Array) -> Array:
        buffer[:] = jacobian(p)
        return buffer

    theirs: Any = least_squares_of_scipy(residuals, START, jacobian)
    assert np.array_equal(tw.least_squares(fun, START, jac).x, theirs.x)
    start = {"slope": 0.0, "offset": np.zeros(1)}
    line = lambda d: d["slope"] * T + d["offset"] - (2 * T + 1)
    found = tw.least_squares(line, start).x
    assert np.allclose([found["slope"], found["offset"][0]], [2, 1])


def test_the_check_stays_inside_the_bounds():
    points: list[Array] = []

    def fun(p: Array) -> Array:
        points.append(p)
        return residuals(p)

    res = tw.least_squares(fun, START, jacobian, bounds=([0, 0, 0], [1.5, 3, 3]))
    assert res.check.ok
    assert all(((p >= 0) & (p <= [1.5, 3, 3])).all() for p in points)


def test_args_and_kwargs_reach_both():
    fun = lambda p, scale, *, shift: scale * p - shift
    jac = lambda p, scale, *, shift: scale * np.eye(2)
    res = tw.least_squares(fun, [0.0, 1.0], jac, args=(2.0,), kwargs={"shift": 3.0})
    assert np.allclose(res.x, 1.5)
