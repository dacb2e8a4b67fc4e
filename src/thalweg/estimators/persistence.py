"""Estimators in model files: saving, loading, and the codec of their parameters.

`Persistent` gives an estimator `save` and `load`. All that a class adds is a pair of
methods: `to_document` says what a fitted estimator is, as JSON values and named
arrays, and `from_document` rebuilds it. `thalweg.load` is in
`thalweg.estimators.load`, which knows every class.

Records such as a history have declared types and write themselves
(`thalweg.core.Record`). The parameters of an estimator hold whatever a user gave, and
come back as the same types: a tuple stays a tuple, and a class may be a number. So
they are written with their types: ``{"tuple": [...]}``, ``{"dict": [[key, value]]}``.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from thalweg.core import Array
from thalweg.io import PathLike, read_model, write_model_file


class Persistent(ABC, BaseEstimator):
    """An estimator that a model file can keep."""

    def save(self, path: PathLike) -> None:
        """Write the fitted estimator to a model file; nothing in it is code.

        The state of the optimizer is not kept: a loaded estimator predicts the same,
        and a further fit starts the optimizer anew. `callbacks` are not kept either,
        nor is a `random_state` that is a generator.

        Parameters
        ----------
        path : str or path-like
            An existing file is replaced.

        Raises
        ------
        ValueError
            If a parameter is a function of yours, which no file can hold.
        """
        check_is_fitted(self)
        write_model_file(path, type(self).__name__, *self.to_document())

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Read an estimator that `save` wrote.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        estimator
            Fitted; it predicts what the saved one predicted.

        Raises
        ------
        OSError
            If the file does not exist or cannot be opened.
        ValueError
            If the file is damaged, or holds a model of another kind.
        """
        return read_model(path, {cls.__name__: cls.from_document})

    @abstractmethod
    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the fitted estimator as values that JSON can hold, and arrays."""

    @classmethod
    @abstractmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild the estimator that `to_document` took apart."""


def parameters_to_json(estimator: BaseEstimator) -> dict[str, Any]:
    """Write the parameters of an estimator so that their types come back.

    Raises
    ------
    ValueError
        If a parameter is a function or another object that no file can hold.
    """
    given = estimator.get_params(deep=False)
    kept = {name: value for name, value in given.items() if name != "callbacks"}
    if not isinstance(given.get("random_state"), Integral):
        kept.pop("random_state", None)  # a generator, whose state is not kept
    return {name: to_json(name, value) for name, value in kept.items()}


def parameters_from_json(content: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `parameters_to_json` wrote."""
    return {name: from_json(value) for name, value in content.items()}


def to_json(name: str, value: Any) -> Any:
    """Write a value; messages call it `name`."""
    value = bare(value)
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [to_json(name, each) for each in value]}
    if isinstance(value, Mapping):
        pairs = value.items()
        return {"dict": [[to_json(name, k), to_json(name, v)] for k, v in pairs]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}  # JSON has finite numbers only
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(
        f"save got an estimator with {name}={value!r}. A model file holds names and "
        "numbers, not functions. Use a named one, or keep the estimator with pickle."
    )


def from_json(content: Any) -> Any:
    """Read what `to_json` wrote; plain values, which format 1 has, stay as they are."""
    match content:
        case {"tuple": list(values)}:
            return tuple(map(from_json, values))
        case {"list": list(values)}:
            return list(map(from_json, values))
        case {"dict": list(pairs)}:
            return {from_json(key): from_json(value) for key, value in pairs}
        case {"float": str(text)}:
            return float(text)
    return content


def bare(value: Any) -> Any:
    """Turn NumPy's numbers and arrays into Python's numbers and lists."""
    return value.tolist() if hasattr(value, "tolist") else value
