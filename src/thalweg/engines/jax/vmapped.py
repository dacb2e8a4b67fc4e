"""Many networks of one kind trained as one program.

`jax.vmap` runs the step of `step` for all members at once: each has its own
weights, state of the update rule, numbers (rates, penalties, dropout, constants) and
seed, while the rows lie on the device once. A member that has stopped, or that met a
number that is not finite, keeps its weights while the others go on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.core import (
    Array,
    Data,
    DenseNetwork,
    EpochSums,
    Parameters,
    Plan,
    batch_rows,
    steps_per_epoch,
)
from thalweg.engines.jax import arrays, custom_network, optimizers, step
from thalweg.engines.jax.forward import merge, split
from thalweg.engines.jax.step import Carry, EpochBatch, Shape, compiled, padded_rows

_ROWS = 1 << 16
"""Rows of all members together whose outputs are computed at once."""


def kind_of(network: DenseNetwork, plan: Plan) -> Shape:
    """Describe what members of a population must have in common."""
    layers = tuple(replace(layer, dropout=0.0) for layer in network.layers)
    quiet = replace(network, layers=layers, input_noise=0.0)
    plain = replace(plan, l1=0.0, l2=0.0, clip_norm=None, clip_value=None)
    size = plan.batch_size if isinstance(plan.batch_size, int) else 0
    return step.shape_of(quiet, plain, size, plan.shuffle)


class Population:
    """Networks in training together; each as a `thalweg.engines.Session` would.

    Parameters
    ----------
    networks : sequence of DenseNetwork
    plans : sequence of Plan
        All of one kind, as `kind_of` says.
    data : sequence of Data
        Each member's rows, as many for all; they lie on the device once where they are
        the same.
    parameters : sequence of tuple of dict
        Initial weights.
    seeds : sequence of int
        Of the noise.
    validation : sequence of Data
        Each member's, or none.
    """

    def __init__(
        self,
        networks: Sequence[DenseNetwork],
        plans: Sequence[Plan],
        data: Sequence[Data],
        parameters: Sequence[Parameters],
        seeds: Sequence[int],
        validation: Sequence[Data] = (),
    ) -> None:
        self.networks, self.plans = networks, plans
        self._dtype, self._steps = data[0].dtype, 0
        self._n_rows, self._seeds = data[0].n_rows, np.array(seeds, np.uint32)
        self._per_epoch = steps_per_epoch(plans[0], self._n_rows)
        batch = batch_rows(plans[0], self._n_rows)
        self._batch = padded_rows(batch) if self._per_epoch == 1 else batch
        weights = [float(each.weights.sum()) for each in data]
        numbers = map(step.numbers_of, networks, plans, weights)
        self._numbers = arrays.cast(_stack([*numbers]), self._dtype)
        room = padded_rows(self._n_rows) + self._batch * (self._per_epoch > 1)
        rows = _distinct(data)
        self._own_rows = len(rows) > 1
        self._everything = self._put([arrays.padded(each, room) for each in rows])
        self._begin_validation(_distinct(validation))
        self._network = _noisiest(networks)
        trained, kept = split(self._network, _stack(parameters))
        begin = compiled(_begin, self._shape(shuffled=False))
        self._carry: Carry = self._call(begin, trained, kept, self._numbers)

    def _begin_validation(self, rows: Sequence[Data]) -> None:
        self._n_held, self._own_held = rows[0].n_rows if rows else 0, len(rows) > 1
        size = min(max(_ROWS // len(self.plans), 64), padded_rows(self._n_held + 1))
        self._held = []
        for start in range(0, self._n_held, size):
            parts = [each.take(slice(start, start + size)) for each in rows]
            filled = [arrays.pad_rows((part.X, part.y), size) for part in parts]
            self._held.append(self._put(filled))

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
        course = arrays.course(
            chosen, rates.T, mixes.T, self._dtype, self._seeds,
            rows=self._n_rows, per_epoch=self._per_epoch, before=self._steps,
        )  # fmt: skip
        sums = step.no_sums((len(going), padded_rows(n_epochs)), self._dtype)
        shape = self._shape(chosen.size > 0)
        program = compiled(_advance, shape, self._own_rows, chosen.ndim > 1)
        self._carry, sums = self._call(
            program, self._carry, sums, self._everything, self._numbers, course, going
        )
        self._steps += n_steps
        self.__dict__.pop("validated", None)  # what was computed before these epochs
        sums, finite = jax.device_get((sums, self._carry.finite))
        return [
            arrays.epochs(step.Sums(*(column[k] for column in sums)), bool(finite[k]))
            for k in range(len(going))
        ]

    @cached_property
    def validated(self) -> tuple[Array, Array]:
        """All members' raw outputs and losses on their validation rows, as of now.

        Returns
        -------
        outputs : ndarray of shape (n_members, n_rows, n_outputs)
        losses : ndarray of shape (n_members, n_rows)
        """
        program = compiled(_validation, self._shape(False), self._own_held)
        current, constants = self._current(), self._numbers["loss"]
        found = [self._call(program, *current, *rows, constants) for rows in self._held]
        columns = zip(*jax.device_get(found), strict=True)
        outputs, losses = (np.concatenate(c, axis=1) for c in columns)
        return outputs[:, : self._n_held], losses[:, : self._n_held]

    def snapshot(self) -> dict[str, Array]:
        """Copy all that is needed to resume, as named arrays."""
        leaves = custom_network.as_arrays(self._carry)
        found = {f"carry.{k}": leaf for k, leaf in enumerate(leaves)}
        return {"steps": np.array(self._steps), **found}

    def restore(self, snapshot: Mapping[str, Array]) -> None:
        """Go on from a snapshot; raises as that of a session."""
        count = sum(name.startswith("carry.") for name in snapshot)
        leaves = [snapshot[f"carry.{k}"] for k in range(count)]
        carry = custom_network.from_arrays(self._carry, leaves)
        self._carry = self._call(jax.device_put, carry)
        self._steps = int(snapshot["steps"])
        self.__dict__.pop("validated", None)

    def parameters(self, member: int) -> Parameters:
        """Copy a member's weights."""
        own = jax.tree.map(lambda leaf: np.array(leaf[member]), self._current())
        return merge(self._network, *own)

    def _put(self, members: Sequence[Any]) -> Any:
        """Bring rows to the device: everyone's, or each member's."""
        rows = members[0] if len(members) == 1 else _stack(members)
        return self._call(jax.device_put, rows)

    def _chosen(
        self, orders: Sequence[Array | None], n_epochs: int, going: Array
    ) -> Array:
        """Row numbers: none for all in order, one list for all, or a list each."""
        given = [own.ravel() for own in orders if own is not None]
        if not given:
            return np.zeros(0, np.int32)
        room = padded_rows(n_epochs * self._n_rows) + self._batch
        if all(np.array_equal(own, given[0]) for own in given):
            return arrays.pad(given[0], room)
        chosen = np.zeros((len(given), room), np.int32)
        for k in np.flatnonzero(going).tolist():
            chosen[k, : given[k].size] = given[k]
        return chosen

    def _shape(self, shuffled: bool) -> Shape:
        plain = step.shape_of(
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
        evaluate = partial(optimizers.evaluated, self.plans[0].optimizer)
        trained = self._call(jax.vmap(evaluate), carry.rule, trained)
        return trained, carry.kept

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return arrays.scoped(self._dtype, function, *arguments)


def _advance(
    shape: Shape, own_rows: bool, own_order: bool, carry: Carry, sums: step.Sums,
    everything: Any, numbers: Any, course: EpochBatch, going: Any,
) -> tuple[Carry, step.Sums]:  # fmt: skip
    """Train all members for some epochs.

    As `step.advance`, with a member's axis before the others, except that rates and
    mixes have the step's before it; rows, and their order, have it only where each
    member has its own.
    """
    pick, apart = partial(step.batch_of, shape), own_rows or own_order
    if apart:
        shared = EpochBatch(*[None] * len(EpochBatch._fields))
        order = shared._replace(orders=0 if own_order else None)
        pick = jax.vmap(pick, (0 if own_rows else None, order, None))
    one = partial(step.one_step, shape)
    pace = step.Pace(rate=0, mix=0, step=None, seed=0)
    each = jax.vmap(one, (0, 0 if apart else None, 0, pace))
    add = jax.vmap(step.add_seen, in_axes=(0, None, 0))
    carry = carry._replace(finite=carry.finite & going)
    first = jnp.int32(0)
    return step.follow(
        pick, each, add, True, carry, sums, first, everything, numbers, course
    )


def _begin(shape: Shape, *arguments: Any) -> Carry:
    return jax.vmap(partial(step.begin, shape))(*arguments)


def _validation(shape: Shape, own: bool, *arguments: Any) -> Any:
    """Compute ``(outputs, losses)`` of all members, on rows of each if `own`."""
    rows = 0 if own else None
    each = partial(step.validation, shape)
    return jax.vmap(each, (0, 0, rows, rows, 0))(*arguments)


def _noisiest(networks: Sequence[DenseNetwork]) -> DenseNetwork:
    """Return a network with every kind of noise that one of these has."""
    layers = tuple(
        replace(same[0], dropout=max(layer.dropout for layer in same))
        for same in zip(*(network.layers for network in networks), strict=True)
    )
    loudest = max(network.input_noise for network in networks)
    return replace(networks[0], layers=layers, input_noise=loudest)


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _distinct(data: Sequence[Data]) -> list[Data]:
    """Return everyone's rows once if all have the same, each member's otherwise."""
    written = [arrays.dense(each) for each in data]
    return written[:1] if all(_same(each, written[0]) for each in written) else written


def _same(one: Data, other: Data) -> bool:
    pairs = (one.X, other.X), (one.y, other.y), (one.weights, other.weights)
    return all(a is b or np.array_equal(a, b) for a, b in pairs)
