"""A child forked while another thread makes its first fit can fit too."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, threading, time, warnings
import numpy as np
import thalweg as tw

warnings.simplefilter("ignore")
X = np.random.RandomState(0).randn(50, 3)

def first():
    tw.MLPRegressor(max_iter=2, early_stopping=True).fit(X, X[:, 0])

other = threading.Thread(target=first)
other.start()
time.sleep(0.02)
child = os.fork()
if child == 0:
    first()
    os._exit(0)
print(os.waitpid(child, 0)[1])
other.join()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_a_first_fit_does_not_hang() -> None:
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (done.stdout.strip(), done.stderr) == ("0", "")
