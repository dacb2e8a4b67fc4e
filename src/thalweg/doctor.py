"""The doctor: facts, rules, and the trial of each remedy, put into one diagnosis.

What a rule suspects is tried: the same network on the same rows from the same seeds,
as it was, with the remedy, and with a random change in the remedy's place. Only a
remedy that gains, and more than the random change, confirms its cause. After a
confirmed one all is measured again; what has disappeared was its symptom. What gains
nothing is a note at most, unless the facts alone prove it.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from thalweg import training
from thalweg.cases import Case, changed, random_change, take
from thalweg.findings import Diagnosis, Facts, Finding, Prescription, Proof, Severity
from thalweg.measure import WHY_NOT, measure
from thalweg.measure.network import facts_of_history, score
from thalweg.measure.written import facts_of_steps, facts_of_written
from thalweg.records import Array, EpochRecord, History, Run
from thalweg.rules import ORDER, judge
from thalweg.subjects import treated, understand

_MOST_ROWS = 3000
"""Rows of a trial: more would say the same for more time."""
_FOLDS = 5
_GAIN = 0.02
"""Least gain that counts: two points of accuracy, or 0.02 of R²."""
_ERRORS, _GLARING_ERRORS, _NONE_LOSES = 1.64, 0.9, 1.2
"""Standard errors that a gain must exceed: 5 % one-sided; fewer for what is glaring, or
if no seed loses."""
_QUICK = 0.3  # seconds of a fit of which five are trained, not three
_NEVER_TRIED = ("leak",)
"""An honest score is lower without the leak."""
_LAST_RESORT = ("seed-fragility",)
"""What other causes bring about; tried when none of them is left."""
_MOST_CAUSES = 3
_ALONE = ("data", "target", "inputs", "nearest", "held", "labels", "numbers", "image")
_OF_RUN = ("run.", "end.", "rate.sharpness")


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
        `DenseNetwork` with `settings`; or a hand-written ``(cost, gradient)``, or a
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
        What is to differ from `thalweg.rules.THRESHOLDS`; None mutes a finding.
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
    if _is_written(subject):
        return _of_written(subject, X, y, x0, args, steps, thresholds, started)
    if X is None or y is None:
        raise ValueError("diagnose needs X and y, the rows to train on.")
    case = _quietly(understand, subject, X, y, X_val, y_val, **settings)
    facts = dict(_quietly(measure, case)) | _modes(subject, case)
    trial = _Trials(case, started + budget)
    hopeless = _certain(judge(_own(case, facts), thresholds)[0])
    if trials and not hopeless:
        facts |= trial.begin(case, facts)
    examined = time.perf_counter() - started - trial.seconds
    found, checked, missing = judge(_own(case, facts), thresholds)
    if trials and not hopeless:
        found = trial.over(found, facts, thresholds)
    return Diagnosis(
        subject=_name(subject, case),
        findings=tuple(_ordered(found)),
        facts=facts,
        checked=tuple(checked),
        unchecked=_reasons(missing),
        costs={
            "examination": examined,
            "trials": trial.seconds,
            "trainings": float(trial.count),
        },
        prescribe=partial(treated, case),
    )


def _quietly(do: Callable[..., Any], *given: Any, **settings: Any) -> Any:
    """Call without scikit-learn's doubts about the target: they are examined here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return do(*given, **settings)


def _certain(found: list[Finding]) -> bool:
    """Whether something is fatal that only the user can put right: no trial helps."""
    return any(
        f.severity is Severity.FATAL and f.prescription and not f.prescription.changes
        for f in found
    )


def _own(case: Case, facts: Facts) -> Facts:
    """Leave out what is said of a network that the user never gave."""
    if not case.stand_in:
        return facts
    return {k: v for k, v in facts.items() if k.split(".")[0] in _ALONE}


def _name(subject: Any, case: Case) -> str:
    what = "data" if subject is None else type(subject).__name__
    rows, columns = np.shape(case.X)
    return f"{what} ({rows} rows, {columns} columns)"


def _reasons(missing: Mapping[str, str]) -> dict[str, str]:
    return {
        code: WHY_NOT.get(fact.split(".")[0], fact) for code, fact in missing.items()
    }


def _ordered(found: list[Finding]) -> Iterator[Finding]:
    """Put the worst first, then what gained most; at most three are alarms."""
    ranked = sorted(found, key=lambda f: (-f.severity, -_share(f), ORDER[f.code]))
    for rank, finding in enumerate(ranked):
        low = rank >= _MOST_CAUSES and finding.severity > Severity.NOTE
        yield replace(finding, severity=Severity.NOTE) if low else finding


