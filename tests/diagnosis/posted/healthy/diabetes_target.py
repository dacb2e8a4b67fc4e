"""Diabetes' progression with a transformed target."""

from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial(
    "scikit-learn's example of transforming the target", "sklearn", 0.25, "r2"
)


def program(seed: int) -> Program:
    X, X_test, y, y_test = tables.split(*load_diabetes(return_X_y=True), seed=seed)
    network = MLPRegressor(
        hidden_layer_sizes=(10,), alpha=5.0, max_iter=500, random_state=seed
    )
    network.set_params(learning_rate_init=0.005)
    model = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), network),
        transformer=QuantileTransformer(
            n_quantiles=200, output_distribution="normal", random_state=seed
        ),
    )
    return Program(tables.r2(X_test, y_test), model, X, y)
