"""The doctor: facts, rules, and the trial of each remedy, put into one diagnosis.

What a rule suspects is tried (`thalweg.diagnosis.trials`). Only a remedy that gains,
and more than a random change, confirms its cause. After a confirmed one all is measured
again; what has disappeared was its symptom. What gains nothing is a note at most,
unless the facts alone prove it.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from thalweg import training
from thalweg.diagnosis.facts import WHY_NOT, measure
from thalweg.diagnosis.facts.user_function import facts_of_steps, facts_of_written
from thalweg.diagnosis.problem import Problem, take
from thalweg.diagnosis.readers import refuse_settings, understand
from thalweg.diagnosis.remedies import treated
from thalweg.diagnosis.result import Diagnosis, Facts, Finding, Severity
from thalweg.diagnosis.rules import ORDER, judge
from thalweg.diagnosis.trials import MOST_CAUSES, TrialRun, Trials

_ALONE = ("data", "target", "inputs", "nearest", "held", "labels", "numbers", "image")
_OF_RUN = ("run.", "end.", "rate.sharpness")
_REMEASURED = ("run", "end", "start", "static", "rate", "inputs", "seeds")


def diagnose(
    subject: Any = None,
    X: Any = None,
    y: Any = None,
    *,
    X_val: Any = None,
    y_val: Any = None,
    trials: bool = True,
    budget: float = 60.0,
    thresholds: Mapping[str, Mapping[str, float] | None] | None = None,
    x0: Any = None,
    args: Any = None,
    steps: Sequence[tuple[Any, Any]] | None = None,
    **settings: Any,
) -> Diagnosis:
    """Say what is wrong with data, a network or a training, and prove the remedy.

    Parameters
    ----------
    subject : object or None
        None for the data alone, before training; an estimator of thalweg's or one of
        scikit-learn's MLPs, fitted or not; a Pipeline that ends in one; a `Run`; a
        `DenseNetwork` or `Network` with `settings`, of which one that holds a Keras
        model is looked at but not tried, since its weights are the model's; or a
        hand-written ``(cost, gradient)``, or a
        function that returns both, with `x0`.
    X : array-like, sparse matrix or DataFrame of shape (n_rows, n_columns)
        The rows that it was or will be trained on; images may have more axes.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
    X_val, y_val : array-like, optional
        Rows held out. Without them, trials hold out some of X in turn.
    trials : bool
        Whether remedies are tried; without trials all findings are suspicions.
    budget : float
        Seconds after which no further trial is begun.
    thresholds : mapping of code to mapping or None, optional
        What is to differ from `thalweg.diagnosis.THRESHOLDS`; None mutes a finding.
    x0, args
        Weights, and further arguments ((X, y) if not given), of a hand-written cost.
    steps : sequence of (weights, gradient), optional
        Some consecutive steps of a hand-written training: the weights before each, and
        the gradient that was used there.
    **settings
        Fields of `Plan` for a `DenseNetwork`.

    Returns
    -------
    Diagnosis

    Raises
    ------
    TypeError
        For a subject that cannot be examined; it says what can.
    ValueError
        For data that do not fit together or do not fit the subject.

    Examples
    --------
    >>> import thalweg as tw
    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True)
    >>> found = tw.diagnose(tw.MLPClassifier(random_state=0), X, y)
    >>> found.findings[0].code, found.findings[0].status
    ('unscaled-input', 'confirmed by trial')
    """
    started = time.perf_counter()
    if not isinstance(budget, int | float | np.number) or not budget >= 0:
        raise ValueError(
            f"diagnose got budget={budget!r}; it must be a number of seconds, 0 or "
            "more. Give np.inf for no limit."
        )
    if _is_written(subject):
        refuse_settings(settings)
        return _of_written(subject, X, y, x0, args, steps, thresholds, started)
    if X is None or y is None:
        raise ValueError("diagnose needs X and y, the rows to train on.")
    problem = _quietly(understand, subject, X, y, X_val, y_val, **settings)
    facts = dict(_quietly(measure, problem)) | _modes(subject, problem)
    trial = Trials(problem, started + budget)
    held_by_another = getattr(problem.network, "adapter", None) is not None
    fatal = [f for f in judge(_own(problem, facts), thresholds)[0]
             if f.severity is Severity.FATAL]  # fmt: skip
    tries = trials and not held_by_another and not any(map(_is_for_the_user, fatal))
    if tries:
        facts |= _of_trials(trial, problem, facts, explained=bool(fatal))
    examined = time.perf_counter() - started - trial.seconds
    found, checked, missing = judge(_own(problem, facts), thresholds)
    if tries:
        again = partial(_look_again, trial, facts, thresholds)
        found = trial.over(found, again, facts.get("nearest.best", np.inf))
    costs = {
        "examination": examined,
        "trials": time.perf_counter() - started - examined,
        "trainings": float(trial.count),
    }
    return make_diagnosis(
        _name(subject, problem), facts, found, checked, missing,
        costs=costs, prescribe=partial(treated, problem),
    )  # fmt: skip


def _quietly(do: Callable[..., Any], *given: Any, **settings: Any) -> Any:
    """Call without scikit-learn's doubts about the target: they are examined here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return do(*given, **settings)


