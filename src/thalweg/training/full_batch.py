"""Full-batch methods: SciPy's minimizers on an engine's cost and gradient.

SciPy sees one flat float64 vector: all weight matrices, then all biases, then the
scales and shifts of normalization (scikit-learn's order). Each of its iterations is an
epoch to the `TrainingMonitor`, which records, validates and stops it like any other
optimizer.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from thalweg import engines
from thalweg.core import (
    Array,
    Data,
    DenseNetwork,
    EpochSums,
    Network,
    Parameters,
    Plan,
    Run,
    StopReason,
    interrupts_are_shared,
)
from thalweg.engines import CurvedObjective, Engine, Evaluator, Objective
from thalweg.optimize import (
    METHODS,
    LineSearches,
    MemoizedObjective,
    Method,
    minimize_damped,
)
from thalweg.training.checkpoint import Part, Snapshot
from thalweg.training.evaluations import Evaluations, Unrepeatable
from thalweg.training.monitor import TrainingMonitor

_DAMPED = Method("Levenberg-Marquardt", uses=frozenset({"gradient"}))
"""The method that is ours."""

_OF_SUMS = ("loss", "gradient_norm", "update_ratio")

_RADII = {
    "initial_radius": "initial_trust_radius",
    "max_radius": "max_trust_radius",
}
_OPTIONS: dict[str, dict[str, str]] = {
    "lbfgs": {
        "max_corrections": "maxcor",
        "max_line_search": "maxls",
        "max_evaluations": "maxfun",
    },
    "tnc": {"max_evaluations": "maxfun"},
    "trust-ncg": _RADII,
    "trust-exact": _RADII,
    "dogleg": _RADII,
    "powell": {"max_evaluations": "maxfev"},
    "nelder-mead": {"max_evaluations": "maxfev", "xtol": "xatol", "ftol": "fatol"},
}
"""SciPy's names of our constants, where they differ."""

_PLAIN = {
    "CONVERGENCE: RELATIVE REDUCTION OF F <= FACTR*EPSMCH": (
        "the objective no longer fell by a share of more than ftol"
    ),
    "CONVERGENCE: NORM OF PROJECTED GRADIENT <= PGTOL": (
        "no entry of the gradient was larger than gtol"
    ),
    "ABNORMAL: ": "its line search found no lower point",
}
"""SciPy's messages that say little to most."""

_MOST_DAMPED = 5000
_CONVEX_LOSSES = (
    "squared", "cross_entropy", "binary_cross_entropy", "poisson", "log_cosh",
)  # fmt: skip


def train_full_batch(
    network: DenseNetwork | Network,
    plan: Plan,
    data: Data,
    first: Any,
    monitor: TrainingMonitor,
    engine: str = "auto",
    part: Part | None = None,
) -> Run:
    """Train with a full-batch method.

    Parameters
    ----------
    network, plan, data, first, engine
        As for `thalweg.training.loop.train`.
    monitor : TrainingMonitor
        Records and judges the iterations.
    part : Part, optional
        Where the training is kept, and what it goes on from.

    Raises
    ------
    ValueError
        If the network draws dropout or noise, which leaves nothing fixed to minimize.
    """
    trainer, why_engine = engines.pick(engine, network, plan, data.n_rows)
    found = None if part is None else part.pop()
    if found is not None:
        first = _unflattened(part, trainer, first, found["first"])
    descent = _Descent(trainer, network, plan, data, first, monitor, part)
    if not descent.objective.repeats(first):
        raise ValueError(
            f"optimizer={plan.optimizer.label!r} got a network with dropout "
            "or input noise, whose objective changes at every evaluation. Leave them "
            "out, or take a first-order optimizer such as 'adam'."
        )
    if plan.optimizer.label == "levenberg-marquardt":
        _check_damped(trainer, network, plan, descent.objective, first)
    reason, message = descent.run(found)
    run = monitor.close(
        network,
        reason,
        why_engine,
        descent,
        method=descent.method.label,
        message=message,
        evaluations=descent.trail.n_values,
        where="the objective",
    )
    return replace(run, why=f"{run.why} {descent.resumed}".rstrip())


def _unflattened(part: Any, engine: Engine, example: Any, arrays: list[Array]) -> Any:
    """Put arrays of a checkpoint where those of `example` are."""
    try:
        return engine.unflatten(example, arrays)
    except ValueError as error:
        raise part.refusal(str(error)) from error


def n_trained(engine: Engine, network: DenseNetwork | Network, first: Any) -> int:
    """How many numbers are trained."""
    return sum(leaf.size for leaf in engine.leaves(network, first).of(first))


