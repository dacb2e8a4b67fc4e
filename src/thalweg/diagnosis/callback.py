"""The doctor as a callback: it watches a training and can stop it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.core import History
from thalweg.diagnosis.diagnose import make_diagnosis
from thalweg.diagnosis.facts.network import facts_of_history
from thalweg.diagnosis.result import Diagnosis
from thalweg.diagnosis.rules import judge

_EPOCHS_TOLD = 32  # at once, where it may stop the training


# ------------------------------------------------------------------------- callback


class Doctor:
    """A callback that examines a training while it runs.

    Give it to any fit as one of its ``callbacks``; afterwards `diagnosis` says what
    the curves show. It is told of many epochs at once, so that it costs little.

    Parameters
    ----------
    stop : bool
        Whether a hopeless training is stopped: one whose loss is not finite, or five
        times the first one, or has not moved in `patience` epochs.
    patience : int
        Epochs after which a loss still at its first value is hopeless.
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
        thresholds: Mapping[str, Mapping[str, float] | None] | None = None,
    ) -> None:
        self.stop, self.patience, self.thresholds = stop, patience, thresholds
        self.patient = _EPOCHS_TOLD if stop else 10**6
        self.history = History.from_columns({"loss": ()})
        self.hopeless = ""

    def __call__(self, history: History) -> bool:
        """Take note of the epochs so far; True stops training."""
        self.history, first, last = history, history.loss[0], history.loss[-1]
        self.hopeless = ""
        if not last < 5 * first + 1e-12 and len(history) > 3:
            self.hopeless = f"the loss is {last:.3g}, and began at {first:.3g}"
        elif len(history) >= self.patience and last > 0.9999 * first:
            self.hopeless = f"the loss has stayed at {first:.3g}"
        return self.stop and bool(self.hopeless)

    @property
    def diagnosis(self) -> Diagnosis:
        """What the curves show; nothing is tried."""
        history = self.history
        facts: dict[str, Any] = facts_of_history(history)
        facts |= {"run.diverged": not facts["run.finite"], "run.restored": False,
                  "run.ended_by_epochs": not self.hopeless}  # fmt: skip
        if len(history) and np.isfinite(rate := float(history.rate[0])):
            facts |= {"rate.value": rate, "rate.usual": rate}
        judged = judge(facts, self.thresholds)
        return make_diagnosis(f"training of {len(history)} epochs", facts, *judged)
