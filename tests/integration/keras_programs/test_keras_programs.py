"""Small programs of Keras, each trained by `model.fit` and by `thalweg.fit`.

Both start from the same weights and meet the rows in the same order, so that losses,
metrics, weights and what the optimizer remembers must be equal but for rounding.
"""

from collections.abc import Callable
from typing import Any

import keras  # noqa: TID253 (what is tested)
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers as L  # noqa: TID253

import thalweg as tw

# Keras 3.15 reads its own variables in a way that NumPy 2 warns of.
pytestmark = [
    pytest.mark.keras,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning"),
]

O, LOSSES, OPS = keras.optimizers, keras.losses, keras.ops
RNG = np.random.RandomState(0)
N = 16
X = RNG.randn(N, 4).astype("f4")
VALUES = RNG.randn(N, 2).astype("f4")
CLASSES = RNG.randint(3, size=N)
CLASSES[:3] = 0, 1, 2
ONE_HOT = np.eye(3, dtype="f4")[CLASSES]
BINARY = (VALUES[:, :1] > 0).astype("f4")
WEIGHTS = RNG.rand(N).astype("f4")
TOKENS = RNG.randint(1, 7, (N, 4))
TOKENS[::2, 3] = 0
TAGS = RNG.randint(3, size=(N, 4))
HOLES = np.where(RNG.rand(N, 4) < 0.3, -1, TAGS)
PICTURES = RNG.rand(N, 4, 4, 1).astype("f4")
LOGITS = LOSSES.SparseCategoricalCrossentropy(from_logits=True)
SPARSE = "sparse_categorical_crossentropy"


class Cubed(LOSSES.MeanSquaredError):
    """A subclass of a built-in loss that computes something else."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return OPS.mean(OPS.abs(y_true - y_pred) ** 3, axis=-1)


@keras.saving.register_keras_serializable("thalweg-tests")
class Lopsided(LOSSES.Loss):
    """A registered loss whose configuration leaves its argument out."""

    def __init__(self, above: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.above = above

    def call(self, y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        return OPS.mean(OPS.where(error > 0, self.above, 1.0) * error**2, axis=-1)


def overlap(y_true: Any, y_pred: Any) -> Any:
    """A loss of one number, as the guide has it."""
    both: Any = OPS.sum(y_true * y_pred)
    return 1 - 2 * both / (OPS.sum(y_true) + OPS.sum(y_pred) + 1)


class Bottleneck(keras.Model):
    """An autoencoder whose whole loss is added in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = L.Dense(2, "tanh"), L.Dense(4)
        self.seeds = keras.random.SeedGenerator(5)

    def call(self, inputs: Any) -> Any:
        code = self.inner(inputs)
        noise = 0.1 * keras.random.normal(OPS.shape(code), seed=self.seeds)
        outputs = self.outer(code + noise)
        difference: Any = OPS.mean((outputs - inputs) ** 2)
        self.add_loss(difference)
        return outputs


class Endpoint(L.Layer):
    """A layer that takes the targets and adds the loss."""

    def call(self, targets: Any, outputs: Any) -> Any:
        difference: Any = OPS.mean((targets - outputs) ** 2)
        self.add_loss(difference)
        return outputs


class OwnLoss(keras.Model):
    """A model that computes its loss itself."""

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None,
        sample_weight: Any = None, training: bool = True,
    ) -> Any:  # fmt: skip
        return OPS.mean((y - y_pred) ** 4) + sum(self.losses)


