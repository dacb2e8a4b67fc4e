"""Which engine trains a network, and what every engine offers.

An engine is a module with these names:

``covers(network, plan) -> str``
    Empty if it can run them; otherwise why not, as half a sentence.
``Session(network, plan, data, parameters, seed, state, validation)``
    One network in training (see `Session`); `state` is None, or what another session's
    ``state()`` gave, to go on from there.
``outputs(network, parameters, X) -> ndarray``
    Raw outputs, in chunks of rows, without dropout, noise or batch statistics.
``activations(network, parameters, X) -> list of ndarray``
    The same for every layer's output.
``row_losses(plan, outputs, y) -> ndarray``
    Loss of each row, without penalties.
``judge(network, plan, data) -> callable``
    Returns both for the data's rows, given parameters: described once, used often.
``Objective(network, plan, data)``
    The plan's objective on all rows at once (see `Objective`).
``cost_and_gradient(network, plan, parameters, data) -> (float, parameters)``
    The same for one call.
``steady()``
    Context manager around many calls of an objective.

Engines never know each other, and nothing above them knows which one ran.
"""

import importlib
import importlib.util
from types import ModuleType

from thalweg.core import DenseNetwork, Network, Plan, find
from thalweg.engines.base import Objective as Objective
from thalweg.engines.base import Session as Session

ENGINES = {
    "native": "thalweg.engines.native.engine",
    "jax": "thalweg.engines.jax.engine",
}
"""Engines by name, in the order in which ``auto`` tries them."""

GPU_WORK = 3e8
"""Operations of a step from which ``auto`` takes a GPU where one is.

An estimate, not measured on one: XLA launches some fifty small kernels a step, of 5 to
10 µs each, and in that half a millisecond two cores of a CPU do 1e8 operations; three
times that leaves room for what is wrong in it.
"""


def on_jax() -> ModuleType:
    """Return the engine that knows every network, and knows `Network` alone."""
    return importlib.import_module(ENGINES["jax"])


def pick(
    engine: str, network: DenseNetwork | Network, plan: Plan, rows: int = 0
) -> tuple[ModuleType, str]:
    """Return the engine's module, and which one it is and why.

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
    names = {"auto": "", **ENGINES}
    find("engine", engine, names, owner="fit")
    gain = _gpu_gain(network, rows) if engine == "auto" else ""
    refusals = []
    for name in ("jax",) if gain else ENGINES if engine == "auto" else (engine,):
        module = importlib.import_module(ENGINES[name])
        refusal = module.covers(network, plan)
        if not refusal:
            chosen = gain or ("asked for" if engine == name else "default")
            return module, f"{name} ({'; '.join(refusals) or chosen})"
        refusals.append(f"{name} cannot: {refusal}")
    raise ValueError(
        f"no engine can run this: {'; '.join(refusals)}. Change what is named, or "
        "leave engine='auto'."
    )


def gathers(engine: str) -> bool:
    """Whether networks may be fastest trained as one program: on a GPU, or on request.

    On the CPU the kernel side by side was 1.3 to 7 times faster.
    """
    return engine == "jax" or (engine == "auto" and _has_gpu())


def pick_for_many(
    engine: str, network: DenseNetwork | Network, plan: Plan, rows: int
) -> tuple[ModuleType | None, str]:
    """Return what trains many networks of one kind as one program, where that pays.

    Parameters
    ----------
    engine, network, plan
        As for `pick`.
    rows : int
        Rows of one step of all networks together.

    Returns
    -------
    module : module or None
        With ``kind_of`` and ``Population``; None where each is better trained alone.
    why : str
    """
    _, why = pick(engine, network, plan, rows)
    gains = engine == "jax" or (engine == "auto" and _gpu_gain(network, rows))
    if isinstance(network, Network) or not gains:
        return None, why
    return importlib.import_module("thalweg.engines.jax.vmapped"), why


def _gpu_gain(network: DenseNetwork | Network, rows: int) -> str:
    """Say why a GPU gains; empty where there is none, or a step is too small for it.

    A multiplication and an addition for each parameter and row, forward and twice
    backward.
    """
    if isinstance(network, Network):
        return ""  # which JAX trains in any case
    work = 6.0 * network.n_parameters * rows
    if work < GPU_WORK or not _has_gpu():
        return ""
    return f"on the GPU: a step of {work:.1g} operations gains by it"


def _has_gpu() -> bool:
    # Without a plugin JAX knows no GPU, and need not be loaded.
    if importlib.util.find_spec("jax_plugins") is None:
        return False
    return importlib.import_module(ENGINES["jax"]).on_gpu()


def over_hosts() -> ModuleType:
    """Return the engine that several processes run together."""
    return importlib.import_module("thalweg.engines.jax.multihost")
