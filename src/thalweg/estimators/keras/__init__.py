"""Keras 3 models trained by thalweg, and as estimators."""

from thalweg.estimators.keras.estimators import KerasClassifier, KerasRegressor
from thalweg.estimators.keras.model import from_keras

__all__ = ["KerasClassifier", "KerasRegressor", "from_keras"]
