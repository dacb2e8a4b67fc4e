"""Adapters of scikit-learn's scorers, callbacks and attributes to ours."""

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
from sklearn.callback import CallbackContext

from thalweg.core import Array, EpochRecord, Parameters
from thalweg.training import Scoring


def scoring(estimator: Any, scorer: Callable[[Any, Array, Array], float]) -> Scoring:
    """Return a function that scores the network with a scikit-learn scorer."""

    def score(predict: Callable[[Any], Array], X: Array, y: Array) -> float:
        present = copy(estimator)
        present._outputs = predict
        # The engines have encoded the target; `_decode` takes outputs, so make some
        # that decode to it.
        outputs = np.eye(estimator.n_outputs_)[y] if y.ndim == 1 else y
        return float(scorer(present, X, estimator._decode(outputs)))

    return score


class TaskPerEpoch:
    """Calls scikit-learn's callbacks: each epoch is a task of the fit.

    Parameters
    ----------
    estimator : estimator
    root : CallbackContext
        The task of the fit, which has a subtask for each epoch.
    epochs : callable
        Returns the largest number of epochs.
    now : callable
        Returns the attributes with which a copy of the estimator predicts as now.
    given : dict
        ``X`` and ``y`` as they were passed to `fit`, and other data of the rows as
        ``metadata``.
    """

    def __init__(
        self,
        estimator: Any,
        root: CallbackContext,
        epochs: Callable[[], float],
        now: Callable[[], dict[str, Any]],
        given: dict[str, Any],
    ) -> None:
        self.estimator, self.root = estimator, root
        self._epochs, self._now = epochs, now
        self._facts = {"estimator": estimator, **given}
        root.call_on_fit_task_begin(**self._facts)
        self.task: CallbackContext | None = self._begin()

    def __call__(self, record: EpochRecord) -> bool:
        """End the epoch's task and begin the next."""
        assert self.task is not None
        stop = self.task.call_on_fit_task_end(
            **self._facts, reconstruction_attributes=self._now
        )
        more = record.epoch < self._epochs()
        self.task = self._begin() if more else None
        return bool(stop)

    def close(self) -> None:
        """End the task of an epoch that never ran, and that of the fit."""
        if self.task is not None:
            self.task.call_on_fit_task_end(estimator=self.estimator)
        self.root.call_on_fit_task_end(**self._facts, reconstruction_attributes={})

    def _begin(self) -> CallbackContext:
        task = self.root.subcontext(task_name="epoch")
        return task.call_on_fit_task_begin(**self._facts)


def as_attributes(parameters: Parameters) -> dict[str, Any]:
    """Return the parameters of a network as fitted attributes."""
    plain = ("weights", "bias")
    return {
        "coefs_": [own["weights"] for own in parameters],
        "intercepts_": [own["bias"] for own in parameters],
        "_normalization": [
            {name: value for name, value in own.items() if name not in plain}
            for own in parameters
        ],
    }
