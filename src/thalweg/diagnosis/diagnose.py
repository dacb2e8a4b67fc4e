"""The doctor: facts, rules, and the trial of each remedy, put into one diagnosis.

What a rule suspects is tried (`thalweg.diagnosis.root_causes`). Only a remedy that
gains, and gains more than a random change, confirms its cause. A remedy that gains
nothing makes its finding a note at most, unless the facts alone prove it.
"""

import inspect
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from thalweg import training
from thalweg.core import History, Interval, check_flag, inside, shown
from thalweg.diagnosis.facts import Facts, measure, reach_of
from thalweg.diagnosis.facts.clock import Clock
from thalweg.diagnosis.facts.data import facts_of_coverage, facts_of_folds
from thalweg.diagnosis.facts.network import RateFacts
from thalweg.diagnosis.facts.reach import ReachFacts
from thalweg.diagnosis.facts.training import (
    AttemptFacts,
    ModeFacts,
    RunFacts,
    StopFacts,
    ValidationScoreFacts,
    facts_of_curve,
    facts_of_curve_alone,
    facts_of_validation_curve,
)
from thalweg.diagnosis.facts.user_function import facts_of_gradient, facts_of_steps
from thalweg.diagnosis.history_reader import read_history
from thalweg.diagnosis.keras_reader import KerasProblem
from thalweg.diagnosis.problem import Problem, take
from thalweg.diagnosis.readers import (
    KINDS,
    is_user_function,
    pipeline_parts,
    refuse_settings,
    understand,
)
from thalweg.diagnosis.result import Diagnosis, Finding, Severity
from thalweg.diagnosis.root_causes import MOST_CAUSES, cure_together, find_root_causes
from thalweg.diagnosis.rules import ORDER, Thresholds, judge, merged_limits
from thalweg.diagnosis.treatment import differences, treated, treated_function
from thalweg.diagnosis.trials import Baseline, Trainings, TrialRun
from thalweg.diagnosis.wrappers import Wrapped, unwrapped

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
    history: Any = None,
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
        - A Keras model, compiled or not, before or after `fit`; its training is read
          from `history` or from the model.
        - An estimator of scikit-learn around one of these, such as `GridSearchCV` or
          `TransformedTargetRegressor`.
        - A pair of callables ``(cost, gradient)``, or one callable that returns both,
          with `x0`. Without a gradient, ``(cost, None)``, finite differences stand for
          it.
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
    history : History, keras.callbacks.History, mapping, sequence or path, optional
        What was recorded of the training, for a model that does not hold it. Without
        `subject` and data it is examined alone: a list of losses, a dict or table of
        columns such as ``"loss"`` and ``"val_loss"``, or the path of a CSV log.
    **settings
        Fields of `Plan` for a `DenseNetwork` or `Network`; ``epochs``, ``batch_size``,
        ``class_weight`` and ``validation_split`` of `model.fit` for a Keras model.

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
        return make_diagnosis(
            name, facts, judge(facts, thresholds), costs=costs,
            prescribe=partial(treated_function, subject),
        )  # fmt: skip
    if history is not None and subject is None and X is None:
        refuse_settings(settings)
        return diagnosis_of_history(read_history(history), thresholds)
    if history is not None:
        settings["history"] = read_history(history)
        if hasattr(history, "params"):  # Keras's own says how long and in which batches
            settings["history"] = history
    if X is None or y is None:
        raise ValueError(
            "diagnose needs X and y, the training data. Give both, or history alone."
        )
    outer = unwrapped(subject)
    if outer is not None:
        return _of_wrapped(outer, subject, X, y, X_val, y_val, settings, {
            "trials": trials, "budget": budget, "thresholds": thresholds})  # fmt: skip
    problem = _without_warnings(understand, subject, X, y, X_val, y_val, **settings)
    clock = Clock(np.inf if trials else started + budget)
    facts = _without_warnings(measure, problem, clock=clock)
    if problem.labels is not None:
        facts = replace(facts, coverage=facts_of_coverage(y, y_val))
    if clock.allows(ModeFacts):
        facts = replace(facts, mode=_facts_of_mode(subject, problem))
    trainings = Trainings(problem, started + budget)
    judged = judge(_known_of(problem, facts), thresholds)
    fatal = [f for f in judged[0] if f.severity is Severity.FATAL]
    baseline = None
    trainable = getattr(problem, "trainable", True)
    if trials and trainable and not any(map(_needs_the_user, fatal)):
        baseline = trainings.baseline()
        facts = _with_baseline(facts, baseline, trainings, explained=bool(fatal))
    examined = time.perf_counter() - started - trainings.seconds
    found, checked, unchecked = judge(_known_of(problem, facts), thresholds)
    unchecked = clock.explain(unchecked)
    if baseline is not None and _pays(trainings, facts, found):
        again = partial(_examine_again, trainings, facts, thresholds)
        enough = facts.nearest.best if facts.nearest is not None else np.inf
        found = find_root_causes(trainings, baseline, found, again, enough)
        far = facts.reach is not None and facts.reach.far
        if far and not any(f.confirmed for f in found):
            found = cure_together(trainings, baseline, weighed(found, facts.reach))
    found = weighed(found, facts.reach)
    costs = {
        "examination": examined,
        "trials": time.perf_counter() - started - examined,
        "trainings": float(trainings.count),
    }
    distance = facts.reach.sentence if facts.reach and facts.reach.far else ""
    if trainings.interrupted:
        late = f"the budget of {budget:g} s was used up before all remedies were tried"
        distance = "; ".join(filter(None, (distance, late)))
    return make_diagnosis(
        _name(subject, problem), facts, (found, checked, unchecked),
        costs=costs, prescribe=partial(treated, problem), headline=distance,
    )  # fmt: skip


