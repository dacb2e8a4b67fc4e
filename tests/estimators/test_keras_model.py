"""Keras models under our optimizers, held against Keras's own trainer.

Both train the same model from the same weights on the same batches. The passes are the
same operations of XLA; only how it fuses them differs, so that losses part by rounding:
about 1e-7 a step in float32, grown by few steps. 1e-5 is asked for.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras  # noqa: TID253 (what is tested)
import numpy as np
import pytest
from keras import layers as L  # noqa: TID253

import thalweg as tw
from thalweg.estimators.keras.dense import NotEquivalent, translate
from thalweg.estimators.keras.fast_layers import rewritten

# Keras 3.15 reads its own variables in a way that NumPy 2 warns of.
pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning"),
]

RNG = np.random.RandomState(0)
N = 16  # two batches of 8
ROWS = RNG.randn(N, 6).astype("float32")
SERIES = RNG.randn(N, 5, 3).astype("float32")
PADDED = np.where(np.arange(5)[:, None] < RNG.randint(2, 6, (N, 1, 1)), SERIES, 0)
TOKENS = RNG.randint(1, 9, (N, 5))
PICTURES = RNG.rand(N, 8, 8, 2).astype("float32")
VALUES = RNG.randn(N, 2).astype("float32")
CLASSES = RNG.randint(3, size=N)


@keras.saving.register_keras_serializable("thalweg-tests")
class Scale(keras.Layer):
    """A layer of one's own, with a weight that is not trained."""

    def __init__(self, start: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.start = start

    def build(self, input_shape: Any) -> None:
        ones = keras.initializers.Constant(self.start)
        self.factor: Any = self.add_weight(
            shape=input_shape[-1:], initializer=ones, name="f"
        )
        self.calls = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="n"
        )

    def call(self, inputs: Any) -> Any:
        self.calls.assign(self.calls + 1)
        size: Any = keras.ops.sum(self.factor**2)
        self.add_loss(0.01 * size)
        return inputs * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "start": self.start}


class Noisy(keras.Layer):
    """Draws from a seed generator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(7)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        shape = keras.ops.shape(inputs)
        return inputs + 0.1 * keras.random.normal(shape, seed=self.seeds)


class Sub(keras.Model):
    """A subclass with a shared layer, a Lambda and its own layer."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.scale = L.Dense(6, "tanh"), Scale()
        self.double = L.Lambda(lambda x: 2 * x)
        self.head = L.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.head(self.scale(self.shared(self.double(self.shared(inputs)))))


def stack(*layers: Any, shape: tuple[int, ...], dtype: str = "float32") -> Any:
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


def subclassed() -> Any:
    model = Sub()
    model(ROWS[:1])
    return model


def frozen() -> Any:
    model = stack(L.Conv1D(4, 2), L.BatchNormalization(), L.Flatten(), L.Dense(2),
                  shape=(5, 3))  # fmt: skip
    model.layers[0].trainable = False
    return model


def attention() -> Any:
    tokens = keras.Input((5,), dtype="int32")
    x = L.Embedding(9, 8)(tokens)
    x = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 4)(x, x)]))
    x = L.GlobalAveragePooling1D()(L.Dropout(0.2)(L.Dense(8, "gelu")(x)))
    return keras.Model(tokens, L.Dense(3, "softmax")(x))


def branches() -> Any:
    left, right = keras.Input((6,), name="left"), keras.Input((5, 3), name="right")
    a, b = L.Dense(4, "relu")(left), L.GRU(4)(right)
    mixed = L.Concatenate()([L.Multiply()([a, b]), L.Subtract()([a, b])])
    mixed = L.Concatenate()([mixed, L.Maximum()([a, b]), L.Dot(1)([a, b])])
    outputs = [L.Dense(2, name="value")(mixed), L.Dense(3, name="class")(mixed)]
    return keras.Model([left, right], outputs)


