"""Train variants with the same seeds, and test which differences are significant.

A comparison is paired: with each seed, all variants get the same rows in the same
order, and the same initialization where their networks are alike. Each seed then gives
one difference between two variants, and Student's t over the seeds gives its confidence
interval. With k variants there are k(k − 1)/2 differences, so each interval is widened
until all of them hold at once (Bonferroni). All seeds use the same validation data: the
conclusion holds for this split of the rows, and how far it holds for other rows depends
on the number of validation rows.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from numbers import Integral
from threading import Lock
from typing import Any

import numpy as np
from joblib.parallel import get_active_backend
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.base import is_classifier
from sklearn.model_selection import train_test_split

from thalweg import engines
from thalweg.comparison.result import Comparison, Difference, Trial
from thalweg.core import (
    CLASSIFYING,
    Array,
    Dense,
    DenseNetwork,
    History,
    Network,
    Plan,
    Run,
    Start,
    StopReason,
    as_callbacks,
    check_jobs,
    check_names,
    check_whole,
    find,
    naming,
    naming_callback,
    phases,
    shown,
    steps_per_epoch,
    watched,
)
from thalweg.estimators import seeded
from thalweg.training import check_plan, fit, head, n_trained, run_all

LEVEL = 0.95
"""Confidence level of all intervals of a comparison together."""


@dataclass(frozen=True)
class Metric:
    """What variants are judged by.

    Parameters
    ----------
    name : str
    column : str
        Where a `History` records it.
    greater_is_better : bool
    """

    name: str
    column: str
    greater_is_better: bool


METRICS = {
    "score": Metric("validation score", "validation_score", greater_is_better=True),
    "loss": Metric("validation loss", "validation_loss", greater_is_better=False),
    "training loss": Metric("training loss", "loss", greater_is_better=False),
}
"""The metrics, by the value of `by`."""

_PLAN = {f.name for f in fields(Plan)}
_HIDDEN = {f.name for f in fields(Dense)} - {"units"}
_SIZE = {"hidden", "input_noise"}


def compare(
    variants: Mapping[str, Any] | Sequence[str],
    X: ArrayLike,
    y: ArrayLike,
    *,
    hidden: Sequence[int] = (100,),
    seeds: int | Sequence[int] = 5,
    by: str = "score",
    validation: float | tuple[ArrayLike, ArrayLike] | None = 0.2,
    random_state: int = 0,
    engine: str = "auto",
    n_jobs: int | None = -1,
    callbacks: Sequence[Callable[[Trial], Any]] = (),
    **settings: Any,
) -> Comparison:
    """Train variants on the same rows with the same seeds, and compare them.

    Parameters
    ----------
    variants : mapping of str to variant, or sequence of str
        A variant is an optimizer (a name, a pair with constants, a list of phases), a
        dict of settings, a `Plan`, a `DenseNetwork` or `Network`, or a scikit-learn
        estimator. A sequence contains names of optimizers. A Keras model starts every
        trial with its current weights, which the comparison does not change.
    X : array-like of shape (n_rows, n_inputs)
        Scale it first: compare does not.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Class labels of any type, or targets of a floating-point type.
    hidden : sequence of int
        Widths of the hidden layers.
    seeds : int or sequence of int
        How many seeds, or which. A test of significance needs at least two.
    by : {"score", "loss", "training loss"}
        What variants are judged by: accuracy or R² on the validation data, the mean
        loss on them, or the objective on the training data. The last epoch counts, or
        the best one with ``restore_best=True``.
    validation : float, (X_val, y_val) or None
        Share of the rows used as validation data, the same for all seeds, or the
        validation data.
    random_state : int
        Seed of that split.
    engine : {"auto", "jax", "native"}
    n_jobs : int or None
        Trainings that run at once, as in joblib. Use 1 to compare times.
    callbacks : sequence of callable
        Each is called with the `Trial` after each training, such as those of
        `thalweg.callbacks`. What they return is ignored: each trial is needed.
    **settings
        Common to all variants: fields of `Plan` and, for the hidden layers, of `Dense`.
        Full-batch optimizers ignore those that they do not use.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        For an unknown setting, name or metric.

    Examples
    --------
    >>> import thalweg as tw
    >>> from thalweg.datasets import moons
    >>> X, y = moons(200)
    >>> found = tw.compare(["sgd", "adam"], X, y, hidden=[16], epochs=5, seeds=3)
    >>> found.variants
    ('sgd', 'adam')
    """
    find("by", by, METRICS, owner="compare")
    check_jobs(n_jobs, owner="compare")
    named = _named(variants)
    chosen = _seeds(seeds)
    if isinstance(hidden, str) or not isinstance(hidden, Sequence | np.ndarray):
        raise TypeError(
            f"compare got hidden={shown(hidden)}; it must be a sequence of whole "
            "numbers, the widths of the hidden layers."
        )
    check_whole("random_state", random_state, "[0, 4294967295]", owner="compare")
    with naming("X", "y", "validation", owner="compare"):
        rows = _split(X, y, settings.get("loss"), validation, random_state)
    base = {"loss": rows.loss, "restore_best": False, "hidden": hidden, **settings}
    trainers = {
        n: _trainer(n, each, base, rows, by, engine, settings)
        for n, each in named.items()
    }
    jobs = [(name, int(seed)) for name in named for seed in chosen]

    start = Start(
        kind="comparison",
        total=len(jobs),
        settings={"variants": ", ".join(named), "seeds": chosen, "by": by, **settings},
        sample=head(rows.train[0]),
    )

    with watched(as_callbacks(callbacks, owner="compare"), start) as watching:
        tell = _Teller(watching.callbacks)
        shared = tell if watching.callbacks and _in_threads() else None

        def trial(name: str, seed: int) -> Trial:
            found = trainers[name](name, seed, rows)
            if shared is not None:
                shared(found)
            return found

        trials = run_all(trial, jobs, n_jobs)
        if shared is None:
            for each in trials:
                tell(each)
        watching.result = judge(trials, by)
        return watching.result


class _Teller:
    """Calls the callbacks, one trial at a time."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self._callbacks, self._lock = callbacks, Lock()

    def __call__(self, trial: Trial) -> None:
        with self._lock:
            for each in self._callbacks:
                with naming_callback(each):
                    each(trial)


