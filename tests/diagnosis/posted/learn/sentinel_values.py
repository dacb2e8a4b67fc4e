"""Missing measurements are written -999 in several columns."""

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow and Kaggle discussions of 2016 to 2020 on neural networks "
    "and tables in which -999 stands for a missing value",
    kind="data",
    fault="A quarter of the values of six columns are -999 and are read as numbers.",
    remedy="Treat -999 as missing: impute the median.",
    named_by=("a sentinel value stands for missing values",),
    margin=0.05,
    floor=0.8,
    score="accuracy of a probe network",
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.classes(seed, rows=600, columns=8, kinds=3, apart=1.5)
    rng = np.random.default_rng(seed)
    for table in (X, X_test):
        table[:, :6][rng.random((len(table), 6)) < 0.25] = -999
    if cured:
        imputer = SimpleImputer(missing_values=-999, strategy="median").fit(X)
        X, X_test = imputer.transform(X), imputer.transform(X_test)
    network = MLPClassifier((20,), max_iter=300, random_state=seed)
    probe = make_pipeline(StandardScaler(), network)
    rate = tables.accuracy(X_test, y_test)
    return Program(rate, None, X, y, X_test, y_test, probe=probe)
