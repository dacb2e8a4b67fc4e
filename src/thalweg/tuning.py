"""Search for the parameters that no gradient reaches: widths, rates, penalties.

Optuna chooses and keeps the trials, joblib spreads them, and here is the driver between
them: it asks for a trial, has it done (in a thread, a process, or on another machine),
and tells what came of it. All of that happens here and nowhere else, so a worker that
dies takes only its own trial with it, and that is queued again.

The best of a hundred scores is better than it deserves: it was chosen for its luck too.
So the best setting is trained again with other seeds on other divisions of the rows,
and both figures are given. Rows kept back from `search` altogether tell most.
"""

import time
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np
from joblib.parallel import get_active_backend
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.utils.parallel import Parallel, delayed

from thalweg import cores
from thalweg.lookup import Interval, check_number
from thalweg.records import History, SearchResult, SearchTrial
from thalweg.samplers import (
    check_sampler,
    make_pruner,
    make_sampler,
    round_size,
    working_range,
)
from thalweg.side_by_side import run_all
from thalweg.spaces import (
    Space,
    combinations,
    describe,
    read_space,
    settings,
    suggest,
)
from thalweg.studies import (
    ATTEMPTS,
    Lease,
    facts_of,
    find_trial,
    index_of,
    is_shared,
    open_study,
    portable,
    queue_again,
    queue_lost,
    quiet,
    understood,
    was_lost,
)
from thalweg.trying import (
    Link,
    Outcome,
    Task,
    can_stop,
    divide,
    divide_by,
    epochs_of,
    prepared,
    try_settings,
)

Callback = Callable[[SearchTrial], bool | None]

_HOPELESS = 10  # failures in a row, and nothing else, after which a search ends
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
        random search makes the same trials whatever their number.
    repeats : int
        Fresh seeds and divisions that the best setting is estimated with; 0 for none.
    nested : int, splitter or None
        Folds of nested cross-validation: a whole search for each.
    refit : bool
        Whether the best setting is fitted on all rows.
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
    crew = _crew(n_jobs, where)
    driver = _Driver(study, read, task, sampler, seed, most, crew, tuple(callbacks))
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
        model = prepared(estimator, chosen)
        if refit:
            model.fit(X, y)
    return replace(found, estimates=fresh, nested=outer, best_estimator=model)


