"""activation='identity': three hidden layers that are one linear map."""

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2017 to 2020 on an MLPClassifier that is no "
    "better than logistic regression, with activation='identity'",
    kind="sklearn",
    fault="The hidden layers have no non-linear activation.",
    remedy="activation='relu' (or 'tanh').",
    named_by=("missing non-linearity", "the network is linear"),
    margin=0.2,
    floor=0.9,
)


def program(seed: int, cured: bool) -> Program:
    x = np.random.default_rng(seed).uniform(-1, 1, (600, 2))
    ring = (np.abs(np.hypot(x[:, 0], x[:, 1]) - 0.6) < 0.25).astype(int)
    X, X_test, y, y_test = tables.split(x, ring, seed)
    kind = "relu" if cured else "identity"
    network = MLPClassifier(
        (20, 20, 20), activation=kind, max_iter=500, random_state=seed
    )
    model = make_pipeline(StandardScaler(), network)
    return Program(tables.accuracy(X_test, y_test), model, X, y)
