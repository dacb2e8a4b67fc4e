"""SciPy's own tests pass with thalweg's functions in the place of SciPy's.

A test counts if SciPy itself passes it here and it calls one of the functions. Those
that may fail are listed, each with the reason why ours is right. All of the files take
a minute: ``make test`` runs the greater half, and ``make scipy-tests`` all of them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scipy.optimize import tests as own_tests

import thalweg

FOLDER = Path(own_tests.__path__[0])
FILES = (
    "test_optimize.py", "test_cobyqa.py", "test_lbfgsb_hessinv.py",
    "test_lbfgsb_setulb.py", "test_slsqp.py", "test_tnc.py", "test_trustregion.py",
    "test_regression.py",
)  # fmt: skip
MORE_FILES = (
    "test_minimize_constrained.py", "test_constraint_conversion.py", "test_cobyla.py",
    "test_least_squares.py", "test_minpack.py",
)  # fmt: skip
MIN_SHARE = 0.97

DIFFERENT = {
    "test_optimize.py::test_neldermead_respect_fp": (
        "A float32 start is computed in float64: in float32 differences vanish and "
        "searches stop early."
    ),
    "test_optimize.py::TestOptimizeSimple::test_bfgs_nan_return": (
        "Where the cost ends as NaN, x and fun are the best finite ones."
    ),
    "test_optimize.py::TestOptimizeSimple::test_ndim_error": (
        "A matrix is a start, and x comes back as one."
    ),
    "test_cobyqa.py::TestCOBYQA::test_minimize_array": (
        "A cost that is not one number is a ValueError in every method; of COBYQA it "
        "is a TypeError in SciPy."
    ),
}
"""The tests that ours may fail, and why ours is right."""


def outcomes(files: tuple[str, ...], folder: Path, *, replaced: bool) -> dict[str, str]:
    """Run SciPy's tests in a process; return what became of each."""
    found = folder / f"outcomes-{replaced}.json"
    package = Path(thalweg.__file__).parents[1]
    paths = [str(Path(__file__).parent), str(package), os.environ.get("PYTHONPATH", "")]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "-p", "scipy_plugin", "-p", "no:xdist", "--tb=short", "-c", os.devnull,
         # Without this, pytest puts SciPy's parent first on the path.
         "--import-mode=append", f"--rootdir={FOLDER.parents[1]}",
         *(f"{FOLDER}/{file}" for file in files)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)),
             "THALWEG_REPLACES": "1" if replaced else "",
             "THALWEG_OUTCOMES": str(found), "OPENBLAS_NUM_THREADS": "1"},
        cwd=folder, capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    assert found.exists(), run.stdout[-2000:] + run.stderr[-2000:]
    return json.loads(found.read_text())


@pytest.mark.slow
@pytest.mark.integration
def test_scipys_own_tests_pass(tmp_path: Path):
    files = FILES + (MORE_FILES if os.environ.get("ALL_SCIPY_TESTS") else ())
    ours = outcomes(files, tmp_path, replaced=True)
    failed = [name for name, outcome in ours.items() if outcome == "failed"]
    # What SciPy fails itself does not count.
    theirs = outcomes(tuple(failed), tmp_path, replaced=False) if failed else {}
    failed = [name for name in failed if theirs[name] == "passed"]
    n_passed = sum(outcome == "called" for outcome in ours.values())
    assert n_passed > 300
    assert n_passed / (n_passed + len(failed)) >= MIN_SHARE
    assert set(failed) <= DIFFERENT.keys()
