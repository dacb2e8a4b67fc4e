"""Estimators with scikit-learn's contract: MLPs, tables, Keras models, ensembles."""

from thalweg.estimators.ensemble import Ensemble, seeded
from thalweg.estimators.hidden_features import HiddenFeatures
from thalweg.estimators.keras.estimators import KerasClassifier, KerasRegressor
from thalweg.estimators.keras.model import from_keras
from thalweg.estimators.load import load, save
from thalweg.estimators.mlp.base import BaseMLP, blueprint
from thalweg.estimators.mlp.classifier import MLPClassifier
from thalweg.estimators.mlp.regressor import MLPRegressor
from thalweg.estimators.onnx import register_onnx
from thalweg.estimators.splits import (
    Split,
    as_groups,
    as_times,
    group_folds,
    hold_out_honestly,
    repeated_rows,
)
from thalweg.estimators.tabular.baselines import TREES, linear_of, trees_of
from thalweg.estimators.tabular.columns import (
    Column,
    as_day,
    as_days,
    as_frame,
    encode,
    is_missing,
    kind_of,
    numbers,
    study,
    texts,
)
from thalweg.estimators.tabular.drift import DriftWatch
from thalweg.estimators.tabular.estimators import (
    FEW_ROWS,
    Classifier,
    Regressor,
    encode_once,
    known_rows,
    table_blueprint,
)
from thalweg.estimators.tabular.evaluation import (
    Calibration,
    Confusion,
    Evaluation,
    Importance,
    Residuals,
    evaluate,
    evaluate_best,
    evaluation_splits,
    n_networks,
    refit_pays,
    score_model,
)
from thalweg.estimators.tabular.metrics import ClassMetrics, Metric
from thalweg.estimators.tabular.prediction import FittedTable, load_fitted_table
from thalweg.estimators.tabular.targets import Values, task_of
from thalweg.estimators.tabular.trees import TreesClassifier, TreesRegressor
from thalweg.training import make_ray_known

__all__ = [
    "FEW_ROWS",
    "TREES",
    "BaseMLP",
    "Calibration",
    "ClassMetrics",
    "Classifier",
    "Column",
    "Confusion",
    "DriftWatch",
    "Ensemble",
    "Evaluation",
    "FittedTable",
    "HiddenFeatures",
    "Importance",
    "KerasClassifier",
    "KerasRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "Metric",
    "Regressor",
    "Residuals",
    "Split",
    "TreesClassifier",
    "TreesRegressor",
    "Values",
    "as_day",
    "as_days",
    "as_frame",
    "as_groups",
    "as_times",
    "blueprint",
    "encode",
    "encode_once",
    "evaluate",
    "evaluate_best",
    "evaluation_splits",
    "from_keras",
    "group_folds",
    "hold_out_honestly",
    "is_missing",
    "kind_of",
    "known_rows",
    "linear_of",
    "load",
    "load_fitted_table",
    "n_networks",
    "numbers",
    "refit_pays",
    "register_onnx",
    "repeated_rows",
    "save",
    "score_model",
    "seeded",
    "study",
    "table_blueprint",
    "task_of",
    "texts",
    "trees_of",
]

make_ray_known()  # before anyone asks joblib for it by name
