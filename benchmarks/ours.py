"""thalweg itself: fits of networks, or of its MLPClassifier where there is one."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import thalweg as tw
from benchmarks.jobs import Array, Job, Trained, Weights
from thalweg import engines
from thalweg.core.data import Data
from thalweg.core.losses import link
from thalweg.core.types import Parameters
from thalweg.training.parallel import run_all

_RULES = {
    "sgd": "sgd",
    "nesterov": ("nesterov", {"rate_in_velocity": True}),
    "adam": ("adam", {"uncorrected_epsilon": True}),
}


def train(job: Job) -> Callable[[], Trained]:
    """One fit."""
    if job.estimator and find_spec("thalweg.estimators"):
        return lambda: _fit_estimator(job)
    y = job.y[:, None] if job.n_outputs == 1 else job.y
    return lambda: _fit(job, y)


def search(job: Job) -> Callable[[], list[Trained]]:
    """As many fits side by side as there are processors, as `tw.search` does."""
    trials = [(job, job.y, trial, rate) for trial, rate in enumerate(job.rates)]
    return lambda: run_all(_fit, trials)


def gradient(job: Job) -> Callable[[], tuple[float, Weights]]:
    """Cost and gradient on all rows."""
    network, plan = _network(job), _plan(job)
    module, _ = engines.pick(job.engine, network, plan)
    ones = np.ones(len(job.X), job.X.dtype)
    data = Data(job.X, job.y.astype(np.int32), ones)
    parameters = _parameters(job.begin()[0])
    objective = module.objective(network, plan, data)

    def work() -> tuple[float, Weights]:
        cost, slopes = objective.cost_and_gradient(parameters)
        return cost, _weights(slopes)

    return work


def predict(job: Job) -> Callable[[], Array]:
    """Probabilities of all rows."""
    network, plan = _network(job), _plan(job)
    module, _ = engines.pick(job.engine, network, plan)
    parameters = _parameters(job.begin()[0])
    return lambda: link(plan.loss)(module.outputs(network, parameters, job.X))


def remark(job: Job) -> str:
    """Which engine runs the job."""
    return engines.pick(job.engine, _network(job), _plan(job))[1].split()[0]


def _fit(job: Job, y: Array, trial: int = 0, rate: float | None = None) -> Trained:
    weights, rng = job.begin(trial)
    rng = job.begin()[1] if trial else rng  # all trials meet the rows in one order
    run = tw.fit(
        _network(job), job.X, y,
        plan=_plan(job, rate), parameters=_parameters(weights), random_state=rng,
        engine=job.engine,
    )  # fmt: skip
    return Trained(_weights(run.parameters), len(run.history))


def _fit_estimator(job: Job) -> Trained:
    """Fit with the defaults, which are the job's other fields."""
    module: Any = import_module("thalweg.estimators")
    solver = "adam" if job.rule == "adam" else "sgd"
    estimator = module.MLPClassifier(
        solver=solver, max_iter=job.epochs, random_state=job.seed, engine=job.engine
    )
    estimator.fit(job.X, job.y)
    weights = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    return Trained(weights, estimator.n_iter_)


def _network(job: Job) -> tw.DenseNetwork:
    return tw.DenseNetwork.from_sizes(job.widths, activation=job.activation)


def _plan(job: Job, rate: float | None = None) -> tw.Plan:
    name = "binary_cross_entropy" if job.n_outputs == 1 else "cross_entropy"
    return tw.Plan(
        loss=(name, {"clipped": job.estimator}),
        optimizer=_RULES[job.rule],
        learning_rate=rate or job.rate,
        epochs=job.epochs,
        batch_size=job.batch,
        l2=job.l2,
        penalty_scale="batch",
        patience=job.patience,
    )


def _parameters(weights: Weights) -> Parameters:
    return tuple({"weights": W, "bias": b} for W, b in weights)


def _weights(parameters: Parameters) -> Weights:
    return [(layer["weights"], layer["bias"]) for layer in parameters]
