"""Every engine computes what `references` computes: forward, losses, gradients.

The tests run over `ENGINES`; another engine is judged by being put on that list.
Gradients are compared twice: with the analytic backward pass of `references` (and that
in turn with central differences), and with central differences of the engine's own
cost.

Tolerances. In float64 two orders of summation differ by about n·2⁻⁵³ ≈ 1e-14 for the
hundred-odd terms here, and a few layers multiply that by their condition, below 1e3:
hence 1e-10, wide for rounding and far below any wrong term. A central difference with
h = 1e-5 is off by h²·f‴/6 ≈ 1e-10 and by 2⁻⁵³·f/h ≈ 1e-11, each times what a third
derivative may add: hence 1e-7. float32 rounds at 6e-8, times the same hundred terms
and condition: hence 2e-4 of the gradient's own size.
"""

import itertools
import pickle
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import ENGINES, draw_data, draw_parameters, each_engine
from tests.reference import networks as references
from thalweg import engines
from thalweg.core.data import Data
from thalweg.core.losses import CLASSIFYING, LOSSES
from thalweg.core.networks import ACTIVATIONS, Dense, DenseNetwork
from thalweg.core.plan import Plan
from thalweg.core.types import Array, Parameters

EXACT: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}
DIFFERENCES: dict[str, Any] = {"rtol": 1e-7, "atol": 1e-7}
SINGLE = 2e-4


def cost(
    engine: engines.Engine, network: DenseNetwork, plan: Plan, p: Parameters, data: Data
) -> float:
    value, _ = engine.cost_and_gradient(network, plan, p, data)
    return float(value)


def assert_gradient(
    engine: engines.Engine,
    network: DenseNetwork,
    plan: Plan,
    *,
    n_rows: int = 7,
    seed: int = 0,
    differences: bool = True,
) -> None:
    """Compare cost and gradient with the reference and with central differences."""
    parameters = draw_parameters(network, seed)
    data = draw_data(network, plan, n_rows, seed + 1)
    value, gradient = engine.cost_and_gradient(network, plan, parameters, data)
    expected, analytic = references.objective(network, plan, parameters, data)
    np.testing.assert_allclose(value, expected, **EXACT)
    references.assert_close(gradient, analytic, **EXACT)
    if differences:
        objective = engine.objective(network, plan, data)
        slopes = references.central_differences(
            lambda p: objective.cost_and_gradient(p)[0], parameters
        )
        trained = tuple(
            {name: slope[name] for name in own}
            for own, slope in zip(gradient, slopes, strict=True)
        )
        references.assert_close(gradient, trained, **DIFFERENCES)


def two_layers(**hidden: Any) -> DenseNetwork:
    return DenseNetwork(3, (Dense(4, **hidden), Dense(2, "identity")))


def steps_gradient(
    engine: engines.Engine,
    network: DenseNetwork,
    plan: Plan,
    parameters: Parameters,
    data: Data,
    seed: int = 0,
) -> tuple[Parameters, float]:
    """The gradient of one training step, read off plain descent at rate 1."""
    plan = replace(plan, optimizer="sgd", batch_size=None)
    session = engine.session(network, plan, data, parameters, seed, None, None)
    sums = session.advance(None, np.ones(1), np.ones(1))
    after = session.parameters()
    return (
        tuple(
            {} if layer.frozen
            else {k: own[k] - new[k] for k in own if references.is_trained(k)}
            for layer, own, new in zip(network.layers, parameters, after, strict=True)
        ),
        float(sums.gradient_norm[0]),
    )  # fmt: skip


# ------------------------------------------------- the reference itself is right

# A loss with a smooth second derivative, so that only the layer is on trial.
SMOOTH = Plan(loss="log_cosh")

