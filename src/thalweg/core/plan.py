"""What to train and how, as frozen data: loss, penalties, optimizer, schedule, stops.

A `Plan` only describes. The engines compute losses and updates from it; the schedules
and the links from a network's output to a prediction are plain NumPy functions here,
so that every engine is given the same learning rates.

The objective of a batch of rows i with weights w is::

    Σ w_i loss(output_i, y_i) / Σ w_i  +  (l2/2 Σ W² + l1 Σ |W|) / divisor

where W are the trained weight matrices (no biases, no normalization, none of a frozen
layer, a shared one once), a loss is one number a row, summed over outputs, and the
divisor is the sum of the weights of the whole sample (``penalty_scale="sample"``), of
the batch (``"batch"``, scikit-learn's) or 1 (``"none"``, Keras's).

One step, in every engine:

1. the objective and its gradient g on the batch; if the objective or the norm of g is
   not finite, training stops here, with the weights as they were;
2. with ``accumulate`` k, the mean of k batches' gradients goes on at every k-th step,
   and nothing below happens at the others;
3. g is clipped by value, then by norm;
4. the optimizer's rule gives the update u, the learning rate and its sign included;
5. decoupled decay: u ← u − rate · decay · W for the trained weight matrices, with the
   epoch's factor of the decay;
6. u of layer i is multiplied by ``layer_rates[i]``, and added to the parameters (if its
   norm is not finite, training stops with the parameters as they were);
7. each constrained layer's weights are projected;
8. the average moves towards the parameters, by the step's mixing factor.

The learning rate of a step is the plan's, times `rate_factors`, times what the loop
made of it (``plateau``, ``adaptive``). Weight decay and dropout change between epochs,
by `strength_factors`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any

import numpy as np

from thalweg.core.checks import check_flag, naming
from thalweg.core.losses import LOSSES
from thalweg.core.optimizers import (
    DEFAULT_RATES,
    FULL_BATCH,
    ON_DEVICE,
    choose_optimizer,
    optimizer_name,
)
from thalweg.core.registry import (
    Choice,
    ChoiceField,
    Interval,
    Spec,
    check_names,
    check_number,
    check_word,
    plain_number,
    shown,
)
from thalweg.core.schedules import AVERAGES, FACTORS, SCHEDULES, STRENGTHS, Clock
from thalweg.core.serialization import Record
from thalweg.core.types import Array

_POSITIVE = Interval("(0, inf)")
_NONNEGATIVE = Interval("[0, inf)")


@dataclass(frozen=True)
class Plan(Record):
    """How to train a network.

    Parameters
    ----------
    loss : str, (str, dict) or callable
        One of `LOSSES`, or a function ``(output, target) -> losses`` of jax.numpy
        arrays (batch, n_outputs) that returns (batch,).
    optimizer : str, (str, dict) or optax.GradientTransformation
        One of `OPTIMIZERS` or of `FULL_BATCH`. A transformation has its own rate
        inside; ours then multiplies it, so leave `learning_rate` alone.
    learning_rate : float or None
        None takes `DEFAULT_RATES`, and 1 for a transformation.
    schedule : str, (str, dict) or callable
        One of `SCHEDULES`, or a function from the update's number (from 0) to the
        factor that the learning rate is multiplied by.
    warmup : int
        Updates over which the rate grows linearly to its full value.
    epochs : int
        Most passes over the data, or iterations of a full-batch method.
    batch_size : int, "auto" or None
        Rows of one update; None for all of them, "auto" for 200 at the most.
    shuffle : bool
        Whether the order of the rows is drawn anew for each epoch.
    l1, l2 : float
        Penalties on the weight matrices, as in this module's docstring.
    penalty_scale : {"sample", "batch", "none"}
        What the penalties are divided by. With "sample" they mean the same for every
        optimizer and batch size.
    weight_decay : float
        Decoupled decay of the weight matrices: each update subtracts
        ``rate * weight_decay * W`` (Loshchilov & Hutter, 2019).
    weight_decay_schedule, dropout_schedule : str, (str, dict) or callable
        How the weight decay, and each layer's share of dropout, change between epochs:
        as `schedule`, but for ``plateau`` and ``adaptive``. An epoch has the factor of
        its first update.
    clip_norm, clip_value : float or None
        Largest norm of the whole gradient; largest size of one of its entries.
    accumulate : int
        Batches whose gradients are averaged for one update.
    layer_rates : tuple of float or None
        One factor a layer for the learning rate.
    average : str or (str, dict)
        One of `AVERAGES`: the weights that are validated and returned.
    patience : int or None
        Epochs without an improvement by more than `tol` after which training stops
        (it stops at the one after, as scikit-learn does); None never stops.
    tol : float
        The improvement that counts.
    monitor : {"auto", "loss", "score", "training"}
        What is watched on the validation data; "auto" is the score where a scorer was
        given and the loss otherwise. Without validation data, and with "training", it
        is the training loss: validation data are then recorded, and change nothing.
    restore_best : bool
        Whether the weights of the best epoch on validation data are returned.
    max_time : float or None
        Seconds after which no epoch is begun.
    dtype : {"float32", "float64"} or None
        What is computed in; None for X's own type, float32 if that is not floating.
    bounds : (low, high) or None
        Bounds of the weights (not of biases), for the full-batch methods that have
        them: lbfgs, tnc, powell, nelder-mead. None in their place for no bound.

    Raises
    ------
    ValueError, TypeError
        Naming the parameter, what it got and what is allowed.
    """

    loss: ChoiceField[Spec, Choice] = ChoiceField("squared", LOSSES)
    optimizer: ChoiceField[Any, Choice] = ChoiceField("adam", choose_optimizer)
    learning_rate: float | None = None
    schedule: ChoiceField[Spec, Choice] = ChoiceField("constant", SCHEDULES)
    warmup: int = 0
    epochs: int = 200
    batch_size: int | str | None = "auto"
    shuffle: bool = True
    l1: float = 0.0
    l2: float = 0.0
    penalty_scale: str = "sample"
    weight_decay: float = 0.0
    weight_decay_schedule: ChoiceField[Spec, Choice] = ChoiceField(
        "constant", STRENGTHS
    )
    dropout_schedule: ChoiceField[Spec, Choice] = ChoiceField("constant", STRENGTHS)
    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    layer_rates: tuple[float, ...] | None = None
    average: ChoiceField[Spec, Choice] = ChoiceField("none", AVERAGES)
    patience: int | None = None
    tol: float = 1e-4
    monitor: str = "auto"
    restore_best: bool = True
    max_time: float | None = None
    dtype: str | None = None
    bounds: tuple[float | None, float | None] | None = None

    def __post_init__(self) -> None:
        for name in (*_RANGES, *_FLAGS):
            object.__setattr__(self, name, plain_number(getattr(self, name)))
        for name in _FLAGS:
            check_flag(name, getattr(self, name), owner="Plan")
        if self.layer_rates is not None:
            self._check_layer_rates()
        self._check_numbers()
        for name, options in _WORDS.items():
            check_word(name, getattr(self, name), options, owner="Plan")
        if self.full_batch or self.on_device:
            self._check_full_batch()
        if self.bounds is not None:
            self._check_bounds()
        if self.schedule.name == "adaptive" and self.patience is None:
            raise ValueError(
                "Plan got schedule='adaptive' and patience=None, which would never cut "
                "the rate. Give patience, the epochs to wait for an improvement."
            )

    def __str__(self) -> str:
        """Every setting that is in force, in words."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return ", ".join(
            f"{name.replace('_', ' ')} {value}"
            for name, value in given.items()
            if value is not None
        )

    def _check_numbers(self) -> None:
        for name, allowed in _RANGES.items():
            value: Any = getattr(self, name)
            if (value is None and name in _OPTIONAL) or (
                name == "batch_size" and value == "auto"
            ):
                continue
            check_number(name, value, allowed, owner="Plan")
            if name in _WHOLE and value is not None and value != int(value):
                raise ValueError(
                    f"Plan got {name}={value!r}; it must be a whole number."
                )

    def _check_layer_rates(self) -> None:
        given, allowed = self.layer_rates, Interval("[0, inf)")
        several = isinstance(given, tuple | list | np.ndarray)
        if not several or not all(each in allowed for each in given):
            raise ValueError(
                f"Plan got layer_rates={shown(given)}; it must be a sequence with one "
                "number of at least 0 for each layer, or None."
            )
        object.__setattr__(self, "layer_rates", tuple(map(float, given)))

    def _check_full_batch(self) -> None:
        method = self.optimizer.label
        for name, (default, why) in _FIRST_ORDER_ONLY.items():
            value = getattr(self, name)
            given = value.name if isinstance(value, Choice) else value
            if given != default:
                raise ValueError(
                    f"Plan got {name}={value!r} with optimizer={method!r}, which does "
                    f"not use it: {why}. Leave it out, or use a first-order "
                    "optimizer such as 'adam'."
                )

    def _check_bounds(self) -> None:
        method = self.optimizer.label
        if method not in _BOUNDED:
            raise ValueError(
                f"Plan got bounds, but optimizer={method!r} does not support bounds. "
                f"Use one of {', '.join(_BOUNDED)}, or constrain the layers "
                "(Dense(constraint=...))."
            )
        pair = self.bounds if isinstance(self.bounds, tuple | list) else ()
        free = zip(pair, (-np.inf, np.inf), strict=False)
        ends = [end if each is None else each for each, end in free]
        numbers = all(isinstance(end, Real) for end in ends)
        if len(pair) != 2 or not numbers or not ends[0] < ends[1]:
            raise ValueError(
                f"Plan got bounds={self.bounds!r}; they must be (low, high), low < "
                "high, None for no bound."
            )

    @classmethod
    def of(cls, plan: "Plan | None" = None, **settings: Any) -> "Plan":
        """Return `plan` (or the default one) with `settings` put in.

        Raises
        ------
        ValueError
            For a setting that is no field of Plan, with the nearest suggested.
        """
        if plan is not None and not isinstance(plan, Plan):
            raise TypeError(
                f"plan is {shown(plan)}; it must be a thalweg.Plan or None. Give "
                "single settings by their names, such as epochs=20."
            )
        names = [f.name for f in fields(cls)]
        check_names("setting of a Plan", settings, names, owner="Plan")
        return replace(plan, **settings) if plan is not None else cls(**settings)

    @property
    def first_order(self) -> bool:
        """Whether it takes steps on batches, at a learning rate."""
        return not (self.full_batch or self.on_device)

    @property
    def full_batch(self) -> bool:
        """Whether the optimizer is a full-batch method."""
        return self.optimizer.name in FULL_BATCH

    @property
    def on_device(self) -> bool:
        """Whether the optimizer is the full-batch method that runs as a step."""
        return self.optimizer.name == ON_DEVICE

    @property
    def scheduled(self) -> bool:
        """Whether weight decay or dropout changes between epochs."""
        both = self.weight_decay_schedule, self.dropout_schedule
        return any(each.name != "constant" for each in both)

    @property
    def rate(self) -> float:
        """The learning rate before any schedule."""
        if self.learning_rate is not None:
            return float(self.learning_rate)
        name = self.optimizer.name
        return DEFAULT_RATES.get(name, 1e-3) if isinstance(name, str) else 1.0

    @property
    def decay(self) -> float:
        """Decoupled weight decay: the plan's own and that of ``adamw``."""
        constants = dict(self.optimizer.constants)
        return float(self.weight_decay + (constants.get("weight_decay") or 0.0))


