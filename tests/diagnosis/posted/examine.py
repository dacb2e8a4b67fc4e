"""What the doctor says of a posted program, and whether its treatment recovers it."""

import time
from typing import Any

import thalweg as tw
from tests.diagnosis.posted.case import Case, Post, Program


def examine(case: Case, cured: bool) -> str:
    """Train a program as its user does, ask the doctor, and describe the answer.

    Findings above NOTE are marked by a star. Whether the first one names the cause is
    for the reader to judge, by the record's `named_by`.
    """
    program = (case.fixed if cured else case.faulty)(0)
    trained = program.train()
    before = (
        None if program.probe is None and trained is None else program.rate(trained)
    )
    began = time.process_time()
    found = diagnosis(program, trained)
    seconds = time.process_time() - began
    kind = "cured" if cured else "posted"
    lines = [
        f"== {case.name} ({kind}): score {before}, {seconds:.1f} s of processor time"
    ]
    for each in found.findings[:4]:
        mark = "*" if each.severity > 1 else " "
        lines.append(f"  {mark} {each.code}: {each.cause[:140]} ({each.status})")
    if not cured and isinstance(case.post, Post):
        lines.append(f"    named by: {'; '.join(case.post.named_by)}")
        lines.append("    " + treated(program, found, case.post, before))
    return "\n".join(lines)


def diagnosis(program: Program, trained: Any) -> Any:
    """Ask the doctor as a user of this kind of program would."""
    given: dict[str, Any] = {}
    if program.X_val is not None:
        given = {"X_val": program.X_val, "y_val": program.y_val}
    if program.x0 is not None:
        return tw.diagnose(program.model, program.X, program.y, x0=program.x0)
    if program.model is None and program.X is None:
        return tw.diagnose(history=program.history)
    if hasattr(program.model, "compile"):
        given["history"] = program.history
    subject = None if program.model is None else trained
    return tw.diagnose(subject, program.X, program.y, **given)


def treated(program: Program, found: Any, post: Post, before: float | None) -> str:
    """Apply the doctor's treatment, train again and compare the scores."""
    try:
        model, changes = found.treat()
    except ValueError as error:
        return f"no treatment: {error}"
    fit = {
        name: value
        for name, value in program.fit.items()
        if not any(name in change for change in changes)
    }
    if isinstance(model, tuple):
        from scipy.optimize import minimize

        model = minimize(model[0], program.x0, jac=model[1], **fit).x
    elif hasattr(model, "compile"):
        if program.X_val is not None:
            fit["validation_data"] = (program.X_val, program.y_val)
        model.fit(program.X, program.y, verbose=0, **fit)
    else:
        model.fit(program.X, program.y)
    after = program.rate(model)
    recovered = "RECOVERED" if after >= post.floor else "not recovered"
    return f"treated by {changes}: {before} -> {after:.3f}, {recovered}"
