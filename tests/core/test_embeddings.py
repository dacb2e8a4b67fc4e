"""Embeddings as data: their checks, their JSON, and what they begin with."""

import json
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core.embeddings import EMBEDDINGS, Embedding

CATEGORIES = ("categories", {"levels": 3})
TWO_PIECES = ("piecewise", {"pieces": 2})
LAYERS = (tw.Dense(4), tw.Dense(1, "identity"))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"columns": ()}, r"columns=\(\).*at least one"),
        ({"columns": (1, 1)}, "each only once"),
        ({"columns": -1}, "columns=-1.*whole number"),
        ({"columns": "age"}, "columns='age'.*whole number"),
        ({"columns": 1.5}, "columns=1.5.*whole number"),
        ({"columns": 0, "units": 0}, "units=0"),
        ({"columns": 0, "kind": "perodic"}, "Did you mean 'periodic'"),
        ({"columns": 0, "kind": "categories"}, "without the number"),
        ({"columns": 0, "kind": ("categories", {"levels": 2.5})}, "levels=2.5"),
        ({"columns": 0, "kind": ("periodic", {"scale": 0})}, "scale=0"),
        ({"columns": 0, "kind": ("periodic", {"levels": 3})}, "levels"),
        ({"columns": 0, "edges": (0, 1)}, "kind='periodic', which has no pieces"),
        *(
            (
                {"columns": 0, "kind": ("piecewise", {"pieces": 2}), "edges": edges},
                "2 p",
            )
            for edges in ((0, 1), (0, 1, 1), (0, np.nan, 1), "abc", (2, 1, 0))
        ),
    ],
)
def test_what_is_wrong_is_said(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Embedding(**given)


def test_a_function_is_no_kind() -> None:
    with pytest.raises(TypeError, match="by name only"):
        Embedding((0,), lambda x: x)


@pytest.mark.parametrize(
    ("embedding", "sentence"),
    [
        (Embedding((3,)), "column 3.*0 to 2"),
        ([Embedding((0, 1)), Embedding((2, 1))], "two embeddings of column 1"),
        ("periodic", "embedding='periodic'"),
        ([0], r"embedding=\[0\]"),
        (None, "embedding=None"),
    ],
)
def test_what_does_not_fit_a_network_is_said(embedding: Any, sentence: str) -> None:
    with pytest.raises((ValueError, TypeError), match=sentence):
        tw.DenseNetwork(3, LAYERS, embedding=embedding)


def example(**more: Any) -> tw.DenseNetwork:
    embedding = [
        Embedding((4, 1), CATEGORIES, 2),
        Embedding((0,), ("periodic", {"frequencies": 5}), 3),
        Embedding((2, 3), ("piecewise", {"pieces": 2}), 4, **more),
    ]
    return tw.DenseNetwork.from_sizes((6, 7, 1), embedding=embedding)


def test_widths_and_all_parameters_are_counted() -> None:
    network = example()
    assert network.plain_columns == (5,)
    assert network.widths == (1 + 4 + 3 + 8, 7, 1)
    tables, waves = 2 * (3 + 1) * 2, 5 + 10 * 3 + 3
    pieces = 2 + 4 + 4 * 4 + 8
    assert network.n_parameters == tables + waves + pieces + 16 * 7 + 7 + 7 + 1
    drawn = network.draw(0)
    assert sum(v.size for own in drawn for v in own.values()) == network.n_parameters
    network.check(drawn)


def test_json_keeps_them_and_a_network_without_is_written_as_before() -> None:
    network = example(edges=((0.0, 0.25, 2.0), (-1.0, 3.0, 4.0)))
    again = tw.DenseNetwork.from_json(json.loads(json.dumps(network.to_json())))
    assert again == network
    assert again.embedding[2].edges == network.embedding[2].edges
    plain = tw.DenseNetwork.from_sizes((2, 1))
    assert "embedding" not in plain.to_json()
    assert tw.DenseNetwork.from_json(plain.to_json()) == plain


def test_the_same_seed_draws_the_same_and_pieces_begin_at_their_edges() -> None:
    edges = ((0.0, 0.25, 2.0), (-1.0, 3.0, 4.0))
    network = example(edges=edges)
    first, second = network.draw(3)[0], network.draw(3)[0]
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    np.testing.assert_array_equal(first["embedding_2_starts"], [0, -1])
    widths = np.exp(first["embedding_2_log_widths"])
    np.testing.assert_allclose(widths, np.diff(edges).ravel(), rtol=1e-15)
    np.testing.assert_array_equal(
        example().draw(3)[0]["embedding_2_starts"], [-2.0, -2.0]
    )


def test_frequencies_begin_with_the_deviation_that_is_asked_for() -> None:
    # Of n normal numbers the deviation scatters by σ/√(2n).
    each = Embedding((0,), ("periodic", {"frequencies": 4000, "scale": 0.3}))
    drawn = each.draw(np.random.RandomState(0))["frequencies"]
    assert abs(drawn.std() - 0.3) < 4 * 0.3 / 8000**0.5


def test_a_single_one_and_a_single_column_need_no_tuple() -> None:
    one: Any = 1
    single: Any = Embedding(one)
    assert single.columns == (1,)
    network = tw.DenseNetwork(3, LAYERS, embedding=single)
    assert network == tw.DenseNetwork(3, LAYERS, embedding=(Embedding((1,)),))


def test_a_summary_names_them() -> None:
    text = str(example())
    assert all(name in text for name in EMBEDDINGS)
