"""The `fmin` family has SciPy's signatures and returns."""

from inspect import signature
from typing import Any

import numpy as np
import pytest
from scipy import optimize
from scipy.optimize import rosen, rosen_der, rosen_hess_prod

import thalweg as tw

START = [-1.2, 1.0]
NAMES = (
    "fmin", "fmin_cg", "fmin_bfgs", "fmin_ncg", "fmin_powell", "fmin_l_bfgs_b",
    "fmin_tnc", "fmin_slsqp", "fmin_cobyla", "least_squares", "check_grad",
    "approx_fprime",
)  # fmt: skip
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "fmin": ("fmin", {"disp": 0}),
    "fmin, everything": ("fmin", {"disp": 0, "full_output": 1, "retall": 1}),
    "powell": ("fmin_powell", {"disp": 0, "full_output": 1, "retall": 1}),
    "cg": ("fmin_cg", {"fprime": rosen_der, "disp": 0}),
    "cg, everything": (
        "fmin_cg", {"fprime": rosen_der, "disp": 0, "full_output": 1, "retall": 1}
    ),
    "bfgs": ("fmin_bfgs", {"fprime": rosen_der, "disp": 0, "full_output": 1}),
    "ncg": (
        "fmin_ncg",
        {"fprime": rosen_der, "fhess_p": rosen_hess_prod, "disp": 0, "full_output": 1},
    ),
    "l-bfgs-b": ("fmin_l_bfgs_b", {"fprime": rosen_der, "bounds": [(-2, 0.5)] * 2}),
    "l-bfgs-b, differences": ("fmin_l_bfgs_b", {"approx_grad": True}),
    "tnc": ("fmin_tnc", {"fprime": rosen_der, "messages": 0}),
    "slsqp": ("fmin_slsqp", {"fprime": rosen_der, "iprint": 0, "full_output": 1}),
    "slsqp, constrained": (
        "fmin_slsqp", {"iprint": 0, "ieqcons": [lambda x: 0.5 - x[0]]}
    ),
    "cobyla": ("fmin_cobyla", {"cons": [lambda x: 0.5 - x[0]], "maxfun": 60}),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_signatures_are_scipys(name: str):
    theirs = signature(getattr(optimize, name)).parameters
    ours = signature(getattr(tw, name)).parameters
    shared = list(ours)[: len(theirs)]
    assert shared == list(theirs)
    for parameter in shared:
        assert ours[parameter].kind == theirs[parameter].kind
        np.testing.assert_equal(ours[parameter].default, theirs[parameter].default)
    assert set(ours) - set(theirs) <= {"check", "history"}


@pytest.mark.parametrize("case", CALLS)
def test_returns_are_scipys(case: str):
    name, given = CALLS[case]
    theirs = getattr(optimize, name)(rosen, START, **given)
    rows: list[tw.EpochRecord] = []
    ours = getattr(tw, name)(rosen, START, **given, check="off", history=rows)
    assert type(ours) is type(theirs)
    np.testing.assert_equal(ours, theirs)
    assert [row.epoch for row in rows] == [*range(1, len(rows) + 1)]
    assert rows[-1].loss < rows[0].loss


@pytest.mark.parametrize("name", ["fmin_cg", "fmin_bfgs", "fmin_l_bfgs_b", "fmin_tnc"])
def test_a_wrong_gradient_is_named(name: str):
    with pytest.raises(ValueError, match=f"{name}: The gradient .* is 2 times"):
        getattr(tw, name)(rosen, START, lambda x: 2 * rosen_der(x))


def test_a_function_may_return_both():
    both = lambda x: (rosen(x), rosen_der(x))
    theirs: Any = optimize.fmin_l_bfgs_b(both, START)
    ours = tw.fmin_l_bfgs_b(both, START)
    np.testing.assert_equal(ours, theirs)
    with pytest.raises(ValueError, match=r"fmin_tnc: The gradient .* wrong sign"):
        tw.fmin_tnc(lambda x: (rosen(x), -rosen_der(x)), START)


def test_a_structure_comes_back_and_columns_are_flattened():
    start = {"a": np.zeros((2, 1)), "b": 0.0}
    cost = lambda x: float(((x["a"] - 1) ** 2).sum() + (x["b"] - 2) ** 2)
    slope = lambda x: {"a": 2 * (x["a"] - 1), "b": 2 * (x["b"] - 2)}
    found = tw.fmin_cg(cost, start, slope, disp=0)
    assert np.allclose(found["a"], 1)
    assert np.allclose(found["b"], 2)
    column = lambda x: rosen_der(x).reshape(-1, 1)
    found = tw.fmin_cg(rosen, START, column, disp=0)
    assert np.array_equal(found, optimize.fmin_cg(rosen, START, rosen_der, disp=0))


def test_tnc_stops_where_a_callback_asks():
    def stop(x: Any) -> None:
        raise StopIteration

    x, n_calls, status = tw.fmin_tnc(rosen, START, rosen_der, messages=0, callback=stop)
    assert (rosen(x) < rosen(START), n_calls > 0, status) == (True, True, 6)


def test_check_grad_and_approx_fprime_are_scipys():
    x = np.array(START)
    norm = optimize.check_grad(rosen, rosen_der, x)
    assert tw.check_grad(rosen, rosen_der, START) == norm
    theirs: Any = optimize.approx_fprime(x, rosen, 1e-6)
    assert np.array_equal(tw.approx_fprime(START, rosen, 1e-6), theirs)
    slope = tw.approx_fprime({"a": np.ones(2)}, lambda x: float(x["a"] @ x["a"]))
    assert np.allclose(slope["a"], 2)
