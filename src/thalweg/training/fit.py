"""The training loop: any plan on any engine, epoch by epoch.

`fit` checks what it is given, draws the first weights, the batches' order and the
rates, and lets an engine train, while `thalweg.training.monitor` judges the epochs. One
loop serves every engine and every first-order optimizer.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg import engines
from thalweg.core import (
    Data,
    DenseNetwork,
    Network,
    Plan,
    Run,
    StopReason,
    as_random_state,
    link,
    phases,
)
from thalweg.training.data import as_data, as_rows, first_weights, is_stream, split
from thalweg.training.full_batch import train_full_batch
from thalweg.training.loop import check_plan, finish, noise_seed, train
from thalweg.training.monitor import Callback, Scoring, TrainingMonitor


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
        from thalweg.training.streaming import apart, open_source, train_stream

        source = open_source(network, plans, *rows)
        first = first_weights(network, parameters, rng, source.dtype)
        held_out = apart(network, plan, validation, source.dtype)
        monitor, seed = (
            TrainingMonitor(plan, held_out, *watched),
            noise_seed(network, rng),
        )
        found = train_stream(network, plan, source, first, rng, seed, monitor, engine)
        run = finish(network, monitor, *found)
    else:
        data = as_data(network, plan, *rows)
        first = first_weights(network, parameters, rng, data.dtype)
        data, held_out = split(network, plan, data, validation, rng)
        if isinstance(network, Network):
            engines.on_jax().examine(network, plans, data, first)
        monitor = TrainingMonitor(plan, held_out, *watched)
        run = train_phases(network, plans, data, first, rng, monitor, engine)
    return run if holder is None else holder.keep(run)


def train_phases(
    network: DenseNetwork | Network,
    plans: Sequence[Plan],
    data: Data,
    first: Any,
    rng: np.random.RandomState,
    monitor: TrainingMonitor,
    engine: str = "auto",
) -> Run:
    """Train by one plan after the other; each begins with the weights of the last.

    Parameters
    ----------
    network, data, first, rng, monitor, engine
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
        monitor.turn(plan)
        if plan.full_batch:
            run = train_full_batch(network, plan, data, first, monitor, engine)
        else:
            run, _ = train(network, plan, data, first, rng, monitor, engine)
        reasons.append(f"{plan.optimizer.label}: {run.why}")
        first = run.parameters
        if run.stop_reason in _FINAL:
            break
    assert run is not None
    return run if len(plans) == 1 else replace(run, why=" Then ".join(reasons))


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


_FINAL = (
    StopReason.CALLBACK,
    StopReason.INTERRUPTED,
    StopReason.NONFINITE,
    StopReason.TIME_BUDGET,
)
"""Reasons that end all phases."""
