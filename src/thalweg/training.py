"""The training loop: any plan on any engine, epoch by epoch.

`fit` checks what it is given, draws the first weights, the batches' order and the
rates, lets an engine train, and watches: validation, early stopping, schedules that
follow the loss, callbacks, time. One loop serves every engine and every first-order
optimizer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg import engines
from thalweg.inputs import as_data, as_rows, first_weights, split
from thalweg.lookup import resolved
from thalweg.networks import DenseNetwork, as_random_state
from thalweg.plan import (
    CLASSIFYING,
    Data,
    Plan,
    batch_rows,
    link,
    mixing_factors,
    rate_factors,
    steps_per_epoch,
)
from thalweg.records import (
    Array,
    EpochRecord,
    EpochSums,
    History,
    Parameters,
    RateFinding,
    Run,
    StopReason,
)

Predict = Callable[[ArrayLike], Array]
Scoring = Callable[[Predict, Array, Array], float]
Callback = Callable[[EpochRecord], bool | None]

_ROWS_AT_ONCE = 1 << 20
_EPOCHS_AT_ONCE = 256


def fit(
    network: DenseNetwork,
    X: ArrayLike,
    y: ArrayLike,
    *,
    plan: Plan | None = None,
    sample_weight: ArrayLike | None = None,
    class_weight: Mapping[int, float] | str | None = None,
    validation: float | tuple[ArrayLike, ...] | None = None,
    scoring: Scoring | None = None,
    parameters: Parameters | None = None,
    random_state: int | np.random.RandomState | None = None,
    callbacks: Sequence[Callback] = (),
    engine: str = "auto",
    **settings: Any,
) -> Run:
    """Train a network.

    Parameters
    ----------
    network : DenseNetwork
    X : array-like of shape (n_rows, n_inputs)
        Finite numbers. float32 and float64 are computed in their own type, everything
        else in float32, unless the plan's ``dtype`` says otherwise.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Class numbers from 0 for cross-entropy, focal and hinge loss (or, for the first
        two, a row of probabilities for each row of X); numbers for the other losses.
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
    parameters : tuple of dict, optional
        First weights, as ``network.draw()`` gives them; drawn if None.
    random_state : int, RandomState or None
        Source of the first weights, the split, the order of rows and the noise.
    callbacks : sequence of callable
        Each is given the `EpochRecord` after each epoch; True stops training.
    engine : {"auto", "jax"}
        What computes.
    **settings
        Fields of `Plan`, such as ``optimizer="adam"`` or ``epochs=20``.

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
    plan = _check_plan(network, Plan.of(plan, **settings))
    rng = as_random_state(random_state)
    data = as_data(network, plan, X, y, sample_weight, class_weight)
    first = first_weights(network, parameters, rng, data.X.dtype)
    data, held_out = split(network, plan, data, validation, rng)
    seed = rng.randint(2**32, dtype=np.uint32) if _is_noisy(network) else 0
    module, why_engine = engines.pick(engine, network, plan)
    session = module.Session(network, plan, data, first, int(seed), None, held_out)
    loop = _Loop(plan, session, len(data.X), rng, held_out, scoring, callbacks, started)
    reason = loop.run()
    kept, best_epoch = loop.weights()
    facts = loop.facts(best_epoch)
    if reason is StopReason.NONFINITE:
        facts["where"] = _blame(module, network, plan, session.parameters(), data)
    return Run(
        network=network,
        plan=plan,
        parameters=kept,
        history=loop.history(),
        stop_reason=reason,
        why=reason.value.format(**facts),
        engine=why_engine,
        best_epoch=best_epoch,
    )


