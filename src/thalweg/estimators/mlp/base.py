"""What both MLP estimators share: checking, fitting, continuing to fit, predicting.

The attributes and the order of random draws are scikit-learn's: the initial weights,
then the split for early stopping, then the order of the rows.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from hashlib import blake2b
from numbers import Integral
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone, is_regressor
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from thalweg import engines
from thalweg.core import (
    Array,
    Data,
    DenseNetwork,
    EpochRecord,
    Parameters,
    Plan,
    PyTree,
    Run,
    Spec,
    StopReason,
    check_flag,
    fitting,
    link,
    naming,
)
from thalweg.estimators.constraints import Validated
from thalweg.estimators.mlp.callbacks import TaskPerEpoch, as_attributes, scoring
from thalweg.estimators.mlp.parameters import (
    CONSTRAINTS,
    can_fit_partially,
    check_layers,
    hidden_sizes,
    is_full_batch,
    is_sgd,
    make_network,
    make_plan,
)
from thalweg.estimators.mlp.persistence import PersistentMLP
from thalweg.io import PathLike
from thalweg.lazy_imports import importing
from thalweg.training import (
    EarlyStopping,
    Kept,
    Part,
    Scoring,
    TrainingMonitor,
    as_weights,
    at_hand,
    describe_start,
    identify,
    kept_from_outside,
    open_checkpoint,
    train,
    train_phases,
)

_NONFINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large "
    "values and need to be preprocessed."
)


Classes = Literal["learn", "same", "known"]
"""Which classes a target may have: any, exactly the known ones, or some of them."""


@dataclass
class _Optimizer:
    """The state that `partial_fit` continues from, as scikit-learn's `_optimizer`."""

    learning_rate: float
    state: Any = None
    rule: str = ""  # whose state it is, on which engine
    dtype: str = ""


