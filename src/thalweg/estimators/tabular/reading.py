"""Parameters of estimators that say how a table is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg.core import check_word
from thalweg.estimators.constraints import Word
from thalweg.estimators.tabular.columns import KINDS, Reading, write


@dataclass(kw_only=True, eq=False, repr=False)
class ReadsTables:
    """What estimators for tables share: how texts in a table are read.

    Parameters
    ----------
    column_kinds : mapping of str to str or None
        What some columns hold, by their names: ``"number"``, ``"category"``,
        ``"text"``, ``"date"``, ``"boolean"``, or ``"ignore"`` to leave one out. Other
        columns are recognized by their values.
    decimal : {".", ","} or None
        Decimal mark of the numbers that are written as texts. None finds it out for
        each column.
    thousands : str or None
        The character that groups their digits, ``""`` for none. None finds it out.
    date_format : str or None
        Format of the dates that are written as texts, as for ``datetime.strptime``.
        None finds it out.
    missing : sequence of str or None
        Texts that stand for a missing value, in features and target, in any case. None
        is ``thalweg.estimators.tabular.columns.MISSING`` in features and numbers; in a
        target of texts, words such as "None" and "NA" are classes.
    """

    column_kinds: Mapping[str, str] | None = None
    decimal: str | None = None
    thousands: str | None = None
    date_format: str | None = None
    missing: Sequence[str] | None = None

    _reading_constraints: ClassVar = {
        "column_kinds": [Mapping, None],
        "decimal": [Word([".", ","]), None],
        "thousands": [str, None],
        "date_format": [str, None],
        "missing": ["array-like", set, None],
    }

    def reading_parameters(self) -> dict[str, Any]:
        """Return the parameters of this class, for another estimator."""
        return {name: getattr(self, name) for name in self._reading_constraints}

    def reading(self) -> Reading:
        """Return what the parameters say about the columns.

        Raises
        ------
        ValueError
            If one is not valid.
        """
        owner = type(self).__name__
        given = self.column_kinds or {}
        kinds = {str(name): kind for name, kind in given.items()}
        for name, kind in kinds.items():
            check_word(f"column_kinds[{name!r}]", kind, KINDS, owner=owner)
        mark = self.thousands
        if mark is not None and (len(mark) > 1 or mark.isalnum()):
            raise ValueError(
                f"{owner} got thousands={mark!r}; it must be one character that is no "
                "letter and no digit, '' for none, or None to find it out."
            )
        if self.decimal is not None and self.decimal == mark:
            raise ValueError(
                f"{owner} got decimal={self.decimal!r} and thousands={mark!r}; they "
                "must be two characters."
            )
        if self.date_format is not None and "%" not in self.date_format:
            raise ValueError(
                f"{owner} got date_format={self.date_format!r}; it must be a format as "
                "for datetime.strptime, e.g. '%d.%m.%Y'."
            )
        absent = None
        if self.missing is not None:
            absent = tuple(write(each) for each in self.missing)
        return Reading(kinds, self.decimal, mark, self.date_format, absent)
