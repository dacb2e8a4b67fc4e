"""Training the model of a command: evaluate it, hand it over, and examine it."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.cli import printing
from thalweg.cli.options import ModelChoice, choose_model
from thalweg.cli.reading import ReadingOptions, one_name

if TYPE_CHECKING:
    from thalweg.core import Frame, Plan, Series
    from thalweg.diagnosis import Diagnosis
    from thalweg.estimators import Column, Evaluation

_LEAST = 5.0  # seconds that the doctor may take, however short the training was
_MOST_SCORED = 20_000  # rows of which the score with training rows is printed


def describe_table(
    tables: Sequence[Path], task: str, X: "Frame", y: "Series", reading: ReadingOptions
) -> tuple[ModelChoice, "Series", "Frame"]:
    """Choose a model and describe a table; return also its known rows, and itself."""
    from thalweg.estimators import as_frame, lacks_target, study

    choice = choose_model(task, y, reading)
    known = ~lacks_target(y, choice.model.missing)
    columns = study(as_frame(X), choice.model.reading())
    printing.show_table(one_name(tables), int(known.sum()), columns, y, choice.reason)
    return choice, known, _parsed(columns, as_frame(X))


def _parsed(columns: "Sequence[Column]", X: "Frame") -> "Frame":
    """Return a table whose numbers, if plainly written, are numbers and not texts.

    Each fit would read them again.
    """
    from thalweg.estimators import measured

    read = {
        column.name: measured(column, X[column.name])
        for column in columns
        if column.kind == "number" and X[column.name].dtype.kind not in "biufM"
        and (column.decimal, column.thousands, column.unit, column.layout)
        == (".", "", "", "") and column.absent is None
    }  # fmt: skip
    return X.assign(**read) if read else X


def keep(path: Path | None, every: str | None, resume: bool | None) -> dict[str, Any]:
    """Open the checkpoint that a command asks for, and say what it goes on from."""
    from thalweg.training import open_checkpoint

    how = "auto" if resume is None else resume
    file = open_checkpoint(path, every, how, owner="thalweg fit")
    if file is None:
        return {}
    if found := file.file.found:
        epochs = sum(part["epochs"] for part in found.values())
        printing.show_lines({"Resumed": f"{path}, after {epochs} epochs"})
    return {"checkpoint": file}


def train(
    model: Any, kind: str, X: "Frame", y: "Series", output: Path, *, closely: bool,
    refit: bool, divided: Mapping[str, Any], kept: Mapping[str, Any] | None = None,
    callbacks: Sequence[Any] = (),
) -> tuple[Any, "Evaluation"]:  # fmt: skip
    """Train, evaluate and save a model; return it and its evaluation.

    `kind` is "network", "linear", "trees" or "auto"; `kept` says where the training is
    kept in a checkpoint. `callbacks` watch the network.
    """
    from thalweg.estimators import evaluate, evaluate_best, linear_of, trees_of

    scoring = model.scoring  # which trees do not keep
    if kind == "linear":
        model = linear_of(model)
    elif kind == "trees":
        model = trees_of(model, int(y.notna().sum()))
    how: dict[str, Any] = {
        "closely": closely, "scoring": scoring, "refit": refit, **divided,
        **(kept or {}),
    }  # fmt: skip
    with printing.live_line(model, callbacks) as announce:
        if kind == "auto":
            model, evaluation = evaluate_best(model, X, y, announce, **how)
        else:
            evaluation = evaluate(model, X, y, announce, **how)
    model.save(output)
    return model, evaluation


def show_result(
    model: Any, evaluation: "Evaluation", X: "Frame", y: "Series", output: Path,
    *, refitted: bool,
) -> None:  # fmt: skip
    """Print the score first, then what was trained and why training stopped."""
    lines = printing.score_lines(evaluation)
    if evaluation.verdict and evaluation.best != evaluation.subject:
        lines["Verdict"] += f" thalweg fit --model auto hands over {evaluation.best}."
    if len(y) <= _MOST_SCORED:
        metric = evaluation.metrics[0]
        value = model.score(X, y) if metric.name in ("accuracy", "r2") else None
        if value is not None:
            told = f"{metric.label} {value:.3f}, training rows included"
            lines["Whole table"] = told
    lines |= _training_lines(model)
    how = "fitted on all rows after the evaluation; the score is of the model before"
    lines["Model"] = f"{output}, {how}" if refitted else str(output)
    printing.console().print()
    printing.show_lines(lines)


def _training_lines(model: Any) -> dict[str, str]:
    run = getattr(model, "run_", None)
    if run is None:
        trees = model.trees_
        return {"Trees": f"{trees.roots.size}, with {len(trees.values)} nodes in all"}
    plan, history = run.plan, run.history
    lines = {
        "Network": str(run.network),
        "Training": f"{_method(model)}, {plan.loss.label}; {len(history)} epochs in "
        f"{history.seconds[-1]:.1f} s on {run.engine}",
        "Stopped": run.why,
    }
    if len(model.runs_) > 1:
        lines["Stopped"] += " This is the first of the members."
        lines = _member_lines(model) | lines
    return lines


def _member_lines(model: Any) -> dict[str, str]:
    """Return which members were trained, and what they bought."""
    members = model.trained_
    linear = sum(len(run.network.layers) == 1 for run in members.runs)
    n_networks = len(members) - linear
    kinds = Counter(_sight(view) for view in members.views[:n_networks])
    seen = ", ".join(f"{count} see {sight}" for sight, count in kinds.items())
    lines = {"Members": f"{n_networks} networks, averaged; {seen}"}
    found = model.out_of_fold_
    if found is None:
        return lines
    what = "log-loss" if model.calibrated_ is not None else "loss"
    values = [f"{found['loss']:.4g}"]
    if found["loss"] != found["one"]:
        values.append(f"one network {found['one']:.4g}")
    if found["linear"] is not None:
        values.append(f"a linear model {found['linear']:.4g}")
    rows = f"on {found['n_rows']} rows that they were not trained on"
    lines["Bought"] = f"{what} {', '.join(values)}, {rows}"
    if found["share"] > 0:
        lines["Blend"] = f"the linear model counts {found['share']:.0%}"
    heat = model.calibrated_
    if heat is not None and heat["temperature"] != 1:
        lines["Calibrated"] = (
            f"temperature {heat['temperature']:.3g}, log-loss "
            f"{heat['loss_before']:.4g} before and {heat['loss_after']:.4g} after"
        )
    return lines


def _sight(view: Any) -> str:
    """Return how a member sees numbers."""
    pieces = {
        "usual": "numbers in pieces",
        "fine": "numbers in fine pieces",
        "none": "numbers as they are",
    }
    return pieces[view.pieces] + (" and as waves" if view.places is not None else "")


def _method(model: Any) -> str:
    plan: Plan = model.run_.plan
    if isinstance(model.optimizer, list):
        return ", then ".join(model.optimizer)
    if plan.full_batch or plan.on_device:
        return f"{plan.optimizer.label} on all rows"
    return f"{plan.optimizer.label}, rate {plan.rate:g}, batches of {plan.batch_size}"


def examine(
    model: Any, X: "Frame", y: "Series", output: Path, evaluation: "Evaluation", *,
    taken: float, deadline: float | None,
) -> "Diagnosis | None":  # fmt: skip
    """Let the doctor look at a model that is saved already, and print what it finds.

    It takes at most as long as the training did (`taken`), or 5 seconds, and never goes
    beyond the deadline, a value of ``time.monotonic()``.
    """
    from thalweg.diagnosis import diagnose

    # That the model certainly beats a constant says more than what the doctor samples.
    constant = next(iter(evaluation.gains.values()), (0.0, 0.0, 0.0))
    muted = {"no-signal": None} if constant[1] > 0 else None
    allowed = max(_LEAST, taken)
    if deadline is not None:
        allowed = min(allowed, deadline - time.monotonic())
    to = printing.console()
    to.print()
    if allowed <= 0:
        to.print("The time limit left no time to look for faults in the model.")
        return None
    try:
        with to.status("looking for faults (Ctrl-C to stop)", spinner="line"):
            found = diagnose(
                model, X, y, trials=False, budget=allowed, thresholds=muted
            )
    except KeyboardInterrupt:
        to.print(f"The search for faults was interrupted. The model is in {output}.")
        return None
    to.print(printing.plain_lines(str(found)))
    return found
