"""Learned embeddings on the engine that has them, against the slow reference.

Tolerances are those of `test_engines`: 1e-10 for sums in another order, 1e-7 for
central differences.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.helpers import draw_data, draw_parameters
from tests.reference import networks as references
from thalweg import engines
from thalweg.core.data import Data
from thalweg.core.networks import DenseNetwork
from thalweg.core.plan import Plan, mixing_factors
from thalweg.core.types import Parameters

EXACT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}
DIFFERENCES: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-7}
PLAN = Plan(loss="log_cosh", l1=0.1, l2=0.3)
JAX = engines.load("jax")

EMBEDDINGS: dict[str, list[tw.Embedding]] = {
    "categories": [tw.Embedding((1,), ("categories", {"levels": 3}), 2)],
    "periodic": [tw.Embedding((0, 2), ("periodic", {"frequencies": 3}), 4)],
    "piecewise": [tw.Embedding((2, 0), ("piecewise", {"pieces": 3}), 3)],
    "all inputs": [
        tw.Embedding((2, 0), ("piecewise", {"pieces": 1}), 3),
        tw.Embedding((1,), ("categories", {"levels": 2}), 1),
        tw.Embedding((3,), ("periodic", {"frequencies": 1}), 2),
    ],
}


def network(name: str, **first: Any) -> DenseNetwork:
    layers = (tw.Dense(4, "tanh", **first), tw.Dense(2, "identity"))
    return DenseNetwork(4, layers, embedding=tuple(EMBEDDINGS[name]))


def rows(of: DenseNetwork, n_rows: int = 9) -> Data:
    """Rows whose second column holds codes, known and unknown ones."""
    data = draw_data(of, PLAN, n_rows)
    X = data.X.copy()
    X[:, 1] = np.resize([0, 2, -1, 1, 7, 1.5, 0, 1, 2], n_rows)
    return replace(data, X=X)


def slopes(value: Any, parameters: Parameters, like: Parameters) -> Parameters:
    found = references.central_differences(value, parameters)
    return tuple({k: new[k] for k in own} for own, new in zip(like, found, strict=True))


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_the_reference_itself_is_right(name: str) -> None:
    """Its backward pass, with noise, dropout and batch statistics."""
    noisy = network(name, normalization="batch", dropout=0.4)
    noisy = replace(noisy, input_noise=0.1)
    parameters, data = draw_parameters(noisy), rows(noisy)

    def value(p: Parameters) -> float:
        return references.cost_and_gradient(noisy, PLAN, p, data, (5, 2))[0]

    _, gradient, _ = references.cost_and_gradient(noisy, PLAN, parameters, data, (5, 2))
    expected = slopes(value, parameters, gradient)
    references.assert_close(gradient, expected, **DIFFERENCES)


@pytest.mark.parametrize(
    ("name", "frozen"), [*((name, False) for name in EMBEDDINGS), ("all inputs", True)]
)
def test_outputs_and_gradient(name: str, frozen: bool) -> None:
    of = network(name, frozen=frozen)
    parameters, data = draw_parameters(of), rows(of)
    outputs = JAX.activations(of, parameters, data.X)
    expected = references.forward(of, parameters, data.X).inputs[1:]
    for mine, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(mine, other, **EXACT)
    value, gradient = JAX.cost_and_gradient(of, PLAN, parameters, data)
    reference, analytic = references.objective(of, PLAN, parameters, data)
    np.testing.assert_allclose(value, reference, **EXACT)
    references.assert_close(gradient, analytic, **EXACT)
    assert frozen == (not gradient[0])


@pytest.mark.slow
def test_steps_with_noise_decay_averages_and_layer_rates() -> None:
    of = replace(network("all inputs", dropout=0.3), input_noise=0.1)
    plan = replace(
        PLAN, optimizer="adam", weight_decay=0.1, average="ema", batch_size=4,
        layer_rates=(0.5, 1.0), clip_norm=1.0,
    )  # fmt: skip
    parameters, data = draw_parameters(of), rows(of)
    rng = np.random.default_rng(0)
    orders = np.stack([rng.permutation(9) for _ in range(2)]).astype(np.int32)
    rates = np.full(6, 0.01)
    session = JAX.session(of, plan, data, parameters, 5)
    sums = session.advance(orders, rates, mixing_factors(plan, 0, 6, 9))
    expected = references.train(of, plan, data, parameters, orders, rates, seed=5)
    # As in `test_optimizers`: Adam divides by roots, which six steps hardly enlarge.
    references.assert_close(
        session.parameters(), expected.parameters, rtol=1e-8, atol=1e-8
    )
    np.testing.assert_allclose(sums.loss, expected.loss, rtol=1e-9)


def test_what_is_no_known_code_has_the_last_row_of_the_table() -> None:
    embedding = tw.Embedding((0,), ("categories", {"levels": 2}), 2)
    layers = (tw.Dense(2, "identity", init=np.eye(2)),)
    of = DenseNetwork(1, layers, embedding=(embedding,))
    parameters = of.draw(0)
    table = parameters[0]["embedding_0_weights"]
    X = np.array([[0.0], [1], [2], [-1], [0.5], [1e30]])
    found = JAX.outputs(of, parameters, X)
    np.testing.assert_allclose(found, table[[0, 1, 2, 2, 2, 2]], rtol=1e-12)


@pytest.mark.slow
def test_noise_leaves_categories_as_they_are() -> None:
    of = replace(network("categories"), input_noise=1.0)
    parameters, data = draw_parameters(of), rows(of)
    session = JAX.session(of, replace(PLAN, l1=0.0, l2=0.0), data, parameters, 1)
    session.advance(None, np.ones(1), np.ones(1))
    before = parameters[0]["embedding_0_weights"]
    moved = (session.parameters()[0]["embedding_0_weights"] != before).any(axis=1)
    assert moved.all()  # each of the three codes was met, and the unknown ones


def test_auto_takes_the_engine_that_has_them_and_says_why() -> None:
    engine, why = engines.pick("auto", network("periodic"), Plan())
    assert engine.name == "jax"
    assert "native cannot: the network has embeddings" in why
    with pytest.raises(ValueError, match="has embeddings"):
        engines.pick("native", network("periodic"), Plan())


def test_categories_are_learned_where_a_number_is_not_enough() -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 8, (400, 1)).astype(float)
    y = np.array([3.0, -1, 2, -3, 0, 4, -2, 1])[X[:, 0].astype(int)]
    embedding = tw.Embedding((0,), ("categories", {"levels": 8}), 4)
    of = DenseNetwork(1, (tw.Dense(1, "identity"),), embedding=(embedding,))
    run = tw.fit(of, X, y, optimizer="lbfgs", epochs=100, random_state=0)
    np.testing.assert_allclose(tw.predict(run, X)[:, 0], y, atol=0.01)


def test_pieces_move_to_where_the_function_bends() -> None:
    X = np.linspace(-2, 2, 201)[:, None]
    y = np.where(X[:, 0] < 0.7, 0.0, 3 * (X[:, 0] - 0.7))
    embedding = tw.Embedding((0,), ("piecewise", {"pieces": 2}), 1)
    of = DenseNetwork(1, (tw.Dense(1, "identity"),), embedding=(embedding,))
    run = tw.fit(
        of, X, y, optimizer="lbfgs", epochs=300, random_state=1, dtype="float64"
    )
    own = run.parameters[0]
    bend = own["embedding_0_starts"][0] + np.exp(own["embedding_0_log_widths"][0])
    assert abs(bend - 0.7) < 0.02
