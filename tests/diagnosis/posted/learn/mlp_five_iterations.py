"""max_iter=5 to silence the wait, and the warning is ignored."""

from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions on the ConvergenceWarning of MLPClassifier (2018 "
    "to 2021), answered by a larger max_iter",
    kind="sklearn",
    fault="Five epochs of Adam, and the loss still falls steeply.",
    remedy="max_iter=300.",
    named_by=("too few epochs", "stopped while still improving"),
    margin=0.1,
    floor=0.9,
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.digits(seed)
    iterations = 300 if cured else 5
    network = MLPClassifier((30,), max_iter=iterations, random_state=seed)
    model = make_pipeline(StandardScaler(with_std=False), network)
    return Program(tables.accuracy(X_test, y_test), model, X, y)