def predict(run: Run, X: ArrayLike) -> Array:
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
        themselves after the others; in the dtype of the run's weights.
    """
    dtype = run.parameters[0]["bias"].dtype
    module, _ = engines.pick("auto", run.network, run.plan)
    outputs = module.outputs(
        run.network, run.parameters, as_rows(run.network, X, dtype)
    )
    return link(run.plan.loss)(outputs)


def find_rate(
    network: DenseNetwork,
    X: ArrayLike,
    y: ArrayLike,
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
    plan = _check_plan(network, Plan.of(plan, **settings))
    rng = as_random_state(random_state)
    data = as_data(network, plan, X, y, sample_weight, None)
    first = first_weights(network, None, rng, data.X.dtype)
    module, _ = engines.pick(engine, network, plan)
    session = module.Session(
        network, plan, data, first, int(rng.randint(2**31)), 0, None
    )
    rates = np.geomspace(lowest, highest, n_steps)
    sums = session.advance(
        _batches(plan, len(data.X), n_steps, rng), rates, np.ones(n_steps)
    )
    return _read_rates(rates, sums)


class _Loop:
    """The state of one fit between epochs."""

    def __init__(
        self,
        plan: Plan,
        session: engines.Session,
        n_rows: int,
        rng: np.random.RandomState,
        held_out: Data | None,
        scoring: Scoring | None,
        callbacks: Sequence[Callback],
        started: float,
    ) -> None:
        self.plan, self.session, self.n_rows, self.rng = plan, session, n_rows, rng
        self.held_out, self.callbacks, self.started = held_out, callbacks, started
        self.scoring = scoring
        self.order = np.arange(n_rows, dtype=np.int32)
        self.steps, self.epochs, self.factor, self.rate = 0, 0, 1.0, plan.rate
        self.watch = _Watch(plan.tol)
        self.plateau = _Watch(plan.tol)
        self.best: Parameters | None = None
        by_score = plan.monitor == "score" or (plan.monitor == "auto" and scoring)
        self.monitor = "score" if by_score and held_out is not None else "loss"
        self.rows: list[tuple[float, ...]] = []

    def run(self) -> StopReason:
        """Train until something says stop."""
        try:
            while self.epochs < self.plan.epochs:
                reason = self._advance(
                    min(self._chunk(), self.plan.epochs - self.epochs)
                )
                if reason is not None:
                    return reason
        except KeyboardInterrupt:
            return StopReason.INTERRUPTED
        return StopReason.MAX_EPOCHS

    def weights(self) -> tuple[Parameters, int]:
        """Return the weights to keep, and the epoch that they are of."""
        if self.best is not None and self.plan.restore_best:
            return self.best, self.watch.best_epoch
        return self.session.parameters(), self.epochs

    def facts(self, best_epoch: int) -> dict[str, Any]:
        """Gather what the sentences of `StopReason` speak of."""
        plan = self.plan
        return {
            "epochs": plan.epochs, "epoch": self.epochs, "best_epoch": best_epoch,
            "tol": plan.tol, "patience": plan.patience, "monitor": self.monitor,
            "max_time": plan.max_time or 0.0, "rate": self.rate,
        }  # fmt: skip

    def history(self) -> History:
        """Return the columns of all epochs so far."""
        names = (
            "loss", "gradient_norm", "update_ratio", "rate", "seconds",
            "validation_loss", "validation_score",
        )  # fmt: skip
        columns = np.array(self.rows, float).reshape(-1, len(names)).T
        return History.from_columns(dict(zip(names, columns, strict=True)))

    def _chunk(self) -> int:
        """Epochs that can go by unwatched."""
        plan = self.plan
        watched = (
            self.callbacks
            or self.held_out is not None
            or plan.patience is not None
            or plan.max_time is not None
            or resolved(plan.schedule).name in ("plateau", "adaptive")
        )
        if watched:
            return 1
        return int(np.clip(_ROWS_AT_ONCE // self.n_rows, 1, _EPOCHS_AT_ONCE))

    def _advance(self, n_epochs: int) -> StopReason | None:
        count = n_epochs * steps_per_epoch(self.plan, self.n_rows)
        factors = rate_factors(self.plan, self.steps, count, self.n_rows)
        rates = self.plan.rate * self.factor * factors
        mixes = mixing_factors(self.plan, self.steps, count, self.n_rows)
        before = time.perf_counter() - self.started
        sums = self.session.advance(self._orders(n_epochs), rates, mixes)
        after = time.perf_counter() - self.started
        self.steps += count
        self.epochs += len(sums.loss)
        self.rate = float(rates[-1])
        held_out = self._validate() if sums.finite else (np.nan, np.nan)
        last_rates = rates.reshape(n_epochs, -1)[: len(sums.loss), -1]
        seconds = np.linspace(before, after, len(sums.loss) + 1)[1:]
        self._record(sums, last_rates, seconds, held_out)
        if not sums.finite:
            return StopReason.NONFINITE
        return self._judge(held_out)

    def _orders(self, n_epochs: int) -> Array | None:
        if not self.plan.shuffle or self.plan.batch_size is None:
            return None
        orders = np.empty((n_epochs, self.n_rows), np.int32)
        for epoch in range(n_epochs):
            # sklearn.utils.shuffle of the previous order, draw for draw.
            drawn = np.arange(self.n_rows)
            self.rng.shuffle(drawn)
            self.order = self.order[drawn]
            orders[epoch] = self.order
        return orders

    def _validate(self) -> tuple[float, float]:
        if self.held_out is None:
            return np.nan, np.nan
        outputs, losses = self.session.validate()
        weights = self.held_out.weights
        loss = float(np.average(losses, weights=weights))
        return loss, self._score(outputs)

    def _score(self, outputs: Array) -> float:
        assert self.held_out is not None
        prediction = link(self.plan.loss)(outputs)
        X, y = self.held_out.X, self.held_out.y
        if self.scoring is not None:
            return float(self.scoring(lambda asked: prediction, X, y))
        return default_score(self.plan, prediction, y, self.held_out.weights)

    def _record(
        self,
        sums: EpochSums,
        rates: Array,
        seconds: Array,
        held_out: tuple[float, float],
    ) -> None:
        columns = (sums.loss, sums.gradient_norm, sums.update_ratio, rates, seconds)
        for row in zip(*columns, strict=True):
            self.rows.append((*map(float, row), *held_out))

    def _judge(self, held_out: tuple[float, float]) -> StopReason | None:
        """Judge an epoch: best so far, schedules, callbacks, stops."""
        value = self._monitored(held_out)
        if self.watch.see(value, self.epochs) and self.held_out is not None:
            self.best = self.session.parameters()
        exhausted = self._follow_loss(value)
        if self._called_back():
            return StopReason.CALLBACK
        if exhausted:
            return exhausted
        out_of_time = time.perf_counter() - self.started > (
            self.plan.max_time or np.inf
        )
        return StopReason.TIME_BUDGET if out_of_time else None

    def _monitored(self, held_out: tuple[float, float]) -> float:
        """Return the watched value, smaller being better."""
        if self.held_out is None:
            return self.rows[-1][0]
        return -held_out[1] if self.monitor == "score" else held_out[0]

    def _follow_loss(self, value: float) -> StopReason | None:
        schedule, patience = resolved(self.plan.schedule), self.plan.patience
        if schedule.name == "plateau":
            self.plateau.see(value, self.epochs)
            if self.plateau.waited > float(schedule["patience"] or 0):
                self._cut(float(schedule["factor"] or 1), float(schedule["floor"] or 0))
                self.plateau.waited = 0
        if patience is None or self.watch.waited <= patience:
            return None
        if schedule.name != "adaptive":
            validated = self.held_out is not None
            return StopReason.EARLY_STOPPING if validated else StopReason.CONVERGED
        if self.plan.rate * self.factor <= float(schedule["floor"] or 0):
            return StopReason.RATE_EXHAUSTED
        self._cut(float(schedule["factor"] or 1), 0.0)
        self.watch.waited = 0
        return None

    def _cut(self, factor: float, floor: float) -> None:
        rate = self.plan.rate
        self.factor = min(self.factor, max(self.factor * factor, floor / rate))

    def _called_back(self) -> bool:
        if not self.callbacks:
            return False
        record = EpochRecord(self.epochs, *self.rows[-1])
        answers = [callback(record) for callback in self.callbacks]
        return any(answer is True for answer in answers)


@dataclass
class _Watch:
    """The best value so far, and the epochs since one that improved by enough.

    Counts as scikit-learn does, except that NaN is no improvement.
    """

    tol: float
    best: float = np.inf
    best_epoch: int = 0
    waited: int = 0

    def see(self, value: float, epoch: int) -> bool:
        """Take note of an epoch's value; True if it is the best so far."""
        self.waited = 0 if value <= self.best - self.tol else self.waited + 1
        if value < self.best:
            self.best, self.best_epoch = value, epoch
            return True
        return False


