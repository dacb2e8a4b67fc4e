"""Rows as `model.fit` takes them: targets of any kind, weights of classes, batches.

What a compiled loss sees as y are the targets together with the sample weights
(`packed`), since Keras's functions take both.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, count, islice
from typing import Any

import numpy as np

from thalweg.core import Array, EpochRecord, each_array
from thalweg.estimators.keras.loss import packed
from thalweg.training import class_weights


def as_targets(
    y: Any, weights: Any, class_weight: Any, n_classes: int | None = None
) -> dict[str, Any]:
    """Return targets and weights as `CompiledLoss` takes them.

    `n_classes` are those of the model: a batch need not have rows of each.
    """
    y = None if y is None else arrays(y)
    weights = None if weights is None else checked_weights(arrays(weights))
    if class_weight is not None:
        own = _by_class(class_weight, y, n_classes)
        if isinstance(weights, Mapping | list | tuple):
            raise ValueError(
                "fit got class_weight beside a sample_weight for each output. Multiply "
                "the weights of the classes into sample_weight instead."
            )
        flat = weights is not None and weights.ndim == 1
        weights = own if weights is None else weights * (own if flat else own[:, None])
    return packed(y, weights)


def _by_class(class_weight: Any, y: Any, n_classes: int | None) -> Array:
    """Return the weight of each row by its class, which Keras finds by argmax."""
    if isinstance(y, np.ndarray) and y.ndim == 2 and y.shape[1] > 1:
        y, n_classes = y.argmax(axis=1), y.shape[1]
    return class_weights(class_weight, y, n_classes).astype("float32")


def arrays(values: Any) -> Any:
    """Return values as an array, or as a nest of arrays where they are several."""
    several = isinstance(values, Mapping) or (
        isinstance(values, list | tuple)
        and len(values) > 0
        and all(hasattr(each, "shape") or isinstance(each, Mapping) for each in values)
        and any(getattr(each, "ndim", 1) > 0 for each in values)
    )
    if not several:
        return np.array(values)
    return each_array(np.array, values)


def checked_weights(weights: Any) -> Any:
    """Return weights, which must be finite and at least 0."""

    def check(array: Array) -> Array:
        if array.dtype.kind not in "iufb" or not (
            np.isfinite(array).all() and (array >= 0).all()
        ):
            raise ValueError(
                f"sample_weight holds {array.ravel()[:3].tolist()}, …; it must hold "
                "finite numbers of at least 0."
            )
        return array.astype("float32")

    return each_array(check, weights)


def last_share(values: Any, share: float) -> tuple[Any, Any]:
    """Cut the last rows off, as Keras's ``validation_split`` does."""
    whole = None if values is None else arrays(values)
    if whole is None:
        return None, None
    counts: list[int] = []
    each_array(lambda v: counts.append(len(v)), whole)
    if not isinstance(share, float) or not 0 < share < 1:
        raise ValueError(
            f"fit got validation_split={share!r}; it must be a share in (0, 1)."
        )
    cut = int(np.floor(counts[0] * (1 - share)))
    if not 0 < cut < counts[0]:
        raise ValueError(
            f"fit got validation_split={share!r} for {counts[0]} rows; it must leave "
            "rows on both sides."
        )
    parts = slice(0, cut), slice(cut, None)
    first, last = (each_array(lambda v, p=p: v[p], whole) for p in parts)
    return first, last


def is_batches(X: Any) -> bool:
    """Whether X gives batches that bring their own targets."""
    if hasattr(X, "shape") or isinstance(X, str | Mapping) or hasattr(X, "columns"):
        return False
    if isinstance(X, list | tuple):
        return bool(X) and isinstance(X[0], tuple | list) and _has_arrays(X[0])
    known = hasattr(X, "num_batches") or callable(X) or hasattr(X, "__iter__")
    return known or hasattr(X, "__getitem__")


def _has_arrays(batch: Any) -> bool:
    return any(hasattr(each, "shape") for each in batch)


