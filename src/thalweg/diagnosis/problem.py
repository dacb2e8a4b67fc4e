"""One training, in a form that all subjects share, and the changes that remedies make.

A `Problem` holds the rows, the steps that prepare them, a network, a plan, and the run
if there was one. It can be trained. `thalweg.diagnosis.readers` makes a problem of what
the user gives, `thalweg.diagnosis.remedies` applies changes to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_sample_weight

from thalweg import training
from thalweg.core import CLASSIFYING, Array, DenseNetwork, Plan, Run


class ValidationData(NamedTuple):
    """Rows that are not trained on: X as given, and their target."""

    X: Any
    y: Array


@dataclass(frozen=True, eq=False)
class Problem:
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
        The classes; None for a regression.
    validation_data : ValidationData or None
        The user's validation data, with y in the form of `y` above.
    steps : tuple of transformer
        The steps that prepare X for the network, in order.
    network : DenseNetwork, Network or None
        None if each training builds it, as Keras does.
    plan : Plan
    run : Run or None
        The training, if there was one.
    class_weight : str, mapping or None
    validation : float or None
        Share of the rows that training uses as validation data.
    scales_target : bool
        Whether the target is standardized for the network.
    stand_in : bool
        Whether network and plan are defaults, because the user gave none.
    images : ndarray of shape (n_rows, ...) or None
        X as given, if it has more than two axes.
    repairs : mapping
        What is done to the columns before all steps: ``drop``, ``mask``, ``impute``.
    lost : int
        Rows that were left out because their target is missing.
    """

    subject: Any
    X: Any
    y: Array
    labels: Array | None
    validation_data: ValidationData | None
    steps: tuple[Any, ...]
    network: Any
    plan: Plan
    run: Run | None = None
    class_weight: Any = None
    validation: float | None = None
    scales_target: bool = False
    stand_in: bool = False
    images: Any = None
    repairs: Mapping[str, Any] = field(default_factory=dict)
    lost: int = 0

    @property
    def loss(self) -> str:
        """The name of the loss."""
        return self.plan.loss.label

    @property
    def by_class(self) -> bool:
        """Whether the loss is one of a classification."""
        return self.loss in (*CLASSIFYING, "binary_cross_entropy")

    @property
    def lacks_outputs(self) -> bool:
        """Whether there are more classes than outputs, so that it cannot be trained."""
        known = len(self.labels) if self.labels is not None else 0
        layered = isinstance(self.network, DenseNetwork)
        return self.loss in CLASSIFYING and layered and known > self.network.n_outputs

    def shaped(self, inputs: Array) -> Array:
        """Return flat inputs in the shape that the network takes."""
        if self.images is None or isinstance(self.network, DenseNetwork):
            return inputs
        return inputs.reshape(-1, *self.images.shape[1:])

    def rows(self, chosen: Array) -> "Problem":
        """Return the problem with some of the rows."""
        return replace(self, X=take(self.X, chosen), y=self.y[chosen])

    def prepared(self) -> tuple[Array, Any]:
        """Return the inputs of the network, and the fitted steps."""
        inputs, pipe = self.transformed()
        return dense(inputs).astype(self.dtype, copy=False), pipe

    def transformed(self) -> tuple[Any, Any]:
        """Return the output of the steps, maybe sparse, and the fitted steps."""
        first = (repair(self.X, self.repairs),) if self.repairs else ()
        if not first and not self.steps:
            return self.X, None
        # scikit-learn takes a pipeline as fitted if its last step is. The user's last
        # step may learn nothing and not say so; the identity says so.
        pipe = make_pipeline(*first, *map(clone, self.steps), FunctionTransformer())
        return pipe.fit_transform(self.X, self.y), pipe

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the computation."""
        own = getattr(self.X, "dtype", None)
        single = own is not None and own == np.float32 and not self.plan.full_batch
        return np.dtype(self.plan.dtype or ("float32" if single else "float64"))

    def targets(self, y: Array | None = None) -> Array:
        """Return the target in the form that the loss takes."""
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
        """Return predictions as class numbers, or as values in the target's unit."""
        if self.labels is not None and prediction.shape[1] > 1:
            return prediction.argmax(axis=1) if self.y.ndim == 1 else prediction > 0.5
        if self.by_class:
            return (prediction[:, 0] > 0.5).astype(int)
        center, scale = self._center
        return (prediction * scale + center).reshape(len(prediction), *self.y.shape[1:])

    def train(self, seed: int) -> tuple[Run, Any]:
        """Train from a seed; return the run and the fitted steps.

        Raises
        ------
        ValueError
            Whenever `thalweg.fit` does, for example if a value is not finite.
        """
        inputs, pipe = self.prepared()
        return self.fit_network(inputs, seed), pipe

    def _weights(self) -> Array | None:
        """Return the weights of the rows that give the classes their weights."""
        if self.class_weight is None or self.labels is None or self.y.ndim > 1:
            return None
        return compute_sample_weight(self.class_weight, self.y)

    def fit_network(self, inputs: Array, seed: int) -> Run:
        """Train on prepared inputs."""
        return training.fit(
            resized(self.network, inputs.shape[1]),
            self.shaped(inputs),
            self.targets(),
            plan=self.plan,
            sample_weight=self._weights(),
            validation=self.validation,
            random_state=seed,
        )