LAYERS: dict[str, DenseNetwork] = {
    "one": DenseNetwork(3, (Dense(2, "identity"),)),
    "deep": DenseNetwork.from_sizes((3, 4, 3, 4, 2), activation="tanh"),
    "batch norm": two_layers(activation="tanh", normalization="batch"),
    "layer norm": two_layers(activation="tanh", normalization="layer"),
    "large epsilon": two_layers(
        activation="tanh", normalization=("layer", {"epsilon": 0.5})
    ),
    "residual 1": DenseNetwork(
        3, (Dense(4, "tanh"), Dense(4, "silu", residual=1), Dense(2, "identity"))
    ),
    "residual 2": DenseNetwork(
        3,
        (
            Dense(4, "tanh"),
            Dense(5, "silu", normalization="layer"),
            Dense(4, "tanh", residual=2),
            Dense(4, "tanh", residual=3),
            Dense(2, "identity"),
        ),
    ),
    "residual to the input": DenseNetwork(
        3, (Dense(3, "tanh", residual=1), Dense(2, "identity"))
    ),
    "frozen first": two_layers(activation="tanh", normalization="batch", frozen=True),
    "frozen last": DenseNetwork(
        3, (Dense(4, "tanh"), Dense(2, "identity", frozen=True))
    ),
    "shared": DenseNetwork(
        3,
        (
            Dense(3, "tanh"),
            Dense(3, "tanh", shares=0),
            Dense(3, "silu", shares=0),
            Dense(2, "identity"),
        ),
    ),
    "transposed": DenseNetwork(
        3,
        (
            Dense(5, "tanh"),
            Dense(3, "tanh", shares=0, transposed=True, normalization="layer"),
            Dense(2, "identity"),
        ),
    ),
    "shared of a frozen layer": DenseNetwork(
        3, (Dense(3, "tanh", frozen=True), Dense(3, "tanh", shares=0), Dense(2, "tanh"))
    ),
    "frozen layer that shares": DenseNetwork(
        3, (Dense(3, "tanh"), Dense(3, "tanh", shares=0, frozen=True), Dense(2, "tanh"))
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_reference_gradient_in_training(name: str) -> None:
    """The reference's own backward pass, batch statistics and dropout included."""
    network = LAYERS[name]
    layers = (replace(network.layers[0], dropout=0.4), *network.layers[1:])
    network = replace(network, layers=layers, input_noise=0.1)
    parameters = draw_parameters(network)
    data = draw_data(network, SMOOTH)

    def value(p: Parameters) -> float:
        return references.cost_and_gradient(network, SMOOTH, p, data, (5, 2))[0]

    gradient = references.cost_and_gradient(network, SMOOTH, parameters, data, (5, 2))[
        1
    ]
    slopes = references.central_differences(value, parameters)
    trained = tuple(
        {name: slope[name] for name in own}
        for own, slope in zip(gradient, slopes, strict=True)
    )
    references.assert_close(gradient, trained, **DIFFERENCES)


# ------------------------------------------------------- one table, one test body


@each_engine
@pytest.mark.parametrize("name", LAYERS)
def test_gradient_of_layers(engine: engines.Engine, name: str) -> None:
    assert_gradient(engine, LAYERS[name], SMOOTH)


@pytest.mark.slow
@each_engine
@pytest.mark.parametrize(
    "name",
    [
        "batch norm",
        "layer norm",
        "residual 2",
        "frozen first",
        "transposed",
        "frozen layer that shares",
    ],
)
def test_gradient_of_layers_in_training(engine: engines.Engine, name: str) -> None:
    """With batch statistics, dropout and input noise: a step of plain descent."""
    network = LAYERS[name]
    layers = (replace(network.layers[0], dropout=0.4), *network.layers[1:])
    network = replace(network, layers=layers, input_noise=0.1)
    parameters = draw_parameters(network)
    data = draw_data(network, SMOOTH)
    found, norm = steps_gradient(engine, network, SMOOTH, parameters, data, seed=5)
    _, expected, _ = references.cost_and_gradient(
        network, SMOOTH, parameters, data, (5, 0)
    )
    references.assert_close(found, expected, **EXACT)
    size = np.sqrt(sum((g**2).sum() for own in expected for g in own.values()))
    np.testing.assert_allclose(norm, size, **EXACT)


ACTIVATION_SPECS: list[Any] = [
    *ACTIVATIONS,
    ("leaky_relu", {"slope": 0.3}),
    ("leaky_relu", {"slope": -0.3}),
    ("elu", {"alpha": 0.4}),
]


@each_engine
@pytest.mark.parametrize("activation", ACTIVATION_SPECS, ids=str)
def test_gradient_of_activations(engine: engines.Engine, activation: Any) -> None:
    """Each activation hidden and at the output; inputs wide enough for its corners."""
    network = DenseNetwork(3, (Dense(4, activation), Dense(2, activation)))
    parameters = draw_parameters(network)
    parameters = tuple({k: 3 * v for k, v in own.items()} for own in parameters)
    data = draw_data(network, SMOOTH)
    outputs = engine.activations(network, parameters, data.X)
    expected = references.forward(network, parameters, data.X).inputs[1:]
    for mine, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(mine, other, **EXACT)
    value, gradient = engine.cost_and_gradient(network, SMOOTH, parameters, data)
    reference = references.objective(network, SMOOTH, parameters, data)
    np.testing.assert_allclose(value, reference[0], **EXACT)
    references.assert_close(gradient, reference[1], **EXACT)
    objective = engine.objective(network, SMOOTH, data)
    slopes = references.central_differences(
        lambda p: objective.cost_and_gradient(p)[0], parameters
    )
    references.assert_close(gradient, slopes, **DIFFERENCES)


LOSS_SPECS: list[Any] = [
    *LOSSES,
    ("cross_entropy", {"clipped": True}),
    ("binary_cross_entropy", {"clipped": True, "label_smoothing": 0.1}),
    ("cross_entropy", {"label_smoothing": 0.2}),
    ("binary_cross_entropy", {"label_smoothing": 0.2}),
    ("huber", {"delta": 0.3, "scale": 0.7}),
    ("squared", {"scale": 2 / 3}),
    ("binary_cross_entropy", {"scale": 1 / 3}),
    ("quantile", {"quantile": 0.9}),
    ("focal", {"gamma": 0.0}),
    ("focal", {"gamma": 0.5}),
]


@each_engine
@pytest.mark.parametrize("loss", LOSS_SPECS, ids=str)
def test_gradient_of_losses(engine: engines.Engine, loss: Any) -> None:
    network = DenseNetwork(3, (Dense(4, "tanh"), Dense(3, "identity")))
    plan = Plan(loss=loss)
    assert_gradient(engine, network, plan)
    outputs = 3 * np.random.default_rng(2).standard_normal((9, 3))
    data = draw_data(network, plan, 9)
    found = engine.row_losses(plan, outputs, data.y)
    expected, _ = references.row_losses(plan.loss, outputs, data.y)
    assert found.shape == (9,)
    np.testing.assert_allclose(found, expected, **EXACT)


@each_engine
@pytest.mark.parametrize(
    "loss", ["absolute", "quantile", ("quantile", {"quantile": 0.9}), "huber"]
)
def test_no_slope_where_nothing_is_wrong(engine: engines.Engine, loss: Any) -> None:
    """|x| is not smooth at 0: there its slope is 0, which leaves a fit as it is."""
    network = DenseNetwork(3, (Dense(2, "identity"),))
    zeros = ({"weights": np.zeros((3, 2)), "bias": np.zeros(2)},)
    y = np.zeros((4, 2))
    y[0] = 1.0, -1.0
    data = Data(np.ones((4, 3)), y, np.ones(4))
    _, gradient = engine.cost_and_gradient(network, Plan(loss=loss), zeros, data)
    expected = engine.cost_and_gradient(
        network, Plan(loss=loss), zeros, data.take(slice(1))
    )[1]
    assert (expected[0]["bias"] != 0).all()
    np.testing.assert_allclose(gradient[0]["bias"], expected[0]["bias"] / 4, **EXACT)


@each_engine
def test_parameters_keep_their_order(engine: engines.Engine) -> None:
    network = two_layers(normalization="batch")
    plan, data = Plan(epochs=1), draw_data(network, Plan())
    session = engine.session(network, plan, data, draw_parameters(network))
    session.advance(None, np.ones(1) / 99, np.ones(1))
    drawn = [list(own) for own in network.draw(0)]
    assert [list(own) for own in session.parameters()] == drawn
    settled = engine.objective(network, plan, data).settle(session.parameters())
    assert [list(own) for own in settled] == drawn


def test_programs_of_jax_are_bounded() -> None:
    """Many widths and row counts: what was used longest ago makes room."""
    from thalweg.engines.jax import step

    for width in range(1, step.PROGRAMS + 9):
        step.compiled(step.outputs, DenseNetwork.from_sizes((1, width, 1)))
    known: Any = step._compiled  # pyright: ignore[reportPrivateUsage]
    assert known.cache_info().currsize <= step.PROGRAMS
    small = step.skeleton(DenseNetwork.from_sizes((1, 1)))
    parameters = ({"weights": np.ones((1, 1)), "bias": np.ones(1)},)
    program: Any = step.compiled(step.outputs, small)
    for rows in range(1, step.SHAPES + 9):
        program = step.compiled(step.outputs, small)
        program(parameters, ({},), np.ones((rows, 1), np.float32))
    assert program._cache_size() <= step.SHAPES


@each_engine
def test_the_l1_penalty_leaves_zeros_alone(engine: engines.Engine) -> None:
    network = DenseNetwork(3, (Dense(2, "identity"),))
    weights = np.array([[0.0, 1.0], [-2.0, -0.0], [3.0, 0.0]])
    data = Data(np.zeros((1, 3)), np.zeros((1, 2)), np.ones(1))
    plan = Plan(l1=0.5, loss="squared")
    first = ({"weights": weights, "bias": np.zeros(2)},)
    _, gradient = engine.cost_and_gradient(network, plan, first, data)
    np.testing.assert_array_equal(gradient[0]["weights"], 0.5 * np.sign(weights))


@each_engine
def test_averaged_squared_loss_has_the_gradient_of_the_sum(
    engine: engines.Engine,
) -> None:
    network = DenseNetwork(3, (Dense(4, "tanh"), Dense(3, "identity")))
    plan = Plan(loss=("squared", {"averaged": True}))
    assert_gradient(engine, network, plan, differences=False)
    parameters, data = draw_parameters(network), draw_data(network, plan)
    summed = cost(engine, network, Plan(loss="squared"), parameters, data)
    found = cost(engine, network, plan, parameters, data)
    np.testing.assert_allclose(3 * found, summed, **EXACT)


@each_engine
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_clipped_losses_stop_at_the_rounding(engine: engines.Engine, loss: str) -> None:
    """An output of 500 for the wrong class: −log ε, and not 500."""
    y: Array = np.array([1], np.int32) if loss in CLASSIFYING else np.array([[0.0, 0]])
    outputs = np.array([[500.0, 0.0]]) if y.ndim == 1 else np.array([[500.0, -500.0]])
    found = engine.row_losses(Plan(loss=(loss, {"clipped": True})), outputs, y)
    np.testing.assert_allclose(found, -np.log(np.finfo(float).eps), rtol=1e-12)


@each_engine
@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_losses_take_probabilities(engine: engines.Engine, loss: str) -> None:
    rng = np.random.default_rng(3)
    outputs, y = rng.standard_normal((6, 4)), rng.dirichlet(np.ones(4), 6)
    plan = Plan(loss=loss)
    expected, _ = references.row_losses(plan.loss, outputs, y)
    np.testing.assert_allclose(engine.row_losses(plan, outputs, y), expected, **EXACT)
    hot = np.eye(4)[[0, 1, 2, 3, 0, 1]]
    numbers = np.array([0, 1, 2, 3, 0, 1], np.int32)
    np.testing.assert_allclose(
        engine.row_losses(plan, outputs, hot),
        engine.row_losses(plan, outputs, numbers),
        **EXACT,
    )


@each_engine
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_of_large_outputs_are_exact(engine: engines.Engine, loss: str) -> None:
    """Outputs of ±500 overflow exp; a loss that is finite there must come out so."""
    outputs = np.array([[500.0, -500.0], [-500.0, 500.0]])
    y: Array = np.array([0, 0], np.int32) if loss in CLASSIFYING else np.eye(2)
    if loss == "poisson":
        outputs = -outputs[:1] * [[0, 1]]
        y = np.zeros((1, 2))
        with np.errstate(over="ignore"):
            expected = np.exp(outputs).sum(axis=1)
    else:
        expected = {
            "cross_entropy": np.array([0.0, 1000.0]),
            "binary_cross_entropy": np.array([0.0, 0.0]),
            "squared": np.array([499.0**2 + 500**2, 499**2 + 500**2]) / 2,
            "absolute": np.array([999.0, 999.0]),
            "huber": np.array([998.0, 998.0]),
            "log_cosh": np.array([999.0, 999.0]) - 2 * np.log(2),
            "quantile": np.array([499.5, 499.5]),
            "hinge": np.array([0.0, 1001.0]),
            "focal": np.array([0.0, 1000.0]),
        }[loss]
    found = engine.row_losses(Plan(loss=loss), outputs, y)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


PENALTIES: dict[str, dict[str, Any]] = {
    "l1": {"l1": 0.3},
    "l2": {"l2": 0.7},
    "both": {"l1": 0.3, "l2": 0.7},
    "by batch": {"l1": 0.3, "l2": 0.7, "penalty_scale": "batch"},
    "whole": {"l1": 0.3, "l2": 0.7, "penalty_scale": "none"},
}


@each_engine
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("name", ["frozen first", "transposed"])
def test_gradient_of_penalties(engine: engines.Engine, penalty: str, name: str) -> None:
    """No bias, scale or frozen weight is penalized; a shared matrix counts once."""
    plan = replace(SMOOTH, **PENALTIES[penalty])
    assert_gradient(engine, LAYERS[name], plan)


@each_engine
def test_penalty_is_what_the_plan_says(engine: engines.Engine) -> None:
    network = LAYERS["transposed"]
    parameters, data = draw_parameters(network), draw_data(network, SMOOTH)
    plain = cost(engine, network, SMOOTH, parameters, data)
    plan = replace(SMOOTH, l1=0.3, l2=0.7)
    matrices = [own["weights"] for own in parameters if "weights" in own]
    assert len(matrices) == 2
    penalty = sum(0.35 * (w**2).sum() + 0.3 * np.abs(w).sum() for w in matrices)
    np.testing.assert_allclose(
        cost(engine, network, plan, parameters, data) - plain,
        penalty / data.weights.sum(),
        **EXACT,
    )


# ------------------------------------------------------------- whatever is drawn

SPECS = st.sampled_from(sorted(ACTIVATIONS))


@st.composite
def networks(draw: st.DrawFn) -> DenseNetwork:
    """Any depth of three, width, activation, normalization, shortcut and tie."""
    widths = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    layers: list[Dense] = []
    for index, units in enumerate(widths[1:]):
        spans = [0, *(s for s in range(1, index + 2) if widths[index + 1 - s] == units)]
        shapes = itertools.pairwise(widths[: index + 1])
        ties: list[tuple[int | None, bool]] = [(None, False)]
        for source, shape in enumerate(shapes):
            if layers[source].shares is None:
                ties += [(source, False)] * (shape == (widths[index], units))
                ties += [(source, True)] * (shape[::-1] == (widths[index], units))
        shares, transposed = draw(st.sampled_from(ties))
        layers.append(
            Dense(
                units,
                draw(SPECS),
                normalization=draw(st.sampled_from(["none", "batch", "layer"])),
                residual=draw(st.sampled_from(spans)),
                frozen=draw(st.booleans()),
                dropout=draw(st.sampled_from([0.0, 0.3])),
                shares=shares,
                transposed=transposed,
            )
        )
    noise = draw(st.sampled_from([0.0, 0.2]))
    return DenseNetwork(widths[0], tuple(layers), noise)


@pytest.mark.slow
@each_engine
@settings(max_examples=8)
@given(
    network=networks(),
    loss=st.sampled_from(sorted(LOSSES)),
    n_rows=st.integers(2, 9),
    seed=st.integers(0, 2**16),
)
def test_gradient_of_any_network(
    engine: engines.Engine, network: DenseNetwork, loss: str, n_rows: int, seed: int
) -> None:
    if loss == "hinge" and network.n_outputs == 1:
        loss = "squared"  # with one class there is no rival
    plan = Plan(loss=loss, l1=0.1, l2=0.1)
    # Central differences would need distance from kinks; the reference needs none.
    assert_gradient(engine, network, plan, n_rows=n_rows, seed=seed, differences=False)


@pytest.mark.slow
@each_engine
@settings(max_examples=5)
@given(network=networks(), seed=st.integers(0, 2**16))
def test_training_step_of_any_network(
    engine: engines.Engine, network: DenseNetwork, seed: int
) -> None:
    parameters = draw_parameters(network, seed)
    data = draw_data(network, SMOOTH, 6, seed + 1)
    found, _ = steps_gradient(engine, network, SMOOTH, parameters, data, seed)
    _, expected, _ = references.cost_and_gradient(
        network, SMOOTH, parameters, data, (seed, 0)
    )
    # A batch variance near zero divides what rounding left: 1e-10 of the largest.
    largest = max((np.abs(g).max() for o in expected for g in o.values()), default=0.0)
    references.assert_close(found, expected, rtol=1e-9, atol=1e-10 * (1 + largest))


# --------------------------------------------------------------- types and sizes


@pytest.mark.slow
@each_engine
@pytest.mark.parametrize(
    "name", ["deep", "batch norm", "layer norm", "residual 2", "transposed"]
)
def test_single_precision_agrees_with_double(engine: engines.Engine, name: str) -> None:
    network, plan = LAYERS[name], Plan(loss="squared", l2=0.1)
    single = draw_parameters(network, dtype=np.float32)
    double = tuple({k: v.astype(float) for k, v in own.items()} for own in single)
    rows = draw_data(network, plan, dtype=np.float32)
    wide = Data(rows.X.astype(float), rows.y.astype(float), rows.weights.astype(float))
    value, gradient = engine.cost_and_gradient(network, plan, single, rows)
    expected, exact = engine.cost_and_gradient(network, plan, double, wide)
    np.testing.assert_allclose(value, expected, rtol=SINGLE)
    largest = max(np.abs(g).max() for own in exact for g in own.values())
    for mine, other in zip(gradient, exact, strict=True):
        for key in mine:
            assert mine[key].dtype == np.float32
            assert other[key].dtype == np.float64
            np.testing.assert_allclose(
                mine[key], other[key], rtol=0, atol=SINGLE * largest
            )


@pytest.mark.slow
@each_engine
@pytest.mark.parametrize("n_rows", [1, 2, 3, 7, 15, 16, 17, 19, 20, 33, 129])
def test_no_row_count_matters(engine: engines.Engine, n_rows: int) -> None:
    """Whatever an engine pads rows to, cost and gradient are those of the rows."""
    network = DenseNetwork(3, (Dense(4, "tanh"), Dense(3, "identity")))
    plan = Plan(loss="cross_entropy", l2=0.1)
    assert_gradient(engine, network, plan, n_rows=n_rows, differences=False)


@each_engine
@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_rows", "batch_size", "warmup"),
    [(1, None, True), (21, None, False), (21, 16, True), (17, 4, False)],
)
def test_no_row_count_matters_in_training(
    engine: engines.Engine, n_rows: int, batch_size: int | None, warmup: bool
) -> None:
    """Batch statistics, dropout and the last, smaller batch see real rows only."""
    norm = ("batch", {"warmup": warmup})
    network = DenseNetwork(
        3,
        (Dense(4, "tanh", normalization=norm, dropout=0.3), Dense(3, "identity")),
    )
    plan = Plan(
        loss="cross_entropy", optimizer="sgd", batch_size=batch_size, l2=0.1, epochs=2
    )
    data, parameters = draw_data(network, plan, n_rows), draw_parameters(network)
    rng = np.random.default_rng(4)
    orders = np.array([rng.permutation(n_rows) for _ in range(2)], np.int32)
    for order in (orders, None):
        size = n_rows if batch_size is None else min(batch_size, n_rows)
        rates = np.full(2 * -(-n_rows // size), 0.1)
        session = engine.session(network, plan, data, parameters, 9, None, None)
        sums = session.advance(order, rates, np.ones(len(rates)))
        expected = references.train(
            network, plan, data, parameters, order, rates, seed=9
        )
        np.testing.assert_allclose(sums.loss, expected.loss, **EXACT)
        # A batch of one row has no variance: its slopes are divided by √epsilon.
        references.assert_close(
            session.parameters(), expected.parameters, rtol=1e-8, atol=1e-8
        )


@pytest.mark.slow
@each_engine
def test_weights_of_zero_take_rows_out(engine: engines.Engine) -> None:
    network, plan = LAYERS["deep"], Plan(loss="squared", l2=0.1)
    parameters, data = draw_parameters(network), draw_data(network, plan, 9)
    weights = np.where(np.arange(9) < 6, data.weights, 0.0)
    fewer = Data(data.X[:6], data.y[:6], data.weights[:6])
    found = engine.cost_and_gradient(
        network, plan, parameters, Data(data.X, data.y, weights)
    )
    expected = engine.cost_and_gradient(network, plan, parameters, fewer)
    np.testing.assert_allclose(found[0], expected[0], **EXACT)
    references.assert_close(found[1], expected[1], **EXACT)


@each_engine
def test_chunks_of_outputs_are_outputs(
    engine: engines.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = LAYERS["residual 2"]
    parameters = draw_parameters(network)
    X = draw_data(network, SMOOTH, 23).X
    whole = engine.activations(network, parameters, X)
    monkeypatch.setattr(sys.modules[type(engine).__module__], "CHUNK", 8)
    pieces = engine.activations(network, parameters, X)
    expected = references.forward(network, parameters, X).inputs[1:]
    for one, other, reference in zip(whole, pieces, expected, strict=True):
        assert one.shape == reference.shape
        np.testing.assert_allclose(one, reference, **EXACT)
        np.testing.assert_allclose(other, reference, **EXACT)
    last = engine.outputs(network, parameters, X)
    np.testing.assert_array_equal(last, pieces[-1])


@each_engine
def test_outputs_of_one_row_and_of_many(engine: engines.Engine) -> None:
    """More rows than any engine's chunk; the first row's output stays its own."""
    network = LAYERS["one"]
    parameters = draw_parameters(network)
    X = draw_data(network, SMOOTH, 20_000).X
    many = engine.outputs(network, parameters, X)
    assert many.shape == (20_000, 2)
    expected = X @ parameters[0]["weights"] + parameters[0]["bias"]
    np.testing.assert_allclose(many, expected, **EXACT)
    one = engine.outputs(network, parameters, X[:1])
    np.testing.assert_allclose(one, expected[:1], **EXACT)


# ------------------------------------------------------------- what is not finite


@each_engine
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_is_never_hidden_by_an_activation(
    engine: engines.Engine, activation: str
) -> None:
    network = DenseNetwork(3, (Dense(4, activation), Dense(2, "identity")))
    parameters, data = draw_parameters(network), draw_data(network, SMOOTH)
    broken = data.X.copy()
    broken[3, 1] = np.nan
    rows = Data(broken, data.y, data.weights)
    assert not np.isfinite(cost(engine, network, SMOOTH, parameters, rows))
    parameters[0]["weights"][1, 2] = np.nan
    assert not np.isfinite(cost(engine, network, SMOOTH, parameters, data))


@each_engine
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_infinite_is_hidden_by_a_loss(
    engine: engines.Engine, loss: str, value: float
) -> None:
    network = DenseNetwork(3, (Dense(4, "tanh"), Dense(3, "identity")))
    plan = Plan(loss=loss)
    data = draw_data(network, plan, 9)
    parameters = draw_parameters(network)
    assert np.isfinite(cost(engine, network, plan, parameters, data))
    parameters[1]["weights"][2, 1] = value
    assert not np.isfinite(cost(engine, network, plan, parameters, data))


@each_engine
def test_a_step_that_is_not_finite_is_not_taken(engine: engines.Engine) -> None:
    """The third rate overflows the update: two steps stay done."""
    network, plan = LAYERS["one"], Plan(loss="squared", optimizer="sgd", epochs=5)
    data, parameters = draw_data(network, plan), draw_parameters(network)
    rates = np.array([0.1, 0.1, np.inf, 0.1, 0.1])
    session = engine.session(network, plan, data, parameters, 0, None, None)
    sums = session.advance(None, rates, np.ones(5))
    assert not sums.finite
    assert len(sums.loss) == 3
    expected = references.train(network, plan, data, parameters, None, rates[:2])
    references.assert_close(session.parameters(), expected.parameters, **EXACT)


@each_engine
@pytest.mark.slow
def test_state_goes_on_where_it_was(engine: engines.Engine) -> None:
    """Two sessions of two steps, the second begun from the first, are one of four.

    Adam's moments, the step of dropout's generator and half an accumulation carry over.
    """
    layers = (Dense(4, "tanh", dropout=0.3), Dense(3, "identity"))
    network = DenseNetwork(3, layers)
    plan = Plan(loss="cross_entropy", batch_size=None, accumulate=2, epochs=5)
    data, parameters = draw_data(network, plan), draw_parameters(network)
    rates = np.array([0.1, 0.2, 0.3, 0.1, 0.2])
    one = engine.session(network, plan, data, parameters, 3, None, None)
    one.advance(None, rates[:3], np.ones(3))
    two = engine.session(
        network,
        plan,
        data,
        one.parameters(),
        3,
        pickle.loads(pickle.dumps(one.state())),
        None,
    )
    two.advance(None, rates[3:], np.ones(2))
    expected = references.train(network, plan, data, parameters, None, rates, seed=3)
    references.assert_close(two.parameters(), expected.parameters, **EXACT)


@each_engine
@pytest.mark.parametrize("warmup", [True, False])
def test_settled_statistics_are_those_of_all_rows(
    engine: engines.Engine, warmup: bool
) -> None:
    network = two_layers(normalization=("batch", {"warmup": warmup}))
    parameters, data = draw_parameters(network), draw_data(network, SMOOTH, 9)
    settled = engine.objective(network, SMOOTH, data).settle(parameters)
    z = data.X @ parameters[0]["weights"] + parameters[0]["bias"]
    np.testing.assert_allclose(settled[0]["mean"], z.mean(axis=0), **EXACT)
    np.testing.assert_allclose(settled[0]["variance"], z.var(axis=0), **EXACT)
    for name in ("weights", "bias", "scale", "shift"):
        np.testing.assert_array_equal(settled[0][name], parameters[0][name])


@each_engine
def test_validation_is_prediction(engine: engines.Engine) -> None:
    """No dropout, the running statistics, and losses without penalties."""
    network = DenseNetwork(
        3,
        (Dense(4, "tanh", normalization="batch", dropout=0.5), Dense(3, "identity")),
        input_noise=0.5,
    )
    plan = Plan(loss="cross_entropy", l2=5.0)
    parameters = draw_parameters(network)
    data, held_out = draw_data(network, plan, 9), draw_data(network, plan, 6, seed=8)
    session = engine.session(network, plan, data, parameters, 0, None, held_out)
    outputs, losses = session.validate()
    expected = references.forward(network, parameters, held_out.X).outputs
    np.testing.assert_allclose(outputs, expected, **EXACT)
    rows, _ = references.row_losses(plan.loss, expected, held_out.y)
    np.testing.assert_allclose(losses, rows, **EXACT)


# --------------------------------------------------------------- picking an engine


def test_pick_says_which_and_why() -> None:
    network, plan = LAYERS["one"], Plan()
    picked, why = engines.pick("jax", network, plan)
    assert picked.name == "jax"
    assert why == "jax (asked for)"
    _, why = engines.pick("auto", network, plan)
    assert why.split(" ")[0] in engines.ENGINES


def test_unknown_engine_lists_the_options() -> None:
    with pytest.raises(ValueError, match=r"engine='jaxx'.*'jax'.*Options: auto, jax"):
        engines.pick("jaxx", LAYERS["one"], Plan())


def test_refusal_of_every_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for engine in ENGINES:
        monkeypatch.setattr(engine, "refusal", lambda network, plan: "it is Sunday")
    with pytest.raises(ValueError, match="jax cannot: it is Sunday"):
        engines.pick("auto", LAYERS["one"], Plan())


@each_engine
def test_every_engine_keeps_the_contract(engine: engines.Engine) -> None:
    promised = {name for name in vars(engines.Engine) if not name.startswith("_")}
    assert len(promised) > 10
    assert {name for name in promised if not hasattr(engine, name)} == set()