_RANGES = {
    **dict.fromkeys(
        ("learning_rate", "clip_norm", "clip_value", "max_time"), _POSITIVE
    ),
    **dict.fromkeys(("l1", "l2", "weight_decay", "tol"), _NONNEGATIVE),
    **dict.fromkeys(("warmup", "patience"), _NONNEGATIVE),
    **dict.fromkeys(("epochs", "batch_size", "accumulate"), Interval("[1, inf)")),
}
_FLAGS = "shuffle", "restore_best"
_WHOLE = {"warmup", "epochs", "batch_size", "accumulate", "patience"}
_OPTIONAL = {
    "learning_rate", "batch_size", "clip_norm", "clip_value", "patience", "max_time",
}  # fmt: skip
_ITS_OWN_STEP = "it chooses its step by itself"
_ALL_ROWS = "it sees all rows at once"
_SAME_OBJECTIVE = "it minimizes one objective, in which nothing is dropped"
_EXACT = "it needs the objective's own gradient"
_FIRST_ORDER_ONLY: dict[str, tuple[Any, str]] = {
    "learning_rate": (None, _ITS_OWN_STEP),
    "schedule": ("constant", _ITS_OWN_STEP),
    "warmup": (0, _ITS_OWN_STEP),
    "layer_rates": (None, _ITS_OWN_STEP),
    "weight_decay_schedule": ("constant", "it has no decay"),
    "dropout_schedule": ("constant", _SAME_OBJECTIVE),
    "weight_decay": (0.0, "decay would not be part of what it minimizes; use l2"),
    "clip_norm": (None, _EXACT),
    "clip_value": (None, _EXACT),
    "accumulate": (1, _ALL_ROWS),
    "average": ("none", "its last weights are its best"),
}
_BOUNDED = ("lbfgs", "tnc", "powell", "nelder-mead")
_WORDS = {
    "penalty_scale": ("sample", "batch", "none"),
    "monitor": ("auto", "loss", "score", "training"),
    "dtype": (None, "float32", "float64"),
}


