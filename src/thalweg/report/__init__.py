"""Reports: one self-contained HTML page about a fit or a diagnosis."""

from thalweg.report.content import ColumnSketch, Report
from thalweg.report.page import check, write
from thalweg.report.summary import summarize

__all__ = [
    "ColumnSketch",
    "Report",
    "check",
    "summarize",
    "write",
]
