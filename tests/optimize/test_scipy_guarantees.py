"""What SciPy guarantees holds, also where SciPy itself fails."""

import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from scipy.optimize import rosen, rosen_der, rosen_hess

import thalweg as tw
from thalweg.core.types import Array
from thalweg.optimize.feasible_region import FeasibleRegion
from thalweg.optimize.gradient_check import examine_gradient
from thalweg.optimize.minimization import Minimization
from thalweg.optimize.scipy_methods import METHODS

Bounds: Any = optimize.Bounds  # its stub takes numbers alone
BOUNDED = {m.label for m in METHODS.values() if "bounds" in m.uses}
WITH_GRADIENT = {m.label for m in METHODS.values() if "gradient" in m.uses}
FIXED = [(0, 2), (0.7, 0.7), (0, 2)]


@pytest.mark.parametrize("method", sorted(BOUNDED))
def test_fixed_variables_stay_fixed_and_callbacks_see_all_of_x(
    method: str, capsys: pytest.CaptureFixture[str]
):
    seen: list[Array] = []

    def keep(intermediate_result: Any) -> None:
        seen.append(intermediate_result.x)

    given: dict[str, Any] = {"jac": rosen_der} if method in WITH_GRADIENT else {}
    res = tw.minimize(
        rosen, [0.5, 0.7, 0.5], method=method, bounds=FIXED, callback=keep,
        options={"maxiter": 30}, **given,
    )  # fmt: skip
    assert res.x[1] == pytest.approx(0.7, abs=1e-4)
    assert {x.shape for x in seen} == {(3,)}
    assert len(seen) == len(res.history) > 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("method", sorted(BOUNDED))
def test_all_variables_may_be_fixed(method: str):
    res = tw.minimize(
        rosen, [0.5, 0.5], method=method, bounds=[(0.5, 0.5)] * 2, check="off"
    )
    assert np.allclose(res.x, 0.5)
    assert res.fun == pytest.approx(rosen([0.5, 0.5]))


@pytest.mark.parametrize("x0", [[-1.0, 9.0], [0.0, 5.0], [5e-4, 1.0]])
@pytest.mark.parametrize("method", ["L-BFGS-B", "SLSQP", "COBYQA", "Nelder-Mead"])
@pytest.mark.filterwarnings("ignore:Initial guess is not within")
def test_nothing_is_evaluated_outside_the_bounds(method: str, x0: list[float]):
    low, high = np.array([0.0, 0.0]), np.array([1e-3, 5.0])

    def inside(x: Array) -> Array:
        assert ((low <= x) & (x <= high)).all()
        return x

    given: dict[str, Any] = {}
    if method in WITH_GRADIENT:
        given["jac"] = lambda x: rosen_der(inside(x))
    res = tw.minimize(
        lambda x: rosen(inside(x)), x0, method=method, bounds=Bounds(low, high),
        options={"maxiter": 20}, **given,
    )  # fmt: skip
    assert res.check is None or res.check.ok


def test_a_wrong_gradient_is_explained_inside_the_bounds():
    points: list[Array] = []

    def cost(x: Array) -> float:
        points.append(x)
        return float(np.sqrt(x).sum() + 0.5 * x @ x)

    with pytest.raises(ValueError, match=r"lacks 1·w"):
        tw.minimize(
            cost, np.linspace(0.3, 0.31, 6), jac=lambda x: 0.5 / np.sqrt(x),
            method="L-BFGS-B", bounds=[(0.3, 0.31)] * 6,
        )  # fmt: skip
    assert len(points) > 20
    assert all(((x >= 0.3) & (x <= 0.31)).all() for x in points)


def test_the_check_keeps_to_feasible_constraints():
    points: list[Array] = []

    def cost(x: Array) -> float:
        points.append(x)
        return float((x - 2) @ (x - 2))

    disk = optimize.NonlinearConstraint(lambda x: x @ x, -np.inf, 1, keep_feasible=True)
    problem = Minimization(
        METHODS["trust-constr"], cost, *_vector([0.7, 0.7]), (), lambda x: 2 * (x - 2),
        constraints=disk,
    )  # fmt: skip
    assert problem.gradient_check is not None
    assert problem.gradient_check.cause in ("", "inconclusive")
    assert all(x @ x <= 1 for x in points)


def _vector(x0: list[float]) -> tuple[Any, Array]:
    from thalweg.core import PyTree

    return PyTree(np.array(x0)), np.array(x0)


@pytest.mark.parametrize("n", [1, 2, 50, 2000])
def test_the_check_takes_at_most_20_evaluations(n: int):
    calls: list[int] = []

    def cost(x: Array) -> float:
        calls.append(1)
        return float(np.sum(np.cosh(x)))

    def gradient(x: Array) -> Array:
        calls.append(1)
        return np.sinh(x)

    start = np.linspace(-1, 1, n)
    tw.minimize(cost, start, jac=gradient, method="L-BFGS-B", check="off")
    without = len(calls)
    calls.clear()
    assert tw.minimize(cost, start, jac=gradient, method="L-BFGS-B").check.ok
    assert without < len(calls) <= without + 20


@pytest.mark.parametrize("method", ["CG", "COBYLA", "COBYQA", "Nelder-Mead", "TNC"])
def test_nan_is_no_success(method: str):
    res = tw.minimize(lambda x: np.nan, [1.0, 2.0], method=method, check="off")
    assert not res.success
    assert res.stop_reason == "nan"


