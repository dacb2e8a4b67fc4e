"""From a `Problem` to `Facts`: typed records, measured on a sample of the rows.

`Facts` holds one group of facts for each measurement; a group that was not measured is
None, and its class says why (`FactGroup.why_not`). What a group holds stands in
`thalweg.diagnosis.facts.data` (cells, columns, target, inputs), ``neighbors``,
``validation`` (validation data), ``network`` (plan, layers, initialization),
``training`` (curves, trained network) and ``user_function`` (the user's own cost and
gradient).
"""

from dataclasses import dataclass, fields, replace
from typing import Any

from thalweg.core import DenseNetwork, Run
from thalweg.diagnosis.facts.clock import Clock
from thalweg.diagnosis.facts.data import (
    ColumnFacts,
    DataFacts,
    ImageFacts,
    InputFacts,
    LabelFacts,
    NumberFacts,
    TargetFacts,
    TargetGaps,
    facts_of_cells,
    facts_of_columns,
    facts_of_images,
    facts_of_inputs,
    facts_of_labels,
    facts_of_numbers,
    facts_of_target,
)
from thalweg.diagnosis.facts.group import FactGroup
from thalweg.diagnosis.facts.neighbors import (
    BestColumnFacts,
    NeighborFacts,
    NeighborhoodFacts,
    ValidationColumnFacts,
    facts_of_best_column,
    facts_of_neighbors,
)
from thalweg.diagnosis.facts.network import (
    BatchFacts,
    FirstStepFacts,
    LayerFacts,
    PlanFacts,
    RateFacts,
    StartFacts,
    StartUnitFacts,
    facts_of_layers,
    facts_of_plan,
    facts_of_start,
)
from thalweg.diagnosis.facts.sample import Sample, sampled
from thalweg.diagnosis.facts.training import (
    AttemptFacts,
    CurveFacts,
    EndFacts,
    EndLossFacts,
    EndUnitFacts,
    MemoryFacts,
    ModeFacts,
    OutputFacts,
    PredictionFacts,
    RunFacts,
    SeedFacts,
    SharpnessFacts,
    StopFacts,
    TrainedFacts,
    ValidationCurveFacts,
    ValidationScoreFacts,
    ValidationShareFacts,
    facts_of_curve,
    facts_of_end,
    facts_of_outputs,
    facts_of_run,
    facts_of_validation_curve,
    facts_of_validation_share,
)
from thalweg.diagnosis.facts.user_function import GradientFacts, StepFacts
from thalweg.diagnosis.facts.validation import ValidationFacts, facts_of_validation
from thalweg.diagnosis.problem import Problem


