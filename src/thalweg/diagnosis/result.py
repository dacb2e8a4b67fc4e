"""What the doctor says: findings, prescriptions and their proof.

All are plain frozen records that JSON can hold. `thalweg.diagnosis.rules` makes the
findings, `thalweg.diagnosis.trials` adds the proofs, and `thalweg.diagnosis.diagnose`
puts both into a `Diagnosis`.
"""

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from thalweg.core import Record, short_repr

Limits = Mapping[str, float]
"""The limits of one rule, by name."""


class Severity(enum.IntEnum):
    """How much damage a finding does; a trial measures it."""

    NOTE = 1
    ADVICE = 2
    SERIOUS = 3
    FATAL = 4


@short_repr
@dataclass(frozen=True)
class Evidence(Record):
    """Numbers behind a finding, ready to draw.

    Parameters
    ----------
    kind : {"bars", "line", "histogram"}
        In ``"bars"``, `x` holds texts; in ``"line"``, numbers; in ``"histogram"``, the
        edges of the bins, one more than `y` holds.
    title, x_label, y_label : str
    x : tuple of str or float
    y : tuple of float
    limit : float
        A value to draw as a line, such as the threshold; NaN for none.
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


@short_repr
@dataclass(frozen=True)
class Prescription(Record):
    """A remedy.

    Parameters
    ----------
    text : str
        What to do, such as "Standardize the inputs."
    changes : mapping of str to object
        The exact changes, by the names that `apply_changes` knows.
        Empty if only the user can make the change (other labels, other code).
    alternatives : tuple of mapping
        Other changes that may do better; a trial chooses.
    """

    text: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    alternatives: tuple[Mapping[str, Any], ...] = ()


@short_repr
@dataclass(frozen=True)
class Proof(Record):
    """The paired trial of a remedy: same seeds, same split, with and without it.

    Parameters
    ----------
    metric : str
        Name of the score; greater is better.
    before, after, control : tuple of float
        One validation score per seed: unchanged, with the remedy, and with a random
        change of equal size instead. NaN if training diverged.
    gain : float
        The mean difference of `after` and `before`.
    interval : (float, float)
        95 % confidence interval of `gain`.
    over_control : float
        The mean difference of `after` and `control`.
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


@short_repr
@dataclass(frozen=True)
class Finding(Record):
    """One fault.

    Parameters
    ----------
    code : str
        Name of the fault; a key of `thalweg.diagnosis.THRESHOLDS`.
    severity : Severity
    cause : str
        What is wrong, in one sentence.
    place : str
        The column, layer, unit or parameter; ``""`` if it is not one of these.
    measure : str
        Name of `value`.
    value, limit : float
        What was measured, and the limit that it is compared with.
    source : str
        Paper, section or documentation that the rule comes from.
    prescription : Prescription or None
        None if no remedy is known; that is a result too.
    evidence : Evidence or None
    proof : Proof or None
        None if no trial was run: the finding is then "suspected".
    symptoms : tuple of Finding
        Findings that this one causes.
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
        """Whether a trial confirmed the finding."""
        return self.proof is not None and self.proof.verdict == "confirmed"

    @property
    def status(self) -> str:
        """The result of the trial: confirmed, or only suspected."""
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
    """Return a finding as a rule makes it: without code, source and proof."""
    value, limit = float(value), float(limit)
    return Finding(
        "", severity, cause, place, measure, value, limit, "", prescription, evidence
    )


Treatment = tuple[Any, Mapping[str, Any]]
"""A new estimator, and its exact difference from the one that was examined."""


@short_repr
@dataclass(frozen=True)
class Diagnosis(Record):
    """What the doctor found.

    Printed, it has one line per finding, or a single line if nothing is wrong.

    Parameters
    ----------
    subject : str
        What was examined, in words.
    findings : tuple of Finding
        At most three root causes with their symptoms, then the notes.
    facts : mapping of str to object
        All that was measured: numbers, texts, or tuples of them, by name
        (``"data.rows"``). What has no name here was not measured.
    checked : tuple of str
        Codes of what was checked and is fine.
    unchecked : mapping of str to str
        Codes of what was not checked, and why.
    costs : mapping of str to float
        Seconds of the ``"examination"`` and of the ``"trials"``, and the number of
        ``"trainings"``.
    prescribe : callable or None
        The function that `treat` calls with the changes; None if read from JSON.
    """

    subject: str
    findings: tuple[Finding, ...]
    facts: Mapping[str, Any]
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
        """Apply a remedy, or all remedies that trials confirmed, to a copy.

        Parameters
        ----------
        k : int, optional
            Number of the finding, counted from 1 as printed; None for all confirmed
            findings.

        Returns
        -------
        treated : object
            A new estimator that is not fitted. For a run or a network it is an
            estimator that trains the network; for data alone, the steps that prepare
            the data.
        difference : mapping of str to object
            Each change, by the name of what it changes.

        Raises
        ------
        ValueError
            If there is no such finding, if none has a remedy that can be applied, or
            if the diagnosis was read from JSON.
        """
        if k is None:
            chosen = [f for f in self.findings if f.confirmed]
        elif 1 <= k <= len(self.findings):
            chosen = [self.findings[k - 1]]
        else:
            raise ValueError(
                f"treat got k={k!r}; there are {len(self.findings)} findings. Give the "
                "number of one, counted from 1, or leave k out to apply all confirmed "
                "remedies."
            )
        changes = tuple(
            f.prescription.changes for f in chosen if f.prescription is not None
        )
        if not any(changes):
            raise ValueError(
                "treat has no remedy that it could apply: "
                + ("a trial confirmed none." if k is None else f"{chosen[0]}")
            )
        if self.prescribe is None:
            raise ValueError(
                "treat needs the object that was examined, which JSON does not hold. "
                "Run thalweg.diagnose again."
            )
        return self.prescribe(changes)

    def _repr_html_(self) -> str | None:
        from thalweg.diagnosis.html import fragment

        return fragment(self)

    def __str__(self) -> str:
        checks = f"{len(self.checked)} checks fine, {len(self.unchecked)} not possible"
        if self.healthy:
            notes = ", ".join(f.code for f in self.findings)
            worth = f" Notes: {notes}." if notes else ""
            return f"{self.subject}: nothing is wrong ({checks}).{worth}"
        lines = [f"{self.subject}: {_count(len(self.alarms))} ({checks})"]
        for number, finding in enumerate(self.findings, start=1):
            lines.append(f"{number}. {finding}")
            lines += [f"   causes {each.code}: {each.cause}"
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
    """Turn a value from JSON into a fact: lists into tuples, None into NaN."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return math.nan if value is None else value
