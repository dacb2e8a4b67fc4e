"""Tables that `fit` takes as X train as the same matrix does."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 (what is given)
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

import thalweg as tw

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
pq = pytest.importorskip("pyarrow.parquet")

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.standard_normal((40, 3)), columns=list("abc"))
Y = (FRAME["a"] > 0).to_numpy() * 1
NETWORK = tw.DenseNetwork.from_sizes((3, 4, 2))
PLAN: dict[str, Any] = {"loss": "cross_entropy", "epochs": 1, "random_state": 0}
TABLES: dict[str, Any] = {
    "frame": (FRAME, pd.Series(Y)),
    "polars": (pl.from_pandas(FRAME), pl.Series(Y)),
    "lazy": (pl.from_pandas(FRAME).lazy(), Y),
    "arrow": (pa.Table.from_pandas(FRAME), pa.array(Y)),
    "record batch": (pa.RecordBatch.from_pandas(FRAME), pa.chunked_array([Y])),
    "dict": (FRAME.to_dict("list"), Y.tolist()),
    "dict of arrays": ({name: FRAME[name].to_numpy() for name in FRAME}, Y),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_train_as_their_matrix(name: str) -> None:
    rows, y = TABLES[name]
    found = tw.fit(NETWORK, rows, y, **PLAN, validation=(rows, y), dtype="float64")
    whole = FRAME.to_numpy()
    wanted = tw.fit(NETWORK, whole, Y, **PLAN, validation=(whole, Y), dtype="float64")
    np.testing.assert_array_equal(found.history.loss, wanted.history.loss)
    np.testing.assert_array_equal(tw.predict(found, rows), tw.predict(wanted, whole))
    model = tw.MLPClassifier(max_iter=2, random_state=0).partial_fit(
        rows, y, classes=[0, 1]
    )
    assert model.predict(rows).shape == (40,)


def test_a_table_of_arrow_may_hold_the_target(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(FRAME.assign(y=Y))
    pq.write_table(table, tmp_path / "rows.parquet")
    found = tw.fit(NETWORK, table, "y", **PLAN)
    read = tw.fit(NETWORK, tmp_path / "rows.parquet", "y", **PLAN)
    np.testing.assert_array_equal(found.history.loss, read.history.loss)


def test_a_lazy_target_is_computed() -> None:
    lazy = pl.from_pandas(FRAME.assign(y=Y)).lazy()
    model = tw.Classifier(max_epochs=2).fit(lazy.drop("y"), lazy.select("y"))
    assert set(model.predict(lazy.drop("y"))) <= {0, 1}


def test_a_path_beside_an_array_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pandas(FRAME.assign(y=Y)), path)
    weighted: dict[str, Any] = {"sample_weight": Y + 1.0}
    for y, more in ((Y, {}), (pd.Series(Y), {}), ("y", weighted)):
        with pytest.raises(ValueError, match="names a column of it"):
            tw.fit(NETWORK, path, y, **PLAN, **more)
    for kind in (tw.Classifier, tw.MLPClassifier):
        with pytest.raises(ValueError, match=r"a path.*Read the file first"):
            kind().fit(str(path), Y)
    run = tw.fit(NETWORK, FRAME, Y, **PLAN)
    with pytest.raises(ValueError, match=r"a path.*Read the file first"):
        tw.predict(run, path)
    with pytest.raises(ValueError, match="columns of numbers, all of one length"):
        tw.fit(NETWORK, {"a": [1, 2], "b": [1]}, [0, 1], **PLAN)


# ------------------------------------------------------------- rows of weight 0

X3 = RNG.standard_normal((60, 3))
VALUES = X3 @ [1.0, 2.0, 3.0]
FAR = np.vstack([X3, np.full((5, 3), 1e6)]), np.r_[VALUES, np.full(5, 1e6)]
NONE = np.r_[np.ones(60), np.zeros(5)]


@pytest.mark.parametrize(
    "model",
    [
        tw.Regressor(random_state=0, max_epochs=3),
        tw.MLPRegressor(
            random_state=0, early_stopping=True, max_iter=3, n_iter_no_change=9
        ),
        tw.MLPRegressor(
            random_state=0, early_stopping=True, max_iter=3, scale_inputs=True
        ),
    ],
    ids=["table", "early stopping", "scaled"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_of_weight_0_count_for_nothing(model: Any) -> None:
    """They are in no split, and set no scale."""
    with_them = model.fit(*FAR, sample_weight=NONE).predict(X3)
    without = model.fit(X3, VALUES).predict(X3)
    np.testing.assert_allclose(with_them, without, rtol=1e-6, atol=1e-8)


def test_a_scaler_heeds_weights() -> None:
    kind = tw.MLPRegressor(scale_inputs=True, max_iter=1, random_state=0)
    weights = RNG.integers(0, 4, 60)
    some = np.repeat(np.arange(60), weights)
    means = kind.partial_fit(X3, VALUES, weights).scaler_.mean_
    np.testing.assert_allclose(means, X3[some].mean(axis=0))


def test_the_scale_of_targets_heeds_weights() -> None:
    weights = RNG.integers(0, 4, 60)
    for y in (VALUES, np.column_stack([VALUES, VALUES**2])):
        model = tw.Regressor(max_epochs=1).fit(X3, y, sample_weight=weights)
        targets = getattr(model.target_, "targets", (model.target_,))
        repeated = np.repeat(y.reshape(60, -1), weights, axis=0)
        centers, scales = zip(*((t.center, t.scale) for t in targets), strict=True)
        np.testing.assert_allclose(centers, repeated.mean(axis=0))
        np.testing.assert_allclose(scales, repeated.std(axis=0))


def test_no_share_of_rows_of_weight_0_is_held_out() -> None:
    network = tw.DenseNetwork.from_sizes((3, 4, 1))
    own: dict[str, Any] = {"validation": 0.2, "epochs": 2, "random_state": 0}
    found = tw.fit(network, *FAR, sample_weight=NONE, **own)
    wanted = tw.fit(network, X3, VALUES, **own)
    np.testing.assert_array_equal(found.history.loss, wanted.history.loss)
    one, other = (run.history.validation_score for run in (found, wanted))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", ["dok", "coo", "bsr", "lil", "dia"])
def test_sparse_matrices_of_any_format_are_rows(form: str) -> None:
    """One format is a mapping, which is no mapping of columns; some cannot be cut."""
    drawn = sparse.random(30, 4, 0.5, rng=np.random.default_rng(0))
    X: Any = drawn.asformat(form)
    y = np.arange(30) % 2
    seen: list[int] = []
    settings: dict[str, Any] = {"max_iter": 2, "tol": 0.0, "random_state": 0}
    settings |= {"callbacks": [lambda record: seen.append(record.epoch)]}
    with pytest.warns(ConvergenceWarning):
        found = tw.MLPClassifier(**settings).fit(X, y)
    with pytest.warns(ConvergenceWarning):
        wanted = tw.MLPClassifier(**settings).fit(X.tocsr(), y)
    np.testing.assert_array_equal(found.predict_proba(X), wanted.predict_proba(X))
    assert seen == [1, 2, 1, 2]
