"""A thousand networks at once on a GPU: ``python -m benchmarks.population``.

1024 networks 784-100-100-10 for 2000 steps of 128 rows, as one program, beside the
matrix products that the card does in the same time. Without a GPU it says so.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

import thalweg as tw
from thalweg.engines.xla import on_gpu

MEMBERS, ROWS, BATCH, STEPS, SIDE = 1024, 12_800, 128, 2000, 8192


def matmul_rate() -> float:
    """Operations a second of a product of float32 matrices, not rounded to TF32."""
    square = jnp.ones((SIDE, SIDE), jnp.float32)
    product = jax.jit(lambda a: jnp.dot(a, a, precision="highest"))
    product(square).block_until_ready()
    started = time.perf_counter()
    for _ in range(10):
        product(square).block_until_ready()
    return 10 * 2 * SIDE**3 / (time.perf_counter() - started)


def main() -> None:
    """Train twice, the first time to compile, and print the row."""
    if not on_gpu():
        print("population 1024 x 784-100-100-10: no GPU here")
        return
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, 784), np.float32)
    y = rng.integers(0, 10, ROWS)
    network = tw.DenseNetwork.from_sizes((784, 100, 100, 10))
    members = [{"random_state": seed} for seed in range(MEMBERS)]
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        tw.fit_population(
            network, X, y, members, engine="jax", loss="cross_entropy",
            batch_size=BATCH, epochs=STEPS * BATCH // ROWS, shuffle=False,
        )  # fmt: skip
        seconds = time.perf_counter() - started
    work = 6.0 * network.n_parameters * BATCH * STEPS * MEMBERS
    share = work / seconds / matmul_rate()
    print(
        f"population 1024 x 784-100-100-10, 2000 steps of 128: {seconds:.1f} s, "
        f"{work / seconds:.3g} operations/s, {share:.0%} of the card's matrix product"
    )


if __name__ == "__main__":
    main()
