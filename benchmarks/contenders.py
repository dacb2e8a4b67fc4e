"""Who takes part: by name, the module with its builders.

A contender may be varied: ``ours:engine=jax`` and ``numpy:dtype=float64`` are told to
do the job with that field changed.
"""

import importlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

from benchmarks.jobs import Job, Result


class Contender(NamedTuple):
    """A name to show, the module with the builders, and the package they need."""

    title: str
    module: str
    package: str


CONTENDERS = {
    "ours": Contender("thalweg", "benchmarks.ours", "thalweg"),
    "numpy": Contender("NumPy", "benchmarks.rivals.numpy_net", "numpy"),
    "sklearn": Contender("scikit-learn", "benchmarks.rivals.sklearn_net", "sklearn"),
    "torch": Contender("PyTorch", "benchmarks.rivals.torch_net", "torch"),
    "jax": Contender("JAX", "benchmarks.rivals.jax_net", "jax"),
}


def installed(name: str) -> bool:
    """Whether the contender's package is there."""
    return find_spec(_parse(name)[0].package) is not None


def title(name: str) -> str:
    """Name a contender as a table does."""
    contender, changes = _parse(name)
    return " ".join([contender.title, *changes.values()])


def build(name: str, job: Job) -> Callable[[], Result]:
    """Prepare a contender for a job; calling what is returned does it once."""
    contender, changes = _parse(name)
    module = importlib.import_module(contender.module)
    return getattr(module, job.kind)(job.changed(**changes))


def remark(name: str, job: Job) -> str:
    """Ask a contender how it does a job: ours names its engine."""
    contender, changes = _parse(name)
    module = importlib.import_module(contender.module)
    return module.remark(job.changed(**changes)) if hasattr(module, "remark") else ""


def _parse(name: str) -> tuple[Contender, dict[str, str]]:
    key, _, change = name.partition(":")
    field, _, value = change.partition("=")
    return CONTENDERS[key], {field: value} if field else {}
