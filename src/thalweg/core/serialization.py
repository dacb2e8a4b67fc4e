"""Records to and from JSON: the only codec."""

import enum
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self, get_args, get_origin, get_type_hints


class Record:
    """A dataclass whose fields JSON can hold: numbers, texts, records, nests of them.

    What each field becomes again is read from its type. What has ``repr=False`` is
    left out.
    """

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file or a page; what is not finite becomes None."""
        own: Any = self
        shown = [each.name for each in fields(own) if each.repr]
        return {name: _plain(getattr(own, name)) for name in shown}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        kinds = get_type_hints(cls)
        return cls(**{name: _typed(kinds[name], v) for name, v in content.items()})


def _plain(value: Any) -> Any:
    """Turn a value into what JSON holds."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, enum.Enum):
        return value.name
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _typed(kind: Any, content: Any) -> Any:
    """Turn what JSON held into a value of a field's type; of several, the first."""
    if content is None:
        return math.nan if kind is float else None
    if hasattr(kind, "from_json"):
        return kind.from_json(content)
    if isinstance(kind, enum.EnumType):
        return kind[content]
    parts, origin = get_args(kind), get_origin(kind)
    if origin is Mapping:
        return {key: _typed(parts[1], each) for key, each in content.items()}
    if parts and origin is not tuple:
        return _typed(parts[0], content)
    if isinstance(content, list):
        return tuple(_typed(parts[0] if parts else Any, each) for each in content)
    return content
