"""The test rows are standardized by their own mean and deviation."""

import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow and Data Science Stack Exchange, questions on fit_transform "
    "of test data, such as 'Difference between fit_transform and transform' (2014 on)",
    kind="sklearn",
    fault="StandardScaler.fit_transform on the test rows, which are mostly of one "
    "class: they are moved onto the mean of all training rows.",
    remedy="fit on the training rows, transform the test rows.",
    named_by=("the validation data are scaled apart", "validation data differ"),
    margin=0.15,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.classes(seed, rows=1000, columns=6, kinds=2)
    X, X_test = 50 + 20 * X, 50 + 20 * X_test
    # The later rows are mostly of one class, as a new month or a new shop has them.
    kept = (y_test == 1) | (np.arange(len(y_test)) % 10 == 0)
    X_test, y_test = X_test[kept], y_test[kept]
    scaler = StandardScaler().fit(X)
    X = scaler.transform(X)
    X_test = scaler.transform(X_test) if cured else scaler.fit_transform(X_test)
    model = MLPClassifier((32,), max_iter=200, random_state=seed)
    return Program(tables.accuracy(X_test, y_test), model, X, y, X_test, y_test)
