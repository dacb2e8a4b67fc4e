"""Names, constants and ranges: what is taken, and what an error says."""

import pickle
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.core.registry import (
    Choice,
    ChoiceField,
    Constant,
    Interval,
    check_names,
    check_number,
    choose,
    find,
    nearest,
)

TABLE: dict[str, dict[str, Constant]] = {
    "adam": {
        "beta": Constant(0.9, Interval("[0, 1)")),
        "nesterov": Constant(False),
        "every": Constant(10, Interval("[1, inf)")),
    },
    "sgd": {},
}


def pick(spec: Any) -> Choice:
    return choose("optimizer", spec, TABLE, owner="Plan")


@dataclass(frozen=True)
class Holder:
    rule: ChoiceField[Any, Choice] = ChoiceField("sgd", TABLE)


def own(x: float) -> float:
    return 2 * x


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("[0, 1)", [0, 0.5, np.float32(0)], [1, -1e-300, np.nan, np.inf]),
        ("(0, 1]", [1, 1e-300], [0, 1.5]),
        ("(0, inf)", [1e300], [0, -1, np.inf, np.nan]),
        ("[1, inf)", [1, np.int64(3)], [0.999]),
        ("(-inf, inf)", [-1e300, 0, 1e300], [np.inf, -np.inf, np.nan]),
    ],
)
def test_intervals_are_mathematics(
    text: str, inside: list[Any], outside: list[Any]
) -> None:
    assert [x for x in inside if x not in Interval(text)] == []
    assert [x for x in outside if x in Interval(text)] == []


@pytest.mark.parametrize("value", [True, "0.5", None, [0.5], np.array([0.5]), 1j])
def test_what_is_no_real_number_is_in_no_interval(value: Any) -> None:
    assert value not in Interval("[0, 1]")


@given(
    low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6), share=st.floats(0.01, 0.99)
)
def test_intervals_hold_what_lies_between(
    low: float, width: float, share: float
) -> None:
    interval = Interval(f"({low!r}, {low + width!r})")
    assert low + share * width in interval
    assert low not in interval
    assert low + width not in interval
    assert low - width not in interval


FULL = (("beta", 0.9), ("nesterov", False), ("every", 10))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("sgd", Choice("sgd")),
        ("adam", Choice("adam", FULL)),
        (("adam", {}), Choice("adam", FULL)),
        (["adam", {"every": 3}], Choice("adam", (*FULL[:2], ("every", 3)))),
        (("adam", {"beta": 0}), Choice("adam", (("beta", 0.0), *FULL[1:]))),
        (Choice("adam", FULL), Choice("adam", FULL)),
        (own, Choice(own)),
        (Choice(own), Choice(own)),
    ],
)
def test_every_way_of_saying_it(spec: Any, expected: Choice) -> None:
    assert pick(spec) == expected


def test_a_whole_number_for_a_float_becomes_one() -> None:
    """Otherwise an engine would take it for structure, and compile again."""
    assert isinstance(pick(("adam", {"beta": 0}))["beta"], float)


def test_numbers_and_structure_part_the_constants() -> None:
    one, other = pick("adam"), pick(("adam", {"beta": 0.5}))
    assert one != other
    assert one.structure == other.structure
    assert one.numbers == {"beta": 0.9}
    assert pick(("adam", {"every": 3})).structure != one.structure
    assert pick(("adam", {"nesterov": True})).structure != one.structure


def test_labels_are_names() -> None:
    class Rule:
        def __call__(self) -> None: ...

    assert [pick(s).label for s in ("sgd", own, Rule())] == ["sgd", "own", "Rule"]


@pytest.mark.parametrize("spec", ["sgd", "adam", ("adam", {"beta": 0.25, "every": 2})])
def test_json_round_trip(spec: Any) -> None:
    assert pick(pick(spec).to_json()) == pick(spec)


def test_a_function_is_not_written() -> None:
    with pytest.raises(ValueError, match=r"'own' cannot be written.*named"):
        pick(own).to_json()


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("adma", ValueError, ["Plan", "optimizer='adma'", "Did you mean 'adam'?"]),
        ("zzz", ValueError, ["optimizer='zzz'", "Options: adam, sgd"]),
        (("adam", {"bta": 1.0}), ValueError, ["'bta'", "'adam'", "mean 'beta'?"]),
        (("sgd", {"beta": 1.0}), ValueError, ["'beta'", "'sgd'", "Options: none"]),
        (("adam", {"beta": 1.0}), ValueError, ["'adam'", "beta=1.0", "[0, 1)"]),
        (("adam", {"beta": "x"}), ValueError, ["beta='x'", "[0, 1)"]),
        (("adam", {"beta": np.nan}), ValueError, ["beta=nan", "[0, 1)"]),
        (3, TypeError, ["Plan", "optimizer=3", "a name, a pair", "a function"]),
        (("adam",), TypeError, ["optimizer=('adam',)", "a pair"]),
        (("adam", 3), TypeError, ["optimizer=('adam', 3)", "a pair"]),
        ((3, {}), TypeError, ["optimizer=(3, {})", "a name"]),
        (None, TypeError, ["optimizer=None", "a name"]),
    ],
)
def test_errors_name_owner_parameter_value_and_options(
    spec: Any, error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        pick(spec)
    assert [word for word in words if word not in str(caught.value)] == []


def test_unknown_name_is_not_suggested_from_afar() -> None:
    assert nearest("adamm", TABLE) == "Did you mean 'adam'? "
    assert nearest("zzz", TABLE) == ""
    with pytest.raises(ValueError) as caught:
        find("loss", "zzz", TABLE, owner="Plan")
    assert "Did you mean" not in str(caught.value)


def test_find_returns_what_is_there() -> None:
    assert find("loss", "sgd", TABLE, owner="Plan") is TABLE["sgd"]


def test_check_names_and_numbers_pass_what_is_right() -> None:
    check_names("field", ["a"], iter(["a", "b"]), owner="Plan")
    check_number("rate", 0.5, Interval("(0, 1)"), owner="Plan")
    check_number("rate", "anything", None, owner="Plan")
    with pytest.raises(ValueError, match=r"Plan got rate=2; .*\(0, 1\)"):
        check_number("rate", 2, Interval("(0, 1)"), owner="Plan")


def test_a_field_holds_the_choice_that_it_was_given_in_any_form():
    assert Holder().rule == pick("sgd")
    assert Holder("sgd") == Holder(("sgd", {})) == Holder(pick("sgd"))
    assert replace(Holder()) == pickle.loads(pickle.dumps(Holder()))
    with pytest.raises(ValueError, match=r"Holder got rule='sdg'.*Did you mean 'sgd'"):
        Holder("sdg")


def test_an_unknown_constant_is_no_item() -> None:
    assert pick("adam")["every"] == 10
    with pytest.raises(KeyError):
        pick("adam")["rho"]
