"""One contender at work in a process of its own, started by `timing.Worker`.

``python -m benchmarks.worker JOB CONTENDER THREADS`` does the job once and says so with
its peak memory, then says what came out, and then does it again for each line that it
reads, and says how long that took. What it says is JSON, one object a line.
"""

import gc
import json
import pickle
import sys
import time
import warnings

from benchmarks.machine import limit_threads, peak_memory


def main(path: str, contender: str, threads: str) -> None:
    """Work until standard input ends."""
    limit_threads(int(threads))
    from benchmarks import contenders  # NumPy comes with it

    warnings.simplefilter("ignore")  # of trainings that end before they converge
    with open(path, "rb") as file:
        job = pickle.load(file)
    work = contenders.build(contender, job)
    result = work()
    _say(peak=peak_memory())

    from benchmarks.judging import verdict

    _say(verdict=verdict(job, result), remark=contenders.remark(contender, job))
    del result
    for _ in sys.stdin:
        gc.collect()
        start = time.perf_counter()
        work()
        _say(seconds=time.perf_counter() - start)


def _say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
