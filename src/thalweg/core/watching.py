"""How callbacks learn of a beginning and an end, besides what happens between.

A callback is a callable that is given each `EpochRecord` (in a search or a comparison:
each trial). It may have three more methods, which are found by their names:

``begin(start)``
    Called before the work, with a `Start`. What it returns, if it is callable, is
    called in the callback's place until this work ends. One callback can thereby watch
    several trainings at the same time.
``finish(result)``
    Called after the work with the `Run` (or the result of the search or comparison);
    with None if an error ended it.
``fitted(estimator, X)``
    Called after `finish` where an estimator was fitted: it can predict now.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, eq=False)
class Start:
    """What begins: a training, a search or a comparison.

    Parameters
    ----------
    kind : {"training", "search", "comparison"}
    total : float
        The most epochs, or trials; infinite if there is no limit.
    settings : mapping of str to value
        The hyperparameters: those of the estimator that is fitted, or of the plan.
    network : DenseNetwork, Network or None
    steps : int or None
        Batches in an epoch; None if they are not known, or if there are none.
    parameters : callable or None
        Takes nothing and copies the weights as they are after the last epoch.
    sample : array, DataFrame or None
        Some of the rows, as a model that comes of this takes them.
    estimator : estimator or None
        The estimator that is fitted by this training.
    """

    kind: Literal["training", "search", "comparison"]
    total: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    network: Any = None
    steps: int | None = None
    parameters: Callable[[], Any] | None = None
    sample: Any = None
    estimator: Any = None


class Callback(Protocol):
    """What a callback may have; all but the call itself is optional."""

    def begin(self, start: Start) -> Any:
        """Get ready; return None, or what to call in this one's place."""
        ...

    def __call__(self, record: Any) -> bool | None:
        """See an epoch or a trial; a true answer stops."""
        ...

    def finish(self, result: Any) -> None:
        """See the result; None if an error ended the work."""
        ...

    def fitted(self, estimator: Any, X: Any) -> None:
        """See the fitted estimator, and rows that it takes."""
        ...


@dataclass(eq=False)
class _Fitting:
    """An estimator that is being fitted, and who watches it."""

    estimator: Any
    X: Any
    watchers: list[Any] = field(default_factory=list[Any])


_FITTING: ContextVar[_Fitting | None] = ContextVar("fitting", default=None)
_INSIDE: ContextVar[bool] = ContextVar("inside", default=False)


def begin_all(callbacks: Sequence[Any], start: Start) -> list[Any]:
    """Tell callbacks of a beginning; return whom to call from now on.

    If one of them raises, those that had begun are told of the end.
    """
    within, begun = _FITTING.get(), []
    try:
        for each in callbacks:
            with naming_callback(each):
                answer = each.begin(start) if hasattr(each, "begin") else None
            begun.append(answer if callable(answer) else each)
    except BaseException:
        finish_all(begun, None)
        raise
    if within is not None:
        within.watchers += begun
    return begun


def finish_all(callbacks: Sequence[Any], result: Any) -> None:
    """Tell callbacks of the end, each of them even if another raises."""
    raised: BaseException | None = None
    for each in callbacks:
        try:
            with naming_callback(each):
                if hasattr(each, "finish"):
                    each.finish(result)
        except BaseException as error:
            raised = raised or error
    if raised is not None:
        raise raised


@dataclass(eq=False)
class Watching:
    """Work that is watched: whom to call, and the result once there is one."""

    callbacks: list[Any]
    result: Any = None


@contextmanager
def watched(callbacks: Sequence[Any], start: Start) -> Iterator[Watching]:
    """Tell callbacks of the beginning and of the end of what is done within.

    Parameters
    ----------
    callbacks : sequence of callable
    start : Start

    Yields
    ------
    Watching
        Its ``callbacks`` are to be called; put the result into ``result``.
    """
    own = Watching(begin_all(callbacks, start))
    try:
        with inside():
            yield own
    except BaseException as error:
        try:
            finish_all(own.callbacks, None)
        except Exception as other:
            error.add_note(f"A callback then raised {type(other).__name__}: {other}")
        raise
    finish_all(own.callbacks, own.result)


@contextmanager
def naming_callback(callback: Any) -> Iterator[None]:
    """Say of an error that a callback raised it."""
    try:
        yield
    except Exception as error:
        name = getattr(callback, "__qualname__", type(callback).__qualname__)
        error.add_note(f"The callback {name} raised this.")
        raise


@contextmanager
def fitting(estimator: Any, X: Any) -> Iterator[None]:
    """While this holds, trainings are those of an estimator's fit."""
    own = _Fitting(estimator, X)
    token = _FITTING.set(own)
    try:
        with inside():
            yield
    finally:
        _FITTING.reset(token)
    for each in own.watchers:
        if hasattr(each, "fitted"):
            with naming_callback(each):
                each.fitted(estimator, X)


def fitted_estimator() -> tuple[Any, Any]:
    """Return the estimator that is being fitted and its rows; None, None without."""
    own = _FITTING.get()
    return (None, None) if own is None else (own.estimator, own.X)


@contextmanager
def inside() -> Iterator[None]:
    """While this holds, a training is a part of other work, and shows nothing."""
    token = _INSIDE.set(True)
    try:
        yield
    finally:
        _INSIDE.reset(token)


def is_inside() -> bool:
    """Whether a training would be a part of other work."""
    return _INSIDE.get()
