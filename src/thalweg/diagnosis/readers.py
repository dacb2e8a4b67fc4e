"""What users give, brought into the form of a `Problem`, and remedies applied to it.

`understand` reads an estimator, a pipeline, a run or a bare table; `treated` gives a
copy of it with the remedies in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from thalweg import estimators, training
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
from thalweg.diagnosis.keras_reader import case_of_keras
from thalweg.diagnosis.problem import Problem, dense, numbered, resized, take
from thalweg.estimators import (
    Classifier,
    KerasClassifier,
    KerasRegressor,
    Regressor,
    as_frame,
    blueprint,
    encode,
    is_missing,
    kind_of,
    numbers,
    study,
    table_blueprint,
)

KINDS = (
    "None (the data alone), a thalweg MLPClassifier, MLPRegressor, Classifier, "
    "Regressor, Ensemble, KerasClassifier, KerasRegressor or Run, a DenseNetwork or "
    "Network with settings of a Plan, "
    "scikit-learn's MLPClassifier or MLPRegressor, a Pipeline that ends in one of "
    "these, or a cost with its gradient, (cost, gradient) with x0"
)
_MOST_CLASSES = 20
OURS = (estimators.MLPClassifier, estimators.MLPRegressor)
THEIRS = {
    TheirClassifier: estimators.MLPClassifier,
    TheirRegressor: estimators.MLPRegressor,
}


# ------------------------------------------------------------------- understanding


def understand(
    subject: Any, X: Any, y: Any, X_val: Any = None, y_val: Any = None, **settings: Any
) -> Problem:
    """Bring what the user gave into the form of a case.

    Raises
    ------
    TypeError
        For a subject that cannot be read; it says what can.
    ValueError
        For data that do not fit together or do not fit the subject.
    """
    X, y, held = _checked(X, y, X_val, y_val)
    if X.ndim > 2:
        held = held and (held[0].reshape(len(held[0]), -1), held[1])
        problem = understand(
            subject, X.reshape(len(X), -1), y, *(held or ()), **settings
        )
        return replace(problem, images=X)
    gone = _is_missing(y)
    if gone.all():
        raise ValueError("y holds no value. Give the target of some rows at least.")
    if gone.any():
        kept = np.flatnonzero(~gone)
        rows = take(X, kept), _inferred(y[kept])
        problem = understand(subject, *rows, *(held or ()), **settings)
        return replace(problem, lost=int(gone.sum()))
    steps, last = pipeline_parts(subject)
    if hasattr(last, "estimator") and hasattr(last, "n_members"):
        last = (getattr(last, "members_", None) or [last.estimator])[0]
    if not isinstance(last, DenseNetwork | Network):
        refuse_settings(settings)
    if last is None:
        return _of_data(subject, X, y, held, steps)
    for kinds, read in _READERS:
        if isinstance(last, kinds):
            return read(subject, last, X, y, held, steps, settings)
    raise TypeError(
        f"diagnose got a {type(subject).__name__}, which it cannot examine. It can "
        f"examine {KINDS}."
    )


def pipeline_parts(subject: Any) -> tuple[tuple[Any, ...], Any]:
    """Return the steps before an estimator that do something, and the estimator."""
    if not isinstance(subject, Pipeline):
        return (), subject
    *before, last = (step for _, step in subject.steps)
    return tuple(s for s in before if s not in (None, "passthrough")), last


def refuse_settings(settings: Mapping[str, Any]) -> None:
    """Raise TypeError for fields of a plan where there is no use for them."""
    if settings:
        raise TypeError(
            f"diagnose got {', '.join(settings)}. Only a DenseNetwork or Network takes "
            "settings, the fields of a Plan; look for a misspelled parameter."
        )


def _checked(X: Any, y: Any, X_val: Any, y_val: Any) -> Any:
    X, y = _parsed(X), np.asarray(y)
    y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
    _same_rows("X", X, "y", y)
    if (X_val is None) != (y_val is None):
        raise ValueError("diagnose got one of X_val and y_val; it needs both or none.")
    if X_val is None:
        return X, y, None
    X_val, y_val = _alike(_parsed(X_val), X), np.asarray(y_val)
    y_val = y_val.ravel() if y.ndim == 1 else y_val
    _same_rows("X_val", X_val, "y_val", y_val)
    if X_val.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"X_val has shape {X_val.shape} and X {X.shape}; they must have the same "
            "columns."
        )
    known = np.flatnonzero(~_is_missing(y_val))
    if not len(known):
        raise ValueError("y_val holds no value. Leave out X_val, or give its target.")
    return X, y, (take(X_val, known), _inferred(y_val[known]))


def _alike(X_val: Any, X: Any) -> Any:
    """Return rows held out as the others are: arrays, or frames of the same names."""
    X_val = X_val if hasattr(X_val, "iloc") else dense(X_val)
    if not hasattr(X, "iloc"):
        return np.asarray(X_val)
    if not hasattr(X_val, "iloc"):
        wide = X_val.shape[1:] == X.shape[1:]
        return as_frame(X_val).set_axis(X.columns, axis=1) if wide else X_val
    other = [name for name in X.columns if name not in X_val.columns]
    if other and len(X_val.columns) == len(X.columns):
        raise ValueError(
            f"X_val lacks the column {other[0]!r} of X; it has "
            f"{X_val.columns[:5].tolist()}. Give both the same names."
        )
    same = other or X_val.columns.equals(X.columns)
    return X_val if same else X_val[X.columns]


def _is_missing(y: Array) -> Array:
    """Tell which rows have no target."""
    if y.dtype.kind not in "fO":
        return np.zeros(len(y), bool)
    if y.dtype.kind == "O":
        import pandas as pd

        y = np.where(pd.isna(y), np.nan, 0.0)
    return np.isnan(y.reshape(len(y), -1)).max(axis=1, initial=False)


def _inferred(y: Array) -> Array:
    """Return objects as the numbers or texts that they are."""
    return np.array(y.tolist()) if y.dtype.kind == "O" else y


def _parsed(X: Any) -> Any:
    """Return an array, or a table whose columns of numbers hold no texts of them."""
    if hasattr(X, "toarray"):
        return X.tocsr()
    if not hasattr(X, "iloc"):
        return np.asarray(X)
    frame = as_frame(X).copy()
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind not in "fiub" and kind_of(
            column[~is_missing(column)]) == "number":  # fmt: skip
            frame[name] = numbers(str(name), column)
    return frame


def _same_rows(first: str, X: Any, second: str, y: Array) -> None:
    if len(getattr(X, "shape", ())) < 2 or not y.ndim or X.shape[0] != len(y):
        raise ValueError(
            f"diagnose got {first} of shape {np.shape(X)} and {second} of shape "
            f"{y.shape}; they must be (n_rows, n_columns) and have as many rows."
        )
    if len(y) < 2:
        raise ValueError(f"{first} has {len(y)} row(s); diagnose needs at least two.")


def _of_data(subject: Any, X: Any, y: Array, held: Any, steps: Any) -> Problem:
    """Put a usual network in the place of the missing one, to try remedies with."""
    kind = (
        estimators.MLPClassifier if looks_like_classes(y) else estimators.MLPRegressor
    )
    if hasattr(X, "iloc") and not all(d.kind in "fiub" for d in X.dtypes):
        model = Classifier() if looks_like_classes(y) else Regressor()
        problem = _of_table(subject, model, X, y, held, steps, {})
    else:
        problem = _of_mlp(subject, kind(), X, y, held, steps, {})
    return replace(problem, stand_in=True)


def looks_like_classes(y: Array) -> bool:
    """Whether a target is one of texts, or of few whole numbers."""
    if y.dtype.kind not in "fiu":
        return True
    values = np.unique(y[np.isfinite(y)])
    whole = bool((values == np.round(values)).all())
    return whole and len(values) <= min(_MOST_CLASSES, max(2, len(y) // 3))


def _of_mlp(
    subject: Any, last: Any, X: Any, y: Array, held: Any, steps: Any, settings: Any
) -> Problem:
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
            f"y holds {y[:3].tolist()}, …, and {type(last).__name__} learns numbers. "
            "Use a classifier, or give numbers."
        )
    width = _width(X, steps, y)
    sample = np.zeros((len(y), width))
    network, plan, validation = blueprint(bare, sample, _known(target))
    fitted = getattr(last, "coefs_", None)
    if fitted is not None and len(fitted[0]) != width:
        raise ValueError(
            f"X has {width} columns, and {type(last).__name__} was fitted on "
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
    """Return our estimator in the state of scikit-learn's."""
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
    """Return the record of a fitted estimator's training, as far as it is known."""
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


