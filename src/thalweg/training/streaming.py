"""Training on data larger than memory: windows of rows, read ahead by a thread.

A source (Parquet, or batches from any iterable) is cut into *windows*, some tens of
thousands of rows each. A session trains on one window and the next session continues
from there, on either engine, while a thread reads the window after it. Nothing else is
kept, so that memory does not grow with the data.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np

from thalweg import engines
from thalweg.core import (
    Array,
    Data,
    DenseNetwork,
    EpochSums,
    Network,
    Plan,
    Run,
    StopReason,
    batch_rows,
    each_array,
    interrupts_are_shared,
    rate_factors,
    steps_per_epoch,
    strength_factors,
)
from thalweg.engines import Engine, Session
from thalweg.training.checkpoint import (
    Part,
    Snapshot,
    generator_state,
    set_generator,
)
from thalweg.training.data import as_data, floating_type, names_columns
from thalweg.training.identity import describe_rows
from thalweg.training.loop import WatchedBatches, finish, noise_seed, together
from thalweg.training.monitor import TrainingMonitor
from thalweg.training.tables import is_arrow_table

_ROWS, _ENTRIES = 1 << 16, 1 << 23
"""Most rows of a window, and most entries of its X, unless a single batch has more."""

_BY_EPOCHS = (
    "invscaling", "linear", "step", "exponential", "cosine", "cosine_restarts",
    "one_cycle",
)  # fmt: skip
"""Schedules that ask how many steps an epoch has."""


@dataclass(frozen=True, eq=False)
class Window:
    """Rows to train on at once, `step` of them an update."""

    data: Data
    step: int


@dataclass(frozen=True, eq=False)
class Windows:
    """Where the rows come from.

    Parameters
    ----------
    read : callable
        Returns an iterator over the windows, from the first one on.
    count : callable
        Returns the number of rows and the sum of their weights.
    dtype : dtype
        What is computed in.
    shuffled : bool
        Whether the order of the rows within a window is drawn anew.
    describe : callable
        Returns what tells these rows from others, for a checkpoint.
    """

    read: Callable[[], Iterator[Window]]
    count: Callable[[], tuple[int, float]]
    dtype: np.dtype[Any]
    shuffled: bool
    describe: Callable[[], dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Stream:
    """Rows that are read as they are needed; a `thalweg.training.source.Source`."""

    network: DenseNetwork | Network
    plan: Plan
    windows: Windows

    @property
    def dtype(self) -> np.dtype[Any]:
        """What is computed in."""
        return self.windows.dtype

    def identity(self) -> tuple[Sequence[Plan], dict[str, Any]]:
        """Return what a checkpoint is of: the plan, and what tells the rows."""
        return [self.plan], self.windows.describe()

    def hold_out(
        self, validation: Any, rng: np.random.RandomState
    ) -> "tuple[Stream, Data | None]":
        """Return the stream itself, and the validation data, which must be at hand."""
        return self, validation_data(self.network, self.plan, validation, self.dtype)

    def train(
        self,
        first: Any,
        rng: np.random.RandomState,
        monitor: TrainingMonitor,
        engine: str,
        part: Part | None = None,
    ) -> Run:
        """Train epoch by epoch, window by window."""
        plan, windows = self.plan, self.windows
        found = None if part is None else part.pop()
        seed = noise_seed(self.network, rng) if found is None else found["seed"]
        known = _penalized(plan) or plan.schedule.name in _BY_EPOCHS
        n_rows, weight = windows.count() if known else (0, 1.0)
        step = batch_rows(plan, n_rows or _ROWS)
        trainer, why = engines.pick(engine, self.network, plan, step)
        training = _Training(
            self, trainer, first, rng, seed, monitor, n_rows, weight, part
        )
        reason = training.run(found)
        session, window = training.last()
        why = f"{why}; streamed"
        return finish(self.network, monitor, trainer, why, reason, session, window.data)


def open_stream(
    network: DenseNetwork | Network, plans: Sequence[Plan], X: Any, y: Any,
    sample_weight: Any, class_weight: Any,
) -> Stream:  # fmt: skip
    """Make a source of what `fit` was given.

    Raises
    ------
    ValueError, TypeError
        If the plan cannot be followed without all rows at hand, or `X` cannot be read
        as often as there are epochs.
    """
    plan = plans[0]
    _check_plan(plans)

    def check(X: Any, y: Any, weight: Any = None) -> Data:
        return as_data(network, plan, X, y, weight, class_weight)

    most = _most_rows(network)
    if isinstance(X, str | os.PathLike) or hasattr(X, "to_batches"):
        _check_names(X, y, sample_weight)
        return Stream(network, plan, _parquet(check, plan, most, X, y, sample_weight))
    if sample_weight is not None:
        raise ValueError(
            "fit got sample_weight beside batches. Give each batch its own, as the "
            "third in (X, y, sample_weight)."
        )
    return Stream(network, plan, _batches(check, plan, most, X))


class _Training:
    """The state of a streamed training between windows."""

    def __init__(
        self, stream: Stream, engine: Engine, first: Any, rng: np.random.RandomState,
        seed: int, monitor: TrainingMonitor, n_rows: int, weight: float,
        part: Part | None = None,
    ) -> None:  # fmt: skip
        self.network, self.plan, self.source = (
            stream.network,
            stream.plan,
            stream.windows,
        )
        self.engine, self.rng, self.seed, self.monitor = engine, rng, seed, monitor
        self.n_rows, self.weight = n_rows, weight
        self.parameters, self.memory = first, None
        self.steps, self.rate = 0, stream.plan.rate
        # Of the last window, and of the first, by whose step schedules count.
        self.session: Session | None = None
        self.window: Window | None = None
        self.clock: Plan | None = None
        # Of an epoch that has begun: what was seen, and the rows and steps of that.
        self.part = part
        self.seen: list[EpochSums] = []
        self.sizes: list[tuple[int, int]] = []

    def last(self) -> tuple[Session, Window]:
        """Return the session of the last window, and the window."""
        assert self.session is not None
        assert self.window is not None
        return self.session, self.window

    def run(self, found: Snapshot | None = None) -> StopReason:
        """Train until something says stop; `found` is the snapshot to go on from."""
        part = self.part
        reason = None if found is None else self._restore(found)
        reason = reason or self._run()
        if part is not None:
            part.offer(self.monitor.seen, partial(self.snapshot, reason), done=True)
        return reason

    def _run(self) -> StopReason:
        part = self.part
        try:
            while self.monitor.epochs < self.plan.epochs:
                sums = self._epoch()
                reason = self.monitor.see(sums, np.array([self.rate]), self.last()[0])
                if reason is None and part is not None:
                    reason = part.offer(self.monitor.seen, self.snapshot)
                if reason is not None:
                    return reason
        except KeyboardInterrupt:
            stops = part is not None and part.stops
            if interrupts_are_shared() or self.session is None or stops:
                raise
            return StopReason.INTERRUPTED
        return StopReason.MAX_EPOCHS

    def _epoch(self) -> EpochSums:
        watched = WatchedBatches(self.monitor)
        begun = len(self.seen)  # windows that a resumed epoch had done
        for window in islice(_ahead(self.source.read()), begun, None):
            rows, first = window.data.n_rows, not (self.seen or watched.seen)
            session = self._open(window)
            if first:
                session.begin_epoch()
            train = partial(self._train, window, session)
            if watched.watchers:
                if watched.stops_after(rows, train):
                    break
                continue
            self.seen.append(train())
            self.sizes.append((rows, -(-rows // window.step)))
            if not self.seen[-1].finite:
                break
            if self.part is not None:
                self.part.offer_within(self.monitor.seen, self.snapshot)
        if watched.seen:
            return watched.sums()
        sums = together(self.seen, self.sizes)
        self.seen, self.sizes = [], []
        return sums

    def snapshot(self, reason: StopReason | None = None) -> Snapshot:
        """Copy the state of the training between two windows."""
        monitor, (session, _) = self.monitor, self.last()
        best = None if monitor.best is None else self.engine.flatten(monitor.best)
        return {
            "seed": self.seed,
            "session": session.snapshot(),
            "steps": self.steps,
            "rate": self.rate,
            "generator": generator_state(self.rng),
            "monitor": monitor.snapshot(),
            "best": best,
            "seen": [
                [each.loss, each.gradient_norm, each.update_ratio] for each in self.seen
            ],
            "measures": dict(self.seen[-1].measures) if self.seen else {},
            "sizes": [list(each) for each in self.sizes],
            "reason": None if reason is None else reason.name,
        }

    def _restore(self, found: Snapshot) -> StopReason | None:
        """Go on from a snapshot; return why the training had ended, if it did."""
        assert self.part is not None
        windows = self.source.read()
        session = self._open(next(windows))
        try:
            session.restore(found["session"])
            if found["best"] is not None:
                example = session.parameters()
                self.monitor.best = self.engine.unflatten(example, found["best"])
        except ValueError as error:
            raise self.part.refusal(str(error)) from error
        self.steps, self.rate = found["steps"], found["rate"]
        set_generator(self.rng, found["generator"])
        measures = found["measures"]
        self.seen = [
            EpochSums(loss, norm, ratio, True, {}, measures)
            for loss, norm, ratio in found["seen"]
        ]
        self.sizes = [(rows, steps) for rows, steps in found["sizes"]]
        self.monitor.restore(found["monitor"], session)
        return self.monitor.had_ended(found["reason"])

    def _open(self, window: Window) -> Session:
        """Begin a session on a window, from where the one before it is now."""
        if self.session is not None:
            self.parameters = self.session.parameters()
            self.memory = self.session.state()
        session = self.engine.session(
            self.network, self._plan_of(window), window.data, self.parameters,
            self.seed, self.memory, self.monitor.held_out,
        )  # fmt: skip
        self.monitor.begin(session)
        self.session, self.window = session, window
        return session

    def _train(self, window: Window, session: Session) -> EpochSums:
        rows, plan = window.data.n_rows, self._plan_of(window)
        count = steps_per_epoch(plan, rows)
        self.clock = self.clock or plan
        if self.plan.scheduled:
            strengths = strength_factors(self.clock, self.steps, self.n_rows or rows)
            session.adapt(*strengths)
        factors = rate_factors(self.clock, self.steps, count, self.n_rows or rows)
        rates = self.plan.rate * self.monitor.factor * factors
        orders = None
        if self.source.shuffled:
            orders = self.rng.permutation(rows)[None].astype(np.int32)
        sums = session.advance(orders, rates, np.ones(count))
        self.steps, self.rate = self.steps + count, float(rates[-1])
        return sums

    def _plan_of(self, window: Window) -> Plan:
        """Return the plan for a window: penalties have the share of its rows."""
        plan = replace(self.plan, batch_size=window.step)
        if not _penalized(plan):
            return plan
        share = float(window.data.weights.sum()) / self.weight
        return replace(plan, l1=plan.l1 * share, l2=plan.l2 * share)


def _ahead(windows: Iterator[Window]) -> Iterator[Window]:
    """Read the next window in a thread while the present one is trained on."""
    with ThreadPoolExecutor(1, thread_name_prefix="thalweg-read") as reader:
        coming = reader.submit(next, windows, None)
        while (window := coming.result()) is not None:
            coming = reader.submit(next, windows, None)
            yield window


def _penalized(plan: Plan) -> bool:
    return plan.penalty_scale == "sample" and bool(plan.l1 or plan.l2)


def validation_data(
    network: DenseNetwork | Network, plan: Plan, validation: Any, dtype: np.dtype[Any]
) -> Data | None:
    """Return the rows to validate on, which must be at hand."""
    if validation is None:
        return None
    if not isinstance(validation, tuple) or len(validation) not in (2, 3):
        raise ValueError(
            f"fit got validation={validation!r} with streamed data, of which no share "
            "can be held out. Give (X_val, y_val) or (X_val, y_val, sample_weight)."
        )
    return as_data(network, replace(plan, dtype=str(dtype)), *validation)


def _check_plan(plans: Sequence[Plan]) -> None:
    plan = plans[0]
    rule, average = plan.optimizer, plan.average
    whole = plan.full_batch or plan.on_device or len(plans) > 1
    if whole or str(rule.name).startswith("schedule_free"):
        raise ValueError(
            f"fit got optimizer={rule.label!r} with streamed data, but it "
            "needs all rows at once. Use one first-order optimizer such as 'adam'."
        )
    if average.name != "none":
        raise ValueError(
            f"fit got average={average.label!r} with streamed data, which does not "
            "support averages of the weights. Leave it out."
        )


# ------------------------------------------------------------------ any iterable


_Check = Callable[..., Data]
"""Checks and casts rows: ``(X, y, weight)``."""


def _batches(check: _Check, plan: Plan, most: int, X: Any) -> Windows:
    if not callable(X) and not isinstance(X, Iterable):
        raise TypeError(
            f"fit got X={X!r} and y=None; without y, X must be the path of a Parquet "
            "file, or an iterable of batches (X, y), or a callable that returns one."
        )
    once = isinstance(X, Iterator)
    if once and plan.epochs > 1:
        raise ValueError(
            f"fit got {_kind(X)} and epochs={plan.epochs}, but it can be read only "
            "once. Give a callable that returns a new iterator for each epoch, a list "
            "of batches, or epochs=1."
        )
    open_: Callable[[], Any] = X if callable(X) else lambda: X
    begun = iter(open_())
    head = list(islice(begun, 1))
    opened = [chain(head, begun)]  # the first epoch's
    dtype = _floating_type(plan, head[0][0] if head and len(head[0]) else None)

    def count() -> tuple[int, float]:
        if once:
            raise ValueError(
                f"fit got {_kind(X)}, which can be read only once, and a penalty or "
                "schedule that must know the number of rows beforehand. Give a "
                "callable that returns a new iterator each time."
            )
        found = [(w.data.n_rows, float(w.data.weights.sum())) for w in read()]
        return sum(n for n, _ in found), sum(weight for _, weight in found)

    def read() -> Iterator[Window]:
        batches = opened.pop() if opened else open_()
        return _gathered(_checked(check, batches), most)

    def describe() -> dict[str, Any]:
        if not head:
            return {}
        return {"first batch": describe_rows(next(_checked(check, head)))}

    return Windows(read, count, dtype, shuffled=False, describe=describe)


def _checked(check: _Check, batches: Iterable[Any]) -> Iterator[Data]:
    """Check each batch, and that all are alike."""
    known = None
    for number, batch in enumerate(batches):
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise TypeError(
                f"batch {number} is {_kind(batch)}; each must be a tuple (X, y) or "
                "(X, y, sample_weight). Rows in an array need y beside them."
            )
        X = np.asarray(batch[0])
        known = known or (X.shape, X.dtype)
        if (X.shape[1:], X.dtype) != (known[0][1:], known[1]):
            raise ValueError(
                f"batch {number} has X of shape {X.shape} and type {X.dtype}, batch 0 "
                f"had {known[0]} and {known[1]}. All batches must have the same "
                "columns in the same type."
            )
        try:
            data = check(*batch)
        except ValueError as error:
            raise ValueError(f"batch {number}: {error}") from None
        # Batches are read ahead, and a source may write the next one into this memory.
        X, y = (each_array(np.array, part) for part in (data.X, data.y))
        yield Data(X, y, data.weights.copy())
    if known is None:
        raise ValueError(
            "fit got no batch to train on. If X is a callable, let it return a new "
            "iterator at each call: one that was read before gives nothing more."
        )


def _gathered(batches: Iterator[Data], most: int) -> Iterator[Window]:
    """Join batches of one size, of which the last may be smaller."""
    held: list[Data] = []
    for data in batches:
        rows, step = data.n_rows, held[0].n_rows if held else 0
        full = (len(held) + 1) * step > most
        if held and (rows > step or held[-1].n_rows < step or full):
            yield Window(_joined(held), step)
            held = []
        held.append(data)
    yield Window(_joined(held), held[0].n_rows)


def _most_rows(network: DenseNetwork | Network) -> int:
    """Return the rows of a window; batches of a `Network` are not joined at all."""
    if isinstance(network, Network):
        return 0
    return min(_ROWS, _ENTRIES // network.n_inputs)


def _joined(parts: list[Data]) -> Data:
    if len(parts) == 1:
        return parts[0]
    columns = [(part.X, part.y, part.weights) for part in parts]
    return Data(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _floating_type(plan: Plan, X: Any) -> np.dtype[Any]:
    return np.dtype(plan.dtype) if plan.dtype else floating_type(X)


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


# ----------------------------------------------------------------------- Parquet


def _parquet(
    check: _Check, plan: Plan, most: int, X: Any, y: Any, weight: str | None
) -> Windows:
    dataset = _dataset(X)
    inputs = _columns(dataset, y, weight)
    n_rows = dataset.count_rows()
    if n_rows == 0:
        raise ValueError(f"{X} has no rows. Give at least one.")
    step = batch_rows(plan, n_rows)
    size = max(most // step, 1) * step
    targets = [y] if isinstance(y, str) else list(y)

    def read() -> Iterator[Window]:
        chosen = [*inputs, *targets, *([weight] if weight else [])]
        for number, table in enumerate(_cut(dataset, chosen, size)):
            target = _matrix(table, targets)
            parts = (
                _matrix(table, inputs),
                target[:, 0] if isinstance(y, str) else target,
                None if weight is None else _matrix(table, [weight])[:, 0],
            )
            try:
                data = check(*parts)
            except ValueError as error:
                start = number * size
                raise ValueError(f"{X}, rows from {start} on: {error}") from None
            yield Window(data, step)

    def count() -> tuple[int, float]:
        if weight is None:
            return n_rows, float(n_rows)
        return n_rows, sum(float(window.data.weights.sum()) for window in read())

    some = _matrix(dataset.schema.empty_table(), inputs)
    dtype = _floating_type(plan, some)

    def describe() -> dict[str, Any]:
        first = next(read()).data
        return {"rows": n_rows, "columns": inputs, "first rows": describe_rows(first)}

    return Windows(read, count, dtype, shuffled=plan.shuffle, describe=describe)


def _check_names(X: Any, y: Any, weight: Any) -> None:
    """Raise ValueError unless y and the weights name columns of what is read."""
    for name, given in {"y": y, "sample_weight": weight}.items():
        if given is not None and not names_columns(given):
            what = f"the path {X!r}" if isinstance(X, str | os.PathLike) else _kind(X)
            raise ValueError(
                f"fit got X as {what} and {name} as {_kind(given)}. With a file or a "
                f"dataset, {name} names a column of it. Put the values into the file, "
                "or read the file and give X as an array too."
            )


def _dataset(X: Any) -> Any:
    if is_arrow_table(X):
        from pyarrow import dataset

        return dataset.dataset(X)
    if hasattr(X, "to_batches"):
        return X
    if not os.path.exists(X):
        raise FileNotFoundError(f"there is no file {X}. Check the name and folder.")
    try:
        from pyarrow import ArrowInvalid, dataset
    except ImportError:
        raise ImportError(
            "Parquet needs pyarrow. Install it with pip install thalweg[parquet]."
        ) from None
    try:
        return dataset.dataset(X, format="parquet")
    except ArrowInvalid as error:
        raise ValueError(f"{X} is not a Parquet file ({error}).") from None


def _columns(dataset: Any, y: Any, weight: str | None) -> list[str]:
    """Return the names of the inputs: all columns but the target and the weight."""
    from pyarrow import types

    apart = [*([y] if isinstance(y, str) else y or []), *([weight] if weight else [])]
    schema = dataset.schema
    if missing := [name for name in apart if name not in schema.names]:
        raise ValueError(
            f"fit got the column {missing[0]!r}, which the data do not have. With "
            f"Parquet, y and sample_weight name columns: {', '.join(schema.names)}."
        )
    if not y:
        raise ValueError(
            f"fit got y={y!r} with Parquet, where y names the target's column: one of "
            f"{', '.join(schema.names)}."
        )
    numeric = (types.is_floating, types.is_integer, types.is_boolean)
    for field in schema:
        if not any(test(field.type) for test in numeric):
            raise ValueError(
                f"the column {field.name!r} holds {field.type}, not numbers. Encode it "
                "first, or leave it out of the dataset; tw.Classifier and Regressor "
                "encode tables that fit in memory."
            )
    return [name for name in schema.names if name not in apart]


def _cut(dataset: Any, columns: list[str], size: int) -> Iterator[Any]:
    """Cut the table into pieces of `size` rows, the last perhaps smaller."""
    import pyarrow as pa

    held = dataset.schema.empty_table().select(columns)
    for part in chain(_row_groups(dataset, columns), [None]):
        held = held if part is None else pa.concat_tables([held, part])
        rows = held.num_rows if part is None else held.num_rows // size * size
        for start in range(0, rows, size):
            yield held.slice(start, min(size, rows - start))
        held = held.slice(rows)


def _row_groups(dataset: Any, columns: list[str]) -> Iterator[Any]:
    """Read one row group after the other; a whole scan would read far ahead."""
    for fragment in dataset.get_fragments():
        groups = getattr(fragment, "split_by_row_group", lambda whole=fragment: [whole])
        for group in groups():
            yield group.to_table(schema=dataset.schema, columns=columns)


def _matrix(table: Any, names: list[str]) -> Array:
    return np.column_stack([table[name].to_numpy() for name in names])
