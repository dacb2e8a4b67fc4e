"""Keywords of Keras's `fit` that `thalweg.fit` takes for a Keras model: `Asked`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from thalweg.core import FitRequest, Plan, check_word
from thalweg.estimators.keras import data


@dataclass(frozen=True)
class Asked:
    """What `fit` was asked by Keras's names, and by names that only Keras models have.

    Parameters
    ----------
    validation_split : float
        Share of the rows, the last ones, that are validation data.
    validation_data : tuple or batches
        ``(X, y)``, ``(X, y, sample_weight)``, a PyDataset or a generator.
    validation_steps : int or None
        Batches that are read of validation data.
    validation_batch_size : int or None
        Rows of a batch of validation data; None for those of training.
    validation_freq : int or sequence of int
        Validation follows every so many epochs, or the epochs of these numbers, from 1.
    verbose : int or str
        0 for silence, 1 for a progress bar, 2 for a line an epoch.
    initial_epoch : int
        Number of the first epoch, from 0; ``epochs`` is that of the last.
    steps_per_epoch : int or None
        Batches of an epoch, where batches are read.
    weight_divisor : {"rows", "weights"}
        What the loss of a batch is divided by: the number of rows, as in Keras, or the
        sum of the sample weights.
    """

    validation_split: float = 0.0
    validation_data: Any = None
    validation_steps: int | None = None
    validation_batch_size: int | None = None
    validation_freq: int | Sequence[int] = 1
    verbose: Any = 0
    initial_epoch: int = 0
    steps_per_epoch: int | None = None
    weight_divisor: str = "rows"

    def __post_init__(self) -> None:
        check_word(
            "weight_divisor", self.weight_divisor, ("rows", "weights"), owner="fit"
        )
        check_word("verbose", self.verbose, (0, 1, 2, "auto"), owner="fit")
        _check_frequency(self.validation_freq)
        for name in ("validation_steps", "validation_batch_size", "steps_per_epoch"):
            _check_count(name, getattr(self, name), 1)
        _check_count("initial_epoch", self.initial_epoch, 0)

    @property
    def by_weights(self) -> bool:
        """Whether the loss of a batch is divided by the sum of the weights."""
        return self.weight_divisor == "weights"

    @property
    def validation_batch(self) -> int | None:
        """Rows of a batch of validation data."""
        return self.validation_batch_size

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return fields of `Plan`, of which the epochs begin at the initial one."""
        if not self.initial_epoch:
            return dict(given)
        epochs = given.get("epochs", Plan().epochs)
        if isinstance(epochs, list) or epochs <= self.initial_epoch:
            raise ValueError(
                f"fit got initial_epoch={self.initial_epoch} and epochs={epochs!r}; "
                "epochs is the number of the last epoch, and must be larger."
            )
        return {**given, "epochs": epochs - self.initial_epoch}

    def validation_of(self, request: FitRequest) -> Any:
        """Return the validation data that were given by either name."""
        given = request.validation, self.validation_data, self.validation_split or None
        if sum(each is not None for each in given) > 1:
            raise ValueError(
                "fit got more than one of validation, validation_data and "
                "validation_split. Give one of them."
            )
        held = self.validation_data
        if held is None:
            return request.validation
        batches = data.is_batches(held)
        if isinstance(held, tuple | list) and len(held) in (2, 3) and not batches:
            return tuple(held)
        if not batches:
            raise ValueError(
                f"fit got validation_data of type {type(held).__name__}; it must be "
                "(X, y), (X, y, sample_weight), a PyDataset or a generator of batches."
            )
        X, y, weights = data.gathered(held, self.validation_steps)
        return (X, y) if weights is None else (X, y, weights)

    def cut(self, request: FitRequest, compiled: bool) -> FitRequest:
        """Return the rows to train on, where a share of them is validation data."""
        self._check_steps(request, compiled)
        if not self.validation_split:
            return request
        if request.y is None and data.is_batches(request.X):
            raise ValueError(
                "fit got validation_split with batches, of which no share can be held "
                "out. Give validation_data."
            )
        parts = [
            data.last_share(each, self.validation_split)
            for each in (request.X, request.y, request.sample_weight)
        ]
        (X, X_val), (y, y_val), (weights, w_val) = parts
        held = (X_val, y_val) if w_val is None else (X_val, y_val, w_val)
        return replace(request, X=X, y=y, sample_weight=weights, validation=held)

    def _check_steps(self, request: FitRequest, compiled: bool) -> None:
        if self.steps_per_epoch is None:
            return
        if not (compiled and request.y is None and data.is_batches(request.X)):
            raise ValueError(
                f"fit got steps_per_epoch={self.steps_per_epoch!r}, which needs a "
                "compiled model and batches that are read, such as a generator. With "
                "arrays, an epoch is all batches; use epochs and batch_size."
            )


KERAS_KEYWORDS = tuple(each.name for each in fields(Asked))


def _check_frequency(value: Any) -> None:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    numbers = list(value) if listed else [value]
    whole = all(
        isinstance(each, int | np.integer) and not isinstance(each, bool) and each >= 1
        for each in numbers
    )
    if not (numbers and whole):
        raise ValueError(
            f"fit got validation_freq={value!r}; it must be a whole number of at least "
            "1, such as 5 for every fifth epoch, or a list of epochs from 1, such as "
            "[1, 10]."
        )


def _check_count(name: str, value: Any, least: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise ValueError(
            f"fit got {name}={value!r}; it must be a whole number of at least {least}."
        )
