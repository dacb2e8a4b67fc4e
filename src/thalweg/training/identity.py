"""What a training is of, so that a checkpoint of another one is refused.

An identity is plain values: the network, the plans, the engine, and of the data their
shapes and a checksum. Two are compared part by part, and each difference is a sentence.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from thalweg import engines
from thalweg.core import Array, Data, DenseNetwork, Network, Plan, each_array
from thalweg.training.checkpoint import Part

_BY_TOTAL = ("linear", "cosine", "one_cycle")
"""Schedules that depend on how many epochs there are."""

_MAY_GROW = ("epochs", "max_time")


def identify(
    part: Part,
    network: DenseNetwork | Network,
    plans: Sequence[Plan],
    data: Data | Mapping[str, Any],
    held_out: Data | None,
    first: Any,
    engine: str,
    warm: bool = False,
) -> None:
    """Say what is trained in a part of a checkpoint, and on which data.

    Parameters
    ----------
    part : Part
    network : DenseNetwork or Network
    plans : sequence of Plan
        One a phase.
    data : Data or mapping
        The rows to train on, or a description of a stream.
    held_out : Data or None
    first
        The initial parameters.
    engine : {"auto", "native", "jax"}
    warm : bool
        Whether the user gave the initial parameters, which must then be the same.

    Raises
    ------
    ValueError
        If the file is of something else; it names the first differences.
    """
    trainer, _ = engines.pick(engine, network, plans[0])
    mine = {
        "network": _network(network),
        "plans": [_plan(plan) for plan in plans],
        "data": describe_rows(data) if isinstance(data, Data) else dict(data),
        "validation": None if held_out is None else describe_rows(held_out),
        "engine": trainer.name,
        "parameters": checksum(trainer.flatten(first)) if warm else None,
    }
    told = [] if part.found is None else differences(mine, part.found["identity"])
    if told:
        raise part.refusal("; ".join(told))
    part.context["identity"] = mine


def describe_rows(data: Data) -> dict[str, Any]:
    """Describe rows: how many, of which shapes, and a checksum of each array."""
    found: dict[str, Any] = {"rows": data.n_rows}
    for name in ("X", "y", "weights"):
        leaves: list[Any] = []
        each_array(leaves.append, getattr(data, name))
        parts = [part for leaf in leaves for part in _arrays(leaf)]
        found[name] = {
            "shapes": [list(leaf.shape) for leaf in leaves],
            "dtypes": [str(part.dtype) for part in parts],
            "checksum": checksum(parts),
        }
    return found


def _arrays(leaf: Any) -> list[Array]:
    """List the arrays that hold rows, which may be sparse or compact."""
    if isinstance(leaf, np.ndarray):
        return [leaf]
    names = ("data", "values", "indices", "indptr", "codes")
    found = [getattr(leaf, name, None) for name in names]
    return [each for each in found if isinstance(each, np.ndarray)]


def checksum(arrays: Sequence[Array]) -> int:
    """Return a checksum of the bytes of arrays, in their order."""
    found = 0
    for array in arrays:
        plain = np.ascontiguousarray(array)
        if plain.size:
            found = zlib.crc32(plain.reshape(-1).view(np.uint8).data, found)
    return found


def differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return what two identities differ in, as clauses for a message; at most three.

    More epochs or more time are none, if nothing else depends on their number.
    """
    told: list[str] = []
    if mine["network"] != theirs["network"]:
        told.append(f"it is of another network ({_networks(mine, theirs)})")
    told += _plans(mine["plans"], theirs["plans"])
    for name, said in (("data", "the data"), ("validation", "the validation data")):
        if mine[name] != theirs[name]:
            told.append(f"{said} are others ({_rows(mine[name], theirs[name])})")
    if mine["engine"] != theirs["engine"]:
        told.append(f"engine is {mine['engine']!r} and was {theirs['engine']!r}")
    if mine["parameters"] != theirs["parameters"]:
        told.append("the initial weights are others")
    return told[:3]


def _network(network: Any) -> Any:
    if isinstance(network, DenseNetwork):
        return network.to_json()
    return {"own": True}


def _networks(mine: Any, theirs: Any) -> str:
    mine, theirs = mine["network"], theirs["network"]
    if "layers" not in mine or "layers" not in theirs:
        return "one of the two is a DenseNetwork"
    widths = [
        [each["n_inputs"], *(layer["units"] for layer in each["layers"])]
        for each in (mine, theirs)
    ]
    if widths[0] != widths[1]:
        return f"widths {widths[0]}, and {widths[1]} there"
    for number, (one, other) in enumerate(
        zip(mine["layers"], theirs["layers"], strict=True)
    ):
        for name, value in one.items():
            if other.get(name) != value:
                return f"{name} of layer {number} is {value!r}, not {other.get(name)!r}"
    names = [name for name in mine if mine[name] != theirs.get(name)]
    return f"{names[0]} is {mine[names[0]]!r}, not {theirs.get(names[0])!r}"


def _plan(plan: Plan) -> dict[str, Any]:
    return {each.name: _plain(getattr(plan, each.name)) for each in fields(plan)}


def _plain(value: Any) -> Any:
    """Return a value of a plan as JSON holds it; of a function, its name."""
    if hasattr(value, "constants"):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _plans(mine: list[Any], theirs: list[Any]) -> list[str]:
    if len(mine) != len(theirs):
        return [f"the plan has {len(mine)} phases and had {len(theirs)}"]
    told = []
    for number, (one, other) in enumerate(zip(mine, theirs, strict=True)):
        where = f" in phase {number}" if len(mine) > 1 else ""
        for name, value in one.items():
            before = other.get(name)
            if value == before or _grows(name, one, other):
                continue
            told.append(f"{name} is {value!r}{where}, and was {before!r} there")
    return told


def _grows(name: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether a plan only goes on for longer."""
    if name not in _MAY_GROW or theirs[name] is None:
        return False
    if mine[name] is not None and mine[name] < theirs[name]:
        return False
    scheduled = str(mine["schedule"]).split(" ")[0] in _BY_TOTAL
    averaged = str(mine["average"]).startswith("polyak")
    return name == "max_time" or not (scheduled or averaged)


def _rows(mine: Any, theirs: Any) -> str:
    """Say the first thing that two descriptions of rows differ in."""
    if mine is None or theirs is None:
        return "there are some" if theirs is None else "there were some"
    for name in [*mine, *theirs]:
        one, other = mine.get(name), theirs.get(name)
        if one == other:
            continue
        if not isinstance(one, dict) or not isinstance(other, dict):
            return f"{name}: {one}, and {other} there"
        if "rows" in one and "rows" in other:
            return f"{name}: {_rows(one, other)}"
        for key, label in (("shapes", "shape"), ("dtypes", "type")):
            if one.get(key) != other.get(key):
                return f"{name} has {label} {one.get(key)}, and had {other.get(key)}"
        return f"{name} has other values"
    return "other values"
