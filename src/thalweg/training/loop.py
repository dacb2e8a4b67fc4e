"""The training loop: any plan on any engine, epoch by epoch."""

from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
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
    cpus_are_shared,
    mixing_factors,
    rate_factors,
    steps_per_epoch,
)
from thalweg.training.full_batch import n_trained
from thalweg.training.monitor import TrainingMonitor

_ROWS_AT_ONCE = 1 << 20
_EPOCHS_AT_ONCE = 1024
_WORK_AT_ONCE = 10**10

attend: ContextVar[Callable[..., Any] | None] = ContextVar("attend", default=None)
"""Where `train` goes first, if it is one of several; see `thalweg.training.batched`."""


def train(
    network: DenseNetwork | Network,
    plan: Plan,
    data: Data,
    first: Any,
    rng: np.random.RandomState,
    monitor: TrainingMonitor,
    engine: str = "auto",
    state: Any = None,
) -> tuple[Run, engines.Session]:
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
        What another session's ``state()`` gave, to go on from there.

    Returns
    -------
    run : Run
    session : Session
        As it was left.
    """
    rows = batch_rows(plan, data.n_rows)
    module, why = engines.pick(engine, network, plan, rows)
    seed, size = noise_seed(network, rng), n_trained(network, first)
    meeting = attend.get() if state is None else None
    session = meeting and meeting(
        network, plan, data, first, seed, size, rng, monitor, engine
    )
    if session:
        why, reason = session.why, session.reason
    else:
        session = module.Session(
            network, plan, data, first, seed, state, monitor.held_out
        )
        monitor.subject = session
        why += getattr(session, "note", "")
        reason = Loop(plan, session, data.n_rows, size, rng, monitor).run()
    return finish(network, monitor, module, why, reason, data), session


class Loop:
    """The state of one first-order training between epochs.

    `run` drives a session of its own; what trains many at once, or over several hosts,
    calls `ask` and `tell` by itself.
    """

    def __init__(
        self,
        plan: Plan,
        session: Any,
        n_rows: int,
        n_parameters: int,
        rng: np.random.RandomState,
        monitor: TrainingMonitor,
    ) -> None:
        self.plan, self.session, self.rng = plan, session, rng
        self.n_rows = n_rows
        self.monitor, self.steps, self.n_parameters = monitor, 0, n_parameters
        self.per_epoch = steps_per_epoch(plan, n_rows)
        self.order: Array = np.arange(n_rows)  # NumPy shuffles its own integers fastest

    def run(self) -> StopReason:
        """Train until something says stop."""
        try:
            while self.left > 0:
                stop = self.monitor.stop_rule
                asked = self.ask(min(self.chunk(), self.left))
                reason = self.tell(self.session.advance(*asked, stop))
                if reason is not None:
                    return reason
        except KeyboardInterrupt:
            if cpus_are_shared():
                raise
            return StopReason.INTERRUPTED
        return StopReason.MAX_EPOCHS

    @property
    def left(self) -> int:
        """Epochs of the plan that are still to do."""
        return self.plan.epochs - self.monitor.epochs

    def chunk(self) -> int:
        """Epochs that can go by in one call, short enough for Ctrl-C to be heard."""
        patient = self.monitor.plan.patience is not None
        if self.monitor.hurries or (patient and not self.session.heeds_stop):
            return 1
        most = _WORK_AT_ONCE // (self.n_rows * self.n_parameters)
        limit = min(self.monitor.waits, _EPOCHS_AT_ONCE)
        return int(np.clip(min(most, _ROWS_AT_ONCE // self.n_rows), 1, limit))

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
        return self.monitor.see(sums, rates.reshape(n_epochs, -1)[:n_done, -1])

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


def check_plan(network: DenseNetwork | Network, plan: Plan) -> Plan:
    """Return the plan, which must fit the network."""
    if not isinstance(network, DenseNetwork | Network):
        raise TypeError(
            f"fit got network={network!r}; it must be a DenseNetwork or a Network. "
            "DenseNetwork.from_sizes((n_inputs, 100, n_outputs)) makes one; "
            "from_keras makes one of a Keras model."
        )
    rates = plan.layer_rates
    if rates and isinstance(network, Network):
        raise ValueError(
            "Plan got layer_rates, but a Network's layers are its own affair. Give an "
            "optax.GradientTransformation that knows them, such as optax.partition."
        )
    if rates is not None and len(rates) != len(network.layers):
        raise ValueError(
            f"Plan got layer_rates with {len(rates)} factors; the network has "
            f"{len(network.layers)} layers. Give one factor for each."
        )
    return plan


def noise_seed(network: DenseNetwork | Network, rng: np.random.RandomState) -> int:
    """Draw the seed of dropout and noise; where there are none, nothing is drawn."""
    if isinstance(network, Network):
        noisy = network.takes("key")
    else:
        dropped = any(layer.dropout for layer in network.layers)
        noisy = network.input_noise > 0 or dropped
    return int(rng.randint(2**32, dtype=np.uint32)) if noisy else 0


def finish(
    network: DenseNetwork | Network, monitor: TrainingMonitor, module: ModuleType,
    why: str, reason: StopReason, data: Data,
) -> Run:  # fmt: skip
    """Close the watch, naming the place of what is not finite."""
    where = ""
    if reason is StopReason.NONFINITE:
        where = _blame(
            module, network, monitor.plan, monitor.subject.parameters(), data
        )
    return monitor.close(network, reason, why, where=where)


def _blame(
    module: ModuleType, network: DenseNetwork | Network, plan: Plan, weights: Any,
    data: Data,
) -> str:  # fmt: skip
    """Name the layer in which something first is not finite."""
    if isinstance(network, Network):
        return module.blame(network, plan, weights, data.take(slice(256)))
    sample = data.take(slice(4096))
    with np.errstate(all="ignore"):
        for index, output in enumerate(module.activations(network, weights, sample.X)):
            if not np.isfinite(output).all():
                return f"the output of layer {index}"
        cost, gradient = module.cost_and_gradient(network, plan, weights, sample)
    if not np.isfinite(cost):
        return "the loss"
    for index in reversed(range(len(gradient))):
        if not all(np.isfinite(g).all() for g in gradient[index].values()):
            return f"the gradient of layer {index}"
    return "the size of the gradient or the update"