class _Encoder(TransformerMixin, BaseEstimator):
    """How the tabular estimators turn a table into numbers."""

    def fit(self, X: Any, y: Any = None) -> Any:
        self.columns_ = study(as_frame(X))
        return self

    def transform(self, X: Any) -> Array:
        return encode(self.columns_, as_frame(X))


def _of_table(
    subject: Any, last: Any, X: Any, y: Array, held: Any, steps: Any, settings: Any
) -> Problem:
    steps, labels, target = (*steps, _Encoder()), None, y
    if isinstance(last, Classifier):
        labels, y, held = numbered(y, held)
        target = labels[y]
    network, plan, watched = table_blueprint(last, X, target, _width(X, steps, y))
    run = getattr(last, "run_", None)
    return Problem(
        subject, X, y, labels, held, steps, network, plan, run,
        class_weight=_class_weight(last, labels),
        validation=last.validation_fraction if watched else None,
        scales_target=labels is None,
    )  # fmt: skip


def _of_run(
    subject: Any, last: Any, X: Any, y: Array, held: Any, steps: Any, settings: Any
) -> Problem:
    run = last if isinstance(last, Run) else None
    if isinstance(last, DenseNetwork | Network):
        last = Trainee(last, Plan.of(None, **settings))
    network, plan = last.network, last.plan
    width = _width(X, steps, y)
    if getattr(network, "n_inputs", width) != width:
        raise ValueError(
            f"X has {width} columns, and the network takes {network.n_inputs}. Give "
            "the data that it was made for."
        )
    labels = None
    by_class = plan.loss.label in (*CLASSIFYING, "binary_cross_entropy")
    layered = isinstance(network, DenseNetwork)
    if plan.loss.label in CLASSIFYING and y.ndim > 1:  # a column a class
        y, held = y.argmax(axis=1), held and (held[0], held[1].argmax(axis=1))
    if (by_class or (not layered and looks_like_classes(y))) and y.ndim == 1:
        labels, y, held = numbered(y, held)
        if layered and network.n_outputs > len(labels) > 0 and (
            plan.loss.label in CLASSIFYING):  # fmt: skip
            labels = np.arange(network.n_outputs)
    elif y.dtype.kind not in "fiub":
        raise ValueError(f"y holds {y[:3].tolist()}, …; the network learns numbers.")
    return Problem(
        subject, X, y, labels, held, steps, network, plan, run,
        class_weight=getattr(last, "class_weight", None),
        validation=getattr(last, "validation", None),
    )  # fmt: skip


