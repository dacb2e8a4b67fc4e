"""Intervals that are as wide as the rows ask for: conformalized quantiles.

Two small networks learn a low and a high quantile of the out-of-fold residuals, by the
quantile loss. On rows that they did not see it is measured how far residuals are beyond
them, in units of their distance. By conformal prediction of these measures an interval
holds the true value with the probability that is asked for, whatever the two networks
are worth (Romano et al., 2019; Sesia & Candès, 2020).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from thalweg.core import Array, CompactRows, Run
from thalweg.estimators.tabular.intervals import Scores
from thalweg.estimators.tabular.members import outputs_of
from thalweg.estimators.tabular.views import View
from thalweg.io import pack_run, unpack_run

QUANTILES = 0.05, 0.95
_FEWEST = 60  # rows
_MOST = 20_000
_NARROWEST = 0.01  # of the residuals' standard deviation


@dataclass(frozen=True, eq=False)
class QuantileBand:
    """Two quantiles of the residuals, and how far residuals are beyond them.

    Parameters
    ----------
    runs : (Run, Run)
        Of the low and the high quantile.
    view : View
        What both see of the encoded table.
    narrowest : float
        The least distance of the two.
    scores : Scores
    """

    runs: tuple[Run, Run]
    view: View
    narrowest: float
    scores: Scores

    @classmethod
    def learn(
        cls,
        train: Callable[[CompactRows, Array, float], Run],
        inputs: CompactRows,
        view: View,
        residuals: Array,
        rng: np.random.RandomState,
    ) -> "QuantileBand | None":
        """Learn from rows with out-of-fold residuals; None if there are too few.

        Parameters
        ----------
        train : callable
            ``train(inputs, residuals, quantile)`` returns a trained network.
        inputs : CompactRows
        view : View
        residuals : ndarray of shape (n_rows,)
        rng : RandomState
            Divides the rows.
        """
        if len(residuals) < _FEWEST:
            return None
        order = rng.permutation(len(residuals))[:_MOST]
        half = len(order) // 2
        first, second = np.sort(order[:half]), np.sort(order[half:])
        seen = view.of(inputs[first])
        runs = [train(seen, residuals[first], quantile) for quantile in QUANTILES]
        narrowest = _NARROWEST * float(residuals.std() or 1.0)
        band = cls((runs[0], runs[1]), view, narrowest, Scores.of(np.zeros(1)))
        low, high = band.bounds(inputs[second])
        own = residuals[second]
        beyond = np.maximum(low - own, own - high) / (high - low)
        return cls((runs[0], runs[1]), view, narrowest, Scores.of(beyond))

    def bounds(self, inputs: Any) -> tuple[Array, Array]:
        """Return both quantiles of the residuals, (n_rows,) each."""
        seen = self.view.of(inputs)
        found = [outputs_of(run, seen)[:, 0].astype(float) for run in self.runs]
        low, high = np.minimum(*found), np.maximum(*found)
        lacking = np.maximum(self.narrowest - (high - low), 0) / 2
        return low - lacking, high + lacking

    def interval(self, inputs: Any, level: float) -> tuple[Array, Array]:
        """Return what an interval adds to predictions below and above, (n_rows, 1)."""
        low, high = self.bounds(inputs)
        more = float(self.scores.quantile(level)[0])
        if np.isinf(more):
            return np.full((len(low), 1), -np.inf), np.full((len(low), 1), np.inf)
        # A level far below that of the quantiles must not turn the interval over.
        more = max(more, -0.5)
        wide = more * (high - low)
        return (low - wide)[:, None], (high + wide)[:, None]

    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what a model file keeps: values for JSON, and arrays."""
        view, arrays = self.view.to_document(0)
        arrays |= self.scores.to_arrays("scores")
        runs: list[Any] = []
        for number, run in enumerate(self.runs):
            content, own = pack_run(run)
            runs.append(content)
            arrays |= {f"{number}.{name}": own[name] for name in own}
        plain = {"runs": runs, "view": view, "narrowest": self.narrowest}
        return plain, {f"band.{name}": arrays[name] for name in arrays}

    @classmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Read what `to_document` returned.

        Raises
        ------
        ValueError
            If the arrays are not those of two networks.
        """
        own = _within(arrays, "band.")
        runs = [
            unpack_run(run, _within(own, f"{number}."))
            for number, run in enumerate(content["runs"])
        ]
        scores = Scores.from_arrays("scores", own)
        if len(runs) != 2 or scores is None:
            raise ValueError("the networks of the quantiles are incomplete")
        view = View.from_document(0, content["view"], own)
        return cls((runs[0], runs[1]), view, float(content["narrowest"]), scores)


def _within(arrays: Mapping[str, Array], start: str) -> dict[str, Array]:
    return {
        name.removeprefix(start): array
        for name, array in arrays.items()
        if name.startswith(start)
    }
