"""Evaluating a table's model on test data: score, baselines, confusion, importance.

Each function takes the targets and the predictions for rows that the model was not
trained on, and returns a record. The intervals are over these rows: they are a sample,
and another sample would have another score.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.base import clone, is_classifier
from sklearn.metrics import confusion_matrix

from thalweg.core import (
    Array,
    Frame,
    Record,
    Series,
    StopReason,
    folds,
    short_repr,
    wilson,
)
from thalweg.estimators.splits import (
    Split,
    as_groups,
    as_times,
    group_folds,
    hold_out_honestly,
    repeated_rows,
    together,
)
from thalweg.estimators.tabular.baselines import (
    TREES,
    constant_guess,
    fitted_baseline,
    is_linear,
    linear_of,
    some_rows,
    trees_of,
)
from thalweg.estimators.tabular.columns import encode_each
from thalweg.estimators.tabular.estimators import FEW_ROWS, labeled
from thalweg.estimators.tabular.labels import as_target, known_rows
from thalweg.estimators.tabular.metrics import (
    ClassMetrics,
    Guess,
    Metric,
    Truth,
    find_metric,
    measure,
    measure_all,
    measure_classes,
    positive_class,
)
from thalweg.estimators.tabular.targets import Classes
from thalweg.estimators.tabular.trees import TreesClassifier, TreesRegressor
from thalweg.io import PathLike
from thalweg.training import Kept, open_checkpoint


@short_repr
@dataclass(frozen=True)
class Confusion(Record):
    """The confusion matrix.

    Parameters
    ----------
    labels : tuple of str
    counts : tuple of tuple of int
        Number of rows of each true class (first index) and predicted class.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@short_repr
@dataclass(frozen=True)
class Calibration(Record):
    """Whether the probabilities of a classifier match how often it is right.

    Rows are sorted by the probability of the predicted class and divided into bins of
    about the same number of rows (the bins of Guo et al., 2017, section 2, have the
    same width instead).

    Parameters
    ----------
    confidence, accuracy : tuple of float
        Mean probability and share of correct predictions in each bin.
    intervals : tuple of (float, float)
        95 % confidence interval of each accuracy.
    counts : tuple of int
        Number of rows of each bin.
    error : float
        Expected calibration error: mean difference of confidence and accuracy, weighted
        by rows.
    """

    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    counts: tuple[int, ...]
    error: float


@short_repr
@dataclass(frozen=True)
class Residuals(Record):
    """Targets and predictions of values, for at most 2000 rows."""

    truth: tuple[float, ...]
    predicted: tuple[float, ...]


@short_repr
@dataclass(frozen=True)
class Importance(Record):
    """Permutation importance: the drop of the score when a column is shuffled.

    Parameters
    ----------
    column : str
    drop : float
        Mean over the shuffles.
    interval : (float, float)
        95 % confidence interval of `drop`, over the rows.
    """

    column: str
    drop: float
    interval: tuple[float, float]


_VERY_FEW_ROWS = 30
_HELD_OUT = 5000  # at most about so many rows are test data


@short_repr
@dataclass(frozen=True)
class Evaluation(Record):
    """The score of a model on test data, with baselines and details.

    Parameters
    ----------
    metric : str
        ``"accuracy"`` or ``"R2"``, or the scorer's name.
    score : float
        The model's score; greater is better.
    interval : (float, float)
        95 % confidence interval of `score`.
    n_rows : int
        Number of rows of the test data.
    method : str
        How the test data were held out, in words.
    baselines : mapping of str to float
        Scores of simple models on the same rows, by their names.
    intervals : mapping of str to (float, float)
        95 % confidence interval of each baseline.
    gains : mapping of str to (float, float, float)
        Difference of the model's score and each baseline's: its value and its 95 %
        confidence interval, from the same bootstrap samples for both.
    confusion : Confusion or None
        None for values.
    residuals : Residuals or None
        None for classes.
    calibration : Calibration or None
        None for values, and for fewer than 45 rows.
    importance : tuple of Importance
        One for each column, the greatest drop first; empty if not measured.
    metrics : tuple of Metric
        All metrics of the model, first the one that `score` is.
    classes : tuple of ClassMetrics
        Precision, recall and F1 of each class; empty for values.
    subject : str
        What was scored: ``"network"``, ``"linear model"`` or ``"tree ensemble"``.
    verdict : str
        Whether the model beats the baselines, in a sentence; ``""`` if it does.
    notes : tuple of str
        What the reader should know, in sentences.
    threshold : float or None
        The probability of the class `positive` from which on it is predicted.
    positive : str
        ``""`` without a threshold.
    class_weight : str
        The weights of the classes; ``""`` for none.
    """

    metric: str
    score: float
    interval: tuple[float, float]
    n_rows: int
    method: str
    baselines: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    gains: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    confusion: Confusion | None = None
    residuals: Residuals | None = None
    calibration: Calibration | None = None
    importance: tuple[Importance, ...] = ()
    metrics: tuple[Metric, ...] = ()
    classes: tuple[ClassMetrics, ...] = ()
    subject: str = "network"
    verdict: str = ""
    notes: tuple[str, ...] = ()
    threshold: float | None = None
    positive: str = ""
    class_weight: str = ""

    @property
    def best(self) -> str:
        """The name of the best model: `subject`, or a baseline with a greater score."""
        rivals = {k: v for k, v in self.baselines.items() if k not in _CONSTANTS}
        best = max(rivals, key=lambda name: rivals[name], default=self.subject)
        return best if rivals.get(best, -np.inf) > self.score else self.subject


