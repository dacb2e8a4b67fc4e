"""What the parameters of estimators may be, checked as scikit-learn checks its own.

An estimator declares ``_parameter_constraints``, a list of constraints for each
parameter, and `Validated` checks them: a value must satisfy one of the list. The error
is scikit-learn's ``InvalidParameterError``, which is a ValueError and a TypeError.

scikit-learn documents that `BaseEstimator` validates parameters, but the module with
the constraints is private: nothing promises that it stays where it is. Everything that
we take from it is therefore imported here and nowhere else.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import copy
from itertools import chain
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    make_constraint,
    validate_parameter_constraints,
)

from thalweg.core import Choice, nearest, plain_number


class Word(StrOptions):
    """One of a few texts, listed in the order of the alphabet.

    Parameters
    ----------
    options : iterable of str
    """

    def __init__(self, options: Iterable[str]) -> None:
        super().__init__(set(options))

    def __str__(self) -> str:
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


class Named(Word):
    """A name that we know, alone or with constants: ``("huber", {"delta": 2.0})``.

    The values of the constants are checked where they are used.

    Parameters
    ----------
    options : iterable of str
        The names.
    canonical : callable
        Returns how our tables spell a name.
    pairs : tuple of type
        The types that a name with constants may have.
    """

    def __init__(
        self,
        options: Iterable[str],
        canonical: Callable[[str], Any] = str,
        pairs: tuple[type, ...] = (tuple, list),
    ) -> None:
        super().__init__(options)
        self.canonical, self.pairs = canonical, pairs

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether the value is such a name."""
        if isinstance(val, Choice):
            return True
        if (
            isinstance(val, self.pairs)
            and len(val) == 2
            and isinstance(val[1], Mapping)
        ):
            val = val[0]
        return isinstance(val, str) and self.canonical(val) in self.options

    def __str__(self) -> str:
        return f"{super().__str__()}, a tuple (str, dict) of one of these"


class ListOf(Options):
    """A list whose elements satisfy one of some constraints each.

    Parameters
    ----------
    *constraints
        As in ``_parameter_constraints``.
    kind : type
        The type of the list.
    text : str
        How messages call it.
    """

    def __init__(
        self, *constraints: Any, kind: type = list, text: str = "a list of these"
    ) -> None:
        super().__init__(kind, set())
        self.constraints = [make_constraint(each) for each in constraints]
        self.text = text

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether the value is such a list."""
        several = isinstance(val, self.type) and getattr(val, "ndim", 1) > 0
        return several and all(map(self._allows, val))

    def _allows(self, element: Any) -> bool:
        return any(each.is_satisfied_by(element) for each in self.constraints)

    def __str__(self) -> str:
        return self.text


class Number(Interval):
    """An interval of numbers that we can compute with; True and False are not any."""

    takes_bools = False

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether the value is such a number."""
        small = not isinstance(val, int) or abs(val) < 2**63
        known = self.takes_bools or is_number(val)
        return known and small and super().is_satisfied_by(val)


def as_sklearn(constraints: Iterable[Any]) -> list[Any]:
    """Take True and False for numbers too, as scikit-learn does."""
    found = [copy(each) for each in constraints]
    for each in found:
        if isinstance(each, Number):
            each.takes_bools = True
    return found


AT_LEAST_0 = Number(Integral, 0, None, closed="left")
AT_LEAST_1 = Number(Integral, 1, None, closed="left")
POSITIVE = Number(Real, 0, None, closed="neither")
NONNEGATIVE = Number(Real, 0, None, closed="left")
SHARE = Number(Real, 0, 1, closed="left")
OPEN_SHARE = Number(Real, 0, 1, closed="neither")
CLOSED_SHARE = Number(Real, 0, 1, closed="both")
INFINITY = Options(Real, {float("inf")})
ESTIMATOR = HasMethods(["fit"])
UPDATE_RULE = HasMethods(["init", "update"])
BATCH_SIZE = [Word(["auto"]), AT_LEAST_1]
CLASS_WEIGHT = [Mapping, Word(["balanced"]), None]
CALLBACKS = [ListOf(callable, kind=Collection, text="a sequence of callables"), None]
ENGINE = [Word(["auto", "jax", "native"])]
DTYPE = [Word(["float32", "float64"]), None]


def check_class_weight(given: Any, classes: Any, owner: str) -> None:
    """Raise ValueError where weights of classes are wrong, or of unknown classes.

    Parameters
    ----------
    given : dict, list of dict, str or None
        A list has a dict for each of several targets, whose classes are not known here.
    classes : array-like
        The classes of one target.
    owner : str
        Whose parameter it is, for messages.
    """
    if isinstance(given, list):
        if not all(isinstance(each, Mapping) for each in given):
            raise ValueError(
                f"{owner} got class_weight={given!r}. A list must hold a dict for each "
                "of several targets."
            )
        for each in given:
            check_class_weight(each, None, owner)
    if not isinstance(given, Mapping):
        return
    for label, weight in given.items():
        if not is_number(weight) or not 0 <= weight < float("inf"):
            raise ValueError(
                f"{owner} got class_weight={{{label!r}: {weight!r}}}. The weight of a "
                "class must be a finite number of at least 0."
            )
    known = None if classes is None else set(np.asarray(classes).ravel().tolist())
    for label in given:
        if known is not None and plain_number(label) not in known:
            texts = [*map(repr, sorted(known, key=str))]
            more = ", ..." if len(texts) > 20 else ""
            names = [each for each in known if isinstance(each, str)]
            raise ValueError(
                f"{owner} got class_weight for {label!r}, which is no class of y. "
                f"{nearest(str(label), names)}"
                f"Options: {', '.join(texts[:20])}{more}."
            )
    if given and not any(given.values()) and known and len(given) == len(known):
        raise ValueError(
            f"{owner} got class_weight={dict(given)!r}. At least one class must have a "
            "weight above 0."
        )


def is_number(value: Any) -> bool:
    """Whether a value is a real number; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


class Validated(BaseEstimator):
    """An estimator that checks its parameters, and suggests the name that was meant."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]]

    def _validate_params(self) -> None:
        if get_config()["skip_parameter_validation"]:
            return
        allowed = self._parameter_constraints
        for name, value in self.get_params(deep=False).items():
            try:
                validate_parameter_constraints(
                    allowed, {name: value}, caller_name=type(self).__name__
                )
            except InvalidParameterError as error:
                hint = _suggest(value, allowed[name])
                raise InvalidParameterError(f"{error} {hint}".rstrip()) from None


def _suggest(value: Any, constraints: Iterable[Any]) -> str:
    """Say which of the allowed names is nearest to a name that is not allowed."""
    inside = [each.constraints for each in constraints if isinstance(each, ListOf)]
    words = [each for each in chain(constraints, *inside) if isinstance(each, Word)]
    names = {name for word in words for name in word.options}
    wrong = [each for each in _texts(value) if each not in names]
    return nearest(wrong[0], sorted(names)) if wrong else ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
