"""What the doctor says: facts, findings, prescriptions and their proof.

Plain frozen records, to and from JSON. `thalweg.diagnosis.facts` fills in `Facts`,
`thalweg.diagnosis.rules` turns them into findings, `thalweg.diagnosis.diagnose` puts
both into a `Diagnosis`.
"""

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from thalweg.core import Record

Facts = Mapping[str, Any]
"""What was measured, by name: numbers, texts, or tuples of them. A missing name was
not measured."""


class Severity(enum.IntEnum):
    """How much damage a finding does; measured where a trial was run."""

    NOTE = 1
    ADVICE = 2
    SERIOUS = 3
    FATAL = 4


@dataclass(frozen=True)
class Evidence(Record):
    """Numbers behind a finding, ready to draw.

    Parameters
    ----------
    kind : {"bars", "line", "histogram"}
        ``bars`` has texts as `x`; ``line`` numbers; ``histogram`` edges, one more than
        `y`.
    title, x_label, y_label : str
        With units.
    x : tuple of str or float
    y : tuple of float
    limit : float
        A line to draw across, such as the threshold; NaN for none.
    log : bool
        Whether the y axis is logarithmic.
    """

    kind: str
    title: str
    x_label: str
    y_label: str
    x: tuple[Any, ...]
    y: tuple[float, ...]
    limit: float = float("nan")
    log: bool = False


@dataclass(frozen=True)
class Prescription(Record):
    """A remedy.

    Parameters
    ----------
    text : str
        What to do, as an order: "Standardize the inputs."
    changes : mapping of str to object
        The exact difference: parameters of the estimator or plan with their new values,
        or ``"data"`` with the step that prepares the data. Empty where only the user
        can do it (other labels, other code).
    alternatives : tuple of mapping
        Other changes that may do better; a trial chooses.
    """

    text: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    alternatives: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Proof(Record):
    """The paired trial of a remedy: same seeds, same split, with and without.

    Parameters
    ----------
    metric : str
        What was scored; greater is better.
    before, after, control : tuple of float
        One held-out score a seed: as it was, with the remedy, and with a random change
        of equal size in its place. NaN where training diverged.
    gain : float
        Mean of after minus before.
    interval : (float, float)
        95 % confidence interval of `gain`.
    over_control : float
        Mean of after minus control.
    verdict : str
        ``"confirmed"``, ``"no gain"``, ``"diverged"`` or ``"out of budget"``.
    """

    metric: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    control: tuple[float, ...]
    gain: float
    interval: tuple[float, float]
    over_control: float
    verdict: str


@dataclass(frozen=True)
class Finding(Record):
    """One fault.

    Parameters
    ----------
    code : str
        Which; the key of `thalweg.diagnosis.THRESHOLDS`.
    severity : Severity
    cause : str
        What is wrong, in one sentence.
    place : str
        The column, layer, unit or parameter; ``""`` for the whole.
    measure : str
        What `value` is.
    value, limit : float
        What was measured, and where it is judged.
    source : str
        Paper, section or documentation that the rule comes from.
    prescription : Prescription or None
        None where no remedy is known; that is a result too.
    evidence : Evidence or None
    proof : Proof or None
        None where no trial was run: the finding is then "suspected".
    symptoms : tuple of Finding
        What follows from this one, folded beneath it.
    """

    code: str
    severity: Severity
    cause: str
    place: str
    measure: str
    value: float
    limit: float
    source: str = ""
    prescription: Prescription | None = None
    evidence: Evidence | None = None
    proof: Proof | None = None
    symptoms: tuple["Finding", ...] = ()

    @property
    def confirmed(self) -> bool:
        """Whether a trial confirmed it."""
        return self.proof is not None and self.proof.verdict == "confirmed"

    @property
    def status(self) -> str:
        """What the trial said: confirmed by it, or only suspected."""
        if self.confirmed:
            return "confirmed by trial"
        return f"suspected; trial: {self.proof.verdict}" if self.proof else "suspected"

    def __str__(self) -> str:
        """One line: severity, cause, place, number against limit, remedy, gain."""
        place = f" ({self.place})" if self.place else ""
        number = f"{self.measure} {self.value:.4g}, limit {self.limit:.4g}."
        known = math.isfinite(self.value) and math.isfinite(self.limit)
        remedy = self.prescription.text if self.prescription else "No remedy is known."
        parts = [
            f"{self.severity.name} {self.code}: {self.cause.rstrip('.')}{place}.",
            number if known else "",
            remedy,
            _gain(self.proof) if self.proof else "",
            f"{self.status[0].upper()}{self.status[1:]}.",
        ]
        return " ".join(filter(None, parts))


def suspected(
    severity: Severity, cause: str, place: str, measure: str, value: float,
    limit: float, prescription: Prescription | None, evidence: Evidence | None = None,
) -> Finding:  # fmt: skip
    """Return a finding as a rule gives it: without code, source and proof."""
    value, limit = float(value), float(limit)
    return Finding(
        "", severity, cause, place, measure, value, limit, "", prescription, evidence
    )


