"""The doctor as a callback: it watches a training and can stop it.

One object serves thalweg (it is called with the history), Keras (``on_epoch_end``) and
scikit-learn (``on_fit_task_end``). While the training runs it only keeps the losses;
what they mean is worked out when `diagnosis` is read.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.core import History, check_flag, check_whole
from thalweg.diagnosis.diagnose import diagnose, diagnosis_of_history
from thalweg.diagnosis.keras_examination import diagnosis_of_training
from thalweg.diagnosis.result import Diagnosis
from thalweg.diagnosis.rules import Thresholds, merged_limits

_EPOCHS_AT_ONCE = 32
"""Epochs between two calls if the doctor may stop the training."""


class Doctor:
    """A callback that examines a training while it runs.

    Give it to any fit of thalweg or Keras as one of its ``callbacks``, or to an
    estimator of scikit-learn by ``set_callbacks``; afterwards `diagnosis` says what the
    training shows. It costs next to nothing while the training runs.

    Parameters
    ----------
    stop : bool
        Whether to stop a hopeless training: the loss is not finite, or five times the
        first one, or unchanged after `patience` epochs.
    patience : int
        Epochs after which a loss that is still at its first value is hopeless.
    thresholds : mapping, optional
        As for `diagnose`.

    Examples
    --------
    >>> import thalweg as tw
    >>> from thalweg.datasets import blobs
    >>> X, y = blobs(60)
    >>> doctor = tw.Doctor(stop=True)
    >>> clf = tw.MLPClassifier(callbacks=[doctor], tol=0.01, random_state=0).fit(X, y)
    >>> doctor.hopeless
    ''
    """

    def __init__(
        self,
        stop: bool = False,
        patience: int = 50,
        thresholds: Thresholds | None = None,
    ) -> None:
        check_flag("stop", stop, owner="Doctor")
        check_whole("patience", patience, "[0, inf)", owner="Doctor")
        merged_limits(thresholds)  # raises before training
        self.stop, self.patience, self.thresholds = stop, patience, thresholds
        self.patient = _EPOCHS_AT_ONCE if stop else 10**6
        self._forget()

    def _forget(self) -> None:
        """Forget the training before."""
        self.history = History.from_columns({"loss": ()})
        self.hopeless = ""
        self.model: Any = None
        self.params: dict[str, Any] = {}
        self._losses: list[float] = []
        self._held: list[float] = []
        self._fitted: tuple[Any, Any, Any] | None = None

    def __call__(self, history: History) -> bool:
        """Examine the epochs so far; return whether to stop training."""
        self.history = history
        self.hopeless = self._judge(history.loss)
        return self.stop and bool(self.hopeless)

    def _judge(self, losses: Any) -> str:
        """Say why a training is hopeless; "" if it is not."""
        first, last = losses[0], losses[-1]
        if not last < 5 * first + 1e-12 and len(losses) > 3:
            return f"the loss is {last:.3g}; it began at {first:.3g}"
        if len(losses) >= self.patience and last > 0.9999 * first:
            return f"the loss has stayed at {first:.3g}"
        return ""

    @property
    def diagnosis(self) -> Diagnosis:
        """What the training shows; no remedy is tried.

        The training curve is examined; a Keras model too, by its layers, its loss and
        its optimizer; and an estimator of scikit-learn on its data.
        """
        if self._fitted is not None:
            estimator, X, y = self._fitted
            return diagnose(
                estimator, X, y, trials=False, budget=np.inf, thresholds=self.thresholds
            )
        if self.model is not None:
            return diagnosis_of_training(
                self.model, self._keras_history(), self.params, self.thresholds
            )
        return diagnosis_of_history(self.history, self.thresholds, self.hopeless)

    # What Keras calls.

    def set_params(self, params: Any) -> None:
        """Take what Keras says of the fit: epochs and steps."""
        self.params = dict(params or {})

    def set_model(self, model: Any) -> None:
        """Take the model that Keras trains."""
        if model is not None:
            self.model = model

    def on_train_begin(self, logs: Any = None) -> None:
        """Forget the training before."""
        model, params = self.model, self.params
        self._forget()
        self.model, self.params = model, params

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the losses of an epoch; stop a hopeless training if asked to."""
        logs = logs or {}
        self._losses.append(float(logs.get("loss", np.nan)))
        if "val_loss" in logs:
            self._held.append(float(logs["val_loss"]))
        if self.stop:
            self.hopeless = self._judge(self._losses)
            self.model.stop_training = bool(self.hopeless) or self.model.stop_training

    def _keras_history(self) -> History:
        columns: dict[str, Any] = {"loss": self._losses}
        if len(self._held) == len(self._losses):
            columns["validation_loss"] = self._held
        return History.from_columns(columns)

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Do nothing at the other moments that Keras has."""
        if name in _MOMENTS:
            return _nothing
        raise AttributeError(f"Doctor has no attribute {name!r}.")

    # What scikit-learn calls.

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a fit of scikit-learn."""
        self._forget()

    def on_fit_task_begin(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None,
        metadata: Any = None, fitted_estimator: Any = None,
    ) -> None:  # fmt: skip
        """Keep the data of the fit."""
        if self._fitted is None and X is not None:
            self._fitted = (estimator, X, y)

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None,
        metadata: Any = None, fitted_estimator: Any = None,
    ) -> bool:  # fmt: skip
        """Let the fit go on."""
        return False

    def teardown(self, estimator: Any, context: Any) -> None:
        """Take the estimator, which is fitted now."""
        if self._fitted is not None:
            self._fitted = (estimator, *self._fitted[1:])


def _nothing(*given: Any, **named: Any) -> None:
    """Do nothing."""


_nothing._is_default = True  # type: ignore[attr-defined]  # Keras then skips the call

_MOMENTS = frozenset(
    f"on_{part}{when}"
    for part in ("epoch_", "batch_", "train_", "train_batch_", "test_", "test_batch_",
                 "predict_", "predict_batch_")
    for when in ("begin", "end")
)  # fmt: skip
