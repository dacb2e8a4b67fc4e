"""Metrics of predictions, each with a 95 % interval.

A metric is named as scikit-learn names its scorer. The metrics that are printed by
default are computed here for many samples of the rows at once: a sample gives each row
a weight, the number of times it was drawn, and a metric is a function of the weights.
Whatever else scikit-learn scores is computed by scikit-learn, sample by sample.

Accuracy gets Wilson's interval. All others get the percentiles of a bootstrap (Efron &
Tibshirani, 1993, chapter 13) with a fixed seed, from 100 to 1000 samples, fewer for
more rows and classes. With more than 20,000 rows, 20,000 of them are resampled, and the
interval is shortened by the square root of their share. Where rows come in groups, the
groups are resampled.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from thalweg.core import Array, Record, check_names, wilson

_MOST_DRAWN = 20_000
_CELLS = 2_500_000  # of the weights of all samples
_FEW_GROUPS = 8  # too few to resample
_LEAST_PROBABILITY = 1e-15
RARE = 0.2
"""Share of the rows below which a class of two is rare."""


@dataclass(frozen=True)
class Metric(Record):
    """The value of a metric on test data.

    Parameters
    ----------
    name : str
        The scorer's name in scikit-learn, such as ``"neg_log_loss"``.
    label : str
        The metric's name, such as ``"log loss"``.
    value : float
        In the metric's own unit: a log loss is positive.
    interval : (float, float)
        95 % confidence interval of `value`.
    greater_is_better : bool
    note : str
        What the reader should know, such as a class without test rows.
    """

    name: str
    label: str
    value: float
    interval: tuple[float, float]
    greater_is_better: bool = True
    note: str = ""

    @property
    def score(self) -> float:
        """The value as scikit-learn's scorer gives it: greater is better."""
        return self.value if self.greater_is_better else -self.value


@dataclass(frozen=True)
class ClassMetrics(Record):
    """How well one class is predicted.

    Parameters
    ----------
    label : str
    n_rows : int
        Test rows of the class.
    precision, recall, f1 : float
        NaN becomes 0, as in scikit-learn.
    interval : (float, float)
        95 % confidence interval of `f1`.
    average_precision : float or None
        None if the class has no test rows.
    """

    label: str
    n_rows: int
    precision: float
    recall: float
    f1: float
    interval: tuple[float, float]
    average_precision: float | None = None


@dataclass(frozen=True, eq=False)
class Guess:
    """What one model predicts for the test rows.

    Parameters
    ----------
    predicted : ndarray of shape (n_rows,)
    probabilities : ndarray of shape (n_rows, n_classes) or None
        In the order of the labels; None for values.
    """

    predicted: Array
    probabilities: Array | None = None


