"""Train variants side by side, and say which is better beyond chance.

A comparison is paired: for each seed, all variants meet the same rows in the same
order, and begin with the same random numbers where their networks are alike. What is
left between two variants is then a difference per seed, and Student's t over the seeds
gives its interval. With k variants there are k(k − 1)/2 pairs to be wrong about, so
each interval is widened for all to hold at once (Bonferroni). The rows held out are the
same for all seeds: what is found holds for this division of the rows, and how far it
carries to other rows is for the number of held-out rows to say.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import combinations
from typing import Any

import numpy as np
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
    StopReason,
    check_names,
    find,
    phases,
    steps_per_epoch,
)
from thalweg.estimators import seeded
from thalweg.training import check_plan, fit, n_trained, run_all

LEVEL = 0.95
"""Confidence of all intervals of a comparison together."""

METRICS = {
    "score": ("validation score", "validation_score", True),
    "loss": ("validation loss", "validation_loss", False),
    "training loss": ("training loss", "loss", False),
}
"""What variants can be judged by, where it is recorded, and whether more is better."""

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
    **settings: Any,
) -> Comparison:
    """Train variants on the same rows with the same seeds, and compare them.

    Parameters
    ----------
    variants : mapping of str to variant, or sequence of str
        A variant is an optimizer (a name, a pair with constants, a list of phases), a
        dict of settings, a `Plan`, a `DenseNetwork` or `Network`, or a scikit-learn
        estimator. A sequence names optimizers. A Keras model begins with its present
        weights in each trial, and keeps them.
    X : array-like of shape (n_rows, n_inputs)
        Taken as it is: scale it first.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Labels of any kind, or numbers with a fractional type.
    hidden : sequence of int
        Widths of the hidden layers.
    seeds : int or sequence of int
        How many, or which. Below two nothing can be said of chance.
    by : {"score", "loss", "training loss"}
        What decides: accuracy or R², or the mean loss, on held-out rows; or the
        objective on the training rows. Of the last epoch, unless ``restore_best``
        is set.
    validation : float, (X_val, y_val) or None
        Share of the rows held out, once for all seeds, or the rows themselves.
    random_state : int
        Seed of that division.
    engine : {"auto", "jax", "native"}
    n_jobs : int or None
        Trainings that run side by side, as in joblib; 1 where seconds should count.
    **settings
        What the variants have in common: fields of `Plan` and, for the hidden layers,
        of `Dense`. Those that a full-batch method has no use for pass it by.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        For an unknown setting, name or metric, with the nearest that exists.

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
    named = _named(variants)
    rows = _divide(X, y, settings.get("loss"), validation, random_state)
    base = {"loss": rows.loss, "restore_best": False, "hidden": hidden, **settings}
    makers = {n: _maker(n, each, base, rows, by, engine) for n, each in named.items()}
    chosen = range(seeds) if isinstance(seeds, int) else seeds
    jobs = [(name, int(seed)) for name in named for seed in chosen]

    def trial(name: str, seed: int) -> Trial:
        return makers[name](name, seed, rows)

    return judge(run_all(trial, jobs, n_jobs), by)


def judge(trials: Sequence[Trial], by: str = "score") -> Comparison:
    """Compare what was trained already; `compare` stands on this.

    Parameters
    ----------
    trials : sequence of Trial
        The same seeds for each variant.
    by : {"score", "loss", "training loss"}
        What the trials' values are.

    Returns
    -------
    Comparison
    """
    metric, _, greater = METRICS[by]
    plain = Comparison(metric, greater, tuple(trials), (), "", "")
    sound = [v for v in plain.variants if not any(t.diverged for t in plain.of(v))]
    best_first = sorted(
        sound, key=lambda name: plain.values(name).mean(), reverse=greater
    )
    differences = _differences(plain, best_first)
    winner, verdict = _verdict(plain, best_first, differences)
    notes = _notes(plain, len(differences))
    return replace(
        plain, differences=differences, winner=winner, verdict=verdict, notes=notes
    )


