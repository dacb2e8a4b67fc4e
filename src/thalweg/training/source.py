"""The rows that `fit` trains on, prepared: at hand, or streamed.

A source knows what is computed in, holds validation data out, and trains. `fit` has one
path for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from thalweg import engines
from thalweg.core import Data, DenseNetwork, Network, Plan, Run
from thalweg.training.checkpoint import Part
from thalweg.training.data import as_data, is_stream, split
from thalweg.training.monitor import TrainingMonitor
from thalweg.training.phases import train_phases
from thalweg.training.streaming import open_stream


class Source(Protocol):
    """The rows that `fit` trains a network on, wherever they are."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """What is computed in."""
        ...

    def identity(self) -> Any:
        """Return what a checkpoint is of: the plans, and what tells the rows."""
        ...

    def hold_out(
        self, validation: Any, rng: np.random.RandomState
    ) -> "tuple[Source, Data | None]":
        """Return the rows to train on and the validation data, if any are asked for."""
        ...

    def train(
        self,
        first: Any,
        rng: np.random.RandomState,
        monitor: TrainingMonitor,
        engine: str,
        part: Part | None = None,
    ) -> Run:
        """Train from the first parameters on, or from what `part` found."""
        ...


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that are all at hand."""

    network: DenseNetwork | Network
    plans: Sequence[Plan]
    data: Data

    @property
    def dtype(self) -> np.dtype[Any]:
        """What is computed in."""
        return self.data.dtype

    def identity(self) -> tuple[Sequence[Plan], Data]:
        """Return what a checkpoint is of: the plans and the rows."""
        return self.plans, self.data

    def hold_out(
        self, validation: Any, rng: np.random.RandomState
    ) -> "tuple[Rows, Data | None]":
        """Return the rows to train on and the validation data, if any are asked for."""
        data, held_out = split(self.network, self.plans[0], self.data, validation, rng)
        return replace(self, data=data), held_out

    def train(
        self,
        first: Any,
        rng: np.random.RandomState,
        monitor: TrainingMonitor,
        engine: str,
        part: Part | None = None,
    ) -> Run:
        """Train by one plan after the other."""
        trainer, _ = engines.pick(engine, self.network, self.plans[0])
        trainer.examine(self.network, self.plans, self.data, first)
        given = self.network, self.plans, self.data, first
        return train_phases(*given, rng, monitor, engine, part)


def prepare(
    network: DenseNetwork | Network,
    plans: Sequence[Plan],
    X: Any,
    y: Any,
    sample_weight: Any = None,
    class_weight: Any = None,
) -> Source:
    """Check what `fit` was given to train on: rows at hand, or a stream of them."""
    if is_stream(X, y):
        return open_stream(network, plans, X, y, sample_weight, class_weight)
    data = as_data(network, plans[0], X, y, sample_weight, class_weight)
    if not data.weights.any():
        raise ValueError(
            "sample_weight and class_weight together are zero for every row; nothing "
            "could be learned."
        )
    return Rows(network, plans, data)