def phases(plan: Plan | None, settings: Mapping[str, Any]) -> list[Plan]:
    """Return one plan a phase, where ``optimizer`` is a list of them.

    ``epochs`` may be a list of the same length. What a full-batch method has no use
    for, such as a learning rate, holds for the other phases alone.

    Raises
    ------
    ValueError
        If there is no phase, or `epochs` has another length.
    """
    optimizers, epochs = settings.get("optimizer"), settings.get("epochs")
    if not isinstance(optimizers, list) or _is_pair(optimizers):
        return [Plan.of(plan, **settings)]
    if not optimizers or (isinstance(epochs, list) and len(epochs) != len(optimizers)):
        raise ValueError(
            f"fit got optimizer={optimizers!r} and epochs={epochs!r}; a list of phases "
            "needs at least one optimizer, and as many epochs if these are a list."
        )
    plans = []
    for index, optimizer in enumerate(optimizers):
        own = {**settings, "optimizer": optimizer}
        if isinstance(epochs, list):
            own["epochs"] = epochs[index]
        if optimizer_name(optimizer) in (*FULL_BATCH, ON_DEVICE):
            own = {k: v for k, v in own.items() if k not in _FIRST_ORDER_ONLY}
        plans.append(Plan.of(plan, **own))
    return plans


