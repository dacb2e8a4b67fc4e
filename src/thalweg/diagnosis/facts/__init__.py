"""From a case to `Facts`: plain numbers, measured on a sample of the rows.

Names have two parts: what was looked at (``data``, ``target``, ``inputs``, ``nearest``,
``held``, ``static``, ``start``, ``run``, ``end``, ``seeds``, ``written``), and what was
measured there. What could not be measured has no name here; `WHY_NOT` says why.
"""

from thalweg.core import DenseNetwork, Run
from thalweg.diagnosis.facts.data import (
    facts_of_data,
    facts_of_held,
    facts_of_neighbors,
)
from thalweg.diagnosis.facts.network import (
    facts_of_end,
    facts_of_layers,
    facts_of_outputs,
    facts_of_plan,
    facts_of_run,
    facts_of_start,
)
from thalweg.diagnosis.facts.sample import sampled
from thalweg.diagnosis.problem import Problem
from thalweg.diagnosis.result import Facts

WHY_NOT = {
    "image": "X is no stack of images, (n_rows, height, width, channels)",
    "held": "no rows were held out: give X_val and y_val",
    "static": "no network of dense layers was given",
    "start": "no network of dense layers was given, or no finite numbers for it",
    "run": "nothing was trained yet: give a fitted model, or let trials run",
    "end": "nothing was trained yet: give a fitted model, or let trials run",
    "labels": "the target is no class",
    "numbers": "the target is no number",
    "rate": "the method chooses its steps itself, or is unknown",
    "seeds": "no trials were run",
    "written": "no hand-written cost and gradient were given",
    "steps": "no recorded steps of a hand-written training were given",
    "mode": "the model cannot predict yet",
    "inputs": "the inputs are not finite numbers",
    "nearest": "there are too few rows, several targets, or inputs that are no finite "
    "numbers",
    "data": "there are no data",
    "target": "there are no data",
}


def measure(problem: Problem, run: Run | None = None, *, again: bool = False) -> Facts:
    """Measure a case, and its run or another one of it.

    Parameters
    ----------
    problem : Problem
    run : Run, optional
        Instead of the case's own.
    again : bool
        Whether neighbors and rows held out, which are dear, are known already.

    Returns
    -------
    Facts
    """
    seen = sampled(problem)
    facts = facts_of_data(problem, seen)
    if seen.inputs is not None and not again:
        facts |= facts_of_neighbors(problem, seen)
        facts |= facts_of_held(problem, seen, facts) if problem.held is not None else {}
    if problem.stand_in:
        return facts
    facts |= facts_of_plan(problem)
    layered = isinstance(problem.network, DenseNetwork)
    if layered:
        facts |= facts_of_layers(problem)
    if seen.inputs is None or problem.lacks_outputs:
        return facts
    run = run or problem.run
    if layered:
        facts |= facts_of_start(problem, seen)
    if run is not None:
        end = facts_of_end if layered else facts_of_outputs
        facts |= facts_of_run(problem, run, seen) | end(problem, run, seen)
    return facts
