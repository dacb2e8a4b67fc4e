"""Many networks of one kind trained as one program.

`jax.vmap` runs the step of `programs` for all members at once: each has its own
weights, state of the update rule, numbers (rates, penalties, dropout, constants) and
seed, while the rows lie on the device once. A member that has stopped, or that met a
number that is not finite, keeps its weights while the others go on.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from thalweg.engines.xla import programs, updates
from thalweg.engines.xla.arrays import cast, epochs, pad, padded, scoped
from thalweg.engines.xla.losses import row_losses
from thalweg.engines.xla.passes import merge, propagate, split
from thalweg.engines.xla.programs import Carry, Shape, Sums, padded_rows
from thalweg.lookup import resolved
from thalweg.networks import DenseNetwork
from thalweg.plan import Data, Plan, batch_rows, steps_per_epoch
from thalweg.records import Array, EpochSums, Parameters

_ROWS = 1 << 16
"""Rows of all members together whose outputs are computed at once."""


def kind_of(network: DenseNetwork, plan: Plan) -> Shape:
    """Describe what members of a population must have in common."""
    layers = tuple(replace(layer, dropout=0.0) for layer in network.layers)
    quiet = replace(network, layers=layers, input_noise=0.0)
    plain = replace(plan, l1=0.0, l2=0.0, clip_norm=None, clip_value=None)
    size = plan.batch_size if isinstance(plan.batch_size, int) else 0
    return programs.shape_of(quiet, plain, size, plan.shuffle)


class Population:
    """Networks in training together; each as a `thalweg.engines.Session` would.

    Parameters
    ----------
    networks : sequence of DenseNetwork
    plans : sequence of Plan
        All of one kind, as `kind_of` says.
    data : Data
    parameters : sequence of tuple of dict
        First weights.
    seeds : sequence of int
        Of the noise.
    rows : sequence of ndarray of shape (n_rows,), optional
        The rows of the data that each member trains on; all of them if None.
    """

    def __init__(
        self,
        networks: Sequence[DenseNetwork],
        plans: Sequence[Plan],
        data: Data,
        parameters: Sequence[Parameters],
        seeds: Sequence[int],
        rows: Sequence[Array] | None = None,
    ) -> None:
        self.networks, self.plans, self.rows = networks, plans, rows
        self._dtype, self._steps = data.X.dtype, 0
        self._n_rows = len(data.X) if rows is None else len(rows[0])
        self._per_epoch = steps_per_epoch(plans[0], self._n_rows)
        batch = batch_rows(plans[0], self._n_rows)
        self._batch = padded_rows(batch) if self._per_epoch == 1 else batch
        self._seeds = np.array(seeds, np.uint32)
        self._numbers = self._all_numbers(data)
        room = padded_rows(len(data.X)) + self._batch * (self._per_epoch > 1)
        self._everything = self._call(jax.device_put, padded(data, room))
        self._network = _noisiest(networks)
        trained, kept = split(self._network, _stack(parameters))
        begin = jax.jit(jax.vmap(programs.begin_program(self._shape(shuffled=False))))
        self._carry: Carry = self._call(begin, trained, kept, self._numbers)

    def advance(
        self, orders: Sequence[Array | None], rates: Array, mixes: Array, going: Array
    ) -> list[EpochSums]:
        """Train some epochs.

        Parameters
        ----------
        orders : sequence of (ndarray of shape (n_epochs, n_rows) or None)
            Each member's order of its rows, as a session takes it.
        rates, mixes : ndarray of shape (n_members, n_steps)
        going : ndarray of bool, shape (n_members,)
            False for members that have stopped.

        Returns
        -------
        list of EpochSums
            Meaningless for those that have stopped.
        """
        n_steps = rates.shape[1]
        n_epochs = n_steps // self._per_epoch
        chosen = self._chosen(orders, n_epochs, going)
        length = padded_rows(n_steps)
        counts = {
            "rows": np.int32(self._n_rows),
            "steps": np.int32(n_steps),
            "per_epoch": np.int32(self._per_epoch),
            "before": np.int32(self._steps),
            "slots": np.zeros(padded_rows(n_epochs), self._dtype),
        }
        steps_first = [
            pad(np.ascontiguousarray(each.T, self._dtype), length)
            for each in (rates, mixes)
        ]
        shape = self._shape(shuffled=chosen.size > 0)
        program = population_program(shape, shared=chosen.ndim == 1)
        self._carry, sums = self._call(
            program, self._carry, self._everything, self._numbers, chosen,
            *steps_first, counts, self._seeds, going,
        )  # fmt: skip
        self._steps += n_steps
        sums, finite = jax.device_get((sums, self._carry.finite))
        return [
            epochs(Sums(*(column[k] for column in sums)), bool(finite[k]))
            for k in range(len(going))
        ]

    def validate(self, held_out: Data) -> tuple[Array, Array]:
        """Compute all members' raw outputs and losses.

        Parameters
        ----------
        held_out : Data
            Rows for all members, or, with the member as the first axis, for each.

        Returns
        -------
        outputs : ndarray of shape (n_members, n_rows, n_outputs)
        losses : ndarray of shape (n_members, n_rows)
        """
        own = held_out.X.ndim == 3
        program = validation_program(self._shape(shuffled=False), own)
        current = self._current()
        n_rows = held_out.X.shape[-2]
        size = min(max(_ROWS // len(self.plans), 64), padded_rows(n_rows))
        found = []
        for start in range(0, n_rows, size):
            part = (slice(None),) * own + (slice(start, start + size),)
            X, y = (
                _pad_axis(each[part], size, int(own))
                for each in (held_out.X, held_out.y)
            )
            found.append(self._call(program, current, X, y, self._numbers))
        columns = zip(*jax.device_get(found), strict=True)
        outputs, losses = (np.concatenate(c, axis=1)[:, :n_rows] for c in columns)
        return outputs, losses

    def parameters(self, member: int) -> Parameters:
        """Copy a member's weights."""
        own = jax.tree.map(lambda leaf: np.array(leaf[member]), self._current())
        return merge(self._network, *own)

    def _all_numbers(self, data: Data) -> Any:
        weights = [
            float((data.weights if self.rows is None else data.weights[rows]).sum())
            for rows in self.rows or [None] * len(self.plans)
        ]
        numbers = [
            programs.numbers_of(network, plan, weight)
            for network, plan, weight in zip(
                self.networks, self.plans, weights, strict=True
            )
        ]
        return cast(_stack(numbers), self._dtype)

    def _chosen(
        self, orders: Sequence[Array | None], n_epochs: int, going: Array
    ) -> Array:
        """Row numbers: none for all in order, one list for all, or a list each."""
        given = [own for own in orders if own is not None]
        if self.rows is None and not given:
            return np.zeros(0, np.int32)
        room = padded_rows(n_epochs * self._n_rows) + self._batch
        if self.rows is None and all(np.array_equal(own, given[0]) for own in given):
            return pad(given[0].ravel(), room)
        chosen = np.zeros((len(orders), room), np.int32)
        own = np.tile(np.arange(self._n_rows), n_epochs)
        for k in np.flatnonzero(going).tolist():
            own = given[k].ravel() if given else own
            chosen[k, : own.size] = own if self.rows is None else self.rows[k][own]
        return chosen

    def _shape(self, shuffled: bool) -> Shape:
        plain = programs.shape_of(
            _noisiest(self.networks), self.plans[0], self._batch, shuffled
        )
        plans = self.plans
        return replace(
            plain,
            penalized=any(plan.l1 or plan.l2 for plan in plans),
            clip_norm=any(plan.clip_norm is not None for plan in plans),
            clip_value=any(plan.clip_value is not None for plan in plans),
        )

    def _current(self) -> Any:
        carry = self._carry
        trained = carry.average or carry.trained
        evaluate = functools.partial(
            updates.evaluated, resolved(self.plans[0].optimizer)
        )
        trained = self._call(jax.vmap(evaluate), carry.rule, trained)
        return trained, carry.kept

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return scoped(self._dtype, function, *arguments)


