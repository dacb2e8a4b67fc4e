"""A plugin of pytest that runs SciPy's own tests with thalweg's functions.

`test_scipy_tests.py` loads it in a process of its own, as it is or with
``THALWEG_REPLACES=1``, and reads what became of each test from the file that
``THALWEG_OUTCOMES`` names: ``"called"`` for one that passed and called one of ours.
"""

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy import optimize

import thalweg as tw

CHECKED = (
    "minimize", "fmin", "fmin_cg", "fmin_bfgs", "fmin_ncg", "fmin_powell",
    "fmin_l_bfgs_b", "fmin_tnc", "fmin_slsqp", "fmin_cobyla", "least_squares",
)  # fmt: skip
PLAIN = ("check_grad", "approx_fprime")
"""Functions that have no check of their own."""

outcomes: dict[str, str] = {}
calls: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """Put thalweg's functions in the place of SciPy's, before a test imports them."""
    if not os.environ.get("THALWEG_REPLACES"):
        return
    for name in CHECKED + PLAIN:
        given = {"check": "off"} if name in CHECKED else {}
        setattr(optimize, name, counted(getattr(tw, name), given))


def counted(function: Callable[..., Any], given: dict[str, Any]) -> Callable[..., Any]:
    """Wrap a function, so that its calls are counted."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(function.__name__)
        return function(*args, **kwargs, **given)

    return call


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin to count."""
    calls.clear()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst outcome of a test's three phases."""
    if report.when == "call" or report.outcome != "passed":
        outcome = "called" if report.outcome == "passed" and calls else report.outcome
        outcomes[report.nodeid.split("optimize/tests/")[-1]] = outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes."""
    Path(os.environ["THALWEG_OUTCOMES"]).write_text(json.dumps(outcomes))
