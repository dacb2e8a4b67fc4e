"""`MLPRegressor`: scikit-learn's MLP regressor, extended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin

from thalweg.core import Array, Spec
from thalweg.estimators.constraints import Named
from thalweg.estimators.mlp.base import BaseMLP

_LOSSES: dict[str, Spec] = {
    "squared_error": ("squared", {"averaged": True}),
    "absolute_error": "absolute",
}

_OUR_LOSSES = ("poisson", "squared", "absolute", "huber", "log_cosh", "quantile")


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multi-layer perceptron regressor: scikit-learn's, extended.

    Parameters
    ----------
    loss : str, (str, dict) or callable
        ``"squared_error"``, ``"poisson"``, or a regression loss of
        `thalweg.core.losses.LOSSES`, such as ``"absolute"``, ``"huber"`` or
        ``("quantile", {"quantile": 0.9})``.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, \
learning_rate_init, power_t, max_iter, shuffle, random_state, tol, verbose, \
warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, \
beta_1, beta_2, epsilon, n_iter_no_change, max_fun, dropout, batch_norm, \
layer_norm, init, l1, weight_decay, penalty_scale, clip_norm, bounds, \
schedule, scale_inputs, scoring, dtype, engine, callbacks, max_time
        As in `MLPClassifier`. The score for early stopping is R² if `scoring` is None.

    Attributes
    ----------
    coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, \
best_validation_score_, n_features_in_, feature_names_in_, n_iter_, n_layers_, \
n_outputs_, out_activation_, t_, history_, stop_reason_, engine_
        As in `MLPClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from thalweg import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = MLPRegressor(
    ...     hidden_layer_sizes=(5,),
    ...     activation="tanh",
    ...     solver="lbfgs",
    ...     alpha=100,
    ...     max_iter=1000,
    ...     random_state=0,
    ...     scale_inputs=True,
    ... )
    >>> reg.fit(X, y).score(X, y) > 0.5
    True
    """

    loss: Spec = "squared_error"
    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: Any = "relu"

    _parameter_constraints: ClassVar = {
        **BaseMLP._parameter_constraints,
        "loss": [Named((*_LOSSES, *_OUR_LOSSES), pairs=(tuple,)), callable],
    }

    def _encode(self, y: Any, dtype: np.dtype[Any]) -> Array:
        columns = y.reshape(-1, 1) if y.ndim == 1 else y
        self._columns = columns.shape[1]
        return columns.astype(dtype)

    def _loss(self) -> Spec:
        if not isinstance(self.loss, str):
            return self.loss
        return _LOSSES.get(self.loss, self.loss)

    def _output_kind(self) -> tuple[int, str]:
        return self._columns, "exp" if self.loss == "poisson" else "identity"

    def _decode(self, outputs: Array) -> Array:
        return outputs.ravel() if outputs.shape[1] == 1 else outputs