@dataclass(eq=False)
class Trainee(BaseEstimator):
    """A network and a plan as an estimator; what a treated run comes back as.

    Parameters
    ----------
    network : DenseNetwork
    plan : Plan
    validation : float, optional
        Share of the rows to validate on.
    class_weight : "balanced", optional
    random_state : int
    """

    network: Any
    plan: Plan
    validation: float | None = None
    class_weight: str | None = None
    random_state: int = 0

    def fit(self, X: Any, y: Any) -> Any:
        """Train it."""
        weighted = self.class_weight is not None and np.ndim(y) == 1
        self.run_ = training.fit(
            resized(self.network, np.shape(X)[1]), X, y, plan=self.plan,
            sample_weight=compute_sample_weight(self.class_weight, y)
            if weighted else None,
            validation=self.validation, random_state=self.random_state,
        )  # fmt: skip
        return self

    def predict(self, X: Any) -> Array:
        """Return `thalweg.predict`'s answer."""
        return training.predict(self.run_, X)


_READERS: Sequence[tuple[Any, Any]] = (
    ((*OURS, *THEIRS), _of_mlp),
    ((Classifier, Regressor), _of_table),
    ((Run, DenseNetwork, Network, Trainee), _of_run),
    ((KerasClassifier, KerasRegressor), case_of_keras),
)
