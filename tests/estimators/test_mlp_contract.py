"""scikit-learn's own tests of its MLP, and its checks of any estimator, on ours.

The test file is taken from the installed scikit-learn, and only the line that imports
the estimators is replaced. It runs in a process of its own, without our settings.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import SkipTest

import pytest
from sklearn import neural_network as theirs
from sklearn.utils.estimator_checks import parametrize_with_checks

import thalweg as ours

THEIR_IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
OUR_IMPORT = "from thalweg import MLPClassifier, MLPRegressor\n"

# scikit-learn's conftest gives its tests one seed unless told otherwise: 42.
CONFTEST = """\
import pytest


@pytest.fixture(params=[42])
def global_random_seed(request):
    return request.param
"""
# Compiling is most of the time: less of it, and kept for the next run.
FEWER_SECONDS = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [ours.MLPClassifier(max_iter=100), ours.MLPRegressor(max_iter=100)]
)
def test_check(estimator: object, check: Callable[[object], None]) -> None:
    try:
        check(estimator)
    except SkipTest:
        # Not ours to pass only where scikit-learn's own estimator need not either.
        own = getattr(theirs, type(estimator).__name__)(max_iter=100)
        with pytest.raises(SkipTest):
            check(own)


@pytest.mark.integration
@pytest.mark.slow
def test_their_tests_pass_whole(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    source = (Path(theirs.__file__).parent / "tests" / "test_mlp.py").read_text()
    assert source.count(THEIR_IMPORT) == 1
    (tmp_path / "test_mlp.py").write_text(source.replace(THEIR_IMPORT, OUR_IMPORT))
    (tmp_path / "conftest.py").write_text(CONFTEST)
    cache = pytestconfig.cache.mkdir("compiled") if pytestconfig.cache else tmp_path
    # Not `-m pytest`, which would put the folder before what the path says.
    code = "import sys, thalweg, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    options = ["-q", "-c", "/dev/null", "-p", "no:cacheprovider", "--rootdir"]
    done = subprocess.run(
        [sys.executable, "-c", code, *options, str(tmp_path), str(tmp_path)],
        env={**os.environ, **FEWER_SECONDS, "JAX_COMPILATION_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    summary = done.stdout.splitlines()[-1]
    assert re.fullmatch(r"\d+ passed(, \d+ warnings?)? in .*", summary), summary
    assert int(summary.split()[0]) >= 59
