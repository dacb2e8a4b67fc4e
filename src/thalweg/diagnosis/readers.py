"""What the user gives, brought into the form of a `Problem`.

`understand` reads an estimator, a pipeline, a run, a network, or data alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from thalweg import estimators
from thalweg.core import (
    CLASSIFYING,
    Array,
    DenseNetwork,
    History,
    Network,
    Parameters,
    Plan,
    Run,
    StopReason,
)
from thalweg.diagnosis.input_data import InputData, checked_data, looks_like_classes
from thalweg.diagnosis.keras_reader import problem_of_keras
from thalweg.diagnosis.network_estimator import NetworkEstimator
from thalweg.diagnosis.problem import Problem, ValidationData, numbered, take
from thalweg.estimators import (
    Classifier,
    KerasClassifier,
    KerasRegressor,
    Regressor,
    as_frame,
    blueprint,
    encode,
    numbers,
    study,
    study_numbers,
    table_blueprint,
)

KINDS = (
    "None (the data alone), a thalweg MLPClassifier, MLPRegressor, Classifier, "
    "Regressor, Ensemble, KerasClassifier, KerasRegressor or Run, a DenseNetwork or "
    "Network with the settings of a Plan, scikit-learn's MLPClassifier or "
    "MLPRegressor, a Pipeline that ends in one of these, or a cost with its gradient: "
    "(cost, gradient) with x0"
)
OURS = (estimators.MLPClassifier, estimators.MLPRegressor)
THEIRS = {
    TheirClassifier: estimators.MLPClassifier,
    TheirRegressor: estimators.MLPRegressor,
}


def is_user_function(subject: Any) -> bool:
    """Whether it is a cost of the user's own, alone or in a pair with its gradient.

    A function is whatever can be called: a `functools.partial`, a bound method, an
    object with ``__call__`` and a jitted function too. Classes and models, which can
    be called as well, are none.
    """
    if isinstance(subject, tuple) and len(subject) == 2:
        subject = subject[0]
    return callable(subject) and not (
        isinstance(subject, type) or hasattr(subject, "fit")
    )


def understand(
    subject: Any, X: Any, y: Any, X_val: Any = None, y_val: Any = None, **settings: Any
) -> Problem:
    """Bring what the user gave into the form of a problem.

    Raises
    ------
    TypeError
        If the subject cannot be read; the message says what can.
    ValueError
        If the data do not fit together or do not fit the subject.
    """
    data = checked_data(X, y, X_val, y_val)
    steps, last = pipeline_parts(subject)
    if isinstance(last, estimators.Ensemble):
        last = (getattr(last, "members_", None) or [last.estimator])[0]
    if not isinstance(last, DenseNetwork | Network):
        refuse_settings(settings)
    problem = _read(subject, last, data, steps, settings)
    return replace(problem, lost=data.lost, images=data.images)


def _read(
    subject: Any, last: Any, data: InputData, steps: Any, settings: Any
) -> Problem:
    if last is None:
        return _problem_of_data(subject, data, steps)
    for kinds, read in _READERS:
        if isinstance(last, kinds):
            return read(subject, last, data, steps, settings)
    raise TypeError(
        f"diagnose got a {type(subject).__name__}, which it cannot examine. It can "
        f"examine {KINDS}."
    )


def pipeline_parts(subject: Any) -> tuple[tuple[Any, ...], Any]:
    """Return the steps of a pipeline before its estimator, and the estimator."""
    if not isinstance(subject, Pipeline):
        return (), subject
    *before, last = (step for _, step in subject.steps)
    return tuple(s for s in before if s not in (None, "passthrough")), last


def refuse_settings(settings: Mapping[str, Any]) -> None:
    """Raise TypeError for fields of a plan if the subject takes none."""
    if settings:
        raise TypeError(
            f"diagnose got {', '.join(settings)}. Only a DenseNetwork or Network takes "
            "settings, which are the fields of a Plan. Check the name for a misspelled "
            "parameter."
        )


def _problem_of_data(subject: Any, data: InputData, steps: Any) -> Problem:
    """Use a default network in place of the missing one, to try remedies with."""
    classes = looks_like_classes(data.y)
    if hasattr(data.X, "iloc") and not all(d.kind in "fiub" for d in data.X.dtypes):
        model = Classifier() if classes else Regressor()
        problem = _problem_of_table(subject, model, data, steps, {})
    else:
        kind = estimators.MLPClassifier if classes else estimators.MLPRegressor
        problem = _problem_of_mlp(subject, kind(), data, steps, {})
    return replace(problem, stand_in=True)


def _problem_of_mlp(
    subject: Any, last: Any, data: InputData, steps: Any, settings: Any
) -> Problem:
    X, y, held = data.X, data.y, data.validation_data
    for theirs, ours in THEIRS.items():
        if isinstance(last, theirs) and not isinstance(last, OURS):
            last = as_ours(last, ours)
    bare: Any = last
    if last.scale_inputs:
        steps, bare = (*steps, StandardScaler()), clone(last)
        bare.set_params(scale_inputs=False)
    labels = None
    target = y
    if is_classifier(last):
        if y.ndim == 1:
            labels, y, held = numbered(y, held)
            target = labels[y]
        else:
            labels = np.arange(y.shape[1])
    elif y.dtype.kind not in "fiub":
        raise ValueError(
            f"y holds {y[:3].tolist()}, …, but {type(last).__name__} learns numbers. "
            "Use a classifier, or give a y of numbers."
        )
    width = _width(X, steps, y)
    sample = np.zeros((len(y), width))
    network, plan, validation = blueprint(bare, sample, _known(target))
    fitted = getattr(last, "coefs_", None)
    if fitted is not None and len(fitted[0]) != width:
        raise ValueError(
            f"X has {width} columns, but {type(last).__name__} was fitted on "
            f"{len(fitted[0])}. Give the data that it was fitted on."
        )
    return Problem(
        subject, X, y, labels, held, steps, network, plan,
        run=None if fitted is None else _run_of(last, network, plan),
        class_weight=_class_weight(last, labels),
        validation=validation,
    )  # fmt: skip


def _known(y: Array) -> Array:
    return np.nan_to_num(y) if y.dtype.kind == "f" else y


def _width(X: Any, steps: Any, y: Array) -> int:
    if not steps:
        return X.shape[1]
    few = np.arange(min(X.shape[0], 2000))
    pipe = make_pipeline(*map(clone, steps))
    return pipe.fit_transform(take(X, few), y[few]).shape[1]


def as_ours(theirs: Any, ours: Any) -> Any:
    """Return thalweg's estimator with the parameters and weights of scikit-learn's."""
    known = ours().get_params()
    copy = ours(**{k: v for k, v in theirs.get_params().items() if k in known})
    fitted = ("coefs_", "intercepts_", "loss_curve_", "n_iter_", "loss_")
    vars(copy).update({k: v for k, v in vars(theirs).items() if k in fitted})
    return copy


def _class_weight(estimator: Any, labels: Array | None) -> Any:
    given = getattr(estimator, "class_weight", None)
    if labels is None or not isinstance(given, Mapping):
        return given
    return {k: given.get(v, 1.0) for k, v in enumerate(labels.tolist())}


def _run_of(estimator: Any, network: DenseNetwork, plan: Plan) -> Run:
    """Return what is known of a fitted estimator's training."""
    empty = {"loss": getattr(estimator, "loss_curve_", [])}
    history = getattr(estimator, "history_", None) or History.from_columns(empty)
    full = len(history) >= plan.epochs or estimator.n_iter_ >= plan.epochs
    normalization = getattr(estimator, "_normalization", None) or [{}] * len(
        network.layers
    )
    parameters: Parameters = tuple(
        {"weights": np.asarray(w), "bias": np.asarray(b), **more}
        for w, b, more in zip(
            estimator.coefs_, estimator.intercepts_, normalization, strict=True
        )
    )
    reason = StopReason.MAX_EPOCHS if full else StopReason.CONVERGED
    why = getattr(estimator, "stop_reason_", reason.name)
    return Run(network, plan, parameters, history, reason, why, "", len(history))


