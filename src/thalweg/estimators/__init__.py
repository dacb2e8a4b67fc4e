"""Drop-in replacements of scikit-learn's MLP estimators.

The same names, the same defaults, and for the same `random_state` and float64 data the
same numbers; and beyond that, by keyword, what their users ask for: any optimizer, any
activation per layer, dropout, normalization, class weights, callbacks, early stopping
on data of one's own.
"""

from thalweg.estimators.classifier import MLPClassifier
from thalweg.estimators.regressor import MLPRegressor
from thalweg.side_by_side import make_ray_known

__all__ = ["MLPClassifier", "MLPRegressor"]

make_ray_known()  # before anyone asks joblib for it by name
