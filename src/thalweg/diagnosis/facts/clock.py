"""The time that measuring may take: what begins after it is left out, and named."""

import time
from dataclasses import dataclass, field

import numpy as np

from thalweg.diagnosis.facts.group import FactGroup

TIME_IS_UP = "the time for it was up"
"""Why facts may be missing if a diagnosis is bounded."""


@dataclass
class Clock:
    """Says whether there is time to measure, and remembers what there was none for.

    Parameters
    ----------
    deadline : float
        A value of ``time.perf_counter()``.
    """

    deadline: float = np.inf
    skipped: list[type[FactGroup]] = field(default_factory=list[type[FactGroup]])

    @property
    def left(self) -> float:
        """Seconds before the deadline."""
        return self.deadline - time.perf_counter()

    def allows(self, *groups: type[FactGroup]) -> bool:
        """Whether there is time to measure these groups."""
        if self.left > 0:
            return True
        self.skipped.extend(groups)
        return False

    def explain(self, unchecked: dict[str, str]) -> dict[str, str]:
        """Return the reasons why nothing was judged, corrected for what was skipped."""
        reasons = {group.why_not for group in self.skipped}
        return {
            code: TIME_IS_UP if reason in reasons else reason
            for code, reason in unchecked.items()
        }
