"""Search for the best hyperparameters: widths, learning rates, penalties.

Optuna chooses and keeps the trials, joblib runs them, and `thalweg.tuning.runner`
connects the two. This file holds what a user calls, and what the trials lead to.

The best of a hundred scores is too good to be true: part of it was luck. The best
setting is therefore trained again with other seeds on other splits of the rows, and
both scores are reported. Test data that `search` never sees tell most.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils import check_consistent_length

from thalweg.core import (
    Interval,
    Start,
    as_callbacks,
    check_flag,
    check_jobs,
    check_names,
    check_number,
    check_whole,
    naming,
    shown,
    watched,
)
from thalweg.display import usual_progress
from thalweg.estimators import as_groups, as_times
from thalweg.training import at_hand, head, run_all
from thalweg.tuning.result import SearchResult, SearchTrial
from thalweg.tuning.runner import Callback, SearchRunner, Workers
from thalweg.tuning.samplers import LEARNING, check_sampler, make_pruner, working_range
from thalweg.tuning.space import (
    Space,
    combinations,
    describe,
    read_space,
    settings,
    starts,
)
from thalweg.tuning.splits import Folds, divide
from thalweg.tuning.storage import (
    StudyAddress,
    explain_errors,
    facts_of,
    is_shared,
    open_study,
    quiet_optuna,
    search_trial,
    was_lost,
)
from thalweg.tuning.trial import (
    Task,
    TrialHandle,
    can_stop,
    epochs_of,
    prepared,
    run_trial,
)

_ENOUGH = 20  # trials for a statement about parameters
_METRICS = {True: "accuracy", False: "R2"}  # by whether the estimator is a classifier


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
    groups: Any = None,
    time: Any = None,
) -> SearchResult:
    """Search for the best parameters of an estimator.

    Parameters
    ----------
    estimator : estimator
        Any estimator of thalweg's or scikit-learn's, including a Pipeline (whose
        parameters are named ``step__parameter``).
    space : "auto" or dict
        Parameters and their possible values: ``(low, high)``, ``(low, high, "log")``, a
        list of choices, a dict from each choice to the space that exists only with it,
        or a distribution of scipy.stats or Optuna. "auto" works for thalweg's own
        estimators.
    X, y : as for the estimator
        Without the test data: they do not belong in a search.
    n_trials : int or None
        Number of trials, including those of an earlier search in `storage`. None runs
        as many as `timeout` allows.
    timeout : float or None
        Seconds after which no trial begins; the trials of thalweg's networks that still
        run are stopped. The estimate and the final fit take additional time.
    validation : float or (X_val, y_val)
        Share of the rows that are used as validation data, or the validation data.
    cv : int, splitter or None
        Cross-validation, used instead of `validation`.
    scoring : str, callable or None
        As in scikit-learn. None uses the estimator's own score.
    sampler : {"tpe", "random", "grid", "cmaes", "gp", "narrowing"} or Optuna sampler
        "tpe", "cmaes" and "gp" begin with the estimator's own parameters, as far as
        `space` contains them. In the automatic space of `Classifier` and `Regressor`
        they then try settings that did well on other tables.
    pruner : {"median", "halving", "hyperband"}, Optuna pruner or None
        Stops bad trials of thalweg's networks before their last epoch.
    epochs : int or None
        The most epochs or iterations of a trial. None takes the estimator's own number,
        or a quarter of it for "narrowing". The final fit uses the estimator's own.
    storage : path, URL, Optuna storage or None
        A file whose name ends in .db (SQLite) or .journal, or a database. An
        interrupted search resumes from it.
    study_name : str
        Name of the search, for several searches in one storage.
    n_jobs : int or None
        Trials that run at once, in threads, or as `joblib.parallel_config` says:
        "loky", "dask" or "ray". None uses joblib's configuration, or else all
        processors. A random search makes the same trials for any number; other samplers
        repeat their trials with 1.
    repeats : int
        How often the best setting is trained again, with new seeds and splits, to
        estimate its score; 0 skips that.
    nested : int, splitter or None
        Folds of nested cross-validation: each fold takes a whole search.
    refit : bool
        Whether the best setting is fitted on all rows: with the estimator's own
        `random_state`, or the search's if it has none.
    random_state : int or None
        None takes the seed in `storage`, or draws one.
    callbacks : sequence of callable
        Each is called with the `SearchTrial` after each trial; True ends the search.
        Those of `thalweg.callbacks` write trials down, or show the progress.
    groups : array-like of shape (n_rows,), optional
        Rows of one group, such as those of one patient, are never in both the training
        and the validation data, also of the estimator's own.
    time : array-like of shape (n_rows,), optional
        Numbers or dates. The latest rows are the validation data; with an integer `cv`,
        each fold is later than its training data.

    Returns
    -------
    SearchResult

    Raises
    ------
    ValueError, TypeError
        If a parameter is not allowed; or if every trial failed, with the first cause.

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
    if X is None or y is None:
        missing = "X" if X is None else "y"
        raise ValueError(f"search got {missing}=None. Give both X and y.")
    with naming("X", "y", owner="search"):
        X, y = at_hand(X), at_hand(y, "y")
        check_consistent_length(X, y)
    wanted = _Search(
        estimator=estimator,
        space=space,
        n_trials=n_trials,
        timeout=timeout,
        validation=validation,
        cv=_reusable(cv),
        scoring=scoring,
        sampler=sampler,
        pruner=pruner,
        epochs=epochs,
        storage=storage,
        study_name=study_name,
        n_jobs=n_jobs,
        repeats=repeats,
        refit=refit,
        random_state=random_state,
        callbacks=as_callbacks(callbacks, owner="search"),
        groups=as_groups(groups, len(y), "search"),
        time=as_times(time, len(y), "search"),
    )
    usual = usual_progress(wanted.callbacks)
    wanted = replace(wanted, callbacks=(*wanted.callbacks, *usual))
    if nested is None:
        return wanted.run(X, y)
    given = {"groups": wanted.groups, "time": wanted.time}
    with naming("nested", owner="search"):
        outer = divide(estimator, X, y, cv=nested, **given)
    found = wanted.run(X, y)
    return replace(found, nested=wanted.nested_scores(X, y, outer))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Search:
    """A search as the user asked for it, apart from the data; see `search`."""

    estimator: Any
    space: Any
    n_trials: int | None
    timeout: float | None
    validation: Any
    cv: Any
    scoring: Any
    sampler: Any
    pruner: Any
    epochs: int | None
    storage: Any
    study_name: str
    n_jobs: int | None
    repeats: int
    refit: bool
    random_state: int | None
    callbacks: tuple[Callback, ...]
    groups: Any = None
    time: Any = None

    def __post_init__(self) -> None:
        if self.n_trials is None and self.timeout is None:
            raise ValueError(
                "search got n_trials=None and timeout=None, so it would never end. "
                "Set at least one of them."
            )
        check = partial(check_number, owner="search")
        if self.n_trials is not None:
            check("n_trials", self.n_trials, Interval("[1, inf)"))
        if self.timeout is not None:
            check("timeout", self.timeout, Interval("(0, inf)"))
        check_whole("repeats", self.repeats, "[0, 1e6]", owner="search")
        if not hasattr(self.estimator, "get_params"):
            raise TypeError(
                f"search got estimator={shown(self.estimator)}; it must be an "
                "estimator with scikit-learn's contract, not its class or its name."
            )
        if self.epochs is not None:
            check_whole("epochs", self.epochs, "[1, 1e15]", owner="search")
        if self.random_state is not None:
            seed = self.random_state
            check_whole("random_state", seed, "[0, 4294967295]", owner="search")
        if not isinstance(self.study_name, str):
            raise TypeError(
                f"search got study_name={shown(self.study_name)}; it must be a text."
            )
        check_flag("refit", self.refit, owner="search")
        check_jobs(self.n_jobs, owner="search")
        check_sampler(self.sampler)

    def run(self, X: Any, y: Any) -> SearchResult:
        """Search, and tell the callbacks of the beginning and the end."""
        start = Start(
            kind="search",
            total=np.inf if self.n_trials is None else self.n_trials,
            settings=self._described(),
            sample=head(X),
        )

        with watched(self.callbacks, start) as watching:
            called = replace(self, callbacks=tuple(watching.callbacks))
            watching.result = called.work(X, y)
            return watching.result

    def _described(self) -> dict[str, Any]:
        """Return the settings that tell this search from another."""
        names = ("sampler", "pruner", "n_trials", "timeout", "epochs", "random_state")
        own = {name: getattr(self, name) for name in names}
        return {"estimator": type(self.estimator).__name__, **own}

    def work(self, X: Any, y: Any) -> SearchResult:
        """Search, estimate the best setting's score, and fit it."""
        space = read_space(self.space, self.estimator, len(y))
        n_trials = self._most_trials(space)
        metric = _metric(self.estimator, self.scoring)
        workers = self._workers()
        split = partial(
            divide, self.estimator, X, y, cv=self.cv, validation=self.validation,
            groups=self.groups, time=self.time,
        )  # fmt: skip
        with naming("cv", "validation", owner="search"):
            n_folds = len(split())
        study, seed = self._open_study(X, y, space, metric, n_folds=n_folds)
        if self.sampler in LEARNING and not study.get_trials(deepcopy=False):
            for first in starts(space, self.estimator, len(y))[: self.n_trials]:
                study.enqueue_trial(first)
        task = Task(
            self.estimator, X, y, split(seed=seed), self.scoring, seed, self._epochs()
        )
        runner = self._runner(study, space, task, n_trials, workers)
        with explain_errors(self.storage), quiet_optuna(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings(
                "ignore", ".*tasks which were still being processed"
            )
            runner.run()
            trials = _finished_trials(study, space)
            best = _best(trials, runner)
            stored = study.get_trials(deepcopy=False)[best.number].params
            chosen = settings(space, stored)
            importances = _importances(study)
            estimates = self._estimates(task, chosen, split, workers)
            model = _with_seed(prepared(self.estimator, chosen), seed)
            if self.refit:
                own = {"groups": self.groups, "time": self.time}
                known = signature(model.fit).parameters
                model.fit(
                    X, y,
                    **{k: v for k, v in own.items() if v is not None and k in known},
                )  # fmt: skip
        searched = describe(space)
        return SearchResult(
            metric=metric,
            trials=trials,
            best=best.number,
            space=searched,
            estimates=estimates,
            importances=importances,
            ranges=_ranges(trials, searched),
            method=self._method(task),
            notes=tuple(runner.notes),
            best_estimator=model,
        )

    def nested_scores(self, X: Any, y: Any, outer: Folds) -> tuple[float, ...]:
        """Search on the training data of each fold, and score on the rest."""
        inner = replace(self, storage=None, repeats=0, callbacks=(), refit=True)
        scores: list[float] = []
        for fold in range(len(outer)):
            rows = outer.rows(X, y, fold)
            groups = rows.groups
            if groups is not None:
                _, groups = np.unique(groups, return_inverse=True)
            own = replace(inner, groups=groups, time=rows.time)
            model = own.run(rows.X, rows.y).best_estimator
            scorer: Any = check_scoring(model, self.scoring)
            scores.append(float(scorer(model, rows.X_val, rows.y_val)))
        return tuple(scores)

    def _most_trials(self, space: Space) -> float:
        most: float = np.inf if self.n_trials is None else self.n_trials
        return min(most, len(combinations(space))) if self.sampler == "grid" else most

    def _workers(self) -> Workers:
        """Return the workers, which must be able to report to the study to prune."""
        workers = Workers.find(self.n_jobs)
        in_memory = not is_shared(self.storage)
        if self.pruner is not None and in_memory and not workers.in_threads:
            raise ValueError(
                "search got a pruner, and the trials run in other processes, which "
                "cannot report to a study in memory. Set storage to a file or a "
                "database that they can reach, or set pruner=None."
            )
        return workers

    def _epochs(self) -> int | None:
        if self.sampler == "narrowing" and self.epochs is None:
            return max(epochs_of(self.estimator, None) // 4, 1)
        return self.epochs

    def _open_study(
        self, X: Any, y: Any, space: Space, metric: str, n_folds: int
    ) -> tuple[Any, int]:
        pruner = make_pruner(self.pruner, epochs_of(self.estimator, self._epochs()))
        facts = facts_of(self.estimator, X, y, n_folds, describe(space), metric)
        return open_study(
            self.storage, self.study_name, pruner, facts, self.random_state
        )

    def _runner(
        self, study: Any, space: Space, task: Task, n_trials: float, workers: Workers
    ) -> SearchRunner:
        notes, address = [], None
        if self.pruner is not None:
            address = StudyAddress.of(self.storage, self.study_name)
            if not can_stop(self.estimator):
                kind = type(self.estimator).__name__
                notes.append(
                    f"No trial could be pruned, because {kind} does not report its "
                    "score between epochs."
                )
        return SearchRunner(
            study=study,
            space=space,
            task=task,
            sampler=self.sampler,
            seed=task.seed,
            n_trials=n_trials,
            workers=workers,
            deadline=np.inf if self.timeout is None else time.time() + self.timeout,
            address=address,
            callbacks=self.callbacks,
            notes=[*notes, *filter(None, [workers.note])],
        )

    def _estimates(
        self,
        task: Task,
        chosen: Mapping[str, Any],
        split: Callable[..., Folds],
        workers: Workers,
    ) -> tuple[float, ...]:
        """Score the best setting with new seeds and splits."""
        if not self.repeats:
            return ()
        drawn = np.random.SeedSequence([task.seed, self.repeats])
        seeds = (drawn.generate_state(self.repeats) >> 1).tolist()
        calls = [
            (replace(task, seed=seed, folds=split(seed=seed)), chosen, TrialHandle())
            for seed in seeds
        ]
        results = run_all(run_trial, calls, n_jobs=workers.n_jobs)
        return tuple(each.value for each in results if each.state == "complete")

    def _method(self, task: Task) -> str:
        names = [
            each if isinstance(each, str) else type(each).__name__
            for each in (self.sampler, self.pruner)
            if each is not None
        ]
        n_folds = len(task.folds)
        n_validated = len(task.rows(0).y_val)
        rows = f"{n_folds} folds" if n_folds > 1 else f"{n_validated} validation rows"
        return f"{', '.join(names)}; scored on {rows}"


def _reusable(cv: Any) -> Any:
    """Return `cv`; a generator of splits, which can be used only once, as a list."""
    return list(cv) if isinstance(cv, Iterator) else cv


def _finished_trials(study: Any, space: Space) -> tuple[SearchTrial, ...]:
    return tuple(
        search_trial(trial, space)
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and not was_lost(trial)
    )


def _best(trials: Sequence[SearchTrial], runner: SearchRunner) -> SearchTrial:
    """Return the best complete trial, or the best that was cut short."""
    complete = [trial for trial in trials if trial.state == "complete"]
    scored = [trial for trial in trials if np.isfinite(trial.value)]
    if not scored:
        causes = [trial.why for trial in trials if trial.state == "failed"]
        raise ValueError(
            f"search: all {len(trials)} trials failed. The first cause: "
            f"{causes[0] if causes else 'no trial began'}"
        ) from (runner.failures[0].error if runner.failures else None)
    if not complete:
        runner.notes.append(
            "No trial was complete when the time was up; the best incomplete trial is "
            "returned. Allow more time, or fewer epochs."
        )
    return max(complete or scored, key=lambda trial: trial.value)


def _with_seed(model: Any, seed: int) -> Any:
    """Set every ``random_state`` that is None, so that the result can be repeated."""
    unset = [
        name
        for name, value in model.get_params().items()
        if name.split("__")[-1] == "random_state" and value is None
    ]
    return model.set_params(**dict.fromkeys(unset, seed))


def _importances(study: Any) -> dict[str, float]:
    """Return Optuna's importances of the parameters, if there are enough trials."""
    from optuna.importance import get_param_importances

    trials = study.get_trials(deepcopy=False)
    if sum(trial.state.name == "COMPLETE" for trial in trials) < _ENOUGH:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about parameters seldom used
        found = get_param_importances(study)
    return {name: float(share) for name, share in found.items()}


def _ranges(
    trials: Sequence[SearchTrial], space: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[float, float]]:
    """Return each number's range in the best fifth of the trials."""
    found = {}
    for name, own in space.items():
        values = [
            (trial.params[name], trial.value)
            for trial in trials
            if trial.state == "complete" and name in trial.params
        ]
        if "low" in own and len(values) >= _ENOUGH:
            low, high = working_range(values, log=own["log"])
            found[name] = (max(low, own["low"]), min(high, own["high"]))
    return found


def _metric(estimator: Any, scoring: Any) -> str:
    if scoring is None and getattr(estimator, "scoring", None) is not None:
        scoring = estimator.scoring
        return scoring if isinstance(scoring, str) else "score"
    if scoring is None:
        return _METRICS[is_classifier(estimator)]
    if isinstance(scoring, str):
        check_names("scorer", [scoring], get_scorer_names(), owner="search")
        return scoring
    return getattr(scoring, "__name__", "score")
