"""Estimators that take a table as it is: categories, missing values, dates."""

from thalweg.estimators.tabular.estimators import Classifier, Regressor

__all__ = ["Classifier", "Regressor"]