def default_score(plan: Plan, prediction: Array, y: Array, weights: Array) -> float:
    """Accuracy for class numbers and labels, R² otherwise; greater is better."""
    name = resolved(plan.loss).name
    if name in CLASSIFYING:
        classes = y if y.ndim == 1 else y.argmax(axis=1)
        return float(np.average(prediction.argmax(axis=1) == classes, weights=weights))
    if name == "binary_cross_entropy":
        right = ((prediction > 0.5) == (y > 0.5)).all(axis=1)
        return float(np.average(right, weights=weights))
    mean = np.average(y, axis=0, weights=weights)
    left = (weights[:, None] * (y - prediction) ** 2).sum(axis=0)
    all_of_it = (weights[:, None] * (y - mean) ** 2).sum(axis=0)
    return float(np.mean(1 - left / np.where(all_of_it > 0, all_of_it, 1)))


def _check_plan(network: DenseNetwork, plan: Plan) -> Plan:
    if not isinstance(network, DenseNetwork):
        raise TypeError(
            f"fit got network={network!r}; it must be a DenseNetwork. "
            "DenseNetwork.from_sizes((n_inputs, 100, n_outputs)) makes one."
        )
    rates = plan.layer_rates
    if rates is not None and len(rates) != len(network.layers):
        raise ValueError(
            f"Plan got layer_rates with {len(rates)} factors; the network has "
            f"{len(network.layers)} layers. Give one factor for each."
        )
    return plan


def _is_noisy(network: DenseNetwork) -> bool:
    return network.input_noise > 0 or any(layer.dropout for layer in network.layers)


def _blame(
    module: ModuleType,
    network: DenseNetwork,
    plan: Plan,
    weights: Parameters,
    data: Data,
) -> str:
    """Name the layer in which something first is not finite."""
    sample = Data(data.X[:4096], data.y[:4096], data.weights[:4096])
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
    return f"the update of layer {len(gradient) - 1}"


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
    smooth = np.array(
        [
            np.average(losses[: i + 1][::-1], weights=weights[: i + 1])
            for i in range(len(losses))
        ]
    )
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
