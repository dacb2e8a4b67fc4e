"""Search spaces: ranges and choices, some of which exist only with others.

A space maps names of an estimator's parameters to the possible values of each:

- ``(low, high)`` or ``(low, high, "log")``: a range, of integers if both ends are;
- a list: choices, of any type;
- a dict: choices, each with the space that exists only with that choice;
- a frozen distribution of scipy.stats, or a distribution of Optuna's.

Optuna's storages keep numbers, strings, booleans and None. Other choices, such as
tuples of widths, are stored as their ``repr`` and converted back here.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeAlias

from sklearn.pipeline import Pipeline

from thalweg.core import check_names
from thalweg.estimators import FEW_ROWS, BaseMLP, Classifier, Ensemble, Regressor

_TAIL = 1e-6  # probability cut off at either end of a distribution
_UNSET = (None, "auto")
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True, eq=False)
class Entry:
    """The possible values of one parameter.

    Parameters
    ----------
    distribution : optuna.distributions.BaseDistribution
        Of the stored value.
    values : dict
        The estimator's value for each stored choice; empty for a range.
    branches : dict of choice to space
        The parameters that exist only with a choice.
    quantile : frozen scipy.stats distribution, optional
        If given, the stored value is a probability, and the estimator's value is the
        quantile of this distribution.
    """

    distribution: Any
    values: dict[Any, Any] = field(default_factory=dict)
    branches: dict[Any, "Space"] = field(default_factory=dict)
    quantile: Any = None

    def value(self, stored: Any) -> Any:
        """Return the estimator's value for a stored value."""
        if self.quantile is not None:
            drawn = float(self.quantile.ppf(stored))
            return int(drawn) if _counts(self.quantile) else drawn
        return self.values.get(stored, stored)

    def nearest(self, value: Any) -> Any:
        """Return the stored value nearest to an estimator's; None if there is none."""
        if _label(value) in self.values:
            return _label(value)
        if self.quantile is not None or not _is_number(value):
            return None
        if self.values:
            near = filter(_is_number, self.values)
            return min(near, key=lambda choice: abs(choice - value), default=None)
        low, high, step = (
            getattr(self.distribution, name) for name in ("low", "high", "step")
        )
        return type(low)(min(max(value, low), high)) if step in (None, 1) else None

    def bounds(self) -> dict[str, Any]:
        """Return the range or the choices, in plain values."""
        if self.values:
            return {"choices": list(self.values)}
        ends = [
            self.value(end) for end in (self.distribution.low, self.distribution.high)
        ]
        log = bool(getattr(self.distribution, "log", False))
        return {"low": ends[0], "high": ends[1], "log": log}


Space: TypeAlias = dict[str, Entry]


def read_space(space: Any, estimator: Any, n_rows: int) -> Space:
    """Read a space as the user wrote it.

    Parameters
    ----------
    space : "auto" or mapping
    estimator : estimator
        Has the parameters.
    n_rows : int
        Number of rows; "auto" adapts the batch sizes to it.

    Returns
    -------
    Space

    Raises
    ------
    ValueError, TypeError
        For an unknown parameter, an empty range, a logarithmic range that contains 0,
        or values of an unknown form.
    """
    if isinstance(space, str) and space == "auto":
        space = auto_space(estimator, n_rows)
    if not isinstance(space, Mapping) or not space:
        raise TypeError(
            f"search got space={space!r}; it must be 'auto' or a dict from parameters "
            "to their possible values, such as {'alpha': (1e-6, 1.0, 'log')}."
        )
    read = _read(space)
    names = [name for name, _ in walk(read)]
    kind = type(estimator).__name__
    check_names(f"parameter of {kind}", names, estimator.get_params(), owner="search")
    _check_repeated(read)
    return read