def _share(finding: Finding) -> float:
    """Return what a remedy gained; of what only the user can put right, all."""
    proof = finding.proof if _is_proved(finding) else None
    return proof.gain if proof else np.inf


def _modes(subject: Any, case: Case) -> dict[str, Any]:
    """Predict twice."""
    last = subject.steps[-1][1] if hasattr(subject, "steps") else subject
    fitted = any(hasattr(last, name) for name in ("coefs_", "run_", "members_"))
    if not fitted and case.run is None:
        return {}
    X = take(case.X, np.arange(min(case.X.shape[0], 200)))
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


# -------------------------------------------------------------------------- trials


@dataclass(eq=False)
class _Arm:
    """One training of a trial."""

    case: Case
    run: Run | None
    score: float


@dataclass(eq=False)
class _Trials:
    """Paired trainings within a budget."""

    base: Case
    deadline: float
    seconds: float = 0.0
    count: int = 0
    seeds: int = 5
    scores: list[float] = field(default_factory=list)
    first: _Arm | None = None
    least: float = -1.0  # score that a remedy must reach: that of knowing nothing
    _control: list[float] = field(default_factory=list)

    def begin(self, case: Case, facts: Facts) -> dict[str, Any]:
        """Train it as it is, from several seeds; return what that shows."""
        begun = time.perf_counter()
        self.first = self.arm(case, {}, 0)
        self.seeds = 5 if time.perf_counter() - begun < _QUICK else 3
        self.scores = [self.first.score, *self._arms(case, {}, range(1, self.seeds))]
        self.seconds = time.perf_counter() - begun
        found = self._spread(case)
        arm = self.first
        if case.run is None and arm.run is not None:
            more = _quietly(measure, arm.case, arm.run)
            found |= {k: v for k, v in more.items() if k.startswith(_OF_RUN)}
        if found and "held.score" not in facts:
            found["held.score"] = float(np.nanmean(self.scores))
        return found

    def _spread(self, case: Case) -> dict[str, Any]:
        """Measure how far the scores of the seeds lie apart, and how far by chance."""
        known = [s for s in self.scores if np.isfinite(s)]
        if not known:
            return {}
        error = 0.1
        if case.labels is not None:
            middle = float(np.clip(np.median(known), 0.02, 0.98))
            held = self._n_held(case)
            each = held if case.held is not None else max(held / self.seeds, 1)
            error = float(np.sqrt(middle * (1 - middle) / each))
        return {"seeds.error": error, "seeds.spread": max(known) - min(known),
                "seeds.scores": tuple(self.scores)}  # fmt: skip

    def over(
        self,
        found: list[Finding],
        facts: Facts,
        thresholds: Mapping[str, Mapping[str, float] | None] | None,
    ) -> list[Finding]:
        """Try the remedies of what was found, root causes first."""
        begun = time.perf_counter()
        self.least = max(
            (f.limit for f in found if f.code == "no-signal"), default=-1.0
        )
        waiting = [f for f in found if _can_be_tried(f)]
        done = [f for f in found if f not in waiting]
        roots = 0
        while waiting and roots < _MOST_CAUSES:
            screened = [self._screen(f) for f in waiting]
            cause = _foremost(screened)
            proof = self._prove(cause) if cause else None
            if cause is None or proof is None or proof.verdict != "confirmed":
                rest = [
                    f for f in screened if f.finding is not (cause and cause.finding)
                ]
                done += [each.closed(self.scores) for each in rest if each.over]
                if cause is None:
                    waiting = [each.finding for each in rest if not each.over]
                    break
                done.append(_judged(cause, proof))
                waiting = [each.finding for each in rest if not each.over]
                continue
            roots += 1
            still = self._go_on(cause, facts, thresholds)
            others = [each.finding for each in screened if each is not cause]
            doubtful = [f for f in done if not _is_proved(f)]
            gone = [f for f in others + doubtful if f.code not in still]
            waiting = [still[f.code] for f in others if f.code in still]
            done = [f for f in done if f not in gone]
            done.append(replace(_judged(cause, proof), symptoms=tuple(gone)))
        done += [replace(f, severity=min(f.severity, Severity.ADVICE)) for f in waiting]
        self.seconds += time.perf_counter() - begun
        return done

    def arm(self, case: Case, changes: Mapping[str, Any], seed: int) -> _Arm:
        """Train with changes on the rows of a seed, and score on those held out."""
        self.count += 1
        early = {k: v for k, v in changes.items() if k == "roll"}
        late = {k: v for k, v in changes.items() if k != "roll"}
        part = _split(changed(case, early), seed)
        try:
            with np.errstate(all="ignore"):
                part = changed(part, late)
                assert part.held is not None
                run, pipe = part.train(seed)
                X = pipe.transform(part.held[0]) if pipe else part.held[0]
                X = X.toarray() if hasattr(X, "toarray") else np.asarray(X)
                if changes.get("match_held"):
                    X = _matched(X, part.prepared()[0])
                guess = part.decide(training.predict(run, X))
                value = _common_score(part, guess, changes, case)
        except (ValueError, FloatingPointError, np.linalg.LinAlgError):
            return _Arm(part, None, np.nan)
        return _Arm(part, run, value)

    def _arms(self, case: Case, changes: Any, seeds: Any) -> list[float]:
        found = []
        for seed in seeds:
            late = time.perf_counter() > self.deadline
            found.append(np.nan if late else self.arm(case, changes, seed).score)
        return found

    def _n_held(self, case: Case) -> int:
        own = case.held
        n = min(case.X.shape[0], _MOST_ROWS)
        return len(own[1]) if own is not None else n * min(self.seeds, _FOLDS) // _FOLDS

    def _screen(self, finding: Finding) -> "_Screened":
        """Try each remedy from the first seed; keep the best."""
        remedy = finding.prescription
        assert remedy is not None
        best = _Screened(finding, remedy.changes, np.nan, -np.inf)
        for changes in (remedy.changes, *remedy.alternatives):
            if time.perf_counter() > self.deadline:
                return replace(best, over="out of budget")
            before = self._before(changes)
            after = self._arms(self.base, changes, range(2))
            gain = float(np.mean(np.nan_to_num(after) - np.nan_to_num(before[:2])))
            if gain > best.gain + 0.005:
                best = _Screened(finding, changes, after[0], gain)
        return best if best.gain > _GAIN / 2 else replace(best, over="no gain")

    def _before(self, changes: Mapping[str, Any]) -> list[float]:
        if "target" not in changes:
            return self.scores
        same = {"measured_as": changes["target"]}
        return self._arms(self.base, same, range(self.seeds))

    def _prove(self, cause: "_Screened") -> Proof:
        """Train with the remedy from every seed, and with a random change instead."""
        seeds = range(self.seeds)
        before = self._before(cause.changes)
        after = self._arms(self.base, cause.changes, seeds)
        if not self._control:
            self._control = [
                self._arms(self.base, random_change(self.base, s), [s])[0]
                for s in seeds
            ]
        kind = cause.changes.get("target")
        by_class = self.base.labels is not None if kind is None else kind == "classes"
        late = time.perf_counter() > self.deadline
        errors = _GLARING_ERRORS if _is_glaring(cause.finding) else _ERRORS
        return _proof(before, after, self._control, self._n_held(self.base), by_class,
                      late, errors, self.least)  # fmt: skip

    def _go_on(
        self,
        cause: "_Screened",
        facts: Facts,
        thresholds: Mapping[str, Mapping[str, float] | None] | None,
    ) -> dict[str, Finding]:
        """Apply a confirmed remedy and look again; return what is found, by code."""
        self.base = changed(self.base, cause.changes)
        arm = self.arm(self.base, {}, 0)
        self.scores = [arm.score, *self._arms(self.base, {}, range(1, self.seeds))]
        self._control = []
        seen = _quietly(measure, arm.case, arm.run) if arm.run else facts
        seen = {**seen, **self._spread(self.base)}
        now = {k: seen.get(k, v) for k, v in facts.items() if _is_remeasured(k)}
        found, _, _ = judge(_own(self.base, {**facts, **now}), thresholds)
        return {f.code: f for f in found}


