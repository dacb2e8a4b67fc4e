"""The trained networks of a table's model: one, or several whose outputs are averaged.

All members read the same encoded table, each by a view of its own. What they predict
(probabilities of classes, or scaled values) is averaged with the weights of the
members, block by block, so that many rows take no more memory than few.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from thalweg import engines
from thalweg.core import Array, CompactRows, Run, link
from thalweg.estimators.tabular.views import View
from thalweg.io import pack_run, unpack_run

_ROWS = 8192  # that all members predict before they go on


@dataclass(frozen=True, eq=False)
class Members:
    """Trained networks and what each of them counts for.

    Parameters
    ----------
    runs : tuple of Run
    weights : ndarray of shape (n_members,)
        They add up to 1.
    views : tuple of View
        What each member sees of the encoded table.
    temperature : float
        The logarithms of averaged probabilities are divided by it.
    """

    runs: tuple[Run, ...]
    weights: Array = field(default_factory=lambda: np.ones(1))
    views: tuple[View, ...] = (View(),)
    temperature: float = 1.0

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def run(self) -> Run:
        """The first member's."""
        return self.runs[0]

    def outputs(self, inputs: Array | CompactRows) -> Array:
        """Return probabilities or scaled values, (n_rows, n_outputs)."""
        if len(self.runs) == 1:
            return heated(self.of_member(0, inputs), self.temperature)
        starts = range(0, max(len(inputs), 1), _ROWS)
        blocks = [self._mean(inputs[at : at + _ROWS]) for at in starts]
        return heated(np.concatenate(blocks), self.temperature)

    def _mean(self, inputs: Array | CompactRows) -> Array:
        total: Any = 0.0
        for number in np.flatnonzero(self.weights).tolist():
            total = total + self.weights[number] * self.of_member(number, inputs)
        return total

    def of_member(self, number: int, inputs: Array | CompactRows) -> Array:
        """Return what one member makes of the inputs of all of them."""
        return outputs_of(self.runs[number], self.views[number].of(inputs))

    def heated(self, temperature: float) -> "Members":
        """Return the same members with another temperature."""
        return replace(self, temperature=temperature)

    def trained_on(self, runs: Sequence[Run]) -> "Members":
        """Return the same members after more training."""
        return replace(self, runs=tuple(runs))

    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what a model file keeps: values for JSON, and arrays."""
        run, arrays = pack_run(self.run)
        content: dict[str, Any] = {"run": run}
        if len(self) == 1 and self.views[0].whole and self.temperature == 1.0:
            return content, arrays  # a file that older versions read too
        more: list[Any] = []
        for number, each in enumerate(self.runs[1:], start=1):
            run, own = pack_run(each)
            more.append(run)
            arrays |= {f"member.{number}.{name}": own[name] for name in own}
        views: list[Any] = []
        for number, view in enumerate(self.views):
            plain, own = view.to_document(number)
            views.append(plain)
            arrays |= own
        content["members"] = {
            "runs": more,
            "weights": self.weights.tolist(),
            "views": views,
            "temperature": self.temperature,
        }
        return content, arrays

    @classmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Read what `to_document` returned.

        Raises
        ------
        ValueError
            If the weights or views are not those of the members.
        """
        first = unpack_run(content["run"], arrays)
        if (kept := content.get("members")) is None:
            return cls((first,))
        runs = [first]
        for number, run in enumerate(kept["runs"], start=1):
            start = f"member.{number}."
            own = {
                name.removeprefix(start): array
                for name, array in arrays.items()
                if name.startswith(start)
            }
            runs.append(unpack_run(run, own))
        weights = np.array(kept["weights"], float)
        if not len(weights) == len(kept["views"]) == len(runs):
            raise ValueError(f"{len(runs)} members have {len(weights)} weights")
        views = [View.from_document(k, v, arrays) for k, v in enumerate(kept["views"])]
        return cls(tuple(runs), weights, tuple(views), float(kept["temperature"]))


def outputs_of(run: Run, inputs: Array | CompactRows) -> Array:
    """Return what one network makes of its inputs, after the link of its loss."""
    # As `thalweg.predict`, whose package has much that only training needs.
    engine, _ = engines.pick("auto", run.network, run.plan)
    rows = inputs.astype(engine.floating_type(run.parameters))
    return link(run.plan.loss)(engine.outputs(run.network, run.parameters, rows))


def heated(probabilities: Array, temperature: float) -> Array:
    """Divide the logarithms of probabilities by a temperature (Guo et al., 2017)."""
    if temperature == 1.0:
        return probabilities
    shares = np.asarray(probabilities, float)
    powers = (shares / shares.max(axis=1, keepdims=True)) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)
