"""`MLPClassifier`: scikit-learn's MLP classifier, extended."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from thalweg.core import CLASSIFYING, Array, Spec, naming, with_complement
from thalweg.estimators.constraints import CLASS_WEIGHT, Named, check_class_weight
from thalweg.estimators.mlp.base import BaseMLP, Classes
from thalweg.estimators.mlp.parameters import can_fit_partially

_LOSSES = ("log_loss", "binary_cross_entropy", *CLASSIFYING)


def gives_probabilities(estimator: Any) -> bool:
    """Whether the outputs after the loss's link are probabilities."""
    loss = _name(estimator.loss)
    return isinstance(loss, str) and loss != "hinge"


def _name(loss: Any) -> Any:
    return loss[0] if isinstance(loss, tuple) else loss


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier: scikit-learn's, extended.

    The parameters up to `max_fun` are scikit-learn's, with the same defaults and
    effects. The defaults of the others change nothing.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Widths of the hidden layers.
    activation : str, (str, dict), callable or list of these
        Activation of the hidden layers (`thalweg.core.networks.ACTIVATIONS`), or a list
        with one for each hidden layer.
    solver : str, (str, dict) or optax.GradientTransformation
        ``"adam"``, ``"sgd"``, ``"lbfgs"`` as in scikit-learn, or any other of
        `thalweg.core.optimizers.OPTIMIZERS` and `thalweg.core.optimizers.FULL_BATCH`. A
        list of them trains in phases of at most `max_iter` epochs each.
    alpha : float
        L2 penalty.
    batch_size : int or "auto"
        ``"auto"`` is min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive"}
        Schedule of ``solver="sgd"``.
    learning_rate_init : float or None
        Learning rate of all first-order solvers. None is the default of the solver
        (`thalweg.core.optimizers.DEFAULT_RATES`). It is not used with an optax
        transformation, which has its own.
    power_t : float
        Exponent of ``"invscaling"``.
    max_iter : int
        Largest number of epochs, or of iterations of a full-batch solver.
    shuffle : bool
        Whether rows are shuffled in each epoch.
    random_state : int, RandomState or None
        Source of the initial weights, the split, the order of the rows and the noise.
    tol : float
        Smallest improvement that counts; gradient tolerance of ``"lbfgs"``.
    verbose : bool or int
        Whether to print each epoch, and why training stopped.
    warm_start : bool
        Whether `fit` starts from the weights of the last fit.
    momentum : float
        Momentum of ``"sgd"``.
    nesterovs_momentum : bool
        Whether ``"sgd"`` uses Nesterov's momentum.
    early_stopping : bool
        Whether to stop early on validation data split off from the training data.
        ``"lbfgs"`` ignores it, as in scikit-learn: pass `X_val` to `fit` instead.
    validation_fraction : float
        Share of the training data that is split off for early stopping.
    beta_1, beta_2, epsilon : float
        Constants of ``"adam"``.
    n_iter_no_change : int or inf
        Training stops after this many epochs without an improvement.
    max_fun : int
        Largest number of function evaluations of ``"lbfgs"``.
    loss : str, (str, dict) or callable
        ``"log_loss"``; with one output for each class, ``"cross_entropy"``,
        ``"focal"``, ``"hinge"`` or your own function (`thalweg.core.losses.LOSSES`);
        for two classes or several labels, ``"binary_cross_entropy"``. With ``"hinge"``
        or a function there is no `predict_proba`.
    dropout : float or list of float
        Share of the outputs of hidden layers that are dropped.
    batch_norm, layer_norm : bool
        Whether hidden layers have batch or layer normalization.
    init : str, (str, dict) or callable
        Initializer (`thalweg.core.initializers.INITIALIZERS`).
    class_weight : dict, "balanced" or None
        Weights of the classes.
    l1, weight_decay : float
        L1 penalty; decoupled weight decay.
    penalty_scale : {"batch", "sample"}
        Number of rows that penalties are divided by. "batch" is scikit-learn's choice;
        with "sample" a penalty means the same for every solver and batch size.
    clip_norm : float or None
        Largest norm of the gradient.
    bounds : (low, high) or None
        Bounds of the weights, for ``"lbfgs"``, ``"tnc"``, ``"powell"`` and
        ``"nelder-mead"``. None as `low` or `high` is no bound.
    schedule : str, (str, dict), callable or None
        Learning-rate schedule of any first-order solver
        (`thalweg.core.schedules.SCHEDULES`).
    scale_inputs : bool
        Whether the estimator standardizes its inputs (`scaler_`).
    scoring : str, callable or None
        scikit-learn scorer for early stopping; accuracy if None.
    dtype : {"float32", "float64"} or None
        Floating-point type of the computation; that of X if None.
    engine : {"auto", "native", "jax"}
        The engine that trains and predicts.
    callbacks : sequence of callable
        Each is called with a `thalweg.EpochRecord` after each epoch. Training stops if
        one returns True.
    max_time : float or None
        No epoch starts after this many seconds.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    coefs_ : list of ndarray of shape (fan_in, fan_out)
    intercepts_ : list of ndarray of shape (fan_out,)
    loss_, best_loss_ : float
    loss_curve_, validation_scores_ : list of float
    best_validation_score_ : float or None
    n_features_in_, n_iter_, n_layers_, n_outputs_, t_ : int
    feature_names_in_ : ndarray of str
    out_activation_ : str
    history_ : thalweg.History
        All epochs of the last fit.
    stop_reason_ : str
        Why the last fit stopped.
    engine_ : str
        The engine that trained, and why it was chosen.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from thalweg import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(solver="lbfgs", random_state=0, scale_inputs=True)
    >>> clf.fit(X, y).score(X, y) > 0.97
    True
    """

    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    loss: Spec = "log_loss"
    class_weight: Mapping[Any, float] | str | None = None

    _parameter_constraints: ClassVar = {
        **BaseMLP._parameter_constraints,
        "loss": [Named(_LOSSES, pairs=(tuple,)), callable],
        "class_weight": [*CLASS_WEIGHT, list],
    }

    @available_if(can_fit_partially)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Any:
        """Train one epoch on the given rows, starting from the current state.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        classes : array-like of shape (n_classes,), optional
            All classes that any call will have; required in the first call.

        Returns
        -------
        self : object
        """
        with naming("y", "classes", owner=f"{type(self).__name__}.partial_fit"):
            self._learn_classes(y, classes)
        return self._fit(X, y, sample_weight, incremental=True)

    @available_if(gives_probabilities)
    def predict_proba(self, X: ArrayLike) -> Array:
        """Estimate the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return with_complement(self._outputs(X))

    @available_if(gives_probabilities)
    def predict_log_proba(self, X: ArrayLike) -> Array:
        """Estimate the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _learn_classes(self, y: Any, classes: Any) -> None:
        known = getattr(self, "classes_", None)
        if known is None and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if known is None:
            several = type_of_target(y).startswith("multilabel")
            self._learn_labels(y if several else classes)
        elif classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to "
                f"partial_fit, was: {known!r}"
            )

    def _learn_labels(self, y: Any) -> None:
        from sklearn.preprocessing import LabelBinarizer  # slow to import

        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_
        kind = self._label_binarizer.y_type_
        allowed = {"multiclass": CLASSIFYING, "binary": _LOSSES}
        loss = _name(self.loss)
        labels_only = ("binary_cross_entropy",)
        if loss == "log_loss" or loss in allowed.get(kind, labels_only):
            return
        if not (callable(loss) and kind in allowed):
            raise ValueError(
                f"The 'loss' parameter of {type(self).__name__} is {self.loss!r}, "
                f"which does not suit {kind} targets. Use 'log_loss'."
            )

    def _check_target(
        self, X: Any, y: Any, reset: bool, classes: Classes
    ) -> tuple[Any, Any]:
        X, y = super()._check_target(X, y, reset, classes)
        if classes == "learn":
            self._learn_labels(y)
        else:
            self._check_classes(y, whole=classes == "same")
        return X, y

    def _check_classes(self, y: Any, whole: bool) -> None:
        classes = unique_labels(y)
        if whole:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in "
                    f"the previous call to fit. Previously got {self.classes_}, `y` "
                    f"has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. `self.classes_` has "
                f"{self.classes_}. 'y' has {classes}."
            )

    def _encode(self, y: Any, dtype: np.dtype[Any]) -> Array:
        if self._has_labels():
            return self._label_binarizer.transform(y).astype(dtype)
        numbers = np.searchsorted(self.classes_, y)
        if self._by_number():
            return numbers.astype(np.int32)
        return numbers.reshape(-1, 1).astype(dtype)

    def _has_labels(self) -> bool:
        return self._label_binarizer.y_type_.startswith("multilabel")

    def _by_number(self) -> bool:
        """Whether the loss takes class numbers."""
        if self.loss == "log_loss":
            return self._label_binarizer.y_type_ == "multiclass"
        return _name(self.loss) != "binary_cross_entropy"

    def _loss(self) -> Spec:
        if self.loss != "log_loss":
            return self.loss
        name = "cross_entropy" if self._by_number() else "binary_cross_entropy"
        return (name, {"clipped": True})

    def _output_kind(self) -> tuple[int, str]:
        if self._by_number():
            softmax = gives_probabilities(self)
            return len(self.classes_), "softmax" if softmax else "identity"
        return len(self.classes_) if self._has_labels() else 1, "logistic"

    def _decode(self, outputs: Array) -> Array:
        if self._by_number():
            return self.classes_[outputs.argmax(axis=1)]
        if self._has_labels():
            labels: Any = self._label_binarizer.inverse_transform(outputs)
            return labels
        # With a single class, both answers are that class.
        return self.classes_.take(outputs[:, 0] > 0.5, mode="clip")

    def _weights(self, sample_weight: Any, X: Any, y: Any) -> Array:
        weights = super()._weights(sample_weight, X, y)
        if self.class_weight is None:
            return weights
        labels = self.classes_ if np.ndim(y) == 1 else None
        check_class_weight(self.class_weight, labels, type(self).__name__)
        return weights * compute_sample_weight(self.class_weight, y)

    def _strata(self, target: Array) -> Array | None:
        # scikit-learn stratifies only if the target has a single column.
        if self.n_outputs_ > 1:
            return None
        return target.astype(bool)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
