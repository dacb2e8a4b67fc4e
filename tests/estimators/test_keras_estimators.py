"""scikit-learn estimators around Keras models: its contract, and where Keras's fail."""

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import keras  # noqa: TID253 (what is tested)
import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from thalweg import KerasClassifier, KerasRegressor

# Keras 3.15 reads its own variables in a way that NumPy 2 warns of.
pytestmark = [
    pytest.mark.keras,
    pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning"),
]

IRIS: Any = load_iris(return_X_y=True)
X, Y = IRIS[0][::3], IRIS[1][::3]


def build(
    shape: tuple[int, ...],
    n_outputs: int,
    units: int = 8,
    end: str = "linear",
    loss: Any = None,
) -> Any:
    layers = [keras.layers.Dense(units, "tanh"), keras.layers.Dense(n_outputs, end)]
    model = keras.Sequential([keras.Input(shape), *layers])
    if loss:
        model.compile("adam", loss)
    return model


def single(shape: tuple[int, ...], n_outputs: int) -> Any:
    model = build(shape, 1, end="sigmoid")
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    return model


def convolve(shape: tuple[int, ...], n_outputs: int) -> Any:
    layers = [keras.layers.Conv1D(4, 2, activation="relu"), keras.layers.Flatten()]
    return keras.Sequential(
        [keras.Input(shape), *layers, keras.layers.Dense(n_outputs)]
    )


fresh: Callable[[Any], Any] = clone

QUICK: dict[str, Any] = {
    "build_fn": build, "settings": {"optimizer": "lbfgs"}, "epochs": 100,
    "random_state": 0,
}  # fmt: skip


# With the default model: a function's address in a test's id differs by process.
PLAIN: dict[str, Any] = {**QUICK, "build_fn": None}


def in_float32(estimator: object) -> dict[str, str]:
    return {
        "check_sample_weight_equivalence_on_dense_data": (
            "It asks for 1e-7; Keras's float32 leaves 1e-6 after an L-BFGS fit."
        )
    }


@parametrize_with_checks(
    [KerasClassifier(**PLAIN), KerasRegressor(**PLAIN)],
    expected_failed_checks=in_float32,
)
def test_check(estimator: object, check: Callable[[object], None]):
    check(estimator)


def test_clones_and_cross_validates_with_all_it_was_given():
    clf: Any = KerasClassifier(**{**QUICK, "build_params": {"units": 5}})
    copy = fresh(clf)
    assert copy.get_params() == clf.get_params()
    assert copy.get_params()["build_params__units"] == 5
    scores = cross_val_score(make_pipeline(StandardScaler(), clf), X, Y, cv=3)
    assert scores.mean() > 0.9


def test_searches_the_models_own_parameters():
    grid = {"build_params__units": [1, 6], "settings__l2": [0.0, 1.0]}
    search = GridSearchCV(KerasClassifier(**QUICK), grid, cv=2).fit(X, Y)
    assert set(search.best_params_) == set(grid)
    units = search.best_estimator_.model_.layers[0].units
    assert units == search.best_params_["build_params__units"]


def test_the_same_state_gives_the_same_model_and_leaves_the_globals():
    import random

    before = random.getstate(), _numpy_state()
    first, second, other = (
        KerasClassifier(**{**QUICK, "random_state": state}).fit(X, Y)
        for state in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), other.predict_proba(X))
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(_numpy_state(), before[1])


def _numpy_state() -> Any:
    state: Any = np.random.get_state()  # noqa: NPY002
    return state[1].copy()


LOSSES: dict[str, dict[str, Any]] = {
    "logits": {},
    "softmax": {"end": "softmax", "loss": "sparse_categorical_crossentropy"},
    "one-hot": {"end": "softmax", "loss": "categorical_crossentropy"},
    "one-hot, by another name": {
        "end": "softmax",
        "loss": keras.losses.CategoricalCrossentropy(name="mine"),
    },
    "one-hot, with an option": {
        "loss": partial(keras.losses.categorical_crossentropy, from_logits=True)
    },
}


