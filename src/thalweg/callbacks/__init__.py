"""Callbacks that show a training, a search or a comparison, or write it down.

Each is given to ``callbacks=`` of `thalweg.fit`, an estimator, `thalweg.search` or
`thalweg.compare`. ``docs/watching.md`` shows them, and how to write one.
"""

from thalweg.callbacks.csv_log import CSVLog
from thalweg.callbacks.mlflow_log import MLflow
from thalweg.callbacks.report_page import Report
from thalweg.callbacks.tensorboard_log import TensorBoard
from thalweg.core import Callback, Start
from thalweg.display import Progress

__all__ = [
    "CSVLog",
    "Callback",
    "MLflow",
    "Progress",
    "Report",
    "Start",
    "TensorBoard",
]