@functools.lru_cache(maxsize=64)
def population_program(shape: Shape, shared: bool) -> Callable[..., Any]:
    """Program that trains all members for some epochs.

    That of `programs.advance_program` with a member's axis before the others, except
    that rates and mixes have the step's before it; `shared` says that all members meet
    the same batches.
    """
    own = None if shared or not shape.shuffled else 0
    each = jax.vmap(
        functools.partial(programs.one_step, shape),
        in_axes=(0, own, 0, 0, 0, None, 0),
    )
    add = jax.vmap(programs.add_seen, in_axes=(0, None, 0))

    def run(
        carry: Carry, everything: Any, numbers: Any, orders: Any, rates: Any,
        mixes: Any, counts: Any, seeds: Any, going: Any,
    ) -> tuple[Carry, Sums]:  # fmt: skip
        empty = jnp.zeros((len(seeds), len(counts["slots"])), everything.X.dtype)
        sums = Sums(*(empty for _ in Sums._fields))
        choose = functools.partial(programs.batch_of, shape)
        rows = jax.vmap(choose, in_axes=(None, own, None, None)) if own == 0 else choose

        def more(state: Any) -> jax.Array:
            return (state[0] < counts["steps"]) & state[1].finite.any()

        def body(state: Any) -> Any:
            i, carry, sums = state
            batch = rows(everything, orders, i, counts)
            step = counts["before"] + i
            new, seen = each(carry, batch, numbers, rates[i], mixes[i], step, seeds)
            added = add(sums, i // counts["per_epoch"], seen)
            return i + 1, new, _where(carry.finite, added, sums)

        carry = carry._replace(finite=carry.finite & going)
        _, carry, sums = lax.while_loop(more, body, (jnp.int32(0), carry, sums))
        return carry, sums

    return jax.jit(run)


@functools.lru_cache(maxsize=64)
def validation_program(shape: Shape, own: bool) -> Callable[..., Any]:
    """Program ``(parameters, X, y, numbers) -> (outputs, losses)`` of all members."""

    def run(parameters: Any, X: Any, y: Any, numbers: Any) -> Any:
        trained, kept = parameters
        outputs = propagate(shape.network, trained, kept, X)[0][-1]
        constants = {**dict(shape.loss.constants), **numbers["loss"]}
        return outputs, row_losses(shape.loss, constants, outputs, y)

    rows = 0 if own else None
    return jax.jit(jax.vmap(run, in_axes=(0, rows, rows, 0)))


def _noisiest(networks: Sequence[DenseNetwork]) -> DenseNetwork:
    """Return a network with every kind of noise that one of these has."""
    layers = tuple(
        replace(same[0], dropout=max(layer.dropout for layer in same))
        for same in zip(*(network.layers for network in networks), strict=True)
    )
    loudest = max(network.input_noise for network in networks)
    return replace(networks[0], layers=layers, input_noise=loudest)


def _where(flags: Any, new: Any, old: Any) -> Any:
    """Take the members that are flagged from `new`."""

    def choose(a: Any, b: Any) -> Any:
        return jnp.where(flags.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, new, old)


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _pad_axis(values: Array, length: int, axis: int) -> Array:
    missing = [(0, 0)] * values.ndim
    missing[axis] = (0, length - values.shape[axis])
    return np.pad(values, missing, mode="edge")
