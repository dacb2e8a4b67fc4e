"""Many trainings of networks at once, those of one kind as one program.

What members have in common lies on the device once, and a GPU, which a single small
network cannot fill, trains all of them in about the time of one. On the CPU the kernel
trains them side by side, which is faster there. Either way each member ends as a `fit`
of its own would.
"""

import time
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import fields
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg import cores, engines
from thalweg.initializers import as_random_state
from thalweg.inputs import as_data, first_weights, split
from thalweg.lookup import check_names, find
from thalweg.networks import DenseNetwork
from thalweg.plan import Data, Plan, batch_rows, phases
from thalweg.records import Array, Parameters, Run, StopReason
from thalweg.side_by_side import run_all
from thalweg.training import Loop, check_plan, finish, fit, noise_seed
from thalweg.watching import Watch

_ROWS_AT_ONCE = 1 << 24
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
    plans = [_plans(number, own) for number, own in enumerate(asked)]
    rows = {
        "sample_weight": sample_weight, "class_weight": class_weight,
        "validation": validation, "scoring": scoring,
    }  # fmt: skip
    runs: dict[int, Run] = {}
    for module, why, group in _groups(asked, plans, engine, _length(X)):
        of_kind = [(asked[k], plans[k][0]) for k in group]
        runs.update(zip(group, _train(module, why, of_kind, X, y, **rows), strict=True))
    alone = [k for k in range(len(asked)) if k not in runs]

    def train(number: int) -> Run:
        return fit(X=X, y=y, engine=engine, **rows, **asked[number])

    side_by_side = run_all(train, [(k,) for k in alone], n_jobs)
    runs.update(zip(alone, side_by_side, strict=True))
    return [runs[k] for k in range(len(asked))]


def _plans(number: int, asked: Mapping[str, Any]) -> list[Plan]:
    """Return a member's phases, checked."""
    owner = f"fit_population (member {number})"
    check_names("setting of a member", asked, _ALLOWED, owner=owner)
    rest = {name: value for name, value in asked.items() if name not in _OWN}
    try:
        return [
            check_plan(asked["network"], plan)
            for plan in phases(asked.get("plan"), rest)
        ]
    except (TypeError, ValueError) as error:
        error.add_note(f"This is member {number} of fit_population.")
        raise


def _length(X: Any) -> int:
    shape = getattr(X, "shape", None)
    return shape[0] if shape else len(X) if isinstance(X, Sized) else 0


def _groups(
    asked: Sequence[Mapping[str, Any]],
    plans: Sequence[Sequence[Plan]],
    engine: str,
    n_rows: int,
) -> list[tuple[ModuleType, str, list[int]]]:
    """Gather the members that are to be trained as one program."""
    groups: dict[Any, tuple[ModuleType, str, list[int]]] = {}
    for number, (own, (plan, *more)) in enumerate(zip(asked, plans, strict=True)):
        if more or plan.full_batch:
            continue
        rows = batch_rows(plan, n_rows) * len(asked)
        module, why = engines.pick_for_many(engine, own["network"], plan, rows)
        if module is not None:
            kind = module.kind_of(own["network"], plan), plan.dtype
            groups.setdefault(kind, (module, why, []))[2].append(number)
    return [group for group in groups.values() if len(group[2]) > 1]


class _Member:
    """One of those trained as one program: to its loop and its watch, a session."""

    heeds_stop = False

    def __init__(
        self, asked: Mapping[str, Any], plan: Plan, data: Data, validation: Any
    ) -> None:
        # As `fit` draws, and in its order.
        self.network, self.plan = asked["network"], plan
        self.rng = as_random_state(asked.get("random_state"))
        given = asked.get("parameters")
        self.first = first_weights(self.network, given, self.rng, data.dtype)
        self.rows, self.held_out = np.arange(len(data.X)), validation
        if isinstance(validation, float):
            by_number = Data(self.rows[:, None], data.y, data.weights)
            kept, held = split(self.network, plan, by_number, validation, self.rng)
            assert held is not None
            self.rows, rows = kept.X[:, 0], held.X[:, 0]
            self.held_out = data.take(rows)
        self.seed = noise_seed(self.network, self.rng)
        self.seen: tuple[Array, Array]
        self.copy: Callable[[], Parameters]

    def validate(self) -> tuple[Array, Array]:
        """Raw outputs and losses on its validation rows, as last computed."""
        return self.seen

    def parameters(self) -> Parameters:
        """Copy its weights."""
        return self.copy()


