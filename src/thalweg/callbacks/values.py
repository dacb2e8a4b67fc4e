"""What the callbacks write: numbers and settings of epochs, trials and results."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from thalweg.core import EpochRecord, History, Run, shown

_TOLD_APART = ("epoch", "metrics")


def numbers_of(record: EpochRecord) -> dict[str, float]:
    """Return the numbers of an epoch that are known, by the names of `History`."""
    own = {
        f.name: getattr(record, f.name)
        for f in fields(record)
        if f.name not in _TOLD_APART
    }
    named = {**own, **record.metrics}
    return {k: float(v) for k, v in named.items() if not math.isnan(v)}


def final_numbers(result: Any) -> dict[str, float]:
    """Return the numbers that a run, a trial, a search or a comparison ended with."""
    if isinstance(result, Run):
        history, epoch = result.history, result.best_epoch
        if not len(history):
            return {}
        found = numbers_of(history[min(max(epoch, 1), len(history)) - 1])
        return {**found, "epochs": float(len(history)), "best_epoch": float(epoch)}
    names = ("value", "seconds", "best_score", "estimate")
    own = {name: getattr(result, name, math.nan) for name in names}
    return {k: float(v) for k, v in own.items() if np.isfinite(v)}


def settings_of(trial: Any) -> dict[str, Any]:
    """Return what was set in a trial of a search or a comparison."""
    params = getattr(trial, "params", None)
    if isinstance(params, Mapping):
        return dict(params)
    return {"variant": trial.variant, "seed": trial.seed}


def name_of(trial: Any) -> str:
    """Return a short name of a trial."""
    if hasattr(trial, "number"):
        return f"trial-{trial.number}"
    return f"{trial.variant}, seed {trial.seed}"


def history_of(trial: Any) -> History | None:
    """Return the epochs of a trial, if they are known."""
    return getattr(trial, "history", None)


def as_texts(settings: Mapping[str, Any], most: int = 250) -> dict[str, str]:
    """Return settings as short texts; functions by their names."""
    return {
        name: text if len(text := _text(value)) <= most else f"{text[: most - 3]}..."
        for name, value in settings.items()
    }


def as_scalars(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as numbers, flags and texts."""
    plain = (bool, int, float, str)
    return {
        name: value if isinstance(value, plain) else as_texts({name: value})[name]
        for name, value in settings.items()
    }


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if callable(value) and hasattr(value, "__name__"):
        return value.__name__
    if isinstance(value, int | float | bool | None | tuple | list | dict):
        return str(value)
    return str(value) if type(value).__module__.startswith("thalweg") else shown(value)
