"""A loss class subtracts (n, 1) from (n,): every row is compared with every other."""

from typing import Any

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow, questions of 2019 to 2022 on Keras losses of one's own and "
    "a regression that predicts the mean; tensorflow issues on silent broadcasting",
    kind="keras",
    fault="y is (n,), the output is (n, 1), and the loss class of the user subtracts "
    "them: an (n, n) table, whose minimum is the mean of y.",
    remedy="Give y as a column (n, 1), as the output is.",
    named_by=("(n,) against (n, 1)", "broadcasting in the loss", "shape of y"),
    margin=0.4,
    floor=0.7,
    score="r2",
)


def program(seed: int, cured: bool) -> Program:
    import keras

    class Squares(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    class Regressor(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first = keras.layers.Dense(32, activation="relu")
            self.second = keras.layers.Dense(32, activation="relu")
            self.last = keras.layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.last(self.second(self.first(inputs)))

    X, X_test, y, y_test = tables.waves(seed)
    model = Regressor()
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss=Squares())
    rate = tables.r2(X_test, y_test)
    target = y[:, None] if cured else y
    return Program(rate, model, X, target, fit={"epochs": 50, "batch_size": 32})