@dataclass(frozen=True)
class Facts:
    """All that was measured; a group that was not measured is None."""

    data: DataFacts | None = None
    target_gaps: TargetGaps | None = None
    columns: ColumnFacts | None = None
    labels: LabelFacts | None = None
    numbers: NumberFacts | None = None
    target: TargetFacts | None = None
    images: ImageFacts | None = None
    inputs: InputFacts | None = None
    nearest: NeighborFacts | None = None
    neighborhoods: NeighborhoodFacts | None = None
    best_column: BestColumnFacts | None = None
    validation_column: ValidationColumnFacts | None = None
    validation: ValidationFacts | None = None
    plan: PlanFacts | None = None
    rate: RateFacts | None = None
    batches: BatchFacts | None = None
    layers: LayerFacts | None = None
    start: StartFacts | None = None
    start_units: StartUnitFacts | None = None
    first_step: FirstStepFacts | None = None
    seeds: SeedFacts | None = None
    attempts: AttemptFacts | None = None
    run: RunFacts | None = None
    curve: CurveFacts | None = None
    validation_curve: ValidationCurveFacts | None = None
    stop: StopFacts | None = None
    end: EndFacts | None = None
    end_loss: EndLossFacts | None = None
    outputs: OutputFacts | None = None
    end_units: EndUnitFacts | None = None
    predictions: PredictionFacts | None = None
    memory: MemoryFacts | None = None
    sharpness: SharpnessFacts | None = None
    validation_score: ValidationScoreFacts | None = None
    validation_share: ValidationShareFacts | None = None
    mode: ModeFacts | None = None
    gradient: GradientFacts | None = None
    steps: StepFacts | None = None

    def groups(self) -> dict[str, Any]:
        """Return the groups that were measured, by field."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: group for name, group in found.items() if group is not None}

    def by_name(self) -> dict[str, Any]:
        """Return all facts as in `Diagnosis.facts`: ``"data.rows"`` and so on."""
        return {k: v for group in self.groups().values() for k, v in
                group.by_name().items()}  # fmt: skip

    def about_data(self) -> "Facts":
        """Return only what holds whatever network is trained."""
        kept = {k: v for k, v in self.groups().items() if v.about_data}
        return Facts(**kept)

    def remeasured(self, seen: "Facts") -> "Facts":
        """Return these facts with the values seen once a remedy was applied.

        A fact that is missing on either side stays as it is.
        """
        now = seen.groups()
        return replace(self, **{
            name: _updated(group, now[name])
            for name, group in self.groups().items()
            if group.remeasured and name in now
        })  # fmt: skip


def _updated(old: FactGroup, new: FactGroup) -> FactGroup:
    """Replace each known field of a group by the new value, if that is known too."""
    names = [each.name for each in fields(old) if getattr(old, each.name) is not None]
    values = {name: getattr(new, name) for name in names}
    return replace(old, **{k: v for k, v in values.items() if v is not None})


def measure(
    problem: Problem, run: Run | None = None, *, again: bool = False,
    clock: Clock | None = None,
) -> Facts:  # fmt: skip
    """Measure a problem, and its run or another one of it.

    Parameters
    ----------
    problem : Problem
    run : Run, optional
        The training to examine instead of the problem's own.
    again : bool
        Whether neighbors and validation data, which take long, are known already.
    clock : Clock, optional
        Once its time is up, what takes long is left out.

    Returns
    -------
    Facts
    """
    clock = clock or Clock()
    seen = sampled(problem)
    data, target_gaps = facts_of_cells(problem, seen)
    columns = facts_of_columns(seen)
    facts = Facts(
        data=data,
        target_gaps=target_gaps,
        columns=columns,
        labels=facts_of_labels(problem),
        numbers=facts_of_numbers(problem),
        target=facts_of_target(problem),
        images=facts_of_images(problem),
    )
    timely = clock.allows(InputFacts, NeighborFacts, LayerFacts, StartFacts, RunFacts,
                          MemoryFacts, SharpnessFacts, NeighborhoodFacts,
                          BestColumnFacts, ValidationFacts, FirstStepFacts,
                          StartUnitFacts, CurveFacts, StopFacts, EndFacts,
                          EndLossFacts, OutputFacts, EndUnitFacts, PredictionFacts,
                          ValidationCurveFacts)  # fmt: skip
    if seen.inputs is not None and timely:
        inputs = facts_of_inputs(problem, seen, columns.sentinels)
        facts = replace(facts, inputs=inputs)
        if not again:
            facts = _with_neighbors(facts, problem, seen, clock)
    if problem.stand_in or not timely:
        return facts
    plan, rate, batches = facts_of_plan(problem)
    facts = replace(facts, plan=plan, rate=rate, batches=batches)
    layered = isinstance(problem.network, DenseNetwork)
    if layered:
        facts = replace(facts, layers=facts_of_layers(problem))
    if seen.inputs is None or problem.lacks_outputs:
        return facts
    run = run or problem.run
    if layered and clock.allows(StartFacts, StartUnitFacts, FirstStepFacts):
        start, units, first_step = facts_of_start(problem, seen)
        facts = replace(facts, start=start, start_units=units, first_step=first_step)
    return facts if run is None else (
        _with_training(facts, problem, run, seen, clock)
    )  # fmt: skip


def _with_neighbors(
    facts: Facts, problem: Problem, seen: Sample, clock: Clock
) -> Facts:
    """Add what takes long and does not depend on the network."""
    nearest = neighborhoods = best_column = validation_column = validation = None
    if clock.allows(NeighborFacts, NeighborhoodFacts):
        nearest, neighborhoods = facts_of_neighbors(problem, seen)
    if clock.allows(BestColumnFacts, ValidationColumnFacts):
        best_column, validation_column = facts_of_best_column(problem, seen)
    if problem.validation_data is not None and clock.allows(ValidationFacts):
        validation = facts_of_validation(problem, seen, nearest, neighborhoods)
    return replace(
        facts, nearest=nearest, neighborhoods=neighborhoods, best_column=best_column,
        validation_column=validation_column, validation=validation,
    )  # fmt: skip


def _with_training(
    facts: Facts, problem: Problem, run: Run, seen: Sample, clock: Clock
) -> Facts:
    """Add the training curve and the trained network."""
    of_run, stop = facts_of_run(run)
    layered = isinstance(problem.network, DenseNetwork)
    if not clock.allows(EndFacts, EndLossFacts, OutputFacts, EndUnitFacts, MemoryFacts,
                        PredictionFacts, SharpnessFacts):  # fmt: skip
        trained = TrainedFacts(None)
    elif layered:
        trained = facts_of_end(problem, run, seen, clock)
    else:
        trained = facts_of_outputs(problem, run, seen)
    return replace(
        facts, run=of_run, stop=stop, curve=facts_of_curve(run.history),
        validation_curve=facts_of_validation_curve(run.history),
        validation_share=facts_of_validation_share(problem, run), **vars(trained),
    )  # fmt: skip
