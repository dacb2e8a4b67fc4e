"""Figures as parts of a page."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from thalweg.display import new_figure, printable, render_svg, show_tip


def a_figure(title: str = "title", tip: str = "tip") -> Any:
    figure, axes = new_figure()
    (bar,) = axes[0, 0].bar(1, 2)
    show_tip(bar, tip)
    axes[0, 0].set_title(title)
    return figure


def test_the_same_figure_is_the_same_text():
    assert render_svg(a_figure, "a bar") == render_svg(a_figure, "a bar")


def test_the_page_gives_font_and_color_and_nothing_reaches_outside():
    svg = render_svg(a_figure, "a bar")
    assert re.findall(r"https?:|xmlns|<style|<metadata|<[?]|font|#000000", svg) == []
    root = ElementTree.fromstring(svg)
    assert {child.tag for child in root.iter()} <= {
        *("svg", "g", "path", "text", "title", "defs", "use", "clipPath", "rect"),
    }
    assert root.attrib["aria-label"] == "a bar"
    ids = [child.attrib["id"] for child in root.iter() if "id" in child.attrib]
    assert all(f"#{name}" in svg for name in ids)


@pytest.mark.parametrize(
    "text", ["$x$", r"$\frac", "</text><script>", "a\nb\x00\ud800", "日本", '"', "tip "]
)
def test_any_text_is_shown_as_it_is(text: str):
    svg = render_svg(lambda: a_figure(printable(text), text), text)
    root = ElementTree.fromstring(svg)
    shown = re.sub("[\n\x00\ud800]", "\N{REPLACEMENT CHARACTER}", text)
    assert root.attrib["aria-label"] == shown
    assert [title.text for title in root.iter("title")] == [shown]
    assert shown.strip() in [(each.text or "").strip() for each in root.iter("text")]


def test_the_settings_of_the_user_neither_matter_nor_change():
    import matplotlib as mpl

    plain = render_svg(a_figure, "a bar")
    with mpl.rc_context({"text.usetex": True, "axes.grid": False, "font.size": 30}):
        before = dict(mpl.rcParams)
        assert render_svg(a_figure, "a bar") == plain
        assert dict(mpl.rcParams) == before


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    with pytest.raises(ValueError, match=r"pip install 'thalweg\[report\]'"):
        render_svg(a_figure, "a bar")