@pytest.mark.parametrize("name", LOSSES)
def test_probabilities_whatever_the_loss(name: str):
    clf = KerasClassifier(build, build_params=LOSSES[name], epochs=60, random_state=0)
    labels = np.array(["a", "b", "c"])[Y]
    clf.fit(X, labels)
    found = clf.predict_proba(X)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert set(clf.predict(X)) <= {"a", "b", "c"}
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), found)


def test_one_output_serves_two_classes():
    rows = Y < 2
    clf = KerasClassifier(single, epochs=40, random_state=0).fit(X[rows], Y[rows])
    assert clf.score(X[rows], Y[rows]) == 1
    assert clf.predict_proba(X[rows]).shape == (rows.sum(), 2)


def test_rows_of_any_shape_survive_pickling():
    series = np.random.RandomState(0).randn(40, 6, 2).astype("float32")
    y = (series[:, 0, 0] > 0).astype(int)
    clf = KerasClassifier(convolve, epochs=30, random_state=0, class_weight="balanced")
    clf.fit(series, y)
    assert "jax" in clf.engine_
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_allclose(
        again.predict_proba(series), clf.predict_proba(series), rtol=1e-6
    )


def test_weights_count():
    clf: Any = KerasClassifier(**QUICK)
    weight = np.where(Y == 1, 0.0, 1.0)
    weighted: Any = fresh(clf).fit(X, Y, sample_weight=weight)
    assert 1 not in weighted.predict(X)
    by_class: Any = fresh(clf).set_params(class_weight={1: 0.0}).fit(X, Y)
    np.testing.assert_allclose(
        by_class.predict_proba(X), weighted.predict_proba(X), rtol=1e-5
    )


def test_values_keep_their_shape():
    reg: Any = KerasRegressor(**QUICK)
    target = X[:, :2] @ np.array([[1.0, 2], [3, -1]])
    assert fresh(reg).fit(X, target).predict(X).shape == (len(X), 2)
    single_column = fresh(reg).fit(X, target[:, 0])
    assert single_column.predict(X).shape == (len(X),)
    assert single_column.score(X, target[:, 0]) > 0.99


def test_stops_early_on_rows_held_out():
    seen = []
    clf = KerasClassifier(
        build, epochs=300, validation_fraction=0.3, patience=2, random_state=0,
        settings={"learning_rate": 0.05, "tol": 1e-3}, callbacks=[seen.append],
    ).fit(X, Y)  # fmt: skip
    assert clf.n_iter_ == len(seen) < 300
    assert "validation loss" in clf.stop_reason_


def ends(*layers: Callable[[int], Any], loss: Any = None) -> Callable[..., Any]:
    def made(shape: tuple[int, ...], n_outputs: int) -> Any:
        found = [layer(n_outputs) for layer in layers]
        model = keras.Sequential([keras.Input(shape), *found])
        if loss is not None:
            model.compile("adam", loss)
        return model

    return made


