"""`thalweg.load` reads every kind of model file, once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.io import model_file
from thalweg.io.model_file import read_model_file, write_model_file

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.arange(40) % 2
SMALL: dict[str, Any] = {"hidden_layer_sizes": (3,), "random_state": 0}
MLP: dict[str, Any] = {**SMALL, "max_iter": 2}
TABLE: dict[str, Any] = {**SMALL, "max_epochs": 2}
KINDS: dict[str, Callable[[], Any]] = {
    "MLPClassifier": lambda: tw.MLPClassifier(**MLP),
    "MLPRegressor": lambda: tw.MLPRegressor(**MLP),
    "Classifier": lambda: tw.Classifier(**TABLE),
    "Regressor": lambda: tw.Regressor(**TABLE),
    "Ensemble": lambda: tw.Ensemble(tw.Classifier(**TABLE), 2, random_state=0),
    "Ensemble of ensembles": lambda: tw.Ensemble(
        tw.Ensemble(tw.MLPClassifier(**MLP), 2), 2, random_state=0
    ),
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The paths of all files that are opened."""
    opened, genuine = [], model_file.safe_open

    def open_file(path: Any, **options: Any) -> Any:
        opened.append(path)
        return genuine(path, **options)

    monkeypatch.setattr(model_file, "safe_open", open_file)
    return opened


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_once(kind: str, tmp_path: Path, reads: list[Any]) -> None:
    model = KINDS[kind]().fit(X, Y)
    path = tmp_path / "model"
    model.save(path)
    back = tw.load(path)
    assert reads == [path]
    assert type(back) is type(model)
    np.testing.assert_array_equal(back.predict(X), model.predict(X))


def test_a_run_is_read_once(tmp_path: Path, reads: list[Any]) -> None:
    run = tw.fit(tw.DenseNetwork.from_sizes((3, 1)), X, X[:, 0], epochs=2)
    tw.save(run, tmp_path / "run")
    back = tw.load(tmp_path / "run")
    assert len(reads) == 1
    np.testing.assert_array_equal(tw.predict(back, X), tw.predict(run, X))


@pytest.mark.parametrize(
    "parameters",
    [
        {"class_weight": {0: 1.0, 1: np.float64(2)}},
        {"hidden_layer_sizes": [3, 2], "optimizer": ("adam", {"beta_1": 0.8})},
        {"optimizer": ["sgd", ("adam", {"beta_1": 0.8})], "max_epochs": [1, 2]},
        {"batch_size": np.int64(8), "random_state": None},
    ],
)
def test_parameters_come_back_with_their_types(
    parameters: dict[str, Any], tmp_path: Path
) -> None:
    model = tw.Classifier(**{**TABLE, **parameters}).fit(X, Y)
    model.save(tmp_path / "model")
    assert tw.load(tmp_path / "model").get_params() == model.get_params()


def test_the_parameters_of_format_1_are_plain_values(tmp_path: Path) -> None:
    model = tw.Classifier(**TABLE).fit(X, Y)
    model.save(tmp_path / "model")
    kind, content, arrays = read_model_file(tmp_path / "model")
    plain = {"hidden_layer_sizes": [3], "class_weight": {"a": 1.0}, "max_epochs": 2}
    write_model_file(tmp_path / "old", kind, {**content, "settings": plain}, arrays)
    back = tw.load(tmp_path / "old")
    assert (back.hidden_layer_sizes, back.class_weight) == ((3,), {"a": 1.0})
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))


def test_an_unknown_kind_is_named_with_the_known_ones(tmp_path: Path) -> None:
    write_model_file(tmp_path / "model", "Mystery", {}, {})
    with pytest.raises(
        ValueError, match=r"model holds a Mystery, .* Classifier, Ensemble, .* run\."
    ):
        tw.load(tmp_path / "model")


def test_a_class_of_the_users_own_loads_its_own_files(tmp_path: Path) -> None:
    class Mine(tw.MLPClassifier):
        pass

    model = Mine(**MLP).fit(X, Y)
    model.save(tmp_path / "model")
    back = Mine.load(tmp_path / "model")
    assert type(back) is Mine
    np.testing.assert_array_equal(back.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="with its own load method"):
        tw.load(tmp_path / "model")
