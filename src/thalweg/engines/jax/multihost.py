"""One network trained by several processes, each on its own rows.

The step is that of `step`, compiled for a mesh of one device a process: each
computes the objective's part that its rows have, and the mean of these and of their
gradients over the processes (`Shape.hosts`) is the objective of all rows. The weights
are on every process, and stay the same to the last bit, for all do the same with the
same sums.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from thalweg.core import Array, Data
from thalweg.engines.jax import step
from thalweg.engines.jax.engine import JaxSession
from thalweg.engines.jax.step import EpochBatch, Shape

_ALL, _OWN = PartitionSpec(), PartitionSpec(step.HOSTS)


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


class MultihostSession(JaxSession):
    """One network in training on the rows of all processes.

    As `JaxSession`, with the same network, plan, initial weights, seed and validation
    data on every process; the plan's batches are this process's part. The rows are
    its own; those that it has fewer than another are padding.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self._mesh = _mesh()
        super().__init__(*arguments, **more)
        self._carry = jax.tree.map(np.asarray, self._carry)

    def _current(self) -> Any:
        # A program of this process alone takes no array of the whole mesh.
        self._carry = jax.tree.map(np.asarray, self._carry)
        return super()._current()

    def _sizes(self, data: Data) -> tuple[int, float]:
        rows, weights = gather([data.n_rows, data.weights.sum()]).T
        return int(rows.max()), float(weights.sum())

    def _share(self, values: Any) -> Any:
        return values  # which the program itself takes to every device

    def _placed(self, carry: Any) -> Any:
        return carry  # which the program itself takes to every device

    def _keep(self, values: Any) -> Any:
        """Make this process's part of arrays over all of them."""
        sharding = NamedSharding(self._mesh, _OWN)
        make = partial(jax.make_array_from_process_local_data, sharding)
        return jax.tree.map(make, values)

    def _program(self, shape: Shape) -> Callable[..., Any]:
        return step.compiled(_advance, replace(shape, hosts=True), self._mesh)


def _advance(shape: Shape, mesh: Mesh, *arguments: Any) -> tuple[Any, Any]:
    """Do as `step.advance`, over the processes of a mesh."""

    def run(*given: Any) -> Any:
        *rest, course = given
        seed = course.seed + lax.axis_index(step.HOSTS).astype(jnp.uint32)
        return step.advance(shape, *rest, course._replace(seed=seed))

    course = EpochBatch(*[_ALL] * len(EpochBatch._fields))._replace(orders=_OWN)
    # Of a state, sums, the first step, rows, numbers and the course.
    specs = (_ALL, _ALL, _ALL, _OWN, _ALL, course)
    return jax.shard_map(
        run, mesh=mesh, in_specs=specs, out_specs=_ALL, check_vma=False
    )(*arguments)


def _mesh() -> Mesh:
    """Return a mesh of the first device of each process."""
    first: dict[int, Any] = {}
    for device in jax.devices():
        first.setdefault(device.process_index, device)
    return Mesh(np.array([first[k] for k in sorted(first)]), (step.HOSTS,))
