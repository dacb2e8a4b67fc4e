"""Turn what a user names into what it stands for, or say what could have been meant.

Everything that has a name here (a loss, an optimizer, an activation, an initializer,
a schedule) is given the same way: as a name, ``"huber"``, or as a name with its
constants, ``("huber", {"delta": 2.0})``. The tables of names live where the things
themselves are described; this module only looks them up.
"""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar, overload

import numpy as np

Number: TypeAlias = float | int | bool | None
Given = TypeVar("Given")
Held = TypeVar("Held")


@dataclass(frozen=True)
class Interval:
    """A range of real numbers, written as in mathematics: ``"[0, 1)"``."""

    text: str

    def __contains__(self, value: object) -> bool:
        real = hasattr(value, "__float__") and not hasattr(value, "__len__")
        if isinstance(value, bool) or not real:
            return False
        low, high = (float(end) for end in self.text[1:-1].split(","))
        try:
            number = float(value)  # pyright: ignore[reportArgumentType]
        except OverflowError:  # a whole number of more than 308 digits
            return False
        above = number >= low if self.text[0] == "[" else number > low
        below = number <= high if self.text[-1] == "]" else number < high
        return above and below and not math.isnan(number)


@dataclass(frozen=True)
class Constant:
    """A named constant of a choice: its default, and the values it may take.

    A constant whose default is a float is data to the engines (another value never
    recompiles a program); an int, a bool or None is part of the program's structure.
    """

    default: Number
    allowed: Interval | None = None


Table: TypeAlias = Mapping[str, Mapping[str, Constant]]


def tabulate(
    rows: Mapping[str, Mapping[str, Number | tuple[Number, str]]], **allowed: str
) -> dict[str, dict[str, Constant]]:
    """Make a table of choices from the defaults of their constants.

    Parameters
    ----------
    rows : mapping of name to mapping of constant to default
        A pair (default, interval) where a constant's range is not its usual one.
    **allowed
        The usual range of each constant, such as ``decay="[0, 1)"``.
    """

    def constant(key: str, given: Number | tuple[Number, str]) -> Constant:
        if isinstance(given, tuple):
            return Constant(given[0], Interval(given[1]))
        return Constant(given, Interval(allowed[key]) if key in allowed else None)

    return {
        name: {key: constant(key, given) for key, given in row.items()}
        for name, row in rows.items()
    }


@dataclass(frozen=True)
class Choice:
    """A name with all its constants filled in, or a function of the user's own."""

    name: str | Callable[..., Any]
    constants: tuple[tuple[str, Number], ...] = ()

    def __str__(self) -> str:
        constants = ", ".join(f"{name} {value}" for name, value in self.constants)
        return f"{self.label} ({constants})" if constants else self.label

    def __getitem__(self, constant: str) -> Number:
        return dict(self.constants)[constant]

    @property
    def label(self) -> str:
        """The name, or the function's name, for messages."""
        own = self.name if isinstance(self.name, str) else None
        return own or getattr(self.name, "__name__", type(self.name).__name__)

    @property
    def numbers(self) -> dict[str, float]:
        """The constants that are data: those an engine may change between runs."""
        return {key: v for key, v in self.constants if isinstance(v, float)}

    @property
    def structure(self) -> "Choice":
        """The same choice with its numbers struck out: what a program depends on."""
        kept = ((key, 0.0 if isinstance(v, float) else v) for key, v in self.constants)
        return Choice(self.name, tuple(kept))

    def to_json(self) -> str | list[Any]:
        """``"name"``, or ``["name", {constants}]``; a function cannot be written."""
        if not isinstance(self.name, str):
            raise ValueError(
                f"the function {self.label!r} cannot be written to a file: only "
                "named choices can. Use a named one, or keep the model in memory."
            )
        return [self.name, dict(self.constants)] if self.constants else self.name


Spec: TypeAlias = (
    str | tuple[str, Mapping[str, Number]] | list[Any] | Callable[..., Any] | Choice
)


