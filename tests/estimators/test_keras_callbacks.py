"""Callbacks of Keras, and every loss, optimizer and callback that Keras has."""

import csv
import inspect
from pathlib import Path
from typing import Any

import keras  # noqa: TID253 (what is tested)
import numpy as np
import pytest
from keras import layers as L  # noqa: TID253

import thalweg as tw
from thalweg.core import FitRequest
from thalweg.estimators.keras.callbacks import check
from thalweg.estimators.keras.optimizer import KerasRule

# Keras 3.15 reads its own variables in a way that NumPy 2 warns of.
pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning"),
]

C, O = keras.callbacks, keras.optimizers
RNG = np.random.RandomState(0)
X = RNG.randn(16, 3).astype("f4")
Y = RNG.randn(16, 2).astype("f4")


def made(loss: Any = "mse", optimizer: Any = "adam", **options: Any) -> Any:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    model.compile(optimizer, loss, **options)
    return model


@pytest.fixture(autouse=True, scope="module")
def _quickly_compiled() -> Any:
    """Compile both sides in less time: what XLA would optimize is not tested here."""
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


class Meddler(C.Callback):
    """Changes rates and weights, and stops."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = 0.01 * (batch + 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        halved = [0.5 * values for values in self.model.get_weights()]
        self.model.set_weights(halved)
        self.model.stop_training = epoch == 1


def several(folder: Path, told: list[Any]) -> list[Any]:
    def tell(name: str) -> Any:
        return lambda number, logs: told.append((name, number, sorted(logs or {})))

    return [
        C.EarlyStopping("val_loss", patience=3, restore_best_weights=True),
        C.LearningRateScheduler(lambda epoch, rate: 0.9 * rate),
        C.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=10.0),
        C.ModelCheckpoint(folder / "best.keras", "val_mae", save_best_only=True),
        C.CSVLogger(folder / "log.csv"),
        C.TerminateOnNaN(),
        C.LambdaCallback(
            on_epoch_begin=tell("begin"), on_epoch_end=tell("end"),
            on_train_batch_end=tell("batch"),
        ),
    ]  # fmt: skip


@pytest.mark.slow
def test_callbacks_run_as_in_keras(tmp_path: Path):
    fit = {"epochs": 4, "batch_size": 8, "shuffle": False, "validation_split": 0.5}
    told: dict[str, list[Any]] = {"ours": [], "theirs": []}
    models = {}
    for name in told:
        (tmp_path / name).mkdir()
        models[name] = model = made(metrics=["mae"])
        callbacks = several(tmp_path / name, told[name])
        if name == "ours":
            tw.fit(tw.from_keras(model), X, Y, callbacks=callbacks, **fit)
        else:
            model.fit(X, Y, callbacks=callbacks, verbose=0, **fit)
    ours, theirs = models["ours"], models["theirs"]
    assert told["ours"] == told["theirs"]
    for name, values in theirs.history.history.items():
        np.testing.assert_allclose(ours.history.history[name], values, rtol=1e-4)
    for one, other in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-4, atol=1e-6)
    rate = float(theirs.optimizer.learning_rate)
    assert float(ours.optimizer.learning_rate) == pytest.approx(rate)
    logs = [
        [*csv.reader((tmp_path / name / "log.csv").read_text().splitlines())]
        for name in told
    ]
    assert logs[0][0] == logs[1][0]
    assert (tmp_path / "ours" / "best.keras").exists()


@pytest.mark.slow
def test_training_goes_on_from_what_a_callback_leaves():
    fit = {"epochs": 5, "batch_size": 8, "shuffle": False}
    ours, theirs = made(), made()
    run = tw.fit(tw.from_keras(ours), X, Y, callbacks=[Meddler()], **fit)
    theirs.fit(X, Y, callbacks=[Meddler()], verbose=0, **fit)
    assert len(run.history) == 2
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-4, atol=1e-6)


def classes(module: Any, base: type) -> set[str]:
    found = inspect.getmembers(module, inspect.isclass)
    return {name for name, kind in found if issubclass(kind, base) and kind is not base}


REFUSED = {"BackupAndRestore", "SwapEMAWeights"}
CONTAINERS = {"CallbackList"}
NEED_MORE = {"TensorBoard", "RemoteMonitor", "OrbaxCheckpoint"}
RUN = {
    "CSVLogger", "EarlyStopping", "History", "LambdaCallback",
    "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger",
    "ReduceLROnPlateau", "TerminateOnNaN",
}  # fmt: skip


def test_every_callback_runs_or_is_refused(tmp_path: Path):
    assert classes(C, C.Callback) <= RUN | REFUSED | CONTAINERS | NEED_MORE
    model = made()
    model.optimizer.build(model.trainable_variables)
    rule = KerasRule(model.optimizer, ["kernel", "bias"])
    runnable = [*several(tmp_path, []), C.History(), C.ProgbarLogger()]
    check(runnable, rule)
    assert {type(each).__name__ for each in runnable} == RUN
    for each in (C.BackupAndRestore(tmp_path), C.SwapEMAWeights()):
        with pytest.raises(ValueError, match=type(each).__name__):
            tw.fit(tw.from_keras(model), X, Y, epochs=1, callbacks=[each])


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "a rate that another optimizer has": (
        {"optimizer": "adam", "callbacks": [C.ReduceLROnPlateau("loss")]},
        "ReduceLROnPlateau, but an optimizer of thalweg trains",
    ),
    "no batches": (
        {"optimizer": "lbfgs", "callbacks": [C.EarlyStopping("loss")]},
        "callbacks of Keras with optimizer='lbfgs'",
    ),
    "two kinds of validation data": (
        {"validation": 0.2, "validation_split": 0.2}, "more than one of validation",
    ),
    "too few epochs": ({"epochs": 2, "initial_epoch": 2}, "must be larger"),
    "steps of arrays": ({"steps_per_epoch": 2}, "needs a compiled model and batches"),
    "a score without metrics": ({"monitor": "score"}, "compiled without metrics"),
    "a wrong class": ({"class_weight": {7: 1.0}}, "the class 7; the classes are 0 to"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused(name: str):
    options, sentence = REFUSALS[name]
    y = (Y > 0).astype(int).argmax(1) if "class_weight" in options else Y
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = made(loss if "class_weight" in options else "mse")
    with pytest.raises(ValueError, match=sentence):
        tw.fit(tw.from_keras(model), X, y, **{"epochs": 1, **options})


def test_a_model_that_would_train_nothing_is_refused():
    model = made(None)
    with pytest.raises(ValueError, match="without a loss and adds none"):
        tw.fit(tw.from_keras(model), X, Y, epochs=1)


def test_layers_whose_state_keras_drops_are_refused():
    stateful = keras.Sequential(
        [keras.Input(batch_shape=(4, 5, 3)), L.LSTM(2, stateful=True)]
    )
    with pytest.raises(ValueError, match=r"layer 'lstm.*' is stateful"):
        tw.from_keras(stateful)
    spectral = keras.Sequential(
        [keras.Input((3,)), L.SpectralNormalization(L.Dense(2))]
    )
    spectral.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"sets .*kernel in its forward pass"):
        tw.fit(tw.from_keras(spectral), X, Y, epochs=1)


OF_NUMBERS = (
    "SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy", "Circle",
)  # fmt: skip
LOSSES = sorted(classes(keras.losses, keras.losses.Loss))


def test_every_loss_is_keras_own_or_the_kernels_equivalent():
    """The object that was compiled computes the loss, unless the kernel knows it."""
    known = set()
    for name in LOSSES:
        if name == "CTC":  # its targets are sequences
            continue
        loss = getattr(keras.losses, name)()
        model = made(loss)
        y = np.abs(Y) / np.abs(Y).sum(1, keepdims=True)
        if name in OF_NUMBERS:
            y = Y.argmax(1)
        adapter: Any = tw.from_keras(model).adapter
        asked = adapter.prepare(FitRequest(adapter.network, {}, X, y))
        compiled = asked.settings["loss"]
        if isinstance(compiled, tuple):
            known.add(name)
            continue
        assert compiled.model.loss is loss
        trained, kept = adapter.init(0)
        value, *_ = compiled.of_batch(trained, kept, [], X, asked.y, training=True)
        truth = y.astype("f4") if y.ndim == 2 else y
        np.testing.assert_allclose(value, loss(truth, model(X)), rtol=1e-6)
    assert known == {"Huber", "LogCosh", "MeanAbsoluteError", "MeanSquaredError"}


OPTIMIZERS = sorted(classes(O, O.Optimizer))


@pytest.mark.slow
def test_every_optimizer_trains_as_in_keras():
    for name in OPTIMIZERS:
        kind = getattr(O, name)

        def new(kind: Any = kind) -> Any:
            if kind is O.MultiOptimizer:
                return kind(O.OptimizerMap(O.SGD(0.1), {".*bias": O.Adam(0.01)}))
            return kind(O.SGD(0.1)) if kind is O.LossScaleOptimizer else kind(0.01)

        ours, theirs = made("huber", new()), made("huber", new())
        fit = {"batch_size": 8, "epochs": 1, "shuffle": False}
        tw.fit(tw.from_keras(ours), X, Y, **fit)
        theirs.fit(X, Y, verbose=0, **fit)
        both = [model.weights + model.optimizer.variables for model in (ours, theirs)]
        for one, other in zip(*both, strict=True):
            np.testing.assert_allclose(
                one.value, other.value, rtol=1e-4, atol=1e-6, err_msg=name
            )


@pytest.mark.slow
@pytest.mark.parametrize("frequency", [2, [1, 4]])
def test_validation_follows_the_epochs_that_keras_would_choose(frequency: Any):
    fit: dict[str, Any] = {
        "epochs": 5, "initial_epoch": 1, "batch_size": 8, "shuffle": False,
        "validation_data": (X[:4], Y[:4]), "validation_freq": frequency,
    }  # fmt: skip
    ours, theirs = made(metrics=["mae"]), made(metrics=["mae"])
    tests: dict[str, int] = {"ours": 0, "theirs": 0}

    def counts(name: str) -> Any:
        def count(logs: Any) -> None:
            tests[name] += 1

        return [C.LambdaCallback(on_test_begin=count)]

    network = tw.from_keras(ours)
    run = tw.fit(network, X, Y, callbacks=counts("ours"), patience=1, tol=9, **fit)
    theirs.fit(X, Y, callbacks=counts("theirs"), verbose=0, **fit)
    expected = theirs.history.history
    assert len(run.history) == 4  # an epoch without validation uses up no patience
    assert tests["ours"] == tests["theirs"] == len(expected["val_loss"])
    for name, values in expected.items():
        found = ours.history.history[name]
        np.testing.assert_allclose(found, values, rtol=1e-4)
        column = run.history[name]
        np.testing.assert_allclose(column[~np.isnan(column)], values, rtol=1e-4)


@pytest.mark.parametrize("frequency", [0, -1, 2.5, True, "2", [], [0, 2]])
def test_a_frequency_that_is_none_is_refused(frequency: Any):
    options = {"epochs": 1, "validation_split": 0.5, "validation_freq": frequency}
    with pytest.raises(ValueError, match=r"fit got validation_freq=.* at least 1"):
        tw.fit(tw.from_keras(made()), X, Y, **options)


class Noted(keras.utils.PyDataset):
    """Notes which batches are read, and when epochs end."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[Any] = []

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        self.read.append(index)
        return X[2 * index : 2 * index + 2], Y[2 * index : 2 * index + 2]

    def on_epoch_end(self) -> None:
        self.read.append("end")

    def epochs(self, count: int) -> list[list[int]]:
        own = self.read[-9 * count :]
        assert own[8::9] == ["end"] * count == [v for v in self.read if v == "end"]
        return [own[9 * k : 9 * k + 8] for k in range(count)]


