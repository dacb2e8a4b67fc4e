"""What the rows say by themselves: columns, target, neighbors, and rows held out."""

from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import NearestNeighbors

from thalweg.core import Array, accuracy, folds, r2
from thalweg.diagnosis.facts.sample import Sample, held_inputs, numeric, standardized
from thalweg.diagnosis.problem import Problem
from thalweg.diagnosis.readers import looks_like_classes
from thalweg.diagnosis.result import Facts

_NEIGHBORS, _CIRCLE, _AT_ONCE = 5, 15, 1000
_SHIFTS = (-3, -2, -1, 1, 2, 3)
_SHUFFLES = 20
_CONTRADICT = 0.05
"""Share of rows contradicted by their neighbors, beyond which it is asked why."""


def facts_of_data(problem: Problem, seen: Sample) -> dict[str, Any]:
    """Measure the rows."""
    facts: dict[str, Any] = {
        "data.rows": int(problem.X.shape[0]),
        **_nonfinite(problem),
        **_uninformative(seen),
        **_sentinels(seen),
        **_target(problem),
        **_image(problem),
    }
    if seen.inputs is None:
        return facts
    return facts | _scales(problem, seen, facts["data.sentinels"])


def _nonfinite(problem: Problem) -> dict[str, Any]:
    raw, names, _ = numeric(problem.X)
    where, bad, infinite = "", 0, 0
    held = raw[:0] if problem.held is None else numeric(problem.held[0])[0]
    for rows, of in ((held, " of X_val"), (raw, "")):
        if len(at := np.argwhere(~np.isfinite(rows))):
            where = f"row {at[0][0]}{of}, {names[at[0][1]]}"
            bad, infinite = bad + len(at), infinite + int(np.isinf(rows).sum())
    target = problem.y if problem.y.dtype.kind == "f" else np.zeros(1)
    handled = problem.repairs.get("impute") or any(map(_takes_gaps, problem.steps))
    return {
        "data.nonfinite": 0 if handled else bad,
        "data.infinite": infinite,
        "data.nonfinite_at": where,
        "target.nonfinite": problem.lost + int((~np.isfinite(target)).sum()),
    }


def _takes_gaps(step: Any) -> bool:
    return hasattr(step, "statistics_") or "Imputer" in repr(step) or (
        type(step).__name__ == "_Encoder")  # fmt: skip


def _uninformative(seen: Sample) -> dict[str, Any]:
    raw, n = seen.raw, len(seen.raw)
    constant = np.ptp(raw, axis=0) == 0 if n else np.zeros(0, bool)
    numbered = []
    for k in np.flatnonzero((raw == np.round(raw)).all(axis=0) & ~constant):
        values = np.sort(raw[:, k])
        whole = n > 20 and (np.diff(values) > 0).all()
        if (
            whole
            and len(seen.rows)
            and values[-1] - values[0] < 1.5 * seen.rows[-1] + 2
        ):
            numbered.append(int(k))
    return {
        "data.constant": tuple(seen.names[k] for k in np.flatnonzero(constant)),
        "data.constant_at": tuple(seen.where[k] for k in np.flatnonzero(constant)),
        "data.numbered": tuple(seen.names[k] for k in numbered),
        "data.numbered_at": tuple(seen.where[k] for k in numbered),
    }


def _sentinels(seen: Sample) -> dict[str, Any]:
    """Find values at a column's extreme that repeat, far from all others.

    One tuple each: name, position in X, value, share of rows, gap in quartile ranges
    of the others, or in whole ranges where most of them are alike.
    """
    found = []
    ascending = np.sort(_filled(seen.raw), axis=0)
    n = len(ascending)
    for sign, columns in ((1.0, ascending), (-1.0, -ascending[::-1])):
        if n < 4 or not columns.shape[1]:
            continue
        extreme = columns[-1]
        count = (columns == extreme).sum(axis=0)
        left = n - count
        at = np.arange(columns.shape[1])
        others = [columns[np.maximum((q * (left - 1)).astype(int), 0), at]
                  for q in (0.25, 0.75, 1.0)]  # fmt: skip
        spread = others[1] - others[0]
        # Of columns mostly alike, those of which enough others differ tell a range.
        told = (columns != others[0]).sum(axis=0) >= 2 * count
        spread = np.where((spread > 0) | ~told, spread, others[2] - columns[0])
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = (extreme - others[2]) / spread
        enough = (count >= 2) & (left >= 3) & (spread > 0) & (_distinct(columns) > 3)
        for k in np.flatnonzero(enough & np.isfinite(gap)):
            value, share = float(sign * extreme[k]), float(count[k] / n)
            found.append((seen.names[k], seen.where[k], value, share, float(gap[k])))
    return {"data.sentinels": tuple(sorted(found, key=lambda each: -each[4])[:20])}


