"""One network trained by several processes, each on its own rows.

The step is that of `programs`, compiled for a mesh of one device a process: each
computes the objective's part that its rows have, and the mean of these and of their
gradients over the processes (`Shape.hosts`) is the objective of all rows. The weights
are on every process, and stay the same to the last bit, for all do the same with the
same sums.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from thalweg.engines import xla
from thalweg.engines.xla import programs, updates
from thalweg.engines.xla.arrays import cast, epochs, pad, padded, scoped
from thalweg.engines.xla.passes import merge, split
from thalweg.engines.xla.programs import Batch, Shape, padded_rows
from thalweg.lookup import resolved
from thalweg.networks import DenseNetwork
from thalweg.plan import Data, Plan, batch_rows, steps_per_epoch
from thalweg.records import Array, EpochSums, Parameters

_ALL, _OWN = PartitionSpec(), PartitionSpec(programs.HOSTS)


def count() -> tuple[int, int]:
    """Return this process's number, and how many there are."""
    return jax.process_index(), jax.process_count()


def gather(value: Any) -> Array:
    """Return every process's value, the process first."""
    with jax.enable_x64(True):
        found = multihost_utils.process_allgather(np.asarray(value))
    return np.asarray(found).reshape(jax.process_count(), *np.shape(value))


def agree(values: Any) -> Any:
    """Return the values that process 0 has."""
    with jax.enable_x64(True):
        return jax.tree.map(np.array, multihost_utils.broadcast_one_to_all(values))


class Session:
    """One network in training on the rows of all processes; see `engines.Session`.

    Parameters
    ----------
    network, plan, parameters, seed
        The same on every process; the plan's batches are this process's part.
    data : Data
        Rows of this process, as many as any other has: the missing with weight 0.
    n_rows : int
        How many of them there really are.
    validation : Data or None
        The same on every process.
    """

    heeds_stop = False

    def __init__(
        self,
        network: DenseNetwork,
        plan: Plan,
        data: Data,
        parameters: Parameters,
        seed: int,
        n_rows: int,
        validation: Data | None = None,
    ) -> None:
        self.network, self.plan, self.validation = network, plan, validation
        self._dtype, self._n_rows, self._seed = data.dtype, len(data.X), seed
        self._per_epoch, self._steps = steps_per_epoch(plan, self._n_rows), 0
        batch = batch_rows(plan, self._n_rows)
        self._batch = padded_rows(batch) if self._per_epoch == 1 else batch
        weight = float(gather(data.weights.sum()).sum())
        self._numbers = cast(programs.numbers_of(network, plan, weight), self._dtype)
        room = padded_rows(self._n_rows) + self._batch * (self._per_epoch > 1)
        rows = padded(data, room)
        self._mesh = _mesh()
        everything = rows._replace(mask=rows.mask * (np.arange(room) < n_rows))
        self._everything = Batch._make(map(self._own, everything))
        trained, kept = split(network, parameters)
        alone = replace(self._shape(False), hosts=False)
        begin = programs.compiled(programs.begin, alone)
        carry = scoped(self._dtype, begin, trained, kept, self._numbers)
        self._carry: Any = jax.tree.map(np.asarray, carry)

    def advance(
        self, orders: Array | None, rates: Array, mixes: Array, stop: Any = None
    ) -> EpochSums:
        """Train some epochs; as the contract says."""
        n_steps = len(rates)
        flat = np.zeros(0, np.int32) if orders is None else orders.ravel()
        chosen = self._own(pad(flat, padded_rows(len(flat)) + self._batch))
        counts = {
            "rows": np.int32(self._n_rows),
            "steps": np.int32(n_steps),
            "per_epoch": np.int32(self._per_epoch),
            "before": np.int32(self._steps),
            "seed": np.uint32(self._seed),
            "slots": np.zeros(padded_rows(n_steps // self._per_epoch), self._dtype),
        }
        per_step = (
            pad(each.astype(self._dtype), padded_rows(n_steps))
            for each in (rates, mixes)
        )
        shape = self._shape(orders is not None)
        program = programs.compiled(_advance, shape, self._mesh)
        self._carry, sums = scoped(
            self._dtype, program, self._carry, self._everything, self._numbers,
            chosen, *per_step, counts,
        )  # fmt: skip
        sums = jax.tree.map(np.asarray, sums)
        self._steps += int(sums.steps.sum())
        return epochs(sums, bool(np.asarray(self._carry.finite)))

    def validate(self) -> tuple[Array, Array]:
        """Compute raw outputs and losses on the validation data."""
        assert self.validation is not None
        outputs = xla.outputs(self.network, self.parameters(), self.validation.X)
        return outputs, xla.row_losses(self.plan, outputs, self.validation.y)

    def parameters(self) -> Parameters:
        """Copy the weights as they are now."""
        carry = jax.tree.map(np.array, self._carry)
        trained = carry.average or carry.trained
        rule = resolved(self.plan.optimizer)
        trained = scoped(self._dtype, updates.evaluated, rule, carry.rule, trained)
        return jax.tree.map(np.array, merge(self.network, trained, carry.kept))

    def state(self) -> tuple[int, list[Array]]:
        """Copy all that training goes on from: the steps done, and arrays."""
        return self._steps, [np.array(leaf) for leaf in jax.tree.leaves(self._carry)]

    def recall(self, steps: int, leaves: list[Array]) -> None:
        """Go on from what another session's `state` gave.

        Raises
        ------
        ValueError
            If that was of another network or plan.
        """
        mine, structure = jax.tree.flatten(self._carry)
        if [(a.shape, a.dtype) for a in mine] != [(a.shape, a.dtype) for a in leaves]:
            raise ValueError("it is of another network or another optimizer")
        self._steps, self._carry = steps, jax.tree.unflatten(structure, leaves)

    def _shape(self, shuffled: bool) -> Shape:
        shape = programs.shape_of(self.network, self.plan, self._batch, shuffled)
        return replace(shape, hosts=True)

    def _own(self, values: Array) -> jax.Array:
        """Make this process's part of an array over all of them."""
        sharding = NamedSharding(self._mesh, _OWN)
        with jax.enable_x64(bool(self._dtype == np.float64)):
            return jax.make_array_from_process_local_data(sharding, values)


def _advance(shape: Shape, mesh: Mesh, *arguments: Any) -> tuple[Any, Any]:
    """Do as `programs.advance`, over the processes of a mesh."""

    def run(
        carry: Any, rows: Any, numbers: Any, orders: Any, rates: Any, mixes: Any,
        counts: Any,
    ) -> Any:  # fmt: skip
        mine = counts["seed"] + lax.axis_index(programs.HOSTS).astype(jnp.uint32)
        sums = programs.no_sums(len(counts["slots"]), counts["slots"].dtype)
        more, first = {**counts, "seed": mine}, jnp.int32(0)
        return programs.advance(
            shape, carry, sums, first, rows, numbers, orders, rates, mixes, more
        )

    specs = (_ALL, _OWN, _ALL, _OWN, _ALL, _ALL, _ALL)
    return jax.shard_map(
        run, mesh=mesh, in_specs=specs, out_specs=_ALL, check_vma=False
    )(*arguments)


def _mesh() -> Mesh:
    """Return a mesh of the first device of each process."""
    first: dict[int, Any] = {}
    for device in jax.devices():
        first.setdefault(device.process_index, device)
    return Mesh(np.array([first[k] for k in sorted(first)]), (programs.HOSTS,))