@dataclass(kw_only=True, eq=False, repr=False)
class BaseMLP(PersistentMLP, CallbackSupportMixin, Validated):
    """Base of `MLPClassifier` and `MLPRegressor`; do not use it directly.

    The fields are the parameters that both have, in the order of their positions.
    """

    loss: Spec
    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: Any = "relu"
    solver: Any = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float | None = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: int | np.random.RandomState | None = None
    tol: float = 1e-4
    verbose: bool | int = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: int | float = 10
    max_fun: int = 15000
    dropout: float | list[float] = 0.0
    batch_norm: bool = False
    layer_norm: bool = False
    init: Spec = "sklearn"
    l1: float = 0.0
    weight_decay: float = 0.0
    penalty_scale: str = "batch"
    clip_norm: float | None = None
    bounds: tuple[float | None, float | None] | None = None
    schedule: Spec | None = None
    scale_inputs: bool = False
    scoring: str | Callable[..., float] | None = None
    dtype: str | None = None
    engine: str = "auto"
    callbacks: Sequence[Callable[[EpochRecord], bool | None]] = ()
    max_time: float | None = None

    _parameter_constraints = CONSTRAINTS
    coefs_: list[Array] = field(init=False)
    _optimizer: _Optimizer = field(init=False)
    intercepts_: list[Array] = field(init=False)

    # What the two estimators differ in.

    _encode: ClassVar[Callable[[Any, np.dtype[Any]], Array]]
    _loss: ClassVar[Callable[[], Spec]]
    _decode: ClassVar[Callable[[Array], Array]]
    """From outputs after the output activation to what `predict` returns."""
    _output_kind: ClassVar[Callable[[], tuple[int, str]]]
    """Number of outputs, and scikit-learn's name of the output activation."""

    # Fitting.

    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        watch_only: bool = False,
        *,
        checkpoint: PathLike | Kept | None = None,
        checkpoint_every: int | float | str | None = None,
        resume: bool | str = "auto",
    ) -> Any:
        """Fit the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        X_val, y_val : array-like, optional
            Validation data, used to stop early and to keep the best weights, with any
            solver and any value of `early_stopping`.
        watch_only : bool
            Whether `X_val` and `y_val` are only recorded in `history_`, and never stop
            training or select weights. If `early_stopping` splits off validation data,
            those are recorded instead.
        checkpoint : path-like, optional
            File in which the training is kept, so that the same call again goes on
            from there after a kill or an interruption.
        checkpoint_every : int, float or str, optional
            How often it is written: 5 (epochs), 60.0 (seconds), "10 min". By default
            every 30 seconds.
        resume : {"auto", True, False}
            Whether to go on from the file: if it is there, in any case, or never.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the data or a parameter is not valid, training diverged in its first
            epoch, or the checkpoint is of another network, plan or data.
        OSError
            If the checkpoint cannot be written there.
        """
        kept = open_checkpoint(checkpoint, checkpoint_every, resume)
        return self._fit(
            X, y, sample_weight, X_val, y_val, watch_only=watch_only, kept=kept
        )

    @available_if(can_fit_partially)
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Any:
        """Train one epoch on the given rows, starting from the current state.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def initialize(self, X: ArrayLike, y: ArrayLike) -> Any:
        """Initialize the weights as `fit` would, without training.

        With ``warm_start=True``, or with `partial_fit`, training starts from them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        self : object
        """
        self._validate_params()
        checked, target = self._check_target(X, y, reset=True, classes="learn")
        dtype = self._dtype_of(checked)
        self._random_state = check_random_state(self.random_state)
        self._begin(self._encode(target, dtype), checked.shape[1], dtype)
        return self

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any = None, y_val: Any = None,
        incremental: bool = False, watch_only: bool = False,
        kept: Kept | None = None,
    ) -> Any:  # fmt: skip
        started = time.perf_counter()
        self._validate_params()
        check_flag("watch_only", watch_only, owner=f"{type(self).__name__}.fit")
        if watch_only and self._stops_early():
            X_val = y_val = None
        given = {"X": X, "y": y}
        if sample_weight is not None:
            given["metadata"] = {"sample_weight": sample_weight}
        fresh = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        classes: Classes = "learn"
        if hasattr(self, "classes_") and (self.warm_start or incremental):
            classes = "same" if self.warm_start else "known"
        X, y = self._check_target(X, y, fresh, classes)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        weights = self._weights(sample_weight, X, y)
        dtype = self._dtype_of(X)
        target = self._encode(y, dtype)
        self._random_state = check_random_state(self.random_state)
        part = None if kept is None else kept.part()
        if part is not None:
            seeded = isinstance(self.random_state, Integral)
            part.begin_at(self._random_state, fixed=seeded)
        if fresh:
            self._begin(target, X.shape[1], dtype)
        self._warn_of_sizes()
        data, held_out = self._split(X, target, weights, X_val, y_val, dtype)
        before = getattr(self, "_judged_on", None)
        self._judged_on = self._judges_on(
            X, target, None if X_val is None else held_out
        )
        if not fresh and held_out is not None and before != self._judged_on:
            # A score on other data is no score to compare with.
            self.best_validation_score_, self._no_improvement_count = -np.inf, 0
        self._warn_of_batch(data.n_rows)
        watches = X_val is not None and watch_only
        with kept_from_outside(kept), fitting(self, given["X"]):
            self._train(
                data, held_out, incremental, started, given, watches, part, not fresh
            )
        return self

    def _begin(self, target: Array, n_inputs: int, dtype: np.dtype[Any]) -> None:
        """Initialize the weights and reset all counts of fitting."""
        self.n_outputs_, self.out_activation_ = self._output_kind()
        network = make_network(self, (n_inputs, *hidden_sizes(self), self.n_outputs_))
        self.n_layers_ = len(network.layers) + 1
        self._keep(network.draw(self._random_state, dtype))
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self.loss_curve_: list[float] = []
        stops_early = self.early_stopping
        self.validation_scores_: list[float] | None = [] if stops_early else None
        self.best_validation_score_ = -np.inf if stops_early else None
        self.best_loss_ = None if stops_early else np.inf
        if self.scale_inputs:
            with importing():
                from sklearn.preprocessing import StandardScaler  # slow to import

            self.scaler_ = StandardScaler()

    def _train(
        self,
        data: Data,
        held_out: Data | None,
        incremental: bool,
        started: float,
        given: dict[str, Any],
        watch_only: bool,
        part: Part | None = None,
        warm: bool = False,
    ) -> None:
        validated = held_out is not None and not watch_only
        plans = [each._plan(incremental, validated) for each in self._phases()]
        if watch_only:
            plans = [Plan.of(each, monitor="training") for each in plans]
        plan, network, rng = plans[0], self._network(), self._random_state
        first = self._parameters(data.X.dtype)
        patience = self._patience(plan, validated)
        monitor = TrainingMonitor(
            plan, held_out, self._scoring(), (), started, patience
        )
        tasks = [] if incremental else self._tasks(monitor, given)
        monitor.callbacks = [*self._listeners(), *tasks]
        if part is not None:
            identify(part, network, plans, data, held_out, first, self.engine, warm)
        phased = plan.full_batch or len(plans) > 1
        state = None if phased else self._state_to_go_on_from(incremental, plan, data)
        start = describe_start(monitor, network, plans, data)
        with monitor.watched(start) as watching:
            if phased:
                run = train_phases(
                    network, plans, data, first, rng, monitor, self.engine, part
                )
            else:
                run, session = train(
                    network, plan, data, first, rng, monitor, self.engine, state, part
                )
                rate = plan.rate * monitor.factor
                self._optimizer = _Optimizer(
                    rate, session.state(), self._rule_of(plan), str(data.dtype)
                )
                self.t_ += data.n_rows * monitor.epochs
            watching.result = run
        self._take_over(run, monitor)
        for task in tasks:
            task.close()
        if not incremental:
            self._tell(run)

    def _state_to_go_on_from(self, incremental: bool, plan: Plan, data: Data) -> Any:
        """Return the optimizer's state of the last call, or None to begin anew."""
        goes_on = self._goes_on(incremental, plan)
        if goes_on and self._optimizer.dtype == str(data.dtype):
            return self._optimizer.state
        if incremental and hasattr(self, "_optimizer"):
            warnings.warn(
                f"partial_fit begins with a new state of {plan.optimizer.label}: "
                "the solver, engine or dtype has changed since the last call.",
                stacklevel=5,
            )
        return None

    def _take_over(self, run: Run, monitor: TrainingMonitor) -> None:
        """Set the fitted attributes."""
        self.history_, self.stop_reason_ = run.history, run.why
        self.engine_ = run.engine
        self.n_iter_ = len(run.history)
        losses = run.history.loss.tolist()
        self.loss_curve_.extend(losses)
        # A solver that converged before its first iteration leaves the loss unchanged.
        self.loss_ = losses[-1] if losses else getattr(self, "loss_", np.nan)
        self._no_improvement_count = monitor.patience.waited
        if monitor.judges:
            scores = run.history.validation_score.tolist()
            self.validation_scores_ = [*(self.validation_scores_ or []), *scores]
            self.best_validation_score_ = -monitor.patience.best
        elif not run.plan.full_batch:
            self.best_loss_ = monitor.patience.best
        by_rows = is_sgd(self) and self.learning_rate == "invscaling"
        if by_rows and self.schedule is None:
            first_rate = make_plan(self, self._loss()).rate
            rate = first_rate / (self.t_ + 1) ** self.power_t
            self._optimizer.learning_rate = rate
        diverged = run.stop_reason is StopReason.NONFINITE
        if diverged and monitor.best is None:
            raise ValueError(f"{_NONFINITE} {run.why}")
        self._keep(run.parameters)

    def _tell(self, run: Run) -> None:
        """Report why training stopped, as a warning if it did not converge."""
        reason = run.stop_reason
        if self.verbose:
            print(run.why)  # noqa: T201
        if reason is StopReason.INTERRUPTED:
            warnings.warn("Training interrupted by user.", stacklevel=6)
            return
        if reason is StopReason.NONFINITE:
            words = run.why
        elif run.plan.full_batch and reason in _UNCONVERGED:
            words = (
                f"{self.solver} failed to converge after {self.n_iter_} "
                f"iteration(s): {run.why} Increase max_iter or max_fun to improve "
                "the convergence, or scale the data."
            )
        elif reason is StopReason.MAX_EPOCHS:
            words = (
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
                "reached and the optimization hasn't converged yet."
            )
        else:
            return
        warnings.warn(words, ConvergenceWarning, stacklevel=6)

    # Pieces of fitting.

    def _validate_params(self) -> None:
        super()._validate_params()
        check_layers(self)

    def _check_target(
        self, X: Any, y: Any, reset: bool, classes: Classes
    ) -> tuple[Any, Any]:
        """Validate the data; with `reset`, store the number and names of features."""
        X, y = at_hand(X), at_hand(y, "y")
        with naming("X", "y", owner=type(self).__name__):
            X, y = validate_data(
                self, X, y,
                accept_sparse=["csr", "csc"],
                multi_output=True,
                y_numeric=is_regressor(self),
                dtype=(np.float64, np.float32),
                reset=reset,
            )  # fmt: skip
        return X, column_or_1d(y, warn=True) if y.shape[1:] == (1,) else y

    def _dtype_of(self, X: Any) -> np.dtype[Any]:
        if self.dtype is not None:
            return np.dtype(self.dtype)
        # scikit-learn's L-BFGS hands SciPy's float64 vector on to everything.
        return np.dtype(float) if is_full_batch(self.solver) else np.dtype(X.dtype)

    def _weights(self, sample_weight: Any, X: Any, y: Any) -> Array:
        return as_weights(sample_weight, X.shape[0], np.dtype(float))

    def _split(
        self, X: Any, target: Array, weights: Array, X_val: Any, y_val: Any,
        dtype: np.dtype[Any],
    ) -> tuple[Data, Data | None]:  # fmt: skip
        held: Any = None
        if X_val is not None or y_val is not None:
            held = self._given(target, X_val, y_val, dtype)
        elif self._stops_early():
            with importing():
                from sklearn.model_selection import train_test_split  # loads much

            if not weights.all():  # rows of weight 0 count for nothing
                some = weights > 0
                X, target, weights = X[some], target[some], weights[some]

            with naming("validation_fraction", owner=type(self).__name__):
                parts: Any = train_test_split(
                    X, target, weights,
                    random_state=self._random_state,
                    test_size=float(self.validation_fraction),
                    stratify=self._strata(target),
                )  # fmt: skip
            (X, target, weights), held = parts[::2], parts[1::2]
            if held[0].shape[0] < 2:
                raise ValueError(
                    "The validation set is too small. Increase 'validation_fraction' "
                    "or the size of your dataset."
                )
        train_data = self._data(X, target, weights, dtype, learn=True)
        return train_data, held and self._data(*held, dtype=dtype)

    def _given(
        self, target: Array, X_val: Any, y_val: Any, dtype: np.dtype[Any]
    ) -> tuple[Any, Array, Array]:
        """Check the validation data; return the rows, their targets and weights."""
        if X_val is None or y_val is None:
            raise ValueError(
                "fit got only one of X_val and y_val. Give both of them or neither."
            )
        X_val, y_val = self._check_target(X_val, y_val, reset=False, classes="known")
        held = self._encode(y_val, dtype)
        if held.shape[1:] != target.shape[1:]:
            raise ValueError(
                f"fit got y_val of shape {np.shape(y_val)}. It must have as many "
                f"columns as y, which has {target.shape[1]}."
            )
        return X_val, held, np.ones(len(held))

    def _stops_early(self) -> bool:
        # scikit-learn's own L-BFGS ignores early stopping.
        return self.early_stopping and self.solver != "lbfgs"

    def _strata(self, target: Array) -> Array | None:
        return None

    def _data(
        self, X: Any, y: Array, weights: Array, dtype: np.dtype[Any],
        learn: bool = False,
    ) -> Data:  # fmt: skip
        if self.scale_inputs:
            X = X.toarray() if hasattr(X, "toarray") else X
            if learn and not hasattr(self.scaler_, "mean_"):
                # scikit-learn adds up otherwise with weights: equal ones have no say.
                equal = np.ptp(weights) == 0
                self.scaler_.fit(X, sample_weight=None if equal else weights)
            X = self.scaler_.transform(X)
        sparse = hasattr(X, "tocsr")
        return Data(
            X.tocsr().astype(dtype) if sparse else np.ascontiguousarray(X, dtype),
            np.ascontiguousarray(y),
            np.ascontiguousarray(weights, dtype),
        )

    def _warn_of_sizes(self) -> None:
        present = [weights.shape[1] for weights in self.coefs_[:-1]]
        if present != hidden_sizes(self):
            warnings.warn(
                f"hidden_layer_sizes is {self.hidden_layer_sizes}, but training goes "
                f"on with the weights of the last fit, whose layers have {present} "
                "units. Fit with warm_start=False for a new network.",
                stacklevel=5,
            )

    def _warn_of_batch(self, n_rows: int) -> None:
        size: Any = self.batch_size
        if not is_full_batch(self.solver) and size != "auto" and size > n_rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going "
                "to be clipped",
                stacklevel=4,
            )

    def _phases(self) -> list[Any]:
        """List the estimator once for each solver if there are several."""
        if not isinstance(self.solver, list):
            return [self]
        phases = [copy(self) for _ in self.solver]
        for phase, solver in zip(phases, self.solver, strict=True):
            phase.solver = solver
        return phases

    def _plan(self, incremental: bool, validated: bool) -> Plan:
        plan = make_plan(self, self._loss(), incremental, validated)
        moved = plan.schedule.name in ("invscaling", "adaptive")
        if moved and self._goes_on(incremental, plan):
            return Plan.of(plan, learning_rate=self._optimizer.learning_rate)
        return plan

    def _goes_on(self, incremental: bool, plan: Plan) -> bool:
        """Whether the optimizer's state of the last call is one of this plan."""
        present = getattr(self, "_optimizer", None)
        return (
            incremental and present is not None and present.rule == self._rule_of(plan)
        )

    def _rule_of(self, plan: Plan) -> str:
        return f"{plan.optimizer.structure!r} on {self.engine}"

    def _judges_on(self, X: Any, target: Array, held_out: Data | None) -> bytes:
        """Return what tells the rows that scores are of from others."""
        if not self.warm_start:
            return b""
        X, y = (X, target) if held_out is None else (held_out.X, held_out.y)
        found, sparse = blake2b(), hasattr(X, "tocsr")
        parts = (X.tocsr().data, X.tocsr().indices) if sparse else (X,)
        for part in (*parts, y):
            found.update(np.ascontiguousarray(part).view(np.uint8).data)
        return found.digest()

    def _patience(self, plan: Plan, validated: bool) -> EarlyStopping:
        """Continue the counts of earlier fits, as scikit-learn does."""
        best: float | None = self.best_loss_
        if validated and self.best_validation_score_ is not None:
            best = -self.best_validation_score_
        elif validated or best is None:
            best = np.inf
        return EarlyStopping(plan.tol, best, 0, self._no_improvement_count)

    def _scoring(self) -> Scoring | None:
        if self.scoring is None:
            return None
        from sklearn.metrics import get_scorer

        return scoring(self, get_scorer(self.scoring))

    def _listeners(self) -> list[Callable[..., bool | None]]:
        return [*(self.callbacks or ()), *([self._print] if self.verbose else [])]

    def _tasks(
        self, monitor: TrainingMonitor, given: dict[str, Any]
    ) -> list[TaskPerEpoch]:
        if not hasattr(self, "_skl_callbacks"):
            return []
        context = self._init_callback_context(max_subtasks=monitor.plan.epochs)
        epochs = lambda: monitor.plan.epochs
        fitted = lambda: as_attributes(monitor.parameters())
        return [TaskPerEpoch(self, context, epochs, fitted, given)]

    def _print(self, record: EpochRecord) -> None:
        print(f"Iteration {record.epoch}, loss = {record.loss:.8f}")  # noqa: T201
        if not np.isnan(record.validation_score):
            print(f"Validation score: {record.validation_score:f}")  # noqa: T201

    def _loss_grad_lbfgs(
        self, packed: Array, X: Any, y: Any, sample_weight: Any, *buffers: Any
    ) -> tuple[float, Array]:
        """Return the loss and the flat gradient; scikit-learn's own tests call this."""
        weights = self._weights(sample_weight, X, y)
        data = self._data(X, np.asarray(y, float), weights, np.dtype(float))
        packing = PyTree([self.coefs_, self.intercepts_])
        self.coefs_, self.intercepts_ = packing.unpack(packed)
        network, plan = self._network(), make_plan(self, self._loss())
        engine, _ = engines.pick(self.engine, network, plan)
        given = network, plan, self._parameters(), data
        cost, gradient = engine.cost_and_gradient(*given)
        parts = [[own[name] for own in gradient] for name in ("weights", "bias")]
        return cost, packing.pack(parts)

    # Weights, as scikit-learn keeps them and as the engines take them.

    def _keep(self, parameters: Parameters) -> None:
        for name, value in as_attributes(parameters).items():
            setattr(self, name, value)

    def _parameters(self, dtype: Any = None) -> Parameters:
        normalization = getattr(self, "_normalization", [{}] * len(self.coefs_))
        layers = zip(self.coefs_, self.intercepts_, normalization, strict=True)
        return tuple(
            {
                name: np.array(value, dtype)
                for name, value in {"weights": w, "bias": b, **more}.items()
            }
            for w, b, more in layers
        )

    def _network(self) -> DenseNetwork:
        """Describe the network of the current weights, which users may have set."""
        n_inputs = len(self.coefs_[0])
        return make_network(self, (n_inputs, *(w.shape[1] for w in self.coefs_)))

    # Predicting.

    def predict(self, X: ArrayLike) -> Array:
        """Predict.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or values.
        """
        return self._decode(self._outputs(X))

    def activations(self, X: ArrayLike) -> list[Array]:
        """Compute the outputs of each layer, without the activation of the last one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        list of ndarray of shape (n_samples, units)
        """
        engine, *given = self._forward(X)
        return [np.asarray(values) for values in engine.activations(*given)]

    def _outputs(self, X: Any) -> Array:
        """Predict after the output activation, shape (n_samples, n_outputs)."""
        engine, *given = self._forward(X)
        return link(self._loss())(engine.outputs(*given))

    def _forward(self, X: Any) -> tuple[engines.Engine, DenseNetwork, Parameters, Any]:
        """Return an engine, and the arguments of its predictions."""
        check_is_fitted(self, "coefs_")
        with naming("X", owner=type(self).__name__):
            X = validate_data(
                self, at_hand(X), accept_sparse=["csr", "csc"], reset=False
            )
        dtype = np.result_type(X.dtype, self.coefs_[0].dtype)
        dtype = dtype if dtype in (np.float32, np.float64) else np.dtype(float)
        data = self._data(X, np.empty(0), np.empty(0), dtype)
        network = self._network()
        engine, _ = engines.pick(self.engine, network, _ANY_PLAN)
        return engine, network, self._parameters(dtype), data.X

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def blueprint(
    estimator: BaseMLP, X: Array, y: ArrayLike
) -> tuple[DenseNetwork, Plan, float | None]:
    """Return what `fit` would train: network, plan, and the share it validates on."""
    copy: Any = clone(estimator)
    drawn: Any = copy.initialize(X, y)
    held = drawn._stops_early()
    plan = drawn._phases()[0]._plan(False, held)
    return drawn._network(), plan, drawn.validation_fraction if held else None


_ANY_PLAN = Plan()
"""Prediction does not depend on it."""

_UNCONVERGED = (
    StopReason.MAX_EPOCHS,
    StopReason.MAX_EVALUATIONS,
    StopReason.METHOD_STOPPED,
)