def _filled(columns: Array) -> Array:
    """Put a column's median where it has no finite number."""
    bad = ~np.isfinite(columns)
    if not bad.any():
        return columns
    known = np.where(bad & ~bad.all(axis=0), np.nan, np.where(bad, 0.0, columns))
    return np.where(bad, np.nanmedian(known, axis=0), columns)


def _distinct(columns: Array) -> Array:
    """Return how many different values sorted columns hold."""
    return 1 + (columns[1:] != columns[:-1]).sum(axis=0)


def _scales(problem: Problem, seen: Sample, sentinels: Any) -> dict[str, Any]:
    """Measure how wide the columns are, without sentinels and mostly-zeros.

    A column of two values may be wide, and says nothing by being narrow.
    """
    columns = np.array(seen.inputs)
    if columns.shape == seen.raw.shape:
        for name, _, value, _, gap in sentinels:
            k = seen.names.index(name)
            hit = seen.raw[:, k] == value
            if gap > 5 and not hit.all():
                columns[hit, k] = np.median(columns[~hit, k])
    low, middle, high = np.percentile(columns, [5, 50, 95], axis=0)
    spread, size = (high - low) / 3.3, np.abs(middle)
    encoded = any(type(step).__name__ == "_Encoder" for step in problem.steps)
    distinct = _distinct(np.sort(columns[:200], axis=0))
    spread = np.where(distinct == 2, columns.std(axis=0), spread)
    varied = (distinct > 1) & (spread > 0)
    if not varied.any() or encoded:
        return {"inputs.ratio": 1.0, "inputs.largest": 0.0, "inputs.widest": "",
                "inputs.encoded": encoded}  # fmt: skip
    least = spread[varied & (distinct > 2)].min(initial=spread[varied].max())
    spread, size = spread[varied], size[varied]
    same = columns.shape[1] == len(seen.names)
    every = seen.names if same else [f"input {k}" for k in range(columns.shape[1])]
    names = np.array(every)[varied]
    widest = int(np.argmax(np.maximum(spread, size)))
    return {
        "inputs.ratio": float(spread.max() / least),
        "inputs.largest": float(max(spread.max(), size.max())),
        "inputs.widest": str(names[widest]),
        "inputs.names": tuple(names.tolist()[:40]),
        "inputs.spreads": tuple(spread.tolist()[:40]),
    }


def _target(problem: Problem) -> dict[str, Any]:
    y = problem.y
    if problem.labels is not None:
        y = y if y.ndim == 1 else y.argmax(axis=1)
        counts = np.bincount(y.astype(int), minlength=len(problem.labels))
        return {
            "labels.counts": tuple(counts.tolist()),
            "labels.numbers": problem.labels.dtype.kind in "fiu",
            "target.unique": len(problem.labels),
        }
    values = np.asarray(y, float)
    known = values[np.isfinite(values)]
    return {
        "numbers.learned": 1.0 if problem.scales_target else float(known.std()),
        "numbers.like_classes": looks_like_classes(values) if y.ndim == 1 else False,
        "target.unique": len(np.unique(known)),
    }


def _image(problem: Problem) -> dict[str, Any]:
    """Correlate neighbors along each axis of a stack of images."""
    if problem.images is None:
        return {}
    sample = np.asarray(problem.images[:500], float)
    middle = sample - sample.mean(axis=0)
    along = []
    for axis in range(1, sample.ndim):
        first = np.take(middle, range(sample.shape[axis] - 1), axis)
        second = np.take(middle, range(1, sample.shape[axis]), axis)
        norm = np.sqrt((first**2).sum() * (second**2).sum())
        along.append(float((first * second).sum() / norm) if norm > 0 else 0.0)
    return {"image.shape": sample.shape[1:], "image.along": tuple(along)}


# ----------------------------------------------------------------------- neighbors


def facts_of_neighbors(problem: Problem, seen: Sample) -> dict[str, Any]:
    """Ask rows for each other's targets, nearest by all columns and by one."""
    return _nearest(problem, seen) | _leaks(problem, seen)


