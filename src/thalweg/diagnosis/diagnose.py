"""The doctor: facts, rules, and the trial of each remedy, put into one diagnosis.

What a rule suspects is tried (`thalweg.diagnosis.root_causes`). Only a remedy that
gains, and gains more than a random change, confirms its cause. A remedy that gains
nothing makes its finding a note at most, unless the facts alone prove it.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from thalweg import training
from thalweg.core import Interval, check_flag, inside, shown
from thalweg.diagnosis.facts import Facts, measure
from thalweg.diagnosis.facts.clock import Clock
from thalweg.diagnosis.facts.training import (
    AttemptFacts,
    ModeFacts,
    ValidationScoreFacts,
)
from thalweg.diagnosis.facts.user_function import facts_of_gradient, facts_of_steps
from thalweg.diagnosis.problem import Problem, take
from thalweg.diagnosis.readers import (
    KINDS,
    is_user_function,
    pipeline_parts,
    refuse_settings,
    understand,
)
from thalweg.diagnosis.result import Diagnosis, Finding, Severity
from thalweg.diagnosis.root_causes import MOST_CAUSES, find_root_causes
from thalweg.diagnosis.rules import ORDER, Thresholds, judge, merged_limits
from thalweg.diagnosis.treatment import treated
from thalweg.diagnosis.trials import Baseline, Trainings, TrialRun

Judged = tuple[list[Finding], list[str], dict[str, str]]


@inside()  # its trainings show no progress
def diagnose(
    subject: Any = None,
    X: Any = None,
    y: Any = None,
    *,
    X_val: Any = None,
    y_val: Any = None,
    trials: bool = True,
    budget: float = 60.0,
    thresholds: Thresholds | None = None,
    x0: Any = None,
    args: Any = None,
    steps: Sequence[tuple[Any, Any]] | None = None,
    **settings: Any,
) -> Diagnosis:
    """Say what is wrong with data, a network or a training, and prove the remedy.

    Parameters
    ----------
    subject : object
        What to examine:

        - None examines the data alone, before training.
        - An estimator of thalweg, or an MLP of scikit-learn, fitted or not.
        - A Pipeline that ends in such an estimator.
        - A `Run`, or a `DenseNetwork` or `Network` with `settings`. A network that
          holds a Keras model is examined, but remedies are not tried, because its
          weights are the model's.
        - A pair of callables ``(cost, gradient)``, or one callable that returns both,
          with `x0`.
    X : array-like, sparse matrix or DataFrame of shape (n_rows, n_columns)
        The training data; images may have more axes.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        The target.
    X_val, y_val : array-like, optional
        Validation data. Without them, each trial holds out a part of X.
    trials : bool
        Whether remedies are tried. Without trials all findings are suspicions.
    budget : float
        Seconds after which no further training begins. Without trials, seconds after
        which nothing that takes long is measured.
    thresholds : mapping of code to mapping or None, optional
        Limits that differ from `thalweg.diagnosis.THRESHOLDS`; None mutes a finding.
    x0, args
        Weights at which the user's cost is examined, and further arguments of the cost
        (by default X and y, if given).
    steps : sequence of (weights, gradient), optional
        Some consecutive steps of the user's training: the weights before each step,
        and the gradient that was used there.
    **settings
        Fields of `Plan` for a `DenseNetwork` or `Network`.

    Returns
    -------
    Diagnosis

    Raises
    ------
    TypeError
        If `subject` cannot be examined or `thresholds` is not a mapping of codes to
        limits; the message says what is allowed.
    ValueError
        If the data do not fit together or do not fit `subject`, or if a threshold does
        not exist.

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
    check_flag("trials", trials, owner="diagnose")
    if budget not in Interval("[0, inf]"):
        raise ValueError(
            f"diagnose got budget={shown(budget)}; it must be a number of seconds, 0 "
            "or more. Give np.inf for no limit."
        )
    merged_limits(thresholds)  # raises before anything is measured
    if is_user_function(subject):
        refuse_settings(settings)
        facts = _facts_of_user_function(subject, X, y, x0, args, steps)
        costs = {"examination": time.perf_counter() - started, "trials": 0.0,
                 "trainings": 0.0}  # fmt: skip
        name = "hand-written cost and gradient"
        return make_diagnosis(name, facts, judge(facts, thresholds), costs=costs)
    if X is None or y is None:
        raise ValueError("diagnose needs X and y, the training data. Give both.")
    problem = _without_warnings(understand, subject, X, y, X_val, y_val, **settings)
    clock = Clock(np.inf if trials else started + budget)
    facts = _without_warnings(measure, problem, clock=clock)
    if clock.allows(ModeFacts):
        facts = replace(facts, mode=_facts_of_mode(subject, problem))
    trainings = Trainings(problem, started + budget)
    in_keras = getattr(problem.network, "adapter", None) is not None
    judged = judge(_known_of(problem, facts), thresholds)
    fatal = [f for f in judged[0] if f.severity is Severity.FATAL]
    baseline = None
    if trials and not in_keras and not any(map(_needs_the_user, fatal)):
        baseline = trainings.baseline()
        facts = _with_baseline(facts, baseline, trainings, explained=bool(fatal))
    examined = time.perf_counter() - started - trainings.seconds
    found, checked, unchecked = judge(_known_of(problem, facts), thresholds)
    unchecked = clock.explain(unchecked)
    if baseline is not None:
        again = partial(_examine_again, trainings, facts, thresholds)
        enough = facts.nearest.best if facts.nearest is not None else np.inf
        found = find_root_causes(trainings, baseline, found, again, enough)
    costs = {
        "examination": examined,
        "trials": time.perf_counter() - started - examined,
        "trainings": float(trainings.count),
    }
    return make_diagnosis(
        _name(subject, problem), facts, (found, checked, unchecked),
        costs=costs, prescribe=partial(treated, problem),
    )  # fmt: skip


