"""Many trainings of networks at once, those of one kind as one program.

What members have in common lies on the device once, and a GPU, which a single small
network cannot fill, trains all of them in about the time of one. On the CPU the kernel
trains them side by side, which is faster there. Either way each member ends as a `fit`
of its own would.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from thalweg import engines
from thalweg.core import (
    Array,
    Data,
    DenseNetwork,
    Parameters,
    Plan,
    Run,
    StopReason,
    batch_rows,
    begin_all,
    check_jobs,
    check_names,
    find,
    finish_all,
    interrupts_are_shared,
    phases,
    shown,
)
from thalweg.io import PathLike
from thalweg.training.checkpoint import Kept, open_checkpoint
from thalweg.training.data import as_rows, floating_type
from thalweg.training.fit import Training, fit, make_ready
from thalweg.training.loop import Loop, check_plan, finish, noise_seed
from thalweg.training.parallel import run_all
from thalweg.training.signals import kept_from_outside
from thalweg.training.source import Rows

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
    checkpoint: PathLike | Kept | None = None,
    checkpoint_every: int | float | str | None = None,
    resume: bool | str = "auto",
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
        seeds, initial weights) are of one kind; other widths, losses, optimizers or
        batch sizes make another kind.
    engine : {"auto", "jax", "native"}
        ``"jax"`` trains members of one kind as one program, ``"native"`` each by
        itself, side by side, which was faster on the CPU wherever it was measured;
        ``"auto"`` does the former where there is a GPU.
    n_jobs : int or None
        How many are trained at a time where they are trained side by side.
    checkpoint, checkpoint_every, resume
        As for `fit`; one file keeps all members. Members that are trained as one
        program go on from a checkpoint of such, and each by itself from one of those.
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
    find(
        "engine",
        engine,
        dict.fromkeys(("auto", *engines.ENGINES), ""),
        owner="fit_population",
    )
    check_jobs(n_jobs, owner="fit_population")
    if not isinstance(members, Iterable) or isinstance(members, str | Mapping):
        raise TypeError(
            f"fit_population got members={shown(members)}; it must be a sequence of "
            "dicts of settings."
        )
    members = list(members)
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

    file = open_checkpoint(checkpoint, checkpoint_every, resume, "fit_population")
    common = {
        "X": X, "y": y, "engine": engine, "sample_weight": sample_weight,
        "validation": validation, "class_weight": class_weight, "scoring": scoring,
    }  # fmt: skip
    runs: dict[int, Run] = {}
    with kept_from_outside(file):
        if engine == "jax" or (engine == "auto" and engines.on_gpu()):
            ready = [
                make_ready(**common, **own, kept=_named(file, number))
                for number, own in enumerate(asked)
            ]
            for group in _groups(ready, engine):
                runs |= _train_as_one(group)
        alone = [number for number in range(len(asked)) if number not in runs]

        def train(number: int) -> Run:
            own = asked[number]
            return fit(**common, **own, checkpoint=_named(file, number))

        runs |= zip(alone, run_all(train, [(k,) for k in alone], n_jobs), strict=True)
    return [runs[number] for number in range(len(asked))]


def _named(file: Kept | None, number: int) -> Kept | None:
    return None if file is None else file.named(f"member {number}")


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


@dataclass(frozen=True)
class _Group:
    """Members of one kind, by their numbers, and why they are one program."""

    why: str
    members: dict[int, "_Ready"] = field(default_factory=dict)


class _Ready(NamedTuple):
    """A member that is trained by one first-order plan on rows at hand."""

    network: DenseNetwork
    plan: Plan
    data: Data
    training: Training


def _groups(trainings: Sequence[Training], engine: str) -> list[_Group]:
    """Gather those that are fastest trained as one program."""
    groups: dict[Any, _Group] = {}
    for number, training in enumerate(trainings):
        source = training.source
        if not isinstance(source, Rows) or len(source.plans) > 1:
            continue
        network, plan, data = source.network, source.plans[0], source.data
        rows = batch_rows(plan, data.n_rows) * len(trainings)
        why = engines.trains_as_one(engine, network, plan, rows)
        by_steps = not (plan.full_batch or plan.scheduled)
        if why and isinstance(network, DenseNetwork) and by_steps:
            kind = engines.population().kind_of(network, plan)
            look = kind, _look(data), _look(training.monitor.held_out)
            group = groups.setdefault(look, _Group(why))
            group.members[number] = _Ready(network, plan, data, training)
    return [group for group in groups.values() if len(group.members) > 1]


def _look(data: Data | None) -> Any:
    """Return what rows that are stacked must agree in."""
    return data and (data.X.shape, data.y.shape, data.y.dtype, data.dtype)


class _Member:
    """One of a population: what its loop trains and its monitor looks at."""

    def __init__(self, population: Any, number: int) -> None:
        self.population, self.number = population, number

    def validate(self) -> tuple[Array, Array]:
        """Raw outputs and losses on its validation data, as last computed."""
        outputs, losses = self.population.validated
        return outputs[self.number], losses[self.number]

    def parameters(self) -> Parameters:
        """Copy its weights."""
        return self.population.parameters(self.number)


class _GroupState:
    """What members trained as one program go on from, in the first one's part.

    Each has its loop and its monitor in its own part; the program's state, which all
    share, is in that of the first.
    """

    def __init__(
        self, population: Any, loops: Sequence[Loop], trainings: Sequence[Training]
    ) -> None:
        self.population, self.loops = population, loops
        self.parts = [each.part for each in trainings]
        self.engine = engines.load("jax")

    @property
    def stops(self) -> bool:
        """Whether an end was asked for from outside."""
        return self.parts[0] is not None and self.parts[0].stops

    def offer(self, reasons: Mapping[int, StopReason], done: bool = False) -> bool:
        """Keep the state of all members if it is due; True says stop."""
        first = self.parts[0]
        if first is None:
            return False
        epochs = max(loop.monitor.seen for loop in self.loops)
        if not first.is_wanted(epochs, done):
            return False
        for place, (part, loop) in enumerate(zip(self.parts, self.loops, strict=True)):
            assert part is not None
            own = {"members": len(self.loops), "place": place}
            own |= loop.snapshot(self.engine, reasons.get(place))
            if place == 0:
                own["session"] = self.population.snapshot()
            part.latest = {**part.context, **own, "epochs": loop.monitor.seen}
        return first.offer(epochs, lambda: {}, done, fresh=False) is not None

    def restore(self) -> dict[int, StopReason]:
        """Go on from the parts; return why members had ended."""
        reasons: dict[int, StopReason] = {}
        found = [None if part is None else part.pop() for part in self.parts]
        if found[0] is None:
            return reasons
        part = self.parts[0]
        assert part is not None
        places = [
            None if each is None or "place" not in each else each["place"]
            for each in found
        ]
        if places != list(range(len(self.loops))):
            raise part.refusal("it is of other members, or of one by itself")
        try:
            self.population.restore(found[0]["session"])
            for place, (each, loop) in enumerate(zip(found, self.loops, strict=True)):
                assert each is not None
                reason = loop.restore(each, self.engine)
                if reason is not None:
                    reasons[place] = reason
        except ValueError as error:
            raise part.refusal(str(error)) from error
        return reasons


def _train_as_one(group: _Group) -> dict[int, Run]:
    """Train members of one kind as one program, each until it has a reason to stop."""
    members = list(group.members.values())
    trainings = [member.training for member in members]
    held_out = [each.monitor.held_out for each in trainings]
    population = engines.population().Population(
        [member.network for member in members],
        [member.plan for member in members],
        [member.data for member in members],
        [training.first for training in trainings],
        [noise_seed(each.network, each.training.rng) for each in members],
        [data for data in held_out if data is not None],
    )
    loops = [
        Loop(
            member.plan, _Member(population, place), member.data.n_rows,
            member.network.n_parameters * len(members),
            member.training.rng, member.training.monitor,
        )
        for place, member in enumerate(members)
    ]  # fmt: skip
    kept = _GroupState(population, loops, trainings)
    reasons = kept.restore()
    try:
        for each in trainings:
            each.monitor.callbacks = begin_all(each.monitor.callbacks, each.start)
        while going := [k for k in range(len(loops)) if k not in reasons]:
            _advance(population, loops, going, reasons)
            if kept.offer(reasons):
                break
    except KeyboardInterrupt:
        if interrupts_are_shared() or kept.stops:
            raise
    except BaseException:
        for each in trainings:
            finish_all(each.monitor.callbacks, None)
        raise
    kept.offer(reasons, done=True)
    trainer, why = engines.load("jax"), f"{group.why}; {len(members)} as one program"
    runs = {
        number: finish(
            member.network, loop.monitor, trainer, why,
            reasons.get(place, StopReason.INTERRUPTED), loop.subject, member.data,
        )
        for place, ((number, member), loop) in enumerate(
            zip(group.members.items(), loops, strict=True)
        )
    }  # fmt: skip
    for number, run in runs.items():
        finish_all(group.members[number].training.monitor.callbacks, run)
    return runs


def _advance(
    population: Any,
    loops: Sequence[Loop],
    going: Sequence[int],
    reasons: dict[int, StopReason],
) -> None:
    """Train those still going for the epochs in which none of them must be judged."""
    most = max(_ROWS_AT_ONCE // (loops[0].n_rows * len(loops)), 1)
    n_epochs = min(most, *(min(loops[k].chunk(), loops[k].left) for k in going))
    asked = {k: loops[k].ask(n_epochs) for k in going}
    some = asked[going[0]]
    each = [asked.get(k, some) for k in range(len(loops))]
    orders, rates, mixes = zip(*each, strict=True)
    flags = np.isin(np.arange(len(loops)), going)
    sums = population.advance(orders, np.array(rates), np.array(mixes), flags)
    for k in going:
        reason = loops[k].tell(sums[k])
        if reason or not loops[k].left:
            reasons[k] = reason or StopReason.MAX_EPOCHS