def _nearest(problem: Problem, seen: Sample) -> dict[str, Any]:
    """Ask each row's neighbors for its target: as it is, shuffled, and shifted."""
    assert seen.inputs is not None
    some = np.random.RandomState(2).permutation(len(seen.rows))[:_AT_ONCE]
    if len(some) < 8 or problem.y.ndim > 1:
        return {}
    points = standardized(seen.inputs)[some]
    order = _neighbors(points, min(_CIRCLE, len(some) - 1))
    rows = seen.rows[some]
    y, close = problem.y[rows], order[:, :_NEIGHBORS]
    agree = _agreement if problem.labels is not None else _explained
    score, chance = _told(problem, y, close, seed=3)
    shifted = [agree(np.roll(problem.y, s)[rows], close) for s in _SHIFTS]
    best = int(np.argmax(shifted))
    facts = {
        "nearest.score": score,
        "nearest.chance": chance,
        "nearest.shifted": shifted[best],
        "nearest.shift": _SHIFTS[best],
        "nearest.linear": _linear(points, y, problem.labels),
        "nearest.rows": len(some),
    }
    facts["nearest.best"] = max(facts["nearest.score"], facts["nearest.linear"])
    if problem.labels is not None and len(some) >= 4 * _CIRCLE:
        votes = np.eye(len(problem.labels))[y][order].sum(axis=1)
        pure = votes.max(axis=1) / order.shape[1]
        own = votes.argmax(axis=1) != y
        facts |= {
            "labels.purity": float(np.percentile(pure, 90)),
            "labels.disagree": float(own.mean()),
            "nearest.best": max(float(1 - own.mean()), facts["nearest.linear"]),
            "labels.constant": float(np.bincount(y).max() / len(y)),
        }
    return facts


def _neighbors(points: Array, k: int) -> Array:
    """Return the k nearest rows of each, itself left out."""
    near: Any = NearestNeighbors(n_neighbors=k, algorithm="brute")
    return near.fit(points).kneighbors(return_distance=False)


def _told(problem: Problem, y: Array, close: Array, seed: int) -> tuple[float, float]:
    """Return how well neighbors tell the target, and how well they might by chance."""
    agree = _agreement if problem.labels is not None else _explained
    rng = np.random.RandomState(seed)
    chance = [agree(rng.permutation(y), close) for _ in range(_SHUFFLES)]
    return agree(y, close), float(np.mean(chance) + 3 * np.std(chance))


def _agreement(y: Array, close: Array) -> float:
    return float((y[close] == y[:, None]).mean())


def _explained(y: Array, close: Array) -> float:
    return _score(y[close].mean(axis=1), y, by_class=False)


def _linear(points: Array, y: Array, labels: Array | None) -> float:
    """Score a ridge regression on the half that it was not fitted on, both ways."""
    target = np.eye(len(labels))[y] if labels is not None else y[:, None]
    columns = np.hstack([points, np.ones((len(points), 1))])
    fold = np.arange(len(y)) % 2
    predicted = np.empty_like(target, dtype=float)
    for k in (0, 1):
        X, T = columns[fold != k], target[fold != k]
        square = X.T @ X + np.eye(X.shape[1]) * 1e-2 * len(X)
        predicted[fold == k] = columns[fold == k] @ np.linalg.solve(square, X.T @ T)
    by_class = labels is not None
    return _score(
        predicted.argmax(axis=1) if by_class else predicted[:, 0], y, by_class
    )


# --------------------------------------------------------------------------- leaks


def _leaks(problem: Problem, seen: Sample) -> dict[str, Any]:
    """Find a column that tells the target all alone, which the others together cannot.

    Alone, a row is told by those next to it along the column.
    """
    some = np.random.RandomState(5).permutation(len(seen.rows))[:_AT_ONCE]
    columns, y = _filled(seen.raw[some]), problem.y[seen.rows[some]]
    if problem.y.ndim > 1 or not columns.shape[1] or len(some) < 20:
        return {}
    by_class = problem.labels is not None
    alone = _alone(columns, y, by_class)
    k = int(alone.argmax())
    facts = {"nearest.alone": float(alone[k]), "nearest.alone_name": seen.names[k],
             "nearest.alone_at": seen.where[k], "nearest.others": 1.0}  # fmt: skip
    if problem.held is not None and len(problem.held[1]) >= 20:
        column = _filled(numeric(problem.held[0])[0][:, [k]])
        facts["held.alone"] = float(_alone(column, problem.held[1], by_class)[0])
    if alone[k] > 0.97 and columns.shape[1] > 1:
        forest: Any = ExtraTreesClassifier if by_class else ExtraTreesRegressor
        rest = np.delete(columns, k, axis=1)
        guess: Any = cross_val_predict(forest(20, random_state=0), rest, y,
                                       cv=PredefinedSplit(folds(y, 3)))  # fmt: skip
        facts["nearest.others"] = _score(guess, y, by_class)
    return facts


