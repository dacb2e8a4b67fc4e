"""A network and a plan as an estimator: what a treated run comes back as."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.class_weight import compute_sample_weight

from thalweg import training
from thalweg.core import Array, Plan
from thalweg.diagnosis.problem import resized


@dataclass(eq=False)
class NetworkEstimator(BaseEstimator):
    """A network that is trained by a plan.

    Parameters
    ----------
    network : DenseNetwork or Network
    plan : Plan
    validation : float, optional
        Share of the rows to use as validation data.
    class_weight : "balanced", optional
    random_state : int
    """

    network: Any
    plan: Plan
    validation: float | None = None
    class_weight: str | None = None
    random_state: int = 0

    def fit(self, X: Any, y: Any) -> Any:
        """Train the network."""
        weighted = self.class_weight is not None and np.ndim(y) == 1
        self.run_ = training.fit(
            resized(self.network, np.shape(X)[1]), X, y, plan=self.plan,
            sample_weight=compute_sample_weight(self.class_weight, y)
            if weighted else None,
            validation=self.validation, random_state=self.random_state,
        )  # fmt: skip
        return self

    def predict(self, X: Any) -> Array:
        """Return what `thalweg.predict` returns."""
        return training.predict(self.run_, X)
