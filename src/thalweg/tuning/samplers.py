"""How a search chooses its next trial, and when it prunes one.

Each trial is drawn by a sampler of its own, seeded with the search's seed and the
trial's place in the order. The trials of a random search therefore depend neither on
how many run at once nor on how often the search was interrupted and resumed.

The samplers are Optuna's. For ``"grid"``, the parameters are fixed to one combination
after the other. ``"narrowing"`` adds a textbook's procedure to Optuna's random sampler:
draw within the ranges, train for a few epochs, narrow the ranges to where the best
trials lie, and repeat (Saitoh, Deep Learning from Scratch, section 6.5.2).
"""

import math
from importlib.util import find_spec
from typing import Any

import numpy as np

from thalweg.core import find
from thalweg.tuning.space import Space, combinations

ROUNDS = 4
"""How many rounds ``"narrowing"`` draws; it narrows the ranges between them."""

_BEST_SHARE = 0.2  # of the trials, which a range is narrowed to
_FEWEST_BEST = 4
_MARGIN = 0.05  # of their range, added on either side

PRUNERS = {
    "median": "MedianPruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}
"""Pruners by name, with Optuna's class: worse than the median of the other trials at
the same epoch; successive halving (Li et al., 2020); Hyperband (Li et al., 2018)."""

_CLASSES = {"random": "RandomSampler", "tpe": "TPESampler", "cmaes": "CmaEsSampler",
            "gp": "GPSampler"}  # fmt: skip

SAMPLERS = (*_CLASSES, "grid", "narrowing")
"""Samplers by name: random, tree-structured Parzen estimator, CMA-ES, Gaussian process
(which needs thalweg[gp]), grid and narrowing."""

# TPE draws the parameters of a branch together, and away from trials that still run. It
# begins to learn after 6 trials rather than Optuna's 10, because the first trials of a
# search are not random (`thalweg.tuning.space.starts`).
_OPTIONS: dict[str, dict[str, Any]] = {
    "cmaes": {"warn_independent_sampling": False},
    "tpe": {
        "multivariate": True, "group": True, "constant_liar": True,
        "n_startup_trials": 6,
    },
}  # fmt: skip

LEARNING = ("tpe", "cmaes", "gp")
"""Samplers that learn from the trials so far."""

_NEEDS = {"cmaes": ("cmaes", "search"), "gp": ("torch", "gp")}


def check_sampler(sampler: Any) -> None:
    """Check a sampler.

    Raises
    ------
    TypeError
        If it is neither a name nor a sampler of Optuna's.
    ValueError
        If the name is unknown, or the sampler's package is not installed.
    """
    if not isinstance(sampler, str):
        if not hasattr(sampler, "sample_independent"):
            raise TypeError(
                f"search got sampler={sampler!r}; it must be one of "
                f"{', '.join(SAMPLERS)}, or an optuna.samplers.BaseSampler."
            )
        return
    find("sampler", sampler, dict.fromkeys(SAMPLERS), owner="search")
    package, extra = _NEEDS.get(sampler, ("optuna", "search"))
    if find_spec(package) is None:
        raise ValueError(
            f"search got sampler={sampler!r}, which needs {package}. Install it with "
            f"pip install 'thalweg[{extra}]', or use sampler='tpe'."
        )


def make_pruner(pruner: Any, epochs: int) -> Any:
    """Return the pruner with a name; None never prunes.

    Parameters
    ----------
    pruner : str, optuna.pruners.BasePruner or None
    epochs : int
        Of a trial.

    Returns
    -------
    optuna.pruners.BasePruner

    Raises
    ------
    TypeError, ValueError
        If there is no such pruner.
    """
    from optuna import pruners

    if pruner is None:
        return pruners.NopPruner()
    if not isinstance(pruner, str):
        if not hasattr(pruner, "prune"):
            raise TypeError(
                f"search got pruner={pruner!r}; it must be one of "
                f"{', '.join(PRUNERS)}, None, or an optuna.pruners.BasePruner."
            )
        return pruner
    kind = getattr(pruners, find("pruner", pruner, PRUNERS, owner="search"))
    if pruner == "hyperband":
        return kind(min_resource=1, max_resource=max(epochs, 2))
    # The first tenth of a training says little about its end.
    options = {"halving": {"min_resource": 1}}
    return kind(**options.get(pruner, {"n_warmup_steps": epochs // 10}))


def make_sampler(
    sampler: Any, seed: int, index: int, n_trials: int, space: Space
) -> Any:
    """Return the sampler that draws one trial.

    Parameters
    ----------
    sampler : str or optuna.samplers.BaseSampler
    seed : int
        Of the search.
    index : int
        The trial's place in the order, from 0.
    n_trials : int
        Of the search.
    space : Space

    Returns
    -------
    optuna.samplers.BaseSampler
    """
    from optuna import samplers

    if not isinstance(sampler, str):
        return sampler
    own_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0] >> 1)
    if sampler == "grid":
        every = combinations(space)
        # Of two runners on one storage, each may have asked for the last trial.
        fixed = every[index % len(every)]
        return samplers.PartialFixedSampler(fixed, samplers.RandomSampler(own_seed))
    if sampler == "narrowing":
        size = round_size(n_trials)
        return _narrowing_sampler(own_seed, n_before=index // size * size)
    kind = getattr(samplers, _CLASSES[sampler])
    return kind(seed=own_seed, **_OPTIONS.get(sampler, {}))


def round_size(n_trials: int) -> int:
    """Return the number of trials in one round of narrowing."""
    return -(-n_trials // ROUNDS)


def working_range(
    values: list[tuple[float, float]], *, log: bool
) -> tuple[float, float]:
    """Return the range of a parameter in the best fifth of some trials.

    Parameters
    ----------
    values : list of (float, float)
        The parameter's value and the score of each trial.
    log : bool
        Whether the margin around the range is computed on a logarithmic scale.

    Returns
    -------
    (float, float)
    """
    scale, unscale = (math.log, math.exp) if log else (float, float)
    scaled = [scale(value) for value in _best(values)]
    margin = _MARGIN * (max(scaled) - min(scaled))
    return unscale(min(scaled) - margin), unscale(max(scaled) + margin)


def _best(values: list[tuple[Any, float]]) -> list[Any]:
    """Return a parameter's values in the best fifth of some trials."""
    count = max(_FEWEST_BEST, math.ceil(_BEST_SHARE * len(values)))
    ranked = sorted(values, key=lambda pair: -pair[1])
    return [value for value, _ in ranked[:count]]


def _narrowing_sampler(seed: int, n_before: int) -> Any:
    """Return a random sampler within the ranges that earlier rounds have narrowed.

    Parameters
    ----------
    seed : int
    n_before : int
        How many trials the earlier rounds have.
    """
    from optuna.samplers import RandomSampler

    class NarrowingSampler(RandomSampler):  # here, because Optuna is imported lazily
        def sample_independent(
            self, study: Any, trial: Any, param_name: str, param_distribution: Any
        ) -> Any:
            earlier = [
                (each.params[param_name], each.value)
                for each in study.get_trials(deepcopy=False)
                if each.value is not None
                and param_name in each.params
                and each.user_attrs["index"] < n_before
            ]
            if len(earlier) > 1:
                param_distribution = _narrowed(param_distribution, earlier)
            return super().sample_independent(
                study, trial, param_name, param_distribution
            )

    return NarrowingSampler(seed)


def _narrowed(distribution: Any, earlier: list[tuple[Any, float]]) -> Any:
    from optuna.distributions import CategoricalDistribution

    if isinstance(distribution, CategoricalDistribution):
        kept = set(_best(earlier))
        return CategoricalDistribution([c for c in distribution.choices if c in kept])
    if distribution.step not in (None, 1):
        return distribution  # too few values to narrow
    low, high = working_range(earlier, log=distribution.log)
    if isinstance(distribution.low, int):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, distribution.low), min(high, distribution.high)
    return type(distribution)(low, high, log=distribution.log)
