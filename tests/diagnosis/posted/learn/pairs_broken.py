"""Two files were joined in different orders: the target belongs to other rows."""

import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2017 to 2021 on a validation score of zero "
    "after features and targets were sorted or shuffled apart in pandas",
    kind="data",
    fault="The training targets were shuffled apart from their rows.",
    remedy="Keep rows and targets together (join by key).",
    named_by=("inputs and labels do not belong together", "target is unrelated"),
    margin=0.5,
    floor=0.6,
    score="R² of a probe network",
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.waves(seed)
    if not cured:
        y = np.random.default_rng(seed).permutation(y)
    network = MLPRegressor(
        hidden_layer_sizes=(20,), alpha=0.1, max_iter=400, random_state=seed
    )
    network.set_params(learning_rate_init=0.01)
    probe = make_pipeline(StandardScaler(), network)
    rate = tables.r2(X_test, y_test)
    return Program(rate, None, X, y, X_test, y_test, probe=probe)