@pytest.fixture(autouse=True, scope="module")
def _quickly_compiled() -> Any:
    """Compile both sides in less time: what XLA would optimize is not tested here."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


Build = Callable[[], Any]


def chain(*layers: Build, shape: tuple[int, ...] = (4,), **options: Any) -> Build:
    dtype = options.pop("dtype", "float32")

    def build() -> Any:
        made = [layer() for layer in layers]
        model = keras.Sequential([keras.Input(shape, dtype=dtype), *made])
        model.compile(**{k: v() if k == "optimizer" else v for k, v in options.items()})
        return model

    return build


def dense(units: int, activation: Any = None, **options: Any) -> Build:
    return lambda: L.Dense(units, activation, **options)


def plain(optimizer: Any = O.Adam, loss: Any = "mse", **options: Any) -> Build:
    return chain(dense(3, "tanh"), dense(2), optimizer=optimizer, loss=loss, **options)


def classifier(loss: Any = SPARSE, units: int = 3, end: Any = "softmax",
               **options: Any) -> Build:  # fmt: skip
    return chain(dense(units, end), optimizer=O.Adam, loss=loss, **options)


def heads(**options: Any) -> Build:
    def build() -> Any:
        inputs = keras.Input((4,))
        hidden = L.Dense(3, "relu")(inputs)
        outputs = [
            L.Dense(2, name="value")(hidden),
            L.Dense(3, "softmax", name="kind")(hidden),
        ]
        model = keras.Model(inputs, outputs)
        model.compile("adam", **options)
        return model

    return build


def tagger(**options: Any) -> Build:
    return chain(
        lambda: L.Embedding(7, 3, mask_zero=True),
        lambda: L.SimpleRNN(3, return_sequences=True), dense(3),
        shape=(4,), dtype="int32", optimizer=O.Adam, **options,
    )  # fmt: skip


def half() -> Any:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        last = L.Dense(2, dtype="float32")
        model = keras.Sequential([keras.Input((4,)), L.Dense(3, "relu"), last])
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam", "mse")
    return model


def bottleneck() -> Any:
    model = Bottleneck()
    model(X[:1])
    model.compile("adam")
    return model


def endpoint() -> Any:
    inputs, targets = keras.Input((4,)), keras.Input((2,))
    outputs = Endpoint()(targets, L.Dense(2)(inputs))
    model = keras.Model([inputs, targets], outputs)
    model.compile("sgd")
    return model


def own_loss() -> Any:
    inputs = keras.Input((4,))
    model = OwnLoss(inputs, L.Dense(2, kernel_regularizer="l2")(inputs))
    model.compile("adam")
    return model


def scaled(initial: float) -> Any:
    return lambda: O.LossScaleOptimizer(
        O.Adam(0.01), initial_scale=initial, dynamic_growth_steps=2
    )


HALVES = {"validation_data": (X[:8], VALUES[:8])}
BY_CLASS = {"class_weight": {0: 1.0, 1: 5.0, 2: 0.2}}

Program = tuple[Build, Any, Any, dict[str, Any]]
PROGRAMS: dict[str, Program] = {
    "a dense chain": (plain(), X, VALUES, {}),
    # Where the error or a weight is exactly 0, slopes are those of JAX.
    "an absolute loss at 0": (
        chain(dense(2, kernel_initializer="zeros"), optimizer=O.SGD, loss="mae"),
        X, np.where(VALUES > 0, VALUES, 0), {},
    ),
    "an L1 penalty at 0": (
        chain(dense(2, kernel_initializer="zeros",
                    kernel_regularizer=keras.regularizers.L1(0.5)),
              optimizer=O.SGD, loss="mse"),
        X * (np.arange(4) > 0), VALUES, {},
    ),
    "momentum": (plain(lambda: O.SGD(0.1, 0.9, nesterov=True)), X, VALUES, {}),
    "a subclass of a loss": (plain(loss=Cubed()), X, VALUES, {}),
    "a registered loss": (plain(loss=Lopsided(5.0)), X, VALUES, {}),
    "a sum": (
        plain(lambda: O.SGD(1e-3), LOSSES.MeanSquaredError(reduction="sum")),
        X, VALUES, HALVES,
    ),
    "a loss of one number": (
        classifier(overlap, 1, "sigmoid"), X, BINARY, {},
    ),
    "Tversky": (classifier(LOSSES.Tversky(), 1, "sigmoid"), X, BINARY, {}),
    "half precision": (half, X, 100 * VALUES, {}),
    "a loss scale that overflows": (plain(scaled(1e38)), X, 100 * VALUES, {}),
    "an autoencoder without y": (bottleneck, X, None, {}),
    "an endpoint layer": (endpoint, [X, VALUES], None, {}),
    "compute_loss": (own_loss, X, VALUES, {}),
    "metrics, penalty and validation": (
        chain(dense(3, "relu", kernel_regularizer="l2"), L.BatchNormalization,
              dense(2), optimizer=O.Adam, loss="mse", metrics=["mae"]),
        X, VALUES, {"validation_split": 0.5},
    ),
    "dropout": (
        chain(dense(4, "relu"), lambda: L.Dropout(0.3, seed=3), dense(2),
              optimizer=O.Nadam, loss="mse"),
        X, VALUES, {},
    ),
    "no metrics": (plain(metrics=[]), X, VALUES, {}),
    "F1": (
        classifier("categorical_crossentropy", metrics=[keras.metrics.F1Score()]),
        X, ONE_HOT, {},
    ),
    "several outputs": (
        heads(loss={"value": "mse", "kind": SPARSE}, metrics={"kind": "accuracy"},
              loss_weights={"value": 0.3, "kind": 2.0}),
        X, {"value": VALUES, "kind": CLASSES}, {},
    ),
    "weights of outputs": (
        heads(loss=["mse", SPARSE], weighted_metrics=[["mae"], ["accuracy"]]),
        X, [VALUES, CLASSES], {"sample_weight": [WEIGHTS, 2 * WEIGHTS]},
    ),
    "sample weights": (plain(), X, VALUES, {"sample_weight": WEIGHTS}),
    "divided by the weights": (
        plain(loss=LOSSES.MeanSquaredError(reduction="mean_with_sample_weight")),
        X, VALUES, {"sample_weight": WEIGHTS},
    ),
    "class weights": (
        classifier(metrics=["accuracy"], weighted_metrics=["accuracy"]),
        X, CLASSES, BY_CLASS,
    ),
    "class weights, one-hot": (
        classifier("categorical_crossentropy"), X, ONE_HOT, BY_CLASS,
    ),
    "class weights, sigmoid": (
        classifier("binary_crossentropy", 1, "sigmoid"), X, BINARY,
        {"class_weight": {0: 1.0, 1: 5.0}},
    ),
    "small integers in a column": (
        classifier(), X, CLASSES.astype("uint8")[:, None], BY_CLASS,
    ),
    "class numbers as floats": (classifier(), X, CLASSES.astype("f4"), {}),
    "logits": (classifier(LOGITS, end=None), X, CLASSES, {}),
    "masks": (tagger(loss=LOGITS, metrics=["accuracy"]), TOKENS, TAGS,
              {"validation_data": (TOKENS[:8], TAGS[:8])}),
    "a class to ignore": (
        tagger(loss=LOSSES.SparseCategoricalCrossentropy(True, ignore_class=-1)),
        TOKENS, HOLES, {},
    ),
    "averaged weights": (
        plain(lambda: O.Adam(0.05, use_ema=True, ema_momentum=0.9)), X, VALUES, {},
    ),
    "accumulated gradients": (
        plain(lambda: O.SGD(0.1, gradient_accumulation_steps=2)), X, VALUES, {},
    ),
    "a schedule": (
        plain(lambda: O.SGD(O.schedules.ExponentialDecay(0.1, 2, 0.5))),
        X, VALUES, {},
    ),
    "a convolution": (
        chain(lambda: L.Conv2D(2, 2, kernel_constraint="unit_norm"), L.Flatten,
              dense(2), shape=(4, 4, 1), optimizer=O.Adam, loss="mse"),
        PICTURES, VALUES, {},
    ),
}  # fmt: skip


def equal(build: Build, inputs: Any, y: Any, fit: dict[str, Any]) -> Any:
    """Train by both; compare all that remains, and return our run."""
    keras.utils.set_random_seed(1)
    theirs = build()
    keras.utils.set_random_seed(1)
    ours = build()
    ours.set_weights(theirs.get_weights())
    fit = {"epochs": 2, "batch_size": 8, "shuffle": False, **fit}
    wanted = theirs.fit(inputs, y, verbose=0, **fit).history
    run = tw.fit(tw.from_keras(ours), inputs, y, **fit)
    assert set(run.history.metrics) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(
            run.history[name], values, rtol=1e-4, atol=1e-5, err_msg=name
        )
    pairs = (ours.variables, theirs.variables), _memories(ours, theirs)
    for found, expected in pairs:
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(
                one.value, other.value, rtol=1e-4, atol=1e-4, err_msg=one.path
            )
    return run


def _memories(*models: Any) -> Any:
    return tuple(model.optimizer.variables for model in models)


@pytest.mark.parametrize("name", PROGRAMS)
def test_trains_as_keras_does(name: str):
    equal(*PROGRAMS[name])


def test_the_same_order_and_masks_in_a_second_fit():
    """What the optimizer remembers goes on, on the kernel and on JAX."""
    for optimizer in (O.Adam, O.Nadam):
        theirs, ours = plain(optimizer)(), plain(optimizer)()
        ours.set_weights(theirs.get_weights())
        for _ in range(3):
            order = RNG.permutation(N)
            theirs.fit(X[order], VALUES[order], shuffle=False, verbose=0)
            tw.fit(
                tw.from_keras(ours), X[order], VALUES[order], epochs=1, shuffle=False
            )
        assert int(ours.optimizer.iterations) == 3
        for one, other in zip(ours.weights, theirs.weights, strict=True):
            np.testing.assert_allclose(one.value, other.value, rtol=1e-4, atol=1e-6)


TARGETS = {"mse": VALUES, "mae": VALUES, "huber": VALUES, Cubed: VALUES}
RULES: dict[str, Any] = {
    "SGD": st.fixed_dictionaries({"momentum": st.sampled_from([0.0, 0.9])}),
    "Adam": st.fixed_dictionaries(
        {"clipnorm": st.sampled_from([None, 0.1]), "amsgrad": st.booleans()}
    ),
    "RMSprop": st.fixed_dictionaries({"centered": st.booleans()}),
    "AdamW": st.fixed_dictionaries({"weight_decay": st.sampled_from([0.0, 0.1])}),
}


@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_any_settings_that_are_compiled(data: Any):
    draw = data.draw
    loss = draw(st.sampled_from(list(TARGETS)))
    name = draw(st.sampled_from(list(RULES)))
    options = {"learning_rate": 0.01, **draw(RULES[name])}
    metrics = draw(st.sampled_from([None, ["mae"]]))
    weights = draw(st.sampled_from([None, WEIGHTS]))
    build = plain(
        lambda: getattr(O, name)(**options),
        loss if isinstance(loss, str) else loss(),
        metrics=metrics,
    )
    equal(build, X, VALUES, {} if weights is None else {"sample_weight": weights})
