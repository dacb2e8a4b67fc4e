"""The machine: its name, its threads, the memory of a process, its GEMM peak.

Only the standard library is imported at the top: threads must be limited before NumPy
starts its own. ``python -m benchmarks.machine N`` prints the peak on N threads.
"""

import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SIZES = (1024, 2048)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def limit_threads(count: int) -> None:
    """Keep this process to `count` cores; to be called before NumPy is imported."""
    os.environ.update(dict.fromkeys(_VARIABLES, str(count)))
    if hasattr(os, "sched_setaffinity"):  # XLA goes by this alone
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def peak_memory() -> int:
    """Greatest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage, which begins with the size of the process that started us.
        text = status.read_text()
        return int(text.split("VmHWM:")[1].split()[0]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe() -> str:
    """Name the processor and the versions of what is compared."""
    names = ("numpy", "scipy", "scikit-learn", "torch", "jax", "thalweg")
    parts = [f"{_processor()}, {cores()} cores", f"Python {platform.python_version()}"]
    return "; ".join(parts + [f"{n} {v}" for n in names if (v := _version(n))])


def gemm_peak(threads: int) -> dict[str, float]:
    """Measure the best matrix product, in operations a second, by dtype."""
    command = [sys.executable, "-m", "benchmarks.machine", str(threads)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def _measure(dtype: str) -> float:
    import numpy as np
    from scipy.linalg import blas

    gemm = getattr(blas, "sgemm" if dtype == "float32" else "dgemm")
    best = 0.0
    for size in _SIZES:
        a = np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
        out = np.empty_like(a)
        flops = 2.0 * size**3
        for _ in range(8):
            best = max(
                best, flops / _seconds(lambda a=a, out=out: np.matmul(a, a, out))
            )
            best = max(best, flops / _seconds(lambda a=a: gemm(1.0, a.T, a.T)))
    return best


def _seconds(work: object) -> float:
    assert callable(work)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    limit_threads(int(sys.argv[1]))
    print(json.dumps({dtype: _measure(dtype) for dtype in ("float32", "float64")}))