def auto_space(estimator: Any, n_rows: int) -> dict[str, Any]:
    """Return the automatic space of a thalweg estimator, as a user would write it.

    Raises
    ------
    ValueError
        For an estimator of another library.
    """
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        return _prefixed(auto_space(last, n_rows), name)
    if isinstance(estimator, Ensemble):
        return _prefixed(auto_space(estimator.estimator, n_rows), "estimator")
    if isinstance(estimator, BaseMLP):
        return _mlp_space(n_rows)
    if isinstance(estimator, Classifier | Regressor):
        return _table_space(n_rows)
    raise ValueError(
        f"search got space='auto' for {type(estimator).__name__}, but only thalweg's "
        "estimators have an automatic space. Give a space: {'parameter': (low, high)}."
    )


def walk(space: Space) -> Iterator[tuple[str, Entry]]:
    """Yield the parameters of all branches."""
    for name, entry in space.items():
        yield name, entry
        for branch in entry.branches.values():
            yield from walk(branch)


def suggest(space: Space, trial: Any) -> None:
    """Draw the parameters of an Optuna trial, branch by branch."""
    for name, entry in space.items():
        stored = _suggest(trial, name, entry.distribution)
        suggest(entry.branches.get(stored, {}), trial)


def starts(space: Space, estimator: Any, n_rows: int) -> list[dict[str, Any]]:
    """Return the first settings of a search, as they are stored.

    The first is the point of the space nearest to the estimator's own parameters. After
    it come settings that did well on other tables, if the space has all of their
    parameters.
    """
    usual = {"learning_rate": 1e-3, "dropout": 0.1, "max_epochs": 100}
    usual |= {"batch_size": n_rows // 40}
    names = {name: name.split("__")[-1] for name, _ in walk(space)}
    own = {name: estimator.get_params().get(name) for name in names}
    unset = {name: usual.get(names[name]) for name in own if own[name] in _UNSET}
    known = [row for row in _PROMISING if set(row) <= set(names.values())]
    fixed = {"validation_fraction": 0.0, "piecewise": True}
    promising = [{**usual, **fixed, **row} for row in known]
    wanted = [
        {name: row.get(last) for name, last in names.items()} for row in promising
    ]
    return [_nearest(space, each) for each in ({**own, **unset}, *wanted)]


def _nearest(space: Space, wanted: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, entry in space.items():
        stored = entry.nearest(wanted[name])
        if stored is not None:
            below = entry.branches.get(stored, {})
            found |= {name: stored, **_nearest(below, wanted)}
    return found


def settings(space: Space, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a trial's stored values into parameters of the estimator."""
    given = {}
    for name, entry in space.items():
        if name in stored:
            given[name] = entry.value(stored[name])
            given |= settings(entry.branches.get(stored[name], {}), stored)
    return given


def combinations(space: Space) -> list[dict[str, Any]]:
    """List all combinations of a space's values, as they are stored.

    Raises
    ------
    ValueError
        If a range has infinitely many values.
    """
    parts = [
        [
            {name: choice, **rest}
            for choice in _choices(name, entry)
            for rest in combinations(entry.branches.get(choice, {}))
        ]
        for name, entry in space.items()
    ]
    return [
        {name: value for part in parts for name, value in part.items()}
        for parts in product(*parts)
    ]


def describe(space: Space) -> dict[str, dict[str, Any]]:
    """Return the range or the choices of each parameter, in plain values."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in walk(space):
        own, known = entry.bounds(), found.get(name)
        if known and "low" in known:
            own |= {"low": min(own["low"], known["low"])}
            own |= {"high": max(own["high"], known["high"])}
        found[name] = own
    return found


def _read(space: Mapping[Any, Any]) -> Space:
    return {str(name): _entry(str(name), spec) for name, spec in space.items()}


def _entry(name: str, spec: Any) -> Entry:
    from optuna import distributions

    if isinstance(spec, distributions.CategoricalDistribution):
        return _categorical(name, list(spec.choices), {})
    if isinstance(spec, distributions.BaseDistribution):
        return Entry(spec)
    if isinstance(spec, Mapping):
        return _categorical(name, list(spec), spec)
    if isinstance(spec, list):
        return _categorical(name, spec, {})
    if isinstance(spec, tuple):
        return Entry(_range(name, spec))
    if hasattr(spec, "ppf"):
        return _frozen(name, spec)
    raise TypeError(
        f"search got space[{name!r}]={spec!r}; it must be (low, high), (low, high, "
        "'log'), a list of choices, a dict from choices to spaces, or a distribution "
        "of scipy.stats or Optuna. Set a fixed value on the estimator itself."
    )


def _categorical(name: str, choices: list[Any], branches: Mapping[Any, Any]) -> Entry:
    from optuna.distributions import CategoricalDistribution

    if not choices:
        raise ValueError(
            f"search got space[{name!r}]=[]; it must contain at least one choice."
        )
    values = {_label(choice): choice for choice in choices}
    if len(values) < len(choices):
        raise ValueError(
            f"search got space[{name!r}]={choices!r}, which contains a choice twice. "
            "List each choice once."
        )
    below = {_label(k): _read(v) for k, v in branches.items() if v}
    return Entry(CategoricalDistribution(list(values)), values, below)


def _label(choice: Any) -> Any:
    choice = choice.item() if hasattr(choice, "item") else choice
    return choice if isinstance(choice, _PLAIN) else repr(choice)


def _range(name: str, spec: tuple[Any, ...]) -> Any:
    from optuna.distributions import FloatDistribution, IntDistribution

    ends: tuple[Any, ...] = (*spec, None, None)[: max(len(spec), 2)]
    low, high, *rest = ends
    numbers = all(_is_number(end) for end in (low, high))
    if not numbers or rest not in ([], ["log"]):
        raise TypeError(
            f"search got space[{name!r}]={spec!r}; a tuple must be a range, (low, "
            "high) or (low, high, 'log'). Write choices as a list."
        )
    if not low < high or not all(math.isfinite(end) for end in (low, high)):
        raise ValueError(
            f"search got space[{name!r}]={spec!r}, an empty or infinite range; low "
            "must be below high, and both must be finite."
        )
    if rest and low <= 0:
        raise ValueError(
            f"search got space[{name!r}]={spec!r}; a logarithmic range must begin "
            "above 0. Use a small number such as 1e-8, or leave out 'log'."
        )
    whole = all(isinstance(end, int) for end in (low, high))
    return (IntDistribution if whole else FloatDistribution)(low, high, log=bool(rest))


def _is_number(value: object) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool)


def _frozen(name: str, spec: Any) -> Entry:
    """Read a distribution of scipy.stats; one that is not uniform, by its quantiles."""
    from optuna.distributions import FloatDistribution

    low, high = (float(end) for end in spec.support())
    kind = spec.dist.name
    if kind == "uniform":
        return Entry(_range(name, (low, high)))
    if kind in ("loguniform", "reciprocal"):
        return Entry(_range(name, (low, high, "log")))
    if kind == "randint":
        return Entry(_range(name, (int(low), int(high))))
    return Entry(FloatDistribution(_TAIL, 1 - _TAIL), quantile=spec)


def _counts(frozen: Any) -> bool:
    return hasattr(frozen.dist, "pmf")


def _suggest(trial: Any, name: str, distribution: Any) -> Any:
    kind = type(distribution).__name__
    if kind == "CategoricalDistribution":
        return trial.suggest_categorical(name, distribution.choices)
    draw = trial.suggest_int if kind == "IntDistribution" else trial.suggest_float
    low, high, step = distribution.low, distribution.high, distribution.step
    step = {} if step is None else {"step": step}
    return draw(name, low, high, log=distribution.log, **step)


def _choices(name: str, entry: Entry) -> list[Any]:
    if entry.values:
        return list(entry.values)
    drawn = entry.distribution
    if drawn.step is None or drawn.log or entry.quantile is not None:
        raise ValueError(
            f"search got sampler='grid' and a range for {name!r}, which has infinitely "
            "many values. List the values to try, or use sampler='random'."
        )
    count = round((drawn.high - drawn.low) / drawn.step) + 1
    return [drawn.low + k * drawn.step for k in range(count)]


def _check_repeated(space: Space) -> None:
    """Check that a name has the same kind of distribution in all branches.

    Optuna demands it.
    """
    from optuna.distributions import check_distribution_compatibility

    first: dict[str, Any] = {}
    for name, entry in walk(space):
        known = first.setdefault(name, entry.distribution)
        try:
            check_distribution_compatibility(known, entry.distribution)
        except ValueError as error:
            raise ValueError(
                f"search got {name!r} in two branches of the space, with different "
                f"kinds of values ({known}, {entry.distribution}). Give both the same "
                "choices, or ranges that are both logarithmic or both linear."
            ) from error


def _prefixed(space: Mapping[str, Any], step: str) -> dict[str, Any]:
    return {
        f"{step}__{name}": {
            choice: _prefixed(own, step) for choice, own in spec.items()
        }
        if isinstance(spec, dict)
        else spec
        for name, spec in space.items()
    }


_WIDTHS = [(32,), (64,), (128,), (256,), (64, 64), (128, 64), (128, 128), (256, 128)]
_RATE = (1e-4, 1e-1, "log")
_SCHEDULES = ["constant", "cosine", "one_cycle"]


def _batches(n_rows: int) -> list[int]:
    return [size for size in (16, 32, 64, 128, 256) if size <= max(n_rows // 4, 16)]


def _mlp_space(n_rows: int) -> dict[str, Any]:
    by_steps = {
        "learning_rate_init": _RATE,
        "schedule": _SCHEDULES,
        "batch_size": _batches(n_rows),
        "dropout": (0.0, 0.5),
        "batch_norm": {False: {"layer_norm": [False, True]}, True: {}},
    }
    return {
        "hidden_layer_sizes": _WIDTHS,
        "activation": ["relu", "tanh", "gelu"],
        "init": ["sklearn", "he_normal", "xavier"],
        "alpha": (1e-6, 10.0, "log"),
        "scale_inputs": [True, False],
        "solver": {"adam": by_steps, "sgd": by_steps, "lbfgs": {}},
    }


def _table_space(n_rows: int) -> dict[str, Any]:
    by_steps = {
        "learning_rate": (3e-4, 3e-2, "log"),
        "schedule": _SCHEDULES,
        "batch_size": _batches(n_rows),
        "dropout": (0.0, 0.5),
    }
    validated = {"validation_fraction": [0.15, 0.0]} if n_rows >= FEW_ROWS else {}
    return {
        "hidden_layer_sizes": _WIDTHS,
        "activation": ["relu", "tanh", "gelu"],
        "piecewise": [True, False],
        "l2": (1e-2, 1e2, "log"),
        "max_epochs": (15, 150, "log"),
        **validated,
        "optimizer": {"adam": by_steps, "nesterov": by_steps, "lbfgs": {}},
    }


# Chosen by hand, and rounded, from the best 16 of 126 random settings on ten tables
# that the benchmark of the search does not use: numbers 78, 52, 74, 110, 118 and 35,
# without their batch sizes. `python -m benchmarks.starts` shows them.
_PROMISING = [
    dict(zip(("hidden_layer_sizes", "activation", "l2", "max_epochs", "optimizer",
              "learning_rate", "schedule", "dropout"), row, strict=True))
    for row in [
        ((256,), "relu", 13.0, 50, "nesterov", 0.014, "cosine", 0.3),
        ((128, 64), "relu", 4.0, 20, "nesterov", 0.006, "one_cycle", 0.25),
        ((128,), "relu", 20.0, 100, "lbfgs", 0.0, "constant", 0.0),
        ((256, 128), "tanh", 0.25, 26, "adam", 0.003, "cosine", 0.4),
        ((32,), "gelu", 2.0, 45, "nesterov", 0.008, "constant", 0.3),
        ((256,), "relu", 4.0, 140, "adam", 0.01, "one_cycle", 0.4),
    ]
]  # fmt: skip
