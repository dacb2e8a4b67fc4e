"""A group of facts: a frozen record that is measured as a whole, or not at all."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

NO_VALIDATION = "no rows were held out: give X_val and y_val"
"""Why facts of the validation data may be missing."""


@dataclass(frozen=True)
class FactGroup:
    """Facts that one measurement yields.

    A field that defaults to None may be unknown although the group was measured.
    """

    prefix: ClassVar[str]
    """First part of the facts' names in `Diagnosis.facts`, such as ``"data"``."""
    why_not: ClassVar[str]
    """Why the group may be missing, as `Diagnosis.unchecked` says it."""
    about_data: ClassVar[bool] = False
    """Whether the group describes the data alone, whatever network is trained."""
    remeasured: ClassVar[bool] = False
    """Whether the group is measured again after a remedy."""

    def by_name(self) -> dict[str, Any]:
        """Return the known facts under their names in `Diagnosis.facts`."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {f"{self.prefix}.{k}": v for k, v in values.items() if v is not None}


@dataclass(frozen=True)
class NotMeasured:
    """What a rule returns if it cannot judge without a group of facts."""

    group: type[FactGroup]
