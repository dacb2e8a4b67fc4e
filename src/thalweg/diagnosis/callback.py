"""The doctor as a callback: it watches a training and can stop it."""

import numpy as np

from thalweg.core import History, check_flag, check_whole
from thalweg.diagnosis.diagnose import make_diagnosis
from thalweg.diagnosis.facts import Facts
from thalweg.diagnosis.facts.network import RateFacts
from thalweg.diagnosis.facts.training import (
    RunFacts,
    StopFacts,
    facts_of_curve,
    facts_of_validation_curve,
)
from thalweg.diagnosis.result import Diagnosis
from thalweg.diagnosis.rules import Thresholds, judge, merged_limits

_EPOCHS_AT_ONCE = 32
"""Epochs between two calls if the doctor may stop the training."""


class Doctor:
    """A callback that examines a training while it runs.

    Give it to any fit as one of its ``callbacks``; afterwards `diagnosis` says what
    the training curve shows. It examines many epochs at once, so that it costs little.

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
        self.history = History.from_columns({"loss": ()})
        self.hopeless = ""

    def __call__(self, history: History) -> bool:
        """Examine the epochs so far; return whether to stop training."""
        self.history, first, last = history, history.loss[0], history.loss[-1]
        self.hopeless = ""
        if not last < 5 * first + 1e-12 and len(history) > 3:
            self.hopeless = f"the loss is {last:.3g}; it began at {first:.3g}"
        elif len(history) >= self.patience and last > 0.9999 * first:
            self.hopeless = f"the loss has stayed at {first:.3g}"
        return self.stop and bool(self.hopeless)

    @property
    def diagnosis(self) -> Diagnosis:
        """What the training curve shows; no remedy is tried."""
        history = self.history
        finite, rate = bool(np.isfinite(history.loss).all()), None
        if len(history) and np.isfinite(value := float(history.rate[0])):
            rate = RateFacts(value=value, usual=value)
        facts = Facts(
            rate=rate,
            run=RunFacts(finite, len(history)),
            curve=facts_of_curve(history),
            validation_curve=facts_of_validation_curve(history),
            stop=StopFacts(
                ended_by_epochs=not self.hopeless,
                diverged=not finite,
                restored=False,
            ),
        )
        judged = judge(facts, self.thresholds)
        return make_diagnosis(f"training of {len(history)} epochs", facts, judged)