def _of_trials(
    trial: Trials, problem: Problem, facts: Facts, explained: bool
) -> dict[str, Any]:
    """Train it as it is, from several seeds; return what that shows."""
    arm = trial.begin()
    failed = "" if explained or problem.run is not None else arm.error
    found = trial.spread() | {"run.error": failed, "run.failed": trial.count}
    if problem.run is None and arm.run is not None:
        more = _quietly(measure, arm.problem, arm.run, again=True)
        found |= {k: v for k, v in more.items() if k.startswith(_OF_RUN)}
    if "seeds.scores" in found and "held.score" not in facts:
        found["held.score"] = float(np.nanmean(found["seeds.scores"]))
    return found


def _look_again(
    trial: Trials, facts: Facts, thresholds: Any, arm: TrialRun
) -> dict[str, Finding]:
    """Measure and judge what a remedy has made of it; return what is found, by code."""
    seen = _quietly(measure, arm.problem, arm.run, again=True) if arm.run else facts
    seen = {**seen, **trial.spread(), "run.error": arm.error}
    now = {k: seen.get(k, v) for k, v in facts.items() if _is_remeasured(k)}
    found, _, _ = judge(_own(trial.base, {**facts, **now}), thresholds)
    return {f.code: f for f in found}


def _is_remeasured(name: str) -> bool:
    return name.split(".")[0] in _REMEASURED or name == "held.score"


def _is_for_the_user(finding: Finding) -> bool:
    """Whether only the user can put it right: no trial helps."""
    return finding.prescription is not None and not finding.prescription.changes


def _own(problem: Problem, facts: Facts) -> Facts:
    """Leave out what is said of a network that the user never gave."""
    if not problem.stand_in:
        return facts
    return {k: v for k, v in facts.items() if k.split(".")[0] in _ALONE}


def _name(subject: Any, problem: Problem) -> str:
    what = "data" if subject is None else type(subject).__name__
    rows, columns = np.shape(problem.X)
    return f"{what} ({rows} rows, {columns} columns)"


def make_diagnosis(
    subject: str, facts: Facts, found: list[Finding], checked: Sequence[str],
    missing: Mapping[str, str], **more: Any,
) -> Diagnosis:  # fmt: skip
    """Put what was found into a diagnosis."""
    why = {k: WHY_NOT.get(fact.split(".")[0], fact) for k, fact in missing.items()}
    return Diagnosis(
        subject, tuple(_ordered(found)), facts, tuple(checked), why, **more
    )


def _ordered(found: list[Finding]) -> Iterator[Finding]:
    """Put the worst first, then what gained most; at most three are alarms."""
    ranked = sorted(found, key=lambda f: (-f.severity, -_share(f), ORDER[f.code]))
    for rank, finding in enumerate(ranked):
        low = rank >= MOST_CAUSES and finding.severity > Severity.NOTE
        yield replace(finding, severity=Severity.NOTE) if low else finding


def _share(finding: Finding) -> float:
    """Return what a remedy gained; of what only the user can put right, all."""
    proof = finding.proof
    return proof.gain if proof and finding.confirmed else np.inf


def _modes(subject: Any, problem: Problem) -> dict[str, Any]:
    """Predict twice."""
    last = subject.steps[-1][1] if hasattr(subject, "steps") else subject
    fitted = any(hasattr(last, name) for name in ("coefs_", "run_", "members_"))
    if not fitted and problem.run is None:
        return {}
    X = take(problem.X, np.arange(min(problem.X.shape[0], 200)))
    ask: Callable[[Any], Any] = getattr(
        subject, "predict_proba", getattr(subject, "predict", None)
    ) or partial(training.predict, subject)
    try:
        with np.errstate(all="ignore"):
            first, second = ask(X), ask(X)
    except (ValueError, TypeError, AttributeError):
        return {}
    if np.asarray(first).dtype.kind not in "fiub":
        return {"mode.differs": float((first != second).mean())}
    apart = np.abs(np.asarray(first, float) - np.asarray(second, float))
    return {"mode.differs": float(apart.max())}


# --------------------------------------------------------------------- hand-written


def _is_written(subject: Any) -> bool:
    pair = isinstance(subject, tuple) and len(subject) == 2
    return (pair and callable(subject[0])) or type(subject).__name__ == "function"


def _of_written(
    subject: Any, X: Any, y: Any, x0: Any, args: Any, steps: Any, thresholds: Any,
    started: float,
) -> Diagnosis:  # fmt: skip
    if x0 is None:
        raise ValueError(
            "diagnose got a hand-written cost without x0. Give x0, weights to check at."
        )
    cost, gradient = subject if isinstance(subject, tuple) else (subject, True)
    args = args if args is not None else tuple(a for a in (X, y) if a is not None)
    args = args if isinstance(args, tuple) else (args,)
    facts = facts_of_written(cost, gradient, x0, args)
    if steps is not None:
        facts |= facts_of_steps(cost, gradient, steps, args)
    costs = {"examination": time.perf_counter() - started, "trials": 0.0,
             "trainings": 0.0}  # fmt: skip
    judged = judge(facts, thresholds)
    return make_diagnosis("hand-written cost and gradient", facts, *judged, costs=costs)
