"""The compiled programs: some epochs of training as one, outputs, cost and gradient.

A program depends on a `Shape` (which layers, which loss, which rule) and on the padded
shapes of its arrays. Every number (rates, penalties, constants, dropout) is an
argument, and row counts are padded to a coarse grid, so that another rate, or another
fold of a cross-validation, finds the program compiled.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jax import lax

from thalweg.core import Choice, DenseNetwork, Network, Plan
from thalweg.engines.jax import optimizers, random
from thalweg.engines.jax.forward import Noise, constrained, propagate, settled
from thalweg.engines.jax.losses import row_losses

Tree = Any
"""Arrays, nested: one dict a layer, or what a `Network` has."""


HOSTS = "hosts"
"""Name of the axis over processes, of a program that several run together."""


@dataclass(frozen=True)
class Shape:
    """All that a training program is compiled for, apart from its arrays' shapes."""

    network: DenseNetwork | Network
    loss: Choice
    optimizer: Choice
    batch: int
    shuffled: bool
    penalized: bool
    by_batch: bool
    clip_norm: bool
    clip_value: bool
    accumulate: int
    averaged: bool
    looped: bool = True  # many steps in one program
    hosts: bool = False  # each process its own rows


class Batch(NamedTuple):
    """Rows of one step, padded: ``mask`` is 1 for those that exist."""

    X: Any
    y: Any
    weights: Any
    mask: Any


class Carry(NamedTuple):
    """What a step takes over from the one before."""

    trained: Tree
    kept: Tree  # frozen parameters and running statistics
    average: Tree
    rule: Any  # the update rule's own state
    accumulated: Tree
    ratio: jax.Array
    finite: jax.Array
    measured: Tree = ()  # what a loss of whole batches measures over an epoch


class Sums(NamedTuple):
    """Sums over the batches of each epoch, arrays of shape (n_slots,)."""

    loss: Any
    rows: Any
    gradient_norm: Any
    ratio: Any
    steps: Any
    evaluations: Any  # these two of a rule that searches along lines
    failures: Any


class EpochBatch(NamedTuple):
    """Some epochs to train; rates and mixing factors of each step."""

    orders: Any  # the epochs' row numbers, one after the other
    rates: Any
    mixes: Any
    rows: Any  # how many an epoch meets
    steps: Any  # how many there are
    per_epoch: Any
    before: Any  # how many were done
    seed: Any


class Pace(NamedTuple):
    """What one step is given of a `EpochBatch`, and its number since the first."""

    rate: Any
    mix: Any
    step: Any
    seed: Any


def no_sums(slots: int | tuple[int, int], dtype: Any) -> Sums:
    """Return sums of nothing, for so many epochs, or members and epochs."""
    return Sums(*(np.zeros(slots, dtype) for _ in Sums._fields))


def compiled(function: Callable[..., Any], *fixed: Any) -> Callable[..., Any]:
    """Return the program of a function whose first arguments are `fixed`.

    It is the same one each time; that of a `Network` is remembered with itself.
    """
    network = getattr(fixed[0], "network", fixed[0])
    if not isinstance(network, Network):
        return _compiled(function, *fixed)
    if (function, *fixed) not in network.programs:
        network.programs[function, *fixed] = jax.jit(partial(function, *fixed))
    return network.programs[function, *fixed]


@lru_cache(maxsize=1024)
def _compiled(function: Callable[..., Any], *fixed: Any) -> Callable[..., Any]:
    return jax.jit(partial(function, *fixed))


def shape_of(network: Any, plan: Plan, batch: int, shuffled: bool) -> Shape:
    """Strike out of `network` and `plan` what is only a number."""
    return Shape(
        network=skeleton(network),
        loss=plan.loss.structure,
        optimizer=plan.optimizer.structure,
        batch=batch,
        shuffled=shuffled,
        penalized=bool(plan.l1 or plan.l2),
        by_batch=plan.penalty_scale == "batch",
        clip_norm=plan.clip_norm is not None,
        clip_value=plan.clip_value is not None,
        accumulate=int(plan.accumulate),
        averaged=plan.average.name != "none",
    )


def skeleton(network: Any) -> Any:
    """Return `network` with its rates of noise replaced by whether they are there."""
    if isinstance(network, Network):
        return network
    layers = tuple(
        replace(
            layer, init="zeros", bias_init="zeros", dropout=0.5 * (layer.dropout > 0)
        )
        for layer in network.layers
    )
    return replace(network, layers=layers, input_noise=float(network.input_noise > 0))


