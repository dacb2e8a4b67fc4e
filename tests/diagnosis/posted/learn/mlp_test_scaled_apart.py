"""The test rows are scaled by their own least and largest values."""

from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow and Data Science Stack Exchange, questions on fit_transform "
    "of test data, such as 'Difference between fit_transform and transform' (2014 on)",
    kind="sklearn",
    fault="The test rows get a scaler of their own (and another one, MinMaxScaler), so "
    "they lie in 0..1 where the training rows have mean 0 and deviation 1.",
    remedy="fit on the training rows, transform the test rows.",
    named_by=("the validation data are scaled apart", "validation data differ"),
    margin=0.15,
    floor=0.85,
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.classes(seed, rows=1000, columns=6, kinds=4)
    X, X_test = 50 + 20 * X, 50 + 20 * X_test
    scaler = StandardScaler().fit(X)
    other = MinMaxScaler().fit(X_test)
    X = scaler.transform(X)
    X_test = scaler.transform(X_test) if cured else other.transform(X_test)
    model = MLPClassifier((32,), max_iter=200, random_state=seed)
    return Program(tables.accuracy(X_test, y_test), model, X, y, X_test, y_test)