_CONSTANTS = "majority class", "mean"
_SHARE = 0.2  # of the rows that are test data
_MUCH = 0.05  # of all rows: more test data than that are worth a fit on all rows


def n_networks(n_rows: int, *, time: bool = False, refit: bool = True) -> int:
    """Return how many networks `evaluate` trains for a table of `n_rows`.

    Parameters
    ----------
    n_rows : int
    time : bool
        Whether the rows have times.
    refit : bool
    """
    if n_rows >= FEW_ROWS or time:
        return 1 + refit
    return _n_folds(n_rows) + refit


def refit_pays(n_rows: int) -> bool:
    """Whether enough rows are test data that a fit on all rows is worth its time."""
    return n_rows < FEW_ROWS or 1 / max(5, n_rows // _HELD_OUT) >= _MUCH


def evaluate(
    model: Any,
    X: Any,
    y: Any,
    announce: Callable[[str], None] = lambda text: None,
    closely: bool = False,
    *,
    scoring: Any = None,
    groups: ArrayLike | None = None,
    time: ArrayLike | None = None,
    refit: bool = True,
    checkpoint: PathLike | Kept | None = None,
    checkpoint_every: int | float | str | None = None,
    resume: bool | str = "auto",
) -> Evaluation:
    """Score a model on rows that it was not fitted on, then fit it on all rows.

    With `FEW_ROWS` rows or more, a fifth of them (at most about 5000) are test data,
    and a copy is fitted on the others. With fewer rows, a copy is fitted for each fold
    of a cross-validation (10 folds, or leave-one-out under 30 rows), and the
    predictions of all folds are scored together. Rows that repeat exactly are on one
    side of a split.

    Parameters
    ----------
    model : Classifier, Regressor, TreesClassifier or TreesRegressor
        It is fitted in place.
    X, y : as for `Classifier.fit`
    announce : callable
        It is called with a text before each network is trained. Interrupting from the
        keyboard ends the training of a single network, and a whole cross-validation.
    closely : bool
        Whether to add the details of a report: confusion or residuals, calibration and
        importance of the columns.
    scoring : str, callable or None
        The metric: a scorer of scikit-learn's, or its name. None is the model's own
        `scoring`, or else accuracy or R².
    groups : array-like of shape (n_rows,), optional
        Rows of one group are never on both sides of a split. Intervals then come from
        resampling groups.
    time : array-like of shape (n_rows,), optional
        Numbers or dates. The latest fifth of the rows are the test data, for a table of
        any size.
    refit : bool
        Whether the model is fitted on all rows in the end, so that the score is of the
        model before. False leaves it fitted on the training data of the split; after a
        cross-validation it is fitted on all rows nevertheless.
    checkpoint, checkpoint_every, resume
        As for `Classifier.fit`; one file keeps all trainings.

    Returns
    -------
    Evaluation
        Accuracy with Wilson's interval, or R² or another metric with a bootstrap
        interval, and the scores of a constant, a linear model and boosted trees on the
        same rows.

    Raises
    ------
    ValueError
        If the rows cannot be split, or the metric does not suit the target.
    """
    file = open_checkpoint(checkpoint, checkpoint_every, resume, owner="evaluate")
    done = _evaluate(model, X, y, announce, closely, scoring, groups, time, refit, file)
    return done.finish(model) if refit or done.crossed else done.evaluation


def evaluate_best(
    model: Any,
    X: Any,
    y: Any,
    announce: Callable[[str], None] = lambda text: None,
    closely: bool = False,
    *,
    scoring: Any = None,
    groups: ArrayLike | None = None,
    time: ArrayLike | None = None,
    refit: bool = True,
    checkpoint: PathLike | Kept | None = None,
    checkpoint_every: int | float | str | None = None,
    resume: bool | str = "auto",
) -> tuple[Any, Evaluation]:
    """Return the best of a network, a linear model and trees, and its evaluation.

    All are scored on the same rows; the network is preferred to another of the same
    score. That the greatest of three scores is reported makes it a little too good.

    Parameters
    ----------
    model : Classifier or Regressor
        The network.
    X, y, announce, closely, scoring, groups, time, refit
    checkpoint, checkpoint_every, resume
        As for `evaluate`.

    Returns
    -------
    model : Classifier, Regressor, TreesClassifier or TreesRegressor
        Fitted.
    evaluation : Evaluation
    """
    if scoring is None:  # which trees do not keep
        scoring = getattr(model, "scoring", None)
    how: dict[str, Any] = {"scoring": scoring, "groups": groups, "time": time}
    file = open_checkpoint(checkpoint, checkpoint_every, resume, owner="evaluate_best")
    done = _evaluate(model, X, y, announce, closely, **how, refit=refit, file=file)
    first = done.evaluation
    if first.best == first.subject:
        fit = refit or done.crossed
        return model, done.finish(model) if fit else first
    if first.best == TREES:
        better = trees_of(model, int(known_rows(y, model.missing).sum()))
    else:
        better = linear_of(model)
    named = None if file is None else file.named("better")
    found = evaluate(
        better, X, y, announce, closely, **how, refit=refit, checkpoint=named
    )
    gain = -first.gains[first.best][0]
    told = (
        f"The model is the {found.subject}: on these rows its "
        f"{found.metrics[0].label} is better than the network's, by {gain:.3f}."
    )
    constant = max(v for k, v in found.baselines.items() if k in _CONSTANTS)
    verdict = found.verdict if constant >= found.score else ""
    return better, replace(found, verdict=verdict, notes=(told, *found.notes))


def _evaluate(
    model: Any, X: Any, y: Any, announce: Callable[[str], None], closely: bool,
    scoring: Any, groups: Any, time: Any, refit: bool, file: Kept | None,
) -> "_Evaluated":  # fmt: skip
    """Score a model that is fitted on a part of the rows."""
    frame, target, _ = labeled(X, y, None, model.missing)
    if target.ndim == 2:
        raise ValueError(
            f"evaluate scores one target and got y with {target.shape[1]} columns. "
            "Evaluate a Regressor of each column."
        )
    kept = known_rows(y, model.missing)
    groups = _of_known(as_groups(groups, len(kept), "evaluate"), kept)
    times = _of_known(as_times(time, len(kept), "evaluate"), kept)
    metric = _metric(model, scoring)
    folded = evaluation_splits(frame, target, groups, times)
    tests, found = folded.splits, _Found(model, frame, target)
    copies = refit or len(tests) > 1
    total = len(tests) + copies
    for number, split in enumerate(tests, start=1):
        announce(f"network {number} of {total}")
        copy: Any = clone(model) if copies else model
        name = f"network {number}"
        found.add(copy, split, folded.groups, times, file and file.named(name))
        if len(tests) > 1 and _interrupted(copy):
            raise KeyboardInterrupt
    evaluation = found.evaluation(metric, folded, groups, closely)
    return _Evaluated(evaluation, found.models[-1], folded, frame, target, times,
                      lambda: announce(f"network {total} of {total}"),
                      file and file.named("refit"))  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Evaluated:
    """An evaluation, with all that a fit on all rows takes."""

    evaluation: Evaluation
    model: Any
    folded: "Folded"
    frame: Frame
    target: Series
    times: Array | None
    announce: Callable[[], None]
    file: Kept | None

    @property
    def crossed(self) -> bool:
        """Whether several models were fitted, so that none of them is the answer."""
        return len(self.folded.splits) > 1

    def finish(self, model: Any) -> Evaluation:
        """Fit a model on all rows, unless the keyboard forbids it."""
        told = ""
        if _interrupted(self.model):
            told = "The training was interrupted."
        else:
            self.announce()
            given = self.frame, self.target, self.folded.groups, self.times
            fit_all(model, *given, self.file)
            if _interrupted(model) and not self.crossed:
                told = "The fit on all rows was interrupted."
        if not told:
            return self.evaluation
        vars(model).update(vars(self.model))
        told += " The model is the one that was evaluated, and knows no test rows."
        return replace(self.evaluation, notes=(*self.evaluation.notes, told))


def fit_all(
    model: Any, frame: Frame, target: Series, groups: Any, times: Any,
    file: Kept | None = None,
) -> None:  # fmt: skip
    """Fit a model on all rows, with validation data that are honest too."""
    trees = isinstance(model, TreesClassifier | TreesRegressor)
    times = None if trees or is_linear(model) else times
    kept: dict[str, Any] = {} if file is None or trees else {"checkpoint": file}
    model.fit(frame, target, groups=groups, time=times, **kept)


def score_model(model: Any, X: Any, y: Any, scoring: Any = None) -> Evaluation:
    """Score a fitted model on rows of a table, with the details of a report.

    Parameters
    ----------
    model : Classifier, Regressor, TreesClassifier or TreesRegressor
        Fitted.
    X, y : as for `Classifier.fit`
        Rows without a target are left out.
    scoring : str, callable or None
        As for `evaluate`.

    Returns
    -------
    Evaluation
        Without importances of the columns for a table of fewer than two rows.

    Raises
    ------
    ValueError
        If a target is a class that the model does not know, or the metric does not
        suit the target.
    """
    target = as_target(y)
    kept = known_rows(target, model.missing)
    frame, target = model.aligned(X)[kept], target[kept]
    if not len(target):
        raise ValueError(
            f"the target {target.name!r} has no value in any row, so that nothing can "
            "be scored. Fill it in."
        )
    model.target_.encode(target)  # raises for a class that is new
    found = _Found(model, frame, target)
    found.see(model, frame, target)
    metric = _metric(model, scoring)
    truth, guess = found.joined(None)
    name, constant = constant_guess(truth)
    measured = measure_all(metric, truth, guess)
    first = measured[0]
    evaluation = Evaluation(
        metric=_named(metric), score=first.score, interval=_signed(first),
        n_rows=len(truth), method="of the table given",
        baselines={name: _score(metric, truth, constant)},
        metrics=measured, subject=_subject(model), **_threshold(model),
        classes=() if truth.labels is None else measure_classes(truth, guess),
    )  # fmt: skip
    return look_closely(evaluation, [model], [frame], truth, guess)


@dataclass(frozen=True, eq=False)
class Folded:
    """How the rows are divided for an evaluation.

    Parameters
    ----------
    splits : tuple of Split
        One, or one for each fold.
    method : str
        How the test data are held out, in words.
    groups : ndarray of int, shape (n_rows,), or None
        Rows that must be on one side of a further split.
    notes : tuple of str
    """

    splits: tuple[Split, ...]
    method: str
    groups: Array | None = None
    notes: tuple[str, ...] = ()


def evaluation_splits(
    frame: Frame, target: Series, groups: Array | None = None,
    times: Array | None = None,
) -> Folded:  # fmt: skip
    """Divide rows as `evaluate` does.

    Parameters
    ----------
    frame : DataFrame
    target : Series
    groups, times : ndarray of shape (n_rows,), optional
        As `thalweg.estimators.splits` reads them.
    """
    n_rows, values = len(target), target.to_numpy()
    classes = not _are_numbers(values)
    few = n_rows < FEW_ROWS
    repeats = repeated_rows(frame, target)
    notes = []
    if repeats is not None:
        n_copies = int((repeats != np.arange(n_rows)).sum())
        rows = "1 row repeats" if n_copies == 1 else f"{n_copies} rows repeat"
        notes.append(
            f"{rows} another row exactly; copies are kept on one side of a split."
        )
    if groups is not None:
        groups, whole = _linked(groups, repeats), groups
        n_groups = len(np.unique(whole))
    else:
        whole, n_groups = np.zeros(n_rows, int), 0
    if times is not None:
        split = hold_out_honestly(values, _SHARE, groups, times, classes, "evaluate")
        if groups is None and repeats is not None:
            test = np.isin(repeats, repeats[split.test])
            split = Split(split.train[~test[split.train]], split.test)
        dropped = n_rows - len(split.train) - len(split.test)
        if dropped:
            what = "groups" if groups is not None else "copies"
            notes.append(
                f"{dropped} earlier rows were left out, because their {what} are in "
                "the test data."
            )
        method = "the latest ones, held out from training"
        return Folded((split,), method, groups, tuple(notes))
    if groups is not None:
        k = _n_folds(n_rows) if few else 5
        fold = group_folds(values, groups, k, classes)
        step = int(fold.max()) + 1
        count = step if few else 1
        n_held = len(np.unique(whole[fold == 0]))
        method = (
            f"each predicted by one of {step} models trained on other groups"
            if few
            else f"{n_held} of {n_groups} groups, held out from training"
        )
    else:
        step = _n_folds(n_rows) if few else max(5, n_rows // _HELD_OUT)
        drawn = folds(values, step, np.random.RandomState(0))
        fold = together(drawn, repeats)
        count = step if few else 1
        method = _describe(count, n_rows)
    numbers = [k for k in range(count) if (fold == k).any()]
    splits = tuple(
        Split(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in numbers
    )
    return Folded(splits, method, groups if groups is not None else repeats,
                  tuple(notes))  # fmt: skip


def _are_numbers(values: Array) -> bool:
    if values.dtype.kind == "f":
        return True
    return values.dtype.kind in "iu" and len(np.unique(values)) > 20


def _linked(groups: Array, repeats: Array | None) -> Array:
    """Return groups in which copies of a row are in one group, if enough are left."""
    if repeats is None:
        return groups
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = int(groups.max()) + 1
    pairs = groups, groups[repeats]
    links = coo_array((np.ones(len(groups)), pairs), shape=(n, n))
    count, joined = connected_components(links, directed=False)
    return joined[groups] if count >= min(n, 5) else groups


def _of_known(values: Array | None, kept: Array) -> Array | None:
    return None if values is None else values[kept]


def _metric(model: Any, scoring: Any) -> Any:
    classes = isinstance(model.target_, Classes) if hasattr(model, "target_") else (
        is_classifier(model)
    )  # fmt: skip
    scoring = getattr(model, "scoring", None) if scoring is None else scoring
    return find_metric(scoring, classes)


def _named(metric: Any) -> str:
    return "R2" if metric.name == "r2" else metric.name


def _signed(metric: Metric) -> tuple[float, float]:
    low, high = metric.interval
    return (low, high) if metric.greater_is_better else (-high, -low)


def _score(metric: Any, truth: Truth, guess: Guess) -> float:
    value = metric.value_of(truth, guess)
    return value if metric.greater else -value


def _interrupted(model: Any) -> bool:
    runs = getattr(model, "runs_", ())
    return any(run.stop_reason is StopReason.INTERRUPTED for run in runs)


def _subject(model: Any) -> str:
    if getattr(model, "trees_", None) is not None:
        return "tree ensemble"
    widths = model.run_.network.widths
    return "linear model" if len(widths) == 2 else "network"


def _threshold(model: Any) -> dict[str, Any]:
    if getattr(model, "threshold_", None) is None:
        return {}
    label = str(model.target_.labels[model.positive_])
    return {"threshold": float(model.threshold_), "positive": label}


class _Found:
    """What the model and the baselines predict for the test rows, fold by fold."""

    def __init__(self, model: Any, frame: Frame, target: Series) -> None:
        self._frame, self._target = frame, target
        self.models: list[Any] = []
        self._parts: list[Array] = []
        self._truths: list[Truth] = []
        self._guesses: dict[str, list[tuple[Guess, Array | None]]] = {}
        linear = linear_of(model)
        self._rivals = {}
        if not is_linear(model):
            self._rivals[linear._target.linear] = linear
        if not isinstance(model, TreesClassifier | TreesRegressor):
            self._rivals[TREES] = trees_of(model, len(target))

    def add(
        self, model: Any, split: Split, groups: Any, times: Any,
        file: Kept | None = None,
    ) -> None:  # fmt: skip
        """Fit the model and the baselines, and predict the test rows."""
        own = [None if v is None else v[split.train] for v in (groups, times)]
        train = self._frame.iloc[split.train], self._target.iloc[split.train]
        test = self._frame.iloc[split.test], self._target.iloc[split.test]
        fit_all(model, *train, *_usable(*own), file)
        self.see(model, *test)
        self._parts.append(split.test)
        for name, rival in self._rivals.items():
            fitted = fitted_baseline(rival, *train)
            self._keep(name, fitted, fitted.compared(*test)[1])

    def see(self, model: Any, frame: Frame, target: Series) -> None:
        """Predict test rows with the model."""
        truth, guess = model.compared(frame, target)
        self.models.append(model)
        self._truths.append(truth)
        self._keep("", model, guess)

    def _keep(self, name: str, model: Any, guess: Guess) -> None:
        labels = model.classes_ if guess.probabilities is not None else None
        self._guesses.setdefault(name, []).append((guess, labels))

    def joined(self, groups: Array | None) -> tuple[Truth, Guess]:
        """Return the targets of all test rows, and what the model predicts for them."""
        import pandas as pd

        parts = self._truths
        values = np.concatenate([each.values for each in parts])
        frame = pd.concat([each.frame for each in parts])
        if parts[0].labels is None:
            truth = Truth(values, frame=frame)
        else:
            every = [labels for own in self._guesses.values() for _, labels in own]
            labels = _union([values, *(each for each in every if each is not None)])
            positive = positive_class(labels, values)
            truth = Truth(values, labels, positive, frame=frame)
        if groups is not None:
            order = np.concatenate(self._parts)
            truth = replace(truth, groups=groups[order])
        return truth, self.guess("", truth)

    def guess(self, name: str, truth: Truth) -> Guess:
        """Return what the model (without a name) or a baseline predicts."""
        own = self._guesses[name]
        predicted = np.concatenate([guess.predicted for guess, _ in own])
        if truth.labels is None:
            return Guess(predicted)
        shares = []
        for guess, labels in own:
            assert guess.probabilities is not None
            assert labels is not None
            wide = np.zeros((len(guess.predicted), len(truth.labels)))
            wide[:, np.isin(truth.labels, labels)] = guess.probabilities
            shares.append(wide)
        return Guess(predicted, np.concatenate(shares))

    def evaluation(
        self, metric: Any, folded: Folded, groups: Array | None, closely: bool
    ) -> Evaluation:
        """Score the model and the baselines."""
        truth, guess = self.joined(groups)
        name, constant = constant_guess(truth)
        rivals = {name: constant}
        rivals |= {name: self.guess(name, truth) for name in self._rivals}
        measured = measure_all(metric, truth, guess)
        first, model = measured[0], self.models[-1]
        against = {k: measure(metric, truth, g) for k, g in rivals.items()}
        gains = {k: _gain(metric, truth, guess, g) for k, g in rivals.items()}
        scores = {k: each.score for k, each in against.items()}
        weights = getattr(model, "class_weight", None)
        found = Evaluation(
            metric=_named(metric), score=first.score, interval=_signed(first),
            n_rows=len(truth), method=folded.method, baselines=scores,
            intervals={k: _signed(each) for k, each in against.items()}, gains=gains,
            metrics=measured, subject=_subject(model), notes=folded.notes,
            class_weight="" if weights is None else str(weights), **_threshold(model),
        )  # fmt: skip
        found = replace(found, verdict=judge(found))
        few = some_rows(len(self._frame), self._frame.shape[1])
        if len(few) < len(self._frame) - len(truth):
            told = f"The baselines were fitted on {len(few)} of the training rows."
            found = replace(found, notes=(*found.notes, told))
        if not closely:
            return found
        if truth.labels is not None:
            found = replace(found, classes=measure_classes(truth, guess))
        frames = [self._frame.iloc[rows] for rows in self._parts]
        return look_closely(found, self.models, frames, truth, guess)


def _union(parts: Sequence[Array]) -> Array:
    """Return all labels in order."""
    if parts[0].dtype.kind != "O":
        return np.unique(np.concatenate(parts))
    every = {label for part in parts for label in part.tolist()}
    found = np.empty(len(every), object)
    try:
        found[:] = sorted(every)
    except TypeError:  # labels of several types
        found[:] = sorted(every, key=lambda each: (str(type(each)), str(each)))
    return found


def _usable(groups: Any, times: Any) -> tuple[Any, Any]:
    """Return groups and times that can divide the training data once more."""
    if groups is not None:
        _, groups = np.unique(groups, return_inverse=True)
        groups = groups if groups.max() > 0 else None
    if times is not None and len(np.unique(times)) < 2:
        times = None
    return groups, times


def judge(found: Evaluation) -> str:
    """Say which baseline the model does not beat, if any.

    The one with the greatest score is named. It is beaten if the whole interval of the
    difference is above 0.
    """
    unbeaten = [k for k, (_, low, _) in found.gains.items() if low <= 0]
    if not unbeaten:
        return ""
    rival = max(unbeaten, key=lambda name: found.baselines[name])
    gain, low, high = found.gains[rival]
    label, sign = (
        found.metrics[0].label,
        1 if found.metrics[0].greater_is_better else -1,
    )
    what = f"always predicting the {rival}" if rival in _CONSTANTS else rival
    ours, theirs = sign * found.score, sign * found.baselines[rival]
    apart = f"difference {gain:+.3f}, 95 %: {low:+.3f} to {high:+.3f}"
    values = f"its {label} is {ours:.3f}, against {theirs:.3f} on the same rows"
    if gain > 0:
        start = f"It is not certain that the {found.subject} beats {what}"
    elif high < 0:
        start = f"The {found.subject} does worse than {what}"
    else:
        start = f"The {found.subject} does not beat {what}"
    return f"{start}: {values} ({apart})."


def _n_folds(n_rows: int) -> int:
    return n_rows if n_rows < _VERY_FEW_ROWS else 10


def _describe(n_held_out: int, n_rows: int) -> str:
    if n_held_out == 1:
        return "held out from training"
    if n_held_out == n_rows:
        return "each predicted by a model trained on all the others"
    return f"each predicted by one of {n_held_out} models not trained on it"


_MOST_LABELS = 40
_MOST_ROWS = 2000
_ROWS_A_BIN = 15
_MOST_BINS = 10
_SHUFFLES = 10
_PREDICTIONS = 2_000_000  # that importance is measured with, at most


def look_closely(
    found: Evaluation,
    models: Sequence[Any],
    parts: Sequence[Frame],
    truth: Truth,
    guess: Guess,
) -> Evaluation:
    """Add the details of a report, from the same rows, to an evaluation.

    Parameters
    ----------
    found : Evaluation
    models : sequence of Classifier or Regressor
        Fitted models, one for each part of the rows.
    parts : sequence of DataFrame
        The test rows of each model.
    truth : Truth
        The targets of all parts.
    guess : Guess
        The predictions.

    Returns
    -------
    Evaluation
    """
    values, predicted = truth.values, guess.predicted
    if len(values) > 1:
        told = importances(models, parts, values, predicted)
        found = replace(found, importance=told)
    if guess.probabilities is None:
        return replace(found, residuals=residuals(values, predicted))
    sure = guess.probabilities.max(axis=1)
    right = values == truth_label(truth, guess.probabilities.argmax(axis=1))
    return replace(
        found,
        confusion=confusion(values, predicted),
        calibration=calibration(sure, right),
    )


def truth_label(truth: Truth, codes: Array) -> Array:
    """Return the labels of class numbers."""
    assert truth.labels is not None
    return truth.labels[codes]


def confusion(truth: Array, predicted: Array) -> Confusion:
    """Return the confusion matrix; with more than 40 classes the rarest are merged.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n_rows,)
    """
    labels, counts = np.unique(np.concatenate([truth, predicted]), return_counts=True)
    names = [str(label) for label in labels]
    codes = np.searchsorted(labels, truth), np.searchsorted(labels, predicted)
    if len(labels) > _MOST_LABELS:
        kept = np.sort(np.argsort(-counts, kind="stable")[: _MOST_LABELS - 1])
        place = np.full(len(labels), len(kept))
        place[kept] = np.arange(len(kept))
        codes = place[codes[0]], place[codes[1]]
        names = [names[k] for k in kept] + [f"{len(labels) - len(kept)} others"]
    table = confusion_matrix(*codes, labels=np.arange(len(names)))
    return Confusion(tuple(names), tuple(map(tuple, table.tolist())))


def calibration(confidence: Array, right: Array) -> Calibration | None:
    """Compare the confidence of a classifier with its accuracy.

    Parameters
    ----------
    confidence : ndarray of shape (n_rows,)
        Probability of the predicted class.
    right : ndarray of bool, shape (n_rows,)

    Returns
    -------
    Calibration or None
        None for fewer than 45 rows, which are too few.
    """
    n_bins = min(_MOST_BINS, len(right) // _ROWS_A_BIN)
    if n_bins < 3:
        return None
    bins = np.array_split(np.argsort(confidence, kind="stable"), n_bins)
    sure = np.array([confidence[rows].mean() for rows in bins], float)
    share = np.array([right[rows].mean() for rows in bins])
    sizes = [len(rows) for rows in bins]
    return Calibration(
        confidence=tuple(sure.tolist()),
        accuracy=tuple(share.tolist()),
        intervals=tuple(wilson(p, n) for p, n in zip(share, sizes, strict=True)),
        counts=tuple(sizes),
        error=float(np.average(np.abs(sure - share), weights=sizes)),
    )


def residuals(truth: Array, predicted: Array) -> Residuals:
    """Return the residuals to draw; of many rows, an evenly chosen sample."""
    kept = _spread_out(len(truth), _MOST_ROWS)
    return Residuals(tuple(truth[kept].tolist()), tuple(predicted[kept].tolist()))


def importances(
    models: Sequence[Any], parts: Sequence[Frame], truth: Array, predicted: Array
) -> tuple[Importance, ...]:
    """Compute permutation importances (Breiman, 2001, section 10).

    The encoding of each column is shuffled among the rows of all parts, ten times, with
    the same permutations for each column.

    Parameters
    ----------
    models, parts, truth
        As for `look_closely`.
    predicted : ndarray of shape (n_rows,)

    Returns
    -------
    tuple of Importance
        The greatest drop first.
    """
    import pandas as pd

    used = (c for m in models for c in m.columns_ if c.kind != "left out")
    columns = list(dict.fromkeys(c.name for c in used))
    most = _PREDICTIONS // (_SHUFFLES * len(columns))
    kept = _spread_out(len(truth), int(np.clip(most, 100, _MOST_ROWS)))
    part = np.repeat(np.arange(len(parts)), [len(rows) for rows in parts])[kept]
    rows, truth = pd.concat(parts).iloc[kept], truth[kept]
    rng = np.random.RandomState(0)
    orders = [rng.permutation(len(kept)) for _ in range(_SHUFFLES)]
    said = {name: np.tile(predicted[kept], (_SHUFFLES, 1)) for name in columns}
    for number, model in enumerate(models):
        own = np.flatnonzero(part == number)
        for name, guesses in _shuffled_guesses(model, rows, own, orders):
            said[name][:, own] = guesses
    target = models[0].target_
    usual = target.row_scores(truth, predicted[kept])
    found = [
        Importance(name, *_mean(usual - target.row_scores(truth, guesses).mean(axis=0)))
        for name, guesses in said.items()
    ]
    return tuple(sorted(found, key=lambda each: -each.drop))


def _shuffled_guesses(
    model: Any, rows: Frame, own: Array, orders: Sequence[Array]
) -> Iterator[tuple[str, Array]]:
    """Yield each column with the predictions for `own` rows, (n_orders, n_own)."""
    blocks = encode_each(model.columns_, rows)
    usual = np.tile(
        np.concatenate([b[own] for b in blocks.values()], 1), (len(orders), 1)
    )
    sources = np.concatenate([order[own] for order in orders])
    start = 0
    for name, block in blocks.items():
        place = slice(start, start := start + block.shape[1])
        inputs = usual.astype(model.dtype)
        inputs[:, place] = block[sources]
        outputs = model.outputs_of(inputs)
        yield name, model.decide(outputs).reshape(len(orders), -1)


def _gain(
    metric: Any, truth: Truth, guess: Guess, simple: Guess
) -> tuple[float, float, float]:
    """Return how much greater the score is, and the interval of the difference."""
    value = metric.difference(truth, guess, simple)
    low, high = truth.interval(metric, guess, simple)
    return (value, low, high) if metric.greater else (-value, -high, -low)


def _mean(values: Array) -> tuple[float, tuple[float, float]]:
    """Return the mean and its 95 % interval (Student's t over the rows)."""
    mean, error = float(values.mean()), float(stats.sem(values))
    half = float(stats.t.ppf(0.975, len(values) - 1)) * error
    return mean, (mean - half, mean + half)


def _spread_out(n: int, most: int) -> Array:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))
