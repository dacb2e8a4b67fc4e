"""The training loop: any plan on any engine, epoch by epoch.

`fit` checks what it is given, draws the first weights, the batches' order and the
rates, and lets an engine train, while `thalweg.watching` judges the epochs. One loop
serves every engine and every first-order optimizer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg import cores, engines
from thalweg.fullbatch import n_trained, train_full_batch
from thalweg.initializers import as_random_state
from thalweg.inputs import as_data, as_rows, first_weights, is_stream, split
from thalweg.lookup import resolved
from thalweg.networks import DenseNetwork, Network
from thalweg.plan import (
    Data,
    Plan,
    batch_rows,
    link,
    mixing_factors,
    phases,
    rate_factors,
    steps_per_epoch,
)
from thalweg.records import Array, EpochSums, RateFinding, Run, StopReason
from thalweg.watching import Callback, Scoring, Watch

_ROWS_AT_ONCE = 1 << 20
_EPOCHS_AT_ONCE = 1024
_WORK_AT_ONCE = 10**10

attend: ContextVar[Callable[..., Any] | None] = ContextVar("attend", default=None)
"""Where `train` goes first, if it is one of several; see `thalweg.gathering`."""


def fit(
    network: DenseNetwork | Network,
    X: Any,
    y: Any = None,
    *,
    plan: Plan | None = None,
    sample_weight: ArrayLike | str | None = None,
    class_weight: Mapping[int, float] | str | None = None,
    validation: float | tuple[Any, ...] | None = None,
    scoring: Scoring | None = None,
    parameters: Any = None,
    random_state: int | np.random.RandomState | None = None,
    callbacks: Sequence[Callback] = (),
    engine: str = "auto",
    **settings: Any,
) -> Run:
    """Train a network.

    Parameters
    ----------
    network : DenseNetwork or Network
    X : array-like of shape (n_rows, n_inputs)
        Finite numbers. float32 and float64 are computed in their own type, everything
        else in float32, unless the plan's ``dtype`` says otherwise. For a `Network` an
        array of any shape, or several in a tuple or dict; whole numbers stay such.
        Data larger than memory: the path of Parquet (or a pyarrow dataset), where `y`
        and `sample_weight` name columns; or, without `y`, an iterable of batches
        ``(X, y)`` or ``(X, y, sample_weight)``, each an update, or a callable that
        returns one for each epoch.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Class numbers from 0 for cross-entropy, focal and hinge loss (or, for the first
        two, a row of probabilities for each row of X); numbers for the other losses.
        For a `Network` with a loss of your own, whatever that takes.
    plan : Plan, optional
        How to train. `settings` are put into it.
    sample_weight : array-like of shape (n_rows,), optional
        Non-negative weight of each row in the loss.
    class_weight : dict of int to float or "balanced", optional
        Further weight of the rows of each class; "balanced" gives each class the same
        total weight.
    validation : float or tuple, optional
        Share of the rows to hold out (stratified for class numbers), or
        ``(X_val, y_val)`` or ``(X_val, y_val, sample_weight)``.
    scoring : callable, optional
        ``(predict, X_val, y_val) -> float``, greater is better, called after each
        epoch. Without one, the score is accuracy for class numbers, R² otherwise.
    parameters : tuple of dict, or what `Network.init` returns, optional
        First weights, as ``network.draw()`` gives them; drawn if None.
    random_state : int, RandomState or None
        Source of the first weights, the split, the order of rows and the noise.
    callbacks : sequence of callable
        Each is given the `EpochRecord` after each epoch; True stops training.
    engine : {"auto", "jax"}
        What computes.
    **settings
        Fields of `Plan`, such as ``optimizer="adam"`` or ``epochs=20``. A list of
        optimizers, ``["adam", "lbfgs"]``, trains in phases; ``epochs`` may then be a
        list too.

    Returns
    -------
    Run
        Weights, history, and why training stopped. Interrupting from the keyboard
        returns the weights so far.

    Raises
    ------
    ValueError, TypeError
        Naming the parameter or column, what it got and what is allowed.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    >>> network = tw.DenseNetwork.from_sizes((2, 8, 2), activation="tanh")
    >>> run = tw.fit(
    ...     network,
    ...     X,
    ...     [0, 1, 1, 0],
    ...     loss="cross_entropy",
    ...     epochs=200,
    ...     learning_rate=0.05,
    ...     random_state=0,
    ... )
    >>> tw.predict(run, X).argmax(axis=1)
    array([0, 1, 1, 0])
    """
    started = time.perf_counter()
    holder = getattr(network, "holder", None)
    if holder is not None:
        scoring = scoring or holder.scoring(settings, plan)
        network, settings, parameters = holder.begin(settings, plan, parameters)
    plans = [check_plan(network, phase) for phase in phases(plan, settings)]
    rng = as_random_state(random_state)
    plan, rows = plans[0], (X, y, sample_weight, class_weight)
    watched = scoring, callbacks, started
    if is_stream(X, y):
        from thalweg.streams import apart, open_source, train_stream

        source = open_source(network, plans, *rows)
        first = first_weights(network, parameters, rng, source.dtype)
        held_out = apart(network, plan, validation, source.dtype)
        watch, seed = Watch(plan, held_out, *watched), noise_seed(network, rng)
        found = train_stream(network, plan, source, first, rng, seed, watch, engine)
        run = finish(network, watch, *found)
    else:
        data = as_data(network, plan, *rows)
        first = first_weights(network, parameters, rng, data.dtype)
        data, held_out = split(network, plan, data, validation, rng)
        if isinstance(network, Network):
            engines.on_jax().examine(network, plans, data, first)
        watch = Watch(plan, held_out, *watched)
        run = train_phases(network, plans, data, first, rng, watch, engine)
    return run if holder is None else holder.keep(run)


def train_phases(
    network: DenseNetwork | Network,
    plans: Sequence[Plan],
    data: Data,
    first: Any,
    rng: np.random.RandomState,
    watch: Watch,
    engine: str = "auto",
) -> Run:
    """Train by one plan after the other; each begins with the weights of the last.

    Parameters
    ----------
    network, data, first, rng, watch, engine
        As for `train`.
    plans : sequence of Plan
        Full-batch and first-order ones in any order.

    Returns
    -------
    Run
        With the history of all phases; ``why`` says of each why it ended.
    """
    run, reasons = None, []
    for plan in plans:
        watch.turn(plan)
        if plan.full_batch:
            run = train_full_batch(network, plan, data, first, watch, engine)
        else:
            run, _ = train(network, plan, data, first, rng, watch, engine)
        reasons.append(f"{resolved(plan.optimizer).label}: {run.why}")
        first = run.parameters
        if run.stop_reason in _FINAL:
            break
    assert run is not None
    return run if len(plans) == 1 else replace(run, why=" Then ".join(reasons))


def train(
    network: DenseNetwork | Network,
    plan: Plan,
    data: Data,
    first: Any,
    rng: np.random.RandomState,
    watch: Watch,
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
    watch : Watch
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
        network, plan, data, first, seed, size, rng, watch, engine
    )
    if session:
        why, reason = session.why, session.reason
    else:
        session = module.Session(
            network, plan, data, first, seed, state, watch.held_out
        )
        watch.subject = session
        why += getattr(session, "note", "")
        reason = Loop(plan, session, data.n_rows, size, rng, watch).run()
    return finish(network, watch, module, why, reason, data), session


def predict(run: Run, X: Any) -> Any:
    """Predict with a trained network.

    Parameters
    ----------
    run : Run
    X : array-like of shape (n_rows, n_inputs)

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
        Probabilities of the classes after cross-entropy and focal loss, of each label
        after binary cross-entropy, means after Poisson loss, and the outputs
        themselves after the others; in the dtype of the run's weights. Of a `Network`,
        whatever shape it gives.
    """
    if isinstance(run.network, Network):
        dtype = engines.on_jax().floating_type(run.parameters)
    else:
        dtype = run.parameters[0]["bias"].dtype
    module, _ = engines.pick("auto", run.network, run.plan)
    rows = as_rows(run.network, X, dtype)
    return link(run.plan.loss)(module.outputs(run.network, run.parameters, rows))


def find_rate(
    network: DenseNetwork | Network,
    X: Any,
    y: Any,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    n_steps: int = 150,
    plan: Plan | None = None,
    sample_weight: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
    engine: str = "auto",
    **settings: Any,
) -> RateFinding:
    """Find a learning rate by raising it until the loss blows up (Smith, 2017).

    Parameters
    ----------
    network, X, y, plan, sample_weight, random_state, engine
        As for `fit`.
    lowest, highest : float
        First and last rate tried, on a geometric scale.
    n_steps : int
        Updates, one batch each.
    **settings
        Fields of `Plan`.

    Returns
    -------
    RateFinding
        The loss at each rate, and where it fell fastest.

    Raises
    ------
    ValueError
        If ``0 < lowest < highest`` does not hold, or as in `fit`.
    """
    if not 0 < lowest < highest < np.inf or n_steps < 10:
        raise ValueError(
            f"find_rate got lowest={lowest!r}, highest={highest!r}, "
            f"n_steps={n_steps!r}; it needs 0 < lowest < highest and at least 10 steps."
        )
    plan = check_plan(network, Plan.of(plan, **settings))
    rng = as_random_state(random_state)
    data = as_data(network, plan, X, y, sample_weight, None)
    first = first_weights(network, None, rng, data.dtype)
    if isinstance(network, Network):
        engines.on_jax().examine(network, [plan], data, first)
    module, _ = engines.pick(engine, network, plan)
    seed = int(rng.randint(2**31))
    session = module.Session(network, plan, data, first, seed, None, None)
    rates = np.geomspace(lowest, highest, n_steps)
    orders = _batches(plan, data.n_rows, n_steps, rng)
    return _read_rates(rates, session.advance(orders, rates, np.ones(n_steps)))


_FINAL = (
    StopReason.CALLBACK,
    StopReason.INTERRUPTED,
    StopReason.NONFINITE,
    StopReason.TIME_BUDGET,
)
"""Reasons that end all phases."""


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
        watch: Watch,
    ) -> None:
        self.plan, self.session, self.rng = plan, session, rng
        self.n_rows = n_rows
        self.watch, self.steps, self.n_parameters = watch, 0, n_parameters
        self.per_epoch = steps_per_epoch(plan, n_rows)
        self.order: Array = np.arange(n_rows)  # NumPy shuffles its own integers fastest

    def run(self) -> StopReason:
        """Train until something says stop."""
        try:
            while self.left > 0:
                stop = self.watch.stop_rule
                asked = self.ask(min(self.chunk(), self.left))
                reason = self.tell(self.session.advance(*asked, stop))
                if reason is not None:
                    return reason
        except KeyboardInterrupt:
            if cores.shared():
                raise
            return StopReason.INTERRUPTED
        return StopReason.MAX_EPOCHS

    @property
    def left(self) -> int:
        """Epochs of the plan that are still to do."""
        return self.plan.epochs - self.watch.epochs

    def chunk(self) -> int:
        """Epochs that can go by in one call, short enough for Ctrl-C to be heard."""
        patient = self.watch.plan.patience is not None
        if self.watch.hurries or (patient and not self.session.heeds_stop):
            return 1
        most = _WORK_AT_ONCE // (self.n_rows * self.n_parameters)
        limit = min(self.watch.waits, _EPOCHS_AT_ONCE)
        return int(np.clip(min(most, _ROWS_AT_ONCE // self.n_rows), 1, limit))

    def ask(self, n_epochs: int) -> tuple[Array | None, Array, Array]:
        """Draw what a session is to train some epochs with: orders, rates, mixes."""
        count = n_epochs * self.per_epoch
        factors = rate_factors(self.plan, self.steps, count, self.n_rows)
        rates = self.plan.rate * self.watch.factor * factors
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
        return self.watch.see(sums, rates.reshape(n_epochs, -1)[:n_done, -1])

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
    network: DenseNetwork | Network, watch: Watch, module: ModuleType, why: str,
    reason: StopReason, data: Data,
) -> Run:  # fmt: skip
    """Close the watch, naming the place of what is not finite."""
    where = ""
    if reason is StopReason.NONFINITE:
        where = _blame(module, network, watch.plan, watch.subject.parameters(), data)
    return watch.close(network, reason, why, where=where)


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


def _batches(
    plan: Plan, n_rows: int, n_steps: int, rng: np.random.RandomState
) -> Array:
    """Random rows for `n_steps` batches, each an epoch of its own."""
    size = batch_rows(plan, n_rows)
    n_passes = -(-n_steps * size // n_rows)
    drawn = np.concatenate([rng.permutation(n_rows) for _ in range(n_passes)])
    return drawn[: n_steps * size].reshape(n_steps, size).astype(np.int32)


def _read_rates(rates: Array, sums: EpochSums) -> RateFinding:
    losses = sums.loss if sums.finite else sums.loss[:-1]
    weights = 0.9 ** np.arange(len(losses))
    before = [losses[i::-1] for i in range(len(losses))]  # the newest first
    smooth = np.array([np.average(b, weights=weights[: len(b)]) for b in before])
    lowest = np.fmin.accumulate(smooth)
    blown = np.flatnonzero(smooth > lowest + 0.5 * np.abs(smooth[0]))
    end = int(blown[0]) if len(blown) else len(smooth)
    bottom = max(int(np.argmin(smooth[:end])), 2)
    slopes = np.gradient(smooth[: bottom + 1], np.log(rates[: bottom + 1]))
    return RateFinding(
        rates=rates[: len(losses)],
        losses=smooth,
        suggestion=float(rates[int(np.argmin(slopes))]),
        largest=float(rates[end - 1]),
    )
