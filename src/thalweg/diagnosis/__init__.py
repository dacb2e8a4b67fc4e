"""The doctor: measure, judge, try the remedy, and say what is wrong."""

from thalweg.diagnosis.callback import Doctor
from thalweg.diagnosis.diagnose import diagnose
from thalweg.diagnosis.html import (
    HELPERS,
    fragment,
    load_template,
    need_for_report,
    number,
)
from thalweg.diagnosis.plot import shorten
from thalweg.diagnosis.result import Diagnosis, Finding
from thalweg.diagnosis.rules import THRESHOLDS

__all__ = [
    "HELPERS",
    "THRESHOLDS",
    "Diagnosis",
    "Doctor",
    "Finding",
    "diagnose",
    "fragment",
    "load_template",
    "need_for_report",
    "number",
    "shorten",
]