@dataclass(frozen=True)
class _Rows:
    """The rows to train on and those to judge by, and what kind of target it is."""

    train: tuple[Array, Array]
    held: tuple[Array, Array] | None
    loss: Any
    classes: Array | None
    n_outputs: int

    def encoded(self, part: tuple[Array, Array]) -> tuple[Array, Array]:
        """Return rows as an engine takes them: classes as numbers."""
        X, y = part
        if self.classes is None:
            return X, y
        if not np.isin(y, self.classes).all():
            raise ValueError(
                "compare got classes in the validation rows that are not among those "
                "to train on. Leave them out, or let compare divide the rows."
            )
        return X, np.searchsorted(self.classes, y)


def _divide(X: Any, y: Any, loss: Any, validation: Any, random_state: int) -> _Rows:
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
        X_held, y_held = map(np.asarray, validation)
        return replace(whole, held=(X_held, y_held))
    n_held = max(round(validation * len(y)), n_outputs if by_class else 1)
    X, X_held, y, y_held = train_test_split(
        X, y, test_size=n_held, random_state=random_state,
        stratify=y if by_class else None,
    )  # fmt: skip
    return replace(whole, train=(X, y), held=(X_held, y_held))


def _named(variants: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    given = isinstance(variants, Mapping)
    named = dict(variants) if given else {str(name): name for name in variants}
    if len(named) < 2:
        raise ValueError(
            f"compare got variants={variants!r}; it needs at least two of different "
            "names."
        )
    return named


def _maker(
    name: str, variant: Any, base: Mapping[str, Any], rows: _Rows, by: str, engine: str
) -> "_Network | _Estimator":
    """Return what trains a variant; all that is wrong with it is found here."""
    if hasattr(variant, "fit") and hasattr(variant, "get_params"):
        if by != "score":
            raise ValueError(
                f"compare got by={by!r} with an estimator ({name!r}), which tells only "
                "its score. Leave by='score', or give a dict of settings."
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
    if isinstance(network, Network):
        network = replace(network, adapter=None)
    elif (network.n_inputs, network.n_outputs) != shape:
        raise ValueError(
            f"{owner} got a network from {network.n_inputs} inputs to "
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
    """Merge; what was set for the variant itself must fit its optimizer."""
    own = {k: v for k, v in own.items() if k in _PLAN}
    merged = {**{k: v for k, v in base.items() if k in _PLAN}, **own}
    optimizer = merged.get("optimizer", "adam")
    phased = isinstance(optimizer, list) and not (
        len(optimizer) == 2 and isinstance(optimizer[1], Mapping)
    )
    if not phased:
        Plan.of(Plan(optimizer=optimizer), **own)
        merged["optimizer"] = [optimizer]  # one phase, which takes what it can use
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
            validation=rows.held and rows.encoded(rows.held),
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
            updates=self._updates(run.history, len(X)),
            n_parameters=n_trained(
                engines.pick("auto", network, run.plan)[0], network, run.parameters
            ),
            seconds=float(run.history.seconds[-1]) if len(run.history) else 0.0,
            why=run.why,
            diverged=diverged,
            history=run.history,
        )

    def _value(self, run: Run) -> float:
        _, column, _ = METRICS[self.by]
        value = float(getattr(run.history, column)[run.best_epoch - 1])
        if np.isnan(value) and self.by != "training loss":
            raise ValueError(
                f"compare got by={self.by!r} with validation=None. Hold rows out, or "
                "judge by='training loss'."
            )
        return value

    def _updates(self, history: History, n_rows: int) -> float:
        """Count first-order updates by batches, and full-batch ones by iterations."""
        plan = phases(None, self.settings)[0]
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
                f"compare got {type(model).__name__} as {name!r}, but the target is "
                f"{kind} task. Give y of that kind, or another estimator."
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
    """Fit and score; what an estimator raises when it diverges is no mistake here."""
    try:
        return float(model.fit(*rows.train).score(*(rows.held or rows.train))), ""
    except ValueError as error:
        if "non-finite" not in str(error):
            raise
        return np.nan, str(error)


class _Order(np.random.RandomState):
    """A source of row orders that stays the same whether noise is drawn or not."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._noise = np.random.RandomState(seed)

    def randint(self, *arguments: Any, **options: Any) -> Any:
        """Draw the noise's seed, from a source of its own."""
        return self._noise.randint(*arguments, **options)


def _differences(plain: Comparison, best_first: list[str]) -> tuple[Difference, ...]:
    if len(plain.trials) < 2 * len(plain.variants):
        return ()
    pairs = list(combinations(best_first, 2))
    return tuple(
        paired_difference(a, b, plain.values(a) - plain.values(b), len(pairs))
        for a, b in pairs
    )


def paired_difference(
    first: str, second: str, gaps: Array, n_pairs: int = 1
) -> Difference:
    """Judge the differences of two variants by Student's t over the seeds.

    Parameters
    ----------
    first, second : str
    gaps : ndarray of shape (n_seeds,)
        At least two.
    n_pairs : int
        Pairs that are judged together.

    Returns
    -------
    Difference
    """
    n, mean = len(gaps), float(gaps.mean())
    error = float(gaps.std(ddof=1)) / np.sqrt(n)
    if error <= 1e-12 * abs(mean):
        # No spread to go by: what signs alone can say of so many seeds.
        p_value = 1.0 if mean == 0 else 2.0 ** (1 - n)
    else:
        p_value = 2 * float(stats.t.sf(abs(mean) / error, n - 1))
    half = float(stats.t.ppf(1 - (1 - LEVEL) / (2 * n_pairs), n - 1)) * error
    interval = (float(mean - half), float(mean + half))
    return Difference(first, second, mean, interval, min(1.0, n_pairs * p_value))


def _verdict(
    plain: Comparison, best_first: list[str], differences: Sequence[Difference]
) -> tuple[str, str]:
    """Return the best, if it is better than every other beyond chance; say so."""
    if not best_first:
        return "", "Every variant diverged."
    metric, top = plain.metric, best_first[0]
    n_seeds = len(plain.of(top))
    if len(best_first) == 1:
        return top, f"{top} alone never diverged."
    if n_seeds < 2:
        return "", (
            f"{top} has the best {metric}, but one seed cannot tell a difference from "
            "chance. Give more seeds."
        )
    tied = [d.second for d in differences if d.first == top and d.p_value >= 1 - LEVEL]
    if tied:
        return "", (
            f"No difference beyond chance over {n_seeds} seeds in {metric} between "
            f"{top} and {', '.join(tied)}."
        )
    return top, f"{top} has the best {metric}, beyond chance over {n_seeds} seeds."


def _notes(plain: Comparison, n_pairs: int) -> tuple[str, ...]:
    notes = []
    for name in plain.variants:
        own = plain.of(name)
        if lost := sum(trial.diverged for trial in own):
            notes.append(
                f"{name} diverged with {lost} of {len(own)} seeds: it is drawn, but "
                "not among the differences."
            )
    if n_pairs > 1:
        notes.append(f"p-values and intervals are corrected for {n_pairs} pairs.")
    words = {
        "passes": "Unequal budgets, in passes over the rows",
        "updates": "Unequal numbers of updates",
        "n_parameters": "Networks of unequal size, in parameters",
    }
    means = plain.summary()
    for key, text in words.items():
        amounts = {name: row[key] for name, row in means.items() if row[key] > 0}
        if amounts and max(amounts.values()) > 1.05 * min(amounts.values()):
            shown = ", ".join(f"{name} {each:.5g}" for name, each in amounts.items())
            notes.append(f"{text}: {shown}.")
    return tuple(notes)


def judge_steps(histories: Mapping[str, Sequence[History]]) -> Comparison:
    """Compare recorded updates by the loss over the last tenth of them.

    Parameters
    ----------
    histories : mapping of str to sequence of History
        What `thalweg.training.inspect.train_steps` returned, one a seed.

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
