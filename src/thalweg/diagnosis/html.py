"""A diagnosis as HTML: for a notebook's cell, and as a part of a report.

Jinja2 escapes all texts of a table. Without matplotlib, words stand in for pictures.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.core import need
from thalweg.diagnosis.plot import (
    describe_evidence,
    describe_trial,
    draw_evidence,
    draw_trial,
)

if TYPE_CHECKING:
    from thalweg.diagnosis.result import Diagnosis, Evidence, Proof

_TEMPLATES = Path(__file__).parent / "templates"


def fragment(diagnosis: "Diagnosis") -> str | None:
    """Return a diagnosis as HTML for a notebook's cell, its evidence drawn as SVG.

    None where Jinja2 is not installed: the notebook then shows the text.
    """
    try:
        template = load_template("diagnosis.html")
    except ValueError:
        return None
    return template.render(diagnosis=diagnosis, **HELPERS)


def load_template(name: str, *folders: Path) -> Any:
    """Return a Jinja2 template of these folders, or of the one beside this file."""
    jinja2 = need_for_report("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, _TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def need_for_report(name: str) -> Any:
    """Import what a page is made with."""
    return need(name, "a report needs Plotly, Jinja2 and matplotlib", "report")


def number(value: float, sign: str = "") -> str:
    """Return a score with three digits after the point; a huge one in scientific form.

    `sign` is a part of the format, such as ``"+"``.
    """
    return f"{value:{sign}.3f}" if abs(value) < 1000 else f"{value:{sign}.3g}"


def picture_evidence(evidence: "Evidence") -> Any:
    """Return the picture of a finding's numbers, or words without matplotlib."""
    if not _has_matplotlib():
        return describe_evidence(evidence)
    return need_for_report("markupsafe").Markup(draw_evidence(evidence))


def picture_trial(proof: "Proof") -> Any:
    """Return the picture of a trial, or words without matplotlib."""
    if not _has_matplotlib():
        return describe_trial(proof)
    return need_for_report("markupsafe").Markup(draw_trial(proof))


def _has_matplotlib() -> bool:
    try:
        need_for_report("matplotlib")
    except ValueError:
        return False
    return True


HELPERS = {
    "is_known": lambda value: not math.isnan(value),
    "number": number,
    "picture_evidence": picture_evidence,
    "picture_trial": picture_trial,
}
"""What the templates call."""
