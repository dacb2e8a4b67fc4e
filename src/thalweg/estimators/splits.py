"""Honest splits: rows that belong together are never on both sides.

A score on test data is worth something if the test data are new to the model. They are
not if a row's copy, another row of the same patient, or a row that was measured later
is in the training data. The splits here keep rows of one group on one side, take the
latest rows as test data, and find rows that repeat exactly.

Without groups, times and repeated rows the rows are divided by
`thalweg.core.folds`, as ever.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from thalweg.core import Array, Frame, Series, folds

_FEW_GROUPS = 1000  # among more groups, chance alone balances the folds
_ROOM = 10  # possible rows for each row, from which on a repeated row is a copy


class Split(NamedTuple):
    """Row numbers of the training data and of the test data."""

    train: Array
    test: Array


def as_groups(groups: ArrayLike | None, n_rows: int, owner: str) -> Array | None:
    """Return the group of each row as a number.

    Raises
    ------
    ValueError
        If there is not one group for each row, a row has none, or all rows have the
        same.
    """
    if groups is None:
        return None
    import pandas as pd

    codes, names = pd.factorize(_as_column("groups", groups, n_rows, owner))
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0]) + 1
        raise ValueError(
            f"{owner} got groups in which row {row} has no value. Give each row a "
            "group; a row that belongs to no group gets one of its own."
        )
    if len(names) < 2:
        raise ValueError(
            f"{owner} got groups with one value, {names[0]!r}, in each row. Rows of "
            "one group are never on both sides of a split, so give at least two groups."
        )
    return codes


def as_times(time: ArrayLike | None, n_rows: int, owner: str) -> Array | None:
    """Return the time of each row as a number, -inf where it is missing.

    Raises
    ------
    ValueError
        If there is not one time for each row, a value is neither a number nor a date,
        or all rows have the same time.
    """
    if time is None:
        return None
    values = _read_times(_as_column("time", time, n_rows, owner), owner)
    if len(np.unique(values)) < 2:
        raise ValueError(
            f"{owner} got the same time in each row. Give the column that says when "
            "each row was observed."
        )
    return values


def _as_column(what: str, given: Any, n_rows: int, owner: str) -> Series:
    import pandas as pd

    values = given.to_pandas() if hasattr(given, "to_pandas") else given
    if not isinstance(values, pd.Series):
        array = np.asarray(values)
        if array.ndim != 1:
            raise ValueError(
                f"{owner} got {what} of shape {array.shape}. Give one value for each "
                "row."
            )
        values = pd.Series(array)
    if len(values) != n_rows:
        raise ValueError(
            f"{owner} got {what} with {len(values)} values for {n_rows} rows. Give one "
            "value for each row."
        )
    return values.reset_index(drop=True)


def _read_times(values: Series, owner: str) -> Array:
    import pandas as pd

    from thalweg.estimators.tabular.columns import as_days, is_missing, kind_of, study

    if isinstance(values.dtype, pd.PeriodDtype):
        values = values.dt.start_time
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    absent = is_missing(values).to_numpy(bool)
    known = values[~absent]
    read = np.full(len(values), -np.inf)
    kind = kind_of(known) if len(known) else "category"
    if kind == "date" and values.dtype.kind == "M":
        read[~absent] = known.astype("int64")
    elif kind == "date":
        name = str(values.name or "time")
        (column,) = study(pd.DataFrame({name: values}))
        read[~absent] = as_days(name, column.layout, known)
    elif kind == "number" or values.dtype.kind == "m":
        plain = known.astype("int64") if values.dtype.kind == "m" else known
        found = pd.Series(pd.to_numeric(plain, errors="coerce"))
        read[~absent] = found.to_numpy(float, na_value=np.nan)
    else:
        read[~absent] = np.nan
    if np.isnan(read).any():
        row = int(np.flatnonzero(np.isnan(read))[0])
        raise ValueError(
            f"{owner} got {values.iloc[row]!r} as the time of row {row + 1}. Times are "
            "numbers or dates, such as 2024-12-31; no order is known of other values."
        )
    return read


def repeated_rows(frame: Frame, target: Series) -> Array | None:
    """Return a group for each row, in which rows that repeat exactly are together.

    None if no row repeats, or if repetition says nothing: the columns have so few
    values that there are hardly more possible rows than rows (a table of class, sex
    and survival). Rows then are equal by chance, and are no copies.
    """
    columns = [frame[name] for name in frame.columns]
    columns = [target, *sorted(columns, key=lambda each: each.dtype.kind not in "fiu")]
    left, codes = np.arange(len(target)), np.zeros(len(target), int)
    for values in columns:  # after a few columns hardly a row is left to compare
        own = _hashed(values.iloc[left])
        _, codes = np.unique(np.stack([codes, own]), axis=1, return_inverse=True)
        again = np.bincount(codes)[codes] > 1
        left, codes = left[again], codes[again]
        if not len(left):
            return None
    if _n_possible(frame, target) < _ROOM * len(target):
        return None
    groups = np.arange(len(target))
    first = np.full(codes.max() + 1, len(target))
    np.minimum.at(first, codes, left)
    groups[left] = first[codes]
    return groups


def _hashed(values: Series) -> Array:
    """Return equal numbers for equal values."""
    import pandas as pd

    if values.dtype.kind not in "fiubM":
        return pd.factorize(values.astype("string"))[0]
    return pd.factorize(values)[0]


def _n_possible(frame: Frame, target: Series) -> float:
    """Return how many different rows the values of the columns allow."""
    possible = float(target.nunique())
    for name in frame.columns:
        possible *= max(frame[name].astype("string").nunique(), 1)
        if possible >= _ROOM * len(target):
            break
    return possible


def together(folded: Array, groups: Array | None) -> Array:
    """Return folds in which each row is in the fold of the first row of its group."""
    return folded if groups is None else folded[groups]


def group_folds(y: Array, groups: Array, k: int, classes: bool, seed: int = 0) -> Array:
    """Divide groups into at most `k` folds, each with about its share of `y`.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    groups : ndarray of int, shape (n_rows,)
        Numbered from 0.
    k : int
    classes : bool
        Whether `y` holds classes.
    seed : int
        Draws what is drawn.

    Returns
    -------
    ndarray of int, shape (n_rows,)
    """
    n_groups = int(groups.max()) + 1
    k = min(k, n_groups)
    if n_groups > _FEW_GROUPS:
        _, first = np.unique(groups, return_index=True)
        return folds(y[first], k, np.random.RandomState(seed))[groups]
    import warnings

    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    kind = StratifiedGroupKFold if classes else GroupKFold
    splitter: Any = kind(k, shuffle=True, random_state=seed)
    fold = np.empty(len(y), int)
    with warnings.catch_warnings():  # of classes with fewer rows than folds
        warnings.simplefilter("ignore", UserWarning)
        try:
            parts = list(splitter.split(y, y, groups))
        except ValueError:  # each class has fewer rows than folds
            whole: Any = GroupKFold(k, shuffle=True, random_state=seed)
            parts = list(whole.split(y, y, groups))
    for number, (_, test) in enumerate(parts):
        fold[test] = number
    return fold


def latest(times: Array, share: float, owner: str) -> Array:
    """Return which rows are the latest: about a share of them, all of one time alike.

    Raises
    ------
    ValueError
        If most rows have the same, latest time.
    """
    known = np.sort(np.unique(times))
    counts = np.array([(times >= each).mean() for each in _spread_out(known[1:])])
    cut = _spread_out(known[1:])[np.argmin(np.abs(counts - share))]
    held = times >= cut
    if held.mean() > 0.8:
        raise ValueError(
            f"{owner} cannot hold out the latest rows: {held.mean():.0%} of them have "
            "the latest time. Give a finer time, or leave it out."
        )
    return held


def _spread_out(values: Array) -> Array:
    """Return at most 1000 of the values, evenly chosen."""
    places = np.linspace(0, len(values) - 1, min(len(values), 1000)).astype(int)
    return values[places]


def hold_out_honestly(
    y: Array,
    share: float,
    groups: Array | None,
    times: Array | None,
    classes: bool,
    owner: str = "fit",
    seed: int = 0,
) -> Split:
    """Hold out about a share of the rows: the latest ones, or whole groups.

    With groups and times, the latest rows are held out, and earlier rows of their
    groups are on neither side.

    Raises
    ------
    ValueError
        If no row is left to train on.
    """
    if times is None:
        assert groups is not None
        fold = group_folds(y, groups, max(2, round(1 / share)), classes, seed)
        held = fold == 0
        left = ~held
    else:
        held = latest(times, share, owner)
        left = ~held
        if groups is not None:
            left &= ~np.isin(groups, groups[held])
    if left.sum() < 2 or not held.any():
        raise ValueError(
            f"{owner} cannot split the rows: {left.sum()} of {len(y)} rows are left to "
            "train on, because the groups of the others are in the test data. Give "
            "smaller groups, or leave out the time."
        )
    return Split(np.flatnonzero(left), np.flatnonzero(held))
