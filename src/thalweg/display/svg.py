"""A matplotlib figure as SVG that stands inside an HTML page.

matplotlib draws for a file of its own: with its own fonts, black text, and a style
sheet that matches every element. Here the same drawing takes the font and the color of
the page around it, light or dark, and has nothing that could reach outside itself. The
same figure always gives the same text.
"""

import io
import re
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from thalweg.core import need

_SETTINGS = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "thalweg",
    "text.parse_math": False,  # a column may be named "$x$"
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.spines.bottom": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": "#80808059",
    "grid.linewidth": 1.0,
    "font.size": 12.0,
    "axes.labelsize": 12.0,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
}
_KEPT = {"transform", "x", "y"}  # of a text; its style becomes the page's
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_TIP = "tip "


def render_svg(draw: Callable[[], Any], label: str) -> str:
    """Return the figure that `draw` makes as the text of an ``<svg>`` element.

    Parameters
    ----------
    draw : callable
        Takes nothing and returns a `matplotlib.figure.Figure`. It runs, and the figure
        is written, with settings of its own: those of the user stay as they are. What
        it draws must lie within the axes, for nothing is clipped: clip paths of two
        pictures in one page could have the same name.
    label : str
        What the picture shows, for those who do not see it.

    Returns
    -------
    str
        Safe to put into a page: all text is escaped.

    Raises
    ------
    ValueError
        If matplotlib is not installed: how to install it.
    """
    style = need("matplotlib.style", "plots need matplotlib", "report")
    written = io.StringIO()
    with style.context(_SETTINGS, after_reset=True), warnings.catch_warnings():
        # The browser has letters that matplotlib's font has not.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        draw().savefig(written, format="svg", metadata=_NO_METADATA)
    root = ElementTree.fromstring(written.getvalue())
    _adapt(root)
    root.tag, root.text = "svg", None
    root.attrib = {
        "class": "picture", "viewBox": root.attrib["viewBox"], "role": "img",
        "aria-label": printable(label),
    }  # fmt: skip
    return ElementTree.tostring(root, encoding="unicode")


def show_tip(artist: Any, text: str) -> None:
    """Let a text show where the pointer rests on this part of a figure."""
    artist.set_gid(_TIP + printable(text))


def printable(text: str) -> str:
    """Replace each character that XML cannot hold or that breaks a line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _adapt(parent: ElementTree.Element) -> None:
    """Fit the elements below one into a page."""
    for child in list(parent):
        child.tag = _plain(child.tag)
        child.tail = None
        if len(child):
            child.text = None
        # The style would match the whole page.
        if child.tag in ("metadata", "style", "clipPath"):
            parent.remove(child)
            continue
        given = {_plain(name): value for name, value in child.attrib.items()}
        given.pop("clip-path", None)
        if child.tag == "text":
            anchor = re.search("text-anchor: ([a-z]+)", given.get("style", ""))
            child.attrib = {k: v for k, v in given.items() if k in _KEPT}
            child.set("text-anchor", anchor[1] if anchor else "start")
            continue
        child.attrib = given
        if child.tag == "g":
            name = child.attrib.pop("id", "")  # another picture has the same
            if name.startswith(_TIP):
                title = ElementTree.Element("title")
                title.text = name.removeprefix(_TIP)
                child.insert(0, title)
        _adapt(child)
        if child.tag in ("g", "defs") and not len(child):
            parent.remove(child)


def _plain(name: str) -> str:
    """Return a name without its XML namespace, which HTML implies."""
    return name.rpartition("}")[2]
