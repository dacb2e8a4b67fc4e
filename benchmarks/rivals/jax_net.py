"""JAX without a library: a jitted lax.scan over whole epochs, vmap over trials."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.jobs import Array, Job, Patience, Trained, Weights


def train(job: Job) -> Callable[[], Trained]:
    """All epochs in one program, or one epoch at a time where the loss is watched."""
    X, T = _device(job)
    run = jax.jit(partial(_run, job))
    epoch_program = jax.jit(partial(_epoch, job), donate_argnums=0)

    def whole() -> Trained:
        weights, rng = job.begin()
        trained = run(weights, job.rate, X, T, _orders(job, rng))
        return Trained(jax.tree.map(np.asarray, trained), job.epochs)

    def watched() -> Trained:
        weights, rng = job.begin()
        state, patience = _state(weights), Patience(job.patience)
        for order in job.orders(rng):
            rows = order.astype(np.int32)
            state, loss = epoch_program(state, job.rate, X, T, rows)
            if patience.exhausted(float(loss)):
                break
        return Trained(jax.tree.map(np.asarray, state[0]), patience.epochs)

    return whole if job.patience is None else watched


def search(job: Job) -> Callable[[], list[Trained]]:
    """All trials under vmap."""
    X, T = _device(job)
    program = jax.jit(jax.vmap(partial(_run, job), in_axes=(0, 0, None, None, None)))
    rates = np.array(job.rates, job.X.dtype)

    def work() -> list[Trained]:
        networks = [job.begin(trial)[0] for trial in range(len(rates))]
        stacked = jax.tree.map(lambda *parts: np.stack(parts), *networks)
        trained = program(stacked, rates, X, T, _orders(job, job.begin()[1]))
        arrays: Any = jax.tree.map(np.asarray, trained)
        return [
            Trained([(W[i], b[i]) for W, b in arrays], job.epochs)
            for i in range(len(rates))
        ]

    return work


def gradient(job: Job) -> Callable[[], tuple[float, Weights]]:
    """Cost and gradient on all rows."""
    X, T = _device(job)
    weights = jax.device_put(job.begin()[0])
    program = jax.jit(jax.value_and_grad(partial(_cost, job)))

    def work() -> tuple[float, Weights]:
        cost, slopes = program(weights, X, T)
        return float(cost), jax.tree.map(np.asarray, slopes)

    return work


def predict(job: Job) -> Callable[[], Array]:
    """Probabilities of all rows at once."""
    X, _ = _device(job)
    weights = jax.device_put(job.begin()[0])
    program = jax.jit(lambda w, x: jax.nn.softmax(_scores(job, w, x)))
    return lambda: np.asarray(program(weights, X))


def _device(job: Job) -> tuple[jax.Array, jax.Array]:
    jax.config.update("jax_enable_x64", job.X.dtype == np.float64)
    return jax.device_put(job.X), jax.device_put(job.targets())


def _orders(job: Job, rng: np.random.RandomState) -> Array | None:
    if job.batch is None:
        return None
    return np.stack(list(job.orders(rng))).astype(np.int32)


def _scores(job: Job, weights: Any, X: jax.Array) -> jax.Array:
    bend = jnp.tanh if job.activation == "tanh" else jax.nn.relu
    for W, b in weights[:-1]:
        X = bend(X @ W + b)
    return X @ weights[-1][0] + weights[-1][1]


def _cost(job: Job, weights: Any, X: jax.Array, T: jax.Array) -> jax.Array:
    scores = _scores(job, weights, X)
    if job.n_outputs == 1:
        losses = jax.nn.softplus(scores) - T * scores
    else:
        losses = -T * jax.nn.log_softmax(scores)
    squares = sum(jnp.sum(W * W) for W, _ in weights) if job.l2 else 0.0
    return (losses.sum() + 0.5 * job.l2 * squares) / len(X)


def _state(weights: Weights) -> Any:
    zeros = jax.tree.map(jnp.zeros_like, weights)
    return weights, zeros, jax.tree.map(jnp.zeros_like, weights), 0


def _run(
    job: Job, weights: Any, rate: Any, X: jax.Array, T: jax.Array, orders: Any
) -> Any:
    def epoch(state: Any, order: Any) -> Any:
        return _epoch(job, state, rate, X, T, order)

    length = job.epochs if orders is None else None
    state, _ = lax.scan(epoch, _state(weights), orders, length=length)
    return state[0]


def _epoch(
    job: Job, state: Any, rate: Any, X: jax.Array, T: jax.Array, order: Any
) -> Any:
    """Scan over the full batches, then the rest of the rows."""
    if job.batch is None:
        return _step(job, state, rate, X, T)

    def step(state: Any, rows: Any) -> Any:
        return _step(job, state, rate, X[rows], T[rows])

    n, size = len(X), job.batch_rows
    full = n // size * size
    state, losses = lax.scan(step, state, order[:full].reshape(-1, size))
    total = losses.sum() * size
    if full < n:
        state, loss = step(state, order[full:])
        total += loss * (n - full)
    return state, total / n


def _step(job: Job, state: Any, rate: Any, X: jax.Array, T: jax.Array) -> Any:
    weights, m, v, t = state
    loss, slopes = jax.value_and_grad(partial(_cost, job))(weights, X, T)
    t = t + 1
    rule = {"sgd": _descend, "nesterov": _nesterov, "adam": _adam}[job.rule]
    updates = jax.tree.map(partial(rule, rate, t), slopes, m, v)
    change, m, v = jax.tree.transpose(
        jax.tree.structure(weights), jax.tree.structure((0, 0, 0)), updates
    )
    return (jax.tree.map(jnp.add, weights, change), m, v, t), loss


def _descend(rate: Any, t: Any, g: Any, m: Any, v: Any) -> Any:
    return -rate * g, m, v


def _nesterov(rate: Any, t: Any, g: Any, m: Any, v: Any) -> Any:
    m = 0.9 * m - rate * g
    return 0.9 * m - rate * g, m, v


def _adam(rate: Any, t: Any, g: Any, m: Any, v: Any) -> Any:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    rate = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return -rate * m / (jnp.sqrt(v) + 1e-8), m, v