SPARSE, L = "sparse_categorical_crossentropy", keras.layers
FROM_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
GIVES_PROBABILITIES: dict[str, Any] = {
    "one after": ends(L.Dense, lambda n: L.Activation("softmax"), loss=SPARSE),
    "nested": ends(lambda n: keras.Sequential([L.Dense(n, "softmax")]), loss=SPARSE),
    "a function": ends(L.Dense, lambda n: L.Lambda(keras.ops.softmax), loss=SPARSE),
    "trained on squares": ends(lambda n: L.Dense(n, "softmax"), loss="mse"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GIVES_PROBABILITIES)
def test_probabilities_are_not_squashed_twice(name: str):
    clf = KerasClassifier(GIVES_PROBABILITIES[name], epochs=1, random_state=0).fit(X, Y)
    found = clf.predict_proba(X)
    np.testing.assert_allclose(found, clf.model_(X.astype("f4")), atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(("units", "end"), [(1, "sigmoid"), (4, "linear")])
def test_outputs_that_do_not_match_the_classes_are_refused(units: int, end: str):
    loss = "binary_crossentropy" if units == 1 else FROM_LOGITS
    build = ends(lambda n: L.Dense(units, end), loss=loss)
    with pytest.raises(ValueError, match=rf"{units} outputs? for 3 classes"):
        KerasClassifier(build).fit(X, Y)


def test_a_model_is_no_function_that_builds_one():
    model: Any = keras.Sequential([keras.Input((4,)), L.Dense(3)])
    with pytest.raises(ValueError, match=r"a Keras model\. Give a function"):
        KerasClassifier(model).fit(X, Y)


def test_goes_on_from_the_weights_and_the_optimizer_of_now():
    build = ends(lambda n: L.Dense(n, "softmax"), loss=SPARSE)
    clf: Any = KerasClassifier(build, epochs=2, random_state=0, warm_start=True)
    clf.set_params(optimizer__learning_rate=0.1)
    first, second = clf.fit(X, Y).history_.loss, clf.fit(X, Y).history_.loss
    assert second[0] < first[0]
    clf.partial_fit(X, Y)
    assert int(clf.model_.optimizer.iterations) == 10  # five epochs of two batches
    assert float(clf.model_.optimizer.learning_rate) == pytest.approx(0.001)
    with pytest.raises(ValueError, match="the class 3, which the first fit"):
        clf.partial_fit(X, Y + 1)


LABELS = np.column_stack([Y == 0, Y >= 1, X[:, 0] > 6]).astype(int)


def labelled(shape: tuple[int, ...], n_outputs: int, end: str = "sigmoid") -> Any:
    model = keras.Sequential([keras.Input(shape), L.Dense(n_outputs, end)])
    logits = end == "linear"
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=logits))
    return model


def uncompiled(shape: tuple[int, ...], n_outputs: int) -> Any:
    return keras.Sequential([keras.Input(shape), L.Dense(n_outputs)])


