"""Estimators for tables with columns of any kind: `Classifier` and `Regressor`.

They are scikit-learn estimators for numbers, texts, dates, booleans and missing values.
`fit` learns how to encode the columns (`thalweg.estimators.tabular.columns`), how
to encode the target (`thalweg.estimators.tabular.targets`), and a dense network between
them. `thalweg.estimators.evaluate` scores them on test data.
"""

import warnings
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields, replace
from functools import partial
from numbers import Integral
from time import monotonic
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, RegressorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_sample_weight

from thalweg import training
from thalweg.core import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
    AVERAGES,
    FULL_BATCH,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    Array,
    CompactRows,
    DenseNetwork,
    EpochRecord,
    Frame,
    History,
    Plan,
    Run,
    Series,
    Spec,
    StopReason,
    as_random_state,
    canonical,
    check_flag,
    fitting,
    hold_out,
    phases,
    plain_number,
)
from thalweg.estimators.constraints import (
    AT_LEAST_0,
    AT_LEAST_1,
    BATCH_SIZE,
    CALLBACKS,
    CLASS_WEIGHT,
    DTYPE,
    ENGINE,
    INFINITY,
    NONNEGATIVE,
    POSITIVE,
    SHARE,
    UPDATE_RULE,
    InvalidParameterError,
    ListOf,
    Named,
    Validated,
    check_class_weight,
)
from thalweg.estimators.mlp.parameters import hidden_sizes
from thalweg.estimators.persistence import (
    Persistent,
    parameters_from_json,
    parameters_to_json,
)
from thalweg.estimators.splits import (
    Split,
    as_groups,
    as_times,
    hold_out_honestly,
)
from thalweg.estimators.tabular.columns import (
    Column,
    arrays_of,
    as_frame,
    as_seen,
    seen,
    study,
    warn_left_out,
    whole,
)
from thalweg.estimators.tabular.cross_fitting import (
    CrossFit,
    Task,
    Trained,
    available_at_once,
    averaged,
)
from thalweg.estimators.tabular.intervals import Scores
from thalweg.estimators.tabular.labels import (
    as_target,
    known_rows,
    lacks_target,
    target_name,
)
from thalweg.estimators.tabular.members import Members, heated
from thalweg.estimators.tabular.metrics import (
    Truth,
    find_metric,
    positive_class,
)
from thalweg.estimators.tabular.out_of_fold import (
    OutOfFold,
    best_share,
    best_temperature,
    gather,
)
from thalweg.estimators.tabular.portfolio import (
    FEWEST_CROSSED,
    MOST_MEMBERS,
    Recipe,
    frequencies,
    has_linear,
    n_each,
    n_folds,
    n_linear,
    n_members,
    network_recipes,
)
from thalweg.estimators.tabular.prediction import TablePredictor, name_of
from thalweg.estimators.tabular.quantiles import QuantileBand
from thalweg.estimators.tabular.reading import ReadsTables
from thalweg.estimators.tabular.several_values import SeveralValues
from thalweg.estimators.tabular.targets import Classes, Values
from thalweg.estimators.tabular.threshold import best_threshold, out_of_fold
from thalweg.estimators.tabular.views import View, wave_places
from thalweg.io import PathLike
from thalweg.training import (
    Callback,
    Kept,
    as_weights,
    kept_from_outside,
    open_checkpoint,
)

FEW_ROWS = 200
"""With fewer rows there are no validation data: all rows are used for training."""
_USUAL_SHARE = 0.15
_UPDATES = 512  # in training without validation data
_LARGEST = 1e150  # its square is a number yet
_DIVERGED = 1e4  # a loss of standardized targets that no training ends with
_OPTIMIZER = [
    Named({**OPTIMIZERS, **FULL_BATCH}, canonical), UPDATE_RULE,
]  # fmt: skip
_OF_PLAN = (
    "loss", "optimizer", "schedule", "weight_decay", "average", "max_time", "dtype",
)  # fmt: skip
_SAME = {
    "max_iter": "max_epochs",
    "learning_rate_init": "learning_rate",
    "n_iter_no_change": "patience",
    "alpha": "l2",
}
"""scikit-learn's names of parameters, and ours."""


