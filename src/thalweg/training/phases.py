"""Several optimizers in turn, each from the weights where the last one ended."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.core import Data, DenseNetwork, Network, Plan, Run, StopReason
from thalweg.training.full_batch import train_full_batch
from thalweg.training.loop import train
from thalweg.training.monitor import TrainingMonitor

_FINAL = (
    StopReason.CALLBACK,
    StopReason.INTERRUPTED,
    StopReason.NONFINITE,
    StopReason.TIME_BUDGET,
)
"""Reasons that end all phases."""


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
        monitor.begin_phase(plan)
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
