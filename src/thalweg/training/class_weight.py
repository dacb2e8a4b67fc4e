"""The weights of rows by their class: `class_weights`."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from thalweg.core import Array, shown


def class_weights(class_weight: Any, y: Any, n_classes: int | None = None) -> Array:
    """Return the weight of each row by its class.

    Parameters
    ----------
    class_weight : dict or "balanced"
        A key of any type that equals a class number: 1, 1.0, NumPy's 1 and True are
        one key.
    y : ndarray of shape (n_rows,), (n_rows, 1) or (n_rows, n_classes)
        Class numbers of any type, labels 0 and 1 of a binary loss, or one-hot rows.
    n_classes : int, optional
        How many classes there are, if y need not have rows of each.

    Returns
    -------
    ndarray of shape (n_rows,), float64

    Raises
    ------
    ValueError
        If y has no classes, or naming the key or the weight that is wrong.
    """
    numbers, found = _numbers(y)
    n_classes = max(n_classes or 0, found)
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(numbers)
        return len(numbers) / ((counts > 0).sum() * counts[numbers])
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f"class_weight is {shown(class_weight)}; it must be 'balanced' or a dict "
            "from class numbers to weights."
        )
    table = np.ones(n_classes)
    for key, weight in class_weight.items():
        _check_weight(key, weight)
        place = next((k for k in range(n_classes) if key == k), None)
        if place is None:
            raise ValueError(
                f"class_weight names the class {key!r}; the classes are 0 to "
                f"{n_classes - 1}. Leave it out, or give one of these numbers."
            )
        table[place] = weight
    if not table.any():
        raise ValueError(
            "class_weight is zero for every class of y; nothing could be learned."
        )
    return table[numbers]


def _numbers(y: Any) -> tuple[Array, int]:
    """Return class numbers of rows, and how many classes there must be."""
    wrong = ValueError(
        "class_weight needs y to hold class numbers of shape (n_rows,) or (n_rows, 1), "
        "0 and 1 for a binary loss, or one-hot rows of shape (n_rows, n_classes). "
        "Weight other rows by sample_weight."
    )
    if not isinstance(y, np.ndarray) or y.ndim not in (1, 2) or y.dtype.kind in "OUS":
        raise wrong
    if y.ndim == 2 and y.shape[1] > 1:
        if not (((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()):
            raise wrong
        return y.argmax(axis=1), y.shape[1]
    flat = y.reshape(-1)
    if not ((flat >= 0) & (flat % 1 == 0)).all():
        raise wrong
    numbers = flat.astype(int)
    return numbers, int(numbers.max(initial=0)) + 1


def _check_weight(key: Any, weight: Any) -> None:
    real = isinstance(weight, Real) and not isinstance(weight, bool | np.bool_)
    if not real or not 0 <= float(weight) < np.inf:
        raise ValueError(
            f"class_weight gives {weight!r} to class {key!r}; a weight must be "
            "a finite number of at least 0."
        )
