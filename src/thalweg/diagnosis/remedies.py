"""Remedies: the changes of a prescription, applied to a `Problem`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from thalweg.core import Array, Dense, DenseNetwork, Plan
from thalweg.diagnosis.problem import Problem, ValidationData, dense, numbered


def apply_changes(problem: Problem, changes: Mapping[str, Any]) -> Problem:
    """Apply a prescription's changes to a problem.

    Parameters
    ----------
    problem : Problem
    changes : mapping of str to object
        Fields of `Plan`, and these:

        - of the network: ``hidden`` (widths), ``activation``, ``init``,
          ``batch_norm``, ``dropout``, ``output_activation``, ``frozen``;
        - of the training: ``class_weight``, ``validation``, ``scale_target``,
          ``target`` ("numbers" or "classes");
        - of the columns: ``scale``, ``mask``, ``impute`` and ``drop``;
        - of the rows: ``roll``, ``leave_out`` (positions, or "contradicted" for the
          rows of `contradicted_rows`) and ``match_held``.

        ``measured_as`` concerns only the score, and changes nothing here.

    Raises
    ------
    ValueError
        If the problem's network or plan does not allow a change.
    """
    for name, value in changes.items():
        if name != "measured_as":
            problem = _CHANGES.get(name, _change_plan)(problem, name, value)
    return problem


def _change_plan(problem: Problem, name: str, value: Any) -> Problem:
    return replace(problem, plan=Plan.of(problem.plan, **{name: value}))


def _change_training(problem: Problem, name: str, value: Any) -> Problem:
    if name == "validation" and problem.plan.optimizer.label == "lbfgs":
        raise ValueError(
            "With solver='lbfgs', scikit-learn's estimators use no validation data."
        )
    return replace(problem, **{_FIELDS.get(name, name): value})


def _change_hidden(problem: Problem, name: str, value: Any) -> Problem:
    """Change the hidden layers; their widths are one number per layer."""
    *hidden, output = _dense_layers(problem, name)
    if name == "hidden":
        like = hidden[0] if hidden else Dense(1, "relu")
        hidden = [replace(hidden[min(k, len(hidden) - 1)] if hidden else like,
                          units=width, residual=0, shares=None)
                  for k, width in enumerate(value)]  # fmt: skip
    elif name == "output_activation":
        output = replace(output, activation=value)
    else:
        fields = {
            "init": {"init": value, "bias_init": "zeros"},
            "batch_norm": {"normalization": "batch" if value else "none"},
        }.get(name, {name: value})
        hidden = [replace(d, **fields) for d in hidden]
        output = replace(output, **fields) if name in _OF_ALL_LAYERS else output
    if name == "frozen":
        problem = replace(problem, plan=Plan.of(problem.plan, layer_rates=None))
    return replace(problem, network=replace(problem.network, layers=(*hidden, output)))


def _dense_layers(problem: Problem, name: str) -> tuple[Dense, ...]:
    """Return the layers that a change of this name changes."""
    if not isinstance(problem.network, DenseNetwork):
        raise ValueError(
            f"{type(problem.subject).__name__} has no setting {name!r}: only a network "
            "of dense layers has it."
        )
    return problem.network.layers


def _change_target(problem: Problem, name: str, value: Any) -> Problem:
    """Learn numbers instead of classes, or classes instead of numbers."""
    *hidden, output = _dense_layers(problem, name)
    if value == "numbers":
        assert problem.labels is not None
        values = problem.labels.astype(float)
        y, labels, n, loss = values[problem.y], None, 1, "squared"
        held = problem.validation_data
        held = held and ValidationData(held.X, values[held.y])
    else:
        labels, y, held = numbered(problem.y, problem.validation_data)
        n, loss = len(labels), "cross_entropy"
    output = replace(output, units=n, activation="identity", init="auto")
    network = replace(problem.network, layers=(*hidden, output))
    plan = Plan.of(problem.plan, loss=loss)
    return replace(
        problem, y=y, labels=labels, validation_data=held, network=network, plan=plan,
        scales_target=value == "numbers",
    )  # fmt: skip


def _change_step(problem: Problem, name: str, value: Any) -> Problem:
    if name != "scale":
        return replace(problem, repairs=merge_changes(problem.repairs, {name: value}))
    sparse = hasattr(problem.transformed()[0], "toarray")  # to be kept so
    return replace(
        problem, steps=(*problem.steps, StandardScaler(with_mean=not sparse))
    )


def _change_rows(problem: Problem, name: str, value: Any) -> Problem:
    if name == "roll":
        return replace(problem, y=np.roll(problem.y, value, axis=0))
    if name == "match_held":
        held = problem.validation_data
        assert held is not None
        matched = ValidationData(match_columns(held.X, problem.X), held.y)
        return replace(problem, validation_data=matched)
    value = contradicted_rows(problem) if isinstance(value, str) else value
    return problem.rows(np.setdiff1d(np.arange(len(problem.y)), value))


def match_columns(X: Any, like: Any) -> Any:
    """Give each column of numbers the mean and standard deviation of other rows."""
    if hasattr(X, "iloc"):
        kept = [name for name in X.columns if X[name].dtype.kind in "fiu"]
        new = match_columns(X[kept].to_numpy(float), like[kept].to_numpy(float))
        return X.assign(**dict(zip(kept, new.T, strict=True)))
    like, spread = dense(like), X.std(axis=0)
    scaled = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return scaled * like.std(axis=0) + like.mean(axis=0)


def contradicted_rows(problem: Problem) -> Array:
    """Find the rows whose label most of their 15 neighbors contradict: Wilson (1972).

    The second time only rows that were not contradicted the first time are neighbors.
    """
    if problem.labels is None or problem.y.ndim > 1:
        return np.zeros(0, int)
    points = StandardScaler().fit_transform(problem.prepared()[0])
    every, labels = np.arange(len(points)), np.eye(len(problem.labels))[problem.y]
    wrong = every[:0]
    for _ in range(2):
        asked = np.setdiff1d(every, wrong)
        near: Any = NearestNeighbors(n_neighbors=min(_NEIGHBORS + 1, len(asked)))
        close = asked[near.fit(points[asked]).kneighbors(points)[1]]
        votes = labels[close] * (close != every[:, None])[..., None]
        wrong = np.flatnonzero(votes.sum(axis=1).argmax(axis=1) != problem.y)
        if len(wrong) == len(every):
            break
    return wrong


def merge_changes(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> dict[str, Any]:
    """Merge changes: the later value of a name counts, but columns add up."""
    both = {**first, **second}
    if "drop" in first and "drop" in second:
        both["drop"] = tuple(sorted({*first["drop"], *second["drop"]}))
    if "mask" in first and "mask" in second:
        both["mask"] = {**first["mask"], **second["mask"]}
    return both


def random_change(problem: Problem, seed: int) -> dict[str, Any]:
    """Return one change of the usual kind, chosen at random."""
    rng = np.random.RandomState(1000 + seed)
    layers = getattr(problem.network, "layers", ())
    widths = [layer.units for layer in layers[:-1]]
    factor = float(rng.choice([1 / 3, 3]))
    pool: list[dict[str, Any]] = [{"l2": (problem.plan.l2 or 1e-4) * factor**2}]
    if widths:
        wide = tuple(max(int(w * factor), 1) for w in widths)
        pool += [{"hidden": wide}, {"activation": str(rng.choice(["tanh", "elu"]))}]
    if problem.plan.first_order:
        pool.append({"learning_rate": problem.plan.rate * factor})
        pool.append({"batch_size": int(rng.choice([16, 64, 256]))})
    return pool[rng.randint(len(pool))]


_NEIGHBORS = 15
_OF_ALL_LAYERS = ("init", "frozen")
"""Changes that the output layer takes too."""
_FIELDS = {"scale_target": "scales_target"}
"""Fields of `Problem` that have another name than the change."""
_CHANGES: dict[str, Any] = {
    **dict.fromkeys(("class_weight", "validation", "scale_target"), _change_training),
    **dict.fromkeys(
        ("hidden", "activation", "init", "batch_norm", "dropout", "frozen",
         "output_activation"), _change_hidden),
    **dict.fromkeys(("scale", "impute", "drop", "mask"), _change_step),
    **dict.fromkeys(("roll", "leave_out", "match_held"), _change_rows),
    "target": _change_target,
}  # fmt: skip
STEPS = ("scale", "impute", "drop", "mask")
ROWS = ("roll", "leave_out", "match_held")
