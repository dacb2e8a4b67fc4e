"""Failed line searches and restarts are counted as they happened.

What happened is known here by construction, or from SciPy called directly: from the β
of conjugate gradients, from the number of points that an iteration of L-BFGS-B took.
"""

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import thalweg as tw
from tests.helpers import train
from thalweg.core.types import Array

START = np.full(6, -1.2)
MOST = 5


def noisy(x: Array) -> Array:
    """A gradient of Rosenbrock's function that is wrong by a third here and there."""
    slope = optimize.rosen_der(x)
    return slope + 0.3 * np.linalg.norm(slope) * np.sin(1e4 * np.arange(6) + 1e3 * x)


def test_restarts_of_cg_are_the_steps_whose_beta_was_zero():
    points = [START]
    res = tw.minimize(
        optimize.rosen, START, jac=optimize.rosen_der, method="CG",
        callback=lambda x: points.append(x),
    )  # fmt: skip
    slopes = [optimize.rosen_der(x) for x in points[:-1]]
    betas = [  # Polak & Ribière (1969), before the maximum with 0 is taken
        new @ (new - old) / (old @ old) for old, new in itertools.pairwise(slopes)
    ]
    restarts = np.cumsum([0, *(beta <= 0 for beta in betas)])
    assert restarts[-1] > 2
    assert np.array_equal(res.history.restarts, restarts)
    assert (res.history.line_search_failures == 0).all()


@pytest.mark.slow
def test_lbfgs_restarts_after_each_search_that_failed_but_the_last():
    points, ends = [], []

    def both(x: Array) -> tuple[float, Array]:
        points.append(x)
        return float(optimize.rosen(x)), noisy(x)

    options: dict[str, Any] = {"maxls": MOST, "ftol": 0.0, "gtol": 0.0}
    theirs: Any = optimize.minimize(
        both, START, jac=True, method="L-BFGS-B", options=options,
        callback=lambda x: ends.append(len(points)),
    )  # fmt: skip
    took = np.diff([1, *ends])
    assert theirs.message.startswith("ABNORMAL")
    assert len(points) - ends[-1] == 2 * MOST  # two searches failed in a row
    ours = tw.minimize(
        optimize.rosen, START, jac=noisy, method="L-BFGS-B", options=options,
        check="off",
    )  # fmt: skip
    history, failed = ours.history, np.cumsum(took > MOST)
    assert ours.nfev == theirs.nfev
    assert failed[-1] > 2
    assert np.array_equal(history.line_search_failures[:-1], failed[:-1])
    assert history.line_search_failures[-1] == failed[-1] + 2
    assert np.array_equal(history.restarts, failed)


@pytest.mark.parametrize("method", ["CG", "BFGS", "Newton-CG", "TNC", "L-BFGS-B"])
def test_a_search_that_ends_the_method_is_counted(method: str):
    """Below 3 the gradient points the wrong way, and nothing lies lower."""

    def gradient(x: Array) -> Array:
        return optimize.rosen_der(x) * (1 if optimize.rosen(x) > 3 else -1)

    res = tw.minimize(
        optimize.rosen, [-1.2, 1.0], jac=gradient, method=method, check="off"
    )
    assert not res.success
    assert 1 <= res.history.line_search_failures[-1] <= 2
    assert (res.history.line_search_failures[:-1] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "failures", "restarts"),
    [("trust-ncg", False, False), ("powell", False, False), ("tnc", True, False),
     ("newton-cg", True, False), ("levenberg-marquardt", False, False),
     ("bfgs", True, True), ("cg", True, True), ("lbfgs_on_device", True, True),
     ("adam", False, False)],
)  # fmt: skip
def test_what_cannot_be_known_is_nan(method: str, failures: bool, restarts: bool):
    history = train("tiny moons", method, epochs=4).history
    assert np.isfinite(history.line_search_failures).all() == failures
    assert np.isfinite(history.restarts).all() == restarts


@pytest.mark.slow
def test_bounds_hide_restarts_but_not_failures():
    res = tw.minimize(
        optimize.rosen, START, jac=noisy, method="L-BFGS-B", bounds=[(-2, 2)] * 6,
        options={"maxls": MOST}, check="off",
    )  # fmt: skip
    assert np.isnan(res.history.restarts).all()
    assert np.isfinite(res.history.line_search_failures).all()


def test_rounding_ends_a_network_in_a_failed_search():
    run = train("tiny iris", ("cg", {"gtol": 0.0}), epochs=3000)
    assert "precision loss" in run.why
    assert run.history.line_search_failures[-1] == 1
    assert (run.history.line_search_failures[:-1] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 20])
def test_searches_on_the_device_are_counted(most: int):
    """With one try a search, some fail; and every one takes two evaluations."""
    spec = ("lbfgs_on_device", {"max_line_search": most})
    history = train("tiny moons", spec, epochs=30).history
    assert (history.evaluations == history.gradient_evaluations).all()
    assert (np.diff(history.evaluations, prepend=0) >= 2).all()
    if most == 1:
        assert (np.diff(history.evaluations) == 2).all()
        assert history.line_search_failures[-1] > 0
    else:
        assert history.line_search_failures[-1] == 0
    assert (history.restarts == 0).all()
