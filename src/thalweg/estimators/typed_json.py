"""Values as a user gave them, to and from JSON: they come back with their types.

Records such as a history have declared types and write themselves
(`thalweg.core.Record`). The parameters of an estimator and the labels of its classes
hold whatever a user gave, and a fit depends on their types: a tuple stays a tuple, a
class may be a number, and ``np.float32(0.1)`` is another rate than ``0.1``. So each
value that JSON does not have is an object with one key, the name of its type:
``{"tuple": [...]}``, ``{"dict": [[key, value]]}``.
"""

import base64
import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from thalweg.core import Choice


class CannotKeepError(ValueError):
    """No file can keep a value, for example a function."""


def to_json(name: str, value: Any) -> Any:
    """Write a value; messages call it `name`.

    Raises
    ------
    ValueError
        If it is, or holds, a function or another object that no file can keep.
    """

    def write(each: Any) -> Any:
        return to_json(name, each)

    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return {"array": _write_array(name, value)}
    if isinstance(value, float):
        # JSON has finite numbers only.
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, str | int):  # a subclass, such as an enumeration's member
        return str.__str__(value) if isinstance(value, str) else int(value)
    if isinstance(value, tuple):
        return {"tuple": [write(each) for each in value]}
    if isinstance(value, list):
        return {"list": [write(each) for each in value]}
    if isinstance(value, Mapping):
        return {"dict": [[write(key), write(each)] for key, each in value.items()]}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, Choice):
        return {"choice": [write(value.name), write(value.constants)]}
    if isinstance(value, np.random.RandomState):
        return {"RandomState": write(value.get_state())}
    return _write_time(name, value)


def from_json(content: Any) -> Any:
    """Read what `to_json` wrote; plain values, which format 1 has, stay as they are."""
    if not isinstance(content, dict) or len(content) != 1:
        return content
    ((kind, own),) = content.items()
    read = _READERS.get(kind)
    return content if read is None else read(own)


def _write_array(name: str, value: Any) -> list[Any]:
    """Return the dtype, the shape and the entries; an entry of numbers is exact."""
    array = np.asarray(value)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind in "mM":
        entries = array.astype(np.int64).ravel().tolist()
    elif kind in "biuUSO" or (kind == "f" and size <= 8):
        entries = [to_json(name, each) for each in array.ravel().tolist()]
    else:  # complex numbers, records, more precision than JSON's readers have
        raise CannotKeepError(_refusal(name, value))
    scalar = isinstance(value, np.generic)
    return [array.dtype.str, None if scalar else list(array.shape), entries]


def _read_array(content: list[Any]) -> Any:
    name, shape, entries = content
    dtype = np.dtype(name)
    if dtype.kind in "mM":
        array = np.array(entries, np.int64).astype(dtype)
    else:
        array = np.empty(len(entries), dtype)
        for index, each in enumerate(entries):
            array[index] = from_json(each)
    return array[0] if shape is None else array.reshape(shape)


def _write_time(name: str, value: Any) -> Any:
    kind = type(value).__name__
    if kind in ("Timestamp", "Timedelta") and hasattr(value, "isoformat"):
        return {kind: value.isoformat()}
    if isinstance(value, Decimal):
        return {"Decimal": str(value)}
    if isinstance(value, timedelta):
        return {"timedelta": [value.days, value.seconds, value.microseconds]}
    if isinstance(value, datetime | date | time):
        kinds = {datetime: "datetime", date: "date", time: "time"}
        if type(value) in kinds:
            return {kinds[type(value)]: value.isoformat()}
    raise CannotKeepError(_refusal(name, value))


def _refusal(name: str, value: Any) -> str:
    text = repr(value)
    text = text if len(text) <= 200 else f"{text[:200]}..."
    return (
        f"save got an estimator with {name}={text}. A model file holds names and "
        "numbers, not functions. Use a named one, or keep the estimator with pickle."
    )


def _read_random_state(content: Any) -> np.random.RandomState:
    made = np.random.RandomState(0)
    made.set_state(from_json(content))
    return made


def _read_pandas(kind: str, text: str) -> Any:
    import pandas as pd

    return getattr(pd, kind)(text)


_READERS: dict[str, Any] = {
    "tuple": lambda own: tuple(map(from_json, own)),
    "list": lambda own: list(map(from_json, own)),
    "dict": lambda own: {from_json(key): from_json(value) for key, value in own},
    "float": float,
    "array": _read_array,
    "bytes": base64.b64decode,
    "choice": lambda own: Choice(*map(from_json, own)),
    "RandomState": _read_random_state,
    "Decimal": Decimal,
    "timedelta": lambda own: timedelta(*own),
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "Timestamp": lambda text: _read_pandas("Timestamp", text),
    "Timedelta": lambda text: _read_pandas("Timedelta", text),
}
