"""A training curve that the user kept: a list, a dict, a table or a CSV log."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.core import History

_LOSSES = ("loss", "train_loss", "training_loss", "train", "cost", "train/loss")
_HELD = ("val_loss", "validation_loss", "valid_loss", "test_loss", "val", "valid",
         "val/loss")  # fmt: skip
_RATES = ("learning_rate", "lr", "rate")


def read_history(given: Any) -> History:
    """Return a History of what was recorded.

    Parameters
    ----------
    given : History, keras.callbacks.History, mapping, DataFrame, sequence or path
        Losses alone, or columns by name; a path names a CSV log.

    Raises
    ------
    TypeError, ValueError
        If no losses are found; the message says what is allowed.
    """
    if isinstance(given, History):
        return given
    if isinstance(getattr(given, "history", None), History | Mapping | list):
        return read_history(given.history)
    if isinstance(given, str | Path):
        return read_history(_table(Path(given)))
    if hasattr(given, "columns") and hasattr(given, "iloc"):
        given = {str(name): given[name].tolist() for name in given.columns}
    if _is_records(given):
        names = dict.fromkeys(name for each in given for name in each)
        given = {name: [each.get(name) for each in given] for name in names}
    if isinstance(given, Mapping):
        return _of_columns(given)
    try:
        losses = np.asarray(given, float)
    except (TypeError, ValueError):
        raise TypeError(
            f"history is a {type(given).__name__}. Give a list of losses, a dict of "
            "columns such as {'loss': [...], 'val_loss': [...]}, the History of a "
            "training, or the path of a CSV log."
        ) from None
    if losses.ndim == 2 and losses.shape[1] == 2:
        return _of_columns({"loss": losses[:, 0], "val_loss": losses[:, 1]})
    if losses.ndim != 1 or not len(losses):
        raise ValueError(
            f"history has shape {losses.shape}; a list of losses has one per epoch."
        )
    return History.from_columns({"loss": losses})


def _is_records(given: Any) -> bool:
    """Whether it is a list of dicts, one per epoch, as skorch and loggers keep it."""
    several = isinstance(given, list | tuple) and len(given) > 0
    return several and all(isinstance(each, Mapping) for each in given)


def _table(path: Path) -> Any:
    import pandas as pd

    if not path.exists():
        raise ValueError(f"history={str(path)!r} does not exist. Give a CSV log.")
    return pd.read_csv(path, sep=None, engine="python")


def _of_columns(columns: Mapping[str, Any]) -> History:
    plain = {_plain(name): values for name, values in columns.items()}
    losses = _first(plain, _LOSSES)
    if losses is None:
        raise ValueError(
            f"history has the columns {list(columns)[:8]} and none of the loss. Name "
            "it 'loss', and the validation loss 'val_loss'."
        )
    own = {"loss": _numbers(losses)}
    for name, known in (("validation_loss", _HELD), ("rate", _RATES)):
        values = _first(plain, known)
        if values is not None and len(values) == len(own["loss"]):
            own[name] = _numbers(values)
    return History.from_columns(own)


def _first(columns: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((columns[name] for name in names if name in columns), None)


def _numbers(values: Any) -> Any:
    found = [np.nan if v is None or v == "" else float(v) for v in values]
    return np.array(found)


def _plain(name: Any) -> str:
    return re.sub(r"[\s\-]+", "_", str(name).strip().lower())