def choose(parameter: str, spec: Spec, table: Table, *, owner: str) -> Choice:
    """Resolve `spec` against `table`.

    Parameters
    ----------
    parameter : str
        The name of the parameter that holds `spec`, for messages.
    spec : str, (str, mapping), callable or Choice
        What the user gave. A list of two is taken as a pair, so that JSON works.
    table : mapping of name to mapping of constant to Constant
        The options.
    owner : str
        Whose parameter it is, for messages.

    Raises
    ------
    ValueError
        For an unknown name or constant (with the nearest one suggested), or a
        constant outside its range.
    TypeError
        For a `spec` of another kind.
    """
    if isinstance(spec, Choice):
        spec = spec.name if callable(spec.name) else (spec.name, dict(spec.constants))
    if callable(spec):
        return Choice(spec)
    name, given = (spec, {}) if isinstance(spec, str) else _pair(parameter, spec, owner)
    constants = find(parameter, name, table, owner=owner)
    check_names(f"constant of {name!r}", given, constants, owner=owner)
    given = {key: plain_number(value) for key, value in given.items()}
    values = {**{key: c.default for key, c in constants.items()}, **given}
    for key, value in given.items():
        check_number(key, value, constants[key].allowed, owner=f"{name!r}")
        if isinstance(constants[key].default, float) and value is not None:
            values[key] = float(value)
    return Choice(name, tuple(values.items()))


def find(parameter: str, name: str, table: Mapping[str, Any], *, owner: str) -> Any:
    """Return ``table[name]``; otherwise list the options and the nearest."""
    if isinstance(name, str) and name in table:
        return table[name]
    raise ValueError(
        f"{owner} got {parameter}={shown(name)}, which does not exist. "
        f"{nearest(name, table)}Options: {', '.join(sorted(table))}."
    )


def check_names(
    what: str, given: Iterable[str], allowed: Iterable[str], *, owner: str
) -> None:
    """Raise if `given` has a name that is not in `allowed`."""
    allowed = list(allowed)
    for name in given:
        if name not in allowed:
            options = ", ".join(allowed) if allowed else "none"
            raise ValueError(
                f"{owner} got {name!r}, which is no {what}. "
                f"{nearest(name, allowed)}Options: {options}."
            )


def check_word(
    parameter: str, value: object, options: Iterable[object], *, owner: str
) -> None:
    """Raise unless `value` is one of `options`."""
    options = list(options)
    if value not in options:
        raise ValueError(
            f"{owner} got {parameter}={shown(value)}; it must be one of "
            f"{', '.join(map(repr, options))}."
        )


def check_number(
    parameter: str, value: object, allowed: Interval | None, *, owner: str
) -> None:
    """Raise unless `value` is a real number inside `allowed`."""
    if allowed is not None and value not in allowed:
        raise ValueError(
            f"{owner} got {parameter}={shown(value)}; it must be a number in "
            f"{allowed.text}. Choose a value in that range."
        )


def shown(value: object) -> str:
    """Return the repr of a value for a message, cut off if it is long."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def plain_number(value: Any) -> Any:
    """Turn a number of NumPy's, whose type may be small, into one of Python's."""
    return value.item() if isinstance(value, np.generic) else value


def nearest(name: str, options: Iterable[str]) -> str:
    """``"Did you mean 'adam'? "``, or nothing when no option is close."""
    close = difflib.get_close_matches(str(name), list(options), n=1)
    return f"Did you mean {close[0]!r}? " if close else ""


def _pair(parameter: str, spec: object, owner: str) -> tuple[str, Mapping[str, Number]]:
    if isinstance(spec, tuple | list) and len(spec) == 2:
        name, constants = spec
        if isinstance(name, str) and isinstance(constants, Mapping):
            return name, constants
    raise TypeError(
        f"{owner} got {parameter}={shown(spec)}; it must be a name, a pair "
        "(name, {constant: value}) or a function. Write it as one of these."
    )


class ChoiceField(Generic[Given, Held]):
    """A field of a dataclass that is given a spec and holds what it stands for.

    A data descriptor, which dataclasses know: type checkers take the type of `__set__`
    for the constructor's and that of `__get__` for reading. So ``Plan(loss="huber")``
    is right, and ``plan.loss`` is a `Choice`.

    Parameters
    ----------
    default : Given
        What the field is given where the user gives nothing.
    table : mapping or callable
        The options, or a function from what is given to what is held.
    """

    def __init__(self, default: Given, table: Table | Callable[[Any], Held]) -> None:
        self.default, self.table = default, table

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner.__name__, name

    @overload
    def __get__(self, instance: None, owner: type) -> Given: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Held: ...
    def __get__(self, instance: object | None, owner: type) -> Given | Held:
        return self.default if instance is None else instance.__dict__[self.name]

    def __set__(self, instance: object, value: Given) -> None:
        spec: Any = self.default if value is self else value
        if callable(self.table):
            held: Any = self.table(spec)
        else:
            held = choose(self.name, spec, self.table, owner=self.owner)
        instance.__dict__[self.name] = held


POSITIVE, NONNEGATIVE, AT_LEAST_1 = "(0, inf)", "[0, inf)", "[1, inf)"
SHARE, CLOSED_SHARE, OPEN_SHARE = "[0, 1)", "[0, 1]", "(0, 1)"
