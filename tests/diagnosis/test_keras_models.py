"""Keras models as people post them: what is read without training, and the remedy."""

from typing import Any

import numpy as np
import pytest

import thalweg as tw

keras = pytest.importorskip("keras")
L = keras.layers
RNG = np.random.RandomState(0)
X = RNG.standard_normal((120, 4)).astype("float32")
KINDS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
TWO = (X[:, 0] + X[:, 1] > 0).astype(int)
PRICE = 5 * X[:, 0] - 4 * X[:, 1] + 2
ONE_HOT = np.eye(3)[KINDS]


def model(*layers: Any, loss: Any = None, optimizer: Any = "adam", **more: Any) -> Any:
    made = keras.Sequential([keras.Input((4,)), *layers])
    if loss is not None:
        made.compile(optimizer, loss, **more)
    return made


def dense(units: int, activation: str | None = None, **more: Any) -> Any:
    hidden = L.Dense(6, "relu", **more)
    return hidden, L.Dense(units, activation)


SPARSE, CROSS = "sparse_categorical_crossentropy", "categorical_crossentropy"
BINARY = "binary_crossentropy"
LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
SICK: dict[str, tuple[Any, Any, str]] = {
    "softmax on one unit": (
        lambda: model(*dense(1, "softmax"), loss=BINARY), TWO, "degenerate-output"),
    "categorical loss on one unit": (
        lambda: model(*dense(1, "sigmoid"), loss=CROSS), TWO, "degenerate-output"),
    "one sigmoid for three classes": (
        lambda: model(*dense(1, "sigmoid"), loss=BINARY), KINDS, "degenerate-output"),
    "softmax twice": (
        lambda: model(*dense(3, "softmax"), loss=LOGITS), KINDS, "degenerate-output"),
    "ReLU under the softmax": (
        lambda: model(*dense(3, "relu"), L.Softmax(), loss=SPARSE), KINDS,
        "degenerate-output"),
    "dropout at the output": (
        lambda: model(*dense(3, "softmax"), L.Dropout(0.5), loss=SPARSE), KINDS,
        "degenerate-output"),
    "classes from 1": (
        lambda: model(*dense(3, "softmax"), loss=SPARSE), KINDS + 1,
        "degenerate-output"),
    "logits into probabilities": (
        lambda: model(*dense(3), loss=SPARSE), KINDS, "unreachable-output"),
    "ReLU into probabilities": (
        lambda: model(*dense(1, "relu"), loss=BINARY), TWO, "unreachable-output"),
    "sigmoid for prices": (
        lambda: model(*dense(1, "sigmoid"), loss="mse"), PRICE, "unreachable-output"),
    "ReLU for targets below 0": (
        lambda: model(*dense(1, "relu"), loss="mse"), PRICE - 20,
        "unreachable-output"),
    "cross-entropy for prices": (
        lambda: model(*dense(1, "sigmoid"), loss=BINARY), PRICE, "wrong-loss"),
    "labels -1 and 1": (
        lambda: model(*dense(1, "sigmoid"), loss=BINARY), 2 * TWO - 1, "wrong-loss"),
    "numbers into a loss of columns": (
        lambda: model(*dense(3, "softmax"), loss=CROSS), KINDS, "wrong-loss"),
    "columns into a loss of numbers": (
        lambda: model(*dense(3, "softmax"), loss=SPARSE), ONE_HOT, "wrong-loss"),
    "zero weights": (
        lambda: model(*dense(3, "softmax", kernel_initializer="zeros"), loss=SPARSE),
        KINDS, "symmetric-init"),
    "accuracy of prices": (
        lambda: model(*dense(1), loss="mse", metrics=["accuracy"]), PRICE,
        "wrong-metric"),
}  # fmt: skip


@pytest.mark.parametrize("name", SICK)
def test_what_is_readable_is_named_before_training(name: str):
    make, y, code = SICK[name]
    found = tw.diagnose(make(), X, y, trials=False)
    assert code in [f.code for f in found.alarms], str(found)


