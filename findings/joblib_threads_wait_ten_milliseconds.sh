#!/usr/bin/env bash
# Very short jobs on joblib's threads.
#
# One would guess: threads start at once, so that a handful of jobs without work takes
# less than a millisecond, as with concurrent.futures.
#
# What happens (joblib 1.6.0): the caller looks for results in steps of 10 ms. Eight jobs
# that do nothing take 10 ms or more; a pool of concurrent.futures takes a few hundred
# microseconds.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check joblib==1.6.0
"$folder/venv/bin/python" - <<'PYTHON'
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import joblib
from joblib import Parallel, delayed

print("joblib", joblib.__version__)


def seconds(work):
    taken = []
    for _ in range(15):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def by_pool():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(int, range(8)))


by_joblib = seconds(lambda: Parallel(2, prefer="threads")(delayed(int)(k) for k in range(8)))
by_pool = seconds(by_pool)
print(f"joblib {1e3 * by_joblib:.1f} ms, concurrent.futures {1e3 * by_pool:.1f} ms")
sys.exit(0 if by_joblib > 0.008 and by_joblib > 2 * by_pool else 1)
PYTHON