def _is_remeasured(name: str) -> bool:
    return name.split(".")[0] in _REMEASURED or name == "held.score"


_REMEASURED = ("run", "end", "start", "static", "rate", "inputs", "seeds")


@dataclass(frozen=True, eq=False)
class _Screened:
    """A finding, the best of its remedies, and what that gained from two seeds."""

    finding: Finding
    changes: Mapping[str, Any]
    after: float
    gain: float
    over: str = ""

    def closed(self, before: Sequence[float]) -> Finding:
        """Return the finding that no trial spoke for."""
        if self.over == "out of budget":
            return self.finding
        nan = float("nan")
        proof = Proof("score", tuple(before[:1]), (self.after,), (), self.gain,
                      (nan, nan), nan, self.over)  # fmt: skip
        return replace(self.finding, severity=_untreated(self.finding), proof=proof)


def _untreated(finding: Finding) -> Severity:
    """Return the severity where no remedy helps: what the facts alone prove stays."""
    own = finding.severity
    return own if own >= Severity.SERIOUS else Severity.NOTE


def _is_glaring(finding: Finding) -> bool:
    """Whether the number is ten times past its limit: a trial need not prove all."""
    value, limit = abs(finding.value), abs(finding.limit)
    return bool(limit and value and max(value / limit, limit / value) > 10)


