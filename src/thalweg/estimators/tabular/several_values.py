"""A target of several columns of numbers: one `Values` for each of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from thalweg.core import Array, Frame, Record
from thalweg.estimators.tabular.columns import Reading
from thalweg.estimators.tabular.targets import Values


@dataclass(frozen=True)
class SeveralValues(Record):
    """Several targets of numbers, each standardized for the network on its own.

    Parameters
    ----------
    targets : tuple of Values
    """

    targets: tuple[Values, ...]

    metric: ClassVar[str] = Values.metric

    @classmethod
    def study(cls, target: Frame, reading: Reading | None = None) -> Self:
        """Learn from the targets that a model is fitted on."""
        return cls(tuple(Values.study(each, reading) for _, each in target.items()))

    def weighed(self, target: Frame, weights: Array | None) -> Self:
        """Return each target standardized by its weighted mean and deviation."""
        pairs = zip(self.targets, self._columns(target), strict=True)
        return type(self)(tuple(each.weighed(own, weights) for each, own in pairs))

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the network."""
        return len(self.targets)

    def encode(self, target: Frame) -> Array:
        """Return the targets of the network, (n_rows, n_targets)."""
        pairs = zip(self.targets, self._columns(target), strict=True)
        return np.column_stack([each.encode(values) for each, values in pairs])

    def decode(self, outputs: Array) -> Array:
        """Return predictions from the outputs of the network."""
        columns = [each.decode(outputs[:, [k]]) for k, each in enumerate(self.targets)]
        return np.column_stack(columns)

    def scaling(self) -> tuple[Array, Array]:
        """Return what `decode` multiplies outputs by, and what it adds."""
        scales, centers = zip(*(each.scaling() for each in self.targets), strict=True)
        return np.concatenate(scales), np.concatenate(centers)

    def clean(self, target: Frame) -> Array:
        """Return the targets in the form of predictions."""
        pairs = zip(self.targets, self._columns(target), strict=True)
        return np.column_stack([each.clean(values) for each, values in pairs])

    def compare(self, target: Frame, predicted: Array, weights: Array | None) -> float:
        """Return the mean of the R² of the targets for rows of a table."""
        from sklearn.metrics import r2_score  # slow to import

        return float(r2_score(self.clean(target), predicted, sample_weight=weights))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(tuple(map(Values.from_json, content["targets"])))

    def _columns(self, target: Frame) -> list[Any]:
        if target.ndim != 2 or target.shape[1] != len(self.targets):
            raise ValueError(
                f"the target has shape {target.shape}, but the model was fitted on "
                f"{len(self.targets)} targets. Give as many columns."
            )
        return [values for _, values in target.items()]
