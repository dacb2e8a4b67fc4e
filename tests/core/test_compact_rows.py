from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.core import CompactRows, Data, DenseNetwork, Ladder, OneHot, Plan
from thalweg.engines import load
from thalweg.training import fit, predict


def written_out(features: list[Any]) -> Any:
    """Write out features one row and one feature at a time."""
    parts = []
    for each in features:
        if isinstance(each, OneHot):
            wide = [[float(k == code) for k in range(each.width)] for code in each[0]]
        elif isinstance(each, Ladder):
            wide = [
                [
                    0.0 if code == each.width else 1.0 if k < code
                    else offset if k == code else -1.0
                    for k in range(each.width)
                ]
                for code, offset in zip(*each[:2], strict=True)
            ]  # fmt: skip
        else:
            wide = each.reshape(len(each), -1)
        parts.append(np.asarray(wide, float))
    return np.concatenate(parts, axis=1)


@st.composite
def features(draw: Any) -> list[Any]:
    n_rows = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    drawn = []
    for kind in draw(st.lists(st.sampled_from("1nol"), min_size=1, max_size=6)):
        width = draw(st.integers(1, 9))
        codes = rng.integers(0, width + 1, n_rows)
        if kind == "o":
            drawn.append(OneHot(codes, width))
        elif kind == "l":
            drawn.append(Ladder(codes, rng.uniform(-1, 1, n_rows), width))
        else:
            drawn.append(rng.normal(size=n_rows if kind == "1" else (n_rows, width)))
    return drawn


@given(features(), st.sampled_from(["float32", "float64"]))
def test_rows_are_written_out_as_their_features_say(drawn: Any, dtype: str):
    rows = CompactRows.of(drawn, dtype)
    expected = written_out(drawn).astype(dtype)
    assert rows.shape == expected.shape
    assert rows.dtype == dtype
    np.testing.assert_array_equal(rows.toarray(), expected)
    kept = np.arange(len(rows)) % 3 > 0
    np.testing.assert_array_equal(rows[kept].toarray(), expected[kept])


@pytest.mark.parametrize("engine", ["native", "jax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [3, 200])
def test_a_network_is_the_same_on_rows_in_compact_form(
    engine: Any, dtype: str, units: int
):
    rng = np.random.default_rng(0)
    n = 150
    rows = CompactRows.of(
        [
            rng.normal(size=n),
            Ladder(rng.integers(0, 9, n), rng.uniform(-1, 1, n), 8),
            OneHot(rng.integers(0, 31, n), 30),
            rng.normal(size=(n, 2)),
        ],
        dtype,
    )
    y = rng.integers(0, 2, n)
    network = DenseNetwork.from_sizes((41, units, 2), dropout=0.2)
    given = {"loss": "cross_entropy", "epochs": 2, "batch_size": 20, "dtype": dtype}
    runs = [
        fit(network, X, y, random_state=1, engine=engine, validation=0.2, **given)
        for X in (rows, rows.toarray())
    ]
    for one, other in zip(*(run.parameters for run in runs), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    np.testing.assert_array_equal(
        *(predict(runs[0], X) for X in (rows, rows.toarray()))
    )
    cost = [
        load(engine).cost_and_gradient(
            network,
            Plan(loss="cross_entropy"),
            runs[0].parameters,
            Data(X, y.astype(np.int32), np.ones(n, dtype)),
        )[0]
        for X in (rows, rows.toarray())
    ]
    assert cost[0] == cost[1]


def test_compact_rows_of_another_width_or_not_finite_are_refused():
    network = DenseNetwork.from_sizes((3, 2))
    rows = CompactRows.of([OneHot(np.array([0, 1]), 2)], "float32")
    with pytest.raises(ValueError, match="X has 2 features; the network takes 3"):
        fit(network, rows, np.array([0, 1]), loss="cross_entropy")
    rows = CompactRows.of([np.array([[0, 1, np.nan]] * 2)], "float32")
    with pytest.raises(ValueError, match="X holds nan in row 0, column 2"):
        fit(network, rows, np.array([0, 1]), loss="cross_entropy")
