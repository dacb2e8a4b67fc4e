"""The pictures behind findings."""

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from thalweg.diagnosis.plot import draw_evidence, draw_trial
from thalweg.diagnosis.result import Evidence, Proof

NAN = math.nan


def texts(svg: str) -> list[str | None]:
    return [each.text for each in ElementTree.fromstring(svg).iter("text")]


def tips(svg: str) -> list[str | None]:
    return [each.text for each in ElementTree.fromstring(svg).iter("title")]


@pytest.mark.parametrize("kind", ["bars", "line", "histogram"])
@pytest.mark.parametrize(
    "y",
    [(), (0.0,), (NAN, NAN), (-1.0, 5e6), (1e-9, 1.0, 3.0), (-2.0, math.inf), (1e300,)],
)
@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("limit", [2.0, -1.0, NAN])
def test_any_evidence_can_be_drawn(
    kind: str, y: tuple[float, ...], log: bool, limit: float
):
    n = len(y) + (kind == "histogram")
    x: tuple[Any, ...] = tuple(range(n))
    x = tuple(map(str, x)) if kind == "bars" else x
    svg = draw_evidence(Evidence(kind, "t", "x", "y", x, y, limit, log))
    root = ElementTree.fromstring(svg)
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert width == 360
    assert "nan" not in re.sub("<title>[^<]*", "", svg)
    for each in root.iter("text"):
        assert 0 <= float(each.attrib["x"]) <= width
        assert 0 <= float(each.attrib["y"]) <= height
    for each in root.iter("path"):  # nothing is clipped, nothing lies outside
        drawn = each.attrib.get("d", "")
        numbers = [float(n) for n in re.findall(r"-?[\d.]+(?:e-?\d+)?", drawn)]
        assert -1 <= min(numbers, default=0) <= max(numbers, default=0) <= width + 1
    assert 2 <= len(list(root.iter("text"))) <= 16


def test_bars_show_names_values_and_the_limit():
    names = tuple(f"a column with a long name, number {k}" for k in range(20))
    values = tuple(float(k) for k in range(20))
    svg = draw_evidence(Evidence("bars", "Spread", "", "ratio", names, values, 7.0))
    assert tips(svg) == [f"{names[k]}: {k}" for k in range(5, 20)]
    assert "a column with…ber 19" in texts(svg)
    assert "ratio (the 15 largest of 20)" in texts(svg)
    assert svg.count("stroke-dasharray") == 1
    assert 'aria-label="Spread; ratio from 0 to 19"' in svg


def test_a_logarithmic_axis_has_powers_of_ten_in_plain_digits():
    svg = draw_evidence(
        Evidence("bars", "t", "", "y", ("a", "b"), (0.2, 11000.0), log=True)
    )
    assert texts(svg)[:4] == ["0.1", "10", "1000", "100000"]


def test_a_trial_has_a_dot_for_each_seed():
    proof = Proof(
        "accuracy", (0.5, NAN), (0.9, 0.8), (0.5, 0.4), 0.4, (0.2, 0.6), 0.35,
        "confirmed",
    )  # fmt: skip
    svg = draw_trial(proof)
    assert tips(svg) == [
        *("before: 0.5", "after: 0.9", "after: 0.8", "control: 0.5", "control: 0.4"),
    ]
    assert {"before, 1 diverged", "after", "control", "accuracy"} <= set(texts(svg))