MSE, CE = "mean_squared_error", "sparse_categorical_crossentropy"
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

DECAY: Any = keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)

Row = tuple[Callable[[], Any], Any, Any, dict[str, Any]]
MODELS: dict[str, Row] = {
    "dense, penalties and constraints": (
        lambda: stack(
            L.Dense(5, "elu", kernel_regularizer="l2", kernel_constraint="unit_norm"),
            L.ActivityRegularization(0.1), L.Dense(2, bias_constraint="non_neg"),
            shape=(6,),
        ),
        ROWS, VALUES, {"optimizer": keras.optimizers.SGD(0.1, 0.9), "loss": MSE},
    ),
    "shapes": (
        lambda: stack(
            L.Reshape((2, 3)), L.Permute((2, 1)), L.Flatten(), L.RepeatVector(2),
            L.Activation("swish"), L.Flatten(), L.Dropout(0.3), L.Dense(2), shape=(6,),
        ),
        ROWS, VALUES, {"optimizer": "rmsprop", "loss": "huber"},
    ),
    "embedding": (
        lambda: stack(
            L.Embedding(9, 4), L.SpatialDropout1D(0.2), L.GlobalMaxPooling1D(),
            L.Dense(3, "softmax"), shape=(5,), dtype="int32",
        ),
        TOKENS, CLASSES, {"optimizer": "adam", "loss": CE},
    ),
    "masked sequences": (
        lambda: stack(
            L.Masking(), L.LSTM(4, return_sequences=True),
            L.TimeDistributed(L.Dense(3)), shape=(5, 3),
        ),
        PADDED, SERIES, {"optimizer": "adam", "loss": "mae"},
    ),
    "recurrent, both ways": (
        lambda: stack(
            L.Bidirectional(L.GRU(3, dropout=0.2, return_sequences=True)),
            L.SimpleRNN(4), L.Dense(2), shape=(5, 3),
        ),
        SERIES, VALUES, {"optimizer": "adamw", "loss": MSE},
    ),
    "convolution and pooling": (
        lambda: stack(
            L.Conv2D(4, 2, activation="relu"), L.BatchNormalization(),
            L.MaxPooling2D((3, 2)), L.MaxPooling2D(2, strides=1),
            L.Flatten(), L.Dense(3), shape=(8, 8, 2),
        ),
        PICTURES, CLASSES, {"optimizer": "adam", "loss": LOGITS},
    ),
    "separable convolutions": (
        lambda: stack(
            L.SeparableConv2D(4, 3), L.DepthwiseConv2D(2), L.AveragePooling2D(2),
            L.GlobalAveragePooling2D(), L.Dense(2), shape=(8, 8, 2),
        ),
        PICTURES, VALUES, {"optimizer": "nadam", "loss": "log_cosh"},
    ),
    "up again": (
        lambda: stack(
            L.Conv2D(3, 3, strides=2), L.Conv2DTranspose(2, 2, strides=2),
            L.UpSampling2D(), L.ZeroPadding2D(1), L.Cropping2D(2),
            L.GlobalMaxPooling2D(), L.Dense(2), shape=(8, 8, 2),
        ),
        PICTURES, VALUES, {"optimizer": "lion", "loss": MSE},
    ),
    "normalizations": (
        lambda: stack(
            L.LayerNormalization(), L.Dense(6), L.GroupNormalization(2),
            L.UnitNormalization(), L.RMSNormalization(), L.Dense(2), shape=(6,),
        ),
        ROWS, VALUES, {"optimizer": "adagrad", "loss": MSE},
    ),
    "attention": (
        attention, TOKENS, CLASSES,
        {"optimizer": keras.optimizers.Adam(
            DECAY, clipnorm=0.1
        ), "loss": CE},
    ),
    "two inputs, two outputs": (
        branches, [ROWS, SERIES], [VALUES, CLASSES],
        {"optimizer": "adam", "loss": {"value": "mse", "class": LOGITS},
         "loss_weights": {"value": 0.3, "class": 2.0}},
    ),
    "a subclass": (
        subclassed, ROWS, VALUES,
        {"optimizer": "adam", "loss": lambda y, z: keras.ops.mean((y - z) ** 4, -1)},
    ),
    "noise and seeds": (
        lambda: stack(
            L.GaussianNoise(0.1), L.Dense(6, "relu"), Noisy(), L.GaussianDropout(0.1),
            L.AlphaDropout(0.1), L.PReLU(), L.Dense(2), shape=(6,),
        ),
        ROWS, VALUES, {"optimizer": "adam", "loss": MSE},
    ),
    "a frozen layer": (
        frozen, SERIES, VALUES, {"optimizer": "sgd", "loss": MSE},
    ),
    "only dense": (
        lambda: stack(L.Dense(8, "tanh"), L.Dense(3, "softmax"), shape=(6,)),
        ROWS, CLASSES, {"optimizer": "adam", "loss": CE},
    ),
}  # fmt: skip