@dataclass(kw_only=True, eq=False, repr=False)
class _Tabular(ReadsTables, TablePredictor, Persistent, Validated):
    """What both estimators share: everything but the target."""

    hidden_layer_sizes: int | Sequence[int] = field(default=(128, 64), kw_only=False)
    activation: Spec = field(default="relu", kw_only=False)
    loss: Spec = "squared"
    piecewise: bool = True
    dropout: float | None = None
    optimizer: Any = "adam"
    learning_rate: float | None = None
    schedule: Spec = "constant"
    batch_size: int | str | None = None
    max_epochs: int | Sequence[int] | None = None
    l2: float = 1.0
    weight_decay: float = 0.0
    average: Spec = "none"
    validation_fraction: float = _USUAL_SHARE
    patience: int | None = 10
    max_time: float | None = None
    callbacks: Sequence[Callback] = ()
    time_limit: float | None = None
    members: int | None = None
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None
    dtype: str = "float32"
    engine: str = "auto"
    scoring: Any = None
    verbose: bool | int = False
    max_iter: int | Sequence[int] | None = None
    alpha: float | None = None
    learning_rate_init: float | None = None
    n_iter_no_change: int | float | None = None

    _parameter_constraints: ClassVar = {
        "hidden_layer_sizes": ["array-like", AT_LEAST_1],
        "activation": [Named({**ACTIVATIONS, **ACTIVATION_ALIASES}), callable],
        "loss": [Named(LOSSES), callable],
        "piecewise": ["boolean"],
        "dropout": [SHARE, None],
        "optimizer": [*_OPTIMIZER, ListOf(*_OPTIMIZER)],
        "learning_rate": [POSITIVE, None],
        "schedule": [Named(SCHEDULES), callable],
        "batch_size": [*BATCH_SIZE, None],
        "max_epochs": [AT_LEAST_1, ListOf(AT_LEAST_1), None],
        "l2": [NONNEGATIVE],
        "weight_decay": [NONNEGATIVE],
        "average": [Named(AVERAGES)],
        "validation_fraction": [SHARE],
        "patience": [AT_LEAST_0, None],
        "max_time": [POSITIVE, None],
        "callbacks": CALLBACKS,
        "time_limit": [POSITIVE, None],
        "members": [AT_LEAST_1, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "dtype": DTYPE,
        "engine": ENGINE,
        "scoring": [str, callable, None],
        **ReadsTables._reading_constraints,
        "verbose": ["verbose"],
        "max_iter": [AT_LEAST_1, ListOf(AT_LEAST_1), None],
        "alpha": [NONNEGATIVE, None],
        "learning_rate_init": [POSITIVE, None],
        "n_iter_no_change": [AT_LEAST_1, INFINITY, None],
    }
    _target: ClassVar[type[Classes] | type[Values]]
    target_: Any = field(init=False)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
        watch_only: bool = False,
        *,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
        checkpoint: PathLike | Kept | None = None,
        checkpoint_every: int | float | str | None = None,
        resume: bool | str = "auto",
    ) -> Self:
        """Learn the columns, the target and the network.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_rows, n_columns)
            Numbers, texts, dates, booleans, missing values.
        y : Series or array-like of shape (n_rows,)
            Rows with a missing target are left out, with a warning. A `Regressor` also
            takes several targets of numbers, of shape (n_rows, n_targets).
        sample_weight : array-like of shape (n_rows,), optional
        X_val, y_val : optional
            Validation data; by default they are a part of `X`.
        watch_only : bool
            Whether `X_val` and `y_val` are only recorded in `history_`, and never stop
            training or select weights. If a part of `X` is validation data already,
            that part is recorded instead.
        groups : array-like of shape (n_rows,), optional
            Rows of one group, such as those of one patient, are never both in the
            training and in the validation data.
        time : array-like of shape (n_rows,), optional
            Numbers or dates. The latest rows are the validation data.
        checkpoint : path-like, optional
            File in which the training of all networks is kept, so that the same call
            again goes on from there after a kill or an interruption.
        checkpoint_every : int, float or str, optional
            How often it is written: 5 (epochs), 60.0 (seconds), "10 min". By default
            every 30 seconds.
        resume : {"auto", True, False}
            Whether to go on from the file: if it is there, in any case, or never.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, a column or a value is not valid, or the checkpoint is of
            another network, plan or data. The message names it and says what to do.
        OSError
            If the checkpoint cannot be written there.
        """
        started = monotonic()
        self._validate_params()
        file = open_checkpoint(checkpoint, checkpoint_every, resume)
        check_flag("watch_only", watch_only, owner=f"{type(self).__name__}.fit")
        if (X_val is None) != (y_val is None):
            raise ValueError(
                "fit got only one of X_val and y_val. Give both of them or neither."
            )
        X, y = training.collected(X), training.collected(y)
        frame, target, weights = labeled(X, y, sample_weight, self.missing)
        if groups is not None or time is not None:
            kept = known_rows(y, self.missing)
            known_groups = as_groups(groups, len(kept), "fit")
            known_times = as_times(time, len(kept), "fit")
            groups = None if known_groups is None else known_groups[kept]
            time = None if known_times is None else known_times[kept]
        n_rows = _n_rows(y)
        self.n_left_out_ = n_rows - len(target)
        if weights is not None and not weights.all():  # they count for nothing
            some = weights > 0
            frame, target, weights = frame[some], target[some], weights[some]
            groups, time = (None if v is None else v[some] for v in (groups, time))
        _check_size(frame)
        known = self.trained_ if self.warm_start and hasattr(self, "trained_") else None
        if known is None:
            n_members = self._n_members(len(frame))
            self._study(X, frame, several=n_members > 1)
            self.target_ = self._study_target(target).weighed(target, weights)
        else:
            n_members = self._n_known(known)
            frame = frame if isinstance(frame, Encoded) else self.aligned(frame)
        self._forget()
        self.target_name_ = name_of(y)
        if not isinstance(frame, Encoded):
            warn_left_out(self.columns_, target_name(y), self.n_left_out_, n_rows)
        inputs, encoded = self._encode(frame), self.target_.encode(target)
        holds_out = self._validates if n_members == 1 else self._crosses
        if watch_only and holds_out(len(frame)):
            X_val, watch_only = None, False
        given = None
        if X_val is not None:
            rows, values, _ = labeled(X_val, y_val, None, self.missing)
            given = self._encode(rows), self.target_.encode(values)
        task = Task(
            inputs, encoded, weights, given, watch_only, groups, time,
            self._target is Classes,
        )  # fmt: skip
        with fitting(self, X):
            with kept_from_outside(file):
                if n_members == 1:
                    shares = self._fit_one(task, file, known)
                else:
                    shares = self._fit_members(task, n_members, started, file, known)
            self._choose_threshold(frame, target, groups, shares)
        self._warn_if_diverged()
        return self

    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train each member for one epoch on further rows.

        The first call learns the columns and the target, which later calls keep. The
        optimizer begins anew with each call. What was chosen out of fold (intervals,
        temperature, the share of a linear model) belongs to a `fit` and is not known
        afterwards, except that a temperature and a share that are known stay.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`
        classes : array-like of shape (n_classes,), optional
            All classes that a later call may have; by default those of the first `y`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `fit`, and for a class that the first call did not know.
        """
        self._validate_params()
        frame, target, weights = labeled(X, y, sample_weight, self.missing, fewest=1)
        _check_size(frame)
        known = getattr(self, "trained_", None)
        if known is None:
            n_members = self._n_members(len(frame))
            self._study(X, frame, several=n_members > 1)
            self.target_ = self._study_classes(target, classes)
            self.target_name_ = name_of(y)
        else:
            n_members = self._n_known(known)
            frame = frame if isinstance(frame, Encoded) else self.aligned(frame)
        self._forget()
        task = Task(
            self._encode(frame), self.target_.encode(target), weights, None, False,
            None, None, self._target is Classes,
        )  # fmt: skip
        task = replace(task, weights=self._row_weights(task))
        rng = as_random_state(self.random_state)
        places = wave_places(task.inputs)
        cross_fit = self._cross_fit(task, 0, rng, places, None)
        recipes = self._recipes(n_members, len(frame), places)
        cross_fit.add(recipes, known=known, max_epochs=1, max_time=self.max_time)
        if known is None:
            self.trained_ = averaged(cross_fit.networks, [], 0.0)
        else:
            runs = [each.run for each in cross_fit.networks]
            self.trained_ = known.trained_on([*runs, *known.runs[n_members:]])
        return self

    def _study_classes(self, target: Any, classes: Any) -> Any:
        """Learn the target from its first rows."""
        return self._study_target(target)

    def _forget(self) -> None:
        """Remove what an earlier fit has chosen out of fold."""
        for name in ("scores_", "band_", "out_of_fold_", "calibrated_"):
            vars(self).pop(name, None)

    def _n_known(self, known: Members) -> int:
        """Return how many networks of an earlier fit are trained further.

        Raises
        ------
        ValueError
            If another number is asked for.
        """
        linear = [len(run.network.layers) == 1 for run in known.runs]
        count = len(linear) - (sum(linear) if hidden_sizes(self) else 0)
        if self.members not in (None, count):
            raise ValueError(
                f"{type(self).__name__} got members={self.members} and continues from "
                f"a fit with {count}. Leave members as it was, or set "
                "warm_start=False to begin anew."
            )
        return count

    def _n_members(self, n_rows: int) -> int:
        """Return how many networks are trained."""
        if self.members is not None:
            return plain_number(self.members)
        fixed = any(plan.full_batch for plan in phases(None, self._settings(2, False)))
        return 1 if fixed or not hidden_sizes(self) else n_members(n_rows)

    def _fit_one(
        self, task: Task, file: Kept | None, known: Members | None
    ) -> OutOfFold | None:
        """Train one network; return what it predicts for validation data we chose."""
        inputs, encoded, weights = task.inputs, task.encoded, task.weights
        n_rows = len(inputs)
        share = self.validation_fraction if self._validates(n_rows) else None
        validation = share if task.given is None else task.given
        watched = validation is not None and not task.watch_only
        settings = self._settings(n_rows, watched)
        held_out = task.given
        if isinstance(validation, float):
            split = self._inner_split(encoded, task.groups, task.times)
            if split is not None:
                rows, held = split
                held_out = validation = task.held(held)
                inputs, encoded = inputs[rows], encoded[rows]
                weights = None if weights is None else weights[rows]
        run = training.fit(
            self._network(inputs.shape[1], settings),
            inputs,
            encoded,
            sample_weight=weights,
            class_weight=self._class_weight(),
            validation=validation,
            random_state=self.random_state,
            callbacks=self._callbacks(),
            engine=self.engine,
            checkpoint=file,
            parameters=None if known is None else known.run.parameters,
            **settings,
            monitor="training" if task.watch_only else "auto",
        )
        self.trained_ = Members((run,))
        if held_out is None:
            return None
        rows = np.arange(len(held_out[1]))
        outputs = self.outputs_of(held_out[0])
        return gather([(rows, outputs)], np.asarray(held_out[1]), None)

    def _fit_members(
        self,
        task: Task,
        n_members: int,
        started: float,
        file: Kept | None,
        known: Members | None,
    ) -> OutOfFold | None:
        """Train several networks; return what they predict out of fold."""
        task = replace(task, weights=self._row_weights(task))
        if task.weights is not None:  # rows of weight 0 are as if they were not there
            task = task.take(np.flatnonzero(task.weights > 0))
        n_rows = len(task.encoded)
        crosses = task.given is None and self._crosses(n_rows)
        rng = as_random_state(self.random_state)
        if file is not None:
            file.begin_at(rng, fixed=isinstance(self.random_state, Integral))
        places = wave_places(task.inputs)
        count = self._n_folds(n_members, n_rows) if crosses else 0
        cross_fit = self._cross_fit(task, count, rng, places, file)
        given = (self.max_time, self.time_limit)
        limits = [each for each in given if each is not None]
        recipes = self._recipes(n_members, n_rows, places)
        cross_fit.add(
            recipes,
            max_time=min(limits, default=None),
            watched=bool(self._callbacks()),
            known=known,
        )
        self._add_more(cross_fit, started, places)
        networks = cross_fit.networks
        if not cross_fit.judged:
            self.trained_ = averaged(networks, [], 0.0)
            return None
        found = cross_fit.out_of_fold(networks)
        one = [cross_fit.out_of_fold([each]) for each in networks]
        self.out_of_fold_ = {
            "loss": found.loss(),
            "one": float(
                np.average(
                    [o.loss() for o in one], weights=[o.weights.sum() for o in one]
                )
            ),
            "linear": None,
            "share": 0.0,
            "n_rows": len(found.rows),
        }
        found = self._blend(cross_fit, found)
        self._calibrate(found)
        hot = heated(found.outputs, self.trained_.temperature)
        found = replace(found, outputs=hot)
        self.scores_ = Scores.of(found.distances())
        if not cross_fit.interrupted:
            self._learn_quantiles(cross_fit, found)
        return found

    def _recipes(self, count: int, n_rows: int, places: Array | None) -> list[Recipe]:
        return network_recipes(self, count, n_rows, waves=places is not None)

    def _cross_fit(
        self,
        task: Task,
        n_folds: int,
        rng: np.random.RandomState,
        places: Array | None,
        file: Kept | None,
    ) -> CrossFit:

        def see(recipe: Recipe) -> View:
            features = seen(self.columns_, task.inputs, recipe.pieces)
            if not recipe.waves or places is None or not len(places):
                return View(features, recipe.pieces)
            own = frequencies(rng, len(places), recipe.waves)
            return View(features, recipe.pieces, places, own)

        return CrossFit(
            task, partial(self._train_member, file=file), see, self.target_.n_outputs,
            n_folds, n_each(len(task.encoded)) if self.piecewise else 1,
            self.validation_fraction, rng,
        )  # fmt: skip

    def _add_more(
        self, cross_fit: CrossFit, started: float, places: Array | None
    ) -> None:
        """Train more members for as long as the time limit says."""
        if self.time_limit is None:
            return
        begun, count = monotonic(), len(cross_fit.networks)
        n_rows = len(cross_fit.task.encoded)
        a_member = (begun - started) / count
        at_once = available_at_once()
        while not cross_fit.interrupted and count < MOST_MEMBERS:
            left = started + self.time_limit - monotonic()
            if left < 1.1 * a_member * at_once:
                return
            recipes = self._recipes(count + at_once, n_rows, places)[count:]
            cross_fit.add(recipes, max_time=left)
            count += at_once

    def _blend(self, cross_fit: CrossFit, found: OutOfFold) -> OutOfFold:
        """Let a linear model count for as much as the out-of-fold loss says."""
        networks = cross_fit.networks
        n_rows = len(cross_fit.task.encoded)
        best: Sequence[Trained] = ()
        if has_linear(self) and not cross_fit.interrupted:
            best = cross_fit.add_linear(n_linear(n_rows))
        linear = cross_fit.out_of_fold(best) if best else None
        share = 0.0
        if linear is not None:
            at = np.searchsorted(found.rows, linear.rows)
            share, both = best_share(found.take(at), linear)
            kept = self.out_of_fold_ or {}
            kept |= {"linear": linear.loss(), "share": share}
            if len(both.rows) == len(found.rows):
                found = both
                kept["loss"] = found.loss()
        self.trained_ = averaged(networks, best, share)
        return found

    def _learn_quantiles(self, cross_fit: CrossFit, found: OutOfFold) -> None:
        """Learn the quantiles of the residuals of one target of numbers."""

    def _row_weights(self, task: Task) -> Array | None:
        """Return the weights of the rows, with those of their classes."""
        return task.weights

    def _calibrate(self, found: OutOfFold) -> None:
        """Choose the temperature of a classifier's probabilities."""

    def _train_member(
        self, recipe: Recipe, task: Task, validation: tuple[Any, ...] | None, *,
        n_rows: int, seed: int, first: bool, max_time: float | None,
        max_epochs: int | None, parameters: Any, file: Kept | None = None,
    ) -> Run:  # fmt: skip
        """Train one of several members."""
        model = copy(self)
        vars(model).update(recipe.settings)
        watched = validation is not None and not task.watch_only
        settings = model._settings(n_rows, watched)
        if max_time is not None:
            settings["max_time"] = max_time
        if max_epochs is not None:
            settings["epochs"] = max_epochs
        return training.fit(
            model._network(task.inputs.shape[1], settings),
            task.inputs,
            task.encoded,
            sample_weight=task.weights,
            validation=validation,
            random_state=seed,
            callbacks=self._callbacks() if first else (),
            engine=self.engine,
            parameters=parameters,
            checkpoint=None if file is None else file.named(f"member {seed}"),
            **settings,
            monitor="training" if task.watch_only else "auto",
        )

    def _crosses(self, n_rows: int) -> bool:
        """Whether each member holds out a fold of the rows."""
        return n_rows >= FEWEST_CROSSED and self.validation_fraction > 0

    def _n_folds(self, count: int, n_rows: int) -> int:
        """Return into how many folds the rows are divided for so many members."""
        if self.validation_fraction == _USUAL_SHARE:
            return n_folds(count, n_rows)
        return max(2, round(1 / self.validation_fraction))

    def _callbacks(self) -> list[Callback]:
        return [*(self.callbacks or ()), *([_tell] if self.verbose else [])]

    def _warn_if_diverged(self) -> None:
        loss = self.run_.history.loss
        huge = len(loss) > 0 and not loss[-1] < max(_DIVERGED, loss[0] / 2)
        if self.run_.stop_reason is StopReason.NONFINITE or huge:
            last = loss[-1] if len(loss) else np.nan
            warnings.warn(
                f"Training diverged: the loss is {last:.3g} after {len(loss)} "
                f"epoch(s). {self.run_.why} Lower learning_rate, which is "
                f"{self.run_.plan.rate:g}, or use another optimizer.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _inner_split(self, encoded: Array, groups: Any, times: Any) -> Split | None:
        """Return training and validation rows, or None where any will do."""
        if groups is None and times is None:
            return None
        classes = self._target is Classes
        share = self.validation_fraction
        return hold_out_honestly(encoded, share, groups, times, classes)

    def _choose_threshold(
        self, frame: Any, target: Series, groups: Any, found: OutOfFold | None
    ) -> None:
        """Choose the threshold of a classifier that asks for one."""

    def _score(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> float:
        """Return the metric that `scoring` names."""
        if callable(self.scoring) or sample_weight is not None:
            from sklearn.metrics import get_scorer

            scorer: Any = get_scorer(self.scoring)
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            return float(scorer(self, X, y, **weights))
        frame, target, _ = labeled(X, y, None, self.missing, fewest=1)
        metric = find_metric(
            self.scoring, self._target is Classes, owner=type(self).__name__
        )
        value = metric.value_of(*self.compared(frame, target))
        return value if metric.greater else -value

    def _usual_score(self, X: Any, y: Any, sample_weight: ArrayLike | None) -> float:
        """Return accuracy, or R², on the rows that have a target."""
        self._check_fitted()
        given = (X, y, sample_weight, self.missing)
        frame, target, weights = labeled(*given, fewest=1)
        rows = frame if len(target) < _n_rows(y) else X
        return self.target_.compare(target, self.predict(rows), weights)

    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the fitted estimator as values that JSON can hold, and arrays."""
        settings = parameters_to_json(self)
        content, arrays = self.trained_.to_document()
        arrays = {**arrays, **arrays_of(self.columns_)}
        content["settings"] = settings
        if self.scores_ is not None:
            arrays |= self.scores_.to_arrays("scores")
        if self.band_ is not None:
            content["band"], own = self.band_.to_document()
            arrays |= own
        for name in ("out_of_fold", "calibrated"):
            if (kept := getattr(self, f"{name}_")) is not None:
                content[name] = kept
        return {**content, **self._kept()}, arrays

    @classmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild the estimator that `to_document` took apart."""
        settings = dict(content["settings"])
        if isinstance(settings["hidden_layer_sizes"], list):  # a tuple in format 1
            settings["hidden_layer_sizes"] = tuple(settings["hidden_layer_sizes"])
        model = cls(**parameters_from_json(settings))
        several = "targets" in content["target"]
        kind = SeveralValues if several else cls._target
        model.target_ = kind.from_json(content["target"])
        return model._restore(content, arrays)

    @property
    def history_(self) -> History:
        """One record for each epoch."""
        return self.run_.history

    @property
    def stop_reason_(self) -> str:
        """Why training stopped, in a sentence."""
        return self.run_.why

    @property
    def n_iter_(self) -> int:
        """Number of epochs that were trained, or of iterations of a full-batch method.

        scikit-learn asks for it, since ``max_iter`` is a parameter.
        """
        return len(self.run_.history)

    def _inputs(self, X: Any) -> CompactRows:
        return self._encode(X) if isinstance(X, Encoded) else super()._inputs(X)

    def aligned(self, X: Any) -> Frame:
        """Return a table in which the fitted columns are found by their names."""
        frame = super().aligned(X)
        _check_size(frame)
        return frame

    def _study_target(self, target: Any) -> Any:
        return self._target.study(target, self.reading())

    def _study(self, X: Any, frame: "Frame | Encoded", several: bool = False) -> None:
        known = isinstance(frame, Encoded)
        columns = (
            frame.studied if known else study(frame, self.reading(), finer=several)
        )
        if not self.piecewise:
            columns = whole(columns)
        self.columns_ = columns if several else as_seen(columns, "usual")
        self.n_features_in_ = len(self.columns_)
        self._remember_names(getattr(X, "columns", ()))

    def _encode(self, frame: "Frame | Encoded") -> CompactRows:
        if not isinstance(frame, Encoded):
            return super()._encode(frame)
        inputs = frame.inputs[self.piecewise]
        if self.piecewise and not any(column.finer for column in self.columns_):
            features = seen(frame.studied, inputs, "usual")
            inputs = inputs if features is None else inputs.keep(features)
        return inputs.astype(self.dtype)

    def _network(self, n_inputs: int, settings: Mapping[str, Any]) -> DenseNetwork:
        sizes = (n_inputs, *hidden_sizes(self), self.target_.n_outputs)
        # A full-batch method needs an objective without random numbers.
        plans = phases(None, settings)
        fixed = any(plan.full_batch or plan.on_device for plan in plans)
        usual = 0.0 if fixed else 0.1
        dropout = usual if self.dropout is None else self.dropout
        return DenseNetwork.from_sizes(
            sizes, activation=self.activation, dropout=dropout
        )

    def _settings(self, n_rows: int, watched: bool) -> dict[str, Any]:
        """Return the fields of the plan."""
        batch = plain_number(self.batch_size)
        batch = _batch_rows(n_rows) if batch is None else batch
        batch = min(200, n_rows) if batch == "auto" else batch
        steps = -(-n_rows // batch)
        usual = 100 if watched else int(np.clip(_UPDATES // steps, 20, 512))
        epochs, patience = self._given("max_epochs"), self._given("patience")
        by_batch = {} if self.alpha is None else {"penalty_scale": "batch"}
        return {
            **{name: getattr(self, name) for name in _OF_PLAN},
            **by_batch,
            "learning_rate": self._given("learning_rate"),
            "l2": self._given("l2"),
            "epochs": usual if epochs is None else epochs,
            "batch_size": batch,
            "patience": patience if watched and patience != np.inf else None,
        }

    def _given(self, name: str) -> Any:
        """Return the value of a parameter, under whichever name it was given."""
        same = [theirs for theirs, ours in _SAME.items() if ours == name]
        given = [getattr(self, each) for each in same]
        return next((each for each in given if each is not None), getattr(self, name))

    def _validate_params(self) -> None:
        if isinstance(self.learning_rate, str):
            raise InvalidParameterError(
                f"The 'learning_rate' parameter of {type(self).__name__} must be a "
                f"number above 0 or None. Got {self.learning_rate!r} instead. How the "
                "rate changes is the parameter schedule here; for example, "
                "schedule='invscaling'."
            )
        super()._validate_params()
        hidden_sizes(self)
        usual = {each.name: each.default for each in fields(type(self))}
        for theirs, ours in _SAME.items():
            pair = getattr(self, theirs), getattr(self, ours)
            if pair[0] is not None and pair[1] != usual[ours]:
                raise ValueError(
                    f"{type(self).__name__} got {theirs}={pair[0]!r} and "
                    f"{ours}={pair[1]!r}, two names of one parameter. Give one of them."
                )

    def _validates(self, n_rows: int) -> bool:
        """Whether a part of the rows is used as validation data."""
        return n_rows >= FEW_ROWS and self.validation_fraction > 0

    def _class_weight(self) -> Mapping[int, float] | str | None:
        return None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


@dataclass(frozen=True, eq=False)
class Encoded:
    """A table that was encoded once, for many fits on the same rows.

    `inputs` holds the encodings with and without piecewise-linear parts, by whether
    they have these.
    """

    studied: tuple[Column, ...]
    inputs: Mapping[bool, CompactRows]
    columns: Sequence[Any] = ()

    def __len__(self) -> int:
        return len(self.inputs[True])

    def __getitem__(self, rows: Any) -> "Encoded":
        inputs = {piecewise: each[rows] for piecewise, each in self.inputs.items()}
        return Encoded(self.studied, inputs, self.columns)


def encode_once(X: Any, y: Any, X_val: Any) -> tuple[Encoded, Encoded]:
    """Encode training data and validation data as a fit would."""
    table, *_ = labeled(X, y, None)
    models = [Regressor(dtype="float64", piecewise=each) for each in (True, False)]
    for model in models:
        model._study(X, table, several=True)  # pyright: ignore[reportPrivateUsage]
    studied, names = models[0].columns_, getattr(X, "columns", ())

    def encoded(rows: Any) -> Encoded:
        inputs = {model.piecewise: model._inputs(rows) for model in models}  # pyright: ignore[reportPrivateUsage]
        return Encoded(studied, inputs, names)

    return encoded(X), encoded(X_val)


@dataclass(kw_only=True, eq=False, repr=False)
class Classifier(ClassifierMixin, _Tabular):
    """A dense network that classifies the rows of a table.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Widths of the hidden layers.
    activation : str, (str, dict) or callable
        One of `thalweg.core.networks.ACTIVATIONS`.
    loss : str or (str, dict)
        ``"cross_entropy"`` or ``"focal"``.
    piecewise : bool
        Whether numbers also get a piecewise-linear encoding between up to nine of
        their quantiles (Gorishniy et al., 2022, section 3.2). It helps if the target
        depends on a number with jumps and bends, and not if it depends smoothly.
    dropout : float or None
        Share of the hidden layers' outputs that are dropped at each training step. None
        is 0.1, and 0 for a full-batch method.
    optimizer : str, (str, dict), optax.GradientTransformation or list of these
        One of `thalweg.core.optimizers.OPTIMIZERS` or
        `thalweg.core.optimizers.FULL_BATCH`. In a list, such as ``["adam", "lbfgs"]``,
        each continues from the weights of the one before.
    learning_rate : float or None
        None is the default of the optimizer.
    schedule : str, (str, dict) or callable
        One of `thalweg.core.schedules.SCHEDULES`.
    batch_size : int, "auto" or None
        Number of rows of one update. None is a fortieth of the rows, between 16 and
        256; "auto" is min(200, n_rows), as in scikit-learn.
    max_epochs : int or None
        None is 100 with validation data, and otherwise as many as 512 updates need, but
        at least 20. A list has one for each optimizer.
    l2, weight_decay : float
        L2 penalty and decoupled decay of the weights. The penalty is divided by the
        number of rows of the training data, whatever the batch size.
    average : str or (str, dict)
        ``"ema"`` or ``"polyak"`` of `thalweg.core.schedules.AVERAGES` validates and
        keeps an average of the weights over the updates.
    validation_fraction : float
        Share of the rows used as validation data, stratified, to stop early and to keep
        the best weights; 0 for none. With fewer than `FEW_ROWS` rows there are none.
    patience : int or None
        Training stops after this many epochs without a better validation loss.
    class_weight : dict of label to float, "balanced" or None
        Weights of the classes.
    scoring : str, callable or None
        What `score` returns: the name of a scorer of scikit-learn's, such as
        ``"roc_auc"``. None is accuracy.
    threshold : float, str or None
        The probability of the positive class from which on it is predicted, for two
        classes. The name of a metric, such as ``"f1"`` or ``"balanced_accuracy"``,
        chooses the threshold that maximizes it: on the validation data, or, where
        there are none, on the out-of-fold predictions of a 5-fold cross-validation.
        None predicts the most probable class. The positive class is 1, true or yes
        where the other is 0, false or no, and otherwise the rarer one.
    max_time : float or None
        No epoch starts after this many seconds.
    time_limit : float or None
        Seconds that `fit` may take. It trains more members, up to 64, for as long as
        that, and stops those that would take longer.
    members : int or None
        How many networks are trained, whose predictions are averaged. None is 8, for
        more than 15,000 rows 4, for more than 60,000 rows 2, and 1 for a network
        without hidden layers and for a full-batch method. Several members are trained
        side by side, each without a fold of the rows, by which it stops early; they see
        numbers in different ways, and a linear model counts beside them as much as the
        out-of-fold loss says (`thalweg.estimators.tabular.portfolio` tells what was
        chosen, and why). ``members=1`` is one network with the parameters as they are
        given here.
    warm_start : bool
        Whether `fit` goes on from the members of the fit before, whose columns and
        classes stay.
    callbacks : sequence of callable
        Each is called with the `EpochRecord` after each epoch. Training stops if one
        returns True. Of several members the first is trained before the others, and
        they look at its epochs; if one stops it, the others end after as many epochs.
    random_state : int, RandomState or None
        Source of all random numbers.
    dtype : {"float32", "float64"}
        Floating-point type of the computation.
    engine : {"auto", "native", "jax"}
        The engine that trains.
    column_kinds, decimal, thousands, date_format, missing
        As for `thalweg.estimators.tabular.reading.ReadsTables`: what columns hold, how
        numbers and dates are written, and what texts stand for a missing value.
    verbose : bool or int
        Whether to print each epoch.
    max_iter, learning_rate_init, n_iter_no_change
        scikit-learn's names of `max_epochs`, `learning_rate` and `patience`.
    alpha : float or None
        L2 penalty as in scikit-learn's MLP, in place of `l2`: it is divided by the
        number of rows of a batch.

    Attributes
    ----------
    n_left_out_ : int
        Number of rows that were left out because their target is missing.
    classes_ : ndarray of shape (n_classes,)
    threshold_ : float or None
        The threshold that `predict` uses.
    positive_ : int
        Number of the class that the threshold is about.
    runs_ : tuple of Run
        The trained networks, their weights and the histories of training.
    run_ : Run
        The first of them, or the only one; `history_` and `stop_reason_` are its own.
    out_of_fold_ : dict or None
        What the members predict for rows that they held out: ``"loss"``, log-loss or
        mean squared error of the scaled target; ``"one"``, that of a single member;
        ``"linear"``, that of a linear model, and ``"share"``, how much it counts;
        ``"n_rows"``.
    calibrated_ : dict or None
        The ``"temperature"`` that the logarithms of the probabilities are divided by,
        and the out-of-fold log-loss before and after.
    columns_ : tuple of Column
        How each column of the table is encoded.
    n_features_in_, feature_names_in_
        Number and names of the table's columns.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"size": [1, 2, 8, 9] * 5, "hue": ["red", "blue"] * 10})
    >>> answer = ["small", "small", "large", "large"] * 5
    >>> model = Classifier(random_state=0).fit(table, answer)
    >>> model.predict(pd.DataFrame({"hue": ["green", None], "size": [1.5, 7]}))
    array(['small', 'large'], dtype='<U5')
    """

    loss: Spec = "cross_entropy"
    class_weight: Mapping[Any, float] | str | None = None
    threshold: float | str | None = None

    _parameter_constraints: ClassVar = {
        **_Tabular._parameter_constraints,
        "class_weight": CLASS_WEIGHT,
        "threshold": [SHARE, str, None],
    }
    _target = Classes

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return accuracy, or the metric that `scoring` names.

        Greater is better, as for scikit-learn's scorers: a loss is negative.
        """
        if self.scoring is None:
            return self._usual_score(X, y, sample_weight)
        return self._score(X, y, sample_weight)

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (n_rows, n_classes).

        Raises
        ------
        ValueError
            If columns are missing, or a value is of another kind than at fit.
        """
        return self._outputs(X)

    def _inner_split(self, encoded: Array, groups: Any, times: Any) -> Split | None:
        if isinstance(self.threshold, str) and groups is None and times is None:
            n_rows = len(encoded)
            n_held = round(self.validation_fraction * n_rows)
            if not 0 < n_held < n_rows:
                return None
            rng = np.random.RandomState(
                as_random_state(self.random_state).randint(2**31)
            )
            held = hold_out(n_rows, n_held, rng, encoded)
            return Split(np.flatnonzero(~held), np.flatnonzero(held))
        return super()._inner_split(encoded, groups, times)

    def _choose_threshold(
        self, frame: Any, target: Series, groups: Any, found: OutOfFold | None
    ) -> None:
        vars(self).pop("threshold_", None)
        if self.threshold is None:
            return
        if len(self.classes_) != 2:
            raise ValueError(
                f"Classifier got threshold={self.threshold!r}, which is for two "
                f"classes, but the target has {len(self.classes_)}. Leave it out."
            )
        values = self.target_.clean(target)
        self.positive_ = positive_class(self.classes_, values)
        if not isinstance(self.threshold, str):
            self.threshold_ = float(self.threshold)
            return
        if found is not None:
            values = self.classes_[np.asarray(found.truth, int)]
            truth = Truth(values, self.classes_, self.positive_)
            shares = found.outputs[:, self.positive_]
        else:
            truth = Truth(values, self.classes_, self.positive_, groups)
            copy: Any = clone(self)
            copy.set_params(threshold=None, callbacks=())
            shares = out_of_fold(
                lambda rows: copy.fit(
                    frame[rows],
                    target[rows],
                    groups=None if groups is None else groups[rows],
                ),
                lambda rows: frame[rows],
                truth,
            )
        owner = "Classifier: threshold"
        self.threshold_ = best_threshold(self.threshold, truth, shares, owner)

    def _row_weights(self, task: Task) -> Array | None:
        given = self._class_weight()
        if given is None:
            return task.weights
        own = compute_sample_weight(given, task.encoded)
        return own if task.weights is None else own * task.weights

    def _calibrate(self, found: OutOfFold) -> None:
        if self.loss != "cross_entropy":
            return
        temperature = best_temperature(found)
        self.trained_ = self.trained_.heated(temperature)
        self.calibrated_ = {
            "temperature": temperature,
            "loss_before": found.loss(),
            "loss_after": found.loss(heated(found.outputs, temperature)),
            "n_rows": len(found.rows),
        }

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of each probability, (n_rows, n_classes)."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _study_classes(self, target: Any, classes: Any) -> Classes:
        if classes is None:
            return self._study_target(target)
        import pandas as pd

        each_twice = pd.Series(classes).repeat(2)  # more rows than classes
        return Classes.study(each_twice.rename("classes").reset_index(drop=True))

    def _study_target(self, target: Any) -> Classes:
        if target.ndim == 2:
            raise ValueError(
                f"Classifier predicts one target and got y with {target.shape[1]} "
                "columns. Fit one classifier for each with "
                "sklearn.multioutput.MultiOutputClassifier(Classifier())."
            )
        return super()._study_target(target)

    def _class_weight(self) -> Mapping[int, float] | str | None:
        given = self.class_weight
        if not isinstance(given, Mapping):
            return given
        check_class_weight(given, self.classes_, type(self).__name__)
        numbered = {label: k for k, label in enumerate(self.classes_.tolist())}
        return {numbered[plain_number(key)]: weight for key, weight in given.items()}


class Regressor(RegressorMixin, _Tabular):
    """A dense network that predicts a number from a table.

    Parameters
    ----------
    loss : str, (str, dict) or callable
        A regression loss of `thalweg.core.losses.LOSSES`, such as ``"squared"``,
        ``"absolute"``, ``"huber"`` or ``"quantile"``. It is computed for the
        standardized target.
    hidden_layer_sizes, activation, piecewise, dropout, optimizer, learning_rate, \
    schedule, batch_size, max_epochs, l2, weight_decay, average, \
    validation_fraction, patience, max_time, time_limit, members, warm_start, \
    callbacks, random_state, dtype, engine, column_kinds, decimal, \
    thousands, date_format, missing, verbose, max_iter, alpha, learning_rate_init, \
    n_iter_no_change
        As for `Classifier`.
    scoring : str, callable or None
        What `score` returns, such as ``"neg_mean_absolute_error"``. None is R².

    Attributes
    ----------
    run_, columns_, n_features_in_, feature_names_in_
        As for `Classifier`.
    """

    _target = Values

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return R², or the metric that `scoring` names.

        Greater is better, as for scikit-learn's scorers: a loss is negative.
        """
        if self.scoring is None:
            return self._usual_score(X, y, sample_weight)
        return self._score(X, y, sample_weight)

    def _learn_quantiles(self, cross_fit: CrossFit, found: OutOfFold) -> None:
        if self.loss != "squared" or self.target_.n_outputs > 1:
            return
        task = cross_fit.task
        inputs = task.inputs if task.given is None else task.given[0]
        rng = np.random.RandomState(as_random_state(self.random_state).randint(2**31))
        seed = rng.randint(2**31)

        def train(rows: CompactRows, residuals: Array, quantile: float) -> Run:
            return training.fit(
                DenseNetwork.from_sizes((rows.shape[1], 32, 1)),
                rows,
                residuals,
                loss=("quantile", {"quantile": quantile}),
                learning_rate=0.003,
                l2=self._given("l2"),
                batch_size=_batch_rows(len(rows)),
                epochs=20,
                dtype=self.dtype,
                random_state=seed,
                engine=self.engine,
            )

        self.band_ = QuantileBand.learn(
            train,
            inputs[found.rows],
            View(seen(self.columns_, task.inputs, "usual"), "usual"),
            found.truth.ravel() - found.outputs[:, 0],
            rng,
        )

    def _study_target(self, target: Any) -> "Values | SeveralValues":
        _check_size(target.to_frame() if target.ndim == 1 else target, "target")
        if target.ndim == 2:
            return SeveralValues.study(target, self.reading())
        return super()._study_target(target)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def table_blueprint(
    model: Classifier | Regressor, X: Any, y: Any, n_inputs: int
) -> tuple[DenseNetwork, Plan, bool]:
    """Return what `fit` would train: network, plan, and whether it validates.

    With several phases, the plan is that of the first. Of several members it is the
    first one.
    """
    copy: Any = clone(model)
    _, target, _ = labeled(X, y, None, copy.missing)
    copy.target_ = copy._study_target(target)
    watched = copy._validates(len(target))
    count = copy._n_members(len(target))
    if count > 1:
        (first,) = network_recipes(copy, 1, len(target), waves=True)
        vars(copy).update(first.settings)
        watched = copy._crosses(len(target))
    settings = copy._settings(len(target), watched)
    return copy._network(n_inputs, settings), phases(None, settings)[0], watched


def labeled(
    X: Any,
    y: Any,
    sample_weight: ArrayLike | None,
    missing: Sequence[str] | None = None,
    fewest: int = 2,
) -> tuple[Any, Series, Array | None]:
    """Return the rows that have a target, with it and with their weights.

    Parameters
    ----------
    X, y, sample_weight
        As for `Classifier.fit`.
    missing : sequence of str, optional
        Texts that stand for a missing target.
    fewest : int
        Number of rows that are needed.
    """
    if y is None:
        raise ValueError("fit requires y to be passed, but the target y is None.")
    import pandas as pd

    frame = X if isinstance(X, Encoded) else as_frame(X)
    wide = _as_wide(y)
    target: Any = as_target(y) if wide is None else wide
    if len(target) != len(frame):
        raise ValueError(
            f"X has {len(frame)} rows and y has {len(target)}; inconsistent numbers of "
            "samples. Give one value of y for each row."
        )
    several = [target] if wide is None else [target[name] for name in target]
    lacking = np.any([lacks_target(each, missing) for each in several], axis=0)
    known = pd.Series(~lacking)
    if known.sum() < fewest:
        raise ValueError(
            f"the target {target_name(y)!r} has a value in {known.sum()} of "
            f"{len(frame)} row(s); fit needs at least two (n_samples = 1 or 0). Fill "
            "in the target."
        )
    weights = None
    if sample_weight is not None:
        weights = as_weights(sample_weight, len(frame), np.dtype(float))[known]
    return frame[known.to_numpy()], target[known], weights


def _n_rows(y: Any) -> int:
    """Return the number of rows, also of what has no length but becomes an array."""
    return len(y) if hasattr(y, "__len__") else len(np.asarray(y))


def _check_size(frame: Any, what: str = "column") -> None:
    """Raise ValueError for numbers so large that their squares overflow."""
    if isinstance(frame, Encoded):
        return
    for name, values in frame.items():
        if getattr(values.dtype, "kind", "O") not in "iuf":
            continue
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        large = np.isfinite(numbers) & (np.abs(numbers) > _LARGEST)
        if large.any():
            row = int(np.flatnonzero(large)[0])
            raise ValueError(
                f"the {what} {name!r} holds {numbers[row]:g} in row {row + 1}. Numbers "
                f"beyond {_LARGEST:g} cannot be standardized. Divide the column, take "
                "its logarithm, or leave it empty there."
            )


def _as_wide(y: Any) -> Frame | None:
    """Return several targets as a table, and None for one target."""
    import pandas as pd

    if hasattr(y, "to_pandas"):
        y = y.to_pandas()
    rows = (list, tuple, np.ndarray)
    # As an array, texts would all be as wide as the longest.
    if isinstance(y, list | tuple) and not (y and isinstance(y[0], rows)):
        return None
    shape = getattr(y, "shape", None) or np.asarray(y).shape
    if len(shape) != 2 or shape[1] < 2:
        return None
    table = y.copy(deep=False) if isinstance(y, pd.DataFrame) else pd.DataFrame(y)
    return table.set_axis(map(str, table.columns), axis=1).reset_index(drop=True)


def _tell(epoch: EpochRecord) -> None:
    print(f"Epoch {epoch.epoch}, loss = {epoch.loss:.8f}")  # noqa: T201
    if not np.isnan(epoch.validation_score):
        print(f"Validation score: {epoch.validation_score:f}")  # noqa: T201


def _batch_rows(n_rows: int) -> int:
    """Return a fortieth of the rows, as a power of two between 16 and 256."""
    return int(np.clip(2 ** round(np.log2(n_rows / 40)), 16, 256))