@pytest.mark.parametrize(
    "build", [labelled, partial(labelled, end="linear"), uncompiled],
    ids=["sigmoid", "logits", "uncompiled"],
)  # fmt: skip
def test_learns_several_labels_of_a_row(build: Any):
    clf: Any = KerasClassifier(
        build, settings={"optimizer": "lbfgs"}, epochs=60, random_state=0
    )
    proba = clf.fit(X, csr_array(LABELS)).predict_proba(X)
    outputs = np.asarray(clf.model_(X.astype("f4")))
    raw = clf.model_.layers[-1].activation is keras.activations.linear
    np.testing.assert_allclose(
        proba, expit(outputs) if raw else outputs, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(clf.predict(X), proba > 0.5)
    assert clf.score(X, LABELS) > 0.9
    again: Any = pickle.loads(pickle.dumps(clf))
    np.testing.assert_allclose(again.predict_proba(X), proba, rtol=1e-5)
    with pytest.raises(ValueError, match=r"y of one column, but .* had 3 columns"):
        clf.partial_fit(X, Y)


WRONG_LABELS: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "a softmax": (partial(labelled, end="softmax"), LABELS, {}, "one class only"),
    "a loss of classes": (
        uncompiled, LABELS, {"settings": {"loss": "cross_entropy"}}, "one class only",
    ),
    "other numbers": (labelled, LABELS + 1, {}, "3 columns that do not hold 0 and 1"),
    "classes": (labelled, LABELS * [[1, 2, 3]], {}, "fit a classifier for each"),
    "outputs": (
        lambda shape, n: labelled(shape, 2), LABELS, {}, "2 outputs for 3 targets",
    ),
    "weights": (labelled, LABELS, {"class_weight": {0: 1.0}}, "Use 'balanced'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_LABELS)
def test_labels_that_the_model_cannot_have_are_refused(name: str):
    build, y, options, sentence = WRONG_LABELS[name]
    with pytest.raises(ValueError, match=sentence):
        KerasClassifier(build, epochs=1, **options).fit(X, y)


@pytest.mark.parametrize("kind", [KerasClassifier, KerasRegressor])
def test_a_model_with_several_outputs_is_refused(kind: Any):
    def build(shape: tuple[int, ...], n_outputs: int) -> Any:
        inputs = keras.Input(shape)
        model = keras.Model(inputs, [L.Dense(1)(inputs), L.Dense(1)(inputs)])
        model.compile("sgd", "mse")
        return model

    with pytest.raises(ValueError, match="several outputs"):
        kind(build, epochs=1).fit(X, LABELS[:, :2])


def dense(shape: tuple[int, ...], n_outputs: int) -> Any:
    model = keras.Sequential([keras.Input(shape), L.Dense(n_outputs, "softmax")])
    model.compile("sgd", SPARSE)
    return model


@pytest.mark.parametrize("build", [None, dense], ids=["default", "compiled"])
def test_callbacks_of_scikit_learn_see_every_epoch(build: Any):
    monitor: Any = ScoringMonitor(scoring="accuracy")
    clf: Any = KerasClassifier(build, epochs=3, random_state=0)
    clf.set_callbacks(monitor).fit(X, Y)
    rows = monitor.get_logs().data
    epochs = [row["accuracy"] for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == clf.n_iter_ == 3
    assert epochs[-1] == clf.score(X, Y)
    fits = [row["accuracy"] for row in rows if row["task_name"] == "fit"]
    assert fits == epochs[-1:]
    clf.partial_fit(X, Y)
    assert len(monitor.get_logs().data) == len(rows)


@pytest.mark.parametrize("goes_on", ["partial_fit", "fit"])
def test_what_was_pickled_goes_on(goes_on: str):
    def adam(shape: tuple[int, ...], n_outputs: int) -> Any:
        model = dense(shape, n_outputs)
        model.compile("adam", SPARSE)
        return model

    clf: Any = KerasClassifier(adam, epochs=1, random_state=0, warm_start=True)
    clf.fit(X, Y)
    again = _reloaded(clf)
    for each in (clf, again):
        getattr(each, goes_on)(X, Y)
    for one, other in zip(
        clf.model_.variables + clf.model_.optimizer.variables,
        again.model_.variables + again.model_.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(one.value, other.value)


def _reloaded(estimator: Any) -> Any:
    """Put what a pickle would hold into another estimator."""
    other = object.__new__(type(estimator))
    other.__setstate__(estimator.__getstate__())
    return other


def test_a_loaded_model_goes_on(tmp_path: Any):
    clf: Any = KerasRegressor(epochs=1, random_state=0, warm_start=True)
    clf.fit(X, Y.astype(float)).save(tmp_path / "model")
    again: Any = KerasRegressor.load(tmp_path / "model")
    for each in (clf, again):
        each.partial_fit(X, Y.astype(float)).fit(X, Y.astype(float))
    np.testing.assert_array_equal(clf.predict(X), again.predict(X))


def test_an_option_of_the_optimizer_is_no_parameter():
    with pytest.raises(ValueError, match=r"momentum=0\.9\. Of the .*model__momentum"):
        KerasClassifier(dense).set_params(optimizer__momentum=0.9)


def test_searches_by_the_names_of_scikeras():
    grid = {"model__units": [3], "optimizer__learning_rate": [1e-9, 0.1]}
    clf = KerasClassifier(partial(build, end="softmax", loss=SPARSE), epochs=3)
    clf.set_params(random_state=0)
    found: Any = GridSearchCV(clf, grid, cv=2).fit(X, Y)
    assert found.best_params_ == {"model__units": 3, "optimizer__learning_rate": 0.1}
    assert found.best_estimator_.model_.layers[0].units == 3