Treatment = tuple[Any, Mapping[str, Any]]
"""A new estimator, and the exact difference to the one that was examined."""


@dataclass(frozen=True)
class Diagnosis(Record):
    """What the doctor found.

    Printing it gives one line a finding, and one line in all where nothing is wrong.

    Parameters
    ----------
    subject : str
        What was examined, in words.
    findings : tuple of Finding
        Root causes first (at most three), their symptoms folded beneath them, then
        what is only worth a note.
    facts : mapping of str to object
        All that was measured.
    checked : tuple of str
        Codes of what was checked and is fine.
    unchecked : mapping of str to str
        Codes of what was not checked, and why.
    costs : mapping of str to float
        ``"examination"`` and ``"trials"`` in seconds, ``"trainings"`` in number.
    prescribe : callable or None
        What `treat` calls with the changes to make; None once read from JSON.
    """

    subject: str
    findings: tuple[Finding, ...]
    facts: Facts
    checked: tuple[str, ...] = ()
    unchecked: Mapping[str, str] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    prescribe: Callable[[tuple[Mapping[str, Any], ...]], Treatment] | None = field(
        default=None, repr=False, compare=False
    )

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """The findings above NOTE."""
        return tuple(f for f in self.findings if f.severity > Severity.NOTE)

    @property
    def healthy(self) -> bool:
        """Whether there is no finding above NOTE."""
        return not self.alarms

    def treat(self, k: int | None = None) -> Treatment:
        """Apply a remedy, or all that trials confirmed; nothing given is changed.

        Parameters
        ----------
        k : int, optional
            Which finding, counted from 1 as printed; None for all confirmed ones.

        Returns
        -------
        treated : object
            A new estimator, not fitted; what else was examined comes back in kind.
        difference : mapping of str to object
            Each change, by the name of what it changes.

        Raises
        ------
        ValueError
            If there is no such finding, none has a remedy that can be applied, or the
            diagnosis was read from JSON.
        """
        if k is None:
            chosen = [f for f in self.findings if f.confirmed]
        elif 1 <= k <= len(self.findings):
            chosen = [self.findings[k - 1]]
        else:
            raise ValueError(
                f"treat got k={k!r}; there are {len(self.findings)} findings. Give the "
                "number of one, from 1, or nothing for all confirmed remedies."
            )
        changes = tuple(
            f.prescription.changes for f in chosen if f.prescription is not None
        )
        if not any(changes):
            raise ValueError(
                "treat has no remedy that it could apply: "
                + ("none is confirmed by a trial." if k is None else f"{chosen[0]}")
            )
        if self.prescribe is None:
            raise ValueError(
                "treat needs what was examined, which JSON does not hold. Run "
                "thalweg.diagnose on it again."
            )
        return self.prescribe(changes)

    def _repr_html_(self) -> str | None:
        from thalweg.diagnosis.html import fragment

        return fragment(self)

    def __str__(self) -> str:
        tried = f"{len(self.checked)} checks fine, {len(self.unchecked)} not possible"
        if self.healthy:
            notes = ", ".join(f.code for f in self.findings)
            worth = f" Worth a note: {notes}." if notes else ""
            return f"{self.subject}: nothing is wrong ({tried}).{worth}"
        lines = [f"{self.subject}: {_count(len(self.alarms))} ({tried})"]
        for number, finding in enumerate(self.findings, start=1):
            lines.append(f"{number}. {finding}")
            lines += [f"   follows: {each.code}: {each.cause}"
                      for each in finding.symptoms]  # fmt: skip
        return "\n".join(lines)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        facts = {name: _frozen(value) for name, value in content["facts"].items()}
        return super().from_json({**content, "facts": facts})


def _gain(proof: Proof) -> str:
    if not proof.before:
        return ""
    if not math.isfinite(proof.gain):
        return f"Trial on {proof.metric}: {_mean(proof.before)} → {_mean(proof.after)}."
    low, high = proof.interval
    if not math.isfinite(low):
        return f"{proof.metric} {proof.gain:+.3f}."
    chance = f"; {proof.over_control:+.3f} over a random change" if math.isfinite(
        proof.over_control) else ""  # fmt: skip
    return (
        f"{proof.metric} {_mean(proof.before)} → {_mean(proof.after)} "
        f"({proof.gain:+.3f}, 95 %: {low:+.3f} to {high:+.3f}{chance})."
    )


def _mean(scores: tuple[float, ...]) -> str:
    known = [score for score in scores if math.isfinite(score)]
    return f"{sum(known) / len(known):.3f}" if known else "diverged"


def _count(number: int) -> str:
    return "1 thing is wrong" if number == 1 else f"{number} things are wrong"


def _frozen(value: Any) -> Any:
    """Turn what JSON held into a fact: lists into tuples, None into NaN."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return math.nan if value is None else value
