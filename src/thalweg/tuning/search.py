"""Search for the parameters that no gradient reaches: widths, rates, penalties.

Optuna chooses and keeps the trials, joblib spreads them, and `thalweg.tuning.runner`
stands between the two. Here is what a user calls, and what is made of the trials.

The best of a hundred scores is better than it deserves: it was chosen for its luck too.
So the best setting is trained again with other seeds on other divisions of the rows,
and both figures are given. Rows kept back from `search` altogether tell most.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer_names

from thalweg.core import Interval, check_names, check_number
from thalweg.training import run_all
from thalweg.tuning.result import SearchResult, SearchTrial
from thalweg.tuning.runner import Callback, SearchRunner, Workers, find_crew
from thalweg.tuning.samplers import LEARNING, check_sampler, make_pruner, working_range
from thalweg.tuning.space import combinations, describe, read_space, settings, starts
from thalweg.tuning.splits import divide, divide_by
from thalweg.tuning.storage import (
    facts_of,
    open_study,
    portable,
    quiet,
    record,
    understood,
    was_lost,
)
from thalweg.tuning.trial import (
    Task,
    TrialHandle,
    TrialResult,
    can_stop,
    epochs_of,
    prepared,
    try_settings,
)

_TELLING = 20  # trials from which something can be said of parameters
_METRICS = {True: "accuracy", False: "R2"}


def search(
    estimator: Any,
    space: Any,
    X: Any,
    y: Any,
    *,
    n_trials: int | None = 100,
    timeout: float | None = None,
    validation: float | tuple[Any, Any] = 0.2,
    cv: Any = None,
    scoring: str | Callable[..., float] | None = None,
    sampler: Any = "tpe",
    pruner: Any = None,
    epochs: int | None = None,
    storage: str | Path | Any = None,
    study_name: str = "search",
    n_jobs: int | None = None,
    repeats: int = 5,
    nested: Any = None,
    refit: bool = True,
    random_state: int | None = None,
    callbacks: Sequence[Callback] = (),
) -> SearchResult:
    """Search for the best parameters of an estimator.

    Parameters
    ----------
    estimator : estimator
        Any of thalweg's or scikit-learn's, a Pipeline too (``step__parameter``).
    space : "auto" or dict
        Parameters with what they may be: ``(low, high)``, ``(low, high, "log")``, a
        list of choices, a dict of choices with the space that exists for each, or a
        distribution of scipy.stats or Optuna. "auto" suits thalweg's own estimators.
    X, y : as for the estimator
        Without the rows to test on: those do not belong into a search.
    n_trials : int or None
        Trials in all, those of an earlier search in `storage` included; None for as
        many as the time allows.
    timeout : float or None
        Seconds after which no trial is begun, and trials of thalweg's networks are cut
        short. Estimating and refitting come on top.
    validation : float or (X_val, y_val)
        Share of the rows that trials are scored on, or the rows themselves.
    cv : int, splitter or None
        Folds to score by in its place.
    scoring : str, callable or None
        scikit-learn's; the estimator's own score if None.
    sampler : {"tpe", "random", "grid", "cmaes", "gp", "narrowing"} or Optuna sampler
        "tpe", "cmaes" and "gp" begin with the estimator as it is, where `space` has it,
        and in the automatic space of a table with what did well on others.
    pruner : {"median", "halving", "hyperband"}, Optuna pruner or None
        Gives up hopeless trials of thalweg's networks between epochs.
    epochs : int or None
        Epochs of a trial, or iterations, at most; the estimator's own if None, and a
        quarter of them for "narrowing". The result is fitted with the estimator's own.
    storage : path, URL, Optuna storage or None
        A file that ends in .db (SQLite) or .journal, or a database. A search that was
        broken off goes on from there.
    study_name : str
        Tells searches in one storage apart.
    n_jobs : int or None
        Trials side by side, in threads, or as `joblib.parallel_config` says: "loky",
        "dask" or "ray". None takes what that says, and otherwise all processors. A
        random search makes the same trials whatever their number; others repeat theirs
        with 1.
    repeats : int
        Fresh seeds and divisions that the best setting is estimated with; 0 for none.
    nested : int, splitter or None
        Folds of nested cross-validation: a whole search for each.
    refit : bool
        Whether the best setting is fitted on all rows: with the estimator's own
        `random_state`, or the search's where it has none.
    random_state : int or None
        None takes the one in `storage`, or draws one.
    callbacks : sequence of callable
        Each is given the `SearchTrial` after each trial; True ends the search.

    Returns
    -------
    SearchResult

    Raises
    ------
    ValueError, TypeError
        Naming the parameter, what it got and what is allowed; or, if every trial
        failed, the cause of the first.

    Examples
    --------
    >>> import thalweg as tw
    >>> from thalweg.datasets import moons
    >>> X, y = moons(100)
    >>> model = tw.MLPClassifier((8,), solver="lbfgs", max_iter=50)
    >>> found = tw.search(
    ...     model, {"alpha": (1e-5, 1.0, "log")}, X, y, n_trials=5, random_state=0
    ... )
    >>> len(found.trials), 1e-5 <= found.best_params["alpha"] <= 1
    (5, True)
    """
    given = {k: v for k, v in locals().items() if k not in ("X", "y", "nested")}
    _check(n_trials, timeout, repeats, sampler)
    read = read_space(space, estimator, len(y))
    most: float = np.inf if n_trials is None else n_trials
    if sampler == "grid":
        most = min(most, len(combinations(read)))
    if sampler == "narrowing" and epochs is None:
        epochs = max(epochs_of(estimator, None) // 4, 1)
    metric = _metric(estimator, scoring)
    division = divide_by(estimator, X, y, validation, cv)
    task = Task(estimator, X, y, division(0), scoring, 0, epochs)
    study, seed = open_study(
        storage,
        study_name,
        make_pruner(pruner, epochs_of(estimator, epochs)),
        facts_of(task, describe(read), metric),
        random_state,
    )
    task = replace(task, seed=seed, folds=division(seed))
    where = (portable(storage), study_name) if pruner is not None else None
    crew = find_crew(n_jobs, where)
    if sampler in LEARNING and not study.get_trials(deepcopy=False):
        for first in starts(read, estimator, len(y)):
            study.enqueue_trial(first)
    driver = SearchRunner(
        study, read, task, sampler, seed, most, crew, tuple(callbacks)
    )
    if pruner is not None and not can_stop(estimator):
        driver.notes.append(
            f"{type(estimator).__name__} tells nothing between epochs: no trial could "
            "be pruned."
        )
    with understood(storage), quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", ".*tasks which were still being processed")
        driver.run(timeout)
        found = _found(driver, metric, _method(sampler, pruner, task))
        chosen = settings(read, study.get_trials()[found.best].params)
        fresh = _estimate(task, chosen, seed, repeats, division, crew)
        outer = () if nested is None else _nested(given, X, y, nested)
        model = _with_seed(prepared(estimator, chosen), seed)
        if refit:
            model.fit(X, y)
    return replace(found, estimates=fresh, nested=outer, best_estimator=model)


def _found(driver: SearchRunner, metric: str, method: str) -> SearchResult:
    """Sum up the study."""
    stored = driver.study.get_trials(deepcopy=False)
    trials = [record(t, driver.space) for t in stored if _is_done(t)]
    best = _best(trials, driver)
    searched = describe(driver.space)
    return SearchResult(
        metric=metric,
        trials=tuple(trials),
        best=best.number,
        space=searched,
        importances=_importances(driver.study),
        ranges=_ranges(trials, searched),
        method=method,
        notes=tuple(driver.notes),
    )


def _best(trials: Sequence[SearchTrial], driver: SearchRunner) -> SearchTrial:
    whole = [trial for trial in trials if trial.state == "complete"]
    partly = [trial for trial in trials if np.isfinite(trial.value)]
    if not partly:
        failures = driver.failures or [TrialResult(np.nan, "failed", 0.0)]
        causes = [trial.why for trial in trials if trial.state == "failed"]
        raise ValueError(
            f"search: all {len(trials)} trials failed. The first cause: "
            f"{causes[0] if causes else 'no trial was begun'}"
        ) from failures[0].error
    if not whole:
        driver.notes.append(
            "No trial was done when the time was up: the best of those cut short is "
            "given. Give more time, or fewer epochs."
        )
    return max(whole or partly, key=lambda trial: trial.value)


def _estimate(
    task: Task,
    chosen: Mapping[str, Any],
    seed: int,
    repeats: int,
    division: Callable[[int], Any],
    crew: Workers,
) -> tuple[float, ...]:
    """Score a setting with fresh seeds and divisions."""
    seeds = np.random.SeedSequence([seed, repeats]).generate_state(repeats) >> 1
    again = [
        (replace(task, seed=int(s), folds=division(int(s))), chosen, TrialHandle())
        for s in seeds
    ]
    outcomes = run_all(try_settings, again, n_jobs=crew.asked) if again else []
    return tuple(each.value for each in outcomes if each.state == "complete")


def _with_seed(model: Any, seed: int) -> Any:
    """Seed what the user left to chance, so that a search can be repeated."""
    open_ = [
        name
        for name, value in model.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    ]
    return model.set_params(**dict.fromkeys(open_, seed))


def _nested(given: Mapping[str, Any], X: Any, y: Any, nested: Any) -> tuple[float, ...]:
    """Search on each outer fold's rows, and score on those that are left."""
    own = {"storage": None, "repeats": 0, "callbacks": (), "refit": True}
    scores: list[float] = []
    outer = divide(given["estimator"], X, y, nested, seed=0)
    for fold in range(len(outer)):
        rows = Task(None, X, y, outer, None, 0).rows(fold)
        found = search(**{**given, **own}, X=rows[0], y=rows[1])
        scorer: Any = check_scoring(found.best_estimator, given["scoring"])
        scores.append(float(scorer(found.best_estimator, *rows[2:])))
    return tuple(scores)


