"""Embeddings of input columns, one row and one column after the other, and back.

Written from the formulas in the docstring of `thalweg.core.embeddings`, with the chain
rule spelled out.
"""

import numpy as np

from thalweg.core.embeddings import Embedding
from thalweg.core.networks import DenseNetwork
from thalweg.core.types import Array

Own = dict[str, Array]


def embed(network: DenseNetwork, own: Own, X: Array, codes: Array) -> Array:
    """What the first layer reads; `codes` are the inputs without noise."""
    columns = [X[:, [j]] for j in range(network.n_inputs) if not _kind(network, j)]
    for number, each in enumerate(network.embedding):
        for place, j in enumerate(each.columns):
            part = _of_column(each, place, _own(own, number))
            rows = codes if each.kind.name == "categories" else X
            columns.append(np.array([_forward(each, part, x) for x in rows[:, j]]))
    return np.hstack(columns)


def embed_back(
    network: DenseNetwork, own: Own, X: Array, codes: Array, slope: Array
) -> Own:
    """Gradient by the parameters, from `slope` by what the first layer reads."""
    gradient: Own = {}
    at = network.n_inputs - sum(len(each.columns) for each in network.embedding)
    for number, each in enumerate(network.embedding):
        found = [_of_column(each, place, _own(own, number))
                 for place in range(len(each.columns))]  # fmt: skip
        slopes = [
            {name: np.zeros_like(v) for name, v in part.items()} for part in found
        ]
        rows = codes if each.kind.name == "categories" else X
        for j, part, to in zip(each.columns, found, slopes, strict=True):
            for x, by_row in zip(
                rows[:, j], slope[:, at : at + each.units], strict=True
            ):
                _backward(each, part, x, by_row, to)
            at += each.units
        for name in slopes[0]:
            joined = np.concatenate([to[name] for to in slopes])
            gradient[f"embedding_{number}_{name}"] = joined
    return gradient


def _kind(network: DenseNetwork, column: int) -> bool:
    return any(column in each.columns for each in network.embedding)


def _own(own: Own, number: int) -> Own:
    start = f"embedding_{number}_"
    return {k.removeprefix(start): v for k, v in own.items() if k.startswith(start)}


def _of_column(each: Embedding, place: int, own: Own) -> Own:
    """The parameters of one of the columns: an equal part of each array."""
    n = len(each.columns)
    return {name: np.split(value, n)[place] for name, value in own.items()}


def _row(each: Embedding, x: float) -> int:
    levels = int(each.kind["levels"] or 0)
    return int(x) if x in range(levels) else levels


def _pieces(own: Own) -> tuple[Array, Array]:
    widths = np.exp(own["log_widths"])
    ends = own["starts"] + np.cumsum(widths)
    return np.concatenate([own["starts"], ends[:-1]]), widths


def _features(each: Embedding, own: Own, x: float) -> Array:
    if each.kind.name == "periodic":
        angles = 2 * np.pi * own["frequencies"] * x
        return np.concatenate([np.sin(angles), np.cos(angles)])
    starts, widths = _pieces(own)
    shares = (x - starts) / widths
    shares[1:] = np.maximum(shares[1:], 0)
    shares[:-1] = np.minimum(shares[:-1], 1)
    return shares


def _forward(each: Embedding, own: Own, x: float) -> Array:
    if each.kind.name == "categories":
        return own["weights"][_row(each, x)]
    z = _features(each, own, x) @ own["weights"] + own["bias"]
    return np.maximum(z, 0) if each.kind.name == "periodic" else z


def _backward(each: Embedding, own: Own, x: float, slope: Array, to: Own) -> None:
    """Add what one row gives to the gradient of one column's parameters."""
    if each.kind.name == "categories":
        to["weights"][_row(each, x)] += slope
        return
    features = _features(each, own, x)
    if each.kind.name == "periodic":
        slope = slope * (features @ own["weights"] + own["bias"] > 0)
    to["weights"] += np.outer(features, slope)
    to["bias"] += slope
    by_features = own["weights"] @ slope
    if each.kind.name == "periodic":
        k = len(own["frequencies"])
        by_sin, by_cos = by_features[:k], by_features[k:]
        sin, cos = features[:k], features[k:]
        to["frequencies"] += 2 * np.pi * x * (by_sin * cos - by_cos * sin)
        return
    starts, widths = _pieces(own)
    inside = (x - starts) / widths == features  # where nothing was cut off
    by_features = by_features * inside
    # (x - s)/w: by s it is -1/w, by log w it is -(x - s)/w; a later start moves with
    # each width before it.
    by_starts = -by_features / widths
    to["starts"] += by_starts.sum()
    later = by_starts[::-1].cumsum()[::-1] - by_starts
    to["log_widths"] += -by_features * features + later * widths