class TableEncoder(TransformerMixin, BaseEstimator):
    """The step of the tabular estimators that turns a table into numbers.

    Parameters
    ----------
    columns : tuple of Column or None
        What a fitted estimator learned about the columns; None learns it.
    reading : Reading or None
        What the estimator's parameters say about the columns.
    """

    def __init__(self, columns: Any = None, reading: Any = None) -> None:
        self.columns, self.reading = columns, reading

    def fit(self, X: Any, y: Any = None) -> Any:
        """Learn the kinds of the columns."""
        self.columns_ = self.columns or study(as_frame(X), self.reading)
        return self

    def __sklearn_clone__(self) -> "TableEncoder":
        return TableEncoder(self.columns, self.reading)

    def transform(self, X: Any) -> Array:
        """Return the table as numbers."""
        return encode(self.columns_, as_frame(X))


def _problem_of_table(
    subject: Any, last: Any, data: InputData, steps: Any, settings: Any
) -> Problem:
    X, y, held = data.X, data.y, data.validation_data
    run = getattr(last, "run_", None)
    learned = None if run is None else last.columns_of(0)
    encoder = TableEncoder(learned, last.reading())
    steps, labels, target = (*steps, encoder), None, y
    if isinstance(last, Classifier):
        labels, y, held = numbered(y, held)
        target = labels[y]
    elif y.dtype.kind not in "fiub":
        read = partial(_as_numbers, reading=last.reading())
        target = y = read(y)
        held = held and ValidationData(held.X, read(held.y))
    width = _width(X, steps, y) if run is None else run.network.n_inputs
    network, plan, watched = table_blueprint(last, X, target, width)
    return Problem(
        subject, X, y, labels, held, steps, network, plan, run,
        class_weight=_class_weight(last, labels),
        validation=last.validation_fraction if watched else None,
        scales_target=labels is None,
    )  # fmt: skip


