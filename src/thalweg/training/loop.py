"""The training loop: any plan on any engine, epoch by epoch."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from thalweg import engines
from thalweg.core import (
    Array,
    Data,
    DenseNetwork,
    EpochSums,
    Network,
    Plan,
    Run,
    StopReason,
    batch_rows,
    interrupts_are_shared,
    mixing_factors,
    rate_factors,
    steps_per_epoch,
    strength_factors,
)
from thalweg.engines import Engine, Session
from thalweg.training.checkpoint import (
    Part,
    Snapshot,
    generator_state,
    set_generator,
)
from thalweg.training.full_batch import n_trained
from thalweg.training.monitor import Subject, TrainingMonitor

_ROWS_AT_ONCE = 1 << 20
_EPOCHS_AT_ONCE = 1024
_WORK_AT_ONCE = 10**10
_SECONDS_AT_ONCE = 0.5
"""Time between two looks at whether a checkpoint is due, or an end asked for."""


def train(
    network: DenseNetwork | Network,
    plan: Plan,
    data: Data,
    first: Any,
    rng: np.random.RandomState,
    monitor: TrainingMonitor,
    engine: str = "auto",
    state: Any = None,
    part: Part | None = None,
) -> tuple[Run, Session]:
    """Train on what has been checked; `fit` and the estimators stand on this.

    Parameters
    ----------
    network, plan, data, first, engine
        As the engines take them; see `thalweg.engines`.
    rng : RandomState
        Source of the order of rows and the noise.
    monitor : TrainingMonitor
        Records and judges the epochs.
    state : optional
        What another session's ``state()`` returned, to continue from.
    part : Part, optional
        Where the training is kept, and what it goes on from.

    Returns
    -------
    run : Run
    session : Session
        As it was left.
    """
    rows = batch_rows(plan, data.n_rows)
    trainer, why = engines.pick(engine, network, plan, rows)
    found = None if part is None else part.pop()
    seed = noise_seed(network, rng) if found is None else found["seed"]
    size = n_trained(trainer, network, first)
    session = trainer.session(network, plan, data, first, seed, state, monitor.held_out)
    loop = Loop(plan, session, data.n_rows, size, rng, monitor, session.heeds_stop)
    monitor.begin(session)
    if part is None:
        reason = loop.run(session)
    else:
        kept = LoopState(part, loop, session, trainer, seed)
        reason = kept.restore(found) or loop.run(session, kept)
        kept.end(reason)
    why += session.note
    return finish(network, monitor, trainer, why, reason, session, data), session


class Loop:
    """The state of one first-order training between epochs.

    `run` drives a session; what trains many at once, or over several hosts, calls `ask`
    and `tell` by itself.

    Parameters
    ----------
    plan : Plan
    subject : Subject
        What is trained.
    n_rows, n_parameters : int
    rng : RandomState
        Source of the order of rows.
    monitor : TrainingMonitor
    heeds_stop : bool
        Whether what is trained stops by itself as `TrainingMonitor.stop_rule` says.
    """

    def __init__(
        self,
        plan: Plan,
        subject: Subject,
        n_rows: int,
        n_parameters: int,
        rng: np.random.RandomState,
        monitor: TrainingMonitor,
        heeds_stop: bool = False,
    ) -> None:
        self.plan, self.subject, self.rng = plan, subject, rng
        self.n_rows, self.n_parameters = n_rows, n_parameters
        self.monitor, self.heeds_stop, self.steps = monitor, heeds_stop, 0
        self.per_epoch = steps_per_epoch(plan, n_rows)
        self.order: Array = np.arange(n_rows)  # NumPy shuffles its own integers fastest

    def run(self, session: Session, kept: "LoopState | None" = None) -> StopReason:
        """Train until something says stop."""
        try:
            while self.left > 0:
                stop = self.monitor.stop_rule
                session.begin_epoch()
                self.adapt(session)
                most = self.left if kept is None else min(self.left, kept.room())
                asked = self.ask(min(self.chunk(), most))
                sums = self._advance(session, asked, stop)
                reason = self.tell(sums)
                if reason is None and kept is not None:
                    reason = kept.offer()
                if reason is not None:
                    return reason
        except KeyboardInterrupt:
            if interrupts_are_shared() or (kept is not None and kept.part.stops):
                raise
            return StopReason.INTERRUPTED
        return StopReason.MAX_EPOCHS

    def _advance(self, session: Session, asked: Any, stop: Any) -> EpochSums:
        orders, rates, mixes = asked
        if not self.monitor.watchers:
            return session.advance(orders, rates, mixes, stop)
        rows = np.arange(self.n_rows, dtype=np.int32) if orders is None else orders[0]
        size = batch_rows(self.plan, self.n_rows)
        watched = WatchedBatches(self.monitor)
        for number in range(self.per_epoch):
            part = slice(number * size, (number + 1) * size)
            step = slice(number, number + 1)
            own = rows[part][None], rates[step], mixes[step]
            if watched.stops_after(len(own[0][0]), partial(session.advance, *own)):
                break
        return watched.sums()

    @property
    def left(self) -> int:
        """Epochs of the plan that are still to do."""
        return self.plan.epochs - self.monitor.epochs

    def chunk(self) -> int:
        """Epochs that can go by in one call, short enough for Ctrl-C to be heard."""
        patient = self.monitor.plan.patience is not None
        alone = getattr(self.subject, "by_epoch", False)
        alone = alone or self.plan.scheduled
        if self.monitor.hurries or alone or (patient and not self.heeds_stop):
            return 1
        most = _WORK_AT_ONCE // (self.n_rows * self.n_parameters)
        limit = min(self.monitor.waits, _EPOCHS_AT_ONCE)
        return int(np.clip(min(most, _ROWS_AT_ONCE // self.n_rows), 1, limit))

    def adapt(self, session: Session) -> None:
        """Set weight decay and dropout of the coming epoch, where they change."""
        if self.plan.scheduled:
            session.adapt(*strength_factors(self.plan, self.steps, self.n_rows))

    def ask(self, n_epochs: int) -> tuple[Array | None, Array, Array]:
        """Draw what a session is to train some epochs with: orders, rates, mixes."""
        count = n_epochs * self.per_epoch
        factors = rate_factors(self.plan, self.steps, count, self.n_rows)
        rates = self.plan.rate * self.monitor.factor * factors
        mixes = mixing_factors(self.plan, self.steps, count, self.n_rows)
        self._asked = n_epochs, rates, self.rng.get_state(), self.order.copy()
        return self._orders(n_epochs), rates, mixes

    def tell(self, sums: EpochSums) -> StopReason | None:
        """Take note of what became of the epochs asked for; a reason says stop."""
        n_epochs, rates, state, order = self._asked
        n_done = len(sums.loss)
        if n_done < n_epochs:
            # Draw what was used and no more, as if epochs had come one by one.
            self.rng.set_state(state)
            self.order = order
            self._orders(n_done)
        self.steps += n_done * self.per_epoch
        last = rates.reshape(n_epochs, -1)[:n_done, -1]
        return self.monitor.see(sums, last, self.subject)

    def snapshot(self, engine: Engine, reason: StopReason | None = None) -> Snapshot:
        """Copy the state between two epochs, without that of the session."""
        monitor = self.monitor
        return {
            "steps": self.steps,
            "order": self.order.copy(),
            "generator": generator_state(self.rng),
            "monitor": monitor.snapshot(),
            "best": None if monitor.best is None else engine.flatten(monitor.best),
            "reason": None if reason is None else reason.name,
        }

    def restore(self, found: Snapshot, engine: Engine) -> StopReason | None:
        """Go on from a snapshot; return why the training had ended, if it did.

        Raises
        ------
        ValueError
            If it is that of another network.
        """
        monitor = self.monitor
        if found["best"] is not None:
            example = self.subject.parameters()
            monitor.best = engine.unflatten(example, found["best"])
        self.steps, self.order = found["steps"], found["order"]
        set_generator(self.rng, found["generator"])
        monitor.restore(found["monitor"], self.subject)
        return monitor.had_ended(found["reason"])

    def _orders(self, n_epochs: int) -> Array | None:
        plan = self.plan
        if not plan.shuffle or plan.batch_size is None or plan.on_device:
            return None
        orders = np.empty((n_epochs, self.n_rows), np.int32)
        for order in orders:
            # sklearn.utils.shuffle of the previous order, draw for draw.
            self.rng.shuffle(self.order)
            order[:] = self.order
        return orders


class LoopState:
    """What a first-order training goes on from, to its part of a checkpoint and back.

    Parameters
    ----------
    part : Part
    loop : Loop
    session : Session
    engine : Engine
    seed : int
        That of dropout and noise.
    """

    def __init__(
        self, part: Part, loop: Loop, session: Session, engine: Engine, seed: int
    ) -> None:
        self.part, self.loop, self.session = part, loop, session
        self.engine, self.seed = engine, seed
        self._begun, self._first = time.perf_counter(), loop.monitor.seen

    def offer(self) -> StopReason | None:
        """Keep the state after an epoch if it is due; a reason says stop."""
        return self.part.offer(self.loop.monitor.seen, self.snapshot)

    def end(self, reason: StopReason) -> None:
        """Keep the state at the end, and why the training ended."""
        seen = self.loop.monitor.seen
        self.part.offer(seen, partial(self.snapshot, reason), done=True)

    def room(self) -> int:
        """Return how many epochs to train before the next offer."""
        done = self.loop.monitor.seen - self._first
        most = 2  # JAX compiles one epoch and several as two programs
        if done:
            each = (time.perf_counter() - self._begun) / done
            most = max(int(_SECONDS_AT_ONCE / max(each, 1e-9)), 1)
        return min(most, self.part.room())

    def snapshot(self, reason: StopReason | None = None) -> Snapshot:
        """Copy the state of the training between two epochs."""
        own = {"seed": self.seed, "session": self.session.snapshot()}
        return own | self.loop.snapshot(self.engine, reason)

    def restore(self, found: Snapshot | None) -> StopReason | None:
        """Go on from a snapshot, if there is one; return why its training ended."""
        if found is None:
            return None
        try:
            self.session.restore(found["session"])
            reason = self.loop.restore(found, self.engine)
        except ValueError as error:
            raise self.part.refusal(str(error)) from error
        self._first = self.loop.monitor.seen
        return reason


class WatchedBatches:
    """The batches of an epoch, of which callbacks see each."""

    def __init__(self, monitor: TrainingMonitor) -> None:
        self.watchers = monitor.watchers
        self.seen: list[EpochSums] = []
        self.sizes: list[tuple[int, int]] = []

    def stops_after(self, rows: int, advance: Callable[[], EpochSums]) -> bool:
        """Train a batch between the calls of the callbacks; True ends the epoch."""
        number = len(self.seen)
        for each in self.watchers:
            each.begin_batch(number)
        sums = advance()
        self.seen.append(sums)
        self.sizes.append((rows, 1))
        loss = float(together(self.seen, self.sizes).loss[0])
        logs = {**sums.measures, "loss": loss if sums.finite else float("nan")}
        stops = [each.end_batch(number, logs) for each in self.watchers]
        return any(stops) or not sums.finite

    def sums(self) -> EpochSums:
        """Return what was seen of the epoch."""
        return together(self.seen, self.sizes)


def together(seen: list[EpochSums], sizes: list[tuple[int, int]]) -> EpochSums:
    """Put parts of an epoch together, by their rows and their steps."""
    rows, steps = np.array(sizes, float).T
    losses, norms, ratios = (
        np.concatenate(column)
        for column in zip(
            *((s.loss, s.gradient_norm, s.update_ratio) for s in seen), strict=True
        )
    )
    return EpochSums(
        loss=np.array([np.average(losses, weights=rows)]),
        gradient_norm=np.array([np.average(norms, weights=steps)]),
        update_ratio=ratios[-1:],
        finite=seen[-1].finite,
        measures=seen[-1].measures,
    )


def check_network(network: DenseNetwork | Network) -> DenseNetwork | Network:
    """Return the network, which must be one."""
    if not isinstance(network, DenseNetwork | Network):
        raise TypeError(
            f"fit got network={network!r}; it must be a DenseNetwork or a Network. "
            "DenseNetwork.from_sizes((n_inputs, 100, n_outputs)) makes one; "
            "from_keras makes one of a Keras model."
        )
    return network


def check_plan(network: DenseNetwork | Network, plan: Plan) -> Plan:
    """Return the plan, which must fit the network."""
    check_network(network)
    rates = plan.layer_rates
    if rates and isinstance(network, Network):
        raise ValueError(
            "Plan got layer_rates, but the layers of a Network are not known. Give an "
            "optax.GradientTransformation that knows them, such as optax.partition."
        )
    if isinstance(network, Network) and plan.dropout_schedule.name != "constant":
        raise ValueError(
            "Plan got dropout_schedule, but the dropout of a Network is its own. "
            "Leave dropout_schedule out, or use a DenseNetwork."
        )
    if rates is not None and len(rates) != len(network.layers):
        raise ValueError(
            f"Plan got layer_rates with {len(rates)} factors; the network has "
            f"{len(network.layers)} layers. Give one factor for each."
        )
    return plan


def noise_seed(network: DenseNetwork | Network, rng: np.random.RandomState) -> int:
    """Draw the seed of dropout and noise; where there are none, nothing is drawn."""
    return int(rng.randint(2**32, dtype=np.uint32)) if network.noisy else 0


def finish(
    network: DenseNetwork | Network,
    monitor: TrainingMonitor,
    engine: Engine,
    why: str,
    reason: StopReason,
    subject: Subject,
    data: Data,
) -> Run:
    """Close the monitor, naming the place of what is not finite."""
    where = ""
    if reason is StopReason.NONFINITE:
        where = engine.blame(network, monitor.plan, subject.parameters(), data)
    return monitor.close(network, reason, why, subject, where=where)
