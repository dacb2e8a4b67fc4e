"""Remedies: the changes that a finding prescribes, to a problem and to an estimator."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from thalweg.core import Array, Dense, DenseNetwork, Network, Plan, Run
from thalweg.diagnosis.keras_reader import treated_keras
from thalweg.diagnosis.problem import Problem, dense, numbered, repair
from thalweg.diagnosis.readers import OURS, THEIRS, Trainee, as_ours, pipeline_parts
from thalweg.estimators import Classifier, KerasClassifier, KerasRegressor, Regressor

# ------------------------------------------------------------------------ changes


def changed(problem: Problem, changes: Mapping[str, Any]) -> Problem:
    """Apply a prescription's changes to a case.

    Keys are fields of `Plan`, and ``hidden`` (widths), ``activation``, ``init``,
    ``batch_norm``, ``dropout``, ``output_activation``, ``frozen``, ``class_weight``,
    ``validation``, ``scale_target``, ``target`` ("numbers" or "classes"); the steps
    ``scale``, ``mask``, ``clip``, ``impute`` and ``drop``; and of the rows ``roll``,
    ``leave_out`` ("doubtful" for those whose neighbors contradict their label) and
    ``match_held``.
    """
    for name, value in changes.items():
        if name == "measured_as":
            continue  # of the scoring
        problem = _CHANGES.get(name, _change_plan)(problem, name, value)
    return problem


def _change_plan(problem: Problem, name: str, value: Any) -> Problem:
    return replace(problem, plan=Plan.of(problem.plan, **{name: value}))


def _change_case(problem: Problem, name: str, value: Any) -> Problem:
    if name == "validation" and problem.plan.optimizer.label == "lbfgs":
        raise ValueError("With lbfgs, scikit-learn's estimators hold no rows out.")
    return replace(problem, **{_FIELDS.get(name, name): value})


def _change_hidden(problem: Problem, name: str, value: Any) -> Problem:
    """Change the hidden layers; the widths come as one number a layer."""
    if not isinstance(problem.network, DenseNetwork):
        raise ValueError(f"{name} is no setting of {type(problem.subject).__name__}.")
    *hidden, output = problem.network.layers
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
        output = replace(output, **fields) if name in _OF_ALL else output
    if name == "frozen":
        problem = replace(problem, plan=Plan.of(problem.plan, layer_rates=None))
    return replace(problem, network=replace(problem.network, layers=(*hidden, output)))


def _change_target(problem: Problem, name: str, value: Any) -> Problem:
    """Learn numbers in place of classes, or the other way round."""
    *hidden, output = problem.network.layers
    if value == "numbers":
        assert problem.labels is not None
        values = problem.labels.astype(float)
        y, labels, n, loss = values[problem.y], None, 1, "squared"
        held = problem.held and (problem.held[0], values[problem.held[1]])
    else:
        labels, y, held = numbered(problem.y, problem.held)
        n, loss = len(labels), "cross_entropy"
    output = replace(output, units=n, activation="identity", init="auto")
    network = replace(problem.network, layers=(*hidden, output))
    plan = Plan.of(problem.plan, loss=loss)
    return replace(
        problem, y=y, labels=labels, held=held, network=network, plan=plan,
        scales_target=value == "numbers",
    )  # fmt: skip


def _change_step(problem: Problem, name: str, value: Any) -> Problem:
    if name != "scale":
        return replace(problem, repairs=joined(problem.repairs, {name: value}))
    sparse = hasattr(problem.transformed()[0], "toarray")  # to be kept so
    return replace(
        problem, steps=(*problem.steps, StandardScaler(with_mean=not sparse))
    )


def _change_rows(problem: Problem, name: str, value: Any) -> Problem:
    if name == "roll":
        return replace(problem, y=np.roll(problem.y, value, axis=0))
    if name == "match_held":
        assert problem.held is not None
        return replace(
            problem, held=(matched(problem.held[0], problem.X), problem.held[1])
        )
    value = doubtful(problem) if isinstance(value, str) else value
    return problem.rows(np.setdiff1d(np.arange(len(problem.y)), value))


def matched(X: Any, like: Any) -> Any:
    """Give each column of numbers the center and spread that it has in other rows."""
    if hasattr(X, "iloc"):
        kept = [name for name in X.columns if X[name].dtype.kind in "fiu"]
        new = matched(X[kept].to_numpy(float), like[kept].to_numpy(float))
        return X.assign(**dict(zip(kept, new.T, strict=True)))
    like, spread = dense(like), X.std(axis=0)
    scaled = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return scaled * like.std(axis=0) + like.mean(axis=0)


def doubtful(problem: Problem) -> Array:
    """Find the rows that most of their 15 neighbors contradict: Wilson (1972).

    All are asked, and then, again about all, those that were not contradicted.
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


def joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Put changes together; of one name the later holds, but columns add up."""
    both = {**first, **second}
    if "drop" in first and "drop" in second:
        both["drop"] = tuple(sorted({*first["drop"], *second["drop"]}))
    if "mask" in first and "mask" in second:
        both["mask"] = {**first["mask"], **second["mask"]}
    return both


def random_change(problem: Problem, seed: int) -> dict[str, Any]:
    """Return one change of the usual kind, chosen by chance alone."""
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
_OF_ALL = ("init", "frozen")  # what the output layer changes too
_FIELDS = {"scale_target": "scales_target"}
_CHANGES: dict[str, Any] = {
    **dict.fromkeys(("class_weight", "validation", "scale_target"), _change_case),
    **dict.fromkeys(
        ("hidden", "activation", "init", "batch_norm", "dropout", "frozen",
         "output_activation"), _change_hidden),
    **dict.fromkeys(("scale", "impute", "drop", "mask"), _change_step),
    **dict.fromkeys(("roll", "leave_out", "match_held"), _change_rows),
    "target": _change_target,
}  # fmt: skip
STEPS = ("scale", "impute", "drop", "mask")
ROWS = ("roll", "leave_out", "match_held")


# ------------------------------------------------------------------------ treating

_MLP_NAMES = {
    "learning_rate": "learning_rate_init",
    "epochs": "max_iter",
    "l2": "alpha",
    "hidden": "hidden_layer_sizes",
    "optimizer": "solver",
    "patience": "n_iter_no_change",
}
_TABLE_NAMES = {"epochs": "max_epochs", "hidden": "hidden_layer_sizes"}


def treated(problem: Problem, changes: Sequence[Mapping[str, Any]]) -> tuple[Any, Any]:
    """Apply changes to a copy of what the user gave; return it and the difference.

    Steps that prepare the inputs come before the estimator in a Pipeline. What
    concerns the rows (``roll``, ``leave_out``) is told in the difference, for the user
    to do before fitting.
    """
    merged = reduce(joined, changes, {})
    subject = problem.subject
    before, last = pipeline_parts(subject)
    settings = {k: v for k, v in merged.items() if k not in (*STEPS, *ROWS)}
    scaled_target = settings.pop("scale_target", False)
    new, difference = _treated_last(problem, last, settings)
    prepared = changed(problem, {k: v for k, v in merged.items() if k in STEPS})
    front = [repair(problem.X, prepared.repairs)] if prepared.repairs else []
    steps = [*front, *map(clone, before), *prepared.steps[len(problem.steps) :]]
    difference |= {k: v for k, v in merged.items() if k in (*STEPS, *ROWS)}
    if isinstance(merged.get("leave_out"), str):
        difference["leave_out"] = doubtful(prepared)
    if scaled_target:
        difference["scale_target"] = True
        if new is not None:
            new = TransformedTargetRegressor(new, transformer=StandardScaler())
    if new is None:
        return make_pipeline(*steps or ["passthrough"]), difference
    return (make_pipeline(*steps, new) if steps else new), difference


def _treated_last(problem: Problem, last: Any, settings: dict[str, Any]) -> Any:
    if last is None:
        return None, dict(settings)
    if hasattr(last, "estimator") and hasattr(last, "n_members"):
        member, difference = _treated_last(problem, last.estimator, settings)
        ensemble: Any = clone(last)
        return ensemble.set_params(estimator=member), difference
    if isinstance(last, KerasClassifier | KerasRegressor):
        return treated_keras(last, settings), dict(settings)
    if isinstance(last, Run | DenseNetwork | Network | Trainee):
        new = changed(problem, settings)
        own = new.network, new.plan, new.validation, new.class_weight
        return Trainee(*own), dict(settings)
    if isinstance(last, Classifier | Regressor):
        return _set(clone(last), _TABLE_NAMES, settings)
    return _treated_mlp(last, settings)


def _treated_mlp(last: Any, settings: dict[str, Any]) -> Any:
    difference: dict[str, Any] = {}
    if "target" in settings:
        kind = OURS[settings.pop("target") == "numbers"]
        kept = {k: v for k, v in last.get_params().items()
                if k in kind().get_params() and k != "loss"}  # fmt: skip
        last, difference["estimator"] = kind(**kept), f"thalweg.{kind.__name__}"
    if settings.pop("shuffle", None):
        settings["shuffle"] = True
    known = last.get_params()
    missing = [k for k in settings if _MLP_NAMES.get(k, k) not in known]
    for theirs, ours in THEIRS.items():
        if missing and isinstance(last, theirs) and not isinstance(last, OURS):
            last = as_ours(clone(last), ours)
            difference["estimator"] = f"thalweg.{ours.__name__}"
    new, more = _set(clone(last), _MLP_NAMES, settings)
    return new, {**difference, **more}


def _set(new: Any, names: Mapping[str, str], settings: Mapping[str, Any]) -> Any:
    """Set parameters by the estimator's names; what it lacks is told, not done."""
    own = {names.get(k, k): v for k, v in settings.items()}
    if "validation" in own:
        share = own.pop("validation")
        own |= {"early_stopping": True, "validation_fraction": share}
    known = new.get_params()
    new.set_params(**{k: v for k, v in own.items() if k in known})
    return new, own
