"""A model file keeps every parameter: a refit of what it holds is the same network."""

import datetime
import math
from decimal import Decimal
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline

import thalweg as tw
from thalweg.core import Plan
from thalweg.estimators.typed_json import from_json, to_json

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# A failing example is small as it is; to shrink it would take minutes.
PHASES = [Phase.explicit, Phase.generate]
X = np.random.default_rng(0).normal(size=(24, 3))
NUMBERS = np.arange(24) % 3
TARGET = X @ [1.0, -2.0, 0.5]


def as_types(values: st.SearchStrategy[Any], *types: Any) -> st.SearchStrategy[Any]:
    return st.builds(lambda kind, value: kind(value), st.sampled_from(types), values)


WHOLE = as_types(st.integers(1, 6), int, np.int64, np.int32, np.uint8)
REAL = as_types(st.floats(1e-6, 0.1), float, np.float64, np.float32)
SHARE = as_types(st.floats(0, 0.5), float, np.float64, np.float32)
FLAG = as_types(st.booleans(), bool, np.bool_)
SIZES = as_types(st.lists(WHOLE, max_size=2), tuple, list, np.array) | WHOLE
SEED = as_types(st.integers(0, 2**32 - 1), int, np.uint32) | as_types(
    st.integers(0, 9), np.random.RandomState
)
ACTIVATION = st.sampled_from(
    ["relu", "tanh", np.str_("gelu"), ("leaky_relu", {"slope": np.float32(0.3)})]
)
OPTIMIZER = st.sampled_from(
    [
        "adam",
        "lbfgs",
        ("adam", {"beta_1": np.float32(0.8)}),
        ("momentum", {"momentum": np.float64(0.5), "rate_in_velocity": np.True_}),
        ["sgd", ("adam", {"beta_2": 0.9})],
        Plan(optimizer=("rmsprop", {"decay": 0.8})).optimizer,
    ]
)
SCHEDULE = st.sampled_from(
    ["constant", ("cosine", {}), ("step", {"every": np.int64(1), "factor": 0.3})]
)
LABELS = st.sampled_from(
    [
        NUMBERS,
        NUMBERS.astype(np.uint8),
        NUMBERS + 2**60,
        NUMBERS.astype(np.uint64) + np.uint64(2**63),
        NUMBERS == 1,
        NUMBERS.astype(float),
        np.array(["-", "ü\n\t\0x", "=1+1 🙂"])[NUMBERS],
        np.array(["no", "x" * 99, "Ω"], object)[NUMBERS],
    ]
)


def class_weights(y: np.ndarray) -> st.SearchStrategy[Any]:
    labels = [*np.unique(y)]
    plain = np.unique(y).tolist()
    weight = as_types(st.integers(1, 5), int, float, np.float32, np.int64)
    given = st.lists(weight, min_size=len(labels), max_size=len(labels))
    pairs = st.builds(
        lambda keys, values: dict(zip(keys, values, strict=True)),
        st.sampled_from([labels, plain]),
        given,
    )
    return st.none() | st.just("balanced") | pairs


def drawn(data: Any, **strategies: Any) -> dict[str, Any]:
    """Draw each parameter, or leave it at its default."""
    given = {
        name: data.draw(strategy, label=name)
        for name, strategy in strategies.items()
        if data.draw(st.booleans())
    }
    if "lbfgs" in (given.get("solver"), given.get("optimizer")):
        given.pop("dropout", None)  # which it does not take
    return given


def check_refit(model: Any, y: Any, folder: Path) -> None:
    """Fit, save and load; then the refits of both are equal to the bit."""
    path = folder / "model"
    model.fit(X, y)
    tw.save(model, path)
    first = path.read_bytes()
    tw.save(model, path)
    assert path.read_bytes() == first
    back = tw.load(path)
    np.testing.assert_array_equal(back.predict(X), model.predict(X))
    if hasattr(model, "classes_"):
        assert np.asarray(back.classes_).dtype == np.asarray(model.classes_).dtype
    given, kept = model.get_params(), back.get_params()
    assert given.keys() == kept.keys()
    for name in given:
        if name.split("__")[-1] in ("random_state", "estimator"):
            continue
        assert type(kept[name]) is type(given[name])
        np.testing.assert_equal(kept[name], given[name])
    for again, before in zip(
        weights_of(back.fit(X, y)), weights_of(model.fit(X, y)), strict=True
    ):
        np.testing.assert_array_equal(again, before)