@dataclass(frozen=True, eq=False)
class Truth:
    """The targets of the test rows, and how they are resampled.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
    labels : ndarray of shape (n_classes,) or None
        All classes; None for values.
    positive : int
        The class that precision, recall and F1 of two classes are about.
    groups : ndarray of int, shape (n_rows,), or None
    frame : DataFrame or None
        The test rows, which a scorer of the user's own may look at.
    """

    values: Array
    labels: Array | None = None
    positive: int = 1
    groups: Array | None = None
    frame: Any = None

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def codes(self) -> Array:
        """The class numbers of the rows."""
        assert self.labels is not None
        return _codes(self.labels, self.values)

    @cached_property
    def _drawn(self) -> Array:
        """The rows that are resampled."""
        places = np.linspace(0, len(self) - 1, min(len(self), _MOST_DRAWN))
        return np.unique(places.astype(int))

    @cached_property
    def _weights(self) -> Array:
        """How often each of these rows is in each bootstrap sample."""
        n = len(self._drawn)
        n_classes = 1 if self.labels is None else len(self.labels)
        n_samples = int(np.clip(_CELLS // (n * max(1, n_classes // 3)), 100, 1000))
        rng, units = np.random.RandomState(0), None
        if self.groups is not None:
            _, units = np.unique(self.groups[self._drawn], return_inverse=True)
            units = units if units.max() + 1 >= _FEW_GROUPS else None
        size = n if units is None else int(units.max()) + 1
        drawn = rng.randint(size, size=(n_samples, size))
        drawn += size * np.arange(n_samples)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=n_samples * size)
        counts = counts.reshape(n_samples, size).astype(float)
        return counts if units is None else counts[:, units]

    def resampled(self, metric: "_Scorer", guess: Guess) -> Array:
        """Return the metric of each bootstrap sample."""
        if isinstance(metric, _Own):
            part = self.take(self._drawn), _take(guess, self._drawn)
            chunks = np.array_split(self._weights, -(-self._weights.size // 2_000_000))
            return np.concatenate([metric.compute(*part, each) for each in chunks])
        rng, found = np.random.RandomState(0), []
        for _ in range(100):
            rows = self._drawn[rng.randint(len(self._drawn), size=len(self._drawn))]
            found.append(metric.value_of(self.take(rows), _take(guess, rows)))
        return np.array(found)

    def take(self, rows: Array) -> "Truth":
        """Return some rows."""
        frame = None if self.frame is None else self.frame.iloc[rows]
        groups = None if self.groups is None else self.groups[rows]
        return Truth(self.values[rows], self.labels, self.positive, groups, frame)

    def interval(
        self, metric: "_Scorer", guess: Guess, *others: Guess
    ) -> tuple[float, float]:
        """Return the 95 % interval of a metric, or of its difference to another's."""
        value = metric.difference(self, guess, *others)
        n_drawn = len(self._drawn)
        part = self.take(self._drawn)
        each = self.resampled(metric, guess)
        middle = metric.value_of(part, _take(guess, self._drawn))
        for other in others:
            each = each - self.resampled(metric, other)
            middle -= metric.value_of(part, _take(other, self._drawn))
        known = each[np.isfinite(each)]
        if not len(known):
            return (float("nan"), float("nan"))
        ends = np.quantile(known, (0.025, 0.975))
        if n_drawn < len(self):
            ends = value + (ends - middle) * np.sqrt(n_drawn / len(self))
        return float(ends[0]), float(ends[1])


def _codes(labels: Array, values: Array) -> Array:
    """Return the place of each value among the labels."""
    if labels.dtype.kind != "O":
        return np.searchsorted(labels, values)
    places = {label: k for k, label in enumerate(labels.tolist())}
    return np.array([places[value] for value in values.tolist()], int)


def _take(guess: Guess, rows: Array) -> Guess:
    shares = guess.probabilities
    return Guess(guess.predicted[rows], None if shares is None else shares[rows])


_Compute = Callable[[Truth, Guess, Array], Array]


@dataclass(frozen=True)
class _Scorer:
    """What both kinds of metrics share."""

    name: str
    label: str
    greater: bool = True

    def value_of(self, truth: Truth, guess: Guess) -> float:
        raise NotImplementedError

    def difference(self, truth: Truth, guess: Guess, *others: Guess) -> float:
        """Return the value, minus those of other predictions."""
        values = [self.value_of(truth, each) for each in (guess, *others)]
        return values[0] - sum(values[1:])


@dataclass(frozen=True)
class _Own(_Scorer):
    """A metric that is a function of weights of the rows."""

    compute: _Compute = field(default=lambda t, g, w: w.mean(axis=1))
    classes: bool = True

    def value_of(self, truth: Truth, guess: Guess) -> float:
        """Return the metric of all rows."""
        return float(self.compute(truth, guess, np.ones((1, len(truth))))[0])


@dataclass(frozen=True)
class _Theirs(_Scorer):
    """Whatever else scikit-learn scores, or a scorer of the user's own."""

    scorer: Any = None

    def value_of(self, truth: Truth, guess: Guess) -> float:
        """Return the metric of all rows, NaN where scikit-learn defines none."""
        X = truth.frame if truth.frame is not None else np.zeros((len(truth), 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = self.scorer(_Answers(guess, truth.labels), X, truth.values)
            except ValueError:  # a class is missing in this sample
                return float("nan")
        return float(found) if self.greater else -float(found)


class _Answers:
    """A stand-in for a fitted estimator, which predicts what was predicted."""

    def __init__(self, guess: Guess, labels: Array | None) -> None:
        self._guess = guess
        self._estimator_type = "regressor" if labels is None else "classifier"
        if labels is not None:
            self.classes_ = labels

    def fit(self, X: Any, y: Any = None) -> Any:
        """Do nothing; what predicts has been fitted."""
        return self

    def predict(self, X: Any) -> Array:
        """Return what was predicted."""
        return self._guess.predicted

    def predict_proba(self, X: Any) -> Array:
        """Return the probabilities."""
        shares = self._guess.probabilities
        if shares is None:
            raise AttributeError("predict_proba")
        return shares

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags, Tags, TargetTags

        classifies = self._estimator_type == "classifier"
        return Tags(
            estimator_type=self._estimator_type,
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags() if classifies else None,
            regressor_tags=None if classifies else RegressorTags(),
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True


# ---------------------------------------------------------------------------- classes


def _accuracy(truth: Truth, guess: Guess, weights: Array) -> Array:
    return weights @ (truth.values == guess.predicted) / weights.sum(axis=1)


def _counts(
    truth: Truth, guess: Guess, weights: Array
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Return true positives, true rows and predicted rows, (n_samples, n_classes)."""
    assert truth.labels is not None
    every = np.arange(len(truth.labels))
    true = truth.codes[:, None] == every
    said = _codes(truth.labels, guess.predicted)[:, None] == every
    return weights @ (true & said), weights @ true, weights @ said


def _ratio(part: Array, whole: Array, empty: float = 0.0) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, empty)


def _balanced_accuracy(truth: Truth, guess: Guess, weights: Array) -> Array:
    right, true, _ = _counts(truth, guess, weights)
    recall = np.where(true > 0, _ratio(right, true), 0).sum(axis=1)
    return recall / (true > 0).sum(axis=1)


def _per_class(kind: str, average: str) -> _Compute:
    def compute(truth: Truth, guess: Guess, weights: Array) -> Array:
        right, true, said = _counts(truth, guess, weights)
        own = {
            "precision": (right, said),
            "recall": (right, true),
            "f1": (2 * right, true + said),
        }[kind]
        if average == "micro":
            return _ratio(*(each.sum(axis=1) for each in own))
        found = _ratio(*own)
        if average == "binary":
            return found[:, truth.positive]
        if average == "weighted":
            return (found * true).sum(axis=1) / true.sum(axis=1)
        some = (true + said) > 0
        return (found * some).sum(axis=1) / some.sum(axis=1)

    return compute


def _log_loss(truth: Truth, guess: Guess, weights: Array) -> Array:
    assert guess.probabilities is not None
    shares = np.asarray(guess.probabilities, float)
    shares = shares / shares.sum(axis=1, keepdims=True)
    own = shares[np.arange(len(shares)), truth.codes]
    lost = -np.log(np.clip(own, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))
    return weights @ lost / weights.sum(axis=1)


def _roc_auc(truth: Truth, guess: Guess, weights: Array) -> Array:
    """Return the area; of more classes, the mean of one class versus the rest."""
    assert truth.labels is not None
    assert guess.probabilities is not None
    if len(truth.labels) == 2:
        return _area(guess.probabilities[:, 1], truth.codes == 1, weights)
    areas = [
        _area(guess.probabilities[:, k], truth.codes == k, weights)
        for k in np.unique(truth.codes)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(areas, axis=0)


def _average_precision(truth: Truth, guess: Guess, weights: Array) -> Array:
    assert guess.probabilities is not None
    k = truth.positive
    return _precision_area(guess.probabilities[:, k], truth.codes == k, weights)


def _sorted(
    scores: Array, positive: Array, weights: Array
) -> tuple[Array, Array]:  # fmt: skip
    """Return weights of the positives and the others, at each score from the lowest."""
    order = np.argsort(scores, kind="stable")
    ascending, right = scores[order], positive[order]
    starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
    sorted_weights = weights[:, order]
    up = sorted_weights * right
    down = sorted_weights - up
    if len(starts) == len(scores):
        return up, down
    return np.add.reduceat(up, starts, axis=1), np.add.reduceat(down, starts, axis=1)


def _area(scores: Array, positive: Array, weights: Array) -> Array:
    """Area under the ROC curve: how often a positive row has the higher score."""
    up, down = _sorted(scores, positive, weights)
    below = np.cumsum(down, axis=1) - down / 2
    pairs = up.sum(axis=1) * down.sum(axis=1)
    return _ratio((up * below).sum(axis=1), pairs, np.nan)


def _precision_area(scores: Array, positive: Array, weights: Array) -> Array:
    """Average precision: the precision at each threshold, weighted by recall."""
    up, down = (each[:, ::-1] for each in _sorted(scores, positive, weights))
    found = np.cumsum(up, axis=1)
    precision = _ratio(found, found + np.cumsum(down, axis=1))
    return _ratio((precision * up).sum(axis=1), found[:, -1], np.nan)


# ----------------------------------------------------------------------------- values


def _error(truth: Truth, guess: Guess) -> Array:
    return np.asarray(truth.values, float) - np.asarray(guess.predicted, float)


def _r2(truth: Truth, guess: Guess, weights: Array) -> Array:
    values = np.asarray(truth.values, float)
    values = values - values.mean()  # against cancellation
    total = weights.sum(axis=1)
    spread = weights @ values**2 - (weights @ values) ** 2 / total
    left = weights @ _error(truth, guess) ** 2
    exact = np.where(left == 0, 1.0, 0.0)
    some = spread > 1e-12 * (weights @ values**2)
    return np.where(some, 1 - left / np.where(some, spread, 1), exact)


def _mean_squared(truth: Truth, guess: Guess, weights: Array) -> Array:
    return weights @ _error(truth, guess) ** 2 / weights.sum(axis=1)


def _root_mean_squared(truth: Truth, guess: Guess, weights: Array) -> Array:
    return np.sqrt(_mean_squared(truth, guess, weights))


def _mean_absolute(truth: Truth, guess: Guess, weights: Array) -> Array:
    return weights @ np.abs(_error(truth, guess)) / weights.sum(axis=1)


def _median_absolute(truth: Truth, guess: Guess, weights: Array) -> Array:
    size = np.abs(_error(truth, guess))
    order = np.argsort(size, kind="stable")
    reached = np.cumsum(weights[:, order], axis=1)
    total = reached[:, -1]
    # The two rows in the middle, which are one if there is an odd number of rows.
    ends = [np.floor((total + 1) / 2), np.floor(total / 2) + 1]
    places = [(reached < end[:, None]).sum(axis=1) for end in ends]
    return size[order][np.stack(places)].mean(axis=0)


def _own(
    name: str, label: str, compute: _Compute, *, greater: bool = True,
    classes: bool = True,
) -> dict[str, _Own]:  # fmt: skip
    return {name: _Own(name, label, greater, compute, classes)}


_OWN: Mapping[str, _Own] = {
    **_own("accuracy", "accuracy", _accuracy),
    **_own("balanced_accuracy", "balanced accuracy", _balanced_accuracy),
    **_own("neg_log_loss", "log loss", _log_loss, greater=False),
    **_own("roc_auc", "ROC AUC", _roc_auc),
    **_own("roc_auc_ovr", "ROC AUC", _roc_auc),
    **_own("average_precision", "average precision", _average_precision),
    **{
        name: _Own(name, label, True, _per_class(kind, average))
        for kind, shown in (("f1", "F1"), ("precision", "precision"),
                            ("recall", "recall"))
        for average in ("binary", "macro", "micro", "weighted")
        for name in [kind if average == "binary" else f"{kind}_{average}"]
        for label in [shown if average == "binary" else f"{shown} ({average})"]
    },
    **_own("r2", "R2", _r2, classes=False),
    **_own("neg_root_mean_squared_error", "RMSE", _root_mean_squared, greater=False,
           classes=False),
    **_own("neg_mean_absolute_error", "MAE", _mean_absolute, greater=False,
           classes=False),
    **_own("neg_median_absolute_error", "median absolute error", _median_absolute,
           greater=False, classes=False),
    **_own("neg_mean_squared_error", "MSE", _mean_squared, greater=False,
           classes=False),
}  # fmt: skip
_FOR_CLASSES = "accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc"
_FOR_VALUES = (
    "r2", "neg_root_mean_squared_error", "neg_mean_absolute_error",
    "neg_median_absolute_error",
)  # fmt: skip
_ABOUT_ONE_CLASS = "f1", "precision", "recall", "average_precision"
_OF_POSITIVE = _ABOUT_ONE_CLASS


def find_metric(scoring: Any, classes: bool, owner: str = "evaluate") -> _Scorer:
    """Return the metric that a name, or a scorer of the user's own, stands for.

    Parameters
    ----------
    scoring : str, callable or None
        scikit-learn's name of a scorer; ``"neg_"`` may be left out. None is accuracy
        or R².
    classes : bool
        Whether the target holds classes.
    owner : str
        Whose parameter it is, for messages.

    Raises
    ------
    ValueError
        If there is no such scorer, or it does not score this kind of target.
    """
    if scoring is None:
        return _OWN["accuracy" if classes else "r2"]
    if callable(scoring):
        label = getattr(scoring, "__name__", "") or "score"
        return _Theirs(label, label, True, scoring)
    if not isinstance(scoring, str):
        raise ValueError(
            f"{owner} got {scoring!r} as a metric. Give the name of a scorer of "
            "scikit-learn's, such as 'roc_auc', or a callable."
        )
    name = f"neg_{scoring}" if f"neg_{scoring}" in _OWN else scoring
    metric = _OWN.get(name)
    if metric is not None:
        _check_kind(scoring, metric.classes, classes, owner)
        return metric
    from sklearn.metrics import get_scorer, get_scorer_names

    known = set(get_scorer_names())
    name = f"neg_{scoring}" if f"neg_{scoring}" in known else scoring
    check_names("metric", [name], sorted(known), owner=owner)
    scorer: Any = get_scorer(name)
    label = name.removeprefix("neg_").replace("_", " ")
    return _Theirs(name, label, not name.startswith("neg_"), scorer)


def _check_kind(name: str, wants: bool, classes: bool, owner: str) -> None:
    if wants != classes:
        kinds = {True: "classes", False: "numbers"}
        options = _FOR_CLASSES if classes else _FOR_VALUES
        raise ValueError(
            f"{owner} got the metric {name!r}, which scores {kinds[wants]}, but the "
            f"target holds {kinds[classes]}. Choose another, such as "
            f"{', '.join(options)}."
        )


def measure(
    metric: _Scorer, truth: Truth, guess: Guess, owner: str = "evaluate"
) -> Metric:
    """Return the value of a metric, with its interval.

    Raises
    ------
    ValueError
        If it cannot be computed for these predictions.
    """
    value = metric.value_of(truth, guess)
    if np.isnan(value) and isinstance(metric, _Theirs):
        raise ValueError(_why_not(metric, truth, guess, owner))
    if metric.name == "accuracy" and truth.groups is None:
        interval = wilson(value, len(truth))
    else:
        interval = truth.interval(metric, guess)
    label = metric.label
    if truth.labels is not None and len(truth.labels) > 2:
        if metric.name in _ABOUT_ONE_CLASS:
            raise ValueError(
                f"{owner} got the metric {metric.name!r}, which is for two classes, "
                f"but the target has {len(truth.labels)}. Choose another, such as "
                "f1_macro, balanced_accuracy or roc_auc_ovr."
            )
        if metric.name.startswith("roc_auc"):
            label = "ROC AUC (mean over classes, one versus rest)"
    elif truth.labels is not None and metric.name in _OF_POSITIVE:
        label = f"{label} of {truth.labels[truth.positive]}"
    return Metric(
        metric.name, label, value, interval, metric.greater, _note(metric, truth)
    )


def _why_not(metric: _Theirs, truth: Truth, guess: Guess, owner: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric.scorer(_Answers(guess, truth.labels), truth.frame, truth.values)
        reason = "it is not a number"
    except ValueError as error:
        reason = str(error).splitlines()[0]
    return (
        f"{owner} cannot compute the metric {metric.name!r}: {reason} Choose another "
        "metric."
    )


def _note(metric: _Scorer, truth: Truth) -> str:
    """Say which classes have no test rows, where that changes what is measured."""
    if truth.labels is None or not metric.name.startswith(("roc", "balanced")):
        return ""
    absent = np.setdiff1d(truth.labels, truth.values)
    if not len(absent):
        return ""
    shown = ", ".join(map(str, absent[:3])) + (" and others" if len(absent) > 3 else "")
    return f"without {shown}, of which there are no test rows"


def default_metrics(truth: Truth) -> tuple[_Scorer, ...]:
    """Return the metrics that are printed unless another is asked for."""
    if truth.labels is None:
        return tuple(_OWN[name] for name in _FOR_VALUES)
    names: list[str] = list(_FOR_CLASSES)
    if len(truth.labels) == 2 and (truth.codes == truth.positive).mean() < RARE:
        names.append("average_precision")
    if len(np.unique(truth.codes)) < 2:  # no area is known
        names.remove("roc_auc")
    return tuple(_OWN[name] for name in names)


def measure_all(first: _Scorer, truth: Truth, guess: Guess) -> tuple[Metric, ...]:
    """Return the metric that was asked for, and then the others."""
    others = [m for m in default_metrics(truth) if m.name != first.name]
    if guess.probabilities is None and truth.labels is not None:
        others = [m for m in others if m.name in ("accuracy", "balanced_accuracy")]
    return tuple(measure(metric, truth, guess) for metric in (first, *others))


def measure_classes(truth: Truth, guess: Guess) -> tuple[ClassMetrics, ...]:
    """Return precision, recall and F1 of each class, in the order of the labels."""
    labels = truth.labels
    assert labels is not None
    ones = np.ones((1, len(truth)))
    right, true, said = (each[0] for each in _counts(truth, guess, ones))
    precision, recall = _ratio(right, said), _ratio(right, true)
    f1 = _ratio(2 * right, true + said)
    found = []
    for k, label in enumerate(labels):
        own = _Own(
            "f1", "F1", True, lambda t, g, w, k=k: _ratio(
                2 * (w @ ((t.codes == k) & (g.predicted == labels[k]))),
                w @ (t.codes == k) + w @ (g.predicted == labels[k]),
            ),
        )  # fmt: skip
        area = None
        if guess.probabilities is not None and 0 < true[k] < len(truth):
            scores = guess.probabilities[:, k]
            area = float(_precision_area(scores, truth.codes == k, ones)[0])
        found.append(
            ClassMetrics(
                str(label), int(true[k]), float(precision[k]), float(recall[k]),
                float(f1[k]), truth.interval(own, guess), area,
            )
        )  # fmt: skip
    return tuple(found)


def positive_class(labels: Array, targets: Array) -> int:
    """Return the class that F1, precision and recall of two classes are about.

    It is 1, true or yes where the other is 0, false or no; otherwise the rarer one.

    Parameters
    ----------
    labels : ndarray of shape (n_classes,)
    targets : ndarray of shape (n_rows,)
    """
    words = [str(label).strip().lower() for label in labels[:2]]
    if words[1:] and words[1] in ("1", "true", "yes", "y", "positive", "1.0"):
        return 1
    counts = [int((targets == label).sum()) for label in labels[:2]]
    return int(len(counts) > 1 and counts[1] <= counts[0])
