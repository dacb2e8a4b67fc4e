"""How the next trial of a search is chosen, and when one is given up.

Each trial is drawn by a sampler seeded with the search's seed and the trial's place in
the order. Which trials a random search makes then depends neither on how many run side
by side nor on how often the search was broken off and resumed.

Two samplers are ours. ``"grid"`` goes through all combinations in their order.
``"narrowing"`` is the textbook's procedure: draw at random within the ranges, train for
a few epochs, narrow the ranges to where it went well, and again (Saitoh, Deep Learning
from Scratch, section 6.5.2).
"""

import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from thalweg.core import find
from thalweg.tuning.space import Space, combinations

ROUNDS = 4
"""Times that ``"narrowing"`` draws; it narrows between them."""

_BEST = 0.2  # share of the trials that a range is narrowed to
_FEWEST = 4
_MARGIN = 0.05  # of the range, kept on either side of them

PRUNERS = {
    "median": "MedianPruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}
"""Pruners by name, and what Optuna calls them: the median of the other trials at the
same epoch; successive halving (Li et al., 2020); Hyperband (Li et al., 2018)."""

_THEIRS = {"random": "RandomSampler", "tpe": "TPESampler", "cmaes": "CmaEsSampler",
           "gp": "GPSampler"}  # fmt: skip

SAMPLERS = (*_THEIRS, "grid", "narrowing")
"""Samplers by name: Optuna's random, tree-structured Parzen estimator, CMA-ES and
Gaussian process (which needs thalweg[gp]), and ours."""

# TPE: parameters of a branch are drawn together, and away from trials under way; it
# learns sooner than Optuna's usual (10 trials), for a search does not begin by chance.
_OPTIONS: dict[str, dict[str, Any]] = {
    "cmaes": {"warn_independent_sampling": False},
    "tpe": {
        "multivariate": True, "group": True, "constant_liar": True,
        "n_startup_trials": 6,
    },
}  # fmt: skip

LEARNING = ("tpe", "cmaes", "gp")
"""Those that learn from the trials so far."""

_NEEDS = {"cmaes": ("cmaes", "search"), "gp": ("torch", "gp")}


def check_sampler(sampler: Any) -> None:
    """Raise unless `sampler` is a name, or one of Optuna's, that can be used here."""
    if not isinstance(sampler, str):
        if not hasattr(sampler, "sample_independent"):
            raise TypeError(
                f"search got sampler={sampler!r}; it must be one of "
                f"{', '.join(SAMPLERS)}, or a sampler of Optuna's."
            )
        return
    find("sampler", sampler, dict.fromkeys(SAMPLERS), owner="search")
    package, extra = _NEEDS.get(sampler, ("optuna", "search"))
    if find_spec(package) is None:
        raise ValueError(
            f"search got sampler={sampler!r}, which needs {package}. Install it with "
            f"pip install 'thalweg[{extra}]', or take sampler='tpe'."
        )


def make_pruner(pruner: Any, epochs: int) -> Any:
    """Return the pruner of a name; None never prunes."""
    from optuna import pruners

    if pruner is None:
        return pruners.NopPruner()
    if not isinstance(pruner, str):
        if not hasattr(pruner, "prune"):
            raise TypeError(
                f"search got pruner={pruner!r}; it must be one of "
                f"{', '.join(PRUNERS)}, None, or a pruner of Optuna's."
            )
        return pruner
    kind = getattr(pruners, find("pruner", pruner, PRUNERS, owner="search"))
    if pruner == "hyperband":
        return kind(min_resource=1, max_resource=max(epochs, 2))
    # The first tenth of a training says little of where it ends.
    options = {"halving": {"min_resource": 1}}
    return kind(**options.get(pruner, {"n_warmup_steps": epochs // 10}))


def make_sampler(
    sampler: Any, seed: int, index: int, n_trials: int, space: Space
) -> Any:
    """Return the sampler that draws trial number `index` (from 0).

    Parameters
    ----------
    sampler : str or optuna.samplers.BaseSampler
    seed : int
        The search's.
    index : int
    n_trials : int
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
        return _independent(_from_grid(combinations(space)[index]))
    if sampler == "narrowing":
        round_ = index // round_size(n_trials)
        return _independent(_within(round_, round_size(n_trials), own_seed))
    kind = getattr(samplers, _THEIRS[sampler])
    return kind(seed=own_seed, **_OPTIONS.get(sampler, {}))


def round_size(n_trials: int) -> int:
    """Trials of one round of narrowing."""
    return -(-n_trials // ROUNDS)


def working_range(
    values: list[tuple[float, float]], *, log: bool
) -> tuple[float, float]:
    """Return where the best fifth of some trials lie.

    Parameters
    ----------
    values : list of (float, float)
        A parameter's value, and the trial's score.
    log : bool
        Whether the margin around them is taken on a logarithmic scale.

    Returns
    -------
    (float, float)
    """
    best = sorted(values, key=lambda pair: -pair[1])[: _share(len(values))]
    turn, back = (math.log, math.exp) if log else (float, float)
    ends = [turn(value) for value, _ in best]
    margin = _MARGIN * (max(ends) - min(ends))
    return back(min(ends) - margin), back(max(ends) + margin)


def _share(count: int) -> int:
    return max(_FEWEST, math.ceil(_BEST * count))


_Draw = Callable[[Any, Any, str, Any], Any]


def _independent(draw: _Draw) -> Any:
    """Make a sampler of Optuna's that draws one parameter at a time."""
    from optuna.samplers import BaseSampler

    class Independent(BaseSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return {}

        def sample_relative(
            self, study: Any, trial: Any, search_space: Any
        ) -> dict[str, Any]:
            return {}

        def sample_independent(
            self, study: Any, trial: Any, param_name: str, param_distribution: Any
        ) -> Any:
            return draw(study, trial, param_name, param_distribution)

    return Independent()


def _from_grid(combination: dict[str, Any]) -> _Draw:
    return lambda study, trial, name, distribution: combination[name]


def _within(round_: int, size: int, seed: int) -> _Draw:
    """Draw within what the earlier rounds left of a range."""
    from optuna.samplers import RandomSampler

    sampler = RandomSampler(seed=seed)

    def draw(study: Any, trial: Any, name: str, distribution: Any) -> Any:
        done = [
            (each.params[name], each.value)
            for each in study.get_trials(deepcopy=False)
            if each.value is not None
            and name in each.params
            and each.user_attrs["index"] < round_ * size
        ]
        own = _narrowed(distribution, done) if len(done) > 1 else distribution
        return sampler.sample_independent(study, trial, name, own)

    return draw


def _narrowed(distribution: Any, done: list[tuple[Any, float]]) -> Any:
    from optuna.distributions import CategoricalDistribution

    if isinstance(distribution, CategoricalDistribution):
        best = sorted(done, key=lambda pair: -pair[1])[: _share(len(done))]
        kept = {value for value, _ in best}
        return CategoricalDistribution([c for c in distribution.choices if c in kept])
    if distribution.step not in (None, 1):
        return distribution  # too few values to narrow
    low, high = working_range(done, log=distribution.log)
    if isinstance(distribution.low, int):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, distribution.low), min(high, distribution.high)
    return type(distribution)(low, high, log=distribution.log)
