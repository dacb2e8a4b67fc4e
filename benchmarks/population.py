"""A thousand networks at once on a GPU: ``python -m benchmarks.population``.

1024 networks 784-100-100-10 for 2000 steps of 128 rows, as one program, beside the
matrix products that the card does in the same time, and beside PyTorch where it is
installed: 16 networks one after the other, each step a CUDA graph, times 64. Without a
GPU it says so. ``--torch`` runs PyTorch's loop alone, on the CPU without its graphs
where there is no GPU (2 networks, 20 steps: that it runs, not how fast).
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import thalweg as tw
from thalweg.engines import on_gpu

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


def torch_step(torch: Any, device: str) -> Callable[[Any, Any], Any]:
    """Make a network and the function that trains it on one batch."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(),
        nn.Linear(100, 10),
    ).to(device)  # fmt: skip
    loss, cuda = nn.CrossEntropyLoss(), device == "cuda"
    rule = torch.optim.Adam(model.parameters(), 1e-3, capturable=cuda)
    X = torch.zeros((BATCH, 784), device=device)
    y = torch.zeros(BATCH, dtype=torch.int64, device=device)

    def step() -> Any:
        rule.zero_grad(set_to_none=True)
        value = loss(model(X), y)
        value.backward()
        rule.step()
        return value

    if not cuda:
        replay, value = step, None
    else:
        # As PyTorch's notes on CUDA graphs ask: a few steps on a stream of their own.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            value = step()
        replay = graph.replay

    def train(rows: Any, classes: Any) -> Any:
        X.copy_(rows)
        y.copy_(classes)
        found = replay()
        return value if cuda else found

    return train


def by_torch(X: Any, y: Any) -> str:
    """Say how long all networks would take PyTorch, from some of them."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return "PyTorch: not installed (pip install torch==2.13.0)"
    cuda = torch.cuda.is_available()
    device, networks, steps = ("cuda", 16, STEPS) if cuda else ("cpu", 2, 20)
    rows, classes = (torch.from_numpy(v).to(device) for v in (X, y))
    seconds = 0.0
    for _ in range(networks):
        train: Any = torch_step(torch, device)
        value: Any = None
        started = time.perf_counter()  # without the capture
        for i in range(steps):
            part = slice(i * BATCH % ROWS, i * BATCH % ROWS + BATCH)
            value = train(rows[part], classes[part])
        assert torch.isfinite(value), "PyTorch diverged"  # this waits for the GPU
        seconds += time.perf_counter() - started
    scaled = seconds * MEMBERS / networks * STEPS / steps
    return (
        f"PyTorch {torch.__version__} on {device}, {networks} networks of {steps} "
        f"steps: {seconds:.2f} s; {MEMBERS} of {STEPS} would take {scaled:.0f} s"
    )


def main() -> None:
    """Train twice, the first time to compile, and print the rows."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((ROWS, 784), np.float32)
    y = rng.integers(0, 10, ROWS)
    if sys.argv[1:] == ["--torch"]:
        print(by_torch(X, y))
        return
    if not on_gpu():
        print("population 1024 x 784-100-100-10: no GPU here")
        return
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
    print(by_torch(X, y))


if __name__ == "__main__":
    main()
