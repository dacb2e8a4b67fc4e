"""Drop-in replacements of scikit-learn's MLP estimators.

They have the same names and the same defaults, and for the same `random_state` and
float64 data they compute the same numbers. Keyword parameters add what users of
scikit-learn's MLP ask for: any optimizer, an activation for each layer, dropout,
normalization, class weights, callbacks, and early stopping on given validation data.
"""

from thalweg.estimators.mlp.classifier import MLPClassifier
from thalweg.estimators.mlp.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