def _is_pair(spec: list[Any]) -> bool:
    return len(spec) == 2 and isinstance(spec[1], Mapping)


def steps_per_epoch(plan: Plan, n_rows: int) -> int:
    """Batches of one epoch over `n_rows` rows, the last perhaps smaller."""
    return -(-n_rows // batch_rows(plan, n_rows))


def batch_rows(plan: Plan, n_rows: int) -> int:
    """Rows of one full batch: ``batch_size``, or the whole sample where smaller."""
    if plan.batch_size is None or plan.on_device:
        return n_rows
    most = 200 if isinstance(plan.batch_size, str) else plan.batch_size
    return min(most, n_rows)


def rate_factors(plan: Plan, first: int, count: int, n_rows: int) -> Array:
    """Factors of the learning rate for `count` batches, the first numbered `first`.

    Schedules and the warm-up count updates: with ``accumulate`` k, the k batches of an
    update have the factor of that update.

    Parameters
    ----------
    plan : Plan
    first : int
        Number of batches already done in this training.
    count : int
    n_rows : int
        Rows of the training data.

    Returns
    -------
    ndarray of shape (count,), float64
        1 throughout for ``plateau`` and ``adaptive``, which the loop steers.
    """
    updates = np.arange(first, first + count) // plan.accumulate
    factors = _factors("schedule", plan, updates, n_rows)
    if plan.warmup:
        factors = factors * np.minimum(1.0, (updates + 1) / plan.warmup)
    return np.asarray(factors, float)


def _factors(name: str, plan: Plan, updates: Array, n_rows: int) -> Array:
    """Return what a schedule, a field of the plan, multiplies by at some updates."""
    schedule: Choice = getattr(plan, name)
    if callable(schedule.name):
        with naming(name, owner="Plan"):
            numbers, of = np.unique(updates, return_inverse=True)
            factors = np.array([float(schedule.name(int(step))) for step in numbers])
            return factors[of]
    if schedule.name not in FACTORS:
        return np.ones(len(updates))
    per_epoch = steps_per_epoch(plan, n_rows)
    total = max(plan.epochs * per_epoch // plan.accumulate, 1)
    # An update belongs to the epoch of its last batch, in which it is applied.
    applied = (updates + 1) * plan.accumulate - 1
    clock = Clock(
        updates, applied // per_epoch, per_epoch / plan.accumulate, total, n_rows
    )
    return FACTORS[schedule.name](clock, **dict(schedule.constants))


def strength_factors(plan: Plan, first: int, n_rows: int) -> tuple[float, float]:
    """Factors of the weight decay and of dropout in the epoch of a batch.

    Parameters
    ----------
    plan : Plan
    first : int
        Number of batches already done in this training.
    n_rows : int
        Rows of the training data.

    Raises
    ------
    ValueError
        If a factor is not a finite number of at least 0.
    """
    update = np.array([first // plan.accumulate])
    found = []
    for name in ("weight_decay_schedule", "dropout_schedule"):
        factor = float(_factors(name, plan, update, n_rows)[0])
        if not 0 <= factor < np.inf:
            raise ValueError(
                f"Plan got a {name} that gives {factor!r} for update {first}; a factor "
                "must be a finite number of at least 0."
            )
        found.append(factor)
    return found[0], found[1]


def mixing_factors(plan: Plan, first: int, count: int, n_rows: int) -> Array:
    """How far each update moves the averaged weights towards the new ones.

    ``average += factor * (weights - average)``: 1 copies the weights. For ``ema`` the
    factor is (1−d)/(1−dᵗ), which is the bias-corrected average (Kingma & Ba, 2015,
    section 3); for ``polyak`` it is 1/k for the k-th update of the average.
    """
    done = np.arange(first + 1, first + count + 1) // plan.accumulate
    done = np.maximum(done, 1).astype(float)
    average = plan.average
    if average.name == "ema":
        decay = float(average["decay"] or 0.0)
        return (1 - decay) / (1 - decay**done)
    if average.name == "polyak":
        epochs_before = np.floor(float(average["start"] or 0.0) * plan.epochs)
        start = epochs_before * steps_per_epoch(plan, n_rows) // plan.accumulate
        return 1 / np.maximum(done - start, 1)
    return np.ones(count)
