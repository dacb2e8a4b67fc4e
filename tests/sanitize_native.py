"""Run the native kernel under sanitizers: ``python tests/sanitize_native.py``.

Builds the kernel twice below ``build/``, once with AddressSanitizer and
UndefinedBehaviorSanitizer and once with ThreadSanitizer, and runs this file again
inside each (as ``exercise``) with the sanitizer's library loaded first. The exercise
takes every activation, loss, rule, normalization and kind of input through the kernel,
with several workers, without importing JAX. Any report fails the run.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SANITIZERS = {"address,undefined": "libasan.so", "thread": "libtsan.so"}
OPTIONS = {
    # Python itself leaves memory to the end of the process.
    "ASAN_OPTIONS": "detect_leaks=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:ignore_noninstrumented_modules=1",
}


def main() -> None:
    """Build and run both; exit with 1 at the first report."""
    for sanitizer, library in SANITIZERS.items():
        package = build(sanitizer)
        environment = {**os.environ, **OPTIONS, "PYTHONPATH": str(package)}
        environment["LD_PRELOAD"] = find(library)
        command = [sys.executable, __file__, "exercise"]
        if sanitizer == "thread":  # it cannot map its shadow where addresses are random
            command = [shutil.which("setarch") or "setarch", "-R", *command]
        done = subprocess.run(command, env=environment, check=False)
        print(f"{sanitizer}: {'clean' if done.returncode == 0 else 'FAILED'}")  # noqa: T201
        if done.returncode:
            sys.exit(1)


def build(sanitizer: str) -> Path:
    """Build with `sanitizer`; return the folder that holds the package."""
    folder = ROOT / "build" / sanitizer.replace(",", "-")
    options = [f"-Db_sanitize={sanitizer}", "-Db_lundef=false", "-Ddebug=true"]
    if not (folder / "build.ninja").exists():
        subprocess.run(["meson", "setup", str(folder), str(ROOT), *options], check=True)
    subprocess.run(["ninja", "-C", str(folder)], check=True)
    package = folder / "package"
    shutil.rmtree(package, ignore_errors=True)
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "src", package, ignore=ignored)
    (built,) = folder.glob("src/thalweg/engines/native/_dense*.so")
    shutil.copy(built, package / "thalweg/engines/native")
    return package


def find(library: str) -> str:
    """Ask the compiler where its sanitizer's library is."""
    command = ["cc", f"-print-file-name={library}"]
    return subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.strip()


def exercise() -> None:
    """Take everything that the kernel has through it once."""
    from thalweg.engines.native import ENGINE as native
    from thalweg.engines.native import threads

    setattr(threads, "available_cpus", lambda: 3)  # noqa: B010
    count = 0
    for network, plan, n_rows, dtype, compressed in cases():
        run(native, network, plan, n_rows, dtype, compressed)
        count += 1
    hidden = [threading.Thread(target=large, args=(native,)) for _ in range(3)]
    for thread in hidden:
        thread.start()
    for thread in hidden:
        thread.join()
    print(f"{count} cases")  # noqa: T201


def cases() -> Iterator[tuple[Any, Any, int, Any, bool]]:
    """Networks and plans that together use every part of the kernel."""
    from thalweg.core.losses import LOSSES
    from thalweg.core.networks import ACTIVATIONS, Dense, DenseNetwork
    from thalweg.core.plan import Plan
    from thalweg.engines.native.description import RULES

    plan = Plan(loss="cross_entropy", batch_size=9, l1=0.1, l2=0.1, clip_norm=1.0)
    for dtype in (np.float32, np.float64):
        for name in ACTIVATIONS:
            yield (
                DenseNetwork.from_sizes((3, 5, 2), activation=name),
                plan,
                23,
                dtype,
                False,
            )
        for name in LOSSES:
            network = DenseNetwork.from_sizes((3, 5, 4))
            yield network, Plan(loss=name, batch_size=7), 20, dtype, False
        for name in RULES:
            network = DenseNetwork.from_sizes((2, 2))
            yield network, Plan.of(plan, optimizer=name, accumulate=2), 20, dtype, False
        for norm in ("batch", "layer"):
            rich = DenseNetwork(
                6,
                (
                    Dense(6, "gelu", normalization=norm, residual=1, dropout=0.3),
                    Dense(7, "mish", normalization=norm, constraint="max_norm"),
                    Dense(7, "elu", residual=1, frozen=True, normalization=norm),
                    Dense(6, "tanh", shares=1, transposed=True, residual=3),
                    Dense(2, "identity", constraint="non_negative"),
                ),
                input_noise=0.1,
            )
            averaged = Plan.of(plan, average="ema", clip_value=1.0, weight_decay=0.1)
            yield rich, averaged, 37, dtype, False
        yield DenseNetwork.from_sizes((40, 5, 2)), plan, 23, dtype, True
        for sizes, n_rows in (((1, 1), 1), ((2, 3000, 2), 3), ((300, 2), 5000)):
            yield DenseNetwork.from_sizes(sizes), plan, n_rows, dtype, False


def run(
    native: Any, network: Any, plan: Any, n_rows: int, dtype: Any, compressed: bool
) -> None:
    """Train, go on from the state, differentiate, settle and predict."""
    from scipy import sparse

    from thalweg.core.data import Data
    from thalweg.core.losses import CLASSIFYING
    from thalweg.core.plan import steps_per_epoch

    if native.refusal(network, plan):
        return
    rng = np.random.default_rng(0)
    X: Any = rng.standard_normal((n_rows, network.n_inputs)).astype(dtype)
    X = sparse.csr_array(X * (X > 1)) if compressed else X
    y: Any = np.abs(rng.standard_normal((n_rows, network.n_outputs))).astype(dtype)
    if plan.loss.name in CLASSIFYING:
        y = rng.integers(0, network.n_outputs, n_rows).astype(np.int32)
    data = Data(X, y, rng.uniform(0.5, 1, n_rows).astype(dtype))
    first = network.draw(0, dtype)
    session = native.session(network, plan, data, first, 3, None, data)
    steps = 2 * steps_per_epoch(plan, n_rows)
    orders = np.array([rng.permutation(n_rows) for _ in range(2)], np.int32)
    session.advance(orders, np.full(steps, 1e-3), np.ones(steps), (1, 1.0, np.inf, 0))
    later = native.session(
        network, plan, data, session.parameters(), 3, session.state()
    )
    later.adapt(0.5, 0.5)
    later.advance(None, np.full(steps, 1e-3), np.ones(steps))
    session.validate()
    native.activations(network, first, X)
    native.objective(network, plan, data).settle(first)
    native.cost_and_gradient(network, plan, first, data)


def large(native: Any) -> None:
    """A step large enough to be shared out among workers."""
    from thalweg.core.networks import DenseNetwork
    from thalweg.core.plan import Plan

    for norm in ("none", "batch"):
        network = DenseNetwork.from_sizes((200, 150, 100, 5), normalization=norm)
        plan = Plan(loss="cross_entropy", batch_size=300, l2=0.1)
        run(native, network, plan, 700, np.float32, False)


if __name__ == "__main__":
    exercise() if sys.argv[1:] == ["exercise"] else main()