def _as_numbers(y: Array, reading: Any) -> Array:
    """Return a target of texts that are numbers, such as "$1,200"."""
    import pandas as pd

    values = pd.Series(y, name="y")
    return numbers("y", values, study_numbers(values, reading))


def _problem_of_network(
    subject: Any, last: Any, data: InputData, steps: Any, settings: Any
) -> Problem:
    X, y, held = data.X, data.y, data.validation_data
    run = last if isinstance(last, Run) else None
    if isinstance(last, DenseNetwork | Network):
        last = NetworkEstimator(last, Plan.of(None, **settings))
    network, plan = last.network, last.plan
    width = _width(X, steps, y)
    if getattr(network, "n_inputs", width) != width:
        raise ValueError(
            f"X has {width} columns, but the network takes {network.n_inputs}. Give "
            "the data that the network was made for."
        )
    labels = None
    by_class = plan.loss.label in (*CLASSIFYING, "binary_cross_entropy")
    layered = isinstance(network, DenseNetwork)
    if plan.loss.label in CLASSIFYING and y.ndim > 1:  # a column a class
        y = y.argmax(axis=1)
        held = held and ValidationData(held.X, held.y.argmax(axis=1))
    if (by_class or (not layered and looks_like_classes(y))) and y.ndim == 1:
        labels, y, held = numbered(y, held)
        if layered and network.n_outputs > len(labels) > 0 and (
            plan.loss.label in CLASSIFYING):  # fmt: skip
            labels = np.arange(network.n_outputs)
    elif y.dtype.kind not in "fiub":
        raise ValueError(
            f"y holds {y[:3].tolist()}, …, but the network learns numbers. Give a y of "
            "numbers."
        )
    return Problem(
        subject, X, y, labels, held, steps, network, plan, run,
        class_weight=getattr(last, "class_weight", None),
        validation=getattr(last, "validation", None),
    )  # fmt: skip


_READERS: Sequence[tuple[Any, Any]] = (
    ((*OURS, *THEIRS), _problem_of_mlp),
    ((Classifier, Regressor), _problem_of_table),
    ((Run, DenseNetwork, Network, NetworkEstimator), _problem_of_network),
    ((KerasClassifier, KerasRegressor), problem_of_keras),
)
