"""Estimators with scikit-learn's contract: MLPs, tables, Keras models, ensembles.

The names are resolved on first use (PEP 562): a program that only predicts with the
model of a table need not wait for scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from thalweg.lazy_imports import importing

if TYPE_CHECKING:
    from thalweg.estimators.ensemble import Ensemble as Ensemble
    from thalweg.estimators.ensemble import seeded as seeded
    from thalweg.estimators.hidden_features import HiddenFeatures as HiddenFeatures
    from thalweg.estimators.keras.estimators import KerasClassifier as KerasClassifier
    from thalweg.estimators.keras.estimators import KerasRegressor as KerasRegressor
    from thalweg.estimators.keras.model import from_keras as from_keras
    from thalweg.estimators.mlp.base import BaseMLP as BaseMLP
    from thalweg.estimators.mlp.base import blueprint as blueprint
    from thalweg.estimators.mlp.classifier import MLPClassifier as MLPClassifier
    from thalweg.estimators.mlp.regressor import MLPRegressor as MLPRegressor
    from thalweg.estimators.model_files import load as load
    from thalweg.estimators.model_files import save as save
    from thalweg.estimators.onnx import register_onnx as register_onnx
    from thalweg.estimators.splits import Split as Split
    from thalweg.estimators.splits import as_groups as as_groups
    from thalweg.estimators.splits import as_times as as_times
    from thalweg.estimators.splits import group_folds as group_folds
    from thalweg.estimators.splits import hold_out_honestly as hold_out_honestly
    from thalweg.estimators.splits import repeated_rows as repeated_rows
    from thalweg.estimators.tabular.baselines import TREES as TREES
    from thalweg.estimators.tabular.baselines import linear_of as linear_of
    from thalweg.estimators.tabular.baselines import trees_of as trees_of
    from thalweg.estimators.tabular.columns import Column as Column
    from thalweg.estimators.tabular.columns import LeftOutWarning as LeftOutWarning
    from thalweg.estimators.tabular.columns import Reading as Reading
    from thalweg.estimators.tabular.columns import as_day as as_day
    from thalweg.estimators.tabular.columns import as_days as as_days
    from thalweg.estimators.tabular.columns import as_frame as as_frame
    from thalweg.estimators.tabular.columns import encode as encode
    from thalweg.estimators.tabular.columns import is_missing as is_missing
    from thalweg.estimators.tabular.columns import kind_of as kind_of
    from thalweg.estimators.tabular.columns import measured as measured
    from thalweg.estimators.tabular.columns import numbers as numbers
    from thalweg.estimators.tabular.columns import show as show
    from thalweg.estimators.tabular.columns import study as study
    from thalweg.estimators.tabular.columns import study_numbers as study_numbers
    from thalweg.estimators.tabular.columns import texts as texts
    from thalweg.estimators.tabular.drift import DriftWatch as DriftWatch
    from thalweg.estimators.tabular.estimators import FEW_ROWS as FEW_ROWS
    from thalweg.estimators.tabular.estimators import Classifier as Classifier
    from thalweg.estimators.tabular.estimators import Regressor as Regressor
    from thalweg.estimators.tabular.estimators import encode_once as encode_once
    from thalweg.estimators.tabular.estimators import table_blueprint as table_blueprint
    from thalweg.estimators.tabular.evaluation import Calibration as Calibration
    from thalweg.estimators.tabular.evaluation import Confusion as Confusion
    from thalweg.estimators.tabular.evaluation import Evaluation as Evaluation
    from thalweg.estimators.tabular.evaluation import Importance as Importance
    from thalweg.estimators.tabular.evaluation import Residuals as Residuals
    from thalweg.estimators.tabular.evaluation import evaluate as evaluate
    from thalweg.estimators.tabular.evaluation import evaluate_best as evaluate_best
    from thalweg.estimators.tabular.evaluation import (
        evaluation_splits as evaluation_splits,
    )
    from thalweg.estimators.tabular.evaluation import n_networks as n_networks
    from thalweg.estimators.tabular.evaluation import refit_pays as refit_pays
    from thalweg.estimators.tabular.evaluation import score_model as score_model
    from thalweg.estimators.tabular.intervals import ClassSet as ClassSet
    from thalweg.estimators.tabular.intervals import Interval as Interval
    from thalweg.estimators.tabular.intervals import check_level as check_level
    from thalweg.estimators.tabular.labels import known_rows as known_rows
    from thalweg.estimators.tabular.labels import lacks_target as lacks_target
    from thalweg.estimators.tabular.metrics import ClassMetrics as ClassMetrics
    from thalweg.estimators.tabular.metrics import Metric as Metric
    from thalweg.estimators.tabular.prediction import FittedTable as FittedTable
    from thalweg.estimators.tabular.prediction import (
        load_fitted_table as load_fitted_table,
    )
    from thalweg.estimators.tabular.targets import Values as Values
    from thalweg.estimators.tabular.targets import task_of as task_of
    from thalweg.estimators.tabular.trees import TreesClassifier as TreesClassifier
    from thalweg.estimators.tabular.trees import TreesRegressor as TreesRegressor

# Public name -> the file that holds it; the block above repeats it for type checkers.
_HOMES = {
    "FEW_ROWS": "tabular.estimators",
    "TREES": "tabular.baselines",
    "BaseMLP": "mlp.base",
    "Calibration": "tabular.evaluation",
    "ClassMetrics": "tabular.metrics",
    "ClassSet": "tabular.intervals",
    "Classifier": "tabular.estimators",
    "Column": "tabular.columns",
    "Confusion": "tabular.evaluation",
    "DriftWatch": "tabular.drift",
    "Ensemble": "ensemble",
    "Evaluation": "tabular.evaluation",
    "FittedTable": "tabular.prediction",
    "HiddenFeatures": "hidden_features",
    "Importance": "tabular.evaluation",
    "Interval": "tabular.intervals",
    "KerasClassifier": "keras.estimators",
    "KerasRegressor": "keras.estimators",
    "LeftOutWarning": "tabular.columns",
    "MLPClassifier": "mlp.classifier",
    "MLPRegressor": "mlp.regressor",
    "Metric": "tabular.metrics",
    "Reading": "tabular.columns",
    "Regressor": "tabular.estimators",
    "Residuals": "tabular.evaluation",
    "Split": "splits",
    "TreesClassifier": "tabular.trees",
    "TreesRegressor": "tabular.trees",
    "Values": "tabular.targets",
    "as_day": "tabular.columns",
    "as_days": "tabular.columns",
    "as_frame": "tabular.columns",
    "as_groups": "splits",
    "as_times": "splits",
    "blueprint": "mlp.base",
    "check_level": "tabular.intervals",
    "encode": "tabular.columns",
    "encode_once": "tabular.estimators",
    "evaluate": "tabular.evaluation",
    "evaluate_best": "tabular.evaluation",
    "evaluation_splits": "tabular.evaluation",
    "from_keras": "keras.model",
    "group_folds": "splits",
    "hold_out_honestly": "splits",
    "is_missing": "tabular.columns",
    "kind_of": "tabular.columns",
    "known_rows": "tabular.labels",
    "lacks_target": "tabular.labels",
    "linear_of": "tabular.baselines",
    "load": "model_files",
    "load_fitted_table": "tabular.prediction",
    "measured": "tabular.columns",
    "n_networks": "tabular.evaluation",
    "numbers": "tabular.columns",
    "refit_pays": "tabular.evaluation",
    "register_onnx": "onnx",
    "repeated_rows": "splits",
    "save": "model_files",
    "score_model": "tabular.evaluation",
    "seeded": "ensemble",
    "show": "tabular.columns",
    "study": "tabular.columns",
    "study_numbers": "tabular.columns",
    "table_blueprint": "tabular.estimators",
    "task_of": "tabular.targets",
    "texts": "tabular.columns",
    "trees_of": "tabular.baselines",
}

_LIGHT = (
    "tabular.columns",
    "tabular.labels",
    "tabular.intervals",
    "tabular.drift",
    "tabular.prediction",
    "tabular.targets",
)
"""What needs no scikit-learn."""

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with importing():
        if _HOMES[name] not in _LIGHT:
            from thalweg.training import make_ray_known

            make_ray_known()  # before anyone asks joblib for it by name
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
