"""Paired trials: the same rows and seeds, with a remedy, without, and by chance.

What rules suspect is tried on one seed, upstream first, until a remedy does as well as
the rows' neighbors say one can. What gains there most is proved on as few seeds as make
it clear, beside a random change in the remedy's place. After a confirmed remedy all is
looked at again: what has disappeared was its symptom. Each training is done once,
whatever asks for it.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg import training
from thalweg.core import Array, DenseNetwork, Run, accuracy, folds
from thalweg.diagnosis.facts.network import score
from thalweg.diagnosis.problem import Problem, dense, take
from thalweg.diagnosis.remedies import changed, random_change
from thalweg.diagnosis.result import Finding, Prescription, Proof, Severity
from thalweg.diagnosis.rules import ORDER
from thalweg.training import run_all

_MOST_ROWS = 3000
"""Rows of a trial: more would say the same for more time."""
_FOLDS = 5
_GAIN, _GAIN_R2 = 0.02, 0.03
"""Least gain that counts: two points of accuracy, or 0.03 of R², which wanders more."""
_ERRORS, _GLARING_ERRORS, _NONE_LOSES = 1.64, 0.9, 1.0
"""Standard errors that a gain must exceed: 5 % one-sided; fewer for what is glaring, or
if no seed loses."""
_SURE = 0.01  # what a nat of surprise weighs among remedies that score alike
_FEW, _MANY = 3, 5
"""Seeds of a trial."""
_QUICK, _TINY = 0.3, 0.03
"""Seconds of a fit that many seeds are affordable of, and of one too short to share."""
_LAST_RESORT = ("seed-fragility",)
"""What other causes bring about; tried when none of them is left."""
_BLINDING = ("noisy-labels", "misaligned-rows", "no-signal")
"""With these, neighbors do not tell what a network can reach."""
MOST_CAUSES = 3
_NAN = float("nan")
_UNPAID = Proof("score", (), (), (), _NAN, (_NAN, _NAN), _NAN, "out of budget")
Changes = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class TrialRun:
    """One training: its rows, its run (None if it failed), and how well it does.

    `surprise` is the mean −log of the true class's probability; `error` says why a
    training could not be.
    """

    problem: Problem
    run: Run | None = None
    score: float = float("nan")
    surprise: float = float("nan")
    error: str = ""

    @property
    def worth(self) -> float:
        """The score; of what scores alike, the surer is worth more."""
        return float(np.nan_to_num(self.score - _SURE * self.surprise))


@dataclass(frozen=True, eq=False)
class Tried:
    """A finding, the best of its remedies so far, and what that gained."""

    finding: Finding
    changes: Changes
    before: float
    after: float
    gain: float
    over: str = ""

    def closed(self) -> Finding:
        """Return the finding that no trial spoke for."""
        if self.over == "out of budget":
            return _unpaid(self.finding)
        proof = Proof("score", (self.before,), (self.after,), (), self.gain,
                      (_NAN, _NAN), _NAN, self.over)  # fmt: skip
        return replace(self.finding, severity=_untreated(self.finding), proof=proof)


class Trials:
    """Trainings within a budget; `base` is what they are compared with.

    Parameters
    ----------
    base : Problem
    deadline : float
        Of ``time.perf_counter()``; no training begins after it.
    """

    def __init__(self, base: Problem, deadline: float) -> None:
        self.base, self.deadline = base, deadline
        self.arms: dict[tuple[str, int], TrialRun] = {}
        self.seeds, self.worst, self.pace = range(1), 0, 0.0
        self.seconds, self.count = 0.0, 0
        self.least = -1.0  # score that a remedy must reach: that of knowing nothing
        self.enough = np.inf  # score of which no more is asked

    # Training.

    def begin(self) -> TrialRun:
        """Train it as it is from a few seeds; return the first."""
        (first,) = self.train([({}, 0)])
        self.pace = self.seconds
        scores = [arm.score for arm in self.train(({}, seed) for seed in range(_FEW))]
        self.worst = int(np.nan_to_num(scores, nan=-2).argmin())
        self.seeds = range(_MANY if self.pace < _QUICK else _FEW)
        return first

    def train(self, jobs: Iterable[tuple[Changes, int]]) -> list[TrialRun]:
        """Train with changes from seeds, several at once if that is worth while."""
        begun, asked = time.perf_counter(), list(jobs)
        keys = [(repr(changes), seed) for changes, seed in asked]
        new = {k: job for k, job in zip(keys, asked, strict=True) if k not in self.arms}
        layered = isinstance(self.base.network, DenseNetwork)  # Keras is for one thread
        side_by_side = layered and self.pace > _TINY and len(new) > 1
        made = run_all(self._arm, new.values()) if side_by_side else [
            self._arm(*job) for job in new.values()]  # fmt: skip
        done = {k: arm for k, arm in zip(new, made, strict=True) if arm}
        self.arms |= done
        self.count += len(done)
        self.seconds += time.perf_counter() - begun
        return [self.arms.get(key, TrialRun(self.base)) for key in keys]

    def _arm(self, changes: Changes, seed: int) -> TrialRun | None:
        """Train on the rows of a seed, and score on those held out."""
        if time.perf_counter() > self.deadline:
            return None
        early = {k: v for k, v in changes.items() if k == "roll"}
        late = {k: v for k, v in changes.items() if k != "roll"}
        part = _split(changed(self.base, early), seed)
        try:
            with np.errstate(all="ignore"):
                part = changed(part, late)
                run, pipe = part.train(seed)
                assert part.held is not None
                X = pipe.transform(part.held[0]) if pipe else part.held[0]
                prediction = training.predict(run, part.shaped(dense(X)))
                value = _common_score(part, part.decide(prediction), changes)
                surprise = _surprise(part, prediction)
        except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
            return TrialRun(part, error=(str(error) or repr(error)).splitlines()[0])
        return TrialRun(part, run, value, surprise)

    def spread(self) -> dict[str, Any]:
        """Measure how far the scores of the seeds lie apart, and how far by chance."""
        scores = [arm.score for (key, _), arm in self.arms.items() if key == "{}"]
        known = [s for s in scores if np.isfinite(s)]
        if not known:
            return {}
        error = 0.1
        if self.base.labels is not None:
            middle = float(np.clip(np.median(known), 0.02, 0.98))
            held = self._n_held(_FOLDS)
            each = held if self.base.held is not None else max(held / _FOLDS, 1)
            error = float(np.sqrt(middle * (1 - middle) / each))
        return {"seeds.error": error, "seeds.spread": max(known) - min(known),
                "seeds.scores": tuple(scores)}  # fmt: skip

    def _n_held(self, n_seeds: int) -> int:
        own = self.base.held
        n = min(self.base.X.shape[0], _MOST_ROWS)
        return len(own[1]) if own is not None else n * min(n_seeds, _FOLDS) // _FOLDS

    # Judging.

    def over(
        self,
        found: list[Finding],
        look_again: Callable[[TrialRun], Mapping[str, Finding]],
        enough: float = np.inf,
    ) -> list[Finding]:
        """Try the remedies of what was found, root causes first.

        Parameters
        ----------
        found : list of Finding
        look_again : callable
            Tells, by code, what is found once a remedy is in the base.
        enough : float
            Score at which a confirmed remedy leaves the notes among the others untried.
        """
        waiting = [f for f in found if _can_be_tried(f)]
        done = [f for f in found if not _can_be_tried(f)]
        limits = [f.limit for f in found if f.code == "no-signal"]
        self.least, roots = max(limits, default=-1.0), 0
        settled: set[str] = set()
        blind = any(f.code in _BLINDING for f in found)
        self.enough = np.inf if blind else enough - _GAIN
        while waiting and roots < MOST_CAUSES:
            tried = self._screen(waiting)
            cause = _foremost(tried)
            closed = [each.closed() for each in tried if each.over]
            if cause is None:
                return done + closed
            others = [f for f in waiting if f is not cause.finding]
            cause, proof = self._prove(cause)
            judged = _judged(cause, proof)
            if proof.verdict != "confirmed":
                shut = [t.finding for t in tried if t.over]
                waiting = [f for f in others if f not in shut]
                done += [*closed, judged]
                continue
            roots += 1
            still = look_again(self._settle(cause))
            doubtful = [f for f in done if not f.confirmed]
            gone = [f for f in others + doubtful if f.code not in still]
            done = [f for f in done if f not in gone]
            done.append(replace(judged, symptoms=tuple(gone)))
            due, settled = {f.code for f in others}, settled | cause.changes.keys()
            waiting = [f for f in still.values()
                       if f.code in due or _was_hidden(f, done, settled)]  # fmt: skip
            if self._suffices(cause.changes, proof.after):
                done += [f for f in waiting if f.severity is Severity.NOTE]
                waiting = [f for f in waiting if f.severity > Severity.NOTE]
        rest = [replace(f, severity=min(f.severity, Severity.ADVICE)) for f in waiting]
        return done + (list(map(_unpaid, rest)) if self._is_late() else rest)

    def _screen(self, waiting: list[Finding]) -> list[Tried]:
        """Try remedies from one seed until none could be preferred to what is known.

        Where a remedy gains nothing, its alternatives are tried.
        """
        some, tried = [self.worst], []
        for finding in waiting:
            remedy = _remedy(finding)
            best = self._best(finding, [remedy.changes], some)
            if best.over in ("no gain", "diverged") and remedy.alternatives:
                options = [remedy.changes, *remedy.alternatives]
                best = self._best(finding, options, some)
            tried.append(best)
            most = best.gain + min(self.enough + _GAIN, 1.0) - best.after
            alike = "target" not in best.changes
            if best.gain > _GAIN and alike and _is_near(best.gain, most):
                break
        return tried

    def _suffices(self, changes: Changes, after: Sequence[float]) -> bool:
        """Whether scores with a remedy leave nothing to wish for."""
        known = len(after) and "target" not in changes
        return bool(known and np.mean(after) >= self.enough)

    def _best(
        self, finding: Finding, options: Sequence[Changes], seeds: Sequence[int]
    ) -> Tried:
        """Return the remedy that gains most; of nearly equal ones the first."""
        most = -np.inf
        best = Tried(finding, options[0], _NAN, _NAN, -np.inf, "no gain")
        for changes in options:
            arms = self.train((changes, seed) for seed in seeds)
            if self._is_late() and arms[0].run is None and not arms[0].error:
                return replace(best, over="out of budget")
            before = self._before(changes, seeds)
            gain = _mean_gain([a.score for a in arms], [b.score for b in before])
            worth = _mean_gain([a.worth for a in arms], [b.worth for b in before])
            over = "" if gain > _GAIN / 2 or _surer(before, arms) else "no gain"
            if not any(np.isfinite(arm.score) for arm in arms):
                over = "diverged"
            if worth > most + _SURE / 20:
                scores, most = (before[0].score, arms[0].score), worth
                best = Tried(finding, changes, *scores, gain, over)
        return best

    def _before(self, changes: Changes, seeds: Sequence[int]) -> list[TrialRun]:
        same = {"measured_as": changes["target"]} if "target" in changes else {}
        return self.train((same, seed) for seed in seeds)

    def _prove(self, cause: Tried) -> tuple[Tried, Proof]:
        """Prove a remedy that suffices, or the best one, where one is needed."""
        if self._suffices(cause.changes, [cause.after]):
            proof = self._seed_by_seed(cause)
            last = proof.after if proof.verdict == "confirmed" else proof.before
            if self._suffices(cause.changes, last):
                return cause, proof
        remedy = _remedy(cause.finding)
        options, some = [remedy.changes, *remedy.alternatives], {0, 1, self.worst}
        best = self._best(cause.finding, options, sorted(some))
        return best, self._seed_by_seed(best)

    def _seed_by_seed(self, cause: Tried) -> Proof:
        """Go on until it is clear."""
        for n, least in ((2, _GAIN), (_FEW, 0.0), (len(self.seeds), 0.0)):
            proof = self._proof(cause, self.seeds[:n])
            clear = proof.verdict == "confirmed" and proof.interval[0] > least
            if clear or cause.over or (n > 2 and proof.gain <= 0):
                break
        return proof

    def _is_late(self) -> bool:
        return time.perf_counter() > self.deadline

    def _proof(self, cause: Tried, seeds: Sequence[int]) -> Proof:
        own = self._before(cause.changes, seeds)
        arms = self.train((cause.changes, seed) for seed in seeds)
        begun = [k for k, pair in enumerate(zip(own, arms, strict=True))
                 if all(arm.run or arm.error for arm in pair)]  # fmt: skip
        if len(begun) < 2:
            return _UNPAID
        own, arms = ([each[k] for k in begun] for each in (own, arms))
        before, after = ([arm.score for arm in each] for each in (own, arms))
        hopeful = np.nanmean([*after, 0]) > np.nanmean([*before, 0])
        chance = seeds[: (len(seeds) + 1) // 2] if hopeful else ()
        chance = self.train((random_change(self.base, s), s) for s in chance)
        chance = [arm for arm in chance if arm.run or arm.error]
        kind = cause.changes.get("target")
        by_class = self.base.labels is not None if kind is None else kind == "classes"
        late = self._is_late()
        errors = _GLARING_ERRORS if _is_glaring(cause.finding) else _ERRORS
        control, n_held = [arm.score for arm in chance], self._n_held(len(seeds))
        return prove(before, after, control, n_held, by_class, late, errors, self.least,
                     _surer(own, arms))  # fmt: skip

    def _settle(self, cause: Tried) -> TrialRun:
        """Take a remedy into the base; its trainings are the base's now."""
        key, seed = repr(cause.changes), self.worst
        self.base = changed(self.base, cause.changes)
        self.arms = {("{}", s): arm for (k, s), arm in self.arms.items() if k == key}
        return self.train([({}, seed)])[0]


