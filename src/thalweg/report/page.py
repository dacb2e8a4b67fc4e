"""One self-contained page about a fit: what was seen, how good it is, what is wrong.

A page is made from records alone. Its curves are Plotly's, whose program is put into
the page (compressed, once), so that it opens without a network; the evidence of the
findings is plain SVG, so that a notebook can show it too. All text goes through Jinja2,
which escapes it: nothing that a table holds can run.
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
from thalweg.report import figures
from thalweg.report.content import Report

_TEMPLATES = Path(__file__).parent / "templates"


def write(subject: Run | Diagnosis | Report, path: str | PathLike[str]) -> None:
    """Write a page that opens in any browser, without a network.

    Parameters
    ----------
    subject : Run, Diagnosis or Report
        What `thalweg.fit`, `thalweg.diagnose` or `thalweg fit --report` made.
    path : path-like
        The HTML file.

    Raises
    ------
    ValueError
        If Plotly or Jinja2 is not installed.
    TypeError
        If the subject is none of these.
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
    Path(path).write_text(page, encoding="utf-8")


def check() -> None:
    """Find out before the work is done whether a page can be written.

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
        known = {"Network": subject.network, "Plan": subject.plan,
                 "Engine": subject.engine}  # fmt: skip
        told = {name: str(value) for name, value in known.items()}
        return Report("Training", run=subject, origin=told)
    if isinstance(subject, Diagnosis):
        return Report("Diagnosis", diagnosis=subject)
    raise TypeError(
        f"report.write got a {type(subject).__name__}. Give the Run of thalweg.fit, "
        "the Diagnosis of thalweg.diagnose, or a Report."
    )


def _as_script(content: Any) -> Any:
    """Return JSON that no browser can take for the end of a script."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return need_for_report("markupsafe").Markup(text.replace("<", "\\u003c"))


def heights(counts: Sequence[int]) -> list[float]:
    """Return the heights of a small histogram's bars, as shares of the highest.

    A value that occurs at all has a bar that can be seen.
    """
    most = max(counts, default=1) or 1
    return [round(max(count / most, 0.05), 3) if count else 0.0 for count in counts]


def _plotly() -> str:
    """Return Plotly's program: 4.8 MB, 1.9 MB once it is packed."""
    program = need_for_report("plotly.offline").get_plotlyjs()
    return base64.b64encode(gzip.compress(program.encode(), mtime=0)).decode()
