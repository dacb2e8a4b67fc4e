"""scikit-learn's scorers, callbacks and attributes, in the forms of ours."""

from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
from sklearn.callback import CallbackContext

from thalweg.core import Array, EpochRecord, Parameters
from thalweg.training import Scoring, TrainingMonitor


def scoring(estimator: Any, scorer: Callable[[Any, Array, Array], float]) -> Scoring:
    """Return a scikit-learn scorer's score of the network between two epochs."""

    def score(predict: Callable[[Any], Array], X: Array, y: Array) -> float:
        present = copy(estimator)
        present._outputs = predict
        # The outputs that would predict the target, which the engines have encoded.
        outputs = np.eye(estimator.n_outputs_)[y] if y.ndim == 1 else y
        return float(scorer(present, X, estimator._decode(outputs)))

    return score


class TaskPerEpoch:
    """scikit-learn's callbacks: each epoch is a task of the fit.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    root : CallbackContext
        The fit's own task, with room for one of each epoch.
    monitor : TrainingMonitor
    given : dict
        ``X`` and ``y`` as they were given to `fit`, and the other data of the rows
        under ``metadata``.
    """

    def __init__(
        self,
        estimator: Any,
        root: CallbackContext,
        monitor: TrainingMonitor,
        given: dict[str, Any],
    ) -> None:
        self.estimator, self.root, self.monitor = estimator, root, monitor
        self._facts = {"estimator": estimator, **given}
        root.call_on_fit_task_begin(**self._facts)
        self.task: CallbackContext | None = self._begin()

    def __call__(self, record: EpochRecord) -> bool:
        """End the epoch's task and begin the next."""
        assert self.task is not None
        stop = self.task.call_on_fit_task_end(
            **self._facts, reconstruction_attributes=self._fitted
        )
        more = record.epoch < self.monitor.plan.epochs
        self.task = self._begin() if more else None
        return bool(stop)

    def close(self) -> None:
        """End the task of an epoch that never ran, and the fit's."""
        if self.task is not None:
            self.task.call_on_fit_task_end(estimator=self.estimator)
        self.root.call_on_fit_task_end(**self._facts, reconstruction_attributes={})

    def _begin(self) -> CallbackContext:
        task = self.root.subcontext(task_name="epoch")
        return task.call_on_fit_task_begin(**self._facts)

    def _fitted(self) -> dict[str, Any]:
        """Attributes that make a copy of the estimator predict as of now."""
        return as_attributes(self.monitor.parameters())


def as_attributes(parameters: Parameters) -> dict[str, Any]:
    """Return a network's parameters as the attributes that hold them."""
    plain = ("weights", "bias")
    return {
        "coefs_": [own["weights"] for own in parameters],
        "intercepts_": [own["bias"] for own in parameters],
        "_normalization": [
            {name: value for name, value in own.items() if name not in plain}
            for own in parameters
        ],
    }
