"""The optimizer that a model was compiled with, as an update rule: `KerasRule`.

Keras's own `stateless_apply` computes each update, with its clipping, averages,
accumulated gradients and loss scale. What the optimizer remembers (iterations, moments)
is where a training begins, and is written back where it ends.
"""

from typing import Any, NamedTuple

import numpy as np

from thalweg.core import Array


class KerasRule:
    """A Keras optimizer with the `init` and `update` of an optax transformation.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        Built for the variables.
    names : list of str
        Names of the trained weights, in the order of the model.
    """

    constrains = True

    def __init__(self, optimizer: Any, names: list[str]) -> None:
        self.optimizer, self.names = optimizer, names
        self.skips_nonfinite = hasattr(optimizer, "dynamic_scale")
        rate = _rate_variable(optimizer)
        places = [k for k, each in enumerate(optimizer.variables) if each is rate]
        self._rate = places[0] if places else None

    @property
    def scheduled(self) -> bool:
        """Whether there is no one number that is the learning rate.

        A schedule of Keras gives it, or several optimizers have their own.
        """
        return self._rate is None

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        if has_parts(self.optimizer):
            return 1.0
        return float(np.asarray(_inner(self.optimizer).learning_rate))

    def memory(self, rate: float | None = None) -> list[Any]:
        """Return what the optimizer remembers, perhaps with another learning rate."""
        values = [each.value for each in self.optimizer.variables]
        if rate is not None and self._rate is not None:
            values[self._rate] = np.asarray(rate, values[self._rate].dtype)
        return values

    def write_back(self, memory: list[Array], rate: float | None = None) -> None:
        """Put what was remembered into the optimizer, perhaps with its old rate."""
        for variable, value in zip(self.optimizer.variables, memory, strict=True):
            variable.assign(value)
        if rate is not None and self._rate is not None:
            self.optimizer.variables[self._rate].assign(rate)

    def rates(self, iterations: Array) -> Array:
        """Return the rates of Keras's schedule at some iterations."""
        schedule = _inner(self.optimizer)._learning_rate
        if not callable(schedule):
            return np.full(len(iterations), np.nan)
        return np.array([float(np.asarray(schedule(int(each)))) for each in iterations])

    def init(self, params: Any) -> list[Any]:
        """Return the state of the optimizer."""
        return self.memory()

    def update(self, updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        """Compute a step of the optimizer; return the changes of the weights."""
        gradient, weights = ([t[n] for n in self.names] for t in (updates, params))
        updated, state = self.optimizer.stateless_apply(state, gradient, weights)
        pairs = zip(self.names, updated, weights, strict=True)
        return {name: new - old for name, new, old in pairs}, state

    def at_factor(self, factor: Any) -> "_AtFactor":
        """Return the same rule with its learning rate multiplied."""
        return _AtFactor(self, factor)

    def scale_loss(self, state: Any, value: Any) -> Any:
        """Scale a loss as Keras does for float16."""
        from keras import StatelessScope

        pairs = [*zip(self.optimizer.variables, state, strict=True)]
        with StatelessScope(state_mapping=pairs):
            return self.optimizer.scale_loss(value)

    @property
    def place(self) -> int | None:
        """Where the learning rate is among the variables."""
        return self._rate


class _AtFactor(NamedTuple):
    rule: KerasRule
    factor: Any

    def init(self, params: Any) -> list[Any]:
        return self.rule.init(params)

    def update(self, updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        place = self.rule.place
        if place is None:
            return self.rule.update(updates, state, params)
        rate = state[place]
        state = [*state[:place], rate * self.factor, *state[place + 1 :]]
        changes, state = self.rule.update(updates, state, params)
        return changes, [*state[:place], rate, *state[place + 1 :]]


def has_parts(optimizer: Any) -> bool:
    """Whether several optimizers train parts of the weights."""
    return hasattr(optimizer, "optimizers")


def _rate_variable(optimizer: Any) -> Any:
    return None if has_parts(optimizer) else _inner(optimizer)._learning_rate


def _inner(optimizer: Any) -> Any:
    """Return the optimizer within one that scales losses."""
    return getattr(optimizer, "inner_optimizer", optimizer)
