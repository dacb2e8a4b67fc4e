"""One network trained by several processes, on one machine or many.

Each process brings its own rows and calls `fit_over_hosts` with the same settings;
they meet through `jax.distributed`, which whoever starts them sets up. After each
epoch all agree whether to go on, and process 0 keeps a checkpoint to resume from.
"""

import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from thalweg import engines
from thalweg.core import (
    DenseNetwork,
    Parameters,
    Plan,
    Run,
    StopReason,
    as_random_state,
    batch_rows,
)
from thalweg.engines import Engine, Session
from thalweg.io import PathLike
from thalweg.training.checkpoint import (
    generator_state,
    read_checkpoint,
    set_generator,
    write_checkpoint,
)
from thalweg.training.data import as_data
from thalweg.training.loop import Loop, check_plan, finish, noise_seed
from thalweg.training.monitor import Callback, Scoring, TrainingMonitor
from thalweg.training.starts import describe_start
from thalweg.training.streaming import validation_data

_REASONS = list(StopReason)


def fit_over_hosts(
    network: DenseNetwork,
    X: ArrayLike,
    y: ArrayLike,
    *,
    plan: Plan | None = None,
    sample_weight: ArrayLike | None = None,
    validation: tuple[ArrayLike, ...] | None = None,
    scoring: Scoring | None = None,
    parameters: Parameters | None = None,
    random_state: int | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: PathLike | None = None,
    **settings: Any,
) -> Run:
    """Train a network on the rows of all processes together.

    Call it in each process, after `jax.distributed.initialize`, with the same
    arguments but for the rows. Each step takes ``batch_size`` rows, the same share
    from each process, and follows the gradient of their weighted mean loss: the
    weights are the same everywhere, and those of a single process that has all rows,
    to rounding. Dropout draws other masks on each process.

    Parameters
    ----------
    network, plan, scoring, parameters, random_state, callbacks, **settings
        As for `fit`; initial weights and random numbers are those of process 0. A
        callback that says stop on one process stops all.
    X, y, sample_weight
        This process's rows; their number may differ.
    validation : (X_val, y_val) or (X_val, y_val, sample_weight), optional
        The same rows on every process.
    checkpoint : path-like, optional
        File that process 0 writes after each epoch, or each few where nothing asks to
        be judged sooner. If it is there at the start, training goes on from it; all
        processes must be able to read it.

    Returns
    -------
    Run
        The same on each process, but for the clock.

    Raises
    ------
    ConnectionError
        If another process was lost; it says what resumes.
    ValueError, TypeError
        As `fit`; and for what needs all rows in one place: full-batch methods, and
        normalization by batch.
    """
    started = time.perf_counter()
    plan = check_plan(network, Plan.of(plan, **settings))
    _check(network, plan)
    hosts = engines.multihost()
    number, n_hosts = hosts.count()
    rng = as_random_state(random_state)
    set_generator(rng, hosts.agree(generator_state(rng)))
    data = as_data(network, plan, X, y, sample_weight)
    trainer, _ = engines.pick("jax", network, plan)
    drawn = trainer.initial_parameters(network, parameters, rng, data.dtype)
    first = hosts.agree(drawn)
    held_out = validation_data(network, plan, validation, data.dtype)
    monitor = TrainingMonitor(plan, held_out, scoring, callbacks, started)
    n_rows = int(hosts.gather(len(data.X)).max())
    share = -(-batch_rows(plan, n_rows * n_hosts) // n_hosts)
    session = hosts.MultihostSession(
        network, replace(plan, batch_size=share), data, first,
        noise_seed(network, rng), None, held_out,
    )  # fmt: skip
    loop = Loop(session.plan, session, n_rows, network.n_parameters, rng, monitor)
    kept = _Checkpoint(checkpoint, hosts, loop, session, trainer, number == 0)
    why = f"jax (process {number} of {n_hosts})"

    with monitor.watched(describe_start(monitor, network, [plan], data)) as watching:
        reason = _run(hosts, loop, session, kept)
        given = network, monitor, trainer, why, reason, session, data
        watching.result = finish(*given)
    return watching.result


def _check(network: DenseNetwork, plan: Plan) -> None:
    if plan.full_batch or plan.on_device:
        raise ValueError(
            f"fit_over_hosts got optimizer={plan.optimizer.label!r}, a "
            "full-batch method. Take a first-order one such as 'adam'."
        )
    for index, layer in enumerate(network.layers):
        if layer.normalized == "batch":
            raise ValueError(
                f"fit_over_hosts got normalization='batch' in layer {index}, whose "
                "statistics would be of one process's rows. Take 'layer'."
            )


def _run(hosts: Any, loop: Loop, session: Session, kept: "_Checkpoint") -> StopReason:
    """Train until one of the processes has a reason to stop."""
    kept.resume()
    chunk = int(hosts.gather(loop.chunk()).min())  # one may have more to judge by
    while loop.left > 0:
        try:
            loop.adapt(session)
            sums = session.advance(*loop.ask(min(chunk, loop.left)))
            reason = loop.tell(sums)
            said = hosts.gather(0 if reason is None else _REASONS.index(reason) + 1)
        except (RuntimeError, ValueError) as error:
            if not _is_loss(error):
                raise
            raise ConnectionError(
                "fit_over_hosts lost the connection to another process "
                f"({str(error).splitlines()[0]}). {kept.advice()}"
            ) from error
        if said.any():
            return reason or _REASONS[int(said[said > 0][0]) - 1]
        kept.write()
    return StopReason.MAX_EPOCHS


def _is_loss(error: Exception) -> bool:
    """Whether JAX says that a collective operation failed."""
    words = ("Gloo", "NCCL", "all-reduce", "coordination", "peer")
    return any(word in str(error) for word in words)


class _Checkpoint:
    """The checkpoint: all that is needed to resume, as a model file."""

    def __init__(
        self,
        path: PathLike | None,
        hosts: Any,
        loop: Loop,
        session: Any,
        engine: Engine,
        writes: bool,
    ) -> None:
        self.path, self.hosts, self.writes = path, hosts, writes
        self.engine = engine
        self.loop, self.session = loop, session
        self.epochs = 0

    def advice(self) -> str:
        """Say what a restart resumes from."""
        if self.path is None:
            return "Start all processes again. With checkpoint=PATH they would resume."
        return (
            f"Start all processes again: they resume from epoch {self.epochs}, which "
            f"{self.path} holds."
        )

    def write(self) -> None:
        """Write it, on one process."""
        self.epochs = self.loop.monitor.epochs
        if self.path is None or not self.writes:
            return
        state = {"session": self.session.snapshot(), **self.loop.snapshot(self.engine)}
        try:
            write_checkpoint(self.path, {"hosts": state})
        except OSError as error:
            warnings.warn(
                f"The checkpoint {self.path} was not written ({error}) The training "
                "goes on; the file that was there stays as it was.",
                RuntimeWarning,
                stacklevel=2,
            )

    def resume(self) -> None:
        """Go on from it where it is there, on all processes."""
        found = self.path is not None and os.path.exists(self.path)
        if len(set(self.hosts.gather(int(found)).tolist())) > 1:
            raise ValueError(
                f"checkpoint={self.path!r} can be read by some processes only. Give a "
                "path that all of them see."
            )
        if not found or self.path is None:
            return
        try:
            found = read_checkpoint(Path(self.path))["hosts"]
            if found["order"].shape != self.loop.order.shape:
                raise ValueError("its data have another number of rows")
            self.session.restore(found["session"])
            self.loop.restore(found, self.engine)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"Cannot resume from checkpoint {self.path}: {error}. Give another "
                "path, or delete that file."
            ) from error
        self.epochs = self.loop.monitor.epochs
