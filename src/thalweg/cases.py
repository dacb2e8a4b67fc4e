"""What the doctor examines, whatever it was handed: a `Case`.

An estimator, a pipeline, a run or a bare table is brought into one form: rows, the
steps that prepare them, a network, a plan, and the run if there was one. Remedies
change a case (`changed`), a case can be trained (`Case.train`), and the same changes
are applied to what the user gave (`treated`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from thalweg import estimators, tabular, training
from thalweg.columns import as_frame, encode, study
from thalweg.estimators.base import blueprint
from thalweg.lookup import resolved
from thalweg.networks import Dense, DenseNetwork
from thalweg.plan import CLASSIFYING, Plan
from thalweg.records import Array, History, Parameters, Run, StopReason

KINDS = (
    "None (the data alone), a thalweg MLPClassifier, MLPRegressor, Classifier, "
    "Regressor, Ensemble or Run, a DenseNetwork with settings of a Plan, "
    "scikit-learn's MLPClassifier or MLPRegressor, a Pipeline that ends in one of "
    "these, or a cost with its gradient, (cost, gradient) with x0"
)
_MOST_CLASSES = 20
_OURS = (estimators.MLPClassifier, estimators.MLPRegressor)
_THEIRS = {
    TheirClassifier: estimators.MLPClassifier,
    TheirRegressor: estimators.MLPRegressor,
}


@dataclass(frozen=True, eq=False)
class Case:
    """One training in the form that all subjects share.

    Parameters
    ----------
    subject : object
        What the user gave.
    X : array-like or DataFrame of shape (n_rows, ...)
        As given.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        Class numbers where `labels` are known, float64 values otherwise.
    labels : ndarray or None
        The classes.
    held : (X, y) or None
        Rows held out by the user.
    steps : tuple of transformer
        What prepares X for the network, in turn.
    network, plan : DenseNetwork, Plan
    run : Run or None
        The training, where there was one.
    class_weight : str, mapping or None
    validation : float or None
        Share of the rows that training holds out for itself.
    scales_target : bool
        Whether the target is standardized for the network.
    dtype : str or None
        What is computed in.
    stand_in : bool
        Whether network and plan are the doctor's own, the user having given none.
    images : ndarray of shape (n_rows, ...) or None
        X as given, where it had more than two axes.
    """

    subject: Any
    X: Any
    y: Array
    labels: Array | None
    held: tuple[Any, Array] | None
    steps: tuple[Any, ...]
    network: DenseNetwork
    plan: Plan
    run: Run | None = None
    class_weight: Any = None
    validation: float | None = None
    scales_target: bool = False
    stand_in: bool = False
    images: Any = None

    @property
    def loss(self) -> str:
        """The loss's name."""
        return resolved(self.plan.loss).label

    @property
    def by_class(self) -> bool:
        """Whether the plan tells classes apart."""
        return self.loss in (*CLASSIFYING, "binary_cross_entropy")

    def rows(self, chosen: Array) -> "Case":
        """Return the case of some of the rows."""
        return replace(self, X=take(self.X, chosen), y=self.y[chosen])

    def prepared(self) -> tuple[Array, Any]:
        """Return what the network is given, and the fitted steps."""
        pipe = make_pipeline(*map(clone, self.steps)) if self.steps else None
        inputs = _dense(pipe.fit_transform(self.X) if pipe else self.X)
        return inputs.astype(self.dtype, copy=False), pipe

    @property
    def dtype(self) -> np.dtype[Any]:
        """What is computed in."""
        own = getattr(self.X, "dtype", None)
        single = own is not None and own == np.float32 and not self.plan.full_batch
        return np.dtype(self.plan.dtype or ("float32" if single else "float64"))

    def targets(self, y: Array | None = None) -> Array:
        """Return the target as the loss takes it."""
        y = self.y if y is None else y
        if self.loss in CLASSIFYING:
            return y.astype(np.int32) if y.ndim == 1 else y
        columns = y.reshape(len(y), -1).astype(float)
        if self.by_class or self.labels is None:
            return (columns - self._center[0]) / self._center[1]
        n_outputs = self.network.n_outputs
        return np.eye(n_outputs)[y] if n_outputs > 1 and y.ndim == 1 else columns

    @property
    def _center(self) -> tuple[Any, Any]:
        if not self.scales_target:
            return 0.0, 1.0
        columns = self.y.reshape(len(self.y), -1)
        return columns.mean(axis=0), columns.std(axis=0) + 1e-300

    def decide(self, prediction: Array) -> Array:
        """Return predictions as classes' numbers, or as values in the target's unit."""
        if self.labels is not None and prediction.shape[1] > 1:
            return prediction.argmax(axis=1) if self.y.ndim == 1 else prediction > 0.5
        if self.by_class:
            return prediction.argmax(axis=1) if self.loss in CLASSIFYING else (
                prediction[:, 0] > 0.5).astype(int)  # fmt: skip
        center, scale = self._center
        return (prediction * scale + center).reshape(len(prediction), *self.y.shape[1:])

    def train(self, seed: int) -> tuple[Run, Any]:
        """Train it anew; return the run and the fitted steps.

        Raises
        ------
        ValueError
            As `thalweg.fit`, such as for values that are not finite.
        """
        inputs, pipe = self.prepared()
        return self.fit_network(inputs, seed), pipe

    def fit_network(self, inputs: Array, seed: int) -> Run:
        """Train on prepared inputs."""
        return training.fit(
            resized(self.network, inputs.shape[1]),
            inputs,
            self.targets(),
            plan=self.plan,
            class_weight=self.class_weight,
            validation=self.validation,
            random_state=seed,
        )