def _is_proved(finding: Finding) -> bool:
    return finding.proof is not None and finding.proof.verdict == "confirmed"


def _can_be_tried(finding: Finding) -> bool:
    remedy = finding.prescription
    return bool(remedy and remedy.changes and finding.code not in _NEVER_TRIED)


def _foremost(screened: list[_Screened]) -> _Screened | None:
    """Return the remedy that gained most, of nearly equal ones the one upstream."""
    open_ones = [each for each in screened if not each.over]
    if not open_ones:
        return None
    first = [each for each in open_ones if each.finding.code not in _LAST_RESORT]
    open_ones = first or open_ones
    best = max(each.gain for each in open_ones)
    near = [each for each in open_ones if each.gain >= best - max(0.1 * best, _GAIN)]
    return min(near, key=lambda each: ORDER[each.finding.code])


def _judged(cause: _Screened, proof: Proof | None) -> Finding:
    """Return the finding with its proof, as severe as the damage that was measured."""
    finding, remedy = cause.finding, cause.finding.prescription
    assert proof is not None
    assert remedy is not None
    if cause.changes is not remedy.changes and proof.verdict == "confirmed":
        listed = ", ".join(f"{k} = {v!r}" for k, v in cause.changes.items())
        remedy = Prescription(f"Set {listed}.", cause.changes)
    severity = _untreated(finding)
    if proof.verdict == "confirmed":
        severity = Severity.ADVICE if proof.gain < 0.05 else Severity.SERIOUS
        severity = Severity.FATAL if proof.gain > 0.3 else severity
    elif proof.verdict == "out of budget":
        severity = finding.severity
    return replace(finding, severity=severity, prescription=remedy, proof=proof)


def _proof(
    before: list[float], after: list[float], control: list[float], n_held: int,
    by_class: bool, late: bool, errors: float = _ERRORS, least: float = -1.0,
) -> Proof:  # fmt: skip
    """Judge paired scores; a training that diverged scores 0."""
    b, a, c = (np.nan_to_num(np.array(s)) for s in (before, after, control))
    gains = a - b
    gain, over = float(gains.mean()), float((a - c).mean())
    # Scores on a share of the rows wander by themselves, whatever the seeds say.
    floor = np.sqrt(max(abs(gain), 0.01) / n_held) if by_class else 0.005
    error = max(float(gains.std(ddof=1) / np.sqrt(len(gains))), float(floor))
    interval = (gain - 1.96 * error, gain + 1.96 * error)
    verdict = "no gain"
    # One seed that gains far more than the others must not hide that none loses.
    sure = len(gains) >= 5 and gains.min() >= 0 and gain > _NONE_LOSES * floor
    clear = gain > errors * error or sure
    if gain >= _GAIN and clear and over > 0 and a.mean() > least:
        verdict = "confirmed"
    elif not np.isfinite(after).any():
        verdict = "out of budget" if late else "diverged"
    elif late:
        verdict = "out of budget"
    metric = "accuracy" if by_class else "R2"
    return Proof(metric, tuple(before), tuple(after), tuple(control), gain, interval,
                 over, verdict)  # fmt: skip


def _split(case: Case, seed: int) -> Case:
    """Return rows to train on with rows held out: the user's, or a fold."""
    n = case.X.shape[0]
    if case.held is not None:
        if n <= _MOST_ROWS:
            return case
        return case.rows(np.random.RandomState(0).permutation(n)[:_MOST_ROWS])
    chance = np.random.RandomState(0).permutation(n)[:_MOST_ROWS]
    key = case.y[chance] if case.y.ndim == 1 else np.zeros(len(chance))
    fold = np.empty(len(chance), int)
    fold[np.argsort(key, kind="stable")] = np.arange(len(chance)) % _FOLDS
    # In the order of the table: it may be what is wrong.
    ours, theirs = (np.sort(chance[m]) for m in (fold != seed % _FOLDS,
                                                 fold == seed % _FOLDS))  # fmt: skip
    return replace(case.rows(ours), held=(take(case.X, theirs), case.y[theirs]))