def _check_damped(
    engine: Engine, network: Any, plan: Plan, objective: Objective, first: Any
) -> None:
    """Raise unless Levenberg-Marquardt can train this."""
    batched = any(layer.normalized == "batch" for layer in network.layers)
    n_parameters = n_trained(engine, network, first)
    if n_parameters > _MOST_DAMPED:
        problem = f"{n_parameters} parameters; it solves for all at once"
    elif plan.loss.name not in _CONVEX_LOSSES:
        problem = f"loss={plan.loss.label!r}; it needs one that is smooth"
    elif plan.l1:
        problem = f"l1={plan.l1!r}, which is not smooth"
    elif batched:
        problem = "batch normalization, through which rows depend on each other"
    elif not objective.rowwise(first):
        problem = "a network whose rows depend on each other, or that adds a loss"
    else:
        return
    raise ValueError(
        f"optimizer='levenberg-marquardt' got {problem}. It takes at most "
        f"{_MOST_DAMPED} parameters and one of the losses {', '.join(_CONVEX_LOSSES)}; "
        "otherwise take 'lbfgs' or 'newton-cg'."
    )


class _Stopped(Exception):
    """Ends SciPy's loop from inside: not all of its methods take another way."""

    def __init__(self, reason: StopReason, message: str = "") -> None:
        super().__init__(reason)
        self.reason, self.message = reason, message