def take(X: Any, chosen: Array) -> Any:
    """Return some rows of an array, a sparse matrix or a DataFrame."""
    return X.iloc[chosen] if hasattr(X, "iloc") else X[chosen]


def resized(network: DenseNetwork, n_inputs: int) -> DenseNetwork:
    """Return the network for another number of inputs."""
    if network.n_inputs == n_inputs:
        return network
    first = network.layers[0]
    if isinstance(first.init, np.ndarray):
        first = replace(first, init="auto")
    return replace(network, n_inputs=n_inputs, layers=(first, *network.layers[1:]))


def _dense(X: Any) -> Array:
    return np.ascontiguousarray(X.toarray() if hasattr(X, "toarray") else X)


# ------------------------------------------------------------------- understanding


def understand(
    subject: Any, X: Any, y: Any, X_val: Any = None, y_val: Any = None, **settings: Any
) -> Case:
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
        case = understand(subject, X.reshape(len(X), -1), y, *(held or ()), **settings)
        return replace(case, images=X)
    steps: tuple[Any, ...] = ()
    last = subject
    if isinstance(subject, Pipeline):
        steps = tuple(
            s for _, s in subject.steps[:-1] if s not in (None, "passthrough")
        )
        last = subject.steps[-1][1]
    if hasattr(last, "estimator") and hasattr(last, "n_members"):
        last = (getattr(last, "members_", None) or [last.estimator])[0]
    if last is None:
        return _of_data(subject, X, y, held, steps)
    for kinds, read in _READERS:
        if isinstance(last, kinds):
            return read(subject, last, X, y, held, steps, settings)
    raise TypeError(
        f"diagnose got a {type(subject).__name__}, which it cannot examine. It can "
        f"examine {KINDS}."
    )


def _checked(X: Any, y: Any, X_val: Any, y_val: Any) -> Any:
    X = X if hasattr(X, "iloc") or hasattr(X, "toarray") else np.asarray(X)
    y = np.asarray(y)
    y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
    _same_rows("X", X, "y", y)
    if (X_val is None) != (y_val is None):
        raise ValueError("diagnose got one of X_val and y_val; it needs both or none.")
    if X_val is None:
        return X, y, None
    X_val = X_val if hasattr(X_val, "iloc") else np.asarray(_dense(X_val))
    y_val = np.asarray(y_val)
    y_val = y_val.ravel() if y.ndim == 1 else y_val
    _same_rows("X_val", X_val, "y_val", y_val)
    if X_val.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"X_val has shape {X_val.shape} and X {X.shape}; they must have the same "
            "columns."
        )
    return X, y, (X_val, y_val)


