"""A plugin of pytest that runs SciPy's own tests with thalweg's functions.

`test_scipy_tests.py` loads it in a process of its own, once as it is and once with
``THALWEG_REPLACES=1``, and reads the outcome of each test from the file that
``THALWEG_OUTCOMES`` names.
"""

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from scipy import optimize

import thalweg as tw

NAMES = (
    "minimize", "fmin", "fmin_cg", "fmin_bfgs", "fmin_ncg", "fmin_powell",
    "fmin_l_bfgs_b", "fmin_tnc", "fmin_slsqp", "fmin_cobyla", "least_squares",
)  # fmt: skip
PLAIN_NAMES = ("check_grad", "approx_fprime")
"""Functions that have no check of their own."""

_outcomes: dict[str, str] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Put thalweg's functions in the place of SciPy's, before a test imports them."""
    if not os.environ.get("THALWEG_REPLACES"):
        return
    for name in NAMES + PLAIN_NAMES:
        ours: Any = getattr(tw, name, None)
        if ours is None:
            continue
        if name in NAMES:
            ours = functools.wraps(ours)(functools.partial(ours, check="off"))
        setattr(optimize, name, ours)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst outcome of a test's three phases."""
    if report.when == "call" or report.outcome != "passed":
        _outcomes[report.nodeid.split("optimize/tests/")[-1]] = report.outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes."""
    Path(os.environ["THALWEG_OUTCOMES"]).write_text(json.dumps(_outcomes))