def _unpaid(finding: Finding) -> Finding:
    return replace(finding, proof=_UNPAID)


def _mean_gain(after: Sequence[float], before: Sequence[float]) -> float:
    return float(np.mean(np.nan_to_num(after) - np.nan_to_num(before)))


def _remedy(finding: Finding) -> Prescription:
    assert finding.prescription is not None
    return finding.prescription


def _untreated(finding: Finding) -> Severity:
    """Return the severity where no remedy helps: what the facts alone prove stays."""
    own = finding.severity
    return own if own >= Severity.SERIOUS else Severity.NOTE


def _is_glaring(finding: Finding) -> bool:
    """Whether the number is ten times past its limit: a trial need not prove all."""
    value, limit = abs(finding.value), abs(finding.limit)
    return bool(limit and value and max(value / limit, limit / value) > 10)


def _can_be_tried(finding: Finding) -> bool:
    """Whether there is a remedy, and scores would not be honestly lower with it.

    Without a leak they are, unless the rows held out show that it is one.
    """
    remedy = finding.prescription
    honest = finding.code != "leak" or finding.severity is Severity.FATAL
    return bool(remedy and remedy.changes and honest)


def _was_hidden(finding: Finding, done: list[Finding], settled: set[str]) -> bool:
    """Whether remedies brought it to light, and did not bring it about.

    What neighbors say is measured once: it cannot come to light.
    """
    known = {f.code for f in done}.union(_BLINDING)
    own = finding.code not in known and _can_be_tried(finding)
    return own and settled.isdisjoint(_remedy(finding).changes)


