"""Which engine trains a network, and why.

Engines never know each other, and nothing above them knows which one ran: they are
objects with one contract, `Engine`. JAX is loaded when a network needs it.
"""

import importlib
import importlib.util
from typing import Any

from thalweg.core import Data, DenseNetwork, Network, Plan, find
from thalweg.engines.base import BatchLoss as BatchLoss
from thalweg.engines.base import CurvedObjective as CurvedObjective
from thalweg.engines.base import Engine as Engine
from thalweg.engines.base import Evaluator as Evaluator
from thalweg.engines.base import Objective as Objective
from thalweg.engines.base import Session as Session
from thalweg.engines.base import StopRule as StopRule
from thalweg.engines.base import TrainedLeaves as TrainedLeaves
from thalweg.lazy_imports import importing

ENGINES = ("native", "jax")
"""Engines by name, in the order in which ``auto`` tries them."""

GPU_WORK = 3e8
"""Operations of a step from which ``auto`` takes a GPU where one is.

An estimate, not measured on one: XLA launches some fifty small kernels a step, of 5 to
10 µs each, and in that half a millisecond two cores of a CPU do 1e8 operations; three
times that leaves room for what is wrong in it.
"""


def load(name: str) -> Engine:
    """Return the engine of a name."""
    with importing():
        return importlib.import_module(f"thalweg.engines.{name}").ENGINE


def pick(
    engine: str, network: DenseNetwork | Network, plan: Plan, rows: int = 0
) -> tuple[Engine, str]:
    """Return the engine, and which one it is and why.

    Parameters
    ----------
    engine : {"auto", "native", "jax"}
    network : DenseNetwork or Network
    plan : Plan
    rows : int
        Rows of one step of training; from enough of them ``auto`` takes a GPU.

    Raises
    ------
    ValueError
        For an unknown engine, or a named one that cannot run this.
    """
    find("engine", engine, dict.fromkeys(("auto", *ENGINES), ""), owner="fit")
    gain = _gpu_gain(network, rows) if engine == "auto" else ""
    refusals = []
    for name in ("jax",) if gain else ENGINES if engine == "auto" else (engine,):
        found = load(name)
        refusal = found.refusal(network, plan)
        if not refusal:
            chosen = gain or ("asked for" if engine == name else "default")
            return found, f"{name} ({'; '.join(refusals) or chosen})"
        refusals.append(f"{name} cannot: {refusal}")
    raise ValueError(
        f"no engine can run this: {'; '.join(refusals)}. Change what is named, or "
        "leave engine='auto'."
    )


def curved_objective(
    network: DenseNetwork | Network, plan: Plan, data: Data
) -> CurvedObjective:
    """Return the objective with exact second derivatives, which only JAX has."""
    objective: Any = load("jax").objective(network, plan, data)
    return objective


def trains_as_one(
    engine: str, network: DenseNetwork | Network, plan: Plan, rows: int
) -> str:
    """Say why many networks of one kind are trained as one program; empty if not.

    Parameters
    ----------
    engine, network, plan
        As for `pick`.
    rows : int
        Rows of one step of all networks together.
    """
    _, why = pick(engine, network, plan, rows)
    gains = engine == "jax" or (engine == "auto" and _gpu_gain(network, rows))
    return why if gains and isinstance(network, DenseNetwork) else ""


def population() -> Any:
    """Return the module that trains many networks of one kind as one program."""
    return importlib.import_module("thalweg.engines.jax.vmapped")


def autodiff() -> Any:
    """Return the module that derives a user's own function by JAX."""
    return importlib.import_module("thalweg.engines.jax.autodiff")


def multihost() -> Any:
    """Return the module that trains one network over several processes."""
    return importlib.import_module("thalweg.engines.jax.multihost")


def on_gpu() -> bool:
    """Whether JAX computes on a GPU here; without a plugin it is not even loaded."""
    if importlib.util.find_spec("jax_plugins") is None:
        return False
    engine: Any = load("jax")
    return engine.on_gpu()


def _gpu_gain(network: DenseNetwork | Network, rows: int) -> str:
    """Say why a GPU gains; empty where there is none, or a step is too small for it.

    A multiplication and an addition for each parameter and row, forward and twice
    backward.
    """
    if isinstance(network, Network):
        return ""  # which JAX trains in any case
    work = 6.0 * network.n_parameters * rows
    if work < GPU_WORK or not on_gpu():
        return ""
    return f"on the GPU: a step of {work:.1g} operations gains by it"
