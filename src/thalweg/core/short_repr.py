"""How results show themselves: in a line at a prompt, as a table in a notebook.

A result holds thousands of numbers. Its ``repr`` names what it holds, so that a prompt
stays readable; ``print`` and ``str`` say what was found.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from html import escape
from typing import Any, TypeVar

import numpy as np

Kind = TypeVar("Kind", bound=type)

LONGEST = 300
"""Characters of a repr, at most."""

_LONGEST_VALUE = 60


def short_repr(kind: Kind) -> Kind:
    """Give a dataclass a short repr, and one in HTML unless it has its own.

    A class decorator, to be written above ``@dataclass``.
    """
    made: Any = kind
    made.__repr__ = _line
    if "_repr_html_" not in vars(kind):
        made._repr_html_ = html_repr
    return kind


def html_repr(self: Any) -> str:
    """Return a table of the fields of a dataclass, with all text escaped."""
    says = type(self).__str__ is not object.__str__
    said = f"<pre>{escape(str(self))}</pre>" if says else ""
    rows = [
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(text)}</td></tr>"
        for name, text in _parts(self)
    ]
    title = escape(type(self).__name__)
    return f"<div><b>{title}</b>{said}<table>{''.join(rows)}</table></div>"


def _line(self: Any) -> str:
    name, parts, left = type(self).__name__, [], LONGEST - len(type(self).__name__) - 7
    for field, text in _parts(self):
        part = f"{field}={text}"
        left -= len(part) + 2
        if left < 0:
            parts.append("...")
            break
        parts.append(part)
    return f"{name}({', '.join(parts)})"


def _parts(record: Any) -> list[tuple[str, str]]:
    """Return the name and a short text of each field that holds something."""
    own = [
        (each.name, getattr(record, each.name)) for each in fields(record) if each.repr
    ]
    return [(name, _brief(value)) for name, value in own if not _is_empty(value)]


def _is_empty(value: Any) -> bool:
    sized = isinstance(value, str | Sequence | Mapping | Set)
    return value is None or (sized and len(value) == 0)


def _brief(value: Any) -> str:
    if isinstance(value, bool | int | np.integer | np.bool_):
        return str(value)
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    if isinstance(value, np.ndarray):
        return f"<{' x '.join(map(str, value.shape)) or '0-d'} {value.dtype}>"
    if isinstance(value, Mapping):
        return _all_or_count([f"{k!r}: {_brief(v)}" for k, v in value.items()], "{}")
    if isinstance(value, str):
        return _crop(repr(value))
    if isinstance(value, Sequence | Set):
        return _all_or_count(
            [*map(_brief, value)], "[]" if isinstance(value, list) else "()"
        )
    if is_dataclass(value):
        return f"<{type(value).__name__}>"
    return _crop(" ".join(repr(value).split()))


def _all_or_count(texts: list[str], ends: str) -> str:
    text = f"{ends[0]}{', '.join(texts)}{ends[1]}"
    return text if len(text) <= _LONGEST_VALUE else f"<{len(texts)} items>"


def _crop(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