def _without_warnings(do: Callable[..., Any], *given: Any, **settings: Any) -> Any:
    """Call without scikit-learn's warnings about the target: it is examined here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return do(*given, **settings)


def _with_baseline(
    facts: Facts, baseline: Baseline, trainings: Trainings, explained: bool
) -> Facts:
    """Add what the trainings of the unchanged problem show."""
    first, seeds = baseline.first, trainings.spread()
    trained_before = trainings.base.run is not None
    error = "" if explained or trained_before else first.error
    facts = replace(facts, seeds=seeds, attempts=AttemptFacts(error, trainings.count))
    if not trained_before and first.run is not None:
        seen = _without_warnings(measure, first.problem, first.run, again=True)
        facts = replace(
            facts, run=seen.run, curve=seen.curve, stop=seen.stop, end=seen.end,
            validation_curve=seen.validation_curve, end_loss=seen.end_loss,
            outputs=seen.outputs, end_units=seen.end_units, memory=seen.memory,
            predictions=seen.predictions, sharpness=seen.sharpness,
        )  # fmt: skip
    if seeds is not None and facts.validation_score is None:
        score = float(np.nanmean(seeds.scores))
        facts = replace(facts, validation_score=ValidationScoreFacts(score))
    return facts


def _examine_again(
    trainings: Trainings, facts: Facts, thresholds: Thresholds | None, trial: TrialRun
) -> dict[str, Finding]:
    """Measure and judge what a remedy changed; return the findings by code."""
    seen = facts
    if trial.run is not None:
        seen = _without_warnings(measure, trial.problem, trial.run, again=True)
    attempts = AttemptFacts(trial.error, facts.attempts.failed if facts.attempts else 0)
    seen = replace(seen, seeds=trainings.spread() or seen.seeds, attempts=attempts)
    now = _known_of(trainings.base, facts.remeasured(seen))
    found, _, _ = judge(now, thresholds)
    return {f.code: f for f in found}


def _needs_the_user(finding: Finding) -> bool:
    """Whether only the user can remedy it, so that no trial helps."""
    return finding.prescription is not None and not finding.prescription.changes


def _known_of(problem: Problem, facts: Facts) -> Facts:
    """Leave out facts of a network that the user did not give."""
    return facts.about_data() if problem.stand_in else facts


def _name(subject: Any, problem: Problem) -> str:
    what = "data" if subject is None else type(subject).__name__
    rows, columns = np.shape(problem.X)
    return f"{what} ({rows} rows, {columns} columns)"


def make_diagnosis(
    subject: str, facts: Facts, judged: Judged,
    costs: Mapping[str, float] | None = None, prescribe: Any = None,
) -> Diagnosis:  # fmt: skip
    """Put facts and what the rules said of them into a diagnosis."""
    found, checked, unchecked = judged
    return Diagnosis(
        subject, tuple(_ordered(found)), facts.by_name(), tuple(checked), unchecked,
        costs=costs or {}, prescribe=prescribe,
    )  # fmt: skip


def _ordered(found: list[Finding]) -> Iterator[Finding]:
    """Put the worst first, then what gained most; at most three are alarms."""
    ranked = sorted(found, key=lambda f: (-f.severity, -_gain(f), ORDER[f.code]))
    for rank, finding in enumerate(ranked):
        low = rank >= MOST_CAUSES and finding.severity > Severity.NOTE
        yield replace(finding, severity=Severity.NOTE) if low else finding


def _gain(finding: Finding) -> float:
    """Return what a remedy gained; infinity if only the user can apply it."""
    proof = finding.proof
    return proof.gain if proof and finding.confirmed else np.inf


def _facts_of_mode(subject: Any, problem: Problem) -> ModeFacts | None:
    """Predict twice, and compare."""
    last = pipeline_parts(subject)[1]
    fitted = any(hasattr(last, name) for name in ("coefs_", "run_", "members_"))
    if not fitted and problem.run is None:
        return None
    X = take(problem.X, np.arange(min(problem.X.shape[0], 200)))
    ask: Callable[[Any], Any] = getattr(
        subject, "predict_proba", getattr(subject, "predict", None)
    ) or partial(training.predict, subject)
    try:
        with np.errstate(all="ignore"):
            first, second = ask(X), ask(X)
    except (ValueError, TypeError, AttributeError):
        return None
    if np.asarray(first).dtype.kind not in "fiub":
        return ModeFacts(float((first != second).mean()))
    apart = np.abs(np.asarray(first, float) - np.asarray(second, float))
    return ModeFacts(float(apart.max()))


def _facts_of_user_function(
    subject: Any, X: Any, y: Any, x0: Any, args: Any, steps: Any
) -> Facts:
    if x0 is None:
        raise ValueError(
            f"diagnose got a callable, {subject!r}, without x0. If it is your cost, "
            "give x0, the weights at which the cost is examined. If it is not, "
            f"diagnose can examine {KINDS}."
        )
    cost, gradient = subject if isinstance(subject, tuple) else (subject, True)
    args = args if args is not None else tuple(a for a in (X, y) if a is not None)
    args = args if isinstance(args, tuple) else (args,)
    of_steps = None
    of_gradient = facts_of_gradient(cost, gradient, x0, args)
    if steps is not None:
        of_steps = facts_of_steps(cost, gradient, steps, args)
    return Facts(gradient=of_gradient, steps=of_steps)
