"""Write a report: one HTML page that shows a score, a training and a diagnosis.

The page works without a network: it contains Plotly's program, compressed. The evidence
of a diagnosis is SVG, so that a notebook can show it too. Jinja2 escapes all text, so
that nothing in a table can run as a script.
"""

import base64
import gzip
import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from thalweg.core import Run
from thalweg.diagnosis import HELPERS, Diagnosis, load_template, need_for_report
from thalweg.io import atomic_write
from thalweg.report import figures
from thalweg.report.content import Report

_TEMPLATES = Path(__file__).parent / "templates"


def write(subject: Run | Diagnosis | Report, path: str | PathLike[str]) -> None:
    """Write an HTML page that any browser opens without a network.

    Parameters
    ----------
    subject : Run, Diagnosis or Report
        The result of `thalweg.fit`, `thalweg.diagnose` or `thalweg.report.summarize`.
    path : path-like
        The HTML file.

    Raises
    ------
    ValueError
        If Plotly or Jinja2 is not installed.
    TypeError
        If the subject is something else.
    """
    check()
    report = _as_report(subject)
    drawn = figures.of(report)
    page = load_template("page.html", _TEMPLATES).render(
        report=report,
        figures=drawn,
        specifications=_as_script([f.specification for f in drawn.values()]),
        plotly=_plotly() if drawn else "",
        heights=heights,
        **HELPERS,
    )
    with atomic_write(path) as draft:
        draft.write_text(page, encoding="utf-8")


def check() -> None:
    """Check that Plotly and Jinja2 are installed, before the work rather than after.

    Raises
    ------
    ValueError
        If Plotly or Jinja2 is not installed.
    """
    for name in ("jinja2", "plotly.offline"):
        need_for_report(name)


def _as_report(subject: Any) -> Report:
    if isinstance(subject, Report):
        return subject
    if isinstance(subject, Run):
        origin = {
            "Network": str(subject.network),
            "Plan": str(subject.plan),
            "Engine": subject.engine,
        }
        return Report("Training", run=subject, origin=origin)
    if isinstance(subject, Diagnosis):
        return Report("Diagnosis", diagnosis=subject)
    raise TypeError(
        f"report.write got a {type(subject).__name__}. Give the Run of thalweg.fit, "
        "the Diagnosis of thalweg.diagnose, or a Report."
    )


def _as_script(content: Any) -> Any:
    """Return JSON in which no browser can find the end of the script."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return need_for_report("markupsafe").Markup(text.replace("<", "\\u003c"))


def heights(counts: Sequence[int]) -> list[float]:
    """Return the heights of a small histogram's bars, as shares of the highest.

    A value that occurs at all has a bar that can be seen.
    """
    most = max(counts, default=1) or 1
    return [round(max(count / most, 0.05), 3) if count else 0.0 for count in counts]


def _plotly() -> str:
    """Return Plotly's program, compressed from 4.8 MB to 1.9 MB."""
    program = need_for_report("plotly.offline").get_plotlyjs()
    return base64.b64encode(gzip.compress(program.encode(), mtime=0)).decode()
