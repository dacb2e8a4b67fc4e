"""Which findings are root causes: the ones whose remedy gains, by paired trials.

Remedies are screened on one seed, causes before what they cause, until a remedy does as
well as simple models say that one can. The remedy that gains most is proved on as few
seeds as make it clear, beside a random change in its place. After a confirmed remedy
everything is measured again: a finding that has disappeared was a symptom.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thalweg.diagnosis.proof import ERRORS, GAIN, GLARING_ERRORS, prove
from thalweg.diagnosis.remedies import random_change
from thalweg.diagnosis.result import Finding, Prescription, Proof, Severity
from thalweg.diagnosis.rules import ORDER
from thalweg.diagnosis.trials import (
    FEW_SEEDS,
    Baseline,
    Changes,
    Trainings,
    TrialRun,
    are_surer,
)

MOST_CAUSES = 3
_LAST_RESORT = ("seed-fragility",)
"""Effects of other causes; their remedies are proved if no other remedy gains."""
_UNRELIABLE_NEIGHBORS = ("noisy-labels", "misaligned-rows", "no-signal")
"""With these findings, neighbors do not tell what score a network can reach."""
_NEARLY_EQUAL = 0.0005
"""A remedy must be worth this much more than an earlier one to be preferred."""
_NAN = float("nan")
_OUT_OF_BUDGET = Proof("score", (), (), (), _NAN, (_NAN, _NAN), _NAN, "out of budget")

ExamineAgain = Callable[[TrialRun], Mapping[str, Finding]]
"""Returns, by code, what is found once a remedy is a part of the base."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A finding, the best of its remedies so far, and what that remedy gained.

    Parameters
    ----------
    finding : Finding
    changes : mapping
    before, after : float
        Scores of the first seed, without and with the changes.
    gain : float
    rejected : str
        The verdict that rejects the remedy; ``""`` if it is worth a proof.
    """

    finding: Finding
    changes: Changes
    before: float
    after: float
    gain: float
    rejected: str = ""

    def rejected_finding(self) -> Finding:
        """Return the finding with the result of the screening."""
        if self.rejected == "out of budget":
            return _out_of_budget(self.finding)
        proof = Proof("score", (self.before,), (self.after,), (), self.gain,
                      (_NAN, _NAN), _NAN, self.rejected)  # fmt: skip
        return replace(
            self.finding, severity=_without_remedy(self.finding), proof=proof
        )


def find_root_causes(
    trainings: Trainings, baseline: Baseline, found: list[Finding],
    examine_again: ExamineAgain, enough: float,
) -> list[Finding]:  # fmt: skip
    """Try the remedies of what was found; return it with proofs and symptoms.

    Parameters
    ----------
    trainings : Trainings
    baseline : Baseline
    found : list of Finding
        Causes before what they cause.
    examine_again : callable
    enough : float
        Score that simple models reach. Once a confirmed remedy reaches it, remedies of
        notes are not tried any more.
    """
    # A remedy must do better than a constant prediction.
    least = max((f.limit for f in found if f.code == "no-signal"), default=-1.0)
    unknown = any(f.code in _UNRELIABLE_NEIGHBORS for f in found)
    search = _Search(trainings, baseline, least, np.inf if unknown else enough - GAIN)
    return search.run(found, examine_again)


@dataclass(frozen=True, eq=False)
class _Search:
    """The search of `find_root_causes`.

    Parameters
    ----------
    trainings : Trainings
    baseline : Baseline
    least : float
        Score that a remedy must exceed.
    enough : float
        Score that leaves nothing to improve.
    """

    trainings: Trainings
    baseline: Baseline
    least: float
    enough: float

    def run(self, found: list[Finding], examine_again: ExamineAgain) -> list[Finding]:
        """Screen, prove and settle one remedy after the other."""
        waiting = [f for f in found if _can_be_tried(f)]
        done = [f for f in found if not _can_be_tried(f)]
        settled: set[str] = set()
        roots = 0
        while waiting and roots < MOST_CAUSES:
            candidates = self._screen(waiting)
            cause = _foremost(candidates)
            rejected = [c.rejected_finding() for c in candidates if c.rejected]
            if cause is None:
                return done + rejected
            others = [f for f in waiting if f is not cause.finding]
            cause, proof = self._prove(cause)
            proved = _with_proof(cause, proof)
            if proof.verdict != "confirmed":
                closed = [c.finding for c in candidates if c.rejected]
                waiting = [f for f in others if f not in closed]
                done += [*rejected, proved]
                continue
            roots += 1
            seed = self.baseline.worst_seed
            remaining = examine_again(self.trainings.settle(cause.changes, seed))
            unconfirmed = [f for f in done if not f.confirmed]
            symptoms = [f for f in others + unconfirmed if f.code not in remaining]
            done = [f for f in done if f not in symptoms]
            done.append(replace(proved, symptoms=tuple(symptoms)))
            due, settled = {f.code for f in others}, settled | cause.changes.keys()
            waiting = [f for f in remaining.values()
                       if f.code in due or _was_hidden(f, done, settled)]  # fmt: skip
            if self._suffices(cause.changes, proof.after):
                done += [f for f in waiting if f.severity is Severity.NOTE]
                waiting = [f for f in waiting if f.severity > Severity.NOTE]
        rest = [replace(f, severity=min(f.severity, Severity.ADVICE)) for f in waiting]
        late = self.trainings.is_late()
        return done + (list(map(_out_of_budget, rest)) if late else rest)

    def _screen(self, waiting: list[Finding]) -> list[Candidate]:
        """Try remedies on one seed until no other one could be preferred.

        If a remedy gains nothing, its alternatives are tried.
        """
        seeds, candidates = [self.baseline.worst_seed], []
        for finding in waiting:
            remedy = _remedy(finding)
            best = self._best(finding, [remedy.changes], seeds)
            if best.rejected in ("no gain", "diverged") and remedy.alternatives:
                options = [remedy.changes, *remedy.alternatives]
                best = self._best(finding, options, seeds)
            candidates.append(best)
            most = best.gain + min(self.enough + GAIN, 1.0) - best.after
            comparable = "target" not in best.changes
            if best.gain > GAIN and comparable and _is_near(best.gain, most):
                break
        return candidates

    def _suffices(self, changes: Changes, after: Sequence[float]) -> bool:
        """Whether scores with a remedy leave nothing to improve."""
        known = len(after) and "target" not in changes
        return bool(known and np.mean(after) >= self.enough)

    def _best(
        self, finding: Finding, options: Sequence[Changes], seeds: Sequence[int]
    ) -> Candidate:
        """Return the remedy that gains most; of nearly equal ones the first."""
        most = -np.inf
        best = Candidate(finding, options[0], _NAN, _NAN, -np.inf, "no gain")
        for changes in options:
            after = self.trainings.train((changes, seed) for seed in seeds)
            if self.trainings.is_late() and not after[0].begun:
                return replace(best, rejected="out of budget")
            before = self._unchanged(changes, seeds)
            gain = _mean_gain([a.score for a in after], [b.score for b in before])
            worth = _mean_gain([a.worth for a in after], [b.worth for b in before])
            gains = gain > GAIN / 2 or are_surer(before, after)
            rejected = "" if gains else "no gain"
            if not any(np.isfinite(each.score) for each in after):
                rejected = "diverged"
            if worth > most + _NEARLY_EQUAL:
                scores, most = (before[0].score, after[0].score), worth
                best = Candidate(finding, changes, *scores, gain, rejected)
        return best

    def _unchanged(self, changes: Changes, seeds: Sequence[int]) -> list[TrialRun]:
        """Return the trainings that `changes` are compared with."""
        same = {"measured_as": changes["target"]} if "target" in changes else {}
        return self.trainings.train((same, seed) for seed in seeds)

    def _prove(self, cause: Candidate) -> tuple[Candidate, Proof]:
        """Prove a remedy that suffices; if none does, the best one."""
        if self._suffices(cause.changes, [cause.after]):
            proof = self._proof_by_seeds(cause)
            last = proof.after if proof.verdict == "confirmed" else proof.before
            if self._suffices(cause.changes, last):
                return cause, proof
        remedy = _remedy(cause.finding)
        options = [remedy.changes, *remedy.alternatives]
        seeds = sorted({0, 1, self.baseline.worst_seed})
        best = self._best(cause.finding, options, seeds)
        return best, self._proof_by_seeds(best)

    def _proof_by_seeds(self, cause: Candidate) -> Proof:
        """Add seeds until the result is clear."""
        seeds = self.baseline.seeds
        for n, least in ((2, GAIN), (FEW_SEEDS, 0.0), (len(seeds), 0.0)):
            proof = self._proof(cause, seeds[:n])
            clear = proof.verdict == "confirmed" and proof.interval[0] > least
            if clear or cause.rejected or (n > 2 and proof.gain <= 0):
                break
        return proof

    def _proof(self, cause: Candidate, seeds: Sequence[int]) -> Proof:
        unchanged = self._unchanged(cause.changes, seeds)
        treated = self.trainings.train((cause.changes, seed) for seed in seeds)
        pairs = [(b, a) for b, a in zip(unchanged, treated, strict=True)
                 if b.begun and a.begun]  # fmt: skip
        if len(pairs) < 2:
            return _OUT_OF_BUDGET
        unchanged, treated = [b for b, _ in pairs], [a for _, a in pairs]
        before, after = ([each.score for each in runs] for runs in (unchanged, treated))
        hopeful = np.nanmean([*after, 0]) > np.nanmean([*before, 0])
        control_seeds = seeds[: (len(seeds) + 1) // 2] if hopeful else ()
        base = self.trainings.base
        control = self.trainings.train(
            (random_change(base, seed), seed) for seed in control_seeds
        )
        kind = cause.changes.get("target")
        return prove(
            before, after, [each.score for each in control if each.begun],
            n_held=self.trainings.n_held(len(seeds)),
            by_class=base.labels is not None if kind is None else kind == "classes",
            late=self.trainings.is_late(),
            errors=GLARING_ERRORS if _is_glaring(cause.finding) else ERRORS,
            least=self.least,
            surer=are_surer(unchanged, treated),
        )  # fmt: skip


def _out_of_budget(finding: Finding) -> Finding:
    return replace(finding, proof=_OUT_OF_BUDGET)


def _mean_gain(after: Sequence[float], before: Sequence[float]) -> float:
    return float(np.mean(np.nan_to_num(after) - np.nan_to_num(before)))


def _remedy(finding: Finding) -> Prescription:
    assert finding.prescription is not None
    return finding.prescription


def _without_remedy(finding: Finding) -> Severity:
    """Return the severity if no remedy gains: what the facts alone prove remains."""
    own = finding.severity
    return own if own >= Severity.SERIOUS else Severity.NOTE


def _is_glaring(finding: Finding) -> bool:
    """Whether the value is ten times beyond its limit, so that less proof suffices."""
    value, limit = abs(finding.value), abs(finding.limit)
    return bool(limit and value and max(value / limit, limit / value) > 10)


def _can_be_tried(finding: Finding) -> bool:
    """Whether there is a remedy that a score can judge.

    Without a leak the score is honestly lower, unless the validation data show that it
    is a leak.
    """
    remedy = finding.prescription
    honest = finding.code != "leak" or finding.severity is Severity.FATAL
    return bool(remedy and remedy.changes and honest)


def _was_hidden(finding: Finding, done: list[Finding], settled: set[str]) -> bool:
    """Whether remedies revealed the finding, and did not cause it.

    Neighbors are measured once, so that what they say cannot be revealed later.
    """
    known = {f.code for f in done}.union(_UNRELIABLE_NEIGHBORS)
    new = finding.code not in known and _can_be_tried(finding)
    return new and settled.isdisjoint(_remedy(finding).changes)


def _foremost(candidates: list[Candidate]) -> Candidate | None:
    """Return the remedy that gained most; of nearly equal ones, the first cause."""
    accepted = [each for each in candidates if not each.rejected]
    if not accepted:
        return None
    causes = [each for each in accepted if each.finding.code not in _LAST_RESORT]
    accepted = causes or accepted
    best = max(each.gain for each in accepted)
    near = [each for each in accepted if _is_near(each.gain, best)]
    return min(near, key=lambda each: ORDER[each.finding.code])


def _is_near(gain: float, best: float) -> bool:
    """Whether a gain nearly equals the best one."""
    return gain >= best - max(0.2 * best, GAIN)


def _with_proof(cause: Candidate, proof: Proof) -> Finding:
    """Return the finding with its proof, as severe as the damage that was measured."""
    finding, remedy = cause.finding, _remedy(cause.finding)
    severity = _without_remedy(finding)
    if proof.verdict == "confirmed":
        if cause.changes is not remedy.changes:
            listed = ", ".join(f"{k} = {v!r}" for k, v in cause.changes.items())
            remedy = Prescription(f"Set {listed}.", cause.changes)
        severity = Severity.ADVICE if proof.gain < 0.05 else Severity.SERIOUS
        severity = Severity.FATAL if proof.gain > 0.3 else severity
    elif proof.verdict == "out of budget":
        severity = finding.severity
    return replace(finding, severity=severity, prescription=remedy, proof=proof)