def made(name: str) -> tuple[Any, Any, Any]:
    keras.utils.set_random_seed(3)
    make, X, y, options = MODELS[name]
    model = make()
    config = options["optimizer"]
    if isinstance(config, keras.optimizers.Optimizer):
        config = type(config).from_config(config.get_config())
    model.compile(**{**options, "optimizer": config})
    return model, X, y


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_trains_as_keras_does(name: str):
    (mine, X, y), (theirs, _, _) = made(name), made(name)
    run = tw.fit(tw.from_keras(mine), X, y, batch_size=8, epochs=2, shuffle=False)
    history = theirs.fit(X, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(run.history.loss, history.history["loss"], rtol=1e-5)
    for got, wanted in zip(mine.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(got.value, wanted.value, rtol=1e-3, atol=1e-5)
    assert ("only dense" in run.engine) == (name == "only dense")
    predicted = tw.predict(run, X)
    several = predicted if isinstance(predicted, list) else [predicted]
    outputs = mine(X, training=False)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    for got, wanted in zip(several, outputs, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


class Spring(keras.Model):
    """x(t) with x'' = -x as a loss at points of its own, and x(0) = 1, x'(0) = 0."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = L.Dense(10, "tanh"), L.Dense(1)
        self.times = np.linspace(0, 3, 30, dtype="float32")[:, None]

    def at(self, t: Any) -> Any:
        return self.out(self.hidden(t))

    def call(self, t: Any) -> Any:
        import jax

        along = lambda f, t: jax.jvp(f, (t,), (keras.ops.ones_like(t),))[1]
        slope = lambda t: along(self.at, t)
        times, zero = keras.ops.convert_to_tensor(self.times), keras.ops.zeros((1, 1))
        wrong: Any = along(slope, times) + self.at(times)
        start = (self.at(zero) - 1) ** 2 + slope(zero) ** 2
        mean: Any = keras.ops.mean(wrong**2)
        self.add_loss(mean + keras.ops.sum(start))
        return self.at(t)


@pytest.mark.slow
def test_lbfgs_solves_an_equation_given_as_a_loss():
    keras.utils.set_random_seed(1)
    model, t = Spring(), np.linspace(0, 3, 7, dtype="float32")[:, None]
    model(t)
    nothing = lambda outputs, y: 0 * outputs[:, 0]
    run = tw.fit(
        tw.from_keras(model), t, 0 * t, loss=nothing, optimizer="lbfgs", epochs=500
    )
    # The equation's solution; a residual of 1e-3 allows about three times that in x.
    assert run.history.loss[-1] < 1e-5
    np.testing.assert_allclose(model(t), np.cos(t), atol=0.01)
    assert "L-BFGS-B" in run.why


FULL_BATCH = ["lbfgs", "newton-cg", "lm", "lbfgs_on_device", ["adam", "cg"]]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", FULL_BATCH, ids=str)
def test_ours_replace_the_optimizer(optimizer: Any):
    keras.utils.set_random_seed(0)
    model = stack(L.Conv1D(2, 2, activation="tanh"), L.Flatten(), L.Dense(1),
                  shape=(5, 3))  # fmt: skip
    model.compile("sgd", "mse")
    y = SERIES.sum((1, 2))[:, None]
    before = float(np.mean((model(SERIES) - y) ** 2))
    run = tw.fit(
        tw.from_keras(model), SERIES, y, loss="squared", optimizer=optimizer, epochs=15
    )
    after = float(np.mean((model(SERIES) - y) ** 2))
    assert after < 0.5 * before
    assert model.evaluate(SERIES, y, verbose=0) == pytest.approx(after, rel=1e-4)
    assert "jax" in run.engine


def test_statistics_are_those_of_all_rows_after_a_full_batch_method():
    keras.utils.set_random_seed(0)
    model = stack(L.BatchNormalization(), L.Dense(1), shape=(6,))
    tw.fit(tw.from_keras(model), ROWS, ROWS[:, :1], optimizer="lbfgs", epochs=3)
    norm = model.layers[0]
    np.testing.assert_allclose(norm.moving_mean.value, ROWS.mean(0), atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance.value, ROWS.var(0), rtol=1e-5)
    assert norm.momentum == 0.99


@pytest.mark.slow
def test_what_keras_does_goes_on(tmp_path: Path):
    model, X, y = made("convolution and pooling")
    model.compile("adam", LOGITS, metrics=["accuracy"])
    run = tw.fit(tw.from_keras(model), X, y, epochs=2, batch_size=8, validation=(X, y))
    loss, accuracy = model.evaluate(X, y, verbose=0)
    assert run.history.validation_loss[run.best_epoch - 1] == pytest.approx(loss, 1e-4)
    assert run.history.validation_score[run.best_epoch - 1] == pytest.approx(accuracy)
    model.save(tmp_path / "model.keras")
    again: Any = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(X), model(X), rtol=1e-5)
    model.fit(X, y, epochs=1, verbose=0)


def normed(*layers: Any, loss: Any = MSE, optimizer: Any = "adam") -> Any:
    model = stack(L.Dense(5, kernel_initializer="he_normal"), *layers, shape=(6,))
    model.compile(optimizer, loss)
    return model


def spared(optimizer: Any) -> Any:
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


O, R = keras.optimizers, keras.regularizers
ONE_HOT = np.eye(3, dtype="float32")[CLASSES]
SMOOTH = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
KERNEL: dict[str, tuple[Callable[[], Any], Any]] = {
    "mse": (lambda: normed(L.Activation("tanh"), L.Dense(2)), VALUES),
    "mae": (lambda: normed(L.Activation("silu"), L.Dense(2), loss="mae",
                           optimizer=O.SGD(0.1)), VALUES),
    "huber": (lambda: normed(L.Dense(2, "tanh"), loss=keras.losses.Huber(0.4),
                             optimizer=O.SGD(0.1, 0.9)), VALUES),
    "log_cosh": (lambda: normed(L.Dense(2), loss="log_cosh",
                                optimizer=O.SGD(0.1, 0.8, nesterov=True)), VALUES),
    "binary": (lambda: normed(L.Dense(3, "sigmoid"), loss="binary_crossentropy",
                              optimizer="rmsprop"), ONE_HOT),
    "categorical": (lambda: normed(L.Dense(3), optimizer=O.Adagrad(0.1), loss=SMOOTH),
                    ONE_HOT),
    "sparse": (lambda: normed(L.Dense(3, "softmax"), loss=CE,
                              optimizer=O.RMSprop(0.01, centered=True)), CLASSES),
    "batch norm": (
        lambda: normed(L.BatchNormalization(momentum=0.8), L.Activation("relu"),
                       L.Dense(2), optimizer=O.Adadelta(0.5)),
        VALUES,
    ),
    "layer norm": (lambda: normed(L.LayerNormalization(), L.Dense(2),
                                  optimizer=O.Lion(1e-3)), VALUES),
    "no bias": (
        lambda: stack(L.Dense(4, use_bias=False), L.BatchNormalization(), L.Dense(2),
                      shape=(6,)),
        VALUES,
    ),
    "penalties": (
        lambda: stack(
            *(L.Dense(k, a, kernel_regularizer=R.L1L2(0.01, 0.02))
              for k, a in ((4, "elu"), (2, None))), shape=(6,),
        ),
        VALUES,
    ),
    "decay": (lambda: normed(L.Dense(2), optimizer=spared(O.AdamW(weight_decay=0.1))),
              VALUES),
    "clipped": (lambda: normed(L.Dense(2), optimizer=O.Adam(global_clipnorm=0.1)),
                VALUES),
    "clipped by value": (lambda: normed(L.Dense(2), optimizer=O.SGD(clipvalue=0.1)),
                         VALUES),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNEL)
def test_the_kernel_trains_as_keras_does(name: str):
    make, y = KERNEL[name]
    mine, theirs = make(), make()
    for model in (mine, theirs):
        if not model.compiled:
            model.compile(O.SGD(0.1), MSE)
    theirs.set_weights(mine.get_weights())
    # Batches of 7, 7 and 2: the last is smaller.
    run = tw.fit(tw.from_keras(mine), ROWS, y, batch_size=7, epochs=4, shuffle=False)
    history = theirs.fit(ROWS, y, batch_size=7, epochs=4, shuffle=False, verbose=0)
    assert run.engine.startswith("native"), run.engine
    assert "only dense" in run.engine
    np.testing.assert_allclose(run.history.loss, history.history["loss"], rtol=1e-5)
    for got, wanted in zip(mine.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(got.value, wanted.value, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(mine(ROWS), theirs(ROWS), rtol=1e-3, atol=1e-5)


class Doubled(L.Dense):
    def call(self, inputs: Any, training: Any = None) -> Any:
        found: Any = super().call(inputs, training)
        return 2 * found


def relu(x: Any) -> Any:
    return keras.ops.maximum(x, 0.5)


# As a copy of Keras, or a user who replaces one of its classes, would name them.
Doubled.__name__, Doubled.__module__ = "Dense", "keras.layers"


APART: dict[str, tuple[Callable[[], Any], str]] = {
    "a constraint": (
        lambda: stack(L.Dense(2, kernel_constraint="unit_norm"), shape=(6,)),
        "the layer 'dense",
    ),
    "no bias": (
        lambda: stack(L.Dense(2, use_bias=False), shape=(6,)),
        "the layer 'dense.*' without biases",
    ),
    "some penalties": (
        lambda: stack(L.Dense(4, kernel_regularizer="l2"), L.Dense(2), shape=(6,)),
        "penalties that differ between layers",
    ),
    "normalization after": (
        lambda: normed(L.ReLU(), L.BatchNormalization(), L.Dense(2)), "'re_lu",
    ),
    "a layer with Keras's name": (
        lambda: stack(Doubled(2, name="twice"), shape=(6,)), "the layer 'twice'",
    ),
    "an activation with Keras's name": (
        lambda: stack(L.Dense(2, relu, name="odd"), shape=(6,)), "activation of 'odd'",
    ),
    "a loss": (lambda: normed(L.Dense(2), loss="poisson"), "the loss poisson"),
    "a loss of others": (
        lambda: normed(L.Dense(2), loss="binary_crossentropy"),
        "the loss binary_crossentropy with linear outputs",
    ),
    "a rule": (lambda: normed(L.Dense(2), optimizer="nadam"), "the optimizer Nadam"),
    "decay": (
        lambda: normed(L.Dense(2), optimizer="adamw"), "weight decay of biases",
    ),
    "a schedule": (
        lambda: normed(L.Dense(2), optimizer=O.SGD(DECAY)), "a learning-rate schedule",
    ),
    "a clip": (
        lambda: normed(L.Dense(2), optimizer=O.SGD(clipnorm=1.0)),
        "clipnorm of the optimizer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_what_the_kernel_would_compute_otherwise_is_named(name: str):
    make, why = APART[name]
    model = make()
    with pytest.raises(NotEquivalent, match=why):
        translate(model, model.compiled, model.compiled)


def test_the_kernel_takes_other_optimizers_and_else_says_why():
    model = stack(L.Dense(4, "relu"), L.Dense(1), shape=(6,))
    run = tw.fit(tw.from_keras(model), ROWS, VALUES[:, :1], optimizer="lbfgs")
    assert run.engine.startswith("native")
    np.testing.assert_allclose(tw.predict(run, ROWS), model(ROWS), rtol=1e-4, atol=1e-5)
    model.compile("nadam", MSE)
    run = tw.fit(tw.from_keras(model), ROWS, VALUES[:, :1], epochs=1)
    assert run.engine.endswith("no equivalent of the optimizer Nadam")


def test_a_comparison_leaves_the_model_as_it_was():
    model, X, y = made("a frozen layer")
    before = [np.array(v.value) for v in model.variables]
    network = tw.from_keras(model)
    found = tw.compare(
        {"sgd": {"network": network, "optimizer": "sgd"}, "adam": network},
        X, y, epochs=1, seeds=2, n_jobs=1,
    )  # fmt: skip
    assert set(found.variants) == {"sgd", "adam"}
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.value)


class OwnStep(keras.Model):
    def train_step(self, *arguments: Any) -> Any:
        return super().train_step(*arguments)


def own_step() -> Any:
    inputs = keras.Input((6,))
    return OwnStep(inputs, L.Dense(1)(inputs))


class OwnLoss(keras.Model):
    def compute_loss(self, *parts: Any, **more: Any) -> Any:
        _, y, outputs, *_ = parts
        return keras.ops.mean((y - outputs) ** 4)


def test_what_is_advised_instead_of_a_step_of_ones_own_trains():
    inputs = keras.Input((6,))
    model = OwnLoss(inputs, L.Dense(1, kernel_initializer="zeros")(inputs))
    model.compile("sgd")
    y = np.asarray(VALUES, "f4")[:, :1]
    run = tw.fit(tw.from_keras(model), ROWS, y, epochs=1, batch_size=len(y))
    assert run.history.loss[0] == pytest.approx(float((y**4).mean()), rel=1e-5)


def softmaxed() -> Any:
    return stack(L.Conv1D(2, 2), L.Flatten(), L.Dense(3, "softmax"), shape=(5, 3))


BAD: dict[str, tuple[Callable[[], Any], Any, Any, dict[str, Any], str]] = {
    "no model": (lambda: L.Dense(1), ROWS, VALUES, {}, "not a Keras model"),
    "unbuilt": (Sub, ROWS, VALUES, {}, r"not built.*Call model.build"),
    "its own step": (own_step, ROWS, VALUES, {},
     r"overrides train_step.*add_loss, or override compute_loss and compile"),
    "a shape": (
        subclassed, ROWS[:, :4], VALUES, {},
        r"X of shape \(16, 4\)(.|\n)*dense(.|\n)*value 6(.|\n)*\(16, 4\)",
    ),
    "softmax twice": (
        softmaxed, SERIES, CLASSES, {"loss": "cross_entropy"}, "applies softmax",
    ),
    "outputs": (
        subclassed, ROWS, CLASSES, {"loss": "squared"},
        r"y has shape \(16, 1\); for loss='squared' and outputs of shape \(16, 2\)",
    ),
    "another type": (
        subclassed, ROWS, VALUES, {"dtype": "float64"}, "computes in float32",
    ),
    "noise": (
        lambda: stack(L.Dropout(0.5), L.Dense(2), shape=(6,)), ROWS, VALUES,
        {"optimizer": "lbfgs"}, "changes at every evaluation",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str):
    make, X, y, settings, sentence = BAD[name]
    with pytest.raises((ValueError, TypeError), match=sentence):
        tw.fit(tw.from_keras(make()), X, y, **{"epochs": 1, **settings})


@pytest.mark.slow
def test_another_backend_is_told_how_to_switch():
    code = (
        "import keras, thalweg as tw\n"
        "try:\n    tw.from_keras(keras.Sequential([keras.Input((1,))]))\n"
        "except ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
    )  # fmt: skip
    assert "on Keras's numpy back-end" in done.stdout
    assert "KERAS_BACKEND=jax" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (L.Conv1D(2, 4), (9, 3)),
        (L.Conv2D(3, (2, 3)), (6, 7, 2)),
        (L.Conv3D(2, 2), (4, 3, 5, 1)),
    ],
)
def test_convolutions_are_products(layer: Any, shape: tuple[int, ...], padding: str):
    same = type(layer).from_config({**layer.get_config(), "padding": padding})
    same.build((None, *shape))
    x = np.random.RandomState(0).randn(4, *shape).astype("f4")
    name, ours = rewritten(same)
    assert name == "convolution_op"
    assert ours is not None
    theirs = same.convolution_op(x, same.kernel)
    # Sums of at most 12 products of numbers of about 1, each rounded at 6e-8.
    np.testing.assert_allclose(ours(same, x, same.kernel), theirs, atol=1e-5)


@pytest.mark.slow
def test_a_convolutional_network_reads_digits():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = (images / 16).reshape(-1, 8, 8, 1).astype("float32")
    X, X_test, y, y_test = train_test_split(
        images, labels, test_size=0.3, random_state=0, stratify=labels
    )
    keras.utils.set_random_seed(0)
    model = stack(
        L.Conv2D(16, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten(),
        L.Dense(32, "relu"), L.Dense(10), shape=(8, 8, 1),
    )  # fmt: skip
    run = tw.fit(
        tw.from_keras(model), X, y, loss="cross_entropy", epochs=15, batch_size=32,
        learning_rate=3e-3, random_state=0,
    )  # fmt: skip
    accuracy = (tw.predict(run, X_test).argmax(1) == y_test).mean()
    assert accuracy > 0.97


def test_a_second_fit_finds_its_programs_and_the_rate_of_now():
    model = stack(L.Dense(1, use_bias=False), shape=(3,))
    model.compile("sgd", "mse")
    network, start = tw.from_keras(model), [np.array(v) for v in model.weights]
    X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")

    def loss() -> float:
        for variable, value in zip(model.weights, start, strict=True):
            variable.assign(value)
        run = tw.fit(network, X, X[:, :1], epochs=3, shuffle=False)
        return float(run.history.loss[-1])

    first, programs = loss(), dict(network.programs)
    assert programs
    assert loss() == first
    assert network.programs == programs
    model.optimizer.learning_rate = 0.1
    assert loss() < first
    assert tw.from_keras(model) is network
    model.compile("sgd", "mae")
    assert tw.from_keras(model) is not network


def test_trains_in_mixed_precision():
    losses = {}
    for policy in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(0)
        hidden = L.Dense(16, activation="relu", dtype=policy)
        model = keras.Sequential([keras.Input((6,)), hidden, L.Dense(3)])
        run = tw.fit(
            tw.from_keras(model), ROWS, CLASSES, loss="cross_entropy", random_state=0
        )
        losses[policy] = run.history.loss
        assert {weights.dtype for weights in model.get_weights()} == {np.dtype("f4")}
    # bfloat16 keeps eight bits: near, and not the same.
    np.testing.assert_allclose(*losses.values(), rtol=2**-5)
    assert (losses["float32"] != losses["mixed_bfloat16"]).all()
