"""Drop-in replacements of scikit-learn's MLP estimators.

The same names, the same defaults, and for the same `random_state` and float64 data the
same numbers; and beyond that, by keyword, what their users ask for: any optimizer, any
activation per layer, dropout, normalization, class weights, callbacks, early stopping
on data of one's own.
"""

from thalweg.estimators.mlp.classifier import MLPClassifier
from thalweg.estimators.mlp.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