@pytest.mark.parametrize("method", sorted(WITH_GRADIENT))
def test_buffers_are_safe(method: str):
    buffer, path = np.zeros(2), []

    def gradient(x: Array) -> Array:
        buffer[:] = rosen_der(x)
        return buffer

    def keep(intermediate_result: Any) -> None:
        path.append(intermediate_result.x)

    second = METHODS[method.lower()].needs if method.lower() in METHODS else ()
    given: dict[str, Any] = {"hess": rosen_hess} if "hess" in second else {}
    ours = tw.minimize(
        rosen, [-1.2, 1.0], jac=gradient, method=method, callback=keep, **given
    )
    theirs: Any = optimize.minimize(
        rosen, [-1.2, 1.0], jac=rosen_der, method=method, **given
    )
    assert np.array_equal(ours.x, theirs.x)
    assert np.array_equal(path[-1], ours.x)
    assert len({tuple(x) for x in path}) > 3


def test_newton_cg_moves_with_a_float32_gradient():
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    y = X @ np.array([1, 2, 3], np.float32)

    def cost(w: Array) -> Any:
        return np.mean((X @ np.float32(w) - y) ** 2)

    def gradient(w: Array) -> Array:
        return 2 * X.T @ (X @ np.float32(w) - y) / 40

    theirs: Any = optimize.minimize(cost, np.zeros(3), jac=gradient, method="Newton-CG")
    assert np.array_equal(theirs.x, [0, 0, 0])
    ours = tw.minimize(cost, np.zeros(3), jac=gradient, method="Newton-CG")
    assert np.allclose(ours.x, [1, 2, 3], atol=1e-3)
    assert any("float32. Newton-CG" in note for note in ours.notes)


def test_integer_directions_do_not_reach_jax():
    def cost(x: Any) -> Any:
        return jnp.sum(jnp.cosh(x - 1))

    def product(x: Any, p: Any) -> Any:
        x = jnp.asarray(x)
        return jax.jvp(jax.grad(cost), (x,), (jnp.asarray(p),))[1]

    for given in ({}, {"jac": jax.grad(cost), "hessp": product}):
        res = tw.minimize(cost, [0.3, 0.7], method="trust-constr", check="off", **given)
        assert np.allclose(res.x, 1, atol=1e-3)


def test_where_differences_cannot_tell_the_check_says_so():
    def cost(x: Array) -> Any:
        return np.float32(1e6 + np.sum(x**2))

    found = tw.check_gradient(cost, lambda x: 2 * x, np.full(3, 1e-3))
    assert (found.ok, found.cause) == (False, "inconclusive")
    assert "could not be told" in found.message
    res = tw.minimize(cost, np.full(3, 1e-3), jac=lambda x: 2 * x, method="CG")
    assert res.check.cause == "inconclusive"
    assert res.notes


def test_functions_can_be_sent_to_other_processes():
    problem = Minimization(
        METHODS["bfgs"], rosen, *_vector([0.5, 0.7]), (), rosen_der, check="off"
    )
    for function in (problem.scipy_cost(), problem.scipy_gradient()):
        again: Any = pickle.loads(pickle.dumps(function))
        found: Any = function(problem.start)
        assert np.array_equal(again(problem.start), found)


def test_a_history_that_was_not_read_can_be_pickled():
    res = tw.minimize(rosen, [0.5, 0.7], jac=rosen_der, callback=lambda x: None)
    again = pickle.loads(pickle.dumps(res))
    assert np.array_equal(again.history.loss, res.history.loss)
    assert len(res.history) == res.nit


def test_long_histories_are_digested_on_the_way():
    n, start = 600, np.tile([-1.2, 1.0], 300)
    res = tw.minimize(
        rosen, start, jac=rosen_der, method="CG", options={"maxiter": 1000}
    )
    assert res.nit * 2 * n > 1_000_000
    assert len(res.history) == res.nit
    assert res.history.gradient_norm[-1] == np.linalg.norm(rosen_der(res.x))


def test_a_method_of_the_users_own_gets_what_it_gets_from_scipy():
    got: list[Any] = []

    def method(fun: Any, x0: Any, args: Any = (), **options: Any) -> Any:
        got.append((args, sorted(options), options["scale"]))
        return optimize.OptimizeResult(x=x0 / 2, fun=fun(x0 / 2, *args), nit=1)

    call = {"args": (2.0,), "method": method, "options": {"scale": 3}}
    fun = lambda x, a: a * float(x @ x)
    ours: Any = tw.minimize(fun, np.ones(2), check="off", **call)
    theirs: Any = optimize.minimize(fun, np.ones(2), **call)
    assert got[0] == got[1]
    assert ours.fun == theirs.fun


def test_a_region_moves_points_inside():
    region = FeasibleRegion(np.array([0.0, 1.0, -np.inf]), np.array([1.0, 1.0, 0.0]))
    x = region.inside(np.array([-3.0, 5.0, 2.0]), np.full(3, 0.1))
    assert x in region
    assert np.allclose(x, [0.1, 1.0, -0.1])
    assert region.fixed.tolist() == [False, True, False]


def test_brief_and_full_checks_agree():
    from thalweg.optimize import UserFunction

    tree, x = _vector([0.3, 0.2, 0.7])
    function = UserFunction(rosen, rosen_der, tree)
    assert examine_gradient(function, x, brief=True).ok
    assert examine_gradient(function, x).ok