def _alone(columns: Array, y: Array, by_class: bool) -> Array:
    """Return how well rows are told by those next to them, column by column."""
    along = y[columns.argsort(axis=0, kind="stable")]
    if by_class:  # but for the borders between the classes
        borders = (along[1:] != along[:-1]).sum(axis=0) + 1 - len(np.unique(y))
        return 1 - borders / len(y)
    return np.array([_score((a[2:] + a[:-2]) / 2, a[1:-1], False) for a in along.T])


def _score(guess: Array, y: Array, by_class: bool) -> float:
    if by_class:
        return accuracy(y, guess)
    return r2(y, guess) if (y != y[:1]).any() else 0.0


# ---------------------------------------------------------------------------- held


def facts_of_held(problem: Problem, seen: Sample, facts: Facts) -> dict[str, Any]:
    """Compare the rows held out with the others.

    Their neighbors are asked only where those of the others, in `facts`, contradict.
    """
    assert problem.held is not None
    assert seen.inputs is not None
    held, y = held_inputs(problem, seen)
    own = seen.inputs
    mean, std = own.mean(axis=0), own.std(axis=0)
    varied = std > 0
    if not varied.any() or not np.isfinite(held).all():
        return {}
    std = std[varied]
    shift = np.abs(held.mean(axis=0) - mean)[varied] / std
    # A mean of few rows wanders by itself.
    shift = np.maximum(shift - 3 / np.sqrt(len(held)), 0)
    with np.errstate(divide="ignore"):
        stretch = np.abs(np.log(held.std(axis=0)[varied] / std))
    all_rows = {row.tobytes() for row in np.ascontiguousarray(_bare(problem.X))}
    held_rows = _bare(problem.held[0])
    shared = np.mean(
        [row.tobytes() in all_rows for row in np.ascontiguousarray(held_rows)]
    )
    n = problem.X.shape[0]
    found = {
        "held.rows": len(problem.held[1]),
        "held.shifted": float((shift > 0.5).mean()),
        "held.stretched": float((stretch > np.log(3)).mean()),
        "held.shared": float(shared),
        "held.repeated": float(1 - (len(all_rows) - 1) / max(n - 1, 1)),
    }
    by_chance = facts.get("nearest.score", 1.0) <= facts.get("nearest.chance", 0.0)
    contradict = facts.get("labels.disagree", 0.0) > _CONTRADICT or by_chance
    if len(y) >= 40 and y.ndim == 1 and contradict:
        found |= _held_agreement(problem, held, y)
    if problem.labels is not None and problem.y.ndim == 1:
        found |= _rarer(problem.y, y.astype(int), len(problem.labels))
    return found


def _rarer(ours: Array, theirs: Array, k: int) -> dict[str, Any]:
    """Measure how much rarer than held out a class is, and by how many errors."""
    counts = np.array([np.bincount(y, minlength=k) for y in (ours, theirs)])
    n = np.array([[len(ours)], [len(theirs)]])
    (own, held), both = counts / n, counts.sum(axis=0) / n.sum()
    times = held / np.maximum(own, 1e-9)
    rarest = int(times.argmax())
    error = np.sqrt((both * (1 - both))[rarest] * (1 / n).sum())
    apart = (held - own)[rarest] / max(error, 1e-9)
    return {"held.rarer": float(times[rarest]), "held.rarer_errors": float(apart)}


def _held_agreement(problem: Problem, held: Array, y: Array) -> dict[str, Any]:
    held, y = held[:_AT_ONCE], y[:_AT_ONCE]
    close = _neighbors(standardized(held), _NEIGHBORS)
    score, chance = _told(problem, y, close, seed=6)
    return {"held.agreement": score, "held.chance": chance}


def _bare(X: Any) -> Array:
    return np.ascontiguousarray(numeric(X)[0])
