"""What callbacks are told of a training before it begins."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from thalweg.core import (
    Data,
    Plan,
    Start,
    fitted_estimator,
    steps_per_epoch,
)
from thalweg.training.monitor import TrainingMonitor

_SAMPLE = 5


def describe_start(
    monitor: TrainingMonitor,
    network: Any,
    plans: Sequence[Plan],
    data: Data | None,
    given: Any = None,
) -> Start:
    """Return what callbacks are told of a training before it begins.

    Parameters
    ----------
    monitor : TrainingMonitor
    network : DenseNetwork or Network
    plans : sequence of Plan
        One for each phase.
    data : Data or None
        None if the rows are not at hand.
    given : optional
        The rows as the user gave them.
    """
    estimator, rows = fitted_estimator()
    batches = data is not None and all(plan.first_order for plan in plans)
    sample = given if rows is None else rows
    if data is not None and head(sample) is None:
        sample = data.X
    return Start(
        kind="training",
        total=sum(plan.epochs for plan in plans),
        settings=_settings(estimator, plans),
        network=network,
        steps=steps_per_epoch(plans[0], data.n_rows) if data and batches else None,
        parameters=monitor.parameters,
        sample=head(sample),
        estimator=estimator,
    )


def head(rows: Any) -> Any:
    """Return the first rows as a sample; None where it cannot be told what they are."""
    if rows is None or not hasattr(rows, "shape"):
        return None
    if hasattr(rows, "tocsr"):  # not every sparse format can be cut
        rows = rows.tocsr()
    return rows.iloc[:_SAMPLE] if hasattr(rows, "iloc") else rows[:_SAMPLE]


def _settings(estimator: Any, plans: Sequence[Plan]) -> dict[str, Any]:
    """Return the parameters of the estimator, or the settings of all phases."""
    if estimator is not None:
        given = estimator.get_params(deep=False)
        return {k: v for k, v in given.items() if k != "callbacks"}
    own = [{f.name: getattr(plan, f.name) for f in fields(plan)} for plan in plans]
    found = {name: [each[name] for each in own] for name in own[0]}
    return {
        name: values[0] if all(v == values[0] for v in values) else values
        for name, values in found.items()
    }
