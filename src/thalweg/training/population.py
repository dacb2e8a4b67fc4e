"""Many trainings of networks at once, those of one kind as one program.

What members have in common lies on the device once, and a GPU, which a single small
network cannot fill, trains all of them in about the time of one. On the CPU the kernel
trains them side by side, which is faster there. Either way each member ends as a `fit`
of its own would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg import engines
from thalweg.core import DenseNetwork, Plan, Run, check_names, find, phases
from thalweg.training.data import as_rows, floating_type
from thalweg.training.fit import fit
from thalweg.training.loop import check_plan
from thalweg.training.parallel import run_all

_OWN = {"network", "plan", "parameters", "random_state", "callbacks"}
_ALLOWED = sorted(_OWN | {f.name for f in fields(Plan)})


def fit_population(
    network: DenseNetwork,
    X: ArrayLike,
    y: ArrayLike,
    members: Sequence[Mapping[str, Any]],
    *,
    engine: str = "auto",
    n_jobs: int | None = -1,
    sample_weight: ArrayLike | None = None,
    class_weight: Mapping[int, float] | str | None = None,
    validation: float | tuple[ArrayLike, ...] | None = None,
    scoring: Any = None,
    **settings: Any,
) -> list[Run]:
    """Train many networks on the same rows.

    Each run is that of ``fit(network, X, y, **settings, **member)``, to rounding.

    Parameters
    ----------
    network, X, y, sample_weight, class_weight, validation, scoring
        As for `fit`.
    members : sequence of mapping
        What each member has for itself: any setting of a `Plan`, and ``network``,
        ``plan``, ``parameters``, ``random_state``, ``callbacks`` as for `fit`. Members
        that differ only in numbers (rates, penalties, constants, dropout, schedules,
        seeds, first weights) are of one kind; other widths, losses, optimizers or
        batch sizes make another kind.
    engine : {"auto", "jax", "native"}
        ``"jax"`` trains members of one kind as one program, ``"native"`` each by
        itself, side by side, which was faster on the CPU wherever it was measured;
        ``"auto"`` does the former where there is a GPU.
    n_jobs : int or None
        How many are trained at a time where they are trained side by side.
    **settings
        What the members have in common.

    Returns
    -------
    list of Run
        One a member, in their order. A member that diverged has its last finite
        weights; the others went on. Members trained as one program share a clock.

    Raises
    ------
    ValueError, TypeError
        As `fit`, naming the member; before anything is trained.

    Examples
    --------
    >>> import thalweg as tw
    >>> from thalweg.datasets import moons
    >>> X, y = moons(60)
    >>> network = tw.DenseNetwork.from_sizes((2, 8, 2))
    >>> rates = [{"learning_rate": rate} for rate in (0.001, 0.01, 0.1)]
    >>> runs = tw.fit_population(
    ...     network, X, y, rates, loss="cross_entropy", epochs=20, random_state=0
    ... )
    >>> [round(run.plan.rate, 3) for run in runs]
    [0.001, 0.01, 0.1]
    """
    find("engine", engine, {"auto": "", **engines.ENGINES}, owner="fit_population")
    for number, own in enumerate(members):
        if not isinstance(own, Mapping):
            raise TypeError(
                f"fit_population got {own!r} as member {number}; each must be a dict "
                'of settings, such as {"learning_rate": 0.01, "random_state": 3}.'
            )
    asked = [{"network": network, **settings, **own} for own in members]
    for number, own in enumerate(asked):
        _check(number, own)
    if isinstance(network, DenseNetwork):  # once for all of them
        dtype = np.dtype(settings.get("dtype") or floating_type(X))
        X = as_rows(network, X, dtype)

    def train(number: int) -> Run:
        return fit(
            X=X, y=y, engine=engine, sample_weight=sample_weight, validation=validation,
            class_weight=class_weight, scoring=scoring, **asked[number],
        )  # fmt: skip

    return run_all(train, [(k,) for k in range(len(asked))], n_jobs, engine)


def _check(number: int, asked: Mapping[str, Any]) -> None:
    """Raise for what is wrong with a member's settings, before anything is trained."""
    owner = f"fit_population (member {number})"
    check_names("setting of a member", asked, _ALLOWED, owner=owner)
    rest = {name: value for name, value in asked.items() if name not in _OWN}
    try:
        for plan in phases(asked.get("plan"), rest):
            check_plan(asked["network"], plan)
    except (TypeError, ValueError) as error:
        error.add_note(f"This is member {number} of fit_population.")
        raise