def _foremost(tried: list[Tried]) -> Tried | None:
    """Return the remedy that gained most, of nearly equal ones the one upstream."""
    open_ones = [each for each in tried if not each.over]
    if not open_ones:
        return None
    first = [each for each in open_ones if each.finding.code not in _LAST_RESORT]
    open_ones = first or open_ones
    best = max(each.gain for each in open_ones)
    near = [each for each in open_ones if _is_near(each.gain, best)]
    return min(near, key=lambda each: ORDER[each.finding.code])


def _is_near(gain: float, best: float) -> bool:
    """Whether a gain nearly equals the best one."""
    return gain >= best - max(0.2 * best, _GAIN)


def _judged(cause: Tried, proof: Proof) -> Finding:
    """Return the finding with its proof, as severe as the damage that was measured."""
    finding, remedy = cause.finding, _remedy(cause.finding)
    severity = _untreated(finding)
    if proof.verdict == "confirmed":
        if cause.changes is not remedy.changes:
            listed = ", ".join(f"{k} = {v!r}" for k, v in cause.changes.items())
            remedy = Prescription(f"Set {listed}.", cause.changes)
        severity = Severity.ADVICE if proof.gain < 0.05 else Severity.SERIOUS
        severity = Severity.FATAL if proof.gain > 0.3 else severity
    elif proof.verdict == "out of budget":
        severity = finding.severity
    return replace(finding, severity=severity, prescription=remedy, proof=proof)


