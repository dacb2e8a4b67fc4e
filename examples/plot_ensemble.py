"""
Five networks show where a prediction is uncertain
==================================================

The members of an ensemble are trained on different samples. Where they disagree, the
prediction is uncertain. The picture shows the first layer's weights of one member as
images.
"""

import thalweg as tw
from thalweg.datasets import digits
from thalweg.plots.layers import WeightsDisplay

X, y = digits()
member = tw.MLPClassifier((50,), learning_rate_init=0.003, tol=0.01, n_iter_no_change=5)
ensemble = tw.Ensemble(member, 5, bootstrap=True, random_state=0)
ensemble.fit(X[:400], y[:400])
doubtful = ensemble.disagreement(X[400:]).argsort()[-10:]
WeightsDisplay.from_estimator(ensemble.members_[0], most=25)
