"""`minimize` gives SciPy's own results, on whatever structure, checked and recorded."""

import time
import warnings
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import thalweg as tw
from thalweg.core.pytree import PyTree
from thalweg.core.types import Array
from thalweg.optimize.scipy_methods import METHODS as KNOWN

METHODS = {
    "CG": "", "BFGS": "", "L-BFGS-B": "", "TNC": "", "Newton-CG": "hess",
    "trust-ncg": "hess", "trust-krylov": "hess", "trust-exact": "hess",
    "dogleg": "hess", "trust-constr": "hess", "SLSQP": "", "Powell": "no gradient",
    "Nelder-Mead": "no gradient", "COBYLA": "no gradient", "COBYQA": "no gradient",
}  # fmt: skip


Bounds: Any = optimize.Bounds  # its stub takes numbers alone


class Case(NamedTuple):
    """A function written in operators that NumPy and JAX share, and its minimum."""

    fun: Callable[[Any], Any]
    x0: list[float]
    minimum: float


def powell(x: Any) -> Any:
    return (
        (x[0] + 10 * x[1]) ** 2
        + 5 * (x[2] - x[3]) ** 2
        + (x[1] - 2 * x[2]) ** 4
        + 10 * (x[0] - x[3]) ** 4
    )


CASES = {
    "rosenbrock": Case(
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, [-1.2, 1.0], 0.0
    ),
    "beale": Case(
        lambda x: (
            (1.5 - x[0] + x[0] * x[1]) ** 2
            + (2.25 - x[0] + x[0] * x[1] ** 2) ** 2
            + (2.625 - x[0] + x[0] * x[1] ** 3) ** 2
        ),
        [1.0, 0.2],
        0.0,
    ),
    "himmelblau": Case(
        lambda x: (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2,
        [2.5, 2.5],
        0.0,
    ),
    "booth": Case(
        lambda x: (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2,
        [0.5, 0.5],
        0.0,
    ),
    "sphere": Case(lambda x: (x**2).sum() + 3.0, [1.0, -2.0, 3.0], 3.0),
    "powell": Case(powell, [3.0, -1.0, 0.1, 1.0], 0.0),
}


def derivatives(case: Case) -> tuple[Callable[[Any], Array], Callable[[Any], Array]]:
    """Exact gradient and Hessian, from JAX's own transformations."""
    gradient, hessian = jax.jit(jax.grad(case.fun)), jax.jit(jax.hessian(case.fun))

    def exact(function: Any) -> Callable[[Any], Array]:
        def call(x: Any) -> Array:
            with jax.enable_x64(True):
                return np.array(function(jnp.asarray(x, jnp.float64)))

        return call

    return exact(gradient), exact(hessian)


DERIVATIVES = {name: derivatives(case) for name, case in CASES.items()}


def same_as_scipys(ours: Any, theirs: Any) -> None:
    assert np.array_equal(ours.x, theirs.x)
    for count in ("fun", "nit", "nfev", "njev", "nhev", "message", "success", "status"):
        assert ours.get(count) == theirs.get(count), count
    assert theirs.keys() <= ours.keys()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CASES)
def test_results_are_scipys_own(name: str, method: str):
    case, (gradient, hessian) = CASES[name], DERIVATIVES[name]
    given: dict[str, Any] = (
        {} if METHODS[method] == "no gradient" else {"jac": gradient}
    )
    if METHODS[method] == "hess":
        given["hess"] = hessian
    if method == "COBYLA":
        given["options"] = {"maxiter": 200}
    with warnings.catch_warnings():
        # trust-constr on what it finds linear, dogleg on an indefinite Hessian
        warnings.simplefilter("ignore", UserWarning)
        theirs = optimize.minimize(case.fun, case.x0, method=method, **given)
        ours = tw.minimize(case.fun, case.x0, method=method, **given)
    same_as_scipys(ours, theirs)
    if theirs.success:
        assert ours.fun == pytest.approx(case.minimum, abs=2e-3)


@pytest.mark.parametrize("method", ["CG", "newton-cg", "trust-krylov", "trust-exact"])
def test_jax_functions_get_exact_derivatives(method: str):
    case, (gradient, hessian) = CASES["rosenbrock"], DERIVATIVES["rosenbrock"]
    ours = tw.minimize(case.fun, np.array(case.x0), method=method)
    given = {} if method == "CG" else {"hess": hessian}
    theirs: Any = optimize.minimize(
        case.fun, case.x0, jac=gradient, method=method, **given
    )
    assert ours.nit == pytest.approx(theirs.nit, abs=2)
    assert np.allclose(ours.x, theirs.x, atol=1e-5)


def test_jax_gradient_reaches_every_array():
    def cost(w: Any, X: Any, y: Any) -> Any:
        hidden = jnp.tanh(X @ w["W1"] + w["b1"])
        return jnp.mean((hidden @ w["W2"] - y) ** 2)

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    start = {"W1": rng.normal(size=(3, 4)), "b1": np.zeros(4), "W2": rng.normal(size=4)}
    res = tw.minimize(cost, start, (X, y), method="trust-krylov")
    assert res.fun < 0.2 * float(cost(start, X, y))
    assert {name: w.shape for name, w in res.x.items()} == {
        name: w.shape for name, w in start.items()
    }


# -------------------------------------------------------------------- structures


@pytest.mark.parametrize(
    "x0",
    [
        3.0,
        np.zeros((4, 1)),
        [np.zeros(2), np.zeros((2, 2))],
        [np.zeros(3)],
        {"a": np.zeros(3)},
        {"a": np.zeros(3), "b": {"c": 0.0, "d": (np.zeros(1),)}},
    ],
    ids=["number", "column", "list", "list of one", "dict of one", "nested"],
)
def test_structures_come_back_as_they_went(x0: Any):
    tree = PyTree(x0)
    target = np.arange(1.0, tree.size + 1)

    def cost(x: Any) -> float:
        return float(((tree.pack(x) - target) ** 2).sum())

    def gradient(x: Any) -> Any:
        return tree.unpack(2 * (tree.pack(x) - target))

    res = tw.minimize(cost, x0, jac=gradient, method="BFGS")
    assert np.allclose(tree.pack(res.x), target)
    assert type(res.x) is type(tree.unpack(target))


def test_gradient_buffer_used_again_does_no_harm():
    buffer = np.zeros(2)

    def gradient(x: Array) -> Array:
        buffer[:] = optimize.rosen_der(x)
        return buffer

    ours = tw.minimize(optimize.rosen, [-1.2, 1.0], jac=gradient, method="BFGS")
    assert np.allclose(ours.x, 1, atol=1e-4)


def test_cost_that_writes_into_x_does_no_harm():
    def cost(x: Array) -> float:
        x -= 1
        return float(x @ x)

    res = tw.minimize(cost, np.zeros(2), jac=lambda x: 2 * (x - 1), method="CG")
    assert np.allclose(res.x, 1)


def test_one_by_one_cost_and_column_gradient_are_noted():
    def both(x: Array) -> tuple[Array, Array]:
        return (x.T @ x).reshape(1, 1), 2 * x.reshape(-1, 1)

    res = tw.minimize(both, np.ones(3), jac=True, method="fmin_cg")
    assert np.allclose(res.x, 0, atol=1e-6)
    assert len(res.notes) == 2


def test_args_may_be_a_single_one():
    res = tw.minimize(
        lambda x, c: float((x - c) @ (x - c)),
        np.zeros(2),
        np.ones(2),
        jac=lambda x, c: 2 * (x - c),
    )
    assert np.allclose(res.x, 1)


# ------------------------------------------------- bounds, constraints, options


@pytest.mark.parametrize("method", ["L-BFGS-B", "TNC", "SLSQP", "trust-constr"])
@pytest.mark.parametrize("form", ["pairs", "Bounds"])
def test_bounds_hold(method: str, form: str):
    pairs = [(None, 0.5), (0.0, None)]
    bounds: Any = pairs if form == "pairs" else Bounds([-np.inf, 0], [0.5, np.inf])
    res = tw.minimize(
        optimize.rosen, [0.0, 1.0], jac=optimize.rosen_der, method=method, bounds=bounds
    )
    assert np.allclose(res.x, [0.5, 0.25], atol=1e-3)


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr", "COBYLA", "COBYQA"])
def test_constraints_hold(method: str):
    line = {"type": "ineq", "fun": lambda x: 0.5 - x[0] ** 2 - x[1] ** 2}
    given: dict[str, Any] = {} if method[0] == "C" else {"jac": lambda x: 2 * (x - 2)}
    res = tw.minimize(
        lambda x: float((x - 2) @ (x - 2)),
        np.zeros(2),
        method=method,
        constraints=line,
        **given,
    )
    assert np.allclose(res.x, 0.5, atol=1e-3)


def test_constraints_alone_choose_slsqp():
    line = {"type": "eq", "fun": lambda x: x[0] - 1}
    res = tw.minimize(
        lambda x: float(x @ x), np.ones(2), jac=lambda x: 2 * x, constraints=line
    )
    assert np.allclose(res.x, [1, 0])


def test_options_and_tol_reach_scipy():
    few = tw.minimize(
        optimize.rosen,
        [-1.2, 1.0],
        jac=optimize.rosen_der,
        method="CG",
        options={"maxiter": 3},
    )
    assert few.nit == 3
    loose = tw.minimize(optimize.rosen, [-1.2, 1.0], method="Nelder-Mead", tol=0.5)
    tight = tw.minimize(optimize.rosen, [-1.2, 1.0], method="Nelder-Mead", tol=1e-8)
    assert loose.nit < tight.nit


@pytest.mark.parametrize("method", METHODS)
def test_every_listed_option_is_known_to_scipy(method: str):
    inside = import_module("scipy.optimize._minimize")
    (ours,) = (m for m in KNOWN.values() if m.label == method)
    names = {
        "L-BFGS-B": "lbfgsb", "Newton-CG": "newtoncg", "Nelder-Mead": "neldermead",
        "trust-ncg": "trust_ncg", "trust-krylov": "trust_krylov",
        "trust-exact": "trustregion_exact", "trust-constr": "trustregion_constr",
    }  # fmt: skip
    solver = getattr(inside, f"_minimize_{names.get(method, method.lower())}")
    theirs = {*signature(solver).parameters}
    if "trust_region_options" in theirs:
        region = import_module("scipy.optimize._trustregion")
        theirs |= {*signature(region._minimize_trust_region).parameters}
    known = theirs - {
        "fun", "func", "x0", "args", "jac", "grad", "hess", "hessp", "bounds",
        "constraints", "callback", "subproblem", "unknown_options",
        "trust_region_options",
    }  # fmt: skip
    assert {*ours.options} - ({"maxiter"} if method == "TNC" else set()) == known


# ------------------------------------------------- callbacks, history, endings


@pytest.mark.parametrize("method", METHODS)
def test_callbacks_of_both_styles_see_every_iteration(method: str):
    gradient, hessian = DERIVATIVES["booth"]
    given: dict[str, Any] = (
        {} if METHODS[method] == "no gradient" else {"jac": gradient}
    )
    if METHODS[method] == "hess":
        given["hess"] = hessian
    plain: list[Array] = []
    records: list[Any] = []

    def new_style(*, intermediate_result: optimize.OptimizeResult) -> None:
        records.append(intermediate_result)

    first = tw.minimize(
        CASES["booth"].fun, [0.5, 0.5], method=method, callback=plain.append, **given
    )
    tw.minimize(
        CASES["booth"].fun, [0.5, 0.5], method=method, callback=new_style, **given
    )
    assert len(plain) == len(records) == len(first.history) > 0
    assert all(np.array_equal(x, r.x) for x, r in zip(plain, records, strict=True))
    assert [r.fun for r in records] == pytest.approx(list(first.history.loss))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", ["raises", "returns"])
def test_callback_can_stop_any_method(method: str, way: str):
    gradient, hessian = DERIVATIVES["rosenbrock"]
    given: dict[str, Any] = (
        {} if METHODS[method] == "no gradient" else {"jac": gradient}
    )
    if METHODS[method] == "hess":
        given["hess"] = hessian
    calls: list[int] = []

    def stop(*x: Any) -> bool:
        calls.append(1)
        if len(calls) % 3 == 0 and way == "raises":
            raise StopIteration
        return len(calls) % 3 == 0

    ours = tw.minimize(
        optimize.rosen, [-1.2, 1.0], method=method, callback=stop, **given
    )
    assert len(calls) == len(ours.history) == 3
    assert ours.stop_reason == "callback"
    assert ours.fun == pytest.approx(optimize.rosen(ours.x))
    if way == "returns":
        assert (ours.status, ours.message) == (99, "The callback asked to stop.")
        assert not ours.success
    elif method == "TNC":  # SciPy's lets the exception through
        assert (ours.nit, ours.status) == (3, 99)
        assert ours.message == "`callback` raised `StopIteration`."
    else:
        theirs = optimize.minimize(
            optimize.rosen, [-1.2, 1.0], method=method, callback=stop, **given
        )
        same_as_scipys(ours, theirs)


def test_trust_constr_takes_its_old_callback():
    seen: list[float] = []
    tw.minimize(
        optimize.rosen,
        [-1.2, 1.0],
        jac=optimize.rosen_der,
        hess=optimize.rosen_hess,
        method="trust-constr",
        callback=lambda x, state: seen.append(state.tr_radius),
    )
    assert len(seen) > 10


def test_history_has_a_row_an_iteration():
    res = tw.minimize(
        optimize.rosen, [-1.2, 1.0], jac=optimize.rosen_der, method="L-BFGS-B"
    )
    history = res.history
    assert len(history) == res.nit
    assert history.loss[-1] == res.fun
    assert (np.diff(history.loss) <= 0).all()
    assert history.evaluations[-1] == history.gradient_evaluations[-1] == res.nfev
    assert history.gradient_norm[-1] == np.linalg.norm(optimize.rosen_der(res.x))
    assert (np.diff(history.seconds) >= 0).all()
    assert np.isnan(history.rate).all()
    assert (history.update_ratio > 0).all()


def test_methods_without_gradient_have_none_in_the_history():
    res = tw.minimize(optimize.rosen, [-1.2, 1.0], method="nelder-mead")
    assert np.isnan(res.history.gradient_norm).all()
    assert res.history.gradient_evaluations[-1] == 0
    assert res.check is None


def test_time_budget_ends_it():
    def slow(x: Array) -> float:
        time.sleep(0.01)
        return optimize.rosen(x)

    res = tw.minimize(slow, [-1.2, 1.0], method="Powell", max_time=0.2)
    assert "time budget" in res.message
    assert (res.history.seconds[:-1] <= 0.2).all()  # the last one used it up
    assert res.fun < optimize.rosen(np.array([-1.2, 1.0]))


@pytest.mark.parametrize("method", METHODS)
def test_interrupt_gives_the_best_point_so_far(method: str):
    gradient, hessian = DERIVATIVES["rosenbrock"]
    given: dict[str, Any] = (
        {} if METHODS[method] == "no gradient" else {"jac": gradient}
    )
    if METHODS[method] == "hess":
        given["hess"] = hessian
    costs: list[float] = []

    def cost(x: Array) -> float:
        if len(costs) == 12:
            raise KeyboardInterrupt
        costs.append(float(optimize.rosen(x)))
        return costs[-1]

    res = tw.minimize(cost, [-1.2, 1.0], method=method, check="off", **given)
    assert res.fun == min(costs)
    assert optimize.rosen(res.x) == res.fun
    assert res.message == "Interrupted from the keyboard."


def test_cost_that_turns_nan_gives_the_best_finite_point():
    def cost(x: Array) -> float:
        return float(x[0] ** 2) if x[0] > 0.5 else float("nan")

    res = tw.minimize(
        cost, [2.0], method="BFGS", jac=lambda x: 2 * x if x[0] > 0.5 else x * np.nan
    )
    assert np.isfinite(res.fun)
    assert res.fun == res.x[0] ** 2


def test_progress_is_one_line(capsys: pytest.CaptureFixture[str]):
    tw.minimize(
        optimize.rosen, [-1.2, 1.0], jac=optimize.rosen_der, method="CG", progress=True
    )
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert "iteration 36  cost " in shown


# ------------------------------------------------------------------ bad input


def square(x: Any) -> float:
    return float(np.sum(np.asarray(x) ** 2))


def twice(x: Any) -> Array:
    return 2 * np.asarray(x)


def fail(x: Any) -> float:
    raise ZeroDivisionError("division by zero")


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "start": ({"x0": [np.nan, 1.0]}, ValueError, r"x0 is not finite at \[0\]"),
    "function": ({"fun": 3}, TypeError, "must be a function"),
    "vector cost": (
        {"fun": lambda x: x**2},
        ValueError,
        r"not one real number: it has shape \(2,\)",
    ),
    "tuple cost": ({"fun": lambda x: (1.0, x)}, ValueError, "jac=True"),
    "None cost": ({"fun": lambda x: None}, ValueError, "the cost is None"),
    "no gradient in fun": ({"jac": True}, ValueError, "returned float"),
    "cost raises": ({"fun": fail}, ValueError, "raised ZeroDivisionError at x0"),
    "infinite cost": ({"fun": lambda x: np.inf}, ValueError, "logarithm of 0"),
    "None gradient": ({"jac": lambda x: None}, ValueError, "gradient is None"),
    "short gradient": ({"jac": lambda x: x[:1]}, ValueError, "1 entries, but .* 2"),
    "wrong gradient": ({"jac": lambda x: x}, ValueError, "0.5 times what the cost"),
    "method": ({"method": "lbgfs"}, ValueError, "Did you mean 'lbfgs'"),
    "method's type": ({"method": 3}, TypeError, "must be a name"),
    "bounds' length": ({"bounds": [(0, 1)] * 3}, ValueError, "3 pairs for 2 weights"),
    "Bounds' length": (
        {"bounds": Bounds([0, 0, 0], 1)},
        ValueError,
        "3 pairs for 2 weights",
    ),
    "bounds' form": ({"bounds": [1, 2]}, ValueError, "sequence of pairs"),
    "bounds' order": ({"bounds": [(0, 1), (2, 1)]}, ValueError, "at entry 1"),
    "no hess": ({"method": "dogleg"}, ValueError, "needs second derivatives"),
    "no jac": ({"method": "Newton-CG", "jac": None}, ValueError, "needs a gradient"),
    "check": ({"check": "maybe"}, ValueError, "'raise', 'warn', 'off'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named_before_the_first_iteration(name: str):
    change, kind, message = BAD[name]
    seen: list[Any] = []
    call: dict[str, Any] = {"fun": square, "x0": [1.0, 2.0], "jac": twice, **change}
    with pytest.raises(kind, match=message):
        tw.minimize(**call, callback=seen.append)
    assert not seen


IGNORED: dict[str, tuple[dict[str, Any], type[Warning], str]] = {
    "option": (
        {"method": "CG", "options": {"max_iter": 300}},
        optimize.OptimizeWarning,
        "Unknown solver options: max_iter. Did you mean 'maxiter'",
    ),
    "option like none": (
        {"method": "CG", "options": {"qqqq": 1}},
        optimize.OptimizeWarning,
        "Unknown solver options: qqqq",
    ),
    "option of trust-constr": (
        {"method": "trust-constr", "options": {"qqqq": 1}},
        optimize.OptimizeWarning,
        "Unknown solver options: qqqq",
    ),
    "bounds": (
        {"method": "CG", "bounds": [(0, 1)] * 2}, RuntimeWarning, "cannot handle bounds"
    ),
    "constraints": (
        {"method": "CG", "constraints": {"type": "eq", "fun": square}},
        RuntimeWarning,
        "cannot handle constraints",
    ),
    "hess": (
        {"method": "CG", "hess": twice}, RuntimeWarning, "does not use Hessian info"
    ),
    "hessp": (
        {"method": "BFGS", "hessp": twice}, RuntimeWarning, "does not use Hessian-vec"
    ),
    "jac": ({"method": "Powell"}, RuntimeWarning, "does not use gradient information"),
    "rule": (
        {"method": "BFGS", "jac": "4-point", "check": "off"},
        optimize.OptimizeWarning,
        "jac='4-point', .* Did you mean '3-point'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IGNORED)
def test_what_scipy_ignores_is_a_warning(name: str):
    change, kind, message = IGNORED[name]
    call: dict[str, Any] = {"fun": square, "x0": [0.7, 0.2], "jac": twice, **change}
    with pytest.warns(kind, match=message):
        res = tw.minimize(**call)
    assert np.allclose(res.x, 0, atol=1e-3)


def test_finite_differences_warn():
    with pytest.warns(RuntimeWarning, match="take 2 evaluations"):
        res = tw.minimize(square, [1.0, 2.0], method="BFGS")
    assert np.allclose(res.x, 0, atol=1e-6)


@pytest.mark.parametrize("rule", ["2-point", "3-point", "cs"])
@pytest.mark.parametrize("method", ["CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP"])
def test_finite_differences_asked_for_are_scipys_and_do_not_warn(
    method: str, rule: str
):
    case = CASES["beale"]
    theirs: Any = optimize.minimize(case.fun, case.x0, method=method, jac=rule)
    ours = tw.minimize(case.fun, case.x0, method=method, jac=rule)
    assert np.array_equal(ours.x, theirs.x)
    for count in ("fun", "nit", "nfev", "njev", "message"):
        assert ours.get(count) == theirs.get(count), count
    assert len(ours.history) == ours.nit > 3


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (lambda x: float((x**2).sum().real), "one complex number .*'2-point'"),
        (lambda x: x[0].item() % 3.0, "raised TypeError.*'2-point'"),
    ],
)
def test_a_cost_that_drops_imaginary_parts_cannot_take_complex_steps(
    cost: Any, message: str
):
    """With SciPy's own the gradient is 0, and the start is called the minimum."""
    with pytest.raises(ValueError, match=message):
        tw.minimize(cost, [1.0, 2.0], method="BFGS", jac="cs")


def single(x: Array) -> np.float32:
    return np.float32(np.sum((np.float32(x) - np.float32(3)) ** 2))


def hidden_single(x: Array) -> float:
    return float(single(x))


@pytest.mark.parametrize("cost", [single, hidden_single])
def test_finite_differences_of_float32_are_refused(cost: Any):
    assert optimize.minimize(cost, np.ones(3)).x.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="finite differences vanish"):
        tw.minimize(cost, np.ones(3))


def test_check_can_warn_or_be_silent():
    with pytest.warns(RuntimeWarning, match=r"0\.5 times"):
        res = tw.minimize(square, [1.0, 2.0], jac=lambda x: x, check="warn")
    assert not res.check.ok
    assert tw.minimize(square, [1.0, 2.0], jac=lambda x: x, check="off").check is None
    assert tw.minimize(square, [1.0, 2.0], jac=twice).check.ok


@pytest.mark.parametrize(
    ("spelling", "method"),
    [("fmin_cg", "CG"), ("fmin_bfgs", "BFGS"), ("fmin_l_bfgs_b", "L-BFGS-B"),
     ("fmin_tnc", "TNC"), ("fmin_slsqp", "SLSQP"), ("l-bfgs-b", "L-BFGS-B"),
     ("fmin", "Nelder-Mead"), ("fmin_powell", "Powell"), ("cobyqa", "COBYQA")],
)  # fmt: skip
def test_other_spellings(spelling: str, method: str):
    given: dict[str, Any] = {} if METHODS[method] else {"jac": twice}
    ours = tw.minimize(square, [1.0, 2.0], method=spelling, **given)
    theirs = optimize.minimize(square, [1.0, 2.0], method=method, **given)
    assert np.array_equal(ours.x, theirs.x)


def test_a_gradient_that_changes_its_shape_is_named():
    calls: list[int] = []

    def gradient(x: Array) -> Array:
        calls.append(1)
        whole = optimize.rosen_der(x)
        return whole if len(calls) < 5 else whole[:1]

    with pytest.raises(ValueError, match="has 1 entries, but there are 2 weights"):
        tw.minimize(optimize.rosen, [-1.2, 1.0], jac=gradient, method="CG", check="off")


class Line(NamedTuple):
    slope: Array
    start: Array


def test_a_named_tuple_comes_back_as_one():
    def cost(line: Line) -> float:
        return float((line.slope - 2) ** 2 + (line.start - 1) ** 2)

    x0 = Line(np.array(0.0), np.array(0.0))
    found = tw.minimize(cost, x0, method="Nelder-Mead", check="off")
    assert isinstance(found.x, Line)
    # Nelder-Mead's own tolerance of x is 1e-4.
    np.testing.assert_allclose([found.x.slope, found.x.start], [2, 1], atol=1e-3)