class _Descent:
    """The state of one full-batch training, and SciPy's view of it."""

    def __init__(
        self,
        engine: Engine,
        network: DenseNetwork | Network,
        plan: Plan,
        data: Data,
        first: Any,
        monitor: TrainingMonitor,
        part: Part | None = None,
    ) -> None:
        self.part, self.evaluations = part, Evaluations(records=part is not None)
        self.resumed, self._iterations, self._repeated = "", 0, 0
        self._n_restarts, self._most = 0, int(plan.epochs)
        self.engine, self.network, self.plan, self.data = engine, network, plan, data
        self.first, self.monitor, self.dtype = first, monitor, data.dtype
        self.objective = engine.objective(network, plan, data)
        self.method = METHODS.get(plan.optimizer.label, _DAMPED)
        self.n_products = 0
        self.order = engine.leaves(network, first)
        sizes = [np.prod(shape, dtype=int) for shape in self.order.shapes]
        self._ends = np.cumsum(sizes)[:-1]
        self.x = self.pack(first)
        self._limits = self._bounds()
        self.trail = self._begin()
        self._exact: CurvedObjective | None = None

    def _begin(self) -> MemoizedObjective:
        """Return the objective as a method finds it that begins."""
        constants: dict[str, Any] = dict(self.plan.optimizer.constants)
        most = constants.get("max_line_search", np.inf)
        searches = LineSearches(self.method.label, self._limits is not None, most)
        return MemoizedObjective(self._look, None, self.x, searches)

    def run(self, found: Snapshot | None = None) -> tuple[StopReason, str]:
        """Minimize; return why it stopped and the method's own words.

        Parameters
        ----------
        found : dict, optional
            The snapshot to go on from.
        """
        had_ended = None if found is None else self._restore(found)
        if found is not None and had_ended is not None:
            return had_ended, found["message"]
        try:
            reason, message = self._minimize()
        except Unrepeatable:
            assert found is not None
            self._restart(found)
            reason, message = self._minimize()
        if self.part is not None:
            take = partial(self.snapshot, reason, message)
            self.part.offer(self.monitor.seen, take, done=True)
        return reason, message

    def _minimize(self) -> tuple[StopReason, str]:
        damped, trail = self.method is _DAMPED, self.trail
        try:
            with np.errstate(over="ignore", invalid="ignore"), self.engine.steady():
                result = self._damped() if damped else self._by_scipy()
        except _Stopped as stopped:
            return stopped.reason, stopped.message
        except KeyboardInterrupt:
            if interrupts_are_shared() or (self.part is not None and self.part.stops):
                raise
            return StopReason.INTERRUPTED, ""
        self.x = np.array(result.x, float)
        trail.line_searches.record_end(result, trail.n_values)
        self.monitor.amend("line_search_failures", trail.line_searches.failures)
        message = str(result.message).rstrip(".")
        return self._reason(result), _PLAIN.get(message, message) + "."

    def snapshot(self, reason: StopReason | None = None, message: str = "") -> Snapshot:
        """Copy what the training goes on from."""
        monitor, searches, kept = self.monitor, self.trail.line_searches, self.engine
        best = None if monitor.best is None else kept.flatten(monitor.best)
        return {
            "first": kept.flatten(self.first),
            "evaluations": self.evaluations.snapshot(),
            "iterations": self._iterations,
            "x": self.x.copy(),
            "lowest": self.trail.best.x.copy(),
            "counts": [self.trail.n_values, self.trail.n_gradients, self.n_products],
            "failures": searches.failures,
            "restarts": self._all_restarts(),
            "begun_again": self._n_restarts,
            "monitor": monitor.snapshot(),
            "best": best,
            "reason": None if reason is None else reason.name,
            "message": message,
            "resumed": self.resumed,
        }

    def _restore(self, found: Snapshot) -> StopReason | None:
        """Go on from a snapshot; return why the training had ended, if it did."""
        self.monitor.restore(found["monitor"], self)
        if found["best"] is not None:
            given = self.part, self.engine, self.first, found["best"]
            self.monitor.best = _unflattened(*given)
        self.resumed = found["resumed"]
        had_ended = self.monitor.had_ended(found["reason"])
        if had_ended is not None:
            self.x, self.trail.n_values = found["x"], found["counts"][0]
        elif found["evaluations"] is None or found["begun_again"]:
            self._restart(found)
        else:
            self.evaluations = Evaluations(found["evaluations"])
            self._repeated = found["iterations"]
        return had_ended

    def _restart(self, found: Snapshot) -> None:
        """Let the method begin anew, from the best weights of a snapshot."""
        self.evaluations, self._repeated = Evaluations(records=False), 0
        lowest = found["lowest"]
        self.x, self.trail = lowest, self._begin()
        self.trail.n_values, self.trail.n_gradients, self.n_products = found["counts"]
        searches = self.trail.line_searches
        searches.continue_from(found["failures"], self.trail.n_values)
        self._n_restarts = found["begun_again"] + 1
        self._restarts_before = found["restarts"]
        self._most = max(int(self.plan.epochs) - self.monitor.epochs, 1)
        self.resumed = (
            f"It was resumed from a checkpoint after iteration {self.monitor.seen}: "
            "the method began anew there, from the best weights."
        )

    def _all_restarts(self) -> float:
        """Count the restarts of the method, and those from a checkpoint."""
        own = self.trail.line_searches.restarts
        if not self._n_restarts:
            return own
        before = self._restarts_before
        known = [each for each in (own, before) if np.isfinite(each)]
        return float(sum(known)) + 1

    def _by_scipy(self) -> Any:
        from scipy import optimize  # predicting does not need it

        return optimize.minimize(
            self.trail.value,
            self.x,
            jac=self.trail.gradient if "gradient" in self.method.uses else None,
            method=self.method.label,
            bounds=self._limits,
            callback=self._note,
            options=self._options(),
            **self._curvature(),
        )

    def _damped(self) -> Any:
        constants: dict[str, Any] = dict(self.plan.optimizer.constants)
        return minimize_damped(
            lambda x: (self.trail.value(x), self.trail.gradient(x)),
            self.gauss_newton,
            self.x,
            max_iterations=self._most,
            callback=self._note,
            **constants,
        )

    def _bounds(self) -> list[tuple[float, float]] | None:
        """Bound the weights, and nothing else; begin inside."""
        if self.plan.bounds is None:
            return None
        leaves = self.order.of(self.first)
        bounded = np.concatenate([np.full(x.size, x.ndim > 1) for x in leaves])
        low, high = self.plan.bounds
        lows = np.where(bounded, -np.inf if low is None else low, -np.inf)
        highs = np.where(bounded, np.inf if high is None else high, np.inf)
        self.x = np.clip(self.x, lows, highs)
        return list(zip(lows, highs, strict=True))

    def _look(self, x: Array) -> tuple[float, Array | None]:
        """Objective at `x`, with its gradient for methods that take one."""
        if not np.isfinite(x).all():
            # SciPy's trust-krylov does so near the minimum, again and again; see
            # findings/scipy_trust_krylov_asks_for_nan_near_the_minimum.sh.
            reason = StopReason.METHOD_STOPPED
            raise _Stopped(reason, "it asked for weights that are not finite.")
        cost, gradient = self.evaluations.answer(lambda: self._cost(x), x)
        if not (self.trail.n_values or np.isfinite(cost)):
            self.trail.n_values = 1
            raise _Stopped(StopReason.NONFINITE)
        return cost, gradient

    def _cost(self, x: Array) -> tuple[float, Array | None]:
        weights = self.unpack(x)
        if "gradient" not in self.method.uses:
            return self.objective.cost(weights), None
        cost, found = self.objective.cost_and_gradient(weights)
        return cost, self.pack(found)

    def _answer(self, compute: Callable[[], Array], *asked: Array) -> Array:
        """Return an array that was recorded, or is computed now."""
        _, array = self.evaluations.answer(lambda: (0.0, compute()), *asked)
        assert array is not None
        return array

    def product(self, x: Array, direction: Array) -> Array:
        """Hessian at `x` times `direction`, exactly."""
        self.n_products += 1
        return self._answer(lambda: self._product(x, direction), x, direction)

    def _product(self, x: Array, direction: Array) -> Array:
        along = self._shaped(direction)
        return self.pack(self._curved().hessian_product(self.unpack(x), along))

    def hessian(self, x: Array) -> Array:
        """Compute the whole Hessian at `x`, one product a column."""
        self.n_products += len(x)
        return self._answer(
            lambda: self._in_order(*self._curved().hessian(self.unpack(x))), x
        )

    def gauss_newton(self, x: Array) -> Array:
        """Compute the Gauss-Newton matrix at `x`, in the order of packing."""
        self.n_products += 1
        return self._answer(
            lambda: self._in_order(*self._curved().gauss_newton(self.unpack(x))), x
        )

    def _in_order(self, matrix: Array, order: Parameters) -> Array:
        places = self.pack(order).astype(int)
        return matrix[np.ix_(places, places)].astype(float)

    def definite(self, x: Array) -> Array:
        """Compute a positive definite stand-in for the Hessian, which dogleg needs."""
        matrix = self.gauss_newton(x)
        ridge = 1e-6 * float(matrix.diagonal().max(initial=1e-12))
        return matrix + ridge * np.eye(len(matrix))

    def parameters(self) -> Parameters:
        """Copy the weights as they are now, with running statistics of all rows."""
        return self.objective.settle(self.unpack(self.x))

    def validate(self) -> tuple[Array, Array]:
        """Compute raw outputs and losses on the validation data."""
        return self._evaluate(self.parameters())

    @cached_property
    def _evaluate(self) -> Evaluator:
        assert self.monitor.held_out is not None
        return self.engine.evaluator(self.network, self.plan, self.monitor.held_out)

    def pack(self, parameters: Any) -> Array:
        """Flatten what is trained into one float64 vector."""
        parts = [np.ravel(leaf) for leaf in self.order.of(parameters)]
        return np.concatenate(parts).astype(float)

    def unpack(self, x: Array) -> Any:
        """Undo `pack`; what is not trained stays as it was at first."""
        return self.order.joined(self.first, self._shaped(x))

    def _shaped(self, x: Array) -> Any:
        pieces = zip(np.split(x, self._ends), self.order.shapes, strict=True)
        return self.order.filled([p.reshape(s).astype(self.dtype) for p, s in pieces])

    def _note(self, intermediate_result: Any) -> None:
        """Take note of an iteration; SciPy calls this after each.

        The argument's name is the one by which SciPy knows to pass its newer record;
        TNC passes the bare vector all the same.
        """
        at = getattr(intermediate_result, "x", intermediate_result)
        x = np.array(at, float)
        row = {**self.trail.record_iteration(x), "hessian_products": self.n_products}
        row["restarts"] = self._all_restarts()
        self._iterations += 1
        if self._repeated:  # which the history has already
            self._repeated -= 1
            self.x = x
            return
        own: Any = {name: np.array([row.pop(name)]) for name in _OF_SUMS}
        finite = bool(np.isfinite(own["loss"]).all())
        counts = {name: np.array([n], float) for name, n in row.items()}
        sums = EpochSums(**own, finite=finite, counts=counts)
        if sums.finite:
            self.x = x
        reason = self.monitor.see(sums, np.array([np.nan]), self)
        if reason is None and self._uncounted():
            reason = StopReason.MAX_EPOCHS
        if reason is None and self.part is not None:
            reason = self.part.offer(self.monitor.seen, self.snapshot)
        if reason is not None:
            raise _Stopped(reason)

    def _curved(self) -> CurvedObjective:
        """Return the objective with second derivatives, made when it is asked for."""
        if self._exact is None:
            self._exact = engines.curved_objective(self.network, self.plan, self.data)
        return self._exact

    def _curvature(self) -> dict[str, Callable[..., Array]]:
        takes, loss = self.method.uses, self.plan.loss.name
        if "hessp" in takes:
            return {"hessp": self.product}
        if self.method.label == "dogleg" and loss in _CONVEX_LOSSES:
            return {"hess": self.definite}
        return {"hess": self.hessian} if "hess" in takes else {}

    def _options(self) -> dict[str, Any]:
        optimizer = self.plan.optimizer
        theirs = _OPTIONS.get(optimizer.label, {})
        options = {theirs.get(name, name): v for name, v in optimizer.constants}
        # TNC counts evaluations alone.
        most = {} if optimizer.name == "tnc" else {"maxiter": self._most}
        return {**options, **most}

    def _uncounted(self) -> bool:
        """Whether enough was done by a method that would not stop of itself."""
        enough = self.monitor.epochs >= self.plan.epochs
        return enough and self.plan.optimizer.name == "tnc"

    def _reason(self, result: Any) -> StopReason:
        constants: dict[str, Any] = dict(self.plan.optimizer.constants)
        if result.success:
            return StopReason.METHOD_CONVERGED
        if result.nit >= self._most:
            return StopReason.MAX_EPOCHS
        if result.nfev >= constants.get("max_evaluations", np.inf):
            return StopReason.MAX_EVALUATIONS
        return StopReason.METHOD_STOPPED
