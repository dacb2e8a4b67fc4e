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
from thalweg.estimators.tabular.columns import (
    Column,
    LeftOutWarning,
    Reading,
    as_day,
    as_days,
    as_frame,
    encode,
    is_missing,
    kind_of,
    measured,
    numbers,
    show,
    study,
    texts,
)
from thalweg.estimators.tabular.estimators import (
    FEW_ROWS,
    Classifier,
    Regressor,
    encode_once,
    table_blueprint,
)
from thalweg.estimators.tabular.evaluation import (
    Calibration,
    Confusion,
    Evaluation,
    Importance,
    Residuals,
    evaluate,
    evaluation_folds,
    n_networks,
)
from thalweg.estimators.tabular.labels import lacks_target
from thalweg.estimators.tabular.targets import Values, task_of
from thalweg.training import make_ray_known

__all__ = [
    "FEW_ROWS",
    "BaseMLP",
    "Calibration",
    "Classifier",
    "Column",
    "Confusion",
    "Ensemble",
    "Evaluation",
    "HiddenFeatures",
    "Importance",
    "KerasClassifier",
    "KerasRegressor",
    "LeftOutWarning",
    "MLPClassifier",
    "MLPRegressor",
    "Reading",
    "Regressor",
    "Residuals",
    "Values",
    "as_day",
    "as_days",
    "as_frame",
    "blueprint",
    "encode",
    "encode_once",
    "evaluate",
    "evaluation_folds",
    "from_keras",
    "is_missing",
    "kind_of",
    "lacks_target",
    "load",
    "measured",
    "n_networks",
    "numbers",
    "register_onnx",
    "save",
    "seeded",
    "show",
    "study",
    "table_blueprint",
    "task_of",
    "texts",
]

make_ray_known()  # before anyone asks joblib for it by name