def _matched(X: Array, like: Array) -> Array:
    """Give each column the center and spread that it has in other rows."""
    spread = X.std(axis=0)
    scaled = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return scaled * like.std(axis=0) + like.mean(axis=0)


def _common_score(
    part: Case, guess: Array, changes: Mapping[str, Any], case: Case
) -> float:
    """Score as the case's own predictions are; where the target changes, alike."""
    assert part.held is not None
    truth = part.held[1]
    kind = changes.get("target") or changes.get("measured_as")
    if kind is None:
        return score(part, guess, truth)
    if part.labels is not None:
        values = part.labels.astype(float)
        guess, truth = values[guess.astype(int)], values[truth]
    if kind == "numbers":
        return score(replace(part, labels=None), guess, truth)
    known = np.unique(truth)
    nearest = known[np.abs(guess.reshape(-1, 1) - known).argmin(axis=1)]
    return float((nearest == truth).mean())


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
    found, checked, missing = judge(facts, thresholds)
    return Diagnosis(
        subject="hand-written cost and gradient",
        findings=tuple(_ordered(found)),
        facts=facts,
        checked=tuple(checked),
        unchecked=_reasons(missing),
        costs={"examination": time.perf_counter() - started, "trials": 0.0,
               "trainings": 0.0},
    )  # fmt: skip


# ------------------------------------------------------------------------- callback


class Doctor:
    """A callback that examines a training while it runs.

    Give it to any fit as one of its ``callbacks``; afterwards `diagnosis` says what
    the curves show. It is told of up to 32 epochs at once, so that it costs little.

    Parameters
    ----------
    stop : bool
        Whether a hopeless training is stopped: one whose loss is not finite, or five
        times the first one, or has not moved in `patience` epochs.
    patience : int
        Epochs after which a loss still at its first value is hopeless.
    thresholds : mapping, optional
        As for `diagnose`.

    Examples
    --------
    >>> import thalweg as tw
    >>> from thalweg.datasets import blobs
    >>> X, y = blobs(60)
    >>> doctor = tw.Doctor(stop=True)
    >>> clf = tw.MLPClassifier(callbacks=[doctor], tol=0.01, random_state=0).fit(X, y)
    >>> doctor.hopeless
    ''
    """

    patient = True

    def __init__(
        self,
        stop: bool = False,
        patience: int = 50,
        thresholds: Mapping[str, Mapping[str, float] | None] | None = None,
    ) -> None:
        self.stop, self.patience, self.thresholds = stop, patience, thresholds
        self.records: list[EpochRecord] = []
        self.hopeless = ""

    def __call__(self, record: EpochRecord) -> bool:
        """Take note of an epoch; True stops training."""
        if record.epoch == 1:
            self.records, self.hopeless = [], ""
        self.records.append(record)
        first = self.records[0].loss
        if not record.loss < 5 * first + 1e-12 and record.epoch > 3:
            self.hopeless = f"the loss is {record.loss:.3g}, and began at {first:.3g}"
        elif record.epoch == self.patience and record.loss > 0.9999 * first:
            self.hopeless = f"the loss has stayed at {first:.3g}"
        return self.stop and bool(self.hopeless)

    @property
    def history(self) -> History:
        """The epochs seen."""
        names = [
            name for name in vars(EpochRecord(1, 0, 0, 0, 0, 0)) if name != "epoch"
        ]
        columns = {name: [getattr(r, name) for r in self.records] for name in names}
        return History.from_columns(columns)

    @property
    def diagnosis(self) -> Diagnosis:
        """What the curves show; nothing is tried."""
        facts: dict[str, Any] = facts_of_history(self.history)
        facts |= {"run.diverged": not facts["run.finite"], "run.restored": False,
                  "run.ended_by_epochs": not self.hopeless}  # fmt: skip
        if self.records and np.isfinite(self.records[0].rate):
            rate = self.records[0].rate
            facts |= {"rate.value": rate, "rate.usual": rate}
        found, checked, missing = judge(facts, self.thresholds)
        return Diagnosis(
            f"training of {len(self.records)} epochs", tuple(_ordered(found)), facts,
            tuple(checked), _reasons(missing),
        )  # fmt: skip