def _of_wrapped(
    outer: Wrapped, subject: Any, X: Any, y: Any, X_val: Any, y_val: Any,
    settings: Mapping[str, Any], options: Mapping[str, Any],
) -> Diagnosis:  # fmt: skip
    """Examine the network in another estimator; a treatment returns that estimator."""
    inner = outer.inner
    found = diagnose(
        inner, X, outer.target(y), X_val=X_val,
        y_val=None if y_val is None else outer.target(y_val), **options, **settings,
    )  # fmt: skip

    def prescribe(changes: Any) -> Any:
        assert found.prescribe is not None
        new, difference = found.prescribe(changes)
        return outer.rewrap(new), difference

    name = f"{type(subject).__name__} of {found.subject}"
    found = replace(found, subject=name, prescribe=prescribe)
    facts = Facts(coverage=facts_of_folds(getattr(subject, "cv", None), X, y))
    unseen = judge(facts, options["thresholds"])[0]
    ordered = tuple(_ordered([*unseen, *found.findings]))
    return replace(found, findings=ordered) if unseen else found


def diagnosis_of_history(
    history: History, thresholds: Thresholds | None = None, hopeless: str = ""
) -> Diagnosis:
    """Say what a training curve shows by itself; no remedy is tried."""
    finite, rate = bool(np.isfinite(history.loss).all()), None
    if len(history) and np.isfinite(value := float(history.rate[0])):
        rate = RateFacts(value=value, usual=value)
    facts = Facts(
        rate=rate,
        run=RunFacts(finite, len(history)),
        curve=facts_of_curve(history),
        validation_curve=facts_of_validation_curve(history),
        alone=facts_of_curve_alone(history),
        stop=StopFacts(
            ended_by_epochs=not hopeless, diverged=not finite, restored=False
        ),
    )
    judged = judge(facts, thresholds)
    return make_diagnosis(f"training of {len(history)} epochs", facts, judged)


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
            norm_mode=seen.norm_mode,
            reach=reach_of(first.problem, first.run),
        )  # fmt: skip
    if seeds is not None and facts.validation_score is None:
        score = trainings.plain_score()
        facts = replace(facts, validation_score=ValidationScoreFacts(score))
    return facts


def _pays(trainings: Trainings, facts: Facts, found: list[Finding]) -> bool:
    """Whether remedies are tried: those of notes only where trainings take little.

    Keras needs seconds for each training. A model that only Keras can train, and that
    is not far from what is reachable, keeps its notes as they are.
    """
    far = facts.reach is None or facts.reach.far
    return trainings.fast or far or any(f.severity > Severity.NOTE for f in found)


_NEVER_RAISED = ("few-rows", "uninformative-column", "overfitting", "seed-fragility")
"""Notes that do not explain why a network is far from what is reachable."""


def weighed(found: list[Finding], reach: ReachFacts | None) -> list[Finding]:
    """Raise the notes of a network that is far from what is reachable to suspicions.

    A remedy that gains nothing demotes the remedy, not the finding. A remedy that was
    confirmed explains the distance, so that the notes stay notes.
    """
    if reach is None:
        return found
    if reach.near:  # a few points by more epochs are no fault
        found = [
            replace(f, severity=Severity.NOTE)
            if f.code == "stopped-early" and f.severity is Severity.ADVICE
            else f
            for f in found
        ]
    if not reach.far:
        return found
    cures = [f for f in found if f.confirmed]
    if cures:
        cause = max(cures, key=_gain)
        effects = tuple(f for f in found if f.code == "far-from-reachable")
        explained = replace(cause, symptoms=(*cause.symptoms, *effects))
        return [explained if f is cause else f for f in found if f not in effects]
    return [
        replace(f, severity=Severity.ADVICE)
        if f.severity is Severity.NOTE and f.code not in _NEVER_RAISED
        else f
        for f in found
    ]


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
    headline: str = "",
) -> Diagnosis:  # fmt: skip
    """Put facts and what the rules said of them into a diagnosis."""
    found, checked, unchecked = judged
    return Diagnosis(
        subject, tuple(_ordered(found)), facts.by_name(), tuple(checked), unchecked,
        costs=costs or {}, headline=headline, prescribe=prescribe,
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
    if finding.code == "far-from-reachable":
        return -2.0  # the suspicions that may explain it come first
    if proof is not None and not finding.confirmed:
        return -1.0
    return proof.gain if proof is not None else np.inf


def _facts_of_mode(subject: Any, problem: Problem) -> ModeFacts | None:
    """Predict twice, and compare."""
    last = pipeline_parts(subject)[1]
    if isinstance(problem, KerasProblem):
        return None  # its two modes are compared instead
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


def _takes(function: Any, n_arguments: int) -> bool:
    """Whether a function takes so many arguments; True if nobody can tell."""
    try:
        inspect.signature(function).bind(*range(n_arguments))
    except TypeError:
        return False
    except ValueError:  # it has no signature
        return True
    return True


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
    if args is None:
        args = tuple(a for a in (X, y) if a is not None)
        args = args if _takes(cost, 1 + len(args)) else ()
    args = args if isinstance(args, tuple) else (args,)
    if gradient is None:
        gradient = differences(cost)
    of_steps = None
    of_gradient = facts_of_gradient(cost, gradient, x0, args)
    if steps is not None:
        of_steps = facts_of_steps(cost, gradient, steps, args)
    return Facts(gradient=of_gradient, steps=of_steps)