def _is_done(trial: Any) -> bool:
    return trial.state.is_finished() and not was_lost(trial)


def _importances(study: Any) -> dict[str, float]:
    """Ask Optuna what mattered; nothing, where too few trials can tell."""
    from optuna.importance import get_param_importances

    whole = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
    if len(whole) < _TELLING:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of parameters seldom used
        found = get_param_importances(study)
    return {name: float(share) for name, share in found.items()}


def _ranges(
    trials: Sequence[SearchTrial], space: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[float, float]]:
    """Return where the best fifth of the trials lie, for each range of numbers."""
    found = {}
    for name, own in space.items():
        values = [
            (trial.params[name], trial.value)
            for trial in trials
            if trial.state == "complete" and name in trial.params
        ]
        if "low" in own and len(values) >= _TELLING:
            low, high = working_range(values, log=own["log"])
            found[name] = (max(low, own["low"]), min(high, own["high"]))
    return found


def _method(sampler: Any, pruner: Any, task: Task) -> str:
    names = [
        each if isinstance(each, str) else type(each).__name__
        for each in (sampler, pruner)
        if each is not None
    ]
    folds = len(task.folds.parts)
    held = len(task.rows(0)[3])
    way = f"{folds} folds" if folds > 1 else f"{held} rows held out"
    return f"{', '.join(names)}; scored on {way}"


def _metric(estimator: Any, scoring: Any) -> str:
    if scoring is None:
        return _METRICS[is_classifier(estimator)]
    if isinstance(scoring, str):
        check_names("scorer", [scoring], get_scorer_names(), owner="search")
        return scoring
    return getattr(scoring, "__name__", "score")


def _check(
    n_trials: int | None, timeout: float | None, repeats: int, sampler: Any
) -> None:
    if n_trials is None and timeout is None:
        raise ValueError(
            "search got n_trials=None and timeout=None, and would never end. Give one."
        )
    if n_trials is not None:
        check_number("n_trials", n_trials, Interval("[1, inf)"), owner="search")
    if timeout is not None:
        check_number("timeout", timeout, Interval("(0, inf)"), owner="search")
    check_number("repeats", repeats, Interval("[0, inf)"), owner="search")
    check_sampler(sampler)
