"""What the doctor says: facts, findings, prescriptions and their proof.

Plain frozen records, to and from JSON. `thalweg.measure` fills in `Facts`,
`thalweg.rules` turns them into findings, `thalweg.doctor` puts both into a `Diagnosis`.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

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
class Evidence:
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
class Prescription:
    """A remedy.

    Parameters
    ----------
    text : str
        What to do, as an order: "Standardize the inputs."
    changes : mapping of str to object
        The exact difference: parameters of the estimator or plan with their new values,
        or ``"data"`` with the step that prepares the data. Empty where only the user
        can do it (other labels, other code).
    """

    text: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Proof:
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
class Finding:
    """One fault.

    Parameters
    ----------
    code : str
        Which; the key of `thalweg.rules.THRESHOLDS`.
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
    def status(self) -> str:
        """"confirmed by trial" or "suspected", with what the trial said."""
        if self.proof is None:
            return "suspected"
        if self.proof.verdict == "confirmed":
            return "confirmed by trial"
        return f"suspected; trial: {self.proof.verdict}"