def prove(
    before: Sequence[float], after: Sequence[float], control: Sequence[float],
    n_held: int, by_class: bool, late: bool, errors: float = _ERRORS,
    least: float = -1.0, surer: bool = False,
) -> Proof:  # fmt: skip
    """Judge paired scores; a training that diverged scores 0.

    Parameters
    ----------
    before, after : sequence of float
        One score a seed.
    control : sequence of float
        Those of the first seeds, or none.
    n_held : int
        Different rows that they were taken on.
    by_class : bool
        Whether they are shares of the rows.
    late : bool
        Whether the budget is spent.
    errors : float
        Standard errors that the gain must exceed.
    least : float
        What the mean after must exceed.
    surer : bool
        Whether it is so much surer of the true classes that it need not score higher.
    """
    b, a, c = (np.nan_to_num(np.array(s)) for s in (before, after, control))
    gains = a - b
    gain = float(gains.mean())
    over = float((a[: len(c)] - c).mean()) if len(c) else float("nan")
    # Scores on a share of the rows wander by themselves, whatever the seeds say.
    floor = np.sqrt(max(abs(gain), 0.01) / n_held)
    error = max(float(gains.std(ddof=1) / np.sqrt(len(gains))), float(floor))
    interval = (gain - 1.96 * error, gain + 1.96 * error)
    verdict = "no gain"
    # One seed that gains far more than the others must not hide that none loses.
    sure = len(gains) >= 5 and gains.min() >= 0 and gain > _NONE_LOSES * floor
    clear = gain > errors * error or sure
    better = (gain >= (_GAIN if by_class else _GAIN_R2) and clear) or (
        surer and gain >= 0
    )
    if better and over > 0 and a.mean() > least:
        verdict = "confirmed"
    elif not np.isfinite(after).any():
        verdict = "out of budget" if late else "diverged"
    elif late:
        verdict = "out of budget"
    metric = "accuracy" if by_class else "R2"
    return Proof(metric, tuple(before), tuple(after), tuple(control), gain, interval,
                 over, verdict)  # fmt: skip


