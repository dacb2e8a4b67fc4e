"""Members that are each trained without a fold of the rows, which they are judged by.

Each fold is held out from two members, or one. By what these predict for its rows (out
of fold) the whole model can be judged without any test data. With more members than
folds are for, the rows are divided anew. All members share the encoded table; each
has the rows of its folds for as long as it trains.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from thalweg.core import (
    Array,
    CompactRows,
    Run,
    StopReason,
    available_cpus,
    folds,
)
from thalweg.estimators.splits import Split, group_folds, hold_out_honestly
from thalweg.estimators.tabular.linear import PENALTIES, logistic, ridge
from thalweg.estimators.tabular.members import Members, outputs_of
from thalweg.estimators.tabular.out_of_fold import OutOfFold, gather
from thalweg.estimators.tabular.portfolio import Recipe
from thalweg.estimators.tabular.views import View
from thalweg.training import train_side_by_side

_CELLS = 2_000_000  # of the table that a linear model is fitted on
_LEAST_ROWS = 500


@dataclass(frozen=True, eq=False)
class Task:
    """The encoded rows that a fit trains on, and what it knows of them.

    Parameters
    ----------
    inputs : CompactRows
    encoded : ndarray of shape (n_rows,) or (n_rows, n_targets)
        The encoded target.
    weights : ndarray of shape (n_rows,) or None
        For several members with those of the classes.
    given : (CompactRows, ndarray) or None
        Validation data of the user's.
    watch_only : bool
        Whether these are only recorded.
    groups, times : ndarray of shape (n_rows,) or None
    classes : bool
        Whether the target holds classes.
    """

    inputs: CompactRows
    encoded: Array
    weights: Array | None
    given: tuple[CompactRows, Array] | None
    watch_only: bool
    groups: Array | None
    times: Array | None
    classes: bool

    def take(self, rows: Array) -> "Task":
        """Return some of the rows, with the same validation data."""
        kept = {
            name: None if (each := getattr(self, name)) is None else each[rows]
            for name in ("inputs", "encoded", "weights", "groups", "times")
        }
        return replace(self, **kept)

    def held(self, rows: Array) -> tuple[Any, ...]:
        """Return rows as validation data."""
        weights = () if self.weights is None else (self.weights[rows],)
        return (self.inputs[rows], self.encoded[rows], *weights)


class Trainer(Protocol):
    """Trains one member on some rows."""

    def __call__(
        self,
        recipe: Recipe,
        task: Task,
        validation: tuple[Any, ...] | None,
        *,
        n_rows: int,
        seed: int,
        first: bool,
        max_time: float | None,
        max_epochs: int | None,
        parameters: Any,
    ) -> Run:
        """Return the trained member."""
        ...


class Trained(NamedTuple):
    """A trained member, and what it predicts for the rows that it held out."""

    recipe: Recipe
    run: Run
    view: View
    rows: Array | None
    outputs: Array | None


class CrossFit:
    """Trains members, as many as are asked for, each without a fold of the rows.

    Parameters
    ----------
    task : Task
    train : Trainer
    see : callable
        Returns what a recipe's member sees; drawn anew each time.
    n_outputs : int
    n_folds : int
        0 if no rows are held out.
    n_each : int
        How many members hold out the same fold.
    share : float
        Of the latest rows that are held out where there are times.
    rng : RandomState
    """

    def __init__(
        self,
        task: Task,
        train: Trainer,
        see: Callable[[Recipe], View],
        n_outputs: int,
        n_folds: int,
        n_each: int,
        share: float,
        rng: np.random.RandomState,
    ) -> None:
        self.task, self._train, self._see = task, train, see
        self._n_outputs, self._n_folds = n_outputs, n_folds
        self._n_each, self._share, self._rng = n_each, share, rng
        self._splits: list[Split] = []
        self.networks: list[Trained] = []
        self.interrupted = False

    @property
    def judged(self) -> bool:
        """Whether members predict rows that they were not trained on."""
        given = self.task.given is not None and not self.task.watch_only
        return given or self._n_folds > 0

    def add(
        self,
        recipes: Sequence[Recipe],
        *,
        max_time: float | None = None,
        watched: bool = False,
        known: Members | None = None,
        max_epochs: int | None = None,
    ) -> None:
        """Train networks, side by side.

        Parameters
        ----------
        recipes : sequence of Recipe
        max_time : float or None
            Seconds that all of them may take together.
        watched : bool
            Whether callbacks look at the first one. It is then trained before the
            others, and where a callback stops it, the others end after as many epochs.
        known : Members or None
            Members that are trained further.
        max_epochs : int or None
            By default what the recipes say.
        """
        start, count = len(self.networks), len(recipes)
        clock = _Clock(max_time, count)
        seeds = self._rng.randint(2**31, size=count).tolist()
        first: Sequence[Any] = [None] * count
        if known is None:
            views = [self._see(recipe) for recipe in recipes]
        else:
            views = list(known.views[:count])
            first = [run.parameters for run in known.runs[:count]]
        for number in range(start, start + count):
            self._split(number // self._n_each)  # drawn before there are threads
        jobs = [
            partial(
                self._one, recipe, views[k], start + k, clock, seeds[k], first[k],
                max_epochs=max_epochs,
            )
            for k, recipe in enumerate(recipes)
        ]  # fmt: skip
        runs: list[Run | None] = []
        if watched:
            head = jobs[0](first=True)
            runs.append(head)
            jobs = jobs[1:]
            stopped = head.stop_reason
            if stopped is StopReason.INTERRUPTED:
                jobs = []
            elif stopped is StopReason.CALLBACK:
                epochs = len(head.history)
                jobs = [partial(job, max_epochs=epochs) for job in jobs]
        runs += train_side_by_side(jobs)
        for k, run in enumerate(runs):
            if run is not None:
                fold = (start + k) // self._n_each
                self.networks.append(self._trained(recipes[k], views[k], run, fold))
        reasons = {each.run.stop_reason for each in self.networks}
        self.interrupted = StopReason.INTERRUPTED in reasons or None in runs

    def add_linear(self, count: int) -> list[Trained]:
        """Fit linear models without some of the folds, and return the best ones.

        At most `count` folds are those that networks held out. The encoding and the
        penalty are chosen by the first two folds.
        """
        count = min(count, -(-len(self.networks) // self._n_each))
        tried: dict[tuple[str, float], list[Trained]] = {}
        first = range(min(count, 2))
        for pieces in dict.fromkeys(("none", self._usual())):
            tried |= self._linear(pieces, first, PENALTIES)
        best = min(tried, key=lambda key: self.out_of_fold(tried[key]).loss())
        pieces, penalty = best
        rest = self._linear(pieces, range(len(first), count), [penalty])
        return [*tried[best], *rest.get(best, ())]

    def _usual(self) -> str:
        """Return the encoding that is seen where a member asks for the usual one."""
        plain = [self._see(Recipe({}, pieces)) for pieces in ("none", "usual")]
        return "none" if plain[0].whole and plain[1].whole else "usual"

    def _linear(
        self,
        pieces: str,
        numbers: Sequence[int],
        penalties: Sequence[float],
    ) -> dict[tuple[str, float], list[Trained]]:
        """Fit linear models that see one of the encodings, by their penalties."""
        if not numbers:
            return {}
        task, recipe = self.task, Recipe({}, pieces, linear=True)
        view = self._see(recipe)
        inputs = view.of(task.inputs)
        kept = _some(
            np.arange(len(task.encoded)),
            max(_CELLS // inputs.shape[1], _LEAST_ROWS),
        )
        rows = inputs[kept].toarray().astype(float)
        splits = [self._split(number) for number in numbers]
        held = [
            np.flatnonzero(np.isin(kept, [] if each is None else each.test))
            for each in splits
        ]
        own, y = (
            None if task.weights is None else task.weights[kept],
            task.encoded[kept],
        )
        if task.classes:
            fitted = logistic(rows, y, own, held, penalties, self._n_outputs)
        else:
            fitted = ridge(rows, y.reshape(len(kept), -1), own, held, penalties)
        found: dict[tuple[str, float], list[Trained]] = {}
        for number, runs in zip(numbers, fitted, strict=True):
            for penalty, run in zip(penalties, runs, strict=True):
                trained = self._trained(recipe, view, run, number)
                found.setdefault((pieces, penalty), []).append(trained)
        return found

    def out_of_fold(self, members: Sequence[Trained]) -> OutOfFold:
        """Gather what some members predict for rows that they held out."""
        task = self.task
        truth, weights = task.encoded, task.weights
        if task.given is not None:
            truth, weights = task.given[1], None
        held = [
            (each.rows, each.outputs)
            for each in members
            if each.rows is not None and each.outputs is not None
        ]
        return gather(held, truth, weights)

    def _one(
        self,
        recipe: Recipe,
        view: View,
        number: int,
        clock: "_Clock",
        seed: int,
        parameters: Any,
        *,
        first: bool = False,
        max_epochs: int | None = None,
    ) -> Run:
        task, validation = self.task, self.task.given
        split = self._split(number // self._n_each)
        if split is not None:
            validation = task.held(split.test)
            task = task.take(split.train)
        if validation is not None:
            validation = (view.of(validation[0]), *validation[1:])
        task = replace(task, inputs=view.of(task.inputs))
        return self._train(
            recipe, task, validation, n_rows=len(self.task.encoded), seed=seed,
            first=first, max_time=clock.share(), max_epochs=max_epochs,
            parameters=parameters,
        )  # fmt: skip

    def _trained(self, recipe: Recipe, view: View, run: Run, fold: int) -> Trained:
        if not self.judged:
            return Trained(recipe, run, view, None, None)
        split = self._split(fold)
        if split is None:
            assert self.task.given is not None
            inputs, rows = self.task.given[0], np.arange(len(self.task.given[1]))
        else:
            inputs, rows = self.task.inputs[split.test], split.test
        return Trained(recipe, run, view, rows, outputs_of(run, view.of(inputs)))

    def _split(self, fold: int) -> Split | None:
        """Return the rows without a fold and in it, or None if none are held out."""
        if self._n_folds == 0 or self.task.given is not None:
            return None
        while len(self._splits) <= fold:
            self._splits += self._divide()
        return self._splits[fold]

    def _divide(self) -> list[Split]:
        """Divide the rows once more."""
        task, k = self.task, self._n_folds
        y = task.encoded if task.encoded.ndim == 1 else task.encoded[:, 0]
        seed = int(self._rng.randint(2**31))
        if task.times is not None:
            given = task.groups, task.times, task.classes
            return [hold_out_honestly(y, self._share, *given)]
        if task.groups is not None:
            fold = group_folds(y, task.groups, k, task.classes, seed)
        else:
            fold = folds(y, min(k, len(y)), np.random.RandomState(seed))
        return [
            Split(np.flatnonzero(fold != each), np.flatnonzero(fold == each))
            for each in np.unique(fold)
        ]


class _Clock:
    """Shares the seconds of a fit among members that do not all begin at once."""

    def __init__(self, seconds: float | None, count: int) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._left = count

    def share(self) -> float | None:
        """Return the seconds of the member that begins now."""
        rounds = -(-self._left // min(max(self._left, 1), available_at_once()))
        self._left -= 1
        if self._end is None:
            return None
        return max(self._end - time.monotonic(), 1e-6) / max(rounds, 1)


def available_at_once() -> int:
    """Return how many members train at a time."""
    return max(1, available_cpus())


def _some(rows: Array, most: int) -> Array:
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(int)]


def averaged(
    networks: Sequence[Trained], linear: Sequence[Trained], share: float
) -> Members:
    """Return members of which the linear ones count for a share."""
    used = [*networks, *(linear if share > 0 else ())]
    weights = np.r_[
        np.full(len(networks), (1 - share) / len(networks)),
        np.full(len(used) - len(networks), share / max(len(linear), 1)),
    ]
    return Members(
        runs=tuple(each.run for each in used),
        weights=weights,
        views=tuple(each.view for each in used),
    )
