"""Several optimizers in turn, each from the weights where the last one ended."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.core import Data, DenseNetwork, Network, Plan, Run, StopReason
from thalweg.training.checkpoint import Part
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
    part: Part | None = None,
) -> Run:
    """Train by one plan after the other; each begins with the weights of the last.

    Parameters
    ----------
    network, data, first, rng, monitor, engine, part
        As for `train`.
    plans : sequence of Plan
        Full-batch and first-order ones in any order.

    Returns
    -------
    Run
        With the history of all phases; ``why`` says of each why it ended.
    """
    run, reasons, begun = None, [], 0
    if part is not None and part.found is not None:
        reasons, begun = list(part.found["reasons"]), part.found["phase"]
    for number, plan in enumerate(plans[begun:], begun):
        monitor.begin_phase(plan)
        if part is not None:
            part.context |= {"phase": number, "reasons": list(reasons)}
        given = network, plan, data, first
        if plan.full_batch:
            run = train_full_batch(*given, monitor, engine, part)
        else:
            run, _ = train(*given, rng, monitor, engine, part=part)
        reasons.append(f"{plan.optimizer.label}: {run.why}")
        first = run.parameters
        if run.stop_reason in _FINAL:
            break
    assert run is not None
    return run if len(plans) == 1 else replace(run, why=" Then ".join(reasons))
