"""Follow a training step by step, and look inside a network.

What these functions record is for the displays: weights after each epoch, the loss of
each single update, the values in each layer, the ways of optimizers over a surface.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg import engines
from thalweg.core import (
    Dense,
    DenseNetwork,
    History,
    LayerValues,
    Parameters,
    Paths,
    Plan,
    Run,
    batch_rows,
    mixing_factors,
    phases,
    rate_factors,
)
from thalweg.training.data import as_data, as_rows
from thalweg.training.monitor import TrainingMonitor
from thalweg.training.phases import train_phases


def trace(
    network: DenseNetwork,
    X: ArrayLike,
    y: ArrayLike,
    *,
    parameters: Parameters | None = None,
    random_state: int | None = None,
    engine: str = "auto",
    **settings: Any,
) -> tuple[Run, list[Parameters]]:
    """Train, and keep the weights before the first epoch and after each.

    Parameters
    ----------
    network, X, y, parameters, random_state, engine, **settings
        As for `thalweg.fit`.

    Returns
    -------
    run : Run
    weights : list of Parameters
    """
    rng, plans = np.random.RandomState(random_state), phases(None, settings)
    data = as_data(network, plans[0], X, y)
    first = network.draw(rng, data.X.dtype) if parameters is None else parameters
    kept = [first]
    monitor = TrainingMonitor(plans[0])
    monitor.callbacks = [lambda record: kept.append(monitor.parameters())]
    return train_phases(network, plans, data, first, rng, monitor, engine), kept


def descend(
    optimizers: Mapping[str, Any],
    *,
    curvatures: tuple[float, float] = (0.1, 2.0),
    start: tuple[float, float] = (-7.0, 2.0),
    steps: int = 30,
) -> Paths:
    """Follow optimizers down the bowl (c₁x² + c₂y²)/2.

    Parameters
    ----------
    optimizers : mapping of str to dict
        Settings of a `Plan` by name: the optimizer and its learning rate.
    curvatures : (float, float)
        c₁ and c₂; x²/20 + y² by default.
    start : (float, float)
    steps : int

    Returns
    -------
    Paths
    """
    # A network whose squared loss is the bowl: its first layer's bias is the point,
    # and a frozen second layer stretches it.
    network = DenseNetwork(
        1,
        (
            Dense(2, "identity", "zeros", np.array(start)),
            Dense(2, "identity", np.diag(np.sqrt(curvatures)), frozen=True),
        ),
    )
    common = {"batch_size": None, "epochs": steps, "loss": "squared"}
    points = {}
    for name, own in optimizers.items():
        _, kept = trace(network, np.zeros((1, 1)), np.zeros((1, 2)), **common, **own)
        points[name] = np.array([layers[0]["bias"] for layers in kept])
    reach = 1.2 * np.abs(np.concatenate([*points.values()])).max(axis=0)
    x, y = (np.linspace(-size, size, 121) for size in np.maximum(reach, 1e-3))
    z = (curvatures[0] * x**2 + curvatures[1] * y[:, None] ** 2) / 2
    return Paths(points, x, y, z)


def look_inside(
    run: Run | DenseNetwork,
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    random_state: int | None = None,
    engine: str = "auto",
) -> LayerValues:
    """Compute what is in a network's layers when it is given some rows.

    Parameters
    ----------
    run : Run or DenseNetwork
        A trained network, or one whose initial weights are drawn.
    X : array-like of shape (n_rows, n_inputs)
    y : array-like, optional
        With it the gradients of a run are computed too.
    random_state : int, optional
        Source of the initial weights.
    engine : {"auto", "jax", "native"}

    Returns
    -------
    LayerValues
    """
    trained = isinstance(run, Run)
    network, plan = (run.network, run.plan) if trained else (run, Plan())
    if not isinstance(network, DenseNetwork):
        raise TypeError(
            f"look_inside got {network}, whose layers are not known. Give a "
            "DenseNetwork or its run."
        )
    parameters = run.parameters if trained else network.draw(random_state)
    trainer, _ = engines.pick(engine, network, plan)
    rows = as_rows(network, X, parameters[0]["bias"].dtype)
    weights = tuple(own["weights"] for own in parameters if "weights" in own)
    activations = tuple(trainer.activations(network, parameters, rows))
    if y is None or not trained:
        return LayerValues(activations, weights)
    data = as_data(network, Plan.of(plan, dtype=str(rows.dtype)), rows, y)
    _, gradient = trainer.cost_and_gradient(network, plan, parameters, data)
    slopes = tuple(own["weights"] for own in gradient if "weights" in own)
    return LayerValues(activations, weights, slopes)


def train_steps(
    network: DenseNetwork,
    X: ArrayLike,
    y: ArrayLike,
    n_steps: int,
    *,
    random_state: int = 0,
    engine: str = "auto",
    **settings: Any,
) -> History:
    """Train some updates, each on a random batch, and record every one of them.

    Parameters
    ----------
    network, X, y, engine, **settings
        As for `thalweg.fit`, for first-order optimizers.
    n_steps : int
    random_state : int

    Returns
    -------
    History
        Its epochs are the updates.
    """
    plan = Plan.of(None, **settings)
    data = as_data(network, plan, X, y)
    rng = np.random.RandomState(random_state)
    first = network.draw(random_state, data.X.dtype)
    trainer, _ = engines.pick(engine, network, plan)
    session = trainer.session(network, plan, data, first, random_state)
    size = batch_rows(plan, len(data.X))
    orders = rng.randint(len(data.X), size=(n_steps, size), dtype=np.int32)
    rates = plan.rate * rate_factors(plan, 0, n_steps, size)
    started = time.perf_counter()
    sums = session.advance(orders, rates, mixing_factors(plan, 0, n_steps, size))
    seconds = np.linspace(0, time.perf_counter() - started, len(sums.loss) + 1)[1:]
    columns = ("loss", "gradient_norm", "update_ratio")
    seen = {name: getattr(sums, name) for name in columns}
    return History.from_columns(
        {**seen, "rate": rates[: len(seconds)], "seconds": seconds}
    )