def _train(
    module: ModuleType,
    why: str,
    asked: Sequence[tuple[Mapping[str, Any], Plan]],
    X: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: Any,
    class_weight: Any,
    validation: Any,
    scoring: Any,
) -> list[Run]:
    """Train members of one kind as one program."""
    started = time.perf_counter()
    own, plan = asked[0]
    data = as_data(own["network"], plan, X, y, sample_weight, class_weight)
    divided = isinstance(validation, float)
    if not divided:
        none = np.random.RandomState(0)  # of which nothing is drawn
        validation = split(own["network"], plan, data, validation, none)[1]
    members = [_Member(*each, data, validation) for each in asked]
    population = module.Population(
        [member.network for member in members],
        [member.plan for member in members],
        data,
        [member.first for member in members],
        [member.seed for member in members],
        [member.rows for member in members] if divided else None,
    )
    loops = []
    for number, (member, (own, plan)) in enumerate(zip(members, asked, strict=True)):
        member.copy = partial(population.parameters, number)
        callbacks = own.get("callbacks") or ()
        watch = Watch(plan, member.held_out, scoring, callbacks, started)
        watch.subject = member
        size = member.network.n_parameters * len(members)
        loops.append(Loop(plan, member, len(member.rows), size, member.rng, watch))
    reasons = _run(population, members, loops)
    alone, _ = engines.pick("jax", members[0].network, plan)
    why = f"{why}; {len(members)} as one program"
    return [
        finish(member.network, loop.watch, alone, why, reason, data)
        for member, loop, reason in zip(members, loops, reasons, strict=True)
    ]


def _run(
    population: Any, members: Sequence[_Member], loops: Sequence[Loop]
) -> list[StopReason]:
    """Train until each member has a reason to stop."""
    reasons: dict[int, StopReason] = {}
    try:
        while going := [k for k in range(len(loops)) if k not in reasons]:
            told = _advance(population, members, loops, going)
            reasons.update({k: reason for k, reason in told.items() if reason})
    except KeyboardInterrupt:
        if cores.shared():
            raise
    return [reasons.get(k, StopReason.INTERRUPTED) for k in range(len(loops))]


def _advance(
    population: Any,
    members: Sequence[_Member],
    loops: Sequence[Loop],
    going: Sequence[int],
) -> dict[int, StopReason | None]:
    """Train those still going for as many epochs as none of them must be judged in."""
    most = max(_ROWS_AT_ONCE // (loops[0].n_rows * len(loops)), 1)
    n_epochs = min(most, *(min(loops[k].chunk(), loops[k].left) for k in going))
    asked = {k: loops[k].ask(n_epochs) for k in going}
    some = asked[going[0]]
    each = [asked.get(k, some) for k in range(len(loops))]
    orders, rates, mixes = zip(*each, strict=True)
    flags = np.isin(np.arange(len(loops)), going)
    sums = population.advance(orders, np.array(rates), np.array(mixes), flags)
    if members[0].held_out is not None:
        _validate(population, members)
    told = {k: loops[k].tell(sums[k]) for k in going}
    done = StopReason.MAX_EPOCHS
    return {k: told[k] or (None if loops[k].left else done) for k in going}


def _validate(population: Any, members: Sequence[_Member]) -> None:
    """Try all members on the validation rows, theirs or everyone's."""
    held: list[Any] = [member.held_out for member in members]
    rows = held[0]
    if any(each is not rows for each in held):
        rows = Data(
            np.stack([each.X for each in held]),
            np.stack([each.y for each in held]),
            np.stack([each.weights for each in held]),
        )
    for member, *seen in zip(members, *population.validate(rows), strict=True):
        member.seen = seen[0], seen[1]