def _in_threads() -> bool:
    """Whether joblib runs the trainings in threads of this process."""
    backend: Any = get_active_backend(prefer="threads")[0]
    return bool(getattr(backend, "supports_sharedmem", False))


def _seeds(seeds: Any) -> list[int]:
    """Return which seeds are meant: as many as a number says, or those given."""
    if isinstance(seeds, Integral) and not isinstance(seeds, bool):
        check_whole("seeds", seeds, "[1, 1e6]", owner="compare")
        return [*range(int(seeds))]
    if not isinstance(seeds, Iterable) or isinstance(seeds, str):
        raise TypeError(
            f"compare got seeds={shown(seeds)}; it must be a whole number, how many, "
            "or a sequence of them, which."
        )
    found = list(seeds)
    for seed in found:
        check_whole("seeds", seed, "[0, 4294967295]", owner="compare")
    return [*map(int, found)]


def judge(trials: Sequence[Trial], by: str = "score") -> Comparison:
    """Compare finished trials; `compare` trains, and calls this.

    Parameters
    ----------
    trials : sequence of Trial
        With the same seeds for each variant.
    by : {"score", "loss", "training loss"}
        What the trials' values are.

    Returns
    -------
    Comparison
    """
    metric = METRICS[by]
    own = {each.variant: [] for each in trials}
    for each in trials:
        own[each.variant].append(each)
    values = {
        name: np.array([trial.value for trial in group])
        for name, group in own.items()
        if not any(trial.diverged for trial in group)
    }
    best_first = sorted(
        values, key=lambda name: values[name].mean(), reverse=metric.greater_is_better
    )
    ranked = {name: values[name] for name in best_first}
    differences = _differences(ranked)
    winner, verdict = _verdict(metric.name, ranked, differences)
    return Comparison(
        metric=metric.name,
        greater_is_better=metric.greater_is_better,
        trials=tuple(trials),
        differences=differences,
        winner=winner,
        verdict=verdict,
        notes=_notes(own, len(differences)),
    )