def _same_rows(first: str, X: Any, second: str, y: Array) -> None:
    if len(getattr(X, "shape", ())) < 2 or not y.ndim or X.shape[0] != len(y):
        raise ValueError(
            f"diagnose got {first} of shape {np.shape(X)} and {second} of shape "
            f"{y.shape}; they must be (n_rows, n_columns) and have as many rows."
        )
    if len(y) < 2:
        raise ValueError(f"{first} has {len(y)} row(s); diagnose needs at least two.")


def _of_data(subject: Any, X: Any, y: Array, held: Any, steps: Any) -> Case:
    """Put a usual network in the place of the missing one, to try remedies with."""
    kind = (
        estimators.MLPClassifier if looks_like_classes(y) else estimators.MLPRegressor
    )
    if hasattr(X, "iloc") and not all(d.kind in "fiub" for d in X.dtypes):
        model = tabular.Classifier() if looks_like_classes(y) else tabular.Regressor()
        case = _of_table(subject, model, X, y, held, steps, {})
    else:
        case = _of_mlp(subject, kind(), X, y, held, steps, {})
    return replace(case, stand_in=True)


def looks_like_classes(y: Array) -> bool:
    """Whether a target is one of texts, or of few whole numbers."""
    if y.dtype.kind not in "fiu":
        return True
    values = np.unique(y[np.isfinite(y)])
    whole = bool((values == np.round(values)).all())
    return whole and len(values) <= min(_MOST_CLASSES, max(2, len(y) // 3))


def _numbered(y: Array, held: Any) -> tuple[Array, Array, Any]:
    """Return labels, class numbers, and those of the rows held out."""
    labels, numbers = np.unique(y, return_inverse=True)
    if held is None:
        return labels, numbers, None
    known = np.isin(held[1], labels)
    if not known.any():
        raise ValueError(
            f"y_val holds {held[1][:3].tolist()}, … and none of the classes of y, "
            f"{labels[:5].tolist()}. Give it the same labels."
        )
    return labels, numbers, (
        take(held[0], known), np.searchsorted(labels, held[1][known])
    )  # fmt: skip


def _of_mlp(
    subject: Any, last: Any, X: Any, y: Array, held: Any, steps: Any, settings: Any
) -> Case:
    for theirs, ours in _THEIRS.items():
        if isinstance(last, theirs) and not isinstance(last, _OURS):
            last = _as_ours(last, ours)
    if last.scale_inputs:
        steps = (*steps, StandardScaler())
        last = _with(last, scale_inputs=False)
    labels = None
    target = y
    if is_classifier(last):
        if y.ndim == 1:
            labels, y, held = _numbered(y, held)
            target = labels[y]
        else:
            labels = np.arange(y.shape[1])
    elif y.dtype.kind not in "fiub":
        raise ValueError(
            f"y holds {y[:3].tolist()}, …, and {type(last).__name__} learns numbers. "
            "Use a classifier, or give numbers."
        )
    width = _width(X, steps)
    sample = np.zeros((len(y), width))
    network, plan, validation = blueprint(last, sample, _known(target))
    fitted = getattr(last, "coefs_", None)
    if fitted is not None and len(fitted[0]) != width:
        raise ValueError(
            f"X has {width} columns, and {type(last).__name__} was fitted on "
            f"{len(fitted[0])}. Give the data that it was fitted on."
        )
    return Case(
        subject, X, y, labels, held, steps, network, plan,
        run=None if fitted is None else _run_of(last, network, plan),
        class_weight=_class_weight(last, labels),
        validation=validation,
    )  # fmt: skip


def _known(y: Array) -> Array:
    return np.nan_to_num(y) if y.dtype.kind == "f" else y


def _width(X: Any, steps: Any) -> int:
    if not steps:
        return X.shape[1]
    few = take(X, np.arange(min(X.shape[0], 2000)))
    return make_pipeline(*map(clone, steps)).fit_transform(few).shape[1]


def _with(estimator: Any, **changes: Any) -> Any:
    """Return a copy with other parameters that keeps what was fitted."""
    copy: Any = clone(estimator)
    copy.set_params(**changes)
    fitted = {
        k: v for k, v in vars(estimator).items() if k not in estimator.get_params()
    }
    vars(copy).update(fitted)
    return copy


def _as_ours(theirs: Any, ours: Any) -> Any:
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
    return {k: given[v] for k, v in enumerate(labels.tolist()) if v in given}


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
) -> Case:
    steps, labels, target = (*steps, _Encoder()), None, y
    if isinstance(last, tabular.Classifier):
        labels, y, held = _numbered(y, held)
        target = labels[y]
    network, plan, watched = tabular.blueprint(last, X, target, _width(X, steps))
    run = getattr(last, "run_", None)
    return Case(
        subject, X, y, labels, held, steps, network, plan, run,
        class_weight=_class_weight(last, labels),
        validation=last.validation_fraction if watched else None,
        scales_target=labels is None,
    )  # fmt: skip


def _of_run(
    subject: Any, last: Any, X: Any, y: Array, held: Any, steps: Any, settings: Any
) -> Case:
    run = last if isinstance(last, Run) else None
    network: Any = last.network if run or isinstance(last, Trainee) else last
    plan = last.plan if run or isinstance(last, Trainee) else Plan.of(None, **settings)
    width = _width(X, steps)
    if network.n_inputs != width:
        raise ValueError(
            f"X has {width} columns, and the network takes {network.n_inputs}. Give "
            "the data that it was made for."
        )
    labels = None
    by_class = resolved(plan.loss).label in (*CLASSIFYING, "binary_cross_entropy")
    if by_class and y.ndim == 1:
        labels, y, held = _numbered(y, held)
        if resolved(plan.loss).label in CLASSIFYING and network.n_outputs > len(labels):
            labels = np.arange(network.n_outputs)
    elif y.dtype.kind not in "fiub":
        raise ValueError(f"y holds {y[:3].tolist()}, …; the network learns numbers.")
    return Case(subject, X, y, labels, held, steps, network, plan, run)


class Trainee(BaseEstimator):
    """A network and a plan as an estimator; what a treated run comes back as.

    Parameters
    ----------
    network : DenseNetwork
    plan : Plan
    random_state : int
    """

    def __init__(self, network: Any, plan: Any, random_state: int = 0) -> None:
        self.network, self.plan, self.random_state = network, plan, random_state

    def fit(self, X: Any, y: Any) -> Any:
        """Train it."""
        network = resized(self.network, np.shape(X)[1])
        self.run_ = training.fit(
            network, X, y, plan=self.plan, random_state=self.random_state
        )
        return self

    def predict(self, X: Any) -> Array:
        """Return `thalweg.predict`'s answer."""
        return training.predict(self.run_, X)


_READERS: Sequence[tuple[Any, Any]] = (
    ((*_OURS, *_THEIRS), _of_mlp),
    ((tabular.Classifier, tabular.Regressor), _of_table),
    ((Run, DenseNetwork, Trainee), _of_run),
)

# ------------------------------------------------------------------------ treating


def changed(case: Case, changes: Mapping[str, Any]) -> Case:
    """Apply a prescription's changes to a case.

    Keys are fields of `Plan`, and ``hidden`` (widths), ``activation``, ``init``,
    ``batch_norm``, ``dropout``, ``output_activation``, ``frozen``, ``class_weight``,
    ``validation``, ``scale_target``, ``target`` ("numbers" or "classes"); the steps
    ``scale``, ``mask``, ``clip``, ``impute`` and ``drop``; and of the rows ``roll`` and
    ``leave_out``.
    """
    for name, value in changes.items():
        if name in ("match_held", "measured_as"):
            continue  # of the scoring
        case = _CHANGES.get(name, _change_plan)(case, name, value)
    return case


def _change_plan(case: Case, name: str, value: Any) -> Case:
    return replace(case, plan=Plan.of(case.plan, **{name: value}))


def _change_case(case: Case, name: str, value: Any) -> Case:
    return replace(case, **{_FIELDS.get(name, name): value})


def _change_hidden(case: Case, name: str, value: Any) -> Case:
    """Change the hidden layers; the widths come as one number a layer."""
    *hidden, output = case.network.layers
    if name == "hidden":
        like = hidden[0] if hidden else Dense(1, "relu")
        hidden = [replace(hidden[min(k, len(hidden) - 1)] if hidden else like,
                          units=width, residual=0, shares=None)
                  for k, width in enumerate(value)]  # fmt: skip
    elif name == "batch_norm":
        hidden = [
            replace(d, normalization="batch" if value else "none") for d in hidden
        ]
    elif name == "init":
        hidden = [replace(d, init=value, bias_init="zeros") for d in hidden]
        output = replace(output, init=value, bias_init="zeros")
    elif name == "frozen":
        hidden = [replace(d, frozen=value) for d in hidden]
        output = replace(output, frozen=value)
        case = replace(case, plan=Plan.of(case.plan, layer_rates=None))
    elif name == "output_activation":
        output = replace(output, activation=value)
    else:
        hidden = [replace(d, **{name: value}) for d in hidden]
    return replace(case, network=replace(case.network, layers=(*hidden, output)))


def _change_target(case: Case, name: str, value: Any) -> Case:
    """Learn numbers in place of classes, or the other way round."""
    *hidden, output = case.network.layers
    if value == "numbers":
        assert case.labels is not None
        values = case.labels.astype(float)
        y, labels, n, loss = values[case.y], None, 1, "squared"
        held = case.held and (case.held[0], values[case.held[1]])
    else:
        labels, y, held = _numbered(case.y, case.held)
        n, loss = len(labels), "cross_entropy"
    output = replace(output, units=n, activation="identity", init="auto")
    network = replace(case.network, layers=(*hidden, output))
    plan = Plan.of(case.plan, loss=loss)
    return replace(
        case, y=y, labels=labels, held=held, network=network, plan=plan,
        scales_target=value == "numbers",
    )  # fmt: skip


def _change_step(case: Case, name: str, value: Any) -> Case:
    step = step_of(name, value)
    last = name == "scale"
    return replace(case, steps=(*case.steps, step) if last else (step, *case.steps))


def _change_rows(case: Case, name: str, value: Any) -> Case:
    if name == "roll":
        return replace(case, y=np.roll(case.y, value, axis=0))
    return case.rows(np.setdiff1d(np.arange(len(case.y)), value))


def step_of(name: str, value: Any) -> Any:
    """Return the transformer of a change to the inputs."""
    if name == "scale":
        return StandardScaler()
    if name == "impute":
        return SimpleImputer(strategy="median", add_indicator=True,
                             keep_empty_features=True)  # fmt: skip
    if name == "drop":
        return ColumnTransformer(
            [("drop", "drop", list(value))], remainder="passthrough"
        )
    parts = [
        (f"mask_{k}",
         SimpleImputer(missing_values=each, strategy="median", add_indicator=True,
                       keep_empty_features=True), [column])
        for k, (column, each) in enumerate(value.items())
    ]  # fmt: skip
    return ColumnTransformer(parts, remainder="passthrough")


_FIELDS = {"scale_target": "scales_target"}
_CHANGES: dict[str, Any] = {
    **dict.fromkeys(("class_weight", "validation", "scale_target"), _change_case),
    **dict.fromkeys(
        ("hidden", "activation", "init", "batch_norm", "dropout", "frozen",
         "output_activation"), _change_hidden),
    **dict.fromkeys(("scale", "impute", "drop", "mask"), _change_step),
    **dict.fromkeys(("roll", "leave_out"), _change_rows),
    "target": _change_target,
}  # fmt: skip
STEPS = ("scale", "impute", "drop", "mask")
ROWS = ("roll", "leave_out", "match_held")

_MLP_NAMES = {
    "learning_rate": "learning_rate_init",
    "epochs": "max_iter",
    "l2": "alpha",
    "hidden": "hidden_layer_sizes",
    "optimizer": "solver",
    "patience": "n_iter_no_change",
}
_TABLE_NAMES = {"epochs": "max_epochs", "hidden": "hidden_layer_sizes"}


def treated(case: Case, changes: Sequence[Mapping[str, Any]]) -> tuple[Any, Any]:
    """Apply changes to a copy of what the user gave; return it and the difference.

    Steps that prepare the inputs come before the estimator in a Pipeline. What
    concerns the rows (``roll``, ``leave_out``) is told in the difference, for the user
    to do before fitting.
    """
    merged = {k: v for each in changes for k, v in each.items()}
    subject = case.subject
    last = subject.steps[-1][1] if isinstance(subject, Pipeline) else subject
    before = [clone(s) for _, s in subject.steps[:-1]] if isinstance(
        subject, Pipeline) else []  # fmt: skip
    settings = {k: v for k, v in merged.items() if k not in (*STEPS, *ROWS)}
    scaled_target = settings.pop("scale_target", False)
    new, difference = _treated_last(case, last, settings)
    front = [step_of(k, v) for k, v in merged.items() if k in STEPS and k != "scale"]
    back = [StandardScaler()] if merged.get("scale") else []
    steps = [*front, *before, *back]
    for name in merged:
        if name in (*STEPS, *ROWS):
            difference[name] = merged[name]
    if scaled_target:
        difference["scale_target"] = True
        if new is not None:
            new = TransformedTargetRegressor(new, transformer=StandardScaler())
    if new is None:
        return make_pipeline(*steps), difference
    return (make_pipeline(*steps, new) if steps else new), difference


def _treated_last(case: Case, last: Any, settings: dict[str, Any]) -> Any:
    if last is None:
        return None, {}
    if isinstance(last, Run | DenseNetwork | Trainee):
        new = changed(case, settings)
        return Trainee(new.network, new.plan), dict(settings)
    if isinstance(last, tabular.Classifier | tabular.Regressor):
        return _set(clone(last), _TABLE_NAMES, settings)
    return _treated_mlp(last, settings)


def _treated_mlp(last: Any, settings: dict[str, Any]) -> Any:
    difference: dict[str, Any] = {}
    if "target" in settings:
        kind = _OURS[settings.pop("target") == "numbers"]
        kept = {k: v for k, v in last.get_params().items()
                if k in kind().get_params() and k != "loss"}  # fmt: skip
        last, difference["estimator"] = kind(**kept), f"thalweg.{kind.__name__}"
    if settings.pop("shuffle", None):
        settings["shuffle"] = True
    known = last.get_params()
    missing = [k for k in settings if _MLP_NAMES.get(k, k) not in known]
    for theirs, ours in _THEIRS.items():
        if missing and isinstance(last, theirs) and not isinstance(last, _OURS):
            last = _as_ours(clone(last), ours)
            difference["estimator"] = f"thalweg.{ours.__name__}"
    new, more = _set(clone(last), _MLP_NAMES, settings)
    return new, {**difference, **more}


def _set(new: Any, names: Mapping[str, str], settings: Mapping[str, Any]) -> Any:
    """Set parameters by the estimator's names; what it lacks is told, not done."""
    own = {names.get(k, k): v for k, v in settings.items()}
    if "validation" in own:
        share = own.pop("validation")
        own |= {"early_stopping": True, "validation_fraction": share}
    known = new.get_params()
    new.set_params(**{k: v for k, v in own.items() if k in known})
    return new, own
