"""MLPRegressor on houses in their own units, price and all."""

from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, 'Why is my MLPRegressor so bad' and alike (2017 to 2021), "
    "answered by scaling the inputs and the target",
    kind="sklearn",
    fault="Areas, years, meters and prices go in as they are.",
    remedy="StandardScaler for the inputs, TransformedTargetRegressor for the price.",
    named_by=("the target is not scaled", "inputs are not scaled"),
    margin=0.2,
    floor=0.85,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.houses(seed)
    model = MLPRegressor(hidden_layer_sizes=(50, 25), max_iter=300, random_state=seed)
    if cured:
        model = TransformedTargetRegressor(
            make_pipeline(StandardScaler(), model), transformer=StandardScaler()
        )
    return Program(tables.r2(X_test, y_test), model, X, y)