@dataclass(frozen=True)
class _Rows:
    """Training and validation data as (X, y), and the kind of target."""

    train: tuple[Array, Array]
    validation: tuple[Array, Array] | None
    loss: Any
    classes: Array | None
    n_outputs: int

    def encoded(self, part: tuple[Array, Array]) -> tuple[Array, Array]:
        """Return X and y as an engine takes them, with classes as numbers."""
        X, y = part
        if self.classes is None:
            return X, y
        if not np.isin(y, self.classes).all():
            raise ValueError(
                "compare got validation data with classes that the training data do "
                "not contain. Leave those rows out, or let compare split the rows."
            )
        return X, np.searchsorted(self.classes, y)


def _split(X: Any, y: Any, loss: Any, validation: Any, random_state: int) -> _Rows:
    X, y = np.asarray(X), np.asarray(y)
    known = loss[0] if isinstance(loss, tuple | list) else loss
    by_class = y.dtype.kind != "f" if known is None else known in CLASSIFYING
    classes = np.unique(y) if by_class else None
    width = 1 if y.ndim == 1 else y.shape[1]
    n_outputs = width if classes is None else len(classes)
    usual = "cross_entropy" if by_class else "squared"
    whole = _Rows((X, y), None, loss or usual, classes, n_outputs)
    if validation is None:
        return whole
    if isinstance(validation, tuple):
        X_val, y_val = map(np.asarray, validation)
        return replace(whole, validation=(X_val, y_val))
    n_held = max(round(validation * len(y)), n_outputs if by_class else 1)
    X, X_val, y, y_val = train_test_split(
        X, y, test_size=n_held, random_state=random_state,
        stratify=y if by_class else None,
    )  # fmt: skip
    return replace(whole, train=(X, y), validation=(X_val, y_val))


