"""`Classifier` and `Regressor` take scikit-learn's names, and several targets."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier

import thalweg as tw

X = np.random.default_rng(0).normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5]
BOTH = np.column_stack([100 * Y + 7, X[:, 0]])
FEW: dict[str, Any] = {"hidden_layer_sizes": 4, "random_state": 0}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"hidden_layer_sizes": 4}, {"hidden_layer_sizes": (4,)}),
        ({"hidden_layer_sizes": np.int64(4)}, {"hidden_layer_sizes": [4]}),
        ({"max_iter": 3}, {"max_epochs": 3}),
        ({"learning_rate_init": 0.01}, {"learning_rate": 0.01}),
        ({"n_iter_no_change": 2}, {"patience": 2}),
        ({"n_iter_no_change": np.inf}, {"patience": None}),
        ({"batch_size": "auto"}, {"batch_size": 60}),
        ({"activation": "sigmoid"}, {"activation": "logistic"}),
        ({"activation": ("swish", {})}, {"activation": "silu"}),
        # A batch of all rows: what the penalty is divided by is the same.
        ({"alpha": 0.3, "batch_size": 60}, {"l2": 0.3, "batch_size": 60}),
        (
            {"alpha": 0.3, "optimizer": "lbfgs"},
            {"l2": 0.3, "optimizer": "lbfgs"},
        ),
    ],
)
def test_a_name_of_scikit_learn_trains_the_same_network(
    theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    few = {**FEW, "max_epochs": 3}
    if "max_iter" in theirs:
        few.pop("max_epochs")
    left = tw.Regressor(**{**few, **theirs}).fit(X, Y)
    right = tw.Regressor(**{**few, **ours}).fit(X, Y)
    np.testing.assert_array_equal(left.predict(X), right.predict(X))


def test_alpha_is_divided_by_the_batch_as_in_scikit_learn() -> None:
    plan = tw.Regressor(**FEW, max_iter=1, alpha=0.5).fit(X, Y).run_.plan
    assert (plan.l2, plan.penalty_scale) == (0.5, "batch")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_iter": 3, "max_epochs": 4}, "max_iter=3 and max_epochs=4, two names"),
        ({"alpha": 1.0, "l2": 2.0}, "alpha=1.0 and l2=2.0, two names"),
        ({"learning_rate": "adaptive"}, "'adaptive' instead.*parameter schedule"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be > 0"),
        ({"hidden_layer_sizes": (3, 1.5)}, "'hidden_layer_sizes' parameter"),
    ],
)
def test_what_contradicts_is_said(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tw.Classifier(**parameters).fit(X, Y > 0)


def test_the_names_are_parameters_like_any_other() -> None:
    model: Any = clone(tw.Classifier(**FEW).set_params(max_iter=2))
    assert model.get_params()["max_iter"] == 2
    grid = {"max_iter": [1, 2], "activation": ["sigmoid", "swish"]}
    found = GridSearchCV(model, grid, cv=2).fit(X, Y > 0)
    assert set(found.best_params_) == {"max_iter", "activation"}


def test_each_epoch_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    tw.Classifier(**FEW, max_iter=2, verbose=True).fit(X, Y > 0)
    assert capsys.readouterr().out.startswith("Epoch 1, loss = ")


def test_logarithms_of_probabilities() -> None:
    model = tw.Classifier(**FEW, max_iter=2).fit(X, Y > 0)
    shares = np.exp(model.predict_log_proba(X))
    np.testing.assert_allclose(shares, model.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("as_frame", [False, True])
def test_several_targets_are_predicted(as_frame: bool, tmp_path: Path) -> None:
    y: Any = pd.DataFrame(BOTH, columns=["a", "b"]) if as_frame else BOTH
    model = tw.Regressor(16, max_iter=300, learning_rate_init=0.01, random_state=0)
    model.fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == (60, 2)
    assert model.score(X, y) > 0.95
    tw.save(model, tmp_path / "model")
    np.testing.assert_array_equal(tw.load(tmp_path / "model").predict(X), predicted)


def test_rows_without_one_of_the_targets_are_left_out() -> None:
    y = BOTH.copy()
    y[3, 1] = np.nan
    with pytest.warns(UserWarning, match="1 of 60 rows have no target"):
        left = tw.Regressor(**FEW, max_iter=2).fit(X, y)
    rows = np.arange(60) != 3
    right = tw.Regressor(**FEW, max_iter=2).fit(X[rows], y[rows])
    np.testing.assert_array_equal(left.predict(X), right.predict(X))


def test_several_targets_of_classes_name_the_way() -> None:
    with pytest.raises(ValueError, match="MultiOutputClassifier"):
        tw.Classifier(**FEW).fit(X, BOTH > 0)
    model = MultiOutputClassifier(tw.Classifier(**FEW, max_iter=1))
    assert model.fit(X, BOTH > 0).predict(X).shape == (60, 2)


@pytest.mark.parametrize("kind", [tw.Classifier, tw.Regressor])
def test_a_fit_that_diverges_is_told(kind: Any) -> None:
    model = kind(**FEW, max_iter=5, learning_rate_init=1e30)
    with pytest.warns(Warning, match=r"Training diverged.*Lower learning_rate, which"):
        model.fit(X, Y > 0)


def test_numbers_that_overflow_name_their_column() -> None:
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    huge = table.assign(b=np.where(Y > 0, 1e308, -1e308))
    model = tw.Regressor(**FEW, max_iter=1).fit(table, Y)
    for action in (lambda: model.fit(huge, Y), lambda: model.predict(huge)):
        with pytest.raises(ValueError, match=r"column 'b' holds -?1e\+308 in row"):
            action()
    with pytest.raises(ValueError, match="target 'y' holds"):
        model.fit(table, Y * 1e200)


@pytest.mark.parametrize("kind", [tw.Classifier, tw.MLPClassifier])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({0: -1.0}, "finite number of at least 0"),
        ({0: np.nan}, "finite number"),
        ({0: np.inf}, "finite number"),
        ({0: True}, "finite number"),
        ({0: "a"}, "finite number"),
        ({0: 1.0, 7: 2.0}, "class_weight for 7, which is no class of y"),
        ({"0": 1.0}, "class_weight for '0', which is no class"),
        ({0: 0.0, 1: 0.0}, "At least one class"),
    ],
)
def test_wrong_weights_of_classes_are_named(
    kind: Any, given: dict[Any, Any], message: str
) -> None:
    model = kind(**FEW, max_iter=1, class_weight=given)
    with pytest.raises(ValueError, match=message):
        model.fit(X, (Y > 0).astype(int))


def test_validation_data_that_weigh_nothing_are_named() -> None:
    network = tw.DenseNetwork.from_sizes((3, 1))
    with pytest.raises(ValueError, match="validation: sample_weight is zero"):
        tw.fit(network, X, Y, validation=(X, Y, np.zeros(60)))