def numbers_of(network: Any, plan: Plan, total_weight: float) -> dict[str, Any]:
    """Every number that a program takes as an argument."""
    whole = total_weight if plan.penalty_scale == "none" else 1.0
    dropout = [float(layer.dropout) for layer in network.layers]
    return {
        "loss": plan.loss.numbers,
        "optimizer": plan.optimizer.numbers,
        "rate": plan.rate,
        "l1": plan.l1 * whole,
        "l2": plan.l2 * whole,
        "decay": plan.decay,
        "clip_norm": float(plan.clip_norm or np.inf),
        "clip_value": float(plan.clip_value or np.inf),
        "layer_rates": list(plan.layer_rates or [1.0] * len(dropout)),
        "dropout": np.array(dropout),
        "threshold": np.array([random.threshold(rate) for rate in dropout], np.uint32),
        "input_noise": float(network.input_noise),
        "total_weight": float(total_weight),
    }


def padded_rows(n_rows: int) -> int:
    """Round up to sixteens, and to an eighth of an octave where that is more."""
    grain = 1 << max(n_rows.bit_length() - 4, 4)
    return -(-n_rows // grain) * grain


def objective(
    shape: Shape, trained: Tree, kept: Tree, batch: Batch, numbers: Any, training: Any,
    measured: Tree = (),
) -> tuple[jax.Array, tuple[Tree, Tree]]:  # fmt: skip
    """Loss of a batch with its penalties; what is kept, and measured, after it."""
    if of_batch := batch_loss(shape.loss):
        given = trained, kept, measured, batch.X, batch.y
        value, _, kept, measured = of_batch(*given, training=True)
        if shape.penalized:
            divisor = batch.weights.sum() if shape.by_batch else numbers["total_weight"]
            value = value + _penalty(trained, numbers) / divisor
        return value, (kept, measured)
    outputs, kept, added = propagate(shape.network, trained, kept, batch.X, training)
    losses = row_losses(
        shape.loss, loss_constants(shape.loss, numbers["loss"]), outputs[-1], batch.y
    )
    total, n_hosts = batch.weights.sum(), 1
    if shape.hosts:  # such that the mean over the processes is that over all rows
        total, n_hosts = lax.pmean(total, HOSTS), lax.psum(1, HOSTS)
    some = jnp.where(total > 0, total, 1)
    value = (batch.weights * losses).sum() / some + added
    if shape.penalized:
        divisor = n_hosts * some if shape.by_batch else numbers["total_weight"]
        value = value + _penalty(trained, numbers) / divisor
    return value, (kept, measured)


def batch_loss(loss: Choice) -> Callable[..., Any] | None:
    """Return how a loss is computed of a whole batch, if it is such a loss."""
    return getattr(loss.name, "of_batch", None)


def cost_and_gradient(shape: Shape, trained: Tree, *rest: Any) -> Any:
    """Compute the objective and its gradient."""
    cost = over_all_rows(shape, *rest)
    (value, _), gradient = jax.value_and_grad(cost, has_aux=True)(trained)
    return value, gradient


def cost(shape: Shape, trained: Tree, *rest: Any) -> jax.Array:
    """Compute the objective of ``(trained, kept, batch, numbers)``."""
    return over_all_rows(shape, *rest)(trained)[0]


def statistics(
    shape: Shape, trained: Tree, kept: Tree, batch: Batch, numbers: Any
) -> Tree:
    """Return `kept`, settled on all rows."""
    quiet = make_noise(numbers, batch)
    return settled(shape.network, trained, kept, batch.X, quiet)


def over_all_rows(shape: Shape, kept: Tree, batch: Batch, numbers: Any) -> Any:
    """Make the objective of the trained parameters, with the batch's statistics."""
    quiet = make_noise(numbers, batch)
    return lambda trained: objective(shape, trained, kept, batch, numbers, quiet)


def make_noise(numbers: Any, batch: Batch, step: Any = 0, seed: Any = 0) -> Noise:
    """Describe a pass as training does it, with the noise of one step."""
    stream = jnp.uint32(seed), jnp.uint32(step)
    rates = numbers["dropout"], numbers["threshold"], numbers["input_noise"]
    return Noise(stream, *rates, batch.mask)


def outputs(network: Any, trained: Tree, kept: Tree, X: Any) -> list[Any]:
    """Compute the outputs of every layer of a skeleton."""
    return propagate(network, trained, kept, X)[0]


def validation(
    shape: Shape, trained: Tree, kept: Tree, X: Any, y: Any, numbers: Any
) -> Any:
    """Compute raw outputs and losses."""
    outputs = propagate(shape.network, trained, kept, X)[0][-1]
    constants = loss_constants(shape.loss, numbers)
    return outputs, row_losses(shape.loss, constants, outputs, y)


def validation_of_batch(
    shape: Shape, trained: Tree, kept: Tree, measured: Tree, X: Any, y: Any
) -> Any:
    """Compute raw outputs, the loss of the batch, and what was measured till now."""
    of_batch: Any = batch_loss(shape.loss)
    value, outputs, _, measured = of_batch(
        trained, kept, measured, X, y, training=False
    )
    return outputs, value, measured


def losses(loss: Choice, numbers: Any, outputs: jax.Array, y: jax.Array) -> jax.Array:
    """Compute the loss of each row."""
    return row_losses(loss, loss_constants(loss, numbers), outputs, y)


def begin(shape: Shape, trained: Tree, kept: Tree, numbers: Any) -> Carry:
    """Return what the first step takes over."""
    rule = _rule(shape, numbers, numbers["rate"])
    return Carry(
        trained=trained,
        kept=kept,
        average=trained if shape.averaged else (),
        rule=rule.init(trained),
        accumulated=_zeros(trained) if shape.accumulate > 1 else (),
        ratio=jnp.zeros(()),
        finite=jnp.array(True),
    )


def advance(shape: Shape, *arguments: Any) -> tuple[Carry, Sums]:
    """Train some epochs, or make one step where the shape is not looped.

    The arguments are those of `follow`.
    """
    pick, step = partial(batch_of, shape), partial(one_step, shape)
    return follow(pick, step, add_seen, shape.looped, *arguments)


def follow(
    pick: Callable[..., Batch], step: Callable[..., Any], add: Callable[..., Sums],
    looped: bool, carry: Carry, sums: Sums, at: Any, everything: Batch, numbers: Any,
    course: EpochBatch,
) -> tuple[Carry, Sums]:  # fmt: skip
    """Make the steps of a course from `at` on, while some numbers are finite.

    `everything` are all rows; `pick`, `step` and `add` are `batch_of`, `one_step` and
    `add_seen`, or the same for many members.
    """

    def more(state: Any) -> jax.Array:
        return (state[0] < course.steps) & state[1].finite.any()

    def body(state: Any) -> Any:
        i, before, sums = state
        batch = pick(everything, course, i)
        now = course.rates[i], course.mixes[i], course.before + i, course.seed
        carry, seen = step(before, batch, numbers, Pace(*now))
        added = add(sums, i // course.per_epoch, seen)
        return i + 1, carry, chosen(before.finite, added, sums)

    start = (at, carry, sums)
    return (lax.while_loop(more, body, start) if looped else body(start))[1:]


def chosen(flags: jax.Array, new: Tree, old: Tree) -> Tree:
    """Take `new` where the flag, or that of a member, is true, and `old` elsewhere."""

    def choose(a: Any, b: Any) -> Any:
        each = flags.reshape(-1, *[1] * (a.ndim - 1)) if flags.ndim else flags
        return jnp.where(each, a, b)

    return jax.tree.map(choose, new, old)


def batch_of(shape: Shape, everything: Batch, course: EpochBatch, i: Any) -> Batch:
    """Pick the rows of the i-th step."""
    epoch, step = i // course.per_epoch, i % course.per_epoch
    first = step * shape.batch
    left = course.rows - first
    start = epoch * course.rows + first if shape.shuffled else first
    cut = partial(lax.dynamic_slice_in_dim, start_index=start, slice_size=shape.batch)
    if shape.shuffled:
        rows = cut(course.orders)
        found = jax.tree.map(lambda v: v[rows], everything)
    else:
        found = jax.tree.map(cut, everything)
    mask = (jnp.arange(shape.batch) < left).astype(found.weights.dtype)
    mask = mask * found.mask if shape.hosts else mask
    return found._replace(weights=found.weights * mask, mask=mask)


def one_step(
    shape: Shape, carry: Carry, batch: Batch, numbers: Any, pace: Pace
) -> tuple[Carry, tuple[Any, ...]]:
    """Do the plan's list on one batch; after a step that was not finite, nothing."""
    training = make_noise(numbers, batch, pace.step, pace.seed)

    def cost(trained: Tree) -> Any:
        given = shape, trained, carry.kept, batch, numbers, training, carry.measured
        value, after = objective(*given)
        return optimizers.scaled(shape.optimizer, carry.rule, value), (value, after)

    (_, (value, after)), gradient = jax.value_and_grad(cost, has_aux=True)(
        carry.trained
    )
    kept, measured = after
    rows = batch.mask.sum()
    if shape.hosts:
        value, gradient = lax.pmean((value, gradient), HOSTS)
        rows = lax.psum(rows, HOSTS)
    norm = _norm(gradient) / optimizers.scaled(shape.optimizer, carry.rule, 1.0)
    move = partial(_move, shape, carry, numbers, pace)
    if shape.optimizer.name == "lbfgs_on_device":
        moved = move(gradient, value=value, value_fn=lambda at: cost(at)[0])
    elif shape.accumulate == 1:
        moved = move(gradient)
    else:
        moved = _gather_or_move(shape, carry, gradient, pace.step, move)
    finite = jnp.isfinite(moved.ratio) & carry.finite
    if not optimizers.skips(shape.optimizer):
        finite = jnp.isfinite(value) & jnp.isfinite(norm) & finite
    moved = moved._replace(kept=kept, measured=measured)
    new = chosen(finite, moved, carry)._replace(finite=finite)
    searched = optimizers.searched(shape.optimizer, moved.rule)
    return new, (value, rows, norm, new.ratio, searched)


def _gather_or_move(
    shape: Shape, carry: Carry, gradient: Tree, step: Any, move: Callable[..., Carry]
) -> Carry:
    accumulated = jax.tree.map(
        lambda a, g: a + g / shape.accumulate, carry.accumulated, gradient
    )
    return lax.cond(
        (step + 1) % shape.accumulate == 0,
        lambda: move(accumulated)._replace(accumulated=_zeros(accumulated)),
        lambda: carry._replace(accumulated=accumulated),
    )


def _move(
    shape: Shape, carry: Carry, numbers: Any, pace: Pace, gradient: Tree, **search: Any
) -> Carry:
    """Do steps 3 to 8 of the plan's list."""
    gradient = _clip(shape, gradient, numbers)
    rule = _rule(shape, numbers, pace.rate)
    more = {**search, "grad": gradient} if search else {}
    update, state = rule.update(gradient, carry.rule, carry.trained, **more)
    decay = pace.rate * numbers["decay"]
    update = jax.tree.map(
        lambda u, own: u - decay * own if is_weight(own) else u, update, carry.trained
    )
    if not isinstance(shape.network, Network):
        factors = zip(numbers["layer_rates"], update, strict=True)
        update = tuple({k: f * u for k, u in layer.items()} for f, layer in factors)
    trained = jax.tree.map(jnp.add, carry.trained, update)
    if not optimizers.constrains(shape.optimizer):
        trained = constrained(shape.network, trained)
    average = carry.average
    if shape.averaged:
        average = jax.tree.map(lambda a, t: a + pace.mix * (t - a), average, trained)
    size = _norm(carry.trained)
    ratio = _norm(update) / jnp.where(size > 0, size, 1)
    return carry._replace(trained=trained, average=average, rule=state, ratio=ratio)


def _clip(shape: Shape, gradient: Tree, numbers: Any) -> Tree:
    if shape.clip_value:
        limit = numbers["clip_value"]
        gradient = jax.tree.map(lambda g: jnp.clip(g, -limit, limit), gradient)
    if shape.clip_norm:
        norm = _norm(gradient)
        factor = jnp.minimum(1.0, numbers["clip_norm"] / jnp.where(norm > 0, norm, 1))
        gradient = jax.tree.map(lambda g: g * factor, gradient)
    return gradient


def _rule(shape: Shape, numbers: Any, rate: Any) -> Any:
    base = numbers["rate"]
    return optimizers.rule(shape.optimizer, numbers["optimizer"], rate, base)


def _penalty(trained: Tree, numbers: Any) -> jax.Array:
    weights = [leaf for leaf in jax.tree.leaves(trained) if is_weight(leaf)]
    squares = sum((w**2).sum() for w in weights)
    # JAX's slope of |w| at 0 is 1, which would push a weight away from there.
    sizes = sum(jnp.where(w == 0, 0.0, jnp.abs(w)).sum() for w in weights)
    return jnp.asarray(numbers["l2"] / 2 * squares + numbers["l1"] * sizes)


def is_weight(leaf: jax.Array) -> bool:
    """Whether penalties, decay and bounds act on an array: not on biases and scales."""
    return leaf.ndim > 1


def loss_constants(loss: Choice, numbers: Any) -> dict[str, Any]:
    """Return the constants of a loss: those of its structure, and its numbers."""
    return {**dict(loss.constants), **numbers}


def add_seen(sums: Sums, epoch: Any, seen: tuple[Any, ...]) -> Sums:
    """Add what a step saw to its epoch's sums."""
    value, rows, norm, ratio, searched = seen
    if searched is not None:
        evaluations, failures = searched
        sums = sums._replace(
            evaluations=sums.evaluations.at[epoch].add(evaluations),
            failures=sums.failures.at[epoch].add(failures),
        )
    return sums._replace(
        loss=sums.loss.at[epoch].add(value * rows),
        rows=sums.rows.at[epoch].add(rows),
        gradient_norm=sums.gradient_norm.at[epoch].add(norm),
        ratio=sums.ratio.at[epoch].set(ratio),
        steps=sums.steps.at[epoch].add(1.0),
    )


def _zeros(tree: Tree) -> Tree:
    return jax.tree.map(jnp.zeros_like, tree)


def _norm(tree: Tree) -> jax.Array:
    leaves = jax.tree.leaves(tree)
    return jnp.sqrt(sum(((leaf**2).sum() for leaf in leaves), start=jnp.zeros(())))