class KerasBatches:
    """Batches of any source as `fit` reads them: a function that begins an epoch.

    Parameters
    ----------
    source : keras.utils.PyDataset, iterable or callable
        Of batches ``X``, ``(X,)``, ``(X, y)`` or ``(X, y, sample_weight)``.
    pack : callable
        Makes one y of targets and weights.
    steps : int or None
        Batches of an epoch; the next epoch goes on where it ended, as in Keras.
    seed : int or None
        That of the order of a PyDataset's batches in each epoch; None for their own.
    """

    def __init__(
        self, source: Any, pack: Callable[[Any, Any], Any], steps: int | None = None,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        self.source: Any = source
        self.pack, self.steps, self.seed, self.epoch = pack, steps, seed, 0
        self._going: Iterator[Any] | None = None
        self._head: list[Any] = []

    def first(self) -> Any:
        """Return the first batch, which is read again later."""
        if isinstance(self.source, Iterator):
            head = list(islice(self.source, 1))
            self.source = chain(head, self.source)
        elif hasattr(self.source, "num_batches"):
            return self._batch(self.source[0])
        else:
            head = list(islice(self._open(), 1))
        if not head:
            raise ValueError("fit got no batch to train on.")
        return self._batch(head[0])

    @property
    def once(self) -> bool:
        """Whether the batches can be read but once."""
        return isinstance(self.source, Iterator) and self.steps is None

    def __call__(self) -> Iterator[Any]:
        """Read an epoch."""
        dataset = self.source if hasattr(self.source, "num_batches") else None
        if dataset is not None and hasattr(dataset, "on_epoch_begin"):
            dataset.on_epoch_begin()
        if self.steps is None:
            batches: Iterable[Any] = self._open()
        else:
            batches = self._next(self.steps)
        for batch in batches:
            X, pair = self._batch(batch)
            yield X, pair
        if dataset is not None and hasattr(dataset, "on_epoch_end"):
            dataset.on_epoch_end()

    def _next(self, steps: int) -> Iterator[Any]:
        for _ in range(steps):
            if self._going is None:
                self._going = iter(self._open())
            batch = next(self._going, None)
            if batch is None and not isinstance(self.source, Iterator):
                self._going = iter(self._open())
                batch = next(self._going, None)
            if batch is None:
                raise ValueError(
                    "fit got steps_per_epoch and a source that ended before all epochs "
                    "were done. Give a source that is long enough, or fewer epochs."
                )
            yield batch

    def _open(self) -> Iterator[Any]:
        source: Any = self.source
        if hasattr(source, "num_batches"):
            return (source[k] for k in self._order(_count(source)))
        opened: Any = source() if callable(source) else source
        return iter(opened)

    def _order(self, n_batches: int | None) -> Iterable[int]:
        """Return the order of the batches, which Keras too draws for each epoch."""
        if n_batches is None:
            if self.steps is None:
                raise ValueError(
                    "fit got a PyDataset whose num_batches is None, so that it never "
                    "ends. Give steps_per_epoch."
                )
            return count()
        if self.seed is None:
            return range(n_batches)
        drawn = np.random.RandomState([self.seed, self.epoch]).permutation(n_batches)
        return drawn.tolist()

    def _batch(self, batch: Any) -> Any:
        parts = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
        X, y, weights = (*parts, None, None)[:3]
        return arrays(X), self.pack(y, weights)


class Ended:
    """Tells batches how many epochs are done: one of the callbacks of a fit."""

    every_epoch = False

    def __init__(self, batches: KerasBatches) -> None:
        self.batches = batches

    def __call__(self, record: EpochRecord) -> None:
        """Count an epoch."""
        self.batches.epoch = record.epoch

    def resume_after(self, epochs: int) -> None:
        """Go on after the epochs of an earlier process."""
        self.batches.epoch = epochs


def _count(dataset: Any) -> int | None:
    given: Any = dataset.num_batches
    found: Any = given() if callable(given) else given
    return None if found is None else int(found)


def gathered(batches: Any, steps: int | None) -> tuple[Any, Any, Any]:
    """Read validation data that come in batches; return X, y and weights."""
    read = KerasBatches(batches, lambda *parts: tuple(map(_copied, parts)))
    parts = [(X, *rest) for X, rest in islice(read(), steps)]
    if not parts:
        raise ValueError("fit got validation data without a batch.")
    X, y, weights = (_joined(list(column)) for column in zip(*parts, strict=True))
    return X, y, weights


def _copied(values: Any) -> Any:
    """Copy what the source may write the next batch into."""
    return None if values is None else arrays(values)


def _joined(values: list[Any]) -> Any:
    if values[0] is None:
        return None
    if isinstance(values[0], Mapping):
        return {key: _joined([each[key] for each in values]) for key in values[0]}
    if isinstance(values[0], list | tuple):
        return [_joined(list(each)) for each in zip(*values, strict=True)]
    return np.concatenate([np.asarray(each) for each in values])