WELL: dict[str, tuple[Any, Any]] = {
    "softmax": (lambda: model(*dense(3, "softmax"), loss=SPARSE), KINDS),
    "one-hot": (lambda: model(*dense(3, "softmax"), loss=CROSS), ONE_HOT),
    "logits": (lambda: model(*dense(3), loss=LOGITS), KINDS),
    "sigmoid": (lambda: model(*dense(1, "sigmoid"), loss=BINARY), TWO),
    "column": (lambda: model(*dense(1, "sigmoid"), loss=BINARY), TWO[:, None]),
    "prices": (lambda: model(*dense(1), loss="mse", metrics=["mae"]), PRICE),
    "not compiled": (lambda: model(*dense(3, "softmax")), KINDS),
    "softmax as a layer": (lambda: model(*dense(3), L.Softmax(), loss=SPARSE), KINDS),
    "dropout between": (
        lambda: model(L.Dense(6, "relu"), L.Dropout(0.2), L.Dense(1), loss="mae"),
        PRICE),
}  # fmt: skip


@pytest.mark.parametrize("name", WELL)
def test_a_sound_model_is_quiet(name: str):
    make, y = WELL[name]
    found = tw.diagnose(make(), X, y, trials=False)
    assert found.alarms == (), str(found)


def test_a_remedy_is_a_patch_of_the_model():
    sick = model(*dense(3), loss=SPARSE)
    before = [np.array(v.value) for v in sick.weights]
    new, difference = tw.diagnose(sick, X, KINDS, trials=False).treat()
    name = sick.layers[-1].name
    assert difference == {f"Dense {name!r}: activation": "softmax"}
    assert new.layers[-1].activation is keras.activations.softmax
    assert new.loss == SPARSE
    assert all(map(np.array_equal, before, [v.value for v in sick.weights]))


@pytest.mark.parametrize("adapted", [True, False])
def test_a_normalization_layer_counts_once_it_is_adapted(adapted: bool):
    wide = X * [1.0, 1000.0, 1.0, 5e4]
    scaling = L.Normalization()
    if adapted:
        scaling.adapt(wide)
    found = tw.diagnose(
        model(scaling, *dense(3, "softmax"), loss=SPARSE), wide, KINDS, trials=False
    )
    told = [f.cause for f in found.findings if f.code == "unscaled-input"]
    assert bool(told) is not adapted
    assert adapted or "was not adapted" in told[0]


def test_the_learning_rate_is_that_of_the_optimizer():
    slow = keras.optimizers.SGD(1e-5)
    found = tw.diagnose(
        model(*dense(1), loss="mse", optimizer=slow), X, PRICE, trials=False
    )
    assert found.facts["rate.value"] == pytest.approx(1e-5)
    assert found.facts["rate.usual"] == pytest.approx(0.01)


def test_a_schedule_that_decays_at_once_counts_with_its_typical_rate():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    found = tw.diagnose(
        model(*dense(1), loss="mse", optimizer=keras.optimizers.SGD(schedule)),
        X, PRICE, trials=False, epochs=20,
    )  # fmt: skip
    assert found.facts["rate.value"] < 1e-6


def test_settings_that_fit_has_not_are_refused():
    with pytest.raises(TypeError, match=r"hidden.*it takes epochs"):
        tw.diagnose(model(*dense(3), loss=SPARSE), X, KINDS, hidden=3)


@pytest.mark.slow
def test_a_trained_model_is_compared_with_what_is_reachable():
    keras.utils.set_random_seed(0)
    sick = model(*dense(3, "softmax", kernel_initializer="zeros"), loss=SPARSE,
                 optimizer=keras.optimizers.Adam(0.02))  # fmt: skip
    doctor = tw.Doctor()
    history = sick.fit(X, KINDS, epochs=30, verbose=0, callbacks=[doctor])
    assert doctor.diagnosis.findings[0].code == "symmetric-init"
    found = tw.diagnose(sick, X, KINDS, history=history)
    first = found.findings[0]
    assert (first.code, first.status) == ("symmetric-init", "confirmed by trial")
    assert "far from what is reachable: accuracy 0." in str(found).splitlines()[0]
    new, _ = found.treat()
    new.fit(X, KINDS, verbose=0)  # as many epochs as before
    assert len(new.history.epoch) == 30
    assert (new.predict(X, verbose=0).argmax(axis=1) == KINDS).mean() > 0.9