def _split(problem: Problem, seed: int) -> Problem:
    """Return rows to train on with rows held out: the user's, or a fold."""
    chance = np.random.RandomState(0).permutation(len(problem.y))[:_MOST_ROWS]
    if problem.held is not None:
        return problem.rows(chance) if len(problem.y) > _MOST_ROWS else problem
    key = problem.y[chance] if problem.y.ndim == 1 else np.zeros(len(chance))
    fold = folds(key, _FOLDS)
    # In the order of the table: it may be what is wrong.
    ours, theirs = (np.sort(chance[m]) for m in (fold != seed % _FOLDS,
                                                 fold == seed % _FOLDS))  # fmt: skip
    return replace(
        problem.rows(ours), held=(take(problem.X, theirs), problem.y[theirs])
    )


def _common_score(part: Problem, guess: Array, changes: Changes) -> float:
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
    return accuracy(truth, nearest)


def _surer(before: Sequence[TrialRun], after: Sequence[TrialRun]) -> bool:
    """Whether from every seed little is left of the surprise at rows held out."""
    return all(
        a.surprise < min(b.surprise / 4, b.surprise - 0.1)
        for a, b in zip(after, before, strict=True)
    )


def _surprise(part: Problem, prediction: Array) -> float:
    """Return the mean −log of the true class's probability; 0 where there is none."""
    assert part.held is not None
    truth = part.held[1]
    if not part.by_class or truth.ndim > 1:
        return 0.0
    if prediction.shape[1] == 1:
        prediction = np.hstack([1 - prediction, prediction])
    own = np.clip(prediction[np.arange(len(truth)), truth], 1e-6, 1)
    return float(-np.log(own).mean())