def _named(variants: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    given = isinstance(variants, Mapping)
    if not isinstance(variants, Iterable) or isinstance(variants, str):
        raise TypeError(
            f"compare got variants={shown(variants)}; it must be a dict from names to "
            "variants, or a sequence of names of optimizers."
        )
    named = dict(variants) if given else {str(name): name for name in variants}
    if len(named) < 2:
        raise ValueError(
            f"compare got variants={variants!r}; it needs at least two variants with "
            "different names."
        )
    return named


def _trainer(
    name: str, variant: Any, base: Mapping[str, Any], rows: _Rows, by: str,
    engine: str, given: Mapping[str, Any],
) -> "_Network | _Estimator":  # fmt: skip
    """Return what trains a variant, after a check of all its settings."""
    if hasattr(variant, "fit") and hasattr(variant, "get_params"):
        if by != "score":
            raise ValueError(
                f"compare got by={by!r} and an estimator ({name!r}), which has only a "
                "score. Use by='score', or a dict of settings instead of the estimator."
            )
        return _Estimator(variant)
    own = _own_settings(variant)
    allowed = sorted(_PLAN | _HIDDEN | _SIZE | {"network"})
    owner = f"compare (variant {name!r})"
    check_names("setting of a variant", {**base, **own}, allowed, owner=owner)
    shape = rows.train[0].shape[1], rows.n_outputs
    network = own.pop("network", None) or _network({**base, **own}, shape)
    settings = _plan_settings(base, own)
    for plan in phases(None, settings):
        check_plan(network, plan)
    if isinstance(network, Network) and network.adapter is not None:
        reading = network.adapter.reading()
        network = replace(network, adapter=reading)
        if reading.compiled:  # then it has a loss and an optimizer of its own
            said = {**given, **own}
            usual = {"loss", "optimizer"} - set(said)
            settings = {k: v for k, v in settings.items() if k not in usual}
    elif isinstance(network, Network):
        pass
    elif (network.n_inputs, network.n_outputs) != shape:
        raise ValueError(
            f"{owner} got a network with {network.n_inputs} inputs and "
            f"{network.n_outputs} outputs; the data need {shape[0]} and {shape[1]}."
        )
    return _Network(network, settings, by, engine)


def _own_settings(variant: Any) -> dict[str, Any]:
    if isinstance(variant, Mapping):
        return dict(variant)
    if isinstance(variant, DenseNetwork | Network):
        return {"network": variant}
    if isinstance(variant, Plan):
        return {f.name: getattr(variant, f.name) for f in fields(Plan)}
    return {"optimizer": variant}


def _network(settings: Mapping[str, Any], shape: tuple[int, int]) -> DenseNetwork:
    layers = {k: v for k, v in settings.items() if k in _HIDDEN | {"input_noise"}}
    sizes = (shape[0], *settings["hidden"], shape[1])
    return DenseNetwork.from_sizes(sizes, **layers)


def _plan_settings(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge settings; the variant's own must be allowed for its optimizer."""
    own = {k: v for k, v in own.items() if k in _PLAN}
    merged = {**{k: v for k, v in base.items() if k in _PLAN}, **own}
    optimizer = merged.get("optimizer", "adam")
    phased = isinstance(optimizer, list) and not (
        len(optimizer) == 2 and isinstance(optimizer[1], Mapping)
    )
    if not phased:
        Plan.of(Plan(optimizer=optimizer), **own)
        merged["optimizer"] = [optimizer]  # a phase ignores what it does not use
    return merged


@dataclass(frozen=True)
class _Network:
    """Trains a network."""

    network: DenseNetwork | Network
    settings: Mapping[str, Any]
    by: str
    engine: str

    def __call__(self, name: str, seed: int, rows: _Rows) -> Trial:
        network = self.network
        X, y = rows.encoded(rows.train)
        run = fit(
            network, X, y,
            validation=rows.validation and rows.encoded(rows.validation),
            parameters=None if isinstance(network, Network) else network.draw(seed),
            random_state=_Order(seed),
            engine=self.engine,
            **self.settings,
        )  # fmt: skip
        diverged = run.stop_reason is StopReason.NONFINITE
        return Trial(
            variant=name,
            seed=seed,
            value=np.nan if diverged else self._value(run),
            passes=float(run.history.passes[-1]) if len(run.history) else 0.0,
            updates=self._updates(run, len(X)),
            n_parameters=n_trained(
                engines.pick("auto", network, run.plan)[0], network, run.parameters
            ),
            seconds=float(run.history.seconds[-1]) if len(run.history) else 0.0,
            why=run.why,
            diverged=diverged,
            history=run.history,
        )

    def _value(self, run: Run) -> float:
        column = METRICS[self.by].column
        value = float(getattr(run.history, column)[run.best_epoch - 1])
        if np.isnan(value) and self.by != "training loss":
            raise ValueError(
                f"compare got by={self.by!r} and validation=None. Set validation, or "
                "use by='training loss'."
            )
        return value

    def _updates(self, run: Run, n_rows: int) -> float:
        """Count the batches of first-order epochs, and full-batch iterations."""
        adapted = getattr(self.network, "adapter", None) is not None
        plan = run.plan if adapted else phases(None, self.settings)[0]
        history = run.history
        by_batch = np.isnan(history.evaluations).sum()
        each = 1 if plan.full_batch else steps_per_epoch(plan, n_rows)
        return float(by_batch * each + len(history) - by_batch)


@dataclass(frozen=True)
class _Estimator:
    """Trains any scikit-learn estimator."""

    estimator: Any

    def __call__(self, name: str, seed: int, rows: _Rows) -> Trial:
        started = time.perf_counter()
        model = seeded(self.estimator, seed)
        if is_classifier(model) == (rows.classes is None):
            kind = "a regression" if rows.classes is None else "a classification"
            raise ValueError(
                f"compare got {type(model).__name__} as {name!r}, but y belongs to "
                f"{kind} task. Change the type of y, or use another estimator."
            )
        value, why = _fitted_score(model, rows)
        seconds = time.perf_counter() - started
        history = getattr(model, "history_", None)
        diverged = not np.isfinite(value)
        return Trial(
            name, seed, np.nan if diverged else value,
            passes=np.nan if history is None else float(history.passes[-1]),
            seconds=seconds,
            why=why or getattr(model, "stop_reason_", ""),
            diverged=diverged,
            history=history,
        )  # fmt: skip


def _fitted_score(model: Any, rows: _Rows) -> tuple[float, str]:
    """Fit and score; divergence is a result, though an estimator raises an error."""
    try:
        return float(model.fit(*rows.train).score(*(rows.validation or rows.train))), ""
    except ValueError as error:
        if "non-finite" not in str(error):
            raise
        return np.nan, str(error)


class _Order(np.random.RandomState):
    """Draws the same orders of the rows whether noise is drawn or not."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._noise = np.random.RandomState(seed)

    def randint(self, *arguments: Any, **options: Any) -> Any:
        """Draw the seed of the noise from a separate generator."""
        return self._noise.randint(*arguments, **options)


def _differences(ranked: Mapping[str, Array]) -> tuple[Difference, ...]:
    """Return the difference of each pair, given the values of variants, best first."""
    if any(len(values) < 2 for values in ranked.values()):
        return ()
    pairs = list(combinations(ranked, 2))
    return tuple(
        paired_difference(a, b, ranked[a] - ranked[b], len(pairs)) for a, b in pairs
    )


def paired_difference(
    first: str, second: str, gaps: Array, n_pairs: int = 1
) -> Difference:
    """Test the differences of two variants by Student's t over the seeds.

    Parameters
    ----------
    first, second : str
        Names of the variants.
    gaps : ndarray of shape (n_seeds,)
        The value of the first less that of the second, for at least two seeds.
    n_pairs : int
        Number of pairs that the correction is for.

    Returns
    -------
    Difference
    """
    n, mean = len(gaps), float(gaps.mean())
    error = float(gaps.std(ddof=1)) / np.sqrt(n)
    if error <= 1e-12 * abs(mean):
        # Without a spread, only the signs are tested.
        p_value = 1.0 if mean == 0 else 2.0 ** (1 - n)
    else:
        p_value = 2 * float(stats.t.sf(abs(mean) / error, n - 1))
    half = float(stats.t.ppf(1 - (1 - LEVEL) / (2 * n_pairs), n - 1)) * error
    interval = (float(mean - half), float(mean + half))
    return Difference(first, second, mean, interval, min(1.0, n_pairs * p_value))


def _verdict(
    metric: str, ranked: Mapping[str, Array], differences: Sequence[Difference]
) -> tuple[str, str]:
    """Return the variant that is significantly better than all others, in words too."""
    if not ranked:
        return "", "Every variant diverged."
    top, *others = ranked
    if not others:
        return top, f"{top} is the only variant that never diverged."
    n_seeds = len(ranked[top])
    if n_seeds < 2:
        return "", (
            f"{top} has the best {metric}, but one seed cannot show whether the "
            "difference is significant. Use more seeds."
        )
    tied = [d.second for d in differences if d.first == top and d.p_value >= 1 - LEVEL]
    if tied:
        return "", (
            f"With {n_seeds} seeds, {top} has the best {metric}, but is not "
            f"significantly better than {', '.join(tied)}."
        )
    return top, (
        f"With {n_seeds} seeds, {top} has the best {metric}, significantly better than "
        "every other variant."
    )


def _notes(trials: Mapping[str, Sequence[Trial]], n_pairs: int) -> tuple[str, ...]:
    notes = []
    for name, own in trials.items():
        if n_diverged := sum(trial.diverged for trial in own):
            notes.append(
                f"{name} diverged with {n_diverged} of {len(own)} seeds. It is "
                "plotted, but left out of the differences."
            )
    if n_pairs > 1:
        notes.append(f"p-values and intervals are corrected for {n_pairs} pairs.")
    costs = {
        "passes": "Unequal budgets, in passes over the rows",
        "updates": "Unequal numbers of updates",
        "n_parameters": "Networks of unequal size, in parameters",
    }
    for cost, text in costs.items():
        means = {
            name: float(np.mean([getattr(trial, cost) for trial in own]))
            for name, own in trials.items()
        }
        known = {name: mean for name, mean in means.items() if mean > 0}
        if known and max(known.values()) > 1.05 * min(known.values()):
            shown = ", ".join(f"{name} {mean:.5g}" for name, mean in known.items())
            notes.append(f"{text}: {shown}.")
    return tuple(notes)


def judge_steps(histories: Mapping[str, Sequence[History]]) -> Comparison:
    """Compare histories of single updates by the mean loss over the last tenth.

    Parameters
    ----------
    histories : mapping of str to sequence of History
        From `thalweg.training.inspect.train_steps`, one for each seed.

    Returns
    -------
    Comparison
    """
    trials = []
    for name, own in histories.items():
        for seed, history in enumerate(own):
            value = float(history.loss[-max(len(history) // 10, 1) :].mean())
            trial = Trial(
                name, seed, value,
                updates=float(len(history)),
                seconds=float(history.seconds[-1]),
                diverged=not np.isfinite(value),
                history=history,
            )  # fmt: skip
            trials.append(trial)
    return judge(trials, "training loss")