def orders(seed: int, **options: Any) -> list[list[int]]:
    dataset = Noted()
    network = tw.from_keras(made(optimizer="sgd"))
    tw.fit(network, dataset, epochs=3, random_state=seed, **options)
    return dataset.epochs(3)


def test_batches_of_a_dataset_come_in_another_order_each_epoch():
    drawn = orders(0)
    assert all(sorted(each) == [*range(8)] for each in drawn)
    assert len({tuple(each) for each in [*drawn, range(8)]}) == 4
    assert orders(0) == drawn != orders(1)
    assert orders(0, shuffle=False) == [[*range(8)]] * 3


def test_a_resumed_fit_reads_the_batches_that_were_to_come(tmp_path: Path):
    def raises(record: Any) -> None:
        if record.epoch == 2:
            raise RuntimeError("enough")

    whole, resumed = made(optimizer="sgd"), made(optimizer="sgd")
    options: dict[str, Any] = {"epochs": 3, "random_state": 0}
    tw.fit(tw.from_keras(whole), Noted(), **options)
    options |= {"checkpoint": tmp_path / "kept", "checkpoint_every": 1}
    network = tw.from_keras(made(optimizer="sgd"))
    with pytest.raises(RuntimeError, match="enough"):
        tw.fit(network, Noted(), callbacks=[raises], **options)
    tw.fit(tw.from_keras(resumed), Noted(), **options)
    for one, other in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(one.value, other.value)


def test_an_endless_dataset_needs_the_number_of_steps():
    class Endless(Noted):
        @property
        def num_batches(self) -> Any:
            return None

        def __getitem__(self, index: int) -> Any:
            return super().__getitem__(index % 8)

    network = tw.from_keras(made(optimizer="sgd"))
    with pytest.raises(ValueError, match=r"never ends\. Give steps_per_epoch"):
        tw.fit(network, Endless(), epochs=1)
    dataset = Endless()
    tw.fit(network, dataset, epochs=2, steps_per_epoch=3)
    assert dataset.read[-8:] == [0, 1, 2, "end", 3, 4, 5, "end"]
