"""Boosted trees as plain arrays, which a model file keeps.

scikit-learn grows the trees (`HistGradientBoostingClassifier` and its regressor). What
is kept of them is what predicting takes: for each node the input that is compared, the
threshold, and the two nodes below. Reading them needs NumPy alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from thalweg.core import Array, logistic, softmax

_AT_ONCE = 20_000  # rows that go down the trees together


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """Trees whose leaves are added up.

    Parameters
    ----------
    start : ndarray of shape (n_outputs,)
        What the leaves are added to.
    roots : ndarray of int, shape (n_rounds, n_outputs)
        The first node of each tree.
    inputs, thresholds : ndarray of shape (n_nodes,)
        A row whose input is at most the threshold goes left.
    left, right : ndarray of int, shape (n_nodes,)
        The nodes below; a leaf is below itself.
    values : ndarray of shape (n_nodes,)
        What a leaf adds.
    depth : int
        Steps from a root to its farthest leaf, at most.
    classes : bool
        Whether the sums become probabilities.
    """

    start: Array
    roots: Array
    inputs: Array
    thresholds: Array
    left: Array
    right: Array
    values: Array
    depth: int
    classes: bool

    @classmethod
    def of(cls, grown: Any, classes: bool) -> Self:
        """Take the trees out of a fitted estimator of scikit-learn's."""
        rounds = grown._predictors
        nodes = [tree.nodes for trees in rounds for tree in trees]
        sizes = [len(each) for each in nodes]
        starts = np.cumsum([0, *sizes[:-1]])
        every = np.concatenate(nodes)
        offset, own = np.repeat(starts, sizes), np.arange(len(every))
        leaf = every["is_leaf"].astype(bool)
        return cls(
            start=np.asarray(grown._baseline_prediction, float).ravel(),
            roots=starts.reshape(len(rounds), -1).astype(np.int32),
            inputs=np.where(leaf, 0, every["feature_idx"]).astype(np.int32),
            thresholds=np.where(leaf, 0.0, every["num_threshold"]).astype(float),
            left=np.where(leaf, own, every["left"] + offset).astype(np.int32),
            right=np.where(leaf, own, every["right"] + offset).astype(np.int32),
            values=every["value"].astype(float),
            depth=int(every["depth"].max(initial=0)),
            classes=classes,
        )

    def outputs(self, inputs: Array) -> Array:
        """Return probabilities of the classes, or values, (n_rows, n_outputs)."""
        inputs = np.asarray(inputs, float)
        starts = range(0, max(len(inputs), 1), _AT_ONCE)
        sums = [self._sums(inputs[at : at + _AT_ONCE]) for at in starts]
        raw = np.concatenate(sums)
        if not self.classes:
            return raw
        if raw.shape[1] > 1:
            return softmax(raw)
        positive = logistic(raw[:, 0])
        return np.column_stack([1 - positive, positive])

    def _sums(self, inputs: Array) -> Array:
        raw = np.tile(self.start, (len(inputs), 1))
        rows = np.arange(len(inputs))
        for trees in self.roots:
            for output, root in enumerate(trees):
                node = np.full(len(inputs), root)
                for _ in range(self.depth):
                    at = inputs[rows, self.inputs[node]] <= self.thresholds[node]
                    node = np.where(at, self.left[node], self.right[node])
                raw[:, output] += self.values[node]
        return raw

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return what a model file keeps: values for JSON, and arrays."""
        plain = {"depth": self.depth, "classes": self.classes}
        arrays = {f"trees.{name}": getattr(self, name) for name in _ARRAYS}
        return plain, arrays

    @classmethod
    def from_arrays(cls, plain: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Read what `to_arrays` returned.

        Raises
        ------
        ValueError
            If the arrays are no trees.
        """
        own = {name: arrays[f"trees.{name}"] for name in _ARRAYS}
        n_nodes = len(own["values"])
        for name in ("roots", "left", "right", "inputs"):
            nodes = own[name]
            if nodes.min(initial=0) < 0 or (
                name != "inputs" and nodes.max(initial=0) >= n_nodes
            ):
                raise ValueError(f"the nodes of the trees are wrong: {name}")
        return cls(**own, depth=int(plain["depth"]), classes=bool(plain["classes"]))


_ARRAYS = "start", "roots", "inputs", "thresholds", "left", "right", "values"