def weights_of(model: Any) -> list[Any]:
    if hasattr(model, "members_"):
        return [each for member in model.members_ for each in weights_of(member)]
    if hasattr(model, "model_"):
        return [np.array(each.value) for each in model.model_.weights]
    if hasattr(model, "coefs_"):
        return [*model.coefs_, *model.intercepts_]
    return [value for layer in model.run_.parameters for value in layer.values()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


MLP = {
    "hidden_layer_sizes": SIZES,
    "activation": ACTIVATION,
    "solver": OPTIMIZER,
    "alpha": REAL,
    "batch_size": st.just("auto") | WHOLE,
    "learning_rate_init": REAL,
    "shuffle": FLAG,
    "random_state": SEED,
    "tol": as_types(st.just(0.0), float, np.float32),
    "beta_1": SHARE,
    "n_iter_no_change": st.just(math.inf) | WHOLE,
    "dropout": SHARE,
    "batch_norm": FLAG,
    "init": st.sampled_from(["he_normal", "sklearn"]),
    "scale_inputs": FLAG,
    "dtype": st.sampled_from([None, "float32"]),
}
TABLE = {
    "hidden_layer_sizes": as_types(st.lists(WHOLE, max_size=2), tuple, list, np.array),
    "activation": ACTIVATION,
    "optimizer": OPTIMIZER,
    "piecewise": FLAG,
    "dropout": st.none() | SHARE,
    "batch_size": WHOLE,
    "l2": REAL,
    "random_state": SEED,
    "dtype": st.sampled_from(["float64", "float32"]),
}


@settings(max_examples=25, phases=PHASES)
@given(data=st.data(), y=LABELS)
def test_mlp_classifier(data: Any, y: Any, folder: Path) -> None:
    given = drawn(data, **MLP, class_weight=class_weights(y))
    model = tw.MLPClassifier(**{"random_state": 0, **given, "max_iter": np.int64(2)})
    check_refit(model, y, folder)


@settings(max_examples=15, phases=PHASES)
@given(data=st.data(), n_outputs=st.sampled_from([0, 2]))
def test_mlp_regressor(data: Any, n_outputs: int, folder: Path) -> None:
    y = np.column_stack([TARGET] * n_outputs) if n_outputs else TARGET
    loss = st.sampled_from(["squared_error", ("huber", {"delta": np.float32(0.1)})])
    given = drawn(data, **MLP, loss=loss)
    check_refit(tw.MLPRegressor(**{"random_state": 0, **given}, max_iter=2), y, folder)


@settings(max_examples=15, phases=PHASES)
@given(data=st.data(), y=LABELS)
def test_classifier(data: Any, y: Any, folder: Path) -> None:
    given = drawn(data, **TABLE, class_weight=class_weights(y))
    model = tw.Classifier(**{"random_state": 0, **given, "max_epochs": np.int64(2)})
    check_refit(model, y, folder)


@settings(max_examples=10, phases=PHASES)
@given(data=st.data())
def test_regressor(data: Any, folder: Path) -> None:
    given = drawn(data, **TABLE)
    model = tw.Regressor(**{"random_state": 0, **given}, max_epochs=2)
    check_refit(model, TARGET, folder)


@settings(max_examples=8, phases=PHASES)
@given(data=st.data(), y=LABELS)
def test_ensemble(data: Any, y: Any, folder: Path) -> None:
    member = tw.Classifier(
        **drawn(data, **TABLE, class_weight=class_weights(y)), max_epochs=1
    )
    model = tw.Ensemble(
        member, data.draw(WHOLE), **drawn(data, bootstrap=FLAG, n_jobs=st.none())
    )
    check_refit(model.set_params(random_state=data.draw(SEED)), y, folder)


@pytest.mark.keras
@pytest.mark.parametrize("kind", ["KerasClassifier", "KerasRegressor"])
def test_keras_estimators(kind: str, folder: Path) -> None:
    model = getattr(tw, kind)(
        epochs=1, random_state=np.int64(3), settings={"learning_rate": np.float32(0.1)}
    )
    labels = np.array(["a", "b", "c"])[NUMBERS]
    check_refit(model, labels if kind == "KerasClassifier" else TARGET, folder)


@pytest.mark.keras
def test_a_function_that_builds_a_model_is_refused(folder: Path) -> None:
    from thalweg.estimators.keras.estimators import default_model

    model = tw.KerasRegressor(default_model, epochs=1).fit(X, TARGET)
    with pytest.raises(ValueError, match=r"build_fn=.* cannot keep a function"):
        tw.save(model, folder / "refused")
    assert not (folder / "refused").exists()


def test_hidden_features(folder: Path) -> None:
    from sklearn.frozen import FrozenEstimator

    network = tw.MLPClassifier((3, 2), max_iter=1, random_state=0)
    fitted = FrozenEstimator(tw.MLPClassifier((3,), max_iter=1).fit(X, NUMBERS))
    for layer, inner in ((np.int64(0), network), (-1, fitted)):
        features = tw.HiddenFeatures(inner).set_params(layer=layer).fit(X, NUMBERS)
        tw.save(features, folder / "features")
        back = tw.load(folder / "features")
        np.testing.assert_array_equal(back.transform(X), features.transform(X))
        again = back.fit(X, NUMBERS).transform(X)
        np.testing.assert_array_equal(again, features.fit(X, NUMBERS).transform(X))
        assert [*back.get_feature_names_out()] == [*features.get_feature_names_out()]


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    pipeline = make_pipeline(tw.MLPClassifier(max_iter=1)).fit(X, NUMBERS)
    with pytest.raises(TypeError, match=r"got model=Pipeline.*Save the estimator at"):
        tw.save(pipeline, tmp_path / "model")
    for other in (None, 3, "model", X, tw.Plan()):
        with pytest.raises(TypeError, match=r"save got model=.* with pickle or skops"):
            tw.save(other, tmp_path / "model")
    assert not list(tmp_path.iterdir())


class Color(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


NOW = datetime.datetime(2024, 2, 29, 1, 2, 3, 4, datetime.timezone.utc)  # noqa: UP017
VALUES = [
    *(None, True, 3, 2**80, -0.0, math.inf, -math.inf, "a\ud800", "", b"\0\xff"),
    *((), (1, [2, (3,)]), {1: "a", False: 2, 1.5: 3, None: 4, (1, 2): 5, "x": {}}),
    *(np.float32(0.1), np.int8(3), np.True_, np.str_("ü"), np.bytes_(b"a\0b")),
    *(np.datetime64("2024-02-29"), np.timedelta64(3, "ns"), np.datetime64("NaT")),
    *(np.arange(6, dtype=">i4").reshape(2, 3), np.zeros((0, 2)), np.array(["a", "bc"])),
    *(np.array([1, "a", None, NOW.date()], object), np.array([2**70, 3], object)),
    *(NOW, NOW.date(), NOW.time(), datetime.timedelta(-1, 5, 6), Decimal("1.10")),
    Plan(loss=("huber", {"delta": 2.0})).loss,
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_with_its_type(value: Any) -> None:
    import json

    back = from_json(json.loads(json.dumps(to_json("it", value), allow_nan=False)))
    assert type(back) is type(value)
    if isinstance(value, np.ndarray):
        assert (back.dtype, back.shape) == (value.dtype, value.shape)
    np.testing.assert_equal(back, value)
    if isinstance(value, dict):
        assert [*map(type, back)] == [*map(type, value)]


def test_pandas_times_and_members_of_enumerations_are_kept() -> None:
    import pandas as pd

    zoned = pd.Timestamp("2024-02-29 01:02:03.000000004", tz="UTC")
    for value in (zoned, pd.Timedelta("1 days 00:00:00.000000001")):
        assert from_json(to_json("it", value)) == value
    assert from_json(to_json("it", [Color.RED, Level.HIGH])) == ["red", 3]


@pytest.mark.parametrize(
    "value",
    [len, lambda x: x, object(), 1j, np.longdouble(1), np.array([1j]), {1, 2}, [len]],
    ids=repr,
)
def test_what_no_file_can_keep_is_refused_by_its_name(value: Any) -> None:
    with pytest.raises(ValueError, match=r"with it=.*Use a named one"):
        to_json("it", value)