def take(X: Any, chosen: Array) -> Any:
    """Return some rows of an array, a sparse matrix or a DataFrame."""
    return X.iloc[chosen] if hasattr(X, "iloc") else X[chosen]


def resized(network: Any, n_inputs: int) -> Any:
    """Return the network with another number of inputs."""
    if getattr(network, "n_inputs", n_inputs) == n_inputs:
        return network
    first = network.layers[0]
    if isinstance(first.init, np.ndarray):
        first = replace(first, init="auto")
    return replace(network, n_inputs=n_inputs, layers=(first, *network.layers[1:]))


def dense(X: Any) -> Array:
    """Return a sparse matrix as an array; an array stays as it is."""
    return np.ascontiguousarray(X.toarray() if hasattr(X, "toarray") else X)


def numbered(
    y: Array, held: ValidationData | None
) -> tuple[Array, Array, ValidationData | None]:
    """Return the labels, the class numbers, and the validation data with theirs."""
    labels, numbers = np.unique(y, return_inverse=True)
    if held is None:
        return labels, numbers, None
    known = np.isin(held.y, labels)
    if not known.any():
        raise ValueError(
            f"y_val holds {held.y[:3].tolist()}, … and none of the classes of y, "
            f"{labels[:5].tolist()}. Give y_val the labels of y."
        )
    theirs = np.searchsorted(labels, held.y[known])
    return labels, numbers, ValidationData(take(held.X, known), theirs)


def repair(X: Any, repairs: Mapping[str, Any]) -> Any:
    """Return a transformer that drops, masks and imputes columns of X, by position."""
    dropped, masked = repairs.get("drop", ()), repairs.get("mask", {})
    parts: list[Any] = [("drop", "drop", list(dropped))] if dropped else []
    for k in sorted({*masked} - {*dropped}):
        parts.append((f"mask_{k}", _imputer(missing_values=masked[k]), [k]))
    if repairs.get("impute"):
        kinds = [d.kind for d in X.dtypes] if hasattr(X, "iloc") else "f" * X.shape[1]
        others = [k for k, kind in enumerate(kinds) if kind in "fiub"
                  and k not in (*dropped, *masked)]  # fmt: skip
        parts.append(("impute", _imputer(), others))
    step: Any = ColumnTransformer(
        parts, remainder="passthrough", verbose_feature_names_out=False
    )
    return step.set_output(transform="pandas") if hasattr(X, "iloc") else step


def _imputer(**given: Any) -> Any:
    return SimpleImputer(strategy="median", add_indicator=True,
                         keep_empty_features=True, **given)  # fmt: skip