@dataclass(frozen=True)
class _Crew:
    """Who does the trials.

    Parameters
    ----------
    size : int
        Trials at once.
    asked : int
        For joblib, which knows better than we how many that is elsewhere.
    here : bool
        Whether they run in threads of this process.
    streams : bool
        Whether joblib gives each result as it comes.
    where : (storage, study's name) or None
        Where trials elsewhere report to; None where nothing is pruned.
    note : str
    """

    size: int
    asked: int
    here: bool
    streams: bool
    where: tuple[Any, str] | None
    note: str = ""

    @property
    def processors(self) -> int:
        """How many each trial may use; elsewhere, a worker is one."""
        return max(1, cores.available() // self.size) if self.here else 1


@dataclass
class _Driver:
    """Asks for trials, has them done, and tells what came of them."""

    study: Any
    space: Space
    task: Task
    sampler: Any
    seed: int
    n_trials: float
    crew: _Crew
    callbacks: tuple[Callback, ...] = ()
    notes: list[str] = field(default_factory=list)
    deadline: float = np.inf
    name: str = ""
    stop: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)
    asked: dict[int, Any] = field(default_factory=dict)
    failures: list[Outcome] = field(default_factory=list)
    n_told: int = 0
    broken: Exception | None = None
    trouble: BaseException | None = None

    def run(self, timeout: float | None) -> None:
        """Go on until all trials are done, or time is up."""
        self.notes += [self.crew.note] * bool(self.crew.note)
        self.deadline = np.inf if timeout is None else time.time() + timeout
        with Lease(self.study) as lease:
            self.name = lease.driver
            queue_lost(self.study, self.name)
            try:
                self._run()
            except KeyboardInterrupt:
                self.stop.set()
                self._queue_asked()
                if not any(map(_has_value, self.study.get_trials(deepcopy=False))):
                    raise
                self.notes.append("Interrupted from the keyboard.")

    def _run(self) -> None:
        barren = 0
        while not self._over() and self._left(self._goal()):
            before = self.n_told
            error = self._round(self._goal())
            barren = 0 if self.n_told > before else barren + 1
            if self.trouble is not None:
                raise self.trouble
            if error is not None and barren > ATTEMPTS:
                raise error

    def _round(self, goal: float) -> Exception | None:
        """Do trials until `goal` are begun; return what broke the crew, if it did."""
        self.broken = None
        with closing(self._outcomes(goal)) as outcomes:
            try:
                for number, outcome in outcomes:
                    self._tell(number, outcome)
            except BaseException:
                self.stop.set()
                raise
        return self.broken

    def _outcomes(self, goal: float) -> Generator[tuple[int, Outcome]]:
        crew = self.crew
        jobs = (delayed(_work)(*job) for job in iter(partial(self._next, goal), None))
        parallel: Any = Parallel  # whose types know no numbers here
        stream = "generator_unordered" if crew.streams else "list"
        parallel = parallel(
            n_jobs=crew.asked, prefer="threads", return_as=stream,
            pre_dispatch=crew.size, batch_size=1,
        )  # fmt: skip
        try:
            yield from parallel(jobs if crew.streams else islice(jobs, crew.size))
        except Exception as error:
            # What a trial raises is its outcome: this is of who should have done it.
            self.broken = error
            self._queue_asked()

    def _goal(self) -> float:
        """Return how many trials may be begun before those at work are done."""
        if self.sampler != "narrowing" or self.n_trials == np.inf:
            return self.n_trials
        size = round_size(int(self.n_trials))
        return min(self.n_trials, (self._begun() // size + 1) * size)

    def _begun(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        return sum(t.state.name != "WAITING" and not was_lost(t) for t in trials)

    def _left(self, goal: float) -> bool:
        trials = self.study.get_trials(deepcopy=False)
        waiting = any(trial.state.name == "WAITING" for trial in trials)
        return waiting or self._begun() < goal

    def _over(self) -> bool:
        """Whether no more trials are to be begun, whatever is left."""
        late = time.time() > self.deadline and (self.n_told or self.asked)
        hopeless = len(self.failures) >= _HOPELESS and len(self.failures) == self.n_told
        return bool(late or hopeless or self.stop.is_set() or self.trouble)

    def _next(self, goal: float) -> tuple[Any, ...] | None:
        """Ask for a trial; joblib calls this from a thread of its own."""
        with self.lock:
            try:
                return self._ask() if not self._over() and self._left(goal) else None
            except BaseException as error:
                self.trouble = error
                return None

    def _ask(self) -> tuple[Any, ...]:
        trial = self.study.ask()
        trial.set_user_attr("driver", self.name)
        index = index_of(self.study, trial)
        trial.set_user_attr("index", index)
        most = int(min(self.n_trials, 2**31))
        self.study.sampler = make_sampler(
            self.sampler, self.seed, index, most, self.space
        )
        suggest(self.space, trial)
        self.asked[trial.number] = trial
        chosen = settings(self.space, trial.params)
        return self.task, trial.number, chosen, self._link(trial), self.crew.processors

    def _link(self, trial: Any) -> Link:
        where = self.crew.where
        if self.crew.here:
            return Link(where and trial, self.deadline, self.stop)
        return Link(where and partial(find_trial, *where, trial.number), self.deadline)

    def _tell(self, number: int, outcome: Outcome) -> None:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        with self.lock, suppress(UpdateFinishedTrialError):  # or it was taken from us
            self.n_told += 1
            trial = self.asked.pop(number)
            trial.set_user_attr("told", _facts(outcome))
            if outcome.state == "cut":
                trial.report(outcome.value, 2**31 - 1)  # a pruned trial's last is kept
            if outcome.state == "complete":
                self.study.tell(trial, outcome.value)
            elif outcome.state == "failed":
                self.failures.append(outcome)
                self.study.tell(trial, state=TrialState.FAIL)
            else:
                self.study.tell(trial, state=TrialState.PRUNED)
        done = _record(self.study.get_trials(deepcopy=False)[number], self.space)
        answers = [callback(done) for callback in self.callbacks]
        if any(answer is True for answer in answers):
            self.stop.set()

    def _queue_asked(self) -> None:
        """Put back what nobody will answer for any more."""
        with self.lock:
            lost, self.asked = self.asked, {}
            trials = self.study.get_trials(deepcopy=False)
            for number in lost:
                queue_again(self.study, trials[number])


def _work(
    task: Task, number: int, chosen: Mapping[str, Any], link: Link, processors: int
) -> tuple[int, Outcome]:
    with cores.share(processors):
        return number, try_settings(task, chosen, link)


def _crew(n_jobs: int | None, where: tuple[Any, str] | None) -> _Crew:
    """Find out who works, as joblib says and as many as there are processors."""
    active: tuple[Any, Any] = get_active_backend(prefer="threads")
    backend, usual = active
    here = bool(getattr(backend, "supports_sharedmem", False))
    streams = bool(getattr(backend, "supports_return_generator", True))
    if not here and where is not None and not is_shared(where[0]):
        raise ValueError(
            "search got a pruner, and trials run in other processes, which cannot "
            "report to a study in memory. Give storage= a file or a database that all "
            "can reach, or leave the pruner out."
        )
    elsewhere = type(backend).__name__ in ("DaskDistributedBackend", "RayBackend")
    if elsewhere:
        asked = -1 if n_jobs is None else n_jobs
        return _Crew(backend.effective_n_jobs(asked), asked, here, streams, where)
    most = cores.available()
    asked = n_jobs or (usual if usual and usual > 1 else -1)
    size = most + 1 + asked if asked < 0 else asked
    note = ""
    if size > most:
        note = f"n_jobs={n_jobs} is more than the {most} processors there are."
        warnings.warn(f"search got {note}", stacklevel=3)
    size = max(1, min(size, most))
    return _Crew(size, size, here or size == 1, streams, where, note)


def _found(driver: _Driver, metric: str, method: str) -> SearchResult:
    """Sum up the study."""
    stored = driver.study.get_trials(deepcopy=False)
    trials = [_record(t, driver.space) for t in stored if _is_done(t)]
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


def _best(trials: Sequence[SearchTrial], driver: _Driver) -> SearchTrial:
    whole = [trial for trial in trials if trial.state == "complete"]
    partly = [trial for trial in trials if np.isfinite(trial.value)]
    if not partly:
        failures = driver.failures or [Outcome(np.nan, "failed", 0.0)]
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
    crew: _Crew,
) -> tuple[float, ...]:
    """Score a setting with fresh seeds and divisions."""
    seeds = np.random.SeedSequence([seed, repeats]).generate_state(repeats) >> 1
    again = [
        (replace(task, seed=int(s), folds=division(int(s))), chosen, Link())
        for s in seeds
    ]
    outcomes = run_all(try_settings, again, n_jobs=crew.asked) if again else []
    return tuple(each.value for each in outcomes if each.state == "complete")


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


def _record(trial: Any, space: Space) -> SearchTrial:
    told = trial.user_attrs.get("told", {})
    value = np.nan if trial.value is None else float(trial.value)
    history = told.get("history")
    return SearchTrial(
        number=trial.number,
        params={k: _shown(v) for k, v in settings(space, trial.params).items()},
        value=value,
        state=told.get("state", "failed"),
        seconds=told.get("seconds", 0.0),
        why=told.get("why", f"its worker died {ATTEMPTS} times"),
        history=None if history is None else _history(history),
    )


def _shown(value: Any) -> Any:
    """Return a parameter's value as a record holds it."""
    if isinstance(value, tuple | list):
        return tuple(map(_shown, value))
    return value if isinstance(value, str | int | float | None) else repr(value)


def _facts(outcome: Outcome) -> dict[str, Any]:
    """Return what a study keeps of a trial; of the curves, those that are drawn."""
    history, kept = outcome.history, None
    if history is not None:
        columns = ("loss", "validation_loss", "validation_score", "seconds")
        content = history.to_json()
        kept = {name: [_short(v) for v in content[name]] for name in columns}
    return {
        "state": outcome.state, "seconds": round(outcome.seconds, 4),
        "why": outcome.why, "history": kept,
    }  # fmt: skip


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _history(columns: Mapping[str, Any]) -> History:
    filled = {
        k: [np.nan if v is None else v for v in own] for k, own in columns.items()
    }
    return History.from_columns(filled)


def _has_value(trial: Any) -> bool:
    return trial.value is not None


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
    return (
        scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "score")
    )


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
